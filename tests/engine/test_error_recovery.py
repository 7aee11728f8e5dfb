"""Error edges: which one an exception takes, how often, and the state of the run afterwards."""

from __future__ import annotations

import gc
import logging
import weakref
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from fsm_engine import Edge, Engine, EventEnum, Events, IllegalTransition, Lifecycle, LifecycleError, Scope
from fsm_engine.graph.code import UserCallable
from fsm_engine.graph.phases import IDLE
from fsm_engine.graph.signals import Signal

DRIVERS = ("compiled", "transitions")


class R(EventEnum):
    SKIP_BATCH = "skip_batch"
    RETRY = "retry"
    GIVE_UP = "give_up"


class P(EventEnum):
    CHECK = "check"
    INNER = "inner"


class OutOfMemory(MemoryError):
    pass


def failing_on(*bad: Any, error: type[BaseException] = ValueError) -> Engine:
    def step(engine: Engine, batch: Any) -> Any:
        if batch in bad:
            raise error(batch)
        return batch

    return Engine(step)


def skipping(engine: Engine, **options: Any) -> Engine:
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> R.SKIP_BATCH, **{"error": ValueError, **options})
    engine.lifecycle.add_exits(R.SKIP_BATCH, like=Events.ITERATION_COMPLETED)
    return engine


def log_of(engine: Engine, *events: Any) -> list[Any]:
    log: list[Any] = []

    def note(engine: Engine, name: str) -> None:
        log.append((name, engine.state.iteration, engine.state.batch))

    for event in events:
        engine.add_event_handler(event, note, event.name)
    return log


# Skip


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_bad_batch_is_skipped_and_the_run_continues(driver: str) -> None:
    engine = skipping(failing_on(8))
    log = log_of(engine, Events.ITERATION_STARTED, R.SKIP_BATCH, Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED)
    engine.run([7, 8, 9], max_epochs=1, driver=driver)
    assert log == [
        *(("ITERATION_STARTED", 1, 7), ("ITERATION_COMPLETED", 1, 7)),
        *(("ITERATION_STARTED", 2, 8), ("SKIP_BATCH", 2, 8)),
        *(("ITERATION_STARTED", 3, 9), ("ITERATION_COMPLETED", 3, 9), ("EPOCH_COMPLETED", 3, 9)),
    ]
    assert (engine.outcome, engine.state.errors) == ("completed", {"ITERATION_STARTED.skip_batch": 1})


def test_handlers_of_the_recovery_may_take_the_error() -> None:
    engine, seen = skipping(failing_on(8)), []

    @engine.on(R.SKIP_BATCH)
    def tell(engine: Engine, error: BaseException) -> None:
        seen.append((repr(error), dict(engine.state.errors)))

    engine.on(R.SKIP_BATCH)(lambda: seen.append("without"))
    engine.on(Events.ITERATION_STARTED >> R.SKIP_BATCH)(lambda transition: seen.append(transition.label))
    engine.on_exit(Scope.ITERATION)(lambda transition: seen.append(str(transition)))
    engine.run([8])
    assert seen == [
        "ITERATION_STARTED --skip_batch--> SKIP_BATCH",
        "skip_batch",
        ("ValueError(8)", {"ITERATION_STARTED.skip_batch": 1}),
        "without",
    ]


def test_an_error_without_an_error_edge_ends_the_run() -> None:
    engine = skipping(failing_on(8, error=KeyError))
    log = log_of(engine, R.SKIP_BATCH)
    with pytest.raises(KeyError, match="8"):
        engine.run([7, 8, 9])
    assert (log, engine.outcome, engine.state.iteration, engine.state.errors) == ([], "failed", 2, {})


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_error_beyond_the_limit_of_its_edge_is_raised(driver: str) -> None:
    engine = skipping(failing_on(8), limit=2)
    log = log_of(engine, R.SKIP_BATCH)
    with pytest.raises(ValueError, match="8"):
        engine.run([8, 7], max_epochs=5, driver=driver)
    assert [iteration for _, iteration, _ in log] == [1, 3]
    assert (engine.state.errors, engine.state.iteration) == ({"ITERATION_STARTED.skip_batch": 2}, 5)


