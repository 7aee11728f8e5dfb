"""fsm_engine: PyTorch training as an explicit finite state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsm_engine.cursor import Outcome, Signal
from fsm_engine.engine import Engine
from fsm_engine.errors import BusyError, LifecycleError
from fsm_engine.events import CallableEventWithFilter, EventEnum, Events, EventsList
from fsm_engine.graph import Phase, Scope, Transition, Trigger
from fsm_engine.lifecycle import Lifecycle
from fsm_engine.registry import RemovableEventHandle
from fsm_engine.state import State

if TYPE_CHECKING:
    from fsm_engine.supervised import (
        create_supervised_evaluator,
        create_supervised_trainer,
        supervised_evaluation_step,
        supervised_training_step,
    )

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "CallableEventWithFilter",
    "Engine",
    "EventEnum",
    "Events",
    "EventsList",
    "Lifecycle",
    "LifecycleError",
    "Outcome",
    "Phase",
    "RemovableEventHandle",
    "Scope",
    "Signal",
    "State",
    "Transition",
    "Trigger",
    "create_supervised_evaluator",
    "create_supervised_trainer",
    "supervised_evaluation_step",
    "supervised_training_step",
]

_TORCH_FACING = [name for name in __all__ if "supervised" in name]


def __getattr__(name: str) -> Any:
    if name not in _TORCH_FACING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fsm_engine import supervised

    return getattr(supervised, name)


def __dir__() -> list[str]:
    return [*globals(), *_TORCH_FACING]
