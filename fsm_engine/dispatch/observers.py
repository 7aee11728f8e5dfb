"""Observers: functions that are called with every move of a run and cannot break it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.graph.transitions import Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher

Observer = Callable[[Any, Transition], Any]


class Observation:
    """Removes an observer by `remove()`, or at the end of a ``with`` block. It refers to the engine weakly."""

    def __init__(self, engine: EventDispatcher, observer: Observer, is_trusted: bool) -> None:
        self.observer, self.is_trusted = observer, is_trusted
        self._engine = weakref.ref(engine)

    def remove(self) -> None:
        """Remove the observer. Do nothing if it is removed already, or if the engine no longer exists."""
        engine = self._engine()
        if engine is not None and engine._observers.discard(self):
            engine._invalidate()

    def __enter__(self) -> Observation:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Observers:
    """The observers of one engine."""

    def __init__(self) -> None:
        self._all: dict[Observation, None] = {}  # a dictionary, because adding and removing a key is atomic

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def notifier(self) -> Observer | None:
        """The function to call with each move: `notify`, or a single trusted observer; None if there is none."""
        if not self._all:
            return None
        observations = list(self._all)
        if len(observations) == 1 and observations[0].is_trusted:
            return observations[0].observer
        return self.notify

    def add(self, engine: EventDispatcher, observer: Observer, is_trusted: bool = False) -> Observation:
        """Add `observer` after the others.

        A trusted observer is called without the protection of `notify`: it must not raise, and it must accept a move
        that happens after its removal.

        Raises:
            TypeError: `observer` is not callable, or a call does not run it: it is a coroutine or generator function.
        """
        if not callable(observer):
            raise TypeError(f"an observer is called as observer(engine, transition), but {observer!r} is not callable.")
        check_runs_when_called(observer, "the observer")
        observation = Observation(engine, observer, is_trusted)
        self.insert(observation)
        return observation

    def insert(self, observation: Observation) -> None:
        """Add an observation that was made before, so that an exception leaves no observer that nothing can remove."""
        self._all[observation] = None

    def discard(self, observation: Observation) -> bool:
        """Remove `observation`, and return True if it was present."""
        return self._all.pop(observation, self) is None

    def notify(self, engine: EventDispatcher, transition: Transition) -> None:
        """Call every observer; remove one that raises, and log its exception."""
        for observation in list(self._all):
            try:
                observation.observer(engine, transition)
            except Exception:
                engine.logger.exception("Observer %r raised at %s and is removed.", observation.observer, transition)
                observation.remove()
