"""Suspend a training with Ctrl-C or a notebook's stop button, inspect it, and resume it.

Inside ``with trainer.interruptible():`` the first Ctrl-C raises no exception. The engine finishes the iteration and
fires INTERRUPT, and ``run`` returns. A suspended run can be inspected, copied and saved. The next call of ``run``
resumes with the next batch. Run it with::

    python examples/notebook_interrupt.py

The program sends itself SIGINT, resumes, and compares the weights with an uninterrupted run.
"""

from __future__ import annotations

import signal

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events, StepEvents, create_supervised_trainer


def parts() -> tuple[nn.Module, Engine, DataLoader]:
    """Return a model, its trainer and its data loader, the same at each call."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(small_digits()[0], batch_size=32, shuffle=True)
    return model, create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss()), loader


def main() -> bool:
    """Train with and without an interrupt, and return True if the weights are equal."""
    uninterrupted, trainer, loader = parts()
    trainer.run(loader, max_epochs=3)

    model, trainer, loader = parts()

    @trainer.on(StepEvents.BACKWARD_STARTED(once=70))
    def press_ctrl_c() -> None:
        signal.raise_signal(signal.SIGINT)

    @trainer.on(Events.INTERRUPT | Events.RESUMED)
    def print_position(engine: Engine) -> None:
        state = engine.state
        print(f"{engine.last_event_name}: epoch {state.epoch}, iteration {state.iteration}")

    with trainer.interruptible():
        trainer.run(loader, max_epochs=3)
        print(f"run() has returned: the outcome is {trainer.outcome}, the phase {trainer.phase}")

        # In a notebook, this would be the next cell.

        norm = torch.linalg.vector_norm(torch.cat([p.detach().flatten() for p in model.parameters()]))
        print(f"The weights have norm {norm:.3f}, the last loss was {trainer.state.output:.3f}")

        trainer.run()
    print(f"The outcome is {trainer.outcome} after {trainer.state.iteration} iterations")

    equal = all(torch.equal(ours, theirs) for ours, theirs in zip(model.parameters(), uninterrupted.parameters()))
    print(f"The weights are {'equal to' if equal else 'DIFFERENT from'} the uninterrupted run's, bit by bit")
    return equal


if __name__ == "__main__":
    main()
