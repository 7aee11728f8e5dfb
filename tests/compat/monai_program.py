"""A program that uses MONAI's engines and handlers; its only argument is the library, ``ignite`` or ``fsm_engine``.

It prints the results of training, evaluating and resuming as JSON.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
LIBRARY = sys.argv[1]
if LIBRARY == "fsm_engine":
    import fsm_engine.compat.ignite

    fsm_engine.compat.ignite.install()

import torch  # noqa: E402
from ignite.engine import Engine, Events  # noqa: E402
from ignite.metrics import Accuracy  # noqa: E402
from monai.data import DataLoader, Dataset  # noqa: E402
from monai.engines import EnsembleEvaluator, GanTrainer, SupervisedEvaluator, SupervisedTrainer  # noqa: E402
from monai.handlers import (  # noqa: E402
    CheckpointLoader,
    CheckpointSaver,
    EarlyStopHandler,
    GarbageCollector,
    LrScheduleHandler,
    MeanDice,
    MeanSquaredError,
    MetricLogger,
    MetricsSaver,
    StatsHandler,
    ValidationHandler,
    from_engine,
    stopping_fn_from_metric,
)
from monai.inferers import SimpleInferer  # noqa: E402
from monai.transforms import Activationsd, AsDiscreted, Compose, MeanEnsembled  # noqa: E402
from monai.utils import set_determinism  # noqa: E402

torch.set_num_threads(1)
CPU = torch.device("cpu")


def data(count: int = 6, batch_size: int = 2) -> DataLoader:
    generator = torch.Generator().manual_seed(3)
    images = [torch.rand(1, 6, 6, generator=generator) for _ in range(count)]
    items = [{"image": image, "label": (image > 0.5).float()} for image in images]
    return DataLoader(Dataset(items), batch_size=batch_size, shuffle=False, num_workers=0)


def events_of(engine: Any) -> list[Any]:
    log: list[Any] = []
    for event in Events:
        if event.name not in ("EXCEPTION_RAISED", "RESUMED"):

            def note(engine: Any, *_: Any, name: str = event.name, **__: Any) -> None:
                log.append([name, engine.state.epoch, engine.state.iteration])

            engine.add_event_handler(event, note)
    return log


def numbers(module: torch.nn.Module) -> dict[str, Any]:
    return {name: value.double().sum().item() for name, value in module.state_dict().items()}


def supervised(folder: Path) -> dict[str, Any]:
    set_determinism(0)
    net = torch.nn.Conv2d(1, 1, 3, padding=1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    post = Compose([Activationsd(keys="pred", sigmoid=True), AsDiscreted(keys="pred", threshold=0.5)])
    stats = logging.getLogger("stats")
    stats.setLevel(logging.INFO)
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    stats.addHandler(handler)
    logger = MetricLogger(loss_transform=lambda output: output[0]["loss"])
    evaluator = SupervisedEvaluator(
        device=CPU,
        val_data_loader=data(4),
        network=net,
        inferer=SimpleInferer(),
        postprocessing=post,
        key_val_metric={"dice": MeanDice(include_background=True, output_transform=from_engine(["pred", "label"]))},
        additional_metrics={"mse": MeanSquaredError(output_transform=from_engine(["pred", "label"]))},
        val_handlers=[
            StatsHandler(name="stats", output_transform=lambda _: None),
            CheckpointSaver(str(folder), {"net": net}, save_key_metric=True, key_metric_n_saved=2),
            MetricsSaver(str(folder), metrics="*", metric_details="dice"),
        ],
    )
    trainer = SupervisedTrainer(
        device=CPU,
        max_epochs=4,
        train_data_loader=data(),
        network=net,
        optimizer=optimizer,
        loss_function=torch.nn.BCEWithLogitsLoss(),
        inferer=SimpleInferer(),
        key_train_metric={"accuracy": Accuracy(output_transform=_rounded)},
        train_handlers=[
            LrScheduleHandler(schedule, print_lr=False),
            ValidationHandler(1, evaluator),
            StatsHandler(name="stats", tag_name="loss", output_transform=from_engine(["loss"], first=True)),
            CheckpointSaver(str(folder), {"net": net, "opt": optimizer}, save_interval=2, n_saved=2, save_final=True),
            GarbageCollector(trigger_event="epoch"),
            logger,
        ],
        amp=False,
    )
    EarlyStopHandler(5, stopping_fn_from_metric("dice"), trainer=trainer, epoch_level=True).attach(evaluator)
    events = events_of(trainer), events_of(evaluator)
    trainer.run()
    return {
        "events": events,
        "metrics": [trainer.state.metrics, evaluator.state.metrics],
        "best": [evaluator.state.best_metric, evaluator.state.best_metric_epoch],
        "lr": optimizer.param_groups[0]["lr"],
        "losses": logger.loss,
        "logged": logger.metrics,
        "lines": [line for line in lines if "elapsed" not in line],
        "weights": numbers(net),
        "files": sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"),
        "csv": (folder / "metrics.csv").read_text(),
    }


def _rounded(output: Any) -> Any:
    pairs = [(torch.sigmoid(item["pred"]).round(), item["label"].round()) for item in output]
    return torch.stack([p for p, _ in pairs]).long(), torch.stack([y for _, y in pairs]).long()


def resumed(folder: Path) -> dict[str, Any]:
    """Train 2 epochs, save, load into new objects, and train on to 4."""

    def make(epochs: int, handlers: list[Any]) -> tuple[Any, Any, Any]:
        set_determinism(1)
        net = torch.nn.Conv2d(1, 1, 3, padding=1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
        trainer = SupervisedTrainer(
            device=CPU,
            max_epochs=epochs,
            train_data_loader=data(),
            network=net,
            optimizer=optimizer,
            loss_function=torch.nn.BCEWithLogitsLoss(),
            inferer=SimpleInferer(),
        )
        for make_handler in handlers:
            make_handler(net, optimizer, trainer).attach(trainer)
        return net, optimizer, trainer

    def saver(net: Any, optimizer: Any, trainer: Any) -> Any:
        objects = {"net": net, "opt": optimizer, "trainer": trainer}
        return CheckpointSaver(str(folder), objects, save_final=True, final_filename="two.pt")

    def loader(net: Any, optimizer: Any, trainer: Any) -> Any:
        path = str(folder / "two.pt")
        return CheckpointLoader(path, {"net": net, "opt": optimizer, "trainer": trainer}, strict=True)

    make(2, [saver])[2].run()
    net, _, trainer = make(4, [loader])
    seen: list[Any] = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: seen.append([engine.state.epoch, engine.state.iteration])
    )
    trainer.run()
    whole, _, other = make(4, [])
    other.run()
    return {"seen": seen, "weights": numbers(net), "whole": numbers(whole)}


def _reals(batch: Any, *_: Any, **__: Any) -> torch.Tensor:
    return batch["reals"]


def gan() -> dict[str, Any]:
    set_determinism(2)
    generator, discriminator = torch.nn.Linear(4, 9), torch.nn.Linear(9, 1)
    bce = torch.nn.BCEWithLogitsLoss()

    def d_loss(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        scores = discriminator(real), discriminator(fake.detach())
        return bce(scores[0], torch.ones_like(scores[0])) + bce(scores[1], torch.zeros_like(scores[1]))

    def g_loss(fake: torch.Tensor) -> torch.Tensor:
        scores = discriminator(fake)
        return bce(scores, torch.ones_like(scores))

    items = [{"reals": torch.rand(9, generator=torch.Generator().manual_seed(n))} for n in range(6)]
    losses: list[Any] = []
    trainer = GanTrainer(
        device=CPU,
        max_epochs=2,
        train_data_loader=DataLoader(Dataset(items), batch_size=3),
        g_network=generator,
        g_optimizer=torch.optim.Adam(generator.parameters(), lr=0.01),
        g_loss_function=g_loss,
        d_network=discriminator,
        d_optimizer=torch.optim.Adam(discriminator.parameters(), lr=0.01),
        d_loss_function=d_loss,
        latent_shape=4,
        d_prepare_batch=_reals,
    )
    events = events_of(trainer)
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda engine: losses.append([float(engine.state.output[key]) for key in ("g_loss", "d_loss")]),
    )
    trainer.run()
    return {"events": events, "losses": losses, "g": numbers(generator), "d": numbers(discriminator)}


def ensemble() -> dict[str, Any]:
    set_determinism(4)
    networks = [torch.nn.Conv2d(1, 1, 3, padding=1) for _ in range(2)]
    post = Compose(
        [
            MeanEnsembled(keys=["a", "b"], output_key="pred", weights=[0.3, 0.7]),
            Activationsd(keys="pred", sigmoid=True),
            AsDiscreted(keys="pred", threshold=0.5),
        ]
    )
    evaluator = EnsembleEvaluator(
        device=CPU,
        val_data_loader=data(4),
        networks=networks,
        pred_keys=["a", "b"],
        postprocessing=post,
        key_val_metric={"dice": MeanDice(include_background=True, output_transform=from_engine(["pred", "label"]))},
    )
    events = events_of(evaluator)
    evaluator.run()
    return {"events": events, "metrics": evaluator.state.metrics, "best": evaluator.state.best_metric}


def main() -> None:
    random.seed(0)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / part for part in ("supervised", "resumed")]
        for folder in folders:
            folder.mkdir()
        results = {
            "engine": Engine.__module__.partition(".")[0],
            "supervised": supervised(folders[0]),
            "resumed": resumed(folders[1]),
            "gan": gan(),
            "ensemble": ensemble(),
        }
    print(json.dumps(results, default=str))


main()
