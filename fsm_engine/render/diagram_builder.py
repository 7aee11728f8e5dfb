"""Builds the diagram of a lifecycle, which all formats draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fsm_engine.engine.engine import engine_of
from fsm_engine.events.edges import Edge as Move
from fsm_engine.events.events import Event, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, UserCallable, code_name
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.heat_map import HeatMap
from fsm_engine.render.main_path import is_custom, main_path, usual_transitions
from fsm_engine.timeline.track import Track

INITIAL, FINAL = "initial", "final"
"""Ids of the initial and the final point. Both stand for the first phase of the graph."""

_KINDS = {
    Trigger.AUTOMATIC: EdgeKind.AUTOMATIC,
    Trigger.FIRED: EdgeKind.FIRED,
    Trigger.SIGNAL: EdgeKind.SIGNAL,
}


@dataclass(frozen=True)
class DiagramOptions:
    """Options of a diagram.

    Attributes:
        title: text above the picture.
        direction: direction of the main path, ``"down"`` or ``"right"``.
        detail: ``"all"``, or ``"main"`` to leave out signals, errors and rare edges, and phases that only they reach.
        guards: True to show guards, limits of error edges, and activities.
        handlers: True to list the handlers of each phase, with file and line.
        tracks: a recorded run; its counts and times are shown at edges and phases. Several tracks are the same engine
            on several ranks, whose differences are shown.
    """

    title: str = ""
    direction: str = "down"
    detail: str = "all"
    guards: bool = False
    handlers: bool = False
    tracks: Sequence[Track] = ()

    def __post_init__(self) -> None:
        if self.direction not in ("down", "right"):
            raise ValueError(f"direction={self.direction!r} must be 'down' or 'right'.")
        if self.detail not in ("all", "main"):
            raise ValueError(f"detail={self.detail!r} must be 'all' or 'main'.")
        if not isinstance(self.title, str):
            raise TypeError(f"title={self.title!r} must be a string.")


def build_diagram(lifecycle: Lifecycle, options: DiagramOptions = DiagramOptions()) -> Diagram:
    """Return the diagram of `lifecycle`.

    If the lifecycle belongs to an engine, the phase that the engine is in is marked, and its handlers can be shown.

    Raises:
        ValueError: one of `options.tracks` has a move that the lifecycle does not have.
    """
    return _Builder(lifecycle, options).build()


class _Builder:
    def __init__(self, lifecycle: Lifecycle, options: DiagramOptions) -> None:
        self.graph: Graph = lifecycle.graph
        self.lifecycle, self.options = lifecycle, options
        self.engine = engine_of(lifecycle)
        self.ids = {phase.event: qualified_name(phase) for phase in self.graph.phases}
        self.path = main_path(self.graph)
        self.heat = HeatMap(self.graph, options.tracks) if options.tracks else None
        self.reached = {transition.target for transition in self.path}
        on_path = set(map(id, self.path))
        beside = usual_transitions(self.graph, self.path) if options.detail == "main" else self.graph.transitions
        self.beside = [transition for transition in beside if id(transition) not in on_path]
        self.phases = self._shown_phases()

    def _shown_phases(self) -> list[Phase]:
        """Return the phases without the first one; with ``detail="main"``, those that the shown transitions join."""
        phases = self.graph.phases[1:]
        if self.options.detail == "all":
            return list(phases)
        ends = {end for transition in (*self.path, *self.beside) for end in (transition.source, transition.target)}
        return [phase for phase in phases if phase.event in ends]

    def build(self) -> Diagram:
        nodes = [
            Node(INITIAL, "", NodeKind.INITIAL, main=True),
            *self._phases(),
            *self._histories(),
            *self._callbacks(),
            Node(FINAL, "", NodeKind.FINAL, main=self._is_on_path(self.graph.phases[0])),
        ]
        edges = [self._edge(transition, main=True) for transition in self.path]
        edges += [self._edge(transition, main=False) for transition in self.beside]
        edges += self._discovered()
        right = self.options.direction == "right"
        shows_ranks = len(self.options.tracks) > 1
        return Diagram(tuple(nodes), tuple(self._boxes()), tuple(edges), self.options.title, right, shows_ranks)

    def _phases(self) -> Iterator[Node]:
        current = None if self.engine is None else self.engine.phase
        for phase in self.phases:
            marks = {Mark.CUSTOM} if is_custom(phase) else set()
            if phase is current:
                marks.add(Mark.CURRENT)
            visits = None if self.heat is None else self.heat.visits(phase)
            yield Node(
                self.ids[phase.event],
                phase.name,
                box=_box_id(phase.scope),
                notes=tuple(self._notes(phase)),
                main=self._is_on_path(phase),
                marks=frozenset(marks),
                inner=self._inner(phase),
                tip=self.ids[phase.event],
                heat=None if self.heat is None else self.heat.heat(phase),
                unvisited=self.heat is not None and visits is None,
            )

    def _is_on_path(self, phase: Phase) -> bool:
        """Return True if the main path leads to `phase`."""
        return phase.event in self.reached

    def _notes(self, phase: Phase) -> Iterator[str]:
        if self.heat is not None:
            yield from self.heat.notes(phase)
        if self.options.guards and phase.activity is not None and _is_shown(phase.activity):
            yield code_name(phase.activity)
        if self.options.handlers and self.engine is not None:
            from fsm_engine.engine.explain import handler_labels

            yield from handler_labels(self.engine, phase.event)

    def _inner(self, phase: Phase) -> Diagram | None:
        if isinstance(phase.activity, UserCallable) and phase.activity.engine is not None:
            lifecycle = phase.activity.engine.lifecycle
            if lifecycle is not self.lifecycle:
                return _main_path_and_loops(build_diagram(lifecycle, DiagramOptions(direction=self.options.direction)))
        return None

    def _histories(self) -> Iterator[Node]:
        targets = [t.target for t in self.beside]
        for scope in dict.fromkeys(target.scope for target in targets if isinstance(target, History)):
            entries = [transition for transition in self.beside if transition.target == History(scope)]
            yield Node(
                _history_id(scope),
                "H*",
                NodeKind.HISTORY,
                box=_box_id(scope),
                tip=f"the last phase in {scope}",
                unvisited=self.heat is not None and not any(map(self.heat.edge_weight, entries)),
            )

    def _callbacks(self) -> Iterator[Node]:
        """Yield a node for each discovered callback event, in the scope of the event that was fired before it."""
        scopes: dict[Event, Scope | None] = {phase.event: phase.scope for phase in self.graph.phases}
        for move in self._discovered_moves():
            for end in _ends(move):
                if end not in scopes:
                    scopes[end] = scopes.get(_ends(move)[0])
                    yield Node(
                        _callback_id(end), name_of(end), box=_box_id(scopes[end]), marks=frozenset({Mark.CALLBACK})
                    )

    def _discovered(self) -> Iterator[Edge]:
        for move in self._discovered_moves():
            source, target = (self.ids.get(end, _callback_id(end)) for end in _ends(move))
            yield Edge(source, target, kind=EdgeKind.DISCOVERED, tip=f"seen {self.lifecycle.discovered[move]} times")

    def _discovered_moves(self) -> list[Move]:
        """Return the discovered moves between callback events and shown phases."""
        hidden = {phase.event for phase in self.graph.phases} - {phase.event for phase in self.phases}
        return [move for move in self.lifecycle.discovered if hidden.isdisjoint(_ends(move))]

    def _boxes(self) -> Iterator[Box]:
        seen: set[Scope] = set()
        for phase in self.phases:
            for scope in phase.scope.path if phase.scope is not None else ():
                if scope not in seen:
                    seen.add(scope)
                    yield Box(scope_id(scope), scope.name, _box_id(scope.parent))

    def _edge(self, transition: Transition, main: bool) -> Edge:
        source, target = edge_ends(self.graph, transition)
        kind = EdgeKind.ERROR if transition.error else _KINDS[transition.trigger]
        weight = self.heat.edge_weight(transition) if self.heat is not None else None
        return Edge(source, target, self._label(transition), kind, main, tip=f"{transition}", weight=weight)

    def _label(self, transition: Transition) -> str:
        count = self.heat.edge_label(transition) if self.heat is not None else ""
        return " ".join(filter(None, [self._condition(transition), count]))

    def _condition(self, transition: Transition) -> str:
        """Return the exceptions, the signal or the guard of `transition`, as far as the options show them."""
        guard = f"[{code_name(transition.guard)}]" if transition.guard is not None and self.options.guards else ""
        if transition.error:
            kinds = " or ".join(kind.__name__ for kind in transition.error)
            limit = f", {transition.limit}x at most" if transition.limit is not None and self.options.guards else ""
            return f"{kinds}{limit} {guard}".rstrip()
        return transition.label if transition.trigger is Trigger.SIGNAL else guard


def edge_ends(graph: Graph, transition: Transition) -> tuple[str, str]:
    """Return the ids of the ends of `transition` in the diagram: nodes, or a box for a transition from a scope."""
    source, target = transition.source, transition.target
    return (
        scope_id(source) if isinstance(source, Scope) else _node_id(graph, source, INITIAL),
        _history_id(target.scope) if isinstance(target, History) else _node_id(graph, target, FINAL),
    )


def _node_id(graph: Graph, event: Event, first: str) -> str:
    number = graph.index[event]
    return qualified_name(graph.phases[number]) if number else first


def _main_path_and_loops(diagram: Diagram) -> Diagram:
    """Return the part of a diagram that is drawn inside a phase: its main path, and edges back along it."""
    nodes = tuple(node for node in diagram.nodes if node.main)
    index = {node.id: number for number, node in enumerate(diagram.main)}
    loops = (e for e in diagram.edges if index.get(e.target, len(index)) <= index.get(e.source, -1))
    edges = (*(edge for edge in diagram.edges if edge.main), *loops)
    return Diagram(nodes, diagram.boxes, edges, to_the_right=diagram.to_the_right)


def _is_shown(activity: Code) -> bool:
    """Return True if `activity` is shown as a note: if it runs code of the user and is not an engine, drawn inside."""
    return activity.runs_user_code if isinstance(activity, CodeFragment) else getattr(activity, "engine", None) is None


def scope_id(scope: Scope) -> str:
    """Return the id of the box of `scope`."""
    return ".".join(map(str, scope.path))


def _box_id(scope: Scope | None) -> str | None:
    return None if scope is None else scope_id(scope)


def _history_id(scope: Scope) -> str:
    return f"{scope_id(scope)} history"


def _callback_id(event: Event) -> str:
    return f"callback {event}"


def _ends(move: Move) -> tuple[Event, Event]:
    return move.source, move.target  # type: ignore[return-value]  # discovered moves lead between events
