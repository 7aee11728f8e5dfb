"""The state dict of an engine, and how it is loaded."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from fsm_engine._util.errors import BusyError
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.positions import IDLE_POSITION, after_handlers, phase_at
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.persistence.exact_position import (
    check_position,
    load_position,
    plain_attributes,
    save_position,
    set_attributes,
)
from fsm_engine.persistence.handler_state import (
    handler_states,
    load_handler_states,
    load_step_state,
    step_state,
)
from fsm_engine.runtime.data_iter import batches_before
from fsm_engine.runtime.exact_data import rng_states
from fsm_engine.runtime.run_limits import reaches
from fsm_engine.runtime.state import State

_LIMITS = ("max_epochs", "max_iters")
_PROGRESS = ("iteration", "epoch")


def make_state_dict(engine: EventDispatcher) -> dict[str, Any]:
    """Return the progress of `engine` under pytorch-ignite's keys, in its order; without epochs, its phase."""
    state, graph = engine.state, engine._graph
    limit = "max_epochs" if state.max_iters is None else "max_iters"
    keys = ["epoch_length", "iteration", limit] if graph.has_epochs else []
    keys += _extra_counters(graph) + engine.state_dict_user_keys
    missing = [key for key in keys if not hasattr(state, key)]
    if missing:
        raise ValueError(
            f"state_dict_user_keys names {missing}, which the state does not have. Set engine.state.{missing[0]} first."
        )
    values = OrderedDict((key, copy.copy(getattr(state, key))) for key in keys)
    cursor = engine._cursor
    if not graph.has_epochs:
        values["phase"] = qualified_name(graph.phases[phase_at(cursor.suspended_at or 0)])
    elif _is_before_step(engine):
        values["iteration"] -= 1  # still to come
    if engine.resumes_exactly:
        values.update(_exact_state(engine))
    return values


def _is_before_step(engine: EventDispatcher) -> bool:
    cursor, signals = engine._cursor, engine._signals
    left = cursor.position if cursor.suspended_at is None and signals.is_calling_back else cursor.suspended_at
    return left is not None and Scope.ITERATION.contains(engine._graph.phases[phase_at(left)].scope)


def _exact_state(engine: EventDispatcher) -> dict[str, Any]:
    """Return what a run needs to go on as if it had not been stopped, besides its progress."""
    cursor, signals = engine._cursor, engine._signals
    if engine._running and not signals.is_calling_back and cursor.suspended_at is None:
        engine.logger.warning(
            "state_dict() was called in %s while handlers are under way, so it tells no exact position. Ask for it "
            "with engine.call_when_safe(...).",
            engine.phase,
        )
        return {}
    place, finished = save_position(engine), signals.is_calling_back and _is_over(engine)
    return {
        "position": place,
        "state": plain_attributes(engine, "output") if place is None else None,
        "finished": finished,
        "generators": _rng_states(engine) if place or finished else None,
        "step": step_state(engine),
        "handlers": handler_states(engine),
        "fired": {
            str(event): entry.fire_count for event, entry in engine._registry.entries.items() if entry.fire_count
        },
    }


def _is_over(engine: EventDispatcher) -> bool:
    return engine._graph.phases[phase_at(engine._resume_position)].scope == Scope.ENGINE


def _rng_states(engine: EventDispatcher) -> Mapping[str, Any]:
    """Return what random generators stand at, or are to go on from, which only an engine that is in a run can say.

    They are of the process: if an engine that rests told of them as well, such as the evaluator, its next run would set
    them back.
    """
    waiting = engine._data_pass.resume_rng
    return rng_states(engine.state.dataloader) if waiting is None else waiting


def _extra_counters(graph: Graph) -> list[str]:
    """Return the attributes of the state that count what this lifecycle has beyond that of training."""
    return [*dict.fromkeys(graph.counters.values()), *(["errors"] if any(graph.error_edges) else [])]


