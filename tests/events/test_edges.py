"""Edges, paths and exits as events: their syntax, the handlers that a move calls, and the order of the calls."""

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


# Syntax


def test_two_ends_make_an_edge_and_more_make_a_path() -> None:
    edge = Events.ITERATION_STARTED >> B.BACKWARD
    assert (type(edge), edge.source, edge.target) == (Edge, Events.ITERATION_STARTED, B.BACKWARD)
    path = edge >> B.OPTIMIZE >> Events.ITERATION_COMPLETED
    assert type(path) is Path
    assert path.ends == (Events.ITERATION_STARTED, B.BACKWARD, B.OPTIMIZE, Events.ITERATION_COMPLETED)
    assert path.edges == (edge, B.BACKWARD >> B.OPTIMIZE, B.OPTIMIZE >> Events.ITERATION_COMPLETED)
    assert str(path) == "Events.ITERATION_STARTED >> B.BACKWARD >> B.OPTIMIZE >> Events.ITERATION_COMPLETED"


def test_scopes_and_strings_can_be_ends() -> None:
    assert str(Scope.EPOCH >> Events.TERMINATE) == "Scope.EPOCH >> Events.TERMINATE"
    assert (Events.STARTED >> "warm_up").ends == (Events.STARTED, "warm_up")
    assert ("warm_up" >> Events.STARTED).ends == ("warm_up", Events.STARTED)


def test_or_has_lower_precedence_than_an_edge() -> None:
    joined = Events.STARTED >> Events.EPOCH_STARTED | Events.COMPLETED
    assert list(joined) == [Events.STARTED >> Events.EPOCH_STARTED, Events.COMPLETED]


def test_edges_are_equal_if_their_ends_are() -> None:
    edge = Events.STARTED >> Events.EPOCH_STARTED
    assert edge == Events.STARTED >> Events.EPOCH_STARTED == edge(every=2)
    assert edge != Events.EPOCH_STARTED >> Events.STARTED
    assert edge != "STARTED" >> Events.EPOCH_STARTED
    assert edge != Events.STARTED
    assert {edge: 1}[Events.STARTED >> Events.EPOCH_STARTED] == 1
    assert copy.deepcopy(edge) == pickle.loads(pickle.dumps(edge)) == edge


@pytest.mark.parametrize(
    ("write", "fragments"),
    [
        (
            lambda: Events.STARTED(every=2) >> Events.EPOCH_STARTED,
            ["Events.STARTED(filter=every=2) has a filter or a priority", "(A >> B)(every=...)"],
        ),
        (
            lambda: Events.STARTED >> Events.EPOCH_STARTED(priority=1),
            ["Events.EPOCH_STARTED(priority=1) has a filter or a priority", "(A >> B)(every=...)"],
        ),
        (
            lambda: Events.STARTED >> (Events.EPOCH_STARTED | Events.COMPLETED),
            ["several events", "(Events.EPOCH_STARTED >> ...) | (Events.COMPLETED >> ...)"],
        ),
        (
            lambda: (Events.EPOCH_STARTED | Events.COMPLETED) >> Events.STARTED,
            ["several events", "(Events.EPOCH_STARTED >> ...) | (Events.COMPLETED >> ...)"],
        ),
        (
            lambda: Events.STARTED >> 3,
            ["3 cannot be an end of an edge", "a member of an EventEnum, a string, or a scope"],
        ),
        (
            lambda: Engine(echo).on(Events.STARTED >> Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED)(print),
            [
                "Events.STARTED >> Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED is not an event",
                "a path of several edges",
                "(Events.STARTED >> Events.EPOCH_STARTED) | (Events.EPOCH_STARTED >> Events.GET_BATCH_STARTED)",
            ],
        ),
        (
            lambda: Engine(echo).on(Scope.EPOCH)(print),
            ["Scope(name='epoch'", "is not an event", "is a scope", "engine.on_exit(scope)"],
        ),
        (
            lambda: Engine(echo).on_exit(Events.STARTED >> Events.EPOCH_STARTED)(print),
            ["Events.STARTED >> Events.EPOCH_STARTED has no exit", "Exit(event)(every=...)"],
        ),
    ],
)
def test_invalid_ends_and_events_raise_an_error_with_the_fix(write: Any, fragments: list[str]) -> None:
    with pytest.raises(TypeError) as error:
        write()
    for fragment in fragments:
        assert fragment in str(error.value)


def test_on_checks_its_event_before_it_is_called_with_a_handler() -> None:
    with pytest.raises(TypeError, match="is a path"):
        Engine(echo).on(Events.STARTED >> Events.COMPLETED >> B.BACKWARD)


