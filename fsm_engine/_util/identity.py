"""`identity`, the default of arguments such as `output_transform`."""

from __future__ import annotations

from typing import Any


def identity(value: Any) -> Any:
    """Return `value`. Unlike a lambda, this function can be pickled."""
    return value
