"""`Agreement`: all ranks handle a signal of an engine at the same place, although only one rank may have asked for it.

A rank that asks posts a request. Each rank answers with a promise: the place beyond which its run does not go until the
place of the signal is decided. The highest promise is the decision, so no rank is beyond it, and a rank that is ahead
waits for no other rank to reach it. If all ranks ask at the same place, the promises are equal and the signal is
handled there, as in a single process.

The thread of the run makes the promise at the next place where signals are safe, and waits there for the decision. A
run may not get there, because it waits in a collective for a rank that waits for the decision. Then another thread
makes the promise as soon as it sees that the run is in user code: the run looks for signals when that returns. A run
that waits in a function written in C, called by no Python function, such as an iterator, makes no promise meanwhile.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from fsm_engine.distributed.event_log import EventLog, Message
from fsm_engine.distributed.failures import Failures
from fsm_engine.distributed.places import Place, end_of_run, phase_orders
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
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


@dataclass
class _Round:
    """A request, the promises of the ranks, and the decision."""

    number: int
    requests: dict[Signal, bool] = field(default_factory=dict[Signal, bool])
    askers: list[str] = field(default_factory=list[str])
    promise: Place | None = None
    decision: Place | None = None


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
        self._unseen: list[tuple[Signal, bool]] = []  # requests of this rank that have not come back in the log
        self._decisions: dict[Signal, Place] = {}  # the latest place of each signal
        self._run = 0
        self._thread: int | None = None
        self._orders: list[int] = []
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
            requests = [dict(self._unseen), *(current.requests for current in self._rounds)]
            return next((each[signal] for each in requests if signal in each), None)

    def begin_run(self) -> None:
        """Note that a run begins in the current thread."""
        with self._changed:
            if self._graph is not self._engine._graph:
                self._graph = self._engine._graph
                self._orders = phase_orders(self._graph)
            self._run += 1
            self._thread = threading.get_ident()

    def end_run(self, error: BaseException | None) -> None:
        """Note that the run has ended or is suspended. Tell the other ranks of the exception that ended it."""
        if error is not None:
            state = self._engine.state
            phase = self._graph.phases[phase_at(self._engine._resume_position)]
            self._failures.report(error, f"in {phase}, epoch {getattr(state, 'epoch', 0)}, iteration {state.iteration}")
        with self._changed:
            self._thread = None
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
                if current.decision.run == self._run:
                    self._engine.logger.info("Handling a request of %s.", ", ".join(current.askers))
                    signals.update(current.requests)
        return signals

    def _wait_until(self, is_true: Callable[[], bool]) -> None:
        if not self._changed.wait_for(lambda: self._failures.has_other or is_true(), self._timeout):
            raise AgreementError(self._timeout_message())
        if self._failures.has_other:
            raise self._failures.error()

    def _timeout_message(self) -> str:
        store = self._log.store
        number = self._rounds[0].number if self._rounds else 0
        silent = [rank for rank in range(self._log.world_size) if not store.check([self._key(number, rank)])]
        return (
            f"no decision on a signal of the engine {self._name!r} within {self._timeout:g} s: no answer from ranks "
            f"{silent}. Look at their logs; they have ended or are blocked."
        )

    # Promises

    def _promise(self, current: _Round, place: Place) -> None:
        if current.promise is None:
            current.promise = self._reached_by_all(place)
            self._log.store.set(self._key(current.number, self._log.rank), json.dumps(current.promise))

    def _key(self, number: int, rank: int) -> str:
        return f"promise/{self._name}/{number}/{rank}"

    def _promise_for_run(self, current: _Round) -> None:
        """Make the promise if the run is in user code, so that it may not reach a place where signals are safe."""
        while not self._log.is_closed:
            with self._changed:
                if current.promise is not None:
                    return
                place = self._next_safe_place()
                if place is not None:
                    self._promise(current, place)
                    return
            time.sleep(_LOOK_EVERY)

    def _next_safe_place(self) -> Place | None:
        """Return the next place where signals are safe if the run cannot get beyond it unnoticed; else None.

        That is if the run is in user code, because the run looks for signals when user code returns.
        """
        engine = self._engine
        if self._thread is None:
            return end_of_run(self._run)
        if engine._signals.is_calling_back:
            return self._place(engine.position)
        return self._place_after(engine.position) if self._is_in_user_code() else None

    def _place(self, position: int) -> Place:
        order = self._orders[phase_at(position)]
        return Place(self._run, getattr(self._engine.state, "epoch", 0), self._iteration(order), order)

    def _iteration(self, order: int) -> float:
        iteration, cursor = self._engine.state.iteration, self._engine._cursor
        if self.shared_iterations is None:
            return iteration
        in_epoch, left = iteration - cursor.epoch_start, iteration - cursor.epoch_start - self.shared_iterations
        is_shared = cursor.epoch_is_open and (
            left < 0 or (left == 0 and order <= self._order_of(Events.ITERATION_COMPLETED))
        )
        return in_epoch if is_shared else math.inf

    def _reached_by_all(self, place: Place) -> Place:
        """Return the first place from `place` on that every rank reaches, whatever the lengths of the epochs."""
        if place.iteration != math.inf or not self._engine._cursor.epoch_is_open:
            return place
        return place._replace(order=self._order_of(Events.EPOCH_COMPLETED))

    def _order_of(self, event: Events) -> int:
        order: int = self._orders[self._graph.index[event]]
        return order

    def _place_after(self, position: int) -> Place:
        """Return the place after the user code that runs at `position`."""
        place = self._place(position)
        if not is_entered(position):  # its handlers run
            return place
        scope = self._graph.phases[phase_at(position)].scope
        if scope is not None and Scope.ITERATION.contains(scope):
            return place._replace(order=self._order_of(Events.ITERATION_COMPLETED))
        return place._replace(order=place.order + 1)

    def _is_in_user_code(self) -> bool:
        """Return True if the function that runs the lifecycle has called another function."""
        program = self._engine._program
        frame = sys._current_frames().get(self._thread or 0)
        if program is None or frame is None:
            return False
        code = program.compiled.function.__code__
        frame = frame.f_back if frame.f_code is not code else None
        while frame is not None and frame.f_code is not code:
            frame = frame.f_back
        return frame is not None

    # Messages, in the thread of the log

    def _receive(self, number: int, message: Message) -> None:
        if message["kind"] == "failed":
            with self._changed:
                self._changed.notify_all()
            self._engine._signals.needs_attention = True
        if message.get("engine") != self._name:
            return
        if message["kind"] == "request":
            self._receive_request(number, message)
        elif message["kind"] == "decision":
            self._receive_decision(message)

    def _receive_request(self, number: int, message: Message) -> None:
        signal, place = Signal(message["signal"]), Place(*message["place"])
        with self._changed:
            if message["rank"] == self._log.rank:
                del self._unseen[0]
            is_new = self._is_new_round(signal, place)
            if is_new:
                self._rounds.append(_Round(number))
            current = self._rounds[-1] if self._rounds else None
            if current is not None and current.decision is None:
                current.requests[signal] = message["skip"]
                current.askers.append(f"rank {message['rank']} ({signal.value} in iteration {message['iteration']})")
            self._changed.notify_all()
        if is_new and current is not None:
            self._engine._signals.needs_attention = True
            self._log.start_thread(self._promise_for_run, current)
            if self._log.rank == 0:
                self._log.start_thread(self._decide, current)

    def _is_new_round(self, signal: Signal, place: Place) -> bool:
        """Return True if a request needs a decision of its own: not if one is awaited, or if it came after its own."""
        if self._rounds and self._rounds[-1].decision is None:
            return False
        decision = self._decisions.get(signal)
        return decision is None or place > decision

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

    def _receive_decision(self, message: Message) -> None:
        with self._changed:
            current = self._rounds[-1]
            current.decision = Place(*message["place"])
            self._decisions.update(dict.fromkeys(current.requests, current.decision))
            if self._thread is None:
                self._drop_missed()
            self._changed.notify_all()
        self._engine._signals.needs_attention = True

    def _drop_missed(self) -> None:
        """Drop the decided rounds whose place is not after the end of the last run."""
        end = end_of_run(self._run)
        while self._rounds and (decision := self._rounds[0].decision) is not None and decision <= end:
            del self._rounds[0]


def _is_decided(current: _Round) -> bool:
    return current.decision is not None