@pytest.mark.parametrize(
    ("attach", "fragments"),
    [
        (
            lambda engine: engine.on(Events.EPOCH_STARTED >> Events.COMPLETED)(print),
            [
                "no edge Events.EPOCH_STARTED >> Events.COMPLETED",
                "GET_BATCH_STARTED, INTERRUPT, ITERATION_STARTED, TERMINATE, TERMINATE_SINGLE_EPOCH",
                "lifecycle.add_transition(Events.EPOCH_STARTED >> Events.COMPLETED)",
            ],
        ),
        (
            lambda engine: engine.on(Events.STARTED >> B.BACKWARD)(print),
            ["Events.STARTED >> B.BACKWARD", "B.BACKWARD, which is ", phase_names()],
        ),
        (lambda engine: engine.on_exit(Scope("rollout"))(print), ["Exit(Scope.ROLLOUT)", "the scope rollout"]),
    ],
)
def test_attaching_to_an_edge_that_the_lifecycle_lacks_raises(attach: Any, fragments: list[str]) -> None:
    with pytest.raises(ValueError, match=r"Events|Exit") as error:
        attach(Engine(echo))
    for fragment in fragments:
        assert fragment in str(error.value)


# Handlers of moves


def test_a_move_calls_handlers_of_exits_then_edges_then_observers_then_the_target() -> None:
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


def test_the_entry_action_runs_after_the_handlers_of_the_move() -> None:
    engine, seen = Engine(echo), []
    engine.on(edge_into(Events.ITERATION_STARTED))(lambda e: seen.append(e.state.iteration))
    engine.on(Events.ITERATION_STARTED)(lambda e: seen.append(e.state.iteration))
    engine.run([7, 8])
    assert seen == [0, 1, 1, 2]


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_handlers_of_a_scopes_exit_are_called_only_when_the_run_leaves_the_scope(driver: str) -> None:
    engine, log = with_path(), []
    for scope in (Scope.ITERATION, Scope.EPOCH, Scope.RUN, Scope.ENGINE):
        engine.on_exit(scope)(lambda e, scope=scope: log.append((str(scope), e.state.iteration)))
    engine.run([7, 8], max_epochs=2, driver=driver)
    assert log == [
        *(("iteration", 1), ("iteration", 2), ("epoch", 2), ("iteration", 3), ("iteration", 4), ("epoch", 4)),
        *(("run", 4), ("engine", 4)),
    ]


def test_handlers_can_take_the_transition() -> None:
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


def test_filters_of_edges_and_exits_count_the_moves() -> None:
    engine, seen = Engine(echo), []
    next_batch = Events.ITERATION_COMPLETED >> Events.GET_BATCH_STARTED
    engine.on(next_batch(every=2))(lambda e: seen.append(e.state.iteration))
    engine.on_exit(Events.EPOCH_STARTED(once=3))(lambda e: seen.append(("epoch", e.state.epoch)))
    engine.on_exit(Exit(Scope.EPOCH)(every=2))(lambda e: seen.append(("scope", e.state.epoch)))
    engine.run(range(4), max_epochs=4)
    # The edge is taken in iterations 1 2 3, 5 6 7, 9 10 11, 13 14 15.
    assert seen == [2, 5, 7, ("scope", 2), ("epoch", 3), 10, 13, 15, ("scope", 4)]
    seen.clear()
    engine.run(range(2))
    assert seen == []


def test_edges_support_priorities_arguments_lists_and_removal() -> None:
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


def test_explain_covers_edges() -> None:
    engine = Engine(echo)

    @engine.on((Events.STARTED >> Events.EPOCH_STARTED)(every=2))
    def now_and_then() -> None: ...

    engine.run([1], max_epochs=1)
    assert "now_and_then" in str(engine.explain(Events.STARTED >> Events.EPOCH_STARTED))
    assert "Events.STARTED >> Events.EPOCH_STARTED" in str(engine.explain(now_and_then))


def test_moves_without_handlers_add_no_code() -> None:
    engine = Engine(echo)
    source = engine.source
    with engine.add_event_handler(Events.EPOCH_COMPLETED >> Events.COMPLETED, lambda: None):
        assert engine.source.count("announce_move(engine") == 1
    assert engine.source == source


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_handler_of_an_edge_can_stop_the_run(driver: str) -> None:
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
def test_an_exception_calls_handlers_of_exits_innermost_first(driver: str) -> None:
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


def test_an_error_in_the_exit_of_exception_raised_is_raised() -> None:
    engine = Engine(lambda engine, batch: 1 / 0)
    engine.on_exit(Events.EXCEPTION_RAISED)(lambda: [][0])
    with pytest.raises(IndexError) as error:
        engine.run([1])
    assert isinstance(error.value.__context__, ZeroDivisionError)
    assert (engine.outcome, engine.phase.name) == ("failed", "IDLE")
