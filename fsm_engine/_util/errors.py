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
    """A lifecycle graph breaks a rule; the message names the rule, the phase or transition, and the fix.

    Example:
        >>> lifecycle = Lifecycle.training()
        >>> try:
        ...     lifecycle.remove_transition(Events.STARTED >> Events.ITERATION_STARTED)
        ... except LifecycleError as error:
        ...     print("STARTED" in str(error))
        True
    """


class BusyError(RuntimeError):
    """The operation is not allowed while the engine is running, suspended or recorded; the message says when it is.

    Example:
        >>> trainer = Engine(lambda engine, batch: engine.run([1]))
        >>> try:
        ...     trainer.run([1])
        ... except BusyError as error:
        ...     print(type(error).__name__)
        BusyError
    """


class IllegalTransition(RuntimeError):  # noqa: N818  # a noun, as in the statechart literature
    """The lifecycle has no edge for a move; the message names the current phase and the legal moves.

    Example:
        >>> trainer = Engine(lambda engine, batch: engine.fire_event("LATE"))
        >>> trainer.lifecycle.add_path(Events.ITERATION_STARTED >> "EARLY" >> "LATE" >> Events.ITERATION_COMPLETED)
        >>> try:
        ...     trainer.run([1])
        ... except IllegalTransition as error:
        ...     print("EARLY" in str(error))
        True
    """
