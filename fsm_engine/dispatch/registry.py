"""Which handlers are attached to which events, in which order, and how each is called."""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, Event, EventsList, name_of, plain
from fsm_engine.events.filters import Filter
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph, Payload

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher

Handler = Callable[..., Any]
Key = Event | Edge | Exit
"""What handlers are attached to: an event, an edge, or an exit."""

_MOVE = Payload(keywords={"transition": "transition"})


class Attachment:
    """One handler attached to one event.

    Attributes:
        gives: what the handler is called with before its own arguments: whether the engine, and whether the
            event's payload.
        parts: what its call refers to, as names: the handler, its arguments, the constants of its filter.
        shape: what its call looks like, the objects left out; equal shapes have equal text.
        since: the count of its event when it was attached; None before its first run.
        passed: how often its filter let a firing through in this run.
        value: what its filter was given last.
        warned: whether the log says already that its filter lets nothing through.
    """

    __slots__ = (
        "__weakref__",
        "args",
        "event",
        "filter",
        "gives",
        "handler",
        "kwargs",
        "parts",
        "passed",
        "priority",
        "shape",
        "since",
        "value",
        "warned",
    )

    def __init__(self, event: AnyEvent, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.event = plain(event)
        self.filter: Filter | None = None if isinstance(event, str) else event.filter
        self.priority = 0 if isinstance(event, str) else event.priority
        self.handler, self.args, self.kwargs = handler, args, kwargs
        self.gives = (True, True)
        self.passed = self.since = self.value = 0
        self.warned = False
        self.shape: tuple[Any, ...] = ()
        self.parts: tuple[str, ...] = ()

    def settle(self, gives: tuple[bool, bool]) -> None:
        """Fix how the handler is called, and so the shape of its call."""
        self.gives = gives
        self.parts = tuple(self._used())
        self.shape = (gives, self.parts)

    @property
    def bound(self) -> tuple[Any, ...]:
        """The objects of `parts`; made when asked for, because one is the attachment itself."""
        return tuple(self._used().values())

    def _used(self) -> dict[str, Any]:
        used: dict[str, Any] = {"handler": self.handler}
        if self.args:
            used["args"] = self.args
        if self.kwargs:
            used["kwargs"] = self.kwargs
        if self.filter is not None:
            used["attached"] = self
            used.update(_constants(self.filter))
        return used


def _constants(given: Filter) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    if given.once is not None:
        constants.update({"once": given.once[0]} if len(given.once) == 1 else {"among": given.once})
    if given.bounded:
        constants["after"] = given.after or 0
    if given.before is not None:
        constants["before"] = given.before
    if given.every is not None:
        constants["every"] = given.every
    if given.event_filter is not None:
        constants["filter"] = given.event_filter
    return constants


StandIn = Callable[[Attachment, Handler, bool], Handler]
"""Makes something of a handler that is called in its place, to measure it; told whether with the engine alone."""

Firing = tuple[Callable[..., None], Callable[..., None], list[Any]]
"""The functions that call handlers, without a payload and with one, and the objects they refer to."""


class Slot:
    """All that an engine keeps of one event.

    Attributes:
        attached: the attachments in the order in which they are called.
        fired: how often the event was fired in this run; for an event of the lifecycle, since somebody listens.
        callback: the event, if it is no phase of the lifecycle.
        moves: whether it is a phase that is entered by firing.
        counter: the attribute of the state that filters are given; None for `fired` itself.
        fire: what calls the handlers when the event is fired by hand; None until it is needed.
    """

    __slots__ = ("attached", "callback", "counter", "event", "fire", "fired", "moves", "payload")

    def __init__(self, event: Key, counter: str | None, payload: Payload, callback: Event | None = None) -> None:
        self.event, self.counter, self.payload, self.callback = event, counter, payload, callback
        self.moves = False
        self.attached: tuple[Attachment, ...] = ()
        self.fired = 0
        self.fire: Firing | None = None

    @property
    def shape(self) -> tuple[Any, ...]:
        """What the calls of all handlers look like."""
        return tuple([attachment.shape for attachment in self.attached])

    def bound(self, around: Iterable[StandIn] = (), by_hand: bool = True) -> list[Any]:
        """Return the objects that the calls refer to: this slot, then those of each attachment, its handler first.

        What each of `around` makes of a handler stands in for it; fired `by_hand`, it may be given anything.
        """
        objects: list[Any] = [self]
        more = by_hand or self.payload.positional or self.payload.keywords
        for attachment in self.attached:
            handler = attachment.handler
            alone = attachment.gives[0] and not (more or attachment.args or attachment.kwargs)
            for stand_in in around:
                handler = stand_in(attachment, handler, alone)
            objects += (handler, *attachment.bound[1:])
        return objects

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "fire"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.fire = None


class Registry:
    """The events that an engine knows and the handlers attached to them.

    Cost: attaching looks at the handler's signature once; nothing is looked at when it is called.
    """

    def __init__(self, counters: Mapping[Event, str]) -> None:
        self.slots: dict[Key, Slot] = {}
        self.has_callbacks = False  # whether an event may be fired that is no phase
        self.has_moves = False  # whether a handler was attached to an edge or an exit
        self.graph: Graph | None = None
        self._counters = counters

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "graph": None}  # the lifecycle has it, and makes it known again

    def know(self, graph: Graph) -> None:
        """Make the phases of `graph` known; handlers attached to them already stay.

        Raises:
            ValueError: if one of those cannot be called with what its event hands over now; nothing is changed then.
        """
        calls = self._calls_in(graph)
        gone = [] if self.graph is None else [p.event for p in self.graph.phases[1:] if p.event not in graph.index]
        for event in gone:
            self.slots[event].callback, self.slots[event].moves = event, False
            self.has_callbacks = True
        for number, phase in enumerate(graph.phases[1:], 1):
            event = phase.event
            if event not in self.slots:
                self.slots[event] = Slot(event, None, phase.payload)
            slot = self.slots[event]
            counter = phase.counter or self._counters.get(event) or slot.counter
            if (counter, phase.payload) != (slot.counter, slot.payload):
                slot.counter, slot.payload, slot.fire = counter, phase.payload, None
            slot.callback, slot.moves = None, number in graph.fired_phases
        for attachment, gives in calls:
            attachment.settle(gives)
        self.graph = graph

    def _calls_in(self, graph: Graph) -> list[tuple[Attachment, tuple[bool, bool]]]:
        """Return how the handlers are called whose phase hands over something else in `graph` than now."""
        calls: list[tuple[Attachment, tuple[bool, bool]]] = []
        known = list(self.slots)
        for phase in graph.phases[1:]:
            slot = self.slots.get(phase.event)
            if slot is None:
                self._warn_of_namesakes(phase.event, known)
                known.append(phase.event)
            elif slot.payload != phase.payload:
                then = Slot(phase.event, None, phase.payload)
                calls += [(a, how_to_call(then, a.handler, a.args, a.kwargs)) for a in slot.attached]
        return calls

    def register(self, event: Event, counter: str | None) -> None:
        """Make `event` known as a callback event, with the attribute that the user counts it in."""
        known = self.slots.get(event)
        if known is not None:
            known.counter, known.fire = counter or known.counter, None
            return
        self._warn_of_namesakes(event, self.slots)
        self.slots[event] = Slot(event, counter, Payload(), callback=event)
        self.has_callbacks = True

    def _warn_of_namesakes(self, event: Event, known: Iterable[Any]) -> None:
        for other in known:
            if not isinstance(other, (Edge, Exit)) and name_of(other) == name_of(event):
                warnings.warn(
                    f"{event!r} has the name of {other!r}, but is another event: handlers of one are not called "
                    f"when the other is fired. Give it another name if that is not what you want.",
                    stacklevel=4,
                )

    def knows(self, event: AnyEvent) -> bool:
        """Say whether `event` is registered.

        Raises:
            TypeError: if it is no event at all.
        """
        key = plain(event)
        return key in self.slots or (isinstance(key, (Edge, Exit)) and self._wrong_with(key) is None)

    def is_heard(self, events: Iterable[AnyEvent]) -> bool:
        """Say whether handlers are attached to one of `events`, to its exit, or to an edge from or to it."""
        wanted = {plain(event) for event in events}
        heard = (key for key, slot in self.slots.items() if slot.attached)
        return any(not wanted.isdisjoint((key, *_ends(key))) for key in heard)

    def slot(self, event: AnyEvent) -> Slot:
        """Return what is kept of `event`.

        Raises:
            ValueError: if it is not registered.
            TypeError: if it is no event at all.
        """
        key = plain(event)
        if key in self.slots:
            return self.slots[key]
        if isinstance(key, (Edge, Exit)):
            return self._slot_of_move(key)
        raise ValueError(
            f"{event!r} is not a valid event for this Engine. It knows "
            f"{', '.join(str(known) for known in self.slots if not isinstance(known, (Edge, Exit)))}. "
            f"Register others with engine.register_events({event!r})." + self._meant(event)
        )

    def _slot_of_move(self, move: Edge | Exit) -> Slot:
        wrong = self._wrong_with(move)
        if wrong is not None:
            raise ValueError(wrong)
        self.has_moves = True
        slot = self.slots[move] = Slot(move, None, _MOVE)
        return slot

    def _wrong_with(self, move: Edge | Exit) -> str | None:
        assert self.graph is not None
        graph = self.graph
        for end in _ends(move):
            if isinstance(end, Scope):
                if not any(end.contains(phase.scope) for phase in graph.phases):
                    return f"{move} names the scope {end}, in which the lifecycle has no phase."
            elif end not in graph.index:
                callback = " It is a callback event, which add_path makes a phase." if end in self.slots else ""
                return (
                    f"{move} names {end}, which is no phase of the lifecycle.{callback} "
                    f"The phases are {', '.join(graph.by_name)}."
                )
        if isinstance(move, Exit) or graph.has_edge(move.source, move.target):
            return None
        exits = {str(getattr(t.target, "name", t.target)) for t in graph.exits_from(move.source)}
        return (
            f"there is no edge {move}. From {getattr(move.source, 'name', move.source)} a run goes to "
            f"{', '.join(sorted(exits)) or 'nothing'}; lifecycle.add_transition({move}) would add it."
        )

    def _meant(self, event: AnyEvent) -> str:
        meant = [known for known in self.slots if known == event]  # a string is equal to the event of that name
        return f" Or did you mean {meant[0]!r}, which is no string?" if meant else ""

    def attach(
        self, events: Iterable[AnyEvent], handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Attachment]:
        """Attach `handler` to each of `events`, or to none, behind those of the same priority."""
        attachments = []
        for event in events:
            plain(event)  # refuses what is no event, before anything is made of it
            attachment = Attachment(event, handler, args, kwargs)
            attachment.settle(how_to_call(self.slot(event), handler, args, kwargs))
            attachments.append(attachment)
        for attachment in attachments:
            self._insert(self.slots[attachment.event], attachment)
        return attachments

    def _insert(self, slot: Slot, attachment: Attachment) -> None:
        attachment.since = slot.fired
        place = len(slot.attached)
        while place and slot.attached[place - 1].priority < attachment.priority:
            place -= 1
        slot.attached = (*slot.attached[:place], attachment, *slot.attached[place:])
        slot.fire = None

    def detach(self, gone: Iterable[Attachment]) -> bool:
        """Detach each of these that is still attached, and say whether there was one."""
        found = False
        for attachment in gone:
            slot = self.slots[attachment.event]
            kept = tuple([other for other in slot.attached if other is not attachment])
            found |= len(kept) < len(slot.attached)
            slot.attached, slot.fire = kept, None
        return found

    def of_handler(self, handler: Handler, event: AnyEvent | None = None) -> list[Attachment]:
        """Return where `handler` is attached: on `event`, or anywhere."""
        slots = self.slots.values() if event is None else [self.slot(event)]
        return [a for slot in slots for a in slot.attached if _same(a.handler, handler)]

    def restart_counts(self) -> None:
        """Count firings and passes from zero, as every new run does."""
        for slot in self.slots.values():
            slot.fired = 0
            for attachment in slot.attached:
                attachment.passed = attachment.since = attachment.value = 0

    def sharing_handlers(self) -> Registry:
        """Return a copy that has the same handlers, and counts on its own from here."""
        copy = Registry(self._counters)
        copy.has_callbacks, copy.has_moves, copy.graph = self.has_callbacks, self.has_moves, self.graph
        for event, slot in self.slots.items():
            twin = copy.slots[event] = Slot(event, slot.counter, slot.payload, slot.callback)
            twin.fired, twin.moves = slot.fired, slot.moves
            twin.attached = tuple(_twin(attachment) for attachment in slot.attached)
        return copy


