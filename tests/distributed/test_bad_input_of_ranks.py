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
            "only on rank 0: the transition",
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
