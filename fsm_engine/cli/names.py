"""Names as people type them: phases in any case, and suggestions for what is misspelt."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fsm_engine.cli.failures import Trouble
from fsm_engine.events.events import Event
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import qualified_name


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence, to be put behind another, about the names that are like `name`; empty if there are none."""
    by_lower = {other.lower(): other for other in names}
    near = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=2)]
    return f" Did you mean {' or '.join(near)}?" if near else ""


def phase_named(lifecycle: Lifecycle, name: str) -> Event:
    """Return the phase of that name, in any case; that of its enum may stand before it, as in ``Events.STARTED``.

    Raises:
        Trouble: there is none, or there are several.
    """
    wanted = name.lower()
    found = [p for p in lifecycle.phases if wanted in (p.name.lower(), qualified_name(p).lower())]
    if len(found) == 1:
        return found[0].event
    if found:
        raise Trouble(f"{name} may be {' or '.join(map(qualified_name, found))}. Give the name of the enum, too.")
    names = [phase.name for phase in lifecycle.phases]
    hint = did_you_mean(name, names) or f" The phases are {', '.join(names)}."
    raise Trouble(f"{name} is no phase of this lifecycle.{hint}")


def completed(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return the names that go on from `incomplete`, in the case in which it was begun."""
    cased = str.lower if incomplete.islower() else str
    return [cased(name) for name in names if name.lower().startswith(incomplete.lower())]
