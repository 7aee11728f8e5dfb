"""Timelines: files, summaries, verification against a lifecycle, comparison with another run."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from textwrap import dedent
from typing import Any

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycles import Plan, built, plans, recorded_run
from training_graph import ONE_BATCH, path

from fsm_engine import Engine, EventEnum, Events, History, Lifecycle
from fsm_engine._util.errors import LifecycleError
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.timeline import HandlerRef, MoveKind, Timeline, Track
from fsm_engine.timeline.files import MAGIC, _pack
from fsm_engine.timeline.track import MOVE, SPAN
from fsm_engine.timeline.visits import Visits

ROOT = Path(__file__).resolve().parents[2]


def step(_engine: Engine, batch: Any) -> Any:
    return batch


def recorded(batches: int = 3, epochs: int = 2) -> tuple[Engine, Timeline]:
    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED, step, 1)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), Engine.interrupt)
    with engine.record() as timeline:
        engine.run(range(batches), max_epochs=epochs)
        engine.run()
    timeline.count("loss", 0.5)
    return engine, timeline


def content(timeline: Timeline) -> tuple[Any, ...]:
    """Return the whole content of a timeline, for comparisons."""
    tracks = [(t.name, t.thread, t.kinds, t.handlers, list(t.moves), list(t.spans), t.dropped) for t in timeline.tracks]
    counters = {name: (list(counter), counter.dropped) for name, counter in timeline.counters.items()}
    return timeline.wall, timeline.capacity, tracks, counters


# Files


@pytest.mark.parametrize("capacity", [1, 7, 1000])
def test_loading_returns_the_saved_timeline(tmp_path: Path, capacity: int) -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED, step, 1)
    timeline = Timeline(capacity)
    with engine.record(timeline):
        for number in range(3):
            engine.run([1, 2])
            timeline.count("loss", number)
    path = timeline.save(tmp_path / "run.fsmt")
    loaded = Timeline.load(path)
    assert content(loaded) == content(timeline)
    assert content(Timeline.load(loaded.save(tmp_path / "again.fsmt"))) == content(timeline)
    assert str(loaded.summary()) == str(timeline.summary())


def test_an_empty_timeline_can_be_saved(tmp_path: Path) -> None:
    assert content(Timeline.load(Timeline().save(tmp_path / "empty.fsmt")))[1:] == (1_000_000, [], {})


def test_loading_a_truncated_file_raises(tmp_path: Path) -> None:
    whole = recorded()[1].save(tmp_path / "run.fsmt").read_bytes()
    path = tmp_path / "cut.fsmt"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut.fsmt is (not a timeline|damaged): "):
            Timeline.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="is damaged: it ends in the middle of a block"):
        Timeline.load(path)


def test_a_changed_byte_raises_or_changes_nothing(tmp_path: Path) -> None:
    timeline = recorded(1, 1)[1]
    whole = timeline.save(tmp_path / "run.fsmt").read_bytes()
    path = tmp_path / "changed.fsmt"
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            loaded = Timeline.load(path)
        except ValueError:
            continue
        assert content(loaded) == content(timeline)


@pytest.mark.parametrize("foreign", [b"", b"FSM", b"PK\3\4" * 9, b"FSMT00x1" + b"\0" * 9, b"{}"])
def test_loading_a_foreign_file_raises(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "foreign.fsmt"
    path.write_bytes(foreign)
    with pytest.raises(ValueError, match=r"foreign.fsmt is not a timeline.*FSMT"):
        Timeline.load(path)


def test_loading_a_newer_file_raises(tmp_path: Path) -> None:
    path = tmp_path / "newer.fsmt"
    path.write_bytes(b"FSMT0002" + b"anything")
    with pytest.raises(ValueError, match=r"newer.fsmt has version 2, .* up to 1\. Update"):
        Timeline.load(path)


def valid_header() -> dict[str, Any]:
    kind = {"source": "A", "label": "go", "target": "B", "source_scopes": [], "target_scopes": ["run"]}
    track = {
        "name": "training",
        "thread": "MainThread",
        "dropped": [0, 0],
        "kinds": [{**kind, "trigger": "automatic", "is_error": False}],
        "handlers": [{"name": "f", "event": "E", "place": "x.py:1"}],
    }
    return {"wall": 5, "capacity": 10, "tracks": [track], "counters": []}


def file_of(header: Any, *blocks: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return MAGIC + b"0001" + b"".join(map(_pack, [text, *blocks]))


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    header = valid_header()
    inner: Any = header
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return header


TRACK_KEYS = ("name", "thread", "dropped", "kinds", "handlers")
T = ("tracks", 0)
ONE_MOVE, ONE_SPAN = MOVE.pack(1, 0, 0, 0), SPAN.pack(1, 2, 0, 0)
HOSTILE = {
    "no object": file_of([1]),
    "a pickle that would run something": file_of(b"cos\nmkdir\n(S'hostile'\ntR."),
    "no json": file_of(b"\xff\xfe"),
    "deep": file_of(b"[" * 100_000),
    "a number of many digits": file_of(b'{"wall": ' + b"9" * 100_000 + b"}"),
    "no tracks": file_of({"wall": 1, "capacity": 1, "counters": []}),
    "tracks that are none": file_of(changed(("tracks",), 5)),
    "a track that is none": file_of(changed(T, 5), ONE_MOVE, ONE_SPAN),
    "too few blocks": file_of(valid_header(), ONE_MOVE),
    "too many blocks": file_of(valid_header(), ONE_MOVE, ONE_SPAN, b""),
    "no whole record": file_of(valid_header(), ONE_MOVE[1:], ONE_SPAN),
    "a kind that is not there": file_of(valid_header(), MOVE.pack(1, 1, 0, 0), ONE_SPAN),
    "a negative kind": file_of(valid_header(), MOVE.pack(1, -1, 0, 0), ONE_SPAN),
    "a call that is not there": file_of(valid_header(), ONE_MOVE, SPAN.pack(1, 2, 7, 0)),
    "a bomb": MAGIC
    + b"0001"
    + struct.pack("<II", *(lambda z: (len(z), 0))(zlib.compress(bytes(10**8))))
    + zlib.compress(bytes(10**8)),
    "a block that claims to be huge": MAGIC + b"0001" + struct.pack("<II", 2**32 - 1, 0) + b"x",
    "a wrong checksum": MAGIC + b"0001" + struct.pack("<II", 8, 1) + zlib.compress(b""),
    **{
        f"{place[-1]} as {value!r:.20}": file_of(changed(place, value), ONE_MOVE, ONE_SPAN)
        for place in (
            ("wall",),
            ("capacity",),
            *((*T, key) for key in ("name", "thread", "dropped", "kinds", "handlers")),
        )
        for value in (None, 1.5, -(10**30), float("inf"), float("nan"), {"a": 1}, [[]], True)
    },
    **{
        f"{place[-2:]} as {value!r:.20}": file_of(changed(place, value), ONE_MOVE, ONE_SPAN)
        for place in (
            (*T, "kinds", 0, "source"),
            (*T, "kinds", 0, "more"),
            (*T, "handlers", 0, "place"),
            (*T, "dropped", 1),
        )
        for value in (None, -1, [1], 1e400)
    },
    "scopes of numbers": file_of(changed((*T, "kinds", 0, "target_scopes"), [1]), ONE_MOVE, ONE_SPAN),
    **{
        f"sampling as {value!r:.40}": file_of(changed((*T, "sampling"), value), ONE_MOVE, ONE_SPAN)
        for value in (
            None,
            [],
            {},
            {"every": 2, "iterations": 1},
            {"every": 2, "iterations": -1, "kept": 0, "phases": []},
            {"every": 2.5, "iterations": 1, "kept": 0, "phases": []},
            {"every": 2, "iterations": 1, "kept": 0, "phases": [1]},
            {"every": 2, "iterations": 1, "kept": 0, "phases": [], "more": 1},
        )
    },
    "a device without a block": file_of(changed((*T, "device"), 0), ONE_MOVE, ONE_SPAN),
    "a device of no number": file_of(changed((*T, "device"), "0"), ONE_MOVE, ONE_SPAN, b""),
    "no whole record of a device": file_of(changed((*T, "device"), 0), ONE_MOVE, ONE_SPAN, b"x"),
    "a cut that is none": file_of(changed((*T, "kinds", 0, "starts_gap"), 1), ONE_MOVE, ONE_SPAN),
    "an error that is none": file_of(changed((*T, "kinds", 0, "is_error"), 1), ONE_MOVE, ONE_SPAN),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_loading_a_hostile_file_raises(tmp_path: Path, what: str) -> None:
    path = tmp_path / "hostile.fsmt"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(ValueError, match=r"hostile.fsmt is damaged: .+"):
        Timeline.load(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not Path("hostile").exists()


def test_the_file_behind_the_hostile_ones_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "valid.fsmt"
    path.write_bytes(file_of(valid_header(), ONE_MOVE, ONE_SPAN))
    assert [str(move.kind) for move in Timeline.load(path).tracks[0].moves] == ["A --go--> B"]


def test_a_decompression_bomb_is_not_decompressed(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "bomb.fsmt"
    path.write_bytes(HOSTILE["a bomb"])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 200 times larger"):
            Timeline.load(path)
        assert tracemalloc.get_traced_memory()[1] < 5 * 10**7
    finally:
        tracemalloc.stop()


SAVING = """
    import sys
    from fsm_engine import Engine
    from fsm_engine.timeline import Timeline
    engine = Engine(lambda engine, batch: batch)
    with engine.record() as timeline:
        engine.run(range(20_000))
    print("ready", flush=True)
    while True:
        timeline.save(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_killed_while_saving_leaves_a_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "run.fsmt"
    old = content(Timeline.load(recorded()[1].save(path)))
    for wait in (0.0, 0.005, 0.02, 0.08):
        command = [sys.executable, "-c", dedent(SAVING), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            time.sleep(wait)
            running.kill()
        loaded = Timeline.load(path)
        assert content(loaded) == old or len(list(loaded.tracks[0].moves)) == 4 * 20_000 + 5


def test_a_file_that_cannot_be_written_or_read_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="there is no folder"):
        Timeline().save(tmp_path / "nowhere" / "run.fsmt")
    with pytest.raises(FileNotFoundError):
        Timeline.load(tmp_path / "run.fsmt")


# Summaries


def made_by_hand() -> Timeline:
    """Return the timeline of one iteration in a lifecycle of few phases, with round times."""
    names = [
        "IDLE",
        "Events.STARTED",
        "Events.GET_BATCH_STARTED",
        "Events.ITERATION_STARTED",
        "Events.COMPLETED",
        "IDLE",
    ]
    scopes: list[tuple[str, ...]] = [(), ("run",), ("run",), ("run", "iteration"), (), ()]
    timeline = Timeline(100)
    track = Track("by hand", "MainThread", 100)
    timeline.tracks.append(track)
    records = []
    for place, (start, time_) in enumerate(zip(names, (1000, 1010, 1110, 2110, 2120))):
        trigger = "automatic" if place else "run"
        kind = MoveKind(start, "on", names[place + 1], scopes[place], scopes[place + 1], trigger)
        records.append(MOVE.pack(time_, track.kind_number(kind), 1, 1))
    track.move_ring.load_bytes(b"".join(records))
    outer, inner = HandlerRef("outer", "Events.GET_BATCH_STARTED", "x:1"), HandlerRef("inner", "own", "x:2")
    numbers = [track.handler_number(handler) for handler in (outer, inner)]
    spans = [(1015, 1025, numbers[1]), (1012, 1032, numbers[0]), (1111, 1114, numbers[0])]
    track.span_ring.load_bytes(b"".join(SPAN.pack(start, end, number, 0) for start, end, number in spans))
    return timeline


def test_a_summary_has_the_sums_calculated_by_hand() -> None:
    (summary,) = made_by_hand().summary().tracks
    assert (summary.total, summary.data, summary.step, summary.in_handlers, summary.other) == (1120, 80, 997, 23, 20)
    assert {name: (t.count, t.total) for name, t in summary.phases.items()} == {
        "Events.STARTED": (1, 10),
        "Events.GET_BATCH_STARTED": (1, 100),
        "Events.ITERATION_STARTED": (1, 1000),
        "Events.COMPLETED": (1, 10),
    }
    outer = summary.handlers["outer on Events.GET_BATCH_STARTED"]
    assert (outer.count, outer.total, outer.mean, outer.p50, outer.p95, outer.max) == (2, 23, 11.5, 3, 20, 20)
    assert outer.share == 23 / 1120
    assert summary.transitions["Events.GET_BATCH_STARTED --on--> Events.ITERATION_STARTED"].total == 80
    assert str(summary).splitlines()[0] == (
        "by hand: 1.12 us; data 80 ns (7%), step 997 ns (89%), handlers 23 ns (2%), other 20 ns (2%)"
    )


@settings(deadline=None, max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans())
def test_the_parts_of_a_summary_add_up_to_the_total(plan: Plan) -> None:
    _, timeline = recorded_run(plan)
    for track, summary in zip(timeline.tracks, timeline.summary().tracks):
        found = list(Visits(track))
        assert summary.in_handlers == sum(visit.in_handlers for visit in found)
        assert summary.total == sum(times.total for times in summary.phases.values())
        assert min(summary.data, summary.step, summary.in_handlers, summary.other) >= 0


# Verification against a lifecycle


def is_legal(lifecycle: Lifecycle, words: list[MoveKind]) -> bool:
    """Return True if the moves are a path of the graph from its first phase; another way to verify a run."""
    graph = lifecycle.graph
    here = 0
    names = [qualified_name(phase) for phase in graph.phases]
    for kind in words:
        if not kind.is_transition:
            stays = kind.target == names[here] and here in graph.terminal
            is_over = kind.target == names[0] != names[here]
            if kind.source != names[here] or not (stays or is_over):
                return False
            here = names.index(kind.target)
            continue
        targets = [
            number
            for transition in graph.exits[here]
            if transition.label == kind.label and kind.source == names[here]
            for number, phase in enumerate(graph.phases)
            if (
                transition.target.contains(phase.scope)
                if isinstance(transition.target, History)
                else transition.target == phase.event
            )
            and names[number] == kind.target
        ]
        if not targets:
            return False
        here = targets[0]
    return True


@settings(deadline=None, max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans(), st.data())
def test_a_run_with_any_single_change_violates_its_lifecycle_unless_it_is_still_a_path(plan: Plan, data: Any) -> None:
    """A change can make another legal run: without the last move, or without a move to the same phase."""
    building, timeline = recorded_run(plan)
    track = timeline.tracks[0]
    moves = list(track.move_ring)
    hypothesis.assume(len(moves) > 1)
    place, other = (data.draw(st.integers(0, len(moves) - 1)) for _ in range(2))
    change = data.draw(st.sampled_from(["drop", "duplicate", "swap", "alter"]))
    if change == "drop":
        moves.pop(place)
    elif change == "duplicate":
        moves.insert(place, moves[place])
    elif change == "swap":
        moves[place], moves[other] = moves[other], moves[place]
    else:
        time_, _, epoch, iteration = moves[place]
        moves[place] = time_, data.draw(st.integers(0, len(track.kinds) - 1)), epoch, iteration
    track.move_ring.load_bytes(b"".join(MOVE.pack(*fields) for fields in moves))
    track.move_ring.offset, track.move_ring.laps = len(moves) * MOVE.size, 0
    words = [track.kinds[fields[1]] for fields in moves]
    lifecycle = building.engine.lifecycle
    assert (timeline.verify(lifecycle) is None) == is_legal(lifecycle, words)


def test_a_violation_has_its_step_and_the_legal_moves() -> None:
    engine, timeline = recorded()
    track = timeline.tracks[0]
    moves, to_step = list(track.move_ring), path(Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)
    del moves[4 : 4 + len(to_step)]
    track.move_ring.load_bytes(b"".join(MOVE.pack(*fields) for fields in moves))
    track.move_ring.offset = len(moves) * MOVE.size
    misstep = timeline.verify(engine.lifecycle)
    assert misstep is not None
    assert (misstep.step, misstep.phase) == (5, "Events.GET_BATCH_COMPLETED")
    assert str(misstep) == (
        "step 5 (epoch 1, iteration 1) is Events.ITERATION_STARTED --step_done--> Events.ITERATION_COMPLETED, but the "
        "run was in Events.GET_BATCH_COMPLETED. Legal there: --exception--> Events.EXCEPTION_RAISED, --interrupt--> "
        f"Events.INTERRUPT, --{to_step[0].label}--> {to_step[0].target}, --terminate--> Events.TERMINATE, "
        "--terminate_epoch--> Events.TERMINATE_SINGLE_EPOCH."
    )


class Behind(EventEnum):
    AFTER = "after"


def test_a_run_after_a_failure_behind_exception_raised_verifies(tmp_path: Path) -> None:
    def fail(_engine: Engine, _batch: Any) -> None:
        raise ValueError

    def fail_again(engine: Engine) -> None:
        raise KeyError

    lifecycle = Lifecycle.training(fail)
    lifecycle.add_phase(Behind.AFTER)
    lifecycle.remove_transition(Events.EXCEPTION_RAISED >> "IDLE")
    lifecycle.add_transition(Events.EXCEPTION_RAISED >> Behind.AFTER)
    lifecycle.add_transition(Behind.AFTER >> Events.TERMINATE)
    engine = Engine(lifecycle=lifecycle)
    engine.add_event_handler(Behind.AFTER, fail_again)
    with engine.record() as timeline:
        for _ in range(2):
            with pytest.raises(KeyError):
                engine.run([1])
    walk = [str(move.kind) for move in timeline.tracks[0].moves]
    assert walk[-2:] == ["Behind.AFTER --terminate--> Events.TERMINATE", "run ended in Events.TERMINATE"]
    assert walk[: len(walk) // 2] == walk[len(walk) // 2 :]
    assert timeline.verify(engine.lifecycle) is None
    assert Timeline.load(timeline.save(tmp_path / "run.fsmt")).verify(engine.lifecycle) is None


def test_a_recording_that_begins_inside_a_run_verifies(tmp_path: Path) -> None:
    engine, recorders = Engine(step), []
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: recorders.append(engine.record()))
    engine.run([1, 2, 3], max_epochs=2)
    (recorder,) = recorders
    timeline = recorder.timeline
    walk = [str(move.kind) for move in timeline.tracks[0].moves]
    assert walk[:2] == [
        "recording began in Events.ITERATION_COMPLETED",
        "Events.ITERATION_COMPLETED --next_batch--> Events.GET_BATCH_STARTED",
    ]
    assert timeline.verify(engine.lifecycle) is None
    track = timeline.tracks[0]
    records = list(track.move_ring)
    for place in (0, 1, 5):
        track.move_ring.load_bytes(b"".join(MOVE.pack(*fields) for fields in records[:place] + records[place + 1 :]))
        track.move_ring.offset, track.move_ring.laps = (len(records) - 1) * MOVE.size, 0
        assert timeline.verify(engine.lifecycle) is not None
    track.move_ring.load_bytes(b"".join(MOVE.pack(*fields) for fields in records))
    track.move_ring.offset, track.move_ring.laps = len(records) * MOVE.size, 0
    assert str(Timeline.load(timeline.save(tmp_path / "run.fsmt")).summary()) == str(timeline.summary())
    timeline.draw(tmp_path / "run.svg")
    timeline.to_chrome()


def test_a_run_after_an_abandoned_suspended_run_verifies() -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    with engine.record() as timeline:
        engine.run([1, 2])
        engine.state.max_epochs = None
        engine.run([1, 2], max_epochs=3)
    walk = [str(move.kind) for move in timeline.tracks[0].moves]
    place = walk.index("run suspended in Events.INTERRUPT")
    assert walk[place + 1 : place + 3] == ["run ended in Events.INTERRUPT", "IDLE --run--> Events.STARTED"]
    assert timeline.verify(engine.lifecycle) is None


def test_a_run_of_another_lifecycle_violates_this_one_and_has_no_coverage() -> None:
    timeline = recorded()[1]
    lifecycle = Lifecycle.training(step)
    lifecycle.remove_transition(Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED)
    misstep = timeline.verify(lifecycle)
    assert misstep is not None
    assert misstep.move.kind.label == "next_epoch"
    with pytest.raises(
        ValueError, match=r"Step \d+, Events.EPOCH_COMPLETED --next_epoch--> .*not a transition of this"
    ):
        timeline.coverage(lifecycle)


@settings(deadline=None, max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans())
def test_coverage_equals_the_coverage_of_the_observed_moves(plan: Plan) -> None:
    building = built(plan)
    walk: list[Any] = []
    building.engine.observe(lambda engine, transition: walk.append(transition))
    with building.engine.record() as timeline:
        building.run()
    lifecycle = building.engine.lifecycle
    assert timeline.coverage(lifecycle) == lifecycle.coverage([walk])


# Comparison with another run


def test_two_runs_diverge_where_they_first_differ() -> None:
    one, other = recorded(3, 1)[1], recorded(4, 1)[1]
    assert one.diff(recorded(3, 1)[1]) is None
    found = one.diff(other)
    assert found is not None
    assert str(found) == (
        f"step {found.step}: Events.ITERATION_COMPLETED --epoch_full--> Events.EPOCH_COMPLETED (epoch 1, iteration 3) "
        f"| Events.ITERATION_COMPLETED --next_batch--> Events.GET_BATCH_STARTED (epoch 1, iteration 3)"
    )
    again = other.diff(one)
    assert again is not None
    assert (again.move, again.other) == (found.other, found.move)


def test_a_run_that_ends_earlier_diverges_at_its_end() -> None:
    engine = Engine(step)
    with engine.record() as one:
        engine.run([1])
    with engine.record() as other:
        engine.run([1])
        engine.run([1])
    found = one.diff(other)
    assert found is not None
    assert str(found).partition(": ")[2] == "the end | IDLE --run--> Events.STARTED (epoch 0, iteration 0)"


def test_a_track_of_an_engine_inside_a_run_is_verified_and_compared() -> None:
    def recorded_with(inner_batches: int) -> tuple[Engine, Timeline]:
        inner, outer = Engine(step), Engine(step)
        inner.lifecycle.insert("INNER", after=Events.EPOCH_STARTED)
        outer.add_event_handler(Events.EPOCH_COMPLETED, lambda: inner.run([1] * inner_batches))
        with outer.record() as timeline:
            outer.run([1, 2])
        return inner, timeline

    inner, timeline = recorded_with(1)
    assert timeline.verify(inner.lifecycle, track=1) is None
    assert timeline.verify(inner.lifecycle) is not None
    assert timeline.coverage(inner.lifecycle, track=1).visited
    other = recorded_with(2)[1]
    assert timeline.diff(other) is None
    assert timeline.diff(other, track=1) is not None


def test_comparing_runs_without_their_beginning_raises() -> None:
    engine = Engine(step)
    with engine.record(capacity=5) as timeline:
        engine.run([1, 2])
    two_batches = (Events.STARTED, Events.EPOCH_STARTED, *ONE_BATCH, *ONE_BATCH, Events.EPOCH_COMPLETED)
    lost = len(path("IDLE", *two_batches, Events.COMPLETED, "IDLE")) - 5
    with pytest.raises(ValueError, match=rf"dropped its first {lost} moves.*capacity="):
        timeline.diff(timeline)


# Memory

LONG = """
    import resource
    from fsm_engine import Engine
    engine = Engine(lambda engine, batch: None)
    engine.run(epoch_length=10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with engine.record(capacity=100_000) as timeline:
        engine.run(epoch_length=5_000_000)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, sum(timeline.dropped))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_recording_ten_million_moves_takes_the_documented_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", dedent(LONG)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    kilobytes, dropped = map(int, done.stdout.split())
    assert dropped > 9_800_000
    assert kilobytes * 1024 < 2 * 100_000 * 24 + 16 * 2**20  # two rings, and the growth of the interpreter


def test_a_track_keeps_the_lifecycle_of_its_engine_also_in_a_file(tmp_path: Path) -> None:
    def validate() -> None:
        pass

    engine = Engine(lambda engine, batch: batch)
    engine.lifecycle.insert("VALIDATE", after=Events.EPOCH_COMPLETED, activity=validate)
    with engine.record() as timeline:
        engine.run([1, 2])
    loaded = Timeline.load(timeline.save(tmp_path / "run.fsmt"))
    for recorded in (timeline, loaded):
        lifecycle = recorded.tracks[0].lifecycle
        assert lifecycle is not None
        assert lifecycle.to_dict() == engine.lifecycle.to_dict()
        assert recorded.verify(lifecycle) is None


def test_a_file_without_a_lifecycle_loads_and_one_with_a_damaged_lifecycle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.fsmt"
    path.write_bytes(file_of(valid_header(), ONE_MOVE, ONE_SPAN))
    assert Timeline.load(path).tracks[0].lifecycle is None
    path.write_bytes(file_of(changed((*T, "lifecycle"), 5), ONE_MOVE, ONE_SPAN))
    with pytest.raises(ValueError, match="damaged: the lifecycle of a track is 5"):
        Timeline.load(path)
    path.write_bytes(file_of(changed((*T, "lifecycle"), {"name": 3}), ONE_MOVE, ONE_SPAN))
    with pytest.raises(LifecycleError):
        _ = Timeline.load(path).tracks[0].lifecycle
