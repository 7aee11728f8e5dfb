"""Describe the data and the batches of a run, so that a process that resumes it notices other data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsm_engine.runtime.run import Run
from fsm_engine.runtime.run_limits import length_of


def describe_data(run: Run, data: Any) -> dict[str, Any] | None:
    """Return what is known about `data` without iterating over it, as plain data; None if there is no data.

    For a DataLoader, this includes the length of its dataset, the class of its sampler, and how it makes batches. If
    the step accumulates gradients, it includes over how many batches.
    """
    if data is None:
        return None
    batch_sampler = getattr(data, "batch_sampler", None)
    sampler = getattr(batch_sampler, "sampler", batch_sampler or getattr(data, "sampler", None))
    return {
        "data": type(data).__name__,
        "batches": length_of(data),
        "length of the dataset": _length_of_dataset(data),
        "sampler": None if sampler is None else type(sampler).__name__,
        "batch_size": _plain(getattr(batch_sampler, "batch_size", getattr(data, "batch_size", None))),
        "drop_last": _plain(getattr(batch_sampler, "drop_last", getattr(data, "drop_last", None))),
        "gradient_accumulation_steps": _plain(getattr(run._process_function, "gradient_accumulation_steps", None)),
    }


def warn_of_other_data(run: Run, saved: Mapping[str, Any], data: Any) -> None:
    """Log a warning that names the differences between `data` and the description of the data of a saved run."""
    now = describe_data(run, data) or {"data": None}
    differences = [f"{name} was {was}, and is {now[name]}" for name, was in saved.items() if now.get(name, was) != was]
    if differences:
        run.logger.warning(
            "The run was saved with other data or another step, so it does not continue exactly: %s. Pass the same "
            "data to run(), or the data that was passed to set_data(), and make the same step.",
            "; ".join(differences),
        )


def _length_of_dataset(data: Any) -> int | None:
    try:
        return length_of(getattr(data, "dataset", None))
    except Exception:  # the length of a dataset is its own affair, and a run may do without it
        return None


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, str)) else None
