"""The heat map of a recorded run: how often it took each transition, and how long it stayed in each phase.

For a merged timeline, it shows how much the ranks differ instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log

from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.render.rank_spread import PhaseSpread, spread_of_ranks
from fsm_engine.timeline.columns import move_columns
from fsm_engine.timeline.comparison import transitions_by_names
from fsm_engine.timeline.summary import DurationStats, summarize_track
from fsm_engine.timeline.track import Track


class HeatMap:
    """Counts and times of an engine, by the phases and transitions of a graph. Costs one pass over its tracks.

    Args:
        graph: the graph.
        tracks: the track of the engine, or its track on each rank. Counts are those of the first one.

    Raises:
        ValueError: a track has a move that the graph does not have.
    """

    def __init__(self, graph: Graph, tracks: Sequence[Track]) -> None:
        self._moves, *_ = [_count_transitions(graph, track) for track in tracks]
        self._most = max(self._moves.values(), default=1)
        self._phases = summarize_track(tracks[0]).phases
        self._spreads = spread_of_ranks(tracks) if len(tracks) > 1 else None

    def visits(self, phase: Phase) -> DurationStats | None:
        """Return the statistics of the visits of `phase`; None if no run visited it."""
        return self._phases.get(qualified_name(phase))

    def notes(self, phase: Phase) -> tuple[str, ...]:
        """Return the texts for `phase`: visits and their share of the time, and how much the ranks differ."""
        visits = self.visits(phase)
        if visits is None:
            return ()
        spread = self._spread(phase)
        return (visits_text(visits), *(() if spread is None else str(spread).splitlines()))

    def heat(self, phase: Phase) -> float | None:
        """Return the share of the time that the colour shows, or the difference between ranks; None without a visit."""
        visits = self.visits(phase)
        if visits is None or self._spreads is None:
            return None if visits is None else visits.share
        spread = self._spread(phase)
        return 0.0 if spread is None else spread.share

    def _spread(self, phase: Phase) -> PhaseSpread | None:
        return None if self._spreads is None else self._spreads.get(qualified_name(phase))

    def edge_weight(self, transition: Transition) -> float:
        """Return how often `transition` was taken, on a logarithmic scale from 0 (never) to 1 (most often)."""
        return edge_weight(self._moves[id(transition)], self._most)

    def edge_label(self, transition: Transition) -> str:
        """Return how often `transition` was taken, as text; empty if never."""
        return count_text(self._moves[id(transition)])


def _count_transitions(graph: Graph, track: Track) -> Counter[int]:
    """Return how often each transition was taken, by its id, because not every transition can be hashed."""
    found: Counter[int] = Counter()
    known = transitions_by_names(graph)
    for number, count in Counter(move_columns(track).kinds).items():
        kind = track.kinds[number]
        if not kind.is_transition:
            continue
        if kind.names not in known:
            raise ValueError(
                f"{kind} was recorded, but the lifecycle to draw has no such edge: the recording is of the engine "
                f"{track.name!r}. Draw the lifecycle of this engine, or track.lifecycle of the recording. On the "
                f"command line, name the engine, such as train.py:trainer, or leave TARGET out."
            )
        found[id(known[kind.names][0])] += count
    return found


def edge_weight(count: int, most: int) -> float:
    """Return the weight of an edge that was taken `count` times, if the most frequent one was taken `most` times."""
    return (1 + log(count)) / (1 + log(most)) if count else 0.0


def count_text(count: int) -> str:
    """Return how often an edge was taken, as text; empty if never."""
    return f"{count:,}\N{MULTIPLICATION SIGN}" if count else ""


def visits_text(stats: DurationStats) -> str:
    """Return the number of visits of a phase and their share of the time, as a whole percentage or "<1%"."""
    share = f"{stats.share:.0%}" if stats.share >= 0.01 else "<1%"
    return f"{count_text(stats.count)}, {share}"
