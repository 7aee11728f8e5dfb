"""Supervised training and evaluation: the steps, and engines around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.nn.utils.rnn import PackedSequence

from fsm_engine._util.plain_data import map_leaves
from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge, Path
from fsm_engine.lifecycle.step_events import ACCUMULATING, WHOLE_STEP, StepEvents, drop_values
from fsm_engine.metrics import as_metric
from fsm_engine.supervised.deterministic import DeterministicEngine

if TYPE_CHECKING:
    from torch.amp import GradScaler  # from torch 2.3 on

    from fsm_engine.metrics import Metric
    from fsm_engine.metrics.torchmetrics_adapter import TorchMetric

Device = str | torch.device | None
Step = Callable[[Engine, Any], Any]
PrepareBatch = Callable[..., tuple[Any, Any]]
ModelFunction = Callable[[Any, Any], Any]
LossFunction = Callable[[Any, Any], Any]


# Defaults are functions of this module, not lambdas, so that steps can be pickled.


_MOVABLE: tuple[Any, ...] = (torch.Tensor, PackedSequence)


def prepare_pair(batch: Any, device: Device = None, non_blocking: bool = False) -> tuple[Any, Any]:
    """Return the pair (x, y) that `batch` is, each moved to `device`."""
    x, y = batch
    if device is None:
        return x, y
    return _moved(x, device, non_blocking), _moved(y, device, non_blocking)


def _moved(value: Any, device: Device, non_blocking: bool) -> Any:
    def move(leaf: Any) -> Any:
        return leaf.to(device, non_blocking=non_blocking) if isinstance(leaf, _MOVABLE) else leaf

    return map_leaves(move, value, _is_packed)


def _is_packed(value: Any) -> bool:
    return isinstance(value, PackedSequence)  # which is a tuple, but moves as a whole


def _call_model(model: Any, x: Any) -> Any:
    return model(x)


def _unchanged(y_pred: Any) -> Any:
    return y_pred


def loss_of(_x: Any, _y: Any, _y_pred: Any, loss: torch.Tensor) -> float | torch.Tensor:
    """Return the loss: a float if it is on the CPU, else a detached tensor."""
    # .item() of a tensor on another device would make the host wait for it, in every iteration.
    return loss.item() if loss.is_cpu else loss.detach()


def _prediction_and_target(_x: Any, y: Any, y_pred: Any) -> tuple[Any, Any]:
    return y_pred, y


(
    _FORWARD_STARTED,
    _FORWARD_COMPLETED,
    _LOSS_COMPLETED,
    _BACKWARD_STARTED,
    _BACKWARD_COMPLETED,
    _OPTIM_STEP_STARTED,
    _OPTIM_STEP_COMPLETED,
) = StepEvents  # looked up once, because the step fires them in every iteration


def _fire_nothing(_event: StepEvents) -> None:
    """Stand in for `Engine.fire_event` where an engine does not know the step's phases."""


