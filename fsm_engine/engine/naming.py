"""The name of an engine inside the run of another, such as an evaluator: users choose it, or their code has one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def nested_name(engine: Engine) -> str:
    """Return the name of an engine that starts inside the run of another.

    That is ``engine.name``, else the name of the user's class, else the variable or attribute of the calling functions
    that holds the engine, else the name of its lifecycle. Costs a pass over the variables of these functions.
    """
    if engine.name:
        return engine.name
    if not type(engine).__module__.startswith("fsm_engine."):
        return type(engine).__name__
    return next(_variables(engine), engine.lifecycle.name)


def _variables(engine: Engine) -> Iterator[str]:
    """Yield the names by which the functions that led to this call know `engine`, the innermost function first."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if not str(frame.f_globals.get("__name__", "")).startswith("fsm_engine."):
            yield from _names_in(frame, engine)


def _names_in(frame: FrameType, engine: Engine) -> Iterator[str]:
    for variables in (frame.f_locals, frame.f_globals):
        known = list(variables.items())
        yield from (name for name, value in known if value is engine and name not in ("self", "engine"))
        for name, value in known:
            if name == "self":
                yield from _attributes_with(value, engine)


def _attributes_with(owner: Any, engine: Engine) -> Iterator[str]:
    """Yield the names of the attributes of `owner` that are `engine`, without calling properties."""
    attributes = getattr(owner, "__dict__", None)
    if isinstance(attributes, dict):
        yield from (name for name, value in list(attributes.items()) if value is engine)
