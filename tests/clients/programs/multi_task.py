"""Two tasks in one network: groups of metrics, averages, reports, and areas under curves."""

import torch
from ignite.contrib.metrics import ROC_AUC, AveragePrecision, CohenKappa
from ignite.engine import Engine, Events
from ignite.metrics import (
    Accuracy,
    Average,
    ClassificationReport,
    GeometricAverage,
    MetricGroup,
    TopKCategoricalAccuracy,
)
from ignite.metrics.regression import MeanError, PearsonCorrelation, R2Score
from torch import nn


def main(folder):
    torch.manual_seed(19)
    body, classes, value = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 1)
    parameters = [*body.parameters(), *classes.parameters(), *value.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.05)
    data = [(torch.randn(10, 4), torch.randint(3, (10,)), torch.randn(10)) for _ in range(3)]

    def step(engine, batch):
        hidden = torch.tanh(body(batch[0]))
        scores, values = classes(hidden), value(hidden).squeeze(1)
        loss = nn.functional.cross_entropy(scores, batch[1]) + nn.functional.mse_loss(values, batch[2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss, "scores": scores.detach(), "classes": batch[1], "values": values.detach(), "y": batch[2]}

    def of_classes(output):
        return output["scores"], output["classes"]

    def of_values(output):
        return output["values"], output["y"]

    def of_zero(output):
        return output["scores"].softmax(1)[:, 0], (output["classes"] == 0).long()

    trainer = Engine(step)
    Average(lambda output: output["loss"]).attach(trainer, "loss")
    GeometricAverage(lambda output: output["loss"].item()).attach(trainer, "geometric")
    group = MetricGroup({"accuracy": Accuracy(), "top2": TopKCategoricalAccuracy(2)}, output_transform=of_classes)
    group.attach(trainer, "group")
    ClassificationReport(output_dict=True, output_transform=of_classes).attach(trainer, "report")
    ROC_AUC(output_transform=of_zero).attach(trainer, "area")
    AveragePrecision(output_transform=of_zero).attach(trainer, "ap")
    CohenKappa(output_transform=lambda o: (o["scores"].argmax(1), o["classes"])).attach(trainer, "kappa")
    for name, metric in {"bias": MeanError(of_values), "r2": R2Score(of_values)}.items():
        metric.attach(trainer, name)
    PearsonCorrelation(output_transform=of_values).attach(trainer, "pearson")
    history = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: history.append(dict(engine.state.metrics)))
    trainer.run(data, max_epochs=3)
    return {"history": history, "weights": classes.state_dict()}
