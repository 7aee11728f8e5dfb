"""Supervised training under autocast, with transforms of the batch, the model and the output."""

import torch
from ignite.engine import (
    Engine,
    Events,
    create_supervised_evaluator,
    create_supervised_trainer,
    supervised_training_step,
)
from ignite.metrics import Loss
from torch import nn


def main(folder):
    torch.manual_seed(21)
    data = [{"x": torch.randn(4, 3), "target": torch.randn(4, 1)} for _ in range(4)]
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def prepare(batch, device=None, non_blocking=False):
        return batch["x"].to(device or "cpu"), batch["target"]

    options = {
        "prepare_batch": prepare,
        "model_transform": lambda y_pred: y_pred * 2,
        "output_transform": lambda x, y, y_pred, loss: {"loss": loss.item(), "mean": y_pred.mean().item()},
    }
    trainer = create_supervised_trainer(model, optimizer, nn.functional.mse_loss, amp_mode="amp", **options)
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: outputs.append(dict(engine.state.output)))
    evaluator = create_supervised_evaluator(
        model, {"loss": Loss(nn.functional.mse_loss)}, prepare_batch=prepare, output_transform=lambda x, y, p: (p, y)
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(data))
    trainer.run(data, max_epochs=2)
    step = supervised_training_step(model, optimizer, nn.functional.mse_loss, prepare_batch=prepare)
    plain = Engine(step)
    plain.run(data)
    return {
        "outputs": outputs,
        "metrics": evaluator.state.metrics,
        "last": plain.state.output,
        "weights": model.state_dict(),
    }
