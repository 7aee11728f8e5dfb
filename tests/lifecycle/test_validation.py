"""Test that each rule finds the lifecycle made to break it, and no other lifecycle here."""

from __future__ import annotations

import functools
import logging
import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycles import Building, plans

from fsm_engine import (
    Engine,
    EventEnum,
    Events,
    History,
    Lifecycle,
    LifecycleError,
    Phase,
    Scope,
    Signal,
    Transition,
    Trigger,
)
from fsm_engine._util.similar_names import similar_names
from fsm_engine.events.placeholders import Unbound
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import IDLE
from fsm_engine.lifecycle import validation
from fsm_engine.lifecycle.graph_view import WholeGraph
from fsm_engine.lifecycle.step_events import ACCUMULATING, WHOLE_STEP
from fsm_engine.lifecycle.training import OUTER
from fsm_engine.lifecycle.validation import FOR_EVERY_EDIT, FOR_EVERY_RUN

E = Events
EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))


class P(EventEnum):
    ONE = "one"
    TWO = "two"
    THREE = "three"


class Other(EventEnum):
    ONE = "one"


def act() -> None:
    return None


def maybe() -> bool:
    return False


START = Transition(IDLE, P.ONE, "run", Trigger.SIGNAL, Signal.RUN)
HOME = Transition(P.ONE, IDLE, "done")


@dataclass(frozen=True)
class Case:
    """Graph that breaks one rule, with the name of the rule's function and the finding to expect.

    Attributes:
        fragments: parts of the message and the fix, all of them expected.
    """

    rule: str
    graph: Graph
    code: str
    fragments: tuple[str, ...]
    is_error: bool = True


def case(rule: str, graph: Graph | Lifecycle, code: str, *fragments: str, is_error: bool = True) -> Case:
    return Case(rule, graph.graph if isinstance(graph, Lifecycle) else graph, code, fragments, is_error)


def small(*parts: Phase | Transition, first: tuple[Transition, ...] = (START, HOME)) -> Graph:
    """Return IDLE -> ONE -> IDLE with `parts` added."""
    phases = [part for part in parts if isinstance(part, Phase)]
    own = [] if any(phase.event is P.ONE for phase in phases) else [Phase(P.ONE)]
    return Graph((Phase(IDLE), *own, *phases), (*first, *(part for part in parts if isinstance(part, Transition))))


def outer(*edits: Callable[[Lifecycle], Any]) -> Lifecycle:
    """Return STARTED -> ONE -> COMPLETED after `edits`."""
    lifecycle = Lifecycle("small")
    lifecycle.add_phase(P.ONE, act)
    lifecycle.add_path(E.STARTED >> P.ONE >> E.COMPLETED)
    for edit in edits:
        edit(lifecycle)
    return lifecycle


def training(*edits: Callable[[Lifecycle], Any]) -> Lifecycle:
    lifecycle = Lifecycle.training(lambda engine, batch: batch)
    for edit in edits:
        edit(lifecycle)
    return lifecycle


