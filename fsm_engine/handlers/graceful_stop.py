"""`GracefulStop`: a signal to the process suspends the run where it can go on later, instead of killing it."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import Exit
from fsm_engine.events.events import Events, EventsList
from fsm_engine.events.priorities import FIRST, LAST
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import holds
from fsm_engine.graph.positions import phase_at

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


_USUAL = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGUSR1") if name in signal.Signals.__members__)
_BREAKS = (Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED)
"""Where a run that goes by epochs may stop: no batch is at hand."""

_NEARLY_OVER = (Events.EPOCH_COMPLETED, Events.TERMINATE, Events.COMPLETED)
"""What a state dict that only has the progress would take as done."""


class GracefulStop:
    """Suspends a run when the process is told to stop: it finishes the iteration, saves, and `run` returns.

    ::

        stop = GracefulStop(save=checkpoint).attach(trainer)
        trainer.run(data, max_epochs=10)
        if trainer.outcome == "interrupted":
            sys.exit(128 + stop.signal)

    It is an `Engine.interrupt`: nothing of the lifecycle is left out, and nothing done twice, when the run goes on,
    in this process or, from what was saved, in another. A state dict that only has the progress, without
    `Engine.resumes_exactly`, cannot tell that EPOCH_COMPLETED is still to come: then the run is suspended behind its
    handlers, and one that has nothing left to do just ends.

    A second signal stops at once: it does what it did before the run, which is KeyboardInterrupt for SIGINT and the
    end of the process for the others.

    No handler is broken off, so one that evaluates for an hour delays the stop by that. Attached to the evaluator as
    well, this terminates its run inside that of the trainer, without its COMPLETED: the handler goes on, without what
    should have been measured.

    The signals are caught only while an engine runs that this is attached to, and only in the main thread, which alone
    is told of them. Processes forked meanwhile, such as the workers of a DataLoader, leave them to this one; but
    SIGTERM ends those as ever.

    Args:
        signals: which signals; SIGTERM, SIGINT and SIGUSR1 unless given.
        save: a handler, or several, called as handlers of INTERRUPT when a signal has suspended the run.

    Attributes:
        signal: the signal that came in the last run; None if none did.

    Raises:
        ValueError: a signal that there is not, or that no process can catch.
        TypeError: something to save with that cannot be called.
    """

    def __init__(
        self,
        signals: Iterable[int] | None = None,
        save: Callable[..., Any] | Iterable[Callable[..., Any]] = (),
    ) -> None:
        self.signals = _USUAL if signals is None else tuple(_checked(number) for number in signals)
        self._saves = (save,) if callable(save) else tuple(save)
        for handler in self._saves:
            if not callable(handler):
                raise TypeError(f"save= is called as a handler of INTERRUPT, but {handler!r} is not callable.")
        self.signal: signal.Signals | None = None
        self._reset_process()

    def _reset_process(self) -> None:
        self._running: list[weakref.ref[Engine]] = []  # the outermost first
        self._before: dict[signal.Signals, Any] = {}  # what the signals did
        self._process: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        own = ("_running", "_before", "_process")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset_process()

    @property
    def requested(self) -> bool:
        """Whether a signal has come in this run, or in the last one if none is going on."""
        return self.signal is not None

    def attach(self, engine: Engine) -> GracefulStop:
        """Catch the signals in each run of `engine` from now on.

        Raises:
            RuntimeError: if the class of the engine has interrupts switched off. In each run, outside the main thread.
        """
        engine._check_interrupts()
        engine.add_event_handler(Events.STARTED(priority=FIRST) | Events.RESUMED(priority=FIRST), self._begin)
        breaks = EventsList(*[event(priority=LAST) for event in _breaks_of(engine)])
        engine.add_event_handler(breaks, self._stop_if_requested)
        for handler in self._saves:
            engine.add_event_handler(Events.INTERRUPT(event_filter=self._has_suspended), handler)
        ends = EventsList(Events.INTERRUPT(priority=LAST), Exit(Scope.ENGINE)(priority=FIRST))
        engine.add_event_handler(ends, self._end)
        return self

    def _begin(self, engine: Engine) -> None:
        running = self._engines()
        if engine in running:
            return  # RESUMED after STARTED
        if not running:
            self.signal = None
            self._catch()
        self._running = [weakref.ref(other) for other in (*running, engine)]

    def _engines(self) -> list[Engine]:
        alive = (other() for other in self._running)
        return [engine for engine in alive if engine is not None and engine.is_running]

    def _catch(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "GracefulStop is attached to an engine that runs outside the main thread, which alone is told of "
                "signals. Run it there, or call engine.interrupt() from any thread."
            )
        for number in self.signals:
            if signal.getsignal(number) is None:
                raise RuntimeError(
                    f"{number.name} is handled by something outside Python, which could not be put back after the "
                    f"run. Leave it out: GracefulStop(signals=...)."
                )
        self._process = os.getpid()
        self._before = {number: signal.signal(number, self._on_signal) for number in self.signals}

    def _release(self) -> None:
        for number, before in self._before.items():
            if signal.getsignal(number) == self._on_signal:  # else somebody else catches it now
                signal.signal(number, before)

    # Nothing is logged here: this may break into something that writes, which cannot be entered again.
    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            if number == signal.SIGTERM:
                self._do_as_before(number, frame)
            return
        running = self._engines()
        if self.requested or not running:
            self._do_as_before(number, frame)
            return
        self.signal = signal.Signals(number)
        for engine in running:
            if not _breaks_of(engine):
                self._stop(engine)

    def _do_as_before(self, number: int, frame: FrameType | None) -> None:
        self._release()
        before = self._before[signal.Signals(number)]
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _stop_if_requested(self, engine: Engine) -> None:
        if self.signal is not None and (engine.resumes_exactly or _next(engine) not in _NEARLY_OVER):
            engine.logger.warning(
                "GracefulStop: %s came, so the run ends after iteration %s; again to stop at once.",
                self.signal.name,
                engine.state.iteration,
            )
            self._stop(engine)

    def _stop(self, engine: Engine) -> None:
        if self._is_outermost(engine):
            engine.interrupt()
        else:
            engine.terminate(skip_completed=True)

    def _is_outermost(self, engine: Engine) -> bool:
        return self._engines()[:1] == [engine]

    def _has_suspended(self, engine: Engine, _count: int) -> bool:
        return self.requested and self._is_outermost(engine)

    def _end(self, engine: Engine) -> None:
        self._running = [weakref.ref(other) for other in self._engines() if other is not engine]
        if not self._running:
            self._release()


def _checked(number: Any) -> signal.Signals:
    known = signal.Signals(number)
    if known.name in ("SIGKILL", "SIGSTOP"):
        raise ValueError(f"{known.name} ends or stops a process without asking it. Leave it out of signals=.")
    return known


def _breaks_of(engine: Engine) -> list[Events]:
    """Return the events at which the run may stop; none if it may at any, having no epochs."""
    return [event for event in _BREAKS if event in engine.lifecycle.graph.index]


def _next(engine: Engine) -> Any:
    """Return where the run goes from the phase that it is in."""
    exits = engine.lifecycle.graph.automatic[phase_at(engine.position)]
    return next((exit_.target for exit_ in exits if exit_.guard is None or holds(exit_.guard, engine)), None)
