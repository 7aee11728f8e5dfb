"""Exports of timelines: they contain the whole record, nest, and can be read back."""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest
import torch
from hypothesis import given, settings
from lifecycles import Plan, plans, recorded_run

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.counters import VALUE
from fsm_engine.timeline.slices import Flows, slices
from fsm_engine.timeline.track import MOVE, SPAN, HandlerRef
from fsm_engine.timeline.visits import Visits


class Own(EventEnum):
    CALLBACK = "callback"
    CHECK = "check"


class Shown(NamedTuple):
    """A slice as a reader of a file sees it. Times are nanoseconds since 1970."""

    lane: str
    name: str
    category: str
    start: int
    end: int
    args: tuple[tuple[str, Any], ...]


def step(_engine: Engine, batch: Any) -> Any:
    return batch


def look() -> None:
    pass


def two_steps() -> Timeline:
    engine = Engine(step)
    engine.add_event_handler(Events.EPOCH_COMPLETED, look)
    with engine.record() as timeline:
        engine.run([1, 2])
    return timeline


def recorded(timeline: Timeline) -> list[Shown]:
    """Return the slices that an export has to contain, without scopes."""
    found = []
    for place, track in enumerate(timeline.tracks):
        lane = f"{track.name} {place}"
        for visit in Visits(track):
            args = (("epoch", visit.left.epoch), ("iteration", visit.left.iteration))
            times = visit.entered.time + timeline.wall, visit.left.time + timeline.wall
            found.append(Shown(f"{lane}: phases", visit.phase.rpartition(".")[2], "phase", *times, args))
        for span in track.spans:
            args = (("event", span.handler.event), ("place", span.handler.place))
            args += (("raised", True),) if span.raised else ()
            times = span.start + timeline.wall, span.end + timeline.wall
            found.append(Shown(f"{lane}: handlers", span.handler.name, "handler", *times, args))
    return sorted(found)


