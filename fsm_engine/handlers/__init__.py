"""Handlers that users attach to an engine: checkpoints, schedulers, early stopping, progress bars and others.

A handler is called with the engine when an event is fired, and changes the engine, an optimizer or files. Each handler
has its own module, or its own folder if it needs several. The packages `supervised`, `compat` and `cli` may import this
package; it imports only packages below it, such as `loggers`.
"""

from __future__ import annotations

from fsm_engine.handlers import ignite_paths
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
from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.handlers.graceful_stop import GracefulStop
from fsm_engine.handlers.lr_finder import FastaiLRFinder
from fsm_engine.handlers.param_scheduler import (
    BaseParamScheduler,
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
from fsm_engine.handlers.terminate_on_nan import TerminateOnNan
from fsm_engine.handlers.time_limit import TimeLimit
from fsm_engine.handlers.timer import Timer
from fsm_engine.handlers.watchdog import Stall, Watchdog
from fsm_engine.loggers import MLflowLogger, TensorboardLogger, WandBLogger

__all__ = [
    "BaseParamScheduler",
    "BaseSaveHandler",
    "BasicTimeProfiler",
    "Checkpoint",
    "CheckpointEvents",
    "ConcatScheduler",
    "CosineAnnealingScheduler",
    "CyclicalScheduler",
    "DiskSaver",
    "EMAHandler",
    "EarlyStopping",
    "EpochOutputStore",
    "FastaiLRFinder",
    "GracefulStop",
    "HandlersTimeProfiler",
    "LRScheduler",
    "LinearCyclicalScheduler",
    "MLflowLogger",
    "ModelCheckpoint",
    "ParamGroupScheduler",
    "ParamScheduler",
    "PiecewiseLinear",
    "ProgressBar",
    "ReduceLROnPlateauScheduler",
    "Stall",
    "TensorboardLogger",
    "TerminateOnNan",
    "TimeLimit",
    "Timer",
    "WandBLogger",
    "Watchdog",
    "create_lr_scheduler_with_warmup",
    "global_step_from_engine",
]

ignite_paths.register(__name__)
