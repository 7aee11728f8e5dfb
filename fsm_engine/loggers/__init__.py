"""Loggers of experiments, and the handlers that log with them."""

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
