"""A lifecycle as a networkx graph, to ask questions of, and back.

A ``MultiDiGraph`` whose nodes are phases, by their qualified names, such as ``Events.STARTED``. Its attributes, all of
them strings, integers and booleans:

- of nodes: ``scope``, its innermost, and ``scopes``, the path of them; ``initial``; ``order``, where it is listed;
  ``entry``, ``activity``, ``payload``, ``defer``, ``counter``, ``floating`` as in `dictionary`;
- of edges: ``label``, also their key; ``trigger``, ``signal``, ``error``, ``guard``, ``action`` as there; ``limit``, 0
  for none; ``order``, where the transition is listed: exits of one phase are looked at in this order; ``via`` and
  ``history``.

A transition from a scope is there once per phase of the scope, with ``via`` naming the scope and ``leaves`` giving its
path; one into a scope's history leads to each of its phases, with ``history``, and the scope's path as ``enters``. Read
back, they are one transition again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.dictionary import FORMAT, PHASE, TRANSITION, VERSION, to_dict
from fsm_engine.serialization.flat import REFERENCES, flat, loads, unflat
from fsm_engine.serialization.found import shown
from fsm_engine.serialization.reading import from_dict

if TYPE_CHECKING:
    import networkx

    from fsm_engine.lifecycle.lifecycle import Lifecycle

_NODE = ("entry", "activity", "payload", "defer", "counter")
_EDGE = ("trigger", "signal", "error", "guard", "action")
_SCALARS = (str, int, float, bool, type(None))


def to_networkx(lifecycle: Lifecycle) -> networkx.MultiDiGraph[str]:
    """Return `lifecycle` as a `networkx.MultiDiGraph`; see the module.

    Raises:
        LifecycleError: for what cannot be named, such as two phases of one qualified name.
    """
    import networkx

    document = to_dict(lifecycle)
    result: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(**_of_graph(document))
    paths = {phase["event"]: phase.get("scope", "") for phase in document["phases"]}
    for number, (phase, parts) in enumerate(zip(lifecycle.phases, document["phases"])):
        attributes = {
            "scope": "" if phase.scope is None else phase.scope.name,
            "scopes": paths[parts["event"]],
            **_with_empty(parts, _NODE),
            "floating": parts.get("floating", False),
            "initial": number == 0,
            "order": number,
        }
        result.add_node(parts["event"], **attributes)
    for number, (transition, parts) in enumerate(zip(lifecycle.transitions, document["transitions"])):
        leaves, enters = parts.get("from_scope", ""), parts.get("to_history", "")
        attributes = {
            "label": parts["label"],
            **_with_empty(parts, _EDGE),
            "limit": parts.get("limit", 0),
            "via": str(transition.source) if leaves else "",
            "leaves": leaves,
            "history": enters != "",
            "enters": enters,
            "order": number,
        }
        sources = _inside(paths, leaves) if leaves else [parts["from"]]
        targets = _inside(paths, enters) if enters else [parts["to"]]
        for source, target in product(sources, targets):
            key = parts["label"]
            if result.has_edge(source, target, key):  # an inner scope answers to the same signal
                key = f"{key} via {leaves}"
            result.add_edge(source, target, key=key, **attributes)
    return result


def _of_graph(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the whole graph."""
    parts = {key: document[key] for key in ("name", "format", "version", "step") if key in document}
    return {**flat(parts), **({"required": json.dumps(document["required"])} if "required" in document else {})}


