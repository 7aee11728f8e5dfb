"""Comparison of a recorded run with another run, and with its lifecycle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.coverage import Coverage
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import Move, Track


@dataclass(frozen=True, repr=False)
class Divergence:
    """The first step in which two runs differ.

    Attributes:
        step: the number of the step, from 1.
        move: the move of the first run; None if that run had ended.
        other: the move of the second run, likewise.
    """

    step: int
    move: Move | None
    other: Move | None

    def __str__(self) -> str:
        return f"step {self.step}: {_describe(self.move)} | {_describe(self.other)}"

    def __repr__(self) -> str:
        return f"<Divergence at {self}>"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, mimebundle, table

        row = (str(self.step), _describe(self.move), _describe(self.other))
        return mimebundle(self.__str__, lambda: block(table(("step", "first run", "second run"), [row])))


def _describe(move: Move | None) -> str:
    return "the end" if move is None else f"{move.kind} (epoch {move.epoch}, iteration {move.iteration})"


def find_divergence(track: Track, other: Track) -> Divergence | None:
    """Return the first step in which two tracks differ; see `Timeline.diff`.

    Raises:
        ValueError: a track has dropped its first moves, or the tracks record different iterations.
    """
    every, other_every = (1 if one.sampling is None else one.sampling.every for one in (track, other))
    if every != other_every:
        raise ValueError(
            f"One run was recorded with every={every}, the other with every={other_every}, so they have different "
            f"iterations. Record both with the same value."
        )
    for one in (track, other):
        if one.move_ring.dropped:
            raise ValueError(
                f"{one!r} has dropped its first {one.move_ring.dropped} moves, so the beginnings cannot be compared. "
                f"Record with a larger capacity: record(capacity=...)."
            )
    for step, (move, twin) in enumerate(zip_longest(track.moves, other.moves), 1):
        if move is None or twin is None or _without_time(move) != _without_time(twin):
            return Divergence(step, move, twin)
    return None


def _without_time(move: Move) -> tuple[object, ...]:
    return move.kind.names, move.epoch, move.iteration


def coverage_of(track: Track, lifecycle: Lifecycle) -> Coverage:
    """Return the coverage of `lifecycle` by `track`; see `Timeline.coverage`.

    Raises:
        ValueError: the track has a move that `lifecycle` does not have.
    """
    return lifecycle.coverage([list(_transitions(track, lifecycle.graph))])


def _transitions(track: Track, graph: Graph) -> Iterator[Transition]:
    known = transitions_by_names(graph)
    for step, move in enumerate(track.moves, 1):
        kind = move.kind
        if not kind.is_transition:
            continue
        found = known.get(kind.names)
        if found is None:
            raise ValueError(
                f"Step {step}, {kind}, is not a transition of this lifecycle. timeline.verify(lifecycle) shows the "
                f"legal ones."
            )
        transition, target = found
        yield replace(transition, target=target.event)


def transitions_by_names(graph: Graph) -> dict[tuple[str, str, str], tuple[Transition, Phase]]:
    """Return the transitions and their targets, by the names that a track has for them.

    A track names the phase that a history led back to, so a transition to a history is there once for each phase.
    """
    return {
        (qualified_name(phase), transition.label, qualified_name(target)): (transition, target)
        for phase, exits in zip(graph.phases, graph.exits)
        for transition in exits
        for target in _targets(graph, transition)
    }


def _targets(graph: Graph, transition: Transition) -> list[Phase]:
    target = transition.target
    if isinstance(target, History):
        return [phase for phase in graph.phases if target.contains(phase.scope)]
    return [graph.phases[graph.index[target]]]
