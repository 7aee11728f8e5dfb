"""`Discovery`: records where a run fires callback events, which the graph does not contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine._util.tables import align
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Event, name_of
from fsm_engine.events.priorities import FIRST

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


class Discovery:
    """A context manager that collects the moves between events that a callback event is part of.

    Inside the block, each event of the engine has one more handler.

    Attributes:
        moves: the number of times that each move was seen, by its edge, in the order of their first occurrence.
    """

    def __init__(self, engine: EventDispatcher) -> None:
        self._engine = engine
        self._handles: list[RemovableEventHandle] = []
        self._last: Event | None = None
        self.moves: dict[Edge, int] = {}

    def __enter__(self) -> Discovery:
        engine = self._engine
        self.moves = engine.lifecycle.discovered
        for event in engine.registered_events:
            called_first = event if isinstance(event, str) else event(priority=FIRST)
            self._handles.append(engine.add_event_handler(called_first, self._note_move, event))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._last = [], None

    def _note_move(self, engine: EventDispatcher, event: Event) -> None:
        previous, self._last = self._last, event
        if previous is None:
            return
        if any(engine._entries[end].callback_event is not None for end in (previous, event)):
            edge = Edge(previous, event)
            self.moves[edge] = self.moves.get(edge, 0) + 1

    def __str__(self) -> str:
        if not self.moves:
            return "no callback event was fired"
        edges = [(name_of(edge.source), name_of(edge.target)) for edge in self.moves]  # type: ignore[arg-type]
        counts = map(str, self.moves.values())
        return "\n".join(align(list(zip(align(edges, between=" -> "), counts)), left=1))
