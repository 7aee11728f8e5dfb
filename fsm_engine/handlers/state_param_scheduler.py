"""Schedulers of an attribute of the engine's state, such as a loss weight or a temperature."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.param_scheduler.base import SavedAttributes
from fsm_engine.handlers.param_scheduler.param_groups import history_of, record_history
from fsm_engine.handlers.param_scheduler.piecewise import check_pairs, interpolated

if TYPE_CHECKING:
    from fsm_engine.dispatch.handles import RemovableEventHandle
    from fsm_engine.engine.engine import Engine


class StateParamScheduler(SavedAttributes):
    """Set an attribute of ``engine.state`` at each event. A subclass defines `get_param`.

    The value depends only on the number of the event, which is 1 at the first event.

    Args:
        param_name: name of the attribute.
        save_history: append the values to ``engine.state.param_history``.
        create_new: True if the state does not have the attribute yet; False if it may have it.

    Attributes:
        event_index: number of the last event.

    Example:
        >>> class Halving(StateParamScheduler):
        ...     def get_param(self):
        ...         return 0.5**self.event_index
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = Halving("temperature", create_new=True).attach(trainer)
        >>> trainer.run([1, 2, 3]).temperature
        0.125
    """

    def __init__(self, param_name: str, save_history: bool = False, create_new: bool = False) -> None:
        self.param_name = param_name
        self.save_history = save_history
        self.create_new = create_new
        self.event_index = 0

    def attach(self, engine: Engine, event: AnyEvent | EventsList = Events.ITERATION_COMPLETED) -> RemovableEventHandle:
        """Set the attribute at each `event` of `engine`. Until the first event, a new attribute is None.

        Warns if the state does not have the attribute and `create_new` is False.

        Raises:
            ValueError: the state has the attribute and `create_new` is True.
        """
        state, name = engine.state, self.param_name
        if not hasattr(state, name):
            if not self.create_new:
                warnings.warn(
                    f"Attribute {name!r} is not defined in the engine.state. {type(self).__name__} will create it. "
                    f"Remove this warning by setting create_new=True.",
                    stacklevel=2,
                )
            setattr(state, name, None)
        elif self.create_new:
            raise ValueError(
                f"Attribute {name!r} already exists in the engine.state. This may be a conflict between multiple "
                f"handlers. Please choose another name, or create_new=False to overwrite it."
            )
        if self.save_history:
            history_of(engine).setdefault(name, [])
        return super().attach(engine, event)

    def __call__(self, engine: Engine | None = None, name: str | None = None) -> None:
        """Advance to the next event, and set the attribute to its value."""
        self.event_index += 1
        value = self.get_param()
        if engine is None:
            return
        setattr(engine.state, self.param_name, value)
        if self.save_history:
            record_history(engine, name or self.param_name, value)

    @abstractmethod
    def get_param(self) -> Any:
        """Return the value for the event `event_index`."""

    @classmethod
    def simulate_values(cls, num_events: int, **scheduler_kwargs: Any) -> list[list[Any]]:
        """Return ``[event, value]`` for each of `num_events` events, counted from 0, without an engine."""
        scheduler = cls(**{**scheduler_kwargs, "save_history": False})
        engine: Any = SimpleNamespace(state=SimpleNamespace())
        rows = []
        for event in range(num_events):
            scheduler(engine)
            rows.append([event, getattr(engine.state, scheduler.param_name)])
        return rows


class LambdaStateScheduler(StateParamScheduler):
    """Set the attribute to ``lambda_obj(event_index)``.

    Raises:
        ValueError: `lambda_obj` is not callable.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> scheduler = LambdaStateScheduler(lambda step: 10 * step, "temperature", create_new=True)
        >>> _ = scheduler.attach(trainer, Events.EPOCH_COMPLETED)
        >>> trainer.run([1], max_epochs=3).temperature
        30
    """

    def __init__(
        self,
        lambda_obj: Callable[[int], Any],
        param_name: str,
        save_history: bool = False,
        create_new: bool = False,
    ) -> None:
        super().__init__(param_name, save_history, create_new)
        if not callable(lambda_obj):
            raise ValueError(f"Expected lambda_obj to be callable, got {lambda_obj!r}.")
        self.lambda_obj = lambda_obj

    def get_param(self) -> Any:
        """Return ``lambda_obj(event_index)``."""
        return self.lambda_obj(self.event_index)


class PiecewiseLinearStateScheduler(StateParamScheduler):
    """Interpolate linearly between values at given events; see `PiecewiseLinear`.

    Raises:
        TypeError: `milestones_values` is not a list; the number of an event is not an integer.
        ValueError: `milestones_values` is empty or not sorted, or has an item that is not a pair.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> scheduler = PiecewiseLinearStateScheduler([(0, 1.0), (4, 0.0)], "temperature", create_new=True)
        >>> _ = scheduler.attach(trainer, Events.EPOCH_COMPLETED)
        >>> trainer.run([1], max_epochs=3).temperature
        0.25
    """

    _saved = (*StateParamScheduler._saved, "milestones", "values")

    def __init__(
        self,
        milestones_values: Sequence[tuple[int, float]],
        param_name: str,
        save_history: bool = False,
        create_new: bool = False,
    ) -> None:
        super().__init__(param_name, save_history, create_new)
        check_pairs(milestones_values)
        self.milestones = [int(milestone) for milestone, _ in milestones_values]
        self.values = [value for _, value in milestones_values]

    def get_param(self) -> float:
        """Return the value on the line for the event `event_index`."""
        return interpolated(self.milestones, self.values, self.event_index)


class ExpStateScheduler(StateParamScheduler):
    """Set the attribute to ``initial_value * gamma ** event_index``.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = ExpStateScheduler(1.0, 0.5, "temperature", create_new=True).attach(trainer, Events.EPOCH_COMPLETED)
        >>> trainer.run([1], max_epochs=3).temperature
        0.125
    """

    _saved = (*StateParamScheduler._saved, "initial_value", "gamma")

    def __init__(
        self,
        initial_value: float,
        gamma: float,
        param_name: str,
        save_history: bool = False,
        create_new: bool = False,
    ) -> None:
        super().__init__(param_name, save_history, create_new)
        self.initial_value = initial_value
        self.gamma = gamma

    def get_param(self) -> float:
        """Return the value for the event `event_index`."""
        return float(self.initial_value * self.gamma ** self._decays())

    def _decays(self) -> int:
        """Return how often the value was multiplied by `gamma`."""
        return self.event_index


class StepStateScheduler(ExpStateScheduler):
    """Multiply the attribute by `gamma` every `step_size` events.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = StepStateScheduler(1.0, 0.5, 2, "temperature", create_new=True).attach(trainer, Events.EPOCH_COMPLETED)
        >>> trainer.run([1], max_epochs=4).temperature
        0.25
    """

    _saved = (*ExpStateScheduler._saved, "step_size")

    def __init__(
        self,
        initial_value: float,
        gamma: float,
        step_size: int,
        param_name: str,
        save_history: bool = False,
        create_new: bool = False,
    ) -> None:
        super().__init__(initial_value, gamma, param_name, save_history, create_new)
        self.step_size = step_size

    def _decays(self) -> int:
        return self.event_index // self.step_size


class MultiStepStateScheduler(ExpStateScheduler):
    """Multiply the attribute by `gamma` at each of the events `milestones`, which are sorted.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> scheduler = MultiStepStateScheduler(1.0, 0.5, [2, 3], "temperature", create_new=True)
        >>> _ = scheduler.attach(trainer, Events.EPOCH_COMPLETED)
        >>> trainer.run([1], max_epochs=4).temperature
        0.25
    """

    _saved = (*ExpStateScheduler._saved, "milestones")

    def __init__(
        self,
        initial_value: float,
        gamma: float,
        milestones: list[int],
        param_name: str,
        save_history: bool = False,
        create_new: bool = False,
    ) -> None:
        super().__init__(initial_value, gamma, param_name, save_history, create_new)
        self.milestones = milestones

    def _decays(self) -> int:
        return bisect_right(self.milestones, self.event_index)
