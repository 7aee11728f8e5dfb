"""`EventCallback`: the base of handlers that are attached to an event of the user's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn


class EventCallback:
    """A handler without ``attach``; the error for its absence names `Engine.add_event_handler`."""

    if not TYPE_CHECKING:  # type checkers report every missing attribute themselves

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            hint = f" Write engine.add_event_handler(event, {kind}(...))." if name == "attach" else ""
            raise AttributeError(f"{kind!r} object has no attribute {name!r}.{hint}", name=name, obj=self)
