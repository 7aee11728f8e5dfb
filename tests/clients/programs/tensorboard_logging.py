"""Log to TensorBoard by the set-up helper and by handlers, and read the written values back."""

import torch
from ignite.contrib.engines.common import setup_tb_logging
from ignite.contrib.handlers.tensorboard_logger import GradsScalarHandler, TensorboardLogger, WeightsScalarHandler
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy, RunningAverage
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn


def scalars(folder):
    log = EventAccumulator(str(folder))
    log.Reload()
    return {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in sorted(log.Tags()["scalars"])}


def main(folder):
    torch.manual_seed(9)
    data = [(torch.randn(5, 3), torch.randint(2, (5,))) for _ in range(4)]
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    evaluator = create_supervised_evaluator(model, metrics={"accuracy": Accuracy()})
    RunningAverage(output_transform=lambda x: x).attach(trainer, "loss")
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(data))
    helper = setup_tb_logging(str(folder / "setup"), trainer, optimizer, {"val": evaluator}, log_every_iters=2)
    with helper, TensorboardLogger(log_dir=str(folder / "own")) as logger:
        logger.attach_output_handler(
            trainer, Events.ITERATION_COMPLETED(every=3), tag="train", output_transform=lambda loss: {"loss": loss}
        )
        logger.attach_opt_params_handler(trainer, Events.EPOCH_STARTED, optimizer=optimizer)
        logger.attach(trainer, WeightsScalarHandler(model), Events.EPOCH_COMPLETED)
        logger.attach(trainer, GradsScalarHandler(model, reduction=torch.norm), Events.EPOCH_COMPLETED)
        trainer.run(data, max_epochs=2)
    return {"setup": scalars(folder / "setup"), "own": scalars(folder / "own")}
