"""Loggers of experiments, and the handlers that log with them.

A handler, attached to an engine by `BaseLogger.attach`, reads values from the engine's state or from a model, and the
logger sends them to its backend. Each backend has a module with a subclass of `BaseLogger`; each kind of value has a
subclass of `BaseHandler`. Only handlers, supervised, compat and cli may import this package.
"""

from __future__ import annotations

from fsm_engine.loggers.base import BaseLogger
from fsm_engine.loggers.handlers import OptimizerParamsHandler, OutputHandler
from fsm_engine.loggers.mlflow import MLflowLogger
from fsm_engine.loggers.tensorboard import TensorboardLogger
from fsm_engine.loggers.text_files import CSVLogger, JSONLinesLogger
from fsm_engine.loggers.wandb import WandBLogger, WandbLogger
from fsm_engine.loggers.weights_handlers import (
    GradsHistHandler,
    GradsScalarHandler,
    WeightsHistHandler,
    WeightsScalarHandler,
)

__all__ = [
    "BaseLogger",
    "CSVLogger",
    "GradsHistHandler",
    "GradsScalarHandler",
    "JSONLinesLogger",
    "MLflowLogger",
    "OptimizerParamsHandler",
    "OutputHandler",
    "TensorboardLogger",
    "WandBLogger",
    "WandbLogger",
    "WeightsHistHandler",
    "WeightsScalarHandler",
]
