"""Rules: each fires on a lifecycle made for it, with its sentence and fix, and on nothing else that is here."""

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
from fsm_engine.lifecycle.step_events import ACCUMULATING, WHOLE_STEP
from fsm_engine.lifecycle.training import OUTER
from fsm_engine.lifecycle.validation import FOR_EVERY_EDIT, FOR_EVERY_RUN, Finding

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
    """A rule, by the name of its function, a graph that breaks it, and what it finds."""

    rule: str
    graph: Graph
    findings: tuple[Finding, ...]


def case(rule: str, graph: Graph | Lifecycle, *findings: Finding) -> Case:
    return Case(rule, graph.graph if isinstance(graph, Lifecycle) else graph, findings)


def small(*parts: Phase | Transition, first: tuple[Transition, ...] = (START, HOME)) -> Graph:
    """Return IDLE -> ONE -> IDLE with more to it."""
    phases = [part for part in parts if isinstance(part, Phase)]
    own = [] if any(phase.event is P.ONE for phase in phases) else [Phase(P.ONE)]
    return Graph((Phase(IDLE), *own, *phases), (*first, *(part for part in parts if isinstance(part, Transition))))


def outer(*edits: Callable[[Lifecycle], Any]) -> Lifecycle:
    """Return STARTED -> ONE -> COMPLETED with edits made to it."""
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
        Finding("no-phases", "there is no phase.", "The first is where a run starts and ends."),
    ),
    case(
        "_phase_twice",
        small(Phase(P.ONE), Phase(P.ONE)),
        Finding("phase-twice", "phase ONE is there twice.", "Each phase stands for one event: leave one out."),
    ),
    case(
        "_edge_to_nowhere",
        small(Transition(P.ONE, P.TWO, "on")),
        Finding(
            "edge-to-nowhere",
            "ONE --on--> TWO leads to or from P.TWO, which is no phase.",
            "The phases are IDLE, ONE.",
        ),
    ),
    case(
        "_trigger_without_signal",
        small(Transition(P.ONE, IDLE, "stop", Trigger.SIGNAL)),
        Finding(
            "signal",
            "ONE --stop--> IDLE: a transition has a signal if, and only if, its trigger is SIGNAL.",
            "Give both, or neither.",
        ),
    ),
    case(
        "_fired_otherwise",
        small(Phase(P.ONE, activity=act), Transition(P.ONE, IDLE, "fired", Trigger.FIRED, guard=maybe)),
        Finding(
            "fired",
            "ONE --fired--> IDLE has a guard, but is taken whenever its target is fired.",
            "Leave the guard out, and name a phase as target.",
        ),
    ),
    case(
        "_leaves_a_scope",
        small(Phase(P.ONE, Scope.RUN), Transition(Scope.RUN, IDLE, "all")),
        Finding(
            "scope",
            "run --all--> IDLE leaves a whole scope, which takes an exception or a signal.",
            "Give it a signal, or leave from a phase.",
        ),
    ),
    case(
        "_duplicate_label",
        small(Transition(P.ONE, IDLE, "done", guard=maybe), first=(START, HOME)),
        Finding("duplicate-label", "two exits of ONE are labelled 'done'.", "Give each a label of its own."),
    ),
    case(
        "_dead_exit",
        small(Transition(P.ONE, IDLE, "again", guard=maybe)),
        Finding(
            "dead-exit",
            "ONE --again--> IDLE can never be taken: ONE --done--> IDLE comes before it and has no guard.",
            "Put the exit without a guard last.",
        ),
    ),
    case(
        "_dead_exit",
        small(Transition(P.ONE, IDLE, "again")),
        Finding(
            "two-unguarded-exits",
            "ONE --done--> IDLE and ONE --again--> IDLE have no guard, so the second can never be taken.",
            "Give one of them a guard, or take one out with remove_transition.",
        ),
    ),
    case(
        "_leaves_rest",
        small(Transition(IDLE, P.ONE, "at_once")),
        Finding(
            "dead-exit",
            "IDLE --at_once--> ONE can never be taken: a run rests in IDLE until the next one.",
            "Leave from the phase to which the signal RUN leads.",
        ),
    ),
    case(
        "_unfireable",
        small(Phase(P.TWO), Transition(P.ONE, P.TWO, "two", Trigger.FIRED), Transition(P.TWO, IDLE, "done")),
        Finding(
            "nobody-fires",
            "ONE --two--> TWO is taken when an activity fires it, and ONE has none that could.",
            "Make TWO a phase that the engine walks to, add_phase(P.TWO, activity=...), before you connect it.",
        ),
    ),
    case(
        "_fired_with_activity",
        small(
            Phase(P.ONE, activity=act),
            Phase(P.TWO, activity=act),
            Transition(P.ONE, P.TWO, "two", Trigger.FIRED),
            Transition(P.TWO, IDLE, "done"),
        ),
        Finding(
            "two-activities",
            "TWO is entered while an activity runs that fires it, and has an activity of its own.",
            "Let the engine walk to it, or leave its activity out.",
        ),
    ),
    case(
        "_no_start",
        small(first=(HOME, Transition(IDLE, P.ONE, "on"))),
        Finding(
            "no-start",
            "no run can start: no transition with the signal RUN leaves the first phase, IDLE.",
            "Add one, as from IDLE to STARTED.",
        ),
    ),
    case(
        "_unreachable",
        small(Phase(P.TWO), Transition(P.TWO, IDLE, "done")),
        Finding("unreachable", "nothing leads to TWO.", "Add a transition, or leave the phase out."),
    ),
    case(
        "_stuck",
        small(first=(START,)),
        Finding(
            "stuck",
            "ONE gets stuck: no automatic exit leaves it.",
            "Add one, add_transition(P.ONE >> ...), or those of another phase, add_exits(P.ONE, like=...).",
        ),
    ),
    case(
        "_stuck",
        small(Transition(P.ONE, IDLE, "perhaps", guard=maybe), first=(START,)),
        Finding(
            "stuck",
            "ONE may get stuck: each of its automatic exits has a guard.",
            "Leave the guard of the last one, ONE --perhaps--> IDLE, out.",
        ),
    ),
    case(
        "_never_taken",
        outer(
            lambda c: c.add_transition(P.ONE >> P.TWO, error=ArithmeticError),
            lambda c: c.add_transition(P.ONE >> P.TWO, error=ZeroDivisionError, label="too_late"),
            lambda c: c.add_path(P.TWO >> E.COMPLETED),
        ),
        Finding(
            "dead-exit",
            "ONE --too_late--> TWO can never be taken: the error edges that are tried before it take all that it "
            "would.",
            "Leave one of them out, or give the earlier one a limit or a guard.",
        ),
    ),
    case(
        "_never_taken",
        outer(
            lambda c: c.add_path(P.ONE >> P.TWO >> E.COMPLETED),
            lambda c: c.add(Transition(P.TWO, E.COMPLETED, "stop", Trigger.SIGNAL, Signal.TERMINATE)),
        ),
        Finding(
            "dead-exit",
            "TWO --stop--> COMPLETED can never be taken: edges of inner scopes answer its signal, or it has to wait "
            "while a step fires phases.",
            "Leave it out, or leave from a phase that the engine walks to.",
        ),
    ),
    case(
        "_endless",
        outer(
            lambda c: c.add_phase(P.TWO, act),
            lambda c: c.add_phase(P.THREE, act),
            lambda c: c.add_transition(P.ONE >> P.TWO, guard=maybe),
            lambda c: c.add_path(P.TWO >> P.THREE >> P.TWO),
        ),
        Finding(
            "endless",
            "from TWO, THREE a run does not come to an end by itself.",
            "Add an exit with a guard, as to COMPLETED, unless a handler is to end it with engine.terminate().",
            False,
        ),
    ),
    case(
        "_unannounced",
        training(lambda c: c.add_transition(E.ITERATION_COMPLETED >> E.COMPLETED, guard=maybe, label="enough")),
        Finding(
            "unannounced",
            "ITERATION_COMPLETED --enough--> COMPLETED leaves epoch without EPOCH_COMPLETED, whose handlers are not "
            "called.",
            "Lead to EPOCH_COMPLETED, or to TERMINATE to end the run early.",
            False,
        ),
    ),
    case(
        "_unannounced",
        training(
            lambda c: c.add_phase(P.ONE, act, scope=Scope.RUN),
            lambda c: c.add_transition(E.ITERATION_STARTED >> P.ONE, guard=maybe, label="broken"),
            lambda c: c.add_path(P.ONE >> E.EPOCH_STARTED),
        ),
        Finding(
            "unannounced",
            "ITERATION_STARTED --broken--> ONE leaves iteration and epoch without ITERATION_COMPLETED, "
            "EPOCH_COMPLETED, whose handlers are not called.",
            "Lead to ITERATION_COMPLETED, or to TERMINATE to end the run early.",
            False,
        ),
    ),
    case(
        "_unannounced",
        training(lambda c: c.add_transition(E.ITERATION_COMPLETED >> E.EPOCH_STARTED, guard=maybe, label="anew")),
        Finding(
            "unannounced",
            "ITERATION_COMPLETED --anew--> EPOCH_STARTED leaves epoch without EPOCH_COMPLETED, whose handlers are not "
            "called.",
            "Lead to EPOCH_COMPLETED, or to TERMINATE to end the run early.",
            False,
        ),
    ),
    case(
        "_namesakes",
        outer(lambda c: c.insert(Other.ONE, after=P.ONE)),
        Finding(
            "namesakes",
            "Other.ONE has the name of P.ONE, but is another phase.",
            "Give it another name if that is not what you want.",
            False,
        ),
    ),
    case(
        "_similar_names",
        outer(lambda c: c.insert("COLECT", after=P.ONE), lambda c: c.insert("COLLECT", after=P.ONE)),
        Finding(
            "confusable",
            "the names of the phases COLLECT and COLECT are easily taken for each other.",
            "Make one phase of them if it is a slip, or give one another name.",
            False,
        ),
    ),
    case(
        "_unbound",
        small(Phase(P.ONE, activity=Unbound("learn", "learn"))),
        Finding(
            "unbound",
            "the lifecycle was read from a file, and learn in it is not bound.",
            "Load the file with bind={'learn': ...}.",
        ),
    ),
]


