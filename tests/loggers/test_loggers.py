"""Loggers and their handlers: names, values and steps of the log entries, also after a failed run."""

from __future__ import annotations

import contextlib
import csv
import gc
import itertools
import json
import pickle
import re
import sys
import weakref
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from fsm_engine import Engine, Events  # noqa: E402
from fsm_engine.handlers import global_step_from_engine, mlflow_logger, tensorboard_logger, wandb_logger  # noqa: E402
from fsm_engine.handlers.base_logger import BaseHandler  # noqa: E402
from fsm_engine.handlers.checkpoint import Checkpoint  # noqa: E402
from fsm_engine.loggers import (  # noqa: E402
    BaseLogger,
    CSVLogger,
    GradsHistHandler,
    GradsScalarHandler,
    JSONLinesLogger,
    MLflowLogger,
    OptimizerParamsHandler,
    OutputHandler,
    TensorboardLogger,
    WandBLogger,
    WeightsHistHandler,
    WeightsScalarHandler,
)


class MemoryLogger(BaseLogger):
    """Keeps all log entries in a list."""

    takes_text = True

    def __init__(self) -> None:
        self.values: list[tuple[int, dict[str, Any]]] = []
        self.flushed: list[int] = []

    def log_values(self, values: Any, step: int) -> None:
        self.values.append((step, dict(values)))

    def log_histograms(self, arrays: Any, step: int) -> None:
        self.values.append((step, {name: array.tolist() for name, array in arrays.items()}))

    def flush(self) -> None:
        self.flushed.append(len(self.values))


def halve(engine: Engine, batch: Any) -> Any:
    return batch * 0.5


def unchanged(output: Any) -> Any:
    return output


