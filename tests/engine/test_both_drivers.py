"""The generated function and a machine of the `transitions` library take the same walks through random lifecycles."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from lifecycles import ACTS, Building, Plan, built, plan_of, plans

from fsm_engine import History, Lifecycle, Transition
from fsm_engine.lifecycle.table import qualified_name

pytest.importorskip("transitions")

PLACES = ("handler", "step", "fired", "activity", "edge", "exit", "action", "fetch")
DRIVERS = (("compiled",), ("transitions",), ("compiled", "transitions"), ("transitions", "compiled"))
OFTEN = settings(
    deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large]
)


def assert_same_walk(plan: Plan) -> Counter[str]:
    """Run `plan` with each driver, and start it with one and resume it with the other; return what occurred."""
    ran = [Building(plan, drivers) for drivers in DRIVERS]
    if ran[0].wrong:
        return Counter()
    logs = [building.run().log for building in ran]
    for drivers, log in zip(DRIVERS[1:], logs[1:]):
        assert log == logs[0], (drivers, plan)
    return ran[0].seen


@pytest.mark.slow
@settings(OFTEN, max_examples=200)
@given(plans())
def test_both_drivers_take_the_same_walk(plan: Plan) -> None:
    assert_same_walk(plan)


@pytest.mark.slow
def test_both_drivers_take_the_same_walk_in_every_kind_of_run() -> None:
    seen: Counter[str] = Counter()
    for seed in range(250):
        seen += assert_same_walk(plan_of(seed))
    expected = {
        *ACTS,
        *("completed", "terminated", "interrupted", "failed", "resumed"),
        *("guarded exit", "fired by step", "fired by activity", "own scope", "counted"),
        *("error from a phase", "error from a scope", "limit reached", "back into history"),
        *("handler of edge", "handler of exit", "attach from handler", "detach from handler"),
        *[f"signal from {place}" for place in PLACES],
        *[f"raise from {place}" for place in (*PLACES, "guard")],
    }
    assert expected - set(seen) == set()


@settings(OFTEN, max_examples=100)
@given(plans())
def test_every_walk_is_a_path_of_the_graph(plan: Plan) -> None:
    building = built(plan).run()
    graph = building.engine.lifecycle.graph
    for before, after in pairwise(building.walk):
        assert before.target == after.source
    for step in building.walk:
        assert any(_is_same(step, exit_) for exit_ in graph.exits[graph.index[step.source]])


def _is_same(step: Transition, exit_: Transition) -> bool:
    same = (step.label, step.trigger, step.via) == (exit_.label, exit_.trigger, exit_.via)
    return same and (step.target == exit_.target or isinstance(exit_.target, History))


@settings(OFTEN, max_examples=100)
@given(plans())
def test_the_machine_without_guards_accepts_every_walk(plan: Plan) -> None:
    building = built(plan).run()
    lifecycle: Lifecycle = building.engine.lifecycle
    machine: Any = lifecycle.to_transitions()
    names = {phase.event: qualified_name(phase) for phase in lifecycle.phases}
    for step in building.walk:
        targets = [move.dest for move in machine.events[step.label].transitions[names[step.source]]]
        assert names[step.target] in targets
        if len(targets) > 1:  # a history: a flat machine does not know which phase it restores
            machine.set_state(names[step.target])
        else:
            assert machine.model.trigger(step.label)
            assert machine.model.phase == names[step.target]
