"""From a lifecycle to the diagram that every format draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsm_engine.engine.engine import engine_of
from fsm_engine.events.edges import Edge as Move
from fsm_engine.events.events import Event, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.graph import Call, Code, Graph, History, Phase, Snippet, Transition, Trigger, code_name
from fsm_engine.lifecycle.table import qualified
from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.heat_map import HeatMap
from fsm_engine.render.main_path import main_path
from fsm_engine.timeline.track import Track

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle

INITIAL, FINAL = "initial", "final"
"""The ids of the points where a run starts and ends: the first phase of the graph, drawn twice."""

_KINDS = {
    Trigger.AUTOMATIC: EdgeKind.AUTOMATIC,
    Trigger.FIRED: EdgeKind.FIRED,
    Trigger.SIGNAL: EdgeKind.SIGNAL,
}


@dataclass(frozen=True)
class DiagramOptions:
    """What is drawn besides phases and transitions.

    Attributes:
        title: written above the picture.
        direction: of the main path, ``"down"`` or ``"right"``.
        guards: whether guards, actions and activities are written out.
        handlers: whether the handlers attached to a phase are listed in it, with file and line.
        track: a recorded run, which tells how often it came where, and how long it stayed there.
    """

    title: str = ""
    direction: str = "down"
    guards: bool = False
    handlers: bool = False
    track: Track | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("down", "right"):
            raise ValueError(f"direction={self.direction!r} has to be 'down' or 'right'.")
        if not isinstance(self.title, str):
            raise TypeError(f"title={self.title!r} has to be a string.")


def build_diagram(lifecycle: Lifecycle, options: DiagramOptions = DiagramOptions()) -> Diagram:
    """Return what is drawn of `lifecycle`; of an engine's own, with the phase that it is in and its handlers."""
    return _Builder(lifecycle, options).build()


class _Builder:
    def __init__(self, lifecycle: Lifecycle, options: DiagramOptions) -> None:
        self.graph: Graph = lifecycle.graph
        self.lifecycle, self.options = lifecycle, options
        self.engine = engine_of(lifecycle)
        self.ids = {phase.event: qualified(phase) for phase in self.graph.phases}
        self.path = main_path(self.graph)
        self.heat = HeatMap(self.graph, options.track) if options.track is not None else None
        self.reached = {transition.target for transition in self.path}

    def build(self) -> Diagram:
        nodes = [
            Node(INITIAL, "", NodeKind.INITIAL, main=True),
            *self._phases(),
            *self._histories(),
            *self._callbacks(),
            Node(FINAL, "", NodeKind.FINAL, main=self._is_on_path(self.graph.phases[0])),
        ]
        edges = [self._edge(transition, main=True) for transition in self.path]
        edges += [self._edge(t, main=False) for t in self.graph.transitions if t not in self.path]
        edges += self._discovered()
        right = self.options.direction == "right"
        return Diagram(tuple(nodes), tuple(self._boxes()), tuple(edges), self.options.title, right)

    def _phases(self) -> Iterator[Node]:
        current = None if self.engine is None else self.engine.phase
        for phase in self.graph.phases[1:]:
            marks = {Mark.CUSTOM} if _is_custom(phase) else set()
            if phase is current:
                marks.add(Mark.CURRENT)
            yield Node(
                self.ids[phase.event],
                phase.name,
                box=_id(phase.scope),
                notes=tuple(self._notes(phase)),
                main=self._is_on_path(phase),
                marks=frozenset(marks),
                inner=self._inner(phase),
                tip=self.ids[phase.event],
                heat=self.heat.of_phase(phase) if self.heat is not None else None,
                unvisited=self.heat is not None and self.heat.of_phase(phase) is None,
            )

    def _is_on_path(self, phase: Phase) -> bool:
        """Say whether the main path leads to `phase`."""
        return phase.event in self.reached

    def _notes(self, phase: Phase) -> Iterator[str]:
        if self.heat is not None and self.heat.note(phase):
            yield self.heat.note(phase)
        if self.options.guards and phase.activity is not None and _is_told(phase.activity):
            yield code_name(phase.activity)
        if self.options.handlers and self.engine is not None:
            from fsm_engine.engine.explain import handlers_of

            yield from handlers_of(self.engine, phase.event)

    def _inner(self, phase: Phase) -> Diagram | None:
        if isinstance(phase.activity, Call) and phase.activity.engine is not None:
            lifecycle = phase.activity.engine.lifecycle
            if lifecycle is not self.lifecycle:
                return _undisturbed(build_diagram(lifecycle, DiagramOptions(direction=self.options.direction)))
        return None

    def _histories(self) -> Iterator[Node]:
        targets = [t.target for t in self.graph.transitions]
        for scope in dict.fromkeys(target.scope for target in targets if isinstance(target, History)):
            ways = [transition for transition in self.graph.transitions if transition.target == History(scope)]
            yield Node(
                _history(scope),
                "H*",
                NodeKind.HISTORY,
                box=_id(scope),
                tip=f"the phase left in {scope}",
                unvisited=self.heat is not None and not any(map(self.heat.of_transition, ways)),
            )

    def _callbacks(self) -> Iterator[Node]:
        """Return a node for each callback event that discovery saw, in the scope that it was fired in."""
        scopes: dict[Event, Scope | None] = {phase.event: phase.scope for phase in self.graph.phases}
        for move in self.lifecycle.discovered:
            for end in _ends(move):
                if end not in scopes:
                    scopes[end] = scopes.get(_ends(move)[0])
                    yield Node(_callback(end), name_of(end), box=_id(scopes[end]), marks=frozenset({Mark.CALLBACK}))

    def _discovered(self) -> Iterator[Edge]:
        for move, count in self.lifecycle.discovered.items():
            source, target = (self.ids.get(end, _callback(end)) for end in _ends(move))
            yield Edge(source, target, kind=EdgeKind.DISCOVERED, tip=f"seen {count} times")

    def _boxes(self) -> Iterator[Box]:
        seen: set[Scope] = set()
        for phase in self.graph.phases:
            for scope in phase.scope.path if phase.scope is not None else ():
                if scope not in seen:
                    seen.add(scope)
                    yield Box(scope_id(scope), scope.name, _id(scope.parent))

    def _edge(self, transition: Transition, main: bool) -> Edge:
        source, target = edge_ends(self.graph, transition)
        kind = EdgeKind.ERROR if transition.error else _KINDS[transition.trigger]
        weight = self.heat.of_transition(transition) if self.heat is not None else None
        return Edge(source, target, self._text(transition), kind, main, tip=f"{transition}", weight=weight)

    def _text(self, transition: Transition) -> str:
        count = self.heat.text(transition) if self.heat is not None else ""
        return " ".join(filter(None, [self._told(transition), count]))

    def _told(self, transition: Transition) -> str:
        guard = f"[{code_name(transition.guard)}]" if transition.guard is not None and self.options.guards else ""
        if transition.error:
            kinds = " or ".join(kind.__name__ for kind in transition.error)
            limit = f", {transition.limit}x at most" if transition.limit is not None and self.options.guards else ""
            return f"{kinds}{limit} {guard}".rstrip()
        return transition.label if transition.trigger is Trigger.SIGNAL else guard


