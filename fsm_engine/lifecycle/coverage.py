"""How much of a lifecycle graph walks have covered, and a small set of walks that covers all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import End, name_of_end
from fsm_engine.events.events import Event
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition
from fsm_engine.lifecycle.analysis import Walk
from fsm_engine.lifecycle.traversal import leaves_history, possible_moves

if TYPE_CHECKING:
    import networkx

_Key = tuple[End, str]


@dataclass(frozen=True, repr=False)
class Coverage:
    """What walks have covered of a lifecycle; made to be printed.

    A transition from a scope is covered when it was taken from one of the phases there.

    Attributes:
        visited, missed: the phases that the walks have come to, and the others.
        taken, untaken: the transitions, as the lifecycle has them, that the walks have taken, and the others.
    """

    visited: tuple[Event, ...]
    missed: tuple[Event, ...]
    taken: tuple[Transition, ...]
    untaken: tuple[Transition, ...]

    @property
    def of_phases(self) -> float:
        """The share of the phases that were visited, from 0 to 1."""
        return _share(self.visited, self.missed)

    @property
    def of_transitions(self) -> float:
        """The share of the transitions that were taken, from 0 to 1."""
        return _share(self.taken, self.untaken)

    @property
    def is_complete(self) -> bool:
        """Whether nothing was missed."""
        return not self.missed and not self.untaken

    def __repr__(self) -> str:
        return f"<Coverage: {', '.join(self._counts())}>"

    def _counts(self) -> list[str]:
        return [
            _counted("phases", self.visited, self.missed, self.of_phases),
            _counted("transitions", self.taken, self.untaken, self.of_transitions),
        ]

    def __str__(self) -> str:
        lines = self._counts()
        for what, parts in (
            ("phases not visited:", [Phase(event).name for event in self.missed]),
            ("transitions not taken:", self.untaken),
        ):
            lines += [what, *(f"  {part}" for part in parts)] if parts else []
        return "\n".join(lines)


def _share(have: tuple[Any, ...], miss: tuple[Any, ...]) -> float:
    return len(have) / (len(have) + len(miss))


def _counted(what: str, have: tuple[Any, ...], miss: tuple[Any, ...], share: float) -> str:
    return f"{len(have)} of {len(have) + len(miss)} {what} ({share:.0%})"


def cover(graph: Graph, walks: Iterable[Any]) -> Coverage:
    """Return what `walks`, or a single walk, have covered.

    Raises:
        ValueError: for a step that is no transition of the graph.
        TypeError: for something that is no walk.
    """
    written = {_key(transition): transition for transition in graph.transitions}
    visited: set[int] = set()
    taken: set[_Key] = set()
    for number, walk in enumerate(_walks(walks), 1):
        for count, step in enumerate(walk, 1):
            if not isinstance(step, Transition):
                raise TypeError(f"step {count} of walk {number} is {step!r}. A walk is a sequence of transitions.")
            if not _fits(graph, written.get(_key(step)), step):
                raise ValueError(_foreign(graph, count, number, step))
            visited |= {_number(graph, step.source), _number(graph, step.target)}
            taken.add(_key(step))
    events = [phase.event for phase in graph.phases]
    return Coverage(
        tuple(event for number, event in enumerate(events) if number in visited),
        tuple(event for number, event in enumerate(events) if number not in visited),
        tuple(transition for key, transition in written.items() if key in taken),
        tuple(transition for key, transition in written.items() if key not in taken),
    )


def _number(graph: Graph, end: End | History) -> int:
    return graph.index[end]  # type: ignore[index]  # never a scope: it is the end of a move, or was looked at before


def _key(transition: Transition) -> _Key:
    """Return what tells `transition` from all others, also when it stands for one from a scope."""
    return transition.via or transition.source, transition.label


def _walks(walks: Iterable[Any]) -> list[list[Any]]:
    found = list(walks)
    if found and isinstance(found[0], Transition):
        return [found]
    for number, walk in enumerate(found, 1):
        if not isinstance(walk, Iterable):
            raise TypeError(f"walk {number} is {walk!r}. A walk is a sequence of transitions.")
    return [list(walk) for walk in found]


def _fits(graph: Graph, written: Transition | None, step: Transition) -> bool:
    """Say whether `step` is `written`, taken from a phase of its scope, and into one if that is its target."""
    if written is None or not {step.source, step.target} <= graph.index.keys():
        return False
    source, target = (graph.phases[_number(graph, end)] for end in (step.source, step.target))
    return _is_end(written.source, source) and _is_end(written.target, target)


def _is_end(end: End | History, phase: Phase) -> bool:
    return end.contains(phase.scope) if isinstance(end, (Scope, History)) else end == phase.event


def _foreign(graph: Graph, count: int, number: int, step: Transition) -> str:
    legal = f"{name_of_end(step.source)} is no phase of it."
    if step.source in graph.index:
        legal = f"From there lead: {', '.join(map(str, graph.exits[_number(graph, step.source)]))}."
    return f"step {count} of walk {number}, {step}, is no transition of this lifecycle. {legal}"


def covering_walks(graph: Graph) -> tuple[Walk, ...]:
    """Return a few runs, from the first phase until it comes again, that take every transition a run can take.

    Each goes on to the nearest transition that is still to take; ways without signals and errors count as nearer.
    Those into history come first: a run is suspended, or fails, where that leads back to.
    """
    return tuple(_Cover(graph).walks())


class _Cover:
    """What is still to be covered of a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._ways = possible_moves(graph)
        self._wanted = {_key(exit_): exit_ for exits in self._ways for exit_ in exits}
        self._moves = self._all_moves()
        self._walk: list[Transition] = []
        self._used: Counter[_Key] = Counter()

    def _all_moves(self) -> networkx.DiGraph[Any]:
        """Return the moves without history. The first phase is there as a run starts, -1, and as it ends, 0."""
        import networkx

        moves: networkx.DiGraph[Any] = networkx.DiGraph()
        moves.add_nodes_from(range(-1, len(self._graph.phases)))
        for number, exits in enumerate(self._ways):
            for exit_ in (t for t in exits if not isinstance(t.target, History)):
                ends = number or -1, self._number(exit_.target)
                moves.add_edge(*ends)
                moves.edges[ends].setdefault("moves", []).append(exit_)
        return moves

    def walks(self) -> Iterator[Walk]:
        """Yield walks until everything is covered that can be."""
        history = [exit_ for exit_ in self._wanted.values() if isinstance(exit_.target, History)]
        while True:
            self._walk, self._used = [], Counter()
            left = len(self._wanted)
            if history:
                self._go_back_along(history.pop(0))
            self._cover_more()
            if len(self._wanted) == left and not history:
                return
            if len(self._wanted) < left:
                yield Walk(self._walk)

    def _number(self, end: End | History) -> int:
        return _number(self._graph, end)

    @property
    def _at(self) -> int:
        return self._number(self._walk[-1].target) if self._walk else -1

    def _take(self, *moves: Transition) -> None:
        for move in moves:
            self._walk.append(move)
            self._used[_key(move)] += 1
            self._wanted.pop(_key(move), None)

    def _cover_more(self) -> None:
        """Take one after another what is nearest, and go to the end of the run when nothing is left on the way."""
        while self._at != 0:
            near = self._nearest()
            if near is None:
                way = _cheapest(self._moves, self._at, self._cost).get(0)
                self._take(*(() if way is None or not self._walk else self._along(way[1])))
                return
            self._take(*near)

    def _nearest(self) -> list[Transition] | None:
        at = max(self._at, 0)
        for exit_ in self._wanted_exits(at):
            if self._cost_of(exit_) == 1:
                return [exit_]
        found = [
            (cost + price, number, place, way, exit_)
            for number, (cost, way) in _cheapest(self._moves, self._at, self._cost).items()
            if number or not self._walk
            for place, exit_ in enumerate(self._wanted_exits(max(number, 0)))
            if (price := self._cost_of(exit_)) is not None
        ]
        if not found:
            return None
        *_, way, exit_ = min(found, key=lambda one: one[:3])
        return [*self._along(way), exit_]

    def _wanted_exits(self, number: int) -> list[Transition]:
        return [t for t in self._ways[number] if _key(t) in self._wanted and not isinstance(t.target, History)]

    def _along(self, way: list[int]) -> list[Transition]:
        """Return the cheapest moves from each of these phases to the next."""
        return [min(self._open(a, b), key=self._price) for a, b in pairwise(way)]

    def _open(self, source: int, target: int) -> list[Transition]:
        return [t for t in self._moves.edges[source, target]["moves"] if self._cost_of(t) is not None]

    def _cost(self, source: int, target: int) -> int | None:
        return min(map(self._price, self._open(source, target)), default=None)

    def _cost_of(self, move: Transition) -> int | None:
        """Return how far `move` counts; None if it is an error edge that this run has used up."""
        used_up = move.limit is not None and self._used[_key(move)] >= move.limit
        return None if used_up else self._price(move)

    def _price(self, move: Transition) -> int:
        many = len(self._graph.phases) + 1
        if move.signal in (None, Signal.RUN):
            return 1
        waits = self._graph.phases[self._number(move.source)].defer is not None
        return many * many if waits or move.signal is Signal.EXCEPTION else many

    def _go_back_along(self, exit_: Transition) -> None:
        """Suspend the run, or let it fail, in a phase to which `exit_` leads back, and go there and back."""
        source, back = self._number(exit_.source), exit_.target
        assert isinstance(back, History)
        there = _cheapest(self._moves, -1, lambda a, b: None if b == source else self._cost_unsuspended(a, b))
        home = _cheapest(self._moves.reverse(copy=False), source, lambda a, b: self._cost_unleft(b, a))
        found = [
            (cost + self._price(leave) + home[target][0], number, way, leave, home[target][1][::-1])
            for number, (cost, way) in there.items()
            for leave in self._ways[max(number, 0)]
            if leaves_history(leave) and self._is_led_back(leave, source)
            if (target := self._number(leave.target)) in home
            if back.contains(self._graph.phases[self._begun(way)].scope)
        ]
        if not found:
            return
        _, _, way, leave, rest = min(found, key=lambda one: one[:2])
        event = self._graph.phases[self._begun(way)].event
        self._take(*self._along(way), leave, *self._along(rest), replace(exit_, target=event))
        self._go_on()

    def _go_on(self) -> None:
        """Leave the phase that history led to by itself, as its handlers, which could signal, are not called again."""
        own = [t for t in self._ways[self._at] if t.signal is None and not isinstance(t.target, History)]
        wanted = [t for t in own if _key(t) in self._wanted]
        self._take(*(wanted or own[::-1])[:1])

    def _cost_unsuspended(self, source: int, target: int) -> int | None:
        calm = [t for t in self._open(source, target) if t.signal is not Signal.INTERRUPT]
        return min(map(self._price, calm), default=None)

    def _cost_unleft(self, source: int, target: int) -> int | None:
        calm = [t for t in self._open(source, target) if not leaves_history(t)]
        return min(map(self._price, calm), default=None)

    def _is_led_back(self, leave: Transition, source: int) -> bool:
        """Say whether history leads back from `source` to what `leave` left: an error's is for its recovery."""
        rests = self._number(leave.target) in self._graph.terminal
        return bool(leave.error) or (rests and source not in self._graph.recovery_phases)

    def _begun(self, way: list[int]) -> int:
        """Return the phase whose activity the end of this way is part of."""
        return next(number for number in reversed(way) if number not in self._graph.fired_phases)


def _cheapest(
    moves: networkx.DiGraph[Any], start: int, cost: Callable[[int, int], int | None]
) -> dict[int, tuple[int, list[int]]]:
    """Return for each phase that can be reached from `start` what the cheapest way there costs, and that way."""
    import networkx

    found: Any = networkx.single_source_dijkstra(moves, start, weight=lambda a, b, _: cost(a, b))
    costs, ways_there = found
    return {number: (costs[number], ways_there[number]) for number in costs}
