"""Gradient accumulation, seen as what it is: a loop through the same phases that the optimizer joins now and then.

The step of ``create_supervised_trainer`` goes through the phases of ``StepEvents``. With accumulation its graph has
two ways out of BACKWARD_COMPLETED: on to the optimizer, or straight to ITERATION_COMPLETED. Handlers on those two
edges count how often each was taken. Run it with::

    python examples/gradient_accumulation.py

It ends by training the same model in a plain loop, and comparing the weights, bit by bit.
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
    """Return a model, its optimizer and its loss, always the same."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other, with networks as small as these
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.5), nn.CrossEntropyLoss()


def main() -> bool:
    """Train both, and say whether their weights are the same."""
    train_set, _ = small_digits()
    loader = DataLoader(train_set, batch_size=16)

    model, optimizer, loss_fn = parts()
    trainer = create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=STEPS)
    print("The ways out of BACKWARD_COMPLETED:")
    for transition in trainer.lifecycle.successors(StepEvents.BACKWARD_COMPLETED):
        if transition.via is None:
            print(f"  {transition}")

    # Edges are events: a handler is called when that very way is taken.

    taken: Counter[str] = Counter()

    @trainer.on(StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED)
    def only_added() -> None:
        taken["added to the gradients"] += 1

    @trainer.on(StepEvents.BACKWARD_COMPLETED >> StepEvents.OPTIM_STEP_STARTED)
    def stepped() -> None:
        taken["let the optimizer step"] += 1

    # While somebody listens, what the step computes is on the state.

    @trainer.on(StepEvents.LOSS_COMPLETED(every=90))
    def tell(engine: Engine) -> None:
        state = engine.state
        print(f"Iteration {state.iteration}: loss {state.loss.item():.3f} of scores {tuple(state.y_pred.shape)}")

    trainer.run(loader, max_epochs=EPOCHS)
    print(f"Iterations that {', '.join(f'{what}: {count}' for what, count in taken.items())}")

    # The plain loop.

    twin, optimizer, loss_fn = parts()
    for number, (x, y) in enumerate(batch for _ in range(EPOCHS) for batch in loader):
        if number % STEPS == 0:
            optimizer.zero_grad()
        (loss_fn(twin(x), y) / STEPS).backward()
        if number % STEPS == STEPS - 1:
            optimizer.step()
    same = all(torch.equal(one, other) for one, other in zip(model.parameters(), twin.parameters()))
    print(f"The weights of the plain loop are {'the same, bit by bit' if same else 'different'}")
    return same


if __name__ == "__main__":
    main()
