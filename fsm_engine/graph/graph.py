"""The lifecycle graph as data: phases joined by transitions, never changed after it is made.

This is the one place that the order of events comes from: the engine's function is emitted from it, and
what is printed, exported and checked is read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache, cached_property
from typing import Any, TypeGuard

from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Event, EventEnum, Events, is_same, name_of
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.positions import is_entered, phase_at
from fsm_engine.graph.signals import Signal

_FETCHING = (Events.GET_BATCH_STARTED, Events.DATALOADER_STOP_ITERATION)
_FETCHED = (Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)

IDLE = "IDLE"
"""The phase of an engine that is not running. It announces nothing: there is no event of that name."""


class Trigger(Enum):
    """What makes a transition happen."""

    AUTOMATIC = "automatic"
    SIGNAL = "signal"
    FIRED = "fired"


NAMES = {
    "state": "engine.state",
    "cursor": "engine._cursor",
    "clocks": "engine._clocks",
    "signals": "engine._signals",
    "data_pass": "engine._data_pass",
    "failure": "engine._failure",
    "step": "engine._process_function",
}
"""The names that generated code may use besides ``engine``, and their values."""


@dataclass(frozen=True)
class CodeFragment:
    """A guard or an action of the library's own, as Python text that the emitted function contains.

    The text may use ``engine``, `NAMES`, and whatever `names` binds. Only the library writes snippets; users' guards
    and activities are functions, and are called.

    Attributes:
        text: an expression for a guard, statements for an action or activity.
        runs_user_code: whether it calls something of the user's, which may signal or change handlers.
        is_step: whether it calls the step, which may fire phases.
        settled: for a guard: its value is fixed while the function runs, so the function is emitted for it.
    """

    name: str
    text: str
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)
    runs_user_code: bool = False
    is_static: bool = False
    is_step: bool = False

    def _function(self, body: str) -> Callable[[Any], Any]:
        lines = [
            "def run(engine):",
            *(f"{name} = {value}" for name, value in NAMES.items()),
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
        return CodeFragment, (self.name, self.text, self.names, self.runs_user_code, self.is_static, self.is_step)


@dataclass(frozen=True)
class UserCallable:
    """A function of the user's as a guard, action or activity: called as a handler is.

    Attributes:
        function: what is called; for an engine, its `run`.
        name: under which it is shown.
        takes_engine: whether it is given the engine first.
        kwargs: what else it is given.
        keeps: for an activity: whether its result, unless None, becomes ``engine.state.output``.
        engine: the engine, if that is what runs.
    """

    function: Callable[..., Any]
    name: str
    takes_engine: bool = True
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    sets_output: bool = False
    engine: Any = None

    def __call__(self, engine: Any) -> Any:
        """Call the function for `engine`."""
        return self.function(engine, **self.kwargs) if self.takes_engine else self.function(**self.kwargs)

    def run_as_activity(self, engine: Any) -> None:
        """Call the function as an activity, and keep its result."""
        value = self(engine)
        if self.sets_output and value is not None:
            engine.state.output = value


Code = CodeFragment | UserCallable | Callable[[Any], Any]
"""A guard, action or activity: the library's own as text, a user's as a function of the engine."""


def code_name(code: Code) -> str:
    """Return the name under which a guard, action or activity is shown."""
    return (
        code.name if isinstance(code, (CodeFragment, UserCallable)) else getattr(code, "__name__", type(code).__name__)
    )


def is_static(guard: Code | None) -> TypeGuard[CodeFragment]:
    """Return True if the value of `guard` cannot change while the generated function runs."""
    return isinstance(guard, CodeFragment) and guard.is_static


def evaluate(guard: Code, engine: Any) -> bool:
    """Say whether `guard` is true."""
    return bool((guard.as_guard if isinstance(guard, CodeFragment) else guard)(engine))


def execute(code: Code, engine: Any) -> None:
    """Run an action or activity."""
    if isinstance(code, UserCallable):
        code.run_as_activity(engine)
    else:
        (code.as_action if isinstance(code, CodeFragment) else code)(engine)


def runs_user_code(code: Code | None) -> bool:
    """Say whether `code` calls something of the user's, which may signal or change handlers."""
    return code is not None and (not isinstance(code, CodeFragment) or code.runs_user_code)


