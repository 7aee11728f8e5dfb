"""Whether a run has several ranks: a pause of one of them would block the others."""

from __future__ import annotations

import sys

from fsm_engine.engine.engine import Engine


def has_ranks(engine: Engine) -> bool:
    """Return True if `engine` agrees with other processes, or if ``torch.distributed`` has several ranks here."""
    if engine._agreement is not None:
        return True
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return False
    return bool(distributed.get_world_size() > 1)
