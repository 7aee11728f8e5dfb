"""Errors for optional packages that are missing: one form, with the command that installs the package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import fsm_engine
from fsm_engine._util.extras import import_extra

PACKAGE = Path(fsm_engine.__file__).parent
PROJECT = PACKAGE.parent / "pyproject.toml"
CALLS = [
    (path.relative_to(PACKAGE).as_posix(), node)
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "import_extra"
]


@pytest.mark.parametrize(("extra", "package"), [("draw", '"fsm-engine[draw]"'), (None, "no_such_package")])
def test_the_error_for_a_missing_package_has_the_command_that_installs_it(extra: str | None, package: str) -> None:
    with pytest.raises(ModuleNotFoundError) as error:
        import_extra("no_such_package.part", extra, "This picture needs a package")
    text = str(error.value)
    assert text.startswith("This picture needs a package (No module named 'no_such_package')")
    assert text.endswith(f". Install it with: pip install {package}")


def test_every_extra_that_an_error_names_exists() -> None:
    extras = {
        name.strip() for _, call in CALLS if (value := ast.literal_eval(call.args[1])) for name in value.split(",")
    }
    section = PROJECT.read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    assert len(extras) > 5
    assert extras <= set(re.findall(r"^([\w-]+) = \[", section, re.MULTILINE))


def test_no_other_message_tells_to_install_a_package() -> None:
    written = [
        f"{path.relative_to(PACKAGE).as_posix()}: {node.value[:60]}"
        for path in PACKAGE.rglob("*.py")
        for node in _texts_of_errors(ast.parse(path.read_text()))
        if "pip install" in node.value and path.name != "extras.py"
    ]
    assert written == []


def _texts_of_errors(tree: ast.AST) -> list[ast.Constant]:
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
    return [n for error in raised for n in ast.walk(error) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
