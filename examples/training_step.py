"""Phases in the training step: gradient clipping, sharpness-aware minimization (SAM), and skipped optimizer steps.

The parts of the step of ``create_supervised_trainer`` are activities of phases. ``lifecycle.insert`` adds phases
between them, and ``lifecycle.add_transition`` adds an edge past some of them. Run it with::

    python examples/training_step.py

Each variant is also written as a plain loop, and the weights of both are compared bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, EventEnum, Events, StepEvents, create_supervised_trainer

EPOCHS, MAX_NORM, RHO = 2, 0.5, 0.05

Parts = tuple[nn.Module, torch.optim.Optimizer, nn.Module]
Batches = Iterable[list[torch.Tensor]]


class Part(EventEnum):
    """Phases that this example adds to the step."""

    CLIP = "clip"
    ASCEND = "ascend"
    SECOND_PASS = "second_pass"


def parts() -> Parts:
    """Return a model with the same initial weights at each call, its optimizer and its loss."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    return model, torch.optim.SGD(model.parameters(), lr=0.5), nn.CrossEntropyLoss()


# Gradient clipping: a phase before the optimizer steps


def clipped(model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module) -> Engine:
    """Return a trainer that clips the gradients in a phase of its own."""
    trainer = create_supervised_trainer(model, optimizer, loss_fn)

    def clip() -> None:
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)

    trainer.lifecycle.insert(Part.CLIP, before=StepEvents.OPTIM_STEP_STARTED, activity=clip)
    return trainer


def clipped_by_hand(model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module, batches: Batches) -> None:
    """Clip the gradients in a plain loop."""
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()


# SAM: a second forward and backward pass, at weights that are moved uphill


def ascend(model: nn.Module) -> list[torch.Tensor]:
    """Move the weights uphill by RHO along their gradients, and return the change of each."""
    norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in model.parameters()]))
    changes = [parameter.grad * (RHO / norm) for parameter in model.parameters()]
    with torch.no_grad():
        for parameter, change in zip(model.parameters(), changes):
            parameter += change
    return changes


def descend(model: nn.Module, changes: list[torch.Tensor]) -> None:
    """Undo `ascend`."""
    with torch.no_grad():
        for parameter, change in zip(model.parameters(), changes):
            parameter -= change


def sharpness_aware(model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module) -> Engine:
    """Return a trainer with two more phases between the backward pass and the optimizer."""
    trainer = create_supervised_trainer(model, optimizer, loss_fn)
    changes: list[torch.Tensor] = []

    def move_uphill() -> None:
        changes[:] = ascend(model)

    def second_pass(engine: Engine) -> None:
        optimizer.zero_grad()
        loss_fn(model(engine.state.x), engine.state.y).backward()
        descend(model, changes)

    trainer.lifecycle.insert(Part.ASCEND, before=StepEvents.OPTIM_STEP_STARTED, activity=move_uphill)
    trainer.lifecycle.insert(Part.SECOND_PASS, after=Part.ASCEND, activity=second_pass)
    return trainer


def sharpness_aware_by_hand(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module, batches: Batches
) -> None:
    """Minimize sharpness-aware in a plain loop."""
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        changes = ascend(model)
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        descend(model, changes)
        optimizer.step()


# Skipped steps: an edge past the optimizer


def is_spoiled(model: nn.Module) -> bool:
    """Return True if a gradient is not finite."""
    return not all(parameter.grad.isfinite().all() for parameter in model.parameters())


def skipping(model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module) -> Engine:
    """Return a trainer whose optimizer does not step if a gradient is not finite."""
    trainer = create_supervised_trainer(model, optimizer, loss_fn)

    def gradients_are_spoiled() -> bool:
        return is_spoiled(model)

    past_the_optimizer = StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED
    trainer.lifecycle.add_transition(past_the_optimizer, guard=gradients_are_spoiled)

    @trainer.on(past_the_optimizer)
    def report(engine: Engine) -> None:
        print(f"  Iteration {engine.state.iteration}: the gradients are not finite, so the optimizer does not step")

    return trainer


def skipping_by_hand(model: nn.Module, optimizer: torch.optim.Optimizer, loss_fn: nn.Module, batches: Batches) -> None:
    """Skip optimizer steps in a plain loop."""
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        if not is_spoiled(model):
            optimizer.step()


VARIANTS: dict[str, tuple[Callable[..., Engine], Callable[..., None]]] = {
    "clipping": (clipped, clipped_by_hand),
    "SAM": (sharpness_aware, sharpness_aware_by_hand),
    "skipped steps": (skipping, skipping_by_hand),
}


def main() -> bool:
    """Train each variant with an engine and in a plain loop, and return True if the weights are equal."""
    train_set, held_out = small_digits()
    train_set.tensors[0][700] = float("inf")  # a corrupt image
    are_equal = True
    for name, (make, by_hand) in VARIANTS.items():
        print(f"{name}:")
        loader = DataLoader(train_set if make is skipping else small_digits()[0], batch_size=32)
        trained, reference = parts(), parts()
        trainer = make(*trained)
        trainer.run(loader, max_epochs=EPOCHS)
        for _ in range(EPOCHS):
            by_hand(*reference, loader)
        pairs = zip(trained[0].parameters(), reference[0].parameters())
        equal = all(torch.equal(ours, theirs) for ours, theirs in pairs)
        x, y = held_out.tensors
        accuracy = (trained[0](x).argmax(dim=1) == y).float().mean().item()
        print(f"  held-out accuracy {accuracy:.3f}, the weights {'equal' if equal else 'differ from'} the plain loop's")
        are_equal &= equal
    return are_equal


if __name__ == "__main__":
    main()
