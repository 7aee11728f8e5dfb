"""Handlers of one's own with `attach`: a class with state, a serializable one, and one that removes itself."""

import torch
from ignite.base import ResettableHandler, Serializable
from ignite.engine import Engine, Events
from torch import nn


class GradientNorms:
    def __init__(self, model):
        self.model, self.norms = model, []

    def __call__(self, engine, scale=1.0):
        self.norms.append(scale * sum(p.grad.norm().item() for p in self.model.parameters()))

    def attach(self, engine, every=1, scale=1.0):
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=every), self, scale=scale)


class Patience(ResettableHandler, Serializable):
    _state_dict_all_req_keys = ("bad",)

    def __init__(self, limit):
        self.limit, self.bad, self.best = limit, 0, float("inf")

    def reset(self):
        self.bad = 0

    def attach(self, engine, event=Events.ITERATION_COMPLETED):
        engine.add_event_handler(event, self)
        engine.add_event_handler(Events.STARTED, self.reset)

    def __call__(self, engine):
        self.bad = 0 if engine.state.output < self.best else self.bad + 1
        self.best = min(self.best, engine.state.output)
        if self.bad >= self.limit:
            engine.terminate()

    def state_dict(self):
        return {"bad": self.bad}

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.bad = state_dict["bad"]


def main(folder):
    torch.manual_seed(7)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    data = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(6)]

    def step(engine, batch):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.item()

    trainer = Engine(step)
    norms, patience = GradientNorms(model), Patience(4)
    norms.attach(trainer, every=2, scale=0.5)
    patience.attach(trainer)
    once = []
    handle = trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: once.append(1) or handle.remove())
    trainer.run(data, max_epochs=10)
    errors = []
    for wrong in ({}, [1]):
        try:
            patience.load_state_dict(wrong)
        except (TypeError, ValueError) as error:
            errors.append(type(error).__name__)
    return {
        "norms": norms.norms,
        "bad": patience.state_dict(),
        "once": once,
        "errors": errors,
        "stopped": trainer.should_terminate,
    }
