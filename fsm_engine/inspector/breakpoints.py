"""Breakpoints of an inspector: moves at which a run pauses, with a condition on a counter of the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Event
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import Transition
from fsm_engine.inspector.counters import counter_after, counter_names
from fsm_engine.inspector.errors import CommandError
from fsm_engine.lifecycle.table import qualified_name

_TESTS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda value, given: value == given,
    ">=": lambda value, given: value >= given,
    "every": lambda value, given: value % given == 0,
}


@dataclass(frozen=True)
class Condition:
    """A test of a counter of the state, with its value after the phase has been entered.

    Attributes:
        counter: an attribute of the state, such as ``iteration``, ``epoch``, or the counter of a phase of the user.
        test: ``==``, ``>=`` or ``every``.
        value: the number to compare with.
    """

    counter: str
    test: str
    value: int

    def holds(self, engine: Engine, transition: Transition) -> bool:
        """Return True if the condition holds once `transition` has entered its target."""
        return _TESTS[self.test](counter_after(engine, transition, self.counter), self.value)

    def __str__(self) -> str:
        if self.test == "every":
            return f"every {self.value} {self.counter.removesuffix('s')}s"
        return f"{self.counter} {self.test} {self.value}"


@dataclass
class Breakpoint:
    """A place at which a run pauses before it enters a phase.

    Attributes:
        number: its number.
        engine: the id of its engine.
        target: the phase.
        source: the phase from which it is entered; None for any.
        condition: when the run pauses there; None for always.
        once: whether it is removed at the first pause.
        names: the ids of the source, if there is one, and of the target.
        hits: how often the run has paused there.
    """

    number: int
    engine: int
    target: Event
    source: Event | None
    condition: Condition | None
    once: bool
    names: tuple[str, ...]
    hits: int = 0

    def matches(self, engine: Engine, transition: Transition) -> bool:
        """Return True if the run of `engine` has to pause at this move."""
        is_here = transition.target == self.target and self.source in (None, transition.source)
        return is_here and (self.condition is None or self.condition.holds(engine, transition))

    def describe(self) -> dict[str, Any]:
        """Return the breakpoint as a message has it."""
        has_source = self.source is not None
        return {
            "number": self.number,
            "engine": self.engine,
            "event": None if has_source else self.names[0],
            "edge": list(self.names) if has_source else None,
            "text": str(self),
            "once": self.once,
            "hits": self.hits,
        }

    def __str__(self) -> str:
        place = str(self.target) if self.source is None else str(Edge(self.source, self.target))
        return place if self.condition is None else f"{place}, {self.condition}"


def read_breakpoint(number: int, engine_id: int, graph: Graph, message: Mapping[str, Any]) -> Breakpoint:
    """Return the breakpoint that a message asks for.

    Raises:
        CommandError: the message is malformed, or the lifecycle has no such phase or edge.
    """
    names = _names(message)
    events = [_find(graph, name) for name in names]
    if len(events) == 2 and not graph.has_edge(events[0], events[1]):
        raise CommandError(f"no transition leads from {names[0]} to {names[1]}.")
    source = events[0] if len(events) == 2 else None
    condition = _read_condition(message.get("when"), counter_names(graph))
    return Breakpoint(number, engine_id, events[-1], source, condition, message.get("once") is True, names)


def _names(message: Mapping[str, Any]) -> tuple[str, ...]:
    event, edge = message.get("event"), message.get("edge")
    if isinstance(event, str) and edge is None:
        return (event,)
    if event is None and isinstance(edge, list) and len(edge) == 2 and all(isinstance(name, str) for name in edge):
        return tuple(edge)
    raise CommandError('"break" needs "event", the id of a phase, or "edge", a list of two ids.')


def _find(graph: Graph, name: str) -> Event:
    for phase in graph.phases:
        if qualified_name(phase) == name:
            return phase.event
    raise CommandError(f"the lifecycle has no phase {name[:100]!r}.")


def _read_condition(when: Any, counters: tuple[str, ...]) -> Condition | None:
    if when is None:
        return None
    if not isinstance(when, dict):
        raise CommandError('"when" has to be an object with "counter", "is" and "value".')
    counter, test, value = when.get("counter"), when.get("is"), when.get("value")
    if counter not in counters or test not in _TESTS:
        known = ", ".join(counters) or "the lifecycle has none"
        raise CommandError(f'"when" needs a counter ({known}) and a test ({", ".join(_TESTS)}).')
    if type(value) is not int or not 0 < value < 2**53:
        raise CommandError('"value" has to be a positive integer.')
    return Condition(counter, test, value)
