"""Where a run is, as plain data from which another process goes on at the very same place."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from fsm_engine._util.errors import BusyError
from fsm_engine._util.plain_data import copy_plain, find_not_plain, plain_numbers
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.positions import IDLE_POSITION, after_handlers, before, is_entered, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.runtime.data_iter import batches_taken
from fsm_engine.runtime.exact_data import data_state
from fsm_engine.runtime.pending_signals import PendingSignals

_PROCESS_ATTRIBUTES = ("dataloader", "batch", "event_to_attr")
"""Attributes of the state that a process gives anew."""

_NOTHING = object()


def save_position(engine: EventDispatcher) -> dict[str, Any] | None:
    """Return where the run of `engine` is, None if it is in no place that a run can go on from.

    After an error that is where it was raised: the activity of that phase is to be done again. The attributes of the
    state are in it as far as they are plain data; the data, where it tells its own position; the batch at hand, which
    could not be had again.
    """
    graph, signals, data_pass, failure = engine._graph, engine._signals, engine._data_pass, engine._failure
    if engine._cursor.suspended_at is None and not _may_suspend(engine):
        return None
    left = engine._resume_position
    is_open = data_pass.iterator is not None
    pending = signals.saved_requests if failure.failed_position is not None else _pending(signals)
    found: dict[str, Any] = {
        **engine._cursor.saved(),
        **data_pass.saved(),
        "suspended_at": _position_by_name(graph, left),
        "recovered_from": _position_by_name(graph, failure.recovered_from),
        "activity_position": _position_by_name(graph, engine._cursor.activity_position),
        "edges_tried": sorted(failure.edges_tried),
        "clocks": _elapsed(engine),
        "skip": 0 if data_pass.at_end else batches_taken(engine) if is_open else data_pass.skip,
        "must_reopen": data_pass.must_reopen or (is_open and not data_pass.at_end),
        "loader_state": _loader_state(engine),
        "requests": {s.value: skip for s, skip in pending.items() if s is not Signal.INTERRUPT},
        "state": plain_attributes(engine),
    }
    waits = phase_at(left) in graph.before_step
    batch = copy_plain(engine.state.batch, _detached)
    wrong = _batch_error(engine, batch)
    if wrong is None and (waits or graph.pending_batches is None or phase_at(left) in graph.before_use):
        found["batch"] = batch
    if wrong is None or not waits:
        return found
    if failure.failed_position is None:
        raise ValueError(wrong)
    # Raised here, it would stand in for the error that is to be told of.
    engine.logger.warning("No exact position is saved: %s A run that goes on from it leaves that batch out.", wrong)
    return None


def _may_suspend(engine: EventDispatcher) -> bool:
    """Say whether a run may be suspended where it is: handlers are through, and the run has not ended or failed."""
    interruptible = Signal.INTERRUPT in engine._graph.signal_exits[phase_at(engine._resume_position)]
    return engine._signals.is_calling_back and interruptible


def _pending(signals: PendingSignals) -> dict[Signal, bool]:
    return {**signals.saved_requests, **signals.requests}


def _elapsed(engine: EventDispatcher) -> dict[str, float]:
    clocks = engine._clocks.saved()
    return {name: perf_counter() - start for name, start in clocks.items()} if engine._running else clocks


def _loader_state(engine: EventDispatcher) -> Any:
    data_pass = engine._data_pass
    if data_pass.iterator is None or data_pass.at_end:
        return data_pass.loader_state
    return data_state(engine.state.dataloader)


def _position_by_name(graph: Graph, at: int | None) -> list[Any] | None:
    return None if at is None else [qualified_name(graph.phases[phase_at(at)]), is_entered(at)]


def plain_attributes(engine: EventDispatcher, *without: str) -> dict[str, Any]:
    """Return the attributes of the state that are plain data, without those of this process."""
    left_out = {*_PROCESS_ATTRIBUTES, *engine.state_dict_user_keys, *without}
    all_of_them = {name: value for name, value in engine.state.attributes().items() if name not in left_out}
    found = {name: plain for name, value in all_of_them.items() if (plain := _plain_part(value)) is not _NOTHING}
    for name in vars(engine.state):
        value = all_of_them.get(name)
        if name not in found and value is not None and not hasattr(value, "state_dict"):
            warnings.warn(
                f"engine.state.{name} is not saved, because it is no plain data but {type(value).__name__}. Make it of "
                f"numbers, strings, tensors, lists and dictionaries, or set it anew before a run goes on.",
                stacklevel=2,
            )
    return found


def _plain_part(value: Any) -> Any:
    """Return a copy of `value` if it is plain data; of a dict, such as the metrics, the items that are."""
    value = copy_plain(plain_numbers(value), _detached)
    if find_not_plain(value) is None:
        return value
    if type(value) is not dict:
        return _NOTHING
    return {key: item for key, item in value.items() if find_not_plain({key: item}) is None}


def _detached(tensor: Any) -> Any:
    return tensor.detach()


def _batch_error(engine: EventDispatcher, batch: Any) -> str | None:
    """Say what of the batch at hand cannot be saved; None if all of it can."""
    wrong, phase = find_not_plain(batch), engine._graph.phases[phase_at(engine._resume_position)]
    if wrong is None:
        return None
    return (
        f"the batch at hand in {phase} holds {type(wrong[1]).__name__}{wrong[0] and ' at ' + wrong[0]}, which "
        f"cannot be saved as plain data. Save at another event, such as ITERATION_COMPLETED, when no batch is waiting."
    )


def check_position(engine: EventDispatcher, found: Mapping[str, Any]) -> None:
    """Refuse a position that `engine` cannot stand in.

    Raises:
        ValueError: one that its lifecycle does not have.
        BusyError: while it runs.
    """
    if engine._running:
        raise BusyError(
            f"load_state_dict() was called in {engine.phase} with the position of a run. Load it before run()."
        )
    for name in ("suspended_at", "recovered_from", "activity_position"):
        _position_number(engine._graph, name, found[name])


def load_position(engine: EventDispatcher, found: Mapping[str, Any]) -> None:
    """Let `engine` stand, suspended, where `position` has found another one; see `check_position`."""
    graph, cursor, data_pass, failure = engine._graph, engine._cursor, engine._data_pass, engine._failure
    engine._restart(has_data=False)
    cursor.load(found)
    data_pass.load(found)
    engine._clocks.load(found["clocks"])
    cursor.suspended_at = _position_number(graph, "suspended_at", found["suspended_at"])
    cursor.activity_position = _position_number(graph, "activity_position", found["activity_position"]) or IDLE_POSITION
    failure.recovered_from = _position_number(graph, "recovered_from", found["recovered_from"])
    failure.edges_tried = frozenset(found["edges_tried"])
    data_pass.skip, data_pass.must_reopen = found["skip"], found["must_reopen"]
    data_pass.loader_state = found["loader_state"]
    engine._signals.saved_requests = {Signal(value): skip for value, skip in found["requests"].items()}
    cursor.position = after_handlers(graph.index[Events.INTERRUPT])
    engine._has_loaded_state = False
    engine.state.dataloader = None  # so that what is given to run() is taken for the same
    set_attributes(engine, found["state"])
    if "batch" in found:
        engine.state.batch = found["batch"]


def set_attributes(engine: EventDispatcher, found: Mapping[str, Any]) -> None:
    """Give the state of `engine` what `attributes` has found."""
    for name, value in found.items():
        setattr(engine.state, name, copy.copy(value))


def _position_number(graph: Graph, name: str, known: Any) -> int | None:
    if known is None:
        return None
    phase, has_run = known
    numbers = {qualified_name(phase): number for number, phase in enumerate(graph.phases)}
    number = numbers.get(phase)
    if number is None or (name == "suspended_at" and not Scope.RUN.contains(graph.phases[number].scope)):
        raise ValueError(
            f"the state that is loaded stands in {phase!r}, where no run of this lifecycle can be. Its phases are "
            f"{', '.join(numbers)}. Make the engine as it was made when the state was saved."
        )
    return after_handlers(number) if has_run else before(number)
