"""`Loss`: mean of a loss function over examples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import OutputTransform
from fsm_engine.metrics.pair_metric import PairMetric


class Loss(PairMetric):
    """Mean of a loss function over all examples, a float; each batch is weighted by its number of examples.

    No update makes the host wait for the device, unless `device` differs from the device of the loss.

    Args:
        loss_fn: called as ``loss_fn(y_pred, y)`` without gradients; returns the mean over the batch, a 0-d tensor.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        batch_size: called as ``batch_size(y)``; returns the number of examples of the batch.
        device: device of the accumulator; None means the device of the loss.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Warns if `loss_fn` has the reduction "sum" and `batch_size` is the default.

    Raises:
        ModuleNotFoundError: torchmetrics is not installed.
        TypeError: `output_transform` or `loss_fn` is not callable, or `loss_fn` is a class.

    Example:
        >>> loss = Loss(torch.nn.functional.mse_loss)
        >>> loss.update((torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 6.0])))
        >>> loss.update((torch.tensor([4.0]), torch.tensor([5.0])))
        >>> loss.compute()
        2.5
    """

    def __init__(
        self,
        loss_fn: Callable[..., torch.Tensor],
        output_transform: OutputTransform = identity,
        batch_size: Callable[[Any], int] = len,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        if isinstance(loss_fn, type) or not callable(loss_fn):
            name = getattr(loss_fn, "__name__", None)
            got = f"the class {name}. Give an object of it: {name}()." if name else f"{type(loss_fn).__name__}."
            raise TypeError(f"loss_fn has to be callable as loss_fn(y_pred, y), got {got}")
        if getattr(loss_fn, "reduction", None) == "sum" and batch_size is len:
            warnings.warn(
                f"{type(loss_fn).__name__} has reduction='sum', but Loss weights the mean of each batch with its size, "
                f"so the value would be too large. Use reduction='mean'.",
                stacklevel=2,
            )
        self._loss_fn = loss_fn
        self._batch_size = batch_size

    def _required_items(self, output: Mapping[str, Any]) -> Any:
        pair = super()._required_items(output)
        return (*pair, output["criterion_kwargs"]) if "criterion_kwargs" in output else pair

    def update(self, output: Any) -> None:
        """Add one batch, given as (y_pred, y) or as a mapping with these keys.

        A third item, or the key ``"criterion_kwargs"``, is a mapping of keyword arguments for `loss_fn`.

        Raises:
            ValueError: the loss is not a 0-d tensor.
            TypeError: `output` has another form.
        """
        output, kwargs = _split_kwargs(output)
        y_pred, y = self._pair(output)
        examples = self._batch_size(y)
        if not examples:
            return
        with torch.no_grad():
            loss = self._loss_fn(y_pred, y, **kwargs)
        if loss.ndim:
            raise ValueError(
                f"loss_fn did not return the average loss, but a tensor of shape {tuple(loss.shape)}. "
                f"Use a function that averages over the batch, such as with reduction='mean'."
            )
        mean = self._accumulator_on(loss.device)
        mean.update(loss.to(mean.device), examples)


def _split_kwargs(output: Any) -> tuple[Any, Mapping[str, Any]]:
    if isinstance(output, Mapping):
        return output, output.get("criterion_kwargs", {})
    if isinstance(output, (tuple, list)) and len(output) == 3 and isinstance(output[2], Mapping):
        return output[:2], output[2]
    return output, {}
