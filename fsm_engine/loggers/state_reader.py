"""What is logged of a run: metrics, its output and attributes of its state, as numbers that have names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.runtime.state import State

Names = tuple[str, ...]
"""Where a number was found: ``("loss", "0")`` for the first of a list called loss."""


class StateReader:
    """Which parts of a state are wanted; nothing is read before `read` is called.

    Args:
        metric_names: names of metrics, or ``"all"``.
        output_transform: makes a mapping, or a single value, of ``state.output``.
        state_attributes: names of attributes of the state.

    Raises:
        TypeError: metric names that are neither a list nor ``"all"``; a transform that cannot be called.
    """

    def __init__(
        self,
        metric_names: str | list[str] | None,
        output_transform: Callable[[Any], Any] | None,
        state_attributes: Iterable[str] | None,
    ) -> None:
        if metric_names is not None and metric_names != "all" and not isinstance(metric_names, list):
            raise TypeError(f"metric_names should be a list of names, or 'all', got {metric_names!r}.")
        if output_transform is not None and not callable(output_transform):
            raise TypeError(f"output_transform should be a function of the output, got {output_transform!r}.")
        self.metric_names, self.output_transform, self.state_attributes = (
            metric_names,
            output_transform,
            state_attributes,
        )

    def read(self, state: State, takes_text: bool) -> dict[Names, Any]:
        """Return what is wanted of `state` by name: numbers, and strings if `takes_text`. This waits for the device.

        What is not there, or is no number, is left out with a UserWarning.
        """
        return dict(_flat({**self._metrics(state), **self._output(state), **self._attributes(state)}, (), takes_text))

    def _metrics(self, state: State) -> Mapping[str, Any]:
        wanted = self.metric_names or ()
        return state.metrics if wanted == "all" else _found(wanted, state.metrics, "metric")

    def _output(self, state: State) -> Mapping[Any, Any]:
        if self.output_transform is None:
            return {}
        output = self.output_transform(state.output)
        return output if isinstance(output, Mapping) else {"output": output}

    def _attributes(self, state: State) -> Mapping[str, Any]:
        wanted = self.state_attributes or ()
        there = {name: getattr(state, name) for name in wanted if hasattr(state, name)}
        return _found(wanted, there, "attribute")


def _found(wanted: Iterable[str], there: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    missing = [name for name in wanted if name not in there]
    if missing:
        known = f" Metrics that are: {[*there]}." if kind == "metric" else ""
        warnings.warn(f"The state has no {kind} {', '.join(map(repr, missing))}: not logged.{known}", stacklevel=2)
    return {name: there[name] for name in wanted if name in there}


def _flat(values: Mapping[Any, Any], above: Names, takes_text: bool) -> Iterator[tuple[Names, Any]]:
    for key, value in values.items():
        names = (*above, str(key))
        parts = _parts(value)
        if parts is not None:
            yield from _flat(parts, names, takes_text)
        elif _is_number(value) or (takes_text and isinstance(value, str)):
            yield names, value
        elif getattr(value, "ndim", None) == 0:
            yield names, value.item()
        else:
            warnings.warn(
                f"{'/'.join(names)} is no number and not logged: a value of type {type(value)}"
                + (f" with the shape {tuple(value.shape)}." if hasattr(value, "shape") else "."),
                stacklevel=2,
            )


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """Return the parts of a collection by key or index; None for what is one thing."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (str, bytes)):
        return None
    if isinstance(value, Sequence):
        return dict(enumerate(value))
    if getattr(value, "ndim", None) == 1:  # a tensor, or an array: all of it at once, so the host waits once
        return dict(enumerate(value.tolist()))
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, complex)
