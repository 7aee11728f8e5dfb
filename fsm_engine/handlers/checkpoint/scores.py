"""The numbers that decide which checkpoints are kept: scores, metrics and steps."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def number(value: Any, source: str) -> float:
    """Return `value`, the output of the function `source`, as a number of Python.

    Raises:
        ValueError: it is not a number.
    """
    if not isinstance(value, Real):
        raise ValueError(f"Output of {source} should be a number, got {value!r}")
    return int(value) if isinstance(value, Integral) else float(value)


def score_of(score_function: Callable[[Any], float], engine: Engine) -> float:
    """Return the score of `engine`.

    Raises:
        ValueError: it is not a number.
    """
    return number(score_function(engine), "score_function")


def metric_of(name: str, sign: float, engine: Engine) -> float:
    """Return the metric `name` of `engine`, times `sign`.

    Raises:
        KeyError: the engine has no such metric.
    """
    metrics = engine.state.metrics
    if name not in metrics:
        raise KeyError(f"engine.state.metrics has no {name!r}, which is the score. There are {list(metrics)}.")
    return sign * metrics[name]  # type: ignore[no-any-return]
