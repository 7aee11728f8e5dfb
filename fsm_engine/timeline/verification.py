"""Verification of a recorded run against a lifecycle, by a machine that shares nothing with the engine."""

from __future__ import annotations

from dataclasses import dataclass

from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline.track import Move, Track


@dataclass(frozen=True, repr=False)
class Violation:
    """The first move of a run that its lifecycle does not allow.

    Attributes:
        step: the number of the move, from 1.
        move: the move.
        phase: the phase that the run was in, according to the lifecycle.
        legal: the moves that were allowed there, as ``--label--> target``.
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

    def __repr__(self) -> str:
        return f"<Violation: {self}>"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, mimebundle, table

        rows = [
            ("step", str(self.step)),
            ("epoch, iteration", f"{self.move.epoch}, {self.move.iteration}"),
            ("move", str(self.move.kind)),
            ("phase of the run", self.phase),
            *((name, move) for name, move in zip(("legal there", *[""] * len(self.legal)), self.legal or ("nothing",))),
        ]
        return mimebundle(self.__str__, lambda: block(table((), rows)))


def find_violation(track: Track, lifecycle: Lifecycle) -> Violation | None:
    """Return the first move of `track` that the flat machine of `lifecycle` does not have; see `Timeline.verify`.

    A track without its beginning is checked from the phase of its first move, and so is the part after iterations that
    were not recorded. A run may end without a transition: then the next one starts from the first phase.
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
        ends = kind.trigger == "end" and (kind.target == machine.initial != phase or kind.target == phase in terminal)
        if kind.source != phase or not (ends or (kind.label, kind.target) in legal):
            return Violation(step, move, phase, tuple(f"--{label}--> {target}" for label, target in sorted(legal)))
        phase = None if kind.starts_gap else kind.target
    return None
