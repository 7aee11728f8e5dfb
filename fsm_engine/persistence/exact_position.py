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
from fsm_engine.graph.signals import Signal
from fsm_engine.lifecycle.table import qualified
from fsm_engine.runtime.data_iter import batches_taken
from fsm_engine.runtime.exact_data import state_of_data

_POSITIONS = ("left", "failed", "stepping")
_AS_THEY_ARE = (
    "epoch_start",
    "loaded_part",
    "has_data",
    "dry",
    "exhausted",
    "pass_start",
    "opened",
    "opened_with",
    "stopped",
    "skip_completed",
    "skip_epoch_completed",
)
_CLOCKS = ("run_clock", "epoch_clock")
_OF_THE_RUN = ("dataloader", "batch", "event_to_attr")
"""Attributes of the state that a process gives anew."""

_NOTHING = object()


def position(engine: EventDispatcher) -> dict[str, Any] | None:
    """Return where the run of `engine` is, None if it is in no place that a run can go on from.

    After an error that is where it was raised: the activity of that phase is to be done again. The attributes of the
    state are in it as far as they are plain data; the data, where it tells its own position; the batch at hand, which
    could not be had again.
    """
    here, graph = engine._here, engine._graph
    if here.left is None and not _may_rest(engine):
        return None
    left = here.place
    found: dict[str, Any] = {name: getattr(here, name) for name in _AS_THEY_ARE}
    found.update((name, _named(graph, getattr(here, name))) for name in _POSITIONS)
    found["left"] = _named(graph, left)
    found["tried"] = sorted(here.tried)
    found.update(
        (name, perf_counter() - clock if engine._running else clock) for name, clock in _clocks(engine).items()
    )
    opened = here.batches is not None
    found["skip"] = 0 if here.exhausted else batches_taken(engine) if opened else here.skip
    found["reopens"] = here.reopens or (opened and not here.exhausted)
    found["data"] = state_of_data(engine.state.dataloader) if opened and not here.exhausted else here.data_state
    pending = {**here.asked, **here.requests} if here.broken is None else here.asked
    found["requests"] = {s.value: skip for s, skip in pending.items() if s is not Signal.INTERRUPT}
    found["state"] = attributes(engine)
    waits = left >> 1 in graph.before_step
    batch = copy_plain(engine.state.batch, _detached)
    wrong = _not_plain(engine, batch)
    if wrong is None and (waits or graph.uncounted is None or left >> 1 in graph.before_use):
        found["batch"] = batch
    if wrong is None or not waits:
        return found
    if here.broken is None:
        raise ValueError(wrong)
    # Raised here, it would stand in for the error that is to be told of.
    engine.logger.warning("No exact position is saved: %s A run that goes on from it leaves that batch out.", wrong)
    return None


def _may_rest(engine: EventDispatcher) -> bool:
    """Say whether a run may be suspended where it is: handlers are through, and the run has not ended or failed."""
    here = engine._here
    return here.settled and Signal.INTERRUPT in engine._graph.signalled[here.place >> 1]


def _clocks(engine: EventDispatcher) -> dict[str, float]:
    return {name: getattr(engine._here, name) for name in _CLOCKS}


def _named(graph: Graph, at: int | None) -> list[Any] | None:
    return None if at is None else [qualified(graph.phases[at >> 1]), at & 1]


def attributes(engine: EventDispatcher, *without: str) -> dict[str, Any]:
    """Return the attributes of the state that are plain data, without those of this process."""
    left_out = {*_OF_THE_RUN, *engine.state_dict_user_keys, *without}
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


def _not_plain(engine: EventDispatcher, batch: Any) -> str | None:
    """Say what of the batch at hand cannot be saved; None if all of it can."""
    wrong, phase = find_not_plain(batch), engine._graph.phases[engine._here.place >> 1]
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
    for name in _POSITIONS:
        _number(engine._graph, name, found[name])


def stand(engine: EventDispatcher, found: Mapping[str, Any]) -> None:
    """Let `engine` stand, suspended, where `position` has found another one; see `check_position`."""
    here, graph = engine._here, engine._graph
    here.restart(has_data=False)
    for name in (*_AS_THEY_ARE, "skip", "reopens"):
        setattr(here, name, found[name])
    for name in _POSITIONS:
        setattr(here, name, _number(graph, name, found[name]))
    for name in _CLOCKS:
        setattr(here, name, found[name])
    here.tried = frozenset(found["tried"])
    here.data_state = found["data"]
    here.asked = {Signal(value): skip for value, skip in found["requests"].items()}
    here.at = 2 * graph.index[Events.INTERRUPT] + 1
    engine._loaded = False
    engine.state.dataloader = None  # so that what is given to run() is taken for the same
    set_attributes(engine, found["state"])
    if "batch" in found:
        engine.state.batch = found["batch"]


def set_attributes(engine: EventDispatcher, found: Mapping[str, Any]) -> None:
    """Give the state of `engine` what `attributes` has found."""
    for name, value in found.items():
        setattr(engine.state, name, copy.copy(value))


def _number(graph: Graph, name: str, known: Any) -> int | None:
    if known is None:
        return None
    phase, entered = known
    numbers = {qualified(phase): number for number, phase in enumerate(graph.phases)}
    number = numbers.get(phase)
    if number is None or (name == "left" and not Scope.RUN.contains(graph.phases[number].scope)):
        raise ValueError(
            f"the state that is loaded stands in {phase!r}, where no run of this lifecycle can be. Its phases are "
            f"{', '.join(numbers)}. Make the engine as it was made when the state was saved."
        )
    return 2 * number + int(entered)
