"""`independent_copy`: a metric that accumulates data of its own, with the settings of another metric."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.metrics.metric import Metric
from fsm_engine.metrics.metrics_lambda import MetricsLambda


def independent_copy(metric: Metric) -> Metric:
    """Return a reset copy of `metric`, and of the metrics inside it, that shares no data with the original.

    Functions, engines and modules, such as losses and models, are shared. So are objects that cannot be copied, such
    as locks and open files.
    """
    parts = list(_metrics_in(metric, set()))
    copies: dict[int, Any] = {id(part): copy.copy(part) for part in parts}  # the memo of `copy.deepcopy`
    for part in parts:
        part_copy = copies[id(part)]
        for name, value in vars(part).items():
            vars(part_copy)[name] = _copy_of_attribute(value, copies)
        if isinstance(part_copy, MetricsLambda):
            part_copy._attached = False
    copied: Metric = copies[id(metric)]
    copied.reset()
    return copied


def _metrics_in(value: Any, seen: set[int]) -> Iterator[Metric]:
    """Yield the metrics in `value`, which is a metric, a container, or anything else, each once."""
    inside: Iterable[Any] = ()
    if isinstance(value, Metric):
        inside = vars(value).values()
    elif isinstance(value, Mapping):
        inside = value.values()
    elif isinstance(value, (tuple, list)):
        inside = value
    else:
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Metric):
        yield value
    for item in inside:
        yield from _metrics_in(item, seen)


def _copy_of_attribute(value: Any, copies: dict[int, Any]) -> Any:
    if id(value) not in copies and _is_shared(value, copies):
        return value
    try:
        return copy.deepcopy(value, copies)
    except Exception:  # classes refuse to be copied with various exceptions
        return value


def _is_shared(value: Any, copies: Mapping[int, Any]) -> bool:
    if isinstance(value, torch.nn.Module):
        return not _has_torchmetrics(value)
    method_of_copied = id(getattr(value, "__self__", None)) in copies
    return isinstance(value, Engine) or (callable(value) and not method_of_copied)


def _has_torchmetrics(module: torch.nn.Module) -> bool:
    """Return True if `module` is or contains a metric of torchmetrics, as a collection does."""
    torchmetrics = sys.modules.get("torchmetrics")
    return torchmetrics is not None and any(isinstance(part, torchmetrics.Metric) for part in module.modules())
