"""`ConcatScheduler`: one scheduler after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from numbers import Integral
from typing import TYPE_CHECKING, Any

from fsm_engine._util.state_dicts import check_keys
from fsm_engine.handlers.param_scheduler.base import BaseParamScheduler, ParamScheduler, scheduler_states
from fsm_engine.handlers.param_scheduler.simulation import copies_for_simulation, simulate

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class ConcatScheduler(ParamScheduler):
    """Call several schedulers one after another, each for a number of events, and the last one until the end.

    Args:
        schedulers: two or more schedulers of the same setting of the same optimizer. Each starts at its own event 0.
        durations: number of events of each scheduler except the last.
        save_history: append the values to ``engine.state.param_history``. Overrides `save_history` of `schedulers`.

    Raises:
        TypeError: `schedulers` or `durations` is not a list, or an item of `schedulers` is not a scheduler.
        ValueError: there are less than two schedulers; a duration is negative or not an integer; there is
            not one duration less than schedulers; the schedulers have different settings or optimizers.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1)
        >>> first = LinearCyclicalScheduler(optimizer, "lr", start_value=0.0, end_value=1.0, cycle_size=4)
        >>> second = PiecewiseLinear(optimizer, "lr", milestones_values=[(0, 1.0), (2, 0.0)])
        >>> ConcatScheduler.simulate_values(4, schedulers=[first, second], durations=[2])
        [[0, 0.0], [1, 0.5], [2, 1.0], [3, 0.5]]
    """

    _saved = (*ParamScheduler._saved, "durations")

    def __init__(
        self, schedulers: Sequence[BaseParamScheduler], durations: Sequence[int], save_history: bool = False
    ) -> None:
        _check_schedulers(schedulers)
        _check_durations(durations, len(schedulers))
        self.schedulers = list(schedulers)
        self.durations = [int(duration) for duration in durations]
        super().__init__(_common(schedulers, "optimizer"), _common(schedulers, "param_name"), save_history)

    def get_param(self) -> Any:
        """Return the value for the next event."""
        return self._current.get_param()

    @property
    def _current(self) -> BaseParamScheduler:
        number = bisect_right(list(accumulate(self.durations)), self.event_index)
        scheduler: BaseParamScheduler = self.schedulers[number]
        return scheduler

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Call the scheduler of this event and advance to the next event."""
        self._current(engine, name)
        self._advance()

    def state_dict(self) -> dict[str, Any]:
        """Return the position of this scheduler and the states of `schedulers` as plain data."""
        return {**super().state_dict(), "schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned; the next event gets the value that was next then.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing, or it has another number of schedulers.
        """
        states = scheduler_states(state_dict, len(self.schedulers), "concatenated")
        check_keys(state_dict, self._saved)
        for scheduler, state in zip(self.schedulers, states):
            scheduler.load_state_dict(state)
        super().load_state_dict(state_dict)

    @classmethod
    def simulate_values(  # type: ignore[override]  # takes schedulers
        cls,
        num_events: int,
        schedulers: Sequence[BaseParamScheduler],
        durations: Sequence[int],
        param_names: Sequence[str] | None = None,
    ) -> list[list[Any]]:
        """Return ``[event, value of each parameter group]`` for each of `num_events` events.

        The schedulers and their optimizer are not changed.

        Args:
            num_events: number of events.
            schedulers: the schedulers; each starts at its current event.
            durations: number of events of each scheduler except the last.
            param_names: settings to return instead, such as the momentum that some torch schedulers also set; the
                values of all groups for the first name, then those for the next.

        Raises:
            TypeError: `param_names` is not a list.
            ValueError: an item of `param_names` is not a string.
        """
        if param_names is not None:
            _check_param_names(param_names)
        _check_schedulers(schedulers)
        scheduler = cls(copies_for_simulation(schedulers), durations)
        names = [scheduler.param_name] if param_names is None else param_names
        groups = scheduler.optimizer.param_groups
        return simulate(scheduler, num_events, lambda: [group[name] for name in names for group in groups])


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


def _check_param_names(names: Any) -> None:
    if not isinstance(names, (list, tuple)):
        raise TypeError(f"Argument param_names should be list or tuple, but given {type(names)}")
    if not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"Argument param_names should be list or tuple of strings, such as ['lr', 'momentum'], but given {names}"
        )


def _common(schedulers: Sequence[BaseParamScheduler], attribute: str) -> Any:
    """Return the optimizer or the name of the setting, which has to be the same for all `schedulers`."""
    found: list[Any] = []
    for scheduler in schedulers:
        value = getattr(scheduler, attribute)
        found += value if isinstance(value, list) else [value]
    if any(other != found[0] for other in found):
        raise ValueError(f"schedulers should be related to same {attribute}, but given {found}")
    return found[0]
