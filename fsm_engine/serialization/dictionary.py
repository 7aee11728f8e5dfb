r"""A lifecycle as a dictionary of strings, numbers, lists and dictionaries, the content of every file format.

Keys of phases and transitions are left out where their value is empty::

    {
        "format": "fsm_engine.lifecycle",
        "version": 1,
        "name": "training",
        "step": "train_step",
        "phases": [
            {
                "event": "Events.STARTED",       # or a string event; the first phase is the initial one
                "scope": "engine.run",           # path of scopes, outermost first; a dot in a name is written \.
                "entry": ["start the clock"],
                "activity": "next batch",
                "payload": "error=",             # names of the arguments that handlers receive
                "defer": "the iteration is open",
                "counter": "rounds",             # attribute of the state that counts the phase's entries
                "unscoped": true,                # the first phase that leads here decides its scope
            },
        ],
        "transitions": [                         # in the order in which the exits of a phase are tried
            {
                "from": "Events.STARTED",        # or "from_scope": "engine.run"
                "to": "Events.EPOCH_STARTED",    # or "to_history": "engine.run"
                "label": "next_epoch",
                "trigger": "automatic",          # or "signal" or "fired"
                "signal": "exception",
                "error": ["MemoryError"],
                "limit": 3,
                "guard": "nothing left to do",
                "action": "set the history to STARTED",
            },
        ],
        "required": [{"event": "P.A", "before": "P.B"}],
    }

Guards, actions and activities are names: of the library's own, or of a user's function, which ``bind`` supplies. Where
a name alone is ambiguous or incomplete, an object takes its place::

    {
        "call": "score",            # displayed name; "function" instead for one called with the engine alone
        "bind": "score#2",          # name in ``bind``, because "score" is another function
        "with": {"rounds": 3},      # keyword arguments that JSON can hold
        "with_bound": {"data": "score#2.data"},  # keyword arguments that ``bind`` supplies, by their names in it
    }
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, UserCallable, code_name
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.edits import count_action
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization import library
from fsm_engine.serialization.binding_names import BindingNames, check_name
from fsm_engine.serialization.values import is_json

FORMAT, VERSION = "fsm_engine.lifecycle", 1
PHASE_KEYS = ("event", "scope", "entry", "activity", "payload", "defer", "counter", "unscoped")
"""The keys of a phase in the order in which they are written. Only ``event`` is always present."""
END_KEYS = ("from", "from_scope", "to", "to_history")
TRANSITION_KEYS = (*END_KEYS, "label", "trigger", "signal", "error", "limit", "guard", "action")
"""The keys of a transition in the order in which they are written. Two of the four `END_KEYS` are present."""

MAX_SCOPE_DEPTH = 32


def to_dict(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return `lifecycle` as a dictionary in the form that this module describes.

    Raises:
        LifecycleError: a file cannot hold something in the lifecycle, such as a name that is not printable.
    """
    return _Writer(lifecycle).document()


def path_of(scope: Scope) -> str:
    """Return the path of a scope as text, such as ``engine.run``."""
    if len(scope.path) > MAX_SCOPE_DEPTH:
        raise LifecycleError(f"{scope} is nested deeper than {MAX_SCOPE_DEPTH} scopes, the limit for files.")
    return ".".join(escaped_name(check_name(one.name)) for one in scope.path)


def escaped_name(name: str) -> str:
    """Return the name of a scope with dots and backslashes escaped, as in a path."""
    return re.sub(r"([.\\])", r"\\\1", name)


def split_path(path: str) -> list[tuple[str, str]]:
    """Return the path and the name of each scope on `path`, outermost first; an empty list for an empty path."""
    names = re.finditer(r"(?:\\[.\\]|[^.\\])+", path)
    return [(path[: name.end()], re.sub(r"\\(.)", r"\1", name.group())) for name in names]


def is_within(path: str, scope: str) -> bool:
    """Return True if the scope at `path` is `scope` or nested in it."""
    return path == scope or path.startswith(f"{scope}.")


