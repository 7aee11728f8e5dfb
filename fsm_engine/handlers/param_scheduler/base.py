"""`ParamScheduler`: what all schedulers of an optimizer's settings have in common."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fsm_engine.events.events import AnyEvent, Events, EventsList

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from fsm_engine.dispatch.registry import RemovableEventHandle
    from fsm_engine.engine.engine import Engine

S = TypeVar("S", bound="BaseParamScheduler")


class BaseParamScheduler(ABC):
    """A handler that sets something at each event that it is attached to.

    Attributes:
        optimizer: what is set, an optimizer; of a `ParamGroupScheduler` a list of them.
        param_name: the setting; of a `ParamGroupScheduler` a list of them.
        schedulers: those it consists of, if any.
    """

    optimizer: Any
    param_name: Any
    schedulers: Sequence[Any] = ()
    _save_history = False

    @property
    def save_history(self) -> bool:
        """Whether the values go to ``engine.state.param_history``, for all that this consists of.

        That is a dictionary from names to lists with one item per event: the values of the groups.
        """
        return self._save_history

    @save_history.setter
    def save_history(self, wanted: bool) -> None:
        self._save_history = wanted
        for scheduler in self.schedulers:
            scheduler.save_history = wanted

    def attach(self, engine: Engine, event: AnyEvent | EventsList = Events.ITERATION_STARTED) -> RemovableEventHandle:
        """Let `engine` call this scheduler at each `event`; ``add_event_handler(event, scheduler)`` does the same.

        Raises:
            ValueError: for an event that is not registered.
        """
        return engine.add_event_handler(event, self)

    @abstractmethod
    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Set the value of this event, and go on to the next.

        Args:
            engine: takes the history, if that is wanted; None for a scheduler used by hand.
            name: of the values in the history, in place of the setting's.
        """

    @abstractmethod
    def get_param(self) -> Any:
        """Return the value that is set next: a number for all groups, or a list with one per group."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return where this scheduler stands, and what its values are made of, as plain data."""

    @abstractmethod
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned: the next event goes on from there.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if something is missing; nothing is changed then.
        """

    @classmethod
    @abstractmethod
    def simulate_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[list[Any]]:
        """Return ``[event, value]`` for as many events, without touching anything.

        Args:
            num_events: how many.
            **scheduler_kwargs: what the scheduler would be made with; the optimizer may be left out.
        """

    @classmethod
    def plot_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[Line2D]:
        """Plot what `simulate_values` returns into the current axes of matplotlib, and return the lines.

        Raises:
            ModuleNotFoundError: without matplotlib.
        """
        plt = pyplot()
        rows = cls.simulate_values(num_events, **scheduler_kwargs)
        name = scheduler_kwargs.get("param_name", "learning rate")
        lines: list[Line2D] = plt.plot([row[0] for row in rows], [row[1:] for row in rows], label=name)
        plt.legend()
        plt.grid(which="both")
        return lines


class ParamScheduler(BaseParamScheduler):
    """Sets one setting of an optimizer, such as its learning rate, at each event; a subclass says to what.

    The values depend on the number of the event alone, and not on what the optimizer has at the time. A setting that
    is a tensor stays the tensor it is, with another value, so compiled and captured optimizers see it.

    A subclass has `get_param`. What else its values depend on it names in `_saved`.

    Args:
        optimizer: a torch optimizer, or anything with a list `param_groups` of dictionaries.
        param_name: the key in those.
        save_history: whether the values are kept in ``engine.state.param_history``.
        param_group_index: the only group to set; all of them unless given.

    Attributes:
        event_index: the number of the event that comes next.

    Raises:
        TypeError: for something that is no optimizer.
    """

    _saved: tuple[str, ...] = ("event_index", "param_name", "save_history", "param_group_index")

    def __init__(
        self, optimizer: Any, param_name: str, save_history: bool = False, param_group_index: int | None = None
    ) -> None:
        if not isinstance(getattr(optimizer, "param_groups", None), Sequence):
            raise TypeError(
                f"Argument optimizer should be torch.optim.Optimizer or have a list 'param_groups', "
                f"but given {type(optimizer)}"
            )
        self.optimizer = optimizer
        self.param_name = param_name
        self.save_history = save_history
        self.param_group_index = param_group_index
        self.event_index = 0

    @property
    def optimizer_param_groups(self) -> Sequence[dict[str, Any]]:
        """The groups that are set."""
        groups: Sequence[dict[str, Any]] = self.optimizer.param_groups
        return groups if self.param_group_index is None else [groups[self.param_group_index]]

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Set the value of this event, and go on to the next.

        Raises:
            ValueError: if `get_param` returns a list of another length than there are groups.
        """
        groups = self.optimizer_param_groups
        values = self._per_group(self.get_param(), len(groups))
        for group, value in zip(groups, values):
            set_value(group, self.param_name, value)
        if self.save_history and engine is not None:
            remember(engine, name or self.param_name, values)
        self._advance()

    @staticmethod
    def _per_group(value: Any, groups: int) -> list[Any]:
        if not isinstance(value, list):
            return [value] * groups
        if len(value) != groups:
            raise ValueError(
                f"size of value is different than optimizer_param_groups {len(value)} != {groups}: get_param() should "
                f"return one number, or a list with one per group, but returned {value}"
            )
        return value

    def _advance(self) -> None:
        self.event_index += 1

    def state_dict(self) -> dict[str, Any]:
        """Return where this scheduler stands, and what its values are made of, as plain data."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self._saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned: the next event goes on from there.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if something is missing; nothing is changed then.
        """
        require(state_dict, self._saved)
        for name in self._saved:
            setattr(self, name, copy.deepcopy(state_dict[name]))

    @classmethod
    def simulate_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[list[Any]]:
        """Return ``[event, value]`` for as many events, without touching anything.

        Args:
            num_events: how many.
            **scheduler_kwargs: what the scheduler would be made with; the optimizer may be left out.
        """
        given = {k: v for k, v in scheduler_kwargs.items() if k not in ("optimizer", "save_history")}
        scheduler = cls(optimizer=StandIn([{}] * (1 + (given.get("param_group_index") or 0))), **given)
        return rehearse(scheduler, num_events, lambda: [scheduler.optimizer_param_groups[0][scheduler.param_name]])


