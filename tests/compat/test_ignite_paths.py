"""Every public path and name of pytorch-ignite resolves here, or raises an error that says what to use instead."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from typing import Any

import ignite
import pytest
import torch

import fsm_engine
from fsm_engine._util.ignite_paths import MISSING, PATHS
from fsm_engine._util.lazy_modules import public_names


def public_modules() -> Iterator[str]:
    """Yield the public modules of pytorch-ignite, without the name of the package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for info in pkgutil.walk_packages(ignite.__path__, "ignite."):
            if not any(part.startswith("_") for part in info.name.split(".")):
                importlib.import_module(info.name)
                yield info.name.removeprefix("ignite.")


MODULES = sorted(public_modules())


def public_names_of(path: str) -> list[str]:
    """Return the names that a module of pytorch-ignite exports, or else defines."""
    module = importlib.import_module(f"ignite.{path}")
    exported = getattr(module, "__all__", None)
    if exported is None:
        home = "ignite." if hasattr(module, "__path__") else f"ignite.{path}"  # packages export the names of modules
        exported = [
            name for name, value in vars(module).items() if str(getattr(value, "__module__", "")).startswith(home)
        ]
    return [name for name in exported if not name.startswith("_")]


def imported(path: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return importlib.import_module(f"fsm_engine.{path}")


def is_missing(path: str) -> bool:
    return any(path == known or path.startswith(f"{known}.") for known in MISSING)


def test_there_are_modules_to_test() -> None:
    assert len(MODULES) > 100


@pytest.mark.parametrize("path", MODULES)
def test_module_resolves_or_says_what_to_use(path: str) -> None:
    if not is_missing(path):
        assert imported(path).__name__ == f"fsm_engine.{path}"
        return
    for statement in (f"import fsm_engine.{path}", f"from fsm_engine.{path} import anything"):
        with pytest.raises(ImportError, match=r"has no counterpart.*Use "):
            exec(statement)


@pytest.mark.parametrize("path", [path for path in MODULES if not is_missing(path)])
def test_name_resolves_or_says_what_to_use(path: str) -> None:
    for name in public_names_of(path):
        if is_missing(f"{path}.{name}"):
            with pytest.raises(ImportError, match=f"{name}.*has no counterpart.*Use "):
                exec(f"from fsm_engine.{path} import {name}")
            assert not hasattr(imported(path), name)
            continue
        found: dict[str, Any] = {}
        exec(f"from fsm_engine.{path} import {name}", found)
        assert found[name] is not None
        theirs = getattr(importlib.import_module(f"ignite.{path}"), name)
        assert callable(found[name]) == callable(theirs), name
        assert isinstance(found[name], type) <= callable(theirs), name


def test_the_table_has_only_paths_and_names_of_ignite() -> None:
    assert set(PATHS) <= {*MODULES, "contrib"}
    known = {name for path in MODULES for name in vars(importlib.import_module(f"ignite.{path}"))}
    assert {name for path in PATHS for name in public_names(f"fsm_engine.{path}")} <= known


def test_missing_names_are_names_of_ignite() -> None:
    for path in MISSING:
        module, _, name = path.rpartition(".")
        theirs = importlib.import_module(f"ignite.{module}")
        assert hasattr(theirs, name), path


@pytest.mark.parametrize(
    "path", [path for path in MODULES if hasattr(importlib.import_module(f"ignite.{path}"), "__all__")]
)
def test_a_star_import_gives_names_of_ignite(path: str) -> None:
    if is_missing(path):
        pytest.skip("missing")
    found: dict[str, Any] = {}
    exec(f"from fsm_engine.{path} import *", found)
    wanted = {name for name in public_names_of(path) if not is_missing(f"{path}.{name}")}
    submodules = {path.rpartition(".")[2] for path in MODULES}
    assert wanted - submodules <= found.keys(), path


def test_one_logger_has_its_own_handlers() -> None:
    from fsm_engine.handlers import tensorboard_logger, wandb_logger
    from fsm_engine.loggers import tensorboard, wandb

    assert tensorboard_logger.OutputHandler is tensorboard.OutputHandler
    assert wandb_logger.OutputHandler is wandb.OutputHandler


STATEMENTS = [
    "import fsm_engine.handlers.tqdm_logger as module",
    "import fsm_engine.handlers.tqdm_logger; module = fsm_engine.handlers.tqdm_logger",
    "from fsm_engine.handlers import tqdm_logger as module",
    "import importlib; module = importlib.import_module('fsm_engine.handlers.tqdm_logger')",
    "import fsm_engine; module = fsm_engine.handlers.tqdm_logger",
    "import fsm_engine; module = fsm_engine.contrib.handlers.tqdm_logger",
    "import fsm_engine.contrib.handlers.tqdm_logger as module",
]


def test_every_form_of_import_works_in_a_fresh_process() -> None:
    code = """
        import os, sys, torch
        for statement in sys.argv[1:]:
            if os.fork() == 0:
                exec(statement)
                assert module.__name__.endswith("handlers.tqdm_logger")
                assert module.ProgressBar.__module__.startswith("fsm_engine.handlers.progress_bar")
                os._exit(0)
            assert os.wait()[1] == 0, statement
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *STATEMENTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_neither_library_has_is_an_ordinary_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module("fsm_engine.handlers.carrier_pigeon")
    with pytest.raises(ImportError, match=r"cannot import name|No module named"):
        exec("from fsm_engine.handlers import CarrierPigeon")
    with pytest.raises(AttributeError, match="CarrierPigeon"):
        fsm_engine.handlers.CarrierPigeon  # noqa: B018
    with pytest.raises(ImportError, match="LRScheduler"):
        exec("from fsm_engine.handlers.tqdm_logger import LRScheduler")


def test_the_main_classes_are_the_same_on_all_paths() -> None:
    from fsm_engine.engine import Engine, events
    from fsm_engine.engine.engine import Events
    from fsm_engine.exceptions import NotComputableError
    from fsm_engine.metrics.metric import EpochWise

    assert (Engine, events.Events, Events) == (fsm_engine.Engine, fsm_engine.Events, fsm_engine.Events)
    assert NotComputableError is fsm_engine.metrics.NotComputableError
    assert EpochWise is fsm_engine.metrics.EpochWise
    assert torch.is_tensor(fsm_engine.utils.to_onehot(torch.tensor([1]), 2))
