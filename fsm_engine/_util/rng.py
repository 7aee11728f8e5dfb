"""The states of the random generators of the process, as plain data: Python's, torch's and numpy's."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_logger = logging.getLogger(__name__)


def rng_states() -> dict[str, Any]:
    """Return what the global generators stand at; of torch and numpy only if they are imported.

    ``cuda`` are those of all devices, if CUDA is in use.
    """
    found: dict[str, Any] = {"python": random.getstate()}
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None:
        found["torch"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state_all()
    if numpy is not None:
        name, keys, *rest = numpy.random.get_state()
        found["numpy"] = (name, keys.tolist(), *rest)  # torch.load refuses an array unless it is told to trust
    return found


def restore_rng_states(found: Mapping[str, Any]) -> None:
    """Let the global generators go on from `found`; those that are not in it are left alone."""
    python = found.get("python")
    if python is not None:
        random.setstate((python[0], tuple(python[1]), python[2]))
    if "torch" in found:
        import torch

        torch.set_rng_state(found["torch"].cpu())
        if "cuda" in found and torch.cuda.is_available():
            _restore_devices(found["cuda"])
    if "numpy" in found:
        import numpy

        numpy.random.set_state(tuple(found["numpy"]))


def _restore_devices(states: Sequence[Any]) -> None:
    import torch

    count = torch.cuda.device_count()
    if count != len(states):
        _logger.warning(
            "What is loaded has the random generators of %s CUDA devices, and there are %s.", len(states), count
        )
    for device, state in enumerate(states[:count]):
        torch.cuda.set_rng_state(state.cpu(), device)
