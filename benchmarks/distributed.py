"""The cost of `ranks.attach` for an iteration of a DDP job, and of a session with one process.

Run ``python benchmarks/distributed.py``; README.md in this folder explains the table. The ranks compete for the cores
of this machine, and each waits for the other in every iteration, so the times of both belong to each figure.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from contestants import bare_training, digits_batches, digits_model
from harness import rounded
from torch.nn.parallel import DistributedDataParallel

import fsm_engine
from fsm_engine.distributed import launch, session

EPOCHS = 10
"""Epochs of one turn."""

Times = dict[str, list[float]]


def measure(turns: int) -> Times:
    """Return the seconds of each contestant on this rank, measured in turn; the first turn is a warm-up."""
    with session() as ranks:
        batches = digits_batches()
        calls: dict[str, Callable[[], object]] = {
            "bare loop": bare_loop(ranks.world_size, batches),
            "trainer": trainer(ranks, batches, attached=False),
            "attached": trainer(ranks, batches, attached=True),
        }
        names, times = list(calls), {name: [] for name in calls}
        for turn in range(turns + 1):
            for name in names[turn % 3 :] + names[: turn % 3]:
                start = time.perf_counter()
                calls[name]()
                times[name].append(time.perf_counter() - start)
        return {name: column[1:] for name, column in times.items()}


def model_of_ranks(world_size: int) -> tuple[Any, Any, Any]:
    """Return the model, over several ranks in DDP, its optimizer and its loss."""
    model, optimizer, loss_fn = digits_model()
    return (DistributedDataParallel(model) if world_size > 1 else model), optimizer, loss_fn


def bare_loop(world_size: int, batches: list[tuple[Any, Any]]) -> Callable[[], object]:
    """Return a loop written by hand."""
    if world_size == 1:
        return bare_training(batches, EPOCHS)
    model, optimizer, loss_fn = model_of_ranks(world_size)

    def train() -> None:
        for _ in range(EPOCHS):
            for x, y in batches:
                optimizer.zero_grad()
                loss = loss_fn(model(x), y)
                loss.backward()
                optimizer.step()
                loss.item()

    return train


def trainer(ranks: Any, batches: list[tuple[Any, Any]], attached: bool) -> Callable[[], object]:
    """Return a call that runs a supervised trainer, which is attached to the session or not."""
    engine = fsm_engine.create_supervised_trainer(*model_of_ranks(ranks.world_size))
    if attached:
        ranks.attach(engine)
    return lambda: engine.run(batches, max_epochs=EPOCHS)


def report(label: str, times: Times, ours: str, other: str, limit: float | None) -> None:
    """Print the ratio of two contestants, and whether it meets its mark."""
    ratios = [one / two for one, two in zip(times[ours], times[other])]
    low, middle, high = statistics.quantiles(ratios, n=4)
    mark = "" if limit is None else f"<= {limit:g}  {'yes' if middle <= limit else 'NO'}"
    print(f"{label:<44}{rounded(middle):>8}{rounded(low):>10} .. {rounded(high):<8}{mark}", flush=True)


def main() -> None:
    """Measure with two ranks and with one process."""
    parser = argparse.ArgumentParser(description="Measure the cost of ranks.attach.")
    parser.add_argument("--turns", type=int, default=31, help="turns of each contestant (default: 31)")
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    print(f"medians of {turns} turns of {EPOCHS} epochs, wall-clock time of rank 0\n")
    print(f"{'compared':<44}{'ratio':>8}{'middle half':>20}  mark")
    two = launch(measure, 2, turns)[0]
    report("two ranks: attached / trainer", two, "attached", "trainer", 1.02)
    report("two ranks: attached / bare loop", two, "attached", "bare loop", None)
    one = measure(turns)
    report("one process: attached / trainer", one, "attached", "trainer", 1.01)


if __name__ == "__main__":
    main()