def load_state_dict(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    """Check `given` as a whole, then let `engine` stand where it says."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(given)}")
    graph = engine._graph
    for key in _extra_counters(graph) + engine.state_dict_user_keys:
        if key not in given:
            raise ValueError(_missing_own_key(engine, key, given))
    if given.get("position") is not None:
        check_position(engine, given["position"])
    if graph.has_epochs:
        _load_progress(engine, given)
    else:
        _load_phase(engine, given)
    for key in _extra_counters(graph) + engine.state_dict_user_keys:
        setattr(engine.state, key, copy.copy(given[key]))
    _load_exactly(engine, given)


def _load_exactly(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    if given.get("position") is not None:
        load_position(engine, given["position"])
    elif given.get("state") is not None:
        _load_finished(engine, given["state"])
    if given.get("step") is not None:
        load_step_state(engine, given["step"])
    if "handlers" in given:
        load_handler_states(engine, given["handlers"])
    engine._data_pass.resume_rng = given.get("generators")
    engine._cursor.is_finished = given.get("finished", False)
    fired = given.get("fired", {})
    for event, entry in engine._registry.entries.items():
        entry.fire_count = fired.get(str(event), 0) if fired else entry.fire_count


def _load_finished(engine: EventDispatcher, found: Mapping[str, Any]) -> None:
    """Let the state be that of a run that is over; of one that may go on, `load_state_dict` has placed the counters."""
    over = reaches(State(**found), found["max_epochs"], found["max_iters"])
    set_attributes(engine, {name: value for name, value in found.items() if over or name not in _PROGRESS})


def _missing_own_key(engine: EventDispatcher, key: str, given: Mapping[str, Any]) -> str:
    if key in engine.state_dict_user_keys:
        return (
            f"Required user state attribute '{key}' is absent in provided state_dict {list(given)}. Take it out of "
            f"engine.state_dict_user_keys, or add it."
        )
    return _missing_key(key, given)


def _load_phase(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    cursor, clocks, graph = engine._cursor, engine._clocks, engine._graph
    if "phase" not in given:
        raise ValueError(_missing_key("phase", given))
    names = {qualified_name(phase): number for number, phase in enumerate(graph.phases)}
    number = names.get(given["phase"])
    if number is None or number in graph.fired_phases:
        raise ValueError(
            f"'phase' in the state dictionary is {given['phase']!r}, where no run of this lifecycle can be "
            f"suspended. Its phases are {', '.join(names)}."
        )
    if engine._running:
        raise BusyError(f"load_state_dict() was called in {engine.phase}, while the engine runs. Load before run().")
    engine._restart(has_data=False)
    cursor.position, engine._has_loaded_state = IDLE_POSITION, not number
    if number:
        cursor.suspended_at, cursor.position = after_handlers(number), after_handlers(graph.index[Events.INTERRUPT])
        clocks.run = clocks.epoch = 0.0


def _load_progress(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    progress, limit = _check(given)
    cursor, data_pass, state = engine._cursor, engine._data_pass, engine.state
    if engine._running and Scope.EPOCH.contains(engine.phase.scope):
        raise BusyError(
            f"load_state_dict() was called in {engine.phase}, where an epoch is open. Load before run(), or at STARTED."
        )
    length = given["epoch_length"]
    value = given[progress]
    state.epoch_length = length
    state.iteration = value if progress == "iteration" or not value else value * length
    state.epoch = value if progress == "epoch" or not length else value // length
    for name in _LIMITS:
        setattr(state, name, given[name] if name == limit else None)
    if engine._running:
        resume_epoch(engine)
    else:
        cursor.position, cursor.suspended_at, data_pass.iterator = IDLE_POSITION, None, None
        engine._has_loaded_state = True


def has_begun(engine: EventDispatcher) -> bool:
    """Say whether a run has done anything that is counted: an epoch, an iteration, a phase with its own counter."""
    counters = ("epoch", "iteration", *engine._graph.counters.values())
    return any(getattr(engine.state, counter) for counter in counters)


def resume_epoch(engine: EventDispatcher) -> None:
    """Let the next epoch and the next opening of the data begin where a loaded state says."""
    cursor, data_pass, state = engine._cursor, engine._data_pass, engine.state
    data_pass.iterator = None
    if state.epoch_length:
        cursor.loaded_iterations = state.iteration % state.epoch_length
        data_pass.skip = batches_before(state.iteration, state.dataloader, state.epoch_length)
        data_pass.start = state.iteration - data_pass.skip


def _check(given: Mapping[str, Any]) -> tuple[str, str]:
    if "epoch_length" not in given:
        raise ValueError(_missing_key("epoch_length", given))
    progress = [key for key in _PROGRESS if key in given]
    if not progress:
        raise ValueError(_missing_key("iteration", given))
    if len(progress) > 1:
        raise ValueError("State dictionary should contain only one of 'iteration' or 'epoch' keys; leave one out.")
    limits = [key for key in _LIMITS if key in given]
    if len(limits) != 1:
        raise ValueError(f"State dictionary should contain exactly one of '{_LIMITS}' keys, got {limits}.")
    _check_numbers(given, progress[0], limits[0])
    return progress[0], limits[0]


def _missing_key(key: str, given: Mapping[str, Any]) -> str:
    return f"Required state attribute '{key}' is absent in provided state_dict '{list(given)}'"


def _check_numbers(given: Mapping[str, Any], progress: str, limit: str) -> None:
    for key in ("epoch_length", progress, limit):
        number = given[key]
        if number is None and key != progress:
            continue
        least = 1 if key == limit else 0
        if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
            raise ValueError(
                f"'{key}' in the state dictionary should be an integer of at least {least}, got {number!r}."
            )
    length, value = given["epoch_length"], given[progress]
    told = given.get("position") or given.get("state")  # of an epoch whose length nobody knows yet
    if length == 0 or (value and not length and not told):
        raise ValueError(
            f"epoch_length must be a positive integer to calculate missing 'iteration' or 'epoch' key, got {length!r}."
        )
    counter = "epoch" if limit == "max_epochs" else "iteration"
    done = value
    if length and counter != progress:
        done = value // length if counter == "epoch" else value * length
    if given[limit] is not None and given[limit] < done and not told:
        raise ValueError(
            f"Argument {limit} in the state dictionary should be greater than or equal to the start {counter}: "
            f"{given[limit]} vs {done}."
        )
