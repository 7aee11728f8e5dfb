"""`GracefulStop`: the effect of signals on a run, on nested runs, and on a process."""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Children

pytest.importorskip("torch")

import torch
from torch import nn

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine.handlers import Checkpoint, EarlyStopping, EMAHandler, GracefulStop

if sys.platform == "win32":
    pytest.skip("signals of POSIX", allow_module_level=True)

TERM, INT, USR1 = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
DRIVERS = ("compiled", "transitions")


class P(EventEnum):
    COLLECT = "collect"
    LEARN = "learn"


def current_handlers() -> list[Any]:
    return [signal.getsignal(number) for number in (TERM, INT, USR1)]


@pytest.fixture(autouse=True)
def known_handlers() -> Iterator[None]:
    """Install known signal handlers before the test, and restore the previous handlers after it."""

    def fail(number: int, frame: Any) -> None:
        raise AssertionError(f"{signal.Signals(number).name} was not caught")

    handlers = {TERM: fail, INT: signal.default_int_handler, USR1: fail}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def log_of(engine: Engine) -> list[Any]:
    log: list[Any] = []

    def note(engine: Engine, name: str) -> None:
        log.append((name, engine.state.epoch, engine.state.iteration))

    for phase in engine.lifecycle.phases[1:]:
        if phase.event not in (Events.EXCEPTION_RAISED, Events.INTERRUPT, Events.RESUMED):
            engine.add_event_handler(phase.event, note, phase.name)
    return log


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("number", [TERM, INT, USR1])
@pytest.mark.parametrize(
    ("event", "suspended_at", "iteration"),
    [
        (Events.STARTED, Events.ITERATION_COMPLETED, 1),
        (Events.EPOCH_STARTED(once=2), Events.ITERATION_COMPLETED, 4),
        (Events.GET_BATCH_STARTED(once=1), Events.ITERATION_COMPLETED, 2),
        (Events.GET_BATCH_COMPLETED(once=1), Events.ITERATION_COMPLETED, 2),
        (Events.ITERATION_STARTED(once=2), Events.ITERATION_COMPLETED, 2),
        (Events.ITERATION_COMPLETED(once=2), Events.ITERATION_COMPLETED, 2),
        (Events.ITERATION_COMPLETED(once=3), Events.EPOCH_COMPLETED, 3),
        (Events.EPOCH_COMPLETED(once=1), Events.EPOCH_COMPLETED, 3),
    ],
    ids=str,
)
def test_a_signal_suspends_the_run_between_iterations_and_the_resumed_run_skips_and_repeats_nothing(
    event: Any, suspended_at: Events, iteration: int, number: int, driver: str
) -> None:
    whole = Engine(echo)
    expected = log_of(whole)
    whole.run([7, 8, 9], max_epochs=2, driver=driver)

    engine, saved = Engine(echo), []
    log = log_of(engine)
    stop = GracefulStop(save=lambda engine: saved.append((log[-1], engine.state_dict()))).attach(engine)
    engine.add_event_handler(event, signal.raise_signal, number)
    before = current_handlers()
    engine.run([7, 8, 9], max_epochs=2, driver=driver)

    assert (engine.outcome, engine.state.iteration, stop.requested, stop.signal) == (
        "interrupted",
        iteration,
        True,
        number,
    )
    state = {"epoch_length": 3, "iteration": iteration, "max_epochs": 2}
    assert [(at[0], {key: state_dict[key] for key in state}) for at, state_dict in saved] == [
        (suspended_at.name, state)
    ]
    assert current_handlers() == before
    engine.run(driver=driver)
    assert (engine.outcome, log, len(saved)) == ("completed", expected, 1)


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Events.COMPLETED], ids=str)
def test_a_run_with_nothing_left_to_do_ends_normally(event: Any) -> None:
    engine, saved = Engine(echo), []
    stop = GracefulStop(save=saved.append).attach(engine)
    engine.add_event_handler(
        event(event_filter=lambda engine, _: engine.state.iteration == 3), signal.raise_signal, TERM
    )
    log = log_of(engine)
    engine.run([7, 8, 9])
    assert (engine.outcome, log[-1], saved, stop.signal) == ("completed", ("COMPLETED", 1, 3), [], TERM)
    engine.run([7], max_epochs=2, epoch_length=3, until=Events.EPOCH_STARTED)
    assert (engine.outcome, stop.requested, stop.signal) == ("interrupted", False, None)


