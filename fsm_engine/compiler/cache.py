"""The compiled functions of each graph, kept by the handlers and observers that they were compiled for."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fsm_engine._util.compiled_functions import CompiledFunction, FunctionCache, compile_function
from fsm_engine.compiler.codegen import CodeGenerator, Specialization
from fsm_engine.graph.graph import Graph

_caches: WeakKeyDictionary[Graph, FunctionCache] = WeakKeyDictionary()


def function_for(graph: Graph, specialization: Specialization) -> CompiledFunction:
    """Return ``run(engine, at) -> at`` for `graph` as `specialization` describes it.

    Cost: some milliseconds for a new view, a look-up for one of the last 64 views of this graph.
    """
    cache = _caches.get(graph)
    if cache is None:
        cache = _caches[graph] = FunctionCache()
    return cache.get(specialization.key, lambda: _compile_run(graph, specialization))


def _compile_run(graph: Graph, specialization: Specialization) -> CompiledFunction:
    generator = CodeGenerator(graph, specialization)
    return compile_function("run", generator.text(), generator.names)
