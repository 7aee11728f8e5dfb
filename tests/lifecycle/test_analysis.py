"""Test paths, reachable phases and dominators against brute force, and against the moves of random runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycles import Building, plan_of, plans

from fsm_engine import Engine, EventEnum, Events, Lifecycle, LifecycleError, Scope, Signal, Transition
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import Trigger
from fsm_engine.lifecycle.training import OUTER
from fsm_engine.lifecycle.traversal import possible_moves

pytest.importorskip("networkx")

E = Events


class P(EventEnum):
    A = "a"
    B = "b"
    SKIP = "skip"


def training() -> Lifecycle:
    return Lifecycle.training(lambda engine, batch: batch)


def names(events: Any) -> list[str]:
    return [str(event) for event in events]


# Paths


def test_a_path_is_a_printable_walk() -> None:
    [path] = training().paths(E.STARTED, E.ITERATION_COMPLETED(every=2), shortest=True)
    assert (
        str(path)
        == "STARTED --next_epoch--> EPOCH_STARTED --no_data--> ITERATION_STARTED --step_done--> ITERATION_COMPLETED"
    )
    assert [move.guard is not None for move in path] == [False, True, False]


def test_parallel_transitions_are_different_paths() -> None:
    lifecycle = training()
    lifecycle.add_transition(E.EPOCH_COMPLETED >> E.COMPLETED, guard=bool, label="enough")
    assert list(map(str, lifecycle.paths(E.EPOCH_COMPLETED, E.COMPLETED, shortest=True))) == [
        "EPOCH_COMPLETED --nothing_left--> COMPLETED",
        "EPOCH_COMPLETED --enough--> COMPLETED",
    ]


def test_paths_are_computed_on_demand() -> None:
    phases = [f"p{number}" for number in range(200)]
    graph = Graph(
        (*OUTER.phases, *(Phase(name, Scope.RUN) for name in phases)),
        (
            *OUTER.transitions,
            Transition(E.STARTED, "p0", "on"),
            *(Transition(a, b, b, guard=bool) for a in phases for b in phases if a != b),
            *(Transition(name, E.COMPLETED, "end") for name in phases),
        ),
    )
    lifecycle = Lifecycle.of(graph)
    assert len({str(path) for path in islice(lifecycle.paths("p0", "p2"), 100)}) == 100  # of some 10 ** 370
    assert len(list(lifecycle.paths("p0", "p2", limit=2))) == 1 + 198
    assert len(list(lifecycle.paths("p0", "p2", shortest=True))) == 1


def test_limit_is_the_maximum_number_of_moves() -> None:
    lifecycle = training()
    lengths = sorted(len(path) for path in lifecycle.paths(E.STARTED, E.COMPLETED))
    assert lengths[0] == 1
    for limit in (1, 2, 5, 9):
        found = [len(path) for path in lifecycle.paths(E.STARTED, E.COMPLETED, limit=limit)]
        assert sorted(found) == [length for length in lengths if length <= limit]
    assert list(lifecycle.paths(E.STARTED, E.ITERATION_STARTED, shortest=True, limit=1)) == []
    with pytest.raises(ValueError, match=r"^limit=0 is invalid: a path has at least one move\.$"):
        lifecycle.paths(E.STARTED, E.COMPLETED, limit=0)


def test_paths_from_a_phase_to_itself_are_cycles() -> None:
    ways_back = training().paths(E.ITERATION_STARTED, E.ITERATION_STARTED, shortest=True)
    assert list(map(str, ways_back)) == [
        "ITERATION_STARTED --step_done--> ITERATION_COMPLETED --no_data--> ITERATION_STARTED"
    ]


def test_a_query_about_an_unknown_phase_raises_before_iteration() -> None:
    for ask in (
        lambda c: c.paths(P.A, E.STARTED),
        lambda c: c.paths(E.STARTED, P.A, shortest=True),
        lambda c: c.reachable(P.A),
    ):
        with pytest.raises(LifecycleError, match=r"^P\.A is not a phase of <Lifecycle training: "):
            ask(training())


# One run, and its history


def test_a_run_ends_in_the_first_phase() -> None:
    lifecycle = training()
    assert lifecycle.reachable(E.COMPLETED) == ("IDLE", E.EXCEPTION_RAISED)
    assert list(lifecycle.paths(E.COMPLETED, E.STARTED)) == []
    assert set(lifecycle.reachable("IDLE")) == {phase.event for phase in lifecycle.phases}
    assert list(map(str, lifecycle.paths("IDLE", "IDLE", shortest=True))) == [
        "IDLE --run--> STARTED --nothing_left--> COMPLETED --done--> IDLE",
        "IDLE --run--> STARTED --terminate--> TERMINATE --skipped--> IDLE",
        "IDLE --run--> STARTED --exception--> EXCEPTION_RAISED --done--> IDLE",
    ]


def test_history_leads_to_where_a_run_may_have_been_suspended() -> None:
    lifecycle = training()
    assert E.ITERATION_COMPLETED in lifecycle.reachable(E.INTERRUPT)
    assert list(map(str, lifecycle.paths(E.INTERRUPT, E.ITERATION_COMPLETED, shortest=True))) == [
        "INTERRUPT --run--> RESUMED --resume--> ITERATION_COMPLETED"
    ]
    for path in lifecycle.paths(E.EPOCH_STARTED, E.EPOCH_COMPLETED):  # it would only lead back to where it came from
        assert "resume" not in str(path)


def test_history_leads_from_a_recovery_to_phases_that_may_have_failed() -> None:
    lifecycle = training()
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> P.B >> E.ITERATION_COMPLETED)
    lifecycle.add_transition(P.B >> P.SKIP, error=ValueError)
    lifecycle.add_transition(P.SKIP >> Scope.ITERATION)
    assert lifecycle.reachable(P.SKIP)[0] == "IDLE"
    assert list(map(str, lifecycle.paths(P.SKIP, P.B, shortest=True))) == [
        "SKIP --iteration--> ITERATION_STARTED --a--> A --b--> B"  # what failed is the step
    ]
    lifecycle.remove_transition(P.B >> P.SKIP)
    lifecycle.add_transition(Scope.EPOCH >> P.SKIP, error=ValueError)
    assert [path[0].target for path in lifecycle.paths(P.SKIP, E.ITERATION_COMPLETED, limit=2)] == [E.ITERATION_STARTED]


def test_signals_do_not_leave_fired_phases_and_inner_scopes_take_precedence() -> None:
    lifecycle = training()
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> E.ITERATION_COMPLETED)
    assert {move.label for path in lifecycle.paths(P.A, E.TERMINATE, limit=1) for move in path} == set()
    lifecycle.add(Transition(Scope.EPOCH, E.COMPLETED, "terminate", Trigger.SIGNAL, Signal.TERMINATE))
    assert list(map(str, lifecycle.paths(E.EPOCH_STARTED, E.TERMINATE, limit=1))) == []


# Before


def test_dominators_are_the_phases_that_every_run_visits_before() -> None:
    before = {str(event): names(chain) for event, chain in training().dominators().items()}
    expected = {
        "IDLE": [],
        "Events.STARTED": ["IDLE"],
        "Events.RESUMED": ["IDLE", "Events.STARTED"],
        "Events.EPOCH_STARTED": ["IDLE", "Events.STARTED"],
        "Events.GET_BATCH_STARTED": ["IDLE", "Events.STARTED", "Events.EPOCH_STARTED"],
        "Events.GET_BATCH_COMPLETED": ["IDLE", "Events.STARTED", "Events.EPOCH_STARTED", "Events.GET_BATCH_STARTED"],
        "Events.ITERATION_STARTED": ["IDLE", "Events.STARTED", "Events.EPOCH_STARTED"],
        "Events.ITERATION_COMPLETED": ["IDLE", "Events.STARTED", "Events.EPOCH_STARTED", "Events.ITERATION_STARTED"],
        "Events.DATALOADER_STOP_ITERATION": [
            *("IDLE", "Events.STARTED", "Events.EPOCH_STARTED", "Events.GET_BATCH_STARTED")
        ],
        "Events.TERMINATE_SINGLE_EPOCH": ["IDLE", "Events.STARTED", "Events.EPOCH_STARTED"],
        "Events.EPOCH_COMPLETED": ["IDLE", "Events.STARTED", "Events.EPOCH_STARTED"],
        "Events.TERMINATE": ["IDLE", "Events.STARTED"],
        "Events.COMPLETED": ["IDLE", "Events.STARTED"],
        "Events.INTERRUPT": ["IDLE", "Events.STARTED"],
        "Events.EXCEPTION_RAISED": ["IDLE", "Events.STARTED"],
    }
    assert {event: before[event] for event in expected} == expected


def test_unreachable_phases_have_no_dominators() -> None:
    lifecycle = training()
    lifecycle.add_phase(P.A)
    assert P.A not in lifecycle.dominators()


# Brute force, on small graphs without history


def small_graph(seed: int) -> Graph:
    rng = random.Random(seed)
    phases = ["start", *"abcdef"[: rng.randint(1, 6)]]
    transitions = [
        Transition(source, target, f"{number}", guard=bool)
        for number, source in enumerate(phases * 2)
        for target in rng.sample(phases, k=min(len(phases), rng.choice((0, 1, 1, 2))))
    ]
    labels = {(t.source, t.target, t.label): t for t in transitions}
    chosen = [Transition(t.source, t.target, f"{n}", guard=bool) for n, t in enumerate(labels.values())]
    return Graph(tuple(map(Phase, phases)), tuple(chosen))


def simple_paths(graph: Graph, at: Any, end: Any, been: tuple[Any, ...] = ()) -> Iterator[tuple[Transition, ...]]:
    """Yield the simple paths that do not pass through the first phase."""
    for exit_ in graph.exits[graph.index[at]]:
        if exit_.target in been:
            continue
        if exit_.target == end:
            yield (exit_,)
        elif exit_.target != "start":
            for rest in simple_paths(graph, exit_.target, end, (*been, exit_.target)):
                yield (exit_, *rest)


def closure(graph: Graph, start: Any, but: Any = None) -> set[Any]:
    found: set[Any] = set()
    waiting = [start]
    while waiting:
        for exit_ in graph.exits[graph.index[waiting.pop()]]:
            if exit_.target not in found and exit_.target != but:
                found.add(exit_.target)
                waiting += [exit_.target] if exit_.target != "start" else []
    return found


SEEDS = st.integers(0, 2**32)


@settings(deadline=None, max_examples=150)
@given(SEEDS, st.data())
def test_paths_equal_brute_force(seed: int, data: Any) -> None:
    graph = small_graph(seed)
    lifecycle = Lifecycle.of(graph)
    start, end = (data.draw(st.sampled_from([phase.event for phase in graph.phases])) for _ in range(2))
    expected = set(simple_paths(graph, start, end, (start,) if start != end else ()))
    found = [tuple(path) for path in lifecycle.paths(start, end)]
    assert set(found) == expected
    assert len(found) == len(expected)
    least = min(map(len, expected), default=0)
    shortest = [tuple(path) for path in lifecycle.paths(start, end, shortest=True)]
    assert set(shortest) == {path for path in expected if len(path) == least}
    assert len(shortest) == len(set(shortest))


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_reachable_phases_and_dominators_equal_brute_force(seed: int) -> None:
    graph = small_graph(seed)
    lifecycle = Lifecycle.of(graph)
    events = [phase.event for phase in graph.phases]
    for start in events:
        assert set(lifecycle.reachable(start)) == closure(graph, start)
    before = lifecycle.dominators()
    assert set(before) == closure(graph, "start") | {"start"}
    for event, chain in before.items():
        others = [other for other in events[1:] if other != event]
        expected = {other for other in others if event not in closure(graph, "start", but=other)}
        assert set(chain) == ({"start", *expected} if event != "start" else set())
        assert all(first in ("start", *before[second]) for first, second in pairwise(chain))


@settings(deadline=None, max_examples=60)
@given(SEEDS)
def test_test_paths_take_every_reachable_edge_of_a_small_graph(seed: int) -> None:
    graph = small_graph(seed)
    lifecycle = Lifecycle.of(graph)
    paths = lifecycle.test_paths()
    for path in paths:
        assert path[0].source == "start"
        assert "start" in (path[-1].target, *(["start"] if "start" not in lifecycle.reachable(path[-1].target) else []))
        assert "start" not in [move.target for move in path[:-1]]
        for one, other in pairwise(path):
            assert one.target == other.source
    reached = closure(graph, "start") | {"start"}
    taken = {move for path in paths for move in path}
    assert taken == {transition for transition in graph.transitions if transition.source in reached}
    assert len(paths) <= len(graph.transitions)


# Random runs


def check_run(plan: Any) -> set[str]:
    """Assert that a random run agrees with the queries, and return the kinds of moves that it made."""
    building = Building(plan, ("compiled",))
    if building.wrong:
        return set()
    building.plan = plan
    lifecycle, walk = building.engine.lifecycle, []
    building.engine.observe(lambda _, transition: walk.append(transition))
    building.run()
    moves, before = possible_moves(lifecycle.graph), lifecycle.dominators()
    reachable = {phase.event: set(lifecycle.reachable(phase.event)) for phase in lifecycle.phases}
    been: list[Any] = []
    seen: set[str] = set()
    for step in walk:
        own = moves[lifecycle.graph.index[step.source]]
        assert (step.label, step.via) in [(move.label, move.via) for move in own]
        been = [step.source] if step.source == "IDLE" else been
        assert set(before[step.target]) <= set(been) or step.target == "IDLE"
        assert all(step.target in reachable[event] for event in been[1:])
        been.append(step.target)
        seen |= {step.trigger.value, "error" if step.error else "", "history" if step not in own else ""}
    return seen


@settings(deadline=None, max_examples=60)
@given(plans())
def test_a_run_agrees_with_the_queries(plan: Any) -> None:
    check_run(plan)


def test_random_runs_have_moves_of_all_kinds() -> None:
    seen = {what for seed in range(80) for what in check_run(plan_of(seed))}
    assert seen == {"", "automatic", "signal", "fired", "error", "history"}


def test_queries_include_the_moves_after_a_suspension() -> None:
    engine = Engine(lambda engine, batch: batch)
    walk: list[Transition] = []
    engine.observe(lambda _, transition: walk.append(transition))
    engine.run([1, 2], until=E.ITERATION_COMPLETED)
    engine.run()
    ends = [move.target for move in walk]
    at = ends.index(E.INTERRUPT)
    assert set(ends[at + 1 :]) <= set(engine.lifecycle.reachable(E.INTERRUPT))
