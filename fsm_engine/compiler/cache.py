"""From emitted text to functions: compiled once per shape, kept, and shown to tracebacks and the debugger."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fsm_engine.compiler.codegen import Emission, View
from fsm_engine.dispatch.handler_calls import names_of_calls, text_of_calls
from fsm_engine.dispatch.registry import Slot
from fsm_engine.graph.graph import Graph

_KEPT = 64
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Emitted:
    """A compiled function and its text."""

    function: Callable[..., Any]
    source: str


def function_for(graph: Graph, view: View) -> Emitted:
    """Return ``run(engine, at) -> at`` for `graph` as `view` sees it.

    Cost: some milliseconds for a new shape, a look-up for one of the last 64 of this graph.
    """
    return _kept(graph.emitted, view.key, lambda: _emit_run(graph, view))


def _emit_run(graph: Graph, view: View) -> Emitted:
    emission = Emission(graph, view)
    return _compiled("run", emission.text(), emission.names)


_firing: OrderedDict[Any, Emitted] = OrderedDict()


def firing_for(slot: Slot, with_payload: bool) -> Callable[..., None]:
    """Return ``fire(engine, slot, bound)`` that calls the handlers of `slot`, or ``fire(..., given, more)``.

    `bound` is `Slot.bound` without the slot itself, which keeps it.
    """
    key = (with_payload, slot.counter, slot.shape)
    return _kept(_firing, key, lambda: _emit_fire(slot, with_payload)).function


def _emit_fire(slot: Slot, with_payload: bool) -> Emitted:
    names = ", ".join(names_of_calls("", slot.attached)[1:])
    positional, keywords = (["*given"], ["**more"]) if with_payload else ([], [])
    lines = [
        "def fire(engine, slot, bound, given=(), more=None):",
        f"({names},) = bound",
        *(["state = engine.state"] if slot.counter is not None else []),
        *text_of_calls("", slot, positional, keywords)[1:],
    ]
    return _compiled("fire", "\n    ".join(lines) + "\n", {})


def _kept(cache: Any, key: Any, make: Callable[[], Emitted]) -> Emitted:
    emitted: Emitted | None = cache.get(key)
    if emitted is None:
        emitted = cache[key] = make()
        if len(cache) > _KEPT:
            del cache[next(iter(cache))]
    return emitted


def _compiled(name: str, source: str, names: dict[str, Any]) -> Emitted:
    filename = f"<fsm_engine {name} {next(_numbers)}>"
    scope = dict(names)
    exec(compile(source, filename, "exec"), scope)
    function = scope.pop(name)  # so that the function and its globals make no reference cycle
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
    return Emitted(function, source)
