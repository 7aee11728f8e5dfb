"""Which handlers are attached to which events, in which order, and how each is called."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine.dispatch.entries import Attachment, Handler, Key, EventEntry
from fsm_engine.dispatch.signatures import how_to_call
from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, Event, name_of, plain
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph, Payload

if TYPE_CHECKING:
    pass


_MOVE = Payload(keywords={"transition": "transition"})


class Registry:
    """The events that an engine knows and the handlers attached to them.

    Cost: attaching looks at the handler's signature once; nothing is looked at when it is called.
    """

    def __init__(self, counters: Mapping[Event, str]) -> None:
        self.slots: dict[Key, EventEntry] = {}
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
                self.slots[event] = EventEntry(event, None, phase.payload)
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
                then = EventEntry(phase.event, None, phase.payload)
                calls += [(a, how_to_call(then, a.handler, a.args, a.kwargs)) for a in slot.attached]
        return calls

    def register(self, event: Event, counter: str | None) -> None:
        """Make `event` known as a callback event, with the attribute that the user counts it in."""
        known = self.slots.get(event)
        if known is not None:
            known.counter, known.fire = counter or known.counter, None
            return
        self._warn_of_namesakes(event, self.slots)
        self.slots[event] = EventEntry(event, counter, Payload(), callback=event)
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

    def slot(self, event: AnyEvent) -> EventEntry:
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

    def _slot_of_move(self, move: Edge | Exit) -> EventEntry:
        wrong = self._wrong_with(move)
        if wrong is not None:
            raise ValueError(wrong)
        self.has_moves = True
        slot = self.slots[move] = EventEntry(move, None, _MOVE)
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

    def _insert(self, slot: EventEntry, attachment: Attachment) -> None:
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
            twin = copy.slots[event] = EventEntry(event, slot.counter, slot.payload, slot.callback)
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
