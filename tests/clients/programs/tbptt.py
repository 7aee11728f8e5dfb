"""Truncated backpropagation through time on long sequences."""

import torch
from ignite.contrib.engines import Tbptt_Events, create_supervised_tbptt_trainer
from ignite.engine import Events
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.RNN(2, 4), nn.Linear(4, 1)

    def forward(self, x, hidden=None):
        y, hidden = self.rnn(x, hidden)
        return self.out(y), hidden


def main(folder):
    torch.manual_seed(4)
    data = [(torch.randn(7, 3, 2), torch.randn(7, 3, 1)) for _ in range(3)]
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_tbptt_trainer(model, optimizer, nn.functional.mse_loss, tbtt_step=3, dim=0)
    losses = []
    trainer.add_event_handler(Tbptt_Events.TIME_ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output))
    trainer.run(data, max_epochs=2)
    return {"losses": losses, "weights": model.state_dict()}
