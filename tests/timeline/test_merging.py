"""Timelines of several ranks as one: clocks, missing ranks, bad input, and files."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine import Engine, Events
from fsm_engine.render.timeline import render_timeline
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.rank import ClockReading, Rank, clock_shift, recording_rank, set_process

MS = 1_000_000


def recorded(number: int = 0, world_size: int = 2, host: str = "a", run: str = "one", offset: int = 0) -> Timeline:
    """Return the timeline of a run on a rank whose clock has to be set forward by `offset`."""
    engine = Engine(lambda _engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: None)
    with engine.record() as timeline:
        engine.run([1, 2])
        timeline.count("loss", 0.5)
    timeline.tracks[0].rank = Rank(number, world_size, host, run, [ClockReading(0, offset, 20)])
    return timeline


def without_rank(number: int = 0, wall: int = 0) -> Timeline:
    timeline = recorded(number)
    timeline.tracks[0].rank = None
    timeline.wall = wall
    return timeline


def times(timeline: Timeline, track: int = 0) -> list[int]:
    return [move.time for move in timeline.tracks[track].moves]


SECOND = 10**9
OFFSETS = st.integers(-(10**15), 10**15)
TRIPS = st.tuples(st.integers(1, MS), st.integers(1, MS))


@settings(deadline=None)
@given(OFFSETS, st.integers(-200_000, 200_000), st.integers(1, 10_000), TRIPS, TRIPS, st.lists(st.floats(0, 1)))
def test_aligned_times_are_right_within_the_error_of_the_readings(
    offset: int, ppb: int, seconds: int, first: tuple[int, int], last: tuple[int, int], parts: list[float]
) -> None:
    """Clocks that differ by an offset and a rate, which are read over ways of different lengths."""
    start, end = 5 * SECOND, (5 + seconds) * SECOND

    def truth(time: int) -> int:
        return time + offset + (time - start) * ppb // 10**9

    def reading(sent: int, there: int, back: int) -> ClockReading:
        middle = sent + (there + back) // 2
        return ClockReading(middle, truth(sent + there) - middle, (there + back + 1) // 2)

    readings = [reading(start, *first), reading(end, *last)]
    shift = clock_shift(readings)
    error = min(map(sum, (first, last))) / 2 + sum(map(sum, (first, last))) + abs(ppb) * MS / 10**9 + 3
    moments = sorted(start + int(part * (end - start)) for part in parts)
    aligned = list(map(shift, moments))
    assert all(abs(one - truth(time)) <= error for one, time in zip(aligned, moments))
    assert aligned == sorted(aligned)


READINGS = st.builds(ClockReading, st.integers(0, 10**6), st.integers(-(10**6), 10**6), st.integers(0, 10**5))


@settings(deadline=None)
@given(st.lists(READINGS, min_size=1))
def test_the_order_of_times_never_changes(readings: list[ClockReading]) -> None:
    shift = clock_shift(sorted(readings))
    assert all(one <= other for one, other in pairwise(map(shift, range(0, 10**6, 9973))))


def test_a_drift_below_the_errors_of_the_readings_is_ignored() -> None:
    shift = clock_shift([ClockReading(0, 100, 60), ClockReading(1000, 200, 50)])
    assert [shift(0), shift(1000)] == [200, 1200]


def test_times_are_on_the_clock_of_rank_0() -> None:
    zero, one = recorded(0), recorded(1, offset=-7 * SECOND)
    merged = Timeline.merge([one, zero])
    assert [track.rank and track.rank.number for track in merged.tracks] == [0, 1]
    assert times(merged, 0) == times(zero)
    assert times(merged, 1) == [time - 7 * SECOND for time in times(one)]
    spans = [(span.start, span.end) for span in one.tracks[0].spans]
    assert [(s.start + 7 * SECOND, s.end + 7 * SECOND) for s in merged.tracks[1].spans] == spans
    assert {name: list(counter) for name, counter in merged.counters.items()} == {
        "rank 0: loss": list(zero.counters["loss"]),
        "rank 1: loss": [(time - 7 * SECOND, value) for time, value in one.counters["loss"]],
    }
    assert merged.wall == zero.wall
    assert merged.rank_notes == ["Clocks are aligned to within 20 ns."]


def test_the_clock_of_rank_0_is_known_without_its_recording() -> None:
    one, two = recorded(1, 3, offset=5), recorded(2, 3, offset=-5)
    merged = Timeline.merge([one, two])
    assert (times(merged)[0], times(merged, 1)[0]) == (times(one)[0] + 5, times(two)[0] - 5)
    assert merged.wall == one.wall - 5
    assert merged.rank_notes[0] == "No recording of rank 0 of 3."


def test_recordings_without_ranks_are_aligned_by_the_wall_clock() -> None:
    one, two = without_rank(), without_rank()
    two.wall = times(one)[0] - times(two)[0]
    merged = Timeline.merge([one, two])
    assert [str(track.rank) for track in merged.tracks] == ["rank 0", "rank 1"]
    assert times(merged, 1)[0] == times(one)[0]
    assert times(merged, 1) == [time + two.wall for time in times(two)]
    assert "ranks 0, 1 are aligned by the wall clock" in merged.rank_notes[0]


def test_a_rank_that_rank_0_did_not_answer_is_aligned_by_the_wall_clock() -> None:
    zero, one = recorded(0), recorded(1, run="")
    rank = one.tracks[0].rank
    assert rank is not None
    rank.readings = []
    one.wall = zero.wall + 3000
    merged = Timeline.merge([zero, one])
    assert times(merged, 1) == [time + 3000 for time in times(one)]
    assert "rank 1 are aligned by the wall clock" in merged.rank_notes[0]


def test_the_recording_of_a_killed_rank_is_merged_up_to_its_end() -> None:
    zero, one = recorded(0), recorded(1)
    ring = one.tracks[0].move_ring
    ring.offset -= 6 * ring.record.size
    merged = Timeline.merge([zero, one])
    assert len(times(merged, 1)) == len(times(merged, 0)) - 6
    assert b"rank 1: training" in render_timeline(merged, "svg")


def same_rank() -> list[Timeline]:
    return [recorded(1), recorded(0), recorded(1)]


def world_sizes() -> list[Timeline]:
    return [recorded(0), recorded(1, world_size=3)]


def other_runs() -> list[Timeline]:
    return [recorded(0), recorded(1, run="another")]


def mixed() -> list[Timeline]:
    return [recorded(0), without_rank()]


def other_times() -> list[Timeline]:
    return [without_rank(wall=0), without_rank(wall=10**18)]


def merged_before() -> list[Timeline]:
    return [Timeline.merge([recorded(0), recorded(1)])]


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (list, ["nothing to merge"]),
        (same_rank, ["timeline 1 and timeline 3", "rank 1"]),
        (world_sizes, ["timeline 1 is of 2 ranks", "timeline 2 of 3"]),
        (other_runs, ["timeline 1 and timeline 2", "different runs"]),
        (mixed, ["timeline 2", "session()"]),
        (other_times, ["timeline 1 and timeline 2", "different times"]),
        (merged_before, ["timeline 1", "merged before"]),
        (lambda: [Timeline()], ["timeline 1 has no tracks"]),
    ],
)
def test_recordings_that_do_not_belong_together(make: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError, match=parts[0]) as error:
        Timeline.merge(make())
    assert [part for part in parts if part not in str(error.value)] == []


def test_files_are_named_in_errors(tmp_path: Path) -> None:
    files = [recorded(0).save(tmp_path / name) for name in ("a.fsmt", "b.fsmt")]
    with pytest.raises(ValueError, match=r"a\.fsmt and .*b\.fsmt are both of rank 0"):
        Timeline.merge(files)


def test_a_merged_timeline_is_saved_and_loaded(tmp_path: Path) -> None:
    merged = Timeline.merge([recorded(0, host="a"), recorded(1, host="b", offset=9)])
    loaded = Timeline.load(merged.save(tmp_path / "both.fsmt"))
    assert loaded.to_dicts() == merged.to_dicts()
    assert [track.rank for track in loaded.tracks] == [track.rank for track in merged.tracks]
    assert [counter.rank for counter in loaded.counters.values()] == [0, 1]
    assert loaded.rank_notes == merged.rank_notes


@pytest.mark.parametrize("rank", [{"number": 2}, {"world_size": 0}, {"host": 3}, {"readings": [[1, 2]]}])
def test_a_damaged_rank_is_refused(tmp_path: Path, rank: dict[str, Any]) -> None:
    timeline = recorded(0)
    timeline.tracks[0].rank = Rank(**{"number": 0, "world_size": 2, **rank})
    with pytest.raises(ValueError, match="damaged"):
        Timeline.load(timeline.save(tmp_path / "run.fsmt"))


def names_of(events: list[dict[str, Any]], what: str) -> dict[int, str]:
    return {event["pid"]: event["args"]["name"] for event in events if event["name"] == what}


def test_each_rank_is_a_process_of_a_trace() -> None:
    merged = Timeline.merge([recorded(0, 3, "a"), recorded(2, 3, "b")])
    events = merged.to_chrome()["traceEvents"]
    assert names_of(events, "process_name") == {0: "rank 0, a", 2: "rank 2, b"}
    assert {event["pid"] for event in events if event["name"] == "rank 2: loss"} == {2}
    with pytest.raises(ValueError, match=r"rank=1 .*rank 0, a, rank 2, b"):
        merged.to_chrome(rank=1)
    assert names_of(recorded(1).to_chrome()["traceEvents"], "process_name") == {1: "rank 1"}


def test_each_rank_is_a_process_in_perfetto(tmp_path: Path) -> None:
    schema = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    merged = Timeline.merge([recorded(0), recorded(1)])
    trace = schema.Trace.FromString(merged.export(tmp_path / "run.pftrace").read_bytes())
    tracks = [packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")]
    assert [track.name for track in tracks if not track.parent_uuid] == ["rank 0", "rank 1"]
    assert len({track.uuid for track in tracks}) == len(tracks)


def nested(number: int) -> Timeline:
    """Return the timeline of a rank whose trainer runs an evaluator."""
    trainer, evaluator = Engine(lambda _engine, batch: batch), Engine(lambda _engine, batch: batch)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
    with trainer.record() as timeline:
        trainer.run([1])
    for track in timeline.tracks:
        track.rank = Rank(number, 2, "a", "one", [ClockReading(0, 0, 0)])
    return timeline


def test_a_run_belongs_to_the_handler_of_its_own_rank(tmp_path: Path) -> None:
    zero, one = nested(0), nested(1)
    for timeline in (zero, one):  # at equal times
        timeline.tracks[0].rank.readings = [ClockReading(0, -times(timeline)[0], 0)]  # type: ignore[union-attr]
    merged = Timeline.merge([zero, one])
    svg = merged.draw(tmp_path / "run.svg").read_text()
    headings = re.findall(r">(rank \d: [^<]*)<", svg)
    runs = ("training", "evaluator, run by &lt;lambda&gt;")
    assert headings == [f"rank {number}: {run}" for number in (0, 1) for run in runs]
    flows = [event for event in merged.to_chrome()["traceEvents"] if event["ph"] in "sf"]
    assert [event["pid"] for event in flows] == [0, 0, 1, 1]
    assert len({event["id"] for event in flows}) == 2


class Process:
    """A process whose clock is read when a recording begins and ends."""

    def describe(self) -> Rank:
        return Rank(1, 2, "a")

    def read_clock(self, rank: Rank) -> None:
        rank.readings.append(ClockReading(len(rank.readings), 5, 1))


def test_a_recording_reads_the_clock_when_it_begins_and_when_it_ends() -> None:
    set_process(Process())
    try:
        trainer, evaluator = Engine(lambda _engine, batch: batch), Engine(lambda _engine, batch: batch)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
        with trainer.record() as timeline:
            trainer.run([1])
    finally:
        set_process(None)
    assert [track.rank and len(track.rank.readings) for track in timeline.tracks] == [2, 0]
    assert recording_rank() is None