def shown(findings: Any) -> list[tuple[str, str, str, bool]]:
    return [(found.code, found.sentence, found.fix, found.is_error) for found in findings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_finds_what_is_made_for_it_and_no_other_rule_does(case: Case) -> None:
    assert shown(validation.findings(case.graph)) == shown(case.findings)
    assert shown(getattr(validation, case.rule)(case.graph)) == shown(case.findings)


def test_every_rule_has_its_case() -> None:
    assert {case.rule for case in CASES} == {rule.__name__ for rule in (*FOR_EVERY_EDIT, *FOR_EVERY_RUN)}


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.rule in {rule.__name__ for rule in FOR_EVERY_RUN}], ids=lambda c: c.rule
)
def test_errors_stop_a_run_and_warnings_do_not(case: Case) -> None:
    lifecycle = Lifecycle.of(case.graph)
    if all(finding.is_error for finding in case.findings):
        with pytest.raises(LifecycleError, match=re.escape(str(case.findings[0]))):
            lifecycle._ensure_valid()
    else:
        lifecycle._ensure_valid()


# What is as it should be


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
def test_nothing_is_found_in_what_is_as_it_should_be(make: Callable[[], Lifecycle]) -> None:
    assert make().check() == []
    assert Engine(lifecycle=make()).check(max_iters=3) == []


