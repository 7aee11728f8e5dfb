"""Modules and names under pytorch-ignite's paths, made from a table when they are first imported.

Code written for pytorch-ignite imports from ``ignite.engine.events`` or ``ignite.handlers.tensorboard_logger``. The
classes are defined in other modules here. A finder at the end of `sys.meta_path` makes a module for each path of
`ignite_paths.PATHS` that no file has, and its names are looked up when they are used. Real modules define
``__getattr__ = names_of(__name__)`` to serve the names that the table lists for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from fsm_engine._util import ignite_paths
from fsm_engine._util.ignite_paths import MISSING, PATHS

_PACKAGE = "fsm_engine."


def install() -> None:
    """Serve the paths of the table in this process, after all files."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def public_names(module: str) -> list[str]:
    """Return the names without a leading underscore that the table lists for a module."""
    return sorted(name for name in _homes(_path(module)) if not name.startswith("_"))


def names_of(module: str) -> Callable[[str], Any]:
    """Return the function ``__getattr__`` of a module, which looks up the names that the table lists for it."""
    path = _path(module)
    homes = _homes(path)

    def look_up(name: str) -> Any:
        if name in homes:
            home, original = homes[name]
            return getattr(import_module(f"fsm_engine.{home}"), original)
        if f"{path}.{name}" in PATHS:
            return import_module(f"fsm_engine.{path}.{name}")
        advice = missing(f"{path}.{name}")
        raise AttributeError(advice or f"module {module!r} has no attribute {name!r}")

    return look_up


def missing(path: str) -> str | None:
    """Return the message for a path of pytorch-ignite that is missing on purpose; None for any other path."""
    for known in (path, path.rpartition(".")[0]):
        if known in MISSING:
            return f"fsm_engine.{path} does not exist: ignite.{path} has no counterpart. {MISSING[known]}"
    return None


def _path(module: str) -> str:
    return module.removeprefix(_PACKAGE)


def _homes(path: str) -> dict[str, tuple[str, str]]:
    """Return for each name of a path the module that defines it, and its name there."""
    homes = {}
    for home, names in PATHS.get(path, {}).items():
        for entry in names.split():
            name, _, original = entry.partition("=")
            homes[name] = home, original or name
    return homes


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return a spec for a path of the table.

        Raises:
            ImportError: the path is missing on purpose. ``from package import name`` asks for a name that the package
                does not have as a module, so this is also the error for missing names.
        """
        if not fullname.startswith(_PACKAGE):
            return None
        if _path(fullname) in PATHS:
            # As a package it may have submodules of the table. Without a file it would count as a namespace package.
            spec = ModuleSpec(fullname, self, origin=ignite_paths.__file__, is_package=True)
            spec.has_location = True
            return spec
        advice = missing(_path(fullname))
        if advice:
            raise ModuleNotFoundError(advice)  # without its `name`: Python would replace the message otherwise
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python create the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Add the names of the table to `module`."""
        name = module.__name__
        names = public_names(name)
        vars(module).update(
            __all__=names,
            __doc__=f"The names of ignite.{_path(name)}.",
            __getattr__=names_of(name),
            __dir__=lambda: [*vars(module), *names],
        )
