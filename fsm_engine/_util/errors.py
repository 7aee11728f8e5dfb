"""Exceptions that this library defines. All other errors are built-in types, as in pytorch-ignite.

Exception
├── ValueError
│   └── LifecycleError    a lifecycle graph breaks one of its rules
└── RuntimeError
    ├── BusyError         the engine is running, suspended or recorded, which excludes the operation
    └── IllegalTransition no edge leads to the fired phase, or out of the phase in which a step ended
"""

from __future__ import annotations


class LifecycleError(ValueError):
    """A lifecycle graph breaks a rule; the message names the rule, the phase or transition, and the fix."""


class BusyError(RuntimeError):
    """The operation is not allowed while the engine is running, suspended or recorded; the message says when it is."""


class IllegalTransition(RuntimeError):  # noqa: N818  # a noun, as in the statechart literature
    """The lifecycle has no edge for a move; the message names the current phase and the legal moves."""
