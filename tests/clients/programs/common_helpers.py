"""Set up the usual handlers with the helpers of contrib: checkpoints, averages, best models, early stopping."""

import torch
from ignite.contrib.engines import common
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy
from ignite.utils import manual_seed, setup_logger
from torch import nn


def main(folder):
    manual_seed(8)
    x = torch.randn(40, 4)
    data = list(zip(x.split(8), (x[:, 1] > 0).long().split(8)))
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    trainer = create_supervised_trainer(
        model, optimizer, nn.CrossEntropyLoss(), output_transform=lambda x, y, y_pred, loss: {"batch loss": loss.item()}
    )
    trainer.logger = setup_logger("Trainer", filepath=str(folder / "log.txt"), reset=True)
    evaluator = create_supervised_evaluator(model, metrics={"Accuracy": Accuracy()})
    common.setup_common_training_handlers(
        trainer,
        to_save={"model": model, "optimizer": optimizer, "trainer": trainer},
        save_every_iters=4,
        output_path=str(folder / "checkpoints"),
        lr_scheduler=scheduler,
        output_names=["batch loss"],
        with_pbars=False,
        clear_cuda_cache=False,
        n_saved=2,
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(data))
    best = common.save_best_model_by_val_score(
        str(folder / "best"), evaluator, model, metric_name="Accuracy", n_saved=2, trainer=trainer, tag="val"
    )
    common.add_early_stopping_by_val_score(2, evaluator, trainer, metric_name="Accuracy")
    saved = []
    common.gen_save_best_models_by_val_score(
        lambda checkpoint, filename, metadata: saved.append((filename, metadata["priority"])),
        evaluator,
        {"model": model, "optimizer": optimizer},
        metric_name="Accuracy",
        score_sign=-1.0,
    )
    trainer.run(data, max_epochs=8)
    return {
        "metrics": trainer.state.metrics,
        "rate": optimizer.param_groups[0]["lr"],
        "weights": model.state_dict(),
        "epochs": trainer.state.epoch,
        "saved": saved,
        "best": len(best._saved),
    }
