"""What a command works on: a lifecycle of the user's code, of a file, or the standard one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from types import ModuleType
from typing import Any

from fsm_engine._util.signatures import call_error
from fsm_engine.cli.failures import Trouble
from fsm_engine.cli.importing import imports_of, module_at, users_code
from fsm_engine.cli.names import did_you_mean
from fsm_engine.engine.engine import Engine
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.validation import Finding

STANDARD = "training"
_FILES = (".json", ".scxml", ".graphml")


@dataclass(frozen=True)
class Target:
    """A lifecycle, and the engine that it is of, if it was found in one.

    Attributes:
        text: how it was named on the command line.
        engine: kept, because an engine's lifecycle refers to it weakly.
    """

    text: str
    lifecycle: Lifecycle
    engine: Engine | None = None

    def check(self) -> list[Finding]:
        """Return what is wrong with the lifecycle. What a file names is bound by whoever loads it, not here."""
        is_file = self.text.endswith(_FILES)
        return [finding for finding in self.lifecycle.check() if not (is_file and finding.code == "unbound")]


def find(text: str | None) -> Target:
    """Return what `text` names.

    Args:
        text: ``module:name`` or ``path/to/file.py:name``, where `name` is an engine, a lifecycle, or a function
            without arguments that returns one, and may be left out where there is only one; a file of the formats
            json, scxml or graphml; ``training`` or None for the standard lifecycle.

    Raises:
        Trouble: it names nothing of that kind, or the user's code raised.
    """
    if text is None or text == STANDARD:
        return Target(STANDARD, Lifecycle.training(_step))
    if text.endswith(_FILES):
        return Target(text, Lifecycle.load(text))
    place, name = _split(text)
    with imports_of(place):
        module = module_at(place)
        thing = _named(module, place, name) if name else _only_one(module, place)
    return Target(text, thing.lifecycle, thing) if isinstance(thing, Engine) else Target(text, thing)


def _step(engine: Engine, batch: Any) -> None:
    """Stand for the step of a training lifecycle that is looked at and not run."""


def _split(text: str) -> tuple[str, str]:
    place, colon, name = text.rpartition(":")
    if not colon or "/" in name or "\\" in name:  # the colon of a Windows drive
        return text, ""
    return place, name


def _named(module: ModuleType, place: str, name: str) -> Engine | Lifecycle:
    try:
        thing = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise Trouble(f"{place} has no {name}.{did_you_mean(name, vars(module)) or _there(module, place)}") from None
    made = _made(thing, f"{place}:{name}") if callable(thing) else thing
    if not isinstance(made, (Engine, Lifecycle)):
        gives = "returns" if callable(thing) else "is"
        what = "None" if made is None else f"an object of the class {type(made).__name__}"
        raise Trouble(f"{place}:{name} {gives} {what}, no engine and no lifecycle.{_there(module, place)}")
    return made


def _made(factory: Callable[[], Any], where: str) -> Any:
    error = call_error(factory)
    if error is not None:
        raise Trouble(f"{where} cannot be called without arguments: {error}. Name a function that can.")
    with users_code(where):
        return factory()


def _only_one(module: ModuleType, place: str) -> Engine | Lifecycle:
    there = _candidates(module)
    if len(there) == 1:
        return next(iter(there.values()))
    if there:
        raise Trouble(f"{place} has {', '.join(there)}. Name one, such as {place}:{next(iter(there))}.")
    raise Trouble(f"{place} has no engine or lifecycle. Name a function that returns one, such as {place}:build.")


def _there(module: ModuleType, place: str) -> str:
    there = _candidates(module)
    return f" In {place} there is {', '.join(there)}." if there else ""


def _candidates(module: ModuleType) -> dict[str, Engine | Lifecycle]:
    return {name: thing for name, thing in vars(module).items() if isinstance(thing, (Engine, Lifecycle))}
