"""Which checkpoint is asked for, and which files are written, kept and removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fsm_engine.handlers.checkpoint.retention import Saved


@dataclass(frozen=True)
class Request:
    """A checkpoint to be saved, with its objects, step and priority at the time of the request."""

    item: Saved
    basename: str
    step: Any
    objects: Any


@dataclass(frozen=True)
class Decision:
    """Which file is written, which files are kept, by ascending priority, and which are removed."""

    item: Saved
    kept: list[Saved]
    dropped: list[Saved]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Decision:
        """Return the decision that `as_plain_data` was called on."""
        kept, dropped = ([Saved(*item) for item in data[name]] for name in ("kept", "dropped"))
        return cls(Saved(*data["item"]), kept, dropped)

    def as_plain_data(self) -> dict[str, Any]:
        """Return plain data, to be sent to other ranks."""
        kept, dropped = ([tuple(item) for item in items] for items in (self.kept, self.dropped))
        return {"item": tuple(self.item), "kept": kept, "dropped": dropped}
