"""Copies and pickles of an engine."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.observers import Observers
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.runtime.data_iter import batches_taken
from fsm_engine.runtime.part import Part
from fsm_engine.runtime.run import PARTS
from fsm_engine.runtime.state import State

D = TypeVar("D", bound=EventDispatcher)


def copy_engine(engine: D, memo: dict[int, Any]) -> D:
    """Return an engine in the same place that shares step, handlers and data, and has the rest for itself."""
    _raise_if_running(engine, "copied")
    twin: D = object.__new__(type(engine))
    memo[id(engine)] = twin
    own = _without_process(engine)
    shared = {name: own.pop(name) for name in ("logger", "_process_function")}
    own.update(_observers=Observers(), state=_copy_state(engine.state, memo, keep_data=True), **_parts_at_rest(engine))
    own["_registry"] = engine._registry.copy_with_handlers()
    own["_entries"] = own["_registry"].entries
    done = ("_observers", "state", "_registry", "_entries", *PARTS)
    rest = copy.deepcopy({name: value for name, value in own.items() if name not in (*done, "lifecycle")}, memo)
    vars(twin).update({**own, **rest, **shared})
    twin.lifecycle = engine.lifecycle._copy_for(twin)
    data = engine.state.dataloader
    if data is not None and is_iterator(data):
        own["_data_pass"].skip = 0  # shared with the original, it stands where the next batch is
    return twin


def is_iterator(data: Any) -> bool:
    """Say whether `data` is an iterator, which can be gone through only once."""
    return hasattr(data, "__next__") and hasattr(data, "__iter__")


def pickle_state(engine: EventDispatcher) -> dict[str, Any]:
    """Return what pickle keeps: everything but the data, the open iterator, observers and compiled functions."""
    _raise_if_running(engine, "pickled")
    state = _without_process(engine)
    state.update(state=_copy_state(engine.state, None, keep_data=False), **_parts_at_rest(engine))
    del state["_observers"]
    kept = vars(engine.lifecycle).copy()
    kept.update(_graph=None if engine._graph is TRAINING else engine._graph, _passed=None)
    del kept["_engine"], kept["step"]
    state["lifecycle"] = kept
    return state


def restore_pickle(engine: EventDispatcher, state: dict[str, Any]) -> None:
    """Fill `engine` from what `pickled` returned."""
    kept = state.pop("lifecycle")
    vars(engine).update(state, _observers=Observers())
    lifecycle = Lifecycle()
    vars(lifecycle).update(kept, step=engine._process_function, _graph=kept["_graph"] or TRAINING)
    engine.lifecycle = lifecycle._copy_for(engine)


def _raise_if_running(engine: EventDispatcher, verb: str) -> None:
    if engine._running:
        raise BusyError(
            f"a running engine cannot be {verb}, because its place is not at rest in {engine.phase}. "
            f"Call interrupt(), and do it when run() has returned."
        )


def _without_process(engine: EventDispatcher) -> dict[str, Any]:
    process = {"_driver": None, "_machine": None, "_firable_moves": None, "_recorder": None, "_wrappers": ()}
    return {**vars(engine), **process, "_has_handlers_cache": {}, "_graph": None, "_program": None}


def _parts_at_rest(engine: EventDispatcher) -> dict[str, Part]:
    """Return copies of the parts of the run, in which the open pass is the number of batches to skip."""
    parts: dict[str, Any] = {name: copy.copy(getattr(engine, name)) for name in PARTS}
    if engine._cursor.suspended_at is not None and engine._data_pass.iterator is not None:
        data_pass = parts["_data_pass"]
        data_pass.skip = 0 if data_pass.at_end else batches_taken(engine)
    return parts


def _copy_state(state: State, memo: dict[int, Any] | None, keep_data: bool) -> State:
    twin: State = object.__new__(type(state))
    own = {**state.attributes(), "event_to_attr": state.event_to_attr}
    if not keep_data:
        own["dataloader"] = None
    if memo is not None:
        for name in ("dataloader", "batch", "output"):  # a tensor of a graph cannot be copied deeply
            memo[id(own[name])] = own[name]
        own = copy.deepcopy(own, memo)
    for name, value in own.items():
        setattr(twin, name, value)
    return twin
