"""One search: a learning rate that grows from iteration to iteration, and the loss."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.events.events import AnyEvent, Events
from fsm_engine.events.priorities import LAST
from fsm_engine.handlers.param_scheduler.param_groups import set_value

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.runtime.state import State


def _exponential(start: float, end: float, iteration: int, num_iter: int) -> float:
    return start * (end / start) ** (iteration / num_iter)  # type: ignore[no-any-return]


def _linear(start: float, end: float, iteration: int, num_iter: int) -> float:
    return start + (end - start) * min(1.0, (iteration - 1) / num_iter)


CURVES = {"exp": _exponential, "linear": _linear}


class Search:
    """Handlers that raise the learning rate of `optimizer`, note the loss, and end the run when that diverges.

    Args:
        optimizer: its learning rates are raised.
        ranges: from where to where, for each group.
        curve: the learning rate of an iteration, counted from 1.
        num_iter: in how many iterations it reaches the end; as many as the run has unless given.
        output_transform: makes the loss of ``engine.state.output``.
        smooth_f: how much of the smoothed loss is that of the last iteration; 0 for all of it.
        diverge_th: how many times the best loss is too much.

    Attributes:
        rates: the learning rates that each iteration is noted with, one per group: those of the next step. The first
            step has those of the first iteration.
        losses: the smoothed losses.
    """

    def __init__(
        self,
        optimizer: Any,
        ranges: Sequence[tuple[float, float]],
        curve: Callable[[float, float, int, int], float],
        num_iter: int | None,
        output_transform: Callable[[Any], Any],
        smooth_f: float,
        diverge_th: float,
    ) -> None:
        self._optimizer, self._ranges, self._curve = optimizer, ranges, curve
        self._wanted, self._num_iter = num_iter, 0
        self._output_transform = output_transform
        self._smooth_f, self._diverge_th = smooth_f, diverge_th
        self.rates: list[list[float]] = []
        self.losses: list[float] = []
        self._diverged, self._best = False, math.inf

    def handlers(self) -> list[tuple[AnyEvent, Callable[..., None]]]:
        """Return what has to be attached, each with its event."""
        return [
            (Events.STARTED, self._start),
            (Events.ITERATION_STARTED(priority=LAST), self._set_rates),
            (Events.ITERATION_COMPLETED, self._note),
            (Events.COMPLETED, self._warn),
        ]

    def _start(self, engine: Engine) -> None:
        self._diverged, self._best = False, math.inf
        self.rates.clear()
        self.losses.clear()
        state, planned = engine.state, _planned(engine.state)
        wanted = self._wanted or planned
        if wanted is None:
            raise ValueError("the data does not tell its length: give num_iter to attach(), or epoch_length to run().")
        if planned is None or planned < wanted:
            state.max_epochs, state.max_iters = None, wanted
        self._num_iter = wanted

    def _rates_of(self, iteration: int) -> list[float]:
        return [self._curve(start, end, iteration, self._num_iter) for start, end in self._ranges]

    def _set_rates(self) -> None:
        rates = self.rates[-1] if self.rates else self._rates_of(1)
        for group, rate in zip(self._optimizer.param_groups, rates):
            set_value(group, "lr", rate)

    def _note(self, engine: Engine) -> None:
        loss = _number(self._output_transform(engine.state.output))
        if math.isnan(loss):  # not noted: it is neither less nor more than any other
            self._end(engine)
            return
        if self.losses and self._smooth_f:
            loss = self._smooth_f * loss + (1 - self._smooth_f) * self.losses[-1]
        self.losses.append(loss)
        self.rates.append(self._rates_of(len(self.losses)))
        self._best = min(self._best, loss)
        if loss > self._best + (self._diverge_th - 1) * abs(self._best):
            self._end(engine)
        elif len(self.losses) > self._num_iter:
            engine.terminate()

    def _end(self, engine: Engine) -> None:
        self._diverged = True
        engine.terminate()

    def _warn(self) -> None:
        if not self._diverged:
            warnings.warn(
                "Run completed without loss diverging, increase end_lr, decrease diverge_th or look at "
                "lr_finder.plot()",
                stacklevel=2,
            )


def _planned(state: State) -> int | None:
    """Return how many iterations the run has, None if the data does not tell."""
    if state.max_epochs is None or state.epoch_length is None:
        return state.max_iters
    return state.max_epochs * state.epoch_length


def _number(loss: Any) -> float:
    """Return the loss as a number; a tensor on a device is waited for."""
    if isinstance(loss, torch.Tensor):
        if loss.ndim > 1 or loss.numel() != 1:
            raise ValueError(
                f"if output of the engine is torch.Tensor, then it must be 0d torch.Tensor or 1d torch.Tensor with 1 "
                f"element, but got torch.Tensor of shape {loss.shape}. Choose the loss with output_transform=."
            )
        return float(loss)
    if isinstance(loss, float):
        return loss
    raise TypeError(
        f"output of the engine should be of type float or 0d torch.Tensor or 1d torch.Tensor with 1 element, but got "
        f"output of type {type(loss).__name__}. Choose the loss with output_transform=, such as "
        f"attach(..., output_transform=lambda output: output['loss'])."
    )
