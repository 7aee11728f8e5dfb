"""Saves the checkpoint of an inspected engine at a place where its state is exact."""

from __future__ import annotations

from fsm_engine.dispatch.entries import HandlerEntry
from fsm_engine.engine.engine import Engine
from fsm_engine.handlers.checkpoint.checkpoint import Checkpoint
from fsm_engine.inspector.errors import CommandError

NO_CHECKPOINT = "no Checkpoint is attached to this engine. Attach one: engine.add_event_handler(event, checkpoint)."


def find_checkpoint(engine: Engine) -> tuple[Checkpoint, HandlerEntry]:
    """Return the first `Checkpoint` that is attached to `engine`, and its entry.

    Raises:
        CommandError: there is none.
    """
    for entry in list(engine._registry.entries.values()):
        for handler_entry in entry.handlers:
            if isinstance(handler_entry.handler, Checkpoint):
                return handler_entry.handler, handler_entry
    raise CommandError(NO_CHECKPOINT)


def save_now(engine: Engine, checkpoint: Checkpoint, entry: HandlerEntry) -> tuple[bool, str]:
    """Save a checkpoint, and return whether it was saved, and a sentence for the page.

    Call it from `Engine.call_when_safe`. An exception is reported, because it must not end the run.
    """
    place = f"{engine.phase.name}, epoch {engine.state.epoch}, iteration {engine.state.iteration}"
    callbacks, before = engine._signals.callbacks, list(checkpoint._saved)
    waiting = len(callbacks)
    try:
        entry.handler(engine, *entry.args, **entry.kwargs)
        while len(callbacks) > waiting:
            callbacks.pop(waiting)(engine)
        checkpoint.wait()
    except Exception as error:
        del callbacks[waiting:]
        return False, f"The checkpoint was not saved at {place}: {type(error).__name__}: {error}"
    new = [saved.filename for saved in checkpoint._saved if all(saved is not old for old in before)]
    if not new:
        return False, f"The checkpoint has kept its other files and not the state at {place}."
    return True, f"Saved {', '.join(new)} at {place}."
