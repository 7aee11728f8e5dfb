"""The summary of a timeline in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fsm_engine._util.html import details, escape, table
from fsm_engine.timeline.summary import DurationStats, Summary, stats_table


def summary_parts(summary: Summary, most: int | None = None) -> Iterator[str]:
    """Yield the HTML of each track: where its time went, and tables of phases, handlers and transitions.

    With `most`, only the tables of phases and handlers, with so many rows.
    """
    if not summary.tracks:
        yield '<p class="note">nothing was recorded</p>'
    for track in summary.tracks:
        yield f'<p class="title">{escape(track.heading)}</p>'
        if track.note:
            yield f'<p class="note">{escape(track.note)}</p>'
        tables = {what: _table(what, stats, most) for what, stats in track.tables}
        transitions = tables.pop("transition", "")
        yield f'<div class="sides">{"".join(tables.values())}</div>'
        if transitions and most is None:
            yield details("transitions", transitions)


def _table(what: str, stats: Mapping[str, DurationStats], most: int | None) -> str:
    head, *rows = stats_table(what, stats, most)
    return table(head, rows, left=1)
