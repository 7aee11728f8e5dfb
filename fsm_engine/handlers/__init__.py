"""Handlers that users attach to an engine: checkpoints, schedulers, early stopping, progress bars and others.

A handler is called with the engine when an event is fired, and changes the engine, an optimizer or files. Each handler
has its own module, or its own folder if it needs several. The packages `supervised`, `compat` and `cli` may import this
package; it imports only packages below it, such as `loggers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine._util.lazy_modules import names_of
from fsm_engine.handlers.checkpoint import (
    BaseSaveHandler,
    Checkpoint,
    CheckpointEvents,
    DiskSaver,
    ModelCheckpoint,
)
from fsm_engine.handlers.early_stopping import EarlyStopping
from fsm_engine.handlers.ema import EMAHandler
from fsm_engine.handlers.epoch_output_store import EpochOutputStore
from fsm_engine.handlers.fbresearch_logger import FBResearchLogger
from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.handlers.graceful_stop import GracefulStop
from fsm_engine.handlers.lr_finder import FastaiLRFinder
from fsm_engine.handlers.param_scheduler import (
    BaseParamScheduler,
    BatchSizeScheduler,
    ConcatScheduler,
    CosineAnnealingScheduler,
    CyclicalScheduler,
    LinearCyclicalScheduler,
    LRScheduler,
    ParamGroupScheduler,
    ParamScheduler,
    PiecewiseLinear,
    ReduceLROnPlateauScheduler,
    create_lr_scheduler_with_warmup,
)
from fsm_engine.handlers.profilers import BasicTimeProfiler, HandlersTimeProfiler
from fsm_engine.handlers.progress_bar import ProgressBar
from fsm_engine.handlers.state_param_scheduler import (
    ExpStateScheduler,
    LambdaStateScheduler,
    MultiStepStateScheduler,
    PiecewiseLinearStateScheduler,
    StateParamScheduler,
    StepStateScheduler,
)
from fsm_engine.handlers.terminate_on_nan import TerminateOnNan
from fsm_engine.handlers.time_limit import TimeLimit
from fsm_engine.handlers.timer import Timer
from fsm_engine.handlers.watchdog import Stall, Watchdog
from fsm_engine.loggers import MLflowLogger, TensorboardLogger, WandBLogger

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)  # modules that pytorch-ignite has here

__all__ = [
    "BaseParamScheduler",
    "BaseSaveHandler",
    "BasicTimeProfiler",
    "BatchSizeScheduler",
    "Checkpoint",
    "CheckpointEvents",
    "ConcatScheduler",
    "CosineAnnealingScheduler",
    "CyclicalScheduler",
    "DiskSaver",
    "EMAHandler",
    "EarlyStopping",
    "EpochOutputStore",
    "ExpStateScheduler",
    "FBResearchLogger",
    "FastaiLRFinder",
    "GracefulStop",
    "HandlersTimeProfiler",
    "LRScheduler",
    "LambdaStateScheduler",
    "LinearCyclicalScheduler",
    "MLflowLogger",
    "ModelCheckpoint",
    "MultiStepStateScheduler",
    "ParamGroupScheduler",
    "ParamScheduler",
    "PiecewiseLinear",
    "PiecewiseLinearStateScheduler",
    "ProgressBar",
    "ReduceLROnPlateauScheduler",
    "Stall",
    "StateParamScheduler",
    "StepStateScheduler",
    "TensorboardLogger",
    "TerminateOnNan",
    "TimeLimit",
    "Timer",
    "WandBLogger",
    "Watchdog",
    "create_lr_scheduler_with_warmup",
    "global_step_from_engine",
]
