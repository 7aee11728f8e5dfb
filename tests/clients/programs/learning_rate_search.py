"""Search for a learning rate, then train with it."""

import torch
from ignite.contrib.handlers import FastaiLRFinder
from ignite.engine import create_supervised_trainer
from torch import nn


def main(folder):
    torch.manual_seed(17)
    x = torch.randn(20, 4)
    data = [(x, x @ torch.tensor([[1.0], [2.0], [-1.0], [0.5]]))] * 50
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    trainer = create_supervised_trainer(model, optimizer, nn.functional.mse_loss)
    finder = FastaiLRFinder()
    to_save = {"model": model, "optimizer": optimizer}
    with finder.attach(trainer, to_save, num_iter=40, end_lr=10.0, diverge_th=5.0) as finding:
        finding.run(data)
    found = finder.get_results(), finder.lr_suggestion()
    finder.apply_suggested_lr(optimizer)
    trainer.run(data, max_epochs=1)
    return {"found": found, "rate": optimizer.param_groups[0]["lr"], "weights": model.state_dict()}
