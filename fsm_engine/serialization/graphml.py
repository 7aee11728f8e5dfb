"""GraphML: the graph of `networkx_graph`, written and read by networkx."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.networkx_graph import from_networkx, to_networkx
from fsm_engine.serialization.safe_xml import parse_xml

_NS = "http://graphml.graphdrawing.org/xmlns"


def to_graphml(lifecycle: Lifecycle) -> str:
    """Return `lifecycle` as GraphML.

    Raises:
        LifecycleError: a file cannot hold something in the lifecycle, such as a name that is not printable.
    """
    import networkx

    graph = to_networkx(lifecycle)
    result: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(**graph.graph)
    result.add_nodes_from((node, _without_empty(data)) for node, data in graph.nodes(data=True))
    for number, (source, target, data) in enumerate(graph.edges(data=True)):
        result.add_edge(source, target, key=f"e{number}", **_without_empty(data))  # networkx writes keys as edge ids
    return "\n".join(('<?xml version="1.0" encoding="UTF-8"?>', *networkx.generate_graphml(result), ""))


def _without_empty(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value != ""}


def from_graphml(text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a GraphML text; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the text is not the GraphML of a lifecycle; the message names the line, node or edge.
        TypeError: `text` is not a string, or `bind` is not a mapping.
    """
    import networkx

    root = parse_xml(text, "from_graphml")
    graphs = root.find_all(f"{_NS} graph")
    if len(graphs) != 1:
        raise root.error(f"expected <graphml xmlns={_NS!r}> with one <graph>, got <{root.tag}> with {len(graphs)}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # networkx warns about extensions of other programs, which are ignored here
        try:
            graph = networkx.parse_graphml(text, edge_key_type=str, force_multigraph=True)
        except Exception as error:  # networkx does not wrap the errors of its own converters
            raise LifecycleError(f"networkx cannot read this GraphML: {type(error).__name__}: {error}") from None
    declared = Counter(node.attributes.get("id") for node in graphs[0].find_all(f"{_NS} node"))
    for node in graph:  # networkx merges nodes of one id, and adds those that only edges name
        if declared[node] != 1:
            raise LifecycleError(f"the file has {declared[node]} <node> elements with id={node!r}, expected one.")
    return from_networkx(graph, bind)