class _Writer:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self.names = BindingNames(phase.event for phase in lifecycle.phases)

    def document(self) -> dict[str, Any]:
        lifecycle = self.lifecycle
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "name": check_name(lifecycle.name),
            "step": None if lifecycle.step is None else self._step(lifecycle.step),
            "phases": _check_distinct([self._phase(phase) for phase in lifecycle.phases]),
            "transitions": [self._transition(transition) for transition in lifecycle.transitions],
            "required": [
                {"event": self.names.of_event(event), "before": self.names.of_event(before)}
                for event, before in lifecycle._required
            ],
        }
        return {key: value for key, value in fields.items() if value or key == "transitions"}

    def _phase(self, phase: Phase) -> dict[str, Any]:
        values = (
            self.names.of_event(phase.event),
            None if phase.scope is None else path_of(phase.scope),
            [self._code(code, phase.counter) for code in phase.entry],
            self._code(phase.activity),
            _signature(phase),
            self._code(phase.defer),
            phase.counter,
            phase.event in self.lifecycle._unscoped,
        )
        return _without_empty(dict(zip(PHASE_KEYS, values)))

    def _transition(self, transition: Transition) -> dict[str, Any]:
        if transition.via is not None:
            raise LifecycleError(
                f"{transition} is one phase's share of a transition from the scope {transition.via}, as successors() "
                f"returns it. Add the transition from the scope instead."
            )
        source, target = transition.source, transition.target
        values = (
            None if isinstance(source, Scope) else self.names.of_event(source),
            path_of(source) if isinstance(source, Scope) else None,
            None if isinstance(target, History) else self.names.of_event(target),
            path_of(target.scope) if isinstance(target, History) else None,
            check_name(transition.label),
            transition.trigger.value,
            None if transition.signal is None else transition.signal.value,
            [self.names.of_exception_class(one) for one in transition.error],
            transition.limit,
            self._code(transition.guard),
            self._code(transition.action),
        )
        return _without_empty(dict(zip(TRANSITION_KEYS, values)))

    def _code(self, code: Code | None, counter: str | None = None) -> Any:
        if code is None:
            return None
        if isinstance(code, CodeFragment):
            return _fragment(code, counter)
        if not isinstance(code, UserCallable):
            return self._function(code)
        name = self.names.of(code.engine or code.function, code.name)
        plain = {key: value for key, value in code.kwargs.items() if is_json(value)}
        bound = {
            check_name(key): self.names.of(value, f"{name}.{key}")
            for key, value in code.kwargs.items()
            if key not in plain
        }
        bind = None if name == code.name else name
        fields = _without_empty({"call": code.name, "bind": bind, "with": plain, "with_bound": bound})
        return fields if len(fields) > 1 or fragment_named(code.name, counter) else code.name

    def _function(self, function: Any) -> dict[str, str]:
        displayed = code_name(function)
        name = self.names.of(function, displayed)
        return {"function": displayed} if name == displayed else {"function": displayed, "bind": name}

    def _step(self, step: Any) -> Any:
        fields = self._function(step)
        return fields if "bind" in fields else fields["function"]


def _check_distinct(phases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for name, uses in Counter(phase["event"] for phase in phases).items():
        if uses > 1:
            raise LifecycleError(f"two phases have the name {name} in a file. Rename one of them.")
    return phases


def _fragment(code: CodeFragment, counter: str | None) -> str:
    name = library.name_of(code) or code.name
    if fragment_named(name, counter) != code:
        raise LifecycleError(f"{code.name!r} is a CodeFragment of your own, which a file cannot hold. Use a function.")
    return name


def fragment_named(name: str, counter: str | None) -> CodeFragment | None:
    """Return the library's guard, action or activity with this name, in a phase with this counter."""
    counted = None if counter is None else count_action(counter)
    return counted if counted is not None and counted.name == name else library.fragment(name)


def _signature(phase: Phase) -> str:
    signature = library.signature(phase.payload)
    if library.payload(signature) != phase.payload:
        raise LifecycleError(f"{phase} has a payload of your own, which a file cannot hold. Use the library's.")
    return signature


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in (None, "", [], {}) and value is not False}
