"""Phases and transitions as attributes that are strings, numbers and booleans: all that networkx and XML can hold.

The keys are those of `dictionary`. What is done is there by name; where that would not do, a second attribute with
``_ref`` behind its key has it in full, as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from fsm_engine._util.errors import LifecycleError

REFERENCES = ("entry", "activity", "defer", "guard", "action", "step")
"""The keys of what is done."""


def flat(parts: dict[str, Any]) -> dict[str, str | int | bool]:
    """Return a phase or transition of a dictionary with no lists and objects in it."""
    result: dict[str, str | int | bool] = {}
    for key, value in parts.items():
        if key in REFERENCES:
            result.update(_reference(key, value))
        elif key == "error":
            result[key] = " ".join(value)
        else:
            result[key] = value
    return result


def _reference(key: str, value: Any) -> dict[str, str]:
    values = value if isinstance(value, list) else [value]
    shown = "; ".join(str(one.get("call", one.get("function")) if isinstance(one, dict) else one) for one in values)
    return {key: shown} if values == [shown] else {key: shown, f"{key}_ref": json.dumps(value)}


def unflat(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what `flat` was given; attributes that are empty are left out.

    Raises:
        LifecycleError: if a text that should be JSON is none, or contradicts the name.
    """
    result: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.endswith("_ref") or value is None or value == "" or value is False:
            continue
        if key in REFERENCES:
            result[key] = _whole(key, value, attributes.get(f"{key}_ref"))
        else:
            result[key] = value.split(" ") if key == "error" and isinstance(value, str) else value
    return result


def _whole(key: str, value: Any, reference: Any) -> Any:
    if reference in (None, ""):
        return [value] if key == "entry" else value
    whole = loads(reference, f"{key}_ref")
    if (shown := _reference(key, whole)[key]) != value:
        raise LifecycleError(f"{key} is {value!r}, and {key}_ref says {shown!r}. Leave {key}_ref out, or change both.")
    return whole


def loads(text: Any, what: str) -> Any:
    """Return the value of a short JSON text.

    Raises:
        LifecycleError: if it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise LifecycleError(f"{what} is {str(text)[:60]!r}, which is no JSON.") from None