def test_a_new_run_counts_errors_from_zero_and_a_resumed_run_continues() -> None:
    engine = skipping(failing_on(8))
    engine.run([8, 7], max_epochs=3, until=Events.EPOCH_STARTED(once=3))
    assert engine.state.errors == {"ITERATION_STARTED.skip_batch": 2}
    engine.run()
    assert (engine.outcome, engine.state.errors) == ("completed", {"ITERATION_STARTED.skip_batch": 3})
    engine.run([8, 7], max_epochs=4)
    assert engine.state.errors == {"ITERATION_STARTED.skip_batch": 4}
    engine.run([7])
    assert engine.state.errors == {}


def test_a_guard_decides_whether_an_error_edge_is_taken() -> None:
    def early(engine: Engine) -> bool:
        return engine.state.iteration < 3

    engine = skipping(failing_on(8), guard=early)
    log = log_of(engine, R.SKIP_BATCH)
    with pytest.raises(ValueError, match="8"):
        engine.run([8, 7], max_epochs=5)
    assert [iteration for _, iteration, _ in log] == [1]


def test_the_innermost_matching_edge_is_taken() -> None:
    engine = failing_on(8, error=OutOfMemory)
    engine.lifecycle.add_transition(Scope.EPOCH >> R.GIVE_UP, error=MemoryError)
    engine.lifecycle.add_transition(R.GIVE_UP >> Events.TERMINATE)
    engine.lifecycle.add_transition(Scope.ITERATION >> R.SKIP_BATCH, error=OutOfMemory, limit=1)
    engine.lifecycle.add_exits(R.SKIP_BATCH, like=Events.ITERATION_COMPLETED)
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> R.RETRY, error=KeyError)
    engine.lifecycle.add_transition(R.RETRY >> Scope.ITERATION)
    log = log_of(engine, *R, Events.COMPLETED)
    engine.run([8, 7], max_epochs=3)
    assert log == [("SKIP_BATCH", 1, 8), ("GIVE_UP", 3, 8), ("COMPLETED", 3, 8)]
    assert engine.state.errors == {"iteration.skip_batch": 1, "epoch.give_up": 1}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_edge_takes_a_base_exception_only_by_name(error: type[BaseException]) -> None:
    engine = skipping(failing_on(8, error=error), error=Exception)
    with pytest.raises(error):
        engine.run([8])
    engine = skipping(failing_on(8, error=error), error=error)
    engine.run([8])
    assert engine.outcome == "completed"


# Retry


