"""Usages: at which events a metric is reset, updated and computed."""

from __future__ import annotations

from typing import Any, ClassVar

from fsm_engine.events.events import CallableEventWithFilter, Events


class Usage:
    """The events at which an engine resets a metric, updates it with the output, and computes it.

    Two usages are equal when their events and the filters of those are.

    Attributes:
        usage_name: stands for the class where a usage is asked for.
        STARTED: resets.
        ITERATION_COMPLETED: updates.
        COMPLETED: computes; where that is the event of the update, it comes after it.
    """

    usage_name: ClassVar[str]
    STARTED: CallableEventWithFilter
    ITERATION_COMPLETED: CallableEventWithFilter
    COMPLETED: CallableEventWithFilter

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and self._moments() == other._moments()

    def __hash__(self) -> int:
        return hash(self._moments())

    def _moments(self) -> tuple[Any, ...]:
        events = (self.STARTED, self.ITERATION_COMPLETED, self.COMPLETED)
        return tuple([(event, event.filter) for event in events])


class EpochWise(Usage):
    """Once per epoch, over its iterations."""

    usage_name = "epoch_wise"
    STARTED = Events.EPOCH_STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.EPOCH_COMPLETED


class RunningEpochWise(Usage):
    """Once per epoch, over the epochs of the run so far: each gives the output that it ended with."""

    usage_name = "running_epoch_wise"
    STARTED = Events.STARTED
    ITERATION_COMPLETED = Events.EPOCH_COMPLETED
    COMPLETED = Events.EPOCH_COMPLETED


class BatchWise(Usage):
    """In every iteration, over that iteration alone."""

    usage_name = "batch_wise"
    STARTED = Events.ITERATION_STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.ITERATION_COMPLETED


class RunningBatchWise(Usage):
    """In every iteration, over the iterations of the run so far."""

    usage_name = "running_batch_wise"
    STARTED = Events.STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.ITERATION_COMPLETED


class SingleEpochRunningBatchWise(Usage):
    """In every iteration, over the iterations of the epoch so far."""

    usage_name = "single_epoch_running_batch_wise"
    STARTED = Events.EPOCH_STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.ITERATION_COMPLETED


class MetricUsage(Usage):
    """At any events, filtered or not.

    ``MetricUsage(Events.STARTED, Events.ITERATION_COMPLETED(every=50), Events.ITERATION_COMPLETED)`` computes the
    value in every fiftieth iteration, over all since the start.

    Args:
        started: resets.
        completed: computes.
        iteration_completed: updates.
    """

    def __init__(
        self,
        started: CallableEventWithFilter,
        completed: CallableEventWithFilter,
        iteration_completed: CallableEventWithFilter,
    ) -> None:
        self.STARTED, self.COMPLETED, self.ITERATION_COMPLETED = started, completed, iteration_completed


class BatchFiltered(MetricUsage):
    """Once per epoch, over those of its iterations that a filter lets through: ``BatchFiltered(every=10)``.

    Takes the arguments of an event: `event_filter`, `every`, `once`, `before` and `after`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.ITERATION_COMPLETED(*args, **kwargs))


USAGES: tuple[type[Usage], ...] = (
    EpochWise,
    RunningEpochWise,
    BatchWise,
    RunningBatchWise,
    SingleEpochRunningBatchWise,
)

AnyUsage = type[Usage] | Usage | str
"""A usage as a user names it: the class, an object of it, or its `usage_name`."""


def usage_of(given: AnyUsage) -> Usage:
    """Return the usage that `given` names.

    Raises:
        ValueError: for a name that no usage has.
        TypeError: for anything that is no usage, and for the class of one that is made with its events.
    """
    if isinstance(given, str):
        for usage in USAGES:
            if usage.usage_name == given:
                return usage()
        names = ", ".join(usage.usage_name for usage in USAGES)
        raise ValueError(f"Argument usage is {given!r}, but the names of usages are {names}.")
    if isinstance(given, Usage):
        return given
    if not (isinstance(given, type) and issubclass(given, Usage)):
        names = ", ".join(usage.__name__ for usage in USAGES)
        raise TypeError(f"Argument usage should be one of {names}, or the name of one, but is {given!r}.")
    if issubclass(given, MetricUsage):
        raise TypeError(f"Argument usage is the class {given.__name__}, which needs arguments: {given.__name__}(...).")
    return given()
