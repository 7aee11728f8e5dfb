"""`Comparison`: before the first run of an engine, each rank compares the engine with the one of rank 0."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch.distributed.distributed_c10d import Store

from fsm_engine.distributed.gathering import RankMismatchError

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_logger = logging.getLogger(__name__)
_WAIT = 10.0
"""Seconds to wait for rank 0, which may prepare its data."""
_PHASE, _TRANSITION = "the phase", "the transition"
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
"""Seconds between two looks at the store."""
_LISTED = 3
"""The greatest number of differences that a message lists per rank, so that it can be read in a terminal."""


class Comparison:
    """A handler of STARTED that raises an error if the engine of rank 0 has another lifecycle, or handlers that differ.

    Handlers that wait for other ranks, such as metrics and checkpoints, have an attribute `meets_other_ranks`. It costs
    a write on rank 0, and a read on each other rank.

    Args:
        name: the name of the engine, which is unique in the group.
        store: the store that all ranks share.
        rank: the number of this process.
    """

    def __init__(self, name: str, store: Store, rank: int) -> None:
        self._name, self._store, self._rank = name, store, rank
        self._is_done = False

    def __call__(self, engine: Engine) -> None:
        """Compare `engine`, at the first call.

        Raises:
            RankMismatchError: the engines differ. The message lists the differences.
        """
        if self._is_done:
            return
        self._is_done = True
        own = sorted({*_lifecycle(engine), *(text for _, _, text in meeting_handlers(engine))})
        if self._rank == 0:
            self._store.set(f"{self._key}/lines", json.dumps(own))
            self._store.set(self._key, _digest(own))
        elif not self._has_come():
            _logger.warning(
                "Rank 0 has not begun the first run of %s within %g s, so whether both ranks run the same is not "
                "known. Run it on all ranks.",
                *(self._name, _WAIT),
            )
        elif self._store.get(self._key).decode() != _digest(own):
            of_rank_0 = json.loads(self._store.get(f"{self._key}/lines"))
            raise RankMismatchError(_difference(self._name, of_rank_0, own, self._rank))

    @property
    def _key(self) -> str:
        return f"comparison/{self._name}"

    def _has_come(self) -> bool:
        deadline, pause = time.monotonic() + _WAIT, _SHORTEST_PAUSE
        while not self._store.check([self._key]):  # does not block, because signals have to be handled meanwhile
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return True


def _lifecycle(engine: Engine) -> Iterator[str]:
    for phase in engine.lifecycle.graph.phases:
        yield f"{_PHASE} {phase.event}"
    for transition in engine.lifecycle.graph.transitions:
        yield f"{_TRANSITION} {transition.source} --{transition.label}--> {transition.target}"


def meeting_handlers(engine: Engine) -> Iterator[tuple[Any, object, str]]:
    """Yield the event, the object and a description of each handler that waits for other ranks."""
    counts: dict[str, int] = {}
    for entry in engine._registry.entries.values():
        for handler_entry in entry.handlers:
            owner: Any = getattr(handler_entry.handler, "__self__", handler_entry.handler)
            if not getattr(type(owner), "meets_other_ranks", False):
                continue
            where = f"{entry.event}({handler_entry.filter})" if handler_entry.filter else str(entry.event)
            text = f"the handler {type(getattr(owner, 'metric', owner)).__name__} of {where}"
            counts[text] = counts.get(text, 0) + 1
            yield entry.event, owner, text if counts[text] == 1 else f"{text}, number {counts[text]}"


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _difference(name: str, of_rank_0: Sequence[str], own: Sequence[str], rank: int) -> str:
    sides = {"rank 0": sorted({*of_rank_0} - {*own}), f"rank {rank}": sorted({*own} - {*of_rank_0})}
    every = [line for lines in sides.values() for line in lines]
    fixes = []
    if any(line.startswith((_PHASE, _TRANSITION)) for line in every):
        fixes.append("Edit the lifecycle in the same way on all ranks.")
    if any(not line.startswith((_PHASE, _TRANSITION)) for line in every):
        fixes.append("Attach handlers that wait for other ranks on all ranks; inside them, look at ranks.rank.")
    if any(line.startswith(_PHASE) for line in every):  # other phases have other transitions, which tell no more
        sides = {side: [line for line in lines if not line.startswith(_TRANSITION)] for side, lines in sides.items()}
    listed = "; ".join(f"only on {side}: {_listed(lines)}" for side, lines in sides.items() if lines)
    return f"the ranks do not run the same {name}: {listed}. {' '.join(fixes)}"


def _listed(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return ", ".join(lines[:_LISTED]) + more
