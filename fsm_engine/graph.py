"""The lifecycle graph as data: phases joined by transitions, checked when it is made, never changed after.

This is the one place that the order of events comes from: the engine's function is emitted from it, and
what is printed, exported and checked is read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from fsm_engine.cursor import Signal
from fsm_engine.errors import LifecycleError
from fsm_engine.events import Event, name_of

if TYPE_CHECKING:
    from fsm_engine.compile import Emitted

IDLE = "IDLE"
"""The phase of an engine that is not running. It announces nothing: there is no event of that name."""


class Trigger(Enum):
    """What makes a transition happen."""

    AUTOMATIC = "automatic"
    SIGNAL = "signal"
    FIRED = "fired"


@dataclass(frozen=True)
class Scope:
    """A composite phase. A transition may leave from a scope, that is from every phase inside it."""

    name: str
    parent: Scope | None = None

    ENGINE: ClassVar[Scope]
    RUN: ClassVar[Scope]
    EPOCH: ClassVar[Scope]
    ITERATION: ClassVar[Scope]

    def contains(self, scope: Scope | None) -> bool:
        """Say whether `scope` is this scope or lies inside it."""
        while scope is not None and scope != self:
            scope = scope.parent
        return scope is not None

    def __str__(self) -> str:
        return self.name


Scope.ENGINE = Scope("engine")
Scope.RUN = Scope("run", Scope.ENGINE)
Scope.EPOCH = Scope("epoch", Scope.RUN)
Scope.ITERATION = Scope("iteration", Scope.EPOCH)


@dataclass(frozen=True)
class Snippet:
    """A guard or an action of the library's own, as Python text that the emitted function contains.

    The text may use ``engine``, ``state``, ``here`` (the cursor), ``step`` and whatever `names` binds. Only
    the library writes snippets; users' guards and activities are functions, and are called.

    Attributes:
        text: an expression for a guard, statements for an action or activity.
        runs_user_code: whether it calls something of the user's, which may signal or change handlers.
        settled: for a guard: its value is fixed while the function runs, so the function is emitted for it.
    """

    name: str
    text: str
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)
    runs_user_code: bool = False
    settled: bool = False

    def _function(self, body: str) -> Callable[[Any], Any]:
        lines = [
            "def run(engine):",
            "state, here, step = engine.state, engine._here, engine._process_function",
            *body.splitlines(),
        ]
        scope = dict(self.names)
        exec("\n    ".join(lines), scope)
        return scope["run"]  # type: ignore[no-any-return]

    @cached_property
    def as_guard(self) -> Callable[[Any], bool]:
        """The snippet as a function of the engine that gives the value of its text."""
        return self._function(f"return {self.text}")

    @cached_property
    def as_action(self) -> Callable[[Any], None]:
        """The snippet as a function of the engine that runs its text."""
        return self._function(self.text)

    def __reduce__(self) -> tuple[Any, ...]:
        return Snippet, (self.name, self.text, self.names, self.runs_user_code, self.settled)


Code = Snippet | Callable[[Any], Any]
"""A guard, action or activity: the library's own as text, a user's as a function of the engine."""


def code_name(code: Code) -> str:
    """Return the name under which a guard, action or activity is shown."""
    return code.name if isinstance(code, Snippet) else getattr(code, "__name__", type(code).__name__)


@dataclass(frozen=True)
class Payload:
    """What an event hands to its handlers besides the engine, as texts over the names a `Snippet` may use."""

    positional: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """A node: a named situation of the run. Entering it announces its event.

    Attributes:
        event: the event announced, also the name of the phase. The first phase of a graph announces nothing.
        scope: the innermost scope it lies in, None outside all of them.
        entry: actions done on entering, before the handlers.
        activity: done when the handlers are through; the automatic exits are looked at when it ends.
        payload: what handlers are given besides the engine.
        defer: while this guard holds, signals wait in this phase (statecharts' deferred events).
    """

    event: Event
    scope: Scope | None = None
    entry: tuple[Code, ...] = ()
    activity: Code | None = None
    payload: Payload = Payload()
    defer: Code | None = None

    @property
    def name(self) -> str:
        """The name of the phase, which is that of its event."""
        return name_of(self.event)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Transition:
    """An edge: from a phase, or from every phase of a scope, to a phase.

    Attributes:
        source: the phase's event, or a scope.
        target: the phase's event; a scope means the phase that was left in it last (deep history).
        label: its name, unique among the exits of its source.
        trigger: automatic (when the activity ends; the first whose guard is true), a signal, or fired.
        signal: which signal, if that is the trigger.
        guard: when an automatic transition may be taken; None is always.
        action: done when it is taken.
        via: for an edge that stands for one from a scope: that scope.
    """

    source: Event | Scope
    target: Event | Scope
    label: str
    trigger: Trigger = Trigger.AUTOMATIC
    signal: Signal | None = None
    guard: Code | None = None
    action: Code | None = None
    via: Scope | None = None

    def __str__(self) -> str:
        source, target = (end.name if isinstance(end, Scope) else name_of(end) for end in (self.source, self.target))
        return f"{source} --{self.label}--> {target}"


@dataclass(frozen=True, eq=False)
class Graph:
    """Phases and transitions that obey the rules. The first phase is the initial and final one.

    Phases are listed in the order in which they usually come: the emitted function falls through from each
    to the next, so a good order is a fast one. The order changes nothing about what happens.

    Raises:
        LifecycleError: a phase twice, an edge to nowhere, a label twice, an exit that can never be taken,
            a phase whose guards may leave it stuck, a phase that nothing leads to.
    """

    phases: tuple[Phase, ...]
    transitions: tuple[Transition, ...]

    def __post_init__(self) -> None:
        _check(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.phases, self.transitions)

    @cached_property
    def index(self) -> dict[Event, int]:
        """The number of each phase, by its event."""
        return {phase.event: number for number, phase in enumerate(self.phases)}

    @cached_property
    def exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: the transitions that may leave it, those of its scopes included, each from the phase itself."""
        return tuple(tuple(self._exits_of(phase)) for phase in self.phases)

    def _exits_of(self, phase: Phase) -> Iterable[Transition]:
        for transition in self.transitions:
            if isinstance(transition.source, Scope):
                if transition.source.contains(phase.scope):
                    yield replace(transition, source=phase.event, via=transition.source)
            elif transition.source == phase.event:
                yield transition

    @cached_property
    def automatic(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: its automatic exits, in the order in which their guards are looked at."""
        return tuple(tuple(t for t in exits if t.trigger is Trigger.AUTOMATIC) for exits in self.exits)

    @cached_property
    def signalled(self) -> tuple[dict[Signal, Transition], ...]:
        """Per phase: the exit that each signal takes; the phase's own goes before its scopes'."""
        taken: list[dict[Signal, Transition]] = [{} for _ in self.phases]
        for by_signal, exits in zip(taken, self.exits):
            for transition in sorted(exits, key=lambda t: t.via is not None):
                if transition.signal is not None:
                    by_signal.setdefault(transition.signal, transition)
        return tuple(taken)

    @cached_property
    def resting(self) -> frozenset[int]:
        """The positions at which a run ends: phases, entered, that no automatic exit leaves."""
        return frozenset(2 * number + 1 for number, exits in enumerate(self.automatic) if not exits)

    @cached_property
    def settled(self) -> tuple[Snippet, ...]:
        """The guards whose value is fixed while the emitted function runs."""
        guards = (transition.guard for transition in self.transitions)
        return tuple(dict.fromkeys(g for g in guards if isinstance(g, Snippet) and g.settled))

    @cached_property
    def emitted(self) -> dict[Any, Emitted]:
        """The functions emitted for this graph so far, by what was observed."""
        return {}

    @cached_property
    def by_name(self) -> Mapping[str, Phase]:
        """The phases by name, for messages and look-ups by string."""
        return {phase.name: phase for phase in self.phases}


def _check(graph: Graph) -> None:
    if len(graph.index) != len(graph.phases):
        twice = [phase.name for k, phase in enumerate(graph.phases) if graph.index[phase.event] != k]
        raise LifecycleError(f"phase {twice[0]} is there twice. Each phase stands for one event: leave one out.")
    for transition in graph.transitions:
        _check_ends(graph, transition)
    for phase, exits in zip(graph.phases, graph.exits):
        _check_exits(phase, exits)
    _check_reached(graph)


def _check_ends(graph: Graph, transition: Transition) -> None:
    known = ", ".join(graph.by_name)
    for end in (transition.source, transition.target):
        if not isinstance(end, Scope) and end not in graph.index:
            raise LifecycleError(f"{transition} leads to or from {end}, which is no phase. The phases are {known}.")
    if (transition.trigger is Trigger.SIGNAL) != (transition.signal is not None):
        raise LifecycleError(f"{transition}: a transition has a signal if, and only if, its trigger is SIGNAL.")


def _check_exits(phase: Phase, exits: tuple[Transition, ...]) -> None:
    own = [t for t in exits if t.via is None]
    labels = [t.label for t in own]
    for label in labels:
        if labels.count(label) > 1:
            raise LifecycleError(f"two exits of {phase} are labelled {label!r}. Give each a label of its own.")
    automatic = [t for t in own if t.trigger is Trigger.AUTOMATIC]
    for earlier, later in pairwise(automatic):
        if earlier.guard is None:
            raise LifecycleError(
                f"{later} can never be taken: {earlier} comes before it and has no guard. "
                f"Put the exit without a guard last."
            )
    if automatic and automatic[-1].guard is not None:
        raise LifecycleError(
            f"{phase} may get stuck: each of its automatic exits has a guard. "
            f"Leave the guard of the last one, {automatic[-1]}, out."
        )


def _check_reached(graph: Graph) -> None:
    reached = {graph.phases[0].event}
    waiting = list(reached)
    while waiting:
        for transition in graph.exits[graph.index[waiting.pop()]]:
            if not isinstance(transition.target, Scope) and transition.target not in reached:
                reached.add(transition.target)
                waiting.append(transition.target)
    lost = [phase.name for phase in graph.phases if phase.event not in reached]
    if lost:
        raise LifecycleError(f"nothing leads to {', '.join(lost)}. Add a transition, or leave the phase out.")
