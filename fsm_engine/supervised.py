"""Supervised training and evaluation: the steps, and engines around them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import PackedSequence

from fsm_engine.engine import Engine
from fsm_engine.metrics import as_metric

if TYPE_CHECKING:
    from fsm_engine.metrics import Metric
    from fsm_engine.metrics.bridge import TorchMetric

Device = str | torch.device | None
Step = Callable[[Engine, Any], Any]
PrepareBatch = Callable[..., tuple[Any, Any]]
ModelFunction = Callable[[Any, Any], Any]
LossFunction = Callable[[Any, Any], Any]


# Defaults are functions of this module, not lambdas, so that steps can be pickled.


_MOVE_AS_A_WHOLE: tuple[Any, ...] = (torch.Tensor, PackedSequence)  # the latter is a tuple, too


def _prepare_batch(batch: Any, device: Device = None, non_blocking: bool = False) -> tuple[Any, Any]:
    x, y = batch
    if device is None:
        return x, y
    return _moved(x, device, non_blocking), _moved(y, device, non_blocking)


def _moved(value: Any, device: Device, non_blocking: bool) -> Any:
    if isinstance(value, _MOVE_AS_A_WHOLE):
        return value.to(device, non_blocking=non_blocking)
    if isinstance(value, dict):
        moved = copy.copy(value)  # some dicts, such as defaultdict, cannot be made from their items
        moved.update({key: _moved(item, device, non_blocking) for key, item in value.items()})
        return moved
    if isinstance(value, (tuple, list)):
        items = [_moved(item, device, non_blocking) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _call_model(model: Any, x: Any) -> Any:
    return model(x)


def _unchanged(y_pred: Any) -> Any:
    return y_pred


def _loss_of(_x: Any, _y: Any, _y_pred: Any, loss: torch.Tensor) -> float | torch.Tensor:
    # .item() of a tensor on another device would make the host wait for it, in every iteration.
    return loss.item() if loss.is_cpu else loss.detach()


def _prediction_and_target(_x: Any, y: Any, y_pred: Any) -> tuple[Any, Any]:
    return y_pred, y


@dataclass(eq=False)
class _TrainingStep:
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    loss_fn: LossFunction
    device: Device
    non_blocking: bool
    prepare_batch: PrepareBatch
    model_transform: Callable[[Any], Any]
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any]
    gradient_accumulation_steps: int
    model_fn: ModelFunction

    def __call__(self, engine: Engine, batch: Any) -> Any:
        model, iteration, steps = self.model, engine.state.iteration, self.gradient_accumulation_steps
        if not model.training:
            model.train()
        if (iteration - 1) % steps == 0:
            self.optimizer.zero_grad()
        x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
        y_pred = self.model_transform(self.model_fn(model, x))
        loss = self.loss_fn(y_pred, y)
        (loss if steps == 1 else loss / steps).backward()
        if iteration % steps == 0:
            self.optimizer.step()
        return self.output_transform(x, y, y_pred, loss)


@dataclass(eq=False)
class _EvaluationStep:
    model: torch.nn.Module
    device: Device
    non_blocking: bool
    prepare_batch: PrepareBatch
    model_transform: Callable[[Any], Any]
    output_transform: Callable[[Any, Any, Any], Any]
    model_fn: ModelFunction

    def __call__(self, _engine: Engine, batch: Any) -> Any:
        model = self.model
        if model.training:
            model.eval()
        with torch.no_grad():
            x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
            y_pred = self.model_transform(self.model_fn(model, x))
            return self.output_transform(x, y, y_pred)


def supervised_training_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = _prepare_batch,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = _loss_of,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = _call_model,
) -> Step:
    """Return a step that trains `model` on one batch: forward, loss, backward, optimizer.

    The step can be pickled if what it is given can. It costs a few microseconds more than the same lines
    written by hand, and does not wait for the device.

    The model is switched to training mode as a whole when it is in evaluation mode, and left alone otherwise.
    So a part of it that was put into evaluation mode on purpose stays there, until ``model.eval()``, such as
    that of an evaluator, makes the next step switch the whole: freeze it again at EPOCH_STARTED then.

    Args:
        model: is never moved to another device.
        optimizer: of the parameters of `model`.
        loss_fn: called as ``loss_fn(y_pred, y)``; returns the loss of the batch, a tensor of one element.
        device: where batches are moved to; None leaves them where they are, at no cost.
        non_blocking: whether the host may go on while a batch in pinned memory is copied to the device.
        prepare_batch: called as ``prepare_batch(batch, device=device, non_blocking=non_blocking)``; returns
            (x, y). By default the batch is that pair, and the tensors in it, in nested tuples, lists and
            dicts as well, are moved.
        model_transform: what it makes of the model's output becomes y_pred.
        output_transform: called as ``output_transform(x, y, y_pred, loss)``; what it returns becomes
            ``engine.state.output``. By default that is the loss: a float if it is on the CPU, else a detached
            tensor, which nobody waits for until it is read.
        gradient_accumulation_steps: gradients of so many iterations are added up, each loss divided by that
            number, before the optimizer steps. `output_transform` is given the loss as it was. Gradients left
            over at the end of a run are not applied.
        model_fn: called as ``model_fn(model, x)`` instead of ``model(x)``.

    Raises:
        ValueError: if `gradient_accumulation_steps` is not positive.
    """
    if gradient_accumulation_steps <= 0:
        raise ValueError(
            f"Gradient_accumulation_steps must be strictly positive. It is {gradient_accumulation_steps}: "
            f"give 1 to let the optimizer step in every iteration."
        )
    return _TrainingStep(
        model,
        optimizer,
        loss_fn,
        device,
        non_blocking,
        prepare_batch,
        model_transform,
        output_transform,
        gradient_accumulation_steps,
        model_fn,
    )


def create_supervised_trainer(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = _prepare_batch,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = _loss_of,
    *,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = _call_model,
) -> Engine:
    """Return an engine that trains `model`; its step, and every argument, is that of `supervised_training_step`.

    Raises:
        ValueError: if `gradient_accumulation_steps` is not positive.
    """
    return Engine(
        supervised_training_step(
            model,
            optimizer,
            loss_fn,
            device,
            non_blocking,
            prepare_batch,
            model_transform,
            output_transform,
            gradient_accumulation_steps,
            model_fn,
        )
    )


def supervised_evaluation_step(
    model: torch.nn.Module,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = _prepare_batch,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any], Any] = _prediction_and_target,
    model_fn: ModelFunction = _call_model,
) -> Step:
    """Return a step that runs `model` on one batch, in evaluation mode and without gradients.

    The model is switched to evaluation mode as a whole when it is in training mode, and left alone otherwise.
    It stays in evaluation mode afterwards; a training step switches it back. The step can be pickled if what
    it is given can.

    Args:
        model: is never moved to another device.
        device: where batches are moved to; None leaves them where they are, at no cost.
        non_blocking: whether the host may go on while a batch in pinned memory is copied to the device.
        prepare_batch: as in `supervised_training_step`.
        model_transform: what it makes of the model's output becomes y_pred.
        output_transform: called as ``output_transform(x, y, y_pred)``; what it returns becomes
            ``engine.state.output``. By default that is (y_pred, y), as metrics expect it.
        model_fn: called as ``model_fn(model, x)`` instead of ``model(x)``.
    """
    return _EvaluationStep(model, device, non_blocking, prepare_batch, model_transform, output_transform, model_fn)


def create_supervised_evaluator(
    model: torch.nn.Module,
    metrics: Mapping[str, Metric | TorchMetric] | None = None,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = _prepare_batch,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any], Any] = _prediction_and_target,
    *,
    model_fn: ModelFunction = _call_model,
) -> Engine:
    """Return an engine that evaluates `model`; its step, and its arguments, are those of `supervised_evaluation_step`.

    `metrics`, from this package or from torchmetrics, are computed once per epoch; each value goes to
    ``engine.state.metrics`` under the name that the metric has here.

    Raises:
        TypeError: for a metric that is neither.
    """
    evaluator = Engine(
        supervised_evaluation_step(
            model, device, non_blocking, prepare_batch, model_transform, output_transform, model_fn
        )
    )
    for name, metric in (metrics or {}).items():
        as_metric(metric).attach(evaluator, name)
    return evaluator
