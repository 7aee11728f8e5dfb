"""Examples in the docstrings of metrics and loggers."""

from __future__ import annotations

import doctest
import json
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
import torch
import torchmetrics

from fsm_engine import Engine, Events, loggers, metrics

PACKAGES = (metrics, loggers)
NAMES: dict[str, Any] = {name: getattr(package, name) for package in PACKAGES for name in package.__all__}
NAMES |= {"Engine": Engine, "Events": Events, "json": json, "torch": torch, "torchmetrics": torchmetrics}


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [f"{package.__name__}.{info.name}" for package in PACKAGES for info in iter_modules(package.__path__)]
    return [test for name in modules for test in finder.find(import_module(name), extraglobs=NAMES) if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_docstring_example_shows_the_actual_output(example: doctest.DocTest, tmp_path: Path) -> None:
    example.globs["folder"] = tmp_path
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.failed == 0, "".join(report)
