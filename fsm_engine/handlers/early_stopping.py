"""`EarlyStopping`: ends the training when a score has not improved for some time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.weak_engine import WeakEngine

if TYPE_CHECKING:
    from typing import Literal

_KEYS = ("counter", "best_score", "threshold_mode")


class EarlyStopping:
    """Ends the run of `trainer` when the score has not improved in so many calls; a handler of any event.

    The first score is what the next ones are compared with. A score that is NaN improves nothing. The trainer is
    not kept alive.

    Args:
        patience: how many calls without an improvement are too many.
        score_function: called with the engine that this is attached to; returns the score, a number.
        trainer: the engine to terminate.
        threshold: an improvement has to be larger than this.
        cumulative: whether to compare with the score of the last improvement; else with the best score so far, so
            that many small steps never add up to an improvement.
        threshold_mode: whether the threshold is a difference (``"abs"``) or a fraction of the score compared with
            (``"rel"``), which has to be positive then.
        mode: whether larger (``"max"``) or smaller (``"min"``) scores are better.
        min_delta: deprecated name of `threshold`.
        min_delta_mode: deprecated name of `threshold_mode`.
        cumulative_delta: deprecated name of `cumulative`.

    Attributes:
        counter: calls since the last improvement.
        best_score: the score compared with; None before the first.

    Raises:
        TypeError: a score function that cannot be called, a trainer that is no engine.
        ValueError: a patience that is not positive, a negative threshold, an unknown mode.
    """

    def __init__(
        self,
        patience: int,
        score_function: Callable[[Engine], Any],
        trainer: Engine,
        threshold: float = 0.0,
        cumulative: bool = False,
        threshold_mode: Literal["abs", "rel"] = "abs",
        mode: Literal["min", "max"] = "max",
        min_delta: float | None = None,
        min_delta_mode: Literal["abs", "rel"] | None = None,
        cumulative_delta: bool | None = None,
    ) -> None:
        self.patience, self.score_function, self.mode = patience, score_function, mode
        self.threshold: float = _renamed("min_delta", min_delta, "threshold", threshold)
        self.threshold_mode: str = _renamed("min_delta_mode", min_delta_mode, "threshold_mode", threshold_mode)
        self.cumulative: bool = _renamed("cumulative_delta", cumulative_delta, "cumulative", cumulative)
        self._check(trainer)
        self._trainer = WeakEngine(trainer)
        self.reset()

    def _check(self, trainer: Any) -> None:
        if not callable(self.score_function):
            raise TypeError(f"Argument score_function should be a function. Got {self.score_function!r}.")
        if self.patience < 1:
            raise ValueError(f"Argument patience should be positive integer. Got {self.patience!r}.")
        if not isinstance(trainer, Engine):
            raise TypeError(f"Argument trainer should be an instance of Engine. Got {trainer!r}.")
        if self.threshold < 0.0:
            raise ValueError(f"Argument threshold should not be a negative number. Got {self.threshold!r}.")
        if self.threshold_mode not in ("abs", "rel"):
            raise ValueError(f"Argument threshold_mode should be either 'abs' or 'rel'. Got {self.threshold_mode!r}.")
        if self.mode not in ("min", "max"):
            raise ValueError(f"Argument mode should be either 'min' or 'max'. Got {self.mode!r}.")

    @property
    def trainer(self) -> Engine | None:
        """The engine to terminate; None if that is gone."""
        return self._trainer()

    @property
    def min_delta(self) -> float:
        """Deprecated name of `threshold`."""
        _deprecate("min_delta", "threshold")
        return self.threshold

    @property
    def min_delta_mode(self) -> str:
        """Deprecated name of `threshold_mode`."""
        _deprecate("min_delta_mode", "threshold_mode")
        return self.threshold_mode

    @property
    def cumulative_delta(self) -> bool:
        """Deprecated name of `cumulative`."""
        _deprecate("cumulative_delta", "cumulative")
        return self.cumulative

    def attach(
        self,
        engine: Engine,
        event: AnyEvent | EventsList = Events.COMPLETED,
        reset_engine: Engine | None = None,
        reset_event: AnyEvent | EventsList = Events.STARTED,
    ) -> None:
        """Look at the score at each `event` of `engine`, and begin anew when `reset_engine` does.

        Args:
            engine: the engine that has the score, such as an evaluator.
            event: when to look.
            reset_engine: begin anew with this engine; with the trainer unless given.
            reset_event: and at this event of it.
        """
        resets = reset_engine or self.trainer
        engine.add_event_handler(event, self)
        if resets is not None:
            resets.add_event_handler(reset_event, self.reset)

    def reset(self, engine: Engine | None = None) -> None:
        """Forget all scores, unless the run of `engine` starts from a state that was loaded and goes on with them."""
        if engine is None or not engine.is_resuming:
            self.counter = 0
            self.best_score: Any = None

    def __call__(self, engine: Engine) -> None:
        """Look at the score, and call ``trainer.terminate()`` if it has not improved for too long.

        Raises:
            TypeError: for a score that is no number.
        """
        score = _number(self.score_function(engine))
        if score == score and (self.best_score is None or self._improves(score, self._bound())):  # not NaN
            self.best_score, self.counter = score, 0
            return
        if not self.cumulative and self.best_score is not None and self._improves(score, self.best_score):
            self.best_score = score
        self.counter += 1
        if self.counter >= self.patience:
            self._terminate()

    def _bound(self) -> Any:
        """Return what a score has to be better than."""
        signed = self.threshold if self.mode == "max" else -self.threshold
        return self.best_score * (1 + signed) if self.threshold_mode == "rel" else self.best_score + signed

    def _improves(self, score: Any, bound: Any) -> bool:
        return bool(score > bound if self.mode == "max" else score < bound)

    def _terminate(self) -> None:
        trainer = self.trainer
        if trainer is not None:
            trainer.logger.info(
                "EarlyStopping: the score has not improved on %s in %s calls. The run is terminated.",
                self.best_score,
                self.counter,
            )
            trainer.terminate()

    def state_dict(self) -> dict[str, Any]:
        """Return the scores so far as plain data."""
        return {key: getattr(self, key) for key in _KEYS}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if a key is missing; nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Argument state_dict should be a dictionary, but given {type(state_dict)}")
        for key in _KEYS:
            if key not in state_dict:
                raise ValueError(f"Required state attribute '{key}' is absent in provided state_dict '{[*state_dict]}'")
        for key in _KEYS:
            setattr(self, key, state_dict[key])


def _number(score: Any) -> Any:
    """Return a number of NumPy or a tensor's only one as a plain one, which a file can hold."""
    number = score.item() if hasattr(score, "item") else score
    if not isinstance(number, Real):
        raise TypeError(f"Argument score_function should return a number, but it returned {score!r}.")
    return number


def _renamed(old: str, given: Any, new: str, value: Any) -> Any:
    if given is None:
        return value
    _deprecate(old, new, stacklevel=4)
    return given


def _deprecate(old: str, new: str, stacklevel: int = 3) -> None:
    warnings.warn(f"'{old}' is deprecated. Please use '{new}' instead.", DeprecationWarning, stacklevel=stacklevel)
