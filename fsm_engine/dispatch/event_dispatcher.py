"""`EventDispatcher`: the events and handlers of an engine, firing by hand, and observers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from fsm_engine.dispatch.entries import EventEntry, Firing, Handler, HandlerEntry, HandlerWrapper
from fsm_engine.dispatch.firing import firing_for
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.dispatch.observers import Observer, Observers
from fsm_engine.dispatch.registry import Registry
from fsm_engine.dispatch.step_moves import fire_from_activity, illegal_move_error
from fsm_engine.events.edges import exits_of
from fsm_engine.events.events import AnyEvent, CallableEventWithFilter, Event, EventEnum, EventsList
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.positions import phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.run import Run
from fsm_engine.runtime.state import COUNTERS

H = TypeVar("H", bound=Callable[..., Any])


class EventDispatcher(Run):
    """The base class of `Engine` that keeps handlers and observers, and calls the handlers of an event."""

    lifecycle: Lifecycle
    interrupt_resume_enabled = True

    def __init__(self) -> None:
        super().__init__()
        self._registry = Registry(COUNTERS)
        self._entries = self._registry.entries
        self._reset_process()

    def _reset_process(self) -> None:
        """Set the attributes that belong to this process. Copies and pickles reset them."""
        self._wrappers: tuple[HandlerWrapper, ...] = ()
        self._observers = Observers()

    @abstractmethod
    def _allow_change(self) -> None:
        """Raise BusyError if the lifecycle cannot change now."""

    @abstractmethod
    def _adopt_graph(self, graph: Graph) -> None:
        """Take over the graph of the lifecycle, or raise if attached handlers cannot be called with it."""

    @abstractmethod
    def _current_moves(self) -> dict[int, Any]:
        """Return, by phase, the moves that an activity may make by firing."""

    @abstractmethod
    def _notify_observers(self, transition: Transition) -> None:
        """Tell observers of a move along `transition`."""

    @abstractmethod
    def _notifier(self) -> Observer | None:
        """Return the function to call with each move; None if nothing observes."""

    def register_events(self, *event_names: Event, event_to_attr: Mapping[Any, str] | None = None) -> None:
        """Make callback events known: they can be fired from anywhere, and the phase stays.

        Args:
            event_names: members of an `EventEnum`, or strings.
            event_to_attr: for some of them, the attribute of the state that their filters are given; the user
                counts it. Filters on the others are given the number of firings in this run.

        Raises:
            TypeError: for anything else.
            ValueError: if `event_to_attr` is no mapping.
        """
        if event_to_attr is not None and not isinstance(event_to_attr, Mapping):
            raise ValueError(f"Expected event_to_attr to be dictionary. Got {type(event_to_attr)}.")
        for number, event in enumerate(event_names):
            if not isinstance(event, (str, EventEnum)):
                raise TypeError(
                    f"Value at {number} of event_names should be a str or EventEnum, but given {event!r}" + _fix(event)
                )
        mapped = dict(event_to_attr or {})
        for event in mapped:
            if event not in set(event_names):  # not by ==, to which a name is as good as its event
                raise ValueError(
                    f"event_to_attr names {event!r}, which is not among the events registered: {list(event_names)}."
                )
        for event in event_names:
            self._registry.register(event, mapped.get(event))
        self.state.map_events({event: mapped[event] for event in event_names if event in mapped})
        self._invalidate()

    def has_registered_events(self, event: AnyEvent) -> bool:
        """Say whether `event` is known to this engine."""
        return (isinstance(event, EventEnum) and event in self._entries) or self._registry.is_registered(event)

    def add_event_handler(
        self, event_name: AnyEvent | EventsList, handler: Handler, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle:
        """Call `handler` whenever the event is fired.

        It is called with the engine first if it takes one more argument than those given here, then what the
        event hands over (EXCEPTION_RAISED: the exception; TERMINATE_SINGLE_EPOCH: ``iter_counter=``, if it takes
        that), then `args` and `kwargs`. Handlers of an event are called by falling priority, ties in the order
        in which they were attached. Attached while its event fires, a handler is called from the next firing on.

        Args:
            event_name: a registered event, filtered or not, or several joined with ``|``.
            handler: anything callable.
            *args: given to the handler behind what the event hands over.
            **kwargs: given to the handler.

        Returns:
            A handle with `remove()`, and a context manager.

        Raises:
            ValueError: an event that is not registered, or a handler that cannot be called like that.
            TypeError: something that is no event, or not callable.
        """
        events = event_name if isinstance(event_name, EventsList) else [event_name]
        handler_entries = self._registry.attach(events, handler, args, kwargs)
        self._invalidate()
        return RemovableEventHandle(event_name, handler, self, handler_entries)

    def on(self, event_name: AnyEvent | EventsList, *args: Any, **kwargs: Any) -> Callable[[H], H]:
        """Attach the decorated function, as `add_event_handler` does, and return it unchanged."""

        def attach(handler: H) -> H:
            self.add_event_handler(event_name, handler, *args, **kwargs)
            return handler

        return attach

    def on_exit(self, what: AnyEvent | Scope | EventsList, *args: Any, **kwargs: Any) -> Callable[[H], H]:
        """Call the decorated function whenever a phase or a scope is left, by whatever edge, exceptions included.

        It is called before anything of the next phase, those of a phase before those of the scopes around it, and
        may take the transition as ``transition``. Filters count how often it was left.

        Args:
            what: the event of a phase, a `Scope`, or several joined with ``|``.
            *args: given to the handler.
            **kwargs: given to the handler.

        Raises:
            ValueError: something that is no phase and no scope of the lifecycle.
            TypeError: something that cannot be left, such as an edge.
        """
        return self.on(EventsList(*exits_of(what)), *args, **kwargs)

    def has_event_handler(self, handler: Handler, event_name: AnyEvent | None = None) -> bool:
        """Say whether `handler` is attached to the event, filtered or not, or to any event if none is given.

        Raises:
            ValueError: if the event is not registered.
        """
        return bool(self._registry.entries_of(handler, event_name))

    def handlers(self, event_name: AnyEvent | None = None) -> list[Handler]:
        """Return the handlers of an event, or of all events, in the order in which they are called.

        Raises:
            ValueError: if the event is not registered.
        """
        entries = self._entries.values() if event_name is None else [self._registry.entry(event_name)]
        return [handler_entry.handler for entry in entries for handler_entry in entry.handlers]

    @property
    def registered_events(self) -> list[Event]:
        """The events that this engine knows: its phases and its callback events."""
        return [event for event in self._entries if isinstance(event, (str, EventEnum))]

    def remove_event_handler(self, handler: Handler, event_name: AnyEvent) -> None:
        """Detach `handler` from the event, however often it is attached there.

        Raises:
            ValueError: if it is not attached there.
        """
        found = self._registry.entries_of(handler, event_name)
        if not found:
            attached = [handler_entry.handler for handler_entry in self._registry.entry(event_name).handlers]
            raise ValueError(
                f"Input handler {handler!r} is not found among the registered event handlers of Input event name "
                f"{event_name}: {attached}."
            )
        self._detach(found)

    def _detach(self, handler_entries: Iterable[HandlerEntry]) -> None:
        if self._registry.detach(handler_entries):
            self._invalidate()

    def fire_event(self, event_name: Event, *args: Any, **kwargs: Any) -> None:
        """Call the handlers of an event, with `args` and `kwargs` behind the engine, if any are given.

        A phase of the lifecycle may be fired by hand too; its handlers are called, and the run does not move.

        Raises:
            ValueError: if the event is not registered.
        """
        cursor = self._cursor
        moves = cursor.moves
        if moves is not None:
            move = moves.get(event_name)
            if move is not None:  # a phase that nobody observes
                cursor.position, cursor.moves = move
                cursor.callback_event = None
            else:
                fire_from_activity(self, event_name, args, kwargs)
            return
        try:
            entry = self._entries[event_name]
        except (KeyError, TypeError):
            entry = self._registry.entry(event_name)
        if entry.is_fired_phase and self._running:
            raise illegal_move_error(self, entry.event)  # type: ignore[arg-type]
        entry.fire_count += 1
        cursor.callback_event = entry.callback_event
        if not entry.handlers:
            return
        fire = entry.fire or self._compile_firing(entry)
        if args or kwargs:
            fire[1](self, entry, fire[2], args, kwargs)
        else:
            fire[0](self, entry, fire[2])

    def _call_handlers(self, entry: EventEntry, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Call the handlers of `slot`, whatever it stands for.

        `fire_event` ends with the same lines: handlers are called without a frame more where users fire.
        """
        entry.fire_count += 1
        if entry.callback_event is not None:
            self._cursor.callback_event = entry.callback_event
        if not entry.handlers:
            return
        fire = entry.fire or self._compile_firing(entry)
        if args or kwargs:
            fire[1](self, entry, fire[2], args, kwargs)
        else:
            fire[0](self, entry, fire[2])

    def _compile_firing(self, entry: EventEntry) -> Firing:
        """Make the functions that call the handlers of `slot`, which keeps them until handlers come or go."""
        entry.fire = fire = firing_for(entry, False), firing_for(entry, True), entry.bound_objects(self._wrappers)[1:]
        return fire

    @property
    def outcome(self) -> Outcome | None:
        """How the last run ended: completed, terminated, interrupted or failed; None before that."""
        return self._cursor.outcome if not self._running else None

    @property
    def should_terminate(self) -> bool:
        """Whether the run goes to its end before its limits are reached, or did so."""
        return self._cursor.is_terminated or Signal.TERMINATE in self._signals.requests

    @property
    def should_terminate_single_epoch(self) -> bool:
        """Whether `terminate_epoch` was called and the epoch has not ended yet."""
        return Signal.TERMINATE_EPOCH in self._signals.requests

    @property
    def should_interrupt(self) -> bool:
        """Whether `interrupt` was called and the run goes on until it may stop."""
        return Signal.INTERRUPT in self._signals.requests

    # Signals

    def terminate(self, skip_completed: bool = False) -> None:
        """End the run when the handlers of this event are through: TERMINATE, then COMPLETED unless skipped.

        May be called from a handler, the step, another thread or a signal handler. During a step, or between
        it and ITERATION_COMPLETED, the iteration is finished first. Outside a run it has no effect.
        """
        self._request_signal(Signal.TERMINATE, skip_completed)

    def terminate_epoch(self, skip_epoch_completed: bool = False) -> None:
        """End the epoch likewise: TERMINATE_SINGLE_EPOCH, then EPOCH_COMPLETED unless skipped.

        The next epoch starts at the beginning of the data.

        Raises:
            RuntimeError: if no epoch is open.
        """
        if Signal.TERMINATE_EPOCH not in self._graph.signal_exits[phase_at(self._cursor.position)]:
            raise RuntimeError(
                f"terminate_epoch() was called in {self.phase}, where no epoch is open. Call it between "
                f"EPOCH_STARTED and the last ITERATION_COMPLETED; to end the whole run, call terminate()."
            )
        self._request_signal(Signal.TERMINATE_EPOCH, skip_epoch_completed)

    def interrupt(self) -> None:
        """Suspend the run likewise: INTERRUPT, and `run` returns. The next `run` goes on from there.

        Raises:
            RuntimeError: if the class has switched it off.
        """
        self._check_interrupts()
        self._request_signal(Signal.INTERRUPT, False)

    def _check_interrupts(self) -> None:
        if not self.interrupt_resume_enabled:
            raise RuntimeError(
                "Engine 'interrupt/resume' feature is disabled. "
                "Please, set Engine.interrupt_resume_enabled=True to enable it"
            )

    def call_when_safe(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with this engine once, when nothing of what is going on now is half done.

        That is when the handlers of the event being fired are through, between them and the phase's activity, where
        `terminate` and the like are honoured, too, but before they are; within a step, when the iteration is over.
        There `state_dict` tells exactly where the run is. Outside a run it is called at once. What it raises ends the
        run as the error of a handler does.

        Raises:
            TypeError: something that cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"call_when_safe() takes what is to be called with the engine, got {callback!r}.")
        if not self._running:
            callback(self)
            return
        self._signals.callbacks.append(callback)
        self._signals.needs_attention = True

    def _request_signal(self, signal: Signal, skip: bool) -> None:
        if self._running:
            self._signals.requests[signal] = skip is True  # attached as a handler, it is given the engine
            self._signals.needs_attention = True


def _fix(event: Any) -> str:
    if isinstance(event, type) and issubclass(event, EventEnum):
        return f". Register its members: register_events(*{event.__name__})."
    if isinstance(event, CallableEventWithFilter):
        return ". Register the event itself, without its filter."
    return ""
