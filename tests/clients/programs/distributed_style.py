"""A program in the style of the distributed templates, run in one process."""

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from ignite.metrics import Accuracy, Loss
from ignite.utils import manual_seed
from torch import nn
from torch.utils.data import TensorDataset


@idist.one_rank_only()
def report(lines, line):
    lines.append(line)


def training(local_rank, config, lines):
    manual_seed(config["seed"] + idist.get_rank())
    x = torch.randn(24, 3)
    loader = idist.auto_dataloader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=4, shuffle=True)
    model = idist.auto_model(nn.Linear(3, 2))
    optimizer = idist.auto_optim(torch.optim.SGD(model.parameters(), lr=config["lr"] * idist.get_world_size()))
    criterion = nn.CrossEntropyLoss().to(idist.device())

    def step(engine, batch):
        x, y = (part.to(idist.device()) for part in batch)
        model.train()
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return idist.all_reduce(loss.item()) / idist.get_world_size()

    def evaluate(engine, batch):
        with torch.no_grad():
            return model(batch[0]), batch[1]

    trainer, evaluator = Engine(step), Engine(evaluate)
    Accuracy(device=idist.device()).attach(evaluator, "accuracy")
    Loss(criterion, device=idist.device()).attach(evaluator, "loss")

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        evaluator.run(loader)
        report(lines, [engine.state.epoch, dict(evaluator.state.metrics), engine.state.output])

    trainer.run(loader, max_epochs=config["epochs"])
    idist.barrier()
    lines.append(idist.all_gather(local_rank))
    return model.state_dict()


def main(folder):
    lines, weights = [], []
    with idist.Parallel(backend=None) as parallel:
        parallel.run(lambda *args: weights.append(training(*args)), {"seed": 20, "lr": 0.2, "epochs": 3}, lines)
    return {"lines": lines, "weights": weights, "rank": [idist.get_rank(), idist.get_world_size(), idist.backend()]}
