"""A lifecycle as GraphML: the graph of `networkx_graph`, written and read by networkx."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.networkx_graph import from_networkx, to_networkx
from fsm_engine.serialization.xml_text import Element, parsed

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle

_NS = "{http://graphml.graphdrawing.org/xmlns}"


def to_graphml(lifecycle: Lifecycle) -> str:
    """Return `lifecycle` as GraphML.

    Raises:
        LifecycleError: for what no file can hold, such as a name that cannot be printed.
    """
    import networkx

    graph = to_networkx(lifecycle)
    numbered: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(**graph.graph)
    numbered.add_nodes_from((node, _without_empty(data)) for node, data in graph.nodes(data=True))
    for number, (source, target, data) in enumerate(graph.edges(data=True)):
        numbered.add_edge(source, target, key=f"e{number}", **_without_empty(data))  # ids are unique in GraphML
    lines = networkx.generate_graphml(numbered)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join(lines) + "\n"


def _without_empty(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value != ""}


def from_graphml(text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a GraphML text; `bind` is that of `from_dict`.

    Raises:
        LifecycleError: for anything that is no lifecycle, with the line or the node or edge.
        TypeError: if `text` is no string, or `bind` no mapping.
    """
    import networkx

    _check(parsed(text, "from_graphml"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about parts of other programs, which are passed over
        try:
            graph = networkx.parse_graphml(text, edge_key_type=str, force_multigraph=True)
        except Exception as error:  # networkx lets whatever it runs into through
            raise LifecycleError(f"networkx cannot read this GraphML: {type(error).__name__}: {error}") from None
    return from_networkx(graph, bind)


def _check(root: Element) -> None:
    """Refuse what networkx would mend by itself: nodes that are there twice, and edges to nowhere."""
    if root.tag != f"{_NS}graphml":
        raise root.refused(f"this is <{root.tag}>, and GraphML begins with <graphml xmlns={_NS[1:-1]!r}>.")
    graphs = root.all(f"{_NS}graph")
    if len(graphs) != 1:
        raise root.refused(f"it has {len(graphs)} graphs, and a lifecycle is one.")
    ids: set[str | None] = set()
    for node in graphs[0].all(f"{_NS}node"):
        name = node.attributes.get("id")
        if name is None or name in ids:
            raise node.refused("a node has no id." if name is None else f"the node {name!r} is there twice.")
        ids.add(name)
    for edge in graphs[0].all(f"{_NS}edge"):
        for end in (edge.attributes.get("source"), edge.attributes.get("target")):
            if end not in ids:
                raise edge.refused(f"an edge leads from or to {end!r}, and there is no such node.")
