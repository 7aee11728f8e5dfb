"""`WandBLogger` and what goes with it, under the name that pytorch-ignite has for the module."""

from __future__ import annotations

from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.loggers.wandb import (
    OptimizerParamsHandler,
    OutputHandler,
    WandBLogger,
)

__all__ = [
    "OptimizerParamsHandler",
    "OutputHandler",
    "WandBLogger",
    "global_step_from_engine",
]
