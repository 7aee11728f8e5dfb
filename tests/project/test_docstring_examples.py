"""Examples in the docstrings of handlers, metrics and loggers."""

from __future__ import annotations

import doctest
import inspect
import json
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")

from fsm_engine import Engine, Events, handlers, loggers, metrics  # noqa: E402

PACKAGES = (metrics, loggers, handlers)
NAMES: dict[str, Any] = {name: getattr(package, name) for package in PACKAGES for name in package.__all__}
NAMES |= {"Engine": Engine, "Events": Events, "json": json, "torch": torch, "torchmetrics": torchmetrics}
WITHOUT = {
    *("BaseParamScheduler", "BaseSaveHandler", "CyclicalScheduler", "ParamScheduler", "StateParamScheduler"),  # bases
    *("CheckpointEvents", "EpochMetricWarning", "MetricUsage", "NotComputableError", "Stall", "Usage"),  # not called
    *("FastaiLRFinder", "GracefulStop", "GpuInfo"),  # they run for long, stop the process, or need a GPU
    *("MLflowLogger", "TensorboardLogger", "WandBLogger"),  # they need a library and write to it
}


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    prefixed = [(package.__path__, f"{package.__name__}.") for package in PACKAGES]
    modules = [info.name for path, prefix in prefixed for info in walk_packages(path, prefix)]
    return [test for name in modules for test in finder.find(import_module(name), extraglobs=NAMES) if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_docstring_example_shows_the_actual_output(example: doctest.DocTest, tmp_path: Path) -> None:
    example.globs["folder"] = tmp_path
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.failed == 0, "".join(report)


def test_each_handler_and_metric_has_an_example() -> None:
    names = {*handlers.__all__, *metrics.__all__}
    assert {name for name in names if ">>> " not in (inspect.getdoc(NAMES[name]) or "")} == WITHOUT
