"""`sync_all_reduce` and `reinit__is_reduced`: decorators of the methods of metrics that were written for Ignite."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce, wraps
from numbers import Number
from typing import Any

import torch

from fsm_engine import distributed
from fsm_engine.distributed.gathering import gather_for
from fsm_engine.metrics.operators import MetricOperators


def _least(one: Any, other: Any) -> Any:
    return torch.minimum(one, other) if isinstance(one, torch.Tensor) else min(one, other)


def _greatest(one: Any, other: Any) -> Any:
    return torch.maximum(one, other) if isinstance(one, torch.Tensor) else max(one, other)


_OPERATIONS = {"SUM": operator.add, "MIN": _least, "MAX": _greatest, "PRODUCT": operator.mul}
_is_local: ContextVar[bool] = ContextVar("_is_local", default=False)


@contextmanager
def local_values() -> Iterator[None]:
    """Return a context in which decorated methods of metrics use the data of the own rank."""
    token = _is_local.set(True)
    try:
        yield
    finally:
        _is_local.reset(token)


def reduces_itself(metric: Any) -> bool:
    """Return True if `sync_all_reduce` decorates ``compute`` of `metric`."""
    return hasattr(metric.compute, "reduces_over_ranks")


def sync_all_reduce(*attrs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for ``compute`` that reduces attributes over all ranks during the call.

    In a single process it changes nothing. With several ranks all must call the method; one collective exchanges all
    attributes.

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
            if distributed.get_world_size() == 1 or _is_local.get():
                return method(self, *args, **kwargs)
            gathered = gather_for(f"{type(self).__name__}.{method.__name__}()", lambda: _values(self, attrs))
            own = {name: vars(self)[name] for name, _, _ in gathered[0]}
            try:
                for column in zip(*gathered):
                    name, _, operation = column[0]
                    value = reduce(_OPERATIONS[operation], (value for _, value, _ in column))
                    setattr(self, name, value.to(own[name]) if isinstance(own[name], torch.Tensor) else value)
                return method(self, *args, **kwargs)
            finally:
                for name, value in own.items():
                    setattr(self, name, value)

        reduced.reduces_over_ranks = True  # type: ignore[attr-defined]
        return reduced

    return decorate


def _values(metric: Any, attrs: tuple[str, ...]) -> list[tuple[str, Any, str]]:
    """Return the name, the value with tensors on the CPU, and the operation of each attribute."""
    values = []
    for attr in attrs:
        name, _, operation = attr.partition(":")
        if operation and operation not in _OPERATIONS:
            raise ValueError(f"Reduction operation is not valid (expected: {list(_OPERATIONS)}, got: {operation}).")
        if name not in vars(metric):
            raise ValueError(f"Metric {type(metric)} has no attribute named `{name}`.")
        value = vars(metric)[name]
        if not isinstance(value, (Number, torch.Tensor)):
            raise TypeError(
                f"Attribute provided to sync_all_reduce should be a number or tensor, but `{name}` is {value!r}."
            )
        sent = value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else value
        values.append((name, sent, operation or "SUM"))
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
