"""Test the differences between two lifecycles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from lifecycles import Building, plans

from fsm_engine import (
    Change,
    Changed,
    Difference,
    Engine,
    EventEnum,
    Events,
    Lifecycle,
    Phase,
    Scope,
    Signal,
    Transition,
    Trigger,
)

E = Events


class P(EventEnum):
    A = "a"
    B = "b"
    SKIP = "skip"


def play() -> None:
    return None


def rest() -> None:
    return None


def solved() -> bool:
    return False


def bored() -> bool:
    return False


def own() -> Lifecycle:
    lifecycle = Lifecycle("own")
    lifecycle.add_phase(P.A, play)
    lifecycle.add_phase(P.B, rest, counter="rests")
    lifecycle.add_path(E.STARTED >> P.A >> P.B >> P.A)
    lifecycle.add_transition(P.B >> E.COMPLETED, guard=solved)
    lifecycle.add_transition(P.B >> E.TERMINATE, guard=bored, label="give_up")
    lifecycle.add_transition(P.A >> P.SKIP, error=ValueError)
    lifecycle.add_transition(P.SKIP >> P.B)
    return lifecycle


def without(edge: Any, *more: Any, **given: Any) -> Callable[[Lifecycle], None]:
    """Remove one edge and add another."""

    def edit(lifecycle: Lifecycle) -> None:
        lifecycle.remove_transition(edge)
        lifecycle.add_transition(*(more or (edge,)), **given)

    return edit


def swap(lifecycle: Lifecycle) -> None:
    found = {t.label: t for t in lifecycle.transitions if t.source is P.B}
    lifecycle.remove(*found.values())
    lifecycle.add(found["give_up"], found["completed"], found["a"])


def replace_phase(lifecycle: Lifecycle, new: Phase) -> Lifecycle:
    phases = [new if phase.event == new.event else phase for phase in lifecycle.phases]
    return Lifecycle.of(type(lifecycle.graph)(tuple(phases), lifecycle.transitions))


CASES: list[tuple[Callable[[Lifecycle], Any], str]] = [
    (lambda c: None, "no difference"),
    (lambda c: c.insert("look", after=P.A), "+ phase look\n- A --b--> B\n+ look --b--> B\n+ A --look--> look"),
    (
        without(P.B >> E.COMPLETED, guard=bored),
        "~ B --completed--> COMPLETED (guard: solved -> bored, place: 1 -> 2)\n"
        "~ B --give_up--> TERMINATE (place: 2 -> 1)",
    ),
    (swap, "~ B --completed--> COMPLETED (place: 1 -> 2)\n~ B --give_up--> TERMINATE (place: 2 -> 1)"),
    (
        without(P.B >> E.TERMINATE, guard=bored, label="give_up", action=play),
        "~ B --give_up--> TERMINATE (action: none -> play)",
    ),
    (
        without(P.B >> E.TERMINATE, guard=bored, label="enough"),
        "~ B --enough--> TERMINATE (label: give_up -> enough)",
    ),
    (
        without(P.B >> E.TERMINATE, P.B >> P.SKIP, guard=bored, label="give_up"),
        "~ B --give_up--> SKIP (target: TERMINATE -> SKIP)",
    ),
    (
        without(P.A >> P.SKIP, error=(ValueError, OSError), limit=3),
        "~ A --skip--> SKIP (error: ValueError -> ValueError; OSError, limit: none -> 3)",
    ),
    (
        lambda c: replace_phase(c, Phase(P.A, Scope.ENGINE)),
        "~ phase A (scope: run -> engine, activity: play -> none)",
    ),
    (
        lambda c: replace_phase(c, Phase(P.B, Scope.RUN, entry=(play,), activity=rest, defer=solved)),
        "~ phase B (entry: rests += 1 -> play, activity: another rest, defer: none -> solved, counter: rests -> none)",
    ),
    (
        lambda c: replace_phase(c, Phase(P.SKIP, Scope.RUN)),
        "~ phase SKIP (payload: error -> none)",
    ),
    (
        lambda c: c.add(Transition(P.A, E.COMPLETED, "stop", Trigger.SIGNAL, Signal.TERMINATE_EPOCH)),
        "+ A --stop--> COMPLETED",
    ),
    (lambda c: c.remove_transition(P.SKIP >> P.B), "- SKIP --b--> B"),
]


@pytest.mark.parametrize(("edit", "expected"), CASES)
def test_a_difference_says_what_was_added_removed_and_changed(edit: Any, expected: str) -> None:
    before, after = own(), own()
    after = edit(after) or after
    difference = before.diff(after)
    assert str(difference) == expected
    assert bool(difference) == (expected != "no difference")


def test_repr_of_a_difference_counts_the_changes() -> None:
    longer = own()
    longer.add_transition(P.B >> E.TERMINATE, guard=solved, label="enough")
    assert repr(own().diff(longer)) == "<Difference: 1 added, 0 removed, 0 changed>"
    assert repr(own().diff(own())) == "<Difference: 0 added, 0 removed, 0 changed>"


def test_a_difference_holds_both_versions_of_each_part() -> None:
    before, after = own(), own()
    after.insert("look", after=P.A)
    difference = before.diff(after)
    assert {event: changed.change for event, changed in difference.phases.items()} == {"look": Change.ADDED}
    assert {key: changed.change for key, changed in difference.transitions.items()} == {
        (P.A, "b"): Change.REMOVED,
        ("look", "b"): Change.ADDED,
        (P.A, "look"): Change.ADDED,
    }
    removed = difference.transitions[P.A, "b"]
    assert (removed.before, removed.after) == (next(t for t in before.transitions if t.source is P.A), None)
    assert difference == Difference(
        {"look": Changed(None, after.phases[after.graph.index["look"]])}, difference.transitions
    )


def test_functions_of_the_same_definition_are_equal() -> None:
    def make(epochs: int, other: Any = None) -> Lifecycle:
        def enough(engine: Engine) -> bool:
            return bool(engine.state.epoch >= epochs)

        inner = Engine(lambda engine, batch: batch)
        if other is not None:
            inner.lifecycle.insert(P.B, after=E.COMPLETED)
        lifecycle = Lifecycle.training(lambda engine, batch: batch)
        lifecycle.insert(P.A, after=E.EPOCH_COMPLETED, activity=inner, data=[1, 2])
        lifecycle.add_transition(P.A >> E.COMPLETED, guard=enough)
        return lifecycle

    assert str(make(3).diff(make(4))) == "no difference"
    assert str(make(3).diff(make(3, other=True))) == "~ phase A (activity: another run of training)"


def test_arguments_that_cannot_be_compared_count_as_different() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("as tensors do")

        __hash__ = object.__hash__

    one, other, odd = Lifecycle("a"), Lifecycle("b"), Odd()
    for lifecycle, value in ((one, odd), (other, Odd())):
        lifecycle.add_phase(P.A, lambda value: value, value=value)
    assert str(one.diff(other)) == "~ phase A (activity: another P.A)"
    assert not one.diff(one)


def test_diff_accepts_only_lifecycles() -> None:
    with pytest.raises(TypeError, match=r"lifecycle.*got <Engine training"):
        own().diff(Engine(lambda engine, batch: batch))  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(plans(), plans())
def test_differences_are_symmetric(one: Any, other: Any) -> None:
    before, after = (Building(plan, ("compiled",)) for plan in (one, other))
    if before.wrong or after.wrong:
        return
    graphs = [Lifecycle.of(building.engine.lifecycle.graph) for building in (before, after)]
    there, back = graphs[0].diff(graphs[1]), graphs[1].diff(graphs[0])
    assert not graphs[0].diff(graphs[0])
    swapped = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.CHANGED: Change.CHANGED}
    for forth, again in ((there.phases, back.phases), (there.transitions, back.transitions)):
        assert sorted(swapped[c.change].value for c in forth.values()) == sorted(c.change.value for c in again.values())
    phases = {p.event for p in graphs[0].phases} | {e for e, c in there.phases.items() if c.change is Change.ADDED}
    gone = {event for event, changed in there.phases.items() if changed.change is Change.REMOVED}
    assert phases - gone == {phase.event for phase in graphs[1].phases}
