"""The migration guides: the names in their tables exist, and their programs give equal results before and after."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

import fsm_engine  # noqa: E402
from fsm_engine import Engine, compat, distributed, handlers, inspector, loggers, metrics  # noqa: E402, F401

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES = sorted(DOCS.glob("migrate-*.md"))
ENGINE = Engine(lambda engine, batch: batch)
NAMES: dict[str, Any] = {name: getattr(fsm_engine, name) for name in fsm_engine.__all__}
NAMES |= {name: getattr(package, name) for package in (handlers, loggers, metrics) for name in package.__all__}
NAMES |= {"fsm_engine": fsm_engine, "print": print, "float": float, "ValueError": ValueError}
NAMES |= {"engine": ENGINE, "trainer": ENGINE, "evaluator": ENGINE, "checkpoint": handlers.Checkpoint}
NAMES["ranks"] = distributed.Session
OF_THE_USER = {"batch", "clip", "data", "f", "loader", "loss", "model", "optimizer", "scheduler", "score", "step"}
OF_THE_USER |= {"validation_loader"}
COMMAND = re.compile(r"(torchrun|pip|fsm-engine|python) ")


def tables(guide: Path, mark: str) -> list[list[list[str]]]:
    """Return the tables of a page below ``<!-- mark -->``, as lists of rows of cells, without the head."""
    found = re.findall(rf"^<!-- {mark} -->\n\n((?:\|.*\n)+)", guide.read_text(), re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[2:]] for table in found
    ]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def missing(code: str) -> list[str]:
    """Return the names in `code` that do not exist."""
    code = code.removeprefix("@").removeprefix("with ").removesuffix(":")
    faults: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name | ast.Attribute):
            faults += [] if is_of_the_user(node) or value_of(node) is not None else [ast.unparse(node)]
        elif isinstance(node, ast.Call) and callable(value_of(node.func)):
            parameters = inspect.signature(value_of(node.func)).parameters
            accepts_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            faults += [
                f"{keyword.arg}=" for keyword in node.keywords if keyword.arg not in parameters and not accepts_all
            ]
    return faults


def is_of_the_user(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in OF_THE_USER


def value_of(node: ast.expr) -> Any:
    """Return the object that an expression of names and attributes means; None if it does not exist."""
    if isinstance(node, ast.Name):
        return NAMES.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(value_of(node.value), node.attr, None)
    if isinstance(node, ast.Call):
        return value_of(node.func)
    return None


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_the_names_in_the_right_column_exist(guide: Path) -> None:
    checked = [
        (left, code) for table in tables(guide, "names are checked") for left, right in table for code in codes(right)
    ]
    assert len(checked) > 10
    python = [
        (left, code) for left, code in checked if not COMMAND.match(code) and code not in ("return", "fsm_engine")
    ]
    assert [(left, code, faults) for left, code in python if (faults := missing(code))] == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("Events.EPOCH_ENDED", "Events.EPOCH_ENDED"),
        ("trainer.stop()", "trainer.stop"),
        ("Checkpoint(..., keep=2)", "keep="),
        ("with trainer.interruptable():", "trainer.interruptable"),
        ("fsm_engine.distributed.sesion()", "fsm_engine.distributed.sesion"),
    ],
)
def test_a_name_that_does_not_exist_is_found(code: str, fault: str) -> None:
    assert fault in missing(code)


def test_the_import_paths_exist() -> None:
    pytest.importorskip("ignite")
    (table,) = tables(DOCS / "migrate-from-ignite.md", "paths are checked")
    for theirs, ours, new in table:
        assert codes(theirs)[0].replace("ignite", "fsm_engine", 1) == codes(ours)[0]
        for path in (*codes(theirs), *codes(ours), *codes(new)):
            import_module(path)


def test_the_differences_are_in_the_table_of_differences() -> None:
    text = (
        (DOCS / "migrate-from-ignite.md")
        .read_text()
        .partition("## Differences that you may meet")[2]
        .partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (\w.*) \|$", text, re.MULTILINE)
    assert len(rows) >= 5
    assert [row for row in rows if f"\n| {row}" not in (DOCS / "differences.md").read_text()] == []


@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_both_programs_of_the_lightning_guide_end_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightning")
    text = (DOCS / "migrate-from-lightning.md").read_text()
    before, after = (re.search(rf"^```{kind}\n(.*?)^```", text, re.M | re.S) for kind in ("py", "python"))  # type: ignore[misc]
    monkeypatch.chdir(tmp_path)
    theirs, ours = {"__name__": "before"}, {"__name__": "after"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(before[1], theirs)
        exec(after[1], ours)
    accuracies = re.findall(r"^validation accuracy (\S+)$", printed.getvalue(), re.MULTILINE)
    assert len(accuracies) == 2
    assert len(set(accuracies)) == 1
    assert torch.equal(theirs["module"].model.weight, ours["model"].weight)
