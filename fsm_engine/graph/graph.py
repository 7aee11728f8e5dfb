"""The lifecycle graph: phases connected by transitions. A graph is immutable.

It is the only definition of the order of events: the generated function, pictures, files and checks are derived from
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any

from fsm_engine.events.events import Event, Events, is_same
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import CodeFragment, is_part, is_static
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import after_handlers, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger

_FETCHING = (Events.GET_BATCH_STARTED, Events.DATALOADER_STOP_ITERATION)
_FETCHED = (Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)


@dataclass(frozen=True, eq=False)
class Graph:
    """Phases and transitions. The first phase is the initial and the final one.

    The other phases should be in the order in which a run usually enters them: the generated function falls through
    from each phase to the next, which is fast. Their order has no effect on the behavior.
    """

    phases: tuple[Phase, ...]
    transitions: tuple[Transition, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.phases, self.transitions)

    @cached_property
    def index(self) -> dict[Event, int]:
        """The number of each phase by its event."""
        return {phase.event: number for number, phase in enumerate(self.phases)}

    @cached_property
    def exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase, its exits: transitions from the phase and, with the phase as their source, from its scopes."""
        by_source: dict[Event | Scope, list[tuple[int, Transition]]] = {}
        for order, transition in enumerate(self.transitions):
            by_source.setdefault(transition.source, []).append((order, transition))
        return tuple(tuple(_exits_of(phase, by_source)) for phase in self.phases)

    @cached_property
    def automatic_exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase, its automatic exits in the order in which their guards are evaluated."""
        return tuple(tuple(t for t in exits if t.trigger is Trigger.AUTOMATIC) for exits in self.exits)

    @cached_property
    def signal_exits(self) -> tuple[dict[Signal, Transition], ...]:
        """Per phase, the exit that each signal takes. Error edges are not included; inner scopes take precedence."""
        per_phase: list[dict[Signal, Transition]] = [{} for _ in self.phases]
        for by_signal, exits in zip(per_phase, self.exits):
            for transition in innermost_first(exits):
                if transition.signal is not None and not transition.error:
                    by_signal.setdefault(transition.signal, transition)
        return tuple(per_phase)

    @cached_property
    def error_edges(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase, its error edges in the order in which they are tried: innermost scopes first."""
        return tuple(tuple(t for t in innermost_first(exits) if t.error) for exits in self.exits)

    @cached_property
    def fired_exits(self) -> tuple[dict[Event, Transition], ...]:
        """Per phase, its fired exits by the event that is fired."""
        return tuple(
            {t.target: t for t in exits if t.trigger is Trigger.FIRED}  # type: ignore[misc]  # never a scope
            for exits in self.exits
        )

    @cached_property
    def fired_phases(self) -> frozenset[int]:
        """The phases that an activity enters by firing them; they are part of that activity."""
        return frozenset(self.index[t.target] for t in self.transitions if t.trigger is Trigger.FIRED)  # type: ignore[index]

    @cached_property
    def recovery_phases(self) -> frozenset[int]:
        """The targets of error edges."""
        return frozenset(self.index[t.target] for t in self.transitions if t.error)  # type: ignore[index]

    @cached_property
    def recovery_only_phases(self) -> frozenset[int]:
        """The phases that cannot be reached without an error edge."""
        reached, stack = {0}, [0]
        while stack:
            for transition in self.exits[stack.pop()]:
                target = self.index.get(transition.target)  # type: ignore[arg-type]  # None for history
                if target is not None and target not in reached and not transition.error:
                    reached.add(target)
                    stack.append(target)
        return frozenset(range(len(self.phases))) - reached

    @cached_property
    def pending_batches(self) -> tuple[int, ...] | None:
        """Per phase, the number of batches that have been fetched there and whose iteration has not begun.

        None if the number depends on the path to the phase, for example because an error edge skips a batch. Then the
        number of iterations does not determine the number of fetched batches, and the open pass has to count them.
        """
        pending, stack = {0: 0}, [0]
        while stack:
            number = stack.pop()
            if self.phases[number].event in _FETCHING and not self._fetches_as_training(number):
                return None
            for transition in self.exits[number]:
                target = self.index.get(transition.target)  # type: ignore[arg-type]  # None for history
                if target is None or is_static(transition.guard):
                    continue  # the only static guard is true for runs without data
                if not Scope.RUN.contains(self.phases[target].scope):
                    continue
                fetched = self.phases[number].event in _FETCHING and transition.target == Events.GET_BATCH_COMPLETED
                value = pending[number] + fetched - (transition.target == Events.ITERATION_STARTED)
                if self.phases[target].event is Events.TERMINATE_SINGLE_EPOCH:
                    value = 0  # its entry action closes the pass
                if target not in pending:
                    stack.append(target)
                if pending.setdefault(target, value) != value:
                    return None
        return tuple(pending.get(number, 0) for number in range(len(self.phases)))

    @cached_property
    def before_step(self) -> frozenset[int]:
        """The phases from which automatic transitions can lead to the step without fetching another batch."""
        steps = (number for number, phase in enumerate(self.phases) if Scope.ITERATION.contains(phase.scope))
        return self._before_fetching(steps)

    @cached_property
    def before_use(self) -> frozenset[int]:
        """The phases from which automatic transitions can lead to an activity of the user without fetching a batch.

        Only activities in the scope of the epoch count; the step is one of them.
        """
        users = (n for n, phase in enumerate(self.phases) if phase.may_fire and Scope.EPOCH.contains(phase.scope))
        return self._before_fetching(users)

    def _before_fetching(self, targets: Iterable[int]) -> frozenset[int]:
        """Return `targets` and the phases that lead to them automatically, not through a phase that fetches."""
        found: set[int] = set()
        more = set(targets)
        while more:
            found |= more
            phases = [self.phases[number] for number in found]
            histories = {History(scope) for phase in phases if phase.scope for scope in phase.scope.path}
            into = {phase.event for phase in phases} | histories
            more = {
                number
                for number, exits in enumerate(self.automatic_exits)
                if number not in found
                and self.phases[number].event not in _FETCHING
                and any(t.target in into and not is_static(t.guard) for t in exits)
            }
        return frozenset(found)

    @cached_property
    def step_phases(self) -> frozenset[int]:
        """The phases of the iteration, if the engine calls the parts of the step in them; otherwise empty.

        While a run is in one of them, the state holds the values of the step.
        """
        if not any(is_part(phase.activity) for phase in self.phases):
            return frozenset()
        return frozenset(n for n, phase in enumerate(self.phases) if Scope.ITERATION.contains(phase.scope))

    def is_inside_step(self, position: int | None) -> bool:
        """Return True if the part of the step at `position` is not the first one."""
        return position is not None and phase_at(position) in self.step_phases - {self._step_start}

    def retry_position(self, position: int) -> int:
        """Return the position to resume at after an error at `position`: in a step with parts, its first part."""
        return after_handlers(self._step_start) if phase_at(position) in self.step_phases else position

    @cached_property
    def after_step(self) -> Event | None:
        """The phase that follows a step with parts; None without such a step."""
        moves = (t for n in sorted(self.step_phases, reverse=True) for t in self.automatic_exits[n])
        outside = (t.target for t in moves if not isinstance(t.target, History))
        return next((event for event in outside if self.index[event] not in self.step_phases), None)

    @cached_property
    def _step_start(self) -> int:
        return self.index.get(Events.ITERATION_STARTED, min(self.step_phases, default=0))

    def leaves_step(self, source: int, target: int) -> bool:
        """Return True if a move between these phases leaves a step with parts."""
        return source in self.step_phases and target not in self.step_phases

    def _fetches_as_training(self, number: int) -> bool:
        """Return True if a fetching phase has exits as in training, so the exit taken shows whether it got a batch."""
        targets = (*_FETCHED, *_FETCHING, Events.EPOCH_COMPLETED, Events.TERMINATE_SINGLE_EPOCH)
        as_training = (
            t.target in targets and (t.guard is None or isinstance(t.guard, CodeFragment))
            for t in self.automatic_exits[number]
        )
        return all(as_training) and not self.error_edges[number]

    @cached_property
    def terminal(self) -> frozenset[int]:
        """The phases in which a run ends or is suspended; the signal RUN leads out of them."""
        return frozenset(number for number, exits in enumerate(self.signal_exits) if Signal.RUN in exits)

    @cached_property
    def terminal_positions(self) -> frozenset[int]:
        """The positions at which a run ends or is suspended."""
        return frozenset(map(after_handlers, self.terminal))

    @cached_property
    def has_epochs(self) -> bool:
        """True if runs have epochs. Without epochs, the limits and the epoch length do not apply."""
        return Events.EPOCH_STARTED in self.index

    @cached_property
    def counters(self) -> dict[Event, str]:
        """The attributes of the state that count how often phases of the user are entered, by event."""
        return {phase.event: phase.counter for phase in self.phases if phase.counter is not None}

    def exits_from(self, source: Event | Scope) -> list[Transition]:
        """Return the exits of a phase, or of all phases in a scope."""
        if not isinstance(source, Scope):
            return list(self.exits[self.index[source]])
        return [t for phase, exits in zip(self.phases, self.exits) if source.contains(phase.scope) for t in exits]

    def has_edge(self, source: Event | Scope, target: Event | Scope) -> bool:
        """Return True if a transition, to a phase or to a history, can lead from `source` to `target`."""
        return any(self._leads_to(transition.target, target) for transition in self.exits_from(source))

    def _leads_to(self, end: Event | History, target: Event | Scope) -> bool:
        if not isinstance(end, History):
            return is_same(end, target)
        return (
            end.scope == target
            if isinstance(target, Scope)
            else end.scope.contains(self.phases[self.index[target]].scope)
        )

    def exited_by(self, transition: Transition) -> tuple[Event | Scope, ...]:
        """Return the phase and the scopes that `transition` leaves: the phase first, then scopes, innermost first."""
        ends: Any = (transition.source, transition.target)
        source, target = (self.phases[self.index[end]] for end in ends)
        scopes = source.scope.path if source.scope is not None else ()
        return (source.event, *(scope for scope in reversed(scopes) if not scope.contains(target.scope)))

    @cached_property
    def static_guards(self) -> tuple[CodeFragment, ...]:
        """The guards whose value cannot change while the generated function runs."""
        guards = (transition.guard for transition in self.transitions)
        return tuple(dict.fromkeys(g for g in guards if is_static(g)))

    @cached_property
    def by_name(self) -> Mapping[str, Phase]:
        """The phases by name."""
        return {phase.name: phase for phase in self.phases}


def _exits_of(phase: Phase, by_source: Mapping[Event | Scope, list[tuple[int, Transition]]]) -> Iterator[Transition]:
    """Yield the exits of `phase` and of its scopes in the order of the graph's transitions."""
    sources = (phase.event, *(phase.scope.path if phase.scope is not None else ()))
    ordered = (pair for source in sources for pair in by_source.get(source, ()))
    for _, transition in sorted(ordered, key=itemgetter(0)):
        if isinstance(transition.source, Scope):
            yield replace(transition, source=phase.event, via=transition.source)
        else:
            yield transition


def innermost_first(exits: Iterable[Transition]) -> list[Transition]:
    """Return the exits of a phase, then those of its scopes, innermost scope first; otherwise in the given order."""
    return sorted(exits, key=lambda t: (t.via is not None, -len(t.via.path) if t.via else 0))
