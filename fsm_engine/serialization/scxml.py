"""A lifecycle as SCXML, the W3C's state charts (http://www.w3.org/TR/scxml), and back.

Scopes are states with states in them, phases those without. Every exit has an event, ``PHASE.label``, or
``SCOPE.label`` where it leaves a whole scope, so sending the labels of a walk makes an interpreter take it; nothing is
left to conditions, and nothing is to be evaluated. A scope that transitions lead back into has a deep history. Ids are
the qualified names, with an underscore for every character that an id may not have; of two that would be the same, one
ends in ``-2``. There is no final state: a run ends where it began. One thing a chart does not know: where an error was,
if the recovery lies in the scope that it leads back into, because a history is kept when its scope is left.

What SCXML has no place for is in attributes of a namespace of our own, with the keys of `flat`. A file without them is
somebody else's; `scxml_foreign` says what becomes of that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from fsm_engine.serialization.dictionary import VERSION, outer_paths, to_dict
from fsm_engine.serialization.flat import flat
from fsm_engine.serialization.safe_xml import parse_xml
from fsm_engine.serialization.scxml_foreign import from_foreign
from fsm_engine.serialization.scxml_own import from_own
from fsm_engine.serialization.scxml_states import NS, OWN

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle

_LETTERS = (  # that an XML name may begin with
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)


def to_scxml(lifecycle: Lifecycle) -> str:
    """Return `lifecycle` as SCXML.

    Raises:
        LifecycleError: for what no file can hold, such as a name that cannot be printed.
    """
    return _Chart(to_dict(lifecycle)).text()


def from_scxml(text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of an SCXML text; `bind` is that of `from_dict`.

    Raises:
        LifecycleError: for anything that is no lifecycle, with the line, what was found and what is legal.
        TypeError: if `text` is no string, or `bind` no mapping.
    """
    root = parse_xml(text, "from_scxml")
    if root.tag != f"{{{NS}}}scxml":
        raise root.error(f"this is <{root.tag}>, and SCXML begins with <scxml xmlns={NS!r}>.")
    return from_own(root, bind) if f"{{{OWN}}}format" in root.attributes else from_foreign(root, bind)


@dataclass
class _State:
    """A state of the chart: a phase, or a scope with states in it."""

    id: str
    own: dict[str, Any]
    children: list[_State] = field(default_factory=list)
    transitions: list[dict[str, str]] = field(default_factory=list)
    history: str = ""