def with_retry(step: Any, **options: Any) -> Engine:
    engine = Engine(step)
    engine.lifecycle.add_transition(Scope.ITERATION >> R.RETRY, **{"error": MemoryError, **options})
    engine.lifecycle.add_transition(R.RETRY >> Scope.ITERATION)
    return engine


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_retry_runs_the_failed_activity_again(driver: str) -> None:
    sizes = []

    def step(engine: Engine, batch: list[int]) -> int:
        size = engine.state.micro_batch
        sizes.append((engine.state.iteration, size))
        if size > 2:
            raise OutOfMemory(size)
        return sum(batch)

    engine = with_retry(step, limit=3)
    engine.state.micro_batch = 8

    @engine.on(R.RETRY)
    def smaller(engine: Engine) -> None:
        engine.state.micro_batch //= 2

    log = log_of(engine, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED)
    engine.run([[1, 2], [3, 4]], driver=driver)
    assert sizes == [(1, 8), (1, 4), (1, 2), (2, 2)]
    assert [(name, iteration) for name, iteration, _ in log] == [
        *(("ITERATION_STARTED", 1), ("ITERATION_COMPLETED", 1), ("ITERATION_STARTED", 2), ("ITERATION_COMPLETED", 2)),
    ]
    assert (engine.state.output, engine.state.errors) == (7, {"iteration.retry": 2})


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_step_that_failed_inside_a_fired_phase_runs_from_its_beginning(driver: str) -> None:
    calls = []

    def step(engine: Engine, batch: Any) -> None:
        calls.append(engine.phase.name)
        engine.fire_event(P.INNER)
        if len(calls) == 1:
            raise OutOfMemory

    engine = with_retry(step)
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> P.INNER >> Events.ITERATION_COMPLETED, required=True)
    log = log_of(engine, P.INNER, R.RETRY, Events.ITERATION_COMPLETED)
    engine.run([7], driver=driver)
    assert calls == ["ITERATION_STARTED"] * 2
    assert [name for name, *_ in log] == ["INNER", "RETRY", "INNER", "ITERATION_COMPLETED"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_retry_does_not_call_the_handlers_of_the_phase_again(driver: str) -> None:
    engine, log = with_retry(lambda engine, batch: None), []
    engine.on(Events.ITERATION_STARTED)(lambda: log.append("one"))

    @engine.on(Events.ITERATION_STARTED)
    def two() -> None:
        log.append("two")
        if log.count("two") == 1:
            raise OutOfMemory

    engine.run([7], driver=driver)
    assert log == ["one", "two"]
    assert (engine.outcome, engine.state.errors) == ("completed", {"iteration.retry": 1})


def test_the_history_of_a_scope_that_the_error_did_not_leave_is_an_error() -> None:
    engine = Engine(lambda engine, batch: None)
    engine.lifecycle.add_transition(Scope.RUN >> R.RETRY, error=LookupError)
    engine.lifecycle.add_transition(R.RETRY >> Scope.ITERATION)
    engine.on(Events.EPOCH_STARTED)(lambda: [][0])
    with pytest.raises(IllegalTransition, match=r"^RETRY --iteration--> iteration .* came from EPOCH_STARTED, outside"):
        engine.run([7])


def test_history_without_an_error_is_an_error() -> None:
    engine = with_retry(lambda engine, batch: None)
    engine.lifecycle.add_transition(Events.ITERATION_COMPLETED >> R.RETRY, guard=lambda engine: True, label="again")
    with pytest.raises(IllegalTransition, match=r"^RETRY --iteration--> iteration .* no error edge led to RETRY"):
        engine.run([7, 8])


# Every phase and kind of error


OUTSIDE = ("EXCEPTION_RAISED", "TERMINATE_SINGLE_EPOCH", "RESUMED", "INTERRUPT", "TERMINATE", "COMPLETED")
PLACES = [event for event in Events if event.name not in OUTSIDE]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("error", [ValueError, OutOfMemory, KeyboardInterrupt, StopIteration])
@pytest.mark.parametrize("event", PLACES)
def test_a_run_recovers_from_an_error_in_any_phase(event: Events, error: type[BaseException], driver: str) -> None:
    engine = Engine(lambda engine, batch: batch)
    engine.lifecycle.add_transition(Scope.RUN >> R.GIVE_UP, error=error)
    engine.lifecycle.add_transition(R.GIVE_UP >> Events.TERMINATE)
    seen = []

    @engine.on(event)
    def fail() -> None:
        raise error(event.name)

    engine.on(R.GIVE_UP)(lambda error, e=None: seen.append((type(error), error.args, engine.phase.name)))
    log = log_of(engine, Events.COMPLETED, Events.TERMINATE)
    engine.run([7, 8], epoch_length=3, driver=driver)
    assert seen == [(error, (event.name,), "GIVE_UP")]
    assert [name for name, *_ in log] == ["TERMINATE", "COMPLETED"]
    assert engine.state.errors == {"run.give_up": 1}


def test_a_run_recovers_from_an_error_of_the_data() -> None:
    class Broken:
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Any:
            yield 7
            raise OSError("unreadable")

    engine = Engine(lambda engine, batch: batch)
    engine.lifecycle.add_transition(Events.GET_BATCH_STARTED >> R.SKIP_BATCH, error=OSError)
    engine.lifecycle.add_transition(R.SKIP_BATCH >> Events.EPOCH_COMPLETED)
    log = log_of(engine, Events.ITERATION_COMPLETED, R.SKIP_BATCH, Events.EPOCH_COMPLETED)
    engine.run(Broken(), max_epochs=1)
    assert [name for name, *_ in log] == ["ITERATION_COMPLETED", "SKIP_BATCH", "EPOCH_COMPLETED"]


def test_a_signal_requested_before_the_error_is_handled_in_the_recovery() -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.terminate()
        raise ValueError(batch)

    engine = skipping(Engine(step))
    log = log_of(engine, R.SKIP_BATCH, Events.TERMINATE)
    engine.run([7, 8])
    assert [name for name, *_ in log] == ["SKIP_BATCH", "TERMINATE"]
    assert engine.outcome == "terminated"


def test_an_error_in_the_recovery_is_taken_by_another_edge_or_ends_the_run() -> None:
    engine = skipping(failing_on(8))
    engine.on(R.SKIP_BATCH)(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError) as error:
        engine.run([8])
    assert repr(error.value.__context__) == "ValueError(8)"


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_guard_of_an_error_edge_that_raises_replaces_the_error(driver: str) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    asked: list[int] = []

    def broken(engine: Engine) -> bool:
        asked.append(engine.state.iteration)
        raise KeyError("of the guard")

    engine = skipping(failing_on(8), guard=broken, error=Exception)
    log = log_of(engine, R.SKIP_BATCH)
    seen: list[str] = []
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: seen.append(repr(error)))
    engine.run([7, 8], driver=driver)
    assert (seen, asked, log) == (["KeyError('of the guard')"], [2], [])
    assert (engine.outcome, engine.phase.name) == ("failed", "IDLE")


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_edge_of_a_scope_does_not_take_errors_of_its_own_recovery(driver: str) -> None:
    engine = failing_on(8)
    engine.lifecycle.add_transition(Scope.RUN >> R.GIVE_UP, error=Exception)
    engine.lifecycle.add_transition(R.GIVE_UP >> Events.TERMINATE)
    engine.on(R.GIVE_UP)(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.run([8], driver=driver)
    assert engine.state.errors == {"run.give_up": 1}


def test_objects_of_the_failed_step_are_freed_before_the_activity_of_the_recovery() -> None:
    class Big:
        pass

    refs: list[Any] = []

    def step(engine: Engine, batch: Any) -> None:
        big = Big()
        refs.append(weakref.ref(big))
        if len(refs) == 1:
            raise OutOfMemory
        alive.append(refs[0]() is not None)

    alive: list[bool] = []
    engine = with_retry(step)
    seen = []
    engine.on(R.RETRY)(lambda error: seen.append(refs[0]() is not None))
    gc.disable()
    try:
        engine.run([7])
    finally:
        gc.enable()
    assert (seen, alive) == ([True], [False])


def test_each_recovery_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    engine = skipping(failing_on(8), limit=2)
    with caplog.at_level(logging.WARNING, logger=engine.logger.name):
        engine.run([8])
    (record,) = caplog.records
    for fragment in ("ValueError(8)", "ITERATION_STARTED", "R.SKIP_BATCH", "time 1 of at most 2"):
        assert fragment in record.getMessage()


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_action_of_the_exception_edge_that_raises_replaces_the_error_and_is_called_once(driver: str) -> None:
    calls: list[str] = []

    def fail_thrice() -> None:
        calls.append("action")
        if len(calls) < 4:
            raise OSError("the disk is full")

    engine = failing_on(8)
    edge = next(t for t in engine.lifecycle.transitions if t.signal is Signal.EXCEPTION)
    engine.lifecycle.add(
        replace(edge, label="reported", action=UserCallable(fail_thrice, "report", takes_engine=False))
    )
    engine.lifecycle.remove(edge)
    seen: list[list[str]] = []
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: seen.append(context_of(error)))
    engine.run([8], driver=driver)
    assert (calls, seen) == (["action"], [["OSError('the disk is full')", "ValueError(8)"]])
    assert engine.outcome == "failed"


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_action_of_an_error_edge_with_a_guard_is_called(driver: str) -> None:
    calls: list[str] = []

    def report() -> None:
        calls.append("action")

    engine = skipping(failing_on(8), guard=lambda: True, action=report, label="skip")
    engine.run([7, 8, 9], driver=driver)
    assert (calls, engine.outcome) == (["action"], "completed")


