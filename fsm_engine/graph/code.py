"""Guards, actions and activities: Python text of the library, or callables of users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Any, Protocol, TypeGuard

NAMES = {
    "state": "engine.state",
    "cursor": "engine._cursor",
    "clocks": "engine._clocks",
    "signals": "engine._signals",
    "data_pass": "engine._data_pass",
    "failure": "engine._failure",
    "step": "engine._step",
}
"""The names that code fragments can use besides ``engine``, and the expressions that they stand for."""


def assignments(body: Iterable[str]) -> list[str]:
    """Return the assignments of the `NAMES` that these lines use."""
    used = set(re.findall(r"\w+", "\n".join(body)))
    return [f"{name} = {value}" for name, value in NAMES.items() if name in used]


@dataclass(frozen=True)
class CodeFragment:
    """A guard, action or activity of the library, as Python text that is copied into the generated function.

    The text can use ``engine``, `NAMES` and `names`. Only the library writes code fragments; the guards, actions and
    activities of users are callables.

    Attributes:
        name: the name that tables and pictures show.
        text: an expression for a guard, statements for an action or activity.
        names: objects that the text uses, by name.
        runs_user_code: True if it calls user code, which may request signals or change handlers.
        is_static: True if it is a guard whose value cannot change during a run; a function is generated for each value.
        is_step: True if it calls the step or a part of it, which may fire phases.
        is_part: True if it calls a part of the step, and other parts follow in the same iteration.
    """

    name: str
    text: str
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)
    runs_user_code: bool = False
    is_static: bool = False
    is_step: bool = False
    is_part: bool = False

    def _function(self, body: str) -> Callable[[Any], Any]:
        lines = body.splitlines()
        scope = dict(self.names)
        exec("\n    ".join(["def run(engine):", *assignments(lines), *lines]), scope)
        return scope["run"]  # type: ignore[no-any-return]

    @cached_property
    def as_guard(self) -> Callable[[Any], bool]:
        """A function that takes the engine and returns the value of the text."""
        return self._function(f"return {self.text}")

    @cached_property
    def as_action(self) -> Callable[[Any], None]:
        """A function that takes the engine and executes the text."""
        return self._function(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        return CodeFragment, tuple([getattr(self, field.name) for field in fields(self)])


@dataclass(frozen=True)
class UserCallable:
    """A function of the user as a guard, action or activity.

    Attributes:
        function: the function to call; for an engine as an activity, its `run`.
        name: the name that tables and pictures show.
        takes_engine: True if the engine is the first argument.
        kwargs: keyword arguments.
        sets_output: True if ``engine.state.output`` is set to the result of an activity, unless that is None.
        engine: the engine whose `run` is called, if any.
    """

    function: Callable[..., Any]
    name: str
    takes_engine: bool = True
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    sets_output: bool = False
    engine: Any = None

    def __call__(self, engine: Any) -> Any:
        """Call the function with its arguments and return the result."""
        return self.function(engine, **self.kwargs) if self.takes_engine else self.function(**self.kwargs)

    def run_as_activity(self, engine: Any) -> None:
        """Call the function and, if it `sets_output`, store its result."""
        output = self(engine)
        if self.sets_output and output is not None:
            engine.state.output = output


Code = CodeFragment | UserCallable | Callable[[Any], Any]
"""A guard, action or activity: text of the library, or a callable that takes the engine."""


class AnyFunction(Protocol):
    """A callable with any parameters. Type checkers do not merge it with other types of a union."""

    @property
    def __call__(self) -> Callable[..., Any]: ...  # noqa: D102


UserFunction = Callable[[Any], Any] | Callable[[], Any] | AnyFunction
"""A guard, action or activity as users pass it. For type checkers, a lambda takes the engine or nothing."""


def code_name(code: Code) -> str:
    """Return the name that tables and pictures show for a guard, action or activity."""
    if isinstance(code, (CodeFragment, UserCallable)):
        return code.name
    return getattr(code, "__name__", type(code).__name__)


def is_static(guard: Code | None) -> TypeGuard[CodeFragment]:
    """Return True if the value of `guard` cannot change while the generated function runs."""
    return isinstance(guard, CodeFragment) and guard.is_static


def evaluate(guard: Code, engine: Any) -> bool:
    """Return the value of `guard`."""
    return bool((guard.as_guard if isinstance(guard, CodeFragment) else guard)(engine))


def execute(code: Code, engine: Any) -> None:
    """Execute an action or activity."""
    if isinstance(code, UserCallable):
        code.run_as_activity(engine)
    else:
        (code.as_action if isinstance(code, CodeFragment) else code)(engine)


def is_part(code: Code | None) -> bool:
    """Return True if `code` calls a part of the step."""
    return isinstance(code, CodeFragment) and code.is_part


def runs_user_code(code: Code | None) -> bool:
    """Return True if `code` calls user code, which may request signals or change handlers."""
    return code is not None and (not isinstance(code, CodeFragment) or code.runs_user_code)


@dataclass(frozen=True)
class Payload:
    """Arguments of an event's handlers besides the engine, as expressions that can use `NAMES`."""

    positional: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)

    def values(self, engine: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the current positional and keyword arguments."""
        args = tuple([_expression(text)(engine) for text in self.positional])
        return args, {name: _expression(text)(engine) for name, text in self.keywords.items()}


@cache
def _expression(text: str) -> Callable[[Any], Any]:
    return CodeFragment(text, text).as_guard
