"""Truncated backpropagation through time: train on a sequence chunk by chunk, and carry the hidden state along."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from fsm_engine._util.plain_data import map_leaves
from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge, Path
from fsm_engine.graph.graph import Graph
from fsm_engine.lifecycle.step_events import TBPTT_PATHS, Tbptt_Events
from fsm_engine.lifecycle.step_parts import tbptt_graph
from fsm_engine.supervised.arguments import check_training
from fsm_engine.supervised.step_functions import (
    Device,
    LossFunction,
    PrepareBatch,
    call_model,
    identity,
    loss_output,
    prepare_pair,
)
from fsm_engine.supervised.training_step import TrainingStep, fire_nothing

_STARTED, _COMPLETED = Tbptt_Events


@dataclass
class _Sequence:
    """The rest of a sequence, and the values that its chunks share.

    Attributes:
        chunks: pairs of x and y, the next one last.
        hidden: the hidden state after the last chunk; None before the first.
        outputs: the losses of the chunks so far.
    """

    chunks: list[tuple[Any, Any]]
    hidden: Any = None
    outputs: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class TbpttStep(TrainingStep):
    """A step that trains on a sequence chunk by chunk; each chunk goes through the parts of a training step."""

    __name__: ClassVar[str] = "supervised_tbptt_step"
    tbtt_step: int
    dim: int

    @property
    def graph_of_parts(self) -> Graph:
        """The training lifecycle with the parts of the step."""
        return tbptt_graph()

    @property
    def paths(self) -> tuple[Path | Edge, ...]:
        """Paths through the phases of the step as fired phases, for a function that calls it."""
        return TBPTT_PATHS

    def __call__(self, engine: Engine, batch: Any) -> Any:
        """Train on `batch`, and return the mean loss; fire the phases if the engine has them."""
        fire = engine.fire_event if engine.has_registered_events(_STARTED) else fire_nothing
        state, cursor = engine.state, engine._cursor
        try:
            self.split(engine, batch)
            while self.has_chunks(engine):
                fire(_STARTED)
                self.next_chunk(engine)
                self._run_parts(engine, fire)
                state.output = self.output(engine)
                fire(_COMPLETED)
                self.finish(engine)
            return state.output
        finally:
            state.drop_step_values()
            cursor.step_data = None

    def split(self, engine: Engine, batch: Any) -> None:
        """Split a sequence into chunks.

        Raises:
            ValueError: x and y have different numbers of chunks.
        """
        pair = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
        chunks = [sequence.split(self.tbtt_step, self.dim) for sequence in pair]
        engine._cursor.step_data = _Sequence(list(zip(*chunks, strict=True))[::-1])

    def has_chunks(self, engine: Engine) -> bool:
        """Return True if a chunk of the sequence is left."""
        return bool(engine._cursor.step_data.chunks)

    def next_chunk(self, engine: Engine) -> None:
        """Set the model to training mode, zero the gradients, and set x and y to the next chunk."""
        if not (self.model.training and self.inner_model.training):
            self.model.train()
        self.optimizer.zero_grad()
        engine.state.x, engine.state.y = engine._cursor.step_data.chunks.pop()

    def forward(self, engine: Engine) -> None:
        """Set y_pred, and keep the hidden state for the next chunk."""
        state, sequence = engine.state, engine._cursor.step_data
        hidden = () if sequence.hidden is None else (map_leaves(_detach, sequence.hidden),)
        state.y_pred, sequence.hidden = self.model(state.x, *hidden)

    def output(self, engine: Engine) -> Any:
        """Return the loss of the chunk."""
        output = super().output(engine)
        engine._cursor.step_data.outputs.append(output)
        return output

    def finish(self, engine: Engine) -> None:
        """Set the output to the mean loss after the last chunk."""
        sequence = engine._cursor.step_data
        if not sequence.chunks:
            engine.state.output = sum(sequence.outputs) / len(sequence.outputs)


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
    phases TIME_ITERATION_STARTED and TIME_ITERATION_COMPLETED, through the phases of `StepEvents`. The model gets the
    hidden state of the previous chunk, detached from its graph. At TIME_ITERATION_COMPLETED ``engine.state.output`` is
    the loss of the chunk: a float on the CPU, otherwise a detached tensor. At ITERATION_COMPLETED it is the mean over
    the chunks.

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
        ValueError: if `tbtt_step` is not positive, or the optimizer needs a closure.
        TypeError: as in `supervised_training_step`.

    Example:
        >>> model = torch.nn.RNN(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_tbptt_trainer(model, optimizer, torch.nn.MSELoss(), tbtt_step=2)
        >>> sequence = torch.linspace(0, 1, 6).reshape(-1, 1, 1)
        >>> trainer.run([(sequence, sequence)]).output > 0
        True
    """
    if tbtt_step < 1:
        raise ValueError(f"tbtt_step has to be at least 1, got {tbtt_step}.")
    check_training(model, optimizer, loss_fn)
    fields = (
        model,
        optimizer,
        loss_fn,
        device,
        non_blocking,
        prepare_batch,
        identity,
        loss_output,
        1,
        call_model,
        False,
    )
    return Engine(TbpttStep(*fields, tbtt_step, dim))