class Model(nn.Module):
    """Two layers; only one weight has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.body = nn.Sequential(nn.Linear(1, 1))
        for number, parameter in enumerate(self.parameters()):
            nn.init.constant_(parameter, number + 3.0)
        self.fc.weight.grad = torch.tensor([[3.0, 4.0]])


# Handlers


def test_output_handler_logs_each_number_at_the_counter_of_the_event() -> None:
    engine, logger = Engine(halve), MemoryLogger()
    engine.state.metrics = {"acc": torch.tensor(0.75), "f1": torch.tensor([0.5, 0.25])}
    engine.state.alpha = 3
    logger.attach_output_handler(engine, Events.ITERATION_COMPLETED(every=2), "train", output_transform=unchanged)
    logger.attach_output_handler(engine, Events.EPOCH_COMPLETED, "val", metric_names="all", state_attributes=["alpha"])
    engine.run([1, 2, 3], max_epochs=2)
    epoch = {"val/acc": 0.75, "val/f1/0": 0.5, "val/f1/1": 0.25, "val/alpha": 3}
    assert logger.values == [
        (2, {"train/output": 1.0}),
        (1, epoch),
        (4, {"train/output": 0.5}),
        (6, {"train/output": 1.5}),
        (2, epoch),
    ]


def test_missing_and_non_numeric_values_are_skipped_with_a_warning() -> None:
    engine, logger = Engine(lambda engine, batch: {"ok": 1, "matrix": torch.ones(2, 3), "none": None}), MemoryLogger()
    logger.attach_output_handler(
        engine,
        Events.ITERATION_COMPLETED,
        "t",
        metric_names=["acc"],
        output_transform=unchanged,
        state_attributes=["alpha"],
    )
    with pytest.warns(UserWarning) as caught:  # noqa: PT030  # each message is checked below
        engine.run([1])
    expected = [r"no metric 'acc'.*\[\]", "no attribute 'alpha'", r"^matrix.*Tensor.*\(2, 3\)", "^none.*NoneType"]
    assert len(caught) == len(expected)
    for warning, message in zip(caught, expected):
        assert re.search(message, str(warning.message))
    assert logger.values == [(1, {"t/ok": 1})]


def test_step_can_come_from_another_engine() -> None:
    trainer, evaluator, logger = Engine(halve), Engine(halve), MemoryLogger()
    step = global_step_from_engine(trainer)
    logger.attach_output_handler(
        evaluator, Events.EPOCH_COMPLETED, "val", output_transform=unchanged, global_step_transform=step
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([4]))
    trainer.run([1], max_epochs=3)
    assert logger.values == [(epoch, {"val/output": 2.0}) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("step", ["one", 1.5, None])
def test_step_that_is_not_an_integer_raises_type_error(step: Any) -> None:
    engine = Engine(halve)
    MemoryLogger().attach_output_handler(
        engine,
        Events.ITERATION_COMPLETED,
        "t",
        output_transform=unchanged,
        global_step_transform=lambda engine, event: step,
    )
    with pytest.raises(TypeError, match=re.escape(f"global_step must be int, got {step!r}")):
        engine.run([1])


def test_values_are_read_only_at_the_event() -> None:
    engine, logger, read = Engine(halve), MemoryLogger(), []
    logger.attach_output_handler(
        engine, Events.ITERATION_COMPLETED(every=40), "t", output_transform=lambda output: read.append(output) or output
    )
    engine.run(range(100))
    assert read == [19.5, 39.5]


def test_optimizer_params_handler_logs_each_group() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.1, 0.2)]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    engine, logger = Engine(halve), MemoryLogger()
    logger.attach_opt_params_handler(engine, Events.ITERATION_STARTED, optimizer)
    logger.attach_opt_params_handler(engine, Events.EPOCH_COMPLETED, optimizer, param_name="momentum", tag="gen")
    engine.run([1])
    assert logger.values == [
        (1, {"lr/group_0": 0.1, "lr/group_1": 0.2}),
        (1, {"gen/momentum/group_0": 0.9, "gen/momentum/group_1": 0.9}),
    ]


WEIGHTS: list[tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]] = [
    (
        WeightsScalarHandler,
        {},
        {
            "weights_norm/fc/weight": pytest.approx(18**0.5),
            "weights_norm/fc/bias": 4.0,
            "weights_norm/body/0/weight": 5.0,
            "weights_norm/body/0/bias": 6.0,
        },
    ),
    (WeightsScalarHandler, {"reduction": torch.max, "whitelist": ["fc.w"]}, {"weights_norm/fc/weight": 3.0}),
    (WeightsScalarHandler, {"tag": "gen", "whitelist": "body.0.b"}, {"gen/weights_norm/body/0/bias": 6.0}),
    (WeightsHistHandler, {"whitelist": lambda name, p: p.numel() == 2}, {"weights/fc/weight": [[3.0, 3.0]]}),
    (GradsScalarHandler, {}, {"grads_norm/fc/weight": 5.0}),
    (GradsHistHandler, {"tag": "gen"}, {"gen/grads/fc/weight": [[3.0, 4.0]]}),
]


@pytest.mark.parametrize(("handler", "arguments", "expected"), WEIGHTS)
def test_weights_and_existing_gradients_are_logged(handler: Any, arguments: Any, expected: Any) -> None:
    engine, logger = Engine(halve), MemoryLogger()
    logger.attach(engine, handler(Model(), **arguments), Events.EPOCH_COMPLETED)
    engine.run([1])
    assert logger.values == [(1, expected)]


def test_histograms_of_bfloat16_weights_and_sparse_gradients_are_logged() -> None:
    embedding = nn.Embedding(3, 2, sparse=True)
    embedding(torch.tensor([2])).sum().backward()
    half = nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    nn.init.constant_(half.weight, 0.5)
    engine, logger = Engine(halve), MemoryLogger()
    logger.attach(engine, GradsHistHandler(embedding), Events.EPOCH_COMPLETED)
    logger.attach(engine, WeightsHistHandler(half), Events.EPOCH_COMPLETED)
    engine.run([1])
    assert logger.values == [
        (1, {"grads/weight": [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]}),
        (1, {"weights/weight": [[0.5]]}),
    ]


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: OutputHandler("t"),
        ValueError,
        "Either metric_names, output_transform or state_attributes should be defined",
    ),
    (lambda: OutputHandler("t", metric_names="acc"), TypeError, "metric_names should be a list of names, or 'all'"),
    (lambda: OutputHandler("t", output_transform=1), TypeError, "output_transform should be a function"),
    (
        lambda: OutputHandler("t", "all", global_step_transform=1),
        TypeError,
        "global_step_transform should be a function",
    ),
    (lambda: OptimizerParamsHandler(1), TypeError, "Argument optimizer should be torch.optim.Optimizer"),
    (lambda: WeightsHistHandler(1), TypeError, "Argument model should be of type torch.nn.Module"),
    (lambda: WeightsScalarHandler(Model(), reduction=1), TypeError, "Argument reduction should be callable"),
    (
        lambda: WeightsScalarHandler(Model(), reduction=torch.abs),
        TypeError,
        "Output of the reduction function should be a scalar",
    ),
    (lambda: MemoryLogger.__base__().log_values({}, 1), NotImplementedError, "BaseLogger does not define log_values"),
    (lambda: CSVLogger.log_histograms(MagicMock(), {}, 1), NotImplementedError, "has no histograms"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_invalid_arguments_raise(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("handler", "error", "message"),
    [
        (tensorboard_logger.OutputHandler("t", "all"), RuntimeError, "works only with TensorboardLogger"),
        (tensorboard_logger.GradsHistHandler(Model()), RuntimeError, "works only with TensorboardLogger"),
        (mlflow_logger.OutputHandler("t", "all"), TypeError, "works only with MLflowLogger"),
        (wandb_logger.OutputHandler("t", "all"), RuntimeError, "works only with WandBLogger"),
    ],
)
def test_handler_restricted_to_a_logger_refuses_other_loggers(
    handler: Any, error: type[Exception], message: str
) -> None:
    engine = Engine(halve)
    MemoryLogger().attach(engine, handler, Events.ITERATION_COMPLETED)
    with pytest.raises(error, match=message):
        engine.run([1])


# Attaching


def test_function_is_called_with_engine_logger_event_and_arguments() -> None:
    engine, logger, calls = Engine(halve), MemoryLogger(), []
    event = Events.ITERATION_COMPLETED(every=2)

    def log(*args: Any, **kwargs: Any) -> None:
        calls.append((*args, kwargs))

    handle = logger.attach(engine, log, Events.STARTED | event, 7, last=8)
    engine.run([1, 2])
    with handle:
        pass
    engine.run([1, 2])
    assert calls == [(engine, logger, Events.STARTED, 7, {"last": 8}), (engine, logger, event, 7, {"last": 8})]


def test_removing_a_handle_keeps_the_handler_of_another_logger() -> None:
    engine, one, other = Engine(halve), MemoryLogger(), MemoryLogger()
    handler = OutputHandler("t", output_transform=unchanged)
    handle = one.attach(engine, handler, Events.ITERATION_COMPLETED | Events.EPOCH_COMPLETED)
    other.attach(engine, handler, Events.ITERATION_COMPLETED)
    handle.remove()
    engine.run([2])
    assert (one.values, other.values) == ([], [(1, {"t/output": 1.0})])


@pytest.mark.parametrize("event", [Events.TERMINATE, Events.STARTED | Events.EXCEPTION_RAISED, "abc"], ids=str)
def test_event_without_counter_raises_and_attaches_nothing(event: Any) -> None:
    engine = Engine(halve)
    with pytest.raises(RuntimeError, match=r"^Unknown event name"):
        MemoryLogger().attach(engine, print, event)
    assert not engine.handlers()


def run_to_the_end(step: Callable[..., Any], error: type[BaseException] | None) -> tuple[Engine, MemoryLogger]:
    engine, logger = Engine(step), MemoryLogger()
    for event in (Events.ITERATION_STARTED, Events.COMPLETED):
        logger.attach_output_handler(engine, event, "t", state_attributes=["iteration"])
    if error is None:
        engine.run(range(3))
    else:
        with pytest.raises(error):
            engine.run(range(3))
    return engine, logger


def at_iteration_two(action: Callable[[Engine], Any]) -> Callable[..., Any]:
    def step(engine: Engine, batch: Any) -> None:
        if engine.state.iteration == 2:
            action(engine)

    return step


def raise_arithmetic_error(engine: Engine) -> None:
    raise ArithmeticError("no")


def raise_keyboard_interrupt(engine: Engine) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("action", "error", "logged"),
    [
        (unchanged, None, 4),
        (raise_arithmetic_error, ArithmeticError, 2),
        (raise_keyboard_interrupt, KeyboardInterrupt, 2),
        (Engine.terminate, None, 3),
        (Engine.interrupt, None, 2),
    ],
)
def test_logger_is_flushed_once_however_the_run_ends(action: Any, error: Any, logged: int) -> None:
    _engine, logger = run_to_the_end(at_iteration_two(action), error)
    assert (logger.flushed, len(logger.values)) == ([logged], logged)


def test_engine_with_a_logger_is_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        engine, _ = run_to_the_end(at_iteration_two(unchanged), None)
        gone = weakref.ref(engine)
        del engine, _
        assert gone() is None
    finally:
        gc.enable()


def test_custom_logger_and_handler_need_only_the_methods_they_use() -> None:
    class Own(BaseHandler):
        def __call__(self, engine: Any, logger: Any, event_name: Any) -> None:
            logger.append((engine.state.iteration, event_name))

    class Listed(BaseLogger, list):  # type: ignore[type-arg]
        def _create_output_handler(self, *args: Any, **kwargs: Any) -> Any:
            return Own(*args, **kwargs)

    engine, logger = Engine(halve), Listed()
    logger.attach_output_handler(engine, Events.ITERATION_COMPLETED)
    engine.run([1])
    assert logger == [(1, Events.ITERATION_COMPLETED)]


# The same log entries as with pytorch-ignite


numbers = st.one_of(
    st.integers(-9, 9), st.booleans(), st.floats(-9, 9), st.builds(torch.tensor, st.floats(-9, 9, width=32))
)
arrays = st.lists(st.floats(-9, 9, width=32), max_size=3).map(torch.tensor)
unloggable = st.sampled_from([None, "text", torch.ones(2, 2)])
outputs = st.recursive(
    st.one_of(numbers, arrays, unloggable),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text("ab /.", min_size=1, max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)
KINDS = {"tensorboard": "TensorboardLogger", "mlflow": "MLflowLogger", "wandb": "WandBLogger"}


class Side:
    """One of the two libraries, and a mock of its logger."""

    def __init__(self, package: str, core: str, kind: str) -> None:
        self.module, core = import_module(f"{package}.handlers.{kind}_logger"), import_module(core)
        self.Events, self.Engine = core.Events, core.Engine
        self.logger = MagicMock(spec=getattr(self.module, KINDS[kind]))
        self.logger.writer, self.logger.log_metrics, self.logger.log = MagicMock(), MagicMock(), MagicMock()
        self.state = core.State(metrics={"acc": 0.5, "per class": torch.tensor([0.25, 1.0])}, alpha=2)
        self.state.iteration, self.state.epoch = 7, 2

    def calls_of(self, handler: str, event: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the calls of a handler to the mocks, with Python numbers."""
        given = getattr(self.module, handler)(*args, **kwargs)
        given(SimpleNamespace(state=self.state), self.logger, getattr(self.Events, event))
        mocks = (self.logger.writer, self.logger.log_metrics, self.logger.log)
        calls = [(name, plain(args), plain(kwargs)) for mock in mocks for name, args, kwargs in mock.mock_calls]
        return [call for call in calls if call[1] != [{}]]  # Ignite logs an empty mapping if every value is skipped


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def both(kind: str) -> list[Side]:
    pytest.importorskip("ignite")
    return [Side("fsm_engine", "fsm_engine", kind), Side("ignite", "ignite.engine", kind)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(output=outputs)
def test_output_is_written_like_in_ignite(kind: str, output: Any) -> None:
    written = []
    for side in both(kind):
        side.state.output = output
        written.append(
            side.calls_of(
                "OutputHandler",
                "ITERATION_COMPLETED",
                "t",
                "all",
                output_transform=unchanged,
                state_attributes=["alpha"],
            )
        )
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", KINDS)
def test_optimizer_params_are_written_like_in_ignite(kind: str) -> None:
    optimizer = torch.optim.SGD(Model().parameters(), lr=0.1, momentum=0.9)
    ours, theirs = [side.calls_of("OptimizerParamsHandler", "EPOCH_STARTED", optimizer) for side in both(kind)]
    assert ours == theirs
    ours, theirs = [
        side.calls_of("OptimizerParamsHandler", "STARTED", optimizer, "momentum", "g") for side in both(kind)
    ]
    assert ours == theirs


@pytest.mark.parametrize("tag", [None, "gen"])
@pytest.mark.parametrize("whitelist", [None, ["fc"], lambda name, parameter: "bias" in name])
@pytest.mark.parametrize(
    "handler", ["WeightsScalarHandler", "WeightsHistHandler", "GradsScalarHandler", "GradsHistHandler"]
)
def test_weights_are_written_like_in_ignite(handler: str, whitelist: Any, tag: str | None) -> None:
    model = Model()
    ours, theirs = [
        side.calls_of(handler, "EPOCH_COMPLETED", model, tag=tag, whitelist=whitelist) for side in both("tensorboard")
    ]
    assert ours == theirs


# TensorBoard


@pytest.fixture
def no_typst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)


