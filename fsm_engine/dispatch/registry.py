"""`Registry`: the events that an engine knows, and the handlers attached to them."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.dispatch.entries import EventEntry, Handler, HandlerEntry, Key
from fsm_engine.dispatch.signatures import handler_arguments
from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, Event, EventEnum, name_of, without_filter
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Payload
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import similar_phases
from fsm_engine.lifecycle.step_events import maker_hint

_MOVE = Payload(keywords={"transition": "transition"})


class Registry:
    """The events that an engine knows and the handlers attached to them.

    Attaching inspects the signature of the handler once; calling it inspects nothing.

    Attributes:
        entries: the event entries by event, edge or exit.
        has_callback_events: True if an event is registered that is not a phase.
        has_move_handlers: True once an edge or an exit has an entry.
        has_filters: True once a handler with a filter was attached.
        graph: the graph whose phases are registered.
        version: another object after each change of handlers, and when the engine has other observers or another graph.
    """

    def __init__(self, counters: Mapping[Event, str]) -> None:
        self.entries: dict[Key, EventEntry] = {}
        self.has_callback_events = False
        self.has_move_handlers = False
        self.has_filters = False
        self.graph: Graph | None = None
        self.version = object()
        self._filtered: tuple[object, list[HandlerEntry]] = (None, [])
        self._counters = counters
        self._by_name: dict[str, list[Event]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # The lifecycle holds the graph, and passes it to adopt_graph again.
        return {**vars(self), "graph": None, "_filtered": (None, [])}

    def adopt_graph(self, graph: Graph) -> None:
        """Register the phases of `graph`. Events keep their handlers, and former phases become callback events.

        Raises:
            ValueError: a handler cannot be called with the new payload of its event; the registry is then unchanged.
        """
        changed = self._changed_arguments(graph)
        removed = [] if self.graph is None else [p.event for p in self.graph.phases[1:] if p.event not in graph.index]
        for event in removed:
            self.entries[event].callback_event, self.entries[event].is_fired_phase = event, False
            self.has_callback_events = True
        for number, phase in enumerate(graph.phases[1:], 1):
            event = phase.event
            if event not in self.entries:
                self._add_entry(event, EventEntry(event, None, phase.payload))
            entry = self.entries[event]
            counter = phase.counter or self._counters.get(event) or entry.counter
            if (counter, phase.payload) != (entry.counter, entry.payload):
                entry.counter, entry.payload, entry.fire = counter, phase.payload, None
            entry.callback_event, entry.is_fired_phase = None, number in graph.fired_phases
        for handler_entry, arguments in changed:
            handler_entry.set_arguments(arguments)
        self.graph = graph

    def _changed_arguments(self, graph: Graph) -> list[tuple[HandlerEntry, tuple[bool, bool]]]:
        """Return the new arguments of the handlers whose phase has another payload in `graph`."""
        changed: list[tuple[HandlerEntry, tuple[bool, bool]]] = []
        new_by_name: defaultdict[str, list[Event]] = defaultdict(list)
        for phase in graph.phases[1:]:
            entry = self.entries.get(phase.event)
            if entry is None:
                new = new_by_name[name_of(phase.event)]
                self._warn_same_name(phase.event, new)
                new.append(phase.event)
            elif entry.payload != phase.payload:
                with_payload = EventEntry(phase.event, None, phase.payload)
                changed += [(h, handler_arguments(with_payload, h.handler, h.args, h.kwargs)) for h in entry.handlers]
        return changed

    def register(self, event: Event, counter: str | None) -> None:
        """Register `event` as a callback event; `counter` is the state attribute in which the user counts it.

        An event that is registered already keeps its handlers and counts; only its counter may change.
        """
        known = self.entries.get(event)
        if known is not None:
            known.counter, known.fire = counter or known.counter, None
            return
        self._warn_same_name(event)
        self._add_entry(event, EventEntry(event, counter, Payload(), callback_event=event))
        self.has_callback_events = True

    def _add_entry(self, event: Event, entry: EventEntry) -> None:
        self.entries[event] = entry
        self._by_name.setdefault(name_of(event), []).append(event)

    def _warn_same_name(self, event: Event, new: Iterable[Event] = ()) -> None:
        for other in (*self._by_name.get(name_of(event), ()), *new):
            warnings.warn(
                f"{event!r} has the same name as {other!r} but is a different event: firing one does not call the "
                f"handlers of the other. Rename it unless you want two events.",
                stacklevel=4,
            )

    def is_registered(self, event: AnyEvent) -> bool:
        """Return True if `event` is registered, or is an edge or exit of the lifecycle.

        Raises:
            TypeError: `event` is not an event.
        """
        key = without_filter(event)
        return key in self.entries or (isinstance(key, (Edge, Exit)) and self._move_error(key) is None)

    def has_handlers(self, events: Iterable[AnyEvent]) -> bool:
        """Return True if one of `events`, its exit, or an edge from or to it has a handler."""
        wanted = {without_filter(event) for event in events}
        entries = list(self.entries.items())  # an atomic copy
        return any(entry.attached and not wanted.isdisjoint((key, *_ends(key))) for key, entry in entries)

    def entry(self, event: AnyEvent) -> EventEntry:
        """Return the entry of `event`; create it for an edge or an exit that has none yet.

        Raises:
            ValueError: `event` is not registered.
            TypeError: `event` is not an event.
        """
        key = without_filter(event)
        if key in self.entries:
            return self.entries[key]
        if isinstance(key, (Edge, Exit)):
            return self._entry_of_move(key)
        raise ValueError(
            f"{event!r} is not a valid event for this Engine.{self._suggestion(event)} Registered events: "
            f"{', '.join(str(known) for known in self.entries if not isinstance(known, (Edge, Exit)))}. "
            f"For an event of your own, first call engine.register_events({event!r})."
        )

    def _entry_of_move(self, move: Edge | Exit) -> EventEntry:
        message = self._move_error(move)
        if message is not None:
            raise ValueError(message)
        self.has_move_handlers = True
        entry = self.entries[move] = EventEntry(move, None, _MOVE)
        return entry

    def _move_error(self, move: Edge | Exit) -> str | None:
        assert self.graph is not None
        graph = self.graph
        for end in _ends(move):
            if isinstance(end, Scope):
                if not any(end.contains(phase.scope) for phase in graph.phases):
                    return f"{move} names the scope {end}, but the lifecycle has no phase in it."
            elif end not in graph.index:
                callback = " It is a callback event; add_path turns it into a phase." if end in self.entries else ""
                return (
                    f"{move} names {end}, which is not a phase of the lifecycle."
                    f"{callback or similar_phases(name_of(end), graph.phases)} "
                    f"The phases are {', '.join(graph.by_name)}."
                )
        if isinstance(move, Exit) or graph.has_edge(move.source, move.target):
            return None
        targets = {str(getattr(t.target, "name", t.target)) for t in graph.exits_from(move.source)}
        return (
            f"the lifecycle has no edge {move}. Edges from {getattr(move.source, 'name', move.source)} lead to "
            f"{', '.join(sorted(targets)) or 'no phase'}. Add the edge with lifecycle.add_transition({move})."
        )

    def _suggestion(self, event: AnyEvent) -> str:
        same = [known for known in self.entries if known == event]  # a string is equal to the event of that name
        if same:
            return f" Did you mean {same[0]!r} instead of the string?"
        phases = [] if self.graph is None else [p.event for p in self.graph.phases if type(p.event) is type(event)]
        if isinstance(event, EventEnum) and phases:
            return f" Other events of {type(event).__name__} are phases of this lifecycle, but it has no {event.name}."
        if not isinstance(event, str):
            return maker_hint(event)
        return did_you_mean(event, {name: repr(events[0]) for name, events in self._by_name.items()})

    def attach(
        self, events: Iterable[AnyEvent], handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[HandlerEntry]:
        """Attach `handler` to each of `events`, after the handlers of equal or higher priority.

        It is attached to all of them, or to none if one raises.

        Raises:
            ValueError: an event is not registered, or `handler` cannot be called with its payload and the arguments.
            TypeError: an event is not an event, or `handler` is not callable.
        """
        handler_entries = []
        for event in events:
            entry = self.entry(event)
            handler_entry = HandlerEntry(event, entry.event, handler, args, kwargs)
            handler_entry.set_arguments(handler_arguments(entry, handler, args, kwargs))
            handler_entries.append(handler_entry)
        self.version = object()  # before and after the change, which an exception may cut short
        for handler_entry in handler_entries:
            entry = self.entries[handler_entry.event]
            if handler_entry.filter is not None:
                self.has_filters = True
            handler_entry.count_when_attached = entry.fire_count
            entry.fire = None
            entry.attached[handler_entry] = None
            entry.fire = None
        self.version = object()
        return handler_entries

    def detach(self, handler_entries: Iterable[HandlerEntry]) -> bool:
        """Detach every entry that is still attached, and return True if there was one."""
        found = False
        self.version = object()
        for handler_entry in handler_entries:
            entry = self.entries[handler_entry.event]
            entry.fire = None
            found |= entry.attached.pop(handler_entry, self) is None
            entry.fire = None
        self.version = object()
        return found

    def entries_of(self, handler: Handler, event: AnyEvent | None = None) -> list[HandlerEntry]:
        """Return the entries of `handler`: on `event`, or on any event if none is given."""
        entries = list(self.entries.values()) if event is None else [self.entry(event)]
        return [found for entry in entries for found in entry.handlers if _same(found.handler, handler)]

    def filtered(self) -> list[HandlerEntry]:
        """Return the handler entries that have a filter. The list is made again after each change of handlers."""
        if not self.has_filters:
            return []
        version, filtered = self._filtered
        if version is not self.version:
            version = self.version  # before the handlers are read, as in `program_for`
            attached = [list(entry.attached) for entry in list(self.entries.values()) if entry.attached]
            filtered = [handler_entry for entries in attached for handler_entry in entries if handler_entry.filter]
            self._filtered = version, filtered
        return filtered

    def restart_counts(self) -> None:
        """Reset the counts of firings and of filter passes, as every new run does."""
        for entry in list(self.entries.values()):
            entry.fire_count = 0
            if entry.attached:
                for handler_entry in list(entry.attached):
                    handler_entry.pass_count = handler_entry.count_when_attached = handler_entry.last_value = 0

    def copy_with_handlers(self) -> Registry:
        """Return a copy with the same handlers, whose counts and later handlers are its own."""
        twin = copy.copy(self)
        twin.graph, twin.version = self.graph, object()
        twin.entries = {event: _copy(entry) for event, entry in self.entries.items()}
        twin._by_name = {name: list(events) for name, events in self._by_name.items()}
        return twin


def _ends(key: Key) -> tuple[Event | Scope, ...]:
    return key.ends if isinstance(key, Edge) else (key.of,) if isinstance(key, Exit) else ()


def _copy(entry: EventEntry) -> EventEntry:
    twin = copy.copy(entry)
    twin.attached = {copy.copy(handler_entry): None for handler_entry in list(entry.attached)}
    for handler_entry in twin.attached:
        handler_entry.has_warned = False
    return twin


def _same(one: Handler, other: Handler) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # the == of some handlers has no truth value: arrays compare element by element
        return False
