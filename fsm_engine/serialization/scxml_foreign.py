"""Reading an SCXML file of somebody else's, as far as a lifecycle can be what it says.

- States without others in them become phases, named by strings; states around them scopes in the run. The run starts
  in the initial state, and ends in a final one, or where nothing leads on.
- A transition becomes an automatic exit, labelled with its event. Nobody sends events to a run, so a guard says that
  it is there: a function of the user's, by the name of the event, or, where there is one, by the text of ``cond``:
  ``bind={"timeout": is_late, "x > 3": is_big}``. The last exit of a state, if it has no ``cond``, has no guard: it is
  taken when no other is.
- A transition of a state with states in it becomes an exit of each of them, looked at before their own, unless they
  have one for the same event. ``done.state.X`` leads on from the final state in X.

What a lifecycle cannot be is refused: parallel states, history (a lifecycle's is that of interrupts and errors), and
all code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.dictionary import escaped_name, path_of, to_dict
from fsm_engine.serialization.reading import from_dict
from fsm_engine.serialization.safe_xml import Element
from fsm_engine.serialization.scxml_states import Chart, State

if TYPE_CHECKING:
    from collections.abc import Iterator

_DONE = "done.state."


def from_foreign(root: Element, bind: Mapping[str, Any] | None) -> Lifecycle:
    """Return the lifecycle of a chart without attributes of ours.

    Raises:
        LifecycleError: for what no lifecycle can be, with the line.
        TypeError: if `bind` is no mapping.
    """
    return _Reading(root).lifecycle(bind)


class _Reading:
    def __init__(self, root: Element) -> None:
        self.chart = Chart(root)
        for history in self.chart.histories.values():
            raise history.element.error("<history> cannot be read: a lifecycle's is that of interrupts and errors.")
        self.document = to_dict(Lifecycle(root.attributes.get("name") or "chart"))
        self.places: dict[str, str] = {}
        self.reserved = [one["label"] for one in self.document["transitions"] if "from_scope" in one]

    def lifecycle(self, bind: Mapping[str, Any] | None) -> Lifecycle:
        phases, transitions = self.document["phases"], self.document["transitions"]
        place = [phase["event"] for phase in phases].index(str(Events.TERMINATE))
        for number, state in enumerate(self.chart.root.leaves, place):
            phases.insert(number, {"event": state.id, "scope": _path(state)})
            self.places[f"phases[{number}]"] = f"line {state.element.line}"
        first = self.chart.first(self.chart.root)
        transitions.append({"from": str(Events.STARTED), "to": first.id, "label": "start", "trigger": "automatic"})
        for state in self.chart.root.leaves:
            for element, parts in self._exits(state):
                self.places[f"transitions[{len(transitions)}]"] = f"line {element.line}"
                transitions.append(parts)
        return from_dict(self.document, bind, self.places)

    def _exits(self, state: State) -> Iterator[tuple[Element, dict[str, Any]]]:
        own = state.transitions + list(_done(state))
        moves = [*_inherited(state, own), *sorted(own, key=_waits)]
        labels = set(self.reserved)
        for number, element in enumerate(moves):
            target = self.chart.first(self.chart.find(element, element.attributes.get("target")))
            label = _free(element.attributes.get("event") or target.id, labels)
            labels.add(label)
            parts: dict[str, Any] = {"from": state.id, "to": target.id, "label": label, "trigger": "automatic"}
            if "cond" in element.attributes:
                parts["guard"] = {"call": element.attributes["cond"]}
            elif _waits(element) and number < len(moves) - 1:
                parts["guard"] = {"call": element.attributes["event"]}
            yield element, parts
        if not moves:
            end = str(Events.COMPLETED)
            yield state.element, {"from": state.id, "to": end, "label": "completed", "trigger": "automatic"}


def _path(state: State) -> str:
    return ".".join([path_of(Scope.RUN), *(escaped_name(one.id) for one in reversed(state.around))])


def _waits(element: Element) -> bool:
    """Say whether a transition waits for an event; the end of a state in it is none."""
    event = element.attributes.get("event", "")
    return event != "" and not event.startswith(_DONE)


def _done(state: State) -> list[Element]:
    """Return the transitions of the state around a final one that its end takes."""
    if state.kind != "final" or not state.around:
        return []
    around = state.around[0]
    return [one for one in around.transitions if one.attributes.get("event") == f"{_DONE}{around.id}"]


def _inherited(state: State, own: Iterable[Element]) -> list[Element]:
    """Return the transitions of the states around `state`, innermost first, that it has none of its own for."""
    taken = {element.attributes.get("event") for element in own if "cond" not in element.attributes}
    found = []
    for around in state.around:
        here = [one for one in around.transitions if _waits(one) and one.attributes["event"] not in taken]
        found += here
        taken |= {one.attributes["event"] for one in here if "cond" not in one.attributes}
    return found


def _free(wanted: str, taken: set[str]) -> str:
    number, label = 1, wanted
    while label in taken:
        number += 1
        label = f"{wanted}_{number}"
    return label
