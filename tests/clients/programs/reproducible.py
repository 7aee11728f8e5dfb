"""A deterministic engine: the same batches when it is resumed from an epoch or an iteration."""

import torch
from ignite.engine import DeterministicEngine, Events, create_supervised_trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def main(folder):
    torch.manual_seed(13)
    dataset = TensorDataset(torch.randn(20, 3), torch.randn(20, 1))
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, nn.functional.mse_loss, deterministic=True)
    losses = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output))
    torch.manual_seed(14)
    trainer.run(DataLoader(dataset, batch_size=4, shuffle=True), max_epochs=3)

    batches = []
    for iteration in (None, 7):
        engine = DeterministicEngine(lambda engine, batch: batches.append(batch[0].sum().item()))
        torch.manual_seed(15)
        loader = DataLoader(dataset, batch_size=4, shuffle=True)
        if iteration is not None:
            engine.load_state_dict({"iteration": iteration, "epoch_length": 5, "max_epochs": 2, "rng_states": None})
        engine.run(loader, max_epochs=2)
    return {
        "losses": losses,
        "weights": model.state_dict(),
        "batches": batches,
        "same": batches[7:10] == batches[10:13],
    }
