"""A rank that fails or stalls: the other ranks name it."""

from __future__ import annotations

import signal

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks, reports  # noqa: E402

PROGRAM = """
    import logging
    logging.basicConfig(format="%(levelname)s %(message)s")

    def step(engine, batch):
        if sys.argv[2] == "step" and rank == 1 and engine.state.iteration == 3:
            raise ValueError("a bad batch")
        if sys.argv[3] == "collective":
            c10d.all_reduce(torch.ones(1))
        else:
            time.sleep(0.01)

    try:
        with session() as ranks:
            trainer = Engine(step)
            ranks.attach(trainer)
            if sys.argv[4] == "handled":
                trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: report(type(error).__name__))
            if sys.argv[2] == "script" and rank == 1:
                raise ValueError("a bad batch")
            trainer.run(range(100_000))
    except BaseException as error:
        report([type(error).__name__, str(error), type(error.__cause__).__name__])
        raise
"""


@pytest.mark.parametrize("communication", ["collective", "none"])
@pytest.mark.parametrize("place", ["step", "script"])
def test_every_rank_names_the_one_that_failed_first(ranks: Ranks, place: str, communication: str) -> None:
    started = ranks.start(3, PROGRAM, place, communication, "unhandled")
    statuses = [child.wait() for child in started]

    assert statuses == [1, 1, 1], [child.err.read_text()[-4000:] for child in started]
    where = "in ITERATION_STARTED, epoch 1, iteration 3" if place == "step" else "outside a run"
    assert reports(started[1]) == [["ValueError", "a bad batch", "NoneType"]]
    for other in (started[0], started[2]):
        ((kind, message, _),) = reports(other)
        assert (kind, message) == ("RankError", f"Rank 1 failed {where}: ValueError: a bad batch")
        assert f"ERROR Rank 1 failed {where}" in other.err.read_text()


def test_a_handled_exception_of_one_rank_ends_all_with_an_error(ranks: Ranks) -> None:
    started = ranks.start(2, PROGRAM, "step", "collective", "handled")
    statuses = [child.wait() for child in started]

    assert statuses == [1, 1]
    assert reports(started[1])[0] == "ValueError"
    assert reports(started[0])[-1][0] == "RankError"


def test_every_rank_tells_where_the_others_are_when_nothing_moves(ranks: Ranks) -> None:
    code = """
        import logging
        logging.basicConfig(format="%(levelname)s %(message)s")

        def evaluate():
            if rank == 0:
                wait_for("reports")
        def step(engine, batch):
            c10d.all_reduce(torch.ones(1))

        with session(stall_after=1) as ranks:
            trainer = Engine(step)
            ranks.attach(trainer)
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), evaluate)
            trainer.run(range(3))
            report(trainer.outcome)
    """
    started = ranks.start(2, code)
    for child in started:
        child.wait_for_error(r"rank 0: ITERATION_COMPLETED, epoch 1, iteration 2, in evaluate \[wait_for, ")
        child.wait_for_error(r"rank 1: ITERATION_STARTED, epoch 1, iteration 3, in step \[")
    ranks.release("reports")
    assert [child.wait() for child in started] == [0, 0]


def test_a_stall_that_lasts_is_reported_again(ranks: Ranks) -> None:
    code = """
        import logging
        logging.basicConfig(format="%(levelname)s %(message)s")

        with session(stall_after=0.2) as ranks:
            trainer = Engine(lambda engine, batch: wait_for(str(batch)))
            ranks.attach(trainer)
            trainer.run([1, 2])
    """
    started = ranks.start(2, code)
    for iteration in (1, 2):
        for child in started:
            child.wait_for_error(rf"(?s)(No move for .*iteration {iteration}, in .*){{2}}")
        ranks.release(str(iteration))
    assert [child.wait() for child in started] == [0, 0]


METRIC_OF_RANK_0 = """
    import logging
    logging.basicConfig(format="%(levelname)s %(message)s")
    from fsm_engine.distributed import gathering
    from fsm_engine.metrics import Average

    gathering._WARN_AFTER = gathering.timedelta(seconds=0.1)
    join()
    with session(timeout=float(sys.argv[2]), stall_after=1) as ranks:
        trainer, evaluator = (Engine(lambda engine, batch: float(batch)) for _ in range(2))
        Average().attach(evaluator, "mean")
        ranks.attach(trainer, evaluator, uneven="keep")
        if rank == 0:
            trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
        trainer.run([1])
        report("has run")
"""