@dataclass(eq=False)
class _TrainingStep:
    __name__: ClassVar[str] = "supervised_training_step"  # by which files and messages call it
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
    _waiting: bool = field(init=False, default=False)  # whether gradients are kept for the next iteration

    @property
    def paths(self) -> tuple[Path | Edge, ...]:
        """What the step fires, for `Lifecycle.training`."""
        return (WHOLE_STEP,) if self.gradient_accumulation_steps == 1 else (WHOLE_STEP, ACCUMULATING)

    def __call__(self, engine: Engine, batch: Any) -> Any:
        state, steps = engine.state, self.gradient_accumulation_steps
        fire = engine.fire_event if engine.has_registered_events(_FORWARD_STARTED) else _fire_nothing
        watched = engine.has_handlers(StepEvents)
        try:
            if not self.model.training:
                self.model.train()
            if (state.iteration - 1) % steps == 0:
                self.optimizer.zero_grad()
            x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
            if watched:
                state.x, state.y = x, y
            fire(_FORWARD_STARTED)
            y_pred = self._forward(x)
            if watched:
                state.y_pred = y_pred
            fire(_FORWARD_COMPLETED)
            loss = self._loss(y_pred, y)
            if watched:
                state.loss = loss
            fire(_LOSS_COMPLETED)
            fire(_BACKWARD_STARTED)
            self._backward(loss if steps == 1 else loss / steps)
            fire(_BACKWARD_COMPLETED)
            if state.iteration % steps == 0:
                fire(_OPTIM_STEP_STARTED)
                self._step_optimizer()
                self._waiting = False
                fire(_OPTIM_STEP_COMPLETED)
            else:
                self._waiting = True
            return self.output_transform(x, y, y_pred, loss)
        finally:
            if watched:
                drop_values(state)

    def state_dict(self) -> dict[str, Any]:
        """Return the gradients that the optimizer has not seen yet, which are in no state dict of torch."""
        return {"gradients": [p.grad for p in self._parameters()] if self._waiting else []}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        gradients = state_dict["gradients"]
        self._waiting = bool(gradients)
        for parameter, gradient in zip(self._parameters(), gradients):
            parameter.grad = None if gradient is None else gradient.to(parameter.device, copy=True)

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _forward(self, x: Any) -> Any:
        return self.model_transform(self.model_fn(self.model, x))

    def _loss(self, y_pred: Any, y: Any) -> torch.Tensor:
        return self.loss_fn(y_pred, y)  # type: ignore[no-any-return]

    def _backward(self, loss: torch.Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # in some versions of torch

    def _step_optimizer(self) -> None:
        self.optimizer.step()


@dataclass(eq=False)
class _AmpTrainingStep(_TrainingStep):
    device_type: str
    scaler: GradScaler | None

    # Autocast is left in between, so that handlers of StepEvents run in full precision.

    def _forward(self, x: Any) -> Any:
        with torch.amp.autocast(self.device_type):
            return super()._forward(x)

    def _loss(self, y_pred: Any, y: Any) -> torch.Tensor:
        with torch.amp.autocast(self.device_type):
            return super()._loss(y_pred, y)

    def _backward(self, loss: torch.Tensor) -> None:
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def state_dict(self) -> dict[str, Any]:
        """Return the gradients that the optimizer has not seen yet, and the state of the scaler."""
        return {**super().state_dict(), "scaler": None if self.scaler is None else self.scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        super().load_state_dict(state_dict)
        if self.scaler is not None and state_dict["scaler"] is not None:
            self.scaler.load_state_dict(state_dict["scaler"])

    def _step_optimizer(self) -> None:
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()


@dataclass(eq=False)
class _EvaluationStep:
    __name__: ClassVar[str] = "supervised_evaluation_step"
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


@dataclass(eq=False)
class _AmpEvaluationStep(_EvaluationStep):
    device_type: str

    def __call__(self, _engine: Engine, batch: Any) -> Any:
        model = self.model
        if model.training:
            model.eval()
        with torch.no_grad():
            x, y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)
            with torch.amp.autocast(self.device_type):
                y_pred = self.model_transform(self.model_fn(model, x))
            return self.output_transform(x, y, y_pred)


_OF_IGNITE_ONLY = {
    "apex": ("apex", "Please install apex from https://github.com/nvidia/apex to use amp_mode='apex'."),
    "tpu": ("torch_xla", "torch_xla cannot be imported, please install PyTorch XLA."),
}


def _check_amp(device: Device, amp_mode: str | None, scaler: bool | GradScaler = False) -> None:
    where = _type_of(device)
    if where == "xla" and find_spec("torch_xla") is None:
        raise RuntimeError(f"In order to run on TPU, please install PyTorch XLA; device is {str(device)!r}.")
    if amp_mode is not None and where in ("mps", "xla"):
        raise ValueError(f"amp_mode cannot be used with {where} device. Consider using amp_mode=None or device='cuda'.")
    if scaler and amp_mode != "amp":
        raise ValueError(f"scaler argument is {scaler}, but amp_mode is {amp_mode}. Consider using amp_mode='amp'.")
    if amp_mode in (None, "amp"):
        return
    fix = "Consider using amp_mode='amp', torch's own mixed precision, the only one that is supported here."
    module, missing = _OF_IGNITE_ONLY.get(amp_mode, ("", ""))
    if module and find_spec(module) is None:
        raise ModuleNotFoundError(f"{missing} {fix}")
    raise ValueError(f"amp_mode is {amp_mode!r}. {fix}")


def _type_of(device: Device) -> str:
    return "cuda" if device is None else str(device).partition(":")[0]


def _as_scaler(scaler: bool | GradScaler, device: Device) -> GradScaler | None:
    if not isinstance(scaler, bool):
        return scaler
    if not scaler:
        return None
    try:
        from torch.amp import GradScaler
    except ImportError:
        raise ImportError("Please install torch>=2.3.1 to use scaler argument.") from None
    return GradScaler(_type_of(device))


def supervised_training_step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = loss_of,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = _call_model,
    *,
    amp_mode: str | None = None,
    scaler: bool | GradScaler = False,
) -> Step:
    """Return a step that trains `model` on one batch: forward, loss, backward, optimizer.

    In an engine's lifecycle it goes through the phases of `StepEvents`; called directly, or inside another step,
    it just runs. The step can be pickled if what it is given can. It costs a few microseconds more than the same lines
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
        amp_mode: "amp" for automatic mixed precision: model and loss run under ``torch.amp.autocast`` of the
            type of `device`, "cuda" if that is None.
        scaler: multiplies the loss so that float16 gradients do not vanish, and skips steps in which they
            overflow. True makes a ``torch.amp.GradScaler``.

    Raises:
        ValueError: if `gradient_accumulation_steps` is not positive; for an `amp_mode` that there is not, or
            not on `device`; for a `scaler` without ``amp_mode="amp"``.
        ModuleNotFoundError: for pytorch-ignite's other modes, if what they need is not installed either.
        RuntimeError: for an XLA device without PyTorch XLA.
        ImportError: for ``scaler=True`` with a torch before 2.3.
    """
    _check_amp(device, amp_mode, scaler)
    if gradient_accumulation_steps <= 0:
        raise ValueError(
            f"Gradient_accumulation_steps must be strictly positive. It is {gradient_accumulation_steps}: "
            f"give 1 to let the optimizer step in every iteration."
        )
    own = (
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
    if amp_mode is None:
        return _TrainingStep(*own)
    return _AmpTrainingStep(*own, _type_of(device), _as_scaler(scaler, device))


def create_supervised_trainer(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: LossFunction,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any, torch.Tensor], Any] = loss_of,
    deterministic: bool = False,
    amp_mode: str | None = None,
    scaler: bool | GradScaler = False,
    *,
    gradient_accumulation_steps: int = 1,
    model_fn: ModelFunction = _call_model,
) -> Engine:
    """Return an engine that trains `model`; its step is that of `supervised_training_step`, and so are its arguments.

    With `deterministic` it is a `DeterministicEngine`. The scaler that ``scaler=True`` makes is kept as
    ``trainer.state.scaler``, to be saved with the model.

    Raises:
        Exception: as `supervised_training_step`.
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
        amp_mode=amp_mode,
        scaler=scaler,
    )
    trainer = DeterministicEngine(step) if deterministic else Engine(step)
    if scaler is True and isinstance(step, _AmpTrainingStep):
        trainer.state.scaler = step.scaler
    return trainer


def supervised_evaluation_step(
    model: torch.nn.Module,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any], Any] = _prediction_and_target,
    model_fn: ModelFunction = _call_model,
    *,
    amp_mode: str | None = None,
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
        amp_mode: as in `supervised_training_step`.

    Raises:
        Exception: for `amp_mode` and `device`, as `supervised_training_step`.
    """
    _check_amp(device, amp_mode)
    own = (model, device, non_blocking, prepare_batch, model_transform, output_transform, model_fn)
    return _EvaluationStep(*own) if amp_mode is None else _AmpEvaluationStep(*own, _type_of(device))


def create_supervised_evaluator(
    model: torch.nn.Module,
    metrics: Mapping[str, Metric | TorchMetric] | None = None,
    device: Device = None,
    non_blocking: bool = False,
    prepare_batch: PrepareBatch = prepare_pair,
    model_transform: Callable[[Any], Any] = _unchanged,
    output_transform: Callable[[Any, Any, Any], Any] = _prediction_and_target,
    amp_mode: str | None = None,
    *,
    model_fn: ModelFunction = _call_model,
) -> Engine:
    """Return an engine that evaluates `model`; its step, and its arguments, are those of `supervised_evaluation_step`.

    `metrics`, from this package or from torchmetrics, are computed once per epoch; each value goes to
    ``engine.state.metrics`` under the name that the metric has here.

    Raises:
        TypeError: for a metric that is neither.
        Exception: for `amp_mode` and `device`, as `supervised_training_step`.
    """
    evaluator = Engine(
        supervised_evaluation_step(
            model,
            device,
            non_blocking,
            prepare_batch,
            model_transform,
            output_transform,
            model_fn,
            amp_mode=amp_mode,
        )
    )
    for name, metric in (metrics or {}).items():
        as_metric(metric).attach(evaluator, name)
    return evaluator
