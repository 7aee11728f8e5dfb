"""`unroll`: the items with which a metric is updated from one output."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Number
from typing import Any

import torch


def unroll(output: Any) -> Iterable[Any]:
    """Return the pairs of values from two lists, each value as a batch of one; any other output as one item."""
    if not (isinstance(output, (tuple, list)) and output and all(map(_is_list_of_values, output))):
        return (output,)
    lengths = [len(part) for part in output]
    if len(lengths) != 2 or lengths[0] != lengths[1]:
        raise ValueError(
            f"Output should have 2 items of the same length, got {len(lengths)} items of the lengths {lengths}. "
            f"Make the metric with skip_unrolling=True to pass lists to update() unchanged."
        )
    return map(_as_batches, *output)


def _is_list_of_values(part: Any) -> bool:
    return isinstance(part, (tuple, list)) and all(isinstance(value, (torch.Tensor, Number)) for value in part)


def _as_batches(y_pred: Any, y: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch = _as_batch(y_pred, None)
    return batch, _as_batch(y, batch.device)


def _as_batch(value: Any, device: torch.device | None) -> torch.Tensor:
    return value.unsqueeze(0) if isinstance(value, torch.Tensor) else torch.tensor([value], device=device)
