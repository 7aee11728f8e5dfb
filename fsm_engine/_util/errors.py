"""The errors of our own. Everything else that can go wrong is a built-in type, as in pytorch-ignite.

Exception
├── ValueError
│   └── LifecycleError    a lifecycle graph breaks one of its rules
└── RuntimeError
    ├── BusyError         not while this engine runs, or while its run is suspended
    └── IllegalTransition no edge leads to the phase that was fired, or on from where a step stopped
"""

from __future__ import annotations


class LifecycleError(ValueError):
    """A lifecycle graph breaks one of its rules; the message names the rule, the place and the fix."""


class BusyError(RuntimeError):
    """The engine is running, or its run is suspended, and what was asked for has to wait for its end."""


class IllegalTransition(RuntimeError):  # noqa: N818  # a noun, as in the statechart literature
    """A move for which there is no edge; the message says where the run is and what was legal there."""
