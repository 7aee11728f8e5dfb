"""Values in the parameter groups of an optimizer, and their history in the state of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def set_value(group: dict[str, Any], name: str, value: Any) -> None:
    """Set ``group[name]``. A tensor is filled in place, so that compiled optimizers see the new value."""
    present: Any = group.get(name)
    if not hasattr(present, "fill_"):
        group[name] = value
    elif present is not value:
        present.fill_(value)


def number_or_list(values: Sequence[Any]) -> Any:
    """Return the only value of a single parameter group, or a list with the values of several groups."""
    return values[0] if len(values) == 1 else list(values)


def record_history(engine: Engine, name: str, value: Any) -> None:
    """Append `value`, a list with one number per parameter group or a single one, to ``state.param_history[name]``."""
    history_of(engine).setdefault(name, []).append(value)


def history_of(engine: Engine) -> dict[str, Any]:
    """Return ``engine.state.param_history``, which is created if it does not exist."""
    history: dict[str, Any] | None = getattr(engine.state, "param_history", None)
    if history is None:
        history = engine.state.param_history = {}
    return history
