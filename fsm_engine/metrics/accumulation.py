"""`VariableAccumulation`, `Average` and `GeometricAverage` of the numbers or tensors that a step returns."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from numbers import Number
from typing import Any, ClassVar

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform
from fsm_engine.metrics.rank_states import Reductions, on_device_of

_SELF_COMBINING = (torch.maximum, torch.minimum)


def _first(values: list[Any]) -> Any:
    return values[0]


class VariableAccumulation(Metric):
    """Result of a function that takes the result so far and the next output, and the number of examples.

    The value is a tuple of a tensor and an integer. An output of two or more dimensions counts as one example per row,
    any other as one.

    Args:
        op: called as ``op(accumulated, output)`` with tensors in double precision; returns the new accumulated tensor,
            which is 0.0 at first.
        output_transform: function from ``engine.state.output`` to a number or tensor.
        device: device of the accumulated tensor; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.
        combine: called as ``combine(one, other)`` with the accumulated tensors of two ranks; returns one for both.
            None means their sum, or `op` itself if it is `torch.maximum` or `torch.minimum`.

    Raises:
        TypeError: `op` is not callable.

    Example:
        >>> largest = VariableAccumulation(torch.maximum)
        >>> largest.update(torch.tensor(3.0))
        >>> largest.update(torch.tensor(2.0))
        >>> largest.compute()
        (tensor(3., dtype=torch.float64), 2)
    """

    required_output_keys = None
    state_reductions: ClassVar[Reductions | None] = {"accumulator": _first, "num_examples": "sum"}
    _state_dict_all_req_keys = ("accumulator", "num_examples")

    def __init__(
        self,
        op: Callable[[Any, Any], Any],
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
        *,
        combine: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        if not callable(op):
            raise TypeError(f"Argument op should be a callable, but given {op!r}.")
        self._op = op
        self._combine = combine or (op if op in _SELF_COMBINING else operator.add)
        super().__init__(output_transform, device, skip_unrolling)

    def reset(self) -> None:
        """Discard all data."""
        self.accumulator: Any = torch.tensor(0.0, dtype=self._double_dtype, device=self._device)
        self.num_examples = 0

    def update(self, output: Any) -> None:
        """Add one output, a number or a tensor.

        Raises:
            TypeError: `output` is something else.
        """
        if isinstance(output, torch.Tensor):
            if self.device is None and output.device != self.accumulator.device:
                dtype = torch.float32 if output.device.type == "mps" else self.accumulator.dtype
                self.accumulator = self.accumulator.to(output.device, dtype)
            output = output.detach().to(self.accumulator)
        elif not isinstance(output, Number):
            raise TypeError(f"Output should be a number or torch.Tensor, but given {type(output)}.")
        self.accumulator = self._op(self.accumulator, output)
        self.num_examples += output.shape[0] if isinstance(output, torch.Tensor) and output.ndim > 1 else 1

    def compute(self) -> Any:
        """Return the accumulated tensor and the number of examples."""
        return self.accumulator, self.num_examples

    def _merged(self, states: list[Any]) -> Metric:
        merged = super()._merged(states)
        accumulated = [state["accumulator"] for state in states if state["num_examples"]]
        if accumulated:
            merged.accumulator = on_device_of(self.accumulator, self.device, reduce(self._combine, accumulated))  # type: ignore[attr-defined]
        return merged


class Average(VariableAccumulation):
    """Mean of the outputs: a float for numbers and 0-d tensors, else a tensor with the mean of each column.

    See `VariableAccumulation` for the arguments.

    Example:
        >>> average = Average()
        >>> average.update(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> average.compute()
        tensor([2., 3.], dtype=torch.float64)
    """

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(_add, output_transform, device, skip_unrolling)

    def compute(self) -> Any:
        """Return the mean, a tensor.

        Raises:
            NotComputableError: the metric has no data.
        """
        if not self.num_examples:
            raise NotComputableError(f"{type(self).__name__} must have at least one example before it can be computed.")
        return self.accumulator / self.num_examples


class GeometricAverage(Average):
    """Geometric mean of positive outputs: a float, or a tensor with the mean of each column.

    See `VariableAccumulation` for the arguments.

    Example:
        >>> metric = GeometricAverage()
        >>> metric.update(2.0)
        >>> metric.update(8.0)
        >>> round(float(metric.compute()), 4)
        4.0
    """

    def update(self, output: Any) -> None:
        """Add one output, a number or a tensor."""
        super().update(torch.as_tensor(output, dtype=self._double_dtype).log())

    def compute(self) -> Any:
        """Return the geometric mean.

        Raises:
            NotComputableError: the metric has no data.
        """
        mean = super().compute().exp()
        return mean.item() if mean.numel() == 1 else mean


def _add(accumulated: torch.Tensor, output: Any) -> Any:
    return accumulated + (output.sum(0) if isinstance(output, torch.Tensor) and output.ndim > 1 else output)
