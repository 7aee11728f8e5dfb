"""The text of the calls that a firing makes: one line per handler, its filter before it.

Handlers and the constants of their filters come in as bound objects, so equal shapes share one text.
"""

from __future__ import annotations

from collections.abc import Sequence

from fsm_engine.dispatch.entries import Attachment, EventEntry

_BUILT_IN_COUNTERS = ("iteration", "epoch")


def names_of_calls(prefix: str, attached: Sequence[Attachment]) -> list[str]:
    """Return names for the objects of `Slot.bound`, in its order."""
    names = [f"slot{prefix}"]
    for number, attachment in enumerate(attached):
        names += [f"{part}{prefix}_{number}" for part in attachment.parts]
    return names


def text_of_calls(prefix: str, slot: EventEntry, positional: Sequence[str], keywords: Sequence[str]) -> list[str]:
    """Return the lines that count a firing of the event of `slot` and call its handlers.

    `positional` and `keywords` are the event's payload as it is written in a call: ``failure.error``, ``*given``,
    ``iter_counter=...``, ``**more``.
    """
    lines = [f"slot{prefix}.fired += 1"]
    if slot.counter is None and any(attachment.filter is not None for attachment in slot.attached):
        lines.append(f"fired{prefix} = slot{prefix}.fired")  # a handler may fire the event again
    for number, attachment in enumerate(slot.attached):
        suffix = f"{prefix}_{number}"
        call = _call(suffix, attachment, positional, keywords)
        if attachment.filter is None:
            lines.append(call)
            continue
        lines += [
            f"value = attached{suffix}.value = {_value(prefix, slot)}",
            f"if {_condition(suffix, attachment.parts)}:",
            f"    attached{suffix}.passed += 1",
            f"    {call}",
        ]
    return lines


def _call(suffix: str, attachment: Attachment, positional: Sequence[str], keywords: Sequence[str]) -> str:
    engine, payload = attachment.gives
    arguments = ["engine"] if engine else []
    arguments += positional if payload else ()
    arguments += [f"*args{suffix}"] if attachment.args else []
    arguments += [f"**kwargs{suffix}"] if attachment.kwargs else []
    arguments += keywords if payload else ()
    return f"handler{suffix}({', '.join(arguments)})"


def _value(prefix: str, slot: EventEntry) -> str:
    if slot.counter is None:
        return f"fired{prefix}"
    if slot.counter in _BUILT_IN_COUNTERS:
        return f"state.{slot.counter}"
    return f"getattr(state, slot{prefix}.counter)"


def _condition(suffix: str, parts: Sequence[str]) -> str:
    offset = f" - after{suffix} - 1" if "after" in parts else ""
    upper = f" < before{suffix}" if "before" in parts else ""
    tests = {
        "once": f"value == once{suffix}",
        "among": f"value in among{suffix}",
        "after": f"after{suffix} < value{upper}",
        "every": f"not (value{offset}) % every{suffix}" if offset else f"not value % every{suffix}",
        "filter": f"filter{suffix}(engine, value)",
    }
    return " and ".join(test for part, test in tests.items() if part in parts)
