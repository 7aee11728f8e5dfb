"""Functions compiled from generated source: cached by key, and visible to tracebacks and debuggers."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

_numbers = itertools.count(1)


@dataclass(frozen=True)
class CompiledFunction:
    """A function and the source that it was compiled from."""

    function: Callable[..., Any]
    source: str


class FunctionCache:
    """A cache of compiled functions by key; over `capacity`, it drops the function that was added first."""

    def __init__(self, capacity: int = 64) -> None:
        self._capacity = capacity
        self._functions: dict[Hashable, CompiledFunction] = {}

    def get(self, key: Hashable, make: Callable[[], CompiledFunction]) -> CompiledFunction:
        """Return the function for `key`; call `make` to compile it if it is not in the cache."""
        found = self._functions.get(key)
        if found is None:
            found = self._functions[key] = make()
            if len(self._functions) > self._capacity:
                del self._functions[next(iter(self._functions))]
        return found


def compile_function(name: str, source: str, names: Mapping[str, Any]) -> CompiledFunction:
    """Compile the function `name` from `source`, which may refer to `names`.

    The source stays in `linecache` as long as the function exists, so tracebacks and debuggers show its lines.
    """
    filename = f"<fsm_engine {name} {next(_numbers)}>"
    scope = dict(names)
    exec(compile(source, filename, "exec"), scope)
    function = scope.pop(name)  # left in its own globals, it would be in a reference cycle
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
    return CompiledFunction(function, source)
