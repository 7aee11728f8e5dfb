"""pytorch-ignite: its handlers on an fsm_engine engine, and programs written for it on fsm_engine.

`adapt` attaches handlers and metrics of an installed pytorch-ignite to an fsm_engine engine. `install` lets ``import
ignite`` resolve to fsm_engine. The modules `steps`, `utils`, `common` and `logger_setup` define functions of
pytorch-ignite that only programs written for it need. They import the packages below `compat`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine.compat.ignite.import_hook import install, is_installed

if TYPE_CHECKING:
    from fsm_engine.compat.ignite.adapter import AdaptedEngine
    from fsm_engine.engine.engine import Engine

__all__ = ["adapt", "install"]


def adapt(engine: Engine) -> AdaptedEngine | Engine:
    """Return `engine` as an engine of pytorch-ignite, to which its handlers and metrics can be attached.

    They are attached to `engine` itself, and called among its other handlers in the order of attachment. A handler that
    takes the engine receives the adapted one. Events are matched by name.

    The profilers of pytorch-ignite use private attributes of its engines, so they cannot be attached; use the profilers
    with the same names in `fsm_engine.handlers`. After `install`, `engine` itself is returned, because the handlers
    that ``ignite`` has then are the ones of fsm_engine.

    Raises:
        TypeError: `engine` is not an fsm_engine.Engine.
        ModuleNotFoundError: pytorch-ignite is not installed.

    Example:
        >>> from ignite.handlers import TimeLimit
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = adapt(trainer).add_event_handler(Events.ITERATION_COMPLETED, TimeLimit(3600))
        >>> trainer.run([1, 2]).iteration
        2
    """
    if is_installed():
        return engine
    from fsm_engine.compat.ignite import adapter

    return adapter.adapt(engine)
