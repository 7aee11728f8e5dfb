"""Estimates for iterations that were not recorded."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from fsm_engine.timeline.track import Track
from fsm_engine.timeline.visits import Visit


class Estimate:
    """Scales the times of recorded iterations to all iterations. Without sampling, it changes nothing.

    Args:
        track: the recorded track.
        visits: its visits.

    Attributes:
        left_out: the time of the iterations that were not recorded, in nanoseconds, as far as their end is known.
    """

    def __init__(self, track: Track, visits: Iterable[Visit]) -> None:
        self._phases: frozenset[str] = frozenset()
        self.left_out = self._kept = 0
        if track.sampling is not None:
            self._phases = track.sampling.phases
            self.left_out = sum(
                following.time - move.time
                for move, following in pairwise(track.moves)
                if move.kind.starts_gap and following.kind.trigger != "run"
            )
            self._kept = sum(visit.duration for visit in visits if visit.phase in self._phases)

    def scale(self, phase: str, duration: int) -> int:
        """Return the estimate for a duration that was measured in visits of `phase`."""
        if not self._kept or phase not in self._phases:
            return duration
        return duration * (self._kept + self.left_out) // self._kept
