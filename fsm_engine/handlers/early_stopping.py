"""`EarlyStopping`: stops a training whose score does not improve."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from fsm_engine._util.state_dicts import check_keys
from fsm_engine.distributed.gathering import agreed_score
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.weak_engine import WeakEngine

if TYPE_CHECKING:
    from typing import Literal

_KEYS = ("counter", "best_score", "threshold_mode")


def _deprecated_name(old: str, new: str) -> Any:
    def get(handler: Any) -> Any:
        _warn_deprecated(old, new)
        return getattr(handler, new)

    def set_(handler: Any, value: Any) -> None:
        _warn_deprecated(old, new)
        setattr(handler, new, value)

    return property(get, set_, doc=f"Deprecated name of `{new}`.")


class EarlyStopping:
    """Terminate the run of `trainer` when the score has not improved in `patience` calls; a handler of any event.

    The first score only sets the score to compare with. NaN is never an improvement. The reference to `trainer` is
    weak.

    If a state that is out of patience is loaded, the loaded run of `trainer` ends when it resumes. To continue it, give
    a higher `patience`, or call `reset` before `run`.

    With several ranks the score is the mean over ranks, so all of them stop together. Attach the handler on all ranks.

    Args:
        patience: number of consecutive calls without an improvement after which the run is terminated.
        score_function: function from the engine that this handler is attached to, to the score, a number.
        trainer: the engine to terminate.
        threshold: an improvement has to be larger than this.
        cumulative: compare with the score of the last improvement, so that many small changes can add up to an
            improvement; otherwise compare with the best score so far.
        threshold_mode: the threshold is a difference (``"abs"``) or a fraction of the score compared with
            (``"rel"``), which has to be positive then.
        mode: larger scores are better (``"max"``) or smaller scores are better (``"min"``).
        min_delta: deprecated name of `threshold`.
        min_delta_mode: deprecated name of `threshold_mode`.
        cumulative_delta: deprecated name of `cumulative`.

    Attributes:
        counter: number of calls since the last improvement.
        best_score: the score to compare with; None before the first score.

    Raises:
        TypeError: `score_function` is not callable, or `trainer` is not an engine.
        ValueError: `patience` is not positive, `threshold` is negative, or a mode is unknown.

    Example:
        >>> losses = iter([3.0, 1.0, 2.0, 2.0, 2.0])
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> stopping = EarlyStopping(patience=2, score_function=lambda engine: -next(losses), trainer=trainer)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, stopping)
        >>> trainer.run([1], max_epochs=5).epoch
        4
    """

    meets_other_ranks = True

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
        """The engine to terminate; None if it is gone."""
        return self._trainer()

    min_delta = _deprecated_name("min_delta", "threshold")
    min_delta_mode = _deprecated_name("min_delta_mode", "threshold_mode")
    cumulative_delta = _deprecated_name("cumulative_delta", "cumulative")

    def attach(
        self,
        engine: Engine,
        event: AnyEvent | EventsList = Events.COMPLETED,
        reset_engine: Engine | None = None,
        reset_event: AnyEvent | EventsList = Events.STARTED,
    ) -> None:
        """Compare the score at each `event` of `engine`, and forget all scores at each `reset_event` of `reset_engine`.

        Args:
            engine: the engine that has the score, such as an evaluator.
            event: event at which to compare the score.
            reset_engine: engine whose event resets the scores; the trainer unless given.
            reset_event: event of `reset_engine` that resets the scores.
        """
        reset_engine = reset_engine or self.trainer
        engine.add_event_handler(event, self)
        if reset_engine is not None:
            reset_engine.add_event_handler(reset_event, self.reset)

    def reset(self, engine: Engine | None = None) -> None:
        """Forget all scores, unless `engine` resumes from a loaded state, to which they belong."""
        if engine is None or not engine.is_resuming:
            self.counter = 0
            self.best_score: Any = None

    def __call__(self, engine: Engine) -> None:
        """Compare the score, and call ``trainer.terminate()`` after `patience` calls without an improvement.

        Raises:
            TypeError: the score is not a number.
        """
        score = agreed_score("the score of EarlyStopping", lambda: _plain_number(self.score_function(engine)))
        is_nan = score != score
        if not is_nan and (self.best_score is None or self._is_better(score, self._bound())):
            self.best_score, self.counter = score, 0
            return
        if not self.cumulative and self.best_score is not None and self._is_better(score, self.best_score):
            self.best_score = score
        self.counter += 1
        if self.counter >= self.patience:
            self._terminate()

    def _bound(self) -> Any:
        """Return the score that an improvement has to exceed."""
        signed = self.threshold if self.mode == "max" else -self.threshold
        return self.best_score * (1 + signed) if self.threshold_mode == "rel" else self.best_score + signed

    def _is_better(self, score: Any, bound: Any) -> bool:
        return bool(score > bound if self.mode == "max" else score < bound)

    def _terminate(self) -> None:
        trainer = self.trainer
        if trainer is not None:
            trainer.logger.info(
                "EarlyStopping: Stop training. The score has not improved on %s in %s calls.",
                self.best_score,
                self.counter,
            )
            trainer.terminate()

    def state_dict(self) -> dict[str, Any]:
        """Return `counter`, `best_score` and `threshold_mode`."""
        return {key: getattr(self, key) for key in _KEYS}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing; nothing was changed.
        """
        check_keys(state_dict, _KEYS)
        for key in _KEYS:
            setattr(self, key, state_dict[key])
        trainer = self.trainer
        if trainer is None or self.counter < self.patience:
            return
        attached = trainer.handlers(Events.RESUMED)
        if not any(isinstance(handler, _EndAgain) and handler.stopping is self for handler in attached):
            trainer.add_event_handler(Events.RESUMED, _EndAgain(self))


class _EndAgain:
    """Terminates a loaded run of the trainer if the loaded state of `stopping` is out of patience; a handler."""

    def __init__(self, stopping: EarlyStopping) -> None:
        self.stopping = stopping

    def __call__(self, engine: Engine) -> None:
        stopping = self.stopping
        if stopping.counter >= stopping.patience:
            engine.logger.info(
                "EarlyStopping: the score had not improved on %s in %s calls when the run was saved, so it ends at "
                "once. To continue it, give a higher patience than %s, or call reset() of the handler before run().",
                stopping.best_score,
                stopping.counter,
                stopping.patience,
            )
            engine.terminate()


def _plain_number(score: Any) -> Any:
    """Return a NumPy number, or the only element of a tensor, as a Python number, which a state dict can hold."""
    number = score.item() if hasattr(score, "item") else score
    if not isinstance(number, Real):
        raise TypeError(f"Argument score_function should return a number, but it returned {score!r}.")
    return number


def _renamed(old: str, given: Any, new: str, value: Any) -> Any:
    if given is None:
        return value
    _warn_deprecated(old, new, stacklevel=4)
    return given


def _warn_deprecated(old: str, new: str, stacklevel: int = 3) -> None:
    warnings.warn(f"'{old}' is deprecated. Please use '{new}' instead.", DeprecationWarning, stacklevel=stacklevel)
