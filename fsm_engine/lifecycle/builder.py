"""`LifecycleBuilder`: a graph that users change by edits, each of which keeps its rules."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from fsm_engine._util.errors import LifecycleError
from fsm_engine.events.edges import Edge, Path
from fsm_engine.events.events import AnyEvent, Event, without_filter
from fsm_engine.events.placeholders import Unbound
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import CodeFragment
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle import edits
from fsm_engine.lifecycle.training import OUTER
from fsm_engine.lifecycle.validation import FOR_EVERY_EDIT, Finding, findings, raise_first, unbound_finding

E = TypeVar("E", bound="LifecycleBuilder")


class Owner(Protocol):
    """What an editable lifecycle asks of the engine that runs it."""

    def _allow_change(self) -> None:
        """Raise BusyError if the engine is in a run."""

    def _adopt_graph(self, graph: Graph) -> None:
        """Take over the new graph, or raise if attached handlers cannot be called with it."""


class LifecycleBuilder:
    """A graph that is changed only between runs, and only by edits that break no rule."""

    def __init__(self, name: str = "lifecycle") -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a lifecycle is a string, got {name!r}. See Lifecycle.training(step), too.")
        self.name = name
        self.step: Callable[[Any, Any], Any] | None = None
        self._graph = OUTER
        self._floating: frozenset[Event] = frozenset()
        self.discovered: dict[Edge, int] = {}
        self._required: tuple[tuple[Event, Event], ...] = ()
        self._validated: Graph | None = None  # the graph for which everything was checked
        self._engine: Callable[[], Owner | None] = _no_engine  # that which owns this copy

    @property
    def graph(self) -> Graph:
        """The phases and transitions as they are now; a later change makes a new one."""
        return self._graph

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases; the first is where a run starts and ends."""
        return self._graph.phases

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The transitions as they were written: one from a scope is there once."""
        return self._graph.transitions

    def successors(self, event: AnyEvent) -> tuple[Transition, ...]:
        """Return the transitions that may leave the phase of `event`, those of its scopes included.

        Raises:
            LifecycleError: if there is no such phase.
        """
        return self._graph.exits[self._number(event)]

    def _number(self, event: AnyEvent) -> int:
        number = self._graph.index.get(without_filter(event))  # type: ignore[arg-type]  # an edge is none
        if number is None:
            raise LifecycleError(f"{event} is no phase of {self!r}. The phases are {', '.join(self._graph.by_name)}.")
        return number

    def add_phase(
        self,
        event: Event,
        activity: Any = None,
        scope: Scope | None = None,
        counter: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a phase that the engine walks to: it is entered along an automatic transition, and then acts.

        Args:
            event: its event, also its name; becomes known to the engine.
            activity: called like a handler, with the engine if it takes one, when the handlers are through. Its
                result, unless None, becomes ``engine.state.output``. An `Engine` is run, once per visit.
            scope: where it lies; unless given, where the phase that first leads to it lies.
            counter: an attribute of the state that counts how often it is entered: its filters are given that,
                every new run starts it at 0, and `Engine.state_dict` holds it. Without one, firings are counted.
            **kwargs: given to the activity; for an engine, to its `run`.

        Raises:
            LifecycleError: it is a phase already.
            ValueError: an activity that cannot be called like that; a counter that is no name.
            TypeError: something that is no event, or no activity.
            BusyError: while the engine runs or is suspended.
        """
        edits.check_counter(counter)
        act = _activity(event, activity, kwargs)
        self._edit(lambda draft: draft.add_phase(event, act, scope, counter))

    def add_path(self, path: Edge | Path, required: bool = False) -> None:
        """Add the edges of a path, ``A >> B >> C``, that are not there yet.

        Phases on it that are not there yet are *fired*: the activity of the phase that the path starts in, such as
        the step, moves from one to the next with ``engine.fire_event``. They join the scope they start in. To
        phases that were there, such as those of `add_phase`, the engine walks by itself when an activity ends.

        Args:
            path: two ends or more.
            required: takes the direct edge from the first to the last end away, if there is one without a guard,
                so the path is the only way.

        Raises:
            LifecycleError: the graph would break a rule.
            TypeError: something that is no path.
            BusyError: while the engine runs or is suspended.
        """
        self._edit(lambda draft: draft.add_path(path, required))

    def add_transition(
        self,
        edge: Edge,
        *,
        guard: Any = None,
        label: str | None = None,
        error: edits.Errors | None = None,
        limit: int | None = None,
        action: Any = None,
    ) -> None:
        """Add one transition, ``A >> B``; B becomes a phase if it is none yet.

        An exit with a guard goes before the one without, which is taken when no guard was true. A scope as source
        stands for every phase in it, for error edges; as target, for the place that an error edge left: its
        activity is begun again.

        Args:
            edge: from where to where.
            guard: a function of the engine, or of nothing, without side effects: whether it may be taken. It is
                shown by its name.
            label: the name of the transition, unique among those of its source; that of the target unless given.
            error: the exception, or a tuple of them, that takes this edge when it leaves the source. The edges of
                the phase itself are tried first, then those of its scopes, innermost first; that of a scope does
                not take what is raised in its own target nor, without a guard and a limit, what is raised anywhere
                in a recovery that it was taken for. ``state.errors`` counts them by label; handlers of the target
                may take the exception as ``error``.
            limit: how often in a run an error edge may be taken; beyond it, the exception goes on.
            action: a function of the engine, or of nothing, called when it is taken.

        Raises:
            LifecycleError: the graph would break a rule.
            TypeError, ValueError: arguments of a wrong kind.
            BusyError: while the engine runs or is suspended.
        """
        held = None if guard is None else edits.user_callable(guard, "a guard", label, {})
        done = None if action is None else edits.user_callable(action, "an action", label, {})
        self._edit(lambda draft: draft.add_transition(edge, held, label, error, limit, done))

    def insert(
        self, event: Event, *, after: Event, activity: Any = None, counter: str | None = None, **kwargs: Any
    ) -> None:
        """Add a phase behind `after`, whose automatic exits it takes over; the other arguments are `add_phase`'s.

        An exit that comes back stays: STARTED's to RESUMED, by which a run goes on from a state that was loaded.

        Raises:
            LifecycleError: `after` is no phase or has no such exit, `event` is one already.
            TypeError, ValueError: arguments of a wrong kind.
            BusyError: while the engine runs or is suspended.
        """
        edits.check_counter(counter)
        act = _activity(event, activity, kwargs)
        self._edit(lambda draft: draft.insert(event, after, act, counter))

    def add_exits(self, event: Event, *, like: Event) -> None:
        """Give the phase of `event` the automatic exits that the phase of `like` has, so that it goes on as that does.

        If it has an activity, an exit that comes back is left out, since the activity would begin again.

        Raises:
            LifecycleError: one of them is no phase, or the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        self._edit(lambda draft: draft.add_exits(event, like))

    def remove_transition(self, edge: Edge, label: str | None = None) -> None:
        """Take out the transitions along `edge`; with a label, only the one of that name.

        Raises:
            LifecycleError: there is none.
            BusyError: while the engine runs or is suspended.
        """
        self._edit(lambda draft: draft.remove_transition(edge, label))

    def add(self, *parts: Phase | Transition) -> None:
        """Add phases and transitions, all of them or none.

        Transitions come after those that are there, so an exit added to a phase that has one is looked at last.

        Raises:
            LifecycleError: if the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        for part in parts:
            if not isinstance(part, (Phase, Transition)):
                raise TypeError(f"{part!r} is neither a Phase nor a Transition. For edges, use add_transition.")
        self._change(
            self.phases + tuple(part for part in parts if isinstance(part, Phase)),
            self.transitions + tuple(part for part in parts if isinstance(part, Transition)),
        )

    def remove(self, *parts: Phase | Transition) -> None:
        """Take phases and transitions out, all of them or none.

        Raises:
            LifecycleError: if one of them is not there, or the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        for part in parts:
            if part not in self.phases and part not in self.transitions:
                raise LifecycleError(f"{part} is not in {self!r}, so it cannot be taken out.")
        self._change(
            tuple(phase for phase in self.phases if phase not in parts),
            tuple(transition for transition in self.transitions if transition not in parts),
        )

    def _edit(self, edit: Callable[[edits.Draft], None]) -> None:
        draft = edits.Draft(self._graph, self._floating)
        edit(draft)
        self._change(draft.phases, draft.transitions)
        self._floating = frozenset(draft.floating)

    def _change(self, phases: Iterable[Phase], transitions: Iterable[Transition]) -> None:
        engine = self._engine()
        if engine is not None:
            engine._allow_change()
        graph = Graph(tuple(phases), tuple(transitions))
        raise_first(graph, FOR_EVERY_EDIT)
        if engine is not None:
            engine._adopt_graph(graph)  # first: it refuses what its handlers cannot take
        self._graph = graph
        self._floating &= frozenset(graph.index)

    # Checking

    def check(self) -> list[Finding]:
        """Return what is wrong with the lifecycle: rules that it breaks, and what was required and does not hold.

        An empty list means that it can run. Findings that are no errors do not stop a run.
        """
        step = [unbound_finding([self.step.key])] if isinstance(self.step, Unbound) else []
        return [
            *findings(self._graph),
            *step,
            *(found for rule in self._required if (found := self._broken_requirement(*rule))),
        ]

    def require(self, event: Event, *, before: Event) -> None:
        """Demand that no run enters the phase of `before` without having been in that of `event`.

        It is proven for the whole graph by dominators, here and again before a run if the graph has changed.

        Raises:
            LifecycleError: it does not hold; the message has a path around `event`. Nothing is kept then.
        """
        broken = self._broken_requirement(event, before)
        if broken is not None:
            raise LifecycleError(str(broken))
        self._required += ((event, before),)
        self._validated = None

    def _broken_requirement(self, event: Event, before: Event) -> Finding | None:
        from fsm_engine.lifecycle.requirements import path_around

        for end in (event, before):
            self._number(end)
        around = path_around(self._graph, event, before)
        if around is None:
            return None
        return Finding(
            "required",
            f"{before} may be entered without {event} before it: {' -> '.join(around)}.",
            "Take an edge of this path out, or put the phase on it, such as with add_path(..., required=True).",
        )

    def _ensure_valid(self) -> None:
        """Refuse a lifecycle that cannot run.

        Raises:
            LifecycleError: with everything that is wrong.
        """
        if self._validated is self._graph:
            return
        errors = [str(finding) for finding in self.check() if finding.is_error]
        if errors:
            raise LifecycleError(" ".join(errors))
        self._validated = self._graph

    # With an engine

    def _copy_for(self: E, engine: Owner) -> E:
        copy = type(self)(self.name)
        copy.step, copy._graph, copy._floating, copy._required = self.step, self._graph, self._floating, self._required
        copy.discovered = dict(self.discovered)
        if self.step is None:
            copy._graph = _without_step(self._graph)
        copy._engine = weakref.ref(engine)
        engine._adopt_graph(copy._graph)
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LifecycleBuilder):
            return NotImplemented
        mine, others = self._graph, other._graph
        return mine is others or (mine.phases, mine.transitions) == (others.phases, others.transitions)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"<Lifecycle {self.name}: {len(self.phases)} phases, {len(self.transitions)} transitions>"


def _no_engine() -> None:
    return None


def _activity(event: Event, activity: Any, kwargs: Mapping[str, Any]) -> Any:
    if activity is None:
        if kwargs:
            raise ValueError(f"{', '.join(kwargs)} are given to an activity, and {event} has none. Give activity=.")
        return None
    return edits.user_callable(activity, f"the activity of {event}", str(event), kwargs, keeps=True)


@lru_cache(maxsize=64)
def _without_step(graph: Graph) -> Graph:
    return Graph(
        tuple(
            replace(phase, activity=None)
            if isinstance(phase.activity, CodeFragment) and phase.activity.is_step
            else phase
            for phase in graph.phases
        ),
        graph.transitions,
    )


def _is_step(activity: Any) -> bool:
    return isinstance(activity, CodeFragment) and activity.is_step
