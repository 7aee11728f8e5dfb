"""Measure which phases and transitions walks have covered, and find a few walks that cover all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from fsm_engine.events.edges import End, name_of_end
from fsm_engine.events.events import Event
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.analysis import Walk
from fsm_engine.lifecycle.traversal import leaves_history, possible_moves

_Key = tuple[End, str]


@dataclass(frozen=True, repr=False)
class Coverage:
    """Phases and transitions of a lifecycle that walks have covered; print it for a report.

    A transition from a scope is covered when it was taken from one of the phases in that scope.

    Attributes:
        visited, missed: phases that the walks have visited, and the other phases.
        taken, untaken: transitions of the lifecycle that the walks have taken, and the other transitions.

    Example:
        >>> lifecycle = Lifecycle.training()
        >>> coverage = lifecycle.coverage(lifecycle.paths(Events.STARTED, Events.EPOCH_STARTED, shortest=True))
        >>> coverage.visited, coverage.is_complete
        ((Events.STARTED, Events.EPOCH_STARTED), False)
    """

    visited: tuple[Event, ...]
    missed: tuple[Event, ...]
    taken: tuple[Transition, ...]
    untaken: tuple[Transition, ...]

    @property
    def of_phases(self) -> float:
        """Fraction of the phases that were visited, from 0 to 1."""
        return _fraction(self.visited, self.missed)

    @property
    def of_transitions(self) -> float:
        """Fraction of the transitions that were taken, from 0 to 1."""
        return _fraction(self.taken, self.untaken)

    @property
    def is_complete(self) -> bool:
        """Whether all phases were visited and all transitions taken."""
        return not self.missed and not self.untaken

    def __repr__(self) -> str:
        return f"<Coverage: {', '.join(self._counts())}>"

    def _counts(self) -> list[str]:
        return [
            _count_text("phases", self.visited, self.missed, self.of_phases),
            _count_text("transitions", self.taken, self.untaken, self.of_transitions),
        ]

    def _missing(self) -> tuple[tuple[str, list[str]], ...]:
        return (
            ("phases not visited", [Phase(event).name for event in self.missed]),
            ("transitions not taken", [str(transition) for transition in self.untaken]),
        )

    def __str__(self) -> str:
        lines = self._counts()
        for title, parts in self._missing():
            lines += [f"{title}:", *(f"  {part}" for part in parts)] if parts else []
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, escape, mimebundle, table

        def html() -> str:
            title = f'<p class="title">{escape(", ".join(self._counts()))}</p>'
            return block(
                title, *(table((name,), [(part,) for part in parts]) for name, parts in self._missing() if parts)
            )

        return mimebundle(self.__str__, html)


def _fraction(covered: tuple[Any, ...], missed: tuple[Any, ...]) -> float:
    return len(covered) / (len(covered) + len(missed))


def _count_text(kind: str, covered: tuple[Any, ...], missed: tuple[Any, ...], fraction: float) -> str:
    return f"{len(covered)} of {len(covered) + len(missed)} {kind} ({fraction:.0%})"


def cover(graph: Graph, walks: Iterable[Any]) -> Coverage:
    """Return the coverage of `graph` by `walks`, or by a single walk.

    Raises:
        ValueError: if a step is not a transition of the graph.
        TypeError: if a walk is not a sequence of transitions.
    """
    transitions = {_key(transition): transition for transition in graph.transitions}
    visited: set[int] = set()
    taken: set[_Key] = set()
    for number, walk in enumerate(_walks(walks), 1):
        for place, step in enumerate(walk, 1):
            if not isinstance(step, Transition):
                raise TypeError(f"step {place} of walk {number} is {step!r}. A walk is a sequence of transitions.")
            if not _matches(graph, transitions.get(_key(step)), step):
                raise ValueError(_unknown_step(graph, place, number, step))
            visited |= {_number(graph, step.source), _number(graph, step.target)}
            taken.add(_key(step))
    events = [phase.event for phase in graph.phases]
    return Coverage(
        tuple(event for number, event in enumerate(events) if number in visited),
        tuple(event for number, event in enumerate(events) if number not in visited),
        tuple(transition for key, transition in transitions.items() if key in taken),
        tuple(transition for key, transition in transitions.items() if key not in taken),
    )


def _number(graph: Graph, end: End | History) -> int:
    return graph.index[end]  # type: ignore[index]  # callers pass the event of a phase


def _key(transition: Transition) -> _Key:
    """Return the source and label under which the lifecycle defines `transition`, also for a copy of a scope's edge."""
    return transition.via or transition.source, transition.label


def _walks(walks: Iterable[Any]) -> list[list[Any]]:
    found = list(walks)
    if found and isinstance(found[0], Transition):
        return [found]
    for number, walk in enumerate(found, 1):
        if not isinstance(walk, Iterable):
            raise TypeError(f"walk {number} is {walk!r}. A walk is a sequence of transitions.")
    return [list(walk) for walk in found]


def _matches(graph: Graph, transition: Transition | None, step: Transition) -> bool:
    """Return True if `step` is a move along `transition`, between phases inside its scopes if it has scopes."""
    if transition is None or not {step.source, step.target} <= graph.index.keys():
        return False
    source, target = (graph.phases[_number(graph, end)] for end in (step.source, step.target))
    return _is_end(transition.source, source) and _is_end(transition.target, target)


def _is_end(end: End | History, phase: Phase) -> bool:
    return end.contains(phase.scope) if isinstance(end, (Scope, History)) else end == phase.event


