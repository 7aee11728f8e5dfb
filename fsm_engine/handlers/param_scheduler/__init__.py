"""Schedulers: handlers that set the learning rate, or another setting of an optimizer, at each event."""

from __future__ import annotations

from fsm_engine.handlers.param_scheduler.base import BaseParamScheduler, ParamScheduler
from fsm_engine.handlers.param_scheduler.batch_size import BatchSizeScheduler
from fsm_engine.handlers.param_scheduler.concat import ConcatScheduler
from fsm_engine.handlers.param_scheduler.cyclical import (
    CosineAnnealingScheduler,
    CyclicalScheduler,
    LinearCyclicalScheduler,
)
from fsm_engine.handlers.param_scheduler.groups import ParamGroupScheduler
from fsm_engine.handlers.param_scheduler.lr_scheduler import LRScheduler
from fsm_engine.handlers.param_scheduler.piecewise import PiecewiseLinear
from fsm_engine.handlers.param_scheduler.plateau import ReduceLROnPlateauScheduler
from fsm_engine.handlers.param_scheduler.warmup import create_lr_scheduler_with_warmup

__all__ = [
    "BaseParamScheduler",
    "BatchSizeScheduler",
    "ConcatScheduler",
    "CosineAnnealingScheduler",
    "CyclicalScheduler",
    "LRScheduler",
    "LinearCyclicalScheduler",
    "ParamGroupScheduler",
    "ParamScheduler",
    "PiecewiseLinear",
    "ReduceLROnPlateauScheduler",
    "create_lr_scheduler_with_warmup",
]
