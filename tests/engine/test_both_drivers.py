"""The emitted function and a machine of the `transitions` library walk through random lifecycles alike."""

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


def walk_alike(plan: Plan) -> Counter[str]:
    """Run `plan` by either driver, and begun by one and gone on with by the other; return what occurred."""
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
def test_both_drivers_walk_alike(plan: Plan) -> None:
    walk_alike(plan)


@pytest.mark.slow
def test_both_drivers_walk_alike_whatever_occurs() -> None:
    seen: Counter[str] = Counter()
    for seed in range(250):
        seen += walk_alike(plan_of(seed))
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
        assert any(_is(step, exit_) for exit_ in graph.exits[graph.index[step.source]])


def _is(step: Transition, exit_: Transition) -> bool:
    same = (step.label, step.trigger, step.via) == (exit_.label, exit_.trigger, exit_.via)
    return same and (step.target == exit_.target or isinstance(exit_.target, History))


@settings(OFTEN, max_examples=100)
@given(plans())
def test_every_walk_is_a_word_of_the_machine_without_guards(plan: Plan) -> None:
    building = built(plan).run()
    lifecycle: Lifecycle = building.engine.lifecycle
    machine: Any = lifecycle.to_transitions()
    names = {phase.event: qualified_name(phase) for phase in lifecycle.phases}
    for step in building.walk:
        ways = [way.dest for way in machine.events[step.label].transitions[names[step.source]]]
        assert names[step.target] in ways
        if len(ways) > 1:  # history, which a flat machine has no memory for
            machine.set_state(names[step.target])
        else:
            assert machine.model.trigger(step.label)
            assert machine.model.phase == names[step.target]
