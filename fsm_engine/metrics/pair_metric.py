"""`PairMetric`: base class of metrics that compare predictions with targets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from fsm_engine import distributed
from fsm_engine._util.extras import import_extra
from fsm_engine._util.identity import identity
from fsm_engine.metrics import torchmetrics_state
from fsm_engine.metrics.metric import Metric, NotComputableError, OutputTransform
from fsm_engine.metrics.operators import TensorMethods
from fsm_engine.metrics.rank_states import Reductions
from fsm_engine.metrics.state_dict import check_state_dict

if TYPE_CHECKING:
    import torchmetrics


class PairMetric(Metric, TensorMethods):
    """Base class of metrics of (y_pred, y), accumulated by a metric of torchmetrics.

    `update` of a subclass splits its argument with `_pair`, checks the shapes, and updates the accumulator that
    `_accumulator_on` returns: a weighted mean, unless the subclass overrides `_new_accumulator`.

    Sums are kept in double precision, on MPS devices in single precision.

    Args:
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` is not callable.
    """

    _state_dict_all_req_keys: ClassVar[tuple[str, ...] | None] = ()
    state_reductions: ClassVar[Reductions | None] = {}

    def __init__(
        self,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        # The first import takes seconds, so it happens here and not at the first batch.
        import_extra("torchmetrics", "metrics", f"{type(self).__name__} needs torchmetrics")
        super().__init__(output_transform, device, skip_unrolling)

    def reset(self) -> None:
        """Discard all data."""
        self._accumulator: torchmetrics.Metric | None = None
        self._checks: dict[str, tuple[type[Exception], torch.Tensor]] = {}

    def compute(self) -> Any:
        """Return the value over all batches since `reset`; the host waits for the device.

        Raises:
            NotComputableError: the metric has no data, or all batches were empty.
            ValueError: a batch on a device had invalid values.
        """
        self._raise_invalid()
        if self._accumulator is None or self._is_empty(self._accumulator):
            raise NotComputableError(
                f"{type(self).__name__} must have at least one example before it can be computed. "
                f"Call update() first, or attach it to an engine whose data is not empty."
            )
        return self._value(self._accumulator)

    def _raise_invalid(self) -> None:
        for message, (kind, is_valid) in self._checks.items():
            if not is_valid:
                raise kind(f"{message} The batch was added after the last reset().")

    def state_dict(self) -> dict[str, Any]:
        """Return the data accumulated since `reset`, as plain data and copies of tensors."""
        accumulator = self._accumulator
        saved = None if accumulator is None else torchmetrics_state.state_of(accumulator)
        return {**super().state_dict(), "_accumulator": saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the data that `state_dict` returned; it moves to the device of the next batch.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: `state_dict` belongs to another metric. This metric stays unchanged.
        """
        check_state_dict(self, state_dict, self.state_dict())
        loaded = copy(self)
        loaded._accumulator = None
        for name in self._state_dict_all_req_keys or ():
            setattr(loaded, name, state_dict[name])
        if state_dict["_accumulator"] is not None:
            torchmetrics_state.load_state(loaded._accumulator_on(torch.device("cpu")), state_dict["_accumulator"])
        vars(self).update(vars(loaded))

    def _require(self, is_valid: torch.Tensor, message: str, kind: type[Exception] = ValueError) -> None:
        """Raise an error unless all values are true: at once on the CPU, otherwise in `compute`.

        For data on a device the host would have to wait for the values.
        """
        valid = is_valid.all()
        if valid.device.type != "cpu":
            self._checks[message] = kind, valid & self._checks[message][1] if message in self._checks else valid
        elif not valid:
            raise kind(message)

    @staticmethod
    def _is_empty(accumulator: torchmetrics.Metric) -> bool:
        return isinstance(weight := getattr(accumulator, "weight", None), torch.Tensor) and not weight

    def _rank_state(self) -> dict[str, Any]:
        self._raise_invalid()  # here all ranks get to know it
        accumulator = self._accumulator
        state = None if accumulator is None else torchmetrics_state.rank_state(accumulator)
        return {**super()._rank_state(), "_accumulator": state}

    def _merged(self, states: list[Any]) -> Metric:
        merged: Any = super()._merged(states)
        merged._accumulator = None
        accumulated = [state["_accumulator"] for state in states if state["_accumulator"] is not None]
        if accumulated:
            own = self._accumulator
            accumulator = merged._accumulator_on(distributed.device() if own is None else own.device)
            torchmetrics_state.set_states(accumulator, torchmetrics_state.merged_states(accumulator, accumulated))
        return cast("Metric", merged)

    def _new_accumulator(self) -> torchmetrics.Metric:
        from fsm_engine.metrics.weighted_mean import WeightedMean

        return WeightedMean()

    def _value(self, accumulator: torchmetrics.Metric) -> Any:
        return float(accumulator.compute())

    def _accumulator_on(self, data_device: torch.device) -> torchmetrics.Metric:
        """Return the accumulator on the device of this metric, or on `data_device` if the metric has none."""
        accumulator = self._accumulator
        if accumulator is None or (self.device is None and accumulator.device != data_device):
            device = torch.device(self.device or data_device)
            if accumulator is None:
                accumulator = self._new_accumulator()
                accumulator.distributed_available_fn = torchmetrics_state.never  # `_merged` exchanges the data
            accumulator.set_dtype(torch.float32 if device.type == "mps" else torch.float64)  # MPS has no float64
            accumulator = self._accumulator = accumulator.to(device)
        return accumulator

    def _pair(self, output: Any) -> tuple[Any, Any]:
        if isinstance(output, Mapping) and {"y_pred", "y"} <= output.keys():
            return output["y_pred"], output["y"]
        if isinstance(output, (tuple, list)) and len(output) == 2:
            return output[0], output[1]
        shown = f"the keys {list(output)}" if isinstance(output, Mapping) else type(output).__name__
        raise TypeError(
            f"{type(self).__name__} needs (y_pred, y), or a mapping with the keys 'y_pred' and 'y', but was given "
            f"{shown}. Convert the output of the engine with output_transform=."
        )
