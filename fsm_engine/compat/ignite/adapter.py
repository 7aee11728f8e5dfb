"""Handlers and metrics of an installed pytorch-ignite on an fsm_engine engine.

``EarlyStopping(3, score, trainer=adapt(trainer))``, ``RunningAverage(...).attach(adapt(trainer), "loss")``. Install
pytorch-ignite with ``pip install "fsm-engine[ignite]"``.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, cast

from fsm_engine._util.extras import import_extra
from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import CallableEventWithFilter, EventEnum, EventsList, name_of
from fsm_engine.runtime.state import State

import_extra("ignite.engine", "ignite", "fsm_engine.compat.ignite needs pytorch-ignite")

import ignite.engine as ignite  # noqa: E402
from ignite.engine.events import CallableEventWithFilter as IgniteEvent  # noqa: E402
from ignite.engine.events import EventEnum as IgniteEventEnum  # noqa: E402

_adapted: weakref.WeakKeyDictionary[Engine, weakref.ref[AdaptedEngine]] = weakref.WeakKeyDictionary()


def adapt(engine: Engine) -> AdaptedEngine:
    """Return the adapted engine of `engine`; see `fsm_engine.compat.ignite.adapt`.

    Raises:
        TypeError: `engine` is not an fsm_engine.Engine.
    """
    if not isinstance(engine, Engine):
        raise TypeError(f"adapt() takes an fsm_engine.Engine, got {engine!r}.")
    reference = _adapted.get(engine)
    adapted = None if reference is None else reference()
    if adapted is None:
        adapted = AdaptedEngine(engine)
        _adapted[engine] = weakref.ref(adapted)
    return adapted


class AdaptedEngine(ignite.Engine):
    """An fsm_engine engine with the interface of pytorch-ignite, see `adapt`.

    It holds a reference to the engine and no other data. Attributes that pytorch-ignite's engines do not have are the
    engine's: ``adapt(engine).phase``.
    """

    _adapted: Engine

    def __init__(self, engine: Engine) -> None:
        object.__setattr__(self, "_adapted", engine)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(
                f"an adapted engine has no {name}, a private attribute of pytorch-ignite's engines. If a profiler uses "
                f"it, take the profiler with the same name from fsm_engine.handlers."
            )
        return getattr(self._adapted, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._adapted, name, _own_state(value) if name == "state" else value)

    # Attributes of pytorch-ignite's class, which `__getattr__` does not see
    _process_function: Any = property(attrgetter("_adapted._process_function"))
    interrupt: Any = property(attrgetter("_adapted.interrupt"))
    load_state_dict: Any = property(attrgetter("_adapted.load_state_dict"))
    set_data: Any = property(attrgetter("_adapted.set_data"))
    state_dict: Any = property(attrgetter("_adapted.state_dict"))
    state_dict_user_keys: Any = property(attrgetter("_adapted.state_dict_user_keys"))
    terminate: Any = property(attrgetter("_adapted.terminate"))
    terminate_epoch: Any = property(attrgetter("_adapted.terminate_epoch"))

    @property
    def state(self) -> AdaptedState:  # type: ignore[override]
        """The state of the engine."""
        return AdaptedState(self._adapted)

    @property
    def last_event_name(self) -> Any:  # type: ignore[override]
        """The event that fired last, as pytorch-ignite's event if it has one with this name."""
        last = self._adapted.last_event_name
        return None if last is None else ignite.Events.__members__.get(name_of(last), last)

    @property
    def _allowed_events(self) -> list[Any]:  # type: ignore[override]
        return [ignite.Events.__members__.get(name, name) for name in _events_by_name(self._adapted)]

    def register_events(self, *event_names: Any, event_to_attr: Mapping[Any, str] | None = None) -> None:
        """Register events; an event of pytorch-ignite is registered under its name."""
        if isinstance(event_to_attr, Mapping):
            event_to_attr = {_own_event(self._adapted, event): name for event, name in event_to_attr.items()}
        events = [_own_event(self._adapted, event) for event in event_names]
        self._adapted.register_events(*events, event_to_attr=event_to_attr)

    def has_registered_events(self, event: Any) -> bool:
        """Return True if `event` is registered."""
        return isinstance(event, (IgniteEvent, str)) and _name(event) in _events_by_name(self._adapted)

    def add_event_handler(self, event_name: Any, handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Attach `handler` to the engine, and return a removable handle.

        Raises:
            ValueError: the event is not registered, or `handler` does not accept the arguments.
        """
        event = _translated(self._adapted, event_name)
        return self._adapted.add_event_handler(event, AdaptedHandler(handler), *args, **kwargs)

    def has_event_handler(self, handler: Callable[..., Any], event_name: Any = None) -> bool:
        """Return True if `handler` is attached to the event, or to any event if `event_name` is None."""
        event = None if event_name is None else _translated(self._adapted, event_name)
        return self._adapted.has_event_handler(AdaptedHandler(handler), event)

    def remove_event_handler(self, handler: Callable[..., Any], event_name: Any) -> None:
        """Detach `handler` from the event.

        Raises:
            ValueError: `handler` is not attached to the event.
        """
        event = _translated(self._adapted, event_name)
        self._adapted.remove_event_handler(AdaptedHandler(handler), event)

    def fire_event(self, event_name: Any) -> None:
        """Call the handlers of an event."""
        self._adapted.fire_event(_translated(self._adapted, event_name))

    def run(self, *args: Any, **kwargs: Any) -> AdaptedState:
        """Run the engine, and return its state."""
        self._adapted.run(*args, **kwargs)
        return self.state


class AdaptedState(ignite.State):
    """The state of an engine with the interface of pytorch-ignite; it has no data of its own."""

    _engine: Engine

    def __init__(self, engine: Engine) -> None:
        object.__setattr__(self, "_engine", engine)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._engine.state, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._engine.state, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._engine.state, name)

    def __repr__(self) -> str:
        return repr(self._engine.state)

    def get_event_attrib_value(self, event_name: Any) -> int:
        """Return the counter of an event, which its filters receive."""
        return self._engine.state.get_event_attrib_value(_translated(self._engine, event_name))


@dataclass(frozen=True)
class AdaptedHandler:
    """A handler of pytorch-ignite on an fsm_engine engine; it receives the adapted engine."""

    handler: Callable[..., Any]

    def __post_init__(self) -> None:
        check_runs_when_called(self.handler, "the handler")
        name = getattr(self.handler, "__qualname__", type(self.handler).__qualname__)
        object.__setattr__(self, "__qualname__", name)  # for logs and tables

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Call the handler."""
        if args and isinstance(args[0], Engine):
            args = (adapt(args[0]), *args[1:])
        self.handler(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.handler)

    @property
    def owner(self) -> Any:
        """The object whose state dict the engine saves: the handler, or the object of a bound method."""
        owner = getattr(self.handler, "__self__", self.handler)
        return None if isinstance(owner, AdaptedEngine) else owner  # its engine saves itself already


@dataclass(frozen=True)
class _AdaptedFilter:
    event: Any

    def __call__(self, engine: Engine, value: int) -> bool:
        return bool(self.event.filter(adapt(engine), value))


def _translated(engine: Engine, event: Any) -> Any:
    """Return the event of `engine` for an event of pytorch-ignite; other events unchanged."""
    if isinstance(event, (CallableEventWithFilter, EventsList)):
        return event
    if isinstance(event, ignite.EventsList):
        return EventsList(*[_filtered(engine, each) for each in event])
    return _filtered(engine, event) if isinstance(event, IgniteEvent) else event


def _filtered(engine: Engine, event: Any) -> Any:
    known = _events_by_name(engine).get(_name(event), _name(event))
    if event.filter is None or isinstance(known, str):
        return known
    check_runs_when_called(event.filter, "event_filter")
    return known(_AdaptedFilter(event))


def _events_by_name(engine: Engine) -> dict[str, Any]:
    return {name_of(event): event for event in engine.registered_events}


def _name(event: Any) -> str:
    name: str = event.name if isinstance(event, IgniteEvent) else event
    return name


def _own_event(engine: Engine, event: Any) -> Any:
    """Return the event to register with `engine` for an event of pytorch-ignite; other events unchanged."""
    if not isinstance(event, IgniteEventEnum):
        return event
    return _events_by_name(engine).get(event.name) or _own_enum(type(event))[event.name]


@cache
def _own_enum(events: type[IgniteEventEnum]) -> Any:
    return cast("Any", EventEnum)(events.__name__, {event.name: event.value for event in events})


def _own_state(state: Any) -> Any:
    if isinstance(state, AdaptedState):
        return state._engine.state
    return State(**vars(state)) if isinstance(state, ignite.State) else state
