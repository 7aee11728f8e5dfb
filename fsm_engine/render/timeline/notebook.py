"""A timeline in a notebook: its picture, and the longest phases and handlers."""

from __future__ import annotations

from collections.abc import Sequence

from fsm_engine._util.html import block, escape
from fsm_engine.render.timeline import render_timeline
from fsm_engine.timeline.summary import summarize
from fsm_engine.timeline.summary_html import summary_parts
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Track

MAX_MOVES = 40_000
"""The number of moves that are drawn and summed up, in all tracks together; more would take seconds."""

_ROWS = 5


def timeline_html(tracks: Sequence[Track]) -> str:
    """Return the output of a notebook for `tracks`. A picture that cannot be drawn is replaced by the reason."""
    moves = sum(len(track.move_ring) for track in tracks)
    if not moves:
        return block('<p class="note">The timeline is empty. Record a run: with engine.record() as timeline: ...</p>')
    shown = Timeline()
    share = max(MAX_MOVES // len(tracks), 1)
    shown.tracks = list(tracks) if moves <= MAX_MOVES else [track.newest(share) for track in tracks]
    return block(_note(shown, moves), _picture(shown), *summary_parts(summarize(shown), _ROWS))


def _note(shown: Timeline, moves: int) -> str:
    kept = sum(len(track.move_ring) for track in shown.tracks)
    if kept == moves:
        return ""
    return (
        f'<p class="note">The newest {kept:,} of {moves:,} moves. <code>timeline.draw("run.html")</code> draws all of '
        "them, and <code>print(timeline.summary())</code> sums them up.</p>"
    )


def _picture(timeline: Timeline) -> str:
    try:
        return render_timeline(timeline, "svg").decode()
    except Exception as error:
        return f'<p class="note problem">The timeline cannot be drawn: {escape(str(error))}</p>'
