"""The states of an SCXML file by their ids, nested as in the file; for files of any program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.safe_xml import Element
from fsm_engine.serialization.values import closest, short_repr

NS = "http://www.w3.org/2005/07/scxml"
OWN = "urn:fsm-engine:lifecycle"
"""The namespace of the attributes that `to_scxml` adds."""

_CODE = "it contains code, and code in a file is never run: attach a handler in Python"
_UNSUPPORTED = {
    "parallel": "its states are active at once, but a run is in one phase",
    "invoke": "it starts another program: make an Engine the activity of the phase",
    **dict.fromkeys(("script", "onentry", "onexit", "assign", "raise", "send", "cancel", "log"), _CODE),
    **dict.fromkeys(("if", "foreach", "datamodel", "donedata", "finalize"), _CODE),
}
"""The elements of SCXML that a lifecycle has no counterpart for, and why."""


@dataclass(eq=False)
class State:
    """A state and its child states. The root element of the chart is one, too, with an empty id."""

    element: Element
    id: str
    kind: str
    parent: State | None = None
    children: list[State] = field(default_factory=list)

    @property
    def leaves(self) -> Iterator[State]:
        """The descendants without children, in the order of the file; the state itself if it has no children."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves

    @property
    def ancestors(self) -> list[State]:
        """The states around this one, innermost first, without the root."""
        return [] if self.parent is None or self.parent.parent is None else [self.parent, *self.parent.ancestors]

    @property
    def transitions(self) -> list[Element]:
        """The ``<transition>`` elements of this state."""
        return self.element.find_all(f"{NS} transition")


class Chart:
    """The states of a file.

    Attributes:
        root: the root element as a state.
        states: all other states by id.
        histories: the parent states of ``<history>`` elements by the id of the history.

    Raises:
        LifecycleError: the file has elements that a lifecycle has no counterpart for, ids that are missing or
            duplicates, or no states.
    """

    def __init__(self, element: Element) -> None:
        self.root = State(element, "", "scxml")
        self.states: dict[str, State] = {}
        self.histories: dict[str, State] = {}
        self._read(self.root)
        if not self.states:
            raise element.error("the chart has no states.")

    def _read(self, state: State) -> None:
        for child in _scxml_children(state.element):
            kind = _kind(child)
            if kind == "history":
                self.histories[self._new_id(child)] = state
                _check_children(child, "transition")
            elif kind in ("state", "final"):
                inner = State(child, self._new_id(child), kind, state)
                self.states[inner.id] = inner
                state.children.append(inner)
                self._read(inner)
            elif kind in ("transition", "initial") and state is not self.root:
                _check_children(child, "transition" if kind == "initial" else None)
            else:
                raise _unsupported(child)

    def _new_id(self, element: Element) -> str:
        found = element.attributes.get("id", "")
        if not found:
            raise element.error(f"<{_kind(element)}> has no id.")
        if found in self.states or found in self.histories:
            raise element.error(f"the id {short_repr(found)} is a duplicate.")
        return found

    def find(self, element: Element, target: str | None) -> State:
        """Return the state with the id `target`, which `element` refers to.

        Raises:
            LifecycleError: `target` is missing, has several ids, or is unknown.
        """
        if not target:
            raise element.error("the transition has no target. Attach a handler to the phase instead.")
        if len(target.split()) > 1:
            raise element.error(f"{short_repr(target)} has several targets, but a run is in one phase.")
        if target not in self.states:
            near = closest(target, self.states)
            raise element.error(f"there is no state {short_repr(target)}. The closest ids are {near}.")
        return self.states[target]

    def initial_leaf(self, state: State) -> State:
        """Return the state without children that is active after entering `state`.

        Raises:
            LifecycleError: the initial state of a state is not one of its descendants.
        """
        while state.children:
            inner = self._initial(state)
            if inner is not state and state not in (*inner.ancestors, self.root):
                raise state.element.error(f"the initial state {inner.id!r} is not a child of the state.")
            state = inner
        return state

    def _initial(self, state: State) -> State:
        named = state.element.attributes.get("initial")
        for element in state.element.find_all(f"{NS} initial"):
            for transition in element.find_all(f"{NS} transition"):
                named = transition.attributes.get("target")
        return state.children[0] if named is None else self.find(state.element, named)


def _scxml_children(element: Element) -> list[Element]:
    """Return the children in the SCXML namespace; elements of other namespaces are ignored."""
    return [child for child in element.children if child.tag.startswith(f"{NS} ")]


def _kind(element: Element) -> str:
    return element.tag.rpartition(" ")[2]


def _check_children(element: Element, allowed: str | None) -> None:
    for child in _scxml_children(element):
        if _kind(child) != allowed:
            raise _unsupported(child)


def _unsupported(element: Element) -> LifecycleError:
    kind = _kind(element)
    return element.error(f"<{kind}> is not supported: {_UNSUPPORTED.get(kind, 'it is not legal here')}.")
