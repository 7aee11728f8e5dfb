"""`sync_all_reduce` and `reinit__is_reduced`: decorators of the methods of metrics that were written for Ignite."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from numbers import Number
from typing import Any

import torch

from fsm_engine import distributed
from fsm_engine.metrics.operators import MetricOperators

_OPERATIONS = ("SUM", "MIN", "MAX", "PRODUCT")


def sync_all_reduce(*attrs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for ``compute`` that reduces attributes over all ranks during the call.

    In a single process it changes nothing.

    Args:
        *attrs: names of attributes that hold a number or a tensor, each with an operation if it is not the sum:
            ``@sync_all_reduce("total", "largest:MAX")``.

    Raises:
        RuntimeError: when called on an object that is not a metric.
        ValueError: with several ranks: the operation is unknown, or the metric has no such attribute.
        TypeError: with several ranks: the attribute holds something else.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def reduced(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(self, MetricOperators):
                raise RuntimeError(f"Decorator sync_all_reduce should be used on methods of a Metric, not of {self!r}.")
            if distributed.get_world_size() == 1:
                return method(self, *args, **kwargs)
            own = {name: (value, operation) for name, value, operation in _values(self, attrs)}
            try:
                for name, (value, operation) in own.items():
                    copied = value.clone() if isinstance(value, torch.Tensor) else value
                    setattr(self, name, distributed.all_reduce(copied, op=operation))
                return method(self, *args, **kwargs)
            finally:
                for name, (value, _) in own.items():
                    setattr(self, name, value)

        return reduced

    return decorate


def _values(metric: Any, attrs: tuple[str, ...]) -> list[tuple[str, Any, str]]:
    """Return the name, the value and the operation of each attribute."""
    values = []
    for attr in attrs:
        name, _, operation = attr.partition(":")
        if operation and operation not in _OPERATIONS:
            raise ValueError(f"Reduction operation is not valid (expected: {_OPERATIONS}, got: {operation}).")
        if name not in vars(metric):
            raise ValueError(f"Metric {type(metric)} has no attribute named `{name}`.")
        value = vars(metric)[name]
        if not isinstance(value, (Number, torch.Tensor)):
            raise TypeError(
                f"Attribute provided to sync_all_reduce should be a number or tensor, but `{name}` is {value!r}."
            )
        values.append((name, value, operation or "SUM"))
    return values


def reinit__is_reduced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``reset`` or ``update`` so that it discards ``self._result``, in which some metrics keep their value."""

    @wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        returned = method(self, *args, **kwargs)
        if "_result" in vars(self):
            self._result = None
        return returned

    return wrapper
