"""The command `run`: scripts, engines and functions, their exit codes, the recording, and Ctrl-C."""

from __future__ import annotations

import re
import signal
import sys
import threading
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from command_line import call, process, ran

from fsm_engine import Engine
from fsm_engine.cli.running import run
from fsm_engine.engine import recording
from fsm_engine.timeline import Timeline

TRAIN = """
    import sys
    from fsm_engine import Engine, Events

    print("imported as", __name__)

    def step(engine, batch):
        if batch == "bad":
            raise ValueError("bad batch")
        return batch

    def echo(engine, batch):
        return batch

    loader = [1, 2, 3]
    bad_loader = ["bad"]
    trainer, evaluator = Engine(step), Engine(echo)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate():
        evaluator.run([1])

    @trainer.on(Events.COMPLETED)
    def tell(engine):
        print(f"{engine.state.epoch} epochs, {engine.state.iteration} iterations")

    def main():
        print("arguments", sys.argv[1:])
        trainer.run(loader, max_epochs=2)

    def build(): return Engine(step)
    def built_and_run(): main(); return trainer
    def batches(): yield from loader
    def no_batches(): return 1 / 0
    def needs(data): ...
    def nothing(): ...
    def leave(): sys.exit("no more")
    async def later(): ...

    if __name__ == "__main__":
        main()
        for code in sys.argv[1:]:
            if code == "fail":
                trainer.run(bad_loader, max_epochs=3)
            sys.exit(int(code))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "train.py").write_text(dedent(TRAIN))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def tracks(path: Path) -> list[tuple[str, int]]:
    """Return the name and the number of entered ITERATION_STARTED of each track in a file."""
    return [
        (track.name, sum(move.kind.target == "Events.ITERATION_STARTED" for move in track.moves))
        for track in Timeline.load(path).tracks
    ]


# Targets


@pytest.mark.parametrize("target", ["train.py", "./train.py", "train"])
def test_a_script_runs_as_main_with_its_arguments(here: Path, target: str) -> None:
    done = call("run", target, "--", "0")
    assert done.stdout.splitlines() == ["imported as __main__", "arguments ['0']", "2 epochs, 6 iterations"]
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["train.py:trainer", "--data", "train.py:loader", "--epochs", "3"], ["3 epochs, 9 iterations"]),
        (["train:trainer", "--data", "train:batches"], ["1 epochs, 3 iterations"]),
        (["train.py:main", "--", "-x"], ["arguments ['-x']", "2 epochs, 6 iterations"]),
        (["train.py:main", "--epochs", "3"], ["arguments []", "2 epochs, 6 iterations"]),
        (["train.py:built_and_run"], ["arguments []", "2 epochs, 6 iterations"]),
        (["train.py:build", "--data", "train.py:loader"], []),
        (["train.py:nothing"], []),
    ],
)
def test_an_engine_or_a_function_runs(here: Path, arguments: list[str], printed: list[str]) -> None:
    done = call("run", *arguments)
    assert (done.exit_code, done.stdout.splitlines()[1:]) == (0, printed)
    assert ("had no effect" in done.stderr) == (arguments[1:2] == ["--epochs"])


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["trian.py"], ("no file trian.py", "train.py")),
        (["trian"], ("no module trian", "train")),
        (["a b"], ("'a b' is not a module name",)),
        (["trian.py:trainer"], ("no file trian.py", "train.py")),
        (["train.py:trianer"], ("no trianer", "trainer")),
        (["train.py:loader"], ("train.py:loader is a list", "engine", "train.py has trainer, evaluator.")),
        (["train.py:needs"], ("required arguments", "'data'")),
        (["train.py:later"], ("later is a coroutine function", "asyncio.run")),
        (["train.py:trainer"], ("train.py:trainer cannot run", "epoch_length", "--data train.py:loader")),
        (["train.py:trainer", "--data", "train.py"], ("--data train.py", "train.py:loader")),
        (["train.py:trainer", "--data", "train.py:laoder"], ("no laoder", "loader")),
        (["train.py:trainer", "--data", "train.py:needs"], ("required arguments", "'data'")),
        (["train.py:trainer", "--data", "train.py:no_batches"], ("ZeroDivisionError", "train.py:")),
        (["train.py", "--epochs", "3"], ("--epochs", "train.py:trainer")),
        (["train.py", "--data", "train.py:loader"], ("--data", "train.py:trainer")),
        (["train.py", "--record", "nowhere/run.fsmt"], ("no folder nowhere", "mkdir -p nowhere")),
        (["train.py", "--record", "."], ("is a folder", "run.fsmt")),
        (["lifecycle.json"], ("lifecycle.json is a lifecycle", "train.py:trainer")),
    ],
)
def test_an_error_of_the_command_is_one_line_before_anything_runs(
    here: Path, arguments: list[str], fragments: tuple[str, ...]
) -> None:
    done = call("run", *arguments)
    assert done.exit_code == 2
    assert "epochs" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert [fragment for fragment in fragments if fragment not in line] == [], line


# Exit codes and exceptions


@pytest.mark.parametrize(("arguments", "code"), [(["train.py", "--", "7"], 7), (["train.py", "--", "0"], 0)])
def test_the_exit_code_of_the_program_is_kept(here: Path, arguments: list[str], code: int) -> None:
    assert call("run", *arguments).exit_code == code


def test_a_message_of_sys_exit_is_printed(here: Path) -> None:
    done = call("run", "train.py:leave")
    assert (done.exit_code, done.stderr) == (1, "no more\n")


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["train.py", "--", "fail"], "in <module>"),
        (["train", "--", "fail"], "in <module>"),
        (["train.py:trainer", "--data", "train.py:bad_loader"], "in run"),
    ],
)
def test_an_exception_of_the_training_has_the_traceback_that_python_prints(
    here: Path, arguments: list[str], first: str
) -> None:
    done = call("run", "--record", "run.fsmt", *arguments)
    frames = re.findall(r"^  File .*, (in .*)$", done.stderr, re.MULTILINE)
    assert (done.exit_code, frames[0], frames[-1]) == (1, first, "in step")
    assert "\nValueError: bad batch\n" in done.stderr
    assert "cli" not in done.stderr
    assert "engine.state.output = step(engine, state.batch)" in done.stderr
    assert [move.kind.target for move in Timeline.load("run.fsmt").tracks[0].moves][-2:] == [
        "Events.EXCEPTION_RAISED",
        "IDLE",
    ]


def test_the_programs_own_hook_gets_the_exception(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    (here / "hooked.py").write_text("import sys\nsys.excepthook = lambda *error: print(error[1])\n1 / 0\n")
    done = call("run", "hooked.py")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "division by zero\n", "")


def test_nothing_of_the_program_stays_in_this_process(here: Path) -> None:
    before = sys.path[:], sys.argv, signal.getsignal(signal.SIGINT), sys.modules["__main__"]
    assert call("run", "train.py", "--record", "run.fsmt").exit_code == 0
    assert (sys.path, sys.argv, signal.getsignal(signal.SIGINT), sys.modules["__main__"]) == before
    assert "train" not in sys.modules
    assert recording._before_runs == []


# The recording


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train.py"], [("training", 6), ("evaluator", 2)]),
        (["train.py", "--", "fail"], [("training", 7), ("evaluator", 2)]),
        (["train.py:trainer", "--data", "train.py:loader"], [("training", 3), ("evaluator", 1)]),
        (["train.py:main"], [("training", 6), ("evaluator", 2)]),
    ],
)
def test_every_engine_that_runs_is_recorded_the_outermost_first(
    here: Path, arguments: list[str], expected: list[tuple[str, int]]
) -> None:
    assert "Wrote run.fsmt" in call("run", "--record", "run.fsmt", *arguments).stderr
    assert tracks(here / "run.fsmt") == expected
    verified = call("timeline", "verify", "run.fsmt")
    assert (verified.exit_code, "allows every transition" in verified.stderr) == (0, True)


def test_engines_of_other_threads_are_recorded(here: Path) -> None:
    (here / "threads.py").write_text(
        dedent("""
            import threading
            from fsm_engine import Engine
            engines = [Engine(lambda engine, batch: batch) for _ in range(3)]
            threads = [threading.Thread(target=engine.run, args=([1, 2],)) for engine in engines]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """)
    )
    assert call("run", "threads.py", "--record", "run.fsmt").exit_code == 0
    assert tracks(here / "run.fsmt") == [("training", 2)] * 3


def test_each_rank_writes_a_file_of_its_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert call("run", "train.py:main", "--record", "run.fsmt").exit_code == 0
    assert sorted(path.name for path in here.glob("*.fsmt")) == ["run_rank0.fsmt", "run_rank1.fsmt"]


def test_a_program_without_a_run_writes_no_file(here: Path) -> None:
    done = call("run", "train.py:nothing", "--record", "run.fsmt")
    assert (done.exit_code, (here / "run.fsmt").exists()) == (0, False)
    assert "No engine ran" in done.stderr


def test_a_program_that_records_its_engines_itself_works_as_without_the_option(here: Path) -> None:
    (here / "own.py").write_text(
        dedent("""
            from fsm_engine import Engine, Events

            trainer, evaluator = Engine(lambda engine, batch: batch), Engine(lambda engine, batch: batch)
            recorded = []

            @trainer.on(Events.EPOCH_COMPLETED)
            def evaluate():
                evaluator.run([1])

            trainer.run([1, 2])  # recorded by the command only
            for engine in (trainer, evaluator):
                with engine.record() as timeline:
                    timeline.count("loss", 1.0)
                    engine.run([1, 2, 3])
                recorded.append([len(list(track.moves)) for track in timeline.tracks])
            trainer.run([1])
            print(recorded, trainer._recorder is not None)
        """)
    )
    alone = ran("own.py", code="import runpy, sys; runpy.run_path(sys.argv[1])")
    assert alone[0] == 0, alone[2]
    done = call("run", "own.py", "--record", "run.fsmt")
    assert (done.exit_code, done.stdout) == (0, alone[1].replace("False", "True")), done.stderr
    # first run, last run of the trainer, each with the evaluator; then the program's own
    assert sorted(count for _, count in tracks(here / "run.fsmt")) == [1, 1, 1, 1, 2, 3, 3]
    assert list(Timeline.load("run.fsmt").counters) == ["loss"]


def test_a_hook_of_outermost_runs_is_not_called_for_inner_runs() -> None:
    outer, inner = Engine(lambda engine, batch: inner.run([1])), Engine(lambda engine, batch: batch)
    seen: list[tuple[Any, bool]] = []
    with recording.before_outermost_runs(lambda engine: seen.append((engine, engine.is_running))):
        outer.run([1, 2])
        inner.run([1])
    outer.run([1])
    assert seen == [(outer, True), (inner, True)]


# Ctrl-C

SLOW = """
    import os, time
    from fsm_engine import Engine, Events

    def step(engine, batch):
        if engine.state.iteration == 3:
            print("begun", flush=True)
            while not engine.should_interrupt or os.environ["TIMES"] == "2":  # until the last Ctrl-C
                time.sleep(0.01)

    loader = range(100)
    trainer = Engine(step)

    @trainer.on(Events.INTERRUPT)
    def interrupted():
        print("suspended after iteration", trainer.state.iteration)

    def main():
        try:
            trainer.run(loader)
        finally:
            print(trainer.outcome)

    if __name__ == "__main__":
        main()
        print("trained")
