"""Deep copies and pickles of an engine."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.persistence.inside_step import raise_if_inside_step
from fsm_engine.runtime.data_description import describe_data
from fsm_engine.runtime.data_iter import batches_to_skip, is_open
from fsm_engine.runtime.run import PARTS

D = TypeVar("D", bound=EventDispatcher)

_SPECIAL = frozenset({*PARTS, "lifecycle", "_graph", "_registry", "_entries"})
"""Attributes that `copy_engine` and `pickle_state` treat one by one."""


def copy_engine(engine: D, memo: dict[int, Any]) -> D:
    """Return a deep copy of `engine` at the same position, which shares the step, the handlers and the data.

    Raises:
        BusyError: `engine` is running, or its run is suspended inside a step.
    """
    _raise_if_running(engine, "copied")
    raise_if_inside_step(engine, "copied")
    twin: D = object.__new__(type(engine))
    memo[id(engine)] = twin
    twin._reset_process()
    state = engine.state
    for shared in (engine.logger, engine._step, state.dataloader, state.batch, state.output):
        memo[id(shared)] = shared  # deepcopy refuses an output that has a gradient function
    registry = engine._registry.copy_with_handlers()
    vars(twin).update(copy.deepcopy(_other_attributes(engine), memo), _registry=registry, _entries=registry.entries)
    vars(twin).update(_copy_parts(engine))
    twin.lifecycle = engine.lifecycle._copy_for(twin)
    if hasattr(state.dataloader, "__next__"):
        twin._data_pass.skip = 0  # an iterator, shared with the original, is already at the next batch
    return twin


def pickle_state(engine: EventDispatcher) -> dict[str, Any]:
    """Return the attributes of `engine` to pickle: without the data, the open iterator, observers and compiled code.

    Raises:
        BusyError: `engine` is running, or its run is suspended inside a step.
    """
    _raise_if_running(engine, "pickled")
    raise_if_inside_step(engine, "pickled")
    lifecycle = engine.lifecycle.__getstate__()
    lifecycle["_base"] = None if engine._graph is TRAINING else engine._graph
    for name in ("_engine", "_validated", "step"):
        del lifecycle[name]
    state, parts = copy.copy(engine.state), _copy_parts(engine)
    if engine._cursor.suspended_at is not None and state.dataloader is not None:
        parts["_data_pass"].saved_data = describe_data(engine, state.dataloader)
    state.dataloader = None
    return {
        **_other_attributes(engine),
        **parts,
        "state": state,
        "_registry": engine._registry,
        "_entries": engine._entries,
        "lifecycle": lifecycle,
    }


def restore_pickle(engine: EventDispatcher, state: dict[str, Any]) -> None:
    """Set the attributes of `engine` from the return value of `pickle_state`."""
    attributes = state.pop("lifecycle")
    engine._reset_process()
    vars(engine).update(state)
    lifecycle = Lifecycle()
    vars(lifecycle).update(attributes, step=engine._step, _base=attributes["_base"] or TRAINING)
    engine.lifecycle = lifecycle._copy_for(engine)


def _raise_if_running(engine: EventDispatcher, verb: str) -> None:
    if engine.is_running:
        raise BusyError(
            f"a running engine cannot be {verb}; it is in {engine.phase}. "
            f"Call engine.interrupt(), and copy or pickle it after run() has returned."
        )


def _other_attributes(engine: EventDispatcher) -> dict[str, Any]:
    """Return the attributes of `engine` without those in `_SPECIAL` and those that belong to this process."""
    fresh = object.__new__(type(engine))
    fresh._reset_process()
    process = vars(fresh)
    return {name: value for name, value in vars(engine).items() if name not in process and name not in _SPECIAL}


def _copy_parts(engine: EventDispatcher) -> dict[str, Any]:
    """Return copies of the parts of the run; the copy of an open pass holds the number of batches to skip."""
    parts: dict[str, Any] = {name: copy.copy(getattr(engine, name)) for name in PARTS}
    data_pass = parts["_data_pass"]
    data_pass.skip, data_pass.must_reopen = batches_to_skip(engine), is_open(engine)
    return parts
