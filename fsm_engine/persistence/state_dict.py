"""Saving and loading the state dict of an engine."""

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
from fsm_engine.graph.signals import Signal
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.persistence.epoch_progress import (
    EPOCH_PROGRESS,
    PROGRESS_NAMES,
    batches_done,
    check_epoch_progress,
    epoch_progress,
)
from fsm_engine.persistence.exact_position import (
    check_position,
    fire_counts,
    load_position,
    phase_numbers,
    plain_attributes,
    save_position,
    saved_rng_states,
    set_attributes,
    stopped_place,
)
from fsm_engine.persistence.handler_state import (
    handler_states,
    load_handler_states,
    load_step_state,
    step_state,
)
from fsm_engine.persistence.inside_step import raise_if_inside_step
from fsm_engine.persistence.snapshot import engine_snapshot
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.data_description import describe_data
from fsm_engine.runtime.data_iter import batches_before
from fsm_engine.runtime.run_limits import reaches
from fsm_engine.runtime.state import State

_LIMITS = ("max_epochs", "max_iters")
_PROGRESS = ("iteration", "epoch")


def make_state_dict(engine: EventDispatcher) -> dict[str, Any]:
    """Return the state dict of `engine`, with the keys of pytorch-ignite in its order; see `Engine.state_dict`."""
    raise_if_inside_step(engine, "saved")
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
    stop = stopped_place(engine)
    if not graph.has_epochs:
        suspended_at = qualified_name(graph.phases[phase_at(cursor.suspended_at or 0)])
        values["phase"] = suspended_at if stop is None else stop.position["suspended_at"][0]
    elif _is_before_step(engine) if stop is None else stop.is_in_iteration:
        values["iteration"] -= 1  # its step has not run yet
    progress = epoch_progress(engine, values["iteration"]) if graph.has_epochs else None
    if progress is not None:
        values[EPOCH_PROGRESS] = progress
    if engine.resumes_exactly:
        values.update(_exact_state(engine))
    return values


def _is_before_step(engine: EventDispatcher) -> bool:
    cursor, signals = engine._cursor, engine._signals
    position = cursor.position if cursor.suspended_at is None and signals.is_calling_back else cursor.suspended_at
    return position is not None and Scope.ITERATION.contains(engine._graph.phases[phase_at(position)].scope)


def _exact_state(engine: EventDispatcher) -> dict[str, Any]:
    """Return the values that a run needs, besides its progress, to resume exactly."""
    cursor, signals = engine._cursor, engine._signals
    if engine.is_running and not signals.is_calling_back and cursor.suspended_at is None:
        engine.logger.warning(
            "state_dict() was called in %s while handlers run, so it contains no exact position. Call it from a "
            "callback: engine.call_when_safe(...).",
            engine.phase,
        )
        return {}
    position, end, stop = save_position(engine), _end(engine), stopped_place(engine)
    # Only a run saves the RNGs, because they belong to the process: if an engine that is not running saved them, such
    # as an evaluator, its next run would reset them.
    generators = saved_rng_states(engine) if position or end else None
    return {
        "position": position,
        "state": plain_attributes(engine, "output") if position is None else None,
        "ended": end and end.value,
        "data": describe_data(engine, engine.state.dataloader),
        "generators": generators if stop is None else stop.generators,
        "opening_rng": _opening_rng(engine) if position is None else None,
        "step": step_state(engine),
        "handlers": handler_states(engine),
        "fired": fire_counts(engine) if stop is None else stop.fire_counts,
    }


def _opening_rng(engine: EventDispatcher) -> Mapping[str, Any] | None:
    """Return the RNG states at the opening of the pass inside which the run has ended; None if it has not."""
    data_pass = engine._data_pass
    if data_pass.loaded_opening_rng is not None:
        return data_pass.loaded_opening_rng
    return data_pass.opening_rng if batches_done(engine, engine.state.iteration) else None


def _end(engine: EventDispatcher) -> Outcome | None:
    """Return how the run of `engine` has ended or is about to end; None if a process that loads it just goes on."""
    signals = engine._signals
    if stopped_place(engine) is not None or (signals.is_calling_back and Signal.TERMINATE in signals.requests):
        return Outcome.TERMINATED
    is_ending = engine._graph.phases[phase_at(engine._resume_position)].scope == Scope.ENGINE
    return Outcome.COMPLETED if signals.is_calling_back and is_ending else None


def _extra_counters(graph: Graph) -> list[str]:
    """Return the counter attributes that this lifecycle adds to the training counters."""
    return [*dict.fromkeys(graph.counters.values()), *(["errors"] if any(graph.error_edges) else [])]


