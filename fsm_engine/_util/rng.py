"""States of the global random number generators (RNGs) of Python, torch and numpy, as plain data."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_logger = logging.getLogger(__name__)


def rng_states() -> dict[str, Any]:
    """Return the states of the global RNGs by name: ``python``, and ``torch`` and ``numpy`` if these are imported.

    ``cuda`` has the states of all CUDA devices if CUDA is initialized.
    """
    states: dict[str, Any] = {"python": random.getstate()}
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None:
        states["torch"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            states["cuda"] = torch.cuda.get_rng_state_all()
    if numpy is not None:
        name, keys, *rest = numpy.random.get_state()
        states["numpy"] = (name, keys.tolist(), *rest)  # torch.load(weights_only=True) rejects arrays
    return states


def restore_rng_states(states: Mapping[str, Any]) -> None:
    """Restore global RNGs from the result of `rng_states`. RNGs without an entry in `states` do not change."""
    python = states.get("python")
    if python is not None:
        random.setstate((python[0], tuple(python[1]), python[2]))
    if "torch" in states:
        import torch

        torch.set_rng_state(states["torch"].cpu())
        if "cuda" in states and torch.cuda.is_available():
            _restore_devices(states["cuda"])
    if "numpy" in states:
        import numpy

        numpy.random.set_state(tuple(states["numpy"]))


def _restore_devices(states: Sequence[Any]) -> None:
    import torch

    count = torch.cuda.device_count()
    if count != len(states):
        _logger.warning(
            "RNG states of %s CUDA devices were saved, but this process sees %s. Devices without a saved state keep "
            "theirs.",
            len(states),
            count,
        )
    for device, state in enumerate(states[:count]):
        torch.cuda.set_rng_state(state.cpu(), device)
