"""What importing the package pulls in, and who may import whom."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "fsm_engine"
HEAVY = {"torch", "networkx", "transitions", "matplotlib", "numpy", "torchmetrics", "pandas"}

LEVELS = [  # a module may import those further down, and those of its own line in the order given
    ["__main__", "cli"],
    ["exchange"],
    ["tbptt", "supervised", "deterministic", "metrics", "handlers"],
    ["engine", "step_events"],
    ["machine", "discovery", "render", "timeline"],
    ["announcer"],
    ["saving", "handler_checks", "signals", "breakpoints", "recovery", "explain", "observers"],
    ["compile", "views", "lifecycle", "edits", "checks", "training"],
    ["coverage", "questions", "difference", "proofs", "ways"],
    ["emit", "calls", "layout", "clock", "data", "limits"],
    ["moving"],
    ["registry"],
    ["graph", "state"],
    ["edges"],
    ["events", "cursor"],
    ["scopes", "filters", "confusable", "unbound", "errors", "markdown", "files", "recording"],
]
DOORS = {
    ("engine", "discovery"),
    ("engine", "explain"),
    ("engine", "machine"),
    ("engine", "timeline"),
    ("events", "edges"),
    ("fsm_engine", "supervised"),
    ("lifecycle", "coverage"),
    ("lifecycle", "difference"),
    ("lifecycle", "exchange"),
    ("lifecycle", "machine"),
    ("lifecycle", "proofs"),
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


def own_imports(path: Path) -> set[str]:
    """Return the modules of the package that `path` imports at run time, at any depth of its code."""
    found: set[str] = set()
    todo = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fsm_engine"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        todo += list(ast.iter_child_nodes(node))
    return found


def test_modules_import_only_what_lies_below_them() -> None:
    level = {module: number for number, modules in enumerate(LEVELS) for module in modules}
    place = {module: number for modules in LEVELS for number, module in enumerate(modules)}
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        for other in own_imports(path) - {module}:
            down = (level[other], place[other]) > (level[module], place[module])
            if not down and (module, other) not in DOORS:
                wrong.append((module, other))
    assert wrong == []
