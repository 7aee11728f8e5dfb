"""`global_step_from_engine`: the step of one engine, for handlers of another engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import AnyEvent, without_filter
from fsm_engine.handlers.weak_engine import WeakEngine

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def global_step_from_engine(
    engine: Engine, custom_event_name: AnyEvent | None = None, fallback_attr: str = "epoch"
) -> Callable[[Any, AnyEvent], int]:
    """Return a function that returns the step of `engine`, for handlers of an evaluator that log or save.

    A handler calls it as ``function(any_engine, event)``, with its own event, and gets the counter of `engine` for that
    event: the epoch for EPOCH_COMPLETED, the iteration for ITERATION_COMPLETED. The reference to `engine` is weak.

    Args:
        engine: the engine that has the counter, such as the trainer.
        custom_event_name: event whose counter to return, whatever the event of the handler is.
        fallback_attr: attribute of ``engine.state`` to return for events without a counter.

    Example:
        >>> trainer, evaluator = Engine(lambda engine, batch: batch), Engine(lambda engine, batch: batch)
        >>> _ = trainer.run([1, 2], max_epochs=3)
        >>> step = global_step_from_engine(trainer)
        >>> step(evaluator, Events.COMPLETED)
        3
    """
    return partial(_global_step, WeakEngine(engine), custom_event_name, fallback_attr)


def _global_step(
    weak_engine: WeakEngine, custom_event: AnyEvent | None, fallback: str, _engine: Any, event_name: AnyEvent
) -> int:
    engine = weak_engine()
    if engine is None:
        raise ReferenceError(
            "global_step_from_engine() was given an engine that does not exist any more. Keep a reference to the "
            "engine while handlers use its step."
        )
    state, event = engine.state, without_filter(custom_event or event_name)
    attribute = state.event_to_attr.get(event, fallback)  # type: ignore[arg-type]  # edges have no counter
    return getattr(state, attribute)  # type: ignore[no-any-return]