def _unknown_step(graph: Graph, place: int, number: int, step: Transition) -> str:
    allowed = f"{name_of_end(step.source)} is not one of its phases."
    if step.source in graph.index:
        allowed = f"The exits of that phase are {', '.join(map(str, graph.exits[_number(graph, step.source)]))}."
    return f"step {place} of walk {number}, {step}, is not a transition of this lifecycle. {allowed}"


def covering_walks(graph: Graph) -> tuple[Walk, ...]:
    """Return a few walks, each of them one run, that together take every transition that a run can take.

    Each walk takes the cheapest path to a transition that is still missing, again and again, and then the cheapest
    path to the end of the run. Error edges and edges into history come first, because few paths reach them. A signal
    costs more than any path without signals; an exception, or a signal that may be deferred, costs more still.

    This takes O(n²) for n phases and transitions: each missing transition is searched for anew, through as much of the
    graph as lies between it and the end of the walk.
    """
    return tuple(_CoveringWalks(graph))


class _RunState(NamedTuple):
    """Part of the state of a run that decides which moves are possible.

    Attributes:
        phase: current phase.
        activity: phase whose activity is running; the current phase unless that is a fired phase.
        history: phase that an edge into history returns to, None if there is none.
        is_suspended: whether the run was interrupted and no edge into history has been taken since.
        is_resumed: whether history led to `phase`: its handlers, which could raise a signal, are not called again.
    """

    phase: int
    activity: int
    history: int | None = None
    is_suspended: bool = False
    is_resumed: bool = False


class _CoveringWalks:
    """Iterable of walks that take all transitions of a graph. Iterating consumes it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._exits = possible_moves(graph)
        moves = [exit_ for exits in self._exits for exit_ in exits]
        self._missing = {_key(move) for move in moves}
        self._rare = {_key(move) for move in moves if move.error or isinstance(move.target, History)}

    def __iter__(self) -> Iterator[Walk]:
        while walk := self._next_walk():
            yield Walk(walk)

    def _next_walk(self) -> list[Transition]:
        """Return a walk that takes missing transitions, empty if no run can take any of them."""
        walk: list[Transition] = []
        state = _RunState(0, 0)
        for goals in (self._rare, self._missing):
            while found := self._cheapest_path(state, walk, goals):
                path, state = found
                walk += path
                self._missing.difference_update(map(_key, path))
                self._rare &= self._missing
        ending = self._cheapest_path(state, walk, None) if walk else None
        return walk + list(ending[0]) if ending else walk

    def _cheapest_path(
        self, start: _RunState, walk: list[Transition], goals: set[_Key] | None
    ) -> tuple[tuple[Transition, ...], _RunState] | None:
        """Return the cheapest continuation of `walk` that ends with one of `goals`, and the state it leads to.

        Without `goals`, the path leads to the end of the run. The search is Dijkstra's; it creates states on demand
        because a graph of all of them would grow with the square of the number of phases.
        """
        used, order = Counter(map(_key, walk)), count()
        queue: list[tuple[int, int, _RunState, tuple[Transition, ...]]] = [(0, next(order), start, ())]
        done: set[_RunState] = set()
        while queue:
            cost, _, state, path = heappop(queue)
            is_over = state.phase == 0 and bool(walk or path)
            if path and (is_over if goals is None else _key(path[-1]) in goals):
                return path, state
            if is_over or state in done:
                continue
            done.add(state)
            for move, target in self._moves(state):
                is_allowed = move.limit is None or used[_key(move)] + path.count(move) < move.limit
                if is_allowed and not self._is_stuck(target):
                    heappush(queue, (cost + self._cost(move), next(order), target, (*path, move)))
        return None

    def _moves(self, state: _RunState) -> Iterator[tuple[Transition, _RunState]]:
        for exit_ in self._exits[state.phase]:
            if state.is_resumed and exit_.signal is not None:
                continue
            if not isinstance(exit_.target, History):
                yield exit_, self._state_after(state, exit_)
            elif (back := self._history(state)) is not None and exit_.target.contains(self._graph.phases[back].scope):
                yield replace(exit_, target=self._graph.phases[back].event), _RunState(back, back, is_resumed=True)

    def _is_stuck(self, state: _RunState) -> bool:
        """Return True if `state` has exits but only into history that the run does not have: an engine raises there."""
        return bool(self._exits[state.phase]) and next(self._moves(state), None) is None

    def _state_after(self, state: _RunState, move: Transition) -> _RunState:
        target = _number(self._graph, move.target)
        history, is_suspended = state.history, state.is_suspended
        if move.error:  # a suspended run that fails has two positions to return to: the search uses neither
            history = None if is_suspended else state.activity
        elif leaves_history(move) and target in self._graph.terminal and not is_suspended:
            history, is_suspended = state.activity, True
        activity = state.activity if target in self._graph.fired_phases else target
        return _RunState(target, activity, history, is_suspended)

    def _history(self, state: _RunState) -> int | None:
        """Return the phase that history leads to; a recovery phase returns to a failure, never to an interrupt."""
        return None if state.is_suspended and state.phase in self._graph.recovery_phases else state.history

    def _cost(self, move: Transition) -> int:
        many = len(self._graph.phases) + 1
        if move.signal in (None, Signal.RUN):
            return 1
        may_wait = self._graph.phases[_number(self._graph, move.source)].defer is not None
        return many * many if may_wait or move.signal is Signal.EXCEPTION else many
