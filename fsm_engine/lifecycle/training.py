"""Graph of the training lifecycle: the only place that defines the order of its events."""

from __future__ import annotations

from typing import Any

from fsm_engine.events.events import Event, Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import CodeFragment, Payload
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import IDLE, Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.runtime import data_iter as data
from fsm_engine.runtime import run_limits as limits
from fsm_engine.runtime.clocks import log_epoch

E, S = Events, Scope


def _code(name: str, text: str, **names: Any) -> CodeFragment:
    return CodeFragment(name, text, names)


def _signal(source: Scope, signal: Signal, target: Event) -> Transition:
    return Transition(source, target, signal.value, Trigger.SIGNAL, signal)


_no_work_left = _code(
    "nothing left to do",
    "limits_reached(state) or (data_pass.data_exhausted and state.max_epochs is None)",
    limits_reached=limits.limits_reached,
)
_no_data = CodeFragment("no data", "not data_pass.has_data", is_static=True)
_got_batch = _code("got a batch", "not data_pass.at_end")
_length_known = _code("exhausted, length known", "state.epoch_length is not None")
_epoch_full = _code(
    "epoch_length reached",
    "(length := state.epoch_length) is not None and state.iteration - cursor.epoch_start >= length",
)
_max_iters = _code("iteration >= max_iters", "(limit := state.max_iters) is not None and state.iteration >= limit")
_loaded = _code("a state was loaded", "cursor.is_loaded")
_skipped = _code("COMPLETED skipped", "cursor.skip_completed")
_epoch_skipped = _code("completion skipped", "cursor.skip_epoch_completed")
_last_epoch_skipped = _code(
    "completion skipped, nothing left to do",
    f"cursor.skip_epoch_completed and ({_no_work_left.text})",
    **_no_work_left.names,
)

_skip_requested = _code(
    "skip requested", "signals.requests.get(TERMINATE_EPOCH)", TERMINATE_EPOCH=Signal.TERMINATE_EPOCH
)

RETURN_TO_STARTED = _code(
    "set the history to STARTED", "cursor.is_loaded, cursor.suspended_at = False, cursor.position | 1"
)
"""Action of the exit to RESUMED: history returns to the phase that the run left, whose activity starts again."""

_start_epoch = _code(
    "epoch += 1",
    "state.epoch += 1\n"
    "cursor.epoch_start, cursor.loaded_iterations = state.iteration - cursor.loaded_iterations, 0\n"
    "cursor.epoch_is_open = True\n"
    "clocks.start_epoch()",
)
_no_batch = _code("batch = output = None", "state.batch = state.output = None")
_check_not_empty = _code("raise if the data is empty", "raise_if_empty(engine)", raise_if_empty=data.raise_if_empty)

_open = CodeFragment(
    "open the data unless it is open",
    "if data_pass.has_data and data_pass.iterator is None:\n    open_data(engine)",
    {"open_data": data.open_data},
    runs_user_code=True,
)
_next_batch = CodeFragment(
    "next batch",
    "try:\n    state.batch = next(data_pass.iterator)\nexcept StopIteration:\n    data_pass.at_end = True\n"
    "except TypeError:\n    raise_not_open(engine)\n    raise",
    {"raise_not_open": data.raise_not_open},
    runs_user_code=True,
)
_reopen = CodeFragment(
    "reopen state.dataloader, next batch",
    "open_data(engine)\n" + _next_batch.text,
    {**_open.names, **_next_batch.names},
    runs_user_code=True,
)
STEP = CodeFragment("the step", "engine.state.output = step(engine, state.batch)", runs_user_code=True, is_step=True)
"""Activity of ITERATION_STARTED: one call of the step."""

ITERATION_IS_OPEN = CodeFragment("the iteration is open", "True")
"""Guard for which the phases of an iteration defer signals."""

_epoch_time = _code("record the time", "cursor.epoch_is_open = False\nclocks.stop_epoch(state)")
_end_epoch = _code("record the time", "clocks.stop_epoch(state)\nlog_epoch(engine.logger, state)", log_epoch=log_epoch)
_run_time = _code("record the time", "clocks.stop_run(state)")

_close = _code(
    "close the data",
    "cursor.epoch_is_open = False\n"
    "data_pass.iterator, data_pass.at_end, data_pass.start = None, False, state.iteration",
)
_count = _code("epoch_length = count", "set_epoch_length(engine)", set_epoch_length=data.set_epoch_length)
_mark_exhausted = _code("mark the data as exhausted", "note_exhausted(engine)", note_exhausted=data.note_exhausted)


def _ends_of_epoch(source: Event, label: str, action: CodeFragment) -> tuple[Transition, ...]:
    """Return the exits of a phase in which the data ended, and may have requested to skip EPOCH_COMPLETED."""
    skip = _code(
        f"{action.name}, skip EPOCH_COMPLETED",
        f"{action.text}\ncursor.skip_epoch_completed = signals.take_terminate_epoch()",
        **action.names,
    )
    return (
        Transition(source, E.TERMINATE_SINGLE_EPOCH, f"{label}_skip", guard=_skip_requested, action=skip),
        Transition(source, E.EPOCH_COMPLETED, label, action=action),
    )