def test_a_metric_on_one_rank_is_named_while_the_other_rank_has_ended_its_run(ranks: Ranks) -> None:
    alone, other = ranks.start(2, METRIC_OF_RANK_0, "600")

    other.wait_for("has run")
    alone.wait_for_error(r"Rank 0 has waited 0.1 s for other ranks in the metric 'mean' \(Average\)")
    alone.wait_for_error(r"rank 0: .*EPOCH_COMPLETED.*; rank 1: outside a run \[wait, threading.py:\d+\]\n")


def test_a_rank_that_leaves_alone_names_the_ranks_that_it_leaves(ranks: Ranks) -> None:
    alone, other = ranks.start(2, METRIC_OF_RANK_0, "1")

    assert [other.wait(), alone.wait()] == [0, 1]
    assert "Ranks [0] have not left the session after" in other.err.read_text()


def test_every_rank_names_the_handler_that_waits_in_a_collective_of_rank_0_alone(ranks: Ranks) -> None:
    code = """
        import logging
        logging.basicConfig(format="%(levelname)s %(message)s")

        def synchronize():
            c10d.barrier()

        def step(engine, batch):
            if engine.state.iteration == 3:
                wait_for("nothing")

        with session(stall_after=1) as ranks:
            trainer = Engine(step)
            ranks.attach(trainer)
            if rank == 0:
                trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), synchronize)
            trainer.run(range(3))
    """
    started = ranks.start(2, code)
    named = (
        r"No move for \d+ s\. rank 0: ITERATION_COMPLETED, epoch 1, iteration 2, in synchronize \[.*"
        r"rank 1: ITERATION_STARTED, epoch 1, iteration 3, in step \[wait_for, "
    )
    for child in started:
        child.wait_for_error(named)


def test_a_stopped_rank_is_named(ranks: Ranks) -> None:
    code = """
        import logging, signal
        logging.basicConfig(format="%(levelname)s %(message)s")

        def step(engine, batch):
            c10d.all_reduce(torch.ones(1))

        with session(stall_after=1) as ranks:
            trainer = Engine(step)
            ranks.attach(trainer)
            if rank == 1:
                trainer.add_event_handler(Events.ITERATION_COMPLETED(once=3), os.kill, os.getpid(), signal.SIGSTOP)
            trainer.run(range(5))
    """
    first, second = ranks.start(2, code)
    first.wait_for_error(r"rank 0: ITERATION_STARTED, epoch 1, iteration 4, .*rank 1: .*, does not answer")

    def has_ended() -> bool:
        second.send_signal(signal.SIGCONT)  # again and again, because it may stop itself only now
        return second.has_ended()

    second.wait_until(has_ended)
    assert [first.wait(), second.wait()] == [0, 0]


LONELY = """
    import logging, signal
    logging.basicConfig(format="%(levelname)s %(message)s")

    def step(engine, batch):
        time.sleep(0.01)
        if engine.state.iteration == 5:
            if rank == int(sys.argv[2]):
                os.kill(os.getpid(), getattr(signal, sys.argv[3]))
            wait_for("nothing")

    with session(stall_after=1) as ranks:
        trainer = Engine(step)
        ranks.attach(trainer)
        c10d.barrier()  # a rank that is lost earlier has not opened its session
        trainer.run(range(10))
"""


@pytest.mark.parametrize(("lost", "how"), [(0, "SIGSTOP"), (1, "SIGKILL"), (0, "SIGKILL")])
def test_ranks_without_a_collective_name_the_rank_that_is_lost(ranks: Ranks, lost: int, how: str) -> None:
    started = ranks.start(2, LONELY, str(lost), how)
    living = 1 - lost
    store = "the store of the process group does not answer"  # rank 0 has it
    answer = store if lost == 0 else r"rank 1: .*, does not answer"

    started[living].wait_for_error(
        rf"No move for \d+ s\. rank {living}: .*, epoch 1, iteration 5, in step \[.*; {answer}"
    )