class _Chart:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.ids: set[str] = set()
        self.events: set[str] = set()
        self.paths = {phase["event"]: phase.get("scope", "") for phase in document["phases"]}
        self.phases = {
            phase["event"]: _State(self._unique(_token(phase["event"], dots=True)), _own_of_phase(phase, number))
            for number, phase in enumerate(document["phases"])
        }
        self.scopes: dict[str, _State] = {}
        self.top = _State("", {})
        for phase in document["phases"]:
            self._around(phase.get("scope", "")).children.append(self.phases[phase["event"]])
        for number, parts in enumerate(document["transitions"]):
            self._add(parts, number)

    def _around(self, path: str) -> _State:
        """Return the state of the scope of that path, made with those around it where there is none yet."""
        around = self.top
        for outer, name in outer_paths(path):
            if outer not in self.scopes:
                self.scopes[outer] = _State(self._unique(_token(name)), {"scope": name})
                around.children.append(self.scopes[outer])
            around = self.scopes[outer]
        return around

    def _unique(self, wanted: str, taken: set[str] | None = None) -> str:
        """Return `wanted` if no id is like that, or nothing in `taken`, or else something close to it."""
        taken = self.ids if taken is None else taken
        number, found = 1, wanted
        while found in taken:
            number += 1
            found = f"{wanted}-{number}"
        taken.add(found)
        return found

    def _add(self, parts: dict[str, Any], number: int) -> None:
        source = self.scopes[parts["from_scope"]] if "from_scope" in parts else self.phases[parts["from"]]
        event = self._unique(f"{source.id}.{_token(parts['label'], first=False)}", self.events)
        attributes = {"event": event, "target": self._target(parts)}
        if "from_scope" in parts and _lies_in(self._scope_of(parts), parts["from_scope"]):
            attributes["type"] = "internal"  # the scope is not left
        own = flat({key: value for key, value in parts.items() if not key.startswith(("from", "to"))})
        source.transitions.append({**attributes, **_prefixed({"order": number, **own})})

    def _target(self, parts: dict[str, Any]) -> str:
        if "to" in parts:
            return self.phases[parts["to"]].id
        scope = self.scopes[parts["to_history"]]
        scope.history = scope.history or self._unique(f"{scope.id}.history")
        return scope.history

    def _scope_of(self, parts: dict[str, Any]) -> str:
        """Return the path of the scope that a transition leads into."""
        if "to_history" in parts:
            return str(parts["to_history"])
        return str(self.paths[parts["to"]])

    def text(self) -> str:
        document = self.document
        own = {key: document[key] for key in ("step",) if key in document}
        named = _token(document["name"], dots=True)
        attributes = {
            "xmlns": NS,
            "xmlns:fsm": OWN,
            "version": "1.0",
            "name": named,
            "initial": self.top.children[0].id,
            "datamodel": "null",
            "fsm:format": str(VERSION),
            **({} if named == document["name"] else {"fsm:lifecycle": document["name"]}),
            **_prefixed(flat(own)),
            **({"fsm:required": json.dumps(document["required"])} if "required" in document else {}),
        }
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', _tag("scxml", attributes, open_=True)]
        for state in self.top.children:
            lines += _lines(state, "  ")
        return "\n".join([*lines, "</scxml>"]) + "\n"


def _own_of_phase(phase: dict[str, Any], number: int) -> dict[str, Any]:
    named = {} if _token(phase["event"], dots=True) == phase["event"] else {"event": phase["event"]}
    parts = {key: value for key, value in phase.items() if key not in ("event", "scope")}
    return {"order": number, **named, **flat(parts)}


def _token(name: str, dots: bool = False, first: bool = True) -> str:
    """Return `name` as an id, or as a part of one that may not come first; with dots inside only if `dots`."""
    token = re.sub(rf"[^{_LETTERS}0-9.-]", "_", name)
    token = re.sub(r"^\.|\.(?=\.|$)", "_", token) if dots else token.replace(".", "_")
    return token if not first or re.match(f"[{_LETTERS}]", token) else f"_{token}"


def _lies_in(path: str, scope: str) -> bool:
    return path == scope or path.startswith(f"{scope}.")


def _prefixed(own: dict[str, Any]) -> dict[str, str]:
    return {f"fsm:{key}": str(value).lower() if isinstance(value, bool) else str(value) for key, value in own.items()}


def _lines(state: _State, indent: str) -> list[str]:
    attributes = {"id": state.id, **({"initial": state.children[0].id} if state.children else {})}
    inner = [f"{indent}  {_tag('transition', transition)}" for transition in state.transitions]
    if state.history:
        first = _tag("transition", {"target": state.children[0].id})
        inner.append(f"{indent}  {_tag('history', {'id': state.history, 'type': 'deep'}, open_=True)}{first}</history>")
    for child in state.children:
        inner += _lines(child, f"{indent}  ")
    tag = _tag("state", {**attributes, **_prefixed(state.own)}, open_=bool(inner))
    return [f"{indent}{tag}", *inner, f"{indent}</state>"] if inner else [f"{indent}{tag}"]


def _tag(name: str, attributes: dict[str, str], open_: bool = False) -> str:
    parts = [name, *(f"{key}={quoteattr(value)}" for key, value in attributes.items())]
    return f"<{' '.join(parts)}{'' if open_ else '/'}>"
