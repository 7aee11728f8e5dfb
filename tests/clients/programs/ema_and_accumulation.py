"""Average the weights, and accumulate gradients; evaluate the averaged model."""

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import EMAHandler
from ignite.metrics import MeanAbsoluteError, RootMeanSquaredError
from torch import nn


def main(folder):
    torch.manual_seed(16)
    data = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(5)]
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, nn.functional.mse_loss, gradient_accumulation_steps=2)
    ema = EMAHandler(model, momentum=0.1, momentum_warmup=0.5, warmup_iters=4)
    ema.attach(trainer, name="ema_momentum", event=Events.ITERATION_COMPLETED(every=2))
    metrics = {"mae": MeanAbsoluteError(), "rmse": RootMeanSquaredError()}
    evaluator = create_supervised_evaluator(ema.ema_model, metrics=metrics)
    values = []

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(engine):
        evaluator.run(data)
        values.append((engine.state.ema_momentum, dict(evaluator.state.metrics)))

    trainer.run(data, max_epochs=3)
    return {"values": values, "weights": model.state_dict(), "averaged": ema.ema_model.state_dict()}
