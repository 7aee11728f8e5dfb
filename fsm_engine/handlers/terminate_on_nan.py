"""`TerminateOnNan`: terminates a run whose output is not finite."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from numbers import Complex, Integral
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.identity import identity
from fsm_engine._util.plain_data import find, items_of
from fsm_engine.handlers.event_callback import EventCallback

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class TerminateOnNan(EventCallback):
    """Terminate the run when the output has NaN or infinity; a handler of ITERATION_COMPLETED.

    It checks numbers and tensors, also inside mappings, tuples and lists, and ignores strings. For a tensor on a
    device, each call waits for the device; a filter makes the waits rare: ``Events.ITERATION_COMPLETED(every=100)``.

    With several ranks, each checks its own output. The engines that ``ranks.attach`` knows end on all ranks together.

    Args:
        output_transform: function from ``engine.state.output`` to the value to check.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
        >>> trainer.run([1.0, float("nan"), 3.0]).iteration
        2
    """

    def __init__(self, output_transform: Callable[[Any], Any] = identity) -> None:
        self._output_transform = output_transform

    def __call__(self, engine: Engine) -> None:
        """Log a warning and call ``engine.terminate()`` if the output is not finite.

        Raises:
            TypeError: the output has a value of another type.
        """
        found = find(_is_not_finite, self._output_transform(engine.state.output))
        if found is not None:
            engine.logger.warning(
                "TerminateOnNan: output%s of iteration %s holds NaN or infinity. The run is terminated.",
                found[0],
                engine.state.iteration,
            )
            engine.terminate()


def _is_not_finite(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return not torch.isfinite(value).all()
    if isinstance(value, (Integral, str)):  # isfinite raises OverflowError for a large integer
        return False
    if isinstance(value, Complex):
        return not cmath.isfinite(value)
    if items_of(value) is not None:
        return False
    raise TypeError(
        f"TerminateOnNan checks numbers, tensors, mappings, tuples and lists, but the output has {value!r}. "
        f"Leave it out with output_transform=."
    )
