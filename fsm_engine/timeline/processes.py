"""A timeline as the processes of a trace: one for each rank."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

from fsm_engine.timeline.rank import rank_labels
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Track


class Process(NamedTuple):
    """A process in a trace.

    Attributes:
        number: its rank.
        name: the name that the viewer shows.
        timeline: its tracks and counters.
    """

    number: int
    name: str
    timeline: Timeline


def processes_of(timeline: Timeline, rank: int | None = None) -> list[Process]:
    """Return the processes of `timeline`, in the order of their ranks.

    Args:
        timeline: the timeline of one process or of several ranks.
        rank: the number of the process; by default, the recorded rank, or 0.

    Raises:
        ValueError: `rank` is given for a timeline of several ranks.
    """
    labels = rank_labels(track.rank for track in timeline.tracks)
    if not labels:
        recorded = next((track.rank.number for track in timeline.tracks if track.rank is not None), 0)
        number = recorded if rank is None else rank
        return [Process(number, f"rank {number}", timeline)]
    if rank is not None:
        raise ValueError(f"rank={rank} was given, but the timeline has {', '.join(labels.values())}. Leave rank out.")
    return list(_parts(timeline, labels))


def _parts(timeline: Timeline, labels: dict[int, str]) -> Iterator[Process]:
    for number, name in labels.items():
        part = copy(timeline)
        part.tracks = [track for track in timeline.tracks if _number(track) == number]
        part.counters = {name: one for name, one in timeline.counters.items() if one.rank == number}
        yield Process(number, name, part)


def _number(track: Track) -> int | None:
    return None if track.rank is None else track.rank.number
