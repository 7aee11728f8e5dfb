"""The `transitions` library: a second driver for a lifecycle, and lifecycles made from its machines.

The machines are flat. A transition of a scope is written once per phase in the scope, and a transition into a history
once per phase that the history may restore. Triggers are the labels of transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fsm_engine._util.errors import IllegalTransition, LifecycleError
from fsm_engine._util.extras import import_extra
from fsm_engine.compiler.codegen import firing_phases
from fsm_engine.dispatch.entries import EventEntry
from fsm_engine.dispatch.step_moves import (
    announce_move,
    entries_of_move,
    history_position,
    return_to_history,
    stuck_error,
)
from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import UserCallable, evaluate, execute, runs_user_code
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import IDLE_POSITION, before, entered, is_entered, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.edits import user_callable
from fsm_engine.lifecycle.step_parts import end_of_step
from fsm_engine.lifecycle.table import qualified_name

if TYPE_CHECKING:
    import transitions

    from fsm_engine.dispatch.event_dispatcher import EventDispatcher
    from fsm_engine.lifecycle.lifecycle import Lifecycle


F = TypeVar("F", bound=Callable[..., Any])


class MachineModel:
    """The model of a machine; its ``phase`` is the qualified name of the current phase."""

    phase: str
    trigger: Callable[..., bool]


def to_transitions(graph: Graph) -> transitions.Machine:
    """Return `graph` as a flat `transitions.Machine` without guards, which accepts or rejects a sequence of labels.

    Raises:
        ImportError: the library is not installed.
    """
    return _machine(graph)


def _machine(
    graph: Graph, conditions: Callable[[Transition, int], list[Any]] = lambda _transition, _target: []
) -> transitions.Machine:
    library = import_extra("transitions", None, "A machine of the library transitions needs this library")
    moves = [
        {
            "trigger": transition.label,
            "source": qualified_name(phase),
            "dest": qualified_name(graph.phases[target]),
            "conditions": conditions(transition, target),
        }
        for phase, exits in zip(graph.phases, graph.exits)
        for transition in sorted(exits, key=lambda t: t.via is not None)
        for target in _targets(graph, transition)
    ]
    machine: transitions.Machine = library.Machine(
        model=MachineModel(),
        states=[qualified_name(phase) for phase in graph.phases],
        initial=qualified_name(graph.phases[0]),
        transitions=moves,
        auto_transitions=False,
        model_attribute="phase",
    )
    return machine


def _targets(graph: Graph, transition: Transition) -> list[int]:
    target = transition.target
    if not isinstance(target, History):
        return [graph.index[target]]
    return [number for number, phase in enumerate(graph.phases) if target.contains(phase.scope)]


class Driver:
    """Runs a lifecycle with a machine of the `transitions` library, which chooses every transition.

    `run` has the contract of the generated function. Both run the same phases and evaluate the same guards, but choose
    the next phase independently, so the tests use this driver as a reference.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._firing = frozenset(firing_phases(graph))
        self.machine = _machine(graph, self._conditions)
        self._names = [qualified_name(phase) for phase in graph.phases]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._chosen: Transition | None = None

    def _conditions(self, transition: Transition, target: int) -> list[Any]:
        conditions: list[Any] = []
        if transition.guard is not None and not transition.error:
            conditions.append(partial(evaluate, transition.guard))
        if isinstance(transition.target, History):
            conditions.append(partial(_is_history_of, target))
        return conditions

    @property
    def _model(self) -> Any:
        return self.machine.model

    def set_phase(self, number: int) -> None:
        """Set the phase of the machine to the phase of number `number`."""
        self.machine.set_state(self._names[number])

    def follow(self, engine: EventDispatcher, transition: Transition) -> None:
        """Let the machine follow a transition caused by a signal, an exception or the step."""
        if transition is self._chosen:
            return
        if transition.signal is Signal.EXCEPTION:  # raised in a transition that the machine took, but not the run
            self.set_phase(phase_at(engine._cursor.position))
        self._model.trigger(transition.label, engine)
        target = self._names[self.graph.index[transition.target]]  # type: ignore[index]
        if self._model.phase != target:
            raise LifecycleError(f"the machine went to {self._model.phase} by {transition}, but the run to {target}.")

    def run(self, engine: EventDispatcher, position: int, _bound: Any = ()) -> int:
        """Run the lifecycle from `position` until a signal is pending or the run ends; return the position."""
        cursor, signals = engine._cursor, engine._signals
        while True:
            number = phase_at(position)
            self.set_phase(number)
            if not is_entered(position):
                cursor.position, cursor.callback_event = position, None
                if self._enter(engine, self.graph.phases[number]):
                    return entered(position)
                position = entered(position)
            cursor.position = position
            if position in self.graph.terminal_positions:
                return position
            position, may_signal = self._run_activity(engine, position)
            phase = self.graph.phases[phase_at(position)]
            transition, target = self._choose(engine, position)
            if isinstance(transition.target, History):
                return return_to_history(engine, transition)
            entries = entries_of_move(engine._registry, self.graph, transition)
            self._take_transition(engine, transition, entries)
            step_end = end_of_step(self.graph, phase_at(position), target)
            if step_end is not None:
                execute(step_end, engine)
            may_signal = may_signal or bool(entries) or runs_user_code(transition.action)
            if not target:
                return IDLE_POSITION
            if (may_signal or phase.defer is not None) and signals.needs_attention:
                return before(target)
            position = before(target)

    def _enter(self, engine: EventDispatcher, phase: Phase) -> bool:
        for action in phase.entry:
            execute(action, engine)
        entry = engine._entries[phase.event]
        if not entry.attached:
            return False
        engine._call_handlers(entry, *phase.payload.values(engine))
        return engine._signals.needs_attention

    def _run_activity(self, engine: EventDispatcher, position: int) -> tuple[int, bool]:
        """Run the activity; return the position that it reached and whether it may have signalled."""
        cursor, failure, number = engine._cursor, engine._failure, phase_at(position)
        phase = self.graph.phases[number]
        if number in self.graph.recovery_phases and not phase.payload.positional:
            failure.error = None
        if phase.activity is None:
            return position, number in self.graph.fired_phases
        if number in self._firing:
            cursor.activity_position, cursor.moves = position, engine._current_moves()[number]
        if number in self.graph.step_phases and isinstance(phase.activity, UserCallable):
            phase.activity(engine)  # the result of a part of the step is ignored
        else:
            execute(phase.activity, engine)
        cursor.moves = None
        return cursor.position, runs_user_code(phase.activity)

    def _take_transition(
        self, engine: EventDispatcher, transition: Transition, entries: tuple[EventEntry, ...]
    ) -> None:
        """Run the action and handlers of the transition that the machine took."""
        self._chosen = transition
        try:
            if transition.action is not None:
                execute(transition.action, engine)
            announce_move(engine, transition, entries)
        finally:
            self._chosen = None

    def _choose(self, engine: EventDispatcher, position: int) -> tuple[Transition, int]:
        number = phase_at(position)
        self._check_phase(number)
        for transition in self.graph.automatic_exits[number]:
            if isinstance(transition.target, History):
                if transition.guard is None or evaluate(transition.guard, engine):
                    return transition, -1
            elif self._model.trigger(transition.label, engine):
                return transition, self._numbers[self._model.phase]
        raise stuck_error(engine)

    def _check_phase(self, number: int) -> None:
        if self._model.phase != self._names[number]:
            raise LifecycleError(f"the machine is in {self._model.phase}, but the run is in {self._names[number]}.")


