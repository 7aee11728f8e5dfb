"""Record a run, print where its time went, and verify, draw, save and export the recording.

An MLP learns handwritten digits, with an evaluator after each epoch. Run it with::

    python examples/timeline.py some/directory

It takes a few seconds, prints a summary of the time, and writes to that directory (default: ``timeline``):

- ``run.fsmt``, the recording, for ``Timeline.load`` and ``fsm-engine timeline summary run.fsmt``;
- ``timeline.svg``, the run along its time, and ``lifecycle.svg``, the lifecycle coloured by visits and time;
- ``trace.json.gz``, for https://ui.perfetto.dev and chrome://tracing, with the loss as a counter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from digits import small_digits
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.metrics import Accuracy
from fsm_engine.timeline import Timeline

EPOCHS = 5


def main(folder: Path) -> float:
    """Train while recording, write the files to `folder`, and return the held-out accuracy."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # networks this small are faster on one thread
    train_set, held_out_set = small_digits()
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    held_out_loader = DataLoader(held_out_set, batch_size=90)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    trainer = create_supervised_trainer(model, torch.optim.Adam(model.parameters(), lr=3e-3), nn.CrossEntropyLoss())
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run(held_out_loader)

    @trainer.on(Events.ITERATION_COMPLETED(every=10))
    def record_loss(engine: Engine) -> None:
        timeline.count("loss", engine.state.output)

    with trainer.record() as timeline:  # includes the evaluator, because a handler runs it
        trainer.run(train_loader, max_epochs=EPOCHS)

    trained, evaluated = timeline.summary().tracks
    print(trained)
    print(f"\nThe evaluator took {evaluated.total / trained.total:.0%} of that.")

    # verify replays the moves in a state machine of the library transitions, independently of the engine.

    print(f"First move that the lifecycle does not allow: {timeline.verify(trainer.lifecycle) or 'none'}")
    print("\n".join(str(timeline.coverage(trainer.lifecycle)).splitlines()[:2]))

    folder.mkdir(parents=True, exist_ok=True)
    saved = timeline.save(folder / "run.fsmt")
    print(f"First difference from the saved recording: {timeline.diff(Timeline.load(saved)) or 'none'}")
    timeline.draw(folder / "timeline.svg")
    trainer.lifecycle.draw(folder / "lifecycle.svg", timeline=timeline)
    timeline.export(folder / "trace.json.gz")
    print(f"Written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    accuracy = evaluator.state.metrics["accuracy"]
    print(f"Held-out accuracy: {accuracy:.3f}")
    return float(accuracy)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "timeline"))
