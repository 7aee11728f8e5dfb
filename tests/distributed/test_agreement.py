"""Signals that one rank asks for: all ranks handle them at the same place."""

from __future__ import annotations

import json
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks, reports  # noqa: E402

PROGRAM = """
    import random

    plans = json.loads(sys.argv[2])
    chance = random.Random(rank)

    def sleep_sometimes():
        if chance.random() < 0.2:
            time.sleep(chance.random() * 0.004)

    class Data:
        def __len__(self):
            return 5
        def __iter__(self):
            for number in range(5):
                sleep_sometimes()
                yield number

    def add_up(engine, batch):
        sleep_sometimes()
        if c10d.is_initialized():
            c10d.all_reduce(torch.ones(1))

    with session() as ranks:
        trainer, evaluator = Engine(add_up), Engine(add_up)
        ranks.attach(trainer, evaluator)
        events, requests = [], []

        def ask(engine, name, event):
            sleep_sometimes()
            for asker, where, at, iteration, method in requests:
                if asker in (rank, -1) and (where, at, iteration) == (name, event.name, engine.state.iteration):
                    getattr(engine, method)()

        for name, engine in (("trainer", trainer), ("evaluator", evaluator)):
            for event in (Events.STARTED, Events.EPOCH_STARTED, Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED,
                          Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Events.COMPLETED):
                engine.add_event_handler(event, ask, name, event)
            for event in (Events.TERMINATE, Events.INTERRUPT, Events.TERMINATE_SINGLE_EPOCH, Events.COMPLETED):
                engine.add_event_handler(
                    event, lambda e, n=name, x=event: events.append([n, x.name, e.state.epoch, e.state.iteration])
                )
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(Data(), max_epochs=1))
        for plan in plans:
            requests[:] = plan
            events.clear()
            trainer.state.max_epochs = None
            trainer.run(Data(), max_epochs=2)
            while trainer.outcome == "interrupted":
                trainer.run()
            report([trainer.outcome, events])
"""

PLACES = [
    ("trainer", "ITERATION_STARTED"),
    ("trainer", "ITERATION_COMPLETED"),
    ("trainer", "GET_BATCH_COMPLETED"),
    ("trainer", "EPOCH_COMPLETED"),
    ("evaluator", "ITERATION_COMPLETED"),
    ("trainer", "STARTED"),
    ("trainer", "EPOCH_STARTED"),
    ("trainer", "COMPLETED"),
]


def random_plans(seed: int, count: int, askers: list[int]) -> list[list[tuple[Any, ...]]]:
    import random

    chance, plans = random.Random(seed), []
    for _ in range(count):
        plan = []
        for _ in range(chance.choice([1, 1, 2, 3])):
            engine, event = chance.choice(PLACES[:3] * 3 + PLACES)
            epoch_is_open = event in ("ITERATION_STARTED", "GET_BATCH_COMPLETED")
            method = chance.choice(["terminate", "interrupt", *["terminate_epoch"] * epoch_is_open])
            if engine == "evaluator":
                method = "terminate"
            plan.append((chance.choice(askers), engine, event, chance.randint(1, 10), method))
        plans.append(plan)
    return plans


@pytest.mark.parametrize(("count", "trials"), [(2, 25), (4, 10)])
def test_ranks_stop_at_the_same_place_whoever_asks(ranks: Ranks, count: int, trials: int) -> None:
    plans = random_plans(count, trials, list(range(count)))

    first, *others = ranks.run(count, PROGRAM, json.dumps(plans))

    assert len(first) == trials
    assert others == [first] * (count - 1)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "trials"), [(2, 100), (3, 100)])
def test_ranks_stop_at_the_same_place_in_many_runs(ranks: Ranks, count: int, trials: int) -> None:
    plans = random_plans(count + 100, trials, list(range(count)))

    first, *others = ranks.run(count, PROGRAM, json.dumps(plans))

    assert len(first) == trials
    assert others == [first] * (count - 1)


def test_a_request_of_all_ranks_is_handled_where_one_process_handles_it(ranks: Ranks) -> None:
    plans = json.dumps(random_plans(1, 30, [-1]))
    (alone,) = ranks.run(1, PROGRAM, plans)

    together = ranks.run(3, PROGRAM, plans)

    assert together == [alone] * 3


