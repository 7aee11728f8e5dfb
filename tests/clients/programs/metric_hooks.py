"""A metric that overrides each hook, with its own usage."""

from ignite.engine import Engine, Events
from ignite.metrics import Metric
from ignite.metrics.metric import BatchFiltered, BatchWise, EpochWise, MetricUsage, RunningBatchWise


class Noted(Metric):
    def __init__(self, output_transform=lambda x: x):
        self.calls = []
        super().__init__(output_transform)

    def reset(self):
        self.total = 0

    def update(self, output):
        self.total += output

    def compute(self):
        return self.total

    def started(self, engine):
        self.calls.append(("started", engine.state.iteration))
        super().started(engine)

    def iteration_completed(self, engine):
        output = self._output_transform(engine.state.output)
        self.calls.append(("update", output))
        self.update(2 * output)

    def completed(self, engine, name):
        self.calls.append(("completed", name))
        engine.state.metrics[name] = self.compute() + 100


class EveryOther(MetricUsage):
    def __init__(self):
        super().__init__(
            started=Events.EPOCH_STARTED,
            completed=Events.EPOCH_COMPLETED,
            iteration_completed=Events.ITERATION_COMPLETED(every=2),
        )


def main(folder):
    results = []
    for usage in (
        EpochWise(),
        BatchWise(),
        RunningBatchWise(),
        "running_epoch_wise",
        EveryOther(),
        BatchFiltered(every=3),
    ):
        engine = Engine(lambda engine, batch: {"value": batch})
        metric = Noted(lambda output: output["value"])
        metric.attach(engine, "noted", usage)
        attached = metric.is_attached(engine, usage)
        state = engine.run([1, 2, 3, 4], max_epochs=2)
        metric.detach(engine, usage)
        engine.run([1], max_epochs=3)
        results.append((attached, metric.is_attached(engine, usage), dict(state.metrics), metric.calls))
    return results
