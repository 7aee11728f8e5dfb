"""Whether a search can be made with what `FastaiLRFinder.attach` was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from fsm_engine.handlers.lr_finder.search import CURVES


def check_to_save(to_save: Any) -> None:
    """Raise TypeError or ValueError unless it is a mapping of objects with a state, an optimizer among them."""
    if not isinstance(to_save, Mapping):
        raise TypeError(f"Argument to_save should be a mapping, but given {type(to_save)}")
    for thing in to_save.values():
        for method in ("state_dict", "load_state_dict"):
            if not hasattr(thing, method):
                raise TypeError(f"Object {type(thing)} should have `{method}` method")
    if "optimizer" not in to_save:
        raise ValueError(f"Mapping to_save should contain 'optimizer' key, but has {list(to_save)}")


def check_numbers(num_iter: Any, smooth_f: Any, diverge_th: Any) -> None:
    """Raise TypeError or ValueError for what is no number of iterations, no share, or no multiple."""
    if num_iter is not None and not isinstance(num_iter, Integral):
        raise TypeError(f"if provided, num_iter should be an integer, but give {num_iter}")
    if num_iter is not None and int(num_iter) <= 0:
        raise ValueError(f"if provided, num_iter should be positive, but give {num_iter}")
    for name, value in (("smooth_f", smooth_f), ("diverge_th", diverge_th)):
        if not isinstance(value, Real):
            raise TypeError(f"{name} should be a number, but given {value!r}")
    if not 0 <= smooth_f < 1:
        raise ValueError(
            f"smooth_f is outside the range [0, 1]: it should be below 1, and not negative, but given {smooth_f}"
        )
    if not diverge_th >= 1:
        raise ValueError(f"diverge_th should be larger than 1, but given {diverge_th}")


def check_functions(output_transform: Any, step_mode: Any) -> None:
    """Raise TypeError or ValueError for what is no function, or no way to raise the learning rate."""
    if not callable(output_transform):
        raise TypeError(f"output_transform should be a function, but given {output_transform!r}")
    if step_mode not in tuple(CURVES):
        raise ValueError(f"step_mode should be 'exp' or 'linear', but given {step_mode}")


def ranges_of(groups: Sequence[Mapping[str, Any]], start_lr: Any, end_lr: Any) -> list[tuple[float, float]]:
    """Return from where to where the learning rate of each group goes.

    Raises:
        TypeError: for what is neither a number nor a list of numbers.
        ValueError: for another number of them than there are groups, or ranges that do not rise from above zero.
    """
    present = [float(group["lr"]) for group in groups]
    starts = present if start_lr is None else _per_group("start_lr", start_lr, len(groups))
    ends = _per_group("end_lr", end_lr, len(groups))
    for start, end in zip(starts, ends):
        if not start < end:
            raise ValueError(f"start_lr must be less than end_lr, start_lr={start} vs end_lr={end}")
        if not start > 0:
            raise ValueError(f"start_lr must be positive, start_lr={start}. Give one, if that is the optimizer's.")
    return list(zip(starts, ends))


def _per_group(name: str, value: Any, groups: int) -> list[float]:
    values = value if isinstance(value, (list, tuple)) else [value] * groups
    if not all(isinstance(number, Real) for number in values):
        raise TypeError(f"{name} should be a float or list of floats, but given {value!r}")
    if len(values) != groups:
        raise ValueError(
            f"Number of values of {name} should be equal to optimizer values. "
            f"{name} values:{len(values)} optimizer values: {groups}"
        )
    return [float(number) for number in values]
