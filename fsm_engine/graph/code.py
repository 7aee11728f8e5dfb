"""Code in a graph: guards, actions and activities, as text of the library or as callables of users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, TypeGuard

NAMES = {
    "state": "engine.state",
    "cursor": "engine._cursor",
    "clocks": "engine._clocks",
    "signals": "engine._signals",
    "data_pass": "engine._data_pass",
    "failure": "engine._failure",
    "step": "engine._process_function",
}
"""The names that generated code may use besides ``engine``, and their values."""


@dataclass(frozen=True)
class CodeFragment:
    """A guard or an action of the library's own, as Python text that the emitted function contains.

    The text may use ``engine``, `NAMES`, and whatever `names` binds. Only the library writes snippets; users' guards
    and activities are functions, and are called.

    Attributes:
        text: an expression for a guard, statements for an action or activity.
        runs_user_code: whether it calls something of the user's, which may signal or change handlers.
        is_step: whether it calls the step, which may fire phases.
        settled: for a guard: its value is fixed while the function runs, so the function is emitted for it.
    """

    name: str
    text: str
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)
    runs_user_code: bool = False
    is_static: bool = False
    is_step: bool = False

    def _function(self, body: str) -> Callable[[Any], Any]:
        lines = [
            "def run(engine):",
            *(f"{name} = {value}" for name, value in NAMES.items()),
            *body.splitlines(),
        ]
        scope = dict(self.names)
        exec("\n    ".join(lines), scope)
        return scope["run"]  # type: ignore[no-any-return]

    @cached_property
    def as_guard(self) -> Callable[[Any], bool]:
        """The snippet as a function of the engine that gives the value of its text."""
        return self._function(f"return {self.text}")

    @cached_property
    def as_action(self) -> Callable[[Any], None]:
        """The snippet as a function of the engine that runs its text."""
        return self._function(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        return CodeFragment, (self.name, self.text, self.names, self.runs_user_code, self.is_static, self.is_step)


@dataclass(frozen=True)
class UserCallable:
    """A function of the user's as a guard, action or activity: called as a handler is.

    Attributes:
        function: what is called; for an engine, its `run`.
        name: under which it is shown.
        takes_engine: whether it is given the engine first.
        kwargs: what else it is given.
        keeps: for an activity: whether its result, unless None, becomes ``engine.state.output``.
        engine: the engine, if that is what runs.
    """

    function: Callable[..., Any]
    name: str
    takes_engine: bool = True
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    sets_output: bool = False
    engine: Any = None

    def __call__(self, engine: Any) -> Any:
        """Call the function for `engine`."""
        return self.function(engine, **self.kwargs) if self.takes_engine else self.function(**self.kwargs)

    def run_as_activity(self, engine: Any) -> None:
        """Call the function as an activity, and keep its result."""
        value = self(engine)
        if self.sets_output and value is not None:
            engine.state.output = value


Code = CodeFragment | UserCallable | Callable[[Any], Any]
"""A guard, action or activity: the library's own as text, a user's as a function of the engine."""


def code_name(code: Code) -> str:
    """Return the name under which a guard, action or activity is shown."""
    return (
        code.name if isinstance(code, (CodeFragment, UserCallable)) else getattr(code, "__name__", type(code).__name__)
    )


def is_static(guard: Code | None) -> TypeGuard[CodeFragment]:
    """Return True if the value of `guard` cannot change while the generated function runs."""
    return isinstance(guard, CodeFragment) and guard.is_static


def evaluate(guard: Code, engine: Any) -> bool:
    """Say whether `guard` is true."""
    return bool((guard.as_guard if isinstance(guard, CodeFragment) else guard)(engine))


def execute(code: Code, engine: Any) -> None:
    """Run an action or activity."""
    if isinstance(code, UserCallable):
        code.run_as_activity(engine)
    else:
        (code.as_action if isinstance(code, CodeFragment) else code)(engine)


def runs_user_code(code: Code | None) -> bool:
    """Say whether `code` calls something of the user's, which may signal or change handlers."""
    return code is not None and (not isinstance(code, CodeFragment) or code.runs_user_code)


@dataclass(frozen=True)
class Payload:
    """What an event hands to its handlers besides the engine, as texts over the names a `CodeFragment` may use."""

    positional: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)

    def values(self, engine: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what handlers are given now: positional and keyword arguments."""
        values = [_value(text)(engine) for text in (*self.positional, *self.keywords.values())]
        split = len(self.positional)
        return tuple(values[:split]), dict(zip(self.keywords, values[split:]))


@cache
def _value(text: str) -> Callable[[Any], Any]:
    return CodeFragment(text, text).as_guard
