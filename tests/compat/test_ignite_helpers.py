"""Functions that only programs written for pytorch-ignite need: the same results on both libraries."""

from __future__ import annotations

import io
import logging
import random
from collections import namedtuple
from pathlib import Path
from typing import Any

import ignite.base
import ignite.contrib.engines.common
import ignite.engine
import ignite.utils
import numpy
import pytest
import torch
from torch import nn

import fsm_engine
import fsm_engine.base
import fsm_engine.contrib.engines.common
import fsm_engine.engine
import fsm_engine.loggers
import fsm_engine.utils

BOTH = pytest.mark.parametrize("library", [fsm_engine, ignite], ids=["fsm_engine", "ignite"])
Pair = namedtuple("Pair", "a b")
NESTED = {"x": [torch.ones(2), (torch.zeros(1), "text")], "pair": Pair(torch.ones(1), b"bytes")}


# utils


@BOTH
def test_apply_to_nested_values(library: Any) -> None:
    doubled = library.utils.apply_to_tensor(NESTED, lambda tensor: (2 * tensor).tolist())
    assert doubled == {"x": [[2.0, 2.0], ([0.0], "text")], "pair": Pair([2.0], b"bytes")}
    assert library.utils.apply_to_type([1, "a"], int, str) == ["1", "a"]
    with pytest.raises(TypeError, match="must contain"):
        library.utils.apply_to_tensor({"x": 3}, abs)


@BOTH
def test_convert_tensor(library: Any) -> None:
    moved = library.utils.convert_tensor(NESTED, device="meta", non_blocking=True)
    assert moved["x"][0].device.type == moved["pair"].a.device.type == "meta"
    assert library.utils.convert_tensor(NESTED)["x"][0] is NESTED["x"][0]
    assert library.engine.convert_tensor is library.utils.convert_tensor


def test_to_onehot() -> None:
    for indices in (torch.tensor([0, 2, 1]), torch.randint(3, (2, 4, 5))):
        codes = [library.utils.to_onehot(indices, num_classes=3) for library in (fsm_engine, ignite)]
        assert codes[0].dtype == codes[1].dtype == torch.uint8
        assert torch.equal(codes[0], codes[1])


def test_manual_seed() -> None:
    drawn = []
    for library in (fsm_engine, ignite):
        library.utils.manual_seed(3)
        drawn.append((random.random(), torch.rand(1).item(), numpy.random.rand()))
    assert drawn[0] == drawn[1]


@BOTH
@pytest.mark.filterwarnings("ignore")  # ignite does not close the file
def test_setup_logger_writes_once_to_stream_and_file(library: Any, tmp_path: Path) -> None:
    name, stream = f"test_helpers_{library.__name__}", io.StringIO()
    options = {"stream": stream, "filepath": str(tmp_path / "log.txt"), "format": "%(levelname)s %(message)s"}
    logger = library.utils.setup_logger(name, level=logging.WARNING, **options)
    assert library.utils.setup_logger(name, **options) is logger  # keeps its handlers
    logger.info("quiet")
    logger.warning("loud")
    assert stream.getvalue() == "WARNING loud\n"
    assert (tmp_path / "log.txt").read_text() == "WARNING loud\n"
    assert not logger.propagate
    again = io.StringIO()
    library.utils.setup_logger(name, stream=again, reset=True)
    logger.info("shown")
    assert "shown" in again.getvalue()
    assert "shown" not in stream.getvalue()
    library.utils.setup_logger(name, stream=again, reset=True, distributed_rank=1)
    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]


def test_hash_checkpoint(tmp_path: Path) -> None:
    found = []
    for library in (fsm_engine, ignite):
        folder = tmp_path / library.__name__
        folder.mkdir()
        (folder / "model.pt").write_bytes(b"weights")
        path, sha = library.utils.hash_checkpoint(str(folder / "model.pt"), str(folder / "out"))
        found.append((path.name, sha, path.read_bytes(), (folder / "model.pt").exists()))
        with pytest.raises(FileNotFoundError):
            library.utils.hash_checkpoint(folder / "model.pt", folder)
    assert found[0] == found[1]


# base


@BOTH
def test_serializable_checks_required_keys(library: Any) -> None:
    class Thing(library.base.Serializable):
        _state_dict_all_req_keys = ("a",)
        _state_dict_one_of_opt_keys = (("b", "c"), ("d",))

    thing = Thing()
    thing.load_state_dict({"a": 1, "c": 2, "d": 3})
    for wrong, error in (
        ([1], TypeError),
        ({"b": 1, "d": 1}, ValueError),
        ({"a": 1, "d": 1}, ValueError),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, ValueError),
    ):
        with pytest.raises(error):
            thing.load_state_dict(wrong)
    with pytest.raises(NotImplementedError):
        thing.state_dict()
    Thing._state_dict_one_of_opt_keys = ("b", "c")
    thing.load_state_dict({"a": 1, "b": 2})
    Thing._state_dict_one_of_opt_keys = ((),)
    with pytest.raises(ValueError, match="Empty group"):
        thing.load_state_dict({"a": 1})


@BOTH
def test_engines_are_serializable_and_functions_are_not(library: Any) -> None:
    engine = library.engine.Engine(lambda engine, batch: batch)
    assert isinstance(engine, library.base.Serializable)
    assert not isinstance(len, library.base.Serializable)


