"""A lifecycle as JSON: the dictionary of `dictionary`, a phase or transition to a line.

The order of keys is fixed, so one lifecycle always gives the same text, and a changed transition is a changed line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.dictionary import to_dict
from fsm_engine.serialization.found import shown
from fsm_engine.serialization.reading import from_dict

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle


def to_json(lifecycle: Lifecycle) -> str:
    """Return `lifecycle` as JSON.

    Raises:
        LifecycleError: for what no file can hold, such as a name that cannot be printed.
    """
    entries = [f"  {json.dumps(key)}: {_lines(value)}" for key, value in to_dict(lifecycle).items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _lines(value: Any) -> str:
    if not isinstance(value, list):
        return _line(value)
    return "[\n" + ",\n".join(f"    {_line(one)}" for one in value) + "\n  ]"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def from_json(text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a JSON text; `bind` is that of `from_dict`.

    Raises:
        LifecycleError: for anything that is no lifecycle, with the line or the place, what was found and what is legal.
        TypeError: if `text` is no string, or `bind` no mapping.
    """
    if not isinstance(text, str):
        raise TypeError(f"from_json reads a string, got {shown(text)}. For a file, use Lifecycle.load(path).")
    return from_dict(_parsed(text), bind)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise LifecycleError(f"line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}.") from None
    except RecursionError:
        raise LifecycleError("this JSON is nested too deep for a lifecycle.") from None
    except LifecycleError:
        raise
    except ValueError:  # an integer of more digits than Python reads
        raise LifecycleError("a number in this JSON has too many digits.") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise LifecycleError(f"an object has {shown(key)} twice. Leave one of them out.")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise LifecycleError(f"{name} is no number that JSON has. Leave it out.")