# Failures during recovery and after EXCEPTION_RAISED


class Endless(BaseException):
    """Ends a test whose run would never end."""


class Failing:
    """An activity that raises an error with the name of its phase, up to `times` times.

    Attributes:
        acted: the names of the phases whose activity was called.
    """

    def __init__(self, kind: type[BaseException] = KeyError, times: int = 20) -> None:
        self.kind, self.times = kind, times
        self.acted: list[str] = []

    def __call__(self, engine: Engine) -> None:
        self.acted.append(engine.phase.name)
        if len(self.acted) > 20:
            raise Endless
        if len(self.acted) <= self.times:
            raise self.kind(engine.phase.name)


def context_of(error: BaseException | None) -> list[str]:
    """Return the reprs of `error` and of the chain of its contexts."""
    return [] if error is None else [repr(error), *context_of(error.__context__)]


def moves_of(engine: Engine) -> list[str]:
    moves: list[str] = []
    engine.observe(lambda _engine, transition: moves.append(str(transition)))
    return moves


def cleaning_up(engine: Engine, activity: Any, scope: Scope | None, *ends: Any) -> None:
    """Replace the transition from EXCEPTION_RAISED to IDLE by a path through CHECK and `ends`."""
    engine.lifecycle.add_phase(P.CHECK, activity, scope=scope)
    engine.lifecycle.remove_transition(Edge(Events.EXCEPTION_RAISED, IDLE))
    engine.lifecycle.add_path(Events.EXCEPTION_RAISED >> P.CHECK)
    for start, end in pairwise((P.CHECK, *ends)):
        engine.lifecycle.add_transition(Edge(start, end))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("scope", [None, Scope.ENGINE, Scope.RUN, Scope.ITERATION])
