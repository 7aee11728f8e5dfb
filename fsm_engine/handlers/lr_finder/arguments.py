"""Checks of the arguments of `FastaiLRFinder.attach`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from fsm_engine.handlers.lr_finder.search import CURVES


def check_to_save(to_save: Any) -> None:
    """Check that `to_save` is a mapping of objects with state dicts that has an optimizer.

    Raises:
        TypeError: `to_save` is not a mapping, an object has no ``state_dict`` or ``load_state_dict``, or the optimizer
            has no list `param_groups`.
        ValueError: the key ``"optimizer"`` is missing.
    """
    if not isinstance(to_save, Mapping):
        raise TypeError(f"Argument to_save should be a mapping, but given {type(to_save)}")
    for thing in to_save.values():
        for method in ("state_dict", "load_state_dict"):
            if not hasattr(thing, method):
                raise TypeError(f"Object {type(thing)} should have `{method}` method")
    if "optimizer" not in to_save:
        raise ValueError(f"Mapping to_save should contain 'optimizer' key, but has {list(to_save)}")
    if not isinstance(getattr(to_save["optimizer"], "param_groups", None), Sequence):
        raise TypeError(
            f"Object to_save['optimizer'] should be torch optimizer, but given {type(to_save['optimizer'])}. Pass "
            f"to_save={{'model': model, 'optimizer': optimizer}}."
        )


def check_numbers(num_iter: Any, smooth_f: Any, diverge_th: Any) -> None:
    """Check the types and ranges of the numbers that control a search.

    Raises:
        TypeError: `num_iter` is not an integer or None; one of the others is not a number.
        ValueError: `num_iter` is not positive, `smooth_f` is not in [0, 1), or `diverge_th` is less than 1.
    """
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
    """Check that `output_transform` is callable, and that `step_mode` is a name in `CURVES`.

    Raises:
        TypeError: `output_transform` is not callable.
        ValueError: `step_mode` is unknown.
    """
    if not callable(output_transform):
        raise TypeError(f"output_transform should be a function, but given {output_transform!r}")
    if step_mode not in tuple(CURVES):
        raise ValueError(f"step_mode should be 'exp' or 'linear', but given {step_mode}")


def lr_ranges(groups: Sequence[Mapping[str, Any]], start_lr: Any, end_lr: Any) -> list[tuple[float, float]]:
    """Return the first and the last learning rate for each parameter group.

    Raises:
        TypeError: an argument is neither a number nor a list of numbers.
        ValueError: the number of values and of groups differ; a start is not positive or not less than its end.
    """
    present = [float(group["lr"]) for group in groups]
    starts = present if start_lr is None else _per_group("start_lr", start_lr, len(groups))
    ends = _per_group("end_lr", end_lr, len(groups))
    for start, end in zip(starts, ends):
        if not start < end:
            raise ValueError(f"start_lr must be less than end_lr, start_lr={start} vs end_lr={end}")
        if not start > 0:
            raise ValueError(
                f"start_lr must be positive, start_lr={start}. Without start_lr=, it is the optimizer's learning rate."
            )
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
