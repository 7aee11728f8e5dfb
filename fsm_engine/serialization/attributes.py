"""Phases and transitions as flat attributes: strings, numbers and booleans, all that networkx and XML formats hold.

The keys are the same as in `dictionary`. A function is an attribute with its name; where a name is not enough, a
second attribute with the suffix ``_ref`` holds the whole value as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.values import short_repr

CODE_KEYS = ("entry", "activity", "defer", "guard", "action", "step")
"""The keys whose values are functions."""
_SCALARS = (str, int, float, bool, type(None))


def flatten(fields: Mapping[str, Any]) -> dict[str, str | int | bool]:
    """Return the fields of a phase, of a transition or of the whole document as flat attributes."""
    result: dict[str, str | int | bool] = {}
    for key, value in fields.items():
        if key in CODE_KEYS:
            result.update(_flat_code(key, value))
        else:
            result[key] = " ".join(value) if key == "error" else value
    return result


def _flat_code(key: str, value: Any) -> dict[str, str]:
    codes = value if isinstance(value, list) else [value]
    names = [str(one.get("call", one.get("function")) if isinstance(one, dict) else one) for one in codes]
    text = "; ".join(names)
    return {key: text} if codes == [text] else {key: text, f"{key}_ref": json.dumps(value)}


def unflatten(attributes: Mapping[str, Any], keys: Iterable[str], location: str) -> dict[str, Any]:
    """Return the fields that `flatten` was given.

    Args:
        attributes: the flat attributes. Empty ones and those with other keys than `keys` are ignored.
        keys: the keys of the fields.
        location: the location of the attributes in the file, for error messages.

    Raises:
        LifecycleError: an attribute is not a scalar, its ``_ref`` is not JSON, or the two contradict each other.
    """
    fields: dict[str, Any] = {}
    for key in keys:
        value, reference = attributes.get(key), attributes.get(f"{key}_ref")
        for name, part in ((key, value), (f"{key}_ref", reference)):
            if not isinstance(part, _SCALARS):
                raise LifecycleError(
                    f"{location}, {name} is {short_repr(part)}, but must be a string, number or boolean."
                )
        if value is None or value == "" or value is False:
            continue
        if key in CODE_KEYS:
            fields[key] = _code(key, value, reference, location)
        else:
            fields[key] = value.split(" ") if key == "error" and isinstance(value, str) else value
    return fields


def _code(key: str, value: Any, reference: Any, location: str) -> Any:
    if reference in (None, ""):
        return [value] if key == "entry" else value
    code = parse_json(reference, f"{location}, {key}_ref")
    if (text := _flat_code(key, code)[key]) != value:
        raise LifecycleError(
            f"{location}, {key} is {value!r}, but {key}_ref has {text!r}. Remove {key}_ref, or change both."
        )
    return code


def parse_json(text: Any, location: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        LifecycleError: the text is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise LifecycleError(f"{location} is {str(text)[:60]!r}, which is not JSON.") from None
