"""The `transitions` library: a second driver for a lifecycle, and machines written with it as lifecycles.

Its machines are flat: scopes' transitions are written out per phase, and history is one transition per phase
that may have been left. Triggers are the labels of transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fsm_engine._util.errors import IllegalTransition, LifecycleError
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
from fsm_engine.graph.code import evaluate, execute, runs_user_code
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import IDLE_POSITION, before, entered, is_entered, phase_at
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.edits import user_callable
from fsm_engine.lifecycle.table import qualified_name

if TYPE_CHECKING:
    import transitions

    from fsm_engine.dispatch.event_dispatcher import EventDispatcher
    from fsm_engine.lifecycle.lifecycle import Lifecycle


F = TypeVar("F", bound=Callable[..., Any])


class MachineModel:
    """The model of a machine: its ``phase`` is the qualified name of the phase that the machine is in."""

    phase: str
    trigger: Callable[..., bool]


def to_transitions(graph: Graph) -> transitions.Machine:
    """Return a flat `transitions.Machine` with the moves of `graph` and no guards: a word of labels is accepted or not.

    Raises:
        ImportError: if the library is not installed.
    """
    return _machine(graph, _no_conditions)


def _no_conditions(_transition: Transition, _target: int) -> list[Any]:
    return []


def _machine(graph: Graph, conditions: Callable[[Transition, int], list[Any]]) -> transitions.Machine:
    try:
        import transitions
    except ImportError as error:
        raise ImportError("this needs the library transitions: pip install transitions") from error
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
    return transitions.Machine(
        model=MachineModel(),
        states=[qualified_name(phase) for phase in graph.phases],
        initial=qualified_name(graph.phases[0]),
        transitions=moves,
        auto_transitions=False,
        model_attribute="phase",
    )


def _targets(graph: Graph, transition: Transition) -> list[int]:
    target = transition.target
    if not isinstance(target, History):
        return [graph.index[target]]
    return [number for number, phase in enumerate(graph.phases) if target.contains(phase.scope)]


class Driver:
    """Runs a lifecycle by a machine of the `transitions` library, which picks every exit.

    It has the contract of the emitted function, and shares with it what phases and guards do, not which comes
    next: the reference that the emitted function is tested against.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.machine = _machine(graph, self._conditions)
        self._names = [qualified_name(phase) for phase in graph.phases]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._picked: Transition | None = None

    def _conditions(self, transition: Transition, target: int) -> list[Any]:
        conditions: list[Any] = []
        if transition.guard is not None and not transition.error:
            conditions.append(partial(_holds, transition.guard))
        if isinstance(transition.target, History):
            conditions.append(partial(_is_history_of, target))
        return conditions

    @property
    def _where(self) -> Any:
        return self.machine.model

    def stand(self, number: int) -> None:
        """Let the machine be in the phase of that number."""
        self.machine.set_state(self._names[number])

    def follow(self, engine: EventDispatcher, transition: Transition) -> None:
        """Make a move that was not picked here: one that a signal, an exception or a step asked for."""
        if transition is self._picked:
            return
        self._where.trigger(transition.label, engine)
        target = self._names[self.graph.index[transition.target]]  # type: ignore[index]
        if self._where.phase != target:
            raise LifecycleError(f"the machine went to {self._where.phase} by {transition}, not to {target}.")

    def run(self, engine: EventDispatcher, at: int, _bound: Any = ()) -> int:
        """Run the lifecycle from position `at` until a signal has to be looked at, or the run rests."""
        cursor, signals = engine._cursor, engine._signals
        while True:
            number = phase_at(at)
            self.stand(number)
            if not is_entered(at):
                cursor.position, cursor.callback_event = at, None
                if self._enter(engine, self.graph.phases[number]):
                    return entered(at)
                at = entered(at)
            cursor.position = at
            if at in self.graph.terminal_positions:
                return at
            at, look = self._act(engine, at)
            phase = self.graph.phases[phase_at(at)]
            transition, target = self._pick(engine, at)
            if isinstance(transition.target, History):
                return return_to_history(engine, transition)
            entries = entries_of_move(engine._registry, self.graph, transition)
            self._take(engine, transition, entries, at)
            look = look or phase.defer is not None or bool(entries) or runs_user_code(transition.action)
            if not target:
                return IDLE_POSITION
            if look and signals.needs_attention:
                return before(target)
            at = before(target)

    def _enter(self, engine: EventDispatcher, phase: Phase) -> bool:
        for action in phase.entry:
            execute(action, engine)
        entry = engine._entries[phase.event]
        if not entry.handlers:
            return False
        engine._call_handlers(entry, *phase.payload.values(engine))
        return engine._signals.needs_attention

    def _act(self, engine: EventDispatcher, at: int) -> tuple[int, bool]:
        """Do the activity, and return where it ended and whether it may have signalled."""
        cursor, failure, number = engine._cursor, engine._failure, phase_at(at)
        phase = self.graph.phases[number]
        if number in self.graph.recovery_phases and not phase.payload.positional:
            failure.error = None
        if phase.activity is None:
            return at, number in self.graph.fired_phases
        if number in firing_phases(self.graph):
            cursor.activity_position, cursor.moves = at, engine._current_moves()[number]
        execute(phase.activity, engine)
        cursor.moves = None
        return cursor.position, runs_user_code(phase.activity)

    def _take(self, engine: EventDispatcher, transition: Transition, entries: tuple[EventEntry, ...], at: int) -> None:
        """Do what belongs to the move that the machine has made; it goes back if that fails."""
        self._picked = transition
        try:
            if transition.action is not None:
                execute(transition.action, engine)
            announce_move(engine, transition, entries)
        except BaseException:
            self.stand(phase_at(at))
            raise
        finally:
            self._picked = None

    def _pick(self, engine: EventDispatcher, at: int) -> tuple[Transition, int]:
        number = phase_at(at)
        self._check_place(number)
        for transition in self.graph.automatic_exits[number]:
            if isinstance(transition.target, History):
                if transition.guard is None or evaluate(transition.guard, engine):
                    return transition, -1
            elif self._where.trigger(transition.label, engine):
                return transition, self._numbers[self._where.phase]
        raise stuck_error(engine)

    def _check_place(self, number: int) -> None:
        if self._where.phase != self._names[number]:
            raise LifecycleError(f"the machine is in {self._where.phase}, and the run in {self._names[number]}.")


