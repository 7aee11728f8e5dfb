"""`Silent`: takes the place of a logging backend on the ranks that do not log."""

from __future__ import annotations

from typing import Any


class Silent:
    """Object whose methods accept any arguments, do nothing, and return the object itself.

    It has no ``state_dict``, so a logger without a state has none on any rank, and checkpoints leave it out.
    """

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("state_dict", "load_state_dict"):
            raise AttributeError(name)
        return self

    def __call__(self, *_args: Any, **_kwargs: Any) -> Silent:
        """Do nothing."""
        return self
