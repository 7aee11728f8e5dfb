"""Edits of a lifecycle graph: what `Lifecycle.add_path` and the like do to its phases and transitions."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine._util.signatures import accepts, parameter_names
from fsm_engine.events.edges import Edge, End, Path, name_of_end
from fsm_engine.events.events import Event, EventEnum, is_same
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, Payload, UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.training import TO_COME_BACK

_UNFINISHED = CodeFragment("the iteration is open", "True")
_ERROR = Payload(keywords={"error": "failure.error"})

Errors = type[BaseException] | tuple[type[BaseException], ...]


class Draft:
    """The phases and transitions of a graph while they are edited; `graph` makes the new one.

    Attributes:
        floating: the phases that were added without a scope and are not connected yet: they join the scope of
            the phase that first leads to them.
    """

    def __init__(self, graph: Graph, floating: frozenset[Event]) -> None:
        self.phases, self.transitions = list(graph.phases), list(graph.transitions)
        self.floating = set(floating)
        self._places: dict[End, int] = {}  # of the phases; empty when they have moved

    @property
    def graph(self) -> Graph:
        """The graph as it is now, unchecked."""
        return Graph(tuple(self.phases), tuple(self.transitions))

    def add_phase(self, event: Event, activity: Code | None, scope: Scope | None, counter: str | None) -> None:
        """Add a phase that the engine walks to."""
        _check_event(event)
        if self._find(event) is not None:
            raise LifecycleError(_already_added(event))
        if scope is not None and not isinstance(scope, Scope):
            raise TypeError(f"scope={scope!r} has to be a scope, such as Scope.RUN.")
        if scope is None:
            self.floating.add(event)
        self._put(event, activity, scope or Scope.RUN, counter)

    def _put(
        self,
        event: Event,
        activity: Code | None = None,
        scope: Scope | None = None,
        counter: str | None = None,
        after: Event | None = None,
    ) -> None:
        place = len(self.phases) if after is None else self._place(after) + 1
        self.phases.insert(place, _phase(event, activity, scope, counter))
        self._places.clear()

    def add_path(self, path: Edge | Path, required: bool) -> None:
        """Add the edges of `path`; inner phases that are not there yet are fired by the activity it starts in."""
        if not isinstance(path, (Edge, Path)):
            raise TypeError(f"a path is written A >> B >> C, got {path!r}.")
        for end in path.ends:
            if isinstance(end, Scope):
                raise LifecycleError(f"the path {path} has the scope {end} in it. Name a phase of it.")
        events: list[Event] = list(path.ends)  # type: ignore[arg-type]
        if self._find(events[0]) is None:
            raise LifecycleError(f"{_unknown(self, events[0])} A path starts at a phase that is there.")
        fired = {t.target for t in self.transitions if t.trigger is Trigger.FIRED}
        for place, (before, event) in enumerate(pairwise(events)):
            if self._find(event) is None:
                fired.add(event)
                self._put(event, scope=self._scope_of(before), after=before)
            elif event not in events[: place + 1]:
                self._join(event, before)
        if required and len(path.ends) > 2:
            self._remove_direct_exit(events[0], events[-1])
        for edge in path.edges:
            self._connect(edge, edge.target in fired)

    def add_transition(
        self,
        edge: Edge,
        guard: Code | None,
        label: str | None,
        error: Errors | None,
        limit: int | None,
        action: Code | None,
    ) -> None:
        """Add one transition; a target that is not there yet becomes a phase."""
        if not isinstance(edge, Edge):
            raise TypeError(f"a transition is written A >> B, got {edge!r}." + _one_by_one(edge))
        source, target = edge.ends
        if not isinstance(source, Scope) and self._find(source) is None:
            raise LifecycleError(f"{_unknown(self, source)} Add it first: add_phase({source}, ...).")
        if label is not None and not (isinstance(label, str) and label):
            raise TypeError(f"label={label!r} has to be a string that is not empty.")
        if limit is not None and (error is None or not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise ValueError(
                f"limit={limit!r}: how often a run may take an error edge is a positive integer, with error=."
            )
        if error is not None:
            self._connect_error(edge, _errors(error), guard, label, limit, action)
            return
        if isinstance(source, Scope):
            raise LifecycleError(
                f"{edge} leaves a whole scope, which takes an exception or a signal. Give error=, or name the phase."
            )
        if not isinstance(target, Scope):
            if self._find(target) is None:
                self._put(target, scope=self._scope_of(source), after=source)
            self._join(target, source)
        fired = any(is_same(t.target, target) and t.trigger is Trigger.FIRED for t in self.transitions)
        if fired and guard is not None:
            raise LifecycleError(f"{edge} is taken when {target} is fired, so it cannot have a guard. Leave it out.")
        self._connect(edge, fired, guard, label, action, again=True)

    def insert(self, event: Event, after: Event, activity: Code | None, counter: str | None) -> None:
        """Add a phase that takes over the automatic exits of `after`, but for one that comes back there."""
        _check_event(event)
        place = self._place(after)
        taken = [t for t in self._automatic(after) if t.action != TO_COME_BACK]
        if not taken:
            raise LifecycleError(f"{after} has no automatic exit that {event} could take over. Use add_transition.")
        if self._find(event) is not None:
            raise LifecycleError(_already_added(event))
        self._put(event, activity, self.phases[place].scope, counter, after)
        for transition in taken:
            self.transitions[self.transitions.index(transition)] = replace(transition, source=event)
        self._connect(Edge(after, event), fired=False)

    def add_exits(self, event: Event, like: Event) -> None:
        """Give `event` the automatic exits of `like`; if it acts, without one that would come back to act again."""
        acts = self.phases[self._place(event)].activity is not None
        self._place(like)
        for transition in self._automatic(like):
            if not (acts and transition.action == TO_COME_BACK):
                self.transitions.append(replace(transition, source=event))

    def _automatic(self, source: Event) -> list[Transition]:
        return [t for t in self.transitions if is_same(t.source, source) and t.trigger is Trigger.AUTOMATIC]

    def remove_transition(self, edge: Edge, label: str | None) -> None:
        """Take out the transitions along `edge`, or the one with that label."""
        if not isinstance(edge, Edge):
            raise TypeError(f"a transition is written A >> B, got {edge!r}." + _one_by_one(edge))
        found = [t for t in self.transitions if t.edge == edge and label in (None, t.label)]
        if not found:
            exits = [str(t) for t in self.transitions if is_same(t.source, edge.source)]
            raise LifecycleError(
                f"there is no transition {edge}{'' if label is None else f' labelled {label!r}'}. "
                f"Those from {name_of_end(edge.source)} are: {', '.join(exits) or 'none'}."
            )
        self.transitions = [t for t in self.transitions if t not in found]

    def _connect(
        self,
        edge: Edge,
        fired: bool,
        guard: Code | None = None,
        label: str | None = None,
        action: Code | None = None,
        again: bool = False,
    ) -> None:
        trigger = Trigger.FIRED if fired else Trigger.AUTOMATIC
        same = [t for t in self.transitions if t.edge == edge and t.trigger is trigger]
        if same and not again:
            return
        made = Transition(edge.source, _target(edge), label or self._label(edge), trigger, guard=guard, action=action)
        self.transitions.insert(self._place_of_exit(made), made)

    def _place_of_exit(self, made: Transition) -> int:
        """Return where `made` goes: a guarded exit before the unguarded one, everything else behind its siblings."""
        siblings = [n for n, t in enumerate(self.transitions) if is_same(t.source, made.source)]
        for number in siblings:
            other = self.transitions[number]
            if made.guard is not None and other.trigger is Trigger.AUTOMATIC and other.guard is None:
                return number
        return siblings[-1] + 1 if siblings else len(self.transitions)

    def _connect_error(
        self,
        edge: Edge,
        errors: tuple[type[BaseException], ...],
        guard: Code | None,
        label: str | None,
        limit: int | None,
        action: Code | None,
    ) -> None:
        source, target = edge.ends
        if isinstance(target, Scope):
            raise LifecycleError(f"an error edge leads to a phase, and {edge} to a scope. Lead back to it from there.")
        if self._find(target) is None:
            self._put(target, scope=self._scope_around(source))
        elif target in self.floating and source not in self.floating:
            self._fix_scope(target, self._scope_around(source))
        place = self._place(target)
        if self.phases[place].payload == Payload():
            self.phases[place] = replace(self.phases[place], payload=_ERROR)
        made = Transition(
            source, target, label or self._label(edge), Trigger.SIGNAL, Signal.EXCEPTION, guard, action, errors, limit
        )
        self.transitions.insert(self._place_of_exit(made), made)

    def _label(self, edge: Edge) -> str:
        wanted = name_of_end(edge.target).lower()
        taken = {t.label for t in self.transitions if self._share_a_phase(t.source, edge.source)}
        number, label = 2, wanted
        while label in taken:
            number, label = number + 1, f"{wanted}_{number}"
        return label

    def _share_a_phase(self, one: End, other: End) -> bool:
        """Say whether there may be a phase that both `one` and `other` are the source of an exit of."""
        return is_same(one, other) or self._lies_in(one, other) or self._lies_in(other, one)

    def _lies_in(self, inner: End, outer: End) -> bool:
        scope = inner if isinstance(inner, Scope) else self._scope_of(inner)
        return isinstance(outer, Scope) and outer.contains(scope)

    def _remove_direct_exit(self, source: Event, target: Event) -> None:
        self.transitions = [
            t
            for t in self.transitions
            if t.edge != Edge(source, target) or t.trigger is not Trigger.AUTOMATIC or t.guard
        ]

    def _join(self, event: Event, before: Event) -> None:
        """List a phase to which nothing led behind the one before it, and put one that floats into its scope."""
        settles = event in self.floating and before not in self.floating
        if settles or not (is_same(event, before) or self._sources(event)):
            self._move_behind(event, before, {event, before})
        if settles:
            self._fix_scope(event, self._scope_of(before))

    def _move_behind(self, event: Event, before: Event, moved: set[Event]) -> None:
        """List a phase behind another, and behind it those that only it leads to: the order in which they come."""
        phase = self.phases.pop(self._place(event))
        self._places.clear()
        self.phases.insert(self._place(before) + 1, phase)
        self._places.clear()
        for transition in self.transitions:
            target = transition.target
            if not is_same(transition.source, event) or isinstance(target, History) or target in moved:
                continue
            if self._sources(target) == {event}:
                moved.add(target)
                self._move_behind(target, event, moved)

    def _sources(self, event: Event) -> set[End]:
        return {t.source for t in self.transitions if is_same(t.target, event)}

    def _fix_scope(self, event: Event, scope: Scope | None) -> None:
        """Put a phase that floats into `scope`, and those that float behind it where it leads them."""
        self.floating.discard(event)
        place = self._place(event)
        phase = self.phases[place]
        settled = _phase(event, phase.activity, scope, phase.counter)
        self.phases[place] = replace(settled, payload=phase.payload)
        for transition in self.transitions:
            target = transition.target
            if not is_same(transition.source, event) or isinstance(target, History) or target not in self.floating:
                continue
            if transition.error:
                self._fix_scope(target, self._scope_around(event))
            else:
                self._join(target, event)

    def _scope_around(self, source: End) -> Scope | None:
        """Return where a phase lies that an error from `source` leads to: outside what failed, inside the run."""
        scope = source if isinstance(source, Scope) else self._scope_of(source)
        return scope if scope in (None, Scope.RUN, Scope.ENGINE) else scope.parent

    def _scope_of(self, event: Event) -> Scope | None:
        return self.phases[self._place(event)].scope

    def _find(self, event: End) -> int | None:
        if not self._places:
            self._places.update((phase.event, number) for number, phase in enumerate(self.phases))
        place = self._places.get(event)
        return place if place is not None and is_same(self.phases[place].event, event) else None

    def _place(self, event: Event) -> int:
        place = self._find(event)
        if place is None:
            raise LifecycleError(_unknown(self, event))
        return place


def _target(edge: Edge) -> Event | History:
    return History(edge.target) if isinstance(edge.target, Scope) else edge.target


def _phase(event: Event, activity: Code | None, scope: Scope | None, counter: str | None) -> Phase:
    entry = () if counter is None else (count_action(counter),)
    defer = _UNFINISHED if Scope.ITERATION.contains(scope) else None
    return Phase(event, scope, entry, activity, defer=defer, counter=counter)


def count_action(counter: str) -> CodeFragment:
    """Return the entry action that counts in an attribute of the state, whose name `check_counter` has let through."""
    return CodeFragment(f"{counter} += 1", f"state.{counter} += 1")


def check_counter(counter: str | None) -> None:
    """Refuse what cannot be an attribute of the state of the user's own.

    Raises:
        ValueError: if it is no plain name, or one of the state's own attributes.
    """
    from fsm_engine.runtime.state import State

    if counter is None:
        return
    if not isinstance(counter, str) or not counter.isidentifier() or keyword.iskeyword(counter) or counter[0] == "_":
        raise ValueError(f"counter={counter!r} has to be a name that an attribute can have, such as 'rounds'.")
    if hasattr(State, counter):
        raise ValueError(f"counter={counter!r} is an attribute of every State. Give the counter another name.")


def user_callable(
    function: Any, what: str, name: str | None, kwargs: Mapping[str, Any], keeps: bool = False
) -> UserCallable:
    """Return `function` as it is called as `what`, a guard, action or activity.

    Raises:
        TypeError: if it cannot be called.
        ValueError: if it cannot be called with the engine, or without, and `kwargs`; a lambda without a name.
    """
    if hasattr(function, "lifecycle") and hasattr(function, "run"):
        takes = parameter_names(function.run)
        if wrong := [f"{key}=" for key in kwargs if key not in takes]:
            raise ValueError(f"{what}, an engine, is given {', '.join(wrong)}, but its run() takes {', '.join(takes)}.")
        return UserCallable(function.run, f"run of {function.lifecycle.name}", False, dict(kwargs), False, function)
    if not callable(function):
        raise TypeError(f"{what} has to be callable, or an engine, got {function!r}.")
    shown = getattr(function, "__name__", type(function).__name__)
    if shown == "<lambda>":
        if name is None:
            raise ValueError(f"{what} is a lambda, which has no name to show. Define a function, or give label=.")
        shown = name
    return UserCallable(function, shown, _takes_engine(function, what, kwargs), dict(kwargs), keeps)


def _takes_engine(function: Callable[..., Any], what: str, kwargs: Mapping[str, Any]) -> bool:
    if accepts(function, None, **kwargs):
        return True
    if accepts(function, **kwargs):
        return False
    raise ValueError(
        f"{what} {getattr(function, '__qualname__', function)!r} takes parameters {parameter_names(function)} but "
        f"will be called with the engine, if it takes one{''.join(f', {key}=' for key in kwargs)}."
    )


def _errors(error: Errors) -> tuple[type[BaseException], ...]:
    errors = error if isinstance(error, tuple) else (error,)
    for kind in errors or (error,):
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"error={kind!r} has to be a class of exceptions, or a tuple of them.")
    return errors


def _check_event(event: Any) -> None:
    if not isinstance(event, (EventEnum, str)):
        hint = " Leave its filter out." if isinstance(getattr(event, "event", None), EventEnum) else ""
        raise TypeError(f"a phase is named by a member of an EventEnum or a string, got {event!r}.{hint}")


def _one_by_one(thing: Any) -> str:
    return " Use add_path for several edges." if isinstance(thing, Path) else ""


def _already_added(event: Event) -> str:
    return f"{event} is a phase already. Connect it with add_transition, or add another event."


def _unknown(draft: Draft, event: End) -> str:
    return f"{event} is no phase. The phases are {', '.join(phase.name for phase in draft.phases)}."
