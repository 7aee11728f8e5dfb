"""Ranks as threads of which one runs at a time, and a scheduler that chooses the next step at random.

The ranks run real engines with real agreements. The log, the store and the collectives are replaced by objects in
memory. A rank may be stopped before every line of the generated function, of the run loop and of the clocks.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from fsm_engine import Engine
from fsm_engine.distributed.agreement import Agreement

_TRACED = ("<fsm_engine run", "run_loop.py", "engine/engine.py", "clock.py", "signals.py")


class DeadlockError(AssertionError):
    """Raised if no rank can run, and no message is on its way."""


class _AbortedError(BaseException):
    """Raised in the threads of the ranks to end them."""


class World:
    """The ranks, and all that they share.

    Args:
        seed: the seed of the choices.
        size: the number of ranks.
    """

    def __init__(self, seed: int, size: int) -> None:
        self.chance = random.Random(seed)
        self.pause_rate = self.chance.choice([0.02, 0.1, 0.5])
        self.look_rate = self.chance.choice([0.05, 0.3, 1.0])
        self.messages: list[dict[str, Any]] = []
        self.store = MemoryStore()
        self.ranks = [Rank(self, number) for number in range(size)]

    def run(self, program: Callable[[Rank], Any]) -> list[Any]:
        """Return the results of ``program(rank)``.

        Raises:
            DeadlockError: the ranks wait for each other.
        """
        for rank in self.ranks:
            rank.start(program)
        try:
            while not all(rank.has_ended for rank in self.ranks):
                steps = [(rank, step) for rank in self.ranks for step in rank.steps()]
                if not steps and not any(rank.log.look() for rank in self.ranks):
                    raise DeadlockError([rank.places() for rank in self.ranks])
                if steps:
                    weights = [rank.speed if step == rank.run else 1.0 for rank, step in steps]
                    self.chance.choices(steps, weights)[0][1]()
                if self.chance.random() < self.look_rate:
                    self.chance.choice(self.ranks).log.look()
                if self.chance.random() < 0.02:
                    self.chance.choice(self.ranks).speed = self.chance.choice([0.1, 1.0, 10.0])
        finally:
            for rank in self.ranks:
                rank.abort()
        return [rank.result for rank in self.ranks]


class Rank:
    """One rank: its thread, its ends of the log, and its pending work."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number, self.speed = world, number, 1.0
        self.log = MemoryLog(world, number)
        self.engines: list[Engine] = []
        self.has_ended, self.result, self._error = False, None, None
        self._is_aborted = False
        self._is_ready: Callable[[], bool] = lambda: True
        self._arrivals = 0
        self._go, self._stopped = threading.Lock(), threading.Lock()  # each is released once per acquisition
        self._go.acquire()
        self._stopped.acquire()

    def attach(self, *engines: Engine) -> None:
        """Let `engines` agree with the other ranks."""
        for engine in engines:
            agreement = Agreement(engine, str(len(self.engines)), self.log, NoFailures(), 1e6)  # type: ignore[arg-type]
            agreement._changed = Condition(self)  # type: ignore[assignment]
            engine._agreement = agreement
            self.engines.append(engine)

    def places(self) -> list[str]:
        """Return where the engines are."""
        return [f"{engine.phase} {engine.state.epoch} {engine.state.iteration}" for engine in self.engines]

    # Called in the thread of the rank

    def pause(self, is_ready: Callable[[], bool] = lambda: True) -> None:
        """Let others run until the scheduler chooses this rank, which it may do if ``is_ready()``."""
        self._is_ready = is_ready
        self._stopped.release()
        self._go.acquire()
        if self._is_aborted:
            raise _AbortedError

    def maybe_pause(self) -> None:
        """Let others run, or continue."""
        if self.world.chance.random() < self.world.pause_rate:
            self.pause()

    def meet(self) -> None:
        """Wait for the other ranks, as a collective does."""
        self._arrivals += 1
        number = self._arrivals
        self.pause(lambda: all(rank._arrivals >= number for rank in self.world.ranks))

    # Called by the scheduler

    def start(self, program: Callable[[Rank], Any]) -> None:
        """Start the thread, which stops before its first step."""

        def run() -> None:
            self._go.acquire()
            sys.settrace(self._trace)
            try:
                self.result = program(self)
            except _AbortedError:
                pass
            except BaseException as error:
                self._error = error
            finally:
                sys.settrace(None)
                self.has_ended = True
                self._stopped.release()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def steps(self) -> list[Callable[[], None]]:
        """Return the steps that this rank can take now."""
        steps: list[Callable[[], None]] = [*self.log.steps()]
        if not self.has_ended and self._is_ready():
            steps.append(self.run)
        return steps

    def run(self) -> None:
        """Run the thread until it stops or ends."""
        self._go.release()
        self._stopped.acquire()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """End the thread."""
        self._is_aborted = True
        while not self.has_ended:
            self._go.release()
            self._stopped.acquire()

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        return self._trace_line if name.startswith(_TRACED[0]) or name.endswith(_TRACED[1:]) else None

    def _trace_line(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            self.maybe_pause()
        return self._trace_line


class Condition:
    """A `threading.Condition` for ranks that are not stopped while they hold it."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def notify_all(self) -> None:
        pass

    def wait_for(self, is_true: Callable[[], bool], timeout: float) -> bool:
        if not is_true():
            self._rank.pause(is_true)
        return True


class NoFailures:
    """`Failures` without any."""

    has_other = False

    def report(self, error: BaseException, place: str) -> None:
        pass


class MemoryStore(dict[str, str]):
    """The methods of a c10d store that an agreement needs."""

    set = dict.__setitem__

    def check(self, keys: Sequence[str]) -> bool:
        return all(key in self for key in keys)

    def multi_get(self, keys: Sequence[str]) -> list[str]:
        return [self[key] for key in keys]


class MemoryLog:
    """`EventLog` whose messages are posted and delivered, and whose threads make a step, when the scheduler says so."""

    is_closed = is_lost = False

    def __init__(self, world: World, rank: int) -> None:
        self.world, self.rank, self.store = world, rank, world.store
        self._outbox: list[str] = []
        self._receivers: list[Callable[[int, dict[str, Any]], None]] = []
        self._received = 0
        self._promises: list[tuple[Callable[..., bool], Any]] = []
        self._decisions: list[tuple[Callable[..., Any], Any]] = []

    @property
    def world_size(self) -> int:
        return len(self.world.ranks)

    def subscribe(self, receiver: Callable[[int, dict[str, Any]], None]) -> None:
        for number in range(self._received):
            receiver(number + 1, self.world.messages[number])
        self._receivers.append(receiver)

    def post(self, message: dict[str, Any]) -> None:
        self._outbox.append(json.dumps({"rank": self.rank, **message}))

    def start_thread(self, function: Callable[..., Any], argument: Any) -> None:
        if function.__name__ == "_decide":
            self._decisions.append((function, argument))
        else:
            self._promises.append((function.__self__._has_promised, argument))  # type: ignore[attr-defined]

    def steps(self) -> list[Callable[[], None]]:
        """Return the steps that the threads of the log can take now."""
        steps: list[Callable[[], None]] = []
        if self._outbox:
            steps.append(lambda: self.world.messages.append(json.loads(self._outbox.pop(0))))
        if self._received < len(self.world.messages):
            steps.append(self._deliver)
        steps += [lambda work=work: self._decide(work) for work in self._decisions if self._can_decide(*work)]
        return steps

    def look(self) -> bool:
        """Let each thread that waits for a promise look at the run once; return True if one has made its promise."""
        made = [current for has_promised, current in self._promises if has_promised(current)]
        self._promises = [(function, current) for function, current in self._promises if current not in made]
        return bool(made)

    def _can_decide(self, decide: Callable[..., Any], current: Any) -> bool:
        key = decide.__self__._key  # type: ignore[attr-defined]
        return self.store.check([key(current.number, rank) for rank in range(self.world_size)])

    def _decide(self, work: tuple[Callable[..., Any], Any]) -> None:
        self._decisions.remove(work)
        work[0](work[1])

    def _deliver(self) -> None:
        self._received += 1
        for receiver in self._receivers:
            receiver(self._received, self.world.messages[self._received - 1])
