"""The imports between the modules of the package, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fsm_engine"


class Import(NamedTuple):
    """One import: who, of whom, and whether the module runs it when it is loaded."""

    importer: str
    imported: str
    at_load: bool


def modules() -> dict[str, Path]:
    """Return the modules of the package by their names below ``fsm_engine``."""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {".".join(part for part in name.parts if part != "__init__"): path for name, path in paths.items()}


MODULES = modules()


def own_name(name: str) -> str | None:
    """Return the longest module of the package that `name` begins with; None for other packages."""
    if name != "fsm_engine" and not name.startswith("fsm_engine."):
        return None
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts)


def named_by(node: ast.AST) -> list[str]:
    """Return the absolute names that `node` imports."""
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return []


def imports_in(tree: ast.AST, importer: str, at_load: bool = True) -> Iterator[Import]:
    """Yield the imports of the package's own modules in `tree`: in functions and for type checkers, too."""
    for node in ast.iter_child_nodes(tree):
        for name in named_by(node):
            imported = own_name(name)
            if imported is not None:
                yield Import(importer, imported, at_load)
        is_late = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from imports_in(node, importer, at_load and not is_late and not is_for_types)


def all_imports() -> set[Import]:
    """Return every import of one module of the package by another."""
    found = {i for name, path in MODULES.items() for i in imports_in(ast.parse(path.read_text()), name)}
    return {i for i in found if i.importer != i.imported}


def package_of(module: str) -> str:
    """Return the package that a module lies in; the empty string for the root."""
    return module.partition(".")[0]
