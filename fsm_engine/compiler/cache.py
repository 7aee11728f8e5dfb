"""The compiled functions of each graph, kept by the handlers and observers that they were compiled for."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fsm_engine._util.compiled_functions import CompiledFunction, FunctionCache, compile_function
from fsm_engine.compiler.codegen import Emission, View
from fsm_engine.graph.graph import Graph

_caches: WeakKeyDictionary[Graph, FunctionCache] = WeakKeyDictionary()


def function_for(graph: Graph, view: View) -> CompiledFunction:
    """Return ``run(engine, at) -> at`` for `graph` as `view` sees it.

    Cost: some milliseconds for a new view, a look-up for one of the last 64 views of this graph.
    """
    cache = _caches.get(graph)
    if cache is None:
        cache = _caches[graph] = FunctionCache()
    return cache.get(view.key, lambda: _compile_run(graph, view))


def _compile_run(graph: Graph, view: View) -> CompiledFunction:
    emission = Emission(graph, view)
    return compile_function("run", emission.text(), emission.names)
