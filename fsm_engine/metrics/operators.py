"""`MetricOperators`: metrics in formulas, each of which is a metric again."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from fsm_engine.metrics.metrics_lambda import MetricsLambda


class MetricOperators:
    """What can be written with a metric: ``2 * p * r / (p + r)``, ``accuracy[0]``, ``(iou + 1).mean(dim=0)``.

    The other operand may be a metric, a number or a tensor. Methods are those of tensors, called with the value;
    they may be given metrics, too. Tensors are computed with on the CPU.
    """

    def __add__(self, other: Any) -> MetricsLambda:
        return _formula(operator.add, self, other)

    def __radd__(self, other: Any) -> MetricsLambda:
        return _formula(operator.add, other, self)

    def __sub__(self, other: Any) -> MetricsLambda:
        return _formula(operator.sub, self, other)

    def __rsub__(self, other: Any) -> MetricsLambda:
        return _formula(operator.sub, other, self)

    def __mul__(self, other: Any) -> MetricsLambda:
        return _formula(operator.mul, self, other)

    def __rmul__(self, other: Any) -> MetricsLambda:
        return _formula(operator.mul, other, self)

    def __truediv__(self, other: Any) -> MetricsLambda:
        return _formula(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> MetricsLambda:
        return _formula(operator.truediv, other, self)

    def __floordiv__(self, other: Any) -> MetricsLambda:
        return _formula(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> MetricsLambda:
        return _formula(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> MetricsLambda:
        return _formula(operator.mod, self, other)

    def __rmod__(self, other: Any) -> MetricsLambda:
        return _formula(operator.mod, other, self)

    def __pow__(self, other: Any) -> MetricsLambda:
        return _formula(operator.pow, self, other)

    def __rpow__(self, other: Any) -> MetricsLambda:
        return _formula(operator.pow, other, self)

    def __neg__(self) -> MetricsLambda:
        return _formula(operator.neg, self)

    def __getitem__(self, index: Any) -> MetricsLambda:
        return _formula(operator.getitem, self, index)

    __iter__: None = None  # or Python would go through the items for ever
    __array_ufunc__: None = None  # or numpy would go through an array, and make a formula of each number

    if not TYPE_CHECKING:  # a typo stays one for type checkers, which know the methods of tensors otherwise

        def __getattr__(self, name: str) -> Callable[..., MetricsLambda]:
            if name.startswith("_") or not callable(getattr(torch.Tensor, name, None)):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}, nor have tensors.")
            return _Later(name, self)


class _Later:
    """A method of the value of a metric."""

    def __init__(self, name: str, metric: Any) -> None:
        self.name, self.metric = name, metric

    def __call__(self, *args: Any, **kwargs: Any) -> MetricsLambda:
        return _formula(_call, self.metric, self.name, *args, **kwargs)


def _call(value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    method = getattr(value, name, None)
    if method is None:
        raise AttributeError(f"Metric result of type {type(value)} has no attribute {name!r}.")
    return method(*args, **kwargs)


def _formula(function: Callable[..., Any], *args: Any, **kwargs: Any) -> MetricsLambda:
    from fsm_engine.metrics.metrics_lambda import MetricsLambda

    return MetricsLambda(function, *args, **kwargs)
