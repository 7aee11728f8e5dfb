"""Error edges: skip a bad batch, and retry a batch that does not fit into memory in smaller pieces.

Two error edges leave the step. ``ValueError`` leads to SKIP_BATCH, which has the exits of ITERATION_COMPLETED.
``OutOfMemoryError`` leads to SMALLER, which halves the micro-batch and enters the iteration again, so its step is
repeated. Each edge has a limit per run; beyond it the exception ends the run. Run it with::

    python examples/recover_from_oom.py

The memory limit is simulated, so the example runs without a GPU. On a GPU, torch raises the same exception.
"""

from __future__ import annotations

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fsm_engine import Engine, EventEnum, Events, Scope

CAPACITY = 24  # samples that fit into the simulated memory


class Recovery(EventEnum):
    """Phases that the error edges lead to."""

    SKIP_BATCH = "skip_batch"
    SMALLER = "smaller"


def main() -> float:
    """Train, recovering from errors, and return the accuracy on the held-out digits."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    train_set, held_out = small_digits()
    images, labels = train_set.tensors
    images[::500] = float("nan")  # three corrupt images
    loader = DataLoader(TensorDataset(images, labels), batch_size=96, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loss_fn = nn.CrossEntropyLoss(reduction="sum")

    def forward(x: torch.Tensor) -> torch.Tensor:
        if len(x) > CAPACITY:
            raise torch.cuda.OutOfMemoryError(f"{len(x)} samples do not fit")
        return model(x)

    def step(engine: Engine, batch: list[torch.Tensor]) -> float:
        x, y = batch
        if not x.isfinite().all():
            raise ValueError("an image of this batch contains NaN")
        optimizer.zero_grad()
        total = 0.0
        size = engine.state.micro_batch
        for x_part, y_part in zip(x.split(size), y.split(size)):
            loss = loss_fn(forward(x_part), y_part) / len(x)
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total

    trainer = Engine(step)
    trainer.state.micro_batch = 96
    lifecycle = trainer.lifecycle
    with lifecycle.edit():  # all edits or none; the engine adopts the graph once
        lifecycle.add_transition(Events.ITERATION_STARTED >> Recovery.SKIP_BATCH, error=ValueError, limit=100)
        lifecycle.add_exits(Recovery.SKIP_BATCH, like=Events.ITERATION_COMPLETED)
        lifecycle.add_transition(Scope.ITERATION >> Recovery.SMALLER, error=torch.cuda.OutOfMemoryError, limit=5)
        lifecycle.add_transition(Recovery.SMALLER >> Scope.ITERATION)

    @trainer.on(Recovery.SMALLER)
    def halve(engine: Engine, error: Exception) -> None:
        engine.state.micro_batch //= 2
        print(f"Iteration {engine.state.iteration}: {error}; retrying with {engine.state.micro_batch}")

    @trainer.on(Recovery.SKIP_BATCH(before=4))
    def print_reason(engine: Engine, error: Exception) -> None:
        print(f"Iteration {engine.state.iteration}: skipped, {error}")

    trainer.logger.setLevel("ERROR")  # the handlers above print each recovery; the engine would log it as a warning
    trainer.run(loader, max_epochs=20)

    for name, count in trainer.state.errors.items():
        print(f"{name}: {count} times")
    x, y = held_out.tensors
    accuracy = (model(x).argmax(dim=1) == y).float().mean().item()
    print(f"{trainer.outcome} after {trainer.state.iteration} iterations; held-out accuracy: {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
