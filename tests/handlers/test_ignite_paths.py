"""Modules of `fsm_engine.handlers` that only exist under the names that pytorch-ignite gives them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

pytest.importorskip("torch")

LOGGING = {"OptimizerParamsHandler", "OutputHandler", "global_step_from_engine"}
HISTOGRAMS = {"GradsHistHandler", "GradsScalarHandler", "WeightsHistHandler", "WeightsScalarHandler"}
NAMES = {
    "base_logger": {
        *("BaseHandler", "BaseLogger", "BaseOptimizerParamsHandler", "BaseOutputHandler"),
        *("BaseWeightsHandler", "BaseWeightsScalarHandler"),
    },
    "mlflow_logger": {"MLflowLogger", *LOGGING},
    "tensorboard_logger": {"TensorboardLogger", *LOGGING, *HISTOGRAMS},
    "time_profilers": {"BasicTimeProfiler", "HandlersTimeProfiler"},
    "tqdm_logger": {"ProgressBar"},
    "wandb_logger": {"WandBLogger", *LOGGING},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_star_import_gives_the_public_names_that_ignite_has_there(name: str) -> None:
    theirs = pytest.importorskip(f"ignite.handlers.{name}")
    imported: dict[str, object] = {}
    exec(f"from fsm_engine.handlers.{name} import *", imported)
    assert imported.keys() - {"__builtins__"} == NAMES[name]
    assert NAMES[name] <= vars(theirs).keys()


def test_handlers_of_one_logger_are_the_classes_of_that_logger() -> None:
    from fsm_engine.handlers import tensorboard_logger, wandb_logger
    from fsm_engine.loggers import tensorboard, wandb

    assert tensorboard_logger.OutputHandler is tensorboard.OutputHandler
    assert wandb_logger.OutputHandler is wandb.OutputHandler


@pytest.mark.parametrize(
    "statement",
    [
        "import fsm_engine.handlers.tqdm_logger as module",
        "import fsm_engine.handlers.tqdm_logger; module = fsm_engine.handlers.tqdm_logger",
        "from fsm_engine.handlers import tqdm_logger as module",
        "import importlib; module = importlib.import_module('fsm_engine.handlers.tqdm_logger')",
    ],
)
def test_every_form_of_import_works_in_a_fresh_process(statement: str) -> None:
    code = f"{statement}; print(module.__name__, module.ProgressBar.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fsm_engine.handlers.tqdm_logger", "ProgressBar"]


def test_other_names_are_import_errors() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("fsm_engine.handlers.visdom_logger")
    with pytest.raises(ImportError, match="LRScheduler"):
        exec("from fsm_engine.handlers.tqdm_logger import LRScheduler")
