"""What a recorded run tells about each part of a lifecycle: how often it came there, and how long it stayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from math import log

from fsm_engine.graph.graph import Graph, History, Phase, Transition
from fsm_engine.lifecycle.table import qualified
from fsm_engine.render.picture import Label, Picture, Rect, Swatch
from fsm_engine.render.text_metrics import NOTE_SIZE, Text
from fsm_engine.render.themes import HEAT_THRESHOLDS
from fsm_engine.timeline.columns import moves
from fsm_engine.timeline.gaps import Estimate
from fsm_engine.timeline.track import Kind, Track
from fsm_engine.timeline.visits import visits

TALL, WIDE = 14.0, 22.0
_NAMES = ("under 1%", "from 1%", "from 5%", "from 20%", "over 50% of the time")


class HeatMap:
    """What a track tells about the lifecycle of its engine.

    Raises:
        ValueError: the track has a move that the lifecycle has not.
    """

    def __init__(self, graph: Graph, track: Track) -> None:
        self._moves = _counted(graph, track)
        self._most = max(self._moves.values(), default=1)
        self._visits: Counter[str] = Counter()
        self._times: Counter[str] = Counter()
        found = visits(track)
        estimate = Estimate(track, found)
        for kind, count, took, _ in found.totals():
            self._visits[kind.target] += count
            self._times[kind.target] += estimate.of(kind.target, took)

    def of_phase(self, phase: Phase) -> float | None:
        """Return a phase's share of the time of all runs, None if there was no visit."""
        name = qualified(phase)
        return self._times[name] / (self._times.total() or 1) if self._visits[name] else None

    def note(self, phase: Phase) -> str:
        """Return what is written in a phase."""
        share = self.of_phase(phase)
        return (
            ""
            if share is None
            else f"{self._visits[qualified(phase)]:,}\N{MULTIPLICATION SIGN}, {format_percent(share)}"
        )

    def of_transition(self, transition: Transition) -> float:
        """Return how wide an edge is, from 0, never taken, to 1, taken most often: by the logarithm."""
        count = self._moves[id(transition)]
        return (1 + log(count)) / (1 + log(self._most)) if count else 0.0

    def text(self, transition: Transition) -> str:
        """Return what is written at an edge."""
        count = self._moves[id(transition)]
        return f"{count:,}\N{MULTIPLICATION SIGN}" if count else ""


def _counted(graph: Graph, track: Track) -> Counter[int]:
    """Return how often each transition was taken, by its id: not all of them can be hashed."""
    found: Counter[int] = Counter()
    exits = {qualified(phase): ways for phase, ways in zip(graph.phases, graph.exits)}
    for number, count in Counter(moves(track).kinds).items():
        kind = track.kinds[number]
        if not kind.is_rest:
            found[id(_taken(graph, kind, exits.get(kind.source, ())))] += count
    return found


def _taken(graph: Graph, kind: Kind, exits: Iterable[Transition]) -> Transition:
    """Return the transition that was recorded; one to a scope was recorded with the phase that was left there."""
    for transition in exits:
        target = transition.target
        if transition.label == kind.label and (
            isinstance(target, History) or qualified(graph.phases[graph.index[target]]) == kind.target
        ):
            return transition
    raise ValueError(f"{kind} was recorded, but this lifecycle has no such edge. Give the track of its own engine.")


def format_percent(share: float) -> str:
    """Return a share of the time as it is written: no more digits than anyone reads."""
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def with_legend(picture: Picture) -> Picture:
    """Return `picture` with what its colours say below it."""
    texts = [Text((name,), NOTE_SIZE) for name in _NAMES]
    middle, height = picture.height + 8 + TALL / 2, picture.height + TALL + 16
    whole = sum(WIDE + 6 + text.width for text in texts) + 14 * (len(texts) - 1)
    x = max((picture.width - whole) / 2, 8.0)
    swatches = []
    for step, text in zip(HEAT_THRESHOLDS, texts):
        room = Rect(x + WIDE / 2, middle, WIDE, TALL)
        label = Label(text, Rect(room.right + 6 + text.width / 2, middle, text.width, text.height))
        swatches.append(Swatch(step, room, label))
        x = label.bounds.right + 14
    return replace(picture, width=max(picture.width, whole + 16), height=height, legend=tuple(swatches))
