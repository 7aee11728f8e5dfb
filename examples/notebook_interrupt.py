"""Stop a training with Ctrl-C or a notebook's stop button, look around, and go on where it stopped.

Inside ``with trainer.interruptible():`` the first Ctrl-C is no exception. The iteration is finished, INTERRUPT fires,
and ``run`` returns. A suspended run is data: it can be copied and saved. The next ``run`` goes on with the very next
batch. Run it with::

    python examples/notebook_interrupt.py

Here the program presses Ctrl-C itself, goes on, and compares the result with a run that nobody interrupted.
"""

from __future__ import annotations

import signal

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events, StepEvents, create_supervised_trainer


def parts() -> tuple[nn.Module, Engine, DataLoader]:
    """Return a model, its trainer and its data, always the same."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other, with networks as small as these
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(small_digits()[0], batch_size=32, shuffle=True)
    return model, create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss()), loader


def main() -> bool:
    """Train with and without an interrupt, and say whether the weights are the same."""
    uninterrupted, trainer, loader = parts()
    trainer.run(loader, max_epochs=3)

    model, trainer, loader = parts()

    @trainer.on(StepEvents.BACKWARD_STARTED(once=70))
    def press_ctrl_c() -> None:
        signal.raise_signal(signal.SIGINT)

    @trainer.on(Events.INTERRUPT | Events.RESUMED)
    def tell(engine: Engine) -> None:
        state = engine.state
        print(f"{engine.last_event_name}: epoch {state.epoch}, iteration {state.iteration}")

    with trainer.interruptible():
        trainer.run(loader, max_epochs=3)
        print(f"run() has returned: the outcome is {trainer.outcome}, the phase {trainer.phase}")

        # In a notebook, the next cell. The model can be looked at, and the run can be saved or copied.

        norm = torch.linalg.vector_norm(torch.cat([p.detach().flatten() for p in model.parameters()]))
        print(f"The weights have norm {norm:.3f} by now, the last loss was {trainer.state.output:.3f}")

        trainer.run()
    print(f"The outcome is {trainer.outcome} after {trainer.state.iteration} iterations")

    same = all(torch.equal(one, other) for one, other in zip(model.parameters(), uninterrupted.parameters()))
    print(f"The weights are {'those' if same else 'NOT those'} of the run without an interrupt, bit by bit")
    return same


if __name__ == "__main__":
    main()
