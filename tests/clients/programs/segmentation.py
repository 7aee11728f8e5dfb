"""Segment images, with metrics of a confusion matrix and a schedule of the learning rate."""

import torch
from ignite.engine import Engine, Events
from ignite.handlers.param_scheduler import CosineAnnealingScheduler, create_lr_scheduler_with_warmup
from ignite.metrics import ConfusionMatrix, DiceCoefficient, IoU, RunningAverage, mIoU
from ignite.metrics.confusion_matrix import cmAccuracy, cmPrecision, cmRecall
from ignite.utils import convert_tensor
from torch import nn
from torch.nn import functional as F


def main(folder):
    torch.manual_seed(1)
    data = [{"image": torch.rand(2, 3, 6, 6), "mask": torch.randint(3, (2, 6, 6))} for _ in range(4)]
    model = nn.Conv2d(3, 3, 3, padding=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rates = []

    def update(engine, batch):
        model.train()
        batch = convert_tensor(batch, device="cpu", non_blocking=True)
        loss = F.cross_entropy(model(batch["image"]), batch["mask"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        return {"loss": loss.item(), "pixels": batch["mask"].numel()}

    def evaluate(engine, batch):
        model.eval()
        with torch.no_grad():
            return {"y_pred": model(batch["image"]), "y": batch["mask"]}

    trainer, evaluator = Engine(update), Engine(evaluate)
    RunningAverage(output_transform=lambda output: output["loss"]).attach(trainer, "running loss")
    decay = CosineAnnealingScheduler(optimizer, "lr", 0.02, 0.001, cycle_size=8)
    warmup = create_lr_scheduler_with_warmup(decay, warmup_start_value=0.0, warmup_end_value=0.02, warmup_duration=3)
    trainer.add_event_handler(Events.ITERATION_STARTED, warmup)
    cm = ConfusionMatrix(num_classes=3)
    for name, metric in {
        "cm": cm,
        "iou": IoU(cm),
        "miou": mIoU(cm, ignore_index=0),
        "dice": DiceCoefficient(cm),
        "accuracy": cmAccuracy(cm),
        "precision": cmPrecision(cm, average=False),
        "recall": cmRecall(cm),
        "foreground": IoU(cm)[1:].mean(),
    }.items():
        metric.attach(evaluator, name)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(data))
    trainer.run(data, max_epochs=3)
    return {
        "rates": rates,
        "train": trainer.state.metrics,
        "val": evaluator.state.metrics,
        "weights": model.state_dict(),
    }
