r"""A lifecycle as a dictionary of strings, numbers, lists and dictionaries: what every file format carries.

Keys of phases and transitions whose value would be empty are left out::

    {
        "format": "fsm_engine.lifecycle",
        "version": 1,
        "name": "training",
        "step": "train_step",
        "phases": [
            {
                "event": "Events.STARTED",       # or a string event as it is; the first phase is the initial one
                "scope": "engine.run",           # the path of scopes it lies in; a dot in a name is written \.
                "entry": ["start the clock"],
                "activity": "next batch",
                "payload": "error=",             # what handlers are given: names of arguments
                "defer": "the iteration is open",
                "counter": "rounds",             # the attribute of the state that counts it
                "floating": true,                # its scope is not settled yet
            },
        ],
        "transitions": [                         # in the order in which the exits of a phase are looked at
            {
                "from": "Events.STARTED",        # or "from_scope": "engine.run"
                "to": "Events.EPOCH_STARTED",    # or "to_history": "engine.run"
                "label": "next_epoch",
                "trigger": "automatic",          # or "signal" or "fired"
                "signal": "exception",
                "error": ["MemoryError"],
                "limit": 3,
                "guard": "nothing left to do",
                "action": "to come back to STARTED",
            },
        ],
        "required": [{"event": "P.A", "before": "P.B"}],
    }

What is done is there by name: that of a guard, action or activity of the library's own, or else of a function of the
user's, which ``bind`` gives back. Where the name alone would not do, it is an object instead::

    {
        "call": "score",            # shown by this name; "function" if it is called as it is, with the engine
        "bind": "score#2",          # bound by this one: "score" is another function
        "with": {"rounds": 3},      # what it is given, as far as JSON has it
        "with_bound": {"data": "score#2.data"},  # and what has to be bound, and by which names
    }
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Call, Code, Phase, Snippet, Transition, code_name
from fsm_engine.lifecycle.edits import counting
from fsm_engine.serialization import library
from fsm_engine.serialization.found import is_plain
from fsm_engine.serialization.keys import Keys, check_name

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle

FORMAT, VERSION = "fsm_engine.lifecycle", 1
PHASE = ("event", "scope", "entry", "activity", "payload", "defer", "counter", "floating")
"""The keys of a phase, in the order in which they are written; only the first is always there."""
ENDS = ("from", "from_scope", "to", "to_history")
TRANSITION = (*ENDS, "label", "trigger", "signal", "error", "limit", "guard", "action")
"""The keys of a transition, in the order in which they are written; of its ends there are two."""

DEEPEST = 32
"""How many scopes may lie in each other."""


def to_dict(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return `lifecycle` as a dictionary; see the module.

    Raises:
        LifecycleError: for what no file can hold, such as a name that cannot be printed.
    """
    return _Writer(lifecycle).written()


def path_of(scope: Scope) -> str:
    """Return the path of a scope as text: ``engine.run``."""
    if len(scope.path) > DEEPEST:
        raise LifecycleError(f"{scope} lies in more than {DEEPEST} scopes, which no file can hold.")
    return ".".join(escaped_name(check_name(one.name)) for one in scope.path)


def escaped_name(name: str) -> str:
    """Return the name of a scope as it is written in a path."""
    return re.sub(r"([.\\])", r"\\\1", name)


def outer_paths(path: str) -> list[tuple[str, str]]:
    """Return the path and the name of each scope on the way to that of `path`, outermost first; none if it is none."""
    names = re.finditer(r"(?:\\[.\\]|[^.\\])+", path)
    return [(path[: name.end()], re.sub(r"\\(.)", r"\1", name.group())) for name in names]


