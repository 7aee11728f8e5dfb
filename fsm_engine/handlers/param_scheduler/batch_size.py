"""`BatchSizeScheduler`: changes the batch size of a DataLoader during a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch.utils.data import BatchSampler, DataLoader

from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.param_scheduler.base import SavedAttributes
from fsm_engine.handlers.param_scheduler.param_groups import record_history

if TYPE_CHECKING:
    from fsm_engine.dispatch.handles import RemovableEventHandle
    from fsm_engine.engine.engine import Engine


class BatchSizeScheduler(SavedAttributes):
    """Set the batch size of a DataLoader at each event; the next pass over the data uses it.

    The length of an epoch is counted when a run begins. If it changes with the batch size, set
    ``engine.state.epoch_length = len(dataloader)`` in a handler after this one.

    Args:
        dataloader: a DataLoader whose `batch_sampler` is a `torch.utils.data.BatchSampler`.
        scheduler_fn: called with the number of the event, from 0; returns the batch size.
        save_history: append the values to ``engine.state.param_history["batch_size"]``.

    Raises:
        TypeError: `dataloader` is not a DataLoader, or `scheduler_fn` is not callable.
        ValueError: `dataloader` has no such batch sampler. At an event: the batch size is not a positive integer.

    Example:
        >>> loader = torch.utils.data.DataLoader(range(12), batch_size=2)
        >>> trainer = Engine(lambda engine, batch: len(batch))
        >>> scheduler = BatchSizeScheduler(loader, lambda step: 2 * (step + 1))
        >>> _ = trainer.add_event_handler(Events.EPOCH_STARTED, scheduler)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: print(trainer.state.output))
        >>> _ = trainer.run(loader, max_epochs=3)
        2
        4
        6
    """

    def __init__(
        self, dataloader: DataLoader[Any], scheduler_fn: Callable[[int], int], save_history: bool = False
    ) -> None:
        if not isinstance(dataloader, DataLoader):
            raise TypeError(f"Argument dataloader should be torch.utils.data.DataLoader, but given {type(dataloader)}.")
        if not isinstance(dataloader.batch_sampler, BatchSampler):
            raise ValueError(
                f"Argument dataloader should have a BatchSampler as its batch_sampler, but has "
                f"{dataloader.batch_sampler!r}. Make the DataLoader with batch_size=."
            )
        if not callable(scheduler_fn):
            raise TypeError(f"Argument scheduler_fn should be callable, but given {type(scheduler_fn)}.")
        self.dataloader = dataloader
        self.scheduler_fn = scheduler_fn
        self.param_name = "batch_size"
        self.save_history = save_history
        self.event_index = 0

    def attach(self, engine: Engine, event: AnyEvent | EventsList = Events.EPOCH_STARTED) -> RemovableEventHandle:
        """Call this scheduler at each `event` of `engine`, by default at the start of each epoch."""
        return super().attach(engine, event)

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Set the batch size of this event and advance to the next event."""
        value = self.get_param()
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"Batch size returned by scheduler_fn should be a positive integer, but given {value!r}.")
        self.dataloader.batch_sampler.batch_size = value  # type: ignore[union-attr]  # checked in __init__
        if self.save_history and engine is not None:
            record_history(engine, name or self.param_name, value)
        self.event_index += 1

    def get_param(self) -> int:
        """Return the batch size for the next event."""
        return self.scheduler_fn(self.event_index)

    @classmethod
    def simulate_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[list[Any]]:
        """Return ``[event, batch size]`` for each of `num_events` events; the only argument needed is `scheduler_fn`.

        Raises:
            ValueError: `scheduler_fn` is missing.
        """
        if "scheduler_fn" not in scheduler_kwargs:
            raise ValueError("simulate_values() needs scheduler_fn=, the function from event to batch size.")
        return [[event, scheduler_kwargs["scheduler_fn"](event)] for event in range(num_events)]
