"""`OwnGroup`: a process group of all ranks for one purpose, so that its messages cannot meet other messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch.distributed as c10d


class OwnGroup:
    """Makes a process group of all ranks on the CPU when it is first needed, and again when the ranks have joined anew.

    Copies and pickles of this object make their own.
    """

    def __init__(self) -> None:
        self._made: tuple[Any, Any] | None = None  # the group of all ranks, and the own group

    def get(self, timeout: float | None = None) -> Any:
        """Return the group. The first call is a collective operation of all ranks.

        Args:
            timeout: seconds after which an operation of the group fails if a rank does not come; torch's default unless
                given.
        """
        everybody = c10d.group.WORLD
        if self._made is None or self._made[0] is not everybody:
            limit = None if timeout is None else timedelta(seconds=timeout)
            self._made = everybody, c10d.new_group(backend="gloo", timeout=limit)
        return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"_made": None}
