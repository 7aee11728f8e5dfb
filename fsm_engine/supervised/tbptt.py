"""Truncated backpropagation through time: train on a sequence chunk by chunk, and carry the hidden state along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from fsm_engine._util.plain_data import map_leaves
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.supervised.step_functions import Device, LossFunction, PrepareBatch, loss_output, prepare_pair


class Tbptt_Events(EventEnum):  # noqa: N801  # pytorch-ignite's name
    """The phases before and after each chunk of a sequence, within an iteration."""

    TIME_ITERATION_STARTED = "time_iteration_started"
    TIME_ITERATION_COMPLETED = "time_iteration_completed"


_STARTED, _COMPLETED = Tbptt_Events


@dataclass(eq=False)
class _TbpttStep:
    __name__: ClassVar[str] = "supervised_tbptt_step"
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    loss_fn: LossFunction
    tbtt_step: int
    dim: int
    device: Device
    non_blocking: bool
    prepare_batch: PrepareBatch

    paths = (
        Events.ITERATION_STARTED >> _STARTED >> _COMPLETED >> Events.ITERATION_COMPLETED,
        _COMPLETED >> _STARTED,
    )

    def __call__(self, engine: Engine, batch: Any) -> Any:
        fires = engine.has_registered_events(_STARTED)
        x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
        hidden, losses = None, []
        chunks = [sequence.split(self.tbtt_step, self.dim) for sequence in (x, y)]
        for x_chunk, y_chunk in zip(*chunks, strict=True):
            if fires:
                engine.fire_event(_STARTED)
            loss, hidden = self._train(x_chunk, y_chunk, hidden)
            engine.state.output = loss
            losses.append(loss)
            if fires:
                engine.fire_event(_COMPLETED)
        return sum(losses) / len(losses)

    def _train(self, x: Any, y: Any, hidden: Any) -> tuple[Any, Any]:
        model = self.model
        if not model.training:
            model.train()
        self.optimizer.zero_grad()
        y_pred, hidden = model(x) if hidden is None else model(x, map_leaves(_detach, hidden))
        loss = self.loss_fn(y_pred, y)
        loss.backward()
        self.optimizer.step()
        return loss_output(x, y, y_pred, loss), hidden


def _detach(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, torch.Tensor) else leaf


def create_supervised_tbptt_trainer(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    tbtt_step: int,
    dim: int = 0,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
) -> Engine:
    """Return an engine that trains a recurrent `model` by truncated backpropagation through time.

    Each iteration splits a sequence into chunks of `tbtt_step` time steps, and trains on each of them between the
    phases TIME_ITERATION_STARTED and TIME_ITERATION_COMPLETED. The model gets the hidden state of the previous chunk,
    detached from its graph. At TIME_ITERATION_COMPLETED ``engine.state.output`` is the loss of the chunk: a float on
    the CPU, otherwise a detached tensor. At ITERATION_COMPLETED it is the mean over the chunks.

    Args:
        model: called as ``model(x)`` for the first chunk and ``model(x, hidden)`` for the others; returns
            (y_pred, hidden), where hidden is a tensor or a nested tuple, list or dict of tensors. It is never moved to
            another device.
        optimizer: an optimizer of the parameters of `model`; it steps once per chunk.
        loss_fn: called as ``loss_fn(y_pred, y)`` with the tensors of a chunk.
        tbtt_step: the number of time steps in a chunk; the last chunk may be shorter.
        dim: the time dimension of x and y.
        device: as in `supervised_training_step`.
        non_blocking: as in `supervised_training_step`.
        prepare_batch: as in `supervised_training_step`.

    Raises:
        ValueError: if `tbtt_step` is not positive.
    """
    if tbtt_step < 1:
        raise ValueError(f"tbtt_step has to be at least 1, got {tbtt_step}.")
    return Engine(_TbpttStep(model, optimizer, loss_fn, tbtt_step, dim, device, non_blocking, prepare_batch))
