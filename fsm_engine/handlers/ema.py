"""`EMAHandler`: keeps an exponential moving average of the weights of a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from fsm_engine._util.state_dicts import check_keys
from fsm_engine.events.events import AnyEvent, Events, EventsList

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_BUFFERS = ("copy", "update", "ema_train")


class _WeightPair(NamedTuple):
    """Location of a weight and of its average: the dictionaries of two modules, and the key in both.

    The tensors are looked up for each update, because a module may assign a new tensor.
    """

    averages: dict[str, Any]
    weights: dict[str, Any]
    name: str


@dataclass(frozen=True)
class _MomentumWarmup:
    """Momentum of each update: linear from `start` at update 1 to `end` at update `length`."""

    start: float
    end: float
    length: int

    def __call__(self, update: int) -> float:
        if update <= 1:
            return self.start
        if update >= self.length:
            return self.end
        return self.start + (self.end - self.start) * (update - 1) / (self.length - 1)


class EMAHandler:
    """Keep an exponential moving average of a model: ``ema = (1 - momentum) * ema + momentum * model``.

    One update takes one fused call for all averaged weights and one for all copied weights, and never waits for the
    device. Make the handler after the model has been moved to its device and converted to its dtype.

    Args:
        model: the model. A ``DistributedDataParallel`` wrapper is removed.
        momentum: weight of the model in each update, between 0 and 1.
        momentum_warmup: momentum of the first update, from which it changes linearly to `momentum`.
        warmup_iters: number of the update that first has `momentum`.
        handle_buffers: ``"copy"`` copies buffers from the model; ``"update"`` averages them, and copies integer
            buffers; ``"ema_train"`` leaves them alone and keeps `ema_model` in training mode, where it updates them
            itself.

    Attributes:
        ema_model: the average, a detached copy of the model. It is in evaluation mode, except with ``"ema_train"``.
        updates: number of updates so far.
        momentum_scheduler: function from the number of an update, from 1, to its momentum; only with a warm-up.

    Raises:
        ValueError: `model` is not a module, a momentum is out of range, only one of `momentum_warmup` and
            `warmup_iters` is given, or `handle_buffers` is unknown.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> average = EMAHandler(model, momentum=0.1)
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> average.attach(trainer)
        >>> _ = trainer.run([1, 2])
        >>> torch.equal(average.ema_model.weight, model.weight)  # this step does not change the model
        True
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        momentum_warmup: float | None = None,
        warmup_iters: int | None = None,
        handle_buffers: Literal["copy", "update", "ema_train"] = "copy",
    ) -> None:
        _check(model, momentum, momentum_warmup, warmup_iters, handle_buffers)
        self.model = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
        self.momentum, self.momentum_warmup, self.warmup_iters = momentum, momentum_warmup, warmup_iters
        if momentum_warmup is not None and warmup_iters is not None:
            self.momentum_scheduler = _MomentumWarmup(momentum_warmup, momentum, warmup_iters)
        self.handle_buffers = handle_buffers
        self.updates = 0
        self.ema_model: nn.Module = deepcopy(self.model).requires_grad_(False).train(handle_buffers == "ema_train")
        self._averaged, self._copied = self._pairs()

    def _pairs(self) -> tuple[list[_WeightPair], list[_WeightPair]]:
        """Return the weights to average and the weights to copy. Integers cannot be averaged, so they are copied."""
        pairs = [*_pairs_of("_parameters", self.ema_model, self.model)]
        buffers = [*_pairs_of("_buffers", self.ema_model, self.model)]
        if self.handle_buffers == "update":
            pairs += buffers
        averaged = [pair for pair in pairs if _can_be_averaged(pair)]
        copied = [pair for pair in pairs if not _can_be_averaged(pair)]
        return averaged, copied + buffers if self.handle_buffers == "copy" else copied

    def attach(
        self,
        engine: Engine,
        name: str = "ema_momentum",
        warn_if_exists: bool = True,
        event: AnyEvent | EventsList = Events.ITERATION_COMPLETED,
    ) -> None:
        """Update the average at each `event` of `engine`.

        Args:
            engine: the engine that trains the model.
            name: attribute of the state that holds the momentum. Without a warm-up, set it to change the momentum.
            warn_if_exists: warn if the state already has this attribute. Its value is kept in any case.
            event: event at which to update the average.
        """
        if not hasattr(engine.state, name):
            setattr(engine.state, name, self.momentum)
        elif warn_if_exists:
            warnings.warn(
                f"Attribute '{name}' already exists in engine.state and is used as the momentum. If it is something "
                f"else, give another name=; otherwise silence this with warn_if_exists=False.",
                stacklevel=2,
            )
        engine.add_event_handler(event, self._update, name)

    def _update(self, engine: Engine, name: str) -> None:
        self.updates += 1
        if hasattr(self, "momentum_scheduler"):
            setattr(engine.state, name, self.momentum_scheduler(self.updates))
        self._update_average(getattr(engine.state, name))

    @torch.no_grad()
    def _update_average(self, momentum: float) -> None:
        averages, weights = _tensors(self._averaged)
        if averages:
            self._call(torch._foreach_lerp_, averages, weights, momentum)  # pyright: ignore[reportPrivateImportUsage]
        averages, weights = _tensors(self._copied)
        if averages:
            self._call(torch._foreach_copy_, averages, weights)  # pyright: ignore[reportPrivateImportUsage]

    def _call(self, function: Any, averages: list[Tensor], weights: list[Tensor], *momentum: float) -> None:
        try:
            function(averages, weights, *momentum)
        except RuntimeError as error:
            changed = [pair for pair in zip(averages, weights) if _describe(pair[0]) != _describe(pair[1])]
            if not changed:
                raise
            average, weight = map(_describe, changed[0])
            raise RuntimeError(
                f"EMAHandler keeps the average of a weight as {average}, but the weight is now {weight}. "
                f"Make the handler after the model was moved, converted or changed."
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """Return the state dict of `ema_model` and the number of updates."""
        return {"ema_model": self.ema_model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing.
            RuntimeError: the weights do not fit `ema_model`.
        """
        check_keys(state_dict, ("ema_model", "updates"))
        self.ema_model.load_state_dict(state_dict["ema_model"])
        self.updates = state_dict["updates"]


def _check(
    model: Any, momentum: float, momentum_warmup: float | None, warmup_iters: int | None, handle_buffers: str
) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model should be an instance of nn.Module or its subclasses, but got {model!r}.")
    if not 0 < momentum < 1:
        raise ValueError(f"Invalid momentum: {momentum!r}. It should be between 0 and 1.")
    if momentum_warmup is not None and not 0 <= momentum_warmup <= 1:
        raise ValueError(f"Invalid momentum: momentum_warmup is {momentum_warmup!r}. It should be between 0 and 1.")
    if (momentum_warmup is None) != (warmup_iters is None):
        raise ValueError(
            f"A warm-up needs both momentum_warmup= and warmup_iters=, but got momentum_warmup={momentum_warmup!r} "
            f"and warmup_iters={warmup_iters!r}."
        )
    if handle_buffers not in _BUFFERS:
        raise ValueError(f"handle_buffers can only be one of {_BUFFERS}, but got {handle_buffers!r}.")


def _pairs_of(kind: str, ema_model: nn.Module, model: nn.Module) -> Iterator[_WeightPair]:
    """Yield the pairs of all parameters or buffers of `model`. A tensor that modules share is yielded once."""
    seen: set[int] = set()
    for average, module in zip(ema_model.modules(), model.modules()):
        for name, tensor in getattr(module, kind).items():
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield _WeightPair(getattr(average, kind), getattr(module, kind), name)


def _can_be_averaged(pair: _WeightPair) -> bool:
    tensor = pair.weights[pair.name]
    return bool(tensor.is_floating_point() or tensor.is_complex())


def _tensors(pairs: list[_WeightPair]) -> tuple[list[Tensor], list[Tensor]]:
    return [averages[name] for averages, _, name in pairs], [weights[name] for _, weights, name in pairs]


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}"