def test_a_failure_after_exception_raised_ends_the_run_with_both_errors(
    scope: Scope | None, error: type[BaseException], handled: bool, driver: str
) -> None:
    engine, failing, seen = failing_on(8, error=error), Failing(), []
    cleaning_up(engine, failing, scope, IDLE)
    if handled:
        engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: seen.append(repr(error)))
    moves = moves_of(engine)
    with pytest.raises(KeyError) as caught:
        engine.run([8], driver=driver)
    first = repr(error(8))
    assert (context_of(caught.value), failing.acted, seen) == (
        ["KeyError('CHECK')", first],
        ["CHECK"],
        [first] * handled,
    )
    assert moves[-3:] == [
        "ITERATION_STARTED --exception--> EXCEPTION_RAISED",
        "EXCEPTION_RAISED --check--> CHECK",
        "CHECK --idle--> IDLE",
    ]
    assert (engine.outcome, engine.phase.name) == ("failed", "IDLE")
    engine.run([7], max_epochs=2, driver=driver)
    assert engine.outcome == "completed"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_failure_after_exception_raised_leaves_the_scopes_of_its_phase(driver: str) -> None:
    engine, left = failing_on(8), []
    cleaning_up(engine, Failing(), Scope.RUN, Events.COMPLETED)
    engine.on_exit(P.CHECK)(lambda: left.append("CHECK"))
    engine.on_exit(Scope.ENGINE)(lambda transition: left.append(str(transition)))
    with pytest.raises(KeyError):
        engine.run([8], driver=driver)
    assert left == [
        "ITERATION_STARTED --exception--> EXCEPTION_RAISED",
        "CHECK",
        "CHECK --exception--> EXCEPTION_RAISED",
    ]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("handled", [False, True])
