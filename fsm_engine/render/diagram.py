"""The diagram model: nodes in boxes, joined by edges.

A `Diagram` has no positions and no colours. Each format is a function from a `Diagram` to text or bytes, which never
sees a lifecycle.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum

from fsm_engine.lifecycle.diff import Change as Change


class NodeKind(Enum):
    """The kind of a node, in the notation of statecharts."""

    PHASE = "phase"
    INITIAL = "initial"
    FINAL = "final"
    HISTORY = "history"


class EdgeKind(Enum):
    """The trigger of the transition that an edge shows."""

    AUTOMATIC = "automatic"
    FIRED = "fired"
    SIGNAL = "signal"
    ERROR = "error"
    DISCOVERED = "discovered"


class Mark(Enum):
    """A reason to highlight a node."""

    CURRENT = "current"
    CUSTOM = "custom"
    CALLBACK = "callback"


@dataclass(frozen=True)
class Node:
    """A phase, or one of statecharts' pseudo-states.

    Attributes:
        id: unique in the diagram; for a phase its qualified name, such as ``Events.STARTED``.
        text: text inside the node.
        kind: phase, initial or final point, or history of the enclosing box.
        box: id of the innermost box around the node; None outside all boxes.
        notes: small lines below the text, such as the activity of the phase, or its handlers.
        main: True on the main path.
        marks: reasons to highlight the node.
        change: how the node differs, in a comparison of two lifecycles.
        inner: diagram of the lifecycle that runs inside the phase, if its activity is an engine.
        tip: longer text, for formats that can show one on demand.
        heat: share of the time of a recorded run, or difference between its ranks as such a share, from 0 to 1; None
            without a recording or a visit.
        unvisited: True if a recorded run never entered the phase.
    """

    id: str
    text: str
    kind: NodeKind = NodeKind.PHASE
    box: str | None = None
    notes: tuple[str, ...] = ()
    main: bool = False
    marks: frozenset[Mark] = frozenset()
    change: Change | None = None
    inner: Diagram | None = None
    tip: str = ""
    heat: float | None = None
    unvisited: bool = False


@dataclass(frozen=True)
class Box:
    """A scope, drawn as a box around its phases and inner scopes. Its id is its path, such as ``engine.run``."""

    id: str
    text: str
    parent: str | None = None


@dataclass(frozen=True)
class Edge:
    """A transition. A transition from a scope is one edge, which leaves the border of the scope's box.

    Attributes:
        source: id of a node or box.
        target: id of a node.
        text: label; may be empty.
        kind: trigger of the transition.
        main: True on the main path.
        change: how the edge differs, in a comparison of two lifecycles.
        tip: longer text, for formats that can show one on demand.
        weight: how often a recorded run took the edge, on a logarithmic scale from 0 (never) to 1 (most often); None
            without a recording.
    """

    source: str
    target: str
    text: str = ""
    kind: EdgeKind = EdgeKind.AUTOMATIC
    main: bool = False
    change: Change | None = None
    tip: str = ""
    weight: float | None = None


@dataclass(frozen=True)
class Diagram:
    """Nodes in boxes, joined by edges.

    Attributes:
        nodes: in the order in which a run usually reaches them; the initial point comes first, if there is one.
        boxes: outer boxes before inner ones.
        edges: the edges of the main path first, in its order.
        title: text above the picture; may be empty.
        to_the_right: True if the main path runs from left to right instead of top to bottom.
        shows_ranks: True if the heat of the nodes is the difference between ranks, not the share of the time.
        names: the nodes by id.
        leaving: the edges by the id of their source, in the order of `edges`.
        entering: the edges by the id of their target, in the order of `edges`.
    """

    nodes: tuple[Node, ...]
    boxes: tuple[Box, ...] = ()
    edges: tuple[Edge, ...] = ()
    title: str = ""
    to_the_right: bool = False
    shows_ranks: bool = False
    names: dict[str, Node] = field(init=False, repr=False, compare=False)
    leaving: defaultdict[str, list[Edge]] = field(init=False, repr=False, compare=False)
    entering: defaultdict[str, list[Edge]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", {node.id: node for node in self.nodes})
        object.__setattr__(self, "leaving", defaultdict(list))
        object.__setattr__(self, "entering", defaultdict(list))
        for edge in self.edges:
            self.leaving[edge.source].append(edge)
            self.entering[edge.target].append(edge)

    @property
    def main(self) -> tuple[Node, ...]:
        """The nodes of the main path, in its order."""
        path = [edge for edge in self.edges if edge.main]
        return tuple(self.names[end] for end in [*(edge.source for edge in path[:1]), *(e.target for e in path)])

    def boxes_in(self, box: str | None) -> tuple[Box, ...]:
        """Return the direct children of `box`, or the outermost boxes for None."""
        return tuple(inner for inner in self.boxes if inner.parent == box)
