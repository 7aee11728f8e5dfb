"""Examples in the docstrings of public names: they print the actual output, and each name that users meet has one."""

from __future__ import annotations

import ast
import doctest
import inspect
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")

import fsm_engine  # noqa: E402
from fsm_engine import Engine, Lifecycle, distributed, handlers, inspector, loggers, metrics, render  # noqa: E402
from fsm_engine import timeline as timelines  # noqa: E402
from fsm_engine.compat import ignite  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (distributed, ignite, inspector, render, timelines, metrics, loggers, handlers, fsm_engine)
NAMES: dict[str, Any] = {name: getattr(package, name) for package in PACKAGES for name in package.__all__}
GLOBALS = NAMES | {"json": json, "torch": torch, "torchmetrics": torchmetrics}
FACADES = (Engine, Lifecycle, timelines.Timeline)
WITHOUT = {
    *("FORMATS", "THEMES", "has_hvd_support", "has_native_dist_support", "has_xla_support"),  # values
    *("AgreementError", "RankError", "RankMismatchError"),  # raised on several ranks only
    *("initialize", "launch", "set_local_rank", "spawn"),  # they start processes or change this one
    *("EpochMetricWarning", "Stall"),  # they need a mistake or a long wait
    *("GpuInfo", "MLflowLogger", "WandBLogger", "WandbLogger"),  # they need a GPU or a service
    "install",  # it needs a process that has not imported ignite
}


def examples() -> Iterator[doctest.DocTest]:
    """Yield the docstrings that contain examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for path in sorted(Path(fsm_engine.__file__).parent.glob("**/*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
            yield from (test for test in finder.find(module, extraglobs=GLOBALS) if test.examples)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_docstring_example_shows_the_actual_output(example: doctest.DocTest, tmp_path: Path) -> None:
    if example.name.endswith(".adapt"):
        pytest.importorskip("ignite.handlers")
    example.globs |= {"folder": tmp_path, "__name__": "example"}  # classes of an example are not the library's
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.failed == 0, "".join(report)


def has_example(value: Any) -> bool:
    return ">>> " in (inspect.getdoc(value) or "")


def methods(facade: type) -> dict[str, Any]:
    functions = inspect.getmembers(facade, callable)
    return {name: function for name, function in functions if not name.startswith("_")}


def test_each_public_name_has_an_example() -> None:
    assert {name for name, value in NAMES.items() if not has_example(value)} == WITHOUT & NAMES.keys()


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_each_method_of_a_facade_has_an_example(facade: type) -> None:
    assert len(methods(facade)) > 10
    assert [name for name, method in methods(facade).items() if not has_example(method)] == []


def identifiers(document: str) -> set[str]:
    """Return the names in the blocks of Python code and in the inline code of a document."""
    found = set()
    for block in re.findall(r"^```python\n(.*?)^```", document, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.name for alias in node.names}
    prose = re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)
    return found.union(*(re.findall(r"[A-Za-z_]\w*", code) for code in re.findall(r"`([^`\n]+)`", prose)))


def test_each_name_in_the_readme_has_an_example() -> None:
    classes = (*FACADES, distributed.Session, inspector.Inspector, handlers.Checkpoint)
    known = NAMES | {name: method for facade in classes for name, method in methods(facade).items()}
    in_readme = identifiers((ROOT / "README.md").read_text(encoding="utf-8")) & known.keys()
    assert {"Engine", "Checkpoint", "Accuracy", "add_transition", "record", "resume", "verify"} <= in_readme
    assert {name for name in in_readme if not has_example(known[name])} <= WITHOUT
