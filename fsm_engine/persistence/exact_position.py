"""The exact position of a run as plain data, from which a run in another process resumes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
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
from fsm_engine.runtime import run_ends
from fsm_engine.runtime.cursor import Place
from fsm_engine.runtime.data_iter import batches_to_skip, is_open
from fsm_engine.runtime.exact_data import data_state, rng_states
from fsm_engine.runtime.pauses import running_time

_PROCESS_ATTRIBUTES = ("dataloader", "batch", "event_to_attr")
"""Attributes of the state that each process sets itself."""

_NOTHING = object()


def save_position(engine: EventDispatcher) -> dict[str, Any] | None:
    """Return the exact position of the run of `engine`; None if no run can resume from where it is.

    After a failure, it is the position at which the exception was raised: the activity of that phase runs again. After
    `terminate`, it is the position that the run left for TERMINATE. The result contains the attributes of the state
    that are plain data, the position of data that saves its own, and the current batch if the rest of the run needs it.

    Raises:
        ValueError: the run needs the current batch, which is not plain data. After a failure this is logged, and the
            result is None.
    """
    stop = stopped_place(engine)
    if stop is None and engine._cursor.suspended_at is None and not _may_suspend(engine):
        return None
    place = stop or current_place(engine)
    saved = {**place.position, "state": plain_attributes(engine)}
    batch = copy_plain(engine.state.batch, _detached)
    problem = _batch_problem(place, batch)
    if problem is None and (place.needs_batch or place.keeps_batch):
        saved["batch"] = batch
    if problem is None or not place.needs_batch:
        return saved
    if engine._failure.failed_position is None:
        raise ValueError(problem)
    # Raising here would mask the original error.
    engine.logger.warning("No exact position is saved: %s A run that resumes skips this batch.", problem)
    return None


def stopped_place(engine: EventDispatcher) -> Place | None:
    """Return the place at which the active or last run was terminated; None if it was not, or is not exact.

    If the run of an engine has returned and another run is active, such as the run that calls an evaluator, the result
    is None, because the next run of the engine is a new one.
    """
    if not engine.is_running and run_ends.active_runs():
        return None
    return engine._cursor.stop


def current_place(engine: EventDispatcher) -> Place:
    """Return the place from which the run of `engine` can be resumed now.

    A pending request to terminate is not saved, because the process that resumes continues the run.
    """
    graph, signals, data_pass, failure = engine._graph, engine._signals, engine._data_pass, engine._failure
    position = engine._resume_position
    has_failed = failure.failed_position is not None
    asked = signals.requests if engine.is_running and not has_failed else {}  # the next run drops others
    requests = {**signals.saved_requests, **asked}
    saved: dict[str, Any] = {
        **engine._cursor.saved(),
        **data_pass.saved(),
        "suspended_at": _name_position(graph, position),
        "recovered_from": _name_position(graph, failure.recovered_from),
        "activity_position": _name_position(graph, engine._cursor.activity_position),
        "edges_tried": sorted(failure.edges_tried),
        "clocks": _elapsed(engine),
        "skip": batches_to_skip(engine),
        "must_reopen": is_open(engine),
        "loader_state": _loader_state(engine),
        "requests": {signal.value: skip for signal, skip in requests.items() if signal is Signal.TERMINATE_EPOCH},
    }
    phase = phase_at(position)
    return Place(
        position=saved,
        is_in_iteration=Scope.ITERATION.contains(graph.phases[phase].scope),
        needs_batch=phase in graph.before_step,
        keeps_batch=graph.pending_batches is None or phase in graph.before_use,
        generators=saved_rng_states(engine),
        fire_counts=fire_counts(engine),
    )


def saved_rng_states(engine: EventDispatcher) -> Mapping[str, Any]:
    """Return the states of the RNGs, or the loaded states that a suspended run has not restored yet."""
    loaded = engine._data_pass.resume_rng
    return rng_states(engine.state.dataloader) if loaded is None else loaded


def fire_counts(engine: EventDispatcher) -> dict[str, int]:
    """Return how often each event of `engine` was fired, without events that were not fired."""
    return {str(event): entry.fire_count for event, entry in engine._registry.entries.items() if entry.fire_count}


def _may_suspend(engine: EventDispatcher) -> bool:
    """Return True if a callback of `call_when_safe` runs and a run can be suspended at the position to resume from."""
    interruptible = Signal.INTERRUPT in engine._graph.signal_exits[phase_at(engine._resume_position)]
    return engine._signals.is_calling_back and interruptible


def _elapsed(engine: EventDispatcher) -> dict[str, float]:
    clocks = engine._clocks.saved()
    return {name: running_time() - start for name, start in clocks.items()} if engine.is_running else clocks


def _loader_state(engine: EventDispatcher) -> Any:
    data_pass = engine._data_pass
    if data_pass.iterator is None or data_pass.at_end:
        return data_pass.loader_state
    return data_state(engine.state.dataloader)


def _name_position(graph: Graph, position: int | None) -> list[Any] | None:
    return None if position is None else [qualified_name(graph.phases[phase_at(position)]), is_entered(position)]


def plain_attributes(engine: EventDispatcher, *without: str) -> dict[str, Any]:
    """Return the attributes of the state that are plain data, except the process attributes and the names `without`.

    Warns about attributes of the user that are not plain data and have no state dict.
    """
    excluded = {*_PROCESS_ATTRIBUTES, *engine.state_dict_user_keys, *without}
    attributes = {name: value for name, value in engine.state.attributes().items() if name not in excluded}
    plain = {name: part for name, value in attributes.items() if (part := _plain_part(value)) is not _NOTHING}
    for name in (*vars(engine.state), *engine.state.step_values()):
        value = attributes.get(name)
        if name not in plain and value is not None and not hasattr(value, "state_dict"):
            warnings.warn(
                f"engine.state.{name} is not saved, because {type(value).__name__} is not plain data. Store numbers, "
                f"strings, tensors, lists and dictionaries in it, or set it again before a run resumes.",
                stacklevel=2,
            )
    return plain


def _plain_part(value: Any) -> Any:
    """Return a copy of `value` if it is plain data; for a dict, such as the metrics, a copy of its plain items."""
    value = copy_plain(plain_numbers(value), _detached)
    if find_not_plain(value) is None:
        return value
    if type(value) is not dict:
        return _NOTHING
    return {key: item for key, item in value.items() if find_not_plain({key: item}) is None}


def _detached(tensor: Any) -> Any:
    return tensor.detach()


def _batch_problem(place: Place, batch: Any) -> str | None:
    """Return the reason why the current batch cannot be saved; None if it can."""
    not_plain = find_not_plain(batch)
    if not_plain is None:
        return None
    path, part = not_plain
    phase, _ = place.position["suspended_at"]
    return (
        f"the current batch in {phase.rpartition('.')[2]} contains {type(part).__name__}{path and ' at ' + path}, "
        f"which is not plain data. Save at an event at which no step needs the batch, such as ITERATION_COMPLETED."
    )


def check_position(engine: EventDispatcher, saved: Mapping[str, Any]) -> None:
    """Raise if `engine` cannot load the position that `save_position` returned.

    Raises:
        ValueError: its lifecycle does not have the position.
        BusyError: it is running.
    """
    if engine.is_running:
        raise BusyError(
            f"load_state_dict() was called in {engine.phase} with an exact position, which can only be loaded while no "
            f"run is active. Call it before run()."
        )
    for name in ("suspended_at", "recovered_from", "activity_position"):
        _find_position(engine._graph, name, saved[name])


def load_position(engine: EventDispatcher, saved: Mapping[str, Any]) -> None:
    """Suspend `engine` at a position that `save_position` returned; call `check_position` first."""
    graph, cursor, data_pass, failure = engine._graph, engine._cursor, engine._data_pass, engine._failure
    engine._restart(has_data=False)
    cursor.load(saved)
    data_pass.load(saved)
    engine._clocks.load(saved["clocks"])
    cursor.suspended_at = _find_position(graph, "suspended_at", saved["suspended_at"])
    cursor.activity_position = _find_position(graph, "activity_position", saved["activity_position"]) or IDLE_POSITION
    failure.recovered_from = _find_position(graph, "recovered_from", saved["recovered_from"])
    failure.edges_tried = frozenset(saved["edges_tried"])
    data_pass.skip, data_pass.must_reopen = saved["skip"], saved["must_reopen"]
    data_pass.loader_state = saved["loader_state"]
    engine._signals.saved_requests = {Signal(value): skip for value, skip in saved["requests"].items()}
    cursor.position = after_handlers(graph.index[Events.INTERRUPT])
    engine._has_loaded_state = False
    engine.state.dataloader = None  # so that run() takes the data that it is given for the data of the saved run
    set_attributes(engine, saved["state"])
    if "batch" in saved:
        engine.state.batch = saved["batch"]


def set_attributes(engine: EventDispatcher, attributes: Mapping[str, Any]) -> None:
    """Set attributes of the state to copies of these values."""
    for name, value in attributes.items():
        setattr(engine.state, name, copy.copy(value))


def _find_position(graph: Graph, name: str, saved: Any) -> int | None:
    if saved is None:
        return None
    phase, has_run = saved
    numbers = phase_numbers(graph)
    number = numbers.get(phase)
    if number is None or (name == "suspended_at" and not Scope.RUN.contains(graph.phases[number].scope)):
        raise ValueError(
            f"the loaded state is in {phase!r}, where no run of this lifecycle can be suspended. Its phases are "
            f"{', '.join(numbers)}. Build the engine as it was built when the state was saved."
        )
    return after_handlers(number) if has_run else before(number)


def phase_numbers(graph: Graph) -> dict[str, int]:
    """Return the number of each phase by its qualified name."""
    return {qualified_name(phase): number for number, phase in enumerate(graph.phases)}
