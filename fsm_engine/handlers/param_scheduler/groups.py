"""`ParamGroupScheduler`: several schedulers at the same events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fsm_engine.handlers.param_scheduler.base import (
    BaseParamScheduler,
    ParamScheduler,
    on_stand_ins,
    rehearse,
    states_in,
)

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class ParamGroupScheduler(BaseParamScheduler):
    """Calls several schedulers at each event: one per group of an optimizer, per setting, or per optimizer.

    Args:
        schedulers: one or more; which group each of them sets is its own affair.
        names: of their values in the history; those of their settings unless given. Schedulers with the same name
            share its items: the values of all of them.
        save_history: whether the values are kept in ``engine.state.param_history``; decides for `schedulers`, too.

    Raises:
        TypeError: for something that is no list.
        ValueError: for a list with something that is no scheduler, or no name; for no scheduler; for another number
            of names.
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
        """Let each scheduler set its value of this event, and go on to the next.

        Args:
            engine: takes the history, if that is wanted.
            name: of the values in the history, in place of those of all schedulers.
        """
        for scheduler, own in zip(self.schedulers, self.names):
            scheduler(engine, name or own)
        history = getattr(getattr(engine, "state", None), "param_history", None)
        if self.save_history and history:
            _join(history, [name or own for own in self.names])

    def get_param(self) -> list[Any]:
        """Return the values that are set next, one per scheduler."""
        return [scheduler.get_param() for scheduler in self.schedulers]

    def state_dict(self) -> dict[str, Any]:
        """Return the names of the schedulers and where each of them stands, as plain data."""
        return {"schedulers": [(name, s.state_dict()) for name, s in zip(self.names, self.schedulers)]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned: the next event goes on from there.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if something is missing, or it is of other schedulers.
        """
        states = states_in(state_dict, len(self.schedulers), "param group")
        for required, (name, _) in zip(self.names, states):
            if name != required:
                raise ValueError(
                    f"Name of scheduler from input state dict does not correspond to required one, {name} vs {required}"
                )
        for scheduler, (_, state) in zip(self.schedulers, states):
            scheduler.load_state_dict(state)

    @classmethod
    def simulate_values(  # type: ignore[override]  # it is made of schedulers
        cls, num_events: int, schedulers: Sequence[ParamScheduler], **kwargs: Any
    ) -> list[list[Any]]:
        """Return ``[event, value of each scheduler]`` for as many events, without touching anything.

        Args:
            num_events: how many.
            schedulers: where they stand is where this begins.
            **kwargs: what else the scheduler would be made with.
        """
        _check_schedulers(schedulers)
        twin = cls([on_stand_ins([scheduler])[0] for scheduler in schedulers], **kwargs)
        return rehearse(twin, num_events, lambda: [s.optimizer_param_groups[0][s.param_name] for s in twin.schedulers])


def _join(history: dict[str, list[list[Any]]], names: Sequence[str]) -> None:
    """Make one item of those that schedulers with the same name have added to the history."""
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
