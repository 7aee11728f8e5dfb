"""JSON: the document of `dictionary`, one phase or transition per line.

The order of keys is fixed: one lifecycle always gives the same text, and a changed transition is one changed line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from fsm_engine._util.errors import LifecycleError
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.dictionary import to_dict
from fsm_engine.serialization.dictionary_reader import from_dict
from fsm_engine.serialization.values import short_repr


def to_json(lifecycle: Lifecycle) -> str:
    """Return `lifecycle` as JSON.

    Raises:
        LifecycleError: a file cannot hold something in the lifecycle, such as a name that is not printable.
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
    """Return the lifecycle of a JSON text; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the text is not the JSON of a lifecycle; the message names the line or the location.
        TypeError: `text` is not a string, or `bind` is not a mapping.
    """
    if not isinstance(text, str):
        raise TypeError(f"from_json reads a string, got {short_repr(text)}. For a file, use Lifecycle.load(path).")
    return from_dict(_parse(text), bind)


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise LifecycleError(f"line {error.lineno}, column {error.colno}: invalid JSON: {error.msg}.") from None
    except RecursionError:
        raise LifecycleError("the JSON is nested too deep for a lifecycle.") from None
    except LifecycleError:
        raise
    except ValueError:  # Python limits the number of digits of an integer
        raise LifecycleError("a number in the JSON has too many digits.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise LifecycleError(f"an object has the key {short_repr(key)} twice. Remove one of them.")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise LifecycleError(f"{name} is not a JSON number. Remove it.")
