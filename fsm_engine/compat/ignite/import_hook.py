"""`install`: let ``import ignite`` resolve to fsm_engine in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VERSION = "0.5.5"
"""The version of pytorch-ignite whose interface fsm_engine has; ``ignite.__version__`` after `install`."""


def install() -> None:
    """Let ``import ignite`` and the imports of its submodules resolve to the modules of fsm_engine from now on.

    Call it before anything imports ignite, at the top of the program. Libraries that are built on pytorch-ignite, such
    as MONAI, then run on fsm_engine: ``ignite.engine`` is ``fsm_engine.engine``, so ``ignite.engine.Engine`` is
    ``fsm_engine.Engine``. An installed pytorch-ignite is not loaded. Paths without a counterpart raise an ImportError
    that names an alternative. A second call does nothing.

    Raises:
        RuntimeError: pytorch-ignite was imported before.
    """
    if is_installed():
        return
    loaded = sorted(name for name in sys.modules if name == "ignite" or name.startswith("ignite."))
    if loaded:
        raise RuntimeError(
            f"ignite was imported before install(), so its classes are in use: {', '.join(loaded[:3])}, ... Call "
            f"fsm_engine.compat.ignite.install() first, before any import that leads to ignite."
        )
    sys.meta_path.insert(0, _Finder())


def is_installed() -> bool:
    """Return True if `install` was called."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return a spec for ignite and its submodules."""
        if fullname.partition(".")[0] != "ignite":
            return None
        spec = ModuleSpec(fullname, self, origin=__file__, is_package=True)
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module of fsm_engine; for ignite itself, let Python create one.

        Raises:
            ImportError: fsm_engine has no such module.
        """
        if spec.name == "ignite":
            return None
        module = import_module(f"fsm_engine.{spec.name.removeprefix('ignite.')}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Fill ignite itself; give a module of fsm_engine its own spec again, which Python has replaced."""
        if module.__name__ == "ignite":
            vars(module).update(__version__=VERSION, __getattr__=_attribute, __doc__="fsm_engine, as ignite.")
        else:
            replaced = module.__spec__
            module.__spec__ = None if replaced is None else replaced.loader_state


def _attribute(name: str) -> Any:
    return getattr(sys.modules["fsm_engine"], name)
