"""`Agreement`: all ranks handle a signal of an engine at the same place, although only one rank may have asked for it.

A rank that asks posts a request. Each rank answers with a promise: the place beyond which its run does not go until the
place of the signal is decided. The highest promise is the decision, so no rank is beyond it, and a rank that is ahead
waits for no other rank to reach it. If all ranks ask at the same place, the promises are equal and the signal is
handled there, as in a single process.

The thread of the run makes the promise at the next place where signals are safe, and waits there for the decision. A
run may not get there, because it waits in a collective for a rank that waits for the decision. Then another thread
makes the promise, as soon as it is certain of the next place at which the run looks for signals. A promise must not be
lower than a place that the run has passed without looking. So it is not made from the position alone, which is also
seen when the run has already passed it, but from the line that the generated function executes (`line_positions`).
"""

from __future__ import annotations

import json
import linecache
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fsm_engine.compiler.line_positions import line_positions
from fsm_engine.distributed.event_log import EventLog, Message
from fsm_engine.distributed.failures import Failures
from fsm_engine.distributed.places import BEFORE_RESUMED, Place, end_of_run, first_phase, phase_orders, start_of_run
from fsm_engine.events.events import Events
from fsm_engine.graph.positions import is_entered, phase_at
from fsm_engine.graph.signals import Signal

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_LOOK_EVERY = 0.001
"""Seconds between two looks at a run that may get into user code."""
_LONGEST_PAUSE = 0.02
"""Seconds between two looks at the promises of other ranks, if they take long."""


class AgreementError(RuntimeError):
    """Raised on a rank that waited too long for other ranks to answer a request."""


class _Request(NamedTuple):
    """A request, and the place, the rank and the iteration in which it was made."""

    signal: Signal
    skip: bool
    place: Place
    rank: int
    iteration: int

    def __str__(self) -> str:
        return f"rank {self.rank} ({self.signal.value} in iteration {self.iteration})"

    def concerns(self, place: Place) -> bool:
        """Return True if the run, and the epoch if the signal ends an epoch, are not over at `place`."""
        is_same_epoch = self.signal is not Signal.TERMINATE_EPOCH or self.place.epoch == place.epoch
        return self.place.run == place.run and is_same_epoch


@dataclass
class _Round:
    """Requests that are decided together, the promise of this rank, and the decision."""

    number: int
    requests: list[_Request]
    promise: Place | None = None
    decision: Place | None = None

    def signals(self, place: Place) -> dict[Signal, bool]:
        """Return the signals to handle at `place`, without requests for a run or an epoch that is over on some rank."""
        return {each.signal: each.skip for each in self.requests if each.concerns(place)}

    def decide(self, place: Place) -> list[_Request]:
        """Set the decision. Return the requests that were made beyond it, which need a decision of their own.

        There are some if a rank made its promise, continued to that place, and asked there before the decision came.
        """
        self.decision = place
        late = [each for each in self.requests if each.place > place]
        self.requests = [each for each in self.requests if each.place <= place]
        return late


