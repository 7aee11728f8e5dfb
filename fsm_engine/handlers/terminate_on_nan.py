"""`TerminateOnNan`: ends a run whose output is no number any more."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from numbers import Complex, Integral
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine._util.plain_data import find, items_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


def _unchanged(output: Any) -> Any:
    return output


class TerminateOnNan:
    """Ends the run when the output holds NaN or infinity; a handler of ITERATION_COMPLETED.

    It looks at numbers and tensors, also those in mappings, tuples and lists; strings are passed over. For a
    tensor on another device than the CPU the host waits in every call, so filter the event where that matters:
    ``Events.ITERATION_COMPLETED(every=100)``.

    Args:
        output_transform: turns ``engine.state.output`` into what is looked at.
    """

    def __init__(self, output_transform: Callable[[Any], Any] = _unchanged) -> None:
        self._output_transform = output_transform

    def __call__(self, engine: Engine) -> None:
        """Call ``engine.terminate()``, with a warning in the engine's log, if the output is not finite.

        Raises:
            TypeError: for a part of the output that is none of the types above.
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
    if isinstance(value, (Integral, str)):  # isfinite() refuses a large integer
        return False
    if isinstance(value, Complex):
        return not cmath.isfinite(value)
    if items_of(value) is not None:
        return False
    raise TypeError(
        f"TerminateOnNan looks at numbers, tensors, mappings, tuples and lists, but the output holds {value!r}. "
        f"Leave it out with output_transform=."
    )
