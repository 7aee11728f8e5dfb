"""A metric of one's own, as the documentation teaches, and formulas with it."""

import torch
from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from ignite.metrics import Accuracy, Metric, MetricsLambda, RunningAverage
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce


class CustomAccuracy(Metric):
    def __init__(self, ignored_class, output_transform=lambda x: x, device="cpu"):
        self.ignored_class = ignored_class
        self._num_correct = None
        self._num_examples = None
        super().__init__(output_transform=output_transform, device=device)

    @reinit__is_reduced
    def reset(self):
        self._num_correct = torch.tensor(0, device=self._device)
        self._num_examples = 0
        super().reset()

    @reinit__is_reduced
    def update(self, output):
        y_pred, y = output[0].detach(), output[1].detach()
        indices = torch.argmax(y_pred, dim=1)
        mask = y != self.ignored_class
        correct = torch.eq(indices[mask], y[mask]).view(-1)
        self._num_correct += torch.sum(correct).to(self._device)
        self._num_examples += correct.shape[0]

    @sync_all_reduce("_num_examples", "_num_correct:SUM")
    def compute(self):
        if self._num_examples == 0:
            raise NotComputableError("CustomAccuracy must have at least one example before it can be computed.")
        return self._num_correct.item() / self._num_examples


def main(folder):
    torch.manual_seed(6)
    data = [(torch.rand(6, 3), torch.randint(3, (6,))) for _ in range(4)]
    engine = Engine(lambda engine, batch: batch)
    metric = CustomAccuracy(ignored_class=2)
    metric.attach(engine, "custom")
    (1 - metric).attach(engine, "error")
    MetricsLambda(lambda a, b: [a, b], metric, Accuracy()).attach(engine, "both")
    RunningAverage(CustomAccuracy(ignored_class=0), alpha=0.7).attach(engine, "running")
    values = []
    engine.run(data, max_epochs=2)
    values.append(dict(engine.state.metrics))
    accuracy = Accuracy()
    accuracy.attach(engine, "accuracy")
    accuracy.detach(engine)
    engine.state.metrics.clear()
    engine.run(data[:2], max_epochs=3)
    values.append(dict(engine.state.metrics))
    return values