def test_the_error_that_ends_a_run_is_kept_when_cleaning_up_fails_and_recovers(handled: bool, driver: str) -> None:
    engine = failing_on(8)
    cleaning_up(engine, Failing(), Scope.RUN, IDLE)
    engine.lifecycle.add_transition(P.CHECK >> R.GIVE_UP, error=KeyError)
    engine.lifecycle.add_transition(Edge(R.GIVE_UP, IDLE))
    log = log_of(engine, P.CHECK, R.GIVE_UP)
    if handled:
        engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: None)
        engine.run([8], driver=driver)
    else:
        with pytest.raises(ValueError, match=r"^8\b"):
            engine.run([8], driver=driver)
    assert ([name for name, *_ in log], engine.outcome) == (["CHECK", "GIVE_UP"], "failed")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_run_that_continues_after_exception_raised_fails_at_most_once_more(driver: str) -> None:
    engine = Engine(lambda engine, batch: [][batch])
    cleaning_up(engine, None, None, Events.EPOCH_STARTED)
    log = log_of(engine, Events.ITERATION_STARTED, P.CHECK)
    with pytest.raises(IndexError) as caught:
        engine.run([7, 8], max_epochs=3, driver=driver)
    assert [name for name, *_ in log] == ["ITERATION_STARTED", "CHECK", "ITERATION_STARTED"]
    assert context_of(caught.value) == ["IndexError('list index out of range')"] * 2


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_run_that_continues_after_exception_raised_and_is_terminated_raises_its_error(driver: str) -> None:
    engine = failing_on(8)
    cleaning_up(engine, lambda engine: engine.terminate(), Scope.RUN, Events.EPOCH_STARTED)
    log = log_of(engine, P.CHECK, Events.EPOCH_STARTED, Events.TERMINATE, Events.COMPLETED)
    with pytest.raises(ValueError, match=r"^8\b"):
        engine.run([8], driver=driver)
    assert [name for name, *_ in log] == ["EPOCH_STARTED", "CHECK", "EPOCH_STARTED", "TERMINATE", "COMPLETED"]
    assert engine.outcome == "failed"


@pytest.mark.parametrize("driver", DRIVERS)
def test_failing_recoveries_of_scopes_do_not_alternate_for_ever(driver: str) -> None:
    engine = failing_on(8)
    kinds = {R.SKIP_BATCH: (ValueError, KeyError), R.RETRY: (KeyError, OSError), R.GIVE_UP: (OSError, ValueError)}
    acts = {event: Failing(raised) for event, (_, raised) in kinds.items()}
    for event, (taken, _) in kinds.items():
        engine.lifecycle.add_phase(event, acts[event])
        engine.lifecycle.add_transition(Scope.RUN >> event, error=taken)
        engine.lifecycle.add_transition(event >> Events.TERMINATE)
    moves = moves_of(engine)
    with pytest.raises(ValueError, match=r"^GIVE_UP\b"):
        engine.run([8], driver=driver)
    assert moves[-5:] == [
        "ITERATION_STARTED --skip_batch--> SKIP_BATCH",
        "SKIP_BATCH --retry--> RETRY",
        "RETRY --give_up--> GIVE_UP",
        "GIVE_UP --exception--> EXCEPTION_RAISED",
        "EXCEPTION_RAISED --done--> IDLE",
    ]


