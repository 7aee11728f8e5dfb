"""The handlers by which an engine resets, updates and computes a metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar

from fsm_engine.metrics.usage import Usage

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.events.events import CallableEventWithFilter
    from fsm_engine.metrics.metric import Metric

EventHandlers = list[tuple[Callable[..., None], "CallableEventWithFilter"]]
"""Handlers, each with the event that it is attached to."""


@dataclass(frozen=True, eq=False)
class MetricHandler:
    """Base class of event handlers for a metric; equal for equal metrics, so that an engine finds them again.

    A handler is also equal to the bound method of the metric that it calls, so `has_event_handler` and
    `remove_event_handler` find it by ``metric.started``, ``metric.iteration_completed`` or ``metric.completed``.
    """

    metric: Metric
    _method: ClassVar[str]

    @property
    def __name__(self) -> str:
        """Name of the handler in explanations, recordings and errors: class and method of the metric."""
        return f"{self.metric._class_name()}.{self._method}"

    @property
    def owner(self) -> Metric | None:
        """Metric whose state dict an engine saves for this handler."""
        return self.metric._state_owner()

    def _key(self) -> tuple[Any, ...]:
        return (self.metric,)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MethodType):
            return bool(other == getattr(self.metric, self._method))
        return type(other) is type(self) and other._key() == self._key()

    def __hash__(self) -> int:
        return hash(self._key())


class ResetHandler(MetricHandler):
    """Calls `Metric.started`."""

    _method = "started"

    def __call__(self, engine: Engine) -> None:
        """Reset the metric."""
        self.metric.started(engine)


class UpdateHandler(MetricHandler):
    """Calls `Metric.iteration_completed`."""

    _method = "iteration_completed"

    def __call__(self, engine: Engine) -> None:
        """Update the metric."""
        self.metric.iteration_completed(engine)


@dataclass(frozen=True, eq=False)
class ComputeHandler(MetricHandler):
    """Calls `Metric.completed` with the name under which the metric is attached."""

    usage: Usage
    name: str = ""
    _method = "completed"
    meets_other_ranks: ClassVar[bool] = True

    def _key(self) -> tuple[Any, ...]:
        return self.metric, self.usage  # without the name, so that `detach` finds the handlers of all names

    def __call__(self, engine: Engine) -> None:
        """Compute the metric."""
        self.metric.completed(engine, self.name)


def compute_handlers(engine: Engine) -> list[ComputeHandler]:
    """Return the handlers of `engine` that compute metrics."""
    return [handler for handler in engine.handlers() if isinstance(handler, ComputeHandler)]


def check_engine(metric: Metric, engine: object) -> None:
    """Check the engine that is given to ``metric.attach``.

    Raises:
        TypeError: `engine` is not an engine.
    """
    if not hasattr(engine, "add_event_handler"):
        raise TypeError(
            f"Argument engine should be an Engine, got {type(engine).__name__}. Write "
            f'{metric._class_name()}(...).attach(engine, "name").'
        )


def warn_name_taken(engine: Engine, name: str, metric: Metric) -> None:
    """Warn if another metric is attached to `engine` under `name`."""
    others = [handler.metric for handler in compute_handlers(engine) if handler.name == name]
    other = next((other for other in others if other != metric), None)
    if other is not None:
        old, new = other._class_name(), metric._class_name()
        warnings.warn(
            f"The metrics {old} and {new} are both attached to this engine under the name {name!r}, so each overwrites "
            f"the value of the other in engine.state.metrics. Attach {new} under another name, such as "
            f"attach(engine, {name + '_2'!r}), or call detach(engine) of {old} first.",
            stacklevel=3,
        )