@BOTH
def test_a_resettable_handler_defines_both_methods(library: Any) -> None:
    with pytest.raises(TypeError, match="abstract"):
        library.base.ResettableHandler()


# engine


@BOTH
@pytest.mark.filterwarnings("ignore")
def test_steps_of_mixed_precision(library: Any) -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = torch.ones(3, 2), torch.zeros(3, 1)
    train = library.engine.supervised_training_step_amp(
        model,
        optimizer,
        nn.functional.mse_loss,
        gradient_accumulation_steps=2,
        output_transform=lambda x, y, p, loss: loss,
    )
    trainer = library.engine.Engine(train)
    before = model.weight.detach().clone()
    trainer.run([batch])
    assert torch.equal(model.weight, before)
    trainer.run([batch, batch], max_epochs=3)
    assert not torch.equal(model.weight, before)
    evaluator = library.engine.Engine(library.engine.supervised_evaluation_step_amp(model))
    evaluator.run([batch])
    assert not evaluator.state.output[0].requires_grad


# contrib.engines.common


@BOTH
def test_common_handlers_refuse_contradictions(library: Any, tmp_path: Path) -> None:
    common, trainer = library.contrib.engines.common, library.engine.Engine(lambda engine, batch: batch)
    with pytest.raises(ValueError, match="mutually exclusive"):
        common.setup_common_training_handlers(trainer, {}, output_path=str(tmp_path), save_handler=print)
    with pytest.raises(ValueError, match="output_path or save_handler"):
        common.setup_common_training_handlers(trainer, to_save={"model": nn.Linear(1, 1)}, with_pbars=False)
    for arguments in ({"optimizers": 1}, {"evaluators": 1}):
        with pytest.raises(TypeError, match=next(iter(arguments))):
            common.setup_tb_logging(str(tmp_path), trainer, **arguments)


@BOTH
def test_common_handlers_name_outputs_and_stop_on_nan(library: Any) -> None:
    common = library.contrib.engines.common
    for outputs, names in (
        ([(1.0, 2.0), (3.0, 4.0)], ["a", "b"]),
        ([{"a": 1.0}, {"a": 3.0}], ["a"]),
        ([1.0, 3.0], ["a"]),
    ):
        trainer = library.engine.Engine(lambda engine, batch: batch)
        common.setup_common_training_handlers(trainer, output_names=names, with_pbars=False)
        trainer.run(outputs)
        assert trainer.state.metrics["a"] == pytest.approx(1.04)
    trainer = library.engine.Engine(lambda engine, batch: batch)
    common.setup_common_training_handlers(trainer, with_pbars=False)
    assert trainer.run([1.0, float("nan"), 2.0]).iteration == 2
    trainer = library.engine.Engine(lambda engine, batch: {1, 2})
    common.setup_common_training_handlers(trainer, output_names=["a"], with_pbars=False, stop_on_nan=False)
    with pytest.raises(TypeError, match="mapping"):
        trainer.run([1])


def test_gpu_info_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsm_engine.metrics import GpuInfo

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="GPU of CUDA"):
        GpuInfo()


def test_gpu_info_with_a_stub_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    from fsm_engine.metrics import GpuInfo

    monkeypatch.setitem(sys.modules, "pynvml", ModuleType("pynvml"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (75, 100))
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 10 * device)
    engine = fsm_engine.Engine(lambda engine, batch: batch)
    GpuInfo().attach(engine, "gpu", event_name=fsm_engine.Events.EPOCH_COMPLETED)
    expected = {"gpu:0 mem(%)": 25, "gpu:0 util(%)": 0, "gpu:1 mem(%)": 25, "gpu:1 util(%)": 10}
    assert engine.run([1]).metrics == expected


class Printed(fsm_engine.loggers.BaseLogger):
    """A logger that keeps the values that it is given."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs, self.logged = kwargs, []

    def log_values(self, values: Any, step: int) -> None:
        self.logged.append((step, dict(values)))


@pytest.mark.parametrize(("name", "steps"), [("MLflow", [1, 2]), ("WandB", [2, 4])])
def test_loggers_are_set_up_for_engines_and_optimizers(
    name: str, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsm_engine.compat.ignite import logger_setup

    monkeypatch.setattr(logger_setup, f"{name}Logger", Printed)
    trainer, evaluator = (fsm_engine.Engine(lambda engine, batch: batch) for _ in range(2))
    trainer.state.metrics["loss"], evaluator.state.metrics["accuracy"] = 0.5, 0.9
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    set_up = getattr(fsm_engine.contrib.engines.common, f"setup_{name.lower()}_logging")
    logger = set_up(trainer, {"sgd": optimizer}, evaluator, log_every_iters=None, project="name")
    trainer.add_event_handler(fsm_engine.Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
    trainer.run([1, 2], max_epochs=2)
    assert logger.kwargs == {"project": "name"}
    assert [step for step, values in logger.logged if "validation/accuracy" in values] == steps
    assert [step for step, values in logger.logged if "training/loss" in values] == [1, 2, 3, 4]
    assert [values for _, values in logger.logged if "sgd/lr/group_0" in values] == [{"sgd/lr/group_0": 0.1}] * 4
