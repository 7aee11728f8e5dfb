"""`GracefulStop`: suspends the run when the process receives a signal, so that it can be resumed later."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.distributed.gathering import gather_for
from fsm_engine.events.edges import Exit
from fsm_engine.events.events import Events, EventsList
from fsm_engine.events.priorities import FIRST, LAST
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import evaluate
from fsm_engine.graph.positions import phase_at

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_DEFAULT_SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGUSR1") if name in signal.Signals.__members__
)
_STOP_EVENTS = (Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED)
"""Events at which a run with epochs may stop, because no batch is in use."""

_NOT_RESUMED = (Events.EPOCH_COMPLETED, Events.TERMINATE, Events.COMPLETED)
"""Phases that a run resumed from its counters skips, because the counters are the same before and after them."""


_RUN_ID = "TORCHELASTIC_RUN_ID"
"""A variable that ``torchrun`` sets in the processes that it starts."""
_PASSED_ON_WITHIN = 2.0
"""Seconds within which ``torchrun`` passes on a signal that it has received, also on a busy machine."""


class GracefulStop:
    """Suspend the run when the process receives a signal: finish the iteration, save, and return from `run`.

    ::

        stop = GracefulStop(save=checkpoint).attach(trainer)
        trainer.run(data, max_epochs=10)
        if trainer.outcome == "interrupted":
            sys.exit(128 + stop.signal)

    The handler calls `Engine.interrupt`, so the resumed run skips nothing and repeats nothing, in this process or, from
    the saved state, in another process. A state dict without `Engine.resumes_exactly` has only the counters and cannot
    say that EPOCH_COMPLETED is still to come. Then the run is suspended after the handlers of EPOCH_COMPLETED, and a
    run with nothing left to do ends normally.

    A second signal calls the previous signal handler at once: usually, SIGINT then raises KeyboardInterrupt, and the
    others end the process. Under ``torchrun``, a second signal within two seconds is ignored, because Ctrl-C and
    schedulers often send a signal both to the processes and to ``torchrun``, which passes it on to them.

    With several ranks, a signal to one of them suspends the engines that ``ranks.attach`` knows on all ranks together,
    and `save` is called on all of them. Attach this handler on all ranks.

    The run stops only when all handlers of the iteration have returned, also one that evaluates for an hour. To stop
    sooner, attach this handler to the evaluator, too: a signal then terminates the evaluator's run without COMPLETED,
    and the calling handler continues without its metrics.

    The signals are caught only during runs of the engines that this handler is attached to, and only in the main
    thread, because Python delivers signals there. In processes that are forked during a run, such as DataLoader
    workers, SIGTERM ends the process as usual, and the other signals are ignored.

    Args:
        signals: numbers of the signals; SIGTERM, SIGINT and SIGUSR1 unless given.
        save: one or several handlers, called at INTERRUPT when a signal has suspended the run. If the run is terminated
            at the same event, for example by `TimeLimit`, they are called at TERMINATE.

    Attributes:
        signal: the signal received in the last run, or None; with several ranks, also if another rank received it.

    Raises:
        ValueError: a signal does not exist or cannot be caught.
        TypeError: `signals` is not iterable, or a handler in `save` is not callable, or is a coroutine or generator
            function.

    Example:
        >>> import signal
        >>> trainer = Engine(lambda engine, batch: signal.raise_signal(signal.SIGTERM) if batch == 2 else None)
        >>> stop = GracefulStop(save=lambda: print("saved")).attach(trainer)
        >>> _ = trainer.run([1, 2, 3])
        saved
        >>> print(trainer.outcome, trainer.state.iteration, stop.signal.name)
        interrupted 2 SIGTERM
    """

    meets_other_ranks = True
    meets_in_iterations = False
    """In an iteration, it only asks for an interrupt."""

    def __init__(
        self,
        signals: Iterable[int] | None = None,
        save: Callable[..., Any] | Iterable[Callable[..., Any]] = (),
    ) -> None:
        if signals is not None and not isinstance(signals, Iterable):
            raise TypeError(
                f"signals should be numbers of signals, got {signals!r}. Write GracefulStop(save=...).attach(engine)."
            )
        self.signals = _DEFAULT_SIGNALS if signals is None else tuple(_checked(number) for number in signals)
        self._save_handlers = (save,) if callable(save) else tuple(save)
        for handler in self._save_handlers:
            if not callable(handler):
                raise TypeError(f"save= is called as a handler, but {handler!r} is not callable.")
            check_runs_when_called(handler, "save=")
        self.signal: signal.Signals | None = None
        self._received_at = -inf
        self._running: list[weakref.ref[Engine]] = []  # the outermost first
        self._previous: dict[int, Any] = {}  # signal handlers before the run
        self._pid: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {
            **vars(self),
            "_running": [],
            "_previous": {},
            "_pid": None,
            "_received_at": -inf,
        }  # these belong to the process

    @property
    def requested(self) -> bool:
        """True if a signal was received in the current run, or in the last run when none is active."""
        return self.signal is not None

    def attach(self, engine: Engine) -> GracefulStop:
        """Catch the signals in each run of `engine` from now on, and return this handler.

        `engine.run` raises RuntimeError if it is called outside the main thread.

        Raises:
            RuntimeError: the class of `engine` disables interrupts.
        """
        engine._check_interrupts()
        engine.add_event_handler(Events.STARTED(priority=FIRST) | Events.RESUMED(priority=FIRST), self._start_run)
        stops = EventsList(*[event(priority=LAST) for event in _stop_events(engine)])
        engine.add_event_handler(stops, self._stop_if_requested)
        engine.add_event_handler(Events.INTERRUPT(priority=FIRST) | Events.TERMINATE(priority=FIRST), self._agree)
        saves = EventsList(*[event(event_filter=self._has_stopped) for event in (Events.INTERRUPT, Events.TERMINATE)])
        for handler in self._save_handlers:
            engine.add_event_handler(saves, handler)
        ends = EventsList(Events.INTERRUPT(priority=LAST), Exit(Scope.ENGINE)(priority=FIRST))
        engine.add_event_handler(ends, self._end_run)
        return self

    def _start_run(self, engine: Engine) -> None:
        running = self._engines()
        if engine in running:
            return  # RESUMED after STARTED
        if not running:
            self.signal = None
            self._install()
        self._running = [weakref.ref(other) for other in (*running, engine)]

    def _engines(self) -> list[Engine]:
        alive = (other() for other in self._running)
        return [engine for engine in alive if engine is not None and engine.is_running]

    def _install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "GracefulStop is attached to an engine that runs outside the main thread, and Python delivers signals "
                "only in the main thread. Run it there, or, as in the thread that Ray Train starts, leave GracefulStop "
                "out, and call engine.interrupt() from any thread."
            )
        for number in self.signals:
            if signal.getsignal(number) is None:
                raise RuntimeError(
                    f"{number.name} has a handler that was not installed from Python and could not be restored after "
                    f"the run. Leave it out: GracefulStop(signals=...)."
                )
        self._pid = os.getpid()
        self._previous = {number: signal.signal(number, self._on_signal) for number in self.signals}

    def _uninstall(self) -> None:
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._on_signal:  # else other code has installed its own handler
                signal.signal(number, previous)

    # Does not log: a signal can arrive inside a call of a stream's write, which is not reentrant.
    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            if number == signal.SIGTERM:
                self._call_previous(number, frame)
            return
        running = self._engines()
        if self.requested and monotonic() - self._received_at < _PASSED_ON_WITHIN and os.environ.get(_RUN_ID):
            return
        if self.requested or not running:
            self._call_previous(number, frame)
            return
        self.signal = signal.Signals(number)
        self._received_at = monotonic()
        for engine in running:
            if not _stop_events(engine):
                self._stop(engine)

    def _call_previous(self, number: int, frame: FrameType | None) -> None:
        self._uninstall()
        previous = self._previous[number]
        if callable(previous):
            previous(number, frame)
        elif previous == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _stop_if_requested(self, engine: Engine) -> None:
        if self.signal is not None and (engine.resumes_exactly or _next_phase(engine) not in _NOT_RESUMED):
            engine.logger.warning(
                "GracefulStop: received %s, stopping after iteration %s. Send the signal again to stop at once.",
                self.signal.name,
                engine.state.iteration,
            )
            self._stop(engine)

    def _stop(self, engine: Engine) -> None:
        if self._is_outermost(engine):
            engine.interrupt()
        else:
            engine.terminate(skip_completed=True)

    def _agree(self, engine: Engine) -> None:
        """Take over the signal of another rank, so that all ranks save and exit alike."""
        if engine._agreement is None or not self._is_outermost(engine):
            return
        place = f"GracefulStop at {engine.last_event_name}, iteration {engine.state.iteration}"
        received = [number for number in gather_for(place, lambda: self.signal) if number is not None]
        if self.signal is None and received:
            self.signal = signal.Signals(received[0])

    def _is_outermost(self, engine: Engine) -> bool:
        return self._engines()[:1] == [engine]

    def _has_stopped(self, engine: Engine, _count: int) -> bool:
        return self.requested and self._is_outermost(engine)

    def _end_run(self, engine: Engine) -> None:
        self._running = [weakref.ref(other) for other in self._engines() if other is not engine]
        if not self._running:
            self._uninstall()


def _checked(number: Any) -> signal.Signals:
    known = signal.Signals(number)
    if known.name in ("SIGKILL", "SIGSTOP"):
        raise ValueError(f"{known.name} cannot be caught by a process. Leave it out of signals=.")
    return known


def _stop_events(engine: Engine) -> list[Events]:
    """Return the events at which the run may stop. A lifecycle without epochs has none and may stop in any phase."""
    return [event for event in _STOP_EVENTS if event in engine.lifecycle.graph.index]


def _next_phase(engine: Engine) -> Any:
    """Return the event of the phase that the run enters next."""
    exits = engine.lifecycle.graph.automatic_exits[phase_at(engine.position)]
    return next((exit_.target for exit_ in exits if exit_.guard is None or evaluate(exit_.guard, engine)), None)
