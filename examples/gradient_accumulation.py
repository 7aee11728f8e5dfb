"""Gradient accumulation in the lifecycle graph: the optimizer steps in every fourth iteration only.

The step of ``create_supervised_trainer`` moves through the phases of ``StepEvents``. With accumulation, the graph has
two exits from BACKWARD_COMPLETED: to OPTIM_STEP_STARTED and to ITERATION_COMPLETED. Handlers on these two edges count
how often each is taken. Run it with::

    python examples/gradient_accumulation.py

At the end, the same model is trained in a plain loop, and the weights of both are compared bit by bit.
"""

from __future__ import annotations

from collections import Counter

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events, StepEvents, create_supervised_trainer

STEPS, EPOCHS = 4, 3


def parts() -> tuple[nn.Module, torch.optim.Optimizer, nn.Module]:
    """Return a model with the same initial weights at each call, its optimizer and its loss."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.5), nn.CrossEntropyLoss()


def main() -> bool:
    """Train with the engine and with a plain loop, and return True if the weights are equal."""
    train_set, _ = small_digits()
    loader = DataLoader(train_set, batch_size=16)

    model, optimizer, loss_fn = parts()
    trainer = create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=STEPS)
    print("Exits of BACKWARD_COMPLETED:")
    for transition in trainer.lifecycle.successors(StepEvents.BACKWARD_COMPLETED):
        if transition.via is None:
            print(f"  {transition}")

    # An edge is an event: its handlers are called when the run takes that edge.

    taken: Counter[str] = Counter()

    @trainer.on(StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED)
    def count_accumulation() -> None:
        taken["without"] += 1

    @trainer.on(StepEvents.BACKWARD_COMPLETED >> StepEvents.OPTIM_STEP_STARTED)
    def count_optimizer_step() -> None:
        taken["with"] += 1

    # The values of the step are on the state until it ends.

    @trainer.on(StepEvents.LOSS_COMPLETED(every=90))
    def print_loss(engine: Engine) -> None:
        state = engine.state
        print(f"Iteration {state.iteration}: loss {state.loss.item():.3f}, y_pred of shape {tuple(state.y_pred.shape)}")

    trainer.run(loader, max_epochs=EPOCHS)
    print(f"Iterations {', '.join(f'{name} an optimizer step: {count}' for name, count in taken.items())}")

    # The same training as a plain loop.

    reference, optimizer, loss_fn = parts()
    for number, (x, y) in enumerate(batch for _ in range(EPOCHS) for batch in loader):
        if number % STEPS == 0:
            optimizer.zero_grad()
        (loss_fn(reference(x), y) / STEPS).backward()
        if number % STEPS == STEPS - 1:
            optimizer.step()
    equal = all(torch.equal(ours, theirs) for ours, theirs in zip(model.parameters(), reference.parameters()))
    print(f"The weights of the plain loop are {'equal, bit by bit' if equal else 'different'}")
    return equal


if __name__ == "__main__":
    main()
