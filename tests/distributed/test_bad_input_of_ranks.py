"""Mistakes that ranks make together: every rank ends with an error that names the mistake, and none waits."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks, reports  # noqa: E402

RUN = """
    from fsm_engine.handlers import EarlyStopping

    def step(engine, batch):
        c10d.all_reduce(torch.ones(1))

    try:
        with session() as ranks:
            trainer = Engine(step)
            {difference}
            ranks.attach(trainer)
            trainer.run(range(3), max_epochs=2)
    except BaseException as error:
        report(str(error))
        raise
"""


@pytest.mark.parametrize(
    ("difference", "named"),
    [
        (
            "if rank == 1: EarlyStopping(2, lambda engine: 0, trainer).attach(trainer, Events.ITERATION_COMPLETED)",
            "only on rank 1: the handler EarlyStopping of Events.ITERATION_COMPLETED",
        ),
        (
            "if rank == 0: trainer.lifecycle.insert('CHECK', after=Events.EPOCH_COMPLETED)",
            "only on rank 0: the phase CHECK. Edit the lifecycle",
        ),
        (
            "if rank == 1: trainer.lifecycle.add_transition(Events.STARTED >> Events.COMPLETED, guard=bool)",
            "only on rank 1: the transition Events.STARTED --completed--> Events.COMPLETED. Edit the lifecycle",
        ),
    ],
)
def test_a_difference_between_the_engines_is_named_on_all_ranks(ranks: Ranks, difference: str, named: str) -> None:
    started = ranks.start(2, RUN.format(difference=difference))

    assert [child.wait() for child in started] == [1, 1]
    for child in started:
        (message,) = reports(child)
        assert "the ranks do not run the same engine 0" in message
        assert named in message
        assert len(message) < 400  # it is read in a terminal


def test_other_phases_are_named_without_their_transitions(ranks: Ranks) -> None:
    code = """
        from fsm_engine import create_supervised_trainer
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with session() as ranks:
            if rank == 0:
                trainer = Engine(lambda engine, batch: None)
            else:
                trainer = create_supervised_trainer(model, optimizer, torch.nn.functional.mse_loss)
            ranks.attach(trainer)
            trainer.run([(torch.ones(1), torch.ones(1))] * 3)
    """
    started = ranks.start(2, code)

    assert [child.wait() for child in started] == [1, 1]
    for child in started:
        last = child.err.read_text()
        assert "only on rank 1: the phase StepEvents." in last
        assert "and 4 more. Edit the lifecycle" in last
        assert "the transition" not in last


def test_an_error_that_all_ranks_raise_is_raised_once_on_each(ranks: Ranks) -> None:
    code = """
        with session() as ranks:
            trainer = Engine(lambda engine, batch: None)
            ranks.attach(trainer)
            trainer.run(range(3 + rank))
    """
    started = ranks.start(2, code)

    assert [child.wait() for child in started] == [1, 1]
    for child in started:
        error = child.err.read_text()
        assert error.count("Traceback (most recent call last)") == 1
        assert "RankMismatchError: ranks have different numbers of iterations" in error


def test_an_engine_that_is_not_attached_is_warned_of_once(ranks: Ranks) -> None:
    code = """
        import logging
        logging.basicConfig(format="%(levelname)s %(message)s")
        with session() as ranks:
            step = lambda engine, batch: None
            attached, inner, forgotten = Engine(step), Engine(step), Engine(step, name="forgotten")
            ranks.attach(attached)
            attached.add_event_handler(Events.EPOCH_COMPLETED, lambda: inner.run([1]))
            attached.run([1])
            print("none so far", file=sys.stderr, flush=True)
            forgotten.run([1])
            forgotten.run([1], max_epochs=2)
        forgotten.run([1], max_epochs=3)
    """
    started = ranks.start(2, code)

    assert [child.wait() for child in started] == [0, 0]
    for child in started:
        before, after = child.err.read_text().split("none so far")
        assert before == ""
        assert after.count("WARNING") == 1
        for part in ("The engine forgotten runs in a session of 2 ranks", "Call ranks.attach(engine) before run()"):
            assert part in after


def test_handlers_of_rank_0_that_wait_for_nobody_are_no_difference(ranks: Ranks) -> None:
    code = """
        with session() as ranks:
            trainer = Engine(lambda engine, batch: None)
            ranks.attach(trainer)
            if rank == 0:
                trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: None)
            trainer.run(range(3))
            report(trainer.state.iteration)
    """
    assert ranks.run(2, code) == [[3], [3]]


def test_engines_are_attached_before_they_run(ranks: Ranks) -> None:
    code = """
        def try_to(attach):
            try:
                attach()
            except (ValueError, RuntimeError) as error:
                report(str(error))

        with session() as ranks:
            trainer = Engine(lambda engine, batch: None)
            trainer.add_event_handler(Events.STARTED, try_to, lambda: ranks.attach(trainer))
            trainer.run(range(2))
            try_to(lambda: ranks.attach(trainer))
            other = Engine(lambda engine, batch: None)
            ranks.attach(other)
            try_to(lambda: ranks.attach(other))
            try_to(lambda: session().__enter__())
            other.run(range(2))
            report(other.state.iteration)
    """
    first, second = ranks.run(2, code)

    assert first == second
    during, after, twice, second_session, iterations = first
    assert "called in STARTED" in during
    assert "after a run" in after
    assert "attached already" in twice
    assert "a session is open already" in second_session
    assert iterations == 2


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_finds_no_other_names_the_address(ranks: Ranks, rank: int) -> None:
    code = """
        try:
            with session(timeout=1):
                report("joined")
        except RuntimeError as error:
            report(str(error))
    """
    (child,) = ranks.start(1, code, WORLD_SIZE="2", RANK=str(rank))

    assert child.wait() == 0
    (message,) = reports(child)
    assert f"within 1 s (RANK={rank}, WORLD_SIZE=2, MASTER_ADDR=127.0.0.1, MASTER_PORT=" in message
    assert "torchrun" in message
