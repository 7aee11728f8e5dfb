"""Lifecycles of the supervised training steps, whose parts the engine calls.

The parts are methods of the step, so trainers of one kind share a graph and its compiled function. Each part gets the
engine, reads the values of earlier parts from the state, and stores its own there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.events import Event, Events, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, is_part
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import Transition, Trigger
from fsm_engine.lifecycle.step_events import StepEvents, Tbptt_Events
from fsm_engine.lifecycle.training import ITERATION_IS_OPEN, STEP, TRAINING


def _part(name: str, text: str) -> CodeFragment:
    return CodeFragment(name, text, runs_user_code=True, is_step=True, is_part=True)


_prepare = _part("prepare_batch and zero_grad", "cursor.has_output = False\nstep.prepare(engine, state.batch)")
_forward = _part("forward pass", "step.forward(engine)")
_loss = _part("loss of y_pred and y", "step.compute_loss(engine)")
_backward = _part("backward pass", "step.backward(engine)")
_unscale = _part("unscale the gradients", "step.unscale(engine)")
_optimize = _part("optimizer step", "step.step_optimizer(engine)")
_output = _part("output of the step", "state.output = step.output(engine)\ncursor.has_output = True")

# A step with default options has the same parts without calls of its methods, which would cost more than all moves.
_plain_prepare = _part(
    "zero_grad; x, y = batch",
    "cursor.has_output = False\n"
    "if not (step.model.training and step.inner_model.training):\n"
    "    step.model.train()\n"
    "step.optimizer.zero_grad()\n"
    "try:\n"
    "    state.x, state.y = state.batch\n"
    "except (ValueError, TypeError) as error:\n"
    "    step.raise_if_no_pair(state.batch, error)\n"
    "    raise",
)
_plain_forward = _part("y_pred = model(x)", "state.y_pred = step.model(state.x)")
_plain_loss = _part("loss = loss_fn(y_pred, y)", "state.loss = step.loss_fn(state.y_pred, state.y)")
_plain_backward = _part("loss.backward()", "state.loss.backward()")
_plain_optimize = _part("optimizer.step()", "step.optimizer.step()")
_plain_output = _part(
    "output = output_transform(x, y, y_pred, loss)",
    "state.output = step.output_transform(state.x, state.y, state.y_pred, state.loss)\ncursor.has_output = True",
)

_PLAIN = (_plain_prepare, _plain_forward, _plain_loss, _plain_backward, _plain_optimize, _plain_output)

_split = _part("chunks of x, y = batch", "cursor.has_output = False\nstep.split(engine, state.batch)")
_next_chunk = _part("x, y = next chunk; zero_grad", "step.next_chunk(engine)")
_mean_output = _part("output = mean over the chunks", "step.finish(engine)")
_accumulates = CodeFragment("gradients accumulate", "step.accumulates(engine)")
_skipped = CodeFragment("optimizer step skipped", "step.has_skipped")
_has_chunks = CodeFragment("chunks left", "step.has_chunks(engine)")


def finish_output(engine: Any) -> None:
    """Set the output of a step whose last part a transition has skipped, if the loss is known."""
    if engine.state.output is None and hasattr(engine.state, "loss"):
        engine.state.output = engine._step.output(engine)


_DROP = (
    "cursor.has_output, cursor.step_data = False, None\n"
    "try:\n"
    "    del state.x, state.y, state.y_pred, state.loss\n"
    "except AttributeError:\n"
    "    state.drop_step_values()"
)

COMPLETE_STEP = CodeFragment(
    "set the output unless it is set, and drop x, y, y_pred and loss",
    "if not cursor.has_output:\n    finish_output(engine)\n" + _DROP,
    {"finish_output": finish_output},
    runs_user_code=True,
)
"""Action of every move from a step with parts to ITERATION_COMPLETED."""

ABANDON_STEP = CodeFragment("drop x, y, y_pred and loss", _DROP)
"""Action of every other move out of a step with parts."""


def end_of_step(graph: Graph, source: int, target: int) -> CodeFragment | None:
    """Return the code to execute on a move between these phases, before the target is entered; None if it has none."""
    if not graph.leaves_step(source, target):
        return None
    is_completed = graph.phases[target].event is Events.ITERATION_COMPLETED
    has_output = graph.phases[source].activity in (_output, _plain_output)
    return COMPLETE_STEP if is_completed and not has_output else ABANDON_STEP


def _phase(event: Event, activity: Code | None = None, entry: tuple[Code, ...] = ()) -> Phase:
    return Phase(event, Scope.ITERATION, entry, activity, defer=ITERATION_IS_OPEN)


_FORWARD_AND_BACKWARD = (
    _phase(StepEvents.FORWARD_STARTED, _forward),
    _phase(StepEvents.FORWARD_COMPLETED, _loss),
    _phase(StepEvents.LOSS_COMPLETED),
    _phase(StepEvents.BACKWARD_STARTED, _backward),
    _phase(StepEvents.BACKWARD_COMPLETED),
)
_OPTIMIZER = (
    _phase(StepEvents.OPTIM_STEP_STARTED, _optimize),
    _phase(StepEvents.OPTIM_STEP_COMPLETED, _output),
)


@cache
def plain_graph() -> Graph:
    """Return the training lifecycle of a supervised step with default options."""
    phases = (
        _phase(StepEvents.FORWARD_STARTED, _plain_forward),
        _phase(StepEvents.FORWARD_COMPLETED, _plain_loss),
        _phase(StepEvents.LOSS_COMPLETED),
        _phase(StepEvents.BACKWARD_STARTED, _plain_backward),
        _phase(StepEvents.BACKWARD_COMPLETED),
        _phase(StepEvents.OPTIM_STEP_STARTED, _plain_optimize),
        _phase(StepEvents.OPTIM_STEP_COMPLETED, _plain_output),
    )
    return _with_parts(_plain_prepare, phases, ())


@cache
def supervised_graph(accumulates: bool, is_scaled: bool, may_skip: bool = False) -> Graph:
    """Return the training lifecycle of a supervised step with options.

    Args:
        accumulates: whether iterations may end without an optimizer step.
        is_scaled: whether a gradient scaler is used.
        may_skip: whether the gradient scaler decides on the host to skip the optimizer step.
    """
    unscaled = (_phase(StepEvents.UNSCALED, entry=(_unscale,)),) if is_scaled else ()
    guarded: tuple[Transition, ...] = ()
    if accumulates:
        guarded += (
            Transition(StepEvents.BACKWARD_COMPLETED, Events.ITERATION_COMPLETED, "accumulate", guard=_accumulates),
        )
    if may_skip:
        guarded += (Transition(StepEvents.OPTIM_STEP_STARTED, Events.ITERATION_COMPLETED, "skip", guard=_skipped),)
    phases = (*_FORWARD_AND_BACKWARD, *unscaled, *_OPTIMIZER)
    return _with_parts(_prepare, phases, guarded)


@cache
def tbptt_graph() -> Graph:
    """Return the training lifecycle of a step that trains on a sequence chunk by chunk."""
    again = Transition(
        Tbptt_Events.TIME_ITERATION_COMPLETED, Tbptt_Events.TIME_ITERATION_STARTED, "next_chunk", guard=_has_chunks
    )
    phases = (
        _phase(Tbptt_Events.TIME_ITERATION_STARTED, _next_chunk),
        *_FORWARD_AND_BACKWARD,
        *_OPTIMIZER,
        _phase(Tbptt_Events.TIME_ITERATION_COMPLETED, _mean_output),
    )
    return _with_parts(_split, phases, (again,))


def _with_parts(first: CodeFragment, parts: tuple[Phase, ...], guarded: tuple[Transition, ...]) -> Graph:
    """Return the training lifecycle with `first` as the activity of ITERATION_STARTED, and `parts` after it."""
    events = [Events.ITERATION_STARTED, *(phase.event for phase in parts), Events.ITERATION_COMPLETED]
    path = [Transition(one, other, _label(other)) for one, other in pairwise(events)]
    phases: list[Phase] = []
    for phase in TRAINING.phases:
        phases += (replace(phase, activity=first), *parts) if phase.activity == STEP else (phase,)
    transitions: list[Transition] = []
    for transition in TRAINING.transitions:
        transitions += (*guarded, *path) if transition.source is Events.ITERATION_STARTED else (transition,)
    return Graph(tuple(phases), tuple(transitions))


def _label(event: Event) -> str:
    return name_of(event).lower()


def with_one_activity(graph: Graph, original: Graph) -> Graph:
    """Return `graph` with one activity, the step, in place of its parts; a step may fire the phases of the parts.

    Args:
        graph: a lifecycle whose step has parts.
        original: the lifecycle of that step as it was made.

    Raises:
        LifecycleError: if the phases of the step were edited; the edits would be lost.
    """
    inside = {graph.phases[number].event for number in graph.step_phases}
    _check_not_edited(graph, original, inside)
    phases = [_without_part(phase) if phase.event in inside else phase for phase in graph.phases]
    transitions: list[Transition] = []
    for transition in graph.transitions:
        if transition.source not in inside or transition.trigger is not Trigger.AUTOMATIC:
            transitions.append(transition)
            continue
        if transition.source is Events.ITERATION_STARTED:
            transitions.append(Transition(Events.ITERATION_STARTED, Events.ITERATION_COMPLETED, "step_done"))
        is_fired = transition.target in inside
        trigger = Trigger.FIRED if is_fired else Trigger.AUTOMATIC
        transitions.append(replace(transition, trigger=trigger, guard=None))
    return Graph(tuple(phases), tuple(transitions))


def _without_part(phase: Phase) -> Phase:
    activity = STEP if phase.event is Events.ITERATION_STARTED else None
    entry = tuple(code for code in phase.entry if not is_part(code))
    return replace(phase, activity=activity, entry=entry)


def _check_not_edited(graph: Graph, original: Graph, inside: set[Event]) -> None:
    def step_of(one: Graph) -> tuple[list[Phase], list[Transition]]:
        exits = [t for t in one.transitions if t.source in inside and t.trigger is Trigger.AUTOMATIC]
        return [phase for phase in one.phases if phase.event in inside], exits

    (phases, exits), (others, other_exits) = step_of(graph), step_of(original)
    edited = [str(phase) for phase in phases if phase not in others] or [str(t) for t in exits if t not in other_exits]
    if edited or (phases, exits) != (others, other_exits):
        raise LifecycleError(
            f"the step cannot be replaced by one function, because its phases were edited ({', '.join(edited)}), and "
            f"the edits would be lost. Assign the function first, or change the step by edits only: "
            f"lifecycle.insert(...), lifecycle.replace(...)."
        )


def missing_parts(graph: Graph, step: Any) -> Iterator[tuple[Phase, str]]:
    """Yield each phase that calls a part which `step` does not have, with the name of the part."""
    for phase in graph.phases:
        for code in (phase.activity, *phase.entry):
            names = re.findall(r"\bstep\.(\w+)", code.text) if isinstance(code, CodeFragment) and code.is_part else ()
            yield from ((phase, name) for name in names if not hasattr(step, name))


def ignores_options(graph: Graph, step: Any) -> bool:
    """Return True if the parts of `graph` belong to a step without options, but `step` has options."""
    return getattr(step, "has_options", False) and any(phase.activity in _PLAIN for phase in graph.phases)
