"""Compare the saved state of an optimizer with the optimizer that it is to be loaded into.

`torch.optim.Optimizer.load_state_dict` checks only the sizes of the parameter groups. Everything else fails later, in
``step``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch.optim import LBFGS, Optimizer

_IMPLEMENTATIONS = frozenset({"foreach", "fused", "capturable", "differentiable"})
"""Options that choose how a step is computed; its state has the same keys."""


def difference(optimizer: Optimizer, state: Any) -> str | None:
    """Return why a saved state does not fit `optimizer`; None if it may fit."""
    if not isinstance(state, Mapping) or not {"state", "param_groups"} <= state.keys():
        found = list(state) if isinstance(state, Mapping) else type(state)
        return f"it is not the state of an optimizer, which has the keys state and param_groups: {found}"
    own, groups = optimizer.param_groups, state["param_groups"]
    if len(own) != len(groups):
        return f"it has {len(groups)} parameter groups, and the optimizer has {len(own)}"
    expected: dict[tuple[int, int], dict[str, Any]] = {}
    for number, (group, saved) in enumerate(zip(own, groups)):
        if len(group["params"]) != len(saved["params"]):
            sizes = len(saved["params"]), len(group["params"])
            return f"its parameter group {number} has {sizes[0]} parameters, and the optimizer's has {sizes[1]}"
        for index, parameter in zip(saved["params"], group["params"]):
            found = state["state"].get(index)
            if not found:
                continue
            kind = number, parameter.dim()
            if kind not in expected:
                expected[kind] = _state_after_step(optimizer, saved, parameter.dim())
            wrong = _state_difference(expected[kind], parameter, found)
            if wrong is not None:
                missing = sorted(required_options(optimizer) - saved.keys())
                options = f"its parameter group {number} has no {', '.join(missing)}, and " if missing else ""
                return f"{options}in the state of parameter {index}, {wrong}"
    return None


def required_options(optimizer: Optimizer) -> set[str]:
    """Return the options of the parameter groups that the class of `optimizer` sets."""
    return {name for group in optimizer.param_groups for name in group if name in optimizer.defaults}


def missing_options(optimizer: Optimizer, required: set[str]) -> str | None:
    """Return which options the parameter groups of `optimizer` lack after a load; None if they are complete.

    Options that a version of torch has added are not missing, because ``load_state_dict`` sets them.
    """
    for number, group in enumerate(optimizer.param_groups):
        missing = sorted(required - group.keys())
        if missing:
            found = sorted(group.keys() - {"params"})
            return f"its parameter group {number} has no {', '.join(missing)}, but {', '.join(found)}"
    return None


def _state_difference(expected: Mapping[str, Any], parameter: Any, found: Any) -> str | None:
    """Compare the state of one parameter with the result of `_state_after_step`."""
    missing = [name for name in expected if name not in found]
    if missing:
        return f"there is no {', '.join(missing)}, but {', '.join(map(str, found))}"
    for name, shape in expected.items():
        if shape is not None and found[name].shape != parameter.shape:
            return f"{name} has the shape {tuple(found[name].shape)}, and the parameter has {tuple(parameter.shape)}"
    return None


def _state_after_step(optimizer: Optimizer, group: Mapping[str, Any], dimensions: int) -> dict[str, Any]:
    """Return the names in the state of a parameter with their shapes; None for another shape than the parameter's.

    They are found by a step of an optimizer of the same class with one parameter of so many dimensions. The result is
    empty if that is not possible, for example for an optimizer that is not torch's own.
    """
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim") or kind is LBFGS:  # it has one state for all parameters
        return {}
    known = inspect.signature(kind).parameters.keys() - _IMPLEMENTATIONS - {"params"}
    options = {name: value for name, value in {**optimizer.defaults, **group}.items() if name in known}
    shape = torch.Size(range(2, 2 + dimensions))
    for gradient in (torch.ones(shape), torch.ones(shape).to_sparse()):
        parameter = torch.zeros(shape, requires_grad=True)
        parameter.grad = gradient
        with suppress(Exception):  # SparseAdam needs a sparse gradient, and the others a dense one
            probe = kind([parameter], **options)
            probe.step()
            shapes = {name: getattr(value, "shape", None) for name, value in probe.state[parameter].items()}
            return {name: found if dimensions and found == shape else None for name, found in shapes.items()}
    return {}
