"""`EpochOutputStore`: stores the outputs of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine._util.identity import identity
from fsm_engine.events.events import Events

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class EpochOutputStore:
    """Store the outputs of the step in a list, which is replaced at the start of each epoch.

    All outputs of an epoch stay in memory. A tensor that requires gradients also keeps its graph alive, so detach it in
    `output_transform`. The state dict contains the outputs of an unfinished epoch, so a resumed run has all of them.

    Args:
        output_transform: function from ``engine.state.output`` to the value to store.

    Attributes:
        data: list of the values stored in this epoch.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch * 10)
        >>> EpochOutputStore().attach(trainer, "outputs")
        >>> trainer.run([1, 2], max_epochs=2).outputs
        [10, 20]
    """

    def __init__(self, output_transform: Callable[[Any], Any] = identity) -> None:
        self.data: list[Any] = []
        self._epoch_is_over = True
        self._output_transform = output_transform

    def attach(self, engine: Engine, name: str | None = None) -> None:
        """Store the outputs of each epoch of `engine`.

        With `name`, ``engine.state.<name>`` is set to the list at the end of each epoch.
        """
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        if name is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.store, name)

    def reset(self) -> None:
        """Replace the list with a new one. The old list is not changed."""
        self.data, self._epoch_is_over = [], False

    def update(self, engine: Engine) -> None:
        """Append the output of this iteration."""
        self.data.append(self._output_transform(engine.state.output))

    def store(self, engine: Engine, name: str) -> None:
        """Set ``engine.state.<name>`` to the list."""
        setattr(engine.state, name, self.data)

    def _end_epoch(self) -> None:
        self._epoch_is_over = True

    def state_dict(self) -> dict[str, Any]:
        """Return the outputs of an unfinished epoch; an empty list between epochs."""
        return {"data": [] if self._epoch_is_over else [*self.data]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned."""
        self.data, self._epoch_is_over = [*state_dict["data"]], False