def _with_empty(parts: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    given = flat({key: parts[key] for key in keys if key in parts})
    return {**dict.fromkeys(keys, ""), **given}


def _inside(paths: Mapping[str, str], scope: str) -> list[str]:
    """Return the phases that lie in the scope of that path."""
    return [name for name, path in paths.items() if path == scope or path.startswith(f"{scope}.")]


def from_networkx(graph: networkx.Graph[Any], bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a directed graph; see the module. Other attributes are passed over.

    An edge needs a ``label``; every other attribute may be missing. The first node is the initial phase.

    Raises:
        LifecycleError: for anything that is no lifecycle, with the node or edge, what was found and what is legal.
        TypeError: if it is no graph of networkx, or `bind` no mapping.
    """
    import networkx

    if not isinstance(graph, networkx.Graph):
        raise TypeError(f"from_networkx reads a graph of networkx, got {shown(graph)}.")
    if not graph.is_directed():
        raise LifecycleError("the graph is not directed, and a transition leads from one phase to another.")
    return _Reading(graph).lifecycle(bind)


@dataclass
class _Group:
    """The edges that stand for one transition."""

    parts: dict[str, Any]
    pairs: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        source, target = self.pairs[0]
        return f"edge {source} -> {target}, {self.parts.get('label', '')}"


class _Reading:
    def __init__(self, graph: networkx.Graph[Any]) -> None:
        self.graph = graph
        self.places: dict[str, str] = {}
        self.paths: dict[str, str] = {}

    def lifecycle(self, bind: Mapping[str, Any] | None) -> Lifecycle:
        attributes = self.graph.graph
        whole = {
            **unflat({key: attributes[key] for key in ("step", "step_ref") if key in attributes}),
            "format": attributes.get("format", FORMAT),
            "version": attributes.get("version", VERSION),
            "name": attributes.get("name", "lifecycle"),
            "phases": self._phases(),
            "transitions": self._transitions(),
        }
        if attributes.get("required"):
            whole["required"] = loads(attributes["required"], "the graph's attribute 'required'")
        return from_dict(whole, bind, self.places)

    def _phases(self) -> list[dict[str, Any]]:
        phases: list[dict[str, Any]] = []
        for node, data in _in_order(self.graph.nodes(data=True)):
            place = self.places[f"phases[{len(phases)}]"] = f"node {shown(node)}"
            parts = {"event": node, **_parts(data, PHASE, place)}
            if data.get("scopes"):
                parts["scope"] = data["scopes"]
            self.paths[node] = str(parts.get("scope", ""))
            phases.append(parts)
        return phases

    def _transitions(self) -> list[dict[str, Any]]:
        transitions: list[dict[str, Any]] = []
        for group in self._groups():
            self.places[f"transitions[{len(transitions)}]"] = str(group)
            self._check_whole(group)
            transitions.append({key: group.parts[key] for key in TRANSITION if key in group.parts})
        return transitions

    def _groups(self) -> list[_Group]:
        groups: dict[tuple[Any, ...], _Group] = {}
        edges = ((f"edge {shown(u)} -> {shown(v)}", data, u, v) for u, v, data in self.graph.edges(data=True))
        for number, (place, data, source, target) in enumerate(edges):
            parts = {"trigger": "automatic", **_parts(data, (*TRANSITION, "order", "leaves", "enters"), place)}
            for end, scope, key in ((source, "leaves", "from"), (target, "enters", "to")):
                path = parts.pop(scope, "")
                parts |= {f"{key}_{'scope' if key == 'from' else 'history'}": path} if path else {key: end}
            identity = tuple(sorted((key, json.dumps(value)) for key, value in parts.items()))
            parts.setdefault("order", number)
            groups.setdefault(identity, _Group(parts)).pairs.append((source, target))
        return sorted(groups.values(), key=lambda group: _order(group.parts, str(group)))

    def _check_whole(self, group: _Group) -> None:
        """Refuse a transition from or to a scope that some phases of the scope do not have."""
        parts = group.parts
        sources = _inside(self.paths, parts["from_scope"]) if "from_scope" in parts else [parts["from"]]
        targets = _inside(self.paths, parts["to_history"]) if "to_history" in parts else [parts["to"]]
        odd = set(product(sources, targets)) ^ set(group.pairs)
        for source, target in sorted(odd):
            if (source, target) in group.pairs:
                raise LifecycleError(f"edge {source} -> {target}, {parts['label']}: one of them is outside the scope.")
            raise LifecycleError(
                f"{group} stands for one from or to a whole scope, but the edge {source} -> {target} is missing. "
                f"Add it, or leave 'leaves' and 'enters' empty in the others."
            )


def _in_order(nodes: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    numbered = [(node, {"order": number, **data}) for number, (node, data) in enumerate(nodes)]
    yield from sorted(numbered, key=lambda one: _order(one[1], f"node {shown(one[0])}"))


def _order(data: Mapping[str, Any], place: str) -> int:
    order = data["order"]
    if type(order) is not int:
        raise LifecycleError(f"{place}, order is {shown(order)}, but has to be an integer.")
    return order


def _parts(data: Mapping[str, Any], keys: tuple[str, ...], place: str) -> dict[str, Any]:
    """Return the attributes of those keys that are not empty, as `dictionary` has them."""
    wanted = (*keys, *(f"{key}_ref" for key in REFERENCES))
    given = {key: data[key] for key in wanted if key in data and key not in ("scope", "event")}
    for key, value in given.items():
        if not isinstance(value, _SCALARS):
            raise LifecycleError(f"{place}, {key} is {shown(value)}, but has to be a string, a number or a boolean.")
    try:
        parts = unflat(given)
    except LifecycleError as error:
        raise LifecycleError(f"{place}, {error}") from None
    return {key: value for key, value in parts.items() if key != "limit" or value != 0}
