"""One search: a learning rate that rises from iteration to iteration, and the losses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.distributed.gathering import agreed_score
from fsm_engine.events.events import AnyEvent, Events
from fsm_engine.events.priorities import LAST
from fsm_engine.handlers.param_scheduler.param_groups import set_value
from fsm_engine.handlers.run_length import planned_iterations

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def _exponential(start: float, end: float, iteration: int, num_iter: int) -> float:
    return start * (end / start) ** (iteration / num_iter)  # type: ignore[no-any-return]


def _linear(start: float, end: float, iteration: int, num_iter: int) -> float:
    return start + (end - start) * min(1.0, (iteration - 1) / num_iter)


CURVES = {"exp": _exponential, "linear": _linear}


class Search:
    """Handlers that raise the learning rate, record the loss, and terminate the run when the loss diverges.

    Args:
        optimizer: the optimizer whose learning rates are set.
        ranges: first and last learning rate of each parameter group.
        curve: function that returns the learning rate of an iteration, counted from 1.
        num_iter: number of iterations until the last learning rate; the planned iterations of the run unless given.
        output_transform: function from ``engine.state.output`` to the loss.
        smooth_f: weight of the latest loss in the smoothed loss; 0 turns smoothing off.
        diverge_th: multiple of the best loss from which the loss counts as diverged.

    Attributes:
        rates: learning rates, one per parameter group, that are recorded with the loss of each iteration. They are the
            learning rates of the following step; the first step has the rates of the first iteration, too.
        losses: smoothed loss of each iteration.
    """

    meets_other_ranks = True

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
        self._requested_iters, self._num_iter = num_iter, 0
        self._output_transform = output_transform
        self._smooth_f, self._diverge_th = smooth_f, diverge_th
        self.rates: list[list[float]] = []
        self.losses: list[float] = []
        self._diverged, self._best_loss = False, math.inf

    def handlers(self) -> list[tuple[AnyEvent, Callable[..., None]]]:
        """Return the events and the handlers to attach to them."""
        return [
            (Events.STARTED, self._start),
            # Last, so that it overrides schedulers and other handlers that set the learning rate.
            (Events.ITERATION_STARTED(priority=LAST), self._set_rates),
            (Events.ITERATION_COMPLETED, self._record_loss),
            (Events.COMPLETED, self._warn_unless_diverged),
        ]

    def _start(self, engine: Engine) -> None:
        self._diverged, self._best_loss = False, math.inf
        self.rates.clear()
        self.losses.clear()
        state, planned = engine.state, planned_iterations(engine.state)
        num_iter = self._requested_iters or planned
        if num_iter is None:
            raise ValueError("the length of the data is unknown: give num_iter to attach(), or epoch_length to run().")
        if planned is None or planned < num_iter:
            state.max_epochs, state.max_iters = None, num_iter
        self._num_iter = num_iter

    def _rates_of(self, iteration: int) -> list[float]:
        return [self._curve(start, end, iteration, self._num_iter) for start, end in self._ranges]

    def _set_rates(self) -> None:
        rates = self.rates[-1] if self.rates else self._rates_of(1)
        for group, rate in zip(self._optimizer.param_groups, rates):
            set_value(group, "lr", rate)

    def _record_loss(self, engine: Engine) -> None:
        loss = agreed_score(
            f"the loss for FastaiLRFinder, iteration {engine.state.iteration}",
            lambda: _loss_as_float(self._output_transform(engine.state.output)),
        )
        if math.isnan(loss):  # not recorded, because NaN cannot be compared with the other losses
            self._end_diverged(engine)
            return
        if self.losses and self._smooth_f:
            loss = self._smooth_f * loss + (1 - self._smooth_f) * self.losses[-1]
        self.losses.append(loss)
        self.rates.append(self._rates_of(len(self.losses)))
        self._best_loss = min(self._best_loss, loss)
        if loss > self._best_loss + (self._diverge_th - 1) * abs(self._best_loss):
            self._end_diverged(engine)
        elif len(self.losses) > self._num_iter:
            engine.terminate()

    def _end_diverged(self, engine: Engine) -> None:
        self._diverged = True
        engine.terminate()

    def _warn_unless_diverged(self) -> None:
        if not self._diverged:
            warnings.warn(
                "Run completed without loss diverging, increase end_lr, decrease diverge_th or look at "
                "lr_finder.plot()",
                stacklevel=2,
            )


def _loss_as_float(loss: Any) -> float:
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
