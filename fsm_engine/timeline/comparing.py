"""What recorded runs have covered of a lifecycle, and where two of them part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import Move, Track

if TYPE_CHECKING:
    from fsm_engine.lifecycle.coverage import Coverage
    from fsm_engine.lifecycle.lifecycle import Lifecycle


@dataclass(frozen=True)
class Parting:
    """The first step in which two runs differ.

    Attributes:
        step: its number, counted from 1.
        move: what the first did then; None if it had ended.
        other: what the second did.
    """

    step: int
    move: Move | None
    other: Move | None

    def __str__(self) -> str:
        return f"step {self.step}: {_told(self.move)} | {_told(self.other)}"


def every(track: Track) -> int:
    """Return of how many iterations one is recorded."""
    return 1 if track.sampling is None else track.sampling.every


def _told(move: Move | None) -> str:
    return "the end" if move is None else f"{move.kind} (epoch {move.epoch}, iteration {move.iteration})"


def parting(track: Track, other: Track) -> Parting | None:
    """Return where two tracks part; see `Timeline.diff`.

    Raises:
        ValueError: if one has lost its beginning, or they do not record the same iterations.
    """
    if every(track) != every(other):
        raise ValueError(
            f"one was recorded with every={every(track)}, the other with every={every(other)}, so they keep other "
            f"iterations. Record both alike."
        )
    for one in (track, other):
        if one.move_ring.dropped:
            raise ValueError(
                f"{one!r} has lost its first {one.move_ring.dropped} moves, so there is no common beginning. "
                f"Record with more room."
            )
    for step, (move, twin) in enumerate(zip_longest(track.moves, other.moves), 1):
        if move is None or twin is None or _course(move) != _course(twin):
            return Parting(step, move, twin)
    return None


def _course(move: Move) -> tuple[object, ...]:
    return move.kind.source, move.kind.label, move.kind.target, move.epoch, move.iteration


def covered(track: Track, lifecycle: Lifecycle) -> Coverage:
    """Return what `track` has covered; see `Timeline.coverage`.

    Raises:
        ValueError: for a move that `lifecycle` does not have.
    """
    known = {
        (qualified_name(phase), transition.label, qualified_name(target)): replace(transition, target=target.event)
        for phase, exits in zip(lifecycle.phases, lifecycle.graph.exits)
        for transition in exits
        for target in _targets(lifecycle.graph, transition)
    }
    return lifecycle.coverage([list(_walk(track, known))])


def _walk(track: Track, known: dict[tuple[str, str, str], Transition]) -> Iterator[Transition]:
    for step, move in enumerate(track.moves, 1):
        kind = move.kind
        if kind.is_rest:
            continue
        transition = known.get((kind.source, kind.label, kind.target))
        if transition is None:
            raise ValueError(f"step {step}, {kind}, is no transition of this lifecycle. verify() tells what was legal.")
        yield transition


def _targets(graph: Graph, transition: Transition) -> list[Phase]:
    target = transition.target
    if isinstance(target, History):
        return [phase for phase in graph.phases if target.contains(phase.scope)]
    return [graph.phases[graph.index[target]]]