class Looked(BaseException):
    """What a run is replaced by here: what `check` has found before it."""


@pytest.mark.parametrize("example", [path.stem for path in EXAMPLES if path.stem != "digits"])
def test_nothing_is_found_in_an_example(example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for library in ("sklearn", "torchvision", "torchmetrics"):
        pytest.importorskip(library)

    @functools.wraps(Engine.run)
    def look(engine: Engine, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("until", None)
        raise Looked(engine.check(*args, **kwargs))

    path = next(path for path in EXAMPLES if path.stem == example)
    monkeypatch.setattr(Engine, "run", look)
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Looked) as looked:
        runpy.run_path(str(path), run_name="__main__")
    assert looked.value.args == ([],)


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
def test_an_exit_that_is_called_dead_may_be_taken_out(lifecycle: Lifecycle) -> None:
    dead = [finding for finding in lifecycle.check() if finding.code == "dead-exit"]
    assert lifecycle.check() == dead
    named = [t for t in lifecycle.transitions if any(f.sentence.startswith(f"{t} can never") for f in dead)]
    assert len(named) == len(dead)
    before = lifecycle.reachable(IDLE), lifecycle.dominators(), list(map(str, lifecycle.test_paths()))
    lifecycle.remove(*named)
    assert lifecycle.check() == []
    assert before == (lifecycle.reachable(IDLE), lifecycle.dominators(), list(map(str, lifecycle.test_paths())))


def alone(edge: Transition) -> bool:
    return edge.signal is None and not isinstance(edge.target, History)


@settings(deadline=None, max_examples=100)
@given(plans())
def test_a_run_ends_by_itself_unless_it_is_called_endless(plan: Any) -> None:
    building = Building(plan, ("compiled",))
    if building.wrong:
        return
    graph = building.engine.lifecycle.graph
    [*found] = [finding for finding in validation.findings(graph) if finding.code == "endless"]
    named = found[0].sentence.removeprefix("from ").split(" a run")[0].split(", ") if found else []
    for number, phase in enumerate(graph.phases):
        seen, waiting = {number}, [number]
        while waiting:
            exits = [exit_ for exit_ in graph.exits[waiting.pop()] if exit_.signal is None]
            new = {graph.index[exit_.target] for exit_ in exits if alone(exit_)} - seen  # type: ignore[index]
            seen |= new
            waiting += new
        history = any(not alone(exit_) for n in seen for exit_ in graph.exits[n] if exit_.signal is None)
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
def test_names_that_are_taken_for_each_other(one: str, other: str, expected: bool) -> None:
    assert list(similar_names([one, other])) == [(one, other)] * expected
    assert list(similar_names([other, one])) == [(other, one)] * expected


def one_mistake(one: str, other: str) -> bool:
    """Say by brute force whether one letter more, less, other, or two swapped make one of the other."""
    letters = set(one + other)
    made = {one[:n] + letter + one[n + 1 :] for n in range(len(one)) for letter in letters}
    made |= {one[:n] + letter + one[n:] for n in range(len(one) + 1) for letter in letters}
    made |= {one[:n] + one[n + 1 :] for n in range(len(one))}
    made |= {one[:n] + one[n + 1] + one[n] + one[n + 2 :] for n in range(len(one) - 1)}
    return other in made


@settings(deadline=None)
@given(st.lists(st.text("ABC", min_size=5, max_size=7), max_size=12, unique=True))
def test_names_one_mistake_apart_are_found_among_many(names: list[str]) -> None:
    pairs = [(a, b) for n, b in enumerate(names) for a in names[:n] if one_mistake(a, b)]
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
    sentence = f"log is not called on Events.{event}: in this run, {most} at most."
    return "never-passes", sentence, "Change the filter, or let the run go further.", False


@pytest.mark.parametrize(
    ("event", "limits", "expected"),
    [
        (E.EPOCH_STARTED(once=11), {"max_epochs": 10}, [never("EPOCH_STARTED (once=11)", "epoch comes to 10")]),
        (E.EPOCH_STARTED(once=[3, 11]), {"max_epochs": 10}, []),
        (E.EPOCH_COMPLETED(after=10), {"max_epochs": 10}, [never("EPOCH_COMPLETED (after=10)", "epoch comes to 10")]),
        (E.EPOCH_COMPLETED(every=10), {"max_epochs": 10}, []),
        (E.EPOCH_COMPLETED(every=11), {"max_epochs": 10}, [never("EPOCH_COMPLETED (every=11)", "epoch comes to 10")]),
        (E.EPOCH_COMPLETED(every=11), {"max_iters": 10, "epoch_length": 1}, []),  # epochs may end early
        (E.EPOCH_COMPLETED(every=11), {}, []),
        (
            E.ITERATION_COMPLETED(every=1000),
            {"max_iters": 100},
            [never("ITERATION_COMPLETED (every=1000)", "iteration comes to 100")],
        ),
        (
            E.ITERATION_STARTED(once=31),
            {"data": [1, 2, 3], "max_epochs": 10},
            [never("ITERATION_STARTED (once=31)", "iteration comes to 30")],
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
                    "log is not called on Events.COMPLETED (before=4, after=3): no number passes.",
                    "Give it other bounds.",
                    False,
                )
            ],
        ),
    ],
)
def test_filters_that_nothing_will_pass_are_found(event: Any, limits: dict[str, Any], expected: Any) -> None:
    assert shown(engine_with(event).check(**limits)) == expected


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_filter_that_is_found_is_not_passed_and_others_may_be(data: Any) -> None:
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


