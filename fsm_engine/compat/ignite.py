"""Handlers and metrics of an installed pytorch-ignite on an engine of ours: ``pip install "fsm-engine[ignite]"``.

``EarlyStopping(3, score, trainer=adapt(trainer))``, ``RunningAverage(...).attach(adapt(trainer), "loss")``
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import CallableEventWithFilter, EventEnum, EventsList, name_of
from fsm_engine.runtime.state import State

try:
    import ignite.engine as ignite
    from ignite.engine.events import CallableEventWithFilter as IgniteEvent
    from ignite.engine.events import EventEnum as IgniteEventEnum
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"fsm_engine.compat.ignite needs pytorch-ignite, but: {error}. Install it with: "
        f'pip install "fsm-engine[ignite]"'
    ) from error

_adapted: weakref.WeakKeyDictionary[Engine, weakref.ref[AdaptedEngine]] = weakref.WeakKeyDictionary()


def adapt(engine: Engine) -> AdaptedEngine:
    """Return `engine` in the shape of one of pytorch-ignite: its handlers and metrics can be attached to that.

    They are attached to `engine` itself, among its other handlers, and called in the order in which they came.
    Handlers that take the engine are given the adapted one. Events mean those of the same name.

    The profilers of pytorch-ignite reach into its engines, and so cannot be attached; there are others in
    `fsm_engine.handlers`.

    Raises:
        TypeError: for anything but an engine of ours.
    """
    if not isinstance(engine, Engine):
        raise TypeError(f"adapt() takes an fsm_engine.Engine, got {engine!r}.")
    known = _adapted.get(engine)
    adapted = None if known is None else known()
    if adapted is None:
        adapted = AdaptedEngine(engine)
        _adapted[engine] = weakref.ref(adapted)
    return adapted


class AdaptedEngine(ignite.Engine):
    """What `adapt` returns. It keeps the engine alive, and nothing else of its own.

    What pytorch-ignite's engines do not have is that of the engine: ``adapt(engine).phase``.
    """

    _adapted: Engine

    def __init__(self, engine: Engine) -> None:
        object.__setattr__(self, "_adapted", engine)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(
                f"an adapted engine has no {name}: that is private to the engines of pytorch-ignite. If a profiler of "
                f"pytorch-ignite wanted it, use those of fsm_engine.handlers."
            )
        return getattr(self._adapted, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "state":
            value = _state_from(value)
        setattr(self._adapted, name, value)

    @property
    def state(self) -> AdaptedState:  # type: ignore[override]
        """The state of the engine."""
        return AdaptedState(self._adapted)

    @property
    def last_event_name(self) -> Any:  # type: ignore[override]
        """The event that was fired last, as one of pytorch-ignite if it has it."""
        last = self._adapted.last_event_name
        return None if last is None else ignite.Events.__members__.get(name_of(last), last)

    @property
    def should_terminate(self) -> bool:  # type: ignore[override]
        """Whether the run goes to its end before its limits are reached, or did so."""
        return self._adapted.should_terminate

    @property
    def should_terminate_single_epoch(self) -> bool:  # type: ignore[override]
        """Whether `terminate_epoch` was called and the epoch has not ended yet."""
        return self._adapted.should_terminate_single_epoch

    @property
    def should_interrupt(self) -> bool:  # type: ignore[override]
        """Whether `interrupt` was called and the run goes on until it may stop."""
        return self._adapted.should_interrupt

    @property
    def _allowed_events(self) -> list[Any]:  # type: ignore[override]
        return [ignite.Events.__members__.get(name, name) for name in _names(self._adapted)]

    @property
    def _process_function(self) -> Any:  # type: ignore[override]
        return self._adapted._process_function

    def register_events(self, *event_names: Any, event_to_attr: Mapping[Any, str] | None = None) -> None:
        """Make events known, those of pytorch-ignite under their name."""
        if isinstance(event_to_attr, Mapping):
            event_to_attr = {_ours(self._adapted, event): attribute for event, attribute in event_to_attr.items()}
        ours = [_ours(self._adapted, event) for event in event_names]
        self._adapted.register_events(*ours, event_to_attr=event_to_attr)

    def has_registered_events(self, event: Any) -> bool:
        """Say whether `event` is known."""
        return isinstance(event, (IgniteEvent, str)) and _name(event) in _names(self._adapted)

    def add_event_handler(self, event_name: Any, handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Attach `handler` to the engine, as pytorch-ignite does.

        Raises:
            ValueError: an event that is not registered, or a handler that cannot be called like that.
        """
        return self._adapted.add_event_handler(
            _translated(self._adapted, event_name), AdaptedHandler(handler), *args, **kwargs
        )

    def has_event_handler(self, handler: Callable[..., Any], event_name: Any = None) -> bool:
        """Say whether `handler` is attached, to any event if none is given."""
        event = None if event_name is None else _translated(self._adapted, event_name)
        return self._adapted.has_event_handler(AdaptedHandler(handler), event)

    def remove_event_handler(self, handler: Callable[..., Any], event_name: Any) -> None:
        """Detach `handler` from the event.

        Raises:
            ValueError: if it is not attached there.
        """
        event = _translated(self._adapted, event_name)
        self._adapted.remove_event_handler(AdaptedHandler(handler), event)

    def fire_event(self, event_name: Any) -> None:
        """Call the handlers of an event."""
        self._adapted.fire_event(_translated(self._adapted, event_name))

    def terminate(self, skip_completed: bool = False) -> None:
        """End the run when the handlers of this event are through."""
        self._adapted.terminate(skip_completed)

    def terminate_epoch(self, skip_epoch_completed: bool = False) -> None:
        """End the epoch when the handlers of this event are through."""
        self._adapted.terminate_epoch(skip_epoch_completed)

    def interrupt(self) -> None:
        """Suspend the run when the handlers of this event are through."""
        self._adapted.interrupt()

    def set_data(self, data: Iterable[Any]) -> None:
        """Let the next batch come from `data`."""
        self._adapted.set_data(data)

    def state_dict(self) -> Any:
        """Return what the engine saves."""
        return self._adapted.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the engine go on from what it has saved."""
        self._adapted.load_state_dict(state_dict)

    def run(self, *args: Any, **kwargs: Any) -> AdaptedState:
        """Run the engine."""
        self._adapted.run(*args, **kwargs)
        return self.state


class AdaptedState(ignite.State):
    """The state of an engine, in the shape of one of pytorch-ignite; it has no data of its own."""

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
        """Return the counter that filters on this event are given."""
        return self._engine.state.get_event_attrib_value(_translated(self._engine, event_name))


@dataclass(frozen=True)
class AdaptedHandler:
    """A handler of pytorch-ignite, attached to an engine of ours: it is given the adapted one."""

    handler: Callable[..., Any]

    def __post_init__(self) -> None:
        name = getattr(self.handler, "__qualname__", type(self.handler).__qualname__)
        object.__setattr__(self, "__qualname__", name)  # what logs and tables call it

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
        """What has the state that an engine saves: the handler, or the object whose method it is."""
        owner = getattr(self.handler, "__self__", self.handler)
        return None if isinstance(owner, AdaptedEngine) else owner  # the engine itself is what is being saved


@dataclass(frozen=True)
class _AdaptedFilter:
    event: Any

    def __call__(self, engine: Engine, value: int) -> bool:
        return bool(self.event.filter(adapt(engine), value))


def _translated(engine: Engine, event: Any) -> Any:
    """Return what `event`, of pytorch-ignite or ours, is to `engine`."""
    if isinstance(event, (CallableEventWithFilter, EventsList)):
        return event
    if isinstance(event, ignite.EventsList):
        return EventsList(*[_callable(engine, each) for each in event])
    return _callable(engine, event) if isinstance(event, IgniteEvent) else event


def _callable(engine: Engine, event: Any) -> Any:
    known = _names(engine).get(_name(event), _name(event))
    if event.filter is None or isinstance(known, str):
        return known
    return known(_AdaptedFilter(event))


def _names(engine: Engine) -> dict[str, Any]:
    return {name_of(event): event for event in engine.registered_events}


def _name(event: Any) -> str:
    name: str = event.name if isinstance(event, IgniteEvent) else event
    return name


def _ours(engine: Engine, event: Any) -> Any:
    """Return the event of ours that one to be registered becomes."""
    if not isinstance(event, IgniteEventEnum):
        return event
    return _names(engine).get(event.name) or _enum_like(type(event))[event.name]


@cache
def _enum_like(events: type[IgniteEventEnum]) -> Any:
    return cast("Any", EventEnum)(events.__name__, {event.name: event.value for event in events})


def _state_from(given: Any) -> Any:
    if isinstance(given, AdaptedState):
        return given._engine.state
    return State(**vars(given)) if isinstance(given, ignite.State) else given
