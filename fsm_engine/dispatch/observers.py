"""Observers: told of every move of a run; they may look, and cannot break it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsm_engine.graph.transitions import Transition

if TYPE_CHECKING:
    from fsm_engine.dispatch.event_dispatcher import EventDispatcher

Observer = Callable[[Any, Transition], Any]


class Observation:
    """Ends with `remove()`, or as a context manager. It does not keep the engine alive."""

    def __init__(self, engine: EventDispatcher, observer: Observer, is_trusted: bool) -> None:
        self.observer, self.is_trusted = observer, is_trusted
        self._engine = weakref.ref(engine)

    def remove(self) -> None:
        """Tell the observer no more; nothing happens if it is gone already."""
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
        self._all: tuple[Observation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def notifier(self) -> Observer | None:
        """What tells all of them of a move; the observer itself if it is alone, and trusted. None if there is none."""
        if len(self._all) == 1 and self._all[0].is_trusted:
            return self._all[0].observer
        return self.notify if self._all else None

    def add(self, engine: EventDispatcher, observer: Observer, is_trusted: bool = False) -> Observation:
        """Add `observer`, behind those that are there.

        One that is trusted never raises, and takes it if it is told of a move after it was removed.

        Raises:
            TypeError: if it is not callable.
        """
        if not callable(observer):
            raise TypeError(f"an observer is called as observer(engine, transition), but {observer!r} is not callable.")
        observation = Observation(engine, observer, is_trusted)
        self._all += (observation,)
        return observation

    def discard(self, observation: Observation) -> bool:
        """Drop `observation`, and say whether it was there."""
        before = len(self._all)
        self._all = tuple(kept for kept in self._all if kept is not observation)
        return len(self._all) < before

    def notify(self, engine: EventDispatcher, transition: Transition) -> None:
        """Call every observer; one that raises is removed and its error logged."""
        for observation in self._all:
            try:
                observation.observer(engine, transition)
            except Exception:
                engine.logger.exception("Observer %r raised at %s and is removed.", observation.observer, transition)
                observation.remove()
