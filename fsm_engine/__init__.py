"""fsm_engine: PyTorch training as an explicit finite state machine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fsm_engine._util import lazy_modules
from fsm_engine._util.errors import BusyError, IllegalTransition, LifecycleError
from fsm_engine._util.version import __version__ as __version__
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge, Exit, Path
from fsm_engine.events.events import CallableEventWithFilter, EventEnum, Events, EventsList
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.step_events import StepEvents, Tbptt_Events
from fsm_engine.lifecycle.validation import Finding
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.state import State

if TYPE_CHECKING:
    from fsm_engine.lifecycle.analysis import Walk
    from fsm_engine.lifecycle.coverage import Coverage
    from fsm_engine.lifecycle.diff import Change, Changed, Difference
    from fsm_engine.supervised import (
        create_supervised_evaluator,
        create_supervised_trainer,
        supervised_evaluation_step,
        supervised_training_step,
    )
    from fsm_engine.supervised.deterministic import DeterministicEngine
    from fsm_engine.supervised.tbptt import create_supervised_tbptt_trainer

__all__ = [
    "BusyError",
    "CallableEventWithFilter",
    "Change",
    "Changed",
    "Coverage",
    "DeterministicEngine",
    "Difference",
    "Edge",
    "Engine",
    "EventEnum",
    "Events",
    "EventsList",
    "Exit",
    "Finding",
    "History",
    "IllegalTransition",
    "Lifecycle",
    "LifecycleError",
    "Outcome",
    "Path",
    "Phase",
    "RemovableEventHandle",
    "Scope",
    "Signal",
    "State",
    "StepEvents",
    "Tbptt_Events",
    "Transition",
    "Trigger",
    "Walk",
    "create_supervised_evaluator",
    "create_supervised_tbptt_trainer",
    "create_supervised_trainer",
    "supervised_evaluation_step",
    "supervised_training_step",
]

_ON_FIRST_USE = {  # and the modules that they are in: those that import torch, and those that few need
    "Change": "lifecycle.diff",
    "Changed": "lifecycle.diff",
    "Coverage": "lifecycle.coverage",
    "DeterministicEngine": "supervised.deterministic",
    "Difference": "lifecycle.diff",
    "Walk": "lifecycle.analysis",
    "create_supervised_evaluator": "supervised",
    "create_supervised_tbptt_trainer": "supervised.tbptt",
    "create_supervised_trainer": "supervised",
    "supervised_evaluation_step": "supervised",
    "supervised_training_step": "supervised",
}


_MODULES = ("base", "contrib", "distributed", "exceptions", "handlers", "metrics", "utils")  # as in ``ignite.handlers``


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"fsm_engine.{name}")
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"fsm_engine.{_ON_FIRST_USE[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_ON_FIRST_USE]


lazy_modules.install()
