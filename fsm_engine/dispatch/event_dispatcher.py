"""`EventDispatcher`: registers events, attaches and calls handlers, and takes signals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.dispatch.entries import EventEntry, Firing, Handler, HandlerEntry, HandlerWrapper
from fsm_engine.dispatch.firing import firing_for
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.dispatch.observers import Observer, Observers
from fsm_engine.dispatch.registry import Registry
from fsm_engine.dispatch.step_moves import fire_from_activity, illegal_move_error
from fsm_engine.events.edges import exits_of
from fsm_engine.events.events import AnyEvent, CallableEventWithFilter, Event, EventEnum, EventsList, without_filter
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.positions import phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.run import Run
from fsm_engine.runtime.signal_agreement import SignalAgreement
from fsm_engine.runtime.state import COUNTERS

if TYPE_CHECKING:
    from typing_extensions import Self

H = TypeVar("H", bound=Callable[..., Any])


class EventDispatcher(Run):
    """The base class of `Engine` that holds the events, handlers and observers, and calls the handlers of an event."""

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
        self._agreement: SignalAgreement | None = None
        self._lengths = None

    @abstractmethod
    def _allow_change(self) -> None:
        """Raise BusyError if the lifecycle cannot change now."""

    @abstractmethod
    def _current_moves(self) -> dict[int, Any]:
        """Return the moves that an activity may make by firing, by phase number."""

    @abstractmethod
    def _notify_observers(self, transition: Transition) -> None:
        """Call the observers with `transition`."""

    @abstractmethod
    def _notifier(self) -> Observer | None:
        """Return the function to call with each move, or None without observers."""

    def _adopt_graph(self, graph: Graph) -> None:
        """Run `graph` from now on.

        Raises:
            ValueError: an attached handler cannot be called with the payload of its phase; nothing changes then.
        """
        self._registry.adopt_graph(graph)
        self._graph = graph
        self.state.map_events(graph.counters)
        self._invalidate()

    def register_events(self, *event_names: Event, event_to_attr: Mapping[Any, str] | None = None) -> None:
        """Register callback events. They can be fired anywhere, and firing them does not change the phase.

        An event whose name another registered event has gives a warning.

        Args:
            event_names: members of an `EventEnum`, or strings.
            event_to_attr: state attributes by event. Filters of these events receive the attribute, which your code
                has to count; filters of other events receive the number of firings in this run. Events that are
                not in `event_names` and not registered before are ignored, so that engines can share a mapping.

        Raises:
            TypeError: an event is neither a member of an `EventEnum` nor a string.
            ValueError: `event_to_attr` is not a mapping.

        Example:
            >>> class BackpropEvents(EventEnum):
            ...     BACKWARD = "backward"
            >>> trainer = Engine(lambda engine, batch: engine.fire_event(BackpropEvents.BACKWARD))
            >>> trainer.register_events(*BackpropEvents)
            >>> _ = trainer.add_event_handler(BackpropEvents.BACKWARD(every=2), lambda: print(trainer.state.iteration))
            >>> _ = trainer.run([1, 2, 3, 4])
            2
            4
        """
        if event_to_attr is not None and not isinstance(event_to_attr, Mapping):
            raise ValueError(f"Expected event_to_attr to be dictionary. Got {type(event_to_attr)}.")
        for number, event in enumerate(event_names):
            if not isinstance(event, (str, EventEnum)):
                raise TypeError(
                    f"Value at {number} of event_names should be a str or EventEnum, but given {event!r}" + _fix(event)
                )
        new = set(event_names)
        attributes = (event_to_attr or {}).items()
        mapped = {event: name for event, name in attributes if event in new or event in self._entries}
        for event in (*event_names, *mapped):
            self._registry.register(event, mapped.get(event))
        self.state.map_events(mapped)
        self._invalidate()

    def has_registered_events(self, event: AnyEvent) -> bool:
        """Return True if `event` is registered with this engine, or is an edge or exit of its lifecycle.

        Raises:
            TypeError: `event` is not an event.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> trainer.has_registered_events(Events.STARTED), trainer.has_registered_events("batch_seen")
            (True, False)
        """
        return (isinstance(event, EventEnum) and event in self._entries) or self._registry.is_registered(event)

    @overload  # for type checkers, which take the parameter of a lambda from it
    def add_event_handler(
        self, event_name: AnyEvent | EventsList, handler: Callable[[Self], Any]
    ) -> RemovableEventHandle: ...
    @overload
    def add_event_handler(
        self, event_name: AnyEvent | EventsList, handler: Handler, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle: ...
    def add_event_handler(
        self, event_name: AnyEvent | EventsList, handler: Handler, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle:
        """Attach `handler` to an event: call it whenever the event is fired.

        The handler receives the engine, if its signature has a parameter left for it; then the payload of the event
        (the exception of EXCEPTION_RAISED; ``iter_counter=`` of TERMINATE_SINGLE_EPOCH, if the handler accepts it);
        then `args` and `kwargs`. Handlers with a higher priority are called first, handlers with the same priority in
        the order in which they were attached. A handler that is attached while its event fires is called from the next
        firing on.

        Args:
            event_name: a registered event, with or without a filter, or several events joined with ``|``.
            handler: any callable.
            *args: passed to the handler after the payload.
            **kwargs: passed to the handler.

        Returns:
            A handle with `remove()`, which is also a context manager.

        Raises:
            ValueError: the event is not registered, or the handler does not accept these arguments.
            TypeError: `event_name` is not an event, or `handler` is not callable.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda: print("every second epoch"))
            >>> with trainer.add_event_handler(Events.STARTED, lambda: print("of this run only")):
            ...     _ = trainer.run([1, 2], max_epochs=2)
            of this run only
            every second epoch
        """
        events = event_name if isinstance(event_name, EventsList) else [event_name]
        handler_entries = self._registry.attach(events, handler, args, kwargs)
        self._invalidate()
        return RemovableEventHandle(event_name, handler, self, handler_entries)

    def on(self, event_name: AnyEvent | EventsList, *args: Any, **kwargs: Any) -> Callable[[H], H]:
        """Return a decorator that attaches the function with `add_event_handler` and returns it unchanged.

        Raises:
            TypeError: `event_name` is not an event, for example because the decorator was written without one.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> @trainer.on(Events.ITERATION_COMPLETED(every=2))
            ... def log(engine):
            ...     print(engine.state.iteration, engine.state.output)
            >>> _ = trainer.run([5, 6, 7, 8])
            2 6
            4 8
        """
        for event in event_name if isinstance(event_name, EventsList) else (event_name,):
            without_filter(event)  # now, because a decorator without an event is never called

        def attach(handler: H) -> H:
            self.add_event_handler(event_name, handler, *args, **kwargs)
            return handler

        return attach

    def on_exit(self, what: AnyEvent | Scope | EventsList, *args: Any, **kwargs: Any) -> Callable[[H], H]:
        """Return a decorator that attaches the function to the exit of a phase or scope.

        The handler is called when the run leaves the phase or scope by any edge, including error edges, and before
        the next phase is entered. Handlers of a phase are called before handlers of its scopes. The handler receives
        the `Transition` if it has a parameter named ``transition``. Filters receive the number of exits in this run.

        Args:
            what: the event of a phase, a `Scope`, or several joined with ``|``.
            *args: passed to the handler.
            **kwargs: passed to the handler.

        Raises:
            ValueError: the lifecycle does not have this phase or scope.
            TypeError: `what` has no exit, for example because it is an edge.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> @trainer.on_exit(Scope.EPOCH)
            ... def close(engine, transition):
            ...     print("left for", transition.target)
            >>> _ = trainer.run([1, 2])
            left for Events.EPOCH_COMPLETED
        """
        return self.on(EventsList(*exits_of(what)), *args, **kwargs)

    def has_event_handler(self, handler: Handler, event_name: AnyEvent | None = None) -> bool:
        """Return True if `handler` is attached to the event, with any filter, or to any event if none is given.

        Raises:
            ValueError: the event is not registered.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.STARTED, print)
            >>> trainer.has_event_handler(print), trainer.has_event_handler(print, Events.COMPLETED)
            (True, False)
        """
        return bool(self._registry.entries_of(handler, event_name))

    def handlers(self, event_name: AnyEvent | None = None) -> list[Handler]:
        """Return the handlers of an event, or of all events if none is given, in the order in which they are called.

        Raises:
            ValueError: the event is not registered.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.STARTED, print)
            >>> _ = trainer.add_event_handler(Events.STARTED(priority=1), repr)
            >>> [handler.__name__ for handler in trainer.handlers(Events.STARTED)]
            ['repr', 'print']
        """
        entries = list(self._entries.values()) if event_name is None else [self._registry.entry(event_name)]
        return [handler_entry.handler for entry in entries for handler_entry in entry.handlers]

    @property
    def registered_events(self) -> list[Event]:
        """The registered events: the phases of the lifecycle and the callback events.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> trainer.register_events("batch_seen")
            >>> len(trainer.registered_events), trainer.registered_events[-1]
            (15, 'batch_seen')
        """
        return [event for event in self._entries if isinstance(event, (str, EventEnum))]

    def remove_event_handler(self, handler: Handler, event_name: AnyEvent) -> None:
        """Detach `handler` from the event, with all filters and as often as it is attached.

        It looks at all n handlers of the event, so removing them one by one takes O(n²); a handle takes O(1).

        Raises:
            ValueError: `handler` is not attached to the event, or the event is not registered.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.STARTED, print)
            >>> trainer.remove_event_handler(print, Events.STARTED)
            >>> trainer.has_event_handler(print)
            False
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
        """Call the handlers of an event with the engine, `args` and `kwargs`.

        From a step, the event of a fired phase also moves the run to that phase. Firing the event of another phase of
        the lifecycle only calls its handlers.

        Raises:
            ValueError: the event is not registered.
            IllegalTransition: the event is a fired phase, and the run cannot move there now.

        Example:
            >>> def step(engine, batch):
            ...     engine.fire_event("batch_seen")
            >>> trainer = Engine(step)
            >>> trainer.register_events("batch_seen")
            >>> _ = trainer.add_event_handler("batch_seen", lambda engine: print(engine.state.batch))
            >>> _ = trainer.run([1, 2])
            1
            2
        """
        cursor = self._cursor
        moves = cursor.moves
        if moves is not None:
            move = moves.get(event_name)
            if move is not None:  # a move without handlers, observers and actions
                cursor.position, cursor.moves = move
                cursor.callback_event = None
            else:
                fire_from_activity(self, event_name, args, kwargs)
            return
        try:
            entry = self._entries[event_name]
        except (KeyError, TypeError):
            entry = self._registry.entry(event_name)
        if entry.is_fired_phase and self.is_running:
            raise illegal_move_error(self, entry.event)  # type: ignore[arg-type]  # a phase, not an edge or exit
        entry.fire_count += 1
        cursor.callback_event = entry.callback_event
        fire = entry.fire
        if fire is None:
            if not entry.attached:
                return
            fire = self._compile_firing(entry)
        if args or kwargs:
            fire[1](self, entry, fire[2], args, kwargs)
        elif (direct := fire[3]) is not None:
            direct(self)
        else:
            fire[0](self, entry, fire[2])

    def _call_handlers(self, entry: EventEntry, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Call the handlers of `entry`, which may be an edge or an exit.

        The end of `fire_event` repeats these lines, because one more call would slow it down.
        """
        entry.fire_count += 1
        if entry.callback_event is not None:
            self._cursor.callback_event = entry.callback_event
        fire = entry.fire
        if fire is None:
            if not entry.attached:
                return
            fire = self._compile_firing(entry)
        if args or kwargs:
            fire[1](self, entry, fire[2], args, kwargs)
        elif (direct := fire[3]) is not None:
            direct(self)
        else:
            fire[0](self, entry, fire[2])

    def _compile_firing(self, entry: EventEntry) -> Firing:
        """Set the functions that call the handlers of `entry`; they are dropped when its handlers change."""
        while True:
            handlers = entry.handlers
            bound = entry.bound_objects(self._wrappers)[1:]
            direct = bound[0] if len(handlers) == 1 and handlers[0].takes_only_engine else None
            fire = firing_for(entry, False), firing_for(entry, True), bound, direct
            entry.fire = fire
            if entry.handlers == handlers:  # otherwise another thread has attached a handler
                return fire

    def _wrap_handlers(self, wrapper: HandlerWrapper, is_active: bool) -> None:
        """Call the results of `wrapper` in place of the handlers, or stop doing so."""
        others = tuple([other for other in self._wrappers if other != wrapper])
        self._invalidate()  # before and after the change, which an exception may cut short
        self._drop_firings()
        self._wrappers = (*others, wrapper) if is_active else others
        self._drop_firings()
        self._invalidate()

    def _drop_firings(self) -> None:
        for entry in list(self._entries.values()):
            entry.fire = None

    @property
    def outcome(self) -> Outcome | None:
        """How the last run ended: completed, terminated, interrupted or failed. None before the end of the first run.

        None also while a run is active.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.run([1, 2], until=Events.EPOCH_STARTED)
            >>> print(trainer.outcome)
            interrupted
        """
        return self._cursor.outcome if not self.is_running else None

    @property
    def should_terminate(self) -> bool | str:
        """True once `terminate` was called or the run has entered TERMINATE, until the next run starts.

        It is "skip_completed" if COMPLETED is skipped. Setting it to True or "skip_completed" calls `terminate`;
        setting it to False withdraws the request.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> trainer.terminate()
            >>> trainer.should_terminate
            True
        """
        skip = self._requested(Signal.TERMINATE)
        if skip is None:
            if not self._cursor.is_terminated:
                return False
            skip = self._cursor.skip_completed
        return "skip_completed" if skip else True

    @should_terminate.setter
    def should_terminate(self, value: bool | str) -> None:
        if value:
            self.terminate(skip_completed=value == "skip_completed")
        else:
            self._signals.requests.pop(Signal.TERMINATE, None)

    @property
    def should_terminate_single_epoch(self) -> bool | str:
        """True once `terminate_epoch` was called, until the next epoch starts or the run ends.

        It is "skip_epoch_completed" if EPOCH_COMPLETED is skipped. Setting it to True or "skip_epoch_completed" calls
        `terminate_epoch`; setting it to False withdraws the request.

        Example:
            >>> def step(engine, batch):
            ...     engine.terminate_epoch()
            ...     print(engine.should_terminate_single_epoch)
            >>> _ = Engine(step).run([1, 2])
            True
        """
        skip = self._requested(Signal.TERMINATE_EPOCH)
        if skip is None:
            if not (self.is_running and self._cursor.terminated_epoch == self.state.epoch):
                return False
            skip = self._cursor.skip_epoch_completed
        return "skip_epoch_completed" if skip else True

    @should_terminate_single_epoch.setter
    def should_terminate_single_epoch(self, value: bool | str) -> None:
        if value:
            self.terminate_epoch(skip_epoch_completed=value == "skip_epoch_completed")
        else:
            self._signals.requests.pop(Signal.TERMINATE_EPOCH, None)

    @property
    def should_interrupt(self) -> bool:
        """True if `interrupt` was called, until the run is suspended. Setting it to True calls `interrupt`."""
        return self._requested(Signal.INTERRUPT) is not None

    @should_interrupt.setter
    def should_interrupt(self, value: bool) -> None:
        if value:
            self.interrupt()
        else:
            self._signals.requests.pop(Signal.INTERRUPT, None)

    # Signals

    def terminate(self, skip_completed: bool = False) -> None:
        """End the run after the handlers of the current event: enter TERMINATE, then COMPLETED.

        Call it from a handler, the step, another thread or a signal handler. A call during a step takes effect after
        the handlers of ITERATION_COMPLETED. A call outside a run only sets `should_terminate`, which the next run
        resets, with a warning in the log.

        Args:
            skip_completed: True to skip COMPLETED.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED(once=4), trainer.terminate)
            >>> trainer.run([1, 2, 3], max_epochs=5).iteration
            4
            >>> print(trainer.outcome)
            terminated
        """
        self._request_signal(Signal.TERMINATE, skip_completed)

    def terminate_epoch(self, skip_epoch_completed: bool = False) -> None:
        """End the epoch after the handlers of the current event: enter TERMINATE_SINGLE_EPOCH, then EPOCH_COMPLETED.

        It takes effect at the same places as `terminate`. The next epoch starts at the beginning of the data.

        Args:
            skip_epoch_completed: True to skip EPOCH_COMPLETED.

        Raises:
            RuntimeError: no epoch is open.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), trainer.terminate_epoch)
            >>> trainer.run([1, 2, 3], max_epochs=2).iteration  # 2 in the first epoch, 3 in the second
            5
        """
        if Signal.TERMINATE_EPOCH not in self._graph.signal_exits[phase_at(self._cursor.position)]:
            raise RuntimeError(
                f"terminate_epoch() was called in {self.phase}, where no epoch is open. Call it between "
                f"EPOCH_STARTED and the last ITERATION_COMPLETED; to end the whole run, call terminate()."
            )
        self._request_signal(Signal.TERMINATE_EPOCH, skip_epoch_completed)

    def interrupt(self) -> None:
        """Suspend the run after the handlers of the current event: enter INTERRUPT, and return from `run`.

        It takes effect at the same places as `terminate`. The next call of `run` resumes from there. A call outside a
        run has no effect; the next run logs a warning.

        Raises:
            RuntimeError: `interrupt_resume_enabled` of the class is False.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), trainer.interrupt)
            >>> trainer.run([1, 2, 3]).iteration
            2
            >>> print(trainer.outcome)
            interrupted
            >>> trainer.run().iteration  # resumes with the third batch
            3
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
        """Call ``callback(engine)`` once, at the next place where the state of the run is consistent.

        This is after the handlers of the current event and before the activity of its phase, where the run also
        handles `terminate`, `terminate_epoch` and `interrupt`; the callback is called before them. During a step it is
        after the handlers of ITERATION_COMPLETED. `state_dict` is exact there. Outside a run the callback is called at
        once. An exception of the callback is handled like an exception of a handler.

        Raises:
            TypeError: `callback` is not callable, or it is a coroutine or generator function.

        Example:
            >>> trainer = Engine(lambda engine, batch: engine.call_when_safe(report))
            >>> def report(engine):
            ...     print("safe in", engine.phase)
            >>> _ = trainer.run([1, 2])
            safe in ITERATION_COMPLETED
            safe in ITERATION_COMPLETED
        """
        if not callable(callback):
            raise TypeError(f"call_when_safe() requires a callable that takes the engine, got {callback!r}.")
        check_runs_when_called(callback, "the callback")
        if not self.is_running:
            callback(self)
            return
        self._signals.callbacks.append(callback)
        self._signals.needs_attention = True

    def _requested(self, signal: Signal) -> bool | None:
        """Return the value of a request that is not handled yet, here or for all ranks; None if there is none."""
        skip = self._signals.requests.get(signal)
        return skip if skip is not None or self._agreement is None else self._agreement.requested(signal)

    def _request_signal(self, signal: Signal, skip: bool) -> None:
        skip = skip is True  # a handler `engine.terminate` receives the engine as `skip`
        if self._agreement is not None and self.is_running:
            self._agreement.request(signal, skip)
            return
        self._signals.requests[signal] = skip
        self._signals.needs_attention = True


def _fix(event: Any) -> str:
    if isinstance(event, type) and issubclass(event, EventEnum):
        return f". Register its members: register_events(*{event.__name__})."
    if isinstance(event, CallableEventWithFilter):
        return ". Register the event itself, without its filter."
    return ""