class StandIn:
    """Has the settings of an optimizer, and nothing else, so that a scheduler can be tried out on it."""

    def __init__(self, param_groups: Iterable[Mapping[str, Any]]) -> None:
        self.param_groups = [
            {key: copy.deepcopy(value) for key, value in group.items() if key != "params"} for group in param_groups
        ]

    def step(self) -> None:
        """Do nothing; torch's schedulers look whether there is such a method."""


def on_stand_ins(schedulers: Sequence[S]) -> list[S]:
    """Return copies of `schedulers`, and of all they consist of, that set stand-ins of their optimizers."""
    memo: dict[int, Any] = {}
    for scheduler in schedulers:
        optimizers = scheduler.optimizer if isinstance(scheduler.optimizer, list) else [scheduler.optimizer]
        memo.update(
            {id(optimizer): StandIn(optimizer.param_groups) for optimizer in optimizers if id(optimizer) not in memo}
        )
    return [copy.deepcopy(scheduler, memo) for scheduler in schedulers]


def rehearse(scheduler: BaseParamScheduler, num_events: int, values: Callable[[], list[Any]]) -> list[list[Any]]:
    """Return ``[event, *values()]`` of as many events."""
    rows = []
    for event in range(num_events):
        scheduler()
        rows.append([event, *values()])
    return rows


def set_value(group: dict[str, Any], name: str, value: Any) -> None:
    """Set `name` in `group`; a tensor there is filled, unless the new value is that very tensor."""
    present: Any = group.get(name)
    if not hasattr(present, "fill_"):
        group[name] = value
    elif present is not value:
        present.fill_(value)


def remember(engine: Engine, name: str, values: Sequence[Any]) -> None:
    """Add `values` to the history that the state keeps under `name`."""
    history = getattr(engine.state, "param_history", None)
    if history is None:
        history = engine.state.param_history = {}
    history.setdefault(name, []).append(list(values))


def require(state_dict: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check that `state_dict` is a mapping with all of `names`.

    Raises:
        TypeError: if it is no mapping.
        ValueError: if one of them is missing.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(state_dict)}")
    for name in names:
        if name not in state_dict:
            raise ValueError(f"Required state attribute '{name}' is absent in provided state_dict '{list(state_dict)}'")


def states_in(state_dict: Any, count: int, kind: str) -> Any:
    """Return the states of `count` schedulers of a kind that are in `state_dict`.

    Raises:
        TypeError: if it is no mapping.
        ValueError: if they are missing, or there are more or less.
    """
    require(state_dict, ("schedulers",))
    states = state_dict["schedulers"]
    if len(states) != count:
        raise ValueError(
            f"Input state_dict contains {len(states)} state_dicts of {kind} schedulers, but {count} needed"
        )
    return states


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises:
        ModuleNotFoundError: without matplotlib.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ModuleNotFoundError(
            'This method requires matplotlib to be installed. Install it with: pip install "fsm-engine[plot]"'
        ) from error
    return plt
