"""`MutableGraph`: a graph that changes in place, undoes changes, and knows which part of it changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from fsm_engine._util.linked_order import LinkedOrder
from fsm_engine.events.edges import End
from fsm_engine.events.events import Event, is_same
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition, Trigger


@dataclass(frozen=True)
class Change:
    """One change of a graph.

    Attributes:
        undo: reverts the change. Changes are reverted from the last to the first.
        ends: the phases and scopes whose exits or activities the change concerns.
        added: the number of an added transition.
        left: the scope that a phase has left.
    """

    undo: Callable[[], object]
    ends: tuple[End, ...] = ()
    added: int | None = None
    left: Scope | None = None


class MutableGraph:
    """Phases and transitions, indexed by their ends. Each change takes constant time and can be undone.

    Transitions have numbers, which stay the same while others are added and removed.

    Attributes:
        unscoped: phases that were added without a scope and are not connected yet.
        changes: the changes since `forget_changes` was called last.
    """

    def __init__(self, graph: Graph, unscoped: Iterable[Event]) -> None:
        self.unscoped = set(unscoped)
        self.changes: list[Change] = []
        self._frozen: Graph | None = graph
        self._phases = {phase.event: phase for phase in graph.phases}
        self._phase_order = LinkedOrder(self._phases)
        self._transitions = dict(enumerate(graph.transitions))
        self._transition_order = LinkedOrder(self._transitions)
        self._numbers = count(len(self._transitions))
        self._by_source: defaultdict[End, list[int]] = defaultdict(list)
        self._by_target: defaultdict[Event | History, dict[int, None]] = defaultdict(dict)
        self._fired: Counter[Event | History] = Counter()
        self._members: defaultdict[Scope | None, dict[Event, None]] = defaultdict(dict)
        for phase in graph.phases:
            self._members[phase.scope][phase.event] = None
        for number, transition in self._transitions.items():
            self._by_source[transition.source].append(number)
            self._index_target(number, transition)

    @property
    def graph(self) -> Graph:
        """Graph of the current phases and transitions, not validated. Costs O(n) after a change."""
        if self._frozen is None:
            self._frozen = Graph(
                tuple([self._phases[event] for event in self._phase_order]),
                tuple([self._transitions[number] for number in self._transition_order]),
            )
        return self._frozen

    # Queries

    def phase(self, event: End) -> Phase | None:
        """Return the phase of `event`; None if there is none, or `event` is a scope."""
        return None if isinstance(event, Scope) else self._phases.get(event)

    def is_empty(self) -> bool:
        """Return True if there are no phases."""
        return not self._phases

    def previous_phase(self, event: Event) -> Event | None:
        """Return the phase that is listed before the phase of `event`; None for the first one."""
        return self._phase_order.previous(event)

    def names(self) -> list[str]:
        """Return the names of all phases, in order."""
        return [self._phases[event].name for event in self._phase_order]

    def scopes(self) -> list[Scope]:
        """Return the scopes of all phases, and the scopes around them."""
        used = [scope for scope, members in self._members.items() if members and scope is not None]
        return list(dict.fromkeys(outer for scope in used for outer in scope.path))

    def members(self, scope: Scope) -> list[Event]:
        """Return the phases in `scope` and in the scopes inside it."""
        return [event for inner, members in self._members.items() if scope.contains(inner) for event in members]

    def has_end(self, end: End) -> bool:
        """Return True if `end` is a phase, or a scope with phases."""
        if not isinstance(end, Scope):
            return end in self._phases
        return any(members and end.contains(inner) for inner, members in self._members.items())

    def is_fired(self, event: Event | History) -> bool:
        """Return True if a fired transition leads to the phase of `event`."""
        return self._fired.get(event, 0) > 0

    def transition(self, number: int) -> Transition | None:
        """Return the transition with this number; None if it has been removed."""
        return self._transitions.get(number)

    def exits(self, source: End) -> list[tuple[int, Transition]]:
        """Return the transitions whose source is `source` itself, with their numbers, in order."""
        return [(number, self._transitions[number]) for number in self._by_source.get(source, ())]

    def into(self, target: Event | History) -> list[tuple[int, Transition]]:
        """Return the transitions to `target`, with their numbers."""
        return [(number, self._transitions[number]) for number in self._by_target.get(target, ())]

    def has_source(self, target: Event) -> bool:
        """Return True if a transition leads to the phase of `target`."""
        return bool(self._by_target.get(target))

    def sources(self) -> list[End]:
        """Return the sources of all transitions."""
        return [source for source, numbers in self._by_source.items() if numbers]

    # Changes

    def put_phase(self, phase: Phase, after: Event | None = None) -> None:
        """Add a phase after the phase of `after`, by default at the end."""
        place = self._phase_order.last if after is None else after
        self._link_phase(phase, place)
        self._record(Change(partial(self._unlink_phase, phase.event), (phase.event,)))

    def remove_phase(self, event: Event) -> None:
        """Remove the phase of `event`; its transitions stay."""
        phase, place = self._phases[event], self._phase_order.previous(event)
        self._unlink_phase(event)
        self._record(Change(partial(self._link_phase, phase, place), (event,), left=phase.scope))
        self.set_unscoped(event, False)

    def replace_phase(self, phase: Phase) -> None:
        """Replace the phase that has the same event as `phase`."""
        before = self._phases[phase.event]
        self._set_phase(phase)
        left = None if before.scope == phase.scope else before.scope
        self._record(Change(partial(self._set_phase, before), (phase.event,), left=left))

    def move_phase(self, event: Event, after: Event) -> None:
        """Move the phase of `event` to the place after the phase of `after`."""
        before = self._phase_order.previous(event)
        self._reorder_phase(event, after)
        self._record(Change(partial(self._reorder_phase, event, before)))

    def put_transition(self, transition: Transition, *, before: int | None = None, after: int | None = None) -> None:
        """Add a transition before or after the transition with this number, by default at the end.

        Args:
            transition: the transition.
            before: number of a transition with the same source.
            after: number of any transition; the new transition becomes the last one with its source.
        """
        number = next(self._numbers)
        siblings = self._by_source[transition.source]
        rank = len(siblings) if before is None else siblings.index(before)
        if before is not None:
            place = self._transition_order.previous(before)
        else:
            place = self._transition_order.last if after is None else after
        self._link_transition(number, transition, place, rank)
        self._record(Change(partial(self._unlink_transition, number), _checked_ends(transition), added=number))

    def remove_transition(self, number: int) -> None:
        """Remove the transition with this number."""
        transition, place, rank = self._transitions[number], *self._unlink_transition(number)
        undo = partial(self._link_transition, number, transition, place, rank)
        self._record(Change(undo, _checked_ends(transition)))

    def replace_transition(self, number: int, transition: Transition) -> None:
        """Replace the transition with this number by `transition`; for another source, it becomes the last exit."""
        before, place, rank = self._transitions[number], *self._unlink_transition(number)
        siblings = self._by_source[transition.source]
        if is_same(before.source, transition.source):
            self._link_transition(number, transition, place, rank)
        else:
            self._link_transition(number, transition, siblings[-1] if siblings else place, len(siblings))

        def undo() -> None:
            self._unlink_transition(number)
            self._link_transition(number, before, place, rank)

        self._record(Change(undo, (*_checked_ends(before), *_checked_ends(transition)), added=number))

    def set_unscoped(self, event: Event, is_unscoped: bool) -> None:
        """Add `event` to the unscoped phases, or remove it from them."""
        if (event in self.unscoped) is is_unscoped:
            return
        change, undo = (self.unscoped.add, self.unscoped.discard)[:: 1 if is_unscoped else -1]
        change(event)
        self.changes.append(Change(partial(undo, event)))

    def undo_changes(self, first: int) -> None:
        """Undo the change with the index `first` in `changes`, and all later ones."""
        while len(self.changes) > first:
            self.changes.pop().undo()

    def forget_changes(self) -> None:
        """Clear `changes`: what has changed so far cannot be undone."""
        self.changes.clear()

    def _record(self, change: Change) -> None:
        frozen, undo = self._frozen, change.undo

        def restore() -> None:
            undo()
            self._frozen = frozen

        self.changes.append(replace(change, undo=restore))
        self._frozen = None

    def _link_phase(self, phase: Phase, after: Event | None) -> None:
        self._phases[phase.event] = phase
        self._phase_order.insert(phase.event, after)
        self._members[phase.scope][phase.event] = None

    def _unlink_phase(self, event: Event) -> None:
        self._phase_order.remove(event)
        del self._members[self._phases.pop(event).scope][event]

    def _set_phase(self, phase: Phase) -> None:
        del self._members[self._phases[phase.event].scope][phase.event]
        self._phases[phase.event] = phase
        self._members[phase.scope][phase.event] = None

    def _reorder_phase(self, event: Event, after: Event | None) -> None:
        self._phase_order.remove(event)
        self._phase_order.insert(event, after)

    def _link_transition(self, number: int, transition: Transition, after: int | None, rank: int) -> None:
        self._transitions[number] = transition
        self._transition_order.insert(number, after)
        self._by_source[transition.source].insert(rank, number)
        self._index_target(number, transition)

    def _unlink_transition(self, number: int) -> tuple[int | None, int]:
        """Unlink a transition. Return the transition before it, and its index among the exits of its source."""
        place = self._transition_order.previous(number)
        self._transition_order.remove(number)
        transition = self._transitions.pop(number)
        siblings = self._by_source[transition.source]
        rank = siblings.index(number)
        del siblings[rank]
        del self._by_target[transition.target][number]
        self._fired[transition.target] -= transition.trigger is Trigger.FIRED
        return place, rank

    def _index_target(self, number: int, transition: Transition) -> None:
        self._by_target[transition.target][number] = None
        self._fired[transition.target] += transition.trigger is Trigger.FIRED


def _checked_ends(transition: Transition) -> tuple[End, ...]:
    """Return the ends whose checks depend on `transition`: a target only depends on whether it is fired."""
    if transition.trigger is Trigger.FIRED and not isinstance(transition.target, History):
        return transition.source, transition.target
    return (transition.source,)


class ChangedPart:
    """The part of a graph that its changes concern, as a `GraphView`. The rest is as it was, and was valid.

    Its size is the number of changed phases and transitions, plus the phases of the scopes whose exits changed.
    """

    def __init__(self, graph: MutableGraph) -> None:
        self._graph = graph
        touched = dict.fromkeys(end for change in graph.changes for end in change.ends)
        events = dict.fromkeys(
            event for end in touched for event in (graph.members(end) if isinstance(end, Scope) else [end])
        )
        self.phases = [phase for event in events if (phase := graph.phase(event)) is not None]
        found = [graph.transition(change.added) for change in graph.changes if change.added is not None]
        left = dict.fromkeys(scope for change in graph.changes if change.left for scope in change.left.path)
        for end in (*events, *left):
            if not graph.has_end(end):
                found += [transition for _, transition in graph.exits(end)]
                found += [t for _, t in graph.into(History(end) if isinstance(end, Scope) else end)]
        self.transitions = list({id(t): t for t in found if t is not None}.values())

    def is_empty(self) -> bool:
        """Return True if the graph has no phases."""
        return self._graph.is_empty()

    def exits(self, phase: Phase) -> Sequence[Transition]:
        """Return the exits of `phase`, then the exits of its scopes, innermost scope first."""
        found = [transition for _, transition in self._graph.exits(phase.event)]
        for scope in reversed(phase.scope.path if phase.scope is not None else ()):
            found += [replace(t, source=phase.event, via=scope) for _, t in self._graph.exits(scope)]
        return found

    def is_fired(self, event: Event) -> bool:
        """Return True if a fired transition leads to the phase of `event`."""
        return self._graph.is_fired(event)

    def has_end(self, end: End) -> bool:
        """Return True if `end` is a phase, or a scope with phases."""
        return self._graph.has_end(end)

    def names(self) -> Sequence[str]:
        """Return the names of all phases of the graph."""
        return self._graph.names()

    def scopes(self) -> Iterable[Scope]:
        """Return the scopes of all phases of the graph."""
        return self._graph.scopes()