def test_a_rank_that_is_ahead_is_not_asked_to_go_back(ranks: Ranks) -> None:
    code = """
        def step(engine, batch):
            while rank == 0 and engine.state.iteration == 20 and not engine.should_terminate:
                time.sleep(0.002)

        with session() as ranks:
            trainer = Engine(step)
            ranks.attach(trainer)
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: rank == 1 and trainer.terminate())
            trainer.run(range(50))
            report([trainer.outcome, trainer.state.iteration])
    """
    assert ranks.run(2, code) == [[["terminated", 20]]] * 2


def test_a_rank_whose_run_has_ended_answers(ranks: Ranks) -> None:
    code = """
        with session() as ranks:
            trainer = Engine(lambda engine, batch: None)
            ranks.attach(trainer, uneven="keep")  # so that no rank waits for the other one
            if rank == 1:
                c10d.barrier()  # the run of rank 0 has ended
                trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), trainer.terminate)
            trainer.run(range(5))
            if rank == 0:
                c10d.barrier()
            report([trainer.outcome, trainer.state.iteration])
    """
    assert ranks.run(2, code) == [[["completed", 5]], [["completed", 5]]]


def test_a_rank_that_attaches_late_receives_earlier_requests(ranks: Ranks) -> None:
    code = """
        with session() as ranks:
            trainer = Engine(lambda engine, batch: None)
            while rank == 1 and not ranks._log._received:  # the request of rank 0
                time.sleep(0.002)
            ranks.attach(trainer, uneven="keep")  # so that rank 0 does not wait for rank 1 before it asks
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: rank == 0 and trainer.terminate())
            trainer.run(range(5))
            report([trainer.outcome, trainer.state.iteration])
    """
    assert ranks.run(2, code) == [[["terminated", 2]]] * 2


def test_a_rank_that_does_not_answer_is_named(ranks: Ranks) -> None:
    code = """
        join()
        with session(timeout=1) as ranks:
            trainer = Engine(lambda engine, batch: None)
            if rank == 0:
                ranks.attach(trainer, uneven="keep")
                trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), trainer.terminate)
                trainer.run(range(5))
            while not ranks._failures.has_any:
                time.sleep(0.01)
    """
    started = ranks.start(2, code)

    assert [child.wait() for child in started] == [1, 1]
    assert "AgreementError: no decision" in started[0].err.read_text()
    for child in started:
        assert "no answer from ranks [1]" in child.err.read_text()


@pytest.mark.parametrize(
    ("killed", "timeout", "named"),
    [
        (1, "1", "no answer from ranks [1] within 1 s"),
        (0, "600", "the store of the process group has ended, with rank 0"),
    ],
)
def test_a_rank_that_is_killed_ends_the_agreement(ranks: Ranks, killed: int, timeout: str, named: str) -> None:
    code = """
        import signal
        from fsm_engine.distributed import AgreementError

        def ask(engine):
            if rank == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            wait_for("killed")
            engine.terminate()

        join()
        with session(timeout=float(sys.argv[3])) as ranks:
            trainer = Engine(lambda engine, batch: None)
            ranks.attach(trainer, uneven="keep")
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: c10d.barrier())
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=3), ask)
            trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: report(str(error)))
            trainer.run(range(10))
    """
    started = ranks.start(2, code, str(killed), timeout)

    assert started[killed].wait() == -9
    ranks.release("killed")
    assert started[1 - killed].wait() == 1
    (message,) = reports(started[1 - killed])
    assert named in message
    assert "AgreementError: no decision" in started[1 - killed].err.read_text()


def test_a_signal_from_another_thread_is_agreed_too(ranks: Ranks) -> None:
    code = """
        import threading
        with session() as ranks:
            def step(engine, batch):
                c10d.all_reduce(torch.ones(1))
                time.sleep(0.001)
            trainer = Engine(step)
            ranks.attach(trainer)
            if rank == 1:
                asks = threading.Thread(target=trainer.interrupt)
                trainer.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: asks.start())
            trainer.run(range(100_000))
            report([trainer.outcome, trainer.state.iteration])
    """
    (first,), (second,) = ranks.run(2, code)

    assert first == second
    assert first[0] == "interrupted"


def test_the_flags_of_an_engine_show_a_request_at_once(ranks: Ranks) -> None:
    code = """
        with session() as ranks:
            trainer = Engine(lambda engine, batch: None)
            ranks.attach(trainer)
            def ask():
                trainer.terminate(skip_completed=True)
                trainer.interrupt()
                report([trainer.should_terminate, trainer.should_interrupt, trainer.should_terminate_single_epoch])
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), ask)
            trainer.run(range(5))
            report([trainer.outcome, trainer.state.iteration])
    """
    assert ranks.run(2, code) == [[["skip_completed", True, False], ["terminated", 2]]] * 2
