"""`Metric`: reset, updated and computed by the events of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine.metrics import torchmetrics_state
from fsm_engine.metrics.operators import MetricOperators
from fsm_engine.metrics.usage import AnyUsage, EpochWise, Usage, usage_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.events.events import CallableEventWithFilter

OutputTransform = Callable[[Any], Any]

Feeding = list[tuple[Callable[..., None], "CallableEventWithFilter"]]
"""Handlers, and the events that they are attached to."""


class NotComputableError(RuntimeError):
    """A metric was asked for its value before it was given any data."""


def unchanged(output: Any) -> Any:
    """Return `output`: the default of every `output_transform`, a function so that metrics can be pickled."""
    return output


class Metric(MetricOperators, ABC):
    """What an engine computes from the outputs of its step: the base of metrics, ours and users'.

    Where the step gives two lists of as many tensors or numbers, the metric is updated with one pair after the
    other, each as a batch of one.

    Args:
        output_transform: turns ``engine.state.output`` into what `update` takes.
        device: where the metric computes; None leaves it to the metric, which should follow its data.
        skip_unrolling: whether such lists are given to `update` as they are.

    Raises:
        TypeError: for an `output_transform` that cannot be called.
    """

    _state_dict_all_req_keys: ClassVar[tuple[str, ...] | None] = None
    """For subclasses: the attributes that `reset` starts anew, which a saved metric consists of. None means all."""

    skip_unrolling = False

    def __init__(
        self,
        output_transform: OutputTransform = unchanged,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        if not callable(output_transform):
            raise TypeError(f"Argument output_transform should be callable, got {output_transform!r}.")
        self.output_transform = output_transform
        self.device = device
        self.skip_unrolling = skip_unrolling
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
        report = _Report(self, when)
        if not engine.has_event_handler(report, when.COMPLETED):
            return
        engine.remove_event_handler(report, when.COMPLETED)
        needed = [pair for other in _reports(engine) for pair in other.metric._feeding(other.usage)]
        for handler, event in self._feeding(when):
            if (handler, event) not in needed and engine.has_event_handler(handler, event):
                engine.remove_event_handler(handler, event)

    def is_attached(self, engine: Engine, usage: AnyUsage = EpochWise) -> bool:
        """Say whether `engine` computes this metric with this usage."""
        when = usage_of(usage)
        return engine.has_event_handler(_Report(self, when), when.COMPLETED)

    def state_dict(self) -> dict[str, Any]:
        """Return what has been accumulated since `reset`, as plain data and copies of tensors.

        Raises:
            TypeError: for something else; see `_state_dict_all_req_keys`.
        """
        return torchmetrics_state.attributes_of(self, self._state_dict_all_req_keys, but=_SETTINGS)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it was that of another metric; nothing is changed then.
        """
        check_state_dict(self, state_dict, self.state_dict(), more=self._state_dict_all_req_keys is None)
        for name, value in state_dict.items():
            setattr(self, name, torchmetrics_state.plain(value))

    def _feeding(self, usage: Usage) -> Feeding:
        return [(_Reset(self), usage.STARTED), (_Update(self), usage.ITERATION_COMPLETED)]

    def _take(self, output: Any) -> None:
        output = self.output_transform(output)
        if self.skip_unrolling or not isinstance(output, (tuple, list)) or not _is_unrolled(output):
            self.update(output)
            return
        for pair in _pairs(output):
            self.update(pair)

    def _result(self) -> Any:
        return _plain(self.compute())

    def _keeper(self) -> Metric | None:
        """Return the metric that has the state which an engine should save for this one."""
        return self


_SETTINGS = ("output_transform", "device", "skip_unrolling")


def check_state_dict(metric: Metric, given: Any, own: Iterable[str], more: bool = False) -> None:
    """Refuse a state dictionary that does not have the keys of `metric`; `more` allows others beside them.

    Raises:
        TypeError: if it is no mapping.
        ValueError: if it has other keys.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(given)}.")
    if not set(given) >= set(own) or (set(given) != set(own) and not more):
        raise ValueError(
            f"the state dictionary has the keys {list(given)}, but {type(metric).__name__} has {list(own)}. "
            f"Give it what state_dict() of such a metric returned."
        )


def _is_unrolled(output: tuple[Any, ...] | list[Any]) -> bool:
    return bool(output) and all(isinstance(part, (tuple, list)) and all(map(_is_value, part)) for part in output)


def _is_value(thing: Any) -> bool:
    return isinstance(thing, (torch.Tensor, Number))


def _pairs(output: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    lengths = [len(part) for part in output]
    if len(lengths) != 2 or lengths[0] != lengths[1]:
        raise ValueError(
            f"Output should have 2 items of the same length, got {len(lengths)} items of the lengths {lengths}. "
            f"With skip_unrolling=True the metric is given lists as they are."
        )
    for y_pred, y in zip(*output):
        first = _as_batch(y_pred, None)
        yield first, _as_batch(y, first.device)


def _as_batch(value: Any, device: torch.device | None) -> torch.Tensor:
    return value.unsqueeze(0) if isinstance(value, torch.Tensor) else torch.tensor([value], device=device)


# The handlers are objects that are equal for the same metric, so that an engine finds them again.


@dataclass(frozen=True)
class Moment:
    """What an engine does with a metric at an event."""

    metric: Metric

    @property
    def owner(self) -> Metric | None:
        """The metric whose state an engine saves."""
        return self.metric._keeper()


@dataclass(frozen=True)
class _Reset(Moment):
    def __call__(self) -> None:
        self.metric.reset()


@dataclass(frozen=True)
class _Update(Moment):
    def __call__(self, engine: Engine) -> None:
        self.metric._take(engine.state.output)


@dataclass(frozen=True)
class _Report(Moment):
    usage: Usage

    def __call__(self, engine: Engine, name: str) -> None:
        value = self.metric._result()
        if isinstance(value, dict):
            if name in value:
                raise ValueError(
                    f"Argument name {name!r} is conflicting with mapping keys: {list(value)}. "
                    f"Attach the metric under another name."
                )
            engine.state.metrics.update(value)
        engine.state.metrics[name] = value


def _reports(engine: Engine) -> list[_Report]:
    attached = [attachment.handler for slot in engine._slots.values() for attachment in slot.attached]
    return [handler for handler in attached if isinstance(handler, _Report)]


def _plain(value: Any) -> Any:
    if isinstance(value, (float, int)):  # first, because the other two questions take much longer
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value
