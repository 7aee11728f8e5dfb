"""The targets of commands: a lifecycle of the user's code, of a file, or the standard one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import reduce
from types import ModuleType
from typing import Any

from fsm_engine._util.signatures import call_error
from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.cli.errors import CommandError
from fsm_engine.cli.user_modules import import_path, load_module, user_code
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Event
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.lifecycle.validation import Finding
from fsm_engine.serialization.files import READERS
from fsm_engine.timeline import Timeline

STANDARD = "training"


@dataclass(frozen=True)
class Target:
    """A lifecycle, and its engine if the target is one.

    Attributes:
        text: the target as typed on the command line.
        engine: keeps the engine alive, because its lifecycle refers to it weakly.
    """

    text: str
    lifecycle: Lifecycle
    engine: Engine | None = None

    def check(self) -> list[Finding]:
        """Return the findings about the lifecycle, without unbound names of a file: its reader binds them."""
        return [one for one in self.lifecycle.check() if not (is_lifecycle_file(self.text) and one.code == "unbound")]


def find(text: str | None) -> Target:
    """Return the target that `text` names.

    Args:
        text: ``module:name`` or ``path/to/file.py:name`` of an engine, a lifecycle, or a function without required
            arguments that returns one; the name is optional if the module has only one engine or lifecycle. Or a
            lifecycle file. Or ``training`` or None for the standard lifecycle.

    Raises:
        CommandError: the target does not exist, gives neither an engine nor a lifecycle, or raised an exception.
    """
    if text is None or text == STANDARD:
        return Target(STANDARD, Lifecycle.training(_step))
    if is_lifecycle_file(text):
        return Target(text, Lifecycle.load(text))
    place, name = split(text)
    with import_path(place), redirect_stdout(sys.stderr):
        module = load_module(place)
        found = _named(module, place, name) if name else _only_one(module, place)
    return Target(text, found.lifecycle, found) if isinstance(found, Engine) else Target(text, found)


def recorded_target(recorded: Timeline) -> Target:
    """Return the lifecycle that a recording contains; the standard lifecycle if it contains none."""
    track = recorded.tracks[0] if recorded.tracks else None
    lifecycle = None if track is None else track.lifecycle
    return find(None) if track is None or lifecycle is None else Target(track.name, lifecycle)


def find_phase(lifecycle: Lifecycle, name: str) -> Event:
    """Return the event of the phase with this name, in any case, with or without its enum, as in ``Events.STARTED``.

    Raises:
        CommandError: no phase has this name, or several have it.
    """
    wanted = name.lower()
    found = [p for p in lifecycle.phases if wanted in (p.name.lower(), qualified_name(p).lower())]
    if len(found) == 1:
        return found[0].event
    if found:
        raise CommandError(f"{name} is ambiguous. Write {' or '.join(map(qualified_name, found))}.")
    names = [phase.name for phase in lifecycle.phases]
    hint = did_you_mean(name, names) or f" The phases are {', '.join(names)}."
    raise CommandError(f"the lifecycle has no phase {name}.{hint}")


def is_lifecycle_file(text: str) -> bool:
    """Return True if a target has the suffix of lifecycle files."""
    return text.endswith(tuple(READERS))


def _step(engine: Engine, batch: Any) -> None:
    """Stand in for the step of a training lifecycle that does not run."""


def split(text: str) -> tuple[str, str]:
    """Return the module or file of a target, and the name in it; an empty name if there is none."""
    place, colon, name = text.rpartition(":")
    if not colon or "/" in name or "\\" in name:  # the colon of a Windows drive
        return text, ""
    return place, name


def look_up(module: ModuleType, place: str, name: str) -> Any:
    """Return the object with this dotted name in `module`.

    Raises:
        CommandError: there is none; the message has similar names.
    """
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError:
        hint = did_you_mean(name, list(vars(module))) or known_names(module, place)
        raise CommandError(f"{place} has no {name}.{hint}") from None


def check_needs_no_arguments(function: Callable[..., Any], target: str) -> None:
    """Check that `function` can be called without arguments.

    Raises:
        CommandError: it cannot.
    """
    error = call_error(function)
    if error is not None:
        raise CommandError(f"{target} has required arguments: {error}. Name a function without.")


def kind_of(value: Any) -> str:
    """Return the type of an object for a message: ``None``, ``a list``."""
    return "None" if value is None else f"a {type(value).__name__}"


def _named(module: ModuleType, place: str, name: str) -> Engine | Lifecycle:
    found = look_up(module, place, name)
    result = _call(found, f"{place}:{name}") if callable(found) else found
    if not isinstance(result, (Engine, Lifecycle)):
        verb = "returns" if callable(found) else "is"
        raise CommandError(
            f"{place}:{name} {verb} {kind_of(result)}, but must be an engine, a lifecycle, or a function that returns "
            f"one.{known_names(module, place)}"
        )
    return result


def _call(factory: Callable[[], Any], target: str) -> Any:
    check_needs_no_arguments(factory, target)
    with user_code(target):
        return factory()


def _only_one(module: ModuleType, place: str) -> Engine | Lifecycle:
    known = _candidates(module)
    if len(known) == 1:
        return next(iter(known.values()))
    if known:
        raise CommandError(f"{place} has {', '.join(known)}. Name one, such as {place}:{next(iter(known))}.")
    raise CommandError(f"{place} has no engine or lifecycle. Name a function that returns one, such as {place}:build.")


def known_names(module: ModuleType, place: str) -> str:
    """Return a sentence with the engines and lifecycles of a module, with a space in front; empty if it has none."""
    known = _candidates(module)
    return f" {place} has {', '.join(known)}." if known else ""


def _candidates(module: ModuleType) -> dict[str, Engine | Lifecycle]:
    return {name: value for name, value in vars(module).items() if isinstance(value, (Engine, Lifecycle))}
