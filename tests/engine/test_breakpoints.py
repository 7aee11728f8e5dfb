"""Breakpoints, `run(until=...)`, and Ctrl-C inside `interruptible()`, also in real processes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from fsm_engine import Edge, Engine, EventEnum, Events, Lifecycle, Outcome, Scope, Signal, Transition, Trigger
from fsm_engine.lifecycle.training import TRAINING

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ("compiled", "transitions")
INTERRUPTIBLE = [p.name for p, exits in zip(TRAINING.phases, TRAINING.signal_exits) if Signal.INTERRUPT in exits]


class P(EventEnum):
    BACKWARD = "backward"
    STEP = "step"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def log_of(engine: Engine) -> list[Any]:
    log: list[Any] = []

    def note(engine: Engine, name: str) -> None:
        log.append((name, engine.state.iteration))

    for phase in engine.lifecycle.phases[1:]:
        if phase.event is not Events.EXCEPTION_RAISED:
            engine.add_event_handler(phase.event, note, phase.name)
    return log


def of_parts() -> Engine:
    lifecycle = Lifecycle.training()
    lifecycle.add_phase(P.BACKWARD, activity=lambda engine: engine.state.batch)
    lifecycle.add_phase(P.STEP, activity=lambda: None)
    lifecycle.add_path(Events.ITERATION_STARTED >> P.BACKWARD >> P.STEP >> Events.ITERATION_COMPLETED, required=True)
    return Engine(lifecycle=lifecycle)


# until


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "stop",
    [
        Events.STARTED,
        Events.EPOCH_STARTED,
        Events.GET_BATCH_STARTED(once=3),
        Events.GET_BATCH_COMPLETED(once=2),
        Events.ITERATION_STARTED(once=2),
        P.BACKWARD(once=2),
        P.STEP,
        Events.ITERATION_COMPLETED(once=3),
        Events.EPOCH_COMPLETED,
        P.BACKWARD >> P.STEP,
        (Events.ITERATION_COMPLETED >> Events.GET_BATCH_STARTED)(once=2),
        Events.EPOCH_COMPLETED(once=2) | P.STEP(once=4),
    ],
    ids=str,
)
def test_a_run_that_stops_at_a_breakpoint_resumes_without_repeating_or_skipping_a_phase(stop: Any, driver: str) -> None:
    whole = of_parts()
    expected = log_of(whole)
    whole.run([7, 8], max_epochs=3)

    engine = of_parts()
    log = log_of(engine)
    engine.run([7, 8], max_epochs=3, until=stop, driver=driver)
    assert (engine.outcome, engine.phase.name) == (Outcome.INTERRUPTED, "INTERRUPT")
    last = [*stop][-1] if hasattr(stop, "_events") else stop
    end = last.event.target if hasattr(last.event, "target") else last.event
    assert log[-2][0] == end.name
    engine.run(driver=driver)
    assert (engine.outcome, engine.state.output) == (Outcome.COMPLETED, 8)
    assert [entry for entry in log if entry[0] not in ("INTERRUPT", "RESUMED")] == expected
    assert [name for name, _ in log].count("RESUMED") == 1


def test_a_phase_named_by_a_string_is_a_breakpoint() -> None:
    lifecycle = Lifecycle("play")
    lifecycle.add_phase("play", scope=Scope.RUN)
    lifecycle.add_path(Edge(Events.STARTED, "play") >> Events.COMPLETED)
    engine = Engine(lifecycle=lifecycle)
    engine.run(until="play")
    assert (engine.outcome, engine.has_handlers("play")) == ("interrupted", False)
    engine.run()
    assert engine.outcome == "completed"


def test_all_handlers_of_the_event_are_called_before_the_run_stops() -> None:
    engine, log = Engine(echo), []
    engine.on(Events.ITERATION_COMPLETED(priority=-100))(lambda: log.append("late"))
    engine.run([7], until=Events.ITERATION_COMPLETED)
    assert (log, engine.outcome) == (["late"], "interrupted")


def test_run_removes_its_breakpoint_whether_it_returns_or_raises() -> None:
    engine = Engine(echo)
    engine.run([7, 8], until=Events.ITERATION_COMPLETED)
    engine.run(until=Events.ITERATION_COMPLETED)
    assert engine.state.iteration == 2
    engine.run()
    assert engine.outcome == "completed"
    with pytest.raises(ValueError, match="zero size"):
        engine.run([], until=Events.ITERATION_COMPLETED)
    assert not engine.has_handlers(Events)


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (
            P.BACKWARD,
            r"P\.BACKWARD: .* inside a step.* lifecycle\.add_phase\(P\.BACKWARD, activity=\.\.\.\)",
        ),
        (
            Events.ITERATION_STARTED >> P.BACKWARD,
            r"Events\.ITERATION_STARTED >> P\.BACKWARD: .* lifecycle\.add_phase\(P\.BACKWARD, activity=\.\.\.\)",
        ),
        ("loss_ready", "loss_ready: it is not a phase"),
        (Events.COMPLETED, rf"Events\.COMPLETED: .* can stop at {', '.join(INTERRUPTIBLE)}\."),
    ],
    ids=str,
)
def test_a_breakpoint_where_no_run_can_stop_is_an_error_before_the_run_starts(stop: Any, message: str) -> None:
    engine = Engine(lambda engine, batch: engine.fire_event(P.BACKWARD))
    engine.register_events("loss_ready")
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> P.BACKWARD >> Events.ITERATION_COMPLETED)
    with pytest.raises(ValueError, match=f"^a run cannot stop at {message}"):
        engine.run([7], until=stop)
    assert (engine.state.iteration, engine.outcome, engine.has_handlers(Events)) == (0, None, False)


def without_interrupts(*instead: Transition) -> Lifecycle:
    lifecycle = Lifecycle.training(echo)
    taken = [t for t in lifecycle.transitions if t.signal is Signal.INTERRUPT]
    lifecycle.add(*instead)
    lifecycle.remove(*taken)
    return lifecycle


def test_breakpoints_need_an_edge_for_interrupts() -> None:
    engine = Engine(lifecycle=without_interrupts())
    fix = "lifecycle.add(Transition(Scope.RUN, Events.INTERRUPT, 'interrupt', Trigger.SIGNAL, Signal.INTERRUPT))"
    with pytest.raises(ValueError, match=f"^a run cannot stop at Events.STARTED: .*{re.escape(fix)}"):
        engine.run([7], until=Events.STARTED)
    engine.lifecycle.add(Transition(Scope.RUN, Events.INTERRUPT, "interrupt", Trigger.SIGNAL, Signal.INTERRUPT))
    engine.run([7], until=Events.STARTED)
    assert engine.outcome == "interrupted"


def test_the_error_lists_the_phases_at_which_a_run_can_stop() -> None:
    stop = Transition(Events.EPOCH_COMPLETED, Events.INTERRUPT, "stop", Trigger.SIGNAL, Signal.INTERRUPT)
    with pytest.raises(ValueError, match=r"cannot stop at Events\.STARTED: .* can stop at EPOCH_COMPLETED\."):
        Engine(lifecycle=without_interrupts(stop)).run([7], until=Events.STARTED)


def test_breakpoints_need_interrupts_to_be_enabled() -> None:
    class Straight(Engine):
        interrupt_resume_enabled = False

    with pytest.raises(RuntimeError, match="feature is disabled"):
        Straight(echo).run([7], until=Events.ITERATION_COMPLETED)


# RESUMED


@pytest.mark.parametrize("driver", DRIVERS)
def test_resumed_fires_when_a_run_resumes_and_not_when_it_starts(driver: str) -> None:
    engine = Engine(echo)
    log = log_of(engine)
    engine.run([7], until=Events.EPOCH_STARTED, driver=driver)
    engine.run(driver=driver)
    engine.run([7], driver=driver)
    names = [name for name, _ in log]
    assert names[:5] == ["STARTED", "EPOCH_STARTED", "INTERRUPT", "RESUMED", "GET_BATCH_STARTED"]
    assert names.count("RESUMED") == 1


def test_interrupting_at_resumed_keeps_the_suspended_position() -> None:
    engine = Engine(echo)
    log = log_of(engine)
    engine.run([7, 8], until=Events.ITERATION_STARTED)
    engine.run(until=Events.RESUMED)
    assert (engine.phase.name, engine.state.iteration, engine.state.output) == ("INTERRUPT", 1, None)
    engine.run()
    assert engine.outcome == "completed"
    started = [entry for entry in log if entry[0] in ("ITERATION_STARTED", "ITERATION_COMPLETED")]
    assert started == [(name, n) for n in (1, 2) for name in ("ITERATION_STARTED", "ITERATION_COMPLETED")]


def test_terminating_at_resumed_ends_the_run() -> None:
    engine = Engine(echo)
    engine.run([7, 8], until=Events.ITERATION_STARTED)
    engine.on(Events.RESUMED)(lambda: engine.terminate())
    engine.run()
    assert (engine.outcome, engine.state.output) == ("terminated", None)


# interruptible


def test_the_first_ctrl_c_interrupts_and_the_second_raises() -> None:
    engine, before = Engine(echo), signal.getsignal(signal.SIGINT)

    @engine.on(Events.ITERATION_STARTED(once=2))
    def press() -> None:
        signal.raise_signal(signal.SIGINT)

    with engine.interruptible():
        engine.run([7, 8, 9])
        assert (engine.outcome, engine.state.iteration) == ("interrupted", 2)
        engine.run()
        assert (engine.outcome, engine.state.iteration) == ("completed", 3)
        engine.on(Events.ITERATION_STARTED(once=1))(lambda: [signal.raise_signal(signal.SIGINT) for _ in range(2)])
        with pytest.raises(KeyboardInterrupt):
            engine.run([7, 8, 9])
    assert engine.outcome == "failed"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_raises_while_no_run_is_active() -> None:
    with pytest.raises(KeyboardInterrupt), Engine(echo).interruptible():
        signal.raise_signal(signal.SIGINT)


def test_interruptible_outside_the_main_thread_is_an_error() -> None:
    seen: list[str] = []

    def enter() -> None:
        with (
            pytest.raises(RuntimeError, match=r"outside the main thread.*engine\.interrupt\(\)"),
            Engine(echo).interruptible(),
        ):
            seen.append("entered")
        seen.append("refused")

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == ["refused"]


PROGRAM = """
    import sys, time
    from fsm_engine import Engine, Events

    def step(engine, batch):
        time.sleep(0.01)
        return batch

    engine = Engine(step)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda: print("running", flush=True))
    with engine.interruptible():
        engine.run(range(100_000))
    print(engine.outcome, engine.state.output == engine.state.iteration - 1, flush=True)
    engine.run(max_epochs=1, until=(Events.ITERATION_COMPLETED))
    print(engine.outcome, engine.state.output == engine.state.iteration - 1, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
def test_a_process_that_is_sent_sigint_stops_between_iterations_and_resumes() -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=400)
    assert (out, process.returncode) == ("interrupted True\ninterrupted True\n", 0), err
    assert "Interrupting at the next safe place" in err


def test_a_scope_is_not_a_breakpoint() -> None:
    with pytest.raises(TypeError, match="is not an event"):
        Engine(echo).run([7], until=Scope.EPOCH)  # type: ignore[arg-type]
