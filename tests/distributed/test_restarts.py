"""Ranks that a launcher starts again, and the ways in which a job ends: the outcome and exit code of every process."""

from __future__ import annotations

import signal
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from children import Child, Children  # noqa: E402
from ranks import Ranks, reports  # noqa: E402

TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL


def test_restarted_ranks_do_not_read_what_earlier_ones_wrote_to_the_store(ranks: Ranks, children: Children) -> None:
    agent = """
        import sys, time
        from torch.distributed import TCPStore
        store = TCPStore("127.0.0.1", int(sys.argv[1]), is_master=True, wait_for_workers=False)
        print("ready", flush=True)
        while not store.check(["done"]):
            time.sleep(0.01)
    """
    code = """
        with session() as ranks:
            c10d.all_reduce(torch.ones(1))
            if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
                os.kill(os.getpid(), 9)
            value = torch.ones(1)
            c10d.all_reduce(value)
            report(value.item())
    """
    port = str(ranks.port())
    folder = ranks.folder / "agent"
    folder.mkdir()
    of_agent = children.start(folder, agent, port)
    of_agent.wait_for("ready")
    shared = {"MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": "True", "GROUP_WORLD_SIZE": "1"}

    killed = ranks.start(2, code, TORCHELASTIC_RESTART_COUNT="0", **shared)
    assert [child.wait() for child in killed] == [-KILL] * 2
    assert ranks.run(2, code, TORCHELASTIC_RESTART_COUNT="1", **shared) == [[2.0], [2.0]]
    of_agent.send_signal(TERM)
    of_agent.wait()


# How jobs end

PROGRAM = """
    import logging, signal
    from fsm_engine.handlers import GracefulStop, graceful_stop
    logging.basicConfig(format="%(levelname)s %(message)s")
    how = sys.argv[2]
    graceful_stop._PASSED_ON_WITHIN = 1000

    def step(engine, batch):
        if "SIG" in how and engine.state.iteration == 4:
            report("trains")
            while not os.access(os.path.join(os.environ["RANKS_FOLDER"], "signals sent"), os.F_OK):
                if stop and stop.requested:
                    print("has received a signal", flush=True)
                time.sleep(0.002)
        c10d.all_reduce(torch.ones(1))
        if rank == 1 and engine.state.iteration == 5:
            if how in ("terminate", "interrupt"):
                getattr(engine, how)()
            elif how.startswith("exception"):
                raise ValueError("a bad batch")

    with session() as ranks:
        trainer = Engine(step)
        ranks.attach(trainer)
        if "handler" in how:
            trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: report(type(error).__name__))
        stop = GracefulStop().attach(trainer) if "GracefulStop" in how else None
        try:
            trainer.run(range(100_000))
        finally:
            report(trainer.outcome)
        if stop and trainer.outcome == "interrupted":
            sys.exit(128 + stop.signal)
"""

ENDS: list[tuple[str, list[int], list[str | None], list[int]]] = [
    ("terminate", [], ["terminated"] * 2, [0, 0]),
    ("interrupt", [], ["interrupted"] * 2, [0, 0]),
    ("exception", [], ["failed"] * 2, [1, 1]),
    ("exception, handler", [], ["failed"] * 2, [1, 1]),
    ("SIGTERM to one, GracefulStop", [TERM], ["interrupted"] * 2, [143, 143]),
    ("SIGTERM to all, GracefulStop", [TERM, TERM], ["interrupted"] * 2, [143, 143]),
    ("SIGINT to all, GracefulStop", [INT, INT], ["interrupted"] * 2, [130, 130]),
    ("SIGINT to all, passed on by torchrun, GracefulStop", [INT, INT], ["interrupted"] * 2, [130, 130]),
    ("SIGTERM to one", [TERM], ["failed", None], [1, -TERM]),
    ("SIGKILL to one", [KILL], ["failed", None], [1, -KILL]),
    ("SIGINT to all", [INT, INT], ["failed"] * 2, [-INT, -INT]),
]
"""How a job ends: the signals sent to ranks 1 and 0, the outcome on each rank, and the exit code of each rank."""


