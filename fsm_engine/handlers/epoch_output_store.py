"""`EpochOutputStore`: keeps what the step returned over an epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import Events

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def _unchanged(output: Any) -> Any:
    return output


class EpochOutputStore:
    """Keeps the outputs of an epoch in a list, until the next epoch starts.

    All of them are in memory at once, and with each tensor that requires a gradient all that led to it: detach what
    is kept, with ``output_transform=``. Those of an epoch that is not over are in its state dict, so that a run which
    goes on from there has all of them.

    Args:
        output_transform: turns ``engine.state.output`` into what is kept.

    Attributes:
        data: what was kept in this epoch so far.
    """

    def __init__(self, output_transform: Callable[[Any], Any] = _unchanged) -> None:
        self.data: list[Any] = []
        self._is_over = True
        self._output_transform = output_transform

    def attach(self, engine: Engine, name: str | None = None) -> None:
        """Keep the outputs of each epoch of `engine`; with a name, the list is ``engine.state.<name>`` at its end."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end)
        if name is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.store, name)

    def reset(self) -> None:
        """Begin a new list; the old one stays as it is for those who have it."""
        self.data, self._is_over = [], False

    def update(self, engine: Engine) -> None:
        """Keep the output of this iteration."""
        self.data.append(self._output_transform(engine.state.output))

    def store(self, engine: Engine, name: str) -> None:
        """Make the list ``engine.state.<name>``."""
        setattr(engine.state, name, self.data)

    def _end(self) -> None:
        self._is_over = True

    def state_dict(self) -> dict[str, Any]:
        """Return what was kept so far in an epoch that is not over."""
        return {"data": [] if self._is_over else [*self.data]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.data, self._is_over = [*state_dict["data"]], False
