"""Importing the user's modules: from where they would be found, and with errors told by file and line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType

from fsm_engine.cli.failures import Trouble, named
from fsm_engine.cli.names import did_you_mean

_PACKAGE = Path(__file__).resolve().parent.parent
_NOT_USERS = [_PACKAGE, *{Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}]
_imported: dict[Path, dict[str, ModuleType]] = {}


def is_file(place: str) -> bool:
    """Say whether a module is named by its file."""
    return place.endswith(".py") or "/" in place or "\\" in place


@contextmanager
def imports_of(place: str) -> Iterator[None]:
    """Import from the folder of a module first, and from the current one.

    The user's modules that are imported meanwhile are put away afterwards: another target, in another folder, may
    have its own of the same name.
    """
    folder = Path(place).resolve().parent if is_file(place) else Path.cwd()
    path, known = sys.path[:], set(sys.modules)
    sys.path[:0] = dict.fromkeys([str(folder), str(Path.cwd())])
    sys.modules.update(_imported.get(folder, {}))
    try:
        yield
    finally:
        sys.path[:] = path
        own = {name: module for name, module in sys.modules.items() if name not in known}
        _imported[folder] = {n: m for n, m in own.items() if _is_users(getattr(m, "__file__", None))}
        for name in _imported[folder]:
            del sys.modules[name]


def module_at(place: str) -> ModuleType:
    """Return the module of that name, or of that file.

    Raises:
        Trouble: there is none, or it raised.
    """
    return _of_file(Path(place)) if is_file(place) else _of_name(place)


@contextmanager
def users_code(target: str) -> Iterator[None]:
    """Run code of the user's. What it prints goes to standard error, as it is not our output.

    Raises:
        Trouble: for what it raises, with its file and line.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Trouble:
        raise
    except (Exception, SystemExit) as error:
        raise Trouble(f"{target} cannot be used: {_told(error)}") from error


def _of_file(path: Path) -> ModuleType:
    name = f"target {path.stem}"  # as no import statement can name it
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        near = did_you_mean(path.name, (other.name for other in path.parent.glob("*.py")))
        raise Trouble(f"there is no file {path}.{near}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Trouble(f"{path} is no Python file. A target is such as train.py:trainer or lifecycle.json.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with users_code(str(path)):
        spec.loader.exec_module(module)
    return module


def _of_name(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise Trouble(f"{name!r} is no module. A target is such as module:engine, train.py:trainer or lifecycle.json.")
    with users_code(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            near = did_you_mean(name, (path.stem for path in Path.cwd().glob("*.py")))
            raise Trouble(f"there is no module {error.name}, neither here nor installed.{near}") from None


def _is_users(file: str | None) -> bool:
    if file is None or file.startswith("<"):
        return False
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _NOT_USERS)


def _told(error: BaseException) -> str:
    """Return what was raised, behind file and line of the user's code that did it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    place = f"{_short(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    return place + named(error)


def _short(file: str) -> str:
    path, here = Path(file).resolve(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