def _holds(guard: Any, engine: EventDispatcher) -> bool:
    return evaluate(guard, engine)


def _is_history_of(number: int, engine: EventDispatcher) -> bool:
    at = history_position(engine)
    return at is not None and phase_at(at) == number


def from_transitions(machine: transitions.Machine, activities: Mapping[str, Any], name: str) -> Lifecycle:
    """Return a lifecycle with the states and transitions of `machine`, a `transitions.Machine` with one model.

    Each state is a phase of that name; its activity is ``activities[state]``. When it has ended, the machine's
    triggers are tried in the order in which they were added, with their conditions; the first that may be
    taken is, on the machine itself: its callbacks run, and its model's state follows. Where more than one exit
    has no conditions, the activity says which by returning the name of the trigger. A state without exits ends
    the run. Every run begins in the machine's initial state.

    Raises:
        LifecycleError: a machine with several models or nested states, or activities for states it has not.
        ImportError: if the library is not installed.
    """
    from fsm_engine.lifecycle.lifecycle import Lifecycle

    if hasattr(machine, "get_nested_state_names"):
        raise LifecycleError("the machine has nested states. Write its states as phases of scopes instead.")
    if len(machine.models) != 1:
        raise LifecycleError(f"the machine has {len(machine.models)} models, and a lifecycle follows one.")
    unknown = [state for state in activities if state not in machine.states]
    if unknown:
        raise LifecycleError(f"there is no state {unknown[0]!r} for an activity: {', '.join(machine.states)}.")
    lifecycle = Lifecycle(name)
    choice = _Choice(machine)
    for state in machine.states:
        activity = activities.get(state)
        lifecycle.add_phase(state, None if activity is None else choice.choosing(activity), Scope.RUN)
    lifecycle.add_transition(Edge(Events.STARTED, choice.initial), action=choice.start)
    for state in machine.states:
        exits = [t for event in machine.events.values() for t in _of_state(event, state)]
        for number, (trigger, transition) in enumerate(sorted(exits, key=lambda exit_: not exit_[1].conditions)):
            guard = None if number == len(exits) - 1 else choice.guard(trigger, transition, exits)
            labels = [t.label for t in lifecycle.successors(state)]
            label = trigger if trigger not in labels else f"{trigger}_{transition.dest}"
            edge = Edge(state, transition.dest)
            lifecycle.add_transition(edge, guard=guard, label=label, action=choice.take(trigger, exits))
        if not exits:
            lifecycle.add_transition(Edge(state, Events.COMPLETED))
    return lifecycle


def _of_state(event: Any, state: str) -> list[tuple[str, Any]]:
    return [(event.name, t) for t in event.transitions.get(state, []) if t.dest is not None]


class _Choice:
    """What an activity chose, and the guards and actions that let a machine of the library follow it."""

    def __init__(self, machine: transitions.Machine) -> None:
        self.machine, self.model = machine, machine.models[0]
        self.initial: Any = machine.initial
        self.chosen: str | None = None

    def choosing(self, activity: Any) -> Callable[[EventDispatcher], Any]:
        """Return `activity`, its choice kept."""
        call = user_callable(activity, "an activity", "activity", {})

        def choose(engine: EventDispatcher) -> Any:
            result = call(engine)
            self.chosen = result if isinstance(result, str) and result in self.machine.events else None
            return None if self.chosen else result

        return _named(choose, call.name)

    def start(self) -> None:
        """Put the model into the initial state of its machine."""
        self.machine.set_state(self.initial, self.model)
        self.chosen = None

    def guard(self, trigger: str, transition: Any, exits: list[tuple[str, Any]]) -> Callable[[], bool]:
        """Return the guard of one exit: chosen, or its conditions hold and nothing else was."""
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
        """Return the action of one exit: the machine's own transition, with its callbacks."""
        open_ = [name for name, transition in exits if not transition.conditions]

        def take(engine: EventDispatcher) -> None:
            chosen, self.chosen = self.chosen, None
            if chosen is None and len(open_) > 1 and trigger in open_:
                raise IllegalTransition(
                    f"nothing says how {engine.phase} is left: {' and '.join(open_)} have no conditions. Let its "
                    f"activity return the name of the trigger to take."
                )
            if chosen not in (None, trigger) or not self.machine.events[trigger].trigger(self.model):
                raise IllegalTransition(
                    f"no trigger of the machine may be taken in {engine.phase}"
                    f"{f', where {chosen!r} was chosen' if chosen else ''}. Give one a condition that holds."
                )

        return _named(take, trigger)


def _named(function: F, name: str) -> F:
    function.__name__ = name
    return function
