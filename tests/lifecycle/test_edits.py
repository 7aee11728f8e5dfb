"""Test edits of a lifecycle: each gives a valid graph, or raises and changes nothing."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_graph import moves

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
from fsm_engine.lifecycle import validation
from fsm_engine.lifecycle.graph_view import WholeGraph
from fsm_engine.lifecycle.mutable_graph import MutableGraph
from fsm_engine.lifecycle.validation import edit_findings


class P(EventEnum):
    A = "a"
    B = "b"
    C = "c"


class Q(EventEnum):
    A = "another a"


OWN = Scope("own", Scope.RUN)
SCOPES = (Scope.ENGINE, Scope.RUN, Scope.EPOCH, Scope.ITERATION, OWN)
NAMES = (*P, *Q, "A", "COMPLETED", IDLE, *Events)  # enum members and strings with the same names
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


def _insert(event: Any, side: str, other: Any, activity: Any, counter: Any) -> Change:
    return lambda lifecycle: lifecycle.insert(event, **{side: other}, activity=activity, counter=counter)


def _replace(event: Any, activity: Any) -> Change:
    return lambda lifecycle: lifecycle.replace(event, activity=activity)


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
    "insert": st.builds(_insert, ends, st.sampled_from(("after", "before")), ends, maybe_act, counters),
    "replace": st.builds(_replace, ends, maybe_act),
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
        warnings.simplefilter("ignore")  # phases with the same name
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
    return [str(finding) for finding in edit_findings(WholeGraph(graph))]


@pytest.mark.slow
def test_an_edit_leaves_a_valid_graph_or_changes_nothing() -> None:
    @settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), named_changes)
    def stays_valid(trains: bool, changes: list[tuple[str, Change]]) -> None:
        definition = Lifecycle.training(echo) if trains else Lifecycle("own")
        engine = Engine(lifecycle=definition)
        for name, change in changes:
            before, registered, unscoped = engine.lifecycle.graph, known(engine), engine.lifecycle._unscoped
            error = attempt(engine.lifecycle, change)
            seen[name, "raised" if error else "done"] += 1
            if error:
                assert engine.lifecycle.graph is before
                assert engine.lifecycle._unscoped == unscoped
                assert known(engine) == registered
            assert broken(engine.lifecycle.graph) == []
            assert {phase.event for phase in engine.lifecycle.phases[1:]} <= set(engine._entries)
            assert repr(attempt(definition, change)) == repr(error)  # the definition raises the same error
        assert definition == engine.lifecycle
        wrong = [finding for finding in engine.lifecycle.check() if finding.is_error]
        seen["in the end", "wrong" if wrong else "right"] += 1

    stays_valid()
    wanted = {(name, result) for name in CHANGES for result in ("done", "raised")}
    assert (wanted | {("in the end", "right"), ("in the end", "wrong")}) - set(seen) == set()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(named_changes)
def test_a_valid_lifecycle_is_compiled_printed_and_exported(changes: list[tuple[str, Change]]) -> None:
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
        warnings.simplefilter("ignore")  # phases with the same name
        assert Engine(lifecycle=lifecycle).source.startswith("def run(engine, position, bound):")


# Checks of the changed part, and of a block, against checks of the whole graph


def messages(error: Exception | None) -> set[str]:
    """Return the findings that an error lists; none without an error."""
    if error is None:
        return set()
    first, *more = str(error).split("\n- ")
    return set(more or [first])


def attempt_in_block(lifecycle: Lifecycle, changes: list[Change]) -> tuple[list[Exception | None], set[str], Any]:
    """Make `changes` in one block. Return their errors, the findings for the whole graph, and the error of the block.

    A change that raises inside the block must change nothing.
    """
    errors: list[Exception | None] = []
    found: set[str] = set()
    try:
        with lifecycle.edit():
            for change in changes:
                before, unscoped = lifecycle.graph, lifecycle._unscoped
                errors.append(attempt(lifecycle, change))
                if errors[-1] is not None:
                    assert (lifecycle.graph, lifecycle._unscoped) == (before, unscoped)
            found = set(broken(lifecycle.graph))
    except LifecycleError as error:
        return errors, found, error
    return errors, found, None


found_by: Counter[str] = Counter()


def test_an_edit_a_block_and_a_whole_check_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_SHOWN", 1000)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), named_changes)
    def agree(trains: bool, changes: list[tuple[str, Change]]) -> None:
        one_by_one = Lifecycle.training(echo) if trains else Lifecycle("own")
        blocks = Lifecycle.training(echo) if trains else Lifecycle("own")
        for _, change in changes:
            before = blocks.graph
            error = attempt(one_by_one, change)
            (inside,), whole, at_end = attempt_in_block(blocks, [change])
            if inside is not None:
                assert repr(inside) == repr(error)
                found_by["argument"] += 1
            else:
                assert messages(error) == messages(at_end) == whole
                found_by["rule" if whole else "none"] += 1
            assert blocks == one_by_one
            assert blocks._unscoped == one_by_one._unscoped
            assert (inside, at_end) == (None, None) or blocks.graph is before

    agree()
    assert set(found_by) == {"argument", "rule", "none"}


def test_a_transition_that_gets_another_source_is_its_last_exit_in_the_graph_too() -> None:
    first, second, third = (Transition(source, "A", label) for source, label in (("A", "1"), ("B", "2"), ("B", "3")))
    graph = MutableGraph(Graph((Phase("A"), Phase("B")), (first, second, third)), ())
    graph.replace_transition(0, replace(first, source="B"))

    expected = ["2", "3", "1"]
    assert [transition.label for _, transition in graph.exits("B")] == expected
    assert [transition.label for transition in graph.graph.transitions] == expected

    graph.undo_changes(0)
    assert graph.graph.transitions == (first, second, third)
    assert graph.exits("A") == [(0, first)]


at_the_end: Counter[str] = Counter()


def test_a_block_of_edits_finds_what_a_whole_check_finds_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_SHOWN", 1000)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), st.lists(named_changes, min_size=1, max_size=3))
    def agree(trains: bool, blocks: list[list[tuple[str, Change]]]) -> None:
        engine = Engine(lifecycle=Lifecycle.training(echo) if trains else Lifecycle("own"))
        for changes in blocks:
            before, registered, unscoped = engine.lifecycle.graph, known(engine), engine.lifecycle._unscoped
            _, whole, error = attempt_in_block(engine.lifecycle, [change for _, change in changes])
            assert messages(error) == whole
            at_the_end["rules" if whole else "valid"] += 1
            if error is not None:
                assert engine.lifecycle.graph is before
                assert (engine.lifecycle._unscoped, known(engine)) == (unscoped, registered)
            assert broken(engine.lifecycle.graph) == []
            assert engine._graph is engine.lifecycle.graph

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # phases with the same name
        agree()
    assert set(at_the_end) == {"rules", "valid"}


# Blocks of edits


def edit_in_block(lifecycle: Lifecycle, *edits: Callable[[], Any]) -> None:
    with lifecycle.edit():
        for edit in edits:
            edit()


def raising(error: BaseException) -> Callable[[], None]:
    def edit() -> None:
        raise error

    return edit


def test_a_block_may_break_rules_that_hold_at_its_end() -> None:
    lifecycle = Lifecycle("own")
    with lifecycle.edit() as same:
        assert same is lifecycle
        lifecycle.add(Transition(P.A, E.COMPLETED, "done"))
        assert [finding.code for finding in lifecycle.check()] == ["unknown-end"]
        lifecycle.add(Phase(P.A, Scope.RUN, activity=act))
        lifecycle.add_transition(E.STARTED >> P.A)
    assert lifecycle.check() == []
    other = Lifecycle("own")
    other.add_phase(P.A, act, scope=Scope.RUN)
    other.add_path(E.STARTED >> P.A >> E.COMPLETED)
    assert set(map(str, lifecycle.transitions)) ^ set(map(str, other.transitions)) == {
        "A --done--> COMPLETED",
        "A --completed--> COMPLETED",
    }


def test_a_block_with_an_invalid_end_lists_every_finding_and_restores() -> None:
    engine = Engine(echo)
    before, registered = engine.lifecycle.graph, known(engine)
    first, second = Transition(P.A, E.COMPLETED, "done"), Transition(E.STARTED, P.B, "next_epoch", guard=solved)
    with pytest.raises(LifecycleError) as error:
        edit_in_block(engine.lifecycle, lambda: engine.lifecycle.add(first), lambda: engine.lifecycle.add(second))
    assert "4 errors" in str(error.value)
    assert "P.A, which is not a phase" in str(error.value)
    assert "P.B, which is not a phase" in str(error.value)
    assert "two exits of STARTED have the label 'next_epoch'" in str(error.value)
    assert engine.lifecycle.graph is engine._graph is before
    assert known(engine) == registered
    engine.run([1], max_epochs=1)


def test_an_error_lists_at_most_twenty_findings() -> None:
    lifecycle = Lifecycle("own")
    with pytest.raises(LifecycleError, match="and 10 more") as error, lifecycle.edit():
        lifecycle.add(*[Transition(f"unknown {n}", E.COMPLETED, "done") for n in range(30)])
    assert str(error.value).count("\n- ") == 21


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_an_exception_that_leaves_a_block_restores_the_lifecycle(kind: type[BaseException]) -> None:
    engine = Engine(echo)
    lifecycle = engine.lifecycle
    lifecycle.add_phase(P.C, act)
    before, unscoped, registered = lifecycle.graph, lifecycle._unscoped, known(engine)
    with pytest.raises(kind):
        edit_in_block(
            lifecycle,
            lambda: lifecycle.insert(P.A, after=E.STARTED),
            lambda: lifecycle.require(P.A, before=E.EPOCH_STARTED),
            lambda: lifecycle.add_path(E.EPOCH_COMPLETED >> P.C >> E.COMPLETED),
            lambda: lifecycle.remove_transition(E.EPOCH_COMPLETED >> E.COMPLETED),
            raising(kind()),
        )
    assert lifecycle.graph is before
    assert (lifecycle._unscoped, lifecycle._required, known(engine)) == (unscoped, (), registered)


def test_an_edit_that_raises_inside_a_block_changes_nothing_and_the_block_continues() -> None:
    lifecycle = Lifecycle("own")
    with lifecycle.edit():
        lifecycle.add_phase(P.A, act)
        before = lifecycle.graph
        with pytest.raises(LifecycleError, match=r"P\.B is not a phase"):
            lifecycle.insert(P.C, after=P.B)
        assert lifecycle.graph is before
        lifecycle.add_path(E.STARTED >> P.A >> E.COMPLETED)
    assert lifecycle.check() == []


def test_a_nested_block_is_checked_with_the_outer_one_and_restored_alone() -> None:
    lifecycle = Lifecycle("own")
    with lifecycle.edit():
        lifecycle.add_phase(P.A, act)
        with lifecycle.edit():
            lifecycle.add(Transition(P.A, P.B, "on"))  # no check at the end of the inner block
        with pytest.raises(KeyError):
            edit_in_block(lifecycle, lambda: lifecycle.add_phase(P.C, act), raising(KeyError()))
        lifecycle.add(Phase(P.B, Scope.RUN))
    assert {P.A, P.B} <= set(lifecycle.graph.index)
    assert P.C not in lifecycle.graph.index
    with pytest.raises(LifecycleError, match=r"P\.C, which is not a phase"), lifecycle.edit(), lifecycle.edit():
        lifecycle.add(Transition(P.B, P.C, "on"))


def test_an_engine_adopts_the_graph_of_a_block_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(echo)
    adopted: list[Graph] = []
    monkeypatch.setattr(engine, "_adopt_graph", adopted.append)
    with engine.lifecycle.edit():
        engine.lifecycle.insert(P.A, after=E.STARTED)
        engine.lifecycle.insert(P.B, after=P.A)
        assert adopted == []
    assert adopted == [engine.lifecycle.graph]
    with engine.lifecycle.edit():
        pass
    assert len(adopted) == 1


def test_a_handler_that_does_not_fit_at_the_end_of_a_block_restores_the_lifecycle() -> None:
    engine = Engine(echo)
    engine.lifecycle.add_transition(E.EPOCH_STARTED >> P.A, error=ValueError)
    engine.lifecycle.add_transition(P.A >> Scope.EPOCH)

    @engine.on(P.A)
    def recover(engine: Engine, error: BaseException) -> None:
        pass

    before = engine.lifecycle.graph
    phase = before.phases[before.index[P.A]]
    edges = [t for t in before.transitions if P.A in (t.source, t.target)]
    with pytest.raises(ValueError, match="recover"):
        edit_in_block(
            engine.lifecycle,
            lambda: engine.lifecycle.remove(phase, *edges),
            lambda: engine.lifecycle.insert(P.A, after=E.EPOCH_STARTED),
        )
    assert engine.lifecycle.graph is engine._graph is before


def test_a_run_and_a_copy_wait_for_the_end_of_a_block() -> None:
    engine = Engine(echo)
    with engine.lifecycle.edit():
        engine.lifecycle.insert(P.A, after=E.STARTED)
        for act_on in (lambda: engine.run([1]), lambda: Engine(lifecycle=engine.lifecycle)):
            with pytest.raises(BusyError, match="edit"):
                act_on()
        with pytest.raises(BusyError, match="edit"):
            pickle.dumps(engine.lifecycle)
    engine.run([1], max_epochs=1)
    assert engine.state.iteration == 1


def test_a_block_needs_an_engine_between_runs() -> None:
    engine = Engine(echo)
    errors: list[str] = []

    @engine.on(E.STARTED)
    def edit() -> None:
        with pytest.raises(BusyError) as error, engine.lifecycle.edit():
            errors.append("entered")
        errors.append(type(error.value).__name__)

    engine.run([1], max_epochs=1)
    assert errors == ["BusyError"]


def test_a_path_is_written_in_linear_time_and_shares_its_beginning() -> None:
    names = [f"p{number}" for number in range(20_000)]
    path: Any = Edge("start", names[0])
    for name in names[1:]:
        path = path >> name
    assert path.ends == ("start", *names)
    assert (path >> "one").ends[-2:] == (names[-1], "one")
    assert (path >> "two").ends[-2:] == (names[-1], "two")
    assert copy.deepcopy(path) == pickle.loads(pickle.dumps(path)) == path
    assert hash(path >> "one") == hash(path >> "one")
    longest = path
    for name in names:
        longest = longest >> name
    del path, longest  # freeing a long chain must not exhaust the stack


# Edits that raise

TABLE = repr(Lifecycle.training())
Edit = Callable[[Lifecycle], Any]


def with_path() -> Lifecycle:
    lifecycle = Lifecycle.training(echo)
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> E.ITERATION_COMPLETED)
    return lifecycle


def assert_raises(
    edit: Edit, kind: type[Exception], fragments: tuple[str, ...], lifecycle: Lifecycle | None = None
) -> None:
    """Assert that `edit` raises `kind` with all `fragments` in its message, and changes nothing."""
    lifecycle = lifecycle or Lifecycle.training(echo)
    before = lifecycle.graph
    with pytest.raises(kind) as error:
        edit(lifecycle)
    assert type(error.value) is kind
    assert all(fragment in str(error.value) for fragment in fragments), str(error.value)
    assert lifecycle.graph is before


@pytest.mark.parametrize(
    ("edit", "fragments"),
    [
        (lambda c: c.add_phase(E.STARTED), ("Events.STARTED already is a phase", "add_transition")),
        (lambda c: c.insert(E.STARTED, after=E.EPOCH_STARTED), ("Events.STARTED already is a phase",)),
        (lambda c: c.insert(P.A, after=P.B), ("P.B is not a phase", "The phases are IDLE, STARTED")),
        (
            lambda c: c.insert(P.A, after=E.INTERRUPT),
            ("Events.INTERRUPT has no automatic exits", "P.A", "add_transition"),
        ),
        (lambda c: c.insert(E.STARTED, before=E.EPOCH_STARTED), ("Events.STARTED already is a phase",)),
        (lambda c: c.insert(P.A, before=P.B), ("P.B is not a phase", "The phases are IDLE, STARTED")),
        (
            lambda c: c.insert(P.A, before=E.STARTED),
            ("no automatic transition leads to Events.STARTED", "P.A", "add_transition"),
        ),
        (lambda c: c.replace(P.A, activity=act), ("P.A is not a phase", "The phases are IDLE, STARTED")),
        (lambda c: c.replace(IDLE, activity=act), ("IDLE", "no activity")),
        (lambda c: c.add_exits(P.A, like=E.STARTED), ("P.A is not a phase",)),
        (lambda c: c.add_exits(E.STARTED, like=P.A), ("P.A is not a phase",)),
        (lambda c: c.add_exits(E.STARTED, like=E.STARTED), ("STARTED", "the label 'loaded'")),
        (lambda c: c.add_path(P.A >> P.B), ("P.A is not a phase", "Start the path at one")),
        (lambda c: c.add_path(E.STARTED >> Scope.RUN), ("Events.STARTED >> Scope.RUN", "the scope run")),
        (lambda c: c.add_transition(P.A >> E.STARTED), ("P.A is not a phase", "add_phase(P.A, ...)")),
        (
            lambda c: c.add_transition(Scope.RUN >> E.STARTED),
            ("Scope.RUN >> Events.STARTED leaves a scope", "error="),
        ),
        (
            lambda c: c.add_transition(E.STARTED >> Scope.RUN, error=ValueError),
            ("Events.STARTED >> Scope.RUN is a scope",),
        ),
        (
            lambda c: c.remove_transition(E.STARTED >> E.COMPLETED, label="done"),
            (
                "Events.STARTED >> Events.COMPLETED with the label 'done'",
                "The exits of STARTED are",
                *moves(E.STARTED, E.EPOCH_STARTED),
            ),
        ),
        (lambda c: c.remove_transition(P.A >> E.STARTED), ("P.A >> Events.STARTED", "The exits of A are: none")),
        (lambda c: c.remove(Phase(P.A)), ("A is not in", TABLE)),
        (lambda c: c.remove(5), ("5 is not in", TABLE)),
    ],
)
def test_impossible_edits_raise_and_change_nothing(edit: Edit, fragments: tuple[str, ...]) -> None:
    assert_raises(edit, LifecycleError, fragments)


@pytest.mark.parametrize(
    ("edit", "kind", "fragments"),
    [
        (lambda c: c.add_phase(E.STARTED(every=2)), TypeError, ("Events.STARTED(filter=every=2)", "Remove its filter")),
        (lambda c: c.insert(E.STARTED >> P.A, after=E.STARTED), TypeError, ("Events.STARTED >> P.A", "EventEnum")),
        (lambda c: c.add_phase(P.A, scope="run"), TypeError, ("scope='run'", "Scope.RUN")),
        (lambda c: c.add_phase(P.A, 5), TypeError, ("the activity of P.A", "callable", "got 5")),
        (lambda c: c.add_phase(P.A, act, rate=1), ValueError, ("the activity of P.A 'act'", "[]", "rate=")),
        (
            lambda c: c.insert(P.A, after=E.STARTED, activity=assert_raises),
            ValueError,
            ("the activity of P.A 'assert_raises'", "['edit', 'kind', 'fragments', 'lifecycle']"),
        ),
        (
            lambda c: c.insert(P.A, after=E.EPOCH_COMPLETED, activity=Engine(echo), dta=[1], max_epoch=2),
            ValueError,
            ("the activity of P.A", "data, max_epochs, max_iters, epoch_length, until, driver", "dta=, max_epoch="),
        ),
        (lambda c: c.insert(P.A), ValueError, ("insert(P.A)", "after=None and before=None")),
        (
            lambda c: c.insert(P.A, after=E.STARTED, before=E.COMPLETED),
            ValueError,
            ("insert(P.A)", "after=Events.STARTED and before=Events.COMPLETED"),
        ),
        (lambda c: c.replace(E.STARTED, activity=5), TypeError, ("the activity of Events.STARTED", "got 5")),
        (lambda c: c.add_phase(P.A, rate=1), ValueError, ("rate=", "P.A", "activity=")),
        (lambda c: c.add_phase(P.A, counter="iteration"), ValueError, ("counter='iteration'", "every State")),
        (
            lambda c: c.insert(P.A, after=E.STARTED, counter="two words"),
            ValueError,
            ("counter='two words'", "'rounds'"),
        ),
        (lambda c: c.add_phase(P.A, counter=5), ValueError, ("counter=5", "'rounds'")),
        (lambda c: c.add_path(E.STARTED), TypeError, ("Events.STARTED is not a path", "A >> B >> C")),
        (lambda c: c.add_path([E.STARTED, P.A]), TypeError, ("[Events.STARTED, P.A] is not a path",)),
        (lambda c: c.add_transition(E.STARTED), TypeError, ("Events.STARTED is not an edge", "A >> B")),
        (
            lambda c: c.add_transition(E.STARTED >> P.A >> P.B),
            TypeError,
            ("Events.STARTED >> P.A >> P.B is not an edge", "add_path"),
        ),
        (
            lambda c: c.remove_transition(E.STARTED >> P.A >> P.B),
            TypeError,
            ("Events.STARTED >> P.A >> P.B is not an edge", "add_path"),
        ),
        *[
            (
                lambda c, error=error, limit=limit: c.add_transition(E.STARTED >> P.A, error=error, limit=limit),
                ValueError,
                (f"limit={limit!r}", "positive integer", "error="),
            )
            for error, limit in ((None, 3), (ValueError, 0), (ValueError, True), (ValueError, "3"))
        ],
        *[
            (
                lambda c, error=error: c.add_transition(E.STARTED >> P.A, error=error),
                TypeError,
                (f"error={shown}", "exception class"),
            )
            for error, shown in ((5, "5"), ((ValueError, 5), "5"), ((), "()"), ([ValueError], f"{[ValueError]!r}"))
        ],
        *[
            (
                lambda c, label=label: c.add_transition(E.STARTED >> P.A, guard=solved, label=label),
                TypeError,
                (f"label={label!r}", "non-empty string"),
            )
            for label in (5, "")
        ],
        (
            lambda c: c.add_transition(E.STARTED >> P.A, guard=lambda: True),
            ValueError,
            ("the guard is a lambda", "label="),
        ),
        (
            lambda c: c.add_transition(E.STARTED >> P.A, action=lambda: True),
            ValueError,
            ("the action is a lambda", "label="),
        ),
        (lambda c: c.add_transition(E.STARTED >> P.A, guard=5), TypeError, ("the guard must be callable", "got 5")),
        (
            lambda c: c.add_transition(E.STARTED >> P.A, guard=echo),
            ValueError,
            ("the guard 'echo'", "['engine', 'batch']"),
        ),
        (lambda c: c.add(5), TypeError, ("5 is neither a Phase nor a Transition", "add_transition")),
    ],
)
def test_invalid_arguments_raise(edit: Edit, kind: type[Exception], fragments: tuple[str, ...]) -> None:
    assert_raises(edit, kind, fragments)


@pytest.mark.parametrize(
    ("edit", "fragments"),
    [
        (lambda c: c.add(Phase(E.STARTED)), ("two phases have the event STARTED",)),
        (
            lambda c: c.remove(c.phases[1]),
            ("STARTED --loaded--> RESUMED", "Events.STARTED, which is not a phase", "The phases are IDLE, RESUMED"),
        ),
        (
            lambda c: c.add_transition(P.A >> Scope("nowhere"), guard=solved),
            ("A --nowhere--> nowhere", "the scope nowhere", "engine, epoch, iteration, run"),
        ),
        (
            lambda c: c.add(Transition(E.STARTED, P.A, "on", Trigger.SIGNAL)),
            ("STARTED --on--> A", "trigger=Trigger.SIGNAL and signal="),
        ),
        (
            lambda c: c.add(Transition(E.STARTED, P.A, "on", Trigger.FIRED, guard=bool)),
            ("STARTED --on--> A has a guard", "fired"),
        ),
        (
            lambda c: c.add(Transition(E.ITERATION_STARTED, History(Scope.RUN), "on", Trigger.FIRED)),
            ("ITERATION_STARTED --on--> run has the scope run as target", "fired"),
        ),
        (
            lambda c: c.add_transition(E.ITERATION_STARTED >> P.A),
            ("ITERATION_STARTED --a--> A and ITERATION_STARTED --a_2--> A", "fired"),
        ),
        (
            lambda c: c.add_transition(E.ITERATION_STARTED >> P.A, guard=solved),
            ("Events.ITERATION_STARTED >> P.A", "cannot have a guard"),
        ),
        (lambda c: c.add(Transition(Scope.EPOCH, P.A, "on")), ("epoch --on--> A leaves a scope",)),
        (
            lambda c: c.add_transition(E.STARTED >> E.COMPLETED, guard=solved, label="next_epoch"),
            ("two exits of STARTED", "'next_epoch'"),
        ),
        (
            lambda c: c.add_transition(E.STARTED >> E.COMPLETED, guard=solved, label="terminate"),
            ("two exits of STARTED", "'terminate', one of them from the scope run"),
        ),
        (
            lambda c: c.add_transition(E.STARTED >> E.COMPLETED),
            ("STARTED --next_epoch--> EPOCH_STARTED and STARTED --completed--> COMPLETED", "remove_transition"),
        ),
        (
            lambda c: c.add_exits(E.GET_BATCH_COMPLETED, like=E.STARTED),
            (
                "GET_BATCH_COMPLETED --loaded--> RESUMED can never be taken",
                moves(E.GET_BATCH_COMPLETED, E.ITERATION_STARTED)[0],
            ),
        ),
        (
            lambda c: c.add_transition(E.INTERRUPT >> E.COMPLETED),
            ("INTERRUPT --completed--> COMPLETED can never be taken", "RUN"),
        ),
        (
            lambda c: c.insert(P.B, before=P.A),
            ("P.A is fired by the step", "add_path(A >> P.B >> P.A)"),
        ),
        (
            lambda c: c.replace(E.ITERATION_STARTED, activity=None),
            ("ITERATION_STARTED --a--> A", "an activity in ITERATION_STARTED"),
        ),
        (
            lambda c: c.add_path(E.STARTED >> P.B >> E.EPOCH_STARTED, required=True),
            ("STARTED --b--> B", "an activity in STARTED", "add_phase(P.B, activity=...)"),
        ),
        (
            lambda c: c.add(
                Phase(P.B, Scope.RUN, activity=act),
                Transition(P.A, P.B, "on", Trigger.FIRED),
                Transition(P.B, IDLE, "x"),
            ),
            ("B has an activity", "fired"),
        ),
    ],
)
def test_an_edit_that_would_break_a_rule_raises(edit: Edit, fragments: tuple[str, ...]) -> None:
    assert_raises(edit, LifecycleError, fragments, with_path())


def test_a_graph_without_phases_is_rejected() -> None:
    with pytest.raises(LifecycleError, match="no phases"):
        Lifecycle.of(Graph((), ()))


# Inserted phases and replaced activities


def exits_of(lifecycle: Lifecycle, event: Any) -> list[str]:
    return [str(transition) for transition in lifecycle.successors(event) if transition.via is None]


def test_a_phase_inserted_before_another_takes_over_every_automatic_transition_to_it() -> None:
    lifecycle = Lifecycle("rounds")
    lifecycle.add_phase(P.A, act)
    lifecycle.add_phase(P.B, act)
    lifecycle.add_path(E.STARTED >> P.A >> P.B >> E.COMPLETED)
    lifecycle.add_transition(P.A >> E.COMPLETED, guard=solved)
    lifecycle.add_transition(P.B >> P.A, guard=solved, label="again")
    lifecycle.insert(P.C, before=P.A, activity=act)
    assert exits_of(lifecycle, E.STARTED)[-1] == "STARTED --c--> C"
    assert exits_of(lifecycle, P.B) == ["B --again--> C", "B --completed--> COMPLETED"]
    assert exits_of(lifecycle, P.C) == ["C --a--> A"]
    names = [phase.name for phase in lifecycle.phases]
    assert names.index("C") == names.index("A") - 1


def test_a_phase_inserted_before_an_iteration_is_in_the_epoch_and_signals_do_not_wait_in_it() -> None:
    log: list[str] = []
    engine = Engine(echo)
    engine.lifecycle.insert(P.A, before=E.ITERATION_STARTED, activity=lambda: log.append("act"))
    engine.lifecycle.insert(P.B, before=E.ITERATION_COMPLETED)
    assert [engine.lifecycle.phases[engine.lifecycle.graph.index[p]].scope for p in (P.A, P.B)] == [Scope.EPOCH] * 2
    for event in (P.A, E.ITERATION_STARTED, P.B, E.ITERATION_COMPLETED):
        engine.add_event_handler(event, log.append, str(event))
    engine.add_event_handler(P.A(once=2), engine.terminate)
    engine.run([1, 2, 3])
    iteration = ["P.A", "act", "ITERATION_STARTED", "P.B", "ITERATION_COMPLETED"]
    assert [name.removeprefix("Events.") for name in log] == [*iteration, "P.A"]


def test_the_exit_to_the_phase_of_a_loaded_run_stays_with_its_phases() -> None:
    lifecycle = Lifecycle.training(echo)
    with pytest.raises(LifecycleError, match="no automatic transition leads to"):
        lifecycle.insert(P.A, before=E.RESUMED)


def test_replace_changes_the_activity_and_nothing_else() -> None:
    engine = Engine(echo)
    before = engine.lifecycle.graph
    engine.lifecycle.replace(E.ITERATION_STARTED, activity=lambda engine, plus: engine.state.batch + plus, plus=10)
    after = engine.lifecycle.graph
    assert before.transitions == after.transitions
    assert [p.event for p, q in zip(before.phases, after.phases) if p != q] == [E.ITERATION_STARTED]
    assert engine.run([1, 2]).output == 12
    engine.lifecycle.replace(E.ITERATION_STARTED, activity=None)
    assert engine.run([1, 2]).output is None


# Unfinished lifecycles


def assert_findings(lifecycle: Lifecycle, *expected: tuple[str, str]) -> None:
    """Assert that `check` finds these errors, each given by its code and a part of its message."""
    findings = lifecycle.check()
    assert [finding.code for finding in findings] == [code for code, _ in expected]
    assert all(finding.is_error for finding in findings)
    assert all(part in finding.message for finding, (_, part) in zip(findings, expected))


def test_check_reports_the_missing_parts_of_an_unfinished_lifecycle() -> None:
    lifecycle = Lifecycle("own")
    assert_findings(lifecycle, ("stuck", "STARTED gets stuck"))
    lifecycle.add_phase(P.A, act)
    lifecycle.add_phase(P.B, act)
    assert_findings(
        lifecycle,
        ("unreachable", "A, B"),
        ("stuck", "STARTED gets stuck"),
        ("stuck", "A gets stuck"),
        ("stuck", "B gets stuck"),
    )
    lifecycle.add_path(E.STARTED >> P.A)
    lifecycle.add_transition(P.A >> P.B, guard=solved)
    lifecycle.add_transition(P.B >> E.COMPLETED)
    assert_findings(lifecycle, ("stuck", "A may get stuck"))
    assert_raises(lambda c: Engine(lifecycle=c).run(), LifecycleError, ("A may get stuck", "A --b--> B"), lifecycle)
    lifecycle.add_exits(P.A, like=P.B)
    assert_findings(lifecycle)


def test_a_lifecycle_without_a_start_is_found() -> None:
    lifecycle = Lifecycle.of(
        Graph((Phase(P.A), Phase(P.B)), (Transition(P.A, P.B, "on"), Transition(P.B, P.A, "back")))
    )
    assert_findings(lifecycle, ("no-start", "the first phase, A,"))
    with pytest.raises(LifecycleError, match=r"^no run can start"):
        Engine(lifecycle=lifecycle).run()


def test_two_phases_with_the_same_name_are_a_warning() -> None:
    lifecycle = Lifecycle("own")
    lifecycle.add_phase(P.A, act)
    lifecycle.add_phase(Q.A, act)
    lifecycle.add_path(E.STARTED >> P.A >> Q.A >> E.COMPLETED)
    (finding,) = lifecycle.check()
    assert (finding.code, finding.is_error) == ("same-name", False)
    assert "P.A and Q.A" in finding.message


# Requirements


def test_a_requirement_is_proven_or_rejected_with_a_path_around_it() -> None:
    pytest.importorskip("networkx")
    lifecycle = with_path()
    path = "IDLE -> STARTED -> EPOCH_STARTED -> ITERATION_STARTED -> ITERATION_COMPLETED"
    fragments = ("Events.ITERATION_COMPLETED without P.A", path, "add_path(..., required=True)")
    assert_raises(lambda c: c.require(P.A, before=E.ITERATION_COMPLETED), LifecycleError, fragments, lifecycle)
    assert lifecycle.check() == []  # the rejected requirement is not kept
    lifecycle.add_path(E.ITERATION_STARTED >> P.A >> E.ITERATION_COMPLETED, required=True)
    lifecycle.require(P.A, before=E.ITERATION_COMPLETED)
    lifecycle.require(E.STARTED, before=P.A)
    assert lifecycle.check() == []
    lifecycle.add_transition(E.ITERATION_STARTED >> E.ITERATION_COMPLETED)
    assert_findings(lifecycle, ("required", path))
    assert_raises(lambda c: Engine(lifecycle=c).run([1]), LifecycleError, fragments, lifecycle)
    lifecycle.remove_transition(E.ITERATION_STARTED >> E.ITERATION_COMPLETED)
    assert lifecycle.check() == []


def test_a_requirement_includes_errors_and_signals() -> None:
    pytest.importorskip("networkx")
    lifecycle = Lifecycle("own")
    lifecycle.add_phase(P.A, act)
    lifecycle.add_path(E.STARTED >> P.A >> E.COMPLETED)
    fragments = ("Events.COMPLETED without P.A", "IDLE -> STARTED -> TERMINATE -> COMPLETED")
    assert_raises(lambda c: c.require(P.A, before=E.COMPLETED), LifecycleError, fragments, lifecycle)


@pytest.mark.parametrize(
    ("event", "kind", "fragments"),
    [
        (P.B, LifecycleError, ("P.B is not a phase of", TABLE, "The phases are IDLE, STARTED")),
        (5, TypeError, ("5 is not an event",)),
    ],
)
def test_only_phases_can_be_required(event: Any, kind: type[Exception], fragments: tuple[str, ...]) -> None:
    assert_raises(lambda c: c.require(event, before=E.STARTED), kind, fragments)
    assert_raises(lambda c: c.require(E.STARTED, before=event), kind, fragments)


# The grammar of A >> B


@pytest.mark.parametrize(
    ("write", "fragments"),
    [
        (lambda: E.STARTED(every=2) >> P.A, ("Events.STARTED(filter=every=2)", "(A >> B)(every=...)")),
        (lambda: E.STARTED >> P.A(priority=2), ("P.A(priority=2)", "(A >> B)(every=...)")),
        (lambda: Scope.RUN >> P.A(once=1), ("P.A(filter=once=1)", "(A >> B)(every=...)")),
        (lambda: E.STARTED >> P.A >> P.B(once=1), ("P.B(filter=once=1)", "(A >> B)(every=...)")),
        (lambda: E.STARTED >> (P.A | P.B), ("P.A | P.B", "(P.A >> ...) | (P.B >> ...)")),
        (lambda: (P.A | P.B) >> E.STARTED, ("P.A | P.B", "(P.A >> ...) | (P.B >> ...)")),
        (lambda: (E.STARTED >> P.A) >> (P.A >> P.B), ("P.A >> P.B cannot be an end of an edge",)),
        (lambda: E.STARTED >> 5, ("5 cannot be an end of an edge", "EventEnum", "scope")),
        (lambda: (E.STARTED >> P.A >> P.B) | P.C, ("Events.STARTED >> P.A >> P.B", "EventEnum")),
        *[
            (lambda of=of: Exit(of), (f"{of} has no exit", "Exit(event)(every=...)"))
            for of in (E.STARTED >> P.A, P.A(every=2))
        ],
    ],
)
def test_an_invalid_edge_raises_an_error_that_shows_a_valid_one(
    write: Callable[[], Any], fragments: tuple[str, ...]
) -> None:
    with pytest.raises(TypeError) as error:
        write()
    assert all(fragment in str(error.value) for fragment in fragments), str(error.value)


def test_an_edge_binds_tighter_than_a_list() -> None:
    assert list(E.STARTED >> P.A | P.B) == [E.STARTED >> P.A, P.B]
    assert list(E.STARTED >> P.A | P.A >> P.B) == [E.STARTED >> P.A, P.A >> P.B]
    assert ("A" >> E.STARTED) != (P.A >> E.STARTED)


@pytest.mark.parametrize(
    ("attach", "kind", "fragments"),
    [
        (
            lambda engine: engine.on(E.STARTED >> E.COMPLETED >> E.TERMINATE)(act),
            TypeError,
            (
                "Events.STARTED >> Events.COMPLETED >> Events.TERMINATE is not an event",
                "(Events.STARTED >> Events.COMPLETED) | (Events.COMPLETED >> Events.TERMINATE)",
            ),
        ),
        (
            lambda engine: engine.on(Scope.RUN)(act),
            TypeError,
            (f"{Scope.RUN!r} is not an event", "engine.on_exit(scope)"),
        ),
        (
            lambda engine: engine.on(E.STARTED | Scope.RUN)(act),
            TypeError,
            (f"{Scope.RUN!r} is not an event", "engine.on_exit(scope)"),
        ),
        (
            lambda engine: engine.on(E.STARTED >> E.ITERATION_COMPLETED)(act),
            ValueError,
            (
                "Events.STARTED >> Events.ITERATION_COMPLETED",
                "COMPLETED, EPOCH_STARTED,",
                "lifecycle.add_transition(Events.STARTED >> Events.ITERATION_COMPLETED)",
            ),
        ),
        (
            lambda engine: engine.on(E.STARTED >> P.A)(act),
            ValueError,
            ("Events.STARTED >> P.A names P.A", "The phases are IDLE, STARTED"),
        ),
        (
            lambda engine: engine.on(OWN >> E.STARTED)(act),
            ValueError,
            ("Scope.OWN >> Events.STARTED names the scope own",),
        ),
        (lambda engine: engine.on_exit(OWN)(act), ValueError, ("Exit(Scope.OWN) names the scope own",)),
        (
            lambda engine: engine.on_exit(E.STARTED >> E.COMPLETED)(act),
            TypeError,
            ("Events.STARTED >> Events.COMPLETED has no exit", "Exit(event)(every=...)"),
        ),
        (
            lambda engine: engine.on_exit(P.A)(act),
            ValueError,
            ("Exit(P.A) names P.A", "The phases are IDLE, STARTED"),
        ),
    ],
)
def test_handlers_are_attached_only_to_existing_edges_and_exits(
    attach: Callable[[Engine], Any], kind: type[Exception], fragments: tuple[str, ...]
) -> None:
    engine = Engine(echo)
    before = known(engine)
    with pytest.raises(kind) as error:
        attach(engine)
    assert all(fragment in str(error.value) for fragment in fragments), str(error.value)
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
    calls: list[str] = []
    engine = Engine(echo)
    fragments = "while its engine is in {}", "before run()"

    @engine.on(E.ITERATION_COMPLETED(once=1))
    def stop() -> None:
        assert_raises(edit, BusyError, (fragments[0].format("ITERATION_COMPLETED"), fragments[1]), engine.lifecycle)
        calls.append("stop")
        engine.interrupt()

    engine.run([1, 2])
    assert_raises(edit, BusyError, (fragments[0].format("INTERRUPT"), fragments[1]), engine.lifecycle)
    engine.run()
    edit(engine.lifecycle)
    assert (calls, engine.outcome) == (["stop"], "completed")


def test_an_edit_that_conflicts_with_an_attached_handler_changes_nothing() -> None:
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


def test_phases_without_a_scope_join_the_scope_of_the_first_phase_that_leads_to_them() -> None:
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


def test_a_phase_that_was_removed_and_added_with_a_scope_keeps_it() -> None:
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
def test_phases_on_a_path_are_listed_in_the_order_of_the_path(scope: Scope | None) -> None:
    lifecycle = Lifecycle("own")
    for event in (P.C, P.A, P.B):
        lifecycle.add_phase(event, act, scope=scope)
    assert listed(lifecycle) == ["IDLE", "STARTED", *OUTER, "C", "A", "B"]
    lifecycle.add_path(E.STARTED >> P.A >> P.B >> P.C >> E.COMPLETED)
    assert listed(lifecycle) == IN_ORDER


def test_phases_in_a_step_are_listed_between_the_phases_of_training() -> None:
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
def test_phases_are_listed_in_the_order_of_a_run_whatever_the_order_of_edits(
    events: list[P], edges: list[Edge], scope: Scope | None
) -> None:
    lifecycle = Lifecycle("own")
    for event in events:
        lifecycle.add_phase(event, act, scope=scope)
    for edge in edges:
        lifecycle.add_path(edge)
    assert listed(lifecycle) == IN_ORDER


@pytest.mark.parametrize("whole", [True, False])
def test_an_edge_back_moves_no_phase(whole: bool) -> None:
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
    assert lifecycle.check() == []


def test_an_error_after_exception_raised_propagates() -> None:
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