def test_runs_without_data_and_of_unknown_length_are_suspended() -> None:
    for data, length in ((None, 4), (iter([7, 8, 9, 10]), None)):
        engine = Engine(echo)
        GracefulStop().attach(engine)
        engine.add_event_handler(Events.ITERATION_STARTED(once=2), signal.raise_signal, TERM)
        engine.run(data, epoch_length=length)
        assert (engine.outcome, engine.state.iteration) == ("interrupted", 2)
        engine.run()
        assert (engine.outcome, engine.state.iteration) == ("completed", 4)


def test_a_lifecycle_without_epochs_is_suspended_after_the_handlers_of_the_current_phase() -> None:
    lifecycle, done = Lifecycle("ppo"), []
    lifecycle.add_phase(P.COLLECT, activity=lambda: done.append("collect"))
    lifecycle.add_phase(P.LEARN, activity=lambda: done.append("learn"))
    lifecycle.add_transition(Events.STARTED >> P.COLLECT)
    lifecycle.add_transition(P.COLLECT >> P.LEARN)
    lifecycle.add_transition(P.LEARN >> Events.COMPLETED)
    engine = Engine(lifecycle=lifecycle)
    stop = GracefulStop(save=lambda engine: done.append(engine.state_dict()["phase"])).attach(engine)
    engine.add_event_handler(P.LEARN, signal.raise_signal, USR1)
    engine.run()
    assert (engine.outcome, stop.signal, done) == ("interrupted", USR1, ["collect", "P.LEARN"])
    engine.run()
    assert (engine.outcome, done) == ("completed", ["collect", "P.LEARN", "learn"])


def test_save_handlers_are_called_in_order_and_only_after_a_signal() -> None:
    engine, saved = Engine(echo), []
    GracefulStop(save=[lambda engine: saved.append(engine), lambda: saved.append("second")]).attach(engine)
    engine.run([7, 8], until=Events.ITERATION_COMPLETED(once=1))
    assert saved == []
    engine.add_event_handler(Events.ITERATION_STARTED(once=2), signal.raise_signal, TERM)
    engine.run(max_epochs=2)
    assert saved == [engine, "second"]


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_run_that_is_terminated_at_the_event_of_a_signal_is_saved_and_continues(
    tmp_path: Path, stop_first: bool
) -> None:
    def made(steps: list[Any]) -> tuple[Engine, Checkpoint, GracefulStop]:
        engine = Engine(lambda engine, batch: steps.append((engine.state.epoch, batch)))
        checkpoint = Checkpoint({"engine": engine}, tmp_path)
        return engine, checkpoint, GracefulStop(save=checkpoint)

    steps: list[Any] = []
    engine, _, stop = made(steps)
    if stop_first:
        stop.attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=4), signal.raise_signal, TERM)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=4), lambda engine: engine.terminate())
    if not stop_first:
        stop.attach(engine)
    engine.run([1, 2, 3], max_epochs=3)
    assert (engine.outcome, stop.signal, len(list(tmp_path.glob("*.pt")))) == ("terminated", TERM, 1)
    engine, checkpoint, _ = made(steps)
    assert checkpoint.resume()
    engine.run([1, 2, 3])
    assert steps == [(epoch, batch) for epoch in (1, 2, 3) for batch in (1, 2, 3)]


def test_a_run_that_is_terminated_without_a_signal_is_not_saved() -> None:
    engine, saved = Engine(echo), []
    GracefulStop(save=lambda: saved.append("saved")).attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: engine.terminate())
    engine.run([7, 8])
    assert (engine.outcome, saved) == ("terminated", [])


def test_an_exception_in_a_save_handler_fails_the_run(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(echo)
    GracefulStop(save=lambda: 1 / 0).attach(engine)
    engine.add_event_handler(Events.ITERATION_STARTED(once=1), signal.raise_signal, TERM)
    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError):
        engine.run([7, 8])
    assert engine.outcome == "failed"
    assert "GracefulStop: received SIGTERM, stopping after iteration 1" in caplog.messages[0]


