"""A lifecycle as a networkx graph, for graph algorithms, and back.

The nodes of the ``MultiDiGraph`` are phases by their qualified names, such as ``Events.STARTED``. All attributes are
strings, integers and booleans:

- of nodes: ``scope``, the name of the innermost scope; ``scopes``, its path; ``initial``; ``order``, the position in
  the lifecycle; ``entry``, ``activity``, ``payload``, ``defer``, ``counter`` and ``unscoped`` as in `dictionary`;
- of edges: ``label``, which is also the key; ``trigger``, ``signal``, ``error``, ``guard`` and ``action`` as in
  `dictionary`; ``limit``, 0 for none; ``order``, the position of the transition in the lifecycle: the exits of a phase
  are tried in this order; ``via``, ``leaves``, ``history`` and ``enters``.

A transition from a scope becomes one edge per phase in the scope, with the scope's name as ``via`` and its path as
``leaves``. A transition into a scope's history becomes one edge per phase in the scope, with ``history`` True and the
scope's path as ``enters``. `from_networkx` merges these edges into one transition again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.attributes import flatten, parse_json, unflatten
from fsm_engine.serialization.dictionary import (
    END_KEYS,
    FORMAT,
    PHASE_KEYS,
    TRANSITION_KEYS,
    VERSION,
    is_within,
    to_dict,
)
from fsm_engine.serialization.dictionary_reader import from_dict
from fsm_engine.serialization.values import short_repr

if TYPE_CHECKING:
    import networkx

_NODE = ("entry", "activity", "payload", "defer", "counter")
_EDGE = ("trigger", "signal", "error", "guard", "action")


def to_networkx(lifecycle: Lifecycle) -> networkx.MultiDiGraph[str]:
    """Return `lifecycle` as a `networkx.MultiDiGraph` with the attributes that this module describes.

    Raises:
        LifecycleError: something in the lifecycle has no name of its own, such as two phases with one qualified name.
    """
    import networkx

    document = to_dict(lifecycle)
    graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(**_graph_attributes(document))
    paths = {phase["event"]: phase.get("scope", "") for phase in document["phases"]}
    for number, (phase, fields) in enumerate(zip(lifecycle.phases, document["phases"])):
        attributes = {
            "scope": "" if phase.scope is None else phase.scope.name,
            "scopes": paths[fields["event"]],
            **_attributes(fields, _NODE),
            "unscoped": fields.get("unscoped", False),
            "initial": number == 0,
            "order": number,
        }
        graph.add_node(fields["event"], **attributes)
    for number, (transition, fields) in enumerate(zip(lifecycle.transitions, document["transitions"])):
        leaves, enters = fields.get("from_scope", ""), fields.get("to_history", "")
        attributes = {
            "label": fields["label"],
            **_attributes(fields, _EDGE),
            "limit": fields.get("limit", 0),
            "via": str(transition.source) if leaves else "",
            "leaves": leaves,
            "history": enters != "",
            "enters": enters,
            "order": number,
        }
        for source, target in _pairs(fields, paths):
            key = fields["label"]
            if graph.has_edge(source, target, key):  # another scope has a transition with this label
                key = f"{key} via {leaves}"
            graph.add_edge(source, target, key=key, **attributes)
    return graph


def _graph_attributes(document: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: document[key] for key in ("name", "format", "version", "step") if key in document}
    return {**flatten(fields), **({"required": json.dumps(document["required"])} if "required" in document else {})}


def _attributes(fields: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {**dict.fromkeys(keys, ""), **flatten({key: fields[key] for key in keys if key in fields})}


def _pairs(fields: Mapping[str, Any], paths: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return the source and target of each edge of a transition; `paths` has the scope of each phase."""

    def ends(phase: str, scope: str) -> list[str]:
        if scope not in fields:
            return [fields[phase]]
        return [name for name, path in paths.items() if is_within(path, fields[scope])]

    return product(ends("from", "from_scope"), ends("to", "to_history"))


