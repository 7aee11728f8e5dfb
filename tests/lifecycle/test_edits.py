"""Edits of a lifecycle: each leaves a valid graph or changes nothing, and what is refused says why."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_graph import moves, phase_names

from fsm_engine import (
    BusyError,
    Edge,
    Engine,
    EventEnum,
    Events,
    Exit,
    History,
    Lifecycle,
    LifecycleError,
    Phase,
    Scope,
    Signal,
    Transition,
    Trigger,
)
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import IDLE
from fsm_engine.lifecycle.validation import FOR_EVERY_EDIT


class P(EventEnum):
    A = "a"
    B = "b"
    C = "c"


class Q(EventEnum):
    A = "another a"


OWN = Scope("own", Scope.RUN)
SCOPES = (Scope.ENGINE, Scope.RUN, Scope.EPOCH, Scope.ITERATION, OWN)
NAMES = (*P, *Q, "A", "COMPLETED", IDLE, *Events)  # names of several phases, strings among them
E = Events


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def solved(engine: Engine) -> bool:
    return engine.state.iteration % 2 == 1


def act() -> None:
    pass


# Random edits

Change = Callable[[Lifecycle], None]

ends = st.sampled_from(NAMES)
sources = st.one_of(ends, ends, st.sampled_from(SCOPES))
targets = st.one_of(ends, ends, st.builds(History, st.sampled_from(SCOPES)))
usual_ends = st.sampled_from(
    (
        [E.ITERATION_STARTED, P.A, E.ITERATION_COMPLETED],
        [E.ITERATION_STARTED, P.B, P.C, E.ITERATION_COMPLETED],
        [E.STARTED, E.COMPLETED],
    )
)
maybe_act = st.sampled_from((None, act))
maybe_solved = st.sampled_from((None, solved))
counters = st.sampled_from((None, None, "rounds", "iteration"))
labels = st.sampled_from((None, None, "run", "exception", "twice"))
parts = st.one_of(
    st.builds(Phase, ends, st.sampled_from((None, *SCOPES)), activity=maybe_act),
    st.builds(
        Transition,
        sources,
        targets,
        st.sampled_from(("some", "other", "terminate")),
        st.sampled_from(Trigger),
        st.sampled_from((None, None, *Signal)),
        maybe_solved,
        error=st.sampled_from(((), (), (ValueError,))),
    ),
)


def _phase(event: Any, activity: Any, scope: Any, counter: Any) -> Change:
    return lambda lifecycle: lifecycle.add_phase(event, activity, scope=scope, counter=counter)


def _path(ends: list[Any], required: bool) -> Change:
    def change(lifecycle: Lifecycle) -> None:
        path: Any = Edge(*ends[:2])
        for end in ends[2:]:
            path = path >> end
        lifecycle.add_path(path, required=required)

    return change


def _transition(source: Any, target: Any, guard: Any, label: Any, error: Any, limit: Any, action: Any) -> Change:
    return lambda lifecycle: lifecycle.add_transition(
        Edge(source, target), guard=guard, label=label, error=error, limit=limit, action=action
    )


def _insert(event: Any, after: Any, activity: Any, counter: Any) -> Change:
    return lambda lifecycle: lifecycle.insert(event, after=after, activity=activity, counter=counter)


def _exits(event: Any, like: Any) -> Change:
    return lambda lifecycle: lifecycle.add_exits(event, like=like)


def _remove_edge(number: int, ends: tuple[Any, Any] | None) -> Change:
    def change(lifecycle: Lifecycle) -> None:
        transition = lifecycle.transitions[number % len(lifecycle.transitions)]
        lifecycle.remove_transition(Edge(*(ends or (transition.source, transition.target))))

    return change


def _add(parts: list[Any]) -> Change:
    return lambda lifecycle: lifecycle.add(*parts)


def _remove(number: int, connected: bool, part: Any) -> Change:
    def change(lifecycle: Lifecycle) -> None:
        phase = lifecycle.phases[number % len(lifecycle.phases)]
        joined = [
            t
            for t in lifecycle.transitions
            if any(Edge(end, end) == Edge(phase.event, phase.event) for end in (t.source, t.target))
        ]
        lifecycle.remove(*([part] if part is not None else [phase, *joined] if connected else [phase]))

    return change


errors = st.sampled_from((None, None, ValueError, (KeyError, OSError)))
CHANGES = {
    "add_phase": st.builds(_phase, ends, maybe_act, st.sampled_from((None, *SCOPES)), counters),
    "add_path": st.builds(_path, st.lists(ends, min_size=2, max_size=4) | usual_ends, st.booleans()),
    "add_transition": st.builds(
        _transition, sources, sources, maybe_solved, labels, errors, st.sampled_from((None, None, 2)), maybe_act
    ),
    "insert": st.builds(_insert, ends, ends, maybe_act, counters),
    "add_exits": st.builds(_exits, ends, ends) | st.builds(_exits, st.sampled_from(P), st.just(E.COMPLETED)),
    "remove_transition": st.builds(_remove_edge, st.integers(0, 60), st.none() | st.tuples(sources, sources)),
    "add": st.builds(_add, st.lists(parts, min_size=1, max_size=3)),
    "remove": st.builds(_remove, st.integers(0, 30), st.booleans(), st.none() | parts),
}
named_changes = st.lists(
    st.one_of([st.tuples(st.just(name), change) for name, change in CHANGES.items()]), min_size=1, max_size=10
)
seen: Counter[tuple[str, str]] = Counter()


def attempt(lifecycle: Lifecycle, change: Change) -> Exception | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of namesakes
        try:
            change(lifecycle)
        except (LifecycleError, TypeError, ValueError) as error:
            return error
    return None


def known(engine: Engine) -> list[Any]:
    return [
        (key, slot.is_fired_phase, slot.callback_event, slot.counter, slot.payload)
        for key, slot in engine._entries.items()
    ]


def broken(graph: Graph) -> list[str]:
    return [str(finding) for rule in FOR_EVERY_EDIT for finding in rule(graph)]


@pytest.mark.slow
def test_an_edit_leaves_a_valid_graph_or_changes_nothing() -> None:
    @settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), named_changes)
    def valid_or_refused(trains: bool, changes: list[tuple[str, Change]]) -> None:
        definition = Lifecycle.training(echo) if trains else Lifecycle("own")
        engine = Engine(lifecycle=definition)
        for name, change in changes:
            before, registered, floating = engine.lifecycle.graph, known(engine), engine.lifecycle._floating
            error = attempt(engine.lifecycle, change)
            seen[name, "refused" if error else "taken"] += 1
            if error:
                assert engine.lifecycle.graph is before
                assert engine.lifecycle._floating == floating
                assert known(engine) == registered
            assert broken(engine.lifecycle.graph) == []
            assert {phase.event for phase in engine.lifecycle.phases[1:]} <= set(engine._entries)
            assert repr(attempt(definition, change)) == repr(error)  # the definition is refused the same
        assert definition == engine.lifecycle
        wrong = [finding for finding in engine.lifecycle.check() if finding.is_error]
        seen["in the end", "wrong" if wrong else "right"] += 1

    valid_or_refused()
    wanted = {(name, way) for name in CHANGES for way in ("taken", "refused")}
    assert (wanted | {("in the end", "right"), ("in the end", "wrong")}) - set(seen) == set()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(named_changes)
def test_a_lifecycle_with_nothing_wrong_is_emitted_drawn_and_exported(changes: list[tuple[str, Change]]) -> None:
    pytest.importorskip("transitions")
    pytest.importorskip("networkx")
    lifecycle = Lifecycle.training(echo)
    for _, change in changes:
        attempt(lifecycle, change)
    if any(finding.is_error for finding in lifecycle.check()):
        return
    names = [phase.name for phase in lifecycle.phases]
    assert [line.split()[0] for line in str(lifecycle).splitlines()[2:] if line[0] not in " a"] == names
    assert len(lifecycle.to_networkx()) == len(lifecycle.to_transitions().states) == len(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of namesakes
        assert Engine(lifecycle=lifecycle).source.startswith("def run(engine, position, bound):")


# What is refused, and why

PHASES = phase_names()
TABLE = repr(Lifecycle.training())
Edit = Callable[[Lifecycle], Any]


def with_path() -> Lifecycle:
    lifecycle = Lifecycle.training(echo)
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> E.ITERATION_COMPLETED)
    return lifecycle


def refused(edit: Edit, message: str, kind: type[Exception], lifecycle: Lifecycle | None = None) -> None:
    lifecycle = lifecycle or Lifecycle.training(echo)
    before = lifecycle.graph
    with pytest.raises(kind) as error:
        edit(lifecycle)
    assert (type(error.value), str(error.value)) == (kind, message)
    assert lifecycle.graph is before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda c: c.add_phase(E.STARTED),
            "Events.STARTED is a phase already. Connect it with add_transition, or add another event.",
        ),
        (
            lambda c: c.insert(E.STARTED, after=E.EPOCH_STARTED),
            "Events.STARTED is a phase already. Connect it with add_transition, or add another event.",
        ),
        (lambda c: c.insert(P.A, after=P.B), f"P.B is no phase. The phases are {PHASES}."),
        (
            lambda c: c.insert(P.A, after=E.INTERRUPT),
            "Events.INTERRUPT has no automatic exit that P.A could take over. Use add_transition.",
        ),
        (lambda c: c.add_exits(P.A, like=E.STARTED), f"P.A is no phase. The phases are {PHASES}."),
        (lambda c: c.add_exits(E.STARTED, like=P.A), f"P.A is no phase. The phases are {PHASES}."),
        (
            lambda c: c.add_exits(E.STARTED, like=E.STARTED),
            "two exits of STARTED are labelled 'loaded'. Give each a label of its own.",
        ),
        (
            lambda c: c.add_path(P.A >> P.B),
            f"P.A is no phase. The phases are {PHASES}. A path starts at a phase that is there.",
        ),
        (
            lambda c: c.add_path(E.STARTED >> Scope.RUN),
            "the path Events.STARTED >> Scope.RUN has the scope run in it. Name a phase of it.",
        ),
        (
            lambda c: c.add_transition(P.A >> E.STARTED),
            f"P.A is no phase. The phases are {PHASES}. Add it first: add_phase(P.A, ...).",
        ),
        (
            lambda c: c.add_transition(Scope.RUN >> E.STARTED),
            "Scope.RUN >> Events.STARTED leaves a whole scope, which takes an exception or a signal. "
            "Give error=, or name the phase.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> Scope.RUN, error=ValueError),
            "an error edge leads to a phase, and Events.STARTED >> Scope.RUN to a scope. Lead back to it from there.",
        ),
        (
            lambda c: c.remove_transition(E.STARTED >> E.COMPLETED, label="done"),
            "there is no transition Events.STARTED >> Events.COMPLETED labelled 'done'. Those from STARTED are: "
            "STARTED --loaded--> RESUMED, STARTED --nothing_left--> COMPLETED, STARTED --next_epoch--> EPOCH_STARTED.",
        ),
        (
            lambda c: c.remove_transition(P.A >> E.STARTED),
            "there is no transition P.A >> Events.STARTED. Those from A are: none.",
        ),
        (lambda c: c.remove(Phase(P.A)), f"A is not in {TABLE}, so it cannot be taken out."),
        (lambda c: c.remove(5), f"5 is not in {TABLE}, so it cannot be taken out."),
    ],
)
def test_what_cannot_be_edited_like_that_is_refused(edit: Edit, message: str) -> None:
    refused(edit, message, LifecycleError)


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        (
            lambda c: c.add_phase(E.STARTED(every=2)),
            TypeError,
            "a phase is named by a member of an EventEnum or a string, got Events.STARTED(filter=every=2). "
            "Leave its filter out.",
        ),
        (
            lambda c: c.insert(E.STARTED >> P.A, after=E.STARTED),
            TypeError,
            "a phase is named by a member of an EventEnum or a string, got Events.STARTED >> P.A.",
        ),
        (lambda c: c.add_phase(P.A, scope="run"), TypeError, "scope='run' has to be a scope, such as Scope.RUN."),
        (lambda c: c.add_phase(P.A, 5), TypeError, "the activity of P.A has to be callable, or an engine, got 5."),
        (
            lambda c: c.add_phase(P.A, act, rate=1),
            ValueError,
            "the activity of P.A 'act' takes parameters [] but will be called with the engine, if it takes one, rate=.",
        ),
        (
            lambda c: c.insert(P.A, after=E.STARTED, activity=refused),
            ValueError,
            "the activity of P.A 'refused' takes parameters ['edit', 'message', 'kind', 'lifecycle'] but will be "
            "called with the engine, if it takes one.",
        ),
        (
            lambda c: c.insert(P.A, after=E.EPOCH_COMPLETED, activity=Engine(echo), dta=[1], max_epoch=2),
            ValueError,
            "the activity of P.A, an engine, is given dta=, max_epoch=, but its run() takes data, max_epochs, "
            "max_iters, epoch_length, until, driver.",
        ),
        (
            lambda c: c.add_phase(P.A, rate=1),
            ValueError,
            "rate are given to an activity, and P.A has none. Give activity=.",
        ),
        (
            lambda c: c.add_phase(P.A, counter="iteration"),
            ValueError,
            "counter='iteration' is an attribute of every State. Give the counter another name.",
        ),
        (
            lambda c: c.insert(P.A, after=E.STARTED, counter="two words"),
            ValueError,
            "counter='two words' has to be a name that an attribute can have, such as 'rounds'.",
        ),
        (
            lambda c: c.add_phase(P.A, counter=5),
            ValueError,
            "counter=5 has to be a name that an attribute can have, such as 'rounds'.",
        ),
        (lambda c: c.add_path(E.STARTED), TypeError, "a path is written A >> B >> C, got Events.STARTED."),
        (
            lambda c: c.add_path([E.STARTED, P.A]),
            TypeError,
            "a path is written A >> B >> C, got [Events.STARTED, P.A].",
        ),
        (
            lambda c: c.add_transition(E.STARTED),
            TypeError,
            "a transition is written A >> B, got Events.STARTED.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> P.A >> P.B),
            TypeError,
            "a transition is written A >> B, got Events.STARTED >> P.A >> P.B. Use add_path for several edges.",
        ),
        (
            lambda c: c.remove_transition(E.STARTED >> P.A >> P.B),
            TypeError,
            "a transition is written A >> B, got Events.STARTED >> P.A >> P.B. Use add_path for several edges.",
        ),
        *[
            (
                lambda c, error=error, limit=limit: c.add_transition(E.STARTED >> P.A, error=error, limit=limit),
                ValueError,
                f"limit={limit!r}: how often a run may take an error edge is a positive integer, with error=.",
            )
            for error, limit in ((None, 3), (ValueError, 0), (ValueError, True), (ValueError, "3"))
        ],
        *[
            (
                lambda c, error=error: c.add_transition(E.STARTED >> P.A, error=error),
                TypeError,
                f"error={shown} has to be a class of exceptions, or a tuple of them.",
            )
            for error, shown in ((5, "5"), ((ValueError, 5), "5"), ((), "()"), ([ValueError], f"{[ValueError]!r}"))
        ],
        *[
            (
                lambda c, label=label: c.add_transition(E.STARTED >> P.A, guard=solved, label=label),
                TypeError,
                f"label={label!r} has to be a string that is not empty.",
            )
            for label in (5, "")
        ],
        (
            lambda c: c.add_transition(E.STARTED >> P.A, guard=lambda: True),
            ValueError,
            "a guard is a lambda, which has no name to show. Define a function, or give label=.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> P.A, action=lambda: True),
            ValueError,
            "an action is a lambda, which has no name to show. Define a function, or give label=.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> P.A, guard=5),
            TypeError,
            "a guard has to be callable, or an engine, got 5.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> P.A, guard=echo),
            ValueError,
            "a guard 'echo' takes parameters ['engine', 'batch'] but will be called with the engine, if it takes one.",
        ),
        (
            lambda c: c.add(5),
            TypeError,
            "5 is neither a Phase nor a Transition. For edges, use add_transition.",
        ),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(edit: Edit, kind: type[Exception], message: str) -> None:
    refused(edit, message, kind)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda c: c.add(Phase(E.STARTED)),
            "phase STARTED is there twice. Each phase stands for one event: leave one out.",
        ),
        (
            lambda c: c.remove(c.phases[1]),
            "STARTED --loaded--> RESUMED leads to or from Events.STARTED, which is no phase. The phases are "
            f"{PHASES.replace('STARTED, ', '', 1).replace('ITERATION_STARTED,', 'ITERATION_STARTED, A,')}.",
        ),
        (
            lambda c: c.add_transition(P.A >> Scope("nowhere"), guard=solved),
            "A --nowhere--> nowhere leads to or from the scope nowhere, in which there is no phase. "
            "The scopes are engine, epoch, iteration, run.",
        ),
        (
            lambda c: c.add(Transition(E.STARTED, P.A, "on", Trigger.SIGNAL)),
            "STARTED --on--> A: a transition has a signal if, and only if, its trigger is SIGNAL. "
            "Give both, or neither.",
        ),
        (
            lambda c: c.add(Transition(E.STARTED, P.A, "on", Trigger.FIRED, guard=bool)),
            "STARTED --on--> A has a guard, but is taken whenever its target is fired. "
            "Leave the guard out, and name a phase as target.",
        ),
        (
            lambda c: c.add(Transition(E.ITERATION_STARTED, History(Scope.RUN), "on", Trigger.FIRED)),
            "ITERATION_STARTED --on--> run leads to the scope run, but is taken whenever its target is fired. "
            "Leave the guard out, and name a phase as target.",
        ),
        (
            lambda c: c.add_transition(E.ITERATION_STARTED >> P.A),
            "ITERATION_STARTED --a--> A and ITERATION_STARTED --a_2--> A are taken when the same phase is fired in "
            "ITERATION_STARTED. Leave one of them out.",
        ),
        (
            lambda c: c.add_transition(E.ITERATION_STARTED >> P.A, guard=solved),
            "Events.ITERATION_STARTED >> P.A is taken when P.A is fired, so it cannot have a guard. Leave it out.",
        ),
        (
            lambda c: c.add(Transition(Scope.EPOCH, P.A, "on")),
            "epoch --on--> A leaves a whole scope, which takes an exception or a signal. "
            "Give it a signal, or leave from a phase.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> E.COMPLETED, guard=solved, label="next_epoch"),
            "two exits of STARTED are labelled 'next_epoch'. Give each a label of its own.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> E.COMPLETED, guard=solved, label="terminate"),
            "two exits of STARTED are labelled 'terminate', one of them from the scope run. "
            "Give each a label of its own.",
        ),
        (
            lambda c: c.add_transition(E.STARTED >> E.COMPLETED),
            "STARTED --next_epoch--> EPOCH_STARTED and STARTED --completed--> COMPLETED have no guard, so the second "
            "can never be taken. Give one of them a guard, or take one out with remove_transition.",
        ),
        (
            lambda c: c.add_exits(E.GET_BATCH_COMPLETED, like=E.STARTED),
            "GET_BATCH_COMPLETED --loaded--> RESUMED can never be taken: "
            f"{moves(E.GET_BATCH_COMPLETED, E.ITERATION_STARTED)[0]} comes before it and has no guard. "
            "Put the exit without a guard last.",
        ),
        (
            lambda c: c.add_transition(E.INTERRUPT >> E.COMPLETED),
            "INTERRUPT --completed--> COMPLETED can never be taken: a run rests in INTERRUPT until the next one. "
            "Leave from the phase to which the signal RUN leads.",
        ),
        (
            lambda c: c.add_path(E.STARTED >> P.B >> E.EPOCH_STARTED, required=True),
            "STARTED --b--> B is taken when an activity fires it, and STARTED has none that could. "
            "Make B a phase that the engine walks to, add_phase(P.B, activity=...), before you connect it.",
        ),
        (
            lambda c: c.add(
                Phase(P.B, Scope.RUN, activity=act),
                Transition(P.A, P.B, "on", Trigger.FIRED),
                Transition(P.B, IDLE, "x"),
            ),
            "B is entered while an activity runs that fires it, and has an activity of its own. "
            "Let the engine walk to it, or leave its activity out.",
        ),
    ],
)
def test_a_rule_that_an_edit_would_break_refuses_it(edit: Edit, message: str) -> None:
    refused(edit, message, LifecycleError, with_path())


def test_a_graph_without_phases_is_refused() -> None:
    with pytest.raises(LifecycleError) as error:
        Lifecycle.of(Graph((), ()))
    assert str(error.value) == "there is no phase. The first is where a run starts and ends."


# What is still missing


def found(lifecycle: Lifecycle) -> list[tuple[str, str, bool]]:
    return [(finding.code, str(finding), finding.is_error) for finding in lifecycle.check()]


def test_check_tells_what_an_unfinished_lifecycle_is_missing() -> None:
    lifecycle = Lifecycle("own")
    started = "STARTED gets stuck: no automatic exit leaves it. Add one, add_transition(Events.STARTED >> ...), or "
    started += "those of another phase, add_exits(Events.STARTED, like=...)."
    assert found(lifecycle) == [("stuck", started, True)]
    lifecycle.add_phase(P.A, act)
    lifecycle.add_phase(P.B, act)
    stuck = "{0} gets stuck: no automatic exit leaves it. Add one, add_transition(P.{0} >> ...), or those of another "
    stuck += "phase, add_exits(P.{0}, like=...)."
    assert found(lifecycle) == [
        ("unreachable", "nothing leads to A, B. Add a transition, or leave the phase out.", True),
        ("stuck", started, True),
        ("stuck", stuck.format("A"), True),
        ("stuck", stuck.format("B"), True),
    ]
    lifecycle.add_path(E.STARTED >> P.A)
    lifecycle.add_transition(P.A >> P.B, guard=solved)
    lifecycle.add_transition(P.B >> E.COMPLETED)
    maybe = (
        "A may get stuck: each of its automatic exits has a guard. Leave the guard of the last one, A --b--> B, out."
    )
    assert found(lifecycle) == [("stuck", maybe, True)]
    refused(lambda c: Engine(lifecycle=c).run(), maybe, LifecycleError, lifecycle)
    lifecycle.add_exits(P.A, like=P.B)
    assert found(lifecycle) == []


def test_a_lifecycle_that_no_run_can_enter_is_found() -> None:
    lifecycle = Lifecycle.of(
        Graph((Phase(P.A), Phase(P.B)), (Transition(P.A, P.B, "on"), Transition(P.B, P.A, "back")))
    )
    message = "no run can start: no transition with the signal RUN leaves the first phase, A. "
    message += "Add one, as from IDLE to STARTED."
    assert found(lifecycle) == [("no-start", message, True)]
    with pytest.raises(LifecycleError) as error:
        Engine(lifecycle=lifecycle).run()
    assert str(error.value) == message


def test_namesakes_are_a_warning() -> None:
    lifecycle = Lifecycle("own")
    lifecycle.add_phase(P.A, act)
    lifecycle.add_phase(Q.A, act)
    lifecycle.add_path(E.STARTED >> P.A >> Q.A >> E.COMPLETED)
    message = "Q.A has the name of P.A, but is another phase. Give it another name if that is not what you want."
    assert found(lifecycle) == [("namesakes", message, False)]


# What is required


def test_what_is_required_is_proven_or_refused_with_a_way_around_it() -> None:
    pytest.importorskip("networkx")
    lifecycle = with_path()
    way = "IDLE -> STARTED -> EPOCH_STARTED -> ITERATION_STARTED -> ITERATION_COMPLETED"
    message = f"Events.ITERATION_COMPLETED may be entered without P.A before it: {way}. "
    message += "Take an edge of this path out, or put the phase on it, such as with add_path(..., required=True)."
    refused(lambda c: c.require(P.A, before=E.ITERATION_COMPLETED), message, LifecycleError, lifecycle)
    assert lifecycle.check() == []  # it is not kept
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> E.ITERATION_COMPLETED, required=True)
    lifecycle.require(P.A, before=E.ITERATION_COMPLETED)
    lifecycle.require(E.STARTED, before=P.A)
    assert lifecycle.check() == []
    lifecycle.add_transition(E.ITERATION_STARTED >> E.ITERATION_COMPLETED)
    assert found(lifecycle) == [("required", message, True)]
    refused(lambda c: Engine(lifecycle=c).run([1]), message, LifecycleError, lifecycle)
    lifecycle.remove_transition(E.ITERATION_STARTED >> E.ITERATION_COMPLETED)
    assert lifecycle.check() == []


def test_a_requirement_is_about_errors_and_signals_too() -> None:
    pytest.importorskip("networkx")
    lifecycle = Lifecycle("own")
    lifecycle.add_phase(P.A, act)
    lifecycle.add_path(E.STARTED >> P.A >> E.COMPLETED)
    message = "Events.COMPLETED may be entered without P.A before it: IDLE -> STARTED -> TERMINATE -> COMPLETED. "
    message += "Take an edge of this path out, or put the phase on it, such as with add_path(..., required=True)."
    refused(lambda c: c.require(P.A, before=E.COMPLETED), message, LifecycleError, lifecycle)


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (P.B, LifecycleError, f"P.B is no phase of {TABLE}. The phases are {PHASES}."),
        (
            5,
            TypeError,
            "5 is not an event. Give a member of Events or of an EventEnum, filtered or not, an edge such as "
            "A >> B, or a string that was registered as an event.",
        ),
    ],
)
def test_only_phases_can_be_required(event: Any, kind: type[Exception], message: str) -> None:
    refused(lambda c: c.require(event, before=E.STARTED), message, kind)
    refused(lambda c: c.require(E.STARTED, before=event), message, kind)


# The grammar of A >> B

FILTERED = "has a filter or a priority, which an end of an edge cannot have. Give it to the edge: (A >> B)(every=...)."


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: E.STARTED(every=2) >> P.A, f"Events.STARTED(filter=every=2) {FILTERED}"),
        (lambda: E.STARTED >> P.A(priority=2), f"P.A(priority=2) {FILTERED}"),
        (lambda: Scope.RUN >> P.A(once=1), f"P.A(filter=once=1) {FILTERED}"),
        (lambda: E.STARTED >> P.A >> P.B(once=1), f"P.B(filter=once=1) {FILTERED}"),
        (
            lambda: E.STARTED >> (P.A | P.B),
            "P.A | P.B are several events, and an edge has one at each end. Write the edges one by one, joined with |: "
            "(P.A >> ...) | (P.B >> ...).",
        ),
        (
            lambda: (P.A | P.B) >> E.STARTED,
            "P.A | P.B are several events, and an edge has one at each end. Write the edges one by one, joined with |: "
            "(P.A >> ...) | (P.B >> ...).",
        ),
        (
            lambda: (E.STARTED >> P.A) >> (P.A >> P.B),
            "P.A >> P.B cannot be an end of an edge. Give a member of an EventEnum, a string, or a scope.",
        ),
        (
            lambda: E.STARTED >> 5,
            "5 cannot be an end of an edge. Give a member of an EventEnum, a string, or a scope.",
        ),
        (
            lambda: (E.STARTED >> P.A >> P.B) | P.C,
            "Argument event should be Events or CallableEventWithFilter, got Events.STARTED >> P.A >> P.B. Only events "
            "can be joined with |: members of Events or of an EventEnum, edges such as A >> B, filtered or not.",
        ),
        *[
            (
                lambda of=of: Exit(of),
                f"{of} has no exit: give the event of a phase, or a scope. Filter the exit itself: "
                f"Exit(event)(every=...).",
            )
            for of in (E.STARTED >> P.A, P.A(every=2))
        ],
    ],
)
def test_what_is_no_edge_says_how_one_is_written(write: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError) as error:
        write()
    assert str(error.value) == message


def test_an_edge_binds_tighter_than_a_list() -> None:
    assert list(E.STARTED >> P.A | P.B) == [E.STARTED >> P.A, P.B]
    assert list(E.STARTED >> P.A | P.A >> P.B) == [E.STARTED >> P.A, P.A >> P.B]
    assert ("A" >> E.STARTED) != (P.A >> E.STARTED)


A_SCOPE = "is not an event. It is a scope. To call a handler when the scope is left, use engine.on_exit(scope)."


@pytest.mark.parametrize(
    ("attach", "kind", "message"),
    [
        (
            lambda engine: engine.on(E.STARTED >> E.COMPLETED >> E.TERMINATE)(act),
            TypeError,
            "Events.STARTED >> Events.COMPLETED >> Events.TERMINATE is not an event. It is a path of several edges. "
            "Give one of them, or join them: (Events.STARTED >> Events.COMPLETED) | "
            "(Events.COMPLETED >> Events.TERMINATE).",
        ),
        (lambda engine: engine.on(Scope.RUN)(act), TypeError, f"{Scope.RUN!r} {A_SCOPE}"),
        (lambda engine: engine.on(E.STARTED | Scope.RUN)(act), TypeError, f"{Scope.RUN!r} {A_SCOPE}"),
        (
            lambda engine: engine.on(E.STARTED >> E.ITERATION_COMPLETED)(act),
            ValueError,
            "the lifecycle has no edge Events.STARTED >> Events.ITERATION_COMPLETED. Edges from STARTED lead to "
            "COMPLETED, EPOCH_STARTED, EXCEPTION_RAISED, INTERRUPT, RESUMED, TERMINATE. "
            "Add the edge with lifecycle.add_transition(Events.STARTED >> Events.ITERATION_COMPLETED).",
        ),
        (
            lambda engine: engine.on(E.STARTED >> P.A)(act),
            ValueError,
            f"Events.STARTED >> P.A names P.A, which is not a phase of the lifecycle. The phases are {PHASES}.",
        ),
        (
            lambda engine: engine.on(OWN >> E.STARTED)(act),
            ValueError,
            "Scope.OWN >> Events.STARTED names the scope own, but the lifecycle has no phase in it.",
        ),
        (
            lambda engine: engine.on_exit(OWN)(act),
            ValueError,
            "Exit(Scope.OWN) names the scope own, but the lifecycle has no phase in it.",
        ),
        (
            lambda engine: engine.on_exit(E.STARTED >> E.COMPLETED)(act),
            TypeError,
            "Events.STARTED >> Events.COMPLETED has no exit: give the event of a phase, or a scope. Filter the exit "
            "itself: Exit(event)(every=...).",
        ),
        (
            lambda engine: engine.on_exit(P.A)(act),
            ValueError,
            f"Exit(P.A) names P.A, which is not a phase of the lifecycle. The phases are {PHASES}.",
        ),
    ],
)
def test_handlers_are_attached_to_moves_that_there_are(
    attach: Callable[[Engine], Any], kind: type[Exception], message: str
) -> None:
    engine = Engine(echo)
    before = known(engine)
    with pytest.raises(kind) as error:
        attach(engine)
    assert str(error.value) == message
    assert known(engine) == before


# Edits and runs

EDITS: list[Edit] = [
    lambda c: c.add_phase(P.A, act),
    lambda c: c.add_path(E.ITERATION_STARTED >> P.A >> E.ITERATION_COMPLETED),
    lambda c: c.add_transition(E.STARTED >> E.COMPLETED, guard=solved),
    lambda c: c.insert(P.A, after=E.STARTED),
    lambda c: c.add_exits(E.RESUMED, like=E.INTERRUPT),
    lambda c: c.remove_transition(E.STARTED >> E.EPOCH_STARTED),
    lambda c: c.add(Phase(P.A)),
    lambda c: c.remove(c.transitions[0]),
]


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_while_the_engine_runs_or_is_suspended(edit: Edit) -> None:
    tries: list[str] = []
    engine = Engine(echo)
    message = (
        "the lifecycle cannot be changed while its engine is in {}, because the position of the run would become "
        "invalid. Change it before run(), or after the run has ended."
    )

    @engine.on(E.ITERATION_COMPLETED(once=1))
    def stop() -> None:
        refused(edit, message.format("ITERATION_COMPLETED"), BusyError, engine.lifecycle)
        tries.append("running")
        engine.interrupt()

    engine.run([1, 2])
    refused(edit, message.format("INTERRUPT"), BusyError, engine.lifecycle)
    engine.run()
    edit(engine.lifecycle)
    assert (tries, engine.outcome) == (["running"], "completed")


def test_an_edit_that_an_attached_handler_cannot_take_changes_nothing() -> None:
    engine = Engine(echo)
    engine.lifecycle.add_transition(E.ITERATION_STARTED >> P.A, error=ValueError)
    engine.add_event_handler(P.A, lambda engine, error: None)
    engine.lifecycle.remove(*engine.lifecycle.transitions[-1:])
    engine.lifecycle.remove_transition(E.ITERATION_STARTED >> P.A)
    engine.lifecycle.remove(*[phase for phase in engine.lifecycle.phases if phase.event is P.A])
    before, registered = engine.lifecycle.graph, known(engine)
    with pytest.raises(ValueError, match=r"^Error adding .* to P\.A: takes parameters \['engine', 'error'\]"):
        engine.lifecycle.add_phase(P.A, act)
    assert engine.lifecycle.graph is before
    assert known(engine) == registered


def walk_of(engine: Engine, *args: Any, **kwargs: Any) -> list[str]:
    walk: list[str] = []
    with engine.observe(lambda _engine, transition: walk.append(str(transition))):
        engine.run(*args, **kwargs)
    return walk


def test_a_phase_named_by_a_string_keeps_its_exits_from_the_event_of_that_name() -> None:
    lifecycle = Lifecycle("own")
    lifecycle.add_phase("COMPLETED", act)
    lifecycle.add_path(E.STARTED >> "COMPLETED")
    lifecycle.add_transition(Edge("COMPLETED", E.COMPLETED), label="really")
    with pytest.warns(UserWarning, match=r"^Events\.COMPLETED has the same name as 'COMPLETED'"):
        engine = Engine(lifecycle=lifecycle)
    assert walk_of(engine) == [
        "IDLE --run--> STARTED",
        "STARTED --completed--> COMPLETED",
        "COMPLETED --really--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]


def scopes(lifecycle: Lifecycle) -> dict[str, str]:
    return {phase.name: str(phase.scope) for phase in lifecycle.phases if phase.event in set(P)}


def test_phases_without_a_scope_join_that_of_the_first_phase_that_leads_to_them_however_far() -> None:
    lifecycle = Lifecycle.training(echo)
    for event in P:
        lifecycle.add_phase(event, act)
    lifecycle.add_path(P.A >> P.B >> E.ITERATION_COMPLETED)
    lifecycle.add_transition(P.B >> P.C, error=ValueError)
    assert scopes(lifecycle) == {"A": "run", "B": "run", "C": "run"}
    lifecycle.add_transition(E.ITERATION_STARTED >> P.A, guard=solved)
    assert scopes(lifecycle) == {"A": "iteration", "B": "iteration", "C": "epoch"}
    lifecycle.add_transition(E.STARTED >> P.A, guard=solved)  # not the first
    assert scopes(lifecycle) == {"A": "iteration", "B": "iteration", "C": "epoch"}


def test_a_phase_that_was_taken_out_and_given_a_scope_stays_there() -> None:
    lifecycle = Lifecycle.training(echo)
    lifecycle.add_phase(P.A, act)
    lifecycle.remove(*[phase for phase in lifecycle.phases if phase.event is P.A])
    lifecycle.add(Phase(P.A, OWN))
    lifecycle.add_transition(E.STARTED >> P.A, guard=solved)
    assert scopes(lifecycle) == {"A": "own"}


def listed(lifecycle: Lifecycle) -> list[str]:
    return [phase.name for phase in lifecycle.phases]


OUTER = ["RESUMED", "TERMINATE", "COMPLETED", "INTERRUPT", "EXCEPTION_RAISED"]
IN_ORDER = ["IDLE", "STARTED", "A", "B", "C", *OUTER]


@pytest.mark.parametrize("scope", [None, Scope.RUN, OWN])
def test_phases_that_a_path_joins_are_listed_behind_the_one_that_leads_to_them(scope: Scope | None) -> None:
    lifecycle = Lifecycle("own")
    for event in (P.C, P.A, P.B):
        lifecycle.add_phase(event, act, scope=scope)
    assert listed(lifecycle) == ["IDLE", "STARTED", *OUTER, "C", "A", "B"]
    lifecycle.add_path(E.STARTED >> P.A >> P.B >> P.C >> E.COMPLETED)
    assert listed(lifecycle) == IN_ORDER


def test_phases_of_training_are_listed_where_the_path_leads_through_them() -> None:
    lifecycle = Lifecycle.training()
    for event in (P.B, P.A):
        lifecycle.add_phase(event, act, scope=Scope.ITERATION)
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> P.B >> E.ITERATION_COMPLETED, required=True)
    usual = listed(Lifecycle.training())
    place = usual.index("ITERATION_STARTED") + 1
    assert listed(lifecycle) == [*usual[:place], "A", "B", *usual[place:]]


@settings(deadline=None)
@given(
    st.permutations(list(P)),
    st.permutations([E.STARTED >> P.A, P.A >> P.B, P.B >> P.C, Edge(P.C, E.COMPLETED)]),
    st.sampled_from((None, Scope.RUN, OWN)),
)
def test_phases_are_listed_in_the_order_in_which_they_come_however_they_were_added(
    events: list[P], edges: list[Edge], scope: Scope | None
) -> None:
    lifecycle = Lifecycle("own")
    for event in events:
        lifecycle.add_phase(event, act, scope=scope)
    for edge in edges:
        lifecycle.add_path(edge)
    assert listed(lifecycle) == IN_ORDER


@pytest.mark.parametrize("whole", [True, False])
def test_a_way_back_moves_no_phase(whole: bool) -> None:
    lifecycle = Lifecycle("own")
    for event in (P.C, P.B, P.A):
        lifecycle.add_phase(event, act, scope=Scope.RUN)
    if whole:
        lifecycle.add_path(E.STARTED >> P.A >> P.B >> P.A)
    else:
        lifecycle.add_path(E.STARTED >> P.A)
        lifecycle.add_path(P.A >> P.B >> P.A)
    lifecycle.add_transition(P.B >> P.C, guard=solved)
    lifecycle.add_transition(P.C >> E.COMPLETED)
    assert listed(lifecycle) == IN_ORDER
    assert found(lifecycle) == []


def test_an_error_behind_exception_raised_comes_out() -> None:
    calls: list[str] = []

    def fail(engine: Engine) -> None:
        calls.append(engine.phase.name)
        raise KeyError("of the activity")

    engine = Engine(lambda engine, batch: 1 / 0)
    engine.lifecycle.insert(P.A, after=E.EXCEPTION_RAISED, activity=fail)
    with pytest.raises(KeyError, match="of the activity"):
        engine.run([1])
    assert (calls, engine.outcome, engine.phase.name) == (["A"], "failed", "IDLE")


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_an_error_edge_may_end_the_run(driver: str) -> None:
    pytest.importorskip("transitions")
    engine = Engine(lambda engine, batch: 1 / 0)
    engine.lifecycle.add_transition(Edge(E.ITERATION_STARTED, IDLE), error=ZeroDivisionError)
    assert walk_of(engine, [1], driver=driver)[-1] == "ITERATION_STARTED --idle--> IDLE"
    assert (engine.phase.name, engine.outcome, engine.state.iteration) == ("IDLE", "completed", 1)


def test_phases_that_lead_to_each_other_are_listed_once_in_the_order_of_a_run() -> None:
    lifecycle = Lifecycle("rounds")
    for name in ("first", "second", "alone"):
        lifecycle.add_phase(name)
    lifecycle.add_transition(Edge("alone", "alone"))
    lifecycle.add_path(Edge("first", "second"))
    lifecycle.add_transition(Edge("second", "first"))
    lifecycle.add_transition(Edge(Events.STARTED, "first"))
    assert [phase.name for phase in lifecycle.phases][:5] == ["IDLE", "STARTED", "first", "second", "RESUMED"]
