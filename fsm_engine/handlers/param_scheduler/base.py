"""Base classes of the schedulers: the common interface, and a scheduler of one optimizer setting."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fsm_engine._util.extras import import_extra
from fsm_engine._util.state_dicts import check_keys
from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.param_scheduler.param_groups import record_history, set_value
from fsm_engine.handlers.param_scheduler.simulation import FakeOptimizer, simulate

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from fsm_engine.dispatch.handles import RemovableEventHandle
    from fsm_engine.engine.engine import Engine


class BaseParamScheduler(ABC):
    """Handler that sets optimizer settings at each event that it is attached to.

    Attributes:
        optimizer: the optimizer; a list of optimizers for a `ParamGroupScheduler`.
        param_name: name of the setting, such as ``"lr"``; a list of names for a `ParamGroupScheduler`.
        schedulers: the schedulers that this scheduler calls; empty for most schedulers.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> scheduler = LinearCyclicalScheduler(optimizer, "lr", start_value=1.0, end_value=0.0, cycle_size=4)
        >>> isinstance(scheduler, BaseParamScheduler), scheduler.get_param()
        (True, 1.0)
    """

    optimizer: Any
    param_name: Any
    schedulers: Sequence[Any] = ()
    _save_history = False

    @property
    def save_history(self) -> bool:
        """True if the values are appended to ``engine.state.param_history``. Setting it also sets it on `schedulers`.

        The history is a dictionary from names to lists. Each list has one item per event: a list with one value per
        parameter group.
        """
        return self._save_history

    @save_history.setter
    def save_history(self, wanted: bool) -> None:
        self._save_history = wanted
        for scheduler in self.schedulers:
            scheduler.save_history = wanted

    def attach(self, engine: Engine, event: AnyEvent | EventsList = Events.ITERATION_STARTED) -> RemovableEventHandle:
        """Call this scheduler at each `event` of `engine`. Same as ``engine.add_event_handler(event, scheduler)``.

        Raises:
            ValueError: the event is not registered.
        """
        return engine.add_event_handler(event, self)

    @abstractmethod
    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Set the value of this event and advance to the next event.

        Args:
            engine: the engine whose state gets the history; None to use the scheduler without an engine.
            name: key of the values in the history; `param_name` unless given.
        """

    @abstractmethod
    def get_param(self) -> Any:
        """Return the value for the next event: a number for all parameter groups, or a list with one per group."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the position and the arguments of this scheduler as plain data."""

    @abstractmethod
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned; the next event gets the value that was next then.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing; nothing was changed.
        """

    @classmethod
    @abstractmethod
    def simulate_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[list[Any]]:
        """Return ``[event, value]`` for each of `num_events` events, without changing an optimizer or scheduler.

        Args:
            num_events: number of events.
            **scheduler_kwargs: arguments of the scheduler; the optimizer is optional.
        """

    @classmethod
    def plot_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[Line2D]:
        """Plot the values of `simulate_values` into the current axes of matplotlib, and return the lines.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
        """
        plt = import_extra("matplotlib.pyplot", "plot", "This method requires matplotlib to be installed")
        rows = cls.simulate_values(num_events, **scheduler_kwargs)
        name = scheduler_kwargs.get("param_name", "learning rate")
        lines: list[Line2D] = plt.plot([row[0] for row in rows], [row[1:] for row in rows], label=name)
        plt.legend()
        plt.grid(which="both")
        return lines


class SavedAttributes(BaseParamScheduler):
    """Base class of schedulers whose state dict holds the attributes that `_saved` lists."""

    _saved: tuple[str, ...] = ("event_index",)

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the arguments of this scheduler as plain data."""
        return {name: copy.deepcopy(_state_of(getattr(self, name))) for name in self._saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned; the next event gets the value that was next then.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing; nothing was changed.
        """
        check_keys(state_dict, self._saved)
        for name in self._saved:
            value = copy.deepcopy(state_dict[name])
            present = getattr(self, name)
            if hasattr(present, "load_state_dict"):
                present.load_state_dict(value)
            else:
                setattr(self, name, value)


class ParamScheduler(SavedAttributes):
    """Set one setting of an optimizer, such as its learning rate, at each event.

    A subclass defines `get_param`, and lists in `_saved` the attributes to save in the state dict. An attribute that
    has a ``state_dict`` of its own is saved by it.

    The value depends on the number of the event only, and not on the current value in the optimizer. A setting that is
    a tensor is changed in place, so compiled optimizers and CUDA graphs see the new value.

    Args:
        optimizer: a torch optimizer, or an object with a list `param_groups` of dictionaries.
        param_name: key of the setting in the parameter groups.
        save_history: append the values to ``engine.state.param_history``.
        param_group_index: index of the only parameter group to set; all groups unless given.

    Attributes:
        event_index: number of the next event, from 0.

    Warns if the optimizer has no parameter `param_name`.

    Raises:
        TypeError: `optimizer` has no list `param_groups`.

    Example:
        >>> class Halving(ParamScheduler):
        ...     def get_param(self):
        ...         return 0.5**self.event_index
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> trainer = Engine(lambda engine, batch: optimizer.param_groups[0]["lr"])
        >>> _ = Halving(optimizer, "lr").attach(trainer)
        >>> trainer.run([1, 2, 3]).output
        0.25
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
        self._warn_of_unknown_name()

    def _warn_of_unknown_name(self) -> None:
        known = sorted({name for group in self.optimizer_param_groups for name in group} - {"params"})
        if known and self.param_name not in known and not isinstance(self.optimizer, FakeOptimizer):
            near = did_you_mean(self.param_name, known) or f" Its parameters are {', '.join(known)}."
            warnings.warn(
                f"{type(self.optimizer).__name__} has no parameter {self.param_name!r}, so setting it has no effect."
                f"{near}",
                stacklevel=4,
            )

    @property
    def optimizer_param_groups(self) -> Sequence[dict[str, Any]]:
        """The parameter groups that this scheduler sets."""
        groups: Sequence[dict[str, Any]] = self.optimizer.param_groups
        return groups if self.param_group_index is None else [groups[self.param_group_index]]

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Set the value of this event and advance to the next event.

        Raises:
            ValueError: `get_param` returned a list whose length differs from the number of parameter groups.
        """
        groups = self.optimizer_param_groups
        values = self._per_group(self.get_param(), len(groups))
        for group, value in zip(groups, values):
            set_value(group, self.param_name, value)
        if self.save_history and engine is not None:
            record_history(engine, name or self.param_name, list(values))
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

    @classmethod
    def simulate_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[list[Any]]:
        """Return ``[event, value]`` for each of `num_events` events, without changing an optimizer.

        Args:
            num_events: number of events.
            **scheduler_kwargs: arguments of the scheduler; the optimizer is optional.
        """
        given = {k: v for k, v in scheduler_kwargs.items() if k not in ("optimizer", "save_history")}
        groups = 1 + (given.get("param_group_index") or 0)
        scheduler = cls(optimizer=FakeOptimizer([{}] * groups), **given)
        return simulate(scheduler, num_events, lambda: [scheduler.optimizer_param_groups[0][scheduler.param_name]])


def _state_of(value: Any) -> Any:
    return value.state_dict() if hasattr(value, "state_dict") else value


def scheduler_states(state_dict: Any, count: int, kind: str) -> Any:
    """Return the states of `count` schedulers that `state_dict` has under ``"schedulers"``.

    Raises:
        TypeError: `state_dict` is not a mapping.
        ValueError: the key is missing, or there are more or fewer states; `kind` names the schedulers in the message.
    """
    check_keys(state_dict, ("schedulers",))
    states = state_dict["schedulers"]
    if len(states) != count:
        raise ValueError(
            f"Input state_dict contains {len(states)} state_dicts of {kind} schedulers, but {count} needed"
        )
    return states