class Agreement:
    """Decides with the other ranks where the run of an engine handles a signal. See `SignalAgreement`.

    It costs nothing until a rank asks for a signal.

    Args:
        engine: the engine; every rank makes an agreement for the same engine with the same `name`.
        name: a name that is unique in the group.
        log: the messages of the group.
        failures: the failures of the group.
        timeout: how long to wait for the other ranks, in seconds.

    Attributes:
        shared_iterations: if ranks have epochs of different lengths, the number of iterations that all ranks have in an
            epoch. A signal that is requested behind them is handled at the end of the epoch.
    """

    def __init__(self, engine: Engine, name: str, log: EventLog, failures: Failures, timeout: float) -> None:
        self._engine, self._name, self._log, self._failures, self._timeout = engine, name, log, failures, timeout
        self._changed = threading.Condition()
        self._rounds: list[_Round] = []  # in the order of the log; the last one may be undecided
        self._error: AgreementError | None = None  # the first one
        self._unseen: list[tuple[Signal, bool]] = []  # requests of this rank that have not come back in the log
        self._decisions: dict[Signal, Place] = {}  # the latest place of each signal
        self._run = 0
        self._thread: int | None = None
        self._frame = 0  # the `id` of the frame of `Engine.run`, to which a reference would keep the data
        self._floor: Place | None = None  # the run has not reached it, and cannot pass it before `leave_safe_point`
        self._orders: list[int] = []
        self._first_phase = 0
        self._graph: Any = None
        self.shared_iterations: int | None = None
        log.subscribe(self._receive)

    # Called by the engine

    @property
    def is_pending(self) -> bool:
        """True from a request, here or in another process, until the run has handled it; after another rank failed."""
        return bool(self._unseen or self._rounds or self._failures.has_other)

    def request(self, signal: Signal, skip: bool) -> None:
        """Ask all ranks to handle `signal`."""
        with self._changed:
            self._unseen.append((signal, skip))
        self._log.post(
            {
                "kind": "request",
                "engine": self._name,
                "signal": signal.value,
                "skip": skip,
                "place": self._place(self._engine.position),
                "iteration": self._engine.state.iteration,
            }
        )
        self._engine._signals.needs_attention = True

    def requested(self, signal: Signal) -> bool | None:
        """Return the value of a request that the run has not handled yet; None if there is none."""
        with self._changed:
            received = [(each.signal, each.skip) for current in self._rounds for each in current.requests]
            return next((skip for asked, skip in [*self._unseen, *received] if asked is signal), None)

    def begin_run(self) -> None:
        """Note that a run begins in the current thread."""
        with self._changed:
            if self._graph is not self._engine._graph:
                self._graph = self._engine._graph
                self._orders = phase_orders(self._graph)
                self._first_phase = first_phase(self._graph)
            self._run += 1
            self._floor = start_of_run(self._run)
            self._thread, self._frame = threading.get_ident(), _frame_of_run()

    def end_run(self, error: BaseException | None) -> None:
        """Note that the run has ended or is suspended. Tell the other ranks of the exception that ended it."""
        if error is not None:
            state = self._engine.state
            phase = self._graph.phases[phase_at(self._engine._resume_position)]
            self._failures.report(error, f"in {phase}, epoch {getattr(state, 'epoch', 0)}, iteration {state.iteration}")
        with self._changed:
            self._thread = self._floor = None
            self._drop_missed()

    def at_safe_point(self, position: int) -> dict[Signal, bool]:
        """Return the signals to handle at `position`. Wait for the decision if the run may not continue without it.

        Raises:
            RankError: another rank has failed.
            AgreementError: other ranks do not answer.
        """
        if self._failures.has_other:
            raise self._failures.error()
        place = self._place(position)
        signals: dict[Signal, bool] = {}
        with self._changed:
            self._wait_until(lambda: not self._unseen)
            while self._rounds:
                current = self._rounds[0]
                self._promise(current, place)
                assert current.promise is not None
                if place >= current.promise:
                    self._wait_until(partial(_is_decided, current))
                if current.decision is None or place < current.decision:
                    break
                del self._rounds[0]
                requested = current.signals(place)
                verb = "Handling" if requested else "Too late for"
                self._engine.logger.info("%s a request of %s.", verb, ", ".join(map(str, current.requests)))
                signals.update(requested)
            self._floor = self._place_after(position)
        return signals

    def leave_safe_point(self) -> None:
        """Note that the lifecycle continues, so the run may pass places where signals are safe."""
        self._floor = None

    def _wait_until(self, is_true: Callable[[], bool]) -> None:
        timeout = self._timeout if self._error is None else 0  # EXCEPTION_RAISED is a place where signals are safe, too
        self._changed.wait_for(lambda: self._failures.has_other or self._log.is_lost or is_true(), timeout)
        if self._failures.has_other:
            raise self._failures.error()
        if not is_true():
            text = f"no decision on a signal of the engine {self._name!r}: {self._reason()}"
            self._error = self._error or AgreementError(text)
            raise self._error

    def _reason(self) -> str:
        """Return why no decision has come."""
        store = self._log.store
        number = self._rounds[0].number if self._rounds else 0
        try:
            silent = [rank for rank in range(self._log.world_size) if not store.check([self._key(number, rank)])]
        except RuntimeError as error:
            return f"the store of the process group has ended, with rank 0 or torchrun, which has it ({error})."
        return (
            f"no answer from ranks {silent} within {self._timeout:g} s. Look at their logs; they have ended or are "
            f"blocked."
        )

    # Promises

    def _promise(self, current: _Round, place: Place) -> None:
        if current.promise is None:
            current.promise = self._reached_by_all(place)
            self._log.store.set(self._key(current.number, self._log.rank), json.dumps(current.promise))

    def _key(self, number: int, rank: int) -> str:
        return f"promise/{self._name}/{number}/{rank}"

    def _promise_for_run(self, current: _Round) -> None:
        """Make the promise as soon as the next place at which the run looks for signals is certain."""
        while not (self._log.is_closed or self._has_promised(current)):
            time.sleep(_LOOK_EVERY)

    def _has_promised(self, current: _Round) -> bool:
        with self._changed:
            place = self._next_safe_place() if current.promise is None else None
            if place is not None:
                self._promise(current, place)
            return current.promise is not None

    def _next_safe_place(self) -> Place | None:
        """Return a place that the run does not get beyond without looking for signals, or None.

        It is called when the run has been told to look for signals. So the run waits for the lock at the next place
        where signals are safe, and all that is read here belongs to places up to there.
        """
        if self._thread is None:
            return end_of_run(self._run)
        if self._engine._signals.is_calling_back:
            return self._place(self._engine.position)
        counters = self._counters()
        position = self._position_of_function()
        if position is None:
            return self._floor
        place = self._place_after(position) if is_entered(position) else self._place(position)
        return place if counters == self._counters() else None  # otherwise an iteration or an epoch begins

    def _position_of_function(self) -> int | None:
        """Return the position that the function of the lifecycle works on, if it reads its flag next; else None."""
        frame = sys._current_frames().get(self._thread or 0)
        while frame is not None and id(frame.f_back) != self._frame:
            frame = frame.f_back
        if frame is None or not frame.f_code.co_filename.startswith("<fsm_engine run "):
            return None
        return line_positions("".join(linecache.getlines(frame.f_code.co_filename))).get(frame.f_lineno)

    def _place(self, position: int) -> Place:
        if phase_at(position) in self._engine._graph.terminal:
            return end_of_run(self._run)
        return self._place_of(self._order_at(position))

    def _place_after(self, position: int) -> Place:
        """Return a place after the handlers of the phase at `position`, and not after the next safe place."""
        if phase_at(position) in self._engine._graph.terminal:
            return end_of_run(self._run)
        return self._place_of(self._order_at(position) + 1)

    def _place_of(self, order: int) -> Place:
        return Place(self._run, getattr(self._engine.state, "epoch", 0), self._iteration(order), order)

    def _order_at(self, position: int) -> int:
        phase = phase_at(position)
        is_resuming = phase == self._first_phase and self._engine._cursor.is_loaded
        return BEFORE_RESUMED if is_resuming else self._orders[phase]

    def _iteration(self, order: int) -> float:
        iteration, cursor = self._engine.state.iteration, self._engine._cursor
        if self.shared_iterations is None:
            return iteration
        in_epoch, left = iteration - cursor.epoch_start, iteration - cursor.epoch_start - self.shared_iterations
        is_shared = cursor.epoch_is_open and (
            left < 0 or (left == 0 and order <= self._order_of(Events.ITERATION_COMPLETED))
        )
        return in_epoch if is_shared else math.inf

    def _counters(self) -> tuple[Any, ...]:
        """Return all that a place depends on, besides the order of the phase."""
        state, cursor = self._engine.state, self._engine._cursor
        return state.iteration, getattr(state, "epoch", 0), cursor.epoch_start, cursor.epoch_is_open, cursor.is_loaded

    def _reached_by_all(self, place: Place) -> Place:
        """Return the first place from `place` on that every rank reaches, whatever the lengths of the epochs."""
        if place.iteration != math.inf or not self._engine._cursor.epoch_is_open:
            return place
        return place._replace(order=self._order_of(Events.EPOCH_COMPLETED))

    def _order_of(self, event: Events) -> int:
        order: int = self._orders[self._graph.index[event]]
        return order

    # Messages, in the thread of the log

    def _receive(self, number: int, message: Message) -> None:
        if message["kind"] in ("failed", "lost"):
            with self._changed:
                self._changed.notify_all()
        if message["kind"] == "failed":
            self._engine._signals.needs_attention = True
        if message.get("engine") != self._name:
            return
        if message["kind"] == "request":
            self._receive_request(number, message)
        elif message["kind"] == "decision":
            self._receive_decision(number, Place(*message["place"]))

    def _receive_request(self, number: int, message: Message) -> None:
        signal, place = Signal(message["signal"]), Place(*message["place"])
        request = _Request(signal, message["skip"], place, message["rank"], message["iteration"])
        with self._changed:
            if request.rank == self._log.rank:
                del self._unseen[0]
            is_new = False
            if self._rounds and self._rounds[-1].decision is None:
                self._rounds[-1].requests.append(request)
            else:
                decision = self._decisions.get(request.signal)
                is_new = decision is None or request.place > decision  # otherwise it came after its own decision
            if is_new:
                self._rounds.append(_Round(number, [request]))
            self._changed.notify_all()
        if is_new:
            self._begin_round()

    def _begin_round(self) -> None:
        self._engine._signals.needs_attention = True
        self._log.start_thread(self._promise_for_run, self._rounds[-1])
        if self._log.rank == 0:
            self._log.start_thread(self._decide, self._rounds[-1])

    def _decide(self, current: _Round) -> None:
        """Collect the promises of all ranks, and post the highest one."""
        keys = [self._key(current.number, rank) for rank in range(self._log.world_size)]
        store = self._log.store
        pause = _LOOK_EVERY
        while not store.check(keys):  # does not block, because a thread that waits cannot be stopped
            if self._log.is_closed or self._failures.has_other:
                return
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        highest = max(json.loads(promise) for promise in store.multi_get(keys))
        self._log.post({"kind": "decision", "engine": self._name, "place": highest})

    def _receive_decision(self, number: int, decision: Place) -> None:
        with self._changed:
            current = self._rounds[-1]
            late = current.decide(decision)
            self._decisions.update(dict.fromkeys(current.signals(decision), decision))
            if self._thread is None:
                self._drop_missed()
            if late:
                self._rounds.append(_Round(number, late))
            self._changed.notify_all()
        if late:
            self._begin_round()
        self._engine._signals.needs_attention = True

    def _drop_missed(self) -> None:
        """Drop the decided rounds whose place is not after the end of the last run."""
        end = end_of_run(self._run)
        while self._rounds and (decision := self._rounds[0].decision) is not None and decision <= end:
            del self._rounds[0]


def _is_decided(current: _Round) -> bool:
    return current.decision is not None


def _frame_of_run() -> int:
    """Return the `id` of the frame of `Engine.run` that calls this function."""
    from fsm_engine.engine.engine import Engine

    frame = sys._getframe()
    while frame.f_code is not Engine.run.__code__:
        assert frame.f_back is not None
        frame = frame.f_back
    return id(frame)