def test_the_log_tells_once_what_nothing_will_pass(caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_with(E.EPOCH_STARTED(once=50), E.EPOCH_STARTED(once=1))
    caplog.set_level(logging.WARNING, logger=engine.logger.name)  # an example that was run before has set another
    for _ in range(2):
        engine.run([1], max_epochs=3)
    engine.run([1], max_epochs=5, until=E.EPOCH_COMPLETED(once=9))
    engine.add_event_handler(E.ITERATION_COMPLETED(every=7), log)
    engine.run([1], max_epochs=6)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"{name} is not called on Events.{event}: in this run, {most} at most. Change the filter, or let the run "
            "go further.",
        )
        for name, event, most in (
            ("log", "EPOCH_STARTED (once=50)", "epoch comes to 3"),
            ("_breakpoint", "EPOCH_COMPLETED (once=9)", "epoch comes to 5"),
            ("log", "ITERATION_COMPLETED (every=7)", "iteration comes to 6"),
        )
    ]


def test_limits_mean_nothing_where_a_lifecycle_goes_round_otherwise() -> None:
    engine = engine_with(E.EPOCH_STARTED(once=50))
    assert [finding.code for finding in engine.check(max_epochs=3)] == ["never-passes"]
    engine.lifecycle.insert(P.ONE, after=E.EPOCH_COMPLETED)
    assert [finding.code for finding in engine.check(max_epochs=3)] == ["never-passes"]
    engine.lifecycle.add_transition(P.ONE >> E.EPOCH_STARTED, guard=maybe, label="once_more")
    assert engine.check(max_epochs=3) == []
    engine = engine_with(E.EPOCH_STARTED(once=50))
    engine.lifecycle.remove_transition(E.EPOCH_COMPLETED >> E.COMPLETED)
    assert [finding.code for finding in engine.check(max_epochs=3)] == []


