"""Breakpoints as a line that a user types: a phase or an edge, a condition, and ``once``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fsm_engine._util.suggestions import did_you_mean

GRAMMAR = "PHASE or A >> B, then if wanted: iteration >= 100, epoch == 3, every 50, once"
COUNTERS = ("iteration", "epoch")
_TESTS = ("==", ">=", "every")
_SIGNS = re.compile(r"(>>|>=|==)")
Phase = Mapping[str, Any]


def matching_phases(line: str, phases: Sequence[Phase]) -> list[Phase]:
    """Return the phases at which a run can pause and whose id contains the last name in `line`.

    None contains a name that is followed by a blank, because that name is complete.
    """
    word = line.rpartition(">>")[2].lstrip().upper()
    return [one for one in phases if one["canStop"] and word in str(one["id"]).upper()]


def with_phase(line: str, phase: Phase, phases: Sequence[Phase]) -> str:
    """Return `line` with the word at its end replaced by the name of `phase`."""
    before, arrow, _ = line.rpartition(">>")
    return f"{before.rstrip()} >> {name_of(phase, phases)} " if arrow else f"{name_of(phase, phases)} "


def name_of(phase: Phase, phases: Sequence[Phase]) -> str:
    """Return the name of a phase; its id if two phases have the name."""
    return str(phase["name"] if sum(one["name"] == phase["name"] for one in phases) == 1 else phase["id"])


def read_breakpoint(line: str, phases: Sequence[Phase], counters: Sequence[str] = COUNTERS) -> dict[str, Any]:
    """Return the command ``break`` that a line asks for, without its engine.

    Raises:
        ValueError: the line is malformed, or names an unknown phase.
    """
    words = _SIGNS.sub(r" \1 ", line).split()
    once = words[-1:] == ["once"]
    words = words[:-1] if once else words
    size = 3 if words[1:2] == [">>"] else 1
    ends = [_find(word, phases) for word in words[:size:2]]
    if len(ends) != (size + 1) // 2:
        raise ValueError(f"expected {GRAMMAR}")
    command: dict[str, Any] = {"command": "break", **({"event": ends[0]} if size == 1 else {"edge": ends})}
    if words[size:]:
        command["when"] = _condition(words[size:], counters)
    return {**command, "once": True} if once else command


def _find(name: str, phases: Sequence[Phase]) -> str:
    found = list(_named(name, phases))
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name} is ambiguous: {' or '.join(found)}")
    raise ValueError(f"no phase is called {name}.{did_you_mean(name, (str(one['name']) for one in phases))}")


def _named(name: str, phases: Sequence[Phase]) -> Iterator[str]:
    for phase in phases:
        if name.lower() in (str(phase["name"]).lower(), str(phase["id"]).lower()):
            yield str(phase["id"])


def _condition(words: Sequence[str], counters: Sequence[str]) -> dict[str, Any]:
    named = {form: name for name in counters for form in (name, name.removesuffix("s"), f"{name}s")}
    counter = named.get(words[0], "")
    rest = words[1:] if counter else words
    if len(rest) == 3 and rest[2] in named and not counter:  # every 50 iterations
        counter, rest = named[rest[2]], rest[:2]
    if len(rest) != 2 or rest[0] not in _TESTS or not (rest[1].isdecimal() and int(rest[1])):
        raise ValueError(f"{' '.join(words)!r} is not a condition; expected {GRAMMAR}")
    if not (counter or counters):
        raise ValueError("the lifecycle has no counters, so a breakpoint there cannot have a condition")
    return {"counter": counter or counters[0], "is": rest[0], "value": int(rest[1])}