CASES = [
    case(
        "_no_phases",
        Graph((), ()),
        "no-phases",
        "no phases",
    ),
    case(
        "_phase_twice",
        small(Phase(P.ONE), Phase(P.ONE)),
        "duplicate-phase",
        "ONE",
    ),
    case(
        "_unknown_end",
        small(first=(START, Transition(P.ONE, P.TWO, "on", guard=maybe), HOME)),
        "unknown-end",
        "ONE --on--> TWO",
        "P.TWO",
        "IDLE, ONE",
    ),
    case(
        "_trigger_without_signal",
        small(Transition(P.ONE, IDLE, "stop", Trigger.SIGNAL)),
        "signal",
        "ONE --stop--> IDLE",
        "trigger=Trigger.SIGNAL",
    ),
    case(
        "_ambiguous_fired_exit",
        small(Phase(P.ONE, activity=act), Transition(P.ONE, IDLE, "fired", Trigger.FIRED, guard=maybe)),
        "fired",
        "ONE --fired--> IDLE",
        "a guard",
    ),
    case(
        "_scope_without_signal",
        small(Phase(P.ONE, Scope.RUN), Transition(Scope.RUN, IDLE, "all")),
        "scope",
        "run --all--> IDLE",
    ),
    case(
        "_duplicate_label",
        small(first=(START, Transition(P.ONE, IDLE, "done", guard=maybe), HOME)),
        "duplicate-label",
        "ONE",
        "'done'",
    ),
    case(
        "_dead_exit",
        small(Transition(P.ONE, IDLE, "again", guard=maybe)),
        "dead-exit",
        "ONE --again--> IDLE can never be taken",
        "ONE --done--> IDLE",
    ),
    case(
        "_dead_exit",
        small(Transition(P.ONE, IDLE, "again")),
        "two-unguarded-exits",
        "ONE --done--> IDLE and ONE --again--> IDLE",
        "remove_transition",
    ),
    case(
        "_exit_of_terminal",
        small(Transition(IDLE, P.ONE, "at_once")),
        "dead-exit",
        "IDLE --at_once--> ONE can never be taken",
    ),
    case(
        "_unfireable",
        small(Phase(P.TWO), Transition(P.ONE, P.TWO, "two", Trigger.FIRED), Transition(P.TWO, IDLE, "done")),
        "unfireable",
        "ONE --two--> TWO",
        "add_phase(P.TWO, activity=...)",
    ),
    case(
        "_fired_with_activity",
        small(
            Phase(P.ONE, activity=act),
            Phase(P.TWO, activity=act),
            Transition(P.ONE, P.TWO, "two", Trigger.FIRED),
            Transition(P.TWO, IDLE, "done"),
        ),
        "two-activities",
        "TWO has an activity",
    ),
    case(
        "_no_start",
        small(first=(HOME, Transition(IDLE, P.ONE, "on"))),
        "no-start",
        "IDLE",
        "RUN",
    ),
    case(
        "_unreachable",
        small(Phase(P.TWO), Transition(P.TWO, IDLE, "done")),
        "unreachable",
        "TWO",
    ),
    case(
        "_stuck",
        small(first=(START,)),
        "stuck",
        "ONE gets stuck",
        "add_transition(P.ONE >> ...)",
        "add_exits(P.ONE, like=...)",
    ),
    case(
        "_stuck",
        small(Transition(P.ONE, IDLE, "perhaps", guard=maybe), first=(START,)),
        "stuck",
        "ONE may get stuck",
        "ONE --perhaps--> IDLE",
    ),
    case(
        "_never_taken",
        outer(
            lambda c: c.add_transition(P.ONE >> P.TWO, error=ArithmeticError),
            lambda c: c.add_transition(P.ONE >> P.TWO, error=ZeroDivisionError, label="too_late"),
            lambda c: c.add_path(P.TWO >> E.COMPLETED),
        ),
        "dead-exit",
        "ONE --too_late--> TWO can never be taken: the error edges tried before",
    ),
    case(
        "_never_taken",
        outer(
            lambda c: c.add_path(P.ONE >> P.TWO >> E.COMPLETED),
            lambda c: c.add(Transition(P.TWO, E.COMPLETED, "stop", Trigger.SIGNAL, Signal.TERMINATE)),
        ),
        "dead-exit",
        "TWO --stop--> COMPLETED can never be taken: inner scopes",
    ),
    case(
        "_endless",
        outer(
            lambda c: c.add_phase(P.TWO, act),
            lambda c: c.add_phase(P.THREE, act),
            lambda c: c.add_transition(P.ONE >> P.TWO, guard=maybe),
            lambda c: c.add_path(P.TWO >> P.THREE >> P.TWO),
        ),
        "endless",
        "from TWO, THREE a run never ends",
        "engine.terminate()",
        is_error=False,
    ),
    case(
        "_skipped_completion",
        training(lambda c: c.add_transition(E.ITERATION_COMPLETED >> E.COMPLETED, guard=maybe, label="enough")),
        "skipped-completion",
        "ITERATION_COMPLETED --enough--> COMPLETED leaves epoch without",
        "EPOCH_COMPLETED",
        "TERMINATE",
        is_error=False,
    ),
    case(
        "_skipped_completion",
        training(
            lambda c: c.add_phase(P.ONE, act, scope=Scope.RUN),
            lambda c: c.add_transition(E.ITERATION_STARTED >> P.ONE, guard=maybe, label="broken"),
            lambda c: c.add_path(P.ONE >> E.EPOCH_STARTED),
        ),
        "skipped-completion",
        "ITERATION_STARTED --broken--> ONE leaves iteration and epoch without",
        "ITERATION_COMPLETED, EPOCH_COMPLETED",
        is_error=False,
    ),
    case(
        "_skipped_completion",
        training(lambda c: c.add_transition(E.ITERATION_COMPLETED >> E.EPOCH_STARTED, guard=maybe, label="anew")),
        "skipped-completion",
        "ITERATION_COMPLETED --anew--> EPOCH_STARTED leaves epoch without",
        "EPOCH_COMPLETED",
        is_error=False,
    ),
    case(
        "_same_name",
        outer(lambda c: c.insert(Other.ONE, after=P.ONE)),
        "same-name",
        "P.ONE and Other.ONE",
        is_error=False,
    ),
    case(
        "_similar_names",
        outer(lambda c: c.insert("COLECT", after=P.ONE), lambda c: c.insert("COLLECT", after=P.ONE)),
        "similar-names",
        "COLLECT and COLECT",
        is_error=False,
    ),
    case(
        "_unbound",
        small(Phase(P.ONE, activity=Unbound("learn", "learn"))),
        "unbound",
        "learn",
        "bind={'learn': ...}",
    ),
]