def read_back(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return accumulator.EventAccumulator(str(folder), {"scalars": 0, "histograms": 0}).Reload()


def test_event_files_contain_the_logged_values(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    engine, model = Engine(halve), Model()
    with TensorboardLogger(log_dir=tmp_path) as logger:
        logger.attach_output_handler(engine, Events.ITERATION_COMPLETED, "train", output_transform=unchanged)
        logger.attach(engine, WeightsScalarHandler(model, whitelist=["fc.b"]), Events.EPOCH_COMPLETED)
        logger.attach(engine, WeightsHistHandler(model, whitelist=["fc.w"]), Events.EPOCH_COMPLETED)
        engine.run([1, 2, 3])
        logger.add_scalar("by hand", 0.5, 9)
    events = read_back(tmp_path)
    scalars = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert scalars == {
        "train/output": [(1, 0.5), (2, 1.0), (3, 1.5)],
        "weights_norm/fc/bias": [(1, 4.0)],
        "by hand": [(9, 0.5)],
    }
    (histogram,) = events.Histograms("weights/fc/weight")
    assert (histogram.step, histogram.histogram_value.num, histogram.histogram_value.sum) == (1, 2, 6.0)


def test_event_files_are_complete_after_a_failed_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    logger, engine = TensorboardLogger(log_dir=tmp_path), Engine(at_iteration_two(raise_arithmetic_error))
    logger.attach_output_handler(engine, Events.ITERATION_STARTED, "t", state_attributes=["iteration"])
    with pytest.raises(ArithmeticError):
        engine.run(range(9))
    assert [event.value for event in read_back(tmp_path).Scalars("t/iteration")] == [1, 2]
    logger.close()


@pytest.mark.usefixtures("no_typst")
def test_lifecycle_is_logged_as_mermaid_text_without_typst() -> None:
    logger, engine = mock_of_tensorboard(), Engine(halve)
    with engine.record() as timeline:
        engine.run([1])
    TensorboardLogger.log_lifecycle(logger, engine)
    TensorboardLogger.log_timeline(logger, timeline)
    (_, (name, text), _), (_, (other, table), _) = logger.writer.mock_calls
    assert (name, text.split("\n")[0], "EPOCH_STARTED" in text, other, "ITERATION_STARTED" in table) == (
        "lifecycle",
        "```mermaid",
        True,
        "timeline",
        True,
    )


def mock_of_tensorboard() -> Any:
    logger = MagicMock(spec=TensorboardLogger)
    logger.writer = MagicMock()
    return logger


def test_pictures_are_logged_as_pixels_with_typst() -> None:
    pytest.importorskip("typst")
    pytest.importorskip("PIL")
    logger, engine = mock_of_tensorboard(), Engine(halve)
    with engine.record() as timeline:
        engine.run([1])
    TensorboardLogger.log_lifecycle(logger, engine, "run")
    TensorboardLogger.log_timeline(logger, timeline)
    *pictures, (summed, (_, table), _) = logger.writer.mock_calls
    assert [(called, name, pixels.ndim, pixels.shape[2], given) for called, (name, pixels), given in pictures] == [
        ("add_image", "run", 3, 3, {"dataformats": "HWC"}),
        ("add_image", "timeline", 3, 3, {"dataformats": "HWC"}),
    ]
    assert (summed, "ITERATION_STARTED" in table) == ("add_text", True)


def test_pickled_tensorboard_logger_writes_to_the_same_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with TensorboardLogger(log_dir=tmp_path) as logger:
        again = pickle.loads(pickle.dumps(logger))
    assert again.writer.log_dir == str(tmp_path)
    again.close()


@pytest.mark.parametrize(
    ("make", "missing", "message"),
    [
        (TensorboardLogger, ["tensorboardX", "torch.utils.tensorboard"], "requires either tensorboardX or torch"),
        (MLflowLogger, ["mlflow"], "MLflowLogger needs mlflow"),
        (WandBLogger, ["wandb"], "WandBLogger needs wandb"),
    ],
)
def test_missing_backend_raises_with_the_pip_command(
    make: Callable[[], Any], missing: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    extra = "tensorboard" if make is TensorboardLogger else missing[0]
    with pytest.raises(ModuleNotFoundError, match=message) as caught:
        make()
    assert str(caught.value).endswith(f'Install it with: pip install "fsm-engine[{extra}]"')


# MLflow, Weights & Biases


def test_mlflow_gets_only_names_that_it_accepts() -> None:
    logger = MagicMock(spec=MLflowLogger)
    logger.log_metrics = MagicMock()
    with pytest.warns(UserWarning, match=r"^MLflow does not accept the metric name 't a\(b\)'.* 't a_b_'"):
        MLflowLogger.log_values(logger, {"t a(b)": 1, "t c/d-e.f g_h:i": 2}, 3)
    logger.log_metrics.assert_called_once_with({"t a_b_": 1, "t c/d-e.f g_h:i": 2}, step=3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_stores_the_logged_values_and_the_failed_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    engine = Engine(at_iteration_two(raise_arithmetic_error))
    with pytest.raises(ArithmeticError), MLflowLogger((tmp_path / "runs").as_uri()) as logger:  # noqa: PT012
        logger.log_params({"lr": 0.1})
        logger.log_lifecycle(engine)
        logger.attach_output_handler(engine, Events.ITERATION_STARTED, "train", state_attributes=["iteration"])
        engine.run(range(5))
    number = logger.active_run.info.run_id
    client = mlflow.MlflowClient()
    run = client.get_run(number)
    assert (run.info.status, run.data.params) == ("FAILED", {"lr": "0.1"})
    assert [(m.step, m.value) for m in client.get_metric_history(number, "train iteration")] == [(1, 1.0), (2, 2.0)]
    assert [file.path for file in client.list_artifacts(number)] == ["lifecycle.svg"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_stores_the_logged_values_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    engine = Engine(halve)
    with WandBLogger(mode="offline", project="p", dir=str(tmp_path)) as logger:
        logger.attach_output_handler(engine, Events.ITERATION_COMPLETED, "train", output_transform=unchanged)
        logger.attach(engine, WeightsHistHandler(Model()), Events.ITERATION_COMPLETED)
        engine.run([1, 2, 3])
        logger.log_lifecycle(engine)
        logger.log_values({"end": "now"}, 4)
        summary = dict(logger.run.summary)
    assert (summary["train/output"], summary["weights/fc/bias"]["_type"]) == (1.5, "histogram")
    assert len(list(tmp_path.rglob("*.wandb"))) == 1
    assert [path.name.split("_")[0] for path in tmp_path.rglob("*.html")] == ["lifecycle"]


# Text files


@pytest.fixture(params=[CSVLogger, JSONLinesLogger])
def lines(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with request.param(tmp_path / "logs" / "run.txt") as logger:
        yield logger


def rows(logger: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return the steps in a file, each with its values as strings."""
    text = logger.path.read_text()
    if isinstance(logger, JSONLinesLogger):
        found = [json.loads(line, parse_constant=None) for line in text.splitlines() if line]
        return [
            (row["step"], {name: str(value) for name, value in row.items() if name not in ("step", "time")})
            for row in found
        ]
    together = itertools.groupby(csv.DictReader(text.splitlines()), key=lambda row: (row["step"], row["time"]))
    return [(int(step), {row["name"]: row["value"] for row in group}) for (step, _), group in together]


def test_each_line_is_in_the_file_immediately(lines: Any) -> None:
    engine = Engine(halve)
    lines.attach_output_handler(
        engine, Events.ITERATION_COMPLETED, "t", output_transform=lambda x: {"a,b": x, "s": "x"}
    )
    seen = []
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.append(rows(lines)[-1]))
    engine.run([1, 2])
    assert seen == [(1, {"t/a,b": "0.5", "t/s": "x"}), (2, {"t/a,b": "1.0", "t/s": "x"})]


def test_file_is_closed_with_the_run_and_continued_by_the_next_run(lines: Any) -> None:
    engine = Engine(at_iteration_two(raise_arithmetic_error))
    lines.attach_output_handler(engine, Events.ITERATION_STARTED, "t", state_attributes=["iteration"])
    for _ in range(2):
        engine.state.max_epochs = None  # so that the run starts from the beginning
        with pytest.raises(ArithmeticError):
            engine.run(range(3))
        assert lines._file is None
    with lines:
        lines.log_values({"t/iteration": 9}, 9)
    assert lines._file is None
    assert rows(lines) == [(step, {"t/iteration": str(step)}) for step in (1, 2, 1, 2, 9)]


def test_numbers_that_json_does_not_have_are_strings_that_float_reads(lines: Any) -> None:
    values = {"a": float("nan"), "b": float("inf"), "c": -float("inf"), "d": True, "e": numpy_half()}
    lines.log_values(values, 1)
    assert rows(lines) == [(1, {"a": "nan", "b": "inf", "c": "-inf", "d": "True", "e": "0.5"})]


def numpy_half() -> Any:
    return pytest.importorskip("numpy").float32(0.5)


def test_existing_lines_are_kept_and_an_incomplete_line_is_terminated(lines: Any) -> None:
    lines.log_values({"a": 1}, 1)
    lines.close()
    before = lines.path.read_text()
    lines.path.write_text(before + "1,cut")
    again = pickle.loads(pickle.dumps(type(lines)(lines.path)))
    again.log_values({"a": 2}, 2)
    again.close()
    assert lines.path.read_text().startswith(before + "1,cut\n")
    assert lines.path.read_text().count("\n") == before.count("\n") + 2


def test_csv_logger_refuses_a_file_with_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("step,loss\n1,2\n")
    with pytest.raises(ValueError, match=r"is not a file of CSVLogger.*'step,name,value,time'"):
        CSVLogger(path)
    assert path.read_text() == "step,loss\n1,2\n"


@pytest.mark.parametrize("name", ["step", "time"])
def test_reserved_key_raises_value_error(name: str, tmp_path: Path) -> None:
    logger = JSONLinesLogger(tmp_path / "run.jsonl")
    with pytest.raises(ValueError, match=f"^'{name}' is a key that every line has"):
        logger.log_values({name: 1}, 1)
    assert logger.path.read_text() == ""
    logger.close()


def test_pictures_are_saved_beside_the_file(lines: Any) -> None:
    engine = Engine(halve)
    with engine.record() as timeline:
        engine.run([1])
    lines.log_lifecycle(engine)
    lines.log_timeline(timeline, "first")
    lines.close()
    there = {path.name: path.read_text()[:4] for path in lines.path.parent.iterdir() if path != lines.path}
    assert there == {"run.lifecycle.svg": "<svg", "run.first.svg": "<svg"}


# Resuming a run with a text file


def logged_job(kind: Any, folder: Path, ends_at: int, loggers: int = 1) -> list[Any]:
    """Start or resume a job that saves every second iteration and exits at iteration `ends_at`; return its lines."""

    def step(engine: Engine, batch: int) -> int:
        if engine.state.iteration == ends_at:
            raise SystemExit
        return batch * engine.state.iteration

    trainer, evaluator = Engine(step), Engine(halve)
    lines = [kind(folder / "run.txt") for _ in range(loggers)]
    lines[0].attach_output_handler(trainer, Events.ITERATION_COMPLETED, "train", output_transform=unchanged)
    lines[-1].attach_output_handler(
        evaluator,
        Events.COMPLETED,
        "val",
        output_transform=unchanged,
        global_step_transform=global_step_from_engine(trainer),
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([4]))
    checkpoint = Checkpoint({"trainer": trainer, "evaluator": evaluator}, folder / "saved")
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=2), checkpoint)
    checkpoint.resume()
    with contextlib.suppress(SystemExit):
        trainer.run([1, 2, 3], max_epochs=3)
    return rows(lines[0])


@pytest.mark.parametrize("loggers", [1, 2])
@pytest.mark.parametrize("killed_at", range(3, 10))
@pytest.mark.parametrize("kind", [CSVLogger, JSONLinesLogger])
def test_each_line_is_there_once_after_a_run_was_killed_and_resumed(
    tmp_path: Path, kind: Any, killed_at: int, loggers: int
) -> None:
    whole = logged_job(kind, tmp_path / "whole", 0, loggers)
    (tmp_path / "killed").mkdir()
    logged_job(kind, tmp_path / "killed", killed_at, loggers)
    with (tmp_path / "killed" / "run.txt").open("a") as file:
        file.write("a line that was cut o")
    assert logged_job(kind, tmp_path / "killed", 0, loggers) == whole


def test_lines_of_a_run_that_was_killed_before_its_first_checkpoint_are_kept(tmp_path: Path) -> None:
    whole = logged_job(CSVLogger, tmp_path / "whole", 0)
    before = logged_job(CSVLogger, tmp_path / "killed", 2)
    assert len(before) == 1
    assert logged_job(CSVLogger, tmp_path / "killed", 0) == before + whole


def test_lines_are_removed_only_when_the_run_goes_on(lines: Any) -> None:
    lines.log_values({"a": 1}, 1)
    state = lines.state_dict()
    lines.log_values({"a": 2}, 2)
    text, newer = lines.path.read_bytes(), lines.state_dict()
    lines.load_state_dict(state)
    assert (lines.path.read_bytes(), lines.state_dict()) == (text, state)
    lines.load_state_dict(newer)  # as after a load that has failed
    lines.flush()
    assert lines.path.read_bytes() == text
    lines.load_state_dict(state)
    lines.flush()
    assert rows(lines) == [(1, {"a": "1"})]


def test_lines_of_another_file_are_kept(lines: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines.log_values({"a": 1}, 1)
    state = lines.state_dict()
    lines.log_values({"a": 2}, 2)
    other = type(lines)(tmp_path / "other.txt")
    other.load_state_dict(state)  # it is shorter, as after the log was moved away
    for step in (3, 4, 5):
        other.log_values({"a": step}, step)
    assert caplog.messages == []
    other.load_state_dict(state)
    other.log_values({"a": 6}, 6)
    assert [step for step, _ in rows(other)] == [3, 4, 5, 6]
    (message,) = caplog.messages
    assert str(other.path) in message
    other.close()
    for wrong, error in (([], TypeError), ({"position": 1}, ValueError)):
        with pytest.raises(error):
            other.load_state_dict(wrong)


# Code as users of pytorch-ignite write it


def test_code_with_ignites_module_names_and_keywords_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"trainer": Engine(halve), "model": Model(), "Events": Events}
    exec(IGNITE_CODE, names)
    names["trainer"].run([1], max_epochs=2)
    names["tb_logger"].close()
    events = read_back(tmp_path / "experiments" / "tb_logs")
    assert [event.step for event in events.Histograms("weights/body/0/bias")] == [1, 2]


IGNITE_CODE = """
from fsm_engine.handlers.tensorboard_logger import *

tb_logger = TensorboardLogger(log_dir="experiments/tb_logs")
tb_logger.attach(trainer, event_name=Events.EPOCH_COMPLETED, log_handler=WeightsHistHandler(model))
"""


@pytest.mark.parametrize(("module", "logger_class"), [("mlflow", MLflowLogger), ("wandb", WandBLogger)])
def test_only_rank_0_calls_the_backend(module: str, logger_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MagicMock()
    monkeypatch.setitem(sys.modules, module, backend)
    for rank in (1, 0):
        monkeypatch.setattr("fsm_engine.distributed.get_rank", lambda rank=rank: rank)
        engine = Engine(lambda engine, batch: batch)
        with logger_class() as logger:
            logger.attach_output_handler(
                engine, Events.ITERATION_COMPLETED, "t", output_transform=lambda output: output
            )
            logger.log_values({"a": 1.0}, 1)
            logger.watch(engine).unwatch()
            logger.log_lifecycle(engine)
            engine.run([1.0])
        assert bool(backend.mock_calls) is (rank == 0)
