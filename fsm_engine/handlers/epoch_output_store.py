"""`EpochOutputStore`: keeps what the step returned over an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsm_engine.events import Events

if TYPE_CHECKING:
    from fsm_engine.engine import Engine


def _unchanged(output: Any) -> Any:
    return output


class EpochOutputStore:
    """Keeps the outputs of an epoch in a list, until the next epoch starts.

    All of them are in memory at once, and with each tensor that requires a gradient all that led to it: detach what
    is kept, with ``output_transform=``. They are no part of a saved run, so an epoch that goes on from a file has
    those from there on.

    Args:
        output_transform: turns ``engine.state.output`` into what is kept.

    Attributes:
        data: what was kept in this epoch so far.
    """

    def __init__(self, output_transform: Callable[[Any], Any] = _unchanged) -> None:
        self.data: list[Any] = []
        self._output_transform = output_transform

    def attach(self, engine: Engine, name: str | None = None) -> None:
        """Keep the outputs of each epoch of `engine`; with a name, the list is ``engine.state.<name>`` at its end."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        if name is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.store, name)

    def reset(self) -> None:
        """Begin a new list; the old one stays as it is for those who have it."""
        self.data = []

    def update(self, engine: Engine) -> None:
        """Keep the output of this iteration."""
        self.data.append(self._output_transform(engine.state.output))

    def store(self, engine: Engine, name: str) -> None:
        """Make the list ``engine.state.<name>``."""
        setattr(engine.state, name, self.data)