@pytest.mark.parametrize("end", [1 / 2, RuntimeError(), KeyboardInterrupt(), SystemExit()], ids=repr)
@pytest.mark.parametrize("event", [Events.STARTED, Events.ITERATION_STARTED, Events.COMPLETED], ids=str)
def test_the_signal_handlers_are_restored_however_a_run_ends(event: Any, end: Any) -> None:
    engine, seen = Engine(echo), []
    stop = GracefulStop().attach(engine)

    @engine.on(event)
    def fail() -> None:
        seen.append([handler == stop._on_signal for handler in current_handlers()])
        if isinstance(end, BaseException):
            raise end

    before = current_handlers()
    if isinstance(end, BaseException):
        with pytest.raises(type(end)):
            engine.run([7])
    else:
        engine.run([7])
    assert (seen, current_handlers()) == ([[True] * 3], before)


@pytest.mark.parametrize("end", [Engine.terminate, Engine.interrupt, lambda engine: engine.terminate(True)])
def test_the_signal_handlers_are_restored_after_requests_to_the_engine(end: Any) -> None:
    engine, before = Engine(echo), current_handlers()
    GracefulStop().attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED, end)
    for _ in range(2):
        engine.run([7, 8, 9])
        assert current_handlers() == before


def test_a_signal_handler_that_is_installed_during_the_run_stays() -> None:
    engine, called = Engine(echo), []
    stop = GracefulStop([USR1]).attach(engine)

    def theirs(number: int, frame: Any) -> None:
        called.append(number)
        stop._on_signal(number, frame)

    engine.add_event_handler(Events.ITERATION_STARTED, lambda: signal.signal(USR1, theirs))
    engine.add_event_handler(Events.ITERATION_COMPLETED, signal.raise_signal, USR1)
    engine.run([7, 8])
    assert (called, stop.signal, signal.getsignal(USR1)) == ([USR1], USR1, theirs)
    with pytest.raises(AssertionError, match="SIGUSR1 was not caught"):
        signal.raise_signal(USR1)


# The second signal


def signalled(*numbers: int) -> Engine:
    """Return an engine whose process receives these signals in the first iteration."""
    engine = Engine(echo)
    GracefulStop().attach(engine)
    engine.add_event_handler(Events.ITERATION_STARTED(once=1), lambda: [*map(signal.raise_signal, numbers)])
    return engine


def test_a_second_signal_calls_the_previous_handler() -> None:
    received: list[int] = []
    signal.signal(TERM, lambda number, frame: received.append(number))
    engine, before = signalled(USR1, TERM), current_handlers()
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: received.append(current_handlers() == before))
    engine.run([7, 8])
    assert (engine.outcome, engine.state.iteration, received) == ("interrupted", 1, [TERM, True])


def test_a_second_ctrl_c_raises_keyboard_interrupt() -> None:
    engine = signalled(INT, INT)
    with pytest.raises(KeyboardInterrupt):
        engine.run([7, 8])
    assert (engine.outcome, engine.state.iteration) == ("failed", 1)


def test_a_second_signal_that_was_ignored_before_the_run_is_ignored() -> None:
    signal.signal(TERM, signal.SIG_IGN)
    engine = signalled(TERM, TERM)
    engine.run([7, 8])
    assert (engine.outcome, signal.getsignal(TERM)) == ("interrupted", signal.SIG_IGN)


# Nested runs


def trained(attach_to_evaluator: bool) -> tuple[Engine, Engine, GracefulStop, list[Any]]:
    trainer, evaluator, saved = Engine(echo), Engine(echo), []
    stop = GracefulStop(save=lambda engine: saved.append(engine)).attach(trainer)
    if attach_to_evaluator:
        stop.attach(evaluator)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1, 2, 3]))
    evaluator.add_event_handler(Events.ITERATION_STARTED(once=2), signal.raise_signal, TERM)
    evaluator.add_event_handler(Events.COMPLETED, lambda: saved.append("evaluated"))
    return trainer, evaluator, stop, saved