def shown(findings: Any) -> list[tuple[str, str, str, bool]]:
    return [(found.code, found.message, found.fix, found.is_error) for found in findings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_each_rule_finds_its_case_and_no_other_rule_does(case: Case) -> None:
    (finding,) = validation.findings(case.graph)
    checked = WholeGraph(case.graph) if case.rule in {rule.__name__ for rule in FOR_EVERY_EDIT} else case.graph
    assert [finding] == list(getattr(validation, case.rule)(checked))
    assert (finding.code, finding.is_error) == (case.code, case.is_error)
    assert all(fragment in str(finding) for fragment in case.fragments), str(finding)


def test_every_rule_has_its_case() -> None:
    assert {case.rule for case in CASES} == {rule.__name__ for rule in (*FOR_EVERY_EDIT, *FOR_EVERY_RUN)}


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.rule in {rule.__name__ for rule in FOR_EVERY_RUN}], ids=lambda c: c.rule
)
def test_errors_stop_a_run_and_warnings_do_not(case: Case) -> None:
    lifecycle = Lifecycle.of(case.graph)
    if case.is_error:
        with pytest.raises(LifecycleError, match=re.escape(str(lifecycle.check()[0]))):
            lifecycle._ensure_valid()
    else:
        lifecycle._ensure_valid()


# Valid lifecycles


def step_by_step() -> Lifecycle:
    return training(lambda c: c.add_path(WHOLE_STEP, required=True), lambda c: c.add_path(ACCUMULATING))


def recovering() -> Lifecycle:
    return training(
        lambda c: c.add_transition(E.ITERATION_STARTED >> P.ONE, error=ValueError, limit=1),
        lambda c: c.add_exits(P.ONE, like=E.ITERATION_COMPLETED),
        lambda c: c.add_transition(Scope.ITERATION >> P.TWO, error=Exception),
        lambda c: c.add_transition(P.TWO >> Scope.ITERATION),
    )


def validating() -> Lifecycle:
    return training(
        lambda c: c.add_phase(P.ONE, act, scope=Scope.RUN),
        lambda c: c.add_transition(E.ITERATION_COMPLETED >> P.ONE, guard=maybe),
        lambda c: c.add_path(P.ONE >> E.EPOCH_COMPLETED),
        lambda c: c.add_transition(P.ONE >> E.TERMINATE, guard=maybe, label="enough"),
        lambda c: c.insert(P.TWO, after=E.EPOCH_COMPLETED),
    )


@pytest.mark.parametrize("make", [training, step_by_step, recovering, validating, outer])
def test_a_valid_lifecycle_has_no_findings(make: Callable[[], Lifecycle]) -> None:
    assert make().check() == []
    assert Engine(lifecycle=make()).check(max_iters=3) == []


class Checked(BaseException):
    """Exception raised in place of a run; its argument is the list that `check` returned."""


