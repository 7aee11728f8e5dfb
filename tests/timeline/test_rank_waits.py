"""The waits of ranks for each other, from simulated recordings with known waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine import Engine
from fsm_engine.timeline import MoveKind, Timeline, Track
from fsm_engine.timeline.collective_calls import collective_call, start_recording, stop_recording
from fsm_engine.timeline.rank import ClockReading, Rank
from fsm_engine.timeline.track import NamedSpans

MS = 1_000_000
PHASES = ("FORWARD", "BACKWARD", "UPDATE")
SCOPES = ("run", "iteration")


def rank_timeline(
    number: int, forwards: Sequence[int], backwards: Sequence[int], error: int = 0, world_size: int = 2
) -> Timeline:
    """Return the recording of iterations with given durations of FORWARD and BACKWARD; UPDATE takes 1 ms."""
    timeline = Timeline(1000)
    track = Track("training", "MainThread", 1000)
    track.rank = Rank(number, world_size, "host", "run", [ClockReading(0, 0, error)])
    names = ("REST", *PHASES)
    kinds = [MoveKind(source, "next", target, SCOPES, SCOPES) for source, target in zip(names, (*PHASES, "REST"))]
    numbers = list(map(track.kind_number, kinds))
    again = track.kind_number(MoveKind("UPDATE", "again", "FORWARD", SCOPES, SCOPES))
    now = 0
    for iteration, (forward, backward) in enumerate(zip(forwards, backwards)):
        track.move_ring.add(now, again if iteration else numbers[0], 1, iteration)
        track.move_ring.add(now + forward, numbers[1], 1, iteration)
        now += forward + backward
        track.move_ring.add(now, numbers[2], 1, iteration)
        now += MS
    track.move_ring.add(now, numbers[3], 1, len(forwards))
    timeline.tracks.append(track)
    return timeline


def waits(timeline: Timeline) -> list[list[tuple[int, int, str, bool]]]:
    return [list(track.waits or ()) for track in timeline.tracks]


TIMES = st.integers(1, 50).map(lambda time: time * MS)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 4).flatmap(lambda ranks: st.lists(st.tuples(*[TIMES] * ranks), min_size=4, max_size=6)), TIMES)
def test_a_rank_waits_in_the_phase_where_ranks_meet(forwards: list[tuple[int, ...]], work: int) -> None:
    """Ranks leave BACKWARD together, when the last one has done its part. They do so in no other phase."""
    per_rank = list(zip(*forwards))
    last = [max(times) for times in forwards]
    merged = Timeline.merge(
        rank_timeline(number, own, [most + work - mine for most, mine in zip(last, own)], world_size=len(per_rank))
        for number, own in enumerate(per_rank)
    )
    expected, now = [[] for _ in per_rank], 0  # type: list[list[tuple[int, int, str, bool]]], int
    for times, most in zip(forwards, last):
        end = now + most + work
        for number, time in enumerate(times):
            expected[number] += [(end - (most - time), end, "BACKWARD", False)] if time < most else []
        now = end + MS
    unequal = [times for times in forwards if len(set(times)) > 1]
    assert waits(merged) == (expected if len(unequal) >= 3 else [[] for _ in per_rank])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(TIMES, TIMES, TIMES, TIMES), min_size=3, max_size=8))
def test_a_wait_is_never_longer_than_the_visit_or_the_lead(times: list[tuple[int, int, int, int]]) -> None:
    columns = list(zip(*times))
    merged = Timeline.merge([rank_timeline(0, columns[0], columns[1]), rank_timeline(1, columns[2], columns[3])])
    for track, other in zip(merged.tracks, reversed(merged.tracks)):
        moves, others = list(track.moves), list(other.moves)
        visits = {(moves[at].time, moves[at + 1].time): others[at].time for at in range(len(moves) - 1)}
        for start, end, _, _ in track.waits or ():
            inside = [(left, entered) for (entered, left) in visits if entered <= start and left == end]
            assert inside
            assert all(end - start <= visits[entered, left] - entered for left, entered in inside)


def test_ranks_that_run_apart_do_not_wait() -> None:
    """Rank 1 is slower in each iteration, and nobody waits for it."""
    merged = Timeline.merge(
        [rank_timeline(0, [5 * MS] * 9, [5 * MS] * 9), rank_timeline(1, [6 * MS] * 9, [5 * MS] * 9)]
    )
    assert waits(merged) == [[], []]


def test_waits_within_the_error_of_the_clocks_are_left_out() -> None:
    fast, slow = ([2 * MS] * 4, [9 * MS] * 4), ([7 * MS] * 4, [4 * MS] * 4)

    def found(error: int) -> int:
        merged = Timeline.merge([rank_timeline(0, *fast, error), rank_timeline(1, *slow, error)])
        return len(waits(merged)[0])

    assert (found(0), found(2 * MS), found(3 * MS)) == (4, 4, 0)


def with_calls(number: int, *calls: tuple[int, int, str, bool], error: int = 0) -> Timeline:
    timeline = rank_timeline(number, [50 * MS] * 4, [10 * MS] * 4, error)
    spans = timeline.tracks[0].collectives = NamedSpans(10)
    for call in calls:
        spans.add(*call)
    return timeline


def test_a_rank_waits_in_a_collective_until_the_last_rank_calls_it() -> None:
    zero = with_calls(0, (10, 40, "barrier", False), (50, 60, "the score", False), (70, 90, "barrier", False))
    one = with_calls(1, (35, 41, "barrier", False), (51, 60, "the score", False), (65, 91, "barrier", False))
    assert waits(Timeline.merge([zero, one])) == [
        [(10, 35, "barrier", True), (50, 51, "the score", True)],
        [(65, 70, "barrier", True)],
    ]


def test_a_call_that_is_a_wait_counts_as_a_whole() -> None:
    merged = Timeline.merge([with_calls(0), with_calls(1, (10, 30, "save a checkpoint", True))])
    assert waits(merged) == [[], [(10, 30, "save a checkpoint", True)]]


def test_calls_that_cannot_belong_together_are_no_waits() -> None:
    merged = Timeline.merge([with_calls(0, (10, 20, "barrier", False)), with_calls(1, (30, 40, "barrier", False))])
    assert waits(merged) == [[], []]


def test_a_visit_with_a_recorded_collective_has_no_derived_wait() -> None:
    fast, slow = rank_timeline(0, [2 * MS] * 4, [9 * MS] * 4), rank_timeline(1, [7 * MS] * 4, [4 * MS] * 4)
    for timeline, start in ((fast, 3 * MS), (slow, 8 * MS)):
        spans = timeline.tracks[0].collectives = NamedSpans(10)
        spans.add(start, 10 * MS, "all_reduce", False)
    zero, one = waits(Timeline.merge([fast, slow]))
    assert [(cause, is_measured) for _, _, cause, is_measured in zero] == [("all_reduce", True)] + 3 * [
        ("BACKWARD", False)
    ]
    assert one == []


def test_a_rank_that_was_killed_counts_until_its_end() -> None:
    fast, slow = rank_timeline(0, [2 * MS] * 6, [9 * MS] * 6), rank_timeline(1, [7 * MS] * 4, [4 * MS] * 4)
    slow.tracks[0].move_ring.offset -= slow.tracks[0].move_ring.record.size
    assert [len(found) for found in waits(Timeline.merge([fast, slow]))] == [4, 0]


def test_dropped_beginnings_are_aligned_at_the_end() -> None:
    fast, slow = rank_timeline(0, [2 * MS] * 6, [9 * MS] * 6), rank_timeline(1, [7 * MS] * 6, [4 * MS] * 6)
    ring = fast.tracks[0].move_ring
    fast.tracks[0].move_ring = ring.with_bytes(ring.to_bytes()[6 * ring.record.size :])
    fast.tracks[0].move_ring.dropped_before = 6
    assert [len(found) for found in waits(Timeline.merge([fast, slow]))] == [4, 0]


def test_waits_are_saved_exported_summed_and_drawn(tmp_path: Path) -> None:
    merged = Timeline.merge(
        [rank_timeline(0, [2 * MS] * 4, [9 * MS] * 4), rank_timeline(1, [7 * MS] * 4, [4 * MS] * 4)]
    )
    loaded = Timeline.load(merged.save(tmp_path / "both.fsmt"))
    assert waits(loaded) == waits(merged)
    lanes = [event for event in merged.to_chrome()["traceEvents"] if event.get("cat") == "wait"]
    assert [(event["pid"], event["name"], event["dur"]) for event in lanes] == 4 * [(0, "BACKWARD", 5000.0)]
    summary = merged.summary()
    assert [track.waits for track in summary.tracks] == [20 * MS, 0]
    assert "waits for other ranks 20 ms (42%)" in str(summary)
    assert [track.name for track in summary.tracks] == ["rank 0: training", "rank 1: training"]
    svg = merged.draw(tmp_path / "run.svg").read_text()
    assert svg.count("<title>wait for other ranks in BACKWARD: 5 ms</title>") == 4


def test_calls_are_recorded_only_while_something_records() -> None:
    calls = NamedSpans(4)
    with collective_call("before"):
        pass
    start_recording(calls)
    try:
        with pytest.raises(KeyError), collective_call("GracefulStop at STARTED, iteration 3", is_wait=True):
            raise KeyError
    finally:
        stop_recording(calls)
    with collective_call("after"):
        pass
    assert [(name, is_wait) for _, _, name, is_wait in calls] == [("GracefulStop", True)]


def test_a_process_alone_records_no_collectives() -> None:
    engine = Engine(lambda _engine, batch: batch)
    with engine.record() as timeline, collective_call("barrier"):
        engine.run([1])
    assert timeline.tracks[0].collectives is None