def test_a_nested_run_is_finished_first() -> None:
    trainer, evaluator, _, saved = trained(attach_to_evaluator=False)
    trainer.run([7, 8], max_epochs=3)
    assert (evaluator.outcome, evaluator.state.iteration) == ("completed", 3)
    assert (trainer.outcome, trainer.state.iteration, saved) == ("interrupted", 2, ["evaluated", trainer])


def test_a_nested_run_of_an_attached_evaluator_is_terminated() -> None:
    trainer, evaluator, stop, saved = trained(attach_to_evaluator=True)
    before = current_handlers()
    trainer.run([7, 8], max_epochs=3)
    assert (evaluator.outcome, evaluator.state.iteration) == ("terminated", 2)
    assert (trainer.outcome, trainer.state.iteration, saved) == ("interrupted", 2, [trainer])
    assert current_handlers() == before
    saved.clear()
    evaluator.run([1, 2, 3])  # not nested, so it is suspended
    assert (evaluator.outcome, evaluator.state.iteration, saved, stop.signal) == ("interrupted", 2, [evaluator], TERM)


# Errors


def test_a_run_outside_the_main_thread_is_an_error() -> None:
    engine, errors = Engine(echo), []
    GracefulStop().attach(engine)

    def run() -> None:
        try:
            engine.run([7])
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (message,) = errors
    assert "GracefulStop is attached to an engine that runs outside the main thread" in message
    assert "call engine.interrupt() from any thread" in message
    engine.run([7])
    assert engine.outcome == "completed"


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match=r"SIGKILL cannot be caught.*Leave it out of signals="):
        GracefulStop([TERM, 9])
    with pytest.raises(ValueError, match="4711 is not a valid Signals"):
        GracefulStop([4711])
    with pytest.raises(TypeError, match="save= is called as a handler, but 7 is not callable"):
        GracefulStop(save=[print, 7])  # type: ignore[list-item]

    class NeverInterrupted(Engine):
        interrupt_resume_enabled = False

    with pytest.raises(RuntimeError, match="Engine 'interrupt/resume' feature is disabled"):
        GracefulStop().attach(NeverInterrupted(echo))


def test_it_can_be_pickled_and_does_not_keep_the_engine_alive() -> None:
    gc.disable()
    try:
        engine = Engine(echo)
        stop, dropped = GracefulStop([USR1], save=print).attach(engine), weakref.ref(engine)
        engine.add_event_handler(Events.ITERATION_STARTED, signal.raise_signal, USR1)
        engine.run([7, 8])
        twin = pickle.loads(pickle.dumps(stop))
        assert (twin.signals, twin.signal, twin.requested) == ((USR1,), USR1, True)
        assert pickle.loads(pickle.dumps(engine)).outcome == "interrupted"
        del engine
        assert dropped() is None
    finally:
        gc.enable()


# With a checkpoint


def test_a_run_that_goes_on_from_a_checkpoint_gives_what_it_would_have_given(tmp_path: Path) -> None:
    data = [torch.randn(2, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]

    def made(folder: Path) -> tuple[Engine, Checkpoint, Any, list[Any]]:
        torch.manual_seed(0)
        net = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)

        def step(engine: Engine, batch: Any) -> float:
            optimizer.zero_grad()
            loss = (net(batch) ** 2 + torch.rand(1)).sum()
            loss.backward()
            optimizer.step()
            return loss.item()

        trainer, average, log = Engine(step), EMAHandler(net, 0.25, 0.5, 6), []
        average.attach(trainer)
        early = EarlyStopping(9, lambda engine: -engine.state.output, trainer)
        early.attach(trainer, Events.EPOCH_COMPLETED)
        for event in (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED):
            trainer.add_event_handler(event, lambda engine, event=event: log.append((event, early.state_dict())))
        checkpoint = Checkpoint({"trainer": trainer, "net": net, "optimizer": optimizer}, folder)
        return trainer, checkpoint, (net, average.ema_model), log

    def weights(models: Any) -> list[Any]:
        return [parameter.tolist() for model in models for parameter in model.parameters()]

    whole, _, models, expected = made(tmp_path)
    whole.run(data, max_epochs=2)
    result = weights(models)
    for iteration in range(1, 7):
        trainer, checkpoint, _, log = made(tmp_path / str(iteration))
        GracefulStop(save=checkpoint).attach(trainer)
        trainer.add_event_handler(Events.ITERATION_STARTED(once=iteration), signal.raise_signal, TERM)
        trainer.run(data, max_epochs=2)
        assert (trainer.outcome, trainer.state.iteration) == ("interrupted", iteration)
        assert [event for event, _ in log].count(Events.EPOCH_COMPLETED) == (iteration - 1) // 3

        again, checkpoint, models, rest = made(tmp_path / str(iteration))
        checkpoint.resume()
        again.run(data)
        assert (log + rest, weights(models)) == (expected, result), iteration


