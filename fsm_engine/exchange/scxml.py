"""To come."""

from typing import Any


def to_scxml(lifecycle: Any) -> str:
    """Not yet."""
    raise NotImplementedError


def from_scxml(text: str, bind: Any = None) -> Any:
    """Not yet."""
    raise NotImplementedError
