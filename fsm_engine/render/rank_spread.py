"""How much the ranks of a merged timeline differ in each phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fsm_engine.timeline.rank_visits import JointVisit, joint_visits
from fsm_engine.timeline.track import Track
from fsm_engine.timeline.units import format_duration


@dataclass(frozen=True)
class PhaseSpread:
    """How much the ranks differ in one phase, from the visits that all ranks made at the same place.

    Attributes:
        means: the mean duration of a visit by rank, in nanoseconds.
        entries: the mean time between the first and the last entry of the ranks.
        share: the difference between the ranks with the most and the least time in the phase, as a share of the time
            of the longest run.
    """

    means: dict[int, float]
    entries: float
    share: float

    def __str__(self) -> str:
        most, least = (choose(self.means, key=self.means.__getitem__) for choose in (max, min))
        low, high = (format_duration(self.means[rank]) for rank in (least, most))
        times = f"{low} on each rank" if low == high else f"{low} to {high} (rank {most})"
        return f"{times}\nentered {format_duration(self.entries)} apart"


def spread_of_ranks(tracks: Sequence[Track]) -> dict[str, PhaseSpread]:
    """Return the spread of each phase that all of `tracks` visited, by its qualified name."""
    by_phase: defaultdict[str, list[JointVisit]] = defaultdict(list)
    for joint in joint_visits(tracks):
        by_phase[joint.phase].append(joint)
    whole = max((_duration(track) for track in tracks), default=0) or 1
    return {phase: _spread(visits, whole) for phase, visits in by_phase.items()}


def _duration(track: Track) -> int:
    times = [time for time, *_ in track.move_ring]
    return times[-1] - times[0] if times else 0


def _spread(joint: Sequence[JointVisit], whole: int) -> PhaseSpread:
    totals: defaultdict[int, int] = defaultdict(int)
    for one in joint:
        for visit in one.visits:
            totals[visit.rank] += visit.end - visit.start
    means = {rank: total / len(joint) for rank, total in totals.items()}
    entries = sum(one.entry_spread for one in joint) / len(joint)
    return PhaseSpread(means, entries, (max(totals.values()) - min(totals.values())) / whole)
