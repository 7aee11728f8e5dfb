"""`record(every=)`: records one iteration in every so many, and everything outside iterations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycles import Building, Plan, plans

from fsm_engine import Engine, EventEnum, Events, Lifecycle, Scope
from fsm_engine.timeline import MoveKind, Timeline, Track
from fsm_engine.timeline.sampling import IterationPhases
from fsm_engine.timeline.track import MOVE, Sampling
from fsm_engine.timeline.visits import Visits

TURN = {phase.name for phase in Lifecycle.training().phases if Scope.EPOCH.contains(phase.scope)} - {"EPOCH_STARTED"}


class Own(EventEnum):
    CHECK = "check"
    FIRED = "fired"


def step(_engine: Engine, batch: Any) -> Any:
    return batch


def ends(kind: MoveKind) -> tuple[str, str]:
    return kind.source.rpartition(".")[2], kind.target.rpartition(".")[2]


def sampled(kinds: list[MoveKind], every: int) -> Iterator[MoveKind]:
    """Yield the moves to record of a run of the training lifecycle."""
    turns, is_kept, was_kept = 0, True, True
    for kind in kinds:
        source, target = ends(kind)
        was_kept, is_inside = is_kept or source not in TURN, source in TURN and target in TURN
        if source in ("EPOCH_STARTED", "ITERATION_COMPLETED") and target in TURN:
            is_kept, turns = turns % every == 0, turns + 1
        if not is_inside or is_kept or was_kept:
            yield kind
        if target == "EPOCH_COMPLETED" and source in ("GET_BATCH_STARTED", "DATALOADER_STOP_ITERATION"):
            turns -= 1  # no batch was left


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 7), st.integers(1, 3), st.integers(2, 5), st.sampled_from(["list", "generator", "none", "longer"])
)
def test_whole_iterations_and_everything_outside_them_are_recorded(
    length: int, epochs: int, every: int, data: str
) -> None:
    def batches() -> Any:
        return {"list": list(range(length)), "generator": iter(range(length)), "longer": list(range(length))}.get(data)

    given = {"max_epochs": epochs, "epoch_length": {"none": length, "longer": length + 2}.get(data)}
    if data == "generator":
        given["max_epochs"] = 1
    plain, engine = Engine(step), Engine(step)
    with plain.record() as whole:
        plain.run(batches(), **given)
    with engine.record(every=every) as timeline:
        engine.run(batches(), **given)
    kinds = [move.kind for move in whole.tracks[0].moves]
    (track,) = timeline.tracks
    assert [str(move.kind) for move in track.moves] == [str(kind) for kind in sampled(kinds, every)]
    steps = [move.iteration for move in track.moves if move.kind.label == "step_done"]
    assert steps == list(range(1, engine.state.iteration + 1, every))
    assert track.sampling is not None
    assert (track.sampling.iterations, track.sampling.kept) == (engine.state.iteration, len(steps))
    assert timeline.verify(engine.lifecycle) is None


def test_a_resumed_run_continues_its_iteration() -> None:
    for place in (Events.GET_BATCH_COMPLETED, Events.ITERATION_COMPLETED):
        for when in (1, 2, 3):
            engine = Engine(step)
            engine.add_event_handler(place(once=when), Engine.interrupt)
            with engine.record(every=2) as timeline:
                engine.run(range(4))
                engine.run()
            (track,) = timeline.tracks
            steps = [move.iteration for move in track.moves if move.kind.label == "step_done"]
            assert steps == [1, 3]
            assert track.sampling is not None
            assert (track.sampling.iterations, track.sampling.kept) == (4, 2)
            assert timeline.verify(engine.lifecycle) is None


@settings(deadline=None, max_examples=30, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans(), st.integers(2, 4))
def test_sampled_moves_of_random_runs_are_a_subsequence_and_verify(plan: Plan, every: int) -> None:
    building = Building(plan, ("compiled",))
    hypothesis.assume(not building.wrong)
    engine = building.engine
    turn = IterationPhases(engine.lifecycle.graph)
    hypothesis.assume(turn.phases)
    observed: list[Any] = []
    engine.observe(lambda engine, transition: observed.append((transition, str(transition))))
    with engine.record(every=every) as timeline:
        building.run()
    (track, *_) = timeline.tracks
    graph = engine.lifecycle.graph
    recorded = [move.kind for move in track.moves if move.kind.is_transition]
    names = [(ends(kind)[0], kind.label, ends(kind)[1]) for kind in recorded]
    walk = iter([_named(graph, transition) for transition, _ in observed])
    assert all(name in walk for name in names)  # a subsequence
    outside = [
        _named(graph, transition)
        for transition, _ in observed
        if not {graph.index.get(transition.source), graph.index.get(transition.target)} <= turn.phases
    ]
    kept = [
        name
        for name, kind in zip(names, recorded)
        if not {graph.index[graph.by_name[end].event] for end in ends(kind)} <= turn.phases
    ]
    assert kept == outside
    assert timeline.verify(engine.lifecycle) is None
    spent = list(Visits(track))
    assert all(one.left.time <= other.entered.time for one, other in pairwise(spent))
    within = [span for visit in spent for span in visit.spans]
    assert all(visit.entered.time <= s.start <= s.end <= visit.left.time for visit in spent for s in visit.spans)
    assert len(within) <= len(list(track.spans))
    timeline.to_chrome()
    assert str(timeline.summary())


def _named(graph: Any, transition: Any) -> tuple[str, str, str]:
    return (*(graph.phases[graph.index[e]].name for e in (transition.source,)), transition.label, _name(transition))


def _name(transition: Any) -> str:
    target = transition.target
    return target if isinstance(target, str) else target.name


def test_handlers_are_recorded_in_kept_iterations_and_outside_iterations() -> None:
    engine = Engine(step)
    engine.register_events(Own.CHECK)
    for event in (Events.GET_BATCH_STARTED, Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Own.CHECK):
        engine.add_event_handler(event, step, 1)
    engine.add_event_handler(Events.ITERATION_STARTED, lambda engine: engine.fire_event(Own.CHECK))
    with engine.record(every=3) as timeline:
        engine.run(range(5), max_epochs=2)
    called = [span.handler.event.rpartition(".")[2] for span in timeline.tracks[0].spans]
    kept = ["GET_BATCH_STARTED", "CHECK", "ITERATION_STARTED", "ITERATION_COMPLETED"]
    assert called == [*kept, *kept, "EPOCH_COMPLETED", *kept, *kept, "EPOCH_COMPLETED"]


def test_the_failure_of_an_unrecorded_iteration_is_recorded() -> None:
    def fails(engine: Engine, _batch: int) -> None:
        if engine.state.iteration == 3:
            raise ValueError

    engine = Engine(fails)
    with engine.record(every=10) as timeline:
        with pytest.raises(ValueError):  # noqa: PT011
            engine.run(range(5))
        engine.run(range(2))
    walk = [str(move.kind) for move in timeline.tracks[0].moves]
    place = walk.index("Events.ITERATION_STARTED --exception--> Events.EXCEPTION_RAISED")
    assert walk[place - 1 : place + 2] == [
        "Events.ITERATION_COMPLETED --next_batch--> Events.GET_BATCH_STARTED",
        "Events.ITERATION_STARTED --exception--> Events.EXCEPTION_RAISED",
        "Events.EXCEPTION_RAISED --done--> IDLE",
    ]
    assert timeline.verify(engine.lifecycle) is None


def test_moves_of_the_step_are_recorded_with_their_iteration() -> None:
    engine = Engine(lambda engine, _batch: engine.fire_event(Own.FIRED))
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> Own.FIRED >> Events.ITERATION_COMPLETED, required=True)
    with engine.record(every=2) as timeline:
        engine.run(range(5))
    walk = [str(move.kind) for move in timeline.tracks[0].moves]
    assert walk.count("Events.ITERATION_STARTED --fired--> Own.FIRED") == 3
    assert timeline.verify(engine.lifecycle) is None


def test_nested_engines_are_sampled_independently() -> None:
    trainer, evaluator = Engine(step), Engine(step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(range(3)))
    with trainer.record(every=4) as timeline:
        trainer.run(range(4), max_epochs=3)
    assert [str(track.sampling) for track in timeline.tracks] == [
        "9 of 12 iterations were not recorded (every=4)",
        "6 of 9 iterations were not recorded (every=4)",
    ]


def test_a_changed_sampled_run_violates_its_lifecycle() -> None:
    engine = Engine(step)
    with engine.record(every=3) as timeline:
        engine.run(range(7))
    (track,) = timeline.tracks
    records = list(track.move_ring)
    cuts = {number for number, kind in enumerate(track.kinds) if kind.starts_gap}
    found = []
    for place in range(1, len(records) - 1):
        changed = records[:place] + records[place + 1 :]
        track.move_ring.load_bytes(b"".join(MOVE.pack(*fields) for fields in changed))
        track.move_ring.offset, track.move_ring.laps = len(changed) * MOVE.size, 0
        if timeline.verify(engine.lifecycle) is None:
            found.append(place)
    left_out = [place for place, fields in enumerate(records) if fields[1] in cuts]
    # After a gap the run may be in any phase; without the move before the gap, it comes from the same phase.
    assert found == [place for cut in left_out for place in (cut, cut + 1)]
    assert len(left_out) == 2


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "all"])
def test_an_invalid_every_raises(every: Any) -> None:
    with pytest.raises(ValueError, match=r"every=.* has to be a positive integer"):
        Engine(step).record(every=every)


def test_sampling_a_lifecycle_without_iterations_raises() -> None:
    lifecycle = Lifecycle("own")
    lifecycle.add_phase(Own.CHECK, scope=Scope.RUN, activity=lambda: None)
    lifecycle.add_path(Events.STARTED >> Own.CHECK >> Events.COMPLETED)
    engine = Engine(lifecycle=lifecycle)
    with pytest.raises(ValueError, match=r"every=2 .*no iterations"):
        engine.record(every=2)
    with engine.record(every=1) as timeline:
        engine.run()
    assert timeline.tracks[0].sampling is None


# Results


def by_hand() -> Timeline:
    """Return the timeline of two iterations, of which the first is recorded, with round times."""
    timeline = Timeline(100)
    track = Track("by hand", "MainThread", 100)
    track.sampling = Sampling(2, 2, 1, frozenset({"Events.GET_BATCH_STARTED", "Events.ITERATION_STARTED"}))
    timeline.tracks.append(track)
    walk = [
        (1000, "IDLE", "Events.STARTED", (), False),
        (1100, "Events.STARTED", "Events.GET_BATCH_STARTED", ("run",), False),
        (1110, "Events.GET_BATCH_STARTED", "Events.ITERATION_STARTED", ("run", "iteration"), False),
        (1200, "Events.ITERATION_STARTED", "Events.GET_BATCH_STARTED", ("run",), True),
        (1400, "Events.ITERATION_STARTED", "Events.COMPLETED", (), False),
        (1500, "Events.COMPLETED", "IDLE", (), False),
    ]
    for time, source, target, scopes, starts_gap in walk:
        trigger = "run" if source == "IDLE" else "automatic"
        number = track.kind_number(MoveKind(source, "on", target, (), scopes, trigger, starts_gap=starts_gap))
        track.move_ring.add(time, number, 1, 1)
    return timeline


def test_a_summary_reports_gaps_and_estimates_times() -> None:
    (summary,) = by_hand().summary().tracks
    # 500 in total: 100 and 100 outside iterations, 100 in the recorded iteration, 200 in the other one
    assert (summary.total, summary.data, summary.step, summary.in_handlers, summary.other) == (500, 30, 270, 0, 200)
    shares = {name.rpartition(".")[2]: (t.count, t.total, t.share) for name, t in summary.phases.items()}
    assert shares == {
        "STARTED": (1, 100, 0.2),
        "GET_BATCH_STARTED": (1, 10, 0.06),
        "ITERATION_STARTED": (1, 90, 0.54),
        "COMPLETED": (1, 100, 0.2),
    }
    assert str(summary).splitlines()[1] == (
        "1 of 2 iterations were not recorded (every=2): the times above and the shares are estimates"
    )


def test_files_tables_and_traces_have_gaps(tmp_path: Path) -> None:
    timeline = by_hand()
    loaded = Timeline.load(timeline.save(tmp_path / "run.fsmt"))
    assert loaded.tracks[0].sampling == timeline.tracks[0].sampling
    assert str(loaded.summary()) == str(timeline.summary())
    assert [row["starts_gap"] for row in loaded.to_dicts()] == [False, False, False, True, False, False]
    events = [event for event in loaded.to_chrome()["traceEvents"] if event["ph"] == "X" and event["cat"] == "gap"]
    assert [(event["name"], event["ts"], event["dur"]) for event in events] == [("iterations not recorded", 1.2, 0.2)]


def test_pictures_report_gaps(tmp_path: Path) -> None:
    engine = Engine(step)
    with engine.record(every=3) as timeline:
        engine.run(range(10), max_epochs=2)
    text = "".join(ElementTree.parse(timeline.draw(tmp_path / "run.svg")).getroot().itertext())
    assert "13 of 20 iterations were not recorded." in text
    engine.lifecycle.draw(tmp_path / "heat.svg", timeline=timeline)
    page = timeline.draw(tmp_path / "run.html").read_text()
    assert "13 of 20 iterations were not recorded (every=3)" in page


def test_comparing_runs_with_different_iterations_raises() -> None:
    engine, found = Engine(step), []
    for every in (1, 3, 3):
        with engine.record(every=every) as timeline:
            engine.run(range(10))
        found.append(timeline)
    assert found[1].diff(found[2]) is None
    with pytest.raises(ValueError, match=r"every=1, the other with every=3"):
        found[0].diff(found[1])