def edge_ends(graph: Graph, transition: Transition) -> tuple[str, str]:
    """Return the ids of the nodes that `transition` joins in the diagram; of the box, if it leaves from a scope."""
    source, target = transition.source, transition.target
    return (
        scope_id(source) if isinstance(source, Scope) else _node_id(graph, source, INITIAL),
        _history(target.scope) if isinstance(target, History) else _node_id(graph, target, FINAL),
    )


def _node_id(graph: Graph, event: Event, first: str) -> str:
    number = graph.index[event]
    return qualified(graph.phases[number]) if number else first


def _undisturbed(whole: Diagram) -> Diagram:
    """Return what is drawn of a lifecycle inside a phase: the main path, and its loops."""
    nodes = tuple(node for node in whole.nodes if node.main)
    place = {node.id: number for number, node in enumerate(whole.main)}
    loops = (e for e in whole.edges if place.get(e.target, len(place)) <= place.get(e.source, -1))
    edges = (*(edge for edge in whole.edges if edge.main), *loops)
    return Diagram(nodes, whole.boxes, edges, to_the_right=whole.to_the_right)


def _is_told(activity: Code) -> bool:
    """Say whether an activity is written into its phase: it calls the user's code, and is not drawn itself."""
    return activity.runs_user_code if isinstance(activity, Snippet) else getattr(activity, "engine", None) is None


def _is_custom(phase: Phase) -> bool:
    return not type(phase.event).__module__.startswith("fsm_engine.")


def scope_id(scope: Scope) -> str:
    """Return the id of the box that stands for `scope`."""
    return ".".join(map(str, scope.path))


def _id(scope: Scope | None) -> str | None:
    return None if scope is None else scope_id(scope)


def _history(scope: Scope) -> str:
    return f"{scope_id(scope)} history"


def _callback(event: Event) -> str:
    return f"callback {event}"


def _ends(move: Move) -> tuple[Event, Event]:
    return move.source, move.target  # type: ignore[return-value]  # discovery sees events only
