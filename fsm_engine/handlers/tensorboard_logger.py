"""`TensorboardLogger` and what goes with it, under the name that pytorch-ignite has for the module."""

from __future__ import annotations

from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.loggers.tensorboard import (
    GradsHistHandler,
    GradsScalarHandler,
    OptimizerParamsHandler,
    OutputHandler,
    TensorboardLogger,
    WeightsHistHandler,
    WeightsScalarHandler,
)

__all__ = [
    "GradsHistHandler",
    "GradsScalarHandler",
    "OptimizerParamsHandler",
    "OutputHandler",
    "TensorboardLogger",
    "WeightsHistHandler",
    "WeightsScalarHandler",
    "global_step_from_engine",
]
