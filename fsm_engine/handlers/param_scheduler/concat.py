"""`ConcatScheduler`: one scheduler after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from numbers import Integral
from typing import TYPE_CHECKING, Any

from fsm_engine.handlers.param_scheduler.base import (
    BaseParamScheduler,
    ParamScheduler,
    on_stand_ins,
    rehearse,
    require,
    states_in,
)

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class ConcatScheduler(ParamScheduler):
    """Lets each of some schedulers work for a number of events, and the last one for ever.

    Args:
        schedulers: two or more, of the same setting of the same optimizer. Each begins with its own first event.
        durations: how many events each of them has, the last one left out.
        save_history: whether the values are kept in ``engine.state.param_history``; decides for `schedulers`, too.

    Raises:
        TypeError: for something that is no list, or holds something that is no scheduler.
        ValueError: for less than two schedulers, durations that are no integers of at least zero or not one less than
            there are schedulers, or schedulers of different settings or optimizers.
    """

    def __init__(
        self, schedulers: Sequence[BaseParamScheduler], durations: Sequence[int], save_history: bool = False
    ) -> None:
        _check_schedulers(schedulers)
        _check_durations(durations, len(schedulers))
        self.schedulers = list(schedulers)
        self.durations = [int(duration) for duration in durations]
        super().__init__(_only(schedulers, "optimizer"), _only(schedulers, "param_name"), save_history)

    def get_param(self) -> Any:
        """Return the value that is set next."""
        return self._current.get_param()

    @property
    def _current(self) -> BaseParamScheduler:
        number = bisect_right(list(accumulate(self.durations)), self.event_index)
        scheduler: BaseParamScheduler = self.schedulers[number]
        return scheduler

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Let the scheduler whose turn it is set the value of this event, and go on to the next."""
        self._current(engine, name)
        self._advance()

    def state_dict(self) -> dict[str, Any]:
        """Return where this scheduler and those it consists of stand, as plain data."""
        own = {**super().state_dict(), "durations": list(self.durations)}
        return {**own, "schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned: the next event goes on from there.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if something is missing, or there are more or less schedulers.
        """
        states = states_in(state_dict, len(self.schedulers), "concatenated")
        require(state_dict, (*self._saved, "durations"))
        for scheduler, state in zip(self.schedulers, states):
            scheduler.load_state_dict(state)
        super().load_state_dict(state_dict)
        self.durations = list(state_dict["durations"])

    @classmethod
    def simulate_values(  # type: ignore[override]  # it is made of schedulers
        cls,
        num_events: int,
        schedulers: Sequence[BaseParamScheduler],
        durations: Sequence[int],
        param_names: Sequence[str] | None = None,
    ) -> list[list[Any]]:
        """Return ``[event, value of each group]`` for as many events, without touching anything.

        Args:
            num_events: how many.
            schedulers: where they stand is where this begins.
            durations: how many events each of them has, the last one left out.
            param_names: other settings to tell the values of, such as the momentum that some schedulers set, too:
                for each name the value of each group.

        Raises:
            TypeError: if `param_names` is no list.
        """
        if param_names is not None and not isinstance(param_names, (list, tuple)):
            raise TypeError(f"Argument param_names should be list or tuple, but given {type(param_names)}")
        _check_schedulers(schedulers)
        twin = cls(on_stand_ins(schedulers), durations)
        names = [twin.param_name] if param_names is None else param_names
        groups = twin.optimizer.param_groups
        return rehearse(twin, num_events, lambda: [group[name] for name in names for group in groups])


def _check_schedulers(schedulers: Any) -> None:
    if not isinstance(schedulers, Sequence):
        raise TypeError(f"Argument schedulers should be a sequence, but given {schedulers}")
    if len(schedulers) < 2:
        raise ValueError(f"Argument schedulers should be of more than one parameter schedulers, but given {schedulers}")
    for number, scheduler in enumerate(schedulers):
        if not isinstance(scheduler, BaseParamScheduler):
            raise TypeError(
                f"Value at index {number} of schedulers should be a parameter scheduler, but given {type(scheduler)}"
            )


def _check_durations(durations: Any, schedulers: int) -> None:
    if not isinstance(durations, (list, tuple)):
        raise TypeError(f"Argument durations should be list/tuple, but given {durations}")
    if not all(isinstance(duration, Integral) and int(duration) >= 0 for duration in durations):
        raise ValueError(
            f"Argument durations should be list/tuple of integers that are not negative, but given {durations}"
        )
    if schedulers != len(durations) + 1:
        raise ValueError(
            f"Incorrect number schedulers or duration values, given {schedulers} and {len(durations)}: "
            f"each scheduler but the last one needs a duration"
        )


def _only(schedulers: Sequence[BaseParamScheduler], what: str) -> Any:
    """Return the optimizer, or the setting, that all of `schedulers` have."""
    found: list[Any] = []
    for scheduler in schedulers:
        value = getattr(scheduler, what)
        found += value if isinstance(value, list) else [value]
    if any(other != found[0] for other in found):
        raise ValueError(f"schedulers should be related to same {what}, but given {found}")
    return found[0]
