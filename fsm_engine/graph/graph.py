"""The lifecycle graph: phases joined by transitions, never changed after it is made.

The order of events comes from here only: the generated function, the pictures, the exports and the checks are derived
from a graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fsm_engine.events.events import Event, Events, is_same
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import CodeFragment, is_static
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import after_handlers
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger

_FETCHING = (Events.GET_BATCH_STARTED, Events.DATALOADER_STOP_ITERATION)


_FETCHED = (Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)


@dataclass(frozen=True, eq=False)
class Graph:
    """Phases and transitions. The first phase is the initial and final one.

    Phases are listed in the order in which they usually come: the emitted function falls through from each
    to the next, so a good order is a fast one. The order changes nothing about what happens.
    """

    phases: tuple[Phase, ...]
    transitions: tuple[Transition, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.phases, self.transitions)

    @cached_property
    def index(self) -> dict[Event, int]:
        """The number of each phase, by its event."""
        return {phase.event: number for number, phase in enumerate(self.phases)}

    @cached_property
    def exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: the transitions that may leave it, those of its scopes included, each from the phase itself."""
        leaving: dict[Event | Scope, list[tuple[int, Transition]]] = {}
        for place, transition in enumerate(self.transitions):
            leaving.setdefault(transition.source, []).append((place, transition))
        return tuple(tuple(_exits_of(phase, leaving)) for phase in self.phases)

    @cached_property
    def automatic_exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: its automatic exits, in the order in which their guards are looked at."""
        return tuple(tuple(t for t in exits if t.trigger is Trigger.AUTOMATIC) for exits in self.exits)

    @cached_property
    def signal_exits(self) -> tuple[dict[Signal, Transition], ...]:
        """Per phase: the exit that each signal takes; the phase's own goes before its scopes'."""
        taken: list[dict[Signal, Transition]] = [{} for _ in self.phases]
        for by_signal, exits in zip(taken, self.exits):
            for transition in _innermost_first(exits):
                if transition.signal is not None and not transition.error:
                    by_signal.setdefault(transition.signal, transition)
        return tuple(taken)

    @cached_property
    def error_edges(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: its error edges in the order in which they are tried, from the inside out."""
        return tuple(tuple(t for t in _innermost_first(exits) if t.error) for exits in self.exits)

    @cached_property
    def fired_exits(self) -> tuple[dict[Event, Transition], ...]:
        """Per phase: the fired exits, by the event that takes them."""
        return tuple(
            {t.target: t for t in exits if t.trigger is Trigger.FIRED}  # type: ignore[misc]  # never a scope
            for exits in self.exits
        )

    @cached_property
    def fired_phases(self) -> frozenset[int]:
        """The phases that are entered by firing: parts of the activity of the phase that they start from."""
        return frozenset(self.index[t.target] for t in self.transitions if t.trigger is Trigger.FIRED)  # type: ignore[index]

    @cached_property
    def recovery_phases(self) -> frozenset[int]:
        """The phases that error edges lead to."""
        return frozenset(self.index[t.target] for t in self.transitions if t.error)  # type: ignore[index]

    @cached_property
    def recovery_only_phases(self) -> frozenset[int]:
        """The phases that only error edges lead to: recoveries, and what lies on their way back."""
        usual, waiting = {0}, [0]
        while waiting:
            for transition in self.exits[waiting.pop()]:
                target = self.index.get(transition.target)  # type: ignore[arg-type]  # None for history
                if target is not None and target not in usual and not transition.error:
                    usual.add(target)
                    waiting.append(target)
        return frozenset(range(len(self.phases))) - usual

    @cached_property
    def pending_batches(self) -> tuple[int, ...] | None:
        """Per phase: how many batches are fetched there whose iteration has not begun.

        None if that depends on the way there, as where an error edge skips a batch: then iterations do not tell
        how many batches were fetched.
        """
        known, waiting = {0: 0}, [0]
        while waiting:
            number = waiting.pop()
            if self.phases[number].event in _FETCHING and not self._fetches_as_training(number):
                return None
            for transition in self.exits[number]:
                target = self.index.get(transition.target)  # type: ignore[arg-type]  # None for history
                if target is None or is_static(transition.guard):
                    continue  # the only settled guard is that there is no data
                if not Scope.RUN.contains(self.phases[target].scope):
                    continue
                fetched = self.phases[number].event in _FETCHING and transition.target == Events.GET_BATCH_COMPLETED
                value = known[number] + fetched - (transition.target == Events.ITERATION_STARTED)
                if self.phases[target].event is Events.TERMINATE_SINGLE_EPOCH:
                    value = 0  # the pass is dropped
                if target not in known:
                    waiting.append(target)
                if known.setdefault(target, value) != value:
                    return None
        return tuple(known.get(number, 0) for number in range(len(self.phases)))

    @cached_property
    def before_step(self) -> frozenset[int]:
        """The phases from which a run may come to a step by itself before it fetches another batch."""
        steps = (number for number, phase in enumerate(self.phases) if Scope.ITERATION.contains(phase.scope))
        return self._before_fetching(steps)

    @cached_property
    def before_use(self) -> frozenset[int]:
        """The phases from which a run may come likewise to something of the user's in an epoch, such as an activity."""
        used = (n for n, phase in enumerate(self.phases) if phase.may_fire and Scope.EPOCH.contains(phase.scope))
        return self._before_fetching(used)

    def _before_fetching(self, ends: Iterable[int]) -> frozenset[int]:
        found: set[int] = set()
        more = set(ends)
        while more:
            found |= more
            phases = [self.phases[number] for number in found]
            into = {phase.event for phase in phases} | {History(phase.scope) for phase in phases if phase.scope}
            more = {
                number
                for number, exits in enumerate(self.automatic_exits)
                if number not in found
                and self.phases[number].event not in _FETCHING
                and any(
                    t.target in into and not (isinstance(t.guard, CodeFragment) and t.guard.is_static) for t in exits
                )
            }
        return frozenset(found)

    def _fetches_as_training(self, number: int) -> bool:
        """Say whether a fetching phase is left as in training: what it fetched is then known from where it leads."""
        plain = (*_FETCHED, *_FETCHING, Events.EPOCH_COMPLETED)
        own = (
            t.target in plain and (t.guard is None or isinstance(t.guard, CodeFragment))
            for t in self.automatic_exits[number]
        )
        return all(own) and not self.error_edges[number]

    @cached_property
    def terminal(self) -> frozenset[int]:
        """The phases in which a run ends: only the next run leaves them."""
        return frozenset(number for number, exits in enumerate(self.signal_exits) if Signal.RUN in exits)

    @cached_property
    def terminal_positions(self) -> frozenset[int]:
        """The positions at which a run ends."""
        return frozenset(map(after_handlers, self.terminal))

    @cached_property
    def has_epochs(self) -> bool:
        """Whether a run goes by epochs, so that limits and the length of an epoch mean something."""
        return Events.EPOCH_STARTED in self.index

    @cached_property
    def counters(self) -> dict[Event, str]:
        """The attributes of the state that count the user's phases."""
        return {phase.event: phase.counter for phase in self.phases if phase.counter is not None}

    def exits_from(self, source: Event | Scope) -> list[Transition]:
        """Return the exits of a phase, or of every phase in a scope."""
        if not isinstance(source, Scope):
            return list(self.exits[self.index[source]])
        return [t for phase, exits in zip(self.phases, self.exits) if source.contains(phase.scope) for t in exits]

    def has_edge(self, source: Event | Scope, target: Event | Scope) -> bool:
        """Say whether a move from `source` to `target` is possible, by whatever transition, history included."""
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
        """Return what the move along `transition` leaves: its phase, then scopes, innermost first."""
        ends: Any = (transition.source, transition.target)
        source, target = (self.phases[self.index[end]] for end in ends)
        scopes = source.scope.path if source.scope is not None else ()
        return (source.event, *(scope for scope in reversed(scopes) if not scope.contains(target.scope)))

    @cached_property
    def static_guards(self) -> tuple[CodeFragment, ...]:
        """The guards whose value is fixed while the emitted function runs."""
        guards = (transition.guard for transition in self.transitions)
        return tuple(dict.fromkeys(g for g in guards if is_static(g)))

    @cached_property
    def by_name(self) -> Mapping[str, Phase]:
        """The phases by name, for messages and look-ups by string."""
        return {phase.name: phase for phase in self.phases}


def _exits_of(phase: Phase, leaving: Mapping[Event | Scope, list[tuple[int, Transition]]]) -> Iterator[Transition]:
    """Yield the exits of `phase` in the order in which they were written, its own and those of its scopes."""
    sources = (phase.event, *(phase.scope.path if phase.scope is not None else ()))
    for _, transition in sorted((found for source in sources for found in leaving.get(source, ())), key=_place):
        if isinstance(transition.source, Scope):
            yield replace(transition, source=phase.event, via=transition.source)
        else:
            yield transition


def _place(found: tuple[int, Transition]) -> int:
    return found[0]


def _innermost_first(exits: Iterable[Transition]) -> list[Transition]:
    return sorted(exits, key=lambda t: (t.via is not None, -len(t.via.path) if t.via else 0))