def load_state_dict(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    """Load a state dict into `engine`, or raise an exception and change nothing; see `Engine.load_state_dict`."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Argument state_dict should be a dictionary, but given {type(given)}")
    graph = engine._graph
    own_keys = _extra_counters(graph) + engine.state_dict_user_keys
    for key in own_keys:
        if key not in given:
            raise ValueError(_missing_own_key(engine, key, given))
    if given.get("position") is not None:
        check_position(engine, given["position"])
    restore = engine_snapshot(engine)
    try:
        if graph.has_epochs:
            _load_progress(engine, given)
        else:
            _load_phase(engine, given)
        set_attributes(engine, {key: given[key] for key in own_keys})
        _load_exactly(engine, given)
        if engine.is_running:
            resume_epoch(engine)
    except BaseException:
        restore()
        raise


def _load_exactly(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    if given.get("position") is not None:
        load_position(engine, given["position"])
    elif given.get("state") is not None:
        _load_finished(engine, given["state"])
    if given.get("step") is not None:
        load_step_state(engine, given["step"])
    if "handlers" in given:
        load_handler_states(engine, given["handlers"])
    data_pass = engine._data_pass
    data_pass.resume_rng, data_pass.saved_data = given.get("generators"), given.get("data")
    data_pass.loaded_opening_rng = given.get("opening_rng")
    engine._cursor.loaded_end = given["ended"] and Outcome(given["ended"]) if "ended" in given else None
    counts = given.get("fired")
    if counts:
        for event, entry in engine._registry.entries.items():
            entry.fire_count = counts.get(str(event), 0)


def _load_finished(engine: EventDispatcher, attributes: Mapping[str, Any]) -> None:
    """Set the state to the saved attributes; unless the saved run had reached its limits, keep the loaded progress."""
    is_done = reaches(State(**attributes), attributes["max_epochs"], attributes["max_iters"])
    set_attributes(engine, {name: value for name, value in attributes.items() if is_done or name not in _PROGRESS})


def _missing_own_key(engine: EventDispatcher, key: str, given: Mapping[str, Any]) -> str:
    if key in engine.state_dict_user_keys:
        return (
            f"Required user state attribute '{key}' is absent in provided state_dict {list(given)}. Add it, or remove "
            f"it from engine.state_dict_user_keys."
        )
    return _missing_key(key, given)


def _load_phase(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    cursor, clocks, graph = engine._cursor, engine._clocks, engine._graph
    if "phase" not in given:
        raise ValueError(_missing_key("phase", given))
    numbers = phase_numbers(graph)
    number = numbers.get(given["phase"])
    if number is None or number in graph.fired_phases:
        raise ValueError(
            f"'phase' in the state dictionary is {given['phase']!r}, where no run of this lifecycle can be "
            f"suspended. Its phases are {', '.join(numbers)}."
        )
    if engine.is_running:
        raise BusyError(f"load_state_dict() was called in {engine.phase} of a run. Call it before run().")
    engine._restart(has_data=False)
    cursor.position, engine._has_loaded_state = IDLE_POSITION, not number
    if number:
        cursor.suspended_at, cursor.position = after_handlers(number), after_handlers(graph.index[Events.INTERRUPT])
        clocks.run = clocks.epoch = 0.0


def _load_progress(engine: EventDispatcher, given: Mapping[str, Any]) -> None:
    progress, limit = _check(given)
    cursor, data_pass, state = engine._cursor, engine._data_pass, engine.state
    if engine.is_running and Scope.EPOCH.contains(engine.phase.scope):
        raise BusyError(
            f"load_state_dict() was called in {engine.phase} while an epoch is open. Call it before run(), or at "
            f"STARTED."
        )
    length = given["epoch_length"]
    value = given[progress]
    state.epoch_length = length
    state.iteration = value if progress == "iteration" or not value else value * length
    state.epoch = value if progress == "epoch" or not length else value // length
    cursor.loaded_progress = given.get(EPOCH_PROGRESS)
    if cursor.loaded_progress is not None:
        state.epoch = cursor.loaded_progress["epochs"]
    for name in _LIMITS:
        setattr(state, name, given[name] if name == limit else None)
    if not engine.is_running:
        engine._drop_step_values()
        cursor.position, cursor.suspended_at, cursor.stop, data_pass.iterator = IDLE_POSITION, None, None, None
        engine._has_loaded_state = True


def has_begun(engine: EventDispatcher) -> bool:
    """Return True if a counter of the run is not zero: epoch, iteration, or the counter of a user's phase."""
    counters = ("epoch", "iteration", *engine._graph.counters.values())
    return any(getattr(engine.state, counter) for counter in counters)


def resume_epoch(engine: EventDispatcher) -> None:
    """Make the next epoch, and the next pass over the data, start where the loaded state left off."""
    cursor, data_pass, state = engine._cursor, engine._data_pass, engine.state
    data_pass.iterator = None
    loaded, cursor.loaded_progress = cursor.loaded_progress, None
    if loaded is not None:
        epochs, cursor.loaded_iterations, data_pass.skip = (loaded[name] for name in PROGRESS_NAMES)
    elif state.epoch_length:
        epochs, cursor.loaded_iterations = divmod(state.iteration, state.epoch_length)
        data_pass.skip = batches_before(engine, state.iteration)
    else:
        return
    data_pass.start = state.iteration - data_pass.skip
    if data_pass.skip and data_pass.loaded_opening_rng is not None:
        data_pass.opening_rng, data_pass.must_reopen = data_pass.loaded_opening_rng, True
    if not cursor.loaded_iterations or state.epoch != epochs + 1:
        return
    # The loaded run has reached max_iters inside an epoch, which is still open.
    if cursor.loaded_end is Outcome.COMPLETED:  # so this run ends at once
        cursor.epoch_is_open, cursor.epoch_start = True, state.iteration - cursor.loaded_iterations
        cursor.loaded_iterations = 0
    else:
        state.epoch = epochs


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
    if given.get(EPOCH_PROGRESS) is not None:
        check_epoch_progress(given[EPOCH_PROGRESS])
    is_exact = any(given.get(key) for key in ("position", "state", EPOCH_PROGRESS))  # then it has all counters
    if length == 0 or (value and not length and not is_exact):
        raise ValueError(
            f"epoch_length must be a positive integer to calculate missing 'iteration' or 'epoch' key, got {length!r}."
        )
    counter = "epoch" if limit == "max_epochs" else "iteration"
    done = value
    if length and counter != progress:
        done = value // length if counter == "epoch" else value * length
    if given[limit] is not None and given[limit] < done and not is_exact:
        raise ValueError(
            f"Argument {limit} in the state dictionary should be greater than or equal to the start {counter}: "
            f"{given[limit]} vs {done}."
        )