@dataclass(frozen=True)
class Payload:
    """What an event hands to its handlers besides the engine, as texts over the names a `CodeFragment` may use."""

    positional: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)

    def values(self, engine: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what handlers are given now: positional and keyword arguments."""
        values = [_value(text)(engine) for text in (*self.positional, *self.keywords.values())]
        split = len(self.positional)
        return tuple(values[:split]), dict(zip(self.keywords, values[split:]))


@cache
def _value(text: str) -> Callable[[Any], Any]:
    return CodeFragment(text, text).as_guard


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
        counter: the attribute of the state that counts how often this phase was entered, if it is the user's own.
    """

    event: Event
    scope: Scope | None = None
    entry: tuple[Code, ...] = ()
    activity: Code | None = None
    payload: Payload = Payload()
    defer: Code | None = None
    counter: str | None = None

    @property
    def may_fire(self) -> bool:
        """Whether its activity may fire phases."""
        return self.activity is not None and (not isinstance(self.activity, CodeFragment) or self.activity.is_step)

    @property
    def name(self) -> str:
        """The name of the phase, which is that of its event."""
        return name_of(self.event)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class History:
    """The history of a scope, as the target of a transition: the phase that was left in the scope last.

    It is the deep history of statecharts: a phase of an inner scope is restored, too.
    """

    scope: Scope

    @property
    def name(self) -> str:
        """The name of the scope."""
        return self.scope.name

    def contains(self, scope: Scope | None) -> bool:
        """Return True if `scope` is the scope of the history or lies inside it."""
        return self.scope.contains(scope)

    def __str__(self) -> str:
        return self.scope.name


@dataclass(frozen=True)
class Transition:
    """An edge: from a phase, or from every phase of a scope, to a phase.

    Attributes:
        source: the phase's event, or a scope.
        target: the phase's event, or the history of a scope.
        label: its name, unique among the exits of its source.
        trigger: automatic (when the activity ends; the first whose guard is true), a signal, or fired.
        signal: which signal, if that is the trigger.
        guard: when an automatic transition may be taken; None is always.
        action: done when it is taken.
        error: which exceptions it takes, if it is an error edge: its signal is then an exception.
        limit: how often a run may take an error edge; None is any number of times.
        via: for an edge that stands for one from a scope: that scope.
    """

    source: Event | Scope
    target: Event | History
    label: str
    trigger: Trigger = Trigger.AUTOMATIC
    signal: Signal | None = None
    guard: Code | None = None
    action: Code | None = None
    error: tuple[type[BaseException], ...] = ()
    limit: int | None = None
    via: Scope | None = None

    def __post_init__(self) -> None:
        if isinstance(self.target, Scope):
            raise TypeError(
                f"the target of a transition is a phase or a history, got the scope {self.target}. "
                f"Write History(Scope.{self.target.name.upper()}) for the phase that was left in it last."
            )

    def __str__(self) -> str:
        source, target = (name_of(end) if isinstance(end, (EventEnum, str)) else end.name for end in self._ends)
        return f"{source} --{self.label}--> {target}"

    @property
    def _ends(self) -> tuple[Event | Scope | History, ...]:
        return self.source, self.target

    @property
    def edge(self) -> Edge:
        """The edge that the transition is named by; an edge into a scope is one into its history."""
        return Edge(self.source, self.target.scope if isinstance(self.target, History) else self.target)

    @property
    def leads_to_history(self) -> bool:
        """Whether the target is the history of a scope instead of a phase."""
        return isinstance(self.target, History)


@dataclass(frozen=True, eq=False)
class Graph:
    """Phases and transitions. The first phase is the initial and final one.

    Phases are listed in the order in which they usually come: the emitted function falls through from each
    to the next, so a good order is a fast one. The order changes nothing about what happens.
    """

    phases: tuple[Phase, ...]
    transitions: tuple[Transition, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.phases, self.transitions)

    @cached_property
    def index(self) -> dict[Event, int]:
        """The number of each phase, by its event."""
        return {phase.event: number for number, phase in enumerate(self.phases)}

    @cached_property
    def exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: the transitions that may leave it, those of its scopes included, each from the phase itself."""
        leaving: dict[Event | Scope, list[tuple[int, Transition]]] = {}
        for place, transition in enumerate(self.transitions):
            leaving.setdefault(transition.source, []).append((place, transition))
        return tuple(tuple(_exits_of(phase, leaving)) for phase in self.phases)

    @cached_property
    def automatic_exits(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: its automatic exits, in the order in which their guards are looked at."""
        return tuple(tuple(t for t in exits if t.trigger is Trigger.AUTOMATIC) for exits in self.exits)

    @cached_property
    def signal_exits(self) -> tuple[dict[Signal, Transition], ...]:
        """Per phase: the exit that each signal takes; the phase's own goes before its scopes'."""
        taken: list[dict[Signal, Transition]] = [{} for _ in self.phases]
        for by_signal, exits in zip(taken, self.exits):
            for transition in _innermost_first(exits):
                if transition.signal is not None and not transition.error:
                    by_signal.setdefault(transition.signal, transition)
        return tuple(taken)

    @cached_property
    def error_edges(self) -> tuple[tuple[Transition, ...], ...]:
        """Per phase: its error edges in the order in which they are tried, from the inside out."""
        return tuple(tuple(t for t in _innermost_first(exits) if t.error) for exits in self.exits)

    @cached_property
    def fired_exits(self) -> tuple[dict[Event, Transition], ...]:
        """Per phase: the fired exits, by the event that takes them."""
        return tuple(
            {t.target: t for t in exits if t.trigger is Trigger.FIRED}  # type: ignore[misc]  # never a scope
            for exits in self.exits
        )

    @cached_property
    def fired_phases(self) -> frozenset[int]:
        """The phases that are entered by firing: parts of the activity of the phase that they start from."""
        return frozenset(self.index[t.target] for t in self.transitions if t.trigger is Trigger.FIRED)  # type: ignore[index]

    @cached_property
    def recovery_phases(self) -> frozenset[int]:
        """The phases that error edges lead to."""
        return frozenset(self.index[t.target] for t in self.transitions if t.error)  # type: ignore[index]

    @cached_property
    def recovery_only_phases(self) -> frozenset[int]:
        """The phases that only error edges lead to: recoveries, and what lies on their way back."""
        usual, waiting = {0}, [0]
        while waiting:
            for transition in self.exits[waiting.pop()]:
                target = self.index.get(transition.target)  # type: ignore[arg-type]  # None for history
                if target is not None and target not in usual and not transition.error:
                    usual.add(target)
                    waiting.append(target)
        return frozenset(range(len(self.phases))) - usual

    @cached_property
    def pending_batches(self) -> tuple[int, ...] | None:
        """Per phase: how many batches are fetched there whose iteration has not begun.

        None if that depends on the way there, as where an error edge skips a batch: then iterations do not tell
        how many batches were fetched.
        """
        known, waiting = {0: 0}, [0]
        while waiting:
            number = waiting.pop()
            if self.phases[number].event in _FETCHING and not self._fetches_as_training(number):
                return None
            for transition in self.exits[number]:
                target = self.index.get(transition.target)  # type: ignore[arg-type]  # None for history
                if target is None or is_static(transition.guard):
                    continue  # the only settled guard is that there is no data
                if not Scope.RUN.contains(self.phases[target].scope):
                    continue
                fetched = self.phases[number].event in _FETCHING and transition.target == Events.GET_BATCH_COMPLETED
                value = known[number] + fetched - (transition.target == Events.ITERATION_STARTED)
                if self.phases[target].event is Events.TERMINATE_SINGLE_EPOCH:
                    value = 0  # the pass is dropped
                if target not in known:
                    waiting.append(target)
                if known.setdefault(target, value) != value:
                    return None
        return tuple(known.get(number, 0) for number in range(len(self.phases)))

    @cached_property
    def before_step(self) -> frozenset[int]:
        """The phases from which a run may come to a step by itself before it fetches another batch."""
        steps = (number for number, phase in enumerate(self.phases) if Scope.ITERATION.contains(phase.scope))
        return self._before_fetching(steps)

    @cached_property
    def before_use(self) -> frozenset[int]:
        """The phases from which a run may come likewise to something of the user's in an epoch, such as an activity."""
        used = (n for n, phase in enumerate(self.phases) if phase.may_fire and Scope.EPOCH.contains(phase.scope))
        return self._before_fetching(used)

    def _before_fetching(self, ends: Iterable[int]) -> frozenset[int]:
        found: set[int] = set()
        more = set(ends)
        while more:
            found |= more
            phases = [self.phases[number] for number in found]
            into = {phase.event for phase in phases} | {History(phase.scope) for phase in phases if phase.scope}
            more = {
                number
                for number, exits in enumerate(self.automatic_exits)
                if number not in found
                and self.phases[number].event not in _FETCHING
                and any(
                    t.target in into and not (isinstance(t.guard, CodeFragment) and t.guard.is_static) for t in exits
                )
            }
        return frozenset(found)

    def _fetches_as_training(self, number: int) -> bool:
        """Say whether a fetching phase is left as in training: what it fetched is then known from where it leads."""
        plain = (*_FETCHED, *_FETCHING, Events.EPOCH_COMPLETED)
        own = (
            t.target in plain and (t.guard is None or isinstance(t.guard, CodeFragment))
            for t in self.automatic_exits[number]
        )
        return all(own) and not self.error_edges[number]

    @cached_property
    def terminal(self) -> frozenset[int]:
        """The phases in which a run ends: only the next run leaves them."""
        return frozenset(number for number, exits in enumerate(self.signal_exits) if Signal.RUN in exits)

    def is_terminal(self, position: int) -> bool:
        """Return True if a run ends at `position`."""
        return is_entered(position) and phase_at(position) in self.terminal

    @cached_property
    def has_epochs(self) -> bool:
        """Whether a run goes by epochs, so that limits and the length of an epoch mean something."""
        return Events.EPOCH_STARTED in self.index

    @cached_property
    def counters(self) -> dict[Event, str]:
        """The attributes of the state that count the user's phases."""
        return {phase.event: phase.counter for phase in self.phases if phase.counter is not None}

    def exits_from(self, source: Event | Scope) -> list[Transition]:
        """Return the exits of a phase, or of every phase in a scope."""
        if not isinstance(source, Scope):
            return list(self.exits[self.index[source]])
        return [t for phase, exits in zip(self.phases, self.exits) if source.contains(phase.scope) for t in exits]

    def has_edge(self, source: Event | Scope, target: Event | Scope) -> bool:
        """Say whether a move from `source` to `target` is possible, by whatever transition, history included."""
        return any(self._leads_to(transition.target, target) for transition in self.exits_from(source))

    def _leads_to(self, end: Event | History, target: Event | Scope) -> bool:
        if not isinstance(end, History):
            return is_same(end, target)
        return (
            end.scope == target
            if isinstance(target, Scope)
            else end.scope.contains(self.phases[self.index[target]].scope)
        )

    def exited_by(self, transition: Transition) -> tuple[Event | Scope, ...]:
        """Return what the move along `transition` leaves: its phase, then scopes, innermost first."""
        ends: Any = (transition.source, transition.target)
        source, target = (self.phases[self.index[end]] for end in ends)
        scopes = source.scope.path if source.scope is not None else ()
        return (source.event, *(scope for scope in reversed(scopes) if not scope.contains(target.scope)))

    @cached_property
    def static_guards(self) -> tuple[CodeFragment, ...]:
        """The guards whose value is fixed while the emitted function runs."""
        guards = (transition.guard for transition in self.transitions)
        return tuple(dict.fromkeys(g for g in guards if is_static(g)))

    @cached_property
    def by_name(self) -> Mapping[str, Phase]:
        """The phases by name, for messages and look-ups by string."""
        return {phase.name: phase for phase in self.phases}


def _exits_of(phase: Phase, leaving: Mapping[Event | Scope, list[tuple[int, Transition]]]) -> Iterator[Transition]:
    """Yield the exits of `phase` in the order in which they were written, its own and those of its scopes."""
    sources = (phase.event, *(phase.scope.path if phase.scope is not None else ()))
    for _, transition in sorted((found for source in sources for found in leaving.get(source, ())), key=_place):
        if isinstance(transition.source, Scope):
            yield replace(transition, source=phase.event, via=transition.source)
        else:
            yield transition


def _place(found: tuple[int, Transition]) -> int:
    return found[0]


def _innermost_first(exits: Iterable[Transition]) -> list[Transition]:
    return sorted(exits, key=lambda t: (t.via is not None, -len(t.via.path) if t.via else 0))
