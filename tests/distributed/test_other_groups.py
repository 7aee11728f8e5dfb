"""Sessions in a process group that another library has made, in a thread, and in processes without a group."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks  # noqa: E402

from fsm_engine import distributed  # noqa: E402

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "distributed.md"


def test_the_example_with_accelerate_trains_in_two_processes(ranks: Ranks) -> None:
    pytest.importorskip("accelerate")
    (example,) = (
        block
        for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
        if "Accelerator" in block
    )
    code = """
        scope = {"__name__": "guide"}
        exec(sys.argv[2], scope)
        iterations, accuracy = scope["train_with_accelerate"]()
        report([iterations, accuracy, c10d.is_initialized()])
    """
    first, second = ranks.run(2, code, example, LOCAL_WORLD_SIZE="2")

    assert first == second
    ((iterations, accuracy, is_open),) = first
    assert iterations == 2 * 4  # 64 examples, two processes, batches of 8
    assert accuracy > 0.7
    assert is_open


def test_a_session_in_a_thread_agrees_and_refuses_to_catch_signals(ranks: Ranks) -> None:
    code = """
        import threading
        from fsm_engine.handlers import GracefulStop

        def train():
            with session() as ranks:
                # a step of a millisecond: the request arrives long before the data ends
                trainer, other = Engine(lambda engine, batch: time.sleep(0.001)), Engine(lambda engine, batch: None)
                ranks.attach(trainer, other)
                if rank == 1:
                    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), trainer.interrupt)
                trainer.run(range(100_000))
                report([trainer.outcome, trainer.state.iteration])
                GracefulStop().attach(other)
                try:
                    other.run([1])
                except RuntimeError as error:
                    report(str(error))
                    raise

        c10d.init_process_group("gloo")  # as Ray Train does
        thread = threading.Thread(target=train)
        threading.excepthook = lambda arguments: report(arguments.exc_type.__name__)
        thread.start()
        thread.join()
    """
    first, second = ranks.run(2, code)

    assert first[0] == second[0]
    assert first[0][0] == "interrupted"
    for _, message, error in (first, second):
        assert "main thread" in message
        assert "engine.interrupt() from any thread" in message
        assert error in ("RuntimeError", "RankError")


def test_processes_of_srun_without_a_group_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with caplog.at_level(logging.WARNING), distributed.session() as ranks:
        assert ranks.world_size == 1
    for part in ("4 processes", "RANK=$SLURM_PROCID", "MASTER_ADDR"):
        assert part in caplog.text
