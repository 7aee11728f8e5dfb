"""Priorities for handlers of this library that are called before or after all handlers of users."""

from __future__ import annotations

FIRST = 2**62
LAST = -(2**62)
