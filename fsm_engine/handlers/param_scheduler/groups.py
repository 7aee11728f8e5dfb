"""`ParamGroupScheduler`: several schedulers at the same events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fsm_engine.handlers.param_scheduler.base import BaseParamScheduler, ParamScheduler, scheduler_states
from fsm_engine.handlers.param_scheduler.simulation import copies_for_simulation, simulate

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class ParamGroupScheduler(BaseParamScheduler):
    """Call several schedulers at each event: one per parameter group, per setting, or per optimizer.

    Args:
        schedulers: one or more schedulers, each with its own optimizer and parameter groups.
        names: keys of the values in the history; the `param_name` of each scheduler unless given. Schedulers with the
            same name share one item per event, which has the values of all of them.
        save_history: append the values to ``engine.state.param_history``. Overrides `save_history` of `schedulers`.

    Raises:
        TypeError: `schedulers` or `names` is not a list.
        ValueError: an item of `schedulers` is not a scheduler, or there is none; a name is not a string; the number of
            names and of schedulers differ.

    Example:
        >>> weights = [torch.nn.Parameter(torch.tensor(0.0)) for _ in range(2)]
        >>> optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], lr=0.1)
        >>> schedulers = [
        ...     LinearCyclicalScheduler(optimizer, "lr", 1.0, 0.0, cycle_size=4, param_group_index=0),
        ...     LinearCyclicalScheduler(optimizer, "lr", 0.2, 0.0, cycle_size=4, param_group_index=1),
        ... ]
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = trainer.add_event_handler(Events.ITERATION_STARTED, ParamGroupScheduler(schedulers))
        >>> _ = trainer.run([1, 2])
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.5, 0.1]
    """

    def __init__(
        self, schedulers: Sequence[ParamScheduler], names: Sequence[str] | None = None, save_history: bool = False
    ) -> None:
        _check_schedulers(schedulers)
        if names is not None:
            _check_names(names, len(schedulers))
        self.schedulers = list(schedulers)
        self.names = [s.param_name for s in schedulers] if names is None else list(names)
        self.optimizer = [scheduler.optimizer for scheduler in schedulers]
        self.param_name = [scheduler.param_name for scheduler in schedulers]
        self.save_history = save_history

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Call each scheduler, which sets its value of this event and advances to the next event.

        Args:
            engine: the engine whose state gets the history.
            name: key of the values of all schedulers in the history; `names` unless given.
        """
        for scheduler, own in zip(self.schedulers, self.names):
            scheduler(engine, name or own)
        history = getattr(getattr(engine, "state", None), "param_history", None)
        if self.save_history and history:
            _join_items(history, [name or own for own in self.names])

    def get_param(self) -> list[Any]:
        """Return the values for the next event, one per scheduler."""
        return [scheduler.get_param() for scheduler in self.schedulers]

    def state_dict(self) -> dict[str, Any]:
        """Return the names and the states of `schedulers` as plain data."""
        return {"schedulers": [(name, s.state_dict()) for name, s in zip(self.names, self.schedulers)]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned; the next event gets the values that were next then.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing, or it has other schedulers.
        """
        states = scheduler_states(state_dict, len(self.schedulers), "param group")
        for required, (name, _) in zip(self.names, states):
            if name != required:
                raise ValueError(
                    f"Name of scheduler from input state dict does not correspond to required one, {name} vs {required}"
                )
        for scheduler, (_, state) in zip(self.schedulers, states):
            scheduler.load_state_dict(state)

    @classmethod
    def simulate_values(  # type: ignore[override]  # takes schedulers
        cls, num_events: int, schedulers: Sequence[ParamScheduler], **kwargs: Any
    ) -> list[list[Any]]:
        """Return ``[event, value of each scheduler]`` for each of `num_events` events.

        The schedulers and their optimizers are not changed.

        Args:
            num_events: number of events.
            schedulers: the schedulers; each starts at its current event.
            **kwargs: further arguments of the scheduler.
        """
        _check_schedulers(schedulers)
        scheduler = cls([copies_for_simulation([one])[0] for one in schedulers], **kwargs)
        parts = scheduler.schedulers
        return simulate(scheduler, num_events, lambda: [s.optimizer_param_groups[0][s.param_name] for s in parts])


def _join_items(history: dict[str, list[list[Any]]], names: Sequence[str]) -> None:
    """Join the items that schedulers with the same name have just appended to the history."""
    for name in set(names) & set(history):
        count = names.count(name)
        history[name][-count:] = [[value for values in history[name][-count:] for value in values]]


def _check_schedulers(schedulers: Any) -> None:
    if not isinstance(schedulers, Sequence):
        raise TypeError(f"Argument schedulers should be a list/tuple, but given {schedulers}")
    if not schedulers or not all(isinstance(scheduler, ParamScheduler) for scheduler in schedulers):
        raise ValueError(f"Argument schedulers should be a list/tuple of parameter schedulers, but given {schedulers}")


def _check_names(names: Any, schedulers: int) -> None:
    if not isinstance(names, (list, tuple)):
        raise TypeError(f"Argument names should be a list/tuple, but given {names}")
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"Argument names should be a list/tuple of parameter scheduler's names, but given {names}")
    if len(names) != schedulers:
        raise ValueError(f"Each scheduler needs a name: {schedulers} should be equal {len(names)}")
