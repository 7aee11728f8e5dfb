"""`EMAHandler`: a copy of a model whose weights are a moving average of the model's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from fsm_engine.events.events import AnyEvent, Events, EventsList

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_BUFFERS = ("copy", "update", "ema_train")
_KEYS = ("ema_model", "updates")

_Place = tuple[dict[str, Any], dict[str, Any], str]
"""Where a weight is: in a module of the average, in that of the model, under a name. Either may assign another."""


@dataclass(frozen=True)
class _WarmUp:
    """The momentum of each update: linear from `start` at the first to `end` at update number `length`."""

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
    """Keeps an exponential moving average of a model's weights: ``ema = (1 - momentum) * ema + momentum * model``.

    All weights of a kind are averaged by one call, and the host never waits for the device. Make the handler when the
    model is where it will be, on its device and with its type of numbers.

    Args:
        model: the model; one in ``DistributedDataParallel`` is taken out of it.
        momentum: how much of the model's weights goes into the average, between 0 and 1.
        momentum_warmup: the momentum of the first update, which then changes linearly to `momentum`.
        warmup_iters: at which update that is reached.
        handle_buffers: buffers are copied (``"copy"``), averaged, those of integers copied (``"update"``), or left
            alone (``"ema_train"``), for an average that is in training mode and makes its own.

    Attributes:
        ema_model: the average, a detached copy of the model, in evaluation mode unless buffers are left alone.
        updates: how often it was updated.
        momentum_scheduler: with a warm-up only: the momentum of each update, as a function of its number, from 1.

    Raises:
        ValueError: no module, a momentum out of range, half a warm-up, an unknown way to handle buffers.
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
            self.momentum_scheduler = _WarmUp(momentum_warmup, momentum, warmup_iters)
        self.handle_buffers = handle_buffers
        self.updates = 0
        self.ema_model = deepcopy(self.model).requires_grad_(False).train(handle_buffers == "ema_train")
        self._averaged, self._copied = self._places()

    def _places(self) -> tuple[list[_Place], list[_Place]]:
        """Return what is averaged and what is copied; integers cannot be averaged."""
        places = [*_places_of("_parameters", self.ema_model, self.model)]
        buffers = [*_places_of("_buffers", self.ema_model, self.model)]
        if self.handle_buffers == "update":
            places += buffers
        averaged = [place for place in places if _can_be_averaged(place)]
        copied = [place for place in places if not _can_be_averaged(place)]
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
            name: the attribute of its state that has the momentum; without a warm-up, it may be changed there.
            warn_if_exists: whether to warn when the state has that attribute already; its value is kept.
            event: when to update.
        """
        if not hasattr(engine.state, name):
            setattr(engine.state, name, self.momentum)
        elif warn_if_exists:
            warnings.warn(
                f"Attribute '{name}' already exists in engine.state, and is taken as the momentum. If it is "
                f"something else, give another name=; if it is right, warn_if_exists=False.",
                stacklevel=2,
            )
        engine.add_event_handler(event, self._update, name)

    def _update(self, engine: Engine, name: str) -> None:
        self.updates += 1
        if hasattr(self, "momentum_scheduler"):
            setattr(engine.state, name, self.momentum_scheduler(self.updates))
        self._average(getattr(engine.state, name))

    @torch.no_grad()
    def _average(self, momentum: float) -> None:
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
            other = [pair for pair in zip(averages, weights) if _kind(pair[0]) != _kind(pair[1])]
            if not other:
                raise
            average, weight = map(_kind, other[0])
            raise RuntimeError(
                f"EMAHandler keeps the average of a weight as {average}, but the model has it as {weight} now. "
                f"Make the handler after the model was moved, converted or changed."
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """Return the average as the state dict of `ema_model`, and how often it was updated."""
        return {"ema_model": self.ema_model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if a key is missing.
            RuntimeError: for weights of another model.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Argument state_dict should be a dictionary, but given {type(state_dict)}")
        for key in _KEYS:
            if key not in state_dict:
                raise ValueError(f"Required state attribute '{key}' is absent in provided state_dict '{[*state_dict]}'")
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
            f"A warm-up needs both its first momentum and its length, but got momentum_warmup={momentum_warmup!r} "
            f"and warmup_iters={warmup_iters!r}."
        )
    if handle_buffers not in _BUFFERS:
        raise ValueError(f"handle_buffers can only be one of {_BUFFERS}, but got {handle_buffers!r}.")


def _places_of(kind: str, ema_model: nn.Module, model: nn.Module) -> Iterator[_Place]:
    """Go through the places of all parameters or buffers of `model`, each tensor once."""
    seen: set[int] = set()
    for average, module in zip(ema_model.modules(), model.modules()):
        for name, tensor in getattr(module, kind).items():
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield getattr(average, kind), getattr(module, kind), name


def _can_be_averaged(place: _Place) -> bool:
    tensor = place[1][place[2]]
    return bool(tensor.is_floating_point() or tensor.is_complex())


def _tensors(places: list[_Place]) -> tuple[list[Tensor], list[Tensor]]:
    return [average[name] for average, _, name in places], [module[name] for _, module, name in places]


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}"
