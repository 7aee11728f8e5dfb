"""The supervised training step in parts: forward, loss, backward and optimizer, with gradient accumulation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge, Path
from fsm_engine.events.events import Events
from fsm_engine.graph.graph import Graph
from fsm_engine.handlers.checkpoint.module_wrappers import unwrapped
from fsm_engine.lifecycle.step_events import StepEvents, step_paths
from fsm_engine.lifecycle.step_parts import plain_graph, supervised_graph
from fsm_engine.supervised import mistakes
from fsm_engine.supervised.step_functions import (
    Device,
    LossFunction,
    ModelFunction,
    PrepareBatch,
    call_model,
    identity,
    prepare_pair,
)

_logger = logging.getLogger(__name__)


def fire_nothing(_event: Any) -> None:
    """Replace `Engine.fire_event` for engines that do not have the phases of `StepEvents`."""


@dataclass(eq=False)
class TrainingStep:
    """A step that trains a model on one batch; `supervised_training_step` documents the fields.

    Its parts, from `prepare` to `output`, are the activities of the phases in `graph_of_parts`. They keep the values of
    the step on the state of the engine, because copies of the engine share the step. Calling the step runs all parts.
    """

    __name__: ClassVar[str] = "supervised_training_step"  # the name in lifecycle files and messages
    is_scaled: ClassVar[bool] = False
    may_skip: ClassVar[bool] = False
    has_skipped: ClassVar[bool] = False
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
    step_at_epoch_end: bool
    inner_model: Any = field(init=False)  # a wrapper and the module in it have modes of their own
    _has_unapplied_gradients: bool = field(init=False, default=False)
    _earlier_gradients: list[torch.Tensor | None] | None = field(init=False, default=None)  # to restore after an error

    def __post_init__(self) -> None:
        self.inner_model = unwrapped(self.model)

    @property
    def graph_of_parts(self) -> Graph:
        """The training lifecycle with the parts of the step, which steps of one kind share."""
        if not self.has_options:
            return plain_graph()
        return supervised_graph(self.gradient_accumulation_steps > 1, self.is_scaled, self.may_skip)

    @property
    def has_options(self) -> bool:
        """False if the parts are the lines of a loop without options."""
        return not (
            type(self) is TrainingStep
            and self.gradient_accumulation_steps == 1
            and self.prepare_batch is prepare_pair
            and self.device is None
            and self.model_fn is call_model
            and self.model_transform is identity
        )

    @property
    def paths(self) -> tuple[Path | Edge, ...]:
        """Paths through the phases of the step as fired phases, for a function that calls it."""
        return step_paths(self.gradient_accumulation_steps > 1, self.is_scaled, self.may_skip)

    def __call__(self, engine: Engine, batch: Any) -> Any:
        """Train on `batch`, and return the result of `output_transform`; fire the phases if the engine has them."""
        fire = engine.fire_event if engine.has_registered_events(StepEvents.FORWARD_STARTED) else fire_nothing
        try:
            self.prepare(engine, batch)
            self._run_parts(engine, fire)
            return self.output(engine)
        except BaseException:
            self.abandon()
            raise
        finally:
            engine.state.drop_step_values()

    def _run_parts(self, engine: Engine, fire: Callable[[Any], None]) -> None:
        fire(StepEvents.FORWARD_STARTED)
        self.forward(engine)
        fire(StepEvents.FORWARD_COMPLETED)
        self.compute_loss(engine)
        fire(StepEvents.LOSS_COMPLETED)
        fire(StepEvents.BACKWARD_STARTED)
        self.backward(engine)
        fire(StepEvents.BACKWARD_COMPLETED)
        if self.accumulates(engine):
            return
        if self.is_scaled:
            self.unscale(engine)
            fire(StepEvents.UNSCALED)
        fire(StepEvents.OPTIM_STEP_STARTED)
        self.step_optimizer(engine)
        if self.has_skipped:
            return
        fire(StepEvents.OPTIM_STEP_COMPLETED)

    # Parts

    def prepare(self, engine: Engine, batch: Any) -> None:
        """Set the model to training mode, zero the gradients unless they accumulate, and set x and y."""
        if not (self.model.training and self.inner_model.training):
            self.model.train()
        if self.gradient_accumulation_steps == 1 or self._window(engine)[0] == 1:
            self.optimizer.zero_grad()
        self._earlier_gradients = None
        self._set_batch(engine, batch)

    def _set_batch(self, engine: Engine, batch: Any) -> None:
        state = engine.state
        if self.prepare_batch is prepare_pair and self.device is None:
            try:
                state.x, state.y = batch
            except (ValueError, TypeError) as error:
                mistakes.raise_if_no_pair(batch, error)
                raise
        else:
            state.x, state.y = self.prepare_batch(batch, device=self.device, non_blocking=self.non_blocking)

    def forward(self, engine: Engine) -> None:
        """Set y_pred."""
        if self.gradient_accumulation_steps == 1:
            engine.state.y_pred = self._predict(engine.state.x)
        else:
            with self._without_sync(engine):
                engine.state.y_pred = self._predict(engine.state.x)

    def _predict(self, x: Any) -> Any:
        y_pred = self.model(x) if self.model_fn is call_model else self.model_fn(self.model, x)
        return y_pred if self.model_transform is identity else self.model_transform(y_pred)

    def compute_loss(self, engine: Engine) -> None:
        """Set the loss."""
        state = engine.state
        state.loss = self.loss_fn(state.y_pred, state.y)

    def backward(self, engine: Engine) -> None:
        """Compute the gradients of the loss, and add them to the gradients of the parameters."""
        loss = engine.state.loss
        if self.gradient_accumulation_steps == 1:
            self._backward(loss)
            return
        number, size = self._window(engine)
        if number > 1 and _may_be_retried(engine):
            self._earlier_gradients = self._copies_of_gradients()
        with self._without_sync(engine):
            self._backward(loss / size)
        self._has_unapplied_gradients = True

    def _backward(self, loss: torch.Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]  # in some versions of torch

    def accumulates(self, engine: Engine) -> bool:
        """Return True if this iteration ends without an optimizer step."""
        if self.gradient_accumulation_steps == 1:
            return False
        number, size = self._window(engine)
        return number < size

    def unscale(self, _engine: Engine) -> None:
        """Unscale the gradients; without a gradient scaler, do nothing."""

    def step_optimizer(self, _engine: Engine) -> None:
        """Let the optimizer step."""
        self.optimizer.step()
        self._applied_gradients()

    def _applied_gradients(self) -> None:
        self._has_unapplied_gradients = False
        self._earlier_gradients = None

    def output(self, engine: Engine) -> Any:
        """Return the result of `output_transform`."""
        state = engine.state
        return self.output_transform(state.x, state.y, state.y_pred, state.loss)

    # Accumulation

    def _window(self, engine: Engine) -> tuple[int, int]:
        """Return the number of this iteration among those whose gradients are added up, from 1, and how many they are.

        Raises:
            ValueError: if they end with the epoch, whose length is not known.
        """
        state, steps = engine.state, self.gradient_accumulation_steps
        if not self.step_at_epoch_end:
            return (state.iteration - 1) % steps + 1, steps
        start = engine._cursor.epoch_start
        if state.epoch_length is None:
            raise ValueError(
                "step_at_epoch_end=True needs the number of iterations per epoch, but the data has no length. Pass it: "
                "trainer.run(data, epoch_length=...)."
            )
        end = (
            start + state.epoch_length if state.max_iters is None else min(start + state.epoch_length, state.max_iters)
        )
        number = (state.iteration - start - 1) % steps + 1
        return number, min(steps, number + end - state.iteration)

    def _without_sync(self, engine: Engine) -> AbstractContextManager[Any]:
        """Return a context in which a distributed model averages its gradients only if the optimizer steps."""
        delay = self._delay_sync
        return nullcontext() if delay is None else delay(self.model, self.accumulates(engine))

    @cached_property
    def _delay_sync(self) -> Callable[[Any, bool], AbstractContextManager[Any]] | None:
        """The function that makes this context; None for a model of one process."""
        kind = type(self.model)
        if hasattr(kind, "no_sync"):  # DistributedDataParallel and FSDP
            return _sync_by_context
        return _sync_by_flag if hasattr(kind, "set_requires_gradient_sync") else None  # FSDP2

    def raise_if_no_pair(self, batch: Any, error: Exception) -> None:
        """Raise an exception that describes `batch` if it is not a pair, and `error` came up when it was unpacked."""
        mistakes.raise_if_no_pair(batch, error)

    def hint_at_mistake(self, engine: Engine, error: Exception) -> str | None:
        """Return the probable mistake behind an `error` of this step, for a note; None if there is no sign of one."""
        return mistakes.hint(engine.state, self.model, self.device, self.prepare_batch is prepare_pair, error)

    def abandon(self) -> None:
        """Restore the gradients that earlier iterations have accumulated, after an error in this one."""
        if self._earlier_gradients is not None:
            for parameter, gradient in zip(self._parameters(), self._earlier_gradients):
                parameter.grad = gradient
            self._earlier_gradients = None

    def _copies_of_gradients(self) -> list[torch.Tensor | None]:
        gradients = (parameter.grad for parameter in self._parameters())
        return [None if gradient is None else gradient.clone() for gradient in gradients]

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def state_dict(self) -> dict[str, Any]:
        """Return the accumulated gradients that the optimizer has not applied yet; torch saves them nowhere.

        FSDP2 keeps gradients that it has not reduced where nobody else can read them: a warning says that they are not
        part of the state.
        """
        gradients = [p.grad for p in self._parameters()] if self._has_unapplied_gradients else []
        if gradients and self._delay_sync is _sync_by_flag and all(gradient is None for gradient in gradients):
            _logger.warning(
                "The gradients accumulated since the last optimizer step are not saved, because a model of fully_shard "
                "keeps them to itself until they are reduced. A run resumed from here loses them. Save after an "
                "optimizer step: Events.ITERATION_COMPLETED(every=%d).",
                self.gradient_accumulation_steps,
            )
        return {"gradients": gradients}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the gradients that `state_dict` returned."""
        gradients = state_dict["gradients"]
        self._has_unapplied_gradients = bool(gradients)
        for parameter, gradient in zip(self._parameters(), gradients):
            parameter.grad = None if gradient is None else gradient.to(parameter.device, copy=True)


def _sync_by_context(model: Any, delays: bool) -> AbstractContextManager[Any]:
    return model.no_sync() if delays else nullcontext()


def _sync_by_flag(model: Any, delays: bool) -> AbstractContextManager[Any]:
    model.set_requires_gradient_sync(not delays)
    return nullcontext()


def _may_be_retried(engine: Engine) -> bool:
    """Return True if a run may continue or be saved after an error, and then needs the gradients before the error."""
    is_saved = engine.resumes_exactly and engine.has_handlers(Events.EXCEPTION_RAISED)
    return is_saved or bool(engine.lifecycle.graph.recovery_phases)
