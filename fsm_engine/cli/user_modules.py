"""Imports of the user's modules, by name or by file, with errors that name the file and line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.cli.errors import CommandError, with_type

_PACKAGE = Path(__file__).resolve().parent.parent
_LIBRARIES = [_PACKAGE, *{Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}]
_modules: dict[Path, dict[str, ModuleType]] = {}
"""The user's modules that were imported from each folder."""


def is_file(place: str) -> bool:
    """Return True if `place` is the path of a module and not its name."""
    return place.endswith(".py") or "/" in place or "\\" in place


@contextmanager
def import_path(place: str) -> Iterator[None]:
    """Import from the folder of the module `place` first, then from the current folder.

    On exit, the user's modules that were imported are removed from `sys.modules`, because a target in another folder
    may have different modules with the same names.
    """
    folder = Path(place).resolve().parent if is_file(place) else Path.cwd()
    path, known = sys.path[:], set(sys.modules)
    sys.path[:0] = dict.fromkeys([str(folder), str(Path.cwd())])
    sys.modules.update(_modules.get(folder, {}))
    try:
        yield
    finally:
        sys.path[:] = path
        new = {name: module for name, module in sys.modules.items() if name not in known}
        _modules[folder] = {n: m for n, m in new.items() if is_users(getattr(m, "__file__", None))}
        for name in _modules[folder]:
            del sys.modules[name]


def load_module(place: str) -> ModuleType:
    """Return the module with this name or path.

    Raises:
        CommandError: the module does not exist, or raised an exception.
    """
    return _load_file(Path(place)) if is_file(place) else _load_name(place)


@contextmanager
def user_code(target: str) -> Iterator[None]:
    """Run the user's code in order to load a target.

    Raises:
        CommandError: the code raised an exception; the message has its file and line.
    """
    try:
        yield
    except CommandError:
        raise
    except (Exception, SystemExit) as error:
        raise CommandError(f"{target} cannot be loaded: {_with_place(error)}") from error


def check_is_file(path: Path) -> None:
    """Check that a Python file exists.

    Raises:
        CommandError: it does not; the message has similar names.
    """
    if not path.is_file():
        hint = did_you_mean(path.name, (other.name for other in path.parent.glob("*.py")))
        raise CommandError(f"there is no file {path}.{hint}")


def _load_file(path: Path) -> ModuleType:
    name = f"target {path.stem}"  # the space keeps it apart from modules that the user imports
    if name in sys.modules:
        return sys.modules[name]
    check_is_file(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{path} is not a Python file. Name a target such as train.py:trainer or lifecycle.json.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with user_code(str(path)):
        spec.loader.exec_module(module)
    return module


def check_is_module(name: str) -> None:
    """Check that a module exists, by importing the packages around it.

    Raises:
        CommandError: it does not; the message has similar names.
    """
    _check_is_name(name)
    with user_code(name), _known_to_exist(name):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)


def _check_is_name(name: str) -> None:
    if not all(part.isidentifier() for part in name.split(".")):
        raise CommandError(
            f"{name!r} is not a module name. Name a target such as module:engine, train.py:trainer or lifecycle.json."
        )


@contextmanager
def _known_to_exist(name: str) -> Iterator[None]:
    """Raise a CommandError in place of the error that the module `name`, or a package around it, does not exist."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        hint = did_you_mean(name, (path.stem for path in Path.cwd().glob("*.py")))
        raise CommandError(f"there is no module {error.name} in the current folder or installed.{hint}") from None


def _load_name(name: str) -> ModuleType:
    _check_is_name(name)
    with user_code(name), _known_to_exist(name):
        return importlib.import_module(name)


def is_users(file: str | None) -> bool:
    """Return True if `file` is code of the user, neither of an installed library nor generated."""
    if file is None or file.startswith("<"):
        return False
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _LIBRARIES)


def _with_place(error: BaseException) -> str:
    """Return the type and message of an exception, with the file and line in the user's code in front."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename)}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)]
    place = f"{_relative(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
    return place + with_type(error)


def _relative(file: str) -> str:
    path, folder = Path(file).resolve(), Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
