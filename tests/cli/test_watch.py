"""``fsm-engine watch`` in a pseudo-terminal, against an inspected run in a thread of this process."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")
pytest.importorskip("torch")  # the inspector saves checkpoints
pytest.importorskip("uvicorn")
pytest.importorskip("termios")

from inspector_messages import trainer
from terminals import Terminal, wait_until
from typer.testing import CliRunner, Result

from fsm_engine import Engine, Events
from fsm_engine.cli.app import app

TOKEN = "t0ken-" * 4


class Run:
    """An inspected run in a thread, and its engine's own record of moves."""

    def __init__(self, **options: Any) -> None:
        self.engine = trainer()
        self.error: BaseException | None = None
        self.engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: time.sleep(0.002))
        self.engine.state.hyper = "[bold]x"
        self.inspector = self.engine.inspect(token=TOKEN, **options)
        self.thread = threading.Thread(target=self._run, args=(self.engine,), daemon=True)

    def _run(self, engine: Engine) -> None:
        try:
            engine.run(range(100), max_epochs=10_000)
        except BaseException as error:
            self.error = error

    @property
    def moves(self) -> int:
        return sum(move.kind.is_transition for move in self.inspector.timeline.tracks[0].moves)

    @property
    def at(self) -> tuple[str, int]:
        """The phase that the run enters after the pause, and the iteration."""
        last = list(self.inspector.timeline.tracks[0].moves)[-1]
        return last.kind.target, self.engine.state.iteration

    def wait_for_pause(self) -> None:
        wait_until(lambda: self.inspector.is_paused)

    def __enter__(self) -> Run:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.inspector.close()
        self.engine.terminate()
        self.thread.join(timeout=200)


@pytest.fixture
def run() -> Iterator[Run]:
    with Run() as started:
        yield started


def watch(*arguments: str, **environment: str) -> Result:
    return CliRunner(env={"COLUMNS": "100", **environment}).invoke(app, ["watch", *arguments], prog_name="fsm-engine")


def assert_restored(terminal: Terminal) -> None:
    assert terminal.settings == terminal.before
    assert terminal.output.count("\x1b[?1049h") == terminal.output.count("\x1b[?1049l") > 0
    assert terminal.output.rindex("\x1b[?25h") > terminal.output.rindex("\x1b[?25l")


def test_keys_pause_step_break_continue_and_terminate(run):
    with Terminal("watch", run.inspector.address) as terminal:
        terminal.wait_for(" running ")
        terminal.type("p")
        run.wait_for_pause()
        terminal.wait_for("because of: pause")
        assert "[bold]x" in terminal.screen
        moves = run.moves
        terminal.type("n")
        wait_until(lambda: run.moves == moves + 1 and run.inspector.is_paused)
        terminal.wait_for("because of: step")
        iteration = run.engine.state.iteration
        terminal.type("i")
        wait_until(lambda: run.at == ("Events.ITERATION_STARTED", iteration) and run.inspector.is_paused)
        terminal.type("b")
        terminal.wait_for("break at:")
        terminal.type("backw\tevery 10\r")
        terminal.wait_for("The run pauses at Steps.BACKWARD, every 10 iterations")
        terminal.type("c")
        wait_until(lambda: run.at[0] == "Steps.BACKWARD" and run.inspector.is_paused)
        assert run.engine.state.iteration % 10 == 0
        terminal.wait_for("because of: breakpoint 1")
        assert terminal.settings != terminal.before
        terminal.type("\x1a")  # a program without a shell is not stopped, and continues at once
        wait_until(lambda: terminal.output.count("\x1b[?1049h") == 2)
        terminal.wait_for(" paused ")
        terminal.type("tt")
        run.thread.join(timeout=200)
        assert str(run.engine.outcome) == "terminated"
        terminal.wait_for(" terminated ")
        terminal.type("q")
        assert terminal.finish() == 0
        assert_restored(terminal)


