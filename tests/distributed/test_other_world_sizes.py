"""Runs that another number of ranks continues: the same weights and counters, and each example of an epoch once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
fsdp = pytest.importorskip("torch.distributed.fsdp", reason="this torch has no distributed package")

from children import Children  # noqa: E402
from ranks import Ranks  # noqa: E402

PROGRAM = """
    import logging
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader
    from fsm_engine.handlers import Checkpoint, EpochOutputStore
    logging.basicConfig(format="%(levelname)s %(message)s")
    torch.set_num_threads(1)
    plans = json.loads(sys.argv[2])
    os.chdir(sys.argv[3])

    def whole(tensor):
        return tensor.full_tensor().tolist() if hasattr(tensor, "full_tensor") else tensor.tolist()

    def train(ranks, plan):
        model = nn.Linear(1, 3)
        if plan["folder"] == "sharded":
            torch.distributed.fsdp.fully_shard(model)
        wrapped = DistributedDataParallel(model) if plan["folder"] == "whole" and ranks.world_size > 1 else model
        optimizer = torch.optim.Adam(model.parameters())
        seen = {}

        def step(engine, batch):
            seen.setdefault(engine.state.epoch, []).append(batch.tolist())
            wrapped(batch.float().view(-1, 1)).sum().backward()
            optimizer.step()

        trainer = Engine(step)
        ranks.attach(trainer)
        EpochOutputStore(lambda output: 0).attach(trainer)
        checkpoint = Checkpoint({"model": model, "optimizer": optimizer, "trainer": trainer}, plan["folder"], n_saved=9)
        if plan.get("at"):
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=plan["at"]), checkpoint)
        loader = ranks.loader(range(24), plan["batch_size"], shuffle=True, seed=5)
        if plan.get("plain"):
            loader = DataLoader(range(24), plan["batch_size"])
        states = []

        trainer.register_events(Checkpoint.SAVED_CHECKPOINT)

        @trainer.on(Checkpoint.SAVED_CHECKPOINT)
        def note():
            states.append([[whole(tensor) for tensor in model.state_dict().values()],
                           [whole(tensor) for state in optimizer.state.values() for tensor in state.values()]])

        if not plan.get("at"):
            checkpoint.resume(any_world_size=plan.get("any", True))
            note()
        begun = trainer.state.iteration
        trainer.run(loader, max_epochs=3)
        return [begun, trainer.state.iteration, states, [[epoch, batches] for epoch, batches in seen.items()]]

    status = 1
    try:
        with session() as ranks:
            for plan in plans:
                try:
                    report(train(ranks, plan))
                except (RuntimeError, ValueError) as error:
                    report([type(error).__name__, str(error)])
        status = 0
    finally:
        os._exit(status)  # without taking the modules apart, which takes seconds
"""


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children("torch.distributed.fsdp", "torch.distributed.checkpoint", "fsm_engine.handlers") as parent:
        yield parent


def run(ranks: Ranks, count: int, *plans: dict[str, Any]) -> list[Any]:
    """Return for each plan the results of the ranks."""
    return list(zip(*ranks.run(count, PROGRAM, json.dumps(plans), str(ranks.folder))))


def examples(results: Any, epoch: int) -> list[list[int]]:
    """Return the examples of an epoch that all ranks together have used, in the order of the iterations."""
    per_rank = [dict(seen)[epoch] for _, _, _, seen in results]
    return [sorted(example for batch in batches for example in batch) for batches in zip(*per_rank)]


def flat(batches: list[list[int]]) -> list[int]:
    return sorted(example for batch in batches for example in batch)


NEEDS_FULLY_SHARD = pytest.mark.skipif(not hasattr(fsdp, "fully_shard"), reason="this torch has no fully_shard")


@pytest.mark.parametrize("folder", ["whole", pytest.param("sharded", marks=NEEDS_FULLY_SHARD)])
def test_the_open_epoch_continues_after_the_examples_that_are_done(ranks: Ranks, folder: str) -> None:
    (saved,) = run(ranks, 2, {"folder": folder, "batch_size": 2, "at": 9})  # 6 iterations of 4 examples per epoch
    weights = saved[0][2]
    done = examples(saved, 2)[:3]
    for count, sizes in {1: [4, 5], 2: [2], 3: [2], 4: [1]}.items():
        refused, *results, other_data = run(
            ranks,
            count,
            {"folder": folder, "batch_size": 2, "any": False},
            *({"folder": folder, "batch_size": size} for size in sizes),
            {"folder": folder, "batch_size": 2, "plain": True},
        )
        if count != 2:
            assert all("resume(any_world_size=True)" in message for _, message in refused)
            assert len(dict(other_data[0][3])[2]) == 12  # data of another sampler begins the epoch again
        for size, resumed in zip(sizes, results):
            assert all(result[0] == 9 for result in resumed)
            assert all(result[2] == weights for result in resumed)  # the optimizer, too
            repeated = 12 % (size * count)
            rest = flat(examples(resumed, 2))
            assert set(rest) >= set(range(24)) - set(flat(done))
            assert len(rest) == 12 + repeated
            assert flat(examples(resumed, 3)) == list(range(24))
            assert resumed[0][1] == 9 + len(examples(resumed, 2)) + len(examples(resumed, 3))


def test_a_batch_so_large_that_the_run_would_end_early_is_refused(ranks: Ranks) -> None:
    run(ranks, 2, {"folder": "whole", "batch_size": 2, "at": 9})

    ((refused,),) = run(ranks, 1, {"folder": "whole", "batch_size": 24})

    assert refused[0] == "ValueError"
    assert "smaller batch_size" in refused[1]
