"""`Heartbeat`: writes once a second where this rank is, and reports all ranks when this one does not move."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from torch.distributed.distributed_c10d import Store

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_logger = logging.getLogger(__name__)
_EVERY = 1.0
"""Seconds between two writes."""
_WATCH_EVERY = 0.25
"""Seconds between two looks at the own run, which cost no traffic. So a stall is noticed soon after the last move."""
_ANSWER_WITHIN = 1.7
"""Seconds to wait for the places of all ranks. So the report comes within two seconds."""
_LOOK_FOR, _LOOKS = 1.2, 4
"""Seconds within which a rank that lives writes its place, and how often this rank writes in that time."""
_PACKAGE = str(Path(__file__).parents[1])


class Heartbeat:
    """Writes the place of this rank to the store, and logs a warning when the place does not change.

    Every rank that can still log does so, with the places of all ranks: the phase, epoch and iteration of the innermost
    engine that runs, the handler or step, and the innermost function. A rank that does not write any more is named
    with its last place. A stall that lasts is reported again after twice, four times, eight times as long. It costs one
    write a second.

    One thread looks at this rank, and another one uses the store, which does not answer if the process that has it
    was stopped.

    Args:
        store: the store that all ranks share. The thread gets a connection of its own.
        rank: the number of this process.
        world_size: the number of processes.
        engines: the engines to look at; more may be added.
        after: the seconds without a move after which the ranks are reported.
    """

    def __init__(self, store: Store, rank: int, world_size: int, engines: Sequence[Engine], after: float) -> None:
        self._store, self._rank, self._world_size = store.clone(), rank, world_size
        self._engines, self._after = engines, after
        self._thread_of_runs = threading.get_ident()
        self._stop, self._is_wanted, self._has_places = threading.Event(), threading.Event(), threading.Event()
        self._beats, self._places_of_all = 0, ""
        self._threads = [
            threading.Thread(target=loop, name=f"fsm_engine {name}", daemon=True)
            for name, loop in (("heartbeat", self._write), ("stall detection", self._watch))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop writing."""
        self._stop.set()
        self._is_wanted.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _watch(self) -> None:
        """Report a stall when the innermost run has made no move for long enough."""
        position, since, report_after = self._position(), monotonic(), self._after
        while not self._stop.wait(min(_WATCH_EVERY, self._after / 4)):
            current = self._position()
            if current is None or current != position:
                position, since, report_after = current, monotonic(), self._after
            elif monotonic() - since >= report_after:
                report_after *= 2
                _logger.warning("No move for %.0f s. %s", monotonic() - since, self._report())

    def _position(self) -> Any:
        engine = self._running_engine()
        return None if engine is None else (id(engine), engine.position, engine.state.iteration)

    def _report(self) -> str:
        """Return the places of all ranks; only the place of this rank if the store does not answer soon."""
        self._has_places.clear()
        self._is_wanted.set()
        if self._has_places.wait(_ANSWER_WITHIN):
            return self._places_of_all
        own = self._place(self._running_engine())
        return f"rank {self._rank}: {own}; the store of the process group does not answer, which rank 0 or torchrun has"

    def _write(self) -> None:
        """Write the place of this rank once a second, and read all places when they are wanted."""
        try:
            while not (self._beats and self._stop.is_set()):
                self._write_place()
                if self._is_wanted.wait(_EVERY) and not self._stop.is_set():
                    self._is_wanted.clear()
                    self._places_of_all = self._places()
                    self._has_places.set()
        except RuntimeError as error:
            _logger.debug("The store of the process group ended: %s", error)

    def _write_place(self) -> None:
        self._beats += 1
        self._store.set(_key(self._rank), json.dumps([self._beats, self._place(self._running_engine())]))

    def _running_engine(self) -> Engine | None:
        """Return the innermost attached engine that runs."""
        running = [engine for engine in self._engines if engine.is_running]
        frame, codes = sys._current_frames().get(self._thread_of_runs), {_code(engine): engine for engine in running}
        while frame is not None:
            if frame.f_code in codes:
                return codes[frame.f_code]
            frame = frame.f_back
        return running[-1] if running else None

    def _place(self, engine: Engine | None) -> str:
        frame = sys._current_frames().get(self._thread_of_runs)
        inner = _innermost(frame)
        if engine is None:
            return f"outside a run{inner}"
        state = engine.state
        place = f"{engine.phase}, epoch {getattr(state, 'epoch', 0)}, iteration {state.iteration}"
        return f"{place}{_called_by(_code(engine), frame)}{inner}"

    def _places(self) -> str:
        """Return the places of all ranks as a sentence, ranks at equal places together."""
        before = self._read()
        for _ in range(_LOOKS):
            self._write_place()  # other ranks may look for it at the same time
            self._stop.wait(_LOOK_FOR / _LOOKS)
        ranks: dict[str, list[str]] = {}
        for rank, (old, new) in enumerate(zip(before, self._read())):
            silent = ", does not answer" if rank != self._rank and old[0] == new[0] else ""
            ranks.setdefault(f"{new[1]}{silent}", []).append(str(rank))
        return "; ".join(f"rank{'s' if len(names) > 1 else ''} {', '.join(names)}: {at}" for at, names in ranks.items())

    def _read(self) -> list[tuple[int, str]]:
        """Return, per rank, the number of its last write and its place."""
        keys = [_key(rank) for rank in range(self._world_size)]
        written = keys if self._store.check(keys) else [key for key in keys if self._store.check([key])]
        texts = dict(zip(written, self._store.multi_get(written)))  # one message instead of one per rank
        return [tuple(json.loads(texts[key])) if key in texts else (0, "has written no place") for key in keys]


def _key(rank: int) -> str:
    return f"place/{rank}"


def _code(engine: Engine) -> Any:
    return None if engine._program is None else engine._program.compiled.function.__code__


def _called_by(code: Any, frame: FrameType | None) -> str:
    """Return the handler or step that the run has called."""
    called = None
    while frame is not None and frame.f_code is not code:
        frame, called = frame.f_back, frame
    return "" if frame is None or called is None else f", in {called.f_code.co_name}"


def _innermost(frame: FrameType | None) -> str:
    """Return the innermost function that is not part of this package."""
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return ""
    return f" [{frame.f_code.co_name}, {Path(frame.f_code.co_filename).name}:{frame.f_lineno}]"
