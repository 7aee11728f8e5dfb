"""Replays a recorded timeline on the page of the inspector."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ClassVar

from fsm_engine.inspector.hub import Client, Hub
from fsm_engine.inspector.look import finite
from fsm_engine.inspector.server import Server
from fsm_engine.inspector.value_history import Point
from fsm_engine.render.inspector_page import track_picture
from fsm_engine.render.timeline.engine_records import EngineRecord, engine_records
from fsm_engine.render.timeline.page import describe_kind
from fsm_engine.timeline.columns import MoveColumns, counter_columns, move_columns, span_columns
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Track

MOST = 100_000
"""The most moves, and the most handler calls, of an engine that a page gets. It gets the last ones."""

_CHUNK, _MOST_POINTS, _MOST_PAUSES = 5000, 2000, 1000
_REASON = "This is a recorded run."


class ReplayHub(Hub):
    """Sends a recorded timeline to each page."""

    mode: ClassVar[str] = "replay"

    def __init__(self, timeline: Timeline, title: str) -> None:
        super().__init__(read_only=True)
        self._messages = list(map(json.dumps, _messages(timeline, title, self.session)))

    async def run(self) -> None:
        """Wait until this task is cancelled."""
        self.is_started.set()
        await asyncio.Event().wait()

    def connect(self, client: Client) -> None:
        """Add a page, and send the whole timeline."""
        self.clients.add(client)
        for message in self._messages:
            client.queue.put_nowait(message)


@contextmanager
def serve_replay(timeline: Timeline, title: str, port: int = 0) -> Iterator[Server]:
    """Serve a page that plays `timeline` over its lifecycle, in a ``with`` block that gets the server.

    Raises:
        ValueError: no run was recorded. See `Server` for further exceptions.
    """
    server = Server(ReplayHub(timeline, title), "127.0.0.1", port, None)
    try:
        yield server
    finally:
        server.close()


def _messages(timeline: Timeline, title: str, session: str) -> Iterator[dict[str, Any]]:
    records = engine_records(timeline)
    tracks = [timeline.tracks[record.number] for record in records]
    origin = min(min(move_columns(track).times) for track in tracks)
    yield {
        "type": "hello",
        "protocol": 1,
        "session": session,
        "mode": ReplayHub.mode,
        "readOnly": True,
        "title": title,
        "process": title,
        "engines": [_describe(record, track) for record, track in zip(records, tracks)],
        "offers": [],
        "breakpoints": [],
        "canPause": _REASON,
        "canSave": _REASON,
        "wall": (origin + timeline.wall) / 1e6,
    }
    for record, track in zip(records, tracks):
        yield from _records(record.number, track, origin)
    if timeline.counters:
        moves = move_columns(tracks[0])
        points = {name: _points(counter, moves, origin) for name, counter in timeline.counters.items()}
        yield {"type": "update", "now": 0, "warnings": [], "engines": [{"id": records[0].number, "values": points}]}
    yield {"type": "end"}


def _points(counter: Ring, moves: MoveColumns, origin: int) -> list[Point]:
    """Return the last values of a counter, each with the iteration at its time."""
    times, values = counter_columns(counter)
    rows = list(zip(times, values))[-_MOST_POINTS:]
    places = [min(bisect_right(moves.times, time), len(moves.times) - 1) for time, _ in rows]
    return [(moves.iterations[place], finite(value), time - origin) for place, (time, value) in zip(places, rows)]


def _describe(record: EngineRecord, track: Track) -> dict[str, Any]:
    picture = track_picture(track)
    return {
        "id": record.number,
        "name": record.name,
        "heading": record.heading,
        "parent": record.parent,
        "svg": picture["svg"],
        "phases": [{**phase, "node": phase["nodes"][0], "canStop": False} for phase in picture["phases"]],
        "edges": [
            {"source": kind.source, "target": kind.target, "label": kind.label}
            for kind in track.kinds
            if kind.is_transition
        ],
        "kinds": [describe_kind(kind) for kind in track.kinds],
        "handlers": [asdict(handler) for handler in track.handlers],
        "canPause": _REASON,
        "canSave": _REASON,
    }


def _records(number: int, track: Track, origin: int) -> Iterator[dict[str, Any]]:
    """Yield updates with the moves and the calls of one engine."""
    columns, calls = move_columns(track), span_columns(track)
    first, first_call = max(len(columns.times) - MOST, 0), max(len(calls.starts) - MOST, 0)
    moves = [[time - origin, *rest] for time, *rest in zip(*(column[first:] for column in columns))]
    spans = [
        [start - origin, end - start, *rest] for start, end, *rest in zip(*(column[first_call:] for column in calls))
    ]
    dropped, pauses = track.dropped, [[start - origin, end - origin] for start, end in track.pauses[-_MOST_PAUSES:]]
    left_out = {"moves": dropped[0] + first, "spans": dropped[1] + first_call}
    for at in range(0, max(len(moves), len(spans)), _CHUNK):
        part = {
            "moves": moves[at : at + _CHUNK],
            "spans": spans[at : at + _CHUNK],
            "leftOut": left_out,
            "pauses": pauses,
        }
        yield {"type": "update", "now": moves[-1][0], "warnings": [], "engines": [{"id": number, **part}]}