# Real processes

PROGRAM = """
    import json, signal, sys, time
    from pathlib import Path
    from fsm_engine import Engine, Events
    from fsm_engine.handlers import GracefulStop

    path, pause = Path(sys.argv[1]), float(sys.argv[2])

    def step(engine, batch):
        time.sleep(pause)
        return 0.9 * engine.state.weight + batch

    def learn(engine):
        engine.state.weight = engine.state.output

    def decay(engine):
        engine.state.weight *= 0.5

    trainer = Engine(step)
    trainer.state.weight = 0.0
    trainer.state_dict_user_keys.append("weight")
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda: print("running", flush=True))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, learn)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, decay)
    stop = GracefulStop(save=lambda trainer: path.write_text(json.dumps(trainer.state_dict()))).attach(trainer)
    if path.exists():
        trainer.load_state_dict(json.loads(path.read_text()))
    trainer.run(range(10), max_epochs=5)
    print(json.dumps([str(trainer.outcome), trainer.state.iteration, trainer.state.weight]), flush=True)
    if trainer.outcome == "interrupted":
        sys.exit(128 + stop.signal)
"""


def test_a_run_suspended_by_a_signal_is_resumed_in_another_process(children: Children, tmp_path: Path) -> None:
    path = str(tmp_path / "run.json")
    process = children.start(tmp_path, PROGRAM, path, "0.2")
    process.wait_for("running\n")
    process.send_signal(TERM)
    status, err = process.wait(), process.err.read_text()
    outcome, iteration, _ = json.loads(process.out.read_text().splitlines()[-1])
    assert (outcome, status) == ("interrupted", 128 + TERM), err
    assert 0 < iteration < 50
    assert f"GracefulStop: received SIGTERM, stopping after iteration {iteration}" in err

    weight = 0.0
    for _ in range(5):
        for batch in range(10):
            weight = 0.9 * weight + batch
        weight *= 0.5
    process = children.start(tmp_path, PROGRAM, path, "0")
    assert process.wait() == 0, process.err.read_text()
    assert json.loads(process.out.read_text().splitlines()[-1]) == ["completed", 50, weight]


def test_a_second_signal_ends_the_process_at_once(children: Children, tmp_path: Path) -> None:
    process = children.start(tmp_path, PROGRAM, str(tmp_path / "run.json"), "1000")
    process.wait_for("running\n")
    process.send_signal(USR1)
    with pytest.raises(TimeoutError):
        process.wait(0.3)
    process.send_signal(TERM)
    assert (process.wait(), process.out.read_text()) == (-TERM, "running\n"), process.err.read_text()


def test_a_forked_process_ignores_the_signals_but_ends_by_sigterm() -> None:
    engine = Engine(echo)
    stop = GracefulStop().attach(engine)
    signal.signal(TERM, signal.SIG_DFL)

    @engine.on(Events.ITERATION_STARTED(once=1))
    def fork() -> None:
        child = os.fork()
        if not child:
            try:
                signal.raise_signal(INT)
                signal.raise_signal(USR1)
                os.write(write, b"alive" if not stop.requested else b"asked")
                signal.raise_signal(TERM)
            finally:
                os._exit(99)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -TERM

    read, write = os.pipe()
    engine.run([7])
    assert (os.read(read, 10), engine.outcome, stop.requested) == (b"alive", "completed", False)
    os.close(read)
    os.close(write)
