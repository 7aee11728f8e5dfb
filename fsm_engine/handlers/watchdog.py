"""`Watchdog`: reports a run that stays in one phase for too long."""

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

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.events.events import AnyEvent, Events, without_filter
from fsm_engine.events.priorities import FIRST
from fsm_engine.graph.phases import Phase
from fsm_engine.runtime.pauses import all_paused_seconds

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


@dataclass(frozen=True)
class Stall:
    """A run that has stayed in one phase for too long.

    Attributes:
        phase: the phase.
        epoch: ``state.epoch`` in this phase.
        iteration: ``state.iteration`` in this phase.
        seconds: time in this phase so far.
        stacks: stacks of all threads of the process, except the thread of the watchdog.
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
    """Log a warning with the stacks of all threads when a run stays in one phase for too long.

    ``Watchdog(after=60).attach(engine)`` watches all later runs of `engine`; in a ``with`` statement,
    ``Watchdog(after=60).watching(engine)`` watches the runs in the block. A thread reads the position of the run ten
    times in `after` seconds, so the run itself takes no extra time. Each stay in a phase is reported once. Suspended
    runs, runs that an inspector has paused, and the time between runs are not reported.

    Args:
        after: number of seconds in one phase that are too long.
        callback: function to call with the `Stall`, in the thread of the watchdog. Its exceptions are logged.
        ignore: events of phases that may take any time.

    Raises:
        ValueError: `after` is not positive.
        TypeError: `callback` is not callable, or it is a coroutine or generator function.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with Watchdog(after=60).attach(trainer):  # logs a stall of a minute, with all stacks
        ...     _ = trainer.run([1, 2])
        >>> print(trainer.outcome)
        completed
    """

    def __init__(
        self, after: float, callback: Callable[[Stall], Any] | None = None, ignore: Iterable[AnyEvent] = ()
    ) -> None:
        if not after > 0:
            raise ValueError(f"after={after!r} has to be a positive number of seconds.")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback is called with the stall, but {callback!r} is not callable.")
        check_runs_when_called(callback, "the callback")
        self.after, self._callback = after, callback
        self._ignored = {without_filter(event) for event in ignore}
        self._stop_flags: WeakKeyDictionary[Engine, threading.Event] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_stop_flags"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _stop_flags=WeakKeyDictionary())

    def attach(self, engine: Engine) -> RemovableEventHandle:
        """Watch each run of `engine` that starts or resumes from now on, until the returned handle is removed."""
        return engine.add_event_handler(Events.STARTED(priority=FIRST) | Events.RESUMED(priority=FIRST), self._start)

    def _start(self, engine: Engine) -> None:
        previous = self._stop_flags.get(engine)
        if previous is not None:  # the thread of the last run may not have seen the end of that run
            previous.set()
        stop = self._stop_flags[engine] = threading.Event()
        self._thread(engine, stop, one_run=True).start()

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[Watchdog]:
        """Watch `engine` inside the ``with`` block."""
        stop = threading.Event()
        thread = self._thread(engine, stop, one_run=False)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def _thread(self, engine: Engine, stop: threading.Event, one_run: bool) -> threading.Thread:
        arguments = (weakref.ref(engine), stop, one_run)
        return threading.Thread(target=self._watch, args=arguments, name="Watchdog", daemon=True)

    def _watch(self, get_engine: Callable[[], Engine | None], stop: threading.Event, one_run: bool) -> None:
        """Read the position of the run until `stop` is set; with `one_run`, until the run ends."""
        previous: tuple[Any, ...] | None = None
        since, reported = monotonic(), False
        while not stop.wait(self.after / 10):
            engine = get_engine()
            if engine is None or (one_run and not engine.is_running):
                return
            position = _position(engine)
            if position is None or position != previous:
                previous, since, reported = position, monotonic(), False
            elif not reported and monotonic() - since >= self.after:
                reported = True
                self._report(engine, monotonic() - since)
            del engine  # this thread must not keep the engine alive while it waits

    def _report(self, engine: Engine, seconds: float) -> None:
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


def _position(engine: Engine) -> tuple[Any, ...] | None:
    """Return a value that changes with each move and while an inspector holds a run, or None if no run is active."""
    if not engine.is_running:
        return None
    return engine.position, engine.state.epoch, engine.state.iteration, all_paused_seconds()


def _stacks() -> str:
    """Return the stacks of all threads except this one."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    others = {n: frame for n, frame in sys._current_frames().items() if n != threading.get_ident()}
    return "\n".join(_stack(names.get(number, str(number)), frame) for number, frame in others.items())


def _stack(name: str, frame: FrameType) -> str:
    return f"Thread {name}:\n{''.join(traceback.format_stack(frame))}"
