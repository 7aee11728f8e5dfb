"""The exception that ended an inspected run, with its traceback and the phase that it came from."""

from __future__ import annotations

import traceback
from time import perf_counter_ns
from typing import Any

from fsm_engine.engine.engine import Engine
from fsm_engine.inspector.inspected import InspectedEngine
from fsm_engine.inspector.look import finite_or_none
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import Track

_MOST = 64 * 1024
"""The most characters of a traceback. The end of a longer one is kept."""


def describe_failure(inspected: InspectedEngine, engine: Engine, error: BaseException) -> dict[str, Any]:
    """Return the exception as a message has it. Called in the thread of the run."""
    text = "".join(traceback.format_exception(error))
    return {
        "type": "failure",
        "engine": inspected.id,
        "phase": _failed_phase(inspected.recorder.track) or qualified_name(engine.phase),
        "error": _first_part(error)[:2000],
        "traceback": text if len(text) <= _MOST else f"…{text[-_MOST:]}",
        "epoch": finite_or_none(engine.state.epoch),
        "iteration": finite_or_none(engine.state.iteration),
        "time": perf_counter_ns(),
    }


def _first_part(error: BaseException) -> str:
    """Return the exception as text, without its notes; the traceback has them."""
    shown = traceback.TracebackException(type(error), error, None)
    vars(shown).update(__notes__=None)
    return "".join(shown.format_exception_only()).strip()


def _failed_phase(track: Track) -> str | None:
    """Return the phase that the last move to EXCEPTION_RAISED left, or the last phase of the run."""
    moves = list(track.moves)[-20:]
    raised = [move.kind.source for move in moves if move.kind.target.endswith(".EXCEPTION_RAISED")]
    return raised[-1] if raised else None
