"""The diagram model: what every format draws, and nothing that only one of them needs.

A renderer is a function of a `Diagram` that returns text or bytes; it never sees a lifecycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from fsm_engine.lifecycle.diff import Change as Change


class NodeKind(Enum):
    """What a node is, in the notation of statecharts."""

    PHASE = "phase"
    INITIAL = "initial"
    FINAL = "final"
    HISTORY = "history"


class EdgeKind(Enum):
    """What makes a move along an edge happen."""

    AUTOMATIC = "automatic"
    FIRED = "fired"
    SIGNAL = "signal"
    ERROR = "error"
    DISCOVERED = "discovered"


class Mark(Enum):
    """Why a node stands out."""

    CURRENT = "current"
    CUSTOM = "custom"
    CALLBACK = "callback"


@dataclass(frozen=True)
class Node:
    """A phase, or one of statecharts' pseudo-states.

    Attributes:
        id: unique in the diagram; for a phase its qualified name, such as ``Events.STARTED``.
        text: what is written in it.
        kind: a phase, the initial or final point, or the history of the box it lies in.
        box: the id of the box that it lies in, None outside all of them.
        notes: small lines below the text, such as what the phase does, or its handlers.
        main: whether it lies on the main path.
        marks: why it stands out.
        change: how it differs, in a picture of two lifecycles.
        inner: the lifecycle that runs inside it, if its activity is an engine.
        tip: a longer text for formats that can show one on demand.
        heat: its share of the time of a recorded run, None without one.
        unvisited: whether a recorded run did not come there.
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
    """A scope: a box around its phases and inner scopes. Its id is its path, such as ``engine.run``."""

    id: str
    text: str
    parent: str | None = None


@dataclass(frozen=True)
class Edge:
    """A transition. One that leaves every phase of a scope is there once, and leaves from the border of the box.

    Attributes:
        source: the id of a node or box.
        target: the id of a node.
        text: what is written at it; may be empty.
        kind: what makes it happen.
        main: whether it lies on the main path.
        change: how it differs, in a picture of two lifecycles.
        tip: a longer text for formats that can show one on demand.
        weight: how often a recorded run took it, from 0, never, to 1, most of all; None without one.
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
    """What is drawn: nodes in boxes, joined by edges.

    Attributes:
        nodes: in the order in which a run usually comes to them; the first is the initial point, where there is one.
        boxes: outer ones before inner ones.
        edges: those of the main path first, in its order.
        title: written above; may be empty.
        to_the_right: whether the main path runs from left to right instead of top to bottom.
    """

    nodes: tuple[Node, ...]
    boxes: tuple[Box, ...] = ()
    edges: tuple[Edge, ...] = ()
    title: str = ""
    to_the_right: bool = False
    names: dict[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", {node.id: node for node in self.nodes})

    @property
    def main(self) -> tuple[Node, ...]:
        """The nodes of the main path, in its order."""
        path = [edge for edge in self.edges if edge.main]
        return tuple(self.names[end] for end in [*(edge.source for edge in path[:1]), *(e.target for e in path)])

    def inside(self, box: str | None) -> tuple[Box, ...]:
        """Return the boxes right inside a box, or the outermost for None."""
        return tuple(inner for inner in self.boxes if inner.parent == box)
