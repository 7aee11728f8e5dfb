"""Engines as a framework builds them: subclasses with a workflow, registered events and their own handlers."""

import torch
from ignite.engine import Engine, EventEnum, Events
from ignite.metrics import Accuracy
from torch import nn


class IterationEvents(EventEnum):
    FORWARD_COMPLETED = "forward_completed"
    LOSS_COMPLETED = "loss_completed"
    BACKWARD_COMPLETED = "backward_completed"


class Workflow(Engine):
    def __init__(self, max_epochs, data_loader, metrics=None, handlers=None):
        super().__init__(self._iteration)
        self.data_loader = data_loader
        self.state.rank = 0
        self.state.max_epochs = max_epochs
        self.state.epoch_length = len(data_loader)
        self.state.key_metric_name, self.state.best_metric = None, -1.0
        self.register_events(*IterationEvents, event_to_attr=dict.fromkeys(IterationEvents, "iteration"))

        @self.on(Events.ITERATION_STARTED)
        def prepare(engine):
            x, y = engine.state.batch
            engine.state.batch = x.float(), y

        for name, metric in (metrics or {}).items():
            metric.attach(self, name)
            self.state.key_metric_name = name

        @self.on(Events.EPOCH_COMPLETED)
        def keep_best(engine):
            if engine.state.key_metric_name is not None:
                engine.state.best_metric = max(
                    engine.state.best_metric, engine.state.metrics[engine.state.key_metric_name]
                )

        for handler in handlers or ():
            handler.attach(self)

    def run(self):
        super().run(data=self.data_loader, max_epochs=self.state.max_epochs)

    def _iteration(self, engine, batch):
        raise NotImplementedError


class Trainer(Workflow):
    def __init__(self, network, optimizer, **kwargs):
        super().__init__(**kwargs)
        self.network, self.optimizer = network, optimizer

    def _iteration(self, engine, batch):
        engine.state.output = {"label": batch[1]}
        self.network.train()
        self.optimizer.zero_grad()
        engine.state.output["pred"] = self.network(batch[0])
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.state.output["loss"] = nn.functional.cross_entropy(engine.state.output["pred"], batch[1])
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        engine.state.output["loss"].backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        self.optimizer.step()
        return engine.state.output


class Evaluator(Workflow):
    def __init__(self, network, **kwargs):
        super().__init__(max_epochs=1, **kwargs)
        self.network = network

    def run(self, global_epoch=1):
        self.state.max_epochs, self.state.epoch, self.state.iteration = global_epoch, global_epoch - 1, 0
        super().run()

    def _iteration(self, engine, batch):
        with torch.no_grad():
            return {"pred": self.network(batch[0]), "label": batch[1]}


class Validation:
    def __init__(self, evaluator, interval):
        self.evaluator, self.interval = evaluator, interval

    def attach(self, engine):
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self)

    def __call__(self, engine):
        self.evaluator.run(engine.state.epoch)


class Losses:
    def __init__(self):
        self.seen = []

    def attach(self, engine):
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED(every=2), self)

    def __call__(self, engine):
        self.seen.append((engine.state.iteration, engine.state.output["loss"].item()))


def main(folder):
    torch.manual_seed(10)
    data = [(torch.randn(4, 3).double(), torch.randint(2, (4,))) for _ in range(4)]
    network, losses = nn.Linear(3, 2), Losses()
    accuracy = Accuracy(output_transform=lambda output: (output["pred"], output["label"]))
    evaluator = Evaluator(network, data_loader=data[:2], metrics={"accuracy": accuracy})
    trainer = Trainer(
        network,
        torch.optim.SGD(network.parameters(), lr=0.3),
        max_epochs=3,
        data_loader=data,
        metrics={"train accuracy": Accuracy(lambda output: (output["pred"], output["label"]))},
        handlers=[losses, Validation(evaluator, 1)],
    )
    trainer.run()
    return {
        "losses": losses.seen,
        "best": [trainer.state.best_metric, evaluator.state.best_metric],
        "counters": [trainer.state.epoch, trainer.state.iteration, evaluator.state.epoch, evaluator.state.iteration],
        "weights": network.state_dict(),
    }
