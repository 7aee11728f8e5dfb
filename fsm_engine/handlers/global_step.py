"""`global_step_from_engine`: the step of one engine, for handlers of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import AnyEvent, plain
from fsm_engine.handlers.weak_engine import WeakEngine

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def global_step_from_engine(
    engine: Engine, custom_event_name: AnyEvent | None = None, fallback_attr: str = "epoch"
) -> Callable[[Any, AnyEvent], int]:
    """Make a function that tells where `engine` is, for a handler of an evaluator to name what it logs or saves.

    It is called as ``function(any_engine, event)``, with the event that the handler is called for, and returns the
    counter of `engine` that belongs to that event: its epoch for EPOCH_COMPLETED, its iteration for
    ITERATION_COMPLETED. `engine` is not kept alive by it.

    Args:
        engine: whose counter it is, such as the trainer.
        custom_event_name: take the counter of this event instead, whatever the handler is called for.
        fallback_attr: the attribute of its state to take for an event that no counter belongs to.
    """
    return _GlobalStep(WeakEngine(engine), custom_event_name, fallback_attr)


class _GlobalStep:
    def __init__(self, engine: WeakEngine, event: AnyEvent | None, fallback: str) -> None:
        self._engine, self._event, self._fallback = engine, event, fallback

    def __call__(self, _engine: Any, event_name: AnyEvent) -> int:
        engine = self._engine()
        if engine is None:
            raise ReferenceError(
                "global_step_from_engine() was given an engine that does not exist any more. Keep a reference to it "
                "for as long as the step is asked for."
            )
        state, event = engine.state, plain(self._event or event_name)
        attribute = state.event_to_attr.get(event, self._fallback)  # type: ignore[arg-type]  # an edge has none
        return getattr(state, attribute)  # type: ignore[no-any-return]