def test_leaving_a_paused_run_asks_and_a_run_goes_on_without_the_terminal(run):
    with Terminal("watch", run.inspector.address, size=(60, 20), NO_COLOR="1") as terminal:
        terminal.wait_for(" running ")
        terminal.type(" ")
        run.wait_for_pause()
        terminal.wait_for(" paused ")
        terminal.type("q")
        terminal.wait_for("c continues it and leaves")
        terminal.type("q")
        assert terminal.finish() == 0
        assert_restored(terminal)
        assert run.inspector.is_paused
        assert f"fsm-engine watch {run.inspector.address}" in "".join(terminal.output.split("\r\n"))
        assert "\x1b[3" not in terminal.output.replace("\x1b[39m", "")
    with Terminal("watch", run.inspector.address) as terminal:
        terminal.wait_for(" paused ")
        terminal.type("qc")
        assert terminal.finish() == 0
    wait_until(lambda: not run.inspector.is_paused)
    moves = run.moves
    wait_until(lambda: run.moves > moves)


def test_the_terminal_is_restored_when_the_program_is_stopped(run):
    address = run.inspector.address
    with Terminal("watch", address) as interrupted, Terminal("watch", address) as terminated:
        for terminal in (interrupted, terminated):
            terminal.wait_for(" running ")
        interrupted.type("\x03")
        terminated.kill(signal.SIGTERM)
        assert (interrupted.finish(), terminated.finish()) == (130, 128 + signal.SIGTERM)
        for terminal in (interrupted, terminated):
            assert_restored(terminal)
            assert "Traceback" not in terminal.output


def test_a_restarted_process_is_connected_to_again():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Run(port=port) as first, Terminal("watch", first.inspector.address) as terminal:
        terminal.wait_for(" running ")
        first.inspector.close()
        terminal.wait_for(" closed ")
        with Run(port=port):
            terminal.wait_for("restarted")
            terminal.wait_for(" running ")
            terminal.type("q")
            assert terminal.finish() == 0


def test_once_prints_a_snapshot_without_a_terminal(run):
    done = watch(run.inspector.address, "--once")
    assert (done.exit_code, done.stderr) == (0, "")
    for fragment in ("training", "running", "ITERATION_STARTED", "BACKWARD", "of 10,000"):
        assert fragment in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_wrong_addresses_are_explained(run):
    done = watch(run.inspector.address.replace(TOKEN, "wrong"), "--once")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "refuses the token 'wrong'" in done.stderr
    done = watch("127.0.0.1:9/token", "--once")
    assert done.exit_code == 2
    assert "no inspector can be reached at 127.0.0.1:9" in done.stderr
    assert "ssh -L 9:127.0.0.1:9" in done.stderr
    done = watch(run.inspector.address)
    assert done.exit_code == 2
    assert f"fsm-engine watch --once {run.inspector.address}" in done.stderr


def _answer(server: socket.socket) -> None:
    with server.accept()[0] as accepted:
        accepted.recv(1000)
        accepted.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")


def test_a_server_that_is_no_inspector_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = threading.Thread(target=_answer, args=(server,))
        answers.start()
        done = watch(f"127.0.0.1:{port}/token", "--once")
        answers.join()
    assert done.exit_code == 2
    assert f"127.0.0.1:{port} is not an inspector" in done.stderr


def test_a_missing_library_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets", None)
    done = watch("127.0.0.1:9/token", "--once")
    assert done.exit_code == 2
    assert 'pip install "fsm-engine[cli,inspector]"' in done.stderr


def test_a_recorded_run_is_refused_with_the_command_for_it():
    from fsm_engine.inspector.replay import serve_replay

    engine = trainer()
    with engine.record() as timeline:
        engine.run([1, 2])
    with serve_replay(timeline, "run.fsmt") as server:
        done = watch(server.address, "--once")
    assert done.exit_code == 2
    assert "timeline summary" in done.stderr
