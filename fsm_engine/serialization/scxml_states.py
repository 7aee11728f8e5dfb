"""The states of an SCXML file as they are written in each other, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.found import nearest, shown
from fsm_engine.serialization.safe_xml import Element

NS = "http://www.w3.org/2005/07/scxml"
OWN = "urn:fsm-engine:lifecycle"
"""The namespace of what is ours."""

_CODE = "it is code, and nothing in a file is evaluated: attach a handler in Python"
_CANNOT = {
    "parallel": "its states would be active at once, and a run is in one phase",
    "invoke": "it starts another program: make an Engine the activity of the phase",
    **dict.fromkeys(("script", "onentry", "onexit", "assign", "raise", "send", "cancel", "log"), _CODE),
    **dict.fromkeys(("if", "foreach", "datamodel", "donedata", "finalize"), _CODE),
}
"""Why an element of SCXML cannot become a part of a lifecycle."""


@dataclass(eq=False)
class State:
    """A state, with those in it. The root is one, too, with an empty id."""

    element: Element
    id: str
    kind: str
    parent: State | None = None
    children: list[State] = field(default_factory=list)

    @property
    def leaves(self) -> Iterator[State]:
        """The states in it that have none in them, in the order of the file; itself, if it has none."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves

    @property
    def around(self) -> list[State]:
        """The states that it lies in, innermost first, without the root."""
        return [] if self.parent is None or self.parent.parent is None else [self.parent, *self.parent.around]

    @property
    def transitions(self) -> list[Element]:
        """Its transitions."""
        return self.element.find_all(f"{{{NS}}}transition")


class Chart:
    """The states of a file by their ids.

    Attributes:
        root: the whole.
        states: all states by id.
        histories: the states that have a history, by the id of that.
    """

    def __init__(self, element: Element) -> None:
        self.root = State(element, "", "scxml")
        self.states: dict[str, State] = {}
        self.histories: dict[str, State] = {}
        self._read(self.root)
        if not self.states:
            raise element.error("it has no states.")

    def _read(self, state: State) -> None:
        for child in elements(state.element):
            kind = _kind(child)
            if kind == "history":
                self.histories[self._id(child)] = state
                _refuse_all_but(child, "transition")
            elif kind in ("state", "final"):
                inner = State(child, self._id(child), kind, state)
                self.states[inner.id] = inner
                state.children.append(inner)
                self._read(inner)
            elif kind in ("transition", "initial") and state is not self.root:
                _refuse_all_but(child, "transition" if kind == "initial" else None)
            else:
                raise _cannot(child)

    def _id(self, element: Element) -> str:
        found = element.attributes.get("id", "")
        if not found:
            raise element.error(f"<{_kind(element)}> has no id.")
        if found in self.states or found in self.histories:
            raise element.error(f"the id {shown(found)} is there twice.")
        return found

    def find(self, element: Element, target: str | None) -> State:
        """Return the state that a transition, or another element, names as its target.

        Raises:
            LifecycleError: if it names none, or several.
        """
        if not target:
            raise element.error("a transition has no target, so it would only do something: attach a handler.")
        if len(target.split()) > 1:
            raise element.error(f"{shown(target)} are several targets, and a run is in one phase.")
        if target not in self.states:
            near = nearest(target, self.states)
            raise element.error(f"there is no state {shown(target)}. Nearest to it in name are {near}.")
        return self.states[target]

    def first(self, state: State) -> State:
        """Return the state without others in it that is entered when `state` is.

        Raises:
            LifecycleError: if it names an initial state that is none of its own.
        """
        while state.children:
            inner = self._initial(state)
            if inner is not state and state not in (*inner.around, self.root):
                raise state.element.error(f"its initial state {inner.id!r} does not lie in it.")
            state = inner
        return state

    def _initial(self, state: State) -> State:
        named = state.element.attributes.get("initial")
        for element in state.element.find_all(f"{{{NS}}}initial"):
            for transition in element.find_all(f"{{{NS}}}transition"):
                named = transition.attributes.get("target")
        return state.children[0] if named is None else self.find(state.element, named)


def elements(element: Element) -> list[Element]:
    """Return the children of `element` that are SCXML; those of other namespaces are passed over."""
    return [child for child in element.children if child.tag.startswith(f"{{{NS}}}")]


def _kind(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _refuse_all_but(element: Element, legal: str | None) -> None:
    for child in elements(element):
        if _kind(child) != legal:
            raise _cannot(child)


def _cannot(element: Element) -> LifecycleError:
    kind = _kind(element)
    return element.error(f"<{kind}> cannot be read: {_CANNOT.get(kind, 'it does not belong here')}.")