class _Writer:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self.keys = Keys(phase.event for phase in lifecycle.phases)

    def written(self) -> dict[str, Any]:
        lifecycle = self.lifecycle
        parts = {
            "format": FORMAT,
            "version": VERSION,
            "name": check_name(lifecycle.name),
            "step": None if lifecycle.step is None else self._step(lifecycle.step),
            "phases": self._distinct([self._phase(phase) for phase in lifecycle.phases]),
            "transitions": [self._transition(transition) for transition in lifecycle.transitions],
            "required": [
                {"event": self.keys.of_event(event), "before": self.keys.of_event(before)}
                for event, before in lifecycle._required
            ],
        }
        return {key: value for key, value in parts.items() if value or key == "transitions"}

    def _distinct(self, phases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [phase["event"] for phase in phases]
        for name in names if len(set(names)) < len(names) else ():
            if names.count(name) > 1:
                raise LifecycleError(f"two phases would be called {name} in a file. Rename one of them.")
        return phases

    def _phase(self, phase: Phase) -> dict[str, Any]:
        values = (
            self.keys.of_event(phase.event),
            None if phase.scope is None else path_of(phase.scope),
            [self._code(code, phase.counter) for code in phase.entry],
            None if phase.activity is None else self._code(phase.activity),
            _signature(phase),
            None if phase.defer is None else self._code(phase.defer),
            phase.counter,
            phase.event in self.lifecycle._floating,
        )
        return _without_empty(dict(zip(PHASE, values)))

    def _transition(self, transition: Transition) -> dict[str, Any]:
        if transition.via is not None:
            raise LifecycleError(
                f"{transition} stands for one from the scope {transition.via}, as successors() gives it. Add that one."
            )
        source, target = transition.source, transition.target
        values = (
            None if isinstance(source, Scope) else self.keys.of_event(source),
            path_of(source) if isinstance(source, Scope) else None,
            None if isinstance(target, Scope) else self.keys.of_event(target),
            path_of(target) if isinstance(target, Scope) else None,
            check_name(transition.label),
            transition.trigger.value,
            None if transition.signal is None else transition.signal.value,
            [self.keys.of_error(kind) for kind in transition.error],
            transition.limit,
            None if transition.guard is None else self._code(transition.guard),
            None if transition.action is None else self._code(transition.action),
        )
        return _without_empty(dict(zip(TRANSITION, values)))

    def _code(self, code: Code, counter: str | None = None) -> Any:
        if isinstance(code, Snippet):
            return self._snippet(code, counter)
        if not isinstance(code, Call):
            return self._function(code)
        key = self.keys.of(code.engine or code.function, code.name)
        plain = {name: value for name, value in code.kwargs.items() if is_plain(value)}
        bound = {
            check_name(name): self.keys.of(value, f"{key}.{name}")
            for name, value in code.kwargs.items()
            if name not in plain
        }
        parts = {"call": code.name, "bind": None if key == code.name else key, "with": plain, "with_bound": bound}
        written = _without_empty(parts)
        return written if len(written) > 1 or snippet_of(code.name, counter) else code.name

    def _snippet(self, code: Snippet, counter: str | None) -> str:
        key = library.key_of(code) or code.name
        if snippet_of(key, counter) != code:
            raise LifecycleError(f"the text of {code.name!r} is not the library's, so no file can hold it. Call it.")
        return key

    def _function(self, function: Any) -> dict[str, str]:
        name = code_name(function)
        key = self.keys.of(function, name)
        return {"function": name} if key == name else {"function": name, "bind": key}

    def _step(self, step: Any) -> Any:
        written = self._function(step)
        return written if "bind" in written else written["function"]


def snippet_of(name: str, counter: str | None) -> Snippet | None:
    """Return the library's guard, action or activity of that name, in a phase that `counter` counts."""
    counted = None if counter is None else counting(counter)
    return counted if counted is not None and counted.name == name else library.snippet(name)


def _signature(phase: Phase) -> str:
    signature = library.signature(phase.payload)
    if library.payload(signature) != phase.payload:
        raise LifecycleError(f"what {phase} hands to its handlers is not the library's, so no file can hold it.")
    return signature


def _without_empty(parts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value not in (None, "", [], {}) and value is not False}
