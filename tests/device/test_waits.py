"""Nothing in the loop makes the host wait for the device between the read-outs of metrics, handlers and loggers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_device import DEVICE, FakeDevice
from torch import nn

import fsm_engine.metrics as metrics_module
from fsm_engine import (
    Engine,
    Events,
    StepEvents,
    create_supervised_evaluator,
    create_supervised_tbptt_trainer,
    create_supervised_trainer,
)
from fsm_engine.handlers import (
    EMAHandler,
    EpochOutputStore,
    ProgressBar,
    TensorboardLogger,
    TerminateOnNan,
    Timer,
)
from fsm_engine.loggers import CSVLogger, JSONLinesLogger
from fsm_engine.metrics import Metric, MetricUsage, RunningAverage, regression_errors

READ_OUT = Events.ITERATION_COMPLETED(every=3)
N, CLASSES = 8, 3


def to_device(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(to_device, value))
    return value.to(DEVICE) if isinstance(value, torch.Tensor) else value


def one_hot_rows(*size: int) -> Any:
    return torch.randint(0, 2, size)


def classes() -> Any:
    return torch.rand(N, CLASSES).softmax(dim=1), torch.randint(0, CLASSES, (N,))


def values() -> Any:
    return torch.rand(N), torch.rand(N)


def binary() -> Any:
    return torch.rand(N), torch.arange(N) % 2


def number() -> Any:
    return torch.rand(N)


def distributions() -> Any:
    return torch.randn(N, CLASSES), torch.rand(N, CLASSES)


def images() -> Any:
    return torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)


def relevance() -> Any:
    return torch.rand(N, 5), torch.randint(0, 2, (N, 5)).float()


def unchecked(kind: type[Metric]) -> Callable[[], Metric]:
    """Return a function that makes the metric without the check of its function, which reads the first batch."""
    checks = "check_compute_fn" in inspect.signature(kind).parameters
    return (lambda: kind(check_compute_fn=False)) if checks else kind  # type: ignore[call-arg]


M = metrics_module
OUTPUTS: dict[str, tuple[Callable[[], Metric], Callable[[], Any]]] = {
    "Accuracy": (M.Accuracy, classes),
    "Accuracy, binary": (M.Accuracy, lambda: (torch.randint(0, 2, (N,)), torch.randint(0, 2, (N,)))),
    "Accuracy, multilabel": (lambda: M.Accuracy(is_multilabel=True), lambda: (one_hot_rows(N, 4), one_hot_rows(N, 4))),
    "Average": (M.Average, number),
    "AveragePrecision": (M.AveragePrecision, binary),
    "CohenKappa": (M.CohenKappa, lambda: (torch.arange(N) % 2, torch.arange(N) % 2)),
    "ConfusionMatrix": (lambda: M.ConfusionMatrix(CLASSES), classes),
    "CosineSimilarity": (M.CosineSimilarity, distributions),
    "Entropy": (M.Entropy, classes),
    "EpochMetric": (lambda: M.EpochMetric(lambda a, b: 0.0, check_compute_fn=False), binary),
    "Frequency": (lambda: M.Frequency(lambda output: N), number),
    "GeometricAverage": (M.GeometricAverage, number),
    "HitRate": (lambda: M.HitRate(2), relevance),
    "JSDivergence": (M.JSDivergence, distributions),
    "KLDivergence": (M.KLDivergence, distributions),
    "KendallRankCorrelation": (lambda: M.KendallRankCorrelation(check_compute_fn=False), values),
    "Loss": (lambda: M.Loss(nn.CrossEntropyLoss()), classes),
    "MatthewsCorrCoef": (M.MatthewsCorrCoef, lambda: (torch.arange(N) % 2, torch.arange(N) % 2)),
    "MeanAbsoluteError": (M.MeanAbsoluteError, values),
    "MeanAveragePrecision": (M.MeanAveragePrecision, classes),
    "MeanPairwiseDistance": (M.MeanPairwiseDistance, distributions),
    "MeanSquaredError": (M.MeanSquaredError, values),
    "MetricGroup": (lambda: M.MetricGroup({"a": M.Accuracy(), "l": M.Loss(nn.CrossEntropyLoss())}), classes),
    "MetricsLambda": (lambda: M.MetricsLambda(lambda a: a + 1, M.Accuracy()), classes),
    "MultiLabelConfusionMatrix": (
        lambda: M.MultiLabelConfusionMatrix(CLASSES),
        lambda: (one_hot_rows(N, CLASSES), one_hot_rows(N, CLASSES)),
    ),
    "MutualInformation": (M.MutualInformation, classes),
    "NDCG": (lambda: M.NDCG([2]), relevance),
    "PSNR": (lambda: M.PSNR(1.0), images),
    "PearsonCorrelation": (M.PearsonCorrelation, values),
    "Perplexity": (
        M.Perplexity,
        lambda: (torch.randn(2, 4, CLASSES).transpose(1, 2), torch.randint(0, CLASSES, (2, 4))),
    ),
    "Precision": (M.Precision, classes),
    "Precision, weighted": (lambda: M.Precision(average="weighted"), classes),
    "PrecisionRecallCurve": (M.PrecisionRecallCurve, binary),
    "ROC_AUC": (M.ROC_AUC, binary),
    "Recall": (lambda: M.Recall(average=True), classes),
    "RocCurve": (M.RocCurve, binary),
    "RootMeanSquaredError": (M.RootMeanSquaredError, values),
    "SSIM": (lambda: M.SSIM(1.0), images),
    "SpearmanRankCorrelation": (lambda: M.SpearmanRankCorrelation(check_compute_fn=False), values),
    "TopKCategoricalAccuracy": (lambda: M.TopKCategoricalAccuracy(2), classes),
    "VariableAccumulation": (lambda: M.VariableAccumulation(lambda a, x: a + x), number),
    "RunningAverage": (lambda: RunningAverage(output_transform=lambda output: output), lambda: torch.rand(())),
    "sum of metrics": (lambda: M.Accuracy() + 2 * M.Recall(average=True), classes),
}
OUTPUTS |= {
    name: (unchecked(kind), values)
    for name, kind in vars(regression_errors).items()
    if inspect.isclass(kind) and kind.__module__ == regression_errors.__name__ and not name.startswith("_")
}
WITHOUT_TENSORS = {"Metric", "Bleu", "CharacterErrorRate", "GpuInfo", "Rouge", "RougeL", "RougeN"}


def test_every_metric_class_has_a_case() -> None:
    public = {name: getattr(M, name) for name in dir(M)}
    kinds = {name for name, value in public.items() if inspect.isclass(value) and issubclass(value, Metric)}
    assert kinds - WITHOUT_TENSORS <= {name.partition(",")[0] for name in OUTPUTS}


def watched_run(engine: Engine, device: FakeDevice, data: list[Any], epochs: int = 1) -> list[str]:
    """Run, and return the waits from the start of an iteration to the end of its handlers, without read-outs."""

    def start() -> None:
        device.is_watching = (engine.state.iteration % 3) != 0

    def stop() -> None:
        device.is_watching = False

    engine.add_event_handler(Events.GET_BATCH_COMPLETED(priority=100), lambda: setattr(device, "is_watching", True))
    engine.add_event_handler(Events.ITERATION_COMPLETED(priority=100), start)
    engine.add_event_handler(Events.ITERATION_COMPLETED(priority=-100), stop)
    engine.run(data, max_epochs=epochs)
    return device.waits


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_metric_waits_only_when_it_is_read(name: str) -> None:
    torch.manual_seed(0)
    make, output = OUTPUTS[name]
    with FakeDevice() as device:
        outputs = [to_device(output()) for _ in range(5)]
        engine = Engine(lambda _engine, batch: outputs[batch])
        metric = make()
        if isinstance(metric, RunningAverage):
            metric.attach(engine, "value", MetricUsage(Events.STARTED, READ_OUT, Events.ITERATION_COMPLETED))
        else:
            metric.attach(engine, "value")
        assert watched_run(engine, device, list(range(5))) == []
    assert "value" in engine.state.metrics or name in ("MetricGroup", "MeanAveragePrecision")


# Trainer, evaluator, handlers and loggers


def model_on_device() -> Any:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, CLASSES)).to(DEVICE)


def batches(count: int = 6) -> list[Any]:
    return [to_device((torch.randn(N, 4), torch.randint(0, CLASSES, (N,)))) for _ in range(count)]


def trainer_on_device(**options: Any) -> Engine:
    model = model_on_device()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    options.setdefault("output_transform", lambda x, y, y_pred, loss: loss.detach())
    return create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(), **options)


def attach_nothing(engine: Engine, folder: Path) -> None:
    pass


def attach_terminate_on_nan(engine: Engine, folder: Path) -> None:
    engine.add_event_handler(READ_OUT, TerminateOnNan())


def attach_running_average(engine: Engine, folder: Path) -> None:
    usage = MetricUsage(Events.STARTED, READ_OUT, Events.ITERATION_COMPLETED)
    RunningAverage(output_transform=lambda loss: loss).attach(engine, "loss", usage)


def attach_progress_bar(engine: Engine, folder: Path) -> None:
    pytest.importorskip("tqdm")
    bar = ProgressBar()
    bar.attach(engine, output_transform=lambda loss: {"loss": loss}, event_name=READ_OUT)


def attach_tensorboard(engine: Engine, folder: Path) -> None:
    pytest.importorskip("tensorboard")
    logger = TensorboardLogger(log_dir=str(folder))
    logger.attach_output_handler(engine, READ_OUT, tag="training", output_transform=lambda loss: {"loss": loss})


def attach_csv(engine: Engine, folder: Path) -> None:
    logger = CSVLogger(folder / "log.csv")
    logger.attach_output_handler(engine, READ_OUT, tag="training", output_transform=lambda loss: {"loss": loss})


def attach_json_lines(engine: Engine, folder: Path) -> None:
    logger = JSONLinesLogger(folder / "log.jsonl")
    logger.attach_output_handler(engine, READ_OUT, tag="training", output_transform=lambda loss: {"loss": loss})


def attach_ema(engine: Engine, folder: Path) -> None:
    model = model_on_device()
    EMAHandler(model, momentum=0.1).attach(engine)


def attach_output_store(engine: Engine, folder: Path) -> None:
    EpochOutputStore().attach(engine, "outputs")


def attach_timer(engine: Engine, folder: Path) -> None:
    Timer(average=True).attach(
        engine, start=Events.STARTED, resume=Events.ITERATION_STARTED, step=Events.ITERATION_COMPLETED
    )


ATTACHED = {
    name.removeprefix("attach_"): value for name, value in list(globals().items()) if name.startswith("attach_")
}


@pytest.mark.parametrize("name", ATTACHED)
def test_a_trainer_with_a_handler_waits_only_at_read_outs(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    with FakeDevice() as device:
        engine = trainer_on_device()
        ATTACHED[name](engine, tmp_path)
        assert watched_run(engine, device, batches(), epochs=2) == []


@pytest.mark.parametrize("steps", [1, 2])
def test_a_trainer_with_accumulation_does_not_wait(steps: int) -> None:
    with FakeDevice() as device:
        engine = trainer_on_device(gradient_accumulation_steps=steps)
        with device.watching():
            engine.run(batches(), max_epochs=2)
    assert device.waits == []


def test_a_trainer_with_a_handler_on_every_phase_does_not_wait() -> None:
    with FakeDevice() as device:
        engine = trainer_on_device()
        for event in StepEvents:
            if event is not StepEvents.UNSCALED:
                engine.add_event_handler(event, lambda: None)
        with device.watching():
            engine.run(batches(), max_epochs=2)
    assert device.waits == []


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4 + CLASSES, CLASSES)

    def forward(self, x: Any, hidden: Any = None) -> Any:
        outputs = []
        for row in x:
            hidden = row[:, :CLASSES] if hidden is None else hidden
            hidden = self.layer(torch.cat([row, hidden], dim=1)).tanh()
            outputs.append(hidden)
        return torch.stack(outputs), hidden


def test_a_trainer_on_chunks_does_not_wait() -> None:
    with FakeDevice() as device:
        model = Recurrent().to(DEVICE)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        engine = create_supervised_tbptt_trainer(model, optimizer, nn.MSELoss(), tbtt_step=2)
        data = [to_device((torch.randn(4, N, 4), torch.randn(4, N, CLASSES))) for _ in range(3)]
        with device.watching():
            engine.run(data, max_epochs=2)
        assert device.waits == []
        assert engine.state.output.isfinite().item()


class Scaler:
    """Skips steps whose gradients are not finite, as `torch.amp.GradScaler` does; it has no kernels for the device."""

    def scale(self, loss: Any) -> Any:
        return loss * 4

    def unscale_(self, optimizer: Any) -> None:
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad /= 4

    def step(self, optimizer: Any) -> None:
        total = sum(parameter.grad.sum() for parameter in optimizer.param_groups[0]["params"])
        if total.isfinite().item():
            optimizer.step()

    def update(self) -> None:
        pass


def test_a_scaled_trainer_waits_only_in_the_step_of_its_scaler() -> None:
    with FakeDevice() as device:
        engine = trainer_on_device(
            device="cpu", prepare_batch=lambda batch, **_: batch, amp_mode="amp", scaler=Scaler()
        )
        with device.watching():
            engine.run(batches(), max_epochs=1)
    assert len(device.waits) == 6  # one per iteration
    assert all("mixed_precision.py" in wait for wait in device.waits)


def test_an_evaluator_does_not_wait() -> None:
    with FakeDevice() as device:
        evaluator = create_supervised_evaluator(
            model_on_device(), metrics={"accuracy": M.Accuracy(), "loss": M.Loss(nn.CrossEntropyLoss())}
        )
        data = batches()
        assert watched_run(evaluator, device, data) == []
    assert set(evaluator.state.metrics) == {"accuracy", "loss"}


def test_invalid_values_on_a_device_raise_when_the_metric_is_read() -> None:
    with FakeDevice() as device:
        accuracy, relative = M.Accuracy(), regression_errors.MeanAbsoluteRelativeError()
        precision = M.Precision()
        with device.watching():
            accuracy.update(to_device((torch.tensor([0, 2]), torch.tensor([0, 1]))))
            relative.update(to_device((torch.rand(2), torch.tensor([0.0, 1.0]))))
            precision.update(to_device((torch.rand(2, 3), torch.tensor([0, 7]))))
        assert device.waits == []
        with pytest.raises(ValueError, match="0's and 1's"):
            accuracy.compute()
        with pytest.raises(M.NotComputableError, match="ground truth has 0"):
            relative.compute()
        with pytest.raises(ValueError, match="fewer classes than y: 3"):
            precision.compute()
        accuracy.reset()
        accuracy.update(to_device((torch.tensor([0, 1]), torch.tensor([0, 1]))))
        assert accuracy.compute() == 1.0


# The fake device itself


@pytest.mark.parametrize(
    "read",
    [float, bool, int, torch.Tensor.item, lambda t: t.tolist(), torch.Tensor.cpu, lambda t: t.to("cpu")],
)
def test_the_fake_device_notes_each_way_to_read_a_tensor(read: Callable[[Any], Any]) -> None:
    with FakeDevice() as device:
        tensor = torch.ones(()).to(DEVICE) * 2
        with device.watching():
            read(tensor)
    assert len(device.waits) == 1


def test_the_fake_device_notes_masks_and_copies() -> None:
    with FakeDevice() as device:
        tensor = torch.arange(4.0).to(DEVICE)
        with device.watching():
            assert tensor[tensor > 1].shape == (2,)
            torch.zeros(4).copy_(tensor)
            assert (tensor + tensor).device == DEVICE
            torch.nonzero(tensor)
    assert len(device.waits) == 3


# A real device


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", list(OUTPUTS))
def test_a_metric_on_cuda_waits_only_when_it_is_read(name: str) -> None:
    torch.manual_seed(0)
    make, output = OUTPUTS[name]
    data = [tuple(x.cuda() for x in batch) if isinstance(batch := output(), tuple) else batch.cuda() for _ in range(5)]
    engine, metric = Engine(lambda _engine, batch: data[batch]), make()
    if isinstance(metric, RunningAverage):
        metric.attach(engine, "value", MetricUsage(Events.STARTED, READ_OUT, Events.ITERATION_COMPLETED))
    else:
        metric.attach(engine, "value")
    forbid_waits(engine)
    engine.run(list(range(5)), max_epochs=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_trainer_on_cuda_does_not_wait() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, CLASSES)).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(
        model, optimizer, nn.CrossEntropyLoss(), output_transform=lambda x, y, y_pred, loss: loss.detach()
    )
    data = [(torch.randn(N, 4).cuda(), torch.randint(0, CLASSES, (N,)).cuda()) for _ in range(4)]
    forbid_waits(trainer)
    trainer.run(data, max_epochs=2)


def forbid_waits(engine: Engine) -> None:
    """Make CUDA raise if the host waits from the first fetched batch of an iteration to its last handler."""

    def start() -> None:
        torch.cuda.set_sync_debug_mode("default" if engine.state.iteration % 3 == 0 else "error")

    engine.add_event_handler(Events.ITERATION_STARTED(priority=100), lambda: torch.cuda.set_sync_debug_mode("error"))
    engine.add_event_handler(Events.ITERATION_COMPLETED(priority=100), start)
    engine.add_event_handler(
        Events.ITERATION_COMPLETED(priority=-100), lambda: torch.cuda.set_sync_debug_mode("default")
    )
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: torch.cuda.set_sync_debug_mode("default"))