def _is_history_of(number: int, engine: EventDispatcher) -> bool:
    position = history_position(engine)
    return position is not None and phase_at(position) == number


def from_transitions(machine: transitions.Machine, activities: Mapping[str, Any], name: str) -> Lifecycle:
    """Return a lifecycle made from `machine`, a `transitions.Machine` with one model.

    Each state becomes a phase with the activity ``activities[state]``. When the activity ends, the triggers of the
    machine are tried in the order in which they were added. The first one whose conditions hold is fired on the machine
    itself, so its callbacks run and the state of its model changes. If several exits of a state have no conditions, its
    activity has to return the name of the trigger. A state without exits ends the run. Each run starts in the initial
    state of the machine.

    Raises:
        LifecycleError: the machine has several models or nested states, or an activity is given for an unknown state.
        ImportError: the library is not installed.
    """
    from fsm_engine.lifecycle.lifecycle import Lifecycle

    if hasattr(machine, "get_nested_state_names"):
        raise LifecycleError("the machine has nested states, which are not supported. Use phases in scopes instead.")
    if len(machine.models) != 1:
        raise LifecycleError(f"the machine must have one model, but it has {len(machine.models)}.")
    unknown = [state for state in activities if state not in machine.states]
    if unknown:
        raise LifecycleError(f"unknown state {unknown[0]!r} in activities. The states are {', '.join(machine.states)}.")
    lifecycle = Lifecycle(name)
    choice = _Choice(machine)
    with lifecycle.edit():
        for state in machine.states:
            activity = activities.get(state)
            lifecycle.add_phase(state, None if activity is None else choice.wrap(activity), Scope.RUN)
        lifecycle.add_transition(Edge(Events.STARTED, choice.initial), action=choice.start)
        inherited = {t.label for t in lifecycle.successors(choice.initial) if t.via is not None}
        for state, exits in _exits_by_state(machine).items():
            _add_exits(lifecycle, state, exits, choice, set(inherited))
    return lifecycle