def start(ranks: Ranks, how: str, signals: list[int]) -> list[Child]:
    started = ranks.start(2, PROGRAM, how, TORCHELASTIC_RUN_ID="1" if "passed on" in how else "")
    if signals:
        for child in started:
            child.wait_for("trains")
    for child, number in zip(reversed(started), signals):
        child.send_signal(number)
        if "passed on" in how:
            child.wait_for("has received a signal")  # a signal that comes while the same one is pending would be lost
            child.send_signal(number)
    ranks.release("signals sent")
    return started


@pytest.mark.parametrize(("how", "signals", "outcomes", "codes"), ENDS, ids=[how for how, *_ in ENDS])
def test_a_job_ends(ranks: Ranks, how: str, signals: list[int], outcomes: list[Any], codes: list[int]) -> None:
    started = start(ranks, how, signals)

    ended = [child.wait() for child in started]

    errors = [child.err.read_text() for child in started]
    values = [[value for value in reports(child) if value != "trains"] for child in started]
    assert (ended, [each[-1] if each else None for each in values]) == (codes, outcomes), errors
    if how.startswith("exception"):
        for error in errors:
            assert "ValueError: a bad batch" in error
        assert "RankError: Rank 1 failed in ITERATION_STARTED, epoch 1, iteration 5" in errors[0]
    if how == "exception, handler":
        assert values[1][0] == "ValueError"
        assert len(values[0]) == 2


# Functions that are launched

LAUNCH = """
    import os, signal, sys, time
    import torch
    import torch.distributed as c10d
    from fsm_engine import Engine
    from fsm_engine.distributed import launch, session
    from fsm_engine.handlers import GracefulStop

    def main(how):  # defined in __main__, as in a notebook
        with session() as ranks:
            attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]
            assert os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "False"
            if how == "kill" and attempt == "0" and ranks.rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "exception" and ranks.rank == 1:
                raise ValueError("a bad batch")
            if how.startswith("SIG"):
                def step(engine, batch):
                    c10d.all_reduce(torch.ones(1))
                    if engine.state.iteration == 3:
                        os.write(1, b"trains\\n")  # one write: both ranks have the same file
                        while not stop.requested:  # the agent of torchrun signals one rank after the other
                            time.sleep(0.002)
                trainer = Engine(step)
                ranks.attach(trainer)
                stop = GracefulStop().attach(trainer)
                trainer.run(range(10))
                os.write(1, f"{trainer.outcome} {stop.signal}\\n".encode())
                sys.exit(128 + stop.signal)
            value = torch.ones(1)
            c10d.all_reduce(value)
            return ranks.rank, int(attempt), value.item()

    print(launch(main, 2, sys.argv[1], max_restarts=1 if sys.argv[1] == "kill" else 0))
"""


def test_launch_starts_all_ranks_again_and_returns_the_results_of_the_last_attempt(ranks: Ranks) -> None:
    child = ranks.launch(LAUNCH, "kill")

    assert child.wait() == 0, child.err.read_text()
    assert child.out.read_text() == "[(0, 1, 2.0), (1, 1, 2.0)]\n"


def test_launch_raises_the_exception_of_the_rank_that_failed(ranks: Ranks) -> None:
    child = ranks.launch(LAUNCH, "exception")

    assert child.wait() == 1
    assert "ChildFailedError" in child.err.read_text()
    assert "ValueError: a bad batch" in child.err.read_text()


def test_a_signal_to_the_launcher_stops_all_ranks_gracefully(ranks: Ranks) -> None:
    child = ranks.launch(LAUNCH, "SIGTERM")
    child.wait_until(lambda: child.out.read_text().count("trains") == 2)
    child.send_signal(TERM)

    assert child.wait() == 1
    assert child.out.read_text().splitlines() == [*["trains"] * 2, *["interrupted 15"] * 2]
    assert "got signal: 15" in child.err.read_text()


def test_launch_says_why_it_cannot_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsm_engine.distributed import launch

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(RuntimeError, match=r"uses CUDA.*before anything uses a GPU"):
        launch(print, 2)
    monkeypatch.delattr("os.fork")
    with pytest.raises(RuntimeError, match=r"cannot do.*torchrun"):
        launch(print, 2)
