"""`Silent`: takes the place of a logging backend on the ranks that do not log."""

from __future__ import annotations

from typing import Any


class Silent:
    """Object whose methods accept any arguments, do nothing, and return the object itself."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_args: Any, **_kwargs: Any) -> Silent:
        """Do nothing."""
        return self
