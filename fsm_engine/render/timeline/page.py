"""A timeline as a self-contained web page with zoom, search and summary."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fsm_engine.render.layout import lay_out
from fsm_engine.render.page import page_theme, standalone_page
from fsm_engine.render.svg import to_svg
from fsm_engine.render.themes import THEMES, Theme
from fsm_engine.render.timeline.engine_records import engine_records
from fsm_engine.render.timeline.packed_columns import pack_columns
from fsm_engine.render.timeline.visited_diagram import visited_diagram
from fsm_engine.timeline.columns import MoveColumns, SpanColumns, counter_columns, move_columns, span_columns
from fsm_engine.timeline.summary import DurationStats, TrackSummary
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import MoveKind, Track
from fsm_engine.timeline.visits import category

_CHART = ("times", "read", "lane", "tracks", "chart", "gestures", "details", "pointing")
_PARTS = (*_CHART, "range", "search", "panel", "main")
SCRIPTS = ("dom.js", "mode.js", "tabs.js", "listbox.js", *(f"timeline/{name}.js" for name in _PARTS))
"""The parts of the script, each after the parts that it uses."""

STYLES = ("page.css", "timeline/chart.css", "timeline/page.css")


def timeline_page(timeline: Timeline, title: str, theme: Theme = THEMES["auto"]) -> str:
    """Return a page with the whole record. See `render.page.lifecycle_page` for escaping and themes.

    Raises:
        ValueError: no run was recorded.
    """
    engines = engine_records(timeline)
    tracks = [timeline.tracks[engine.number] for engine in engines]
    columns = [(move_columns(track), span_columns(track), _wait_columns(track)) for track in tracks]
    counters = list(map(counter_columns, timeline.counters.values()))
    summaries = timeline.summary().tracks
    pictures = [_picture(track, summaries[engine.number]) for track, engine in zip(tracks, engines)]
    distinct = list(dict.fromkeys(pictures))
    start = min(min(moves.times) for moves, *_ in columns)
    packed = pack_columns(_numbers(columns, counters, start))
    data = {
        "wall": (start + timeline.wall) / 1e6,
        "dropped": timeline.dropped,
        "notes": timeline.rank_notes,
        "shapes": packed.shapes,
        "tracks": [
            {
                "heading": engine.heading,
                "rank": engine.rank,
                "picture": distinct.index(picture),
                "leftOut": str(track.sampling or ""),
            }
            | _names(track)
            | _summary(summaries[engine.number])
            for engine, track, picture in zip(engines, tracks, pictures)
        ],
        "counters": list(timeline.counters),
    }
    parts = {"pictures": "\n".join(distinct), "data": packed.text}
    return standalone_page("timeline/page.html", STYLES, SCRIPTS, data, title, theme, **parts)


def _picture(track: Track, summary: TrackSummary) -> str:
    return to_svg(lay_out(visited_diagram(track, summary.phases)), page_theme())


def _numbers(
    columns: Sequence[tuple[MoveColumns, SpanColumns, SpanColumns]],
    counters: Sequence[tuple[array[int], array[float]]],
    start: int,
) -> Iterator[array[int] | array[float]]:
    """Yield all columns, with times relative to `start`, and the durations of spans instead of their ends."""
    for moves, calls, waits in columns:
        yield from moves._replace(times=_relative(moves.times, start))
        for spans in (calls, waits) if waits.starts else (calls,):
            durations = array("q", (end - begin for begin, end in zip(spans.starts, spans.ends)))
            yield from spans._replace(starts=_relative(spans.starts, start), ends=durations)
    for times, values in counters:
        yield from (_relative(times, start), values)


def _wait_columns(track: Track) -> SpanColumns:
    rows = [] if track.waits is None else list(track.waits.ring)
    return SpanColumns(*(array("q", (row[field] for row in rows)) for field in range(len(SpanColumns._fields))))


def _relative(times: array[int], start: int) -> array[int]:
    return array("q", (time - start for time in times))


def _names(track: Track) -> dict[str, Any]:
    waits = [] if track.waits is None else track.waits.names
    kinds, handlers = list(map(describe_kind, track.kinds)), list(map(asdict, track.handlers))
    return {"kinds": kinds, "handlers": handlers, "waits": waits}


def describe_kind(kind: MoveKind) -> dict[str, Any]:
    """Return a kind of moves as the script of the page reads it."""
    return {
        "source": kind.source,
        "label": kind.label,
        "target": kind.target,
        "scopes": kind.target_scopes,
        "category": category(kind),
        "isTransition": kind.is_transition,
        "startsVisit": kind.starts_visit,
        "startsRun": kind.trigger == "run",
    }


def _summary(summary: TrackSummary) -> dict[str, Any]:
    tables = {"phases": summary.phases, "transitions": summary.transitions, "handlers": summary.handlers}
    spent = {"data": summary.data, "step": summary.step, "handlers": summary.in_handlers, "other": summary.other}
    return {
        "total": summary.total,
        "spent": spent,
        "waiting": summary.waits,
        "tables": {name: _rows(stats) for name, stats in tables.items()},
    }


def _rows(stats: Mapping[str, DurationStats]) -> list[dict[str, Any]]:
    """Return the rows of a table, greatest share first."""
    ordered = sorted(stats.items(), key=lambda item: (-item[1].share, -item[1].total))
    return [{"name": name, "mean": one.mean, **asdict(one)} for name, one in ordered]
