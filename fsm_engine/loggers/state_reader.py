"""`StateReader`: reads metrics, outputs and attributes of a state as named numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any

from fsm_engine.runtime.state import State

NameParts = tuple[str, ...]
"""Name of a value in nested containers: ``("loss", "0")`` is the first item of the list ``loss``."""


class StateReader:
    """Reads selected values of a state as numbers.

    Args:
        metric_names: names of metrics, or ``"all"``.
        output_transform: function from ``state.output`` to a mapping or a single value.
        state_attributes: names of attributes of the state.

    Raises:
        TypeError: `metric_names` is neither a list nor ``"all"``, or `output_transform` is not callable.
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
        self.metric_names, self.output_transform = metric_names, output_transform
        self.state_attributes = state_attributes

    def read(self, state: State, takes_text: bool) -> dict[NameParts, Any]:
        """Return the selected numbers, and strings if `takes_text`, by name; the host waits for the device.

        The name of the output is ``output``, unless `output_transform` returns a mapping. A value that is missing or
        not a number is skipped with a UserWarning.
        """
        values = {**self._metrics(state), **self._output(state), **self._attributes(state)}
        return dict(_flatten(values, (), takes_text))

    def _metrics(self, state: State) -> Mapping[str, Any]:
        names = self.metric_names or ()
        return state.metrics if names == "all" else _select(names, state.metrics, "metric")

    def _output(self, state: State) -> Mapping[Any, Any]:
        if self.output_transform is None:
            return {}
        output = self.output_transform(state.output)
        return output if isinstance(output, Mapping) else {"output": output}

    def _attributes(self, state: State) -> Mapping[str, Any]:
        names = self.state_attributes or ()
        return _select(names, {name: getattr(state, name) for name in names if hasattr(state, name)}, "attribute")


def _select(names: Iterable[str], values: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    missing = [name for name in names if name not in values]
    if missing:
        known = f" Its metrics are {[*values]}." if kind == "metric" else ""
        warnings.warn(f"The state has no {kind} {', '.join(map(repr, missing))}: not logged.{known}", stacklevel=2)
    return {name: values[name] for name in names if name in values}


def _flatten(values: Mapping[Any, Any], prefix: NameParts, takes_text: bool) -> Iterator[tuple[NameParts, Any]]:
    for key, value in values.items():
        parts = (*prefix, str(key))
        items = _items(value)
        if items is not None:
            yield from _flatten(items, parts, takes_text)
        elif _is_number(value) or (takes_text and isinstance(value, str)):
            yield parts, value
        elif getattr(value, "ndim", None) == 0:
            yield parts, value.item()
        else:
            shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
            warnings.warn(f"{'/'.join(parts)} is {type(value)}{shape}, not a number: not logged.", stacklevel=2)


def _items(value: Any) -> Mapping[Any, Any] | None:
    """Return the items of a container by key or index; None for any other value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (str, bytes)):
        return None
    if isinstance(value, Sequence):
        return dict(enumerate(value))
    if getattr(value, "ndim", None) == 1:  # a tensor or an array, read at once so that the host waits only once
        return dict(enumerate(value.tolist()))
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, complex)