@pytest.mark.parametrize("example", [path.stem for path in EXAMPLES if path.stem != "digits"])
def test_an_example_has_no_findings(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for library in ("sklearn", "torchvision", "torchmetrics"):
        pytest.importorskip(library)

    @functools.wraps(Engine.run)
    def check_only(engine: Engine, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("until", None)
        raise Checked(engine.check(*args, **kwargs))

    path = next(path for path in EXAMPLES if path.stem == example)
    monkeypatch.setattr(Engine, "run", check_only)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Checked) as checked:
        runpy.run_path(str(path), run_name="__main__")
    assert checked.value.args == ([],)


# Properties


@st.composite
def with_error_edges(draw: st.DrawFn) -> Lifecycle:
    kinds = [Exception, ArithmeticError, ZeroDivisionError, LookupError]
    sources = [E.ITERATION_STARTED, E.EPOCH_STARTED, Scope.ITERATION, Scope.EPOCH, Scope.RUN]
    lifecycle = training()
    for number in range(draw(st.integers(1, 5))):
        lifecycle.add_transition(
            draw(st.sampled_from(sources)) >> P.ONE,
            error=draw(st.sampled_from(kinds)),
            limit=draw(st.sampled_from([None, None, 2])),
            label=f"recover_{number}",
        )
    lifecycle.add_exits(P.ONE, like=E.ITERATION_COMPLETED)
    return lifecycle


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(with_error_edges())
def test_removing_dead_exits_changes_no_answer(lifecycle: Lifecycle) -> None:
    dead = [finding for finding in lifecycle.check() if finding.code == "dead-exit"]
    assert lifecycle.check() == dead
    named = [t for t in lifecycle.transitions if any(f.message.startswith(f"{t} can never") for f in dead)]
    assert len(named) == len(dead)
    before = lifecycle.reachable(IDLE), lifecycle.dominators(), list(map(str, lifecycle.test_paths()))
    lifecycle.remove(*named)
    assert lifecycle.check() == []
    assert before == (lifecycle.reachable(IDLE), lifecycle.dominators(), list(map(str, lifecycle.test_paths())))


def is_automatic(edge: Transition) -> bool:
    return edge.signal is None and not isinstance(edge.target, History)


@settings(deadline=None, max_examples=100)
@given(plans())
def test_phases_that_never_end_by_themselves_are_found(plan: Any) -> None:
    building = Building(plan, ("compiled",))
    if building.wrong:
        return
    graph = building.engine.lifecycle.graph
    [*found] = [finding for finding in validation.findings(graph) if finding.code == "endless"]
    named = found[0].message.removeprefix("from ").split(" a run")[0].split(", ") if found else []
    for number, phase in enumerate(graph.phases):
        seen, stack = {number}, [number]
        while stack:
            exits = [exit_ for exit_ in graph.exits[stack.pop()] if exit_.signal is None]
            new = {graph.index[exit_.target] for exit_ in exits if is_automatic(exit_)} - seen  # type: ignore[index]
            seen |= new
            stack += new
        history = any(not is_automatic(exit_) for n in seen for exit_ in graph.exits[n] if exit_.signal is None)
        assert (phase.name in named) == (not history and not any(n in graph.terminal for n in seen))


# Names


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("COLLECT", "Collect", True),
        ("STEP_1", "STEP_l", True),
        ("PHASE_O", "PHASE_0", True),
        ("EPOCH_STARTED", "EPOCHSTARTED", True),
        ("COLLECT", "COLECT", True),
        ("COLLECT", "COLLECTS", True),
        ("LEARN", "LAERN", True),
        ("TRAIN_MODEL", "TRAIL_MODEL", True),
        ("D_STEP", "G_STEP", False),
        ("STEP_1", "STEP_2", False),
        ("PHASE10", "PHASE11", False),
        ("PHASE1", "PHASE", False),
        ("A", "B", False),
        ("FAKE", "TAKE", False),
        ("ENCODE", "DECODE", False),
        ("FORWARD_STARTED", "BACKWARD_STARTED", False),
        ("LOSS_STARTED", "LOSS_COMPLETED", False),
        ("COLLECT", "COLLECT", False),
        ("WARM_START", "STARTED", False),
    ],
)
def test_similar_names_are_found(one: str, other: str, expected: bool) -> None:
    assert list(similar_names([one, other])) == [(one, other)] * expected
    assert list(similar_names([other, one])) == [(other, one)] * expected


