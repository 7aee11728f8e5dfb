"""`MLflowLogger` and what goes with it, under the name that pytorch-ignite has for the module."""

from __future__ import annotations

from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.loggers.mlflow import (
    MLflowLogger,
    OptimizerParamsHandler,
    OutputHandler,
)

__all__ = [
    "MLflowLogger",
    "OptimizerParamsHandler",
    "OutputHandler",
    "global_step_from_engine",
]
