"""`Control`: pauses the runs of an inspector and executes its commands, in the thread of the run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import get_ident
from time import perf_counter_ns
from typing import Any, Protocol

from fsm_engine.engine.engine import Engine
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.transitions import Transition
from fsm_engine.inspector.breakpoints import Breakpoint, read_breakpoint
from fsm_engine.inspector.counters import place_text
from fsm_engine.inspector.errors import CommandError
from fsm_engine.inspector.failures import describe_failure
from fsm_engine.inspector.inspected import InspectedEngine
from fsm_engine.inspector.look import look
from fsm_engine.inspector.offers import Offer
from fsm_engine.inspector.ranks import has_ranks
from fsm_engine.inspector.saving import find_checkpoint, save_now
from fsm_engine.runtime import pauses
from fsm_engine.timeline.recorder import Recorder

RANKS = "the run has several ranks, and a pause of one of them would block the others."
_MOST_GONE = 50
"""The most engines that are kept after they no longer exist."""

_MOST_WAITING = 1000
"""The most commands that wait for the next move."""

_CHECK_EVERY = 0.2
"""Seconds after which a paused run looks for requests that did not come from a page."""


class Listener(Protocol):
    """Receives the messages of a control, in any thread."""

    @property
    def is_alive(self) -> bool:
        """Whether somebody can still send commands."""
        ...

    def new_id(self) -> int:
        """Return a number for an engine."""
        ...

    def new_breakpoint(self) -> int:
        """Return a number for a breakpoint."""
        ...

    def new_heading(self, name: str) -> str:
        """Return a heading for an inspected engine with this name."""
        ...

    def publish(self, message: Mapping[str, Any]) -> None:
        """Send a message to all pages."""


@dataclass(frozen=True)
class Command:
    """A message of a page.

    Attributes:
        message: its content.
        reply: called once with whether the command was executed, and with a text.
    """

    message: Mapping[str, Any]
    reply: Callable[[bool, str], None]


@dataclass(frozen=True)
class StopAt:
    """Where the run pauses next.

    Attributes:
        why: ``pause``, ``step`` or ``save``.
        scope: the scope that the run has to enter; None for any move.
        engine: the engine whose moves count; None for all.
    """

    why: str
    scope: str | None = None
    engine: InspectedEngine | None = None

    def matches(self, inspected: InspectedEngine, engine: Engine, transition: Transition) -> bool:
        """Return True if the run pauses at this move."""
        if self.engine not in (None, inspected):
            return False
        if self.scope is None:
            return True
        phases, index = engine.lifecycle.graph.phases, engine.lifecycle.graph.index
        source, target = (phases[index[end]].scope for end in (transition.source, transition.target))  # type: ignore[index]
        return self.scope in _names(target) and self.scope not in _names(source)


@dataclass(frozen=True)
class Pause:
    """The present pause.

    Attributes:
        inspected: the engine that is held.
        start: when the pause began, in nanoseconds of the monotonic clock.
        at: the move after which it is held.
        why: the reason.
    """

    inspected: InspectedEngine
    start: int
    at: str
    why: str


class Control:
    """The gate of the recorders of an inspected engine and of the engines that run inside it.

    Commands come from any thread. Those that concern a run are executed in its thread: after its next observed move, or
    while it is paused.

    Attributes:
        wanted: whether the run has to call `stop` after its next move.
        engines: the engines, the outermost first.
        pause: the present pause; None while no run is held.
        breakpoints: the breakpoints by number.
        offers: the scalars that the user offers, by name.
        is_closed: True once the inspector was closed.
    """

    def __init__(self, listener: Listener) -> None:
        self.wanted = self.is_closed = False
        self.engines: list[InspectedEngine] = []
        self.pause: Pause | None = None
        self.breakpoints: dict[int, Breakpoint] = {}
        self.offers: dict[str, Offer] = {}
        self._listener = listener
        self._commands: deque[Command] = deque()
        self._arrived = threading.Event()
        self._lock = threading.RLock()
        self._stop_at: StopAt | None = None
        self._is_released = False
        self._wants_values = False

    # Called by recorders, in the thread of the run

    def add(self, recorder: Recorder, engine: Engine) -> None:
        """Add an engine."""
        self._drop_old_engines(recorder)
        running = [one for one in self.engines if one.engine is not None and one.engine.is_running]
        name = recorder.track.name
        heading = name if self.engines else self._listener.new_heading(name)
        parent = running[-1] if running else None
        self.engines.append(InspectedEngine(self._listener.new_id(), recorder, engine, heading, parent))
        if engine.is_running:
            self.begin(engine)

    def _drop_old_engines(self, recorder: Recorder) -> None:
        """Keep the records of the last engines that no longer exist, such as one evaluator for each epoch."""
        gone = [one for one in self.engines if one.engine is None and one.parent is not None]
        for one in gone:
            one.recorder.track.release()
        for one in gone[:-_MOST_GONE]:
            self.engines.remove(one)
            recorder.timeline.tracks.remove(one.recorder.track)
            for other in self.engines:
                other.recorder.forget_nested(one.recorder)

    def begin(self, engine: Engine) -> None:
        """Note that a run begins."""
        inspected = self.find(engine)
        if self.pause is None or self.pause.inspected is inspected:  # an exception left it behind
            self.pause = None
            pauses.end_stale_pause()
        self.wanted = True  # an exception in `stop` may have left it False
        inspected.thread, inspected.first_iteration = get_ident(), engine.state.iteration
        inspected.outcome = ""

    def end(self, engine: Engine, error: BaseException | None) -> None:
        """Note that a run has ended, and publish its exception."""
        inspected, outcome = self.find(engine), engine._cursor.outcome
        inspected.outcome = "" if outcome is None else str(outcome)
        if self._stop_at is not None and self._stop_at.engine is inspected:
            self._stop_at = StopAt(self._stop_at.why)
        if error is not None:
            try:
                self._listener.publish(describe_failure(inspected, engine, error))
            except Exception:
                engine.logger.exception("The inspector could not describe the exception that ended the run.")

    def stop(self, engine: Engine, transition: Transition) -> None:
        """Execute the commands that have arrived, and hold the run if it has to pause at this move."""
        self.wanted = False  # first, so that a command that arrives from here on sets it again
        try:
            if self.pause is None:  # else a run in another thread, or around this one, is held and executes them
                self._execute_commands()
                why = None if self.is_closed else self._why_to_hold(engine, transition)
                if why is not None:
                    self._hold(engine, transition, why)
        except Exception:
            engine.logger.exception("The inspector failed at %s; the run continues.", transition)
        finally:
            if self._commands or self._stop_at is not None or self.breakpoints or self._wants_values:
                self.wanted = True

    # Called in any thread

    def find(self, engine: Engine) -> InspectedEngine:
        """Return the record of `engine`."""
        return next(one for one in self.engines if one.engine is engine)

    @property
    def has_ranks(self) -> bool:
        """True if one of the engines belongs to a run with several processes."""
        return any(one.engine is not None and has_ranks(one.engine) for one in list(self.engines))

    @property
    def is_running(self) -> bool:
        """True if one of the engines runs."""
        return any(one.engine is not None and one.engine.is_running for one in list(self.engines))

    def submit(self, command: Command) -> None:
        """Let the run execute a command. Without a run it is executed at once, or refused if it needs one."""
        if len(self._commands) >= _MOST_WAITING:
            command.reply(False, f"{_MOST_WAITING} commands wait for the next move of the run already.")
            return
        self._commands.append(command)
        self.wanted = True
        self._arrived.set()
        self.answer()

    def answer(self) -> None:
        """Execute the commands that wait if no run will do it: they came after the last move of a run."""
        if self._commands and not self.is_running:
            self._execute_commands()

    def ask_for_values(self) -> None:
        """Let the run read the values of the offers after its next move."""
        if self.offers and self.is_running:
            self._wants_values = self.wanted = True
            self._arrived.set()

    def pause_at_next_move(self) -> None:
        """Pause the run after its next move, or the next run after its first one."""
        self._stop_at, self.wanted = StopAt("pause"), True

    def close(self) -> None:
        """Release a paused run, and pause no other."""
        self.is_closed = True
        self._arrived.set()

    # Pauses

    def _why_to_hold(self, engine: Engine, transition: Transition) -> str | None:
        if (self._stop_at is not None or self.breakpoints) and self.has_ranks:
            self._forget_pauses()
            return None
        if self._stop_at is not None and self._stop_at.matches(self.find(engine), engine, transition):
            why, self._stop_at = self._stop_at.why, None
            return why
        for one in list(self.breakpoints.values()):
            if one.engine == self.find(engine).id and one.matches(engine, transition):
                one.hits += 1
                if one.once:
                    del self.breakpoints[one.number]
                self.publish_breakpoints()
                return f"breakpoint {one.number}: {one}"
        return None

    def _forget_pauses(self) -> None:
        """Drop pauses and breakpoints that were asked for before the run had several ranks."""
        self._stop_at = None
        self.breakpoints.clear()
        self.publish_breakpoints()
        self._listener.publish({"type": "note", "text": f"The run is not paused: {RANKS}"})

    def _hold(self, engine: Engine, transition: Transition, why: str) -> None:
        """Hold the run until a command releases it, or until nobody can send one."""
        inspected, start, requested = self.find(engine), perf_counter_ns(), self._requests()
        self._is_released = False
        with pauses.pause():
            try:
                self.pause = Pause(inspected, start, place_text(engine, transition), why)
                self._look()
                while not self._is_released and self._listener.is_alive and not self.is_closed:
                    self._arrived.clear()
                    self._execute_commands()
                    if self._is_released or self._requests() - requested:
                        break
                    self._arrived.wait(_CHECK_EVERY)
            finally:
                self.pause = None
                inspected.recorder.write_pause(start)

    def _requests(self) -> set[tuple[int, Any]]:
        """Return the signals that wait, by engine: a run that somebody wants to stop is not held."""
        engines = [one.engine for one in self.engines if one.engine is not None]
        return {(id(engine), signal) for engine in engines for signal in tuple(engine._signals.requests)}

    def _look(self) -> None:
        assert self.pause is not None
        inspected, self._wants_values = self.pause.inspected, True
        engine = inspected.engine
        if engine is not None:
            shown = {"engine": inspected.id, "at": self.pause.at, "why": self.pause.why}
            self._listener.publish({"type": "look", **shown, **look(engine)})
        self._read_values()

    def _read_values(self) -> None:
        if self._wants_values:
            self._wants_values = False
            changed = [offer for offer in self.offers.values() if offer.refresh()]
            if changed:
                self.publish_offers()

    def publish_offers(self) -> None:
        """Send the offers to all pages."""
        self._listener.publish({"type": "offers", "offers": [one.describe() for one in self.offers.values()]})

    def publish_breakpoints(self) -> None:
        """Send the breakpoints to all pages."""
        described = [one.describe() for one in list(self.breakpoints.values())]
        self._listener.publish({"type": "breakpoints", "breakpoints": described})

    # Commands

    def _execute_commands(self) -> None:
        with self._lock:
            if self.is_running:
                self._read_values()
            while self._commands:
                command = self._commands.popleft()
                try:
                    text = self._execute(command)
                except CommandError as error:
                    command.reply(False, str(error))
                except BaseException as error:
                    command.reply(False, f"{type(error).__name__}: {error}")
                    if not isinstance(error, Exception):
                        raise
                else:
                    if text is not None:
                        command.reply(True, text)

    def _execute(self, command: Command) -> str | None:
        """Execute a command and return the text of the reply; None if the reply comes later."""
        message = command.message
        inspected = next((one for one in self.engines if one.id == message.get("engine")), self.engines[0])
        execute = _COMMANDS.get(str(message.get("command")))
        if execute is None:
            raise CommandError(f"unknown command; the commands are {', '.join(_COMMANDS)}.")
        return execute(self, inspected, command)

    def _refuse_ranks(self) -> None:
        if self.has_ranks:
            raise CommandError(RANKS)

    def _do_pause(self, _inspected: InspectedEngine, _: Command) -> str:
        self._refuse_ranks()
        if self.pause is not None:
            raise CommandError("the run is paused already.")
        self._stop_at = StopAt("pause")
        return "The run pauses at its next move."

    def _do_continue(self, _inspected: InspectedEngine, _: Command) -> str:
        if self.pause is None and self._stop_at is None:
            raise CommandError("the run is not paused.")
        self._stop_at, self._is_released = None, True
        return "The run continues."

    def _do_step(self, inspected: InspectedEngine, command: Command) -> str:
        self._refuse_ranks()
        by = command.message.get("by", "phase")
        engine = self.pause.inspected if self.pause is not None else inspected
        scopes = _scopes(engine)
        if by != "phase" and by not in scopes:
            raise CommandError(f'"by" has to be phase or one of the scopes {", ".join(scopes)}.')
        self._stop_at = StopAt("step") if by == "phase" else StopAt("step", str(by), engine)
        self._is_released = True
        return "The run pauses at its next move." if by == "phase" else f"The run pauses at the next {by}."

    def _do_break(self, inspected: InspectedEngine, command: Command) -> str:
        self._refuse_ranks()
        if len(self.breakpoints) >= 100:
            raise CommandError("there are 100 breakpoints already. Remove one.")
        graph = _alive(inspected).lifecycle.graph
        new = read_breakpoint(self._listener.new_breakpoint(), inspected.id, graph, command.message)
        self.breakpoints[new.number] = new
        self.publish_breakpoints()
        return f"The run pauses at {new}."

    def _do_unbreak(self, _inspected: InspectedEngine, command: Command) -> str:
        number = command.message.get("number")
        if type(number) is not int or self.breakpoints.pop(number, None) is None:
            raise CommandError("there is no breakpoint with this number.")
        self.publish_breakpoints()
        return f"Breakpoint {number} is removed."

    def _do_terminate(self, inspected: InspectedEngine, _: Command) -> str:
        _endable(inspected).terminate()
        self._is_released = True
        return "The run ends at the next safe place."

    def _do_terminate_epoch(self, inspected: InspectedEngine, _: Command) -> str:
        _endable(inspected).terminate_epoch()
        self._is_released = True
        return "The epoch ends at the next safe place."

    def _do_suspend(self, inspected: InspectedEngine, _: Command) -> str:
        try:
            _endable(inspected).interrupt()
        except RuntimeError as error:
            raise CommandError(str(error)) from error
        self._is_released = True
        return "run() returns at the next safe place. The next run() resumes there."

    def _do_save(self, inspected: InspectedEngine, command: Command) -> None:
        engine = _running(inspected)
        self._refuse_ranks()
        checkpoint, entry = find_checkpoint(engine)
        was_paused = self.pause is not None

        def save(engine: Engine) -> None:
            saved, text = save_now(engine, checkpoint, entry)
            if was_paused:
                self._stop_at, self.wanted = StopAt("save"), True
            command.reply(saved, text)
            self._listener.publish({"type": "note", "text": text})

        engine.call_when_safe(save)
        self._is_released = True

    def _do_look(self, _inspected: InspectedEngine, _: Command) -> str:
        if self.pause is None:
            raise CommandError("the run is not paused.")
        self._look()
        return ""

    def _do_set(self, _inspected: InspectedEngine, command: Command) -> str | None:
        name = command.message.get("name")
        offer = self.offers.get(name) if isinstance(name, str) else None
        if offer is None:
            raise CommandError(f"nothing is offered under this name; offered are {', '.join(self.offers) or 'none'}.")
        if not self.is_running:
            raise CommandError("no run is active, and values are set in the thread of a run.")
        offer.change(command.message.get("value"))
        self.publish_offers()
        return f"{offer.name} = {offer.value}"


_COMMANDS: dict[str, Callable[[Control, InspectedEngine, Command], str | None]] = {
    name.removeprefix("_do_"): method for name, method in vars(Control).items() if name.startswith("_do_")
}


def _alive(inspected: InspectedEngine) -> Engine:
    engine = inspected.engine
    if engine is None:
        raise CommandError("this engine no longer exists.")
    return engine


def _running(inspected: InspectedEngine) -> Engine:
    engine = _alive(inspected)
    if not engine.is_running:
        raise CommandError("no run of this engine is active.")
    return engine


def _endable(inspected: InspectedEngine) -> Engine:
    """Return the engine, unless its run would end in this process only."""
    engine = _running(inspected)
    if engine._agreement is None and has_ranks(engine):
        raise CommandError(
            "the run has several ranks, which do not agree on its end, so the others would wait for this one. "
            "Attach the engine: ranks.attach(engine)."
        )
    return engine


def _scopes(inspected: InspectedEngine) -> list[str]:
    phases = _alive(inspected).lifecycle.graph.phases
    return list(dict.fromkeys(name for phase in phases for name in _names(phase.scope)))


def _names(scope: Scope | None) -> tuple[str, ...]:
    return () if scope is None else tuple(map(str, scope.path))
