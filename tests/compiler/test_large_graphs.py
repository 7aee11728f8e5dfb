"""Graphs with many phases, exits and nested loops: they compile, and run as the machine of `transitions` runs them."""

from __future__ import annotations

import pickle
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsm_engine import Edge, Engine, Events, Lifecycle, Scope
from fsm_engine.compiler.loops import MAX_DEPTH, find_loops
from fsm_engine.graph.transitions import Transition


def act() -> None:
    pass


def write_path(names: list[str]) -> Any:
    path: Any = Events.STARTED >> names[0]
    for name in names[1:]:
        path = path >> name
    return path >> Events.COMPLETED


def chain(size: int) -> tuple[Lifecycle, list[str]]:
    lifecycle, names = Lifecycle("chain"), [f"part_{number}" for number in range(size)]
    with lifecycle.edit():
        for name in names:
            lifecycle.add_phase(name, act)
        lifecycle.add_path(write_path(names))
    return lifecycle, names


def walk_of(lifecycle: Lifecycle, driver: str) -> list[str]:
    engine = Engine(lifecycle=lifecycle)
    walk: list[str] = []
    engine.observe(lambda _engine, transition: walk.append(str(transition)))
    engine.run(driver=driver)
    return walk


def once(chosen: set[str], name: str) -> Any:
    """Return a guard that is true once per run for a chosen edge."""
    taken: set[int] = set()

    def guard(engine: Engine) -> bool:
        if name not in chosen or id(engine) in taken:
            return False
        taken.add(id(engine))
        return True

    return guard


def test_loops_nested_deeper_than_python_allows_run() -> None:
    lifecycle, names = chain(80)
    with lifecycle.edit():
        for number in range(40):
            edge = Edge(names[79 - number], names[number])
            lifecycle.add_transition(edge, guard=once({"3", "17", "39"}, str(number)), label="again")
    pytest.importorskip("transitions")
    walk = walk_of(lifecycle, "compiled")
    assert sum("--again-->" in move for move in walk) == 3
    lifecycle, _ = chain(80)
    assert len(walk) > len(walk_of(lifecycle, "compiled"))


def test_a_phase_with_many_exits_runs() -> None:
    lifecycle, names = chain(300)
    with lifecycle.edit():
        for number, name in enumerate(names[2:]):
            guard = once({"250"}, str(number))
            lifecycle.add_transition(Edge(names[0], name), guard=guard, label=f"to {number}")
    assert walk_of(lifecycle, "compiled")[2] == "part_0 --to 250--> part_252"


@pytest.mark.parametrize("seed", range(4))
def test_distant_moves_in_a_large_graph_are_those_of_the_other_driver(seed: int) -> None:
    pytest.importorskip("transitions")

    def build() -> Lifecycle:
        lifecycle, names = chain(200)
        rng = random.Random(seed)
        with lifecycle.edit():
            for number in range(60):
                edge = Edge(rng.choice(names), rng.choice(names))
                guard = once({str(number)} if rng.random() < 0.7 else set(), str(number))
                lifecycle.add_transition(edge, guard=guard, label=f"jump {number}")
        return lifecycle

    walk = walk_of(build(), "compiled")
    assert any("jump" in move for move in walk)
    assert walk == walk_of(build(), "transitions")


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=25))
def test_loops_nest_and_contain_all_backward_edges(edges: list[tuple[int, int]]) -> None:
    backward = [(min(pair), max(pair)) for pair in edges]
    exits: dict[int, tuple[tuple[Transition, int], ...]] = {}
    for first, last in backward:
        exits[last] = (*exits.get(last, ()), (Transition("a", "b", "on"), first))
    loops = find_loops(exits)
    bounds = [(loop.first, loop.last) for loop in loops]
    assert len(dict(bounds)) == len(bounds)  # each starts at another phase
    assert set(bounds) <= {(first, last) for first, _ in backward for _, last in backward}
    assert all(any(a <= first and last <= b for a, b in bounds) for first, last in backward)
    for loop in loops:
        around = [other for other in loops if other.first < loop.first <= other.last]
        assert loop.parent is (max(around, key=lambda other: other.first) if around else None)
        assert all(other.contains(loop.last) for other in around)
        assert len(around) < MAX_DEPTH
    longest = {a: max(d for c, d in backward if c == a) for a, _ in backward}
    if len(longest) <= MAX_DEPTH and not any(a < c <= b < d for a, b in longest.items() for c, d in longest.items()):
        assert dict(bounds) == longest


def test_handlers_keep_their_order_after_many_changes_and_a_pickle() -> None:
    engine = Engine(step)
    handles = [engine.add_event_handler(Events.STARTED(priority=n % 3), HANDLERS[n], n) for n in range(9)]
    handles[4].remove()
    handles[4].remove()
    engine = pickle.loads(pickle.dumps(engine))
    engine.add_event_handler(Events.STARTED(priority=1), HANDLERS[0], 9)
    engine.add_event_handler(Events.STARTED, HANDLERS[0], 10)
    CALLS.clear()
    engine.run([0], max_epochs=1)
    assert CALLS == [2, 5, 8, 1, 7, 9, 0, 3, 6, 10]


CALLS: list[int] = []


def step(engine: Engine, batch: Any) -> None:
    pass


def note(engine: Engine, number: int) -> None:
    CALLS.append(number)


HANDLERS = [note] * 9


def test_scopes_of_a_large_graph_have_error_edges() -> None:
    lifecycle, names = chain(120)

    def fail() -> None:
        raise ValueError

    with lifecycle.edit():
        lifecycle.replace(names[100], activity=fail)
        lifecycle.add_transition(Scope.RUN >> "recovery", error=ValueError)
        lifecycle.add_transition("recovery" >> Events.COMPLETED)
    assert walk_of(lifecycle, "compiled")[-2:] == [
        "recovery --completed--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]