_before = (
    Phase(IDLE),
    Phase(E.STARTED, S.RUN, entry=(_code("start the clock", "clocks.start_run(state)"),)),
    Phase(E.RESUMED, S.RUN),
)
_after = (
    Phase(E.TERMINATE, S.ENGINE, entry=(_code("stopped = True", "cursor.is_terminated = True"),)),
    Phase(E.COMPLETED, S.ENGINE, entry=(_run_time,), activity=_run_time),
    Phase(E.INTERRUPT, S.ENGINE),
    Phase(E.EXCEPTION_RAISED, payload=Payload(positional=("failure.error",))),
)
_outer = (
    Transition(IDLE, E.STARTED, "run", Trigger.SIGNAL, Signal.RUN),
    Transition(E.TERMINATE, IDLE, "skipped", guard=_skipped),
    Transition(E.TERMINATE, E.COMPLETED, "end_run"),
    Transition(E.COMPLETED, IDLE, "done"),
    Transition(E.EXCEPTION_RAISED, IDLE, "done"),
    Transition(E.INTERRUPT, E.RESUMED, "run", Trigger.SIGNAL, Signal.RUN),
    Transition(E.RESUMED, History(S.RUN), "resume"),
    _signal(S.RUN, Signal.TERMINATE, E.TERMINATE),
    _signal(S.RUN, Signal.INTERRUPT, E.INTERRUPT),
    _signal(S.ENGINE, Signal.EXCEPTION, E.EXCEPTION_RAISED),
)

OUTER = Graph(_before + _after, _outer)
"""Graph of a new lifecycle: start and end of a run, and its signals. The phases in between are added by edits."""

TRAINING = Graph(
    phases=(
        *_before,
        Phase(E.EPOCH_STARTED, S.EPOCH, entry=(_start_epoch,), activity=_open),
        Phase(E.GET_BATCH_STARTED, S.EPOCH, entry=(_code("batch = None", "state.batch = None"),), activity=_next_batch),
        Phase(E.GET_BATCH_COMPLETED, S.EPOCH, entry=(_code("output = None", "state.output = None"),)),
        Phase(
            E.ITERATION_STARTED, S.ITERATION, entry=(_code("iteration += 1", "state.iteration += 1"),), activity=STEP
        ),
        Phase(E.ITERATION_COMPLETED, S.EPOCH),
        Phase(E.DATALOADER_STOP_ITERATION, S.EPOCH, activity=_reopen),
        Phase(
            E.TERMINATE_SINGLE_EPOCH,
            S.RUN,
            entry=(_close,),
            payload=Payload(keywords={"iter_counter": "state.iteration - cursor.epoch_start"}),
            defer=_code("EPOCH_COMPLETED not skipped", "not cursor.skip_epoch_completed"),
        ),
        Phase(E.EPOCH_COMPLETED, S.RUN, entry=(_epoch_time,), activity=_end_epoch),
        *_after,
    ),
    transitions=(
        Transition(E.STARTED, E.RESUMED, "loaded", guard=_loaded, action=RETURN_TO_STARTED),
        Transition(E.STARTED, E.COMPLETED, "nothing_left", guard=_no_work_left),
        Transition(E.STARTED, E.EPOCH_STARTED, "next_epoch"),
        Transition(E.EPOCH_STARTED, E.ITERATION_STARTED, "no_data", guard=_no_data, action=_no_batch),
        Transition(E.EPOCH_STARTED, E.GET_BATCH_STARTED, "next_batch"),
        Transition(E.GET_BATCH_STARTED, E.GET_BATCH_COMPLETED, "got_batch", guard=_got_batch),
        Transition(
            E.GET_BATCH_STARTED, E.DATALOADER_STOP_ITERATION, "exhausted", guard=_length_known, action=_check_not_empty
        ),
        *_ends_of_epoch(E.GET_BATCH_STARTED, "end_of_data", _count),
        Transition(E.GET_BATCH_COMPLETED, E.ITERATION_STARTED, "iterate"),
        Transition(E.ITERATION_STARTED, E.ITERATION_COMPLETED, "step_done"),
        Transition(E.ITERATION_COMPLETED, E.EPOCH_COMPLETED, "epoch_full", guard=_epoch_full),
        Transition(E.ITERATION_COMPLETED, E.TERMINATE, "max_iters", guard=_max_iters),
        Transition(E.ITERATION_COMPLETED, E.ITERATION_STARTED, "no_data", guard=_no_data, action=_no_batch),
        Transition(E.ITERATION_COMPLETED, E.GET_BATCH_STARTED, "next_batch"),
        Transition(E.DATALOADER_STOP_ITERATION, E.GET_BATCH_COMPLETED, "got_batch", guard=_got_batch),
        *_ends_of_epoch(E.DATALOADER_STOP_ITERATION, "still_exhausted", _mark_exhausted),
        Transition(E.EPOCH_COMPLETED, E.COMPLETED, "nothing_left", guard=_no_work_left),
        Transition(E.EPOCH_COMPLETED, E.EPOCH_STARTED, "next_epoch"),
        Transition(E.TERMINATE_SINGLE_EPOCH, E.COMPLETED, "skipped_last", guard=_last_epoch_skipped),
        Transition(E.TERMINATE_SINGLE_EPOCH, E.EPOCH_STARTED, "skipped", guard=_epoch_skipped),
        Transition(E.TERMINATE_SINGLE_EPOCH, E.EPOCH_COMPLETED, "end_epoch"),
        _signal(S.EPOCH, Signal.TERMINATE_EPOCH, E.TERMINATE_SINGLE_EPOCH),
        *_outer,
    ),
)