def is_one_typo(one: str, other: str) -> bool:
    """Return True if one typing error turns `one` into `other`, by brute force."""
    letters = set(one + other)
    made = {one[:n] + letter + one[n + 1 :] for n in range(len(one)) for letter in letters}
    made |= {one[:n] + letter + one[n:] for n in range(len(one) + 1) for letter in letters}
    made |= {one[:n] + one[n + 1 :] for n in range(len(one))}
    made |= {one[:n] + one[n + 1] + one[n] + one[n + 2 :] for n in range(len(one) - 1)}
    return other in made


@settings(deadline=None)
@given(st.lists(st.text("ABC", min_size=5, max_size=7), max_size=12, unique=True))
def test_names_that_differ_by_one_typing_error_are_found_among_many(names: list[str]) -> None:
    pairs = [(a, b) for n, b in enumerate(names) for a in names[:n] if is_one_typo(a, b)]
    assert list(similar_names(names)) == pairs


def test_a_thousand_phases_are_checked() -> None:
    names = [f"PHASE_{number}" for number in range(1000)]
    edges = [Transition(a, b, "on") for a, b in zip([E.STARTED, *names], [*names, E.COMPLETED])]
    jumps = [Transition(a, names[n * 7919 % 1000], f"jump_{n}", guard=maybe) for n, a in enumerate(names)]
    phases = (*OUTER.phases, *(Phase(name, Scope.RUN) for name in names))
    lifecycle = Lifecycle.of(Graph(phases, (*OUTER.transitions, *jumps, *edges)))
    assert lifecycle.check() == []
    assert lifecycle.coverage(lifecycle.test_paths()).is_complete


# Handlers


class C(EventEnum):
    CALLED = "called"
    FORGOTTEN = "forgotten"


def log() -> None:
    return None


def engine_with(*events: Any) -> Engine:
    engine = Engine(lambda engine, batch: engine.fire_event(C.CALLED))
    engine.register_events(*C)
    for event in events:
        engine.add_event_handler(event, log)
    return engine


def never(event: str, most: str) -> tuple[str, str, str, bool]:
    sentence = f"log is not called on Events.{event}: {most} in this run."
    return "never-passes", sentence, "Change the filter, or raise the limit of the run.", False


@pytest.mark.parametrize(
    ("event", "limits", "expected"),
    [
        (E.EPOCH_STARTED(once=11), {"max_epochs": 10}, [never("EPOCH_STARTED (once=11)", "epoch is at most 10")]),
        (E.EPOCH_STARTED(once=[3, 11]), {"max_epochs": 10}, []),
        (E.EPOCH_COMPLETED(after=10), {"max_epochs": 10}, [never("EPOCH_COMPLETED (after=10)", "epoch is at most 10")]),
        (E.EPOCH_COMPLETED(every=10), {"max_epochs": 10}, []),
        (E.EPOCH_COMPLETED(every=11), {"max_epochs": 10}, [never("EPOCH_COMPLETED (every=11)", "epoch is at most 10")]),
        (E.EPOCH_COMPLETED(every=11), {"max_iters": 10, "epoch_length": 1}, []),  # epochs may end early
        (E.EPOCH_COMPLETED(every=11), {}, []),
        (
            E.ITERATION_COMPLETED(every=1000),
            {"max_iters": 100},
            [never("ITERATION_COMPLETED (every=1000)", "iteration is at most 100")],
        ),
        (
            E.ITERATION_STARTED(once=31),
            {"data": [1, 2, 3], "max_epochs": 10},
            [never("ITERATION_STARTED (once=31)", "iteration is at most 30")],
        ),
        (E.ITERATION_STARTED(once=31), {"data": iter([1, 2, 3]), "max_epochs": 10}, []),
        (E.ITERATION_STARTED(once=31), {"max_epochs": 10}, []),
        (E.GET_BATCH_STARTED(every=1000), {"max_iters": 10}, []),  # its first value is 0
        (E.ITERATION_STARTED(event_filter=lambda engine, value: False), {"max_iters": 10}, []),
        (
            E.COMPLETED(after=3, before=4),
            {},
            [
                (
                    "never-passes",
                    "log is not called on Events.COMPLETED (before=4, after=3): no value passes the filter.",
                    "Change its bounds.",
                    False,
                )
            ],
        ),
    ],
)
def test_filters_that_never_pass_are_found(event: Any, limits: dict[str, Any], expected: Any) -> None:
    assert shown(engine_with(event).check(**limits)) == expected


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_filter_is_found_exactly_if_its_handler_is_never_called(data: Any) -> None:
    number = st.integers(1, 14)
    given_ = data.draw(
        st.one_of(
            st.fixed_dictionaries({"once": st.lists(number, min_size=1, max_size=2)}),
            st.fixed_dictionaries({}, optional={"every": number, "after": number, "before": number}).filter(bool),
        )
    )
    event = data.draw(st.sampled_from([E.EPOCH_STARTED, E.EPOCH_COMPLETED, E.ITERATION_STARTED, E.ITERATION_COMPLETED]))
    batches, epochs = list(range(data.draw(st.integers(1, 3)))), data.draw(st.integers(1, 4))
    engine, called = Engine(lambda engine, batch: None), []
    engine.logger = logging.getLogger("silent")
    engine.add_event_handler(event(**given_), lambda: called.append(1))
    found = engine.check(batches, max_epochs=epochs)
    engine.run(batches, max_epochs=epochs)
    assert bool(found) == (not called)


