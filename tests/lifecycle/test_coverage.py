"""Test the coverage of walks, and test paths: an engine follows each test path exactly."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import training_graph
from hypothesis import given, settings
from lifecycles import Building, plan_of, plans

from fsm_engine import Engine, EventEnum, Events, History, Lifecycle, Scope, StepEvents, Transition, Trigger, Walk
from fsm_engine.graph.code import UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.lifecycle.step_events import ACCUMULATING, WHOLE_STEP

pytest.importorskip("networkx")

E = Events
SILENT = logging.getLogger("silent")
SILENT.disabled = True


class P(EventEnum):
    A = "a"
    B = "b"
    C = "c"
    SKIP = "skip"
    AGAIN = "again"


def act() -> None:
    return None


def sometimes() -> bool:
    return False


class Untaken(BaseException):
    """Exception that no error edge takes: it follows the exit of the signal EXCEPTION."""


class Driven:
    """Copy of a lifecycle whose guards, activities and handlers follow a given walk.

    It has no entry actions, actions and deferred signals: the graph alone decides where a run may go.
    """

    def __init__(self, graph: Graph) -> None:
        self._wanted: tuple[Transition, ...] = ()
        self.seen: list[Transition] = []
        phases = [
            replace(p, entry=(), defer=None, counter=None, activity=None if p.activity is None else self._activity())
            for p in graph.phases
        ]
        transitions = [replace(t, action=None, guard=self._guard(t)) for t in graph.transitions]
        self.lifecycle = Lifecycle.of(Graph(tuple(phases), tuple(transitions)))

    def _activity(self) -> UserCallable:
        return UserCallable(self._fire, "fires")

    def _guard(self, transition: Transition) -> UserCallable | None:
        if transition.guard is None and not transition.error:
            return None

        def is_wanted(engine: Engine) -> bool:
            step = self._next
            return (step.via or step.source, step.label) == (transition.source, transition.label)

        return UserCallable(is_wanted, "is wanted")

    @property
    def _next(self) -> Transition:
        return self._wanted[len(self.seen)]

    def _fire(self, engine: Engine) -> None:
        while self._next.trigger is Trigger.FIRED:
            engine.fire_event(self._next.target)  # type: ignore[arg-type]

    def _handler(self, engine: Engine, *_: Any) -> None:
        signal = self._next.signal
        if signal is Signal.EXCEPTION:
            raise self._next.error[0]("wanted") if self._next.error else Untaken
        if signal not in (None, Signal.RUN):
            getattr(engine, signal.value)()

    def walk(self, wanted: Walk) -> list[Transition]:
        """Run a new engine along `wanted`, and return the transitions that it took."""
        self._wanted, self.seen = wanted, []
        engine = Engine(lifecycle=self.lifecycle)
        engine.logger = SILENT
        for phase in self.lifecycle.phases[1:]:
            engine.add_event_handler(phase.event, self._handler)
        engine.observe(lambda _, transition: self.seen.append(transition))
        while len(self.seen) < len(wanted):
            before = len(self.seen)
            self._run(engine)
            assert len(self.seen) > before
        return self.seen

    def _run(self, engine: Engine) -> None:
        fresh = engine.phase.name != "INTERRUPT" and engine.lifecycle.graph.has_epochs
        with contextlib.suppress(Untaken):
            engine.run(**({"max_epochs": 1, "epoch_length": 1} if fresh else {}))


# Lifecycles


def training() -> Lifecycle:
    return Lifecycle.training(lambda engine, batch: batch)


def step_by_step() -> Lifecycle:
    lifecycle = training()
    lifecycle.add_path(WHOLE_STEP, required=True)
    lifecycle.add_path(ACCUMULATING)
    return lifecycle


def recovering() -> Lifecycle:
    lifecycle = step_by_step()
    lifecycle.add_transition(E.ITERATION_STARTED >> P.SKIP, error=ValueError, limit=1)
    lifecycle.add_exits(P.SKIP, like=E.ITERATION_COMPLETED)
    lifecycle.add_transition(StepEvents.LOSS_COMPLETED >> P.AGAIN, error=ArithmeticError, limit=2)
    lifecycle.add_transition(Scope.ITERATION >> P.AGAIN, error=MemoryError)
    lifecycle.add_transition(P.AGAIN >> Scope.ITERATION)
    return lifecycle


def collect_and_learn() -> Lifecycle:
    lifecycle = Lifecycle("collect and learn")
    for event in (P.A, P.B, P.C):
        lifecycle.add_phase(event, act, scope=Scope("rollout", Scope.RUN) if event is P.C else None)
    lifecycle.add_path(E.STARTED >> P.A >> P.B >> P.A)
    lifecycle.add_transition(P.B >> E.COMPLETED, guard=sometimes)
    lifecycle.add_transition(P.A >> P.C, guard=sometimes)
    lifecycle.add_path(P.C >> P.B)
    lifecycle.add_transition(Scope.RUN >> P.SKIP, error=Exception, limit=1)
    lifecycle.add_path(P.SKIP >> P.A)
    return lifecycle


LIFECYCLES = [training, step_by_step, recovering, collect_and_learn]


# Test paths


@pytest.mark.parametrize("make", LIFECYCLES)
def test_an_engine_follows_each_test_path_and_together_they_cover_everything(make: Any) -> None:
    driven = Driven(make().graph)
    paths = driven.lifecycle.test_paths()
    assert [driven.walk(path) for path in paths] == [list(path) for path in paths]
    coverage = driven.lifecycle.coverage(paths)
    assert coverage.is_complete, str(coverage)
    assert list(map(str, paths)) == list(map(str, make().test_paths()))


def may_be_impossible(transition: Transition) -> bool:
    """Return True if there may be no run that takes `transition`.

    An edge into history needs an interrupt or an error in its scope; a scope's error edge is not taken from its target.
    """
    return isinstance(transition.target, History) or (bool(transition.error) and isinstance(transition.source, Scope))


def drive(seed_or_plan: Any) -> Counter[str]:
    building = Building(seed_or_plan, ("compiled",))
    if building.wrong:
        return Counter()
    driven = Driven(building.engine.lifecycle.graph)
    paths = driven.lifecycle.test_paths()
    for path in paths:
        assert driven.walk(path) == list(path)
    untaken = driven.lifecycle.coverage(paths).untaken
    assert [transition for transition in untaken if not may_be_impossible(transition)] == []
    moves = [move for path in paths for move in path]
    graph = driven.lifecycle.graph
    return Counter(
        {
            "all": not untaken,
            "history": sum(m.signal is None and m not in graph.exits[graph.index[m.source]] for m in moves),
            **Counter(move.trigger.value for move in moves),
            **Counter("error" for move in moves if move.error),
        }
    )


@settings(deadline=None, max_examples=60)
@given(plans())
def test_an_engine_follows_the_test_paths_of_any_lifecycle(plan: Any) -> None:
    drive(plan)


def test_the_test_paths_of_random_lifecycles_have_transitions_of_all_kinds() -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        seen += drive(plan_of(seed))
    assert {name for name, count in seen.items() if count > 20} == {
        *("all", "history", "automatic", "signal", "fired", "error")
    }


# Coverage


def recorded(engine: Engine, *args: Any, **kwargs: Any) -> list[Transition]:
    walk: list[Transition] = []
    with engine.observe(lambda _, transition: walk.append(transition)):
        engine.run(*args, **kwargs)
    return walk


def test_the_coverage_of_a_run() -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.on(E.ITERATION_STARTED(once=2))(lambda: engine.terminate())
    coverage = engine.lifecycle.coverage(recorded(engine, [1, 2, 3]))
    to_step = training_graph.path(E.GET_BATCH_COMPLETED, E.ITERATION_STARTED)
    assert coverage.visited == (
        *("IDLE", E.STARTED, E.EPOCH_STARTED, E.GET_BATCH_STARTED, E.GET_BATCH_COMPLETED),
        *(transition.target for transition in to_step),
        *(E.ITERATION_COMPLETED, E.TERMINATE, E.COMPLETED),
    )
    assert [str(transition) for transition in coverage.taken] == [
        "STARTED --next_epoch--> EPOCH_STARTED",
        "EPOCH_STARTED --next_batch--> GET_BATCH_STARTED",
        "GET_BATCH_STARTED --got_batch--> GET_BATCH_COMPLETED",
        *map(str, to_step),
        "ITERATION_STARTED --step_done--> ITERATION_COMPLETED",
        "ITERATION_COMPLETED --next_batch--> GET_BATCH_STARTED",
        "IDLE --run--> STARTED",
        "TERMINATE --end_run--> COMPLETED",
        "COMPLETED --done--> IDLE",
        "run --terminate--> TERMINATE",
    ]
    assert set(coverage.visited).isdisjoint(coverage.missed)
    assert len(coverage.visited + coverage.missed) == len(engine.lifecycle.phases)
    assert {*map(str, coverage.taken), *map(str, coverage.untaken)} == set(map(str, engine.lifecycle.transitions))
    assert coverage.of_phases == (8 + len(to_step)) / len(engine.lifecycle.phases)
    assert coverage.of_transitions == (9 + len(to_step)) / len(engine.lifecycle.transitions)
    assert not coverage.is_complete


def test_coverage_is_printed_with_the_missing_phases_and_transitions() -> None:
    lifecycle = collect_and_learn()
    lifecycle.remove_transition(P.A >> P.C)
    assert str(lifecycle.coverage(lifecycle.test_paths())) == "\n".join(
        [
            "10 of 11 phases (91%)",
            "16 of 17 transitions (94%)",
            "phases not visited:",
            "  C",
            "transitions not taken:",
            "  C --b--> B",
        ]
    )
    assert repr(lifecycle.coverage([])) == "<Coverage: 0 of 11 phases (0%), 0 of 17 transitions (0%)>"
    phases, transitions = len(training().phases), len(training().transitions)
    assert str(training().coverage(training().test_paths())) == (
        f"{phases} of {phases} phases (100%)\n{transitions} of {transitions} transitions (100%)"
    )


@pytest.mark.parametrize(("make", "walks", "moves"), [(training, 6, 60), (step_by_step, 6, 82), (recovering, 8, 109)])
def test_test_paths_are_few_and_short(make: Any, walks: int, moves: int) -> None:
    paths = make().test_paths()
    assert len(paths) <= walks
    assert sum(map(len, paths)) <= moves


def test_walks_are_counted_together_and_may_be_any_iterables() -> None:
    lifecycle = training()
    one, *others = lifecycle.test_paths()
    assert lifecycle.coverage(one) == lifecycle.coverage(list(one)) == lifecycle.coverage([one])
    assert lifecycle.coverage(iter([iter(one), *others])) == lifecycle.coverage([one, *others])
    assert lifecycle.coverage([]).of_transitions == lifecycle.coverage([[], []]).of_phases == 0


def test_a_resumed_run_covers_a_copy_of_its_lifecycle() -> None:
    engine = Engine(lambda engine, batch: batch)
    walk = recorded(engine, [1, 2], until=E.ITERATION_COMPLETED) + recorded(engine)
    coverage = training().coverage(walk)
    assert {"run --interrupt--> INTERRUPT", "RESUMED --resume--> run"} <= set(map(str, coverage.taken))
    resumed = [str(transition) for transition in walk if transition.source is E.RESUMED]
    assert resumed == ["RESUMED --resume--> ITERATION_COMPLETED"]


RECOVERING_PATHS = recovering().test_paths()
UNKNOWN = Transition(P.A, E.STARTED, "on")
OUTSIDE_ITS_SCOPE = Transition(E.STARTED, E.TERMINATE, "terminate", via=Scope.EPOCH)


def recovery_step() -> tuple[int, int, Transition]:
    """Return the first step of `RECOVERING_PATHS` that training does not have, after its walk and place."""
    known = {(t.via or t.source, t.label) for exits in training().graph.exits for t in exits}
    return next(
        (number, place, step)
        for number, path in enumerate(RECOVERING_PATHS, 1)
        for place, step in enumerate(path, 1)
        if (step.via or step.source, step.label) not in known
    )


def test_a_step_of_another_lifecycle_is_rejected_with_the_exits_of_its_phase() -> None:
    number, place, step = recovery_step()
    with pytest.raises(ValueError, match=rf"^step {place} of walk {number}, ") as error:
        training().coverage(RECOVERING_PATHS)
    assert str(step) in str(error.value)
    exits = training().successors(step.source)  # type: ignore[arg-type]  # the source of a step is an event
    assert all(str(exit_) in str(error.value) for exit_ in exits)


@pytest.mark.parametrize(
    ("walks", "kind", "fragments"),
    [
        ([[UNKNOWN]], ValueError, ["step 1 of walk 1", str(UNKNOWN), "A is not one of its phases"]),
        (
            [OUTSIDE_ITS_SCOPE],
            ValueError,
            ["step 1 of walk 1", str(OUTSIDE_ITS_SCOPE), "STARTED --loaded--> RESUMED"],
        ),
        ([[], ["STARTED"]], TypeError, ["step 1 of walk 2", "'STARTED'", "sequence of transitions"]),
        ([3], TypeError, ["walk 1", "3", "sequence of transitions"]),
    ],
)
def test_walks_that_do_not_fit_the_lifecycle_are_rejected(walks: Any, kind: Any, fragments: list[str]) -> None:
    with pytest.raises(kind, match=r"^(step|walk)") as error:
        training().coverage(walks)
    assert all(fragment in str(error.value) for fragment in fragments)


def test_a_walk_is_printed_as_a_chain() -> None:
    exits = training().graph.exits
    run, loaded, resume = exits[0][0], exits[1][0], exits[2][0]
    walk = Walk([run, loaded, replace(resume, target=E.STARTED)])
    assert str(walk) == "IDLE --run--> STARTED --loaded--> RESUMED --resume--> STARTED"
    assert repr(walk) == f"<Walk {walk}>"
    assert str(Walk()) == "(no move)"