def _ends(key: Key) -> tuple[Event | Scope, ...]:
    return key.ends if isinstance(key, Edge) else (key.of,) if isinstance(key, Exit) else ()


def _twin(attachment: Attachment) -> Attachment:
    twin = Attachment(attachment.event, attachment.handler, attachment.args, attachment.kwargs)
    twin.filter, twin.priority = attachment.filter, attachment.priority
    twin.passed, twin.since, twin.value = attachment.passed, attachment.since, attachment.value
    twin.settle(attachment.gives)
    return twin


def _same(one: Handler, other: Handler) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # a handler whose == is not about being equal, such as one that compares elementwise
        return False


def how_to_call(slot: Slot, handler: Handler, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[bool, bool]:
    """Find out what `handler` takes before its own arguments: (the engine, the event's payload).

    The engine is given where there is room for it, and so is a payload of keywords. A positional payload is
    always given: whoever listens to EXCEPTION_RAISED has to take the exception.

    Raises:
        TypeError: if `handler` cannot be called at all.
        ValueError: if it cannot be called with what it would get, or is given what the event hands over.
    """
    if not callable(handler):
        raise TypeError(
            f"a handler of {slot.event} has to be callable, got {handler!r}. "
            f"If it has an attach method, call that: handler.attach(engine)."
        )
    positional, keywords = slot.payload.positional, slot.payload.keywords
    twice = [name for name in kwargs if name in keywords]
    if twice:
        raise ValueError(f"{slot.event} hands {twice[0]} over itself. Leave it out, or give it another name.")
    simple = None if positional or keywords or args or kwargs else _room(handler)
    if simple is not None:
        return _simple_call(slot, handler, simple)
    try:
        signature = inspect.signature(handler)
    except (ValueError, TypeError):  # some built-in functions, and mocks of a function, do not tell
        return (True, True)
    payloads = (True, False) if keywords else (True,)
    for payload, engine in [(payload, engine) for payload in payloads for engine in (True, False)]:
        first = ("engine",) * engine + (positional if payload else ())
        try:
            signature.bind(*first, *args, **{**kwargs, **(keywords if payload else {})})
        except TypeError:
            continue
        return (engine, payload)
    raise _cannot_call(slot, handler, list(signature.parameters), args, kwargs)


def _room(handler: Handler) -> tuple[int, float] | None:
    """Return how many positional arguments a plain function needs and takes, None if it is no plain function."""
    if type(handler) is not FunctionType or "__wrapped__" in handler.__dict__ or "__signature__" in handler.__dict__:
        return None
    code = handler.__code__
    if code.co_kwonlyargcount and len(handler.__kwdefaults__ or ()) < code.co_kwonlyargcount:
        return None
    needed = code.co_argcount - len(handler.__defaults__ or ())
    return needed, float("inf") if code.co_flags & inspect.CO_VARARGS else code.co_argcount


def _simple_call(slot: Slot, handler: Handler, room: tuple[int, float]) -> tuple[bool, bool]:
    needed, taken = room
    if needed <= 1 <= taken:
        return (True, True)
    if needed == 0:
        return (False, True)
    raise _cannot_call(slot, handler, list(inspect.signature(handler).parameters), (), {})


def _cannot_call(
    slot: Slot, handler: Handler, parameters: list[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> ValueError:
    payload = [f"the event's {text.rpartition('.')[2]}" for text in slot.payload.positional]
    given = ", ".join(
        ["the engine, if it takes one", *payload, *map(repr, args), *(f"{k}={kwargs[k]!r}" for k in kwargs)]
    )
    return ValueError(
        f"Error adding {getattr(handler, '__qualname__', handler)!r} to {slot.event}: takes parameters {parameters} "
        f"but will be called with ({given}). Give the missing ones to add_event_handler behind the handler."
    )


class RemovableEventHandle:
    """Takes back what `Engine.add_event_handler` did, by `remove()` or as a context manager.

    It keeps neither the handler nor the engine alive. Entering returns the handle and attaches nothing, leaving
    removes; both may happen again and again.
    """

    def __init__(
        self,
        event_name: AnyEvent | EventsList,
        handler: Handler,
        engine: EventDispatcher,
        attachments: Sequence[Attachment] | None = None,
    ) -> None:
        self.event_name = event_name
        self.handler: Callable[[], Handler | None] = _weak(handler)
        self.engine: Callable[[], EventDispatcher | None] = weakref.ref(engine)
        if attachments is None:
            events = event_name if isinstance(event_name, EventsList) else [event_name]
            attachments = [a for event in events for a in engine._registry.of_handler(handler, event)]
        self._attachments = [weakref.ref(attachment) for attachment in attachments]

    def remove(self) -> None:
        """Detach what was attached; nothing happens if it is gone already, or the engine is."""
        engine = self.engine()
        gone = [attachment for ref in self._attachments if (attachment := ref()) is not None]
        if engine is not None and gone:
            engine._detach(gone)

    def __enter__(self) -> RemovableEventHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _weak(handler: Handler) -> Callable[[], Handler | None]:
    try:
        return weakref.WeakMethod(handler) if inspect.ismethod(handler) else weakref.ref(handler)
    except TypeError:  # some objects, such as those with slots, cannot be referred to weakly
        return lambda: None
