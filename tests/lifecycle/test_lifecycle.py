"""Test lifecycles as data: rules, tables, exports, and the copy that an engine keeps."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import training_graph

from fsm_engine import History
from fsm_engine._util.errors import BusyError, LifecycleError
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import IDLE, Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition, Trigger
from fsm_engine.lifecycle.bounds import SCOPE_BOUNDS
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.training import TRAINING


class Extra(EventEnum):
    ONE = "one"
    TWO = "two"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


START = Transition(IDLE, Extra.ONE, "run", Trigger.SIGNAL, Signal.RUN)
HOME = Transition(Extra.ONE, IDLE, "done")


def graph_of(phases: list[Any], transitions: list[Transition]) -> Graph:
    return Graph(tuple(part if isinstance(part, Phase) else Phase(part) for part in phases), tuple(transitions))


# Rules


@pytest.mark.parametrize(
    ("phases", "transitions", "fragments"),
    [
        ([IDLE, Extra.ONE, Extra.ONE], [START, HOME], ("ONE",)),
        (
            [IDLE, Extra.ONE],
            [START, Transition(Extra.ONE, Extra.TWO, "on")],
            ("ONE --on--> TWO", "Extra.TWO, which is not a phase", "IDLE, ONE"),
        ),
        (
            [IDLE, Extra.ONE],
            [START, HOME, Transition(Extra.ONE, IDLE, "again")],
            ("ONE --done--> IDLE and ONE --again--> IDLE", "can never be taken", "remove_transition"),
        ),
        (
            [IDLE, Extra.ONE],
            [START, HOME, Transition(Extra.ONE, IDLE, "again", guard=bool)],
            ("ONE --again--> IDLE can never be taken", "ONE --done--> IDLE"),
        ),
        (
            [IDLE, Extra.ONE],
            [START, Transition(Extra.ONE, IDLE, "done", guard=bool), HOME],
            ("two exits of ONE", "'done'"),
        ),
        (
            [IDLE, Extra.ONE],
            [Transition(IDLE, Extra.ONE, "run", Trigger.SIGNAL), HOME],
            ("IDLE --run--> ONE", "signal="),
        ),
        (
            [IDLE, Extra.ONE],
            [START, HOME, Transition(Extra.ONE, IDLE, "lost", Trigger.SIGNAL, Signal.TERMINATE, error=(KeyError,))],
            ("ONE --lost--> IDLE is an error edge", "EXCEPTION"),
        ),
        (
            [IDLE, Phase(Extra.ONE, Scope.RUN)],
            [START, HOME, Transition(Extra.ONE, History(Scope.RUN), "back", Trigger.SIGNAL, Signal.INTERRUPT)],
            ("ONE --back--> run has a signal", "run is a scope"),
        ),
        (
            [IDLE, Phase(Extra.ONE, Scope.RUN)],
            [START, HOME, Transition(Scope.EPOCH, Extra.ONE, "stop", Trigger.SIGNAL, Signal.TERMINATE)],
            ("epoch --stop--> ONE", "the scope epoch", "The scopes are engine, run"),
        ),
        (
            [IDLE, Extra.ONE, Extra.TWO],
            [START, HOME, Transition(Extra.ONE, Extra.TWO, "on", Trigger.FIRED)],
            ("ONE --on--> TWO", "activity", "add_phase(Extra.TWO, activity=...)"),
        ),
        (
            [IDLE, Phase(Extra.ONE, activity=id), Phase(Extra.TWO, activity=id)],
            [START, HOME, Transition(Extra.ONE, Extra.TWO, "on", Trigger.FIRED)],
            ("TWO has an activity", "fired"),
        ),
    ],
)
def test_a_graph_that_breaks_a_rule_is_rejected(phases: Any, transitions: Any, fragments: tuple[str, ...]) -> None:
    with pytest.raises(LifecycleError) as error:
        Lifecycle.of(graph_of(phases, transitions))
    assert all(fragment in str(error.value) for fragment in fragments), str(error.value)


@pytest.mark.parametrize(
    ("phases", "transitions", "code", "fragments"),
    [
        (
            [IDLE, Extra.ONE],
            [START, Transition(Extra.ONE, IDLE, "maybe", guard=bool)],
            "stuck",
            ("ONE may get stuck", "ONE --maybe--> IDLE"),
        ),
        (
            [IDLE, Extra.ONE],
            [START],
            "stuck",
            ("ONE gets stuck", "add_transition(Extra.ONE >> ...)", "add_exits(Extra.ONE, like=...)"),
        ),
        ([IDLE, Extra.ONE, Extra.TWO], [START, HOME, Transition(Extra.TWO, IDLE, "done")], "unreachable", ("TWO",)),
    ],
)
def test_an_unfinished_graph_is_found_by_check_and_does_not_run(
    phases: Any, transitions: Any, code: str, fragments: tuple[str, ...]
) -> None:
    lifecycle = Lifecycle.of(graph_of(phases, transitions))
    (finding,) = lifecycle.check()
    assert (finding.code, finding.is_error) == (code, True)
    assert all(fragment in str(finding) for fragment in fragments), str(finding)
    with pytest.raises(LifecycleError) as error:
        Engine(lifecycle=lifecycle).run()
    assert str(error.value) == str(finding)


def test_two_phases_with_one_name_are_a_warning_and_run() -> None:
    namesake = EventEnum("Namesake", {"ONE": "one"}).ONE
    on, home = Transition(Extra.ONE, namesake, "on"), Transition(namesake, IDLE, "done")
    lifecycle = Lifecycle.of(graph_of([IDLE, Extra.ONE, namesake], [START, on, home]))
    (finding,) = lifecycle.check()
    assert (finding.code, finding.is_error) == ("same-name", False)
    assert "Extra.ONE and Namesake.ONE" in finding.message
    with pytest.warns(UserWarning, match=r"^Namesake\.ONE has the same name as Extra\.ONE"):
        engine = Engine(lifecycle=lifecycle)
    engine.run()
    assert engine.outcome == "completed"


def test_a_rejected_change_changes_nothing() -> None:
    lifecycle = Lifecycle.training(echo)
    before = lifecycle.graph
    with pytest.raises(LifecycleError, match="the event STARTED"):
        lifecycle.add(Phase(Events.STARTED))
    with pytest.raises(LifecycleError, match=r"^ONE is not in <Lifecycle training: "):
        lifecycle.remove(Phase(Extra.ONE))
    assert lifecycle.graph is before


# The training lifecycle


def test_the_phases_of_training_and_their_scopes() -> None:
    assert [(phase.name, str(phase.scope)) for phase in Lifecycle.training().phases] == [
        ("IDLE", "None"),
        ("STARTED", "run"),
        ("RESUMED", "run"),
        ("EPOCH_STARTED", "epoch"),
        ("GET_BATCH_STARTED", "epoch"),
        ("GET_BATCH_COMPLETED", "epoch"),
        ("ITERATION_STARTED", "iteration"),
        ("ITERATION_COMPLETED", "epoch"),
        ("DATALOADER_STOP_ITERATION", "epoch"),
        ("TERMINATE_SINGLE_EPOCH", "run"),
        ("EPOCH_COMPLETED", "run"),
        ("TERMINATE", "engine"),
        ("COMPLETED", "engine"),
        ("INTERRUPT", "engine"),
        ("EXCEPTION_RAISED", "None"),
    ]


def test_every_event_is_a_phase() -> None:
    assert {phase.event for phase in TRAINING.phases} == {IDLE, *Events}


def test_scopes_nest() -> None:
    assert [scope.contains(Scope.EPOCH) for scope in (Scope.ENGINE, Scope.RUN, Scope.EPOCH, Scope.ITERATION)] == [
        *(True, True, True, False)
    ]
    assert not Scope.ENGINE.contains(None)


def test_scope_bounds_follow_from_the_graph() -> None:
    assert SCOPE_BOUNDS == {
        Scope.ITERATION: (Events.ITERATION_STARTED, Events.ITERATION_COMPLETED),
        Scope.EPOCH: (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED),
        Scope.RUN: (Events.STARTED, Events.COMPLETED),
    }


def test_successors_are_the_exits_of_the_phase_and_of_its_scopes() -> None:
    exits = Lifecycle.training().successors(Events.ITERATION_COMPLETED(every=2))
    assert [(str(exit_), exit_.trigger.value, str(exit_.via)) for exit_ in exits] == [
        ("ITERATION_COMPLETED --epoch_full--> EPOCH_COMPLETED", "automatic", "None"),
        ("ITERATION_COMPLETED --max_iters--> TERMINATE", "automatic", "None"),
        ("ITERATION_COMPLETED --no_data--> ITERATION_STARTED", "automatic", "None"),
        ("ITERATION_COMPLETED --next_batch--> GET_BATCH_STARTED", "automatic", "None"),
        ("ITERATION_COMPLETED --terminate_epoch--> TERMINATE_SINGLE_EPOCH", "signal", "epoch"),
        ("ITERATION_COMPLETED --terminate--> TERMINATE", "signal", "run"),
        ("ITERATION_COMPLETED --interrupt--> INTERRUPT", "signal", "run"),
        ("ITERATION_COMPLETED --exception--> EXCEPTION_RAISED", "signal", "engine"),
    ]


def test_successors_of_an_unknown_phase_are_an_error() -> None:
    with pytest.raises(LifecycleError, match=r"^Extra\.ONE is not a phase of <Lifecycle training: "):
        Lifecycle.training().successors(Extra.ONE)


def test_lifecycles_are_equal_when_their_graphs_are() -> None:
    one, other = Lifecycle.training(echo), Lifecycle.of(Graph(TRAINING.phases, TRAINING.transitions))
    assert one == other
    other.add(Phase(Extra.ONE), Transition(Events.ITERATION_STARTED, Extra.ONE, "fired", Trigger.FIRED), HOME)
    assert one != other
    assert one != "training"


def test_the_table_shows_every_phase_exit_and_scope() -> None:
    lines = str(Lifecycle.training()).splitlines()
    assert lines[0].split() == ["phase", "scope", "on", "entry", "activity", "exits"]
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[2:]]
    assert cells[7:11] == [
        [
            *("GET_BATCH_STARTED", "epoch", "batch = None", "next batch"),
            "[got a batch] -> GET_BATCH_COMPLETED",
        ],
        ["[exhausted, length known] -> DATALOADER_STOP_ITERATION / raise if the data is empty"],
        ["[skip requested] -> TERMINATE_SINGLE_EPOCH / epoch_length = count, skip EPOCH_COMPLETED"],
        ["-> EPOCH_COMPLETED / epoch_length = count"],
    ]
    assert cells[1:5] == [
        ["STARTED", "run", "start the clock", "[a state was loaded] -> RESUMED / set the history to STARTED"],
        ["[nothing left to do] -> COMPLETED"],
        ["-> EPOCH_STARTED"],
        ["RESUMED", "run", "-> the last phase in run (history)"],
    ]
    assert cells[-6:] == [
        ["INTERRUPT", "engine", "signal run -> RESUMED"],
        ["EXCEPTION_RAISED", "-> IDLE"],
        ["any phase of epoch", "signal terminate_epoch -> TERMINATE_SINGLE_EPOCH"],
        ["any phase of run", "signal terminate -> TERMINATE"],
        ["signal interrupt -> INTERRUPT"],
        ["any phase of engine", "signal exception -> EXCEPTION_RAISED"],
    ]


# networkx


def test_networkx_has_a_node_per_phase_and_an_edge_per_exit() -> None:
    nx = pytest.importorskip("networkx")
    graph = Lifecycle.training().to_networkx()
    assert graph.name == "training"
    assert list(graph.nodes) == ["IDLE", *(str(phase.event) for phase in TRAINING.phases[1:])]
    assert graph.nodes["Events.ITERATION_STARTED"] == {
        "scope": "iteration",
        "scopes": "engine.run.epoch.iteration",
        "entry": "iteration += 1",
        "activity": "the step",
        "payload": "",
        "defer": "",
        "counter": "",
        "unscoped": False,
        "initial": False,
        "order": TRAINING.index[Events.ITERATION_STARTED],
    }
    assert graph.edges["Events.STARTED", "Events.COMPLETED", "nothing_left"] == {
        "label": "nothing_left",
        "trigger": "automatic",
        "signal": "",
        "error": "",
        "guard": "nothing left to do",
        "action": "",
        "limit": 0,
        "via": "",
        "leaves": "",
        "history": False,
        "enters": "",
        "order": 1,
    }
    assert graph.edges["Events.ITERATION_STARTED", "Events.TERMINATE", "terminate"]["via"] == "run"
    assert sorted(graph.successors("Events.INTERRUPT")) == ["Events.EXCEPTION_RAISED", "Events.RESUMED"]
    assert sorted(graph.successors("Events.RESUMED")) == sorted(
        [str(phase.event) for phase in TRAINING.phases if Scope.RUN.contains(phase.scope)]
        + [f"Events.{name}" for name in ("TERMINATE", "INTERRUPT", "EXCEPTION_RAISED")]
    )
    scalars = [value for _, data in graph.nodes(data=True) for value in data.values()]
    scalars += [value for *_, data in graph.edges(data=True) for value in data.values()]
    assert {type(value) for value in scalars} == {str, bool, int}
    assert nx.descendants(graph, "IDLE") == set(graph.nodes) - {"IDLE"}


# An engine's own


def test_an_engine_keeps_its_own_copy() -> None:
    one, other = Engine(echo), Engine(echo)
    one.lifecycle.add(Phase(Extra.ONE), Transition(Events.ITERATION_STARTED, Extra.ONE, "more", Trigger.FIRED), HOME)
    assert len(one.lifecycle.phases) == len(other.lifecycle.phases) + 1 == len(TRAINING.phases) + 1


@pytest.mark.parametrize("how", ["running", "suspended"])
def test_the_graph_cannot_change_during_a_run(how: str) -> None:
    engine = Engine(echo)

    def change() -> None:
        engine.lifecycle.insert(Extra.ONE, after=Events.COMPLETED)

    if how == "running":
        engine.add_event_handler(Events.ITERATION_STARTED, change)
    else:
        engine.add_event_handler(Events.ITERATION_STARTED(once=1), lambda: engine.interrupt())
        engine.run([1, 2])
    phase = "ITERATION_STARTED" if how == "running" else "INTERRUPT"
    with pytest.raises(BusyError, match=rf"cannot be changed while its engine is in {phase}.* before run\(\)"):
        engine.run([1, 2]) if how == "running" else change()
    if how == "suspended":
        engine.run()
        change()


def test_an_engine_runs_a_given_graph() -> None:
    engine = Engine(echo)
    engine.lifecycle.remove(
        next(t for t in engine.lifecycle.transitions if (t.source, t.target) == (Events.COMPLETED, IDLE))
    )
    engine.lifecycle.add(
        Phase(Extra.ONE, entry=(lambda engine: seen.append("entry"),), activity=lambda engine: seen.append("activity")),
        Transition(Events.COMPLETED, Extra.ONE, "more", action=lambda engine: seen.append("action")),
        Transition(Extra.ONE, Events.EPOCH_STARTED, "again", guard=lambda engine: engine.state.epoch < 2),
        HOME,
    )
    seen: list[str] = []
    engine.observe(lambda engine, transition: seen.append(str(transition)))
    engine.run([1])
    assert [entry for entry in seen if "--" not in entry] == ["action", "entry", "activity"] * 2
    assert [entry for entry in seen if "ONE" in entry and "COMPLETED --more" not in entry] == [
        "ONE --again--> EPOCH_STARTED",
        "ONE --done--> IDLE",
    ]
    assert engine.state.epoch == 2


def test_phase_and_may_report_the_current_phase_and_possible_moves() -> None:
    engine = Engine(echo)
    engine.register_events(*Extra)
    seen: list[Any] = []

    @engine.on(Events.GET_BATCH_COMPLETED)
    def look() -> None:
        seen.append((engine.phase.name, {event for event in Events if engine.may(event)}, engine.may(Extra.ONE)))

    assert [event.name for event in Events if engine.may(event)] == ["STARTED"]
    assert engine.outcome is None
    engine.run([1])
    assert seen == [
        (
            "GET_BATCH_COMPLETED",
            {
                training_graph.path(Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)[0].target,
                *(Events.EXCEPTION_RAISED, Events.TERMINATE, Events.TERMINATE_SINGLE_EPOCH, Events.INTERRUPT),
            },
            True,
        )
    ]
    with pytest.raises(ValueError, match=r"^'nonsense' is not a valid event for this Engine\."):
        engine.may("nonsense")


def test_a_suspended_run_may_resume_where_it_was() -> None:
    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda: engine.interrupt())
    engine.run([1, 2])
    assert [event.name for event in Events if engine.may(event)] == ["EXCEPTION_RAISED", "RESUMED"]
    seen: list[str] = []
    engine.add_event_handler(Events.RESUMED, lambda: seen.extend(e.name for e in Events if engine.may(e)))
    engine.run()
    assert seen == ["ITERATION_COMPLETED", "EXCEPTION_RAISED", "TERMINATE", "INTERRUPT"]


def test_a_failed_phase_may_be_entered_again_through_history() -> None:
    batches: list[int] = []

    def step(engine: Engine, batch: int) -> None:
        batches.append(batch)
        if len(batches) == 2:
            raise ValueError("once")

    engine = Engine(step)
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> Extra.ONE, error=ValueError)
    engine.lifecycle.add_transition(Extra.ONE >> Scope.ITERATION)
    seen: list[str] = []
    engine.add_event_handler(Extra.ONE, lambda: seen.extend(e.name for e in Events if engine.may(e)))
    engine.run([1, 2, 3])
    assert batches == [1, 2, 2, 3]
    assert seen == ["ITERATION_STARTED", *("EXCEPTION_RAISED", "TERMINATE", "TERMINATE_SINGLE_EPOCH", "INTERRUPT")]


def test_the_last_event_is_known_without_observers() -> None:
    seen: list[Any] = []

    def step(engine: Engine, batch: Any) -> None:
        seen.append(engine.last_event_name)
        engine.fire_event(Extra.ONE)
        seen.append(engine.last_event_name)

    engine = Engine(step)
    engine.register_events(*Extra)
    assert engine.last_event_name is None
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: seen.append(engine.last_event_name))
    engine.run([1, 2])
    assert seen == [
        *(Events.ITERATION_STARTED, Extra.ONE, Events.ITERATION_STARTED, Extra.ONE),
        Events.ITERATION_COMPLETED,
    ]
    assert engine.last_event_name == Events.COMPLETED


def test_the_debug_log_has_every_move(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(echo)
    with caplog.at_level(logging.DEBUG, logger=engine.logger.name):
        engine.run([1])
    moves = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert moves == [
        "IDLE --run--> STARTED",
        "STARTED --next_epoch--> EPOCH_STARTED",
        "EPOCH_STARTED --next_batch--> GET_BATCH_STARTED",
        "GET_BATCH_STARTED --got_batch--> GET_BATCH_COMPLETED",
        *training_graph.moves(Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED),
        "ITERATION_STARTED --step_done--> ITERATION_COMPLETED",
        "ITERATION_COMPLETED --epoch_full--> EPOCH_COMPLETED",
        "EPOCH_COMPLETED --nothing_left--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]
    engine.run([1])
    assert len([record for record in caplog.records if record.levelno == logging.DEBUG]) == len(moves)
