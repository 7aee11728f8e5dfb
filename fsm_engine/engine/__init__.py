"""`Engine`: the loop that runs a lifecycle, with signals, error recovery, breakpoints and explanations.

A lifecycle, handlers and data go in; the final `State` comes out. The package imports `persistence` and the packages
below it. It also has the names that pytorch-ignite has in ``ignite.engine``; they are looked up when they are used,
and are the only ones here that lead to packages above this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine._util.lazy_modules import names_of, public_names

__all__ = public_names(__name__)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from fsm_engine.dispatch.handles import RemovableEventHandle as RemovableEventHandle
    from fsm_engine.engine.engine import Engine as Engine
    from fsm_engine.events.events import CallableEventWithFilter as CallableEventWithFilter
    from fsm_engine.events.events import EventEnum as EventEnum
    from fsm_engine.events.events import Events as Events
    from fsm_engine.events.events import EventsList as EventsList
    from fsm_engine.runtime.state import State as State
    from fsm_engine.supervised import create_supervised_evaluator as create_supervised_evaluator
    from fsm_engine.supervised import create_supervised_trainer as create_supervised_trainer
    from fsm_engine.supervised import supervised_evaluation_step as supervised_evaluation_step
    from fsm_engine.supervised import supervised_training_step as supervised_training_step
    from fsm_engine.supervised.deterministic import DeterministicEngine as DeterministicEngine
else:
    __getattr__ = names_of(__name__)
