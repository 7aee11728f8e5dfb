"""What iterations that were not recorded took, and what those that were recorded stand for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from fsm_engine.timeline.track import Track
from fsm_engine.timeline.visits import Visit


def left_out(track: Track) -> int:
    """Return how long iterations went on that were not recorded, in nanoseconds, as far as their end is known."""
    if track.sampling is None:
        return 0
    return sum(
        following.time - move.time
        for move, following in pairwise(track.moves)
        if move.kind.is_cut and following.kind.trigger != "run"
    )


class Estimate:
    """Takes iterations that were left out to be like those that were kept.

    Args:
        track: what was recorded; where nothing was left out, an estimate is what was measured.
        visits: those of the track.

    Attributes:
        left_out: how long iterations went on that were not recorded, in nanoseconds.
    """

    def __init__(self, track: Track, visits: Iterable[Visit]) -> None:
        self._phases = frozenset() if track.sampling is None else track.sampling.phases
        self.left_out = left_out(track)
        self._kept = sum(visit.duration for visit in visits if visit.phase in self._phases) if self.left_out else 0

    def of(self, phase: str, duration: int) -> int:
        """Return what a duration within a visit of `phase` stands for."""
        if not self._kept or phase not in self._phases:
            return duration
        return duration * (self._kept + self.left_out) // self._kept
