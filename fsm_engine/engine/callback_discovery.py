"""Discovery: where callback events are fired, seen in a run; what the lifecycle does not say itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine._util.tables import align
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Event, EventEnum, name_of
from fsm_engine.events.priorities import FIRST

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher


class Discovery:
    """Collects the moves from event to event in which a callback event takes part.

    A context manager; while it is entered, every event of the engine has one handler more.

    Attributes:
        moves: how often each move was seen, by its edge, in the order in which they were seen first.
    """

    def __init__(self, engine: EventDispatcher) -> None:
        self._engine = engine
        self._handles: list[RemovableEventHandle] = []
        self._last: Event | None = None
        self.moves: dict[Edge, int] = {}

    def __enter__(self) -> Discovery:
        engine = self._engine
        self.moves = engine.lifecycle.discovered
        for event in [key for key in engine._entries if isinstance(key, (EventEnum, str))]:
            if isinstance(event, EventEnum):
                self._handles.append(engine.add_event_handler(event(priority=FIRST), self._note_move, event))
            else:
                self._handles.append(engine.add_event_handler(event, self._note_move, event))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._last = [], None

    def _note_move(self, engine: EventDispatcher, event: Event) -> None:
        before, self._last = self._last, event
        entries = engine._entries
        if before is not None and (
            entries[before].callback_event is not None or entries[event].callback_event is not None
        ):
            edge = Edge(before, event)
            self.moves[edge] = self.moves.get(edge, 0) + 1

    def __str__(self) -> str:
        if not self.moves:
            return "no callback event was fired"
        edges = [(name_of(edge.source), name_of(edge.target)) for edge in self.moves]  # type: ignore[arg-type]
        counts = map(str, self.moves.values())
        return "\n".join(align(list(zip(align(edges, between=" -> "), counts)), left=1))