def _add_exits(
    lifecycle: Lifecycle, state: str, exits: list[tuple[str, Any]], choice: _Choice, labels: set[str]
) -> None:
    for number, (trigger, transition) in enumerate(sorted(exits, key=lambda exit_: not exit_[1].conditions)):
        guard = None if number == len(exits) - 1 else choice.guard(trigger, transition, exits)
        label = trigger if trigger not in labels else f"{trigger}_{transition.dest}"
        labels.add(label)
        edge = Edge(state, transition.dest)
        lifecycle.add_transition(edge, guard=guard, label=label, action=choice.take(trigger, exits))
    if not exits:
        lifecycle.add_transition(Edge(state, Events.COMPLETED))


def _exits_by_state(machine: transitions.Machine) -> dict[str, list[tuple[str, Any]]]:
    """Return the triggers and transitions that leave each state, in the order in which the machine tries them."""
    exits: dict[str, list[tuple[str, Any]]] = {state: [] for state in machine.states}
    for event in machine.events.values():
        for state, leaving in event.transitions.items():
            exits[state] += [(event.name, transition) for transition in leaving if transition.dest is not None]
    return exits


class _Choice:
    """The trigger that an activity returned, and the guards and actions that fire it on the machine."""

    def __init__(self, machine: transitions.Machine) -> None:
        self.machine, self.model = machine, machine.models[0]
        self.initial: Any = machine.initial
        self.chosen: str | None = None

    def wrap(self, activity: Any) -> Callable[[EventDispatcher], Any]:
        """Return `activity`, wrapped to store the trigger that it returns."""
        call = user_callable(activity, "an activity", "activity", {})

        def choose(engine: EventDispatcher) -> Any:
            result = call(engine)
            self.chosen = result if isinstance(result, str) and result in self.machine.events else None
            return None if self.chosen else result

        return _named(choose, call.name)

    def start(self) -> None:
        """Set the model to the initial state of its machine."""
        self.machine.set_state(self.initial, self.model)
        self.chosen = None

    def guard(self, trigger: str, transition: Any, exits: list[tuple[str, Any]]) -> Callable[[], bool]:
        """Return the guard of one exit: its trigger was returned, or none was and its conditions hold."""
        from transitions.core import EventData

        ambiguous = sum(not t.conditions for _, t in exits) > 1 and not transition.conditions

        def may() -> bool:
            if self.chosen != trigger and (ambiguous or self.chosen is not None):
                return False
            state = self.machine.get_model_state(self.model)
            data = EventData(state, self.machine.events[trigger], self.machine, self.model, args=(), kwargs={})
            return all(condition.check(data) for condition in transition.conditions)

        names = [str(getattr(condition.func, "__name__", condition.func)) for condition in transition.conditions]
        return _named(may, " and ".join(names) or f"{trigger} chosen")

    def take(self, trigger: str, exits: list[tuple[str, Any]]) -> Callable[[Any], None]:
        """Return the action of one exit: fire the trigger on the machine, which runs its callbacks."""
        unconditional = [name for name, transition in exits if not transition.conditions]

        def take(engine: EventDispatcher) -> None:
            chosen, self.chosen = self.chosen, None
            if chosen is None and len(unconditional) > 1 and trigger in unconditional:
                raise IllegalTransition(
                    f"the exit of {engine.phase} is ambiguous: {' and '.join(unconditional)} have no conditions. "
                    f"Return the name of a trigger from its activity."
                )
            if chosen not in (None, trigger) or not self.machine.events[trigger].trigger(self.model):
                raise IllegalTransition(
                    f"no trigger of the machine can be fired in {engine.phase}"
                    f"{f', whose activity returned {chosen!r}' if chosen else ''}. Add one whose conditions hold."
                )

        return _named(take, trigger)


def _named(function: F, name: str) -> F:
    function.__name__ = name
    return function
