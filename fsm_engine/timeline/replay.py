"""Whether a recorded run is one that a lifecycle allows: a judge that shares nothing with what ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import Move, Track

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle


@dataclass(frozen=True)
class Misstep:
    """The first move of a run that the lifecycle does not have there.

    Attributes:
        step: its number, counted from 1.
        move: the move.
        phase: where the run was by then, according to the lifecycle.
        legal: what was legal there, as ``--label--> target``.
    """

    step: int
    move: Move
    phase: str
    legal: tuple[str, ...]

    def __str__(self) -> str:
        counters = f"epoch {self.move.epoch}, iteration {self.move.iteration}"
        return (
            f"step {self.step} ({counters}) is {self.move.kind}, but the run was in {self.phase}. "
            f"Legal there: {', '.join(self.legal) or 'nothing'}."
        )


def replayed(track: Track, lifecycle: Lifecycle) -> Misstep | None:
    """Return the first step of `track` that the flat machine of `lifecycle` refuses; see `Timeline.verify`.

    A track that has lost its beginning, or began within a run, is taken from where it begins, and so is what comes
    after iterations that were left out. What was over without a move, as a run that was suspended and not gone on with,
    begins anew.
    """
    machine = lifecycle.to_transitions()
    table: dict[str, set[tuple[str, str]]] = {state: set() for state in machine.states}
    for label, event in machine.events.items():
        for source, transitions in event.transitions.items():
            table[source].update((label, str(transition.dest)) for transition in transitions)
    graph = lifecycle.graph
    terminal = {qualified_name(graph.phases[number]) for number in graph.terminal}
    phase = None if track.move_ring.dropped else machine.initial
    for step, move in enumerate(track.moves, 1):
        kind = move.kind
        if kind.trigger == "begin" and step == 1:
            phase = kind.target
            continue
        phase = kind.source if phase is None else phase
        legal = table.get(phase, set())
        rests = kind.trigger == "rest" and (kind.target == machine.initial != phase or kind.target == phase in terminal)
        if kind.source != phase or not (rests or (kind.label, kind.target) in legal):
            return Misstep(step, move, phase, tuple(f"--{label}--> {target}" for label, target in sorted(legal)))
        phase = None if kind.is_cut else kind.target
    return None
