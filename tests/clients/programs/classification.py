"""Train and validate a classifier, with metrics, a progress log and the best models on disk."""

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import ModelCheckpoint, global_step_from_engine
from ignite.metrics import Accuracy, Loss
from torch import nn


def main(folder):
    torch.manual_seed(0)
    x = torch.randn(48, 5)
    y = (x[:, 0] > 0).long()
    train, val = list(zip(x[:32].split(8), y[:32].split(8))), list(zip(x[32:].split(8), y[32:].split(8)))
    model = nn.Linear(5, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    criterion = nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(model, optimizer, criterion)
    metrics = {"accuracy": Accuracy(), "loss": Loss(criterion)}
    train_evaluator = create_supervised_evaluator(model, metrics=metrics)
    val_evaluator = create_supervised_evaluator(model, metrics={"accuracy": Accuracy(), "loss": Loss(criterion)})
    history = []

    @trainer.on(Events.ITERATION_COMPLETED(every=2))
    def log_loss(engine):
        history.append((engine.state.epoch, engine.state.iteration, engine.state.output))

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        train_evaluator.run(train)
        val_evaluator.run(val)
        history.append((dict(train_evaluator.state.metrics), dict(val_evaluator.state.metrics)))

    best = ModelCheckpoint(
        folder / "best",
        n_saved=2,
        filename_prefix="best",
        score_name="accuracy",
        global_step_transform=global_step_from_engine(trainer),
    )
    val_evaluator.add_event_handler(Events.COMPLETED, best, {"model": model})
    trainer.run(train, max_epochs=5)
    last = str(best.last_checkpoint).rpartition("/")[2]
    return {"history": history, "weights": model.state_dict(), "last": last}
