"""`MetricOperators`: arithmetic, indexing and tensor methods of metrics."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from fsm_engine.metrics.metrics_lambda import MetricsLambda


def _operators(
    function: Callable[[Any, Any], Any],
) -> tuple[Callable[[MetricOperators, Any], MetricsLambda], Callable[[MetricOperators, Any], MetricsLambda]]:
    """Return the methods for ``metric <op> other`` and ``other <op> metric``."""

    def method(self: MetricOperators, other: Any) -> MetricsLambda:
        return _metrics_lambda(function, self, other)

    def reflected(self: MetricOperators, other: Any) -> MetricsLambda:
        return _metrics_lambda(function, other, self)

    return method, reflected


class MetricOperators:
    """Base class that makes expressions of metrics new metrics: ``2 * p * r / (p + r)``, ``accuracy[0]``.

    The other operand is a metric, a number or a tensor. Tensor methods, such as ``(iou + 1).mean(dim=0)``, are called
    with the metric's value when the new metric is computed; their arguments may be metrics, too. Values are moved to
    the CPU.
    """

    __add__, __radd__ = _operators(operator.add)
    __sub__, __rsub__ = _operators(operator.sub)
    __mul__, __rmul__ = _operators(operator.mul)
    __truediv__, __rtruediv__ = _operators(operator.truediv)
    __floordiv__, __rfloordiv__ = _operators(operator.floordiv)
    __mod__, __rmod__ = _operators(operator.mod)
    __pow__, __rpow__ = _operators(operator.pow)

    def __neg__(self) -> MetricsLambda:
        return _metrics_lambda(operator.neg, self)

    def __getitem__(self, index: Any) -> MetricsLambda:
        return _metrics_lambda(operator.getitem, self, index)

    __iter__: None = None  # without it, Python would iterate with __getitem__, which never raises IndexError
    __array_ufunc__: None = None  # without it, ``array + metric`` would be an array of metrics

    if not TYPE_CHECKING:  # hidden from type checkers, which would accept any misspelled attribute otherwise

        def __getattr__(self, name: str) -> Callable[..., MetricsLambda]:
            if name.startswith("_") or not callable(getattr(torch.Tensor, name, None)):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}, nor have tensors.")
            return partial(_metrics_lambda, _call_method, self, name)


class TensorMethods:
    """Declares for type checkers the tensor methods that formulas use: ``(2 * p * r / (p + r)).mean()``.

    `MetricOperators` defines them. A metric whose value is a tensor has this base class, too; `Metric` itself does not,
    because subclasses of users have attributes of their own with such names, for example ``self.sum = 0.0``.
    """

    if TYPE_CHECKING:
        abs: Callable[..., MetricsLambda]
        all: Callable[..., MetricsLambda]
        amax: Callable[..., MetricsLambda]
        amin: Callable[..., MetricsLambda]
        any: Callable[..., MetricsLambda]
        argmax: Callable[..., MetricsLambda]
        argmin: Callable[..., MetricsLambda]
        clamp: Callable[..., MetricsLambda]
        exp: Callable[..., MetricsLambda]
        item: Callable[..., MetricsLambda]
        log: Callable[..., MetricsLambda]
        max: Callable[..., MetricsLambda]
        mean: Callable[..., MetricsLambda]
        median: Callable[..., MetricsLambda]
        min: Callable[..., MetricsLambda]
        nanmean: Callable[..., MetricsLambda]
        nansum: Callable[..., MetricsLambda]
        norm: Callable[..., MetricsLambda]
        numpy: Callable[..., MetricsLambda]
        prod: Callable[..., MetricsLambda]
        round: Callable[..., MetricsLambda]
        sqrt: Callable[..., MetricsLambda]
        std: Callable[..., MetricsLambda]
        sum: Callable[..., MetricsLambda]
        tolist: Callable[..., MetricsLambda]
        var: Callable[..., MetricsLambda]


def _call_method(value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    method = getattr(value, name, None)
    if method is None:
        raise AttributeError(f"Metric result of type {type(value)} has no attribute {name!r}.")
    return method(*args, **kwargs)


def _metrics_lambda(function: Callable[..., Any], *args: Any, **kwargs: Any) -> MetricsLambda:
    from fsm_engine.metrics.metrics_lambda import MetricsLambda

    return MetricsLambda(function, *args, **kwargs)
