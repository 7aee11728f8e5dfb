"""A timeline as a web page to zoom into: lanes on a canvas, in one file that loads nothing."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fsm_engine.render.layout import lay_out
from fsm_engine.render.page import page_theme, standalone_page
from fsm_engine.render.svg import to_svg
from fsm_engine.render.themes import THEMES, Theme
from fsm_engine.render.timeline.packed import packed
from fsm_engine.render.timeline.recorded import heading, recorded
from fsm_engine.render.timeline.walked import walked
from fsm_engine.timeline.columns import Moves, Spans, moves, spans, values
from fsm_engine.timeline.summary import Account, Times
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Kind, Track
from fsm_engine.timeline.visits import spent_on

_PARTS = ("times", "read", "lane", "tracks", "chart", "hands", "search", "panel", "main")
SCRIPTS = ("dom.js", "mode.js", "listbox.js", *(f"timeline/{name}.js" for name in _PARTS))
"""The parts of the script, each after those that it uses."""


def page(timeline: Timeline, title: str, theme: Theme = THEMES["auto"]) -> str:
    """Return a page of all that was recorded. See `render.page.page` for what comes from users, and for themes.

    Raises:
        ValueError: no run was recorded.
    """
    engines = recorded(timeline)
    tracks = [timeline.tracks[engine.number] for engine in engines]
    columns = [(moves(track), spans(track)) for track in tracks]
    counters = [values(counter.ring) for counter in timeline.counters.values()]
    accounts = timeline.summary().accounts
    pictures = [_picture(track, accounts[engine.number]) for track, engine in zip(tracks, engines)]
    drawn = list(dict.fromkeys(pictures))
    start = min(min(made.times) for made, _ in columns)
    numbers = packed(_numbers(columns, counters, start))
    told = {
        "wall": (start + timeline.wall) / 1e6,
        "dropped": timeline.dropped,
        "shapes": numbers.shapes,
        "tracks": [
            {
                "heading": heading(engine),
                "picture": drawn.index(picture),
                "leftOut": str(track.sampling or ""),
            }
            | _names(track)
            | _account(accounts[engine.number])
            for engine, track, picture in zip(engines, tracks, pictures)
        ],
        "counters": list(timeline.counters),
    }
    parts = {"pictures": "\n".join(drawn), "data": numbers.text}
    return standalone_page(
        "timeline/page.html", ("page.css", "timeline/page.css"), SCRIPTS, told, title, theme, **parts
    )


def _picture(track: Track, account: Account) -> str:
    return to_svg(lay_out(walked(track, account.phases)), page_theme())


def _numbers(
    columns: Sequence[tuple[Moves, Spans]], counters: Sequence[tuple[array[int], array[float]]], start: int
) -> Iterator[array[int] | array[float]]:
    """Yield all columns, with times from `start` on, and calls of handlers with how long they took."""
    for made, called in columns:
        yield from made._replace(times=_since(start, made.times))
        lasting = array("q", (end - begin for begin, end in zip(called.starts, called.ends)))
        yield from called._replace(starts=_since(start, called.starts), ends=lasting)
    for times, numbers in counters:
        yield from (_since(start, times), numbers)


def _since(start: int, times: array[int]) -> array[int]:
    return array("q", (time - start for time in times))


def _names(track: Track) -> dict[str, Any]:
    return {"kinds": list(map(_kind, track.kinds)), "handlers": [asdict(handler) for handler in track.handlers]}


def _kind(kind: Kind) -> dict[str, Any]:
    return {
        "source": kind.source,
        "label": kind.label,
        "target": kind.target,
        "scopes": kind.target_scopes,
        "spent": spent_on(kind),
        "rests": kind.is_rest,
        "last": kind.is_last,
        "begins": kind.trigger == "run",
    }


def _account(account: Account) -> dict[str, Any]:
    tables = {"phases": account.phases, "transitions": account.transitions, "handlers": account.handlers}
    spent = {"data": account.data, "step": account.step, "handlers": account.in_handlers, "other": account.other}
    return {"total": account.total, "spent": spent, "tables": {name: _rows(times) for name, times in tables.items()}}


def _rows(times: Mapping[str, Times]) -> list[dict[str, Any]]:
    """Return the rows of a table, those that took the longest first."""
    ordered = sorted(times.items(), key=lambda item: (-item[1].share, -item[1].total))
    return [{"name": name, "mean": of.mean, **asdict(of)} for name, of in ordered]
