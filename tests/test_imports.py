"""What importing the package pulls in, and who may import whom."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fsm_engine"
HEAVY = {"torch", "networkx", "transitions", "matplotlib", "numpy", "torchmetrics", "pandas", "perfetto"}

LEVELS = [  # a module may import those further down, and those of its own line in the order given
    ["__main__", "cli"],
    ["compat"],
    ["exchange"],
    ["tbptt", "supervised", "deterministic", "metrics", "handlers", "loggers"],
    ["engine", "step_events", "running", "emission"],
    ["machine", "discovery", "render", "timeline"],
    ["announcer"],
    ["saving", "position", "stateful", "handler_checks", "signals", "breakpoints", "recovery", "explain", "observers"],
    ["compile", "views", "lifecycle", "editable", "edits", "checks", "bounds", "training"],
    ["coverage", "questions", "difference", "proofs", "ways"],
    ["emit", "calls", "layout", "clock", "data", "passes", "limits"],
    ["moving"],
    ["registry"],
    ["graph", "state"],
    ["edges"],
    ["events", "cursor"],
    ["scopes", "filters", "confusable", "unbound", "errors", "markdown", "tables", "files", "recording"],
    ["generators", "plain"],
]
DOORS = {
    ("editable", "proofs"),
    ("engine", "discovery"),
    ("engine", "explain"),
    ("engine", "machine"),
    ("engine", "timeline"),
    ("events", "edges"),
    ("lifecycle", "coverage"),
    ("lifecycle", "difference"),
    ("lifecycle", "exchange"),
    ("lifecycle", "machine"),
    ("lifecycle", "questions"),
    ("lifecycle", "render"),
    ("lifecycle", "views"),
    ("scopes", "edges"),
    ("scopes", "events"),
    ("timeline", "render"),
}


def imported_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; import json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import fsm_engine",
        "from fsm_engine import Engine, Events; Engine(lambda e, b: b).run([1, 2], max_epochs=2)",
        "import fsm_engine; print(fsm_engine.Lifecycle.training(), file=sys.stderr)",
    ],
)
def test_the_core_pulls_in_nothing_heavy(statement: str) -> None:
    assert imported_by(statement) & HEAVY == set()


def test_the_core_pulls_in_only_the_standard_library() -> None:
    assert imported_by("import fsm_engine") - set(sys.stdlib_module_names) - imported_by("pass") == {"fsm_engine"}


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import fsm_engine

    with pytest.raises(AttributeError, match=r"^module 'fsm_engine' has no attribute 'Motor'$"):
        fsm_engine.Motor  # noqa: B018
    assert set(fsm_engine.__all__) <= set(dir(fsm_engine))


def imports_in(node: ast.AST, inside: bool = False) -> set[tuple[str, bool]]:
    """Return the modules of the package that `node` imports at run time, and whether a function does it."""
    found: set[tuple[str, bool]] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and child.module and child.module.startswith("fsm_engine"):
            parts = child.module.split(".")
            found |= {(name, inside) for name in (parts[1:2] or [alias.name for alias in child.names])}
        found |= imports_in(child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return found


def own_imports() -> set[tuple[str, str, bool]]:
    """Return who imports whom, and whether a function does it."""
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found |= {(module, other, inside) for other, inside in imports_in(ast.parse(path.read_text()))}
    return {(module, other, inside) for module, other, inside in found if other != module != "__init__"}


def test_modules_import_only_what_lies_below_them() -> None:
    level = {module: (number, place) for number, modules in enumerate(LEVELS) for place, module in enumerate(modules)}
    wrong = [
        (module, other)
        for module, other, _ in own_imports()
        if level[other] <= level[module] and (module, other) not in DOORS
    ]
    assert wrong == []


def test_each_door_is_used_and_only_inside_functions() -> None:
    imports = own_imports()
    assert {door for door in DOORS if (*door, True) not in imports} == set()
    assert {door for door in DOORS if (*door, False) in imports} == set()


def test_imports_are_told_apart_by_where_they_are() -> None:
    code = """
        from fsm_engine.graph import Graph
        from fsm_engine import data as batches, clock
        if TYPE_CHECKING:
            from fsm_engine.engine import Engine
        class Thing:
            from fsm_engine.state import State
            def make(self):
                if self:
                    from fsm_engine.timeline.track import Track
                return [import_ for import_ in self]
    """
    assert imports_in(ast.parse(textwrap.dedent(code))) == {
        ("graph", False),
        ("data", False),
        ("clock", False),
        ("state", False),
        ("timeline", True),
    }


def test_design_shows_who_may_import_whom() -> None:
    shown = (ROOT / "DESIGN.md").read_text().partition("## Who may import whom")[2].split("```")[1]
    assert [re.split(r" {2,}", line)[0].split(", ") for line in shown.strip().splitlines()] == LEVELS
