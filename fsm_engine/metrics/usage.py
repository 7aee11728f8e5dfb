"""Usages: the events at which an engine resets, updates and computes a metric."""

from __future__ import annotations

from typing import Any, ClassVar

from fsm_engine.events.events import CallableEventWithFilter, Events


class Usage:
    """The events at which an engine resets a metric, updates it with the output of the step, and computes it.

    Usages with equal events and filters are equal.

    Attributes:
        usage_name: name to pass as ``usage=`` instead of the class.
        STARTED: event that resets the metric.
        ITERATION_COMPLETED: event that updates the metric.
        COMPLETED: event that computes the metric; if it also updates the metric, the update comes first.

    Example:
        >>> print(EpochWise().STARTED, EpochWise().COMPLETED, EpochWise.usage_name)
        Events.EPOCH_STARTED Events.EPOCH_COMPLETED epoch_wise
        >>> EpochWise() == EpochWise(), EpochWise() == BatchWise()
        (True, False)
    """

    usage_name: ClassVar[str]
    STARTED: CallableEventWithFilter
    ITERATION_COMPLETED: CallableEventWithFilter
    COMPLETED: CallableEventWithFilter

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Usage) and self._events() == other._events()

    def __hash__(self) -> int:
        return hash(self._events())

    def _events(self) -> tuple[Any, ...]:
        return tuple((event, event.filter) for event in (self.STARTED, self.ITERATION_COMPLETED, self.COMPLETED))


class EpochWise(Usage):
    """Compute the metric once per epoch, over the iterations of that epoch.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> Average().attach(trainer, "value", usage=EpochWise())
        >>> trainer.run([1.0, 3.0]).metrics["value"]
        2.0
    """

    usage_name = "epoch_wise"
    STARTED = Events.EPOCH_STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.EPOCH_COMPLETED


class RunningEpochWise(Usage):
    """Compute the metric once per epoch, over the epochs of the run so far; the last output of each epoch counts.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> RunningAverage(Average(), alpha=0.5).attach(trainer, "value", usage=RunningEpochWise())
        >>> trainer.run([1.0, 3.0], max_epochs=2).metrics["value"]
        2.0
    """

    usage_name = "running_epoch_wise"
    STARTED = Events.STARTED
    ITERATION_COMPLETED = Events.EPOCH_COMPLETED
    COMPLETED = Events.EPOCH_COMPLETED


class BatchWise(Usage):
    """Compute the metric in every iteration, over that iteration alone.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> Average().attach(trainer, "value", usage=BatchWise())
        >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: print(trainer.state.metrics["value"]))
        >>> _ = trainer.run([1.0, 3.0])
        1.0
        3.0
    """

    usage_name = "batch_wise"
    STARTED = Events.ITERATION_STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.ITERATION_COMPLETED


class RunningBatchWise(Usage):
    """Compute the metric in every iteration, over the iterations of the run so far.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> average = RunningAverage(output_transform=lambda value: value, alpha=0.5)
        >>> average.attach(trainer, "value", usage=RunningBatchWise())
        >>> trainer.run([1.0, 3.0]).metrics["value"]
        2.0
    """

    usage_name = "running_batch_wise"
    STARTED = Events.STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.ITERATION_COMPLETED


class SingleEpochRunningBatchWise(Usage):
    """Compute the metric in every iteration, over the iterations of the epoch so far.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> average = RunningAverage(output_transform=lambda value: value, alpha=0.5)
        >>> average.attach(trainer, "value", usage=SingleEpochRunningBatchWise())
        >>> trainer.run([1.0, 3.0], max_epochs=2).metrics["value"]
        2.0
    """

    usage_name = "single_epoch_running_batch_wise"
    STARTED = Events.EPOCH_STARTED
    ITERATION_COMPLETED = Events.ITERATION_COMPLETED
    COMPLETED = Events.ITERATION_COMPLETED


class MetricUsage(Usage):
    """Compute the metric at any events, with or without filters.

    ``MetricUsage(Events.STARTED, Events.ITERATION_COMPLETED(every=50), Events.ITERATION_COMPLETED)`` computes the
    metric in every fiftieth iteration, over all iterations of the run so far.

    Args:
        started: event that resets the metric.
        completed: event that computes the metric.
        iteration_completed: event that updates the metric.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> every_second = Events.ITERATION_COMPLETED(every=2)
        >>> Average().attach(trainer, "value", MetricUsage(Events.STARTED, every_second, Events.ITERATION_COMPLETED))
        >>> trainer.run([1.0, 3.0, 8.0]).metrics["value"]
        2.0
    """

    def __init__(
        self,
        started: CallableEventWithFilter,
        completed: CallableEventWithFilter,
        iteration_completed: CallableEventWithFilter,
    ) -> None:
        self.STARTED, self.COMPLETED, self.ITERATION_COMPLETED = started, completed, iteration_completed


class BatchFiltered(MetricUsage):
    """Compute the metric once per epoch, over the iterations that pass a filter: ``BatchFiltered(every=10)``.

    The arguments are the filters of an event: `event_filter`, `every`, `once`, `before` and `after`.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> Average().attach(trainer, "value", usage=BatchFiltered(every=2))
        >>> trainer.run([1.0, 3.0, 5.0, 7.0]).metrics["value"]
        5.0
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.ITERATION_COMPLETED(*args, **kwargs))


_NAMED_USAGES: dict[str, type[Usage]] = {
    usage.usage_name: usage
    for usage in (EpochWise, RunningEpochWise, BatchWise, RunningBatchWise, SingleEpochRunningBatchWise)
}

AnyUsage = type[Usage] | Usage | str
"""A usage, its class, or its `usage_name`."""


def usage_of(given: AnyUsage) -> Usage:
    """Return `given` as a `Usage`.

    Raises:
        ValueError: no usage has this name.
        TypeError: `given` has another type, or is a class whose `__init__` needs arguments.
    """
    if isinstance(given, Usage):
        return given
    if isinstance(given, str):
        if given not in _NAMED_USAGES:
            raise ValueError(f"Argument usage is {given!r}, but the names of usages are {', '.join(_NAMED_USAGES)}.")
        return _NAMED_USAGES[given]()
    if not (isinstance(given, type) and issubclass(given, Usage)):
        names = ", ".join(usage.__name__ for usage in _NAMED_USAGES.values())
        raise TypeError(f"Argument usage should be one of {names}, or the name of one, but is {given!r}.")
    if issubclass(given, MetricUsage):
        raise TypeError(f"Argument usage is the class {given.__name__}, which needs arguments: {given.__name__}(...).")
    return given()
