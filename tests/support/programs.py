"""Random training programs that run on any engine with Ignite's API and log its calls.

A program is plain data: the kind of data, the limits, the observed events, and the acts at the n-th firing of an event,
in a step or in the data. The same program runs on pytorch-ignite and on fsm_engine.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import strategies as st

EVENTS = (
    "STARTED",
    "EPOCH_STARTED",
    "GET_BATCH_STARTED",
    "GET_BATCH_COMPLETED",
    "ITERATION_STARTED",
    "ITERATION_COMPLETED",
    "EPOCH_COMPLETED",
    "COMPLETED",
    "DATALOADER_STOP_ITERATION",
    "EXCEPTION_RAISED",
    "TERMINATE",
    "TERMINATE_SINGLE_EPOCH",
    "INTERRUPT",
)
USER_CODE = ("step", "open", "fetch", "end")
SIGNALS = ("terminate", "terminate, skip", "terminate_epoch", "terminate_epoch, skip", "interrupt")
KINDS = ("list", "sized", "unsized", "generator", "endless", "none")


class Boom(Exception):
    """Exception that a program raises."""


class Runaway(BaseException):
    """Exception for a program that makes too many calls to end."""


@dataclass(frozen=True)
class Requests:
    """Functions that data calls: before each pass, before each batch, and when a fetch finds the end."""

    opened: Callable[[], Any] = int
    fetched: Callable[[], Any] = int
    ended: Callable[[], Any] = int


class Unsized:
    """Data without ``len`` that every pass restarts. With a length of None it is endless."""

    def __init__(self, length: int | None, requests: Requests) -> None:
        self.length, self.requests = length, requests

    def __iter__(self) -> Any:
        self.requests.opened()
        return Pass(self.length, self.requests)


class Sized(Unsized):
    """The same with a length."""

    def __len__(self) -> int:
        assert self.length is not None
        return self.length


class Pass:
    """Iterator of one pass over `Unsized` or `Sized`."""

    def __init__(self, length: int | None, requests: Requests) -> None:
        self.left = itertools.count() if length is None else iter(range(length))
        self.next, self.requests = next(self.left, None), requests

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> int:
        if self.next is None:
            self.requests.ended()
            raise StopIteration
        self.requests.fetched()
        batch, self.next = self.next, next(self.left, None)
        return 10 + batch


@dataclass(frozen=True)
class Run:
    """Arguments of one call of `run`."""

    has_data: bool = True
    max_epochs: int | None = None
    max_iters: int | None = None


@dataclass(frozen=True)
class Program:
    """Random program; see the module docstring."""

    kind: str
    length: int
    epoch_length: int | None
    runs: tuple[Run, ...]
    acts: dict[tuple[str, int], str] = field(hash=False)
    observed: tuple[str, ...] = EVENTS

    def data(self, requests: Requests) -> Any:
        """Return new data for the program, which makes `requests`."""
        if self.kind == "none":
            return None
        if self.kind == "list":
            return [10 + number for number in range(self.length)]
        if self.kind == "generator":
            return Pass(self.length, requests)
        if self.kind == "sized":
            return Sized(self.length, requests)
        return Unsized(None if self.kind == "endless" else self.length, requests)


class Recording:
    """Run of a program on the engine of `library`, with a log of its calls."""

    def __init__(self, library: Any, program: Program) -> None:
        self.log: list[Any] = []
        self.done: list[tuple[str, str]] = []
        self.ran_away = False
        self._counts: Counter[str] = Counter()
        self._program = program
        self.engine = library.Engine(self._step)
        self.engine.logger = logging.getLogger("silent")
        self.engine.logger.disabled = True
        for name in program.observed:
            event = library.Events[name]
            if name == "TERMINATE_SINGLE_EPOCH":
                self.engine.add_event_handler(event, self._terminated_epoch)
            elif name == "EXCEPTION_RAISED":
                self.engine.add_event_handler(event, self._raised)
            else:
                self.engine.add_event_handler(event, self._handler, name)

    def run(self) -> Recording:
        """Run the program."""
        data = self._program.data(Requests(*(partial(self._act, where) for where in ("open", "fetch", "end"))))
        for run in self._program.runs:
            self._call_run(data if run.has_data else None, run)
        self.log, log = [], self.log
        with contextlib.suppress(BaseException):  # pytorch-ignite's interrupted runs warn when they are deleted
            self.engine._internal_run_generator.close()
        self.log = log
        return self

    def _call_run(self, data: Any, run: Run) -> None:
        self.log.append("run")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self.engine.run(
                    data, max_epochs=run.max_epochs, max_iters=run.max_iters, epoch_length=self._program.epoch_length
                )
            self.log += ["short of data" for w in caught if "can not provide data" in str(w.message)]
            last = self.engine.last_event_name
            if last is not None and last.name in self._program.observed:
                self.log.append(("returned after", last.name))
        except (Exception, Runaway) as error:
            self.log.append(("raised", type(error).__name__, str(error)[:30]))

    def _step(self, engine: Any, batch: Any) -> Any:
        self.log.append(("step", engine.state.iteration, batch))
        self._act("step")
        return None if batch is None else batch * 2

    def _handler(self, engine: Any, name: str) -> None:
        state = engine.state
        self.log.append((name, state.epoch, state.iteration, state.batch, state.output))
        self._act(name)

    def _terminated_epoch(self, engine: Any, iter_counter: int) -> None:
        self.log.append(("iter_counter", iter_counter))
        self._handler(engine, "TERMINATE_SINGLE_EPOCH")

    def _raised(self, engine: Any, error: Exception) -> None:
        self.log.append(("error", type(error).__name__))
        self._handler(engine, "EXCEPTION_RAISED")

    def _act(self, where: str) -> None:
        self._counts[where] += 1
        if self._counts[where] > 500:
            self.ran_away = True
            raise Runaway
        what = self._program.acts.get((where, self._counts[where]))
        if what is None:
            return
        self.done.append((where, what))
        self.log.append(("does", what, where))
        if what == "raise":
            raise Boom(where)
        name, _, skip = what.partition(", ")
        getattr(self.engine, name)(*[True] if skip else [])


def programs() -> st.SearchStrategy[Program]:
    """Return a strategy of programs with up to three runs and up to three acts."""
    return st.builds(_program, st.randoms(use_true_random=False))


def _program(random: Any) -> Program:
    kind = random.choice(KINDS)
    needs_length = kind in ("endless", "none")
    by_iterations = random.random() < 0.3
    # On an exhausted generator, pytorch-ignite never ends a run of known epoch length under max_iters.
    once = kind == "generator" and by_iterations
    epoch_length = random.randint(1, 5) if needs_length or (not once and random.random() < 0.4) else None
    limit = random.randint(1, 9) if by_iterations else random.randint(1, 3)
    runs = [Run(max_iters=limit) if by_iterations else Run(max_epochs=limit)]
    for _ in range(0 if once else random.choice((0, 1, 1, 2))):
        runs.append(_next_run(random, limit, by_iterations))
    places = random.choices(EVENTS + USER_CODE, k=random.choice((0, 1, 1, 2, 3)))
    acts = {(place, random.randint(1, 3)): random.choice((*SIGNALS, "raise")) for place in places}
    observed = EVENTS if random.random() < 0.6 else tuple(e for e in EVENTS if random.random() < 0.5)
    return Program(kind, random.randint(1, 4), epoch_length, tuple(runs), acts, observed)


def _next_run(random: Any, limit: int, by_iterations: bool) -> Run:
    more = limit + random.randint(1, 3) if random.random() < 0.4 else None
    return Run(random.random() < 0.7, None if by_iterations else more, more if by_iterations else None)
