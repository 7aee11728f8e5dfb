"""Usages: at which events a metric is reset, updated and computed."""

from __future__ import annotations

from typing import ClassVar

from fsm_engine.events import Events


class Usage:
    """The events at which an engine resets a metric, updates it with the output, and computes it.

    Attributes:
        usage_name: stands for the class where a usage is asked for.
        STARTED: resets.
        ITERATION_COMPLETED: updates.
        COMPLETED: computes; where that is the event of the update, it comes after it.
    """

    usage_name: ClassVar[str]
    STARTED: ClassVar[Events]
    ITERATION_COMPLETED: ClassVar[Events]
    COMPLETED: ClassVar[Events]


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


USAGES: tuple[type[Usage], ...] = (
    EpochWise,
    RunningEpochWise,
    BatchWise,
    RunningBatchWise,
    SingleEpochRunningBatchWise,
)

AnyUsage = type[Usage] | Usage | str
"""A usage as a user names it: the class, an object of it, or its `usage_name`."""


def usage_of(given: AnyUsage) -> type[Usage]:
    """Return the class of the usage that `given` names.

    Raises:
        ValueError: for a name that no usage has.
        TypeError: for anything that is no usage.
    """
    if isinstance(given, str):
        for usage in USAGES:
            if usage.usage_name == given:
                return usage
        names = ", ".join(usage.usage_name for usage in USAGES)
        raise ValueError(f"Argument usage is {given!r}, but the names of usages are {names}.")
    usage = given if isinstance(given, type) else type(given)
    if not issubclass(usage, Usage):
        names = ", ".join(usage.__name__ for usage in USAGES)
        raise TypeError(f"Argument usage should be one of {names}, or the name of one, but is {given!r}.")
    return usage
