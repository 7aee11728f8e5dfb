"""Priorities of the library's own handlers that run before or after all handlers of users."""

from __future__ import annotations

FIRST = 2**62
LAST = -(2**62)
