"""Edges, paths and exits as events: how they are written, what they call, and in which order."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from training_graph import edge_into, phase_names

from fsm_engine import Edge, Engine, EventEnum, Events, Exit, Path, Scope, Transition


class B(EventEnum):
    BACKWARD = "backward"
    OPTIMIZE = "optimize"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def firing(engine: Engine, batch: Any) -> Any:
    engine.fire_event(B.BACKWARD)
    engine.fire_event(B.OPTIMIZE)
    return batch


def with_path() -> Engine:
    engine = Engine(firing)
    engine.lifecycle.add_path(
        Events.ITERATION_STARTED >> B.BACKWARD >> B.OPTIMIZE >> Events.ITERATION_COMPLETED, required=True
    )
    return engine


# How they are written


def test_two_ends_are_an_edge_and_more_are_a_path() -> None:
    edge = Events.ITERATION_STARTED >> B.BACKWARD
    assert (type(edge), edge.source, edge.target) == (Edge, Events.ITERATION_STARTED, B.BACKWARD)
    path = edge >> B.OPTIMIZE >> Events.ITERATION_COMPLETED
    assert type(path) is Path
    assert path.ends == (Events.ITERATION_STARTED, B.BACKWARD, B.OPTIMIZE, Events.ITERATION_COMPLETED)
    assert path.edges == (edge, B.BACKWARD >> B.OPTIMIZE, B.OPTIMIZE >> Events.ITERATION_COMPLETED)
    assert str(path) == "Events.ITERATION_STARTED >> B.BACKWARD >> B.OPTIMIZE >> Events.ITERATION_COMPLETED"


def test_scopes_and_strings_may_be_ends() -> None:
    assert str(Scope.EPOCH >> Events.TERMINATE) == "Scope.EPOCH >> Events.TERMINATE"
    assert (Events.STARTED >> "warm_up").ends == (Events.STARTED, "warm_up")
    assert ("warm_up" >> Events.STARTED).ends == ("warm_up", Events.STARTED)


def test_or_binds_less_than_an_edge() -> None:
    joined = Events.STARTED >> Events.EPOCH_STARTED | Events.COMPLETED
    assert list(joined) == [Events.STARTED >> Events.EPOCH_STARTED, Events.COMPLETED]


def test_edges_are_equal_when_their_ends_are() -> None:
    edge = Events.STARTED >> Events.EPOCH_STARTED
    assert edge == Events.STARTED >> Events.EPOCH_STARTED == edge(every=2)
    assert edge != Events.EPOCH_STARTED >> Events.STARTED
    assert edge != "STARTED" >> Events.EPOCH_STARTED
    assert edge != Events.STARTED
    assert {edge: 1}[Events.STARTED >> Events.EPOCH_STARTED] == 1
    assert copy.deepcopy(edge) == pickle.loads(pickle.dumps(edge)) == edge


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda: Events.STARTED(every=2) >> Events.EPOCH_STARTED,
            "Events.STARTED(filter=every=2) has a filter or a priority, which an end of an edge cannot have. "
            "Give it to the edge: (A >> B)(every=...).",
        ),
        (
            lambda: Events.STARTED >> Events.EPOCH_STARTED(priority=1),
            "Events.EPOCH_STARTED(priority=1) has a filter or a priority, which an end of an edge cannot have. "
            "Give it to the edge: (A >> B)(every=...).",
        ),
        (
            lambda: Events.STARTED >> (Events.EPOCH_STARTED | Events.COMPLETED),
            "Events.EPOCH_STARTED | Events.COMPLETED are several events, and an edge has one at each end. Write the "
            "edges one by one, joined with |: (Events.EPOCH_STARTED >> ...) | (Events.COMPLETED >> ...).",
        ),
        (
            lambda: (Events.EPOCH_STARTED | Events.COMPLETED) >> Events.STARTED,
            "Events.EPOCH_STARTED | Events.COMPLETED are several events, and an edge has one at each end. Write the "
            "edges one by one, joined with |: (Events.EPOCH_STARTED >> ...) | (Events.COMPLETED >> ...).",
        ),
        (
            lambda: Events.STARTED >> 3,
            "3 cannot be an end of an edge. Give a member of an EventEnum, a string, or a scope.",
        ),
        (
            lambda: Engine(echo).on(Events.STARTED >> Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED)(print),
            "Events.STARTED >> Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED is no event. It is a path of several "
            "edges: name one of them, or join them, (Events.STARTED >> Events.EPOCH_STARTED) | "
            "(Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED).",
        ),
        (
            lambda: Engine(echo).on(Scope.EPOCH)(print),
            "Scope(name='epoch', parent=Scope(name='run', parent=Scope(name='engine', parent=None))) is no event. It "
            "is a scope, and only the leaving of a scope is announced: use engine.on_exit(scope).",
        ),
        (
            lambda: Engine(echo).on_exit(Events.STARTED >> Events.EPOCH_STARTED)(print),
            "Events.STARTED >> Events.EPOCH_STARTED cannot be left: give a phase's event or a scope, and the filter "
            "behind Exit(...).",
        ),
    ],
)
def test_what_is_no_edge_is_refused_where_it_is_written(write: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        write()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("attach", "message"),
    [
        (
            lambda engine: engine.on(Events.STARTED >> Events.COMPLETED >> B.BACKWARD).__call__,
            None,
        ),
        (
            lambda engine: engine.on(Events.EPOCH_STARTED >> Events.COMPLETED)(print),
            "there is no edge Events.EPOCH_STARTED >> Events.COMPLETED. From EPOCH_STARTED a run goes to "
            "EXCEPTION_RAISED, GET_BATCH_STARTED, INTERRUPT, ITERATION_STARTED, TERMINATE, TERMINATE_SINGLE_EPOCH; "
            "lifecycle.add_transition(Events.EPOCH_STARTED >> Events.COMPLETED) would add it.",
        ),
        (
            lambda engine: engine.on(Events.STARTED >> B.BACKWARD)(print),
            "Events.STARTED >> B.BACKWARD names B.BACKWARD, which is no phase of the lifecycle. The phases are "
            f"{phase_names()}.",
        ),
        (
            lambda engine: engine.on_exit(Scope("rollout"))(print),
            "Exit(Scope.ROLLOUT) names the scope rollout, in which the lifecycle has no phase.",
        ),
    ],
)
def test_an_edge_that_is_not_there_is_refused_when_a_handler_is_attached(attach: Any, message: str | None) -> None:
    engine = Engine(echo)
    if message is None:
        attach(engine)
        return
    with pytest.raises(ValueError, match=r"^(there|Events|Exit)") as error:
        attach(engine)
    assert str(error.value) == message


# What they call


def test_a_move_calls_exits_then_edges_then_observers_then_what_it_enters() -> None:
    engine, log = with_path(), []

    def note(name: str) -> Any:
        return lambda: log.append((name, engine.phase.name))

    engine.add_event_handler(Events.ITERATION_COMPLETED, note("handler"))
    engine.observe(lambda _, move: note("observer")() if move.target == Events.ITERATION_COMPLETED else None)
    engine.add_event_handler(B.OPTIMIZE >> Events.ITERATION_COMPLETED, note("edge"))
    engine.add_event_handler(Scope.ITERATION >> Events.ITERATION_COMPLETED, note("edge of scope"))
    engine.on_exit(Scope.ITERATION)(note("exit of scope"))
    engine.on_exit(B.OPTIMIZE)(note("exit"))
    engine.run([1])
    assert log == [
        ("exit", "OPTIMIZE"),
        ("exit of scope", "OPTIMIZE"),
        ("edge", "OPTIMIZE"),
        ("edge of scope", "OPTIMIZE"),
        ("observer", "OPTIMIZE"),
        ("handler", "ITERATION_COMPLETED"),
    ]


def test_the_entry_action_comes_after_the_handlers_of_the_move() -> None:
    engine, seen = Engine(echo), []
    engine.on(edge_into(Events.ITERATION_STARTED))(lambda e: seen.append(e.state.iteration))
    engine.on(Events.ITERATION_STARTED)(lambda e: seen.append(e.state.iteration))
    engine.run([7, 8])
    assert seen == [0, 1, 1, 2]


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_scope_is_left_when_the_run_goes_out_of_it_and_not_before(driver: str) -> None:
    engine, log = with_path(), []
    for scope in (Scope.ITERATION, Scope.EPOCH, Scope.RUN, Scope.ENGINE):
        engine.on_exit(scope)(lambda e, scope=scope: log.append((str(scope), e.state.iteration)))
    engine.run([7, 8], max_epochs=2, driver=driver)
    assert log == [
        *(("iteration", 1), ("iteration", 2), ("epoch", 2), ("iteration", 3), ("iteration", 4), ("epoch", 4)),
        *(("run", 4), ("engine", 4)),
    ]


def test_handlers_may_take_the_transition() -> None:
    engine, seen = with_path(), []

    @engine.on(Events.ITERATION_STARTED >> B.BACKWARD)
    def on_edge(engine: Engine, transition: Transition) -> None:
        seen.append(str(transition))

    @engine.on_exit(B.BACKWARD | Scope.ITERATION)
    def on_exit(transition: Transition) -> None:
        seen.append(str(transition))

    engine.run([7])
    assert seen == [
        "ITERATION_STARTED --backward--> BACKWARD",
        "BACKWARD --optimize--> OPTIMIZE",
        "OPTIMIZE --iteration_completed--> ITERATION_COMPLETED",
    ]


def test_filters_on_edges_and_exits_count_the_passages() -> None:
    engine, seen = Engine(echo), []
    goes_on = Events.ITERATION_COMPLETED >> Events.GET_BATCH_STARTED
    engine.on(goes_on(every=2))(lambda e: seen.append(e.state.iteration))
    engine.on_exit(Events.EPOCH_STARTED(once=3))(lambda e: seen.append(("epoch", e.state.epoch)))
    engine.on_exit(Exit(Scope.EPOCH)(every=2))(lambda e: seen.append(("scope", e.state.epoch)))
    engine.run(range(4), max_epochs=4)
    #  of the passages in iterations 1 2 3, 5 6 7, 9 10 11, 13 14 15, each second
    assert seen == [2, 5, 7, ("scope", 2), ("epoch", 3), 10, 13, 15, ("scope", 4)]
    seen.clear()
    engine.run(range(2))
    assert seen == []


def test_edges_go_with_priorities_arguments_lists_and_removal() -> None:
    engine, log = Engine(echo), []
    edge = Events.STARTED >> Events.EPOCH_STARTED
    engine.add_event_handler(edge, log.append, "low")
    handle = engine.add_event_handler(edge(priority=1) | Events.COMPLETED, log.append, "high")
    engine.run([1])
    assert log == ["high", "low", "high"]
    assert engine.has_event_handler(log.append, edge)
    handle.remove()
    engine.run([1])
    assert log == ["high", "low", "high", "low"]


def test_explain_tells_of_edges() -> None:
    engine = Engine(echo)

    @engine.on((Events.STARTED >> Events.EPOCH_STARTED)(every=2))
    def now_and_then() -> None: ...

    engine.run([1], max_epochs=1)
    assert "now_and_then" in engine.explain(Events.STARTED >> Events.EPOCH_STARTED)
    assert "Events.STARTED >> Events.EPOCH_STARTED" in engine.explain(now_and_then)


def test_what_nobody_attached_to_leaves_no_code() -> None:
    engine = Engine(echo)
    plain = engine.source
    with engine.add_event_handler(Events.EPOCH_COMPLETED >> Events.COMPLETED, lambda: None):
        assert engine.source.count("announce_move(engine") == 1
    assert engine.source == plain


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_handler_of_an_edge_may_stop_the_run(driver: str) -> None:
    engine, log = Engine(echo), []
    engine.on(edge_into(Events.ITERATION_STARTED))(lambda: engine.interrupt())
    engine.on(Events.ITERATION_STARTED)(lambda e: log.append(e.state.batch))
    engine.run([7, 8], driver=driver)
    assert (engine.outcome, engine.state.iteration, engine.state.output) == ("interrupted", 1, None)
    engine.run(driver=driver)
    engine.run(driver=driver)
    assert (engine.outcome, log, engine.state.output) == ("completed", [7, 8], 8)


# Exceptions


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_an_exception_leaves_phases_and_scopes_from_the_inside_out(driver: str) -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.fire_event(B.BACKWARD)
        raise LookupError("lost")

    engine, log = with_path(), []
    engine._process_function = step
    for end in (B.BACKWARD, Scope.ITERATION, Scope.EPOCH, Scope.RUN, Scope.ENGINE, B.OPTIMIZE):
        engine.on_exit(end)(lambda transition, end=end: log.append((str(end), transition.label)))
    engine.on(B.BACKWARD >> Events.EXCEPTION_RAISED)(lambda: log.append("edge"))
    engine.on(Events.EXCEPTION_RAISED)(lambda error: log.append(repr(error)))
    engine.run([1], driver=driver)
    assert log == [
        *[(name, "exception") for name in ("B.BACKWARD", "iteration", "epoch", "run", "engine")],
        "edge",
        "LookupError('lost')",
    ]


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_an_exit_handler_that_raises_replaces_the_error_and_is_called_once(driver: str) -> None:
    engine, log = Engine(lambda engine, batch: 1 / 0), []

    @engine.on_exit(Scope.ITERATION)
    def clean_up() -> None:
        log.append("clean up")
        raise OSError("disk full")

    engine.on_exit(Scope.EPOCH)(lambda: log.append("epoch"))
    engine.on(Events.EXCEPTION_RAISED)(lambda error: log.append((repr(error), repr(error.__context__))))
    engine.run([1], driver=driver)
    assert log == ["clean up", "epoch", ("OSError('disk full')", "ZeroDivisionError('division by zero')")]
    assert engine.outcome == "failed"


def test_an_error_on_the_way_home_is_raised() -> None:
    engine = Engine(lambda engine, batch: 1 / 0)
    engine.on_exit(Events.EXCEPTION_RAISED)(lambda: [][0])
    with pytest.raises(IndexError) as error:
        engine.run([1])
    assert isinstance(error.value.__context__, ZeroDivisionError)
    assert (engine.outcome, engine.phase.name) == ("failed", "IDLE")