def test_a_filter_that_never_passes_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_with(E.EPOCH_STARTED(once=50), E.EPOCH_STARTED(once=1))
    caplog.set_level(logging.WARNING, logger=engine.logger.name)  # an earlier example may have changed it
    for _ in range(2):
        engine.run([1], max_epochs=3)
    engine.run([1], max_epochs=5, until=E.EPOCH_COMPLETED(once=9))
    engine.add_event_handler(E.ITERATION_COMPLETED(every=7), log)
    engine.run([1], max_epochs=6)
    expected = [
        ("EPOCH_STARTED (once=50)", "epoch is at most 3"),
        ("EPOCH_COMPLETED (once=9)", "epoch is at most 5"),
        ("ITERATION_COMPLETED (every=7)", "iteration is at most 6"),
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * len(expected)
    for record, (event, most) in zip(caplog.records, expected):
        assert event in record.getMessage()
        assert most in record.getMessage()


def test_limits_bound_no_filter_if_the_lifecycle_has_other_loops() -> None:
    engine = engine_with(E.EPOCH_STARTED(once=50))
    assert [finding.code for finding in engine.check(max_epochs=3)] == ["never-passes"]
    engine.lifecycle.insert(P.ONE, after=E.EPOCH_COMPLETED)
    assert [finding.code for finding in engine.check(max_epochs=3)] == ["never-passes"]
    engine.lifecycle.add_transition(P.ONE >> E.EPOCH_STARTED, guard=maybe, label="once_more")
    assert engine.check(max_epochs=3) == []
    engine = engine_with(E.EPOCH_STARTED(once=50))
    engine.lifecycle.remove_transition(E.EPOCH_COMPLETED >> E.COMPLETED)
    assert [finding.code for finding in engine.check(max_epochs=3)] == []


def test_events_that_were_never_fired_are_found_after_a_run() -> None:
    engine = engine_with(C.CALLED, C.FORGOTTEN)
    assert engine.check() == []
    engine.run([1])
    assert shown(engine.check()) == [
        (
            "never-fired",
            "C.FORGOTTEN has handlers, but the last run did not fire it.",
            "Fire it with engine.fire_event(C.FORGOTTEN), or make it a phase that the step fires, with "
            "lifecycle.add_path(...).",
            False,
        )
    ]
    engine.run([1, 2], until=E.ITERATION_COMPLETED)
    assert engine.check() == []  # the suspended run may still fire it


def test_engine_check_reports_the_lifecycle_and_validates_its_arguments() -> None:
    engine = engine_with()
    engine.lifecycle.add_phase(P.ONE, act)
    engine.lifecycle.add_path(P.ONE >> E.COMPLETED)
    assert [finding.code for finding in engine.check()] == ["unreachable"]
    with pytest.raises(ValueError, match=r"^Argument max_epochs is invalid: 0\."):
        engine.check(max_epochs=0)


def test_a_check_leaves_data_and_state_unchanged() -> None:
    data = iter([1, 2])
    engine = engine_with(E.EPOCH_STARTED(once=50))
    before = engine.state.attributes()
    engine.check(data, max_epochs=3)
    assert (list(data), engine.state.attributes()) == ([1, 2], before)
