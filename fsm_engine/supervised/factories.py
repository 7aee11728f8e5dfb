"""Factories of supervised steps, trainers and evaluators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.metrics import as_metric
from fsm_engine.supervised.arguments import check_functions, check_model, check_training
from fsm_engine.supervised.deterministic import DeterministicEngine
from fsm_engine.supervised.evaluation_step import EvaluationStep
from fsm_engine.supervised.mixed_precision import (
    AmpEvaluationStep,
    AmpTrainingStep,
    ScaledTrainingStep,
    check_amp,
    device_type,
    make_scaler,
)
from fsm_engine.supervised.step_functions import (
    Device,
    LossFunction,
    ModelFunction,
    PrepareBatch,
    call_model,
    identity,
    loss_output,
    prediction_output,
    prepare_pair,
)
from fsm_engine.supervised.training_step import TrainingStep

if TYPE_CHECKING:
    from torch.amp import GradScaler  # since torch 2.3

    from fsm_engine.metrics import Metric
    from fsm_engine.metrics.torchmetrics_adapter import TorchMetric

Step = Callable[[Engine, Any], Any]


def supervised_training_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = identity,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = loss_output,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = call_model,
    *,
    step_at_epoch_end: bool = False,
    amp_mode: str | None = None,
    scaler: bool | GradScaler = False,
) -> Step:
    """Return a step that trains `model` on one batch: forward, loss, backward, optimizer step.

    As the step of an engine, it consists of parts, which the engine calls in the phases of `StepEvents`. Called
    directly or inside another step, it runs all parts and fires no events. The step can be pickled if its arguments
    can. It does not wait for the device.

    A model in evaluation mode is switched to training mode, with all its submodules, before the forward pass. A model
    in training mode is left alone, so a submodule that you put into evaluation mode stays there. After
    ``model.eval()``, which an evaluator calls, the next step switches all submodules to training mode: to keep one
    frozen, put it into evaluation mode again at EPOCH_STARTED.

    Args:
        model: the model to train. It is never moved to another device.
        optimizer: an optimizer of the parameters of `model`.
        loss_fn: called as ``loss_fn(y_pred, y)``; returns the loss of the batch, a tensor with one element.
        device: the device that batches are moved to. None leaves them where they are, at no cost.
        non_blocking: True lets the host continue while a batch in pinned memory is copied to the device.
        prepare_batch: called as ``prepare_batch(batch, device=device, non_blocking=non_blocking)``; returns
            (x, y). The default unpacks the batch and moves its tensors, including those in nested tuples, lists and
            dicts.
        model_transform: called with the output of the model; returns y_pred.
        output_transform: called as ``output_transform(x, y, y_pred, loss)``; its result becomes
            ``engine.state.output``. The default returns the loss: a float if it is on the CPU, otherwise a detached
            tensor, which does not make the host wait for the device until it is read.
        gradient_accumulation_steps: number of iterations whose gradients are added up before the optimizer steps.
            Each loss is divided by this number before the backward pass; `output_transform` gets the undivided
            loss. Gradients accumulated since the last optimizer step are not applied at the end of a run. A distributed
            model (DistributedDataParallel, FSDP, FSDP2) averages its gradients only in the iterations in which the
            optimizer steps. FSDP2 then keeps whole gradients in the iterations before.
        model_fn: called as ``model_fn(model, x)`` instead of ``model(x)``.
        step_at_epoch_end: True lets the optimizer step in the last iteration of each epoch and of the run, too, so that
            accumulation starts again with each epoch. The losses of the last iterations are divided by the number of
            iterations that are really added up. The length of an epoch has to be known.
        amp_mode: "amp" runs model and loss under ``torch.amp.autocast`` of the type of `device`, or of "cuda" if
            `device` is None.
        scaler: a gradient scaler for float16, which multiplies the loss so that small gradients do not become zero,
            and skips optimizer steps whose gradients overflow. True makes a ``torch.amp.GradScaler``.

    Raises:
        ValueError: if `gradient_accumulation_steps` is not positive, if `optimizer` needs a closure, as LBFGS does, if
            `amp_mode` is unknown or not supported on `device`, or for a `scaler` without ``amp_mode="amp"``.
        TypeError: if `gradient_accumulation_steps` is not an int, or `model`, `optimizer` or `loss_fn` is a class or
            has another type, for example because two of them are swapped, or a function takes other arguments.
        ModuleNotFoundError: for the other modes of pytorch-ignite, if the library that they need is missing.
        RuntimeError: for an XLA device without PyTorch XLA.
        ImportError: for ``scaler=True`` with a torch older than 2.3.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> step = supervised_training_step(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss())
        >>> def twice(engine, batch):
        ...     step(engine, batch)
        ...     return step(engine, batch)
        >>> trainer = Engine(twice)
        >>> trainer.run([(torch.ones(1, 1), torch.ones(1, 1))]).output >= 0
        True
    """
    check_amp(device, amp_mode, scaler)
    check_training(model, optimizer, loss_fn)
    check_functions(prepare_batch, model_transform, output_transform, "x, y, y_pred, loss")
    if not isinstance(gradient_accumulation_steps, int):
        raise TypeError(
            f"gradient_accumulation_steps={gradient_accumulation_steps!r} must be a number of iterations, an int."
        )
    if gradient_accumulation_steps <= 0:
        raise ValueError(
            f"Gradient_accumulation_steps must be strictly positive. It is {gradient_accumulation_steps}: "
            f"give 1 to let the optimizer step in every iteration."
        )
    fields = (
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
        step_at_epoch_end,
    )
    if amp_mode is None:
        return TrainingStep(*fields)
    made = make_scaler(scaler, device)
    if made is None:
        return AmpTrainingStep(*fields, device_type(device))
    return ScaledTrainingStep(*fields, device_type(device), made)


def create_supervised_trainer(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = identity,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = loss_output,
    deterministic: bool = False,
    amp_mode: str | None = None,
    scaler: bool | GradScaler = False,
    *,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = call_model,
    step_at_epoch_end: bool = False,
    name: str | None = None,
) -> Engine:
    """Return an engine that trains `model` with the step of `supervised_training_step`, which takes the same arguments.

    The engine calls the parts of the step in the phases of `StepEvents`. ``engine.lifecycle`` inserts phases between
    them and replaces parts::

        trainer.lifecycle.insert("CLIP", before=StepEvents.OPTIM_STEP_STARTED, activity=clip_gradients)

    `name` is the name of the engine. ``deterministic=True`` returns a `DeterministicEngine`. The gradient scaler that
    ``scaler=True`` makes is kept as ``trainer.state.scaler``, so that it can be saved with the model.

    Raises:
        Exception: the exceptions of `supervised_training_step`.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> trainer = create_supervised_trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss())
        >>> x = torch.linspace(0, 1, 8).reshape(-1, 1)
        >>> losses = []
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: losses.append(trainer.state.output))
        >>> _ = trainer.run([(x, 2 * x)], max_epochs=20)
        >>> losses[-1] < losses[0]
        True
    """
    step = supervised_training_step(
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
        step_at_epoch_end=step_at_epoch_end,
        amp_mode=amp_mode,
        scaler=scaler,
    )
    trainer = DeterministicEngine(step, name=name) if deterministic else Engine(step, name=name)
    if scaler is True and isinstance(step, ScaledTrainingStep):
        trainer.state.scaler = step.scaler
    return trainer


def supervised_evaluation_step(
    model: torch.nn.Module,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = identity,
    output_transform: Callable[[Any, Any, Any], Any] = prediction_output,
    model_fn: ModelFunction = call_model,
    *,
    amp_mode: str | None = None,
) -> Step:
    """Return a step that runs `model` on one batch, in evaluation mode and without gradients.

    A model in training mode is switched to evaluation mode, with all its submodules, and stays in it after the step; a
    training step switches it back. A model in evaluation mode is left alone. The step can be pickled if its arguments
    can.

    Args:
        model: the model to evaluate. It is never moved to another device.
        device: the device that batches are moved to. None leaves them where they are, at no cost.
        non_blocking: True lets the host continue while a batch in pinned memory is copied to the device.
        prepare_batch: as in `supervised_training_step`.
        model_transform: called with the output of the model; returns y_pred.
        output_transform: called as ``output_transform(x, y, y_pred)``; its result becomes ``engine.state.output``.
            The default returns (y_pred, y), which metrics take as their input.
        model_fn: called as ``model_fn(model, x)`` instead of ``model(x)``.
        amp_mode: as in `supervised_training_step`.

    Raises:
        TypeError: if `model` is a class or cannot be called.
        Exception: the exceptions of `supervised_training_step` for `amp_mode` and `device`.

    Example:
        >>> step = supervised_evaluation_step(torch.nn.Identity(), output_transform=lambda x, y, y_pred: y_pred - y)
        >>> Engine(step).run([(torch.tensor([3.0]), torch.tensor([1.0]))]).output
        tensor([2.])
    """
    check_amp(device, amp_mode)
    check_model(model)
    check_functions(prepare_batch, model_transform, output_transform, "x, y, y_pred")
    fields = (model, device, non_blocking, prepare_batch, model_transform, output_transform, model_fn)
    return EvaluationStep(*fields) if amp_mode is None else AmpEvaluationStep(*fields, device_type(device))


def create_supervised_evaluator(
    model: torch.nn.Module,
    metrics: Mapping[str, Metric | TorchMetric] | None = None,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = identity,
    output_transform: Callable[[Any, Any, Any], Any] = prediction_output,
    amp_mode: str | None = None,
    *,
    model_fn: ModelFunction = call_model,
    name: str | None = None,
) -> Engine:
    """Return an engine that evaluates `model` with `supervised_evaluation_step`, which takes the same arguments.

    `metrics` maps names to metrics of this package or of torchmetrics. Each is computed once per epoch, and its value
    is stored in ``engine.state.metrics`` under its name. `name` is the name of the engine.

    Raises:
        TypeError: if `metrics` is not a mapping, an object in it is not a metric, or `model` is a class or cannot be
            called.
        Exception: the exceptions of `supervised_training_step` for `amp_mode` and `device`.

    Example:
        >>> evaluator = create_supervised_evaluator(torch.nn.Identity(), metrics={"accuracy": Accuracy()})
        >>> x, y = torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1])
        >>> evaluator.run([(x, y)]).metrics["accuracy"]
        0.5
    """
    step = supervised_evaluation_step(
        model,
        device,
        non_blocking,
        prepare_batch,
        model_transform,
        output_transform,
        model_fn,
        amp_mode=amp_mode,
    )
    if metrics is not None and not isinstance(metrics, Mapping):
        raise TypeError(
            f"metrics has to be a dict from names to metrics, got {type(metrics).__name__}. "
            f'Write metrics={{"accuracy": Accuracy()}}.'
        )
    evaluator = Engine(step, name=name)
    for key, metric in (metrics or {}).items():
        as_metric(metric).attach(evaluator, key)
    return evaluator
