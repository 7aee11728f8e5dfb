"""Reading SCXML files that `to_scxml` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.attributes import CODE_KEYS, parse_json, unflatten
from fsm_engine.serialization.dictionary import END_KEYS, FORMAT, PHASE_KEYS, TRANSITION_KEYS, escaped_name
from fsm_engine.serialization.dictionary_reader import from_dict
from fsm_engine.serialization.safe_xml import Element
from fsm_engine.serialization.scxml_chart import OWN, Chart, State
from fsm_engine.serialization.values import short_repr

_PHASE = PHASE_KEYS[2:]
_TRANSITION = tuple(key for key in TRANSITION_KEYS if key not in END_KEYS)


def read_chart(root: Element, bind: Mapping[str, Any] | None) -> Lifecycle:
    """Return the lifecycle of a chart with attributes in the namespace `OWN`; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the chart is not a lifecycle; the message names the line.
        TypeError: `bind` is not a mapping.
    """
    return _Reader(root).lifecycle(bind)


class _Reader:
    def __init__(self, root: Element) -> None:
        self.root = root
        self.chart = Chart(root)

    def lifecycle(self, bind: Mapping[str, Any] | None) -> Lifecycle:
        own = _own(self.root)
        states = self.chart.states.values()
        phases = _in_order((state.element, self._phase(state)) for state in self.chart.root.leaves)
        transitions = _in_order((one, self._transition(state, one)) for state in states for one in state.transitions)
        self._check_initial(phases[0][0])
        document = {
            "format": FORMAT,
            "version": _integer(self.root, "format", own["format"]),
            "name": own.get("lifecycle", self.root.attributes.get("name")),
            **unflatten(own, ("step",), f"line {self.root.line}"),
            "phases": [fields for _, fields in phases],
            "transitions": [fields for _, fields in transitions],
        }
        if "required" in own:
            document["required"] = parse_json(own["required"], f"line {self.root.line}, required")
        aliases = {
            f"{key}[{number}]": f"line {element.line}"
            for key, parts in (("phases", phases), ("transitions", transitions))
            for number, (element, _) in enumerate(parts)
        }
        return from_dict(document, bind, aliases)

    def _phase(self, state: State) -> dict[str, Any]:
        if _is_scope(state):
            raise state.element.error(f"the scope {state.id!r} has no phase.")
        path = _path(reversed(state.ancestors))
        fields = _fields(state.element, _PHASE, ("event",))
        return {**fields, "event": _event(state), **({"scope": path} if path else {})}

    def _check_initial(self, first: Element) -> None:
        initial = self.chart.initial_leaf(self.chart.root)
        if initial.element is not first:
            raise self.root.error(
                f"the initial state is {initial.id!r}, but the state with the lowest order is in line {first.line}."
            )

    def _transition(self, state: State, element: Element) -> dict[str, Any]:
        source = {"from_scope": _path_of(state)} if _is_scope(state) else {"from": _event(state)}
        label = element.attributes.get("event", "").removeprefix(f"{state.id}.")
        fields = {"label": label, "trigger": "automatic", **_fields(element, _TRANSITION)}
        return {**fields, **source, **self._target(element)}

    def _target(self, element: Element) -> dict[str, str]:
        target = element.attributes.get("target")
        if target in self.chart.histories:
            return {"to_history": _path_of(self.chart.histories[target])}
        return {"to": _event(self.chart.initial_leaf(self.chart.find(element, target)))}


def _event(state: State) -> str:
    return _own(state.element).get("event", state.id)


def _path(scopes: Iterable[State]) -> str:
    return ".".join(escaped_name(_own(scope.element).get("scope", scope.id)) for scope in scopes)


def _path_of(scope: State) -> str:
    return _path((*reversed(scope.ancestors), scope))


def _is_scope(state: State) -> bool:
    return bool(state.children) or "scope" in _own(state.element)


def _own(element: Element) -> dict[str, str]:
    """Return the attributes in the namespace `OWN` by their keys."""
    prefix = f"{OWN} "
    return {key.removeprefix(prefix): value for key, value in element.attributes.items() if key.startswith(prefix)}


def _fields(element: Element, keys: tuple[str, ...], others: tuple[str, ...] = ()) -> dict[str, Any]:
    own: dict[str, Any] = dict(_own(element))
    known = (*others, *keys, *(f"{key}_ref" for key in CODE_KEYS if key in keys), "order")
    for key in own:
        if key not in known:
            raise element.error(f"unknown attribute fsm:{key}. Known attributes are {', '.join(known)}.")
    if "limit" in own:
        own["limit"] = _integer(element, "limit", own["limit"])
    if own.get("unscoped") == "true":
        own["unscoped"] = True
    return unflatten(own, keys, f"line {element.line}")


def _integer(element: Element, key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise element.error(f"{key} is {short_repr(text)}, but must be an integer of fewer than 19 digits.")
    return int(text)


def _in_order(parts: Iterable[tuple[Element, dict[str, Any]]]) -> list[tuple[Element, dict[str, Any]]]:
    """Return `parts` by their attribute ``order``; those without one come last, in the order of the file."""

    def order(part: tuple[Element, dict[str, Any]]) -> int:
        given = _own(part[0]).get("order")
        return 10**19 if given is None else _integer(part[0], "order", given)

    return sorted(parts, key=order)
