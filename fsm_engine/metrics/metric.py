"""`Metric`: reset, updated and computed by the events of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine.metrics.usage import USAGES, AnyUsage, EpochWise, Usage, usage_of

if TYPE_CHECKING:
    from fsm_engine.engine import Engine
    from fsm_engine.events import Events

OutputTransform = Callable[[Any], Any]


class NotComputableError(RuntimeError):
    """A metric was asked for its value before it was given any data."""


def unchanged(output: Any) -> Any:
    """Return `output`: the default of every `output_transform`, a function so that metrics can be pickled."""
    return output


class Metric(ABC):
    """What an engine computes from the outputs of its step: the base of metrics, ours and users'.

    Args:
        output_transform: turns ``engine.state.output`` into what `update` takes.
        device: where the metric computes; None leaves it to the metric, which should follow its data.
    """

    def __init__(self, output_transform: OutputTransform = unchanged, device: str | torch.device | None = None) -> None:
        self.output_transform = output_transform
        self.device = device
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Forget all data."""

    @abstractmethod
    def update(self, output: Any) -> None:
        """Add the data of one iteration."""

    @abstractmethod
    def compute(self) -> Any:
        """Return the value over the data since `reset`.

        Raises:
            NotComputableError: if there was none.
        """

    def attach(self, engine: Engine, name: str, usage: AnyUsage = EpochWise) -> None:
        """Let `engine` compute this metric, the value going to ``engine.state.metrics[name]``.

        Tensors of one number become Python numbers, for which the host waits for the device, whenever the value
        is computed. Of a mapping, each item is set under its key as well.

        Attached under several names, or with several usages that update at the same event, the metric is
        updated once.

        Args:
            engine: the engine whose outputs it is computed from.
            name: the key of the value.
            usage: when it is reset, updated and computed: a usage, or the name of one.

        Raises:
            ValueError: for a name that no usage has; during a run, if a mapping has `name` as a key.
            TypeError: for anything that is no usage.
            NotComputableError: during a run, if there was no data.
        """
        when = usage_of(usage)
        for handler, event in self._feeding(when):
            if not engine.has_event_handler(handler, event):
                engine.add_event_handler(event, handler)
        engine.add_event_handler(when.COMPLETED, _Report(self, when), name)

    def detach(self, engine: Engine, usage: AnyUsage = EpochWise) -> None:
        """Undo `attach` with this usage, under all names; nothing happens if it is not attached.

        What another usage of this metric needs stays.
        """
        when = usage_of(usage)
        if not self.is_attached(engine, when):
            return
        engine.remove_event_handler(_Report(self, when), when.COMPLETED)
        needed = [pair for other in USAGES if self.is_attached(engine, other) for pair in self._feeding(other)]
        for handler, event in self._feeding(when):
            if (handler, event) not in needed:
                engine.remove_event_handler(handler, event)

    def is_attached(self, engine: Engine, usage: AnyUsage = EpochWise) -> bool:
        """Say whether `engine` computes this metric with this usage."""
        when = usage_of(usage)
        return engine.has_event_handler(_Report(self, when), when.COMPLETED)

    def _feeding(self, usage: type[Usage]) -> list[tuple[_Reset | _Update, Events]]:
        return [(_Reset(self), usage.STARTED), (_Update(self), usage.ITERATION_COMPLETED)]


# The handlers are objects that are equal for the same metric, so that an engine finds them again.


@dataclass(frozen=True)
class _Reset:
    metric: Metric

    def __call__(self) -> None:
        self.metric.reset()


@dataclass(frozen=True)
class _Update:
    metric: Metric

    def __call__(self, engine: Engine) -> None:
        self.metric.update(self.metric.output_transform(engine.state.output))


@dataclass(frozen=True)
class _Report:
    metric: Metric
    usage: type[Usage]

    def __call__(self, engine: Engine, name: str) -> None:
        value = _plain(self.metric.compute())
        if isinstance(value, Mapping):
            if name in value:
                raise ValueError(
                    f"Argument name {name!r} is conflicting with mapping keys: {list(value)}. "
                    f"Attach the metric under another name."
                )
            engine.state.metrics.update(value)
        engine.state.metrics[name] = value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value
