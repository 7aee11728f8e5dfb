"""Reading SCXML files of other programs, as far as a lifecycle has a counterpart for their elements.

- States without child states become phases with string events; the states around them become scopes in the run. The
  run starts in the initial state, and ends in a final one or in one without transitions.
- A transition becomes an automatic transition labelled with its event. Nothing sends events to a run, so the event
  becomes a guard that `bind` supplies by the name of the event, or of the text of ``cond`` if there is one:
  ``bind={"timeout": is_late, "x > 3": is_big}``. The last transition of a state has no guard unless it has a ``cond``:
  the run takes it when no other applies.
- A transition of a state with child states becomes one transition of each phase in it, tried before the phase's own,
  unless the phase has one for the same event. The final state in X takes transitions for ``done.state.X``.

Elements without a counterpart are refused: parallel states, histories and all code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fsm_engine._util.unique_names import unique_name
from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.dictionary import escaped_name, path_of, to_dict
from fsm_engine.serialization.dictionary_reader import from_dict
from fsm_engine.serialization.safe_xml import Element
from fsm_engine.serialization.scxml_chart import Chart, State

_DONE = "done.state."


def import_chart(root: Element, bind: Mapping[str, Any] | None) -> Lifecycle:
    """Return the lifecycle of a chart of another program; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the chart has an element without a counterpart in a lifecycle; the message names the line.
        TypeError: `bind` is not a mapping.
    """
    return _Importer(root).lifecycle(bind)


class _Importer:
    def __init__(self, root: Element) -> None:
        self.chart = Chart(root)
        for parent in self.chart.histories.values():
            raise parent.element.error("<history> is not supported: a lifecycle has its own.")
        self.document = to_dict(Lifecycle(root.attributes.get("name") or "chart"))
        self.aliases: dict[str, str] = {}
        self.reserved = [one["label"] for one in self.document["transitions"] if "from_scope" in one]

    def lifecycle(self, bind: Mapping[str, Any] | None) -> Lifecycle:
        phases, transitions = self.document["phases"], self.document["transitions"]
        position = [phase["event"] for phase in phases].index(str(Events.TERMINATE))
        for number, state in enumerate(self.chart.root.leaves, position):
            phases.insert(number, {"event": state.id, "scope": _path(state)})
            self.aliases[f"phases[{number}]"] = f"line {state.element.line}"
        first = self.chart.initial_leaf(self.chart.root)
        transitions.append(_automatic(str(Events.STARTED), first.id, "start"))
        for state in self.chart.root.leaves:
            for element, fields in self._exits(state):
                self.aliases[f"transitions[{len(transitions)}]"] = f"line {element.line}"
                transitions.append(fields)
        return from_dict(self.document, bind, self.aliases)

    def _exits(self, state: State) -> Iterator[tuple[Element, dict[str, Any]]]:
        own = state.transitions + _completions(state)
        elements = [*_inherited(state, own), *sorted(own, key=_awaits_event)]
        labels = set(self.reserved)
        for number, element in enumerate(elements):
            event, condition = element.attributes.get("event"), element.attributes.get("cond")
            target = self.chart.initial_leaf(self.chart.find(element, element.attributes.get("target")))
            fields = _automatic(state.id, target.id, unique_name(event or target.id, labels, "_"))
            if condition is not None:
                fields["guard"] = {"call": condition}
            elif _awaits_event(element) and number < len(elements) - 1:
                fields["guard"] = {"call": event}
            yield element, fields
        if not elements:
            yield state.element, _automatic(state.id, str(Events.COMPLETED), "completed")


def _automatic(source: str, target: str, label: str) -> dict[str, Any]:
    return {"from": source, "to": target, "label": label, "trigger": "automatic"}


def _path(state: State) -> str:
    return ".".join([path_of(Scope.RUN), *(escaped_name(one.id) for one in reversed(state.ancestors))])


def _awaits_event(element: Element) -> bool:
    """Return True if a transition has an event other than the completion of a state."""
    event = element.attributes.get("event", "")
    return event != "" and not event.startswith(_DONE)


def _completions(state: State) -> list[Element]:
    """Return the transitions that a final state causes: its parent's transitions for ``done.state.PARENT``."""
    if state.kind != "final" or not state.ancestors:
        return []
    parent = state.ancestors[0]
    return [one for one in parent.transitions if one.attributes.get("event") == f"{_DONE}{parent.id}"]


def _inherited(state: State, own: Iterable[Element]) -> list[Element]:
    """Return the transitions of the ancestors, innermost first, for events that `state` does not handle itself."""
    handled = {element.attributes.get("event") for element in own if "cond" not in element.attributes}
    inherited = []
    for ancestor in state.ancestors:
        new = [one for one in ancestor.transitions if _awaits_event(one) and one.attributes["event"] not in handled]
        inherited += new
        handled |= {one.attributes["event"] for one in new if "cond" not in one.attributes}
    return inherited
