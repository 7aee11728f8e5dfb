"""Reading back an SCXML file that `scxml` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.dictionary import ENDS, FORMAT, PHASE, TRANSITION, escaped_name
from fsm_engine.serialization.flat import REFERENCES, loads, unflat
from fsm_engine.serialization.found import shown
from fsm_engine.serialization.reading import from_dict
from fsm_engine.serialization.safe_xml import Element
from fsm_engine.serialization.scxml_states import OWN, Chart, State

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle


def from_own(root: Element, bind: Mapping[str, Any] | None) -> Lifecycle:
    """Return the lifecycle of a chart with attributes of ours.

    Raises:
        LifecycleError: for anything that is no lifecycle, with the line.
        TypeError: if `bind` is no mapping.
    """
    return _Reading(root).lifecycle(bind)


class _Reading:
    def __init__(self, root: Element) -> None:
        self.root = root
        self.chart = Chart(root)
        self.names = {
            state.id: _own(state.element).get("event", state.id)
            for state in self.chart.states.values()
            if not _is_scope(state)
        }

    def lifecycle(self, bind: Mapping[str, Any] | None) -> Lifecycle:
        own = _own(self.root)
        phases = _in_order([(state.element, self._phase(state)) for state in self.chart.root.leaves])
        self._check_first(phases)
        states = self.chart.states.values()
        moves = [(element, self._move(state, element)) for state in states for element in state.transitions]
        transitions = _in_order(moves)
        document = {
            "format": FORMAT,
            "version": _number(self.root, "format", own["format"]),
            "name": own.get("lifecycle", self.root.attributes.get("name")),
            **unflat({key: own[key] for key in ("step", "step_ref") if key in own}),
            "phases": [parts for _, parts in phases],
            "transitions": [parts for _, parts in transitions],
        }
        if "required" in own:
            document["required"] = loads(own["required"], f"line {self.root.line}, required")
        places = {f"phases[{number}]": f"line {element.line}" for number, (element, _) in enumerate(phases)}
        places |= {f"transitions[{number}]": f"line {element.line}" for number, (element, _) in enumerate(transitions)}
        return from_dict(document, bind, places)

    def _phase(self, state: State) -> dict[str, Any]:
        if _is_scope(state):
            raise state.element.error(f"the scope {state.id!r} has no phase in it.")
        path = _path(reversed(state.around))
        parts = _parts(state.element, PHASE)
        return {**parts, "event": self.names[state.id], **({"scope": path} if path else {})}

    def _check_first(self, phases: list[tuple[Element, dict[str, Any]]]) -> None:
        first = self.chart.first(self.chart.root)
        if first.element is not phases[0][0]:
            raise self.root.error(
                f"its initial state is {first.id!r}, but the one with the lowest order is {phases[0][1]['event']!r}."
            )

    def _move(self, state: State, element: Element) -> dict[str, Any]:
        source = {"from_scope": _path_to(state)} if _is_scope(state) else {"from": self.names[state.id]}
        event = element.attributes.get("event", "")
        parts = {"label": event.removeprefix(f"{state.id}."), "trigger": "automatic", **_parts(element, TRANSITION)}
        return {**parts, **source, **self._target(element)}

    def _target(self, element: Element) -> dict[str, str]:
        target = element.attributes.get("target")
        if target in self.chart.histories:
            return {"to_history": _path_to(self.chart.histories[target])}
        state = self.chart.find(element, target)
        return {"to": self.names[self.chart.first(state).id]}


def _path(scopes: Iterable[State]) -> str:
    return ".".join(escaped_name(_own(scope.element).get("scope", scope.id)) for scope in scopes)


def _path_to(scope: State) -> str:
    return _path((*reversed(scope.around), scope))


def _is_scope(state: State) -> bool:
    return bool(state.children) or "scope" in _own(state.element)


def _own(element: Element) -> dict[str, str]:
    """Return the attributes of ours by their keys."""
    prefix = f"{{{OWN}}}"
    return {key.removeprefix(prefix): value for key, value in element.attributes.items() if key.startswith(prefix)}


def _parts(element: Element, keys: tuple[str, ...]) -> dict[str, Any]:
    own = _own(element)
    references = [f"{key}_ref" for key in REFERENCES if key in keys]
    legal = [*(key for key in keys if key not in ENDS), *references, "order"]
    for key in own:
        if key not in legal:
            raise element.error(f"the attribute {key!r} of ours means nothing here. Legal are {', '.join(legal)}.")
    parts: dict[str, Any] = {key: value for key, value in own.items() if key not in ("order", "event")}
    try:
        parts = unflat(parts)
    except LifecycleError as error:
        raise element.error(str(error)) from None
    if "limit" in parts:
        parts["limit"] = _number(element, "limit", parts["limit"])
    if "floating" in parts:
        parts["floating"] = {"true": True}.get(parts["floating"], parts["floating"])
    return parts


def _number(element: Element, key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise element.error(f"{key} is {shown(text)}, but has to be an integer of less than 19 digits.")
    return int(text)


def _in_order(parts: list[tuple[Element, dict[str, Any]]]) -> list[tuple[Element, dict[str, Any]]]:
    """Return the parts by their order; those without come last, as they are written."""

    def order(one: tuple[Element, dict[str, Any]]) -> int:
        given = _own(one[0]).get("order")
        return 10**19 if given is None else _number(one[0], "order", given)

    return sorted(parts, key=order)
