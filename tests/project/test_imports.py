"""Imports of the package: what loading it costs, and which package may import which."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import networkx
import pytest
from package_imports import MODULES, PACKAGE, ROOT, Import, all_imports, imports_in, package_of

HEAVY = {"torch", "networkx", "transitions", "matplotlib", "numpy", "torchmetrics", "pandas", "perfetto"}

ORDER = [  # a package imports only from those above it in this list
    "_util",
    "events",
    "graph",
    "runtime",
    "lifecycle",
    "dispatch",
    "compiler",
    "persistence",
    "engine",
    "serialization",
    "timeline",
    "render",
    "distributed",
    "metrics",
    "loggers",
    "handlers",
    "supervised",
    "inspector",
    "compat",
    "cli",
]
DOORS = {  # methods of the facades Engine, Lifecycle, Timeline and Track that import a higher module when called
    ("engine.engine", "inspector.inspector"),
    ("engine.engine", "render.engine_html"),
    ("engine.engine", "timeline.device"),
    ("engine.engine", "timeline.recorder"),
    ("engine.engine", "timeline.sampling"),
    ("engine.engine", "timeline.timeline"),
    ("lifecycle.lifecycle", "engine.transitions_driver"),
    ("lifecycle.lifecycle", "render"),
    ("lifecycle.lifecycle", "serialization.dictionary"),
    ("lifecycle.lifecycle", "serialization.files"),
    ("lifecycle.lifecycle", "serialization.networkx_graph"),
    ("lifecycle.lifecycle", "serialization.dictionary_reader"),
    ("lifecycle.lifecycle", "timeline"),
    ("timeline.timeline", "render.timeline"),
    ("timeline.timeline", "render.timeline.notebook"),
    ("timeline.timeline", "timeline.chrome"),
    ("timeline.timeline", "timeline.export"),
    ("timeline.timeline", "timeline.files"),
    ("timeline.timeline", "timeline.summary"),
    ("timeline.timeline", "timeline.torch_trace"),
    ("timeline.track", "render.timeline.notebook"),
}
IGNITE_NAMES = {  # names of ``ignite.engine``, which `fsm_engine.engine` looks up when they are used, for type checkers
    ("engine", "supervised"),
    ("engine", "supervised.deterministic"),
}
LAZY = {  # modules that import the package's own modules by names from a table
    "",  # fsm_engine itself: names that need torch
    "_util.lazy_modules",  # paths and names of pytorch-ignite
    "compat.ignite.import_hook",  # the same paths as modules of ``ignite``
    "serialization.library",  # the module of each enum of the library
}
FACADES = {"engine.engine", "lifecycle.lifecycle", "timeline.timeline", "timeline.track"}


def goes_up(found: Import) -> bool:
    """Return True if the import leads to a package that is not below the importer's own."""
    importer, imported = package_of(found.importer), package_of(found.imported)
    if importer in ("", "__main__") or importer == imported:
        return False
    return not imported or ORDER.index(imported) > ORDER.index(importer)


def test_packages_import_only_those_below_them() -> None:
    assert sorted({i[:2] for i in all_imports() if goes_up(i)} - DOORS - IGNITE_NAMES) == []


def test_each_door_is_used_belongs_to_a_facade_and_opens_late() -> None:
    imports = all_imports()
    assert DOORS - {i[:2] for i in imports} == set()
    assert IGNITE_NAMES - {i[:2] for i in imports} == set()
    assert [i for i in imports if i.at_load and (goes_up(i) or i[:2] in DOORS)] == []
    assert {importer for importer, _ in DOORS} <= FACADES
    assert len(DOORS) <= 35


def test_the_root_holds_packages_only() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.is_file()} == {"__init__.py", "__main__.py", "py.typed"}
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ORDER)


def test_only_listed_modules_import_by_computed_names() -> None:
    dynamic = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module")
        if isinstance(node.args[0], ast.JoinedStr) and "fsm_engine" in ast.unparse(node.args[0])
    }
    assert dynamic == LAZY


def test_import_cycles_among_files_are_small() -> None:
    graph = networkx.DiGraph([i[:2] for i in all_imports() if i[:2] not in DOORS and i.importer])
    cycles = [sorted(files) for files in networkx.strongly_connected_components(graph) if len(files) > 5]
    assert cycles == []


def test_every_package_says_who_may_import_it() -> None:
    for package in ORDER:
        text = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text()))
        assert text is not None
        assert text.count(".") >= 2, package
        assert "import" in text.lower(), package


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import fsm_engine",
        "from fsm_engine import Engine, Events; Engine(lambda e, b: b).run([1, 2], max_epochs=2)",
        "import fsm_engine, sys; print(fsm_engine.Lifecycle.training(), file=sys.stderr)",
    ],
)
def test_the_core_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) & HEAVY == set()


def test_the_core_loads_only_the_standard_library() -> None:
    assert loaded_by("import fsm_engine") - set(sys.stdlib_module_names) - loaded_by("pass") == {"fsm_engine"}


def test_every_module_can_be_imported_first(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    # One process imports each module, and then drops all modules that `import fsm_engine` alone does not load. These
    # come first in every process; 200 processes would take minutes.
    code = """
        import importlib, sys
        import torch, torchmetrics, ignite, networkx, transitions, tqdm, rich, typer  # with their own bytecode
        sys.pycache_prefix, sys.dont_write_bytecode = sys.argv[1], False
        import fsm_engine
        first, failed = set(sys.modules), []
        for name in sys.argv[2:]:
            try:
                importlib.import_module(name)
            except Exception as error:
                failed.append(name)
                print(name, repr(error))
            for loaded in [name for name in sys.modules if name.startswith("fsm_engine.") and name not in first]:
                package, _, module = loaded.rpartition(".")
                vars(sys.modules.get(package, fsm_engine)).pop(module, None)
                del sys.modules[loaded]
        sys.exit(len(failed))
    """
    names = [f"fsm_engine.{name}" for name in MODULES if name not in ("", "__main__")]
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(tmp_path), *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import fsm_engine

    with pytest.raises(AttributeError, match=r"'fsm_engine'.*'Motor'"):
        fsm_engine.Motor  # noqa: B018
    assert set(fsm_engine.__all__) <= set(dir(fsm_engine))


def test_imports_are_found_wherever_they_are() -> None:
    code = """
        from fsm_engine.graph.graph import Graph
        from fsm_engine.runtime import cursor, state
        if TYPE_CHECKING:
            from fsm_engine.engine.engine import Engine
        class Thing:
            def make(self):
                if self:
                    from fsm_engine.timeline.track import Track
                return import_module("fsm_engine.render"), [import_ for import_ in self]
    """
    assert set(imports_in(ast.parse(textwrap.dedent(code)), "x")) == {
        Import("x", "graph.graph", True),
        Import("x", "runtime.cursor", True),
        Import("x", "runtime.state", True),
        Import("x", "engine.engine", False),
        Import("x", "timeline.track", False),
        Import("x", "render", False),
    }
