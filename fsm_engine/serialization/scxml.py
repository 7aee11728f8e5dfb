"""SCXML, the W3C's statechart format (http://www.w3.org/TR/scxml), for `to_scxml` and `from_scxml`.

Scopes become states with child states, phases become states without. Every transition has a distinct event,
``PHASE.label``, or ``SCOPE.label`` for a transition from a scope. So an interpreter that is sent the labels of a walk
takes that walk. The chart has no conditions and no code. A scope that transitions lead back into has a deep
history. Ids are qualified names, with an underscore for every character that an id may not have; a duplicate gets the
suffix ``-2``. The chart has no final state, because a run ends where it began.

A history in SCXML is recorded when its scope is exited. A recovery phase inside the scope that it leads back into
therefore does not record the place of the error.

Attributes in the namespace `OWN`, with the keys of `attributes`, hold everything that SCXML has no place for.
`scxml_reader` reads files with these attributes, `scxml_import` reads files without them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fsm_engine._util.unique_names import unique_name
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.attributes import flatten
from fsm_engine.serialization.dictionary import END_KEYS, VERSION, is_within, split_path, to_dict
from fsm_engine.serialization.safe_xml import parse_xml
from fsm_engine.serialization.scxml_chart import NS, OWN
from fsm_engine.serialization.scxml_import import import_chart
from fsm_engine.serialization.scxml_reader import read_chart

_START_CHARACTERS = (  # of an XML name
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)


def to_scxml(lifecycle: Lifecycle) -> str:
    """Return `lifecycle` as SCXML.

    Raises:
        LifecycleError: a file cannot hold something in the lifecycle, such as a name that is not printable.
    """
    root = _Writer(to_dict(lifecycle)).root
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, "unicode")}\n'


def from_scxml(text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of an SCXML text; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the text is not the SCXML of a lifecycle; the message names the line, the value and the legal
            values.
        TypeError: `text` is not a string, or `bind` is not a mapping.
    """
    root = parse_xml(text, "from_scxml")
    if root.tag != f"{NS} scxml":
        raise root.error(f"expected <scxml xmlns={NS!r}>, got <{root.tag}>.")
    return read_chart(root, bind) if f"{OWN} format" in root.attributes else import_chart(root, bind)


class _Writer:
    """Builds the chart of a document.

    Attributes:
        root: the ``<scxml>`` element.
        phases: the state of each phase by its name.
        scopes: the state of each scope by its path; `root` by the empty path.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._ids: set[str] = set()
        self._events: set[str] = set()
        self._paths = {phase["event"]: phase.get("scope", "") for phase in document["phases"]}
        self.root = Element("scxml", _root_attributes(document))
        self.scopes = {"": self.root}
        self.phases = {
            phase["event"]: self._state(_xml_name(phase["event"], dots=True), _phase_attributes(phase, number))
            for number, phase in enumerate(document["phases"])
        }
        for name, state in self.phases.items():
            self._scope(self._paths[name]).append(state)
        for number, fields in enumerate(document["transitions"]):
            self._add_transition(fields, number)
        for state in [self.root, *self.root.iter("state")]:
            _finish(state)

    def _state(self, wanted: str, attributes: dict[str, Any]) -> Element:
        return Element("state", {"id": unique_name(wanted, self._ids, "-"), **_prefixed(attributes)})

    def _scope(self, path: str) -> Element:
        """Return the state of the scope at `path`; create it and the states around it if necessary."""
        state = self.root
        for outer, name in split_path(path):
            if outer not in self.scopes:
                self.scopes[outer] = self._state(_xml_name(name), {"scope": name})
                state.append(self.scopes[outer])
            state = self.scopes[outer]
        return state

    def _add_transition(self, fields: dict[str, Any], number: int) -> None:
        source = self.scopes[fields["from_scope"]] if "from_scope" in fields else self.phases[fields["from"]]
        event = unique_name(f"{source.get('id')}.{_xml_name(fields['label'], first=False)}", self._events, "-")
        attributes = {"event": event, "target": self._target(fields)}
        target_scope = fields["to_history"] if "to_history" in fields else self._paths[fields["to"]]
        if "from_scope" in fields and is_within(target_scope, fields["from_scope"]):
            attributes["type"] = "internal"  # the run does not exit the scope
        own = {key: value for key, value in fields.items() if key not in END_KEYS}
        SubElement(source, "transition", {**attributes, **_prefixed({"order": number, **flatten(own)})})

    def _target(self, fields: dict[str, Any]) -> str:
        if "to" in fields:
            return str(self.phases[fields["to"]].get("id"))
        scope = self.scopes[fields["to_history"]]
        history = scope.find("history")
        if history is None:
            history = SubElement(
                scope, "history", id=unique_name(f"{scope.get('id')}.history", self._ids, "-"), type="deep"
            )
        return str(history.get("id"))


def _finish(state: Element) -> None:
    """Sort the children of a state, transitions first, and set its initial state."""
    state[:] = sorted(state, key=lambda child: ("transition", "history", "state").index(child.tag))
    first = state.find("state")
    if first is None:
        return
    initial = str(first.get("id"))
    state.set("initial", initial)
    for history in state.findall("history"):
        SubElement(history, "transition", target=initial)


def _root_attributes(document: dict[str, Any]) -> dict[str, str]:
    name = _xml_name(document["name"], dots=True)
    own: dict[str, Any] = {"format": VERSION}
    if name != document["name"]:
        own["lifecycle"] = document["name"]
    own |= flatten({key: document[key] for key in ("step",) if key in document})
    if "required" in document:
        own["required"] = json.dumps(document["required"])
    fixed = {"xmlns": NS, "xmlns:fsm": OWN, "version": "1.0", "name": name, "datamodel": "null"}
    return {**fixed, **_prefixed(own)}


def _phase_attributes(phase: dict[str, Any], number: int) -> dict[str, Any]:
    event = {} if _xml_name(phase["event"], dots=True) == phase["event"] else {"event": phase["event"]}
    return {
        "order": number,
        **event,
        **flatten({key: value for key, value in phase.items() if key not in ("event", "scope")}),
    }


def _xml_name(name: str, dots: bool = False, first: bool = True) -> str:
    """Return `name` as an XML id, or as a later part of one if not `first`; keep inner dots only if `dots`."""
    token = re.sub(rf"[^{_START_CHARACTERS}0-9.-]", "_", name)
    token = re.sub(r"^\.|\.(?=\.|$)", "_", token) if dots else token.replace(".", "_")
    return token if not first or re.match(f"[{_START_CHARACTERS}]", token) else f"_{token}"


def _prefixed(own: dict[str, Any]) -> dict[str, str]:
    return {f"fsm:{key}": str(value).lower() if isinstance(value, bool) else str(value) for key, value in own.items()}