def from_networkx(graph: networkx.Graph[Any], bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a directed graph with the attributes that this module describes; others are ignored.

    An edge requires a ``label``; every other attribute is optional. The first node is the initial phase.

    Raises:
        LifecycleError: the graph is not a lifecycle; the message names the node or edge, the value and the legal ones.
        TypeError: `graph` is not a networkx graph, or `bind` is not a mapping.
    """
    import networkx

    if not isinstance(graph, networkx.Graph):
        raise TypeError(f"from_networkx reads a networkx graph, got {short_repr(graph)}.")
    if not graph.is_directed():
        raise LifecycleError("the graph is not directed, but a transition leads from one phase to another.")
    return _Reader(graph).lifecycle(bind)


@dataclass
class _EdgeGroup:
    """The edges of one transition."""

    fields: dict[str, Any]
    pairs: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        source, target = self.pairs[0]
        return f"edge {source} -> {target}, {self.fields.get('label', '')}"


class _Reader:
    def __init__(self, graph: networkx.Graph[Any]) -> None:
        self.graph = graph
        self.aliases: dict[str, str] = {}
        self.paths: dict[str, str] = {}

    def lifecycle(self, bind: Mapping[str, Any] | None) -> Lifecycle:
        attributes = self.graph.graph
        document = {
            **unflatten(attributes, ("step",), "the graph"),
            "format": attributes.get("format", FORMAT),
            "version": attributes.get("version", VERSION),
            "name": attributes.get("name", "lifecycle"),
            "phases": self._phases(),
            "transitions": self._transitions(),
        }
        if attributes.get("required"):
            document["required"] = parse_json(attributes["required"], "the graph's attribute 'required'")
        return from_dict(document, bind, self.aliases)

    def _phases(self) -> list[dict[str, Any]]:
        phases: list[dict[str, Any]] = []
        for node, attributes in _in_order(self.graph.nodes(data=True)):
            location = self.aliases[f"phases[{len(phases)}]"] = f"node {short_repr(node)}"
            fields = {"event": node, **unflatten(attributes, PHASE_KEYS[2:], location)}
            if attributes.get("scopes"):
                fields["scope"] = attributes["scopes"]
            self.paths[node] = str(fields.get("scope", ""))
            phases.append(fields)
        return phases

    def _transitions(self) -> list[dict[str, Any]]:
        transitions: list[dict[str, Any]] = []
        for group in self._edge_groups():
            self.aliases[f"transitions[{len(transitions)}]"] = str(group)
            self._check_complete(group)
            transitions.append({key: group.fields[key] for key in TRANSITION_KEYS if key in group.fields})
        return transitions

    def _edge_groups(self) -> list[_EdgeGroup]:
        groups: dict[str, _EdgeGroup] = {}
        keys = (*(key for key in TRANSITION_KEYS if key not in END_KEYS), "order", "leaves", "enters")
        for number, (source, target, attributes) in enumerate(self.graph.edges(data=True)):
            location = f"edge {short_repr(source)} -> {short_repr(target)}"
            fields = {"trigger": "automatic", **unflatten(attributes, keys, location)}
            if fields.get("limit") == 0:
                del fields["limit"]
            leaves, enters = fields.pop("leaves", ""), fields.pop("enters", "")
            fields |= {"from_scope": leaves} if leaves else {"from": source}
            fields |= {"to_history": enters} if enters else {"to": target}
            identity = repr(sorted(fields.items()))
            fields.setdefault("order", number)
            groups.setdefault(identity, _EdgeGroup(fields)).pairs.append((source, target))
        return sorted(groups.values(), key=lambda group: _order(group.fields, str(group)))

    def _check_complete(self, group: _EdgeGroup) -> None:
        """Refuse a transition from or to a scope without an edge for each phase in the scope."""
        expected = set(_pairs(group.fields, self.paths))
        for source, target in sorted(expected ^ set(group.pairs), key=str):
            if (source, target) in group.pairs:
                raise LifecycleError(f"{group}: the edge {source} -> {target} has a phase outside the scope.")
            raise LifecycleError(
                f"{group} is part of a transition from or to a whole scope, which lacks the edge {source} -> {target}. "
                f"Add that edge, or remove 'leaves' and 'enters' from the others."
            )


def _in_order(nodes: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    numbered = [(node, {"order": number, **attributes}) for number, (node, attributes) in enumerate(nodes)]
    yield from sorted(numbered, key=lambda one: _order(one[1], f"node {short_repr(one[0])}"))


def _order(attributes: Mapping[str, Any], location: str) -> int:
    order = attributes["order"]
    if type(order) is not int:
        raise LifecycleError(f"{location}, order is {short_repr(order)}, but must be an integer.")
    return order
