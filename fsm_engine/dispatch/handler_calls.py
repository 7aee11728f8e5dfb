"""The generated text of handler calls: one line per handler, preceded by its filter.

Handlers and the constants of their filters are bound objects, so handlers of equal shape share one text.
"""

from __future__ import annotations

from collections.abc import Sequence

from fsm_engine.dispatch.entries import EventEntry, HandlerEntry

_BUILT_IN_COUNTERS = ("iteration", "epoch")


def names_of_calls(prefix: str, handler_entries: Sequence[HandlerEntry]) -> list[str]:
    """Return the names of the objects of `EventEntry.bound_objects`, in the same order."""
    names = [f"entry{prefix}"]
    for number, handler_entry in enumerate(handler_entries):
        names += [f"{part}{prefix}_{number}" for part in handler_entry.part_names]
    return names


def text_of_calls(prefix: str, entry: EventEntry, positional: Sequence[str], keywords: Sequence[str]) -> list[str]:
    """Return the lines that count a firing of `entry` and call its handlers.

    `positional` and `keywords` are the payload as written in a call: ``failure.error``, ``*args``,
    ``iter_counter=...``, ``**kwargs``.
    """
    lines = [f"entry{prefix}.fire_count += 1"]
    if entry.counter is None and any(handler_entry.filter is not None for handler_entry in entry.handlers):
        lines.append(f"fire_count{prefix} = entry{prefix}.fire_count")  # a handler may fire the same event again
    for number, handler_entry in enumerate(entry.handlers):
        suffix = f"{prefix}_{number}"
        call = _call(suffix, handler_entry, positional, keywords)
        if handler_entry.filter is None:
            lines.append(call)
            continue
        lines += [
            f"value = handler_entry{suffix}.last_value = {_value(prefix, entry)}",
            f"if {_condition(suffix, handler_entry.part_names)}:",
            f"    handler_entry{suffix}.pass_count += 1",
            f"    {call}",
        ]
    return lines


def _call(suffix: str, handler_entry: HandlerEntry, positional: Sequence[str], keywords: Sequence[str]) -> str:
    engine, payload = handler_entry.arguments
    arguments = ["engine"] if engine else []
    arguments += positional if payload else ()
    arguments += [f"*args{suffix}"] if handler_entry.args else []
    arguments += [f"**kwargs{suffix}"] if handler_entry.kwargs else []
    arguments += keywords if payload else ()
    return f"handler{suffix}({', '.join(arguments)})"


def _value(prefix: str, entry: EventEntry) -> str:
    if entry.counter is None:
        return f"fire_count{prefix}"
    if entry.counter in _BUILT_IN_COUNTERS:
        return f"state.{entry.counter}"
    return f"getattr(state, entry{prefix}.counter)"  # a user's name, which must not become code


def _condition(suffix: str, part_names: Sequence[str]) -> str:
    offset = f" - after{suffix} - 1" if "after" in part_names else ""
    upper = f" < before{suffix}" if "before" in part_names else ""
    tests = {
        "once": f"value == once{suffix}",
        "among": f"value in among{suffix}",
        "after": f"after{suffix} < value{upper}",
        "every": f"not (value{offset}) % every{suffix}" if offset else f"not value % every{suffix}",
        "filter": f"filter{suffix}(engine, value)",
    }
    return " and ".join(test for part, test in tests.items() if part in part_names)