def test_events_that_nobody_fired_are_found_after_a_run() -> None:
    engine = engine_with(C.CALLED, C.FORGOTTEN)
    assert engine.check() == []
    engine.run([1])
    assert shown(engine.check()) == [
        (
            "never-fired",
            "C.FORGOTTEN has handlers, and nothing fired it in the last run.",
            "Fire it, engine.fire_event(C.FORGOTTEN), or make it a phase that the step moves to, "
            "lifecycle.add_path(...).",
            False,
        )
    ]
    engine.run([1, 2], until=E.ITERATION_COMPLETED)
    assert engine.check() == []  # it may still come


def test_an_engine_finds_what_its_lifecycle_does_and_refuses_what_a_run_would() -> None:
    engine = engine_with()
    engine.lifecycle.add_phase(P.ONE, act)
    engine.lifecycle.add_path(P.ONE >> E.COMPLETED)
    assert [finding.code for finding in engine.check()] == ["unreachable"]
    with pytest.raises(ValueError, match=r"^Argument max_epochs is invalid: 0\."):
        engine.check(max_epochs=0)


def test_what_a_check_is_given_is_left_alone() -> None:
    data = iter([1, 2])
    engine = engine_with(E.EPOCH_STARTED(once=50))
    before = engine.state.attributes()
    engine.check(data, max_epochs=3)
    assert (list(data), engine.state.attributes()) == ([1, 2], before)
