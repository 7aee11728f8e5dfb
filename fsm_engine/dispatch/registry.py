"""Which handlers are attached to which events, in which order, and how each is called."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import EventEntry, Handler, HandlerEntry, Key
from fsm_engine.dispatch.signatures import handler_arguments
from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, Event, name_of, without_filter
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Payload
from fsm_engine.graph.graph import Graph

if TYPE_CHECKING:
    pass


_MOVE = Payload(keywords={"transition": "transition"})


class Registry:
    """The events that an engine knows and the handlers attached to them.

    Cost: attaching looks at the handler's signature once; nothing is looked at when it is called.
    """

    def __init__(self, counters: Mapping[Event, str]) -> None:
        self.entries: dict[Key, EventEntry] = {}
        self.has_callback_events = False  # whether an event may be fired that is no phase
        self.has_move_handlers = False  # whether a handler was attached to an edge or an exit
        self.graph: Graph | None = None
        self._counters = counters

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "graph": None}  # the lifecycle has it, and makes it known again

    def adopt_graph(self, graph: Graph) -> None:
        """Make the phases of `graph` known; handlers attached to them already stay.

        Raises:
            ValueError: if one of those cannot be called with what its event hands over now; nothing is changed then.
        """
        calls = self._changed_arguments(graph)
        gone = [] if self.graph is None else [p.event for p in self.graph.phases[1:] if p.event not in graph.index]
        for event in gone:
            self.entries[event].callback_event, self.entries[event].is_fired_phase = event, False
            self.has_callback_events = True
        for number, phase in enumerate(graph.phases[1:], 1):
            event = phase.event
            if event not in self.entries:
                self.entries[event] = EventEntry(event, None, phase.payload)
            entry = self.entries[event]
            counter = phase.counter or self._counters.get(event) or entry.counter
            if (counter, phase.payload) != (entry.counter, entry.payload):
                entry.counter, entry.payload, entry.fire = counter, phase.payload, None
            entry.callback_event, entry.is_fired_phase = None, number in graph.fired_phases
        for handler_entry, gives in calls:
            handler_entry.set_arguments(gives)
        self.graph = graph

    def _changed_arguments(self, graph: Graph) -> list[tuple[HandlerEntry, tuple[bool, bool]]]:
        """Return how the handlers are called whose phase hands over something else in `graph` than now."""
        calls: list[tuple[HandlerEntry, tuple[bool, bool]]] = []
        known = list(self.entries)
        for phase in graph.phases[1:]:
            entry = self.entries.get(phase.event)
            if entry is None:
                self._warn_same_name(phase.event, known)
                known.append(phase.event)
            elif entry.payload != phase.payload:
                then = EventEntry(phase.event, None, phase.payload)
                calls += [(a, handler_arguments(then, a.handler, a.args, a.kwargs)) for a in entry.handlers]
        return calls

    def register(self, event: Event, counter: str | None) -> None:
        """Make `event` known as a callback event, with the attribute that the user counts it in."""
        known = self.entries.get(event)
        if known is not None:
            known.counter, known.fire = counter or known.counter, None
            return
        self._warn_same_name(event, self.entries)
        self.entries[event] = EventEntry(event, counter, Payload(), callback=event)
        self.has_callback_events = True

    def _warn_same_name(self, event: Event, known: Iterable[Any]) -> None:
        for other in known:
            if not isinstance(other, (Edge, Exit)) and name_of(other) == name_of(event):
                warnings.warn(
                    f"{event!r} has the name of {other!r}, but is another event: handlers of one are not called "
                    f"when the other is fired. Give it another name if that is not what you want.",
                    stacklevel=4,
                )

    def is_registered(self, event: AnyEvent) -> bool:
        """Say whether `event` is registered.

        Raises:
            TypeError: if it is no event at all.
        """
        key = without_filter(event)
        return key in self.entries or (isinstance(key, (Edge, Exit)) and self._move_error(key) is None)

    def has_handlers(self, events: Iterable[AnyEvent]) -> bool:
        """Say whether handlers are attached to one of `events`, to its exit, or to an edge from or to it."""
        wanted = {without_filter(event) for event in events}
        heard = (key for key, entry in self.entries.items() if entry.handlers)
        return any(not wanted.isdisjoint((key, *_ends(key))) for key in heard)

    def entry(self, event: AnyEvent) -> EventEntry:
        """Return what is kept of `event`.

        Raises:
            ValueError: if it is not registered.
            TypeError: if it is no event at all.
        """
        key = without_filter(event)
        if key in self.entries:
            return self.entries[key]
        if isinstance(key, (Edge, Exit)):
            return self._entry_of_move(key)
        raise ValueError(
            f"{event!r} is not a valid event for this Engine. It knows "
            f"{', '.join(str(known) for known in self.entries if not isinstance(known, (Edge, Exit)))}. "
            f"Register others with engine.register_events({event!r})." + self._suggestion(event)
        )

    def _entry_of_move(self, move: Edge | Exit) -> EventEntry:
        wrong = self._move_error(move)
        if wrong is not None:
            raise ValueError(wrong)
        self.has_move_handlers = True
        entry = self.entries[move] = EventEntry(move, None, _MOVE)
        return entry

    def _move_error(self, move: Edge | Exit) -> str | None:
        assert self.graph is not None
        graph = self.graph
        for end in _ends(move):
            if isinstance(end, Scope):
                if not any(end.contains(phase.scope) for phase in graph.phases):
                    return f"{move} names the scope {end}, in which the lifecycle has no phase."
            elif end not in graph.index:
                callback = " It is a callback event, which add_path makes a phase." if end in self.entries else ""
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

    def _suggestion(self, event: AnyEvent) -> str:
        meant = [known for known in self.entries if known == event]  # a string is equal to the event of that name
        return f" Or did you mean {meant[0]!r}, which is no string?" if meant else ""

    def attach(
        self, events: Iterable[AnyEvent], handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[HandlerEntry]:
        """Attach `handler` to each of `events`, or to none, behind those of the same priority."""
        handler_entries = []
        for event in events:
            without_filter(event)  # refuses what is no event, before anything is made of it
            handler_entry = HandlerEntry(event, handler, args, kwargs)
            handler_entry.set_arguments(handler_arguments(self.entry(event), handler, args, kwargs))
            handler_entries.append(handler_entry)
        for handler_entry in handler_entries:
            self._insert(self.entries[handler_entry.event], handler_entry)
        return handler_entries

    def _insert(self, entry: EventEntry, handler_entry: HandlerEntry) -> None:
        handler_entry.count_when_attached = entry.fire_count
        place = len(entry.handlers)
        while place and entry.handlers[place - 1].priority < handler_entry.priority:
            place -= 1
        entry.handlers = (*entry.handlers[:place], handler_entry, *entry.handlers[place:])
        entry.fire = None

    def detach(self, gone: Iterable[HandlerEntry]) -> bool:
        """Detach each of these that is still attached, and say whether there was one."""
        found = False
        for handler_entry in gone:
            entry = self.entries[handler_entry.event]
            kept = tuple([other for other in entry.handlers if other is not handler_entry])
            found |= len(kept) < len(entry.handlers)
            entry.handlers, entry.fire = kept, None
        return found

    def entries_of(self, handler: Handler, event: AnyEvent | None = None) -> list[HandlerEntry]:
        """Return where `handler` is attached: on `event`, or anywhere."""
        entries = self.entries.values() if event is None else [self.entry(event)]
        return [a for entry in entries for a in entry.handlers if _same(a.handler, handler)]

    def restart_counts(self) -> None:
        """Count firings and passes from zero, as every new run does."""
        for entry in self.entries.values():
            entry.fire_count = 0
            for handler_entry in entry.handlers:
                handler_entry.pass_count = handler_entry.count_when_attached = handler_entry.last_value = 0

    def copy_with_handlers(self) -> Registry:
        """Return a copy that has the same handlers, and counts on its own from here."""
        copy = Registry(self._counters)
        copy.has_callback_events, copy.has_move_handlers, copy.graph = (
            self.has_callback_events,
            self.has_move_handlers,
            self.graph,
        )
        for event, entry in self.entries.items():
            twin = copy.entries[event] = EventEntry(event, entry.counter, entry.payload, entry.callback_event)
            twin.fire_count, twin.is_fired_phase = entry.fire_count, entry.is_fired_phase
            twin.handlers = tuple(_copy(handler_entry) for handler_entry in entry.handlers)
        return copy


def _ends(key: Key) -> tuple[Event | Scope, ...]:
    return key.ends if isinstance(key, Edge) else (key.of,) if isinstance(key, Exit) else ()


def _copy(entry: HandlerEntry) -> HandlerEntry:
    copy = HandlerEntry(entry.event, entry.handler, entry.args, entry.kwargs)
    copy.filter, copy.priority = entry.filter, entry.priority
    copy.pass_count, copy.count_when_attached = entry.pass_count, entry.count_when_attached
    copy.last_value = entry.last_value
    copy.set_arguments(entry.arguments)
    return copy


def _same(one: Handler, other: Handler) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # a handler whose == is not about being equal, such as one that compares elementwise
        return False
