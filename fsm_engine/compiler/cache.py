"""A cache of compiled functions, by graph and specialization."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fsm_engine._util.compiled_functions import CompiledFunction, FunctionCache, compile_function
from fsm_engine.compiler.codegen import CodeGenerator, Specialization
from fsm_engine.graph.graph import Graph

_caches: WeakKeyDictionary[Graph, FunctionCache] = WeakKeyDictionary()


def function_for(graph: Graph, specialization: Specialization) -> CompiledFunction:
    """Return the function ``run(engine, position, bound)`` for `graph` and `specialization`.

    A new specialization takes a few milliseconds to compile. One of the last 64 of this graph is looked up.
    """
    cache = _caches.get(graph)
    if cache is None:
        cache = _caches[graph] = FunctionCache()
    return cache.get(specialization.key, lambda: _compile_run(graph, specialization))


def _compile_run(graph: Graph, specialization: Specialization) -> CompiledFunction:
    generator = CodeGenerator(graph, specialization)
    return compile_function("run", generator.text(), generator.names)
