"""Modules under the names that pytorch-ignite gives them, such as `fsm_engine.handlers.tensorboard_logger`.

pytorch-ignite defines loggers, the progress bar and the profilers in modules of ``ignite.handlers``, and code written
for it imports from those modules: ``from ignite.handlers.tensorboard_logger import *``. Here the classes are defined
elsewhere. This module makes the same modules from a table, so that such imports only need the new package name.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from typing import Any

from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.handlers.profilers import BasicTimeProfiler, HandlersTimeProfiler
from fsm_engine.handlers.progress_bar import ProgressBar
from fsm_engine.loggers import base, handlers, mlflow, tensorboard, wandb, weights_handlers


def _by_name(*objects: Any) -> dict[str, Any]:
    return {thing.__name__: thing for thing in objects}


_MODULES = {
    "base_logger": {
        **_by_name(
            base.BaseLogger,
            handlers.BaseHandler,
            weights_handlers.BaseWeightsHandler,
            weights_handlers.BaseWeightsScalarHandler,
        ),
        "BaseOptimizerParamsHandler": handlers.OptimizerParamsHandler,
        "BaseOutputHandler": handlers.OutputHandler,
    },
    "mlflow_logger": _by_name(
        mlflow.MLflowLogger, mlflow.OptimizerParamsHandler, mlflow.OutputHandler, global_step_from_engine
    ),
    "tensorboard_logger": _by_name(
        tensorboard.TensorboardLogger,
        tensorboard.OptimizerParamsHandler,
        tensorboard.OutputHandler,
        tensorboard.GradsHistHandler,
        tensorboard.GradsScalarHandler,
        tensorboard.WeightsHistHandler,
        tensorboard.WeightsScalarHandler,
        global_step_from_engine,
    ),
    "time_profilers": _by_name(BasicTimeProfiler, HandlersTimeProfiler),
    "tqdm_logger": _by_name(ProgressBar),
    "wandb_logger": _by_name(
        wandb.WandBLogger, wandb.OptimizerParamsHandler, wandb.OutputHandler, global_step_from_engine
    ),
}


def register(package: str) -> None:
    """Add the modules of the table to `sys.modules` as submodules of `package`."""
    for name, contents in _MODULES.items():
        module = module_from_spec(ModuleSpec(f"{package}.{name}", loader=None))
        vars(module).update(contents, __all__=[*contents], __doc__=f"Names of ignite.handlers.{name}; see {__name__}.")
        sys.modules[module.__name__] = module
        setattr(sys.modules[package], name, module)