def with_second_part(driver: str, times: int, **options: Any) -> tuple[list[str], list[str]]:
    """Run a recovery of Scope.RUN whose second phase fails `times` times; return the failing phases and all moves."""
    engine, failing = failing_on(8), Failing(ValueError, times)
    engine.lifecycle.add_transition(Scope.RUN >> R.GIVE_UP, error=ValueError, **options)
    engine.lifecycle.add_phase(P.CHECK, failing)
    engine.lifecycle.add_path(R.GIVE_UP >> P.CHECK >> Events.TERMINATE)
    moves = moves_of(engine)
    try:
        engine.run([8], driver=driver)
    except ValueError as error:
        moves.append(str(error))
    return failing.acted, moves


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_edge_of_a_scope_does_not_take_errors_of_any_phase_of_its_recovery(driver: str) -> None:
    acted, moves = with_second_part(driver, 20)
    assert (acted, moves[-3:]) == (
        ["CHECK"],
        ["CHECK --exception--> EXCEPTION_RAISED", "EXCEPTION_RAISED --done--> IDLE", "CHECK"],
    )


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_the_edge_of_a_scope_with_a_limit_takes_errors_of_its_recovery_up_to_the_limit(times: int, driver: str) -> None:
    acted, moves = with_second_part(driver, times, limit=3)
    again = ["GIVE_UP --check--> CHECK", "CHECK --give_up--> GIVE_UP"] * min(times, 2)
    end = ["CHECK --terminate_2--> TERMINATE", "TERMINATE --end_run--> COMPLETED", "COMPLETED --done--> IDLE"]
    if times == 3:
        end = ["CHECK --exception--> EXCEPTION_RAISED", "EXCEPTION_RAISED --done--> IDLE", "CHECK"]
    assert acted == ["CHECK"] * min(times + 1, 3)
    assert moves[moves.index("ITERATION_STARTED --give_up--> GIVE_UP") + 1 :] == [
        *again,
        "GIVE_UP --check--> CHECK",
        *end,
    ]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_recovery_can_be_retried_until_it_succeeds(driver: str) -> None:
    engine, failing = failing_on(8), Failing(OSError, times=5)
    engine.lifecycle.add_phase(R.SKIP_BATCH, failing)
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> R.SKIP_BATCH, error=ValueError)
    engine.lifecycle.add_exits(R.SKIP_BATCH, like=Events.ITERATION_COMPLETED)
    engine.lifecycle.add_transition(Scope.RUN >> R.RETRY, error=OSError)
    engine.lifecycle.add_transition(R.RETRY >> Scope.RUN)
    engine.run([8], driver=driver)
    assert (failing.acted, engine.outcome) == (["SKIP_BATCH"] * 6, "completed")
    assert engine.state.errors == {"ITERATION_STARTED.skip_batch": 1, "run.retry": 5}


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_recovery_of_a_scope_is_available_again_for_the_next_failure(driver: str) -> None:
    engine = failing_on(8)
    engine.lifecycle.add_transition(Scope.RUN >> R.SKIP_BATCH, error=ValueError)
    engine.lifecycle.add_exits(R.SKIP_BATCH, like=Events.ITERATION_COMPLETED)
    engine.run([8, 7], max_epochs=4, driver=driver)
    assert (engine.outcome, engine.state.errors) == ("completed", {"run.skip_batch": 4})


# Definition and display


def test_error_edges_are_shown_in_the_table_and_in_networkx() -> None:
    engine = skipping(failing_on(), limit=2)
    assert any(
        line.endswith("error ValueError, at most 2 times -> SKIP_BATCH") for line in str(engine.lifecycle).splitlines()
    )
    pytest.importorskip("networkx")
    edge = engine.lifecycle.to_networkx().edges["Events.ITERATION_STARTED", "R.SKIP_BATCH", "skip_batch"]
    assert (edge["trigger"], edge["signal"], edge["error"]) == ("signal", "exception", "ValueError")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"limit": 3}, ValueError, "limit=3"),
        ({"error": ValueError, "limit": 0}, ValueError, "limit=0"),
        ({"error": "ValueError"}, TypeError, "error='ValueError'"),
        ({"error": (ValueError, int)}, TypeError, "error=<class 'int'>"),
    ],
)
def test_invalid_options_of_error_edges_are_errors(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    lifecycle = Lifecycle.training()
    before = lifecycle.graph
    with pytest.raises(kind, match=message):
        lifecycle.add_transition(Events.ITERATION_STARTED >> R.SKIP_BATCH, **options)
    assert lifecycle.graph is before


def test_an_error_edge_leads_to_a_phase() -> None:
    with pytest.raises(LifecycleError, match=r"error edge.*Events\.ITERATION_STARTED >> Scope\.ITERATION"):
        Lifecycle.training().add_transition(Events.ITERATION_STARTED >> Scope.ITERATION, error=ValueError)


def test_a_recovery_without_an_exit_does_not_run() -> None:
    engine = failing_on(8)
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> R.SKIP_BATCH, error=ValueError)
    with pytest.raises(LifecycleError, match=r"SKIP_BATCH .*add_transition\(.*add_exits\(R\.SKIP_BATCH"):
        engine.run([7])
