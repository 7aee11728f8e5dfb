"""Agreements under thousands of interleavings of ranks, requests, messages and promises."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from interleaved_ranks import Rank, World  # noqa: E402

from fsm_engine import Engine, Events  # noqa: E402

REQUESTED_AT = (
    Events.STARTED,
    Events.EPOCH_STARTED,
    Events.GET_BATCH_COMPLETED,
    Events.ITERATION_STARTED,
    Events.ITERATION_COMPLETED,
    Events.TERMINATE_SINGLE_EPOCH,
    Events.EPOCH_COMPLETED,
    Events.TERMINATE,
    Events.COMPLETED,
    Events.INTERRUPT,
    Events.RESUMED,
)
OFTEN = (Events.ITERATION_STARTED, Events.ITERATION_COMPLETED, Events.GET_BATCH_COMPLETED, Events.EPOCH_COMPLETED)
RECORDED = (*REQUESTED_AT, Events.DATALOADER_STOP_ITERATION)
HAS_EPOCH = (Events.EPOCH_STARTED, Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED)

Plan = list[tuple[int, str, Any, int, str]]


def random_plan(chance: random.Random, askers: list[int]) -> Plan:
    """Return requests: who asks, of which engine, at which event, in which iteration, for which signal."""
    plan: Plan = []
    near = chance.randint(0, 6)
    for _ in range(chance.choice([1, 2, 3, 4, 6])):
        engine = chance.choice(["trainer", "trainer", "evaluator"])
        event = chance.choice(OFTEN if chance.random() < 0.6 else REQUESTED_AT)
        methods = ["terminate", *["interrupt"] * 2 * (engine == "trainer"), *["terminate_epoch"] * (event in HAS_EPOCH)]
        iteration = near + chance.choice([-1, 0, 0, 0, 1])
        plan.append((chance.choice(askers), engine, event, iteration, chance.choice(methods)))
    return plan


def program(plans: list[Plan], handled: frozenset[Any]) -> Callable[[Rank], list[Any]]:
    """Return a program that reports the events of a trainer and an evaluator, which `plans` interrupt."""

    def run(rank: Rank) -> list[Any]:
        trainer, evaluator = Engine(lambda engine, batch: rank.meet()), Engine(lambda engine, batch: rank.maybe_pause())
        if len(rank.world.ranks) > 1:
            rank.attach(trainer, evaluator)
        reports: list[Any] = []
        plan: Plan = []

        def ask(engine: Engine, name: str, event: Any) -> None:
            rank.maybe_pause()
            reports.append([name, event.name, engine.state.epoch, engine.state.iteration])
            for asker, which, at, iteration, method in list(plan):
                if asker in (rank.number, -1) and (which, at, iteration) == (name, event, engine.state.iteration):
                    getattr(engine, method)()

        for name, engine in (("trainer", trainer), ("evaluator", evaluator)):
            for event in RECORDED:
                if event in handled:
                    engine.add_event_handler(event, ask, name, event)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(range(2)))
        for each in plans:
            plan[:] = each
            trainer.state.max_epochs = None
            trainer.run(range(3), max_epochs=2)
            reports.append(trainer.outcome)
            for _ in range(4):
                if trainer.outcome == "interrupted":
                    trainer.run()
                    reports.append(trainer.outcome)
        return reports

    return run


def reports(seed: int, askers: list[int], size: int) -> list[list[Any]]:
    """Return what each of `size` ranks reports of three runs with random requests, handlers and interleavings."""
    chance = random.Random(seed)
    plans = [random_plan(chance, askers) for _ in range(3)]
    requested_at = {at for plan in plans for _, _, at, _, _ in plan}
    handled = requested_at | set(chance.sample(RECORDED, chance.randint(4, len(RECORDED))))
    return World(seed, size).run(program(plans, frozenset(handled)))


def check_whoever_asks(seeds: range, size: int) -> None:
    for seed in seeds:
        first, *others = reports(seed, list(range(size)), size)
        assert others == [first] * (size - 1), seed


@pytest.mark.parametrize(("size", "count"), [(2, 8), (3, 4)])
def test_all_ranks_handle_the_requests_of_some_at_the_same_place(size: int, count: int) -> None:
    check_whoever_asks(range(count), size)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "count"), [(2, 300), (3, 100), (5, 30)])
def test_all_ranks_handle_the_requests_of_some_at_the_same_place_in_many_runs(size: int, count: int) -> None:
    check_whoever_asks(range(1000, 1000 + count), size)


def test_requests_of_all_ranks_are_handled_as_in_one_process() -> None:
    for seed in range(6):
        (alone,) = reports(seed, [-1], 1)
        assert reports(seed, [-1], 2) == [alone, alone], seed