"""


def interrupt(here: Path, *arguments: str, times: int) -> tuple[int | None, str, str]:
    (here / "slow.py").write_text(dedent(SLOW))
    with process("run", *arguments, "--record", "run.fsmt", env={"TIMES": str(times)}) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "begun\n"
        for _ in range(times - 1):
            running.send_signal(signal.SIGINT)
            assert "Press Ctrl-C again" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=400)
    return running.returncode, out, err


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        (["slow.py"], "interrupted\n"),
        (["slow.py:main"], "interrupted\n"),
        (["slow.py:trainer", "--data", "slow.py:loader"], ""),
    ],
)
def test_the_first_ctrl_c_suspends_the_run_and_ends_the_program(here: Path, arguments: list[str], outcome: str) -> None:
    code, out, err = interrupt(here, *arguments, times=1)
    assert (code, out) == (130, f"suspended after iteration 3\n{outcome}")
    assert "Traceback" not in err
    assert "Wrote run.fsmt" in err
    (track,) = Timeline.load(here / "run.fsmt").tracks
    assert str(track.last_move.kind) == "run suspended in Events.INTERRUPT"  # type: ignore[union-attr]


def test_the_second_ctrl_c_ends_the_run_at_once(here: Path) -> None:
    code, out, err = interrupt(here, "slow.py", times=2)
    assert (code, out) == (130, "failed\n")
    assert "Wrote run.fsmt" in err


def test_a_signal_is_not_handled_outside_the_main_thread(here: Path) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run("train.py:main", None, None, None, False, False, [])))
    thread.start()
    thread.join()
    assert codes == [0]