def read_chrome(path: Path) -> tuple[list[Shown], list[tuple[str, str]], dict[str, list[tuple[int, float]]]]:
    """Read a trace and check it: every lane has a name and nests, flows begin and end inside slices."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    trace = json.loads(text, parse_float=Decimal, parse_constant=pytest.fail)
    base = trace["baseTimeNanoseconds"]
    names, ranks, shown, values = {}, set(), [], defaultdict(list)
    ends: dict[str, dict[int, str]] = {"s": {}, "f": {}}

    def time(event: dict[str, Any]) -> int:
        return base + exact(event["ts"])

    for event in trace["traceEvents"]:
        match event["ph"]:
            case "M" if event["name"] == "thread_name":
                assert (event["pid"], event["tid"]) not in names
                names[event["pid"], event["tid"]] = event["args"]["name"]
            case "M" if event["name"] == "process_name":
                ranks.add((event["pid"], event["args"]["name"]))
            case "X":
                end = time(event) + exact(event["dur"])
                args = tuple(event["args"].items())
                lane = names[event["pid"], event["tid"]]
                shown.append(Shown(lane, event["name"], event["cat"], time(event), end, args))
            case "C":
                values[event["name"]].append((time(event), float(event["args"]["value"])))
            case "s" | "f" as side:
                inside = [s for s in shown if s.lane == names[event["pid"], event["tid"]]]
                (*_, at) = [s for s in inside if s.start <= time(event) <= s.end]
                assert event["id"] not in ends[side]
                ends[side][event["id"]] = f"{at.lane}: {at.name}"
            case other:
                assert other in ("M", "i")
    assert ranks == {(0, "rank 0")}
    assert ends["s"].keys() == ends["f"].keys()
    nest(shown)
    return shown, [(ends["s"][number], ends["f"][number]) for number in ends["s"]], dict(values)


def exact(microseconds: Decimal) -> int:
    nanoseconds = microseconds * 1000
    assert nanoseconds == int(nanoseconds)
    return int(nanoseconds)


def nest(shown: list[Shown]) -> None:
    """Check that two slices of a lane are either nested or do not overlap."""
    open_: dict[str, list[Shown]] = defaultdict(list)
    for one in sorted(shown, key=lambda s: (s.start, -s.end)):
        assert one.start <= one.end
        around = open_[one.lane]
        while around and around[-1].end <= one.start:
            around.pop()
        assert not around or one.end <= around[-1].end
        around.append(one)


def read_perfetto(path: Path) -> tuple[list[Shown], list[tuple[str, str]], dict[str, list[tuple[int, float]]]]:
    """Read a trace and check it: tracks and names are defined before they are used, every begin has an end."""
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TracePacket, TrackEvent

    packets = Trace.FromString(path.read_bytes()).packet
    assert packets[0].sequence_flags == TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    assert {(p.trusted_packet_sequence_id, p.sequence_flags) for p in packets[1:]} == {(1, 2)}
    tracks: dict[int, Any] = {}
    names: dict[tuple[str, int], str] = {}
    open_: dict[int, list[Any]] = defaultdict(list)
    latest: dict[int, int] = defaultdict(int)
    shown, values = [], defaultdict(list)
    sides: dict[int, list[str]] = defaultdict(list)

    def lane(uuid: int) -> str:
        track = tracks[uuid]
        return f"{tracks[track.parent_uuid].name}: {track.name}"

    def args_of(event: Any) -> tuple[tuple[str, Any], ...]:
        notes = event.debug_annotations
        return tuple((names["debug_annotation_names", a.name_iid], getattr(a, a.WhichOneof("value"))) for a in notes)

    for packet in packets[1:]:
        for field, entries in packet.interned_data.ListFields():
            names.update({(field.name, entry.iid): entry.name for entry in entries})
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            assert track.uuid not in tracks
            assert not track.parent_uuid or track.parent_uuid in tracks
            tracks[track.uuid] = track
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        assert latest[event.track_uuid] <= packet.timestamp
        latest[event.track_uuid] = packet.timestamp
        match event.type:
            case TrackEvent.TYPE_SLICE_BEGIN:
                name, category = names["event_names", event.name_iid], names["event_categories", event.category_iids[0]]
                open_[event.track_uuid].append((lane(event.track_uuid), name, category, packet.timestamp, event))
                for number in (*event.flow_ids, *event.terminating_flow_ids):
                    sides[number].append(f"{lane(event.track_uuid)}: {name}")
            case TrackEvent.TYPE_SLICE_END:
                *what, event = open_[event.track_uuid].pop()
                shown.append(Shown(*what, packet.timestamp, args_of(event)))
            case TrackEvent.TYPE_COUNTER:
                assert tracks[event.track_uuid].HasField("counter")
                values[tracks[event.track_uuid].name].append((packet.timestamp, event.double_counter_value))
            case other:
                assert other == TrackEvent.TYPE_INSTANT
    assert not any(open_.values())
    assert [track.name for track in tracks.values() if not track.parent_uuid] == ["rank 0"]
    return shown, [(one, other) for one, other in sides.values()], dict(values)


def check_scopes(timeline: Timeline) -> None:
    """Check that each phase is inside the slices of its scopes and of no others."""
    for place, track in enumerate(timeline.tracks):
        found: dict[str, list[Any]] = defaultdict(list)
        for slice_ in slices(timeline):
            if slice_.lane.track == place and slice_.type.category == "scope":
                found[slice_.lane.name].append(slice_)
        names = {name for kind in track.kinds for name in kind.target_scopes}
        for visit in Visits(track):
            around = {
                name
                for name in names
                if any(s.start <= visit.entered.time and visit.left.time <= s.end for s in found[name])
            }
            assert around == set(visit.entered.kind.target_scopes)


def exported(timeline: Timeline, folder: Path) -> tuple[list[Shown], list[tuple[str, str]], dict[str, Any]]:
    """Export in every format, check that the results are equal, and return them."""
    chrome, packed, perfetto = (folder / f"out{suffix}" for suffix in (".json", ".json.gz", ".pftrace"))
    seen = read_chrome(timeline.export(chrome))
    assert read_chrome(timeline.export(packed)) == seen
    other = read_perfetto(timeline.export(perfetto))
    assert sorted(other[0]) == sorted(seen[0])
    assert sorted(other[1]) == sorted(seen[1])
    assert other[2] == seen[2]
    return seen


def test_every_slice_is_in_its_lane(tmp_path: Path) -> None:
    timeline = two_steps()
    shown, arrows, values = exported(timeline, tmp_path)
    assert sorted(s for s in shown if s.category != "scope") == recorded(timeline)
    assert Counter(f"{s.lane} {s.name}" for s in shown if s.category == "scope") == {
        "training 0: engine engine": 1,
        "training 0: run run": 1,
        "training 0: epoch epoch": 1,
        "training 0: iteration iteration": 2,
    }
    assert (arrows, values) == ([], {})


@settings(deadline=None, max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans())
def test_exports_of_random_runs_are_complete_and_nest(tmp_path: Path, plan: Plan) -> None:
    _, timeline = recorded_run(plan)
    shown, _, _ = exported(timeline, tmp_path)
    lanes = {s.lane for s in shown if s.category == "handler"}
    if all(lane.endswith(": handlers") for lane in lanes):
        assert sorted(s for s in shown if s.category != "scope") == recorded(timeline)
    check_scopes(timeline)


def test_the_scopes_of_a_suspended_run_end_and_begin_again(tmp_path: Path) -> None:
    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    with engine.record() as timeline:
        engine.run([1, 2])
        engine.run()
    shown, _, _ = exported(timeline, tmp_path)
    assert Counter(s.name for s in shown if s.name in ("engine", "run", "epoch", "INTERRUPT", "RESUMED")) == {
        "engine": 2,
        "run": 2,
        "epoch": 2,
        "INTERRUPT": 1,
        "RESUMED": 1,
    }
    check_scopes(timeline)


def test_a_track_without_its_beginning_is_exported(tmp_path: Path) -> None:
    engine = Engine(step)
    with engine.record(capacity=50) as timeline:
        engine.run(range(100))
    shown, _, _ = exported(timeline, tmp_path)
    assert len([s for s in shown if s.category == "phase"]) == 49
    engine = Engine(step)
    recorder = engine.record()
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), recorder.remove)
    engine.run(range(5), max_epochs=2)
    shown, _, _ = exported(recorder.timeline, tmp_path)
    (epoch,) = [s for s in shown if s.name == "epoch"]
    assert epoch.end == max(s.end for s in shown if s.category == "phase")


def test_a_run_without_its_end_is_closed_at_its_last_move(tmp_path: Path) -> None:
    engine = Engine(step)
    with engine.record() as timeline:
        engine.run([1, 2])
        (track,) = timeline.tracks
        track.move_ring.offset -= 4 * MOVE.size  # as after a second Ctrl-C while the first was being handled
        *_, last = track.moves
        engine.run([1, 2])
    shown, _, _ = exported(timeline, tmp_path)
    ends = [s.end - timeline.wall for s in shown if s.name == "epoch"]
    assert (len(ends), min(ends)) == (2, last.time)
    check_scopes(timeline)


def test_a_flow_leads_from_a_handler_to_the_run_that_it_starts(tmp_path: Path) -> None:
    trainer, evaluator, inner = Engine(step), Engine(step), Engine(step)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run([1])

    @evaluator.on(Events.ITERATION_COMPLETED)
    def once_more() -> None:
        inner.run([1])
        inner.run([1])

    with trainer.record() as timeline:
        trainer.run([1], max_epochs=2)
    _, arrows, _ = exported(timeline, tmp_path)
    prefix = "test_a_flow_leads_from_a_handler_to_the_run_that_it_starts.<locals>."
    outer = (f"training 0: handlers: {prefix}evaluate", "evaluator 1: run: run")
    innermost = (f"evaluator 1: handlers: {prefix}once_more", "inner 2: run: run")
    assert Counter(arrows) == {outer: 2, innermost: 4}


def test_a_flow_leads_from_an_activity_to_its_run(tmp_path: Path) -> None:
    lifecycle = Lifecycle.training(step)
    lifecycle.insert(Own.CHECK, after=Events.EPOCH_COMPLETED, activity=Engine(step), data=[1])
    trainer = Engine(lifecycle=lifecycle)
    with trainer.record() as timeline:
        trainer.run([1])
    assert exported(timeline, tmp_path)[1] == [("training 0: phases: CHECK", "training 1: run: run")]


def test_a_run_in_another_thread_has_no_flow() -> None:
    trainer, other = Engine(step), Engine(step)

    @trainer.on(Events.EPOCH_COMPLETED)
    def wait() -> None:
        thread = threading.Thread(target=other.run, args=([1],))
        thread.start()
        thread.join()

    timeline = Timeline()
    with trainer.record(timeline), other.record(timeline):
        trainer.run([1])
    assert len(list(timeline.tracks[1].moves)) > 0
    assert Flows(timeline).found() == []


def test_calls_that_do_not_nest_are_in_different_lanes(tmp_path: Path) -> None:
    engine = Engine(step)
    with engine.record() as timeline:
        engine.run([1])
    (track,) = timeline.tracks
    track.handlers.append(HandlerRef("f", "e", "here:1"))
    times = [(0, 100), (10, 50), (20, 60), (30, 55), (40, 70), (100, 110), (200, 210), (200, 250)]
    for place, (start, end) in enumerate(times):
        SPAN.pack_into(track.span_ring.block, place * SPAN.size, start, end, 0, 0)
    track.span_ring.offset = len(times) * SPAN.size
    shown, _, _ = exported(timeline, tmp_path)
    placed = {(s.start - timeline.wall, s.end - timeline.wall): s.lane for s in shown if s.name == "f"}
    assert placed == {
        (0, 100): "training 0: handlers",
        (10, 50): "training 0: handlers",
        (20, 60): "training 0: handlers 2",
        (30, 55): "training 0: handlers 2",
        (40, 70): "training 0: handlers 3",
        (100, 110): "training 0: handlers",
        (200, 210): "training 0: handlers",
        (200, 250): "training 0: handlers",
    }


def test_counters_are_curves(tmp_path: Path) -> None:
    engine, timeline = Engine(step), Timeline()

    @engine.on(Events.ITERATION_COMPLETED)
    def tell(engine: Engine) -> None:
        timeline.count("loss", engine.state.output)

    with engine.record(timeline):
        engine.run([0.5, 1, float("nan"), torch.tensor(0.25).numpy()[()]])
    _, _, values = exported(timeline, tmp_path)
    assert [value for _, value in values["loss"]] == [0.5, 1.0, 0.25]
    kept = [time + timeline.wall for time, _ in timeline.counters["loss"]]
    assert [time for time, _ in values["loss"]] == [kept[0], kept[1], kept[3]]
    assert '"name": "loss is nan"' in (tmp_path / "out.json").read_text()
    assert b"loss is nan" in (tmp_path / "out.pftrace").read_bytes()


def test_a_counter_keeps_the_newest_values() -> None:
    timeline = Timeline(capacity=3)
    for value in range(5):
        timeline.count("it", value)
    assert [value for _, value in timeline.counters["it"]] == [2, 3, 4]
    assert timeline.counters["it"].dropped == 2
    assert len(timeline.counters["it"].block) == 3 * VALUE.size


def test_counting_a_value_that_is_not_a_number_raises() -> None:
    timeline = Timeline()
    with pytest.raises(TypeError, match=r"count\('loss', .*Tensor.*Pass loss\.item\(\)"):
        timeline.count("loss", torch.tensor(1.0))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got str\. Pass a number"):
        timeline.count("loss", "1")  # type: ignore[arg-type]


def test_to_chrome_returns_the_content_of_the_exported_file(tmp_path: Path) -> None:
    engine = Engine(step)
    with engine.record() as timeline:
        engine.run([1])
    assert json.loads(timeline.export(tmp_path / "t.json", rank=3).read_text()) == timeline.to_chrome(3)
    assert {event["pid"] for event in timeline.to_chrome(3)["traceEvents"]} == {3}


def test_files_of_several_ranks_can_be_concatenated(tmp_path: Path) -> None:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    engine = Engine(step)
    with engine.record() as timeline:
        engine.run([1])
    parts = [timeline.export(tmp_path / f"{rank}.pftrace", rank=rank).read_bytes() for rank in (0, 1)]
    packets = Trace.FromString(b"".join(parts)).packet
    uuids = [p.track_descriptor.uuid for p in packets if p.HasField("track_descriptor")]
    assert len(uuids) == len(set(uuids))
    assert {p.trusted_packet_sequence_id for p in packets} == {1, 2}


@pytest.mark.parametrize(("name", "format_"), [("t.trace", None), ("t.json", "svg"), ("json", None)])
def test_an_unknown_format_raises(tmp_path: Path, name: str, format_: str | None) -> None:
    with pytest.raises(ValueError, match=r"'json', 'json\.gz'|'json' or 'json\.gz' or 'perfetto'"):
        Timeline().export(tmp_path / name, format_)
    assert list(tmp_path.iterdir()) == []


def test_a_format_can_be_passed(tmp_path: Path) -> None:
    path = Timeline().export(tmp_path / "t.bin", "json.gz")
    assert json.loads(gzip.decompress(path.read_bytes()))["displayTimeUnit"] == "ns"


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".pftrace"])
def test_a_failed_export_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    engine = Engine(step)
    with engine.record() as timeline:
        engine.run(range(10_000))
    path = tmp_path / f"t{suffix}"
    path.write_text("old")
    timeline.count("loss", 1)
    timeline.counters["loss"] = [(1, "not a number")]  # type: ignore[assignment]
    with pytest.raises(TypeError):
        timeline.export(path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(path.name, "old")]


def test_a_missing_package_raises_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pandas", "perfetto.protos.perfetto.trace.perfetto_trace_pb2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'\.json .*pip install "fsm-engine\[perfetto\]"'):
        Timeline().export(tmp_path / "t.pftrace")
    with pytest.raises(ImportError, match=r"pip install pandas"):
        Timeline().to_pandas()
    assert list(tmp_path.iterdir()) == []


def test_to_pandas_has_moves_and_calls() -> None:
    timeline = two_steps()
    table = timeline.to_pandas()
    assert len(table) == len(timeline.to_dicts())
    assert table.time.is_monotonic_increasing
    assert table.groupby("handler").duration.sum().to_dict() == {
        f"{look.__module__}.{look.__qualname__}".removeprefix(f"{__name__}."): sum(
            span.duration for span in timeline.tracks[0].spans
        )
    }
    assert table.label.value_counts()["step_done"] == 2
    assert len(Timeline().to_pandas()) == 0


def test_to_pandas_has_values_of_counters() -> None:
    engine = Engine(step)

    @engine.on(Events.ITERATION_COMPLETED)
    def count(engine: Engine) -> None:
        timeline.count("loss", engine.state.iteration / 4)
        timeline.count("rate", 1)

    with engine.record() as timeline:
        engine.run([1, 2])
    table = timeline.to_pandas()
    values = table.dropna(subset="counter")
    assert values.time.is_monotonic_increasing
    assert list(zip(values.counter, values.value)) == [("loss", 0.25), ("rate", 1.0), ("loss", 0.5), ("rate", 1.0)]
    assert len(table.dropna(subset="label")) == len(list(timeline.tracks[0].moves))
    curves = values.pivot(index="time", columns="counter", values="value")
    assert curves.loss.dropna().tolist() == [0.25, 0.5]


def profiled(folder: Path) -> tuple[Timeline, Path]:
    """Return the timeline of a run whose second epoch was profiled, and the path of the profile."""
    engine, profiler = Engine(work), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    engine.add_event_handler(Events.EPOCH_STARTED(once=2), profiler.start)
    engine.add_event_handler(Events.EPOCH_COMPLETED(once=2), profiler.stop)
    with engine.record() as timeline:
        engine.run([1, 2, 3], max_epochs=3)
    profiler.export_chrome_trace(str(folder / "torch.json"))
    return timeline, folder / "torch.json"


def work(_engine: Engine, batch: int) -> float:
    with torch.profiler.record_function("work"):
        return torch.ones(200, 200).mm(torch.ones(200, 200)).sum().item()


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_phases_have_the_right_times_in_a_merged_torch_trace(tmp_path: Path, suffix: str) -> None:
    timeline, trace = profiled(tmp_path)
    before = trace.read_bytes()
    path = timeline.merge_torch_trace(trace, tmp_path / f"merged{suffix}")
    content = path.read_bytes()
    merged = json.loads(gzip.decompress(content) if suffix == ".json.gz" else content)
    events, theirs = merged["traceEvents"], json.loads(before)
    assert trace.read_bytes() == before
    assert events[: len(theirs["traceEvents"])] == theirs["traceEvents"]
    assert {**merged, "traceEvents": None} == {**theirs, "traceEvents": None}
    ours = [event for event in events[len(theirs["traceEvents"]) :] if event["ph"] == "X"]
    steps = sorted((e for e in ours if e["name"] == "ITERATION_STARTED"), key=lambda e: e["ts"])
    works = sorted((e for e in theirs["traceEvents"] if e["name"] == "work"), key=lambda e: e["ts"])
    assert [event["args"]["iteration"] for event in steps] == [4, 5, 6]
    middles = [event["ts"] + event["dur"] / 2 for event in works if event["ph"] == "X"]
    assert [s["ts"] < middle < s["ts"] + s["dur"] for s, middle in zip(steps, middles)] == [True] * 3
    (run,) = [event for event in ours if event["name"] == "run"]
    assert run["dur"] > sum(event["dur"] for event in steps)
    assert len({event["pid"] for event in ours} - {event["pid"] for event in theirs["traceEvents"]}) == 1


def test_merging_an_unsuitable_trace_raises(tmp_path: Path) -> None:
    timeline, trace = profiled(tmp_path)
    foreign = tmp_path / "foreign.json"
    good = json.loads(trace.read_bytes())
    late = [{**event, "ts": event["ts"] + 1e9} for event in good["traceEvents"] if "ts" in event]
    for content, complaint in (
        ("{", "is not a trace: "),
        ("[1]", "no list of traceEvents"),
        ('{"traceEvents": []}', "has no baseTimeNanoseconds"),
        ('{"traceEvents": [], "baseTimeNanoseconds": 0}', "no events with a time"),
        (json.dumps({**good, "traceEvents": late}), "no event overlaps"),
    ):
        foreign.write_text(content)
        with pytest.raises(ValueError, match=complaint):
            timeline.merge_torch_trace(foreign, tmp_path / "merged.json")
    foreign.write_bytes(gzip.compress(trace.read_bytes())[:100])
    with pytest.raises(ValueError, match="is not a trace: "):
        timeline.merge_torch_trace(foreign, tmp_path / "merged.json")
    assert not (tmp_path / "merged.json").exists()


def ranges_of(profiler: Any, folder: Path) -> list[Shown]:
    """Return the ranges of a profile, and check that they nest."""
    profiler.export_chrome_trace(str(folder / "ranges.json"))
    events = json.loads((folder / "ranges.json").read_text(), parse_float=Decimal)["traceEvents"]
    found = [event for event in events if event.get("cat") == "user_annotation"]
    times = [(int(event["ts"] * 1000), int((event["ts"] + event["dur"]) * 1000)) for event in found]
    shown = [Shown(str(event["tid"]), event["name"], "", *time, ()) for event, time in zip(found, times)]
    nest(shown)
    return sorted(shown, key=lambda s: (s.start, -s.end))


def test_phases_are_ranges_while_a_profiler_is_active(tmp_path: Path) -> None:
    engine, evaluator = Engine(work), Engine(step)
    profiler = torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU],
        schedule=torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1),
    )

    @engine.on(Events.ITERATION_COMPLETED)
    def advance() -> None:
        profiler.step()

    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: evaluator.run([1]))
    with engine.record(profile=True), profiler:
        engine.run(range(6))
    one = ["Events.GET_BATCH_STARTED", "Events.ITERATION_STARTED"]
    inside = ["Events.EPOCH_STARTED", *one]
    names = [s.name for s in ranges_of(profiler, tmp_path) if s.name.startswith("Events")]
    assert names == [*one, *inside, *one]


def test_ranges_are_closed_after_errors(tmp_path: Path) -> None:
    class Halt(BaseException):
        pass

    def fail(engine: Engine, batch: int) -> None:
        engine.fire_event(Own.CHECK)
        if batch:
            raise Halt

    engine = Engine(fail)
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> Own.CHECK >> Events.ITERATION_COMPLETED, required=True)
    with (
        engine.record(profile=True) as timeline,
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler,
    ):
        for number, data in enumerate(([0, 0], [0, 1], [0])):
            with torch.profiler.record_function(f"run {number}"):
                if number == 1:
                    with pytest.raises(Halt):
                        engine.run(data)
                else:
                    engine.run(data)
    shown = ranges_of(profiler, tmp_path)
    one = ["Events.GET_BATCH_STARTED", "Events.ITERATION_STARTED", "Own.CHECK"]
    steps = sum(move.kind.target == "Own.CHECK" for move in timeline.tracks[0].moves)
    assert [s.name for s in shown if s.name in one] == one * steps
    assert {s.name for s in shown} >= {"run 0", "run 1", "run 2"}


def test_without_a_profiler_there_are_no_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(torch.profiler, "record_function", made.append)
    engine = Engine(step)
    with engine.record(profile=True):
        engine.run([1, 2])
    assert made == []
    monkeypatch.setitem(sys.modules, "torch.profiler", None)
    with pytest.raises(ImportError):
        engine.record(profile=True)
    with engine.record() as timeline:
        engine.run([1, 2])
    assert len(list(timeline.tracks[0].moves)) > 0
