"""`Watchdog`: tells when a run has stayed in one phase for too long."""

from __future__ import annotations

import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.events.events import AnyEvent, Events, plain
from fsm_engine.events.priorities import FIRST
from fsm_engine.graph.graph import Phase

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


@dataclass(frozen=True)
class Stall:
    """What a watchdog has noticed.

    Attributes:
        phase: where the run stands.
        epoch: ``state.epoch`` there.
        iteration: ``state.iteration`` there.
        seconds: for how long, at least.
        stacks: what each thread of the process is doing, the one that watches left out.
    """

    phase: Phase
    epoch: Any
    iteration: Any
    seconds: float
    stacks: str

    def __str__(self) -> str:
        place = f"{self.phase}, epoch {self.epoch}, iteration {self.iteration}"
        return f"the run has been in {place} for {self.seconds:.1f} s.\n{self.stacks}"


class Watchdog:
    """Warns in the engine's log when a run stays in one phase for more than some seconds, once per stay.

    ``Watchdog(after=60).attach(engine)`` watches every run from now on; ``with Watchdog(after=60).watching(engine):``
    those of the block. A thread of its own looks at where the run is, ten times in that time; the run itself is not
    touched, and not slowed down. The warning has the stacks of all threads. It is told of no stall between runs, nor
    while a run is suspended.

    Args:
        after: how many seconds are too many.
        callback: called with the `Stall`, in the thread that watches; an error of it is logged.
        ignore: events of phases in which a run may stay for as long as it likes.

    Raises:
        ValueError: a time that is not positive.
        TypeError: a callback that cannot be called.
    """

    def __init__(
        self, after: float, callback: Callable[[Stall], Any] | None = None, ignore: Iterable[AnyEvent] = ()
    ) -> None:
        if not after > 0:
            raise ValueError(f"after={after!r} has to be a positive number of seconds.")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback is called with the stall, but {callback!r} is not callable.")
        self.after, self._callback = after, callback
        self._ignored = {plain(event) for event in ignore}
        self._ends: WeakKeyDictionary[Engine, threading.Event] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_ends"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _ends=WeakKeyDictionary())

    def attach(self, engine: Engine) -> RemovableEventHandle:
        """Watch each run of `engine` that begins, or goes on, from now on; the handle's `remove()` ends that."""
        return engine.add_event_handler(Events.STARTED(priority=FIRST) | Events.RESUMED(priority=FIRST), self._begin)

    def _begin(self, engine: Engine) -> None:
        before = self._ends.get(engine)
        if before is not None:  # the thread of the last run has perhaps not noticed that that is over
            before.set()
        over = self._ends[engine] = threading.Event()
        self._thread(engine, over, for_run=True).start()

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[Watchdog]:
        """Watch `engine` inside the ``with`` block."""
        over = threading.Event()
        thread = self._thread(engine, over, for_run=False)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    def _thread(self, engine: Engine, over: threading.Event, for_run: bool) -> threading.Thread:
        arguments = (weakref.ref(engine), over, for_run)
        return threading.Thread(target=self._watch, args=arguments, name="Watchdog", daemon=True)

    def _watch(self, watched: Callable[[], Engine | None], over: threading.Event, for_run: bool) -> None:
        """Look at where the run is until that is over; with `for_run`, until the run is."""
        before: tuple[Any, ...] | None = None
        since, told = monotonic(), False
        while not over.wait(self.after / 10):
            engine = watched()
            if engine is None or (for_run and not engine.is_running):
                return
            stay = _stay(engine)
            if stay is None or stay != before:
                before, since, told = stay, monotonic(), False
            elif not told and monotonic() - since >= self.after:
                told = True
                self._tell(engine, monotonic() - since)
            del engine  # it is not kept alive while this waits

    def _tell(self, engine: Engine, seconds: float) -> None:
        phase, state = engine.phase, engine.state
        if phase.event in self._ignored:
            return
        stall = Stall(phase, state.epoch, state.iteration, seconds, _stacks())
        engine.logger.warning("Watchdog: %s", stall)
        if self._callback is not None:
            try:
                self._callback(stall)
            except Exception:
                engine.logger.exception("Watchdog: the callback %r raised.", self._callback)


def _stay(engine: Engine) -> tuple[Any, ...] | None:
    """Return what changes when the run moves; None while none is going on."""
    if not engine.is_running:
        return None
    return engine.position, engine.state.epoch, engine.state.iteration


def _stacks() -> str:
    """Return what each thread but this one is doing."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    others = {n: frame for n, frame in sys._current_frames().items() if n != threading.get_ident()}
    return "\n".join(_stack(names.get(number, str(number)), frame) for number, frame in others.items())


def _stack(name: str, frame: FrameType) -> str:
    return f"Thread {name}:\n{''.join(traceback.format_stack(frame))}"
