"""Edits of a lifecycle graph: how `Lifecycle.add_path` and other methods change its phases and transitions."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine._util.signatures import accepts, check_runs_when_called, parameter_names
from fsm_engine.events.edges import Edge, End, Path, name_of_end
from fsm_engine.events.events import Event, EventEnum, is_same
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, Payload, UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.training import RETURN_TO_STARTED

_UNFINISHED = CodeFragment("the iteration is open", "True")
_ERROR = Payload(keywords={"error": "failure.error"})

Errors = type[BaseException] | tuple[type[BaseException], ...]


class Draft:
    """Phases and transitions of a graph during an edit; `graph` returns the new graph.

    Attributes:
        unscoped: phases that were added without a scope and are not connected yet. Each joins the scope of the phase
            that first leads to it.
    """

    def __init__(self, graph: Graph, unscoped: frozenset[Event]) -> None:
        self.phases, self.transitions = list(graph.phases), list(graph.transitions)
        self.unscoped = set(unscoped)

    @property
    def graph(self) -> Graph:
        """Graph of the current phases and transitions, not validated."""
        return Graph(tuple(self.phases), tuple(self.transitions))

    def add_phase(self, event: Event, activity: Code | None, scope: Scope | None, counter: str | None) -> None:
        """Add a phase that the engine enters along automatic transitions."""
        self._check_new(event)
        if scope is not None and not isinstance(scope, Scope):
            raise TypeError(f"scope={scope!r} must be a scope, such as Scope.RUN.")
        if scope is None:
            self.unscoped.add(event)
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

    def add_path(self, path: Edge | Path, required: bool) -> None:
        """Add the edges of `path`, with new phases as fired phases of the activity in which the path starts."""
        if not isinstance(path, (Edge, Path)):
            raise TypeError(f"{path!r} is not a path. Write one as A >> B >> C.")
        for end in path.ends:
            if isinstance(end, Scope):
                raise LifecycleError(f"the path {path} contains the scope {end}. Use a phase of that scope.")
        events: list[Event] = list(path.ends)  # type: ignore[arg-type]
        if self._find(events[0]) is None:
            raise LifecycleError(f"{self._unknown(events[0])} Start the path at one of them.")
        fired = {t.target for t in self.transitions if t.trigger is Trigger.FIRED}
        for place, (before, event) in enumerate(pairwise(events)):
            if self._find(event) is None:
                fired.add(event)
                self._put(event, scope=self._scope_of(before), after=before)
            elif event not in events[: place + 1]:
                self._list_after(event, before)
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
        """Add one transition, and its target as a phase if it is not one yet."""
        _check_edge(edge)
        source, target = edge.ends
        if not isinstance(source, Scope) and self._find(source) is None:
            raise LifecycleError(f"{self._unknown(source)} Add it first with add_phase({source}, ...).")
        if label is not None and not (isinstance(label, str) and label):
            raise TypeError(f"label={label!r} must be a non-empty string.")
        if limit is not None and (error is None or not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise ValueError(f"limit={limit!r} must be a positive integer, and needs error=.")
        if error is not None:
            self._connect_error(edge, _errors(error), guard, label, limit, action)
            return
        if isinstance(source, Scope):
            raise LifecycleError(f"{edge} leaves a scope without error=. Pass error=, or use a phase as the source.")
        if not isinstance(target, Scope):
            if self._find(target) is None:
                self._put(target, scope=self._scope_of(source), after=source)
            self._list_after(target, source)
        fired = any(is_same(t.target, target) and t.trigger is Trigger.FIRED for t in self.transitions)
        if fired and guard is not None:
            raise LifecycleError(f"{edge} is taken when {target} is fired, so it cannot have a guard. Omit guard=.")
        self._connect(edge, fired, guard, label, action, parallel=True)

    def insert(self, event: Event, after: Event, activity: Code | None, counter: str | None) -> None:
        """Add a phase that takes over the automatic exits of `after`, except one that returns to `after`."""
        self._check_new(event)
        place = self._place(after)
        moved = [t for t in self._automatic(after) if t.action != RETURN_TO_STARTED]
        if not moved:
            raise LifecycleError(f"{after} has no automatic exits for {event} to take over. Use add_transition.")
        self._put(event, activity, self.phases[place].scope, counter, after)
        for transition in moved:
            self.transitions[self.transitions.index(transition)] = replace(transition, source=event)
        self._connect(Edge(after, event), fired=False)

    def insert_before(self, event: Event, before: Event, activity: Code | None, counter: str | None) -> None:
        """Add a phase that takes over the automatic transitions to `before`, except the exit to RESUMED.

        The phase joins the innermost scope that contains `before` and the phases that lead to it.
        """
        self._check_new(event)
        place = self._place(before)
        entries = [t for t in self.transitions if is_same(t.target, before) and t.action != RETURN_TO_STARTED]
        moved = [t for t in entries if t.trigger is Trigger.AUTOMATIC]
        if any(t.trigger is Trigger.FIRED for t in entries):
            raise LifecycleError(
                f"{before} is fired by the step, so the engine cannot call {event} before it. Fire it from the step, "
                f"with add_path(A >> {event} >> {before}), where A is the phase before."
            )
        if not moved:
            raise LifecycleError(
                f"no automatic transition leads to {before}, so {event} cannot take one over. Use add_transition."
            )
        scope = self.phases[place].scope
        for transition in moved:
            scope = _common_scope(scope, self._scope_of(transition.source))  # type: ignore[arg-type]  # no scope
        self.phases.insert(place, _phase(event, activity, scope, counter))
        for transition in moved:
            has_default_label = transition.label == name_of_end(before).lower()
            label = self._label(Edge(transition.source, event)) if has_default_label else transition.label
            number = self.transitions.index(transition)
            self.transitions[number] = replace(transition, target=event, label=label)
        self._connect(Edge(event, before), fired=False)

    def replace_activity(self, event: Event, activity: Code | None) -> None:
        """Replace the activity of the phase of `event`."""
        place = self._place(event)
        if place == 0:
            raise LifecycleError(f"{event} is the phase of an engine that does not run; it has no activity.")
        self.phases[place] = replace(self.phases[place], activity=activity)

    def add_exits(self, event: Event, like: Event) -> None:
        """Copy the automatic exits of `like` to `event`, without an exit that would repeat the activity of `event`."""
        has_activity = self.phases[self._place(event)].activity is not None
        self._place(like)
        for transition in self._automatic(like):
            if not (has_activity and transition.action == RETURN_TO_STARTED):
                self.transitions.append(replace(transition, source=event))

    def _automatic(self, source: Event) -> list[Transition]:
        return [t for t in self.transitions if is_same(t.source, source) and t.trigger is Trigger.AUTOMATIC]

    def remove_transition(self, edge: Edge, label: str | None) -> None:
        """Remove the transitions along `edge`, or only the one with `label`."""
        _check_edge(edge)
        found = [t for t in self.transitions if t.edge == edge and label in (None, t.label)]
        if not found:
            exits = [str(t) for t in self.transitions if is_same(t.source, edge.source)]
            raise LifecycleError(
                f"the lifecycle has no transition {edge}{'' if label is None else f' with the label {label!r}'}. "
                f"The exits of {name_of_end(edge.source)} are: {', '.join(exits) or 'none'}."
            )
        self.transitions = [t for t in self.transitions if t not in found]

    def _connect(
        self,
        edge: Edge,
        fired: bool,
        guard: Code | None = None,
        label: str | None = None,
        action: Code | None = None,
        parallel: bool = False,
    ) -> None:
        """Add a transition along `edge`, unless there is one already and `parallel` is false."""
        trigger = Trigger.FIRED if fired else Trigger.AUTOMATIC
        if not parallel and any(t.edge == edge and t.trigger is trigger for t in self.transitions):
            return
        added = Transition(edge.source, _target(edge), label or self._label(edge), trigger, guard=guard, action=action)
        self.transitions.insert(self._place_of_exit(added), added)

    def _place_of_exit(self, added: Transition) -> int:
        """Return the index for `added`: before an unguarded sibling if it has a guard, otherwise after all siblings."""
        siblings = [n for n, t in enumerate(self.transitions) if is_same(t.source, added.source)]
        for number in siblings:
            other = self.transitions[number]
            if added.guard is not None and other.trigger is Trigger.AUTOMATIC and other.guard is None:
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
            raise LifecycleError(
                f"the target of the error edge {edge} is a scope. Use a phase, and add a transition from there."
            )
        if self._find(target) is None:
            self._put(target, scope=self._scope_around(source))
        elif target in self.unscoped and source not in self.unscoped:
            self._assign_scope(target, self._scope_around(source))
        place = self._place(target)
        if self.phases[place].payload == Payload():
            self.phases[place] = replace(self.phases[place], payload=_ERROR)
        added = Transition(
            source, target, label or self._label(edge), Trigger.SIGNAL, Signal.EXCEPTION, guard, action, errors, limit
        )
        self.transitions.insert(self._place_of_exit(added), added)

    def _label(self, edge: Edge) -> str:
        """Return a label that no exit from the same phases has: the name of the target, numbered if necessary."""
        name = name_of_end(edge.target).lower()
        used = {t.label for t in self.transitions if self._overlap(t.source, edge.source)}
        number, label = 2, name
        while label in used:
            number, label = number + 1, f"{name}_{number}"
        return label

    def _overlap(self, one: End, other: End) -> bool:
        """Return True if `one` and `other` may contain the same phase."""
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

    def _list_after(self, event: Event, before: Event) -> None:
        """List a phase without sources after `before`, and assign the scope of `before` to an unscoped phase."""
        gets_scope = event in self.unscoped and before not in self.unscoped
        if gets_scope or not (is_same(event, before) or self._sources(event)):
            self._move_after(event, before, {event, before})
        if gets_scope:
            self._assign_scope(event, self._scope_of(before))

    def _move_after(self, event: Event, before: Event, moved: set[Event]) -> None:
        """List a phase after `before`, followed by the phases that only it leads to: the order in which a run goes."""
        phase = self.phases.pop(self._place(event))
        self.phases.insert(self._place(before) + 1, phase)
        for transition in self.transitions:
            target = transition.target
            if not is_same(transition.source, event) or isinstance(target, History) or target in moved:
                continue
            if self._sources(target) == {event}:
                moved.add(target)
                self._move_after(target, event, moved)

    def _sources(self, event: Event) -> set[End]:
        return {t.source for t in self.transitions if is_same(t.target, event)}

    def _assign_scope(self, event: Event, scope: Scope | None) -> None:
        """Put an unscoped phase into `scope`, and the unscoped phases that it leads to into theirs."""
        self.unscoped.discard(event)
        place = self._place(event)
        phase = self.phases[place]
        self.phases[place] = replace(_phase(event, phase.activity, scope, phase.counter), payload=phase.payload)
        for transition in self.transitions:
            target = transition.target
            if not is_same(transition.source, event) or isinstance(target, History) or target not in self.unscoped:
                continue
            if transition.error:
                self._assign_scope(target, self._scope_around(event))
            else:
                self._list_after(target, event)

    def _scope_around(self, source: End) -> Scope | None:
        """Return the scope for the target of an error edge: the parent of the scope that failed, inside the run."""
        scope = source if isinstance(source, Scope) else self._scope_of(source)
        return scope if scope in (None, Scope.RUN, Scope.ENGINE) else scope.parent

    def _scope_of(self, event: Event) -> Scope | None:
        return self.phases[self._place(event)].scope

    def _find(self, event: End) -> int | None:
        return next((place for place, phase in enumerate(self.phases) if is_same(phase.event, event)), None)

    def _place(self, event: Event) -> int:
        place = self._find(event)
        if place is None:
            raise LifecycleError(self._unknown(event))
        return place

    def _check_new(self, event: Any) -> None:
        if not isinstance(event, (EventEnum, str)):
            hint = " Remove its filter." if isinstance(getattr(event, "event", None), EventEnum) else ""
            raise TypeError(f"{event!r} cannot be a phase. Use a member of an EventEnum or a string.{hint}")
        if self._find(event) is not None:
            raise LifecycleError(f"{event} already is a phase. Connect it with add_transition, or use another event.")

    def _unknown(self, event: End) -> str:
        return f"{event} is not a phase. The phases are {', '.join(phase.name for phase in self.phases)}."


def _target(edge: Edge) -> Event | History:
    return History(edge.target) if isinstance(edge.target, Scope) else edge.target


def _common_scope(one: Scope | None, other: Scope | None) -> Scope | None:
    """Return the innermost scope that contains both scopes; None if there is none."""
    shared = [scope for scope in (one.path if one else ()) if scope.contains(other)]
    return shared[-1] if shared else None


def _phase(event: Event, activity: Code | None, scope: Scope | None, counter: str | None) -> Phase:
    entry = () if counter is None else (count_action(counter),)
    defer = _UNFINISHED if Scope.ITERATION.contains(scope) else None
    return Phase(event, scope, entry, activity, defer=defer, counter=counter)


def count_action(counter: str) -> CodeFragment:
    """Return the entry action that increments an attribute of the state; `check_counter` validates its name."""
    return CodeFragment(f"{counter} += 1", f"state.{counter} += 1")


def check_counter(counter: str | None) -> None:
    """Check that `counter` can be a new attribute of the state.

    Raises:
        ValueError: if it is not a public identifier, or every state has an attribute of that name.
    """
    from fsm_engine.runtime.state import State

    if counter is None:
        return
    if not isinstance(counter, str) or not counter.isidentifier() or keyword.iskeyword(counter) or counter[0] == "_":
        raise ValueError(f"counter={counter!r} must be the name of an attribute, such as 'rounds'.")
    if hasattr(State, counter):
        raise ValueError(f"counter={counter!r} is an attribute of every State. Use another name.")


def user_callable(
    function: Any, role: str, name: str | None, kwargs: Mapping[str, Any], keeps: bool = False
) -> UserCallable:
    """Return `function`, or the `run` of an engine, as the guard, action or activity that `role` names in errors.

    Raises:
        TypeError: if it is not callable, or is a coroutine or generator function, whose call runs none of its code.
        ValueError: if it accepts `kwargs` neither with nor without the engine, or is a lambda and `name` is None.
    """
    if hasattr(function, "lifecycle") and hasattr(function, "run"):
        allowed = parameter_names(function.run)
        if wrong := [f"{key}=" for key in kwargs if key not in allowed]:
            raise ValueError(f"{role} is an engine, whose run() takes {', '.join(allowed)}, not {', '.join(wrong)}.")
        return UserCallable(function.run, f"run of {function.lifecycle.name}", False, dict(kwargs), False, function)
    if not callable(function):
        raise TypeError(f"{role} must be callable or an engine, got {function!r}.")
    check_runs_when_called(function, role)
    shown = getattr(function, "__name__", type(function).__name__)
    if shown == "<lambda>":
        if name is None:
            raise ValueError(f"{role} is a lambda, which has no name to show. Use a function, or pass label=.")
        shown = name
    return UserCallable(function, shown, _takes_engine(function, role, kwargs), dict(kwargs), keeps)


def _takes_engine(function: Callable[..., Any], role: str, kwargs: Mapping[str, Any]) -> bool:
    if accepts(function, None, **kwargs):
        return True
    if accepts(function, **kwargs):
        return False
    raise ValueError(
        f"{role} {getattr(function, '__qualname__', function)!r} takes parameters {parameter_names(function)} but "
        f"will be called with the engine, if it takes one{''.join(f', {key}=' for key in kwargs)}."
    )


def _errors(error: Errors) -> tuple[type[BaseException], ...]:
    errors = error if isinstance(error, tuple) else (error,)
    for kind in errors or (error,):
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"error={kind!r} must be an exception class, or a tuple of exception classes.")
    return errors


def _check_edge(edge: Any) -> None:
    if not isinstance(edge, Edge):
        hint = " Use add_path for several edges." if isinstance(edge, Path) else ""
        raise TypeError(f"{edge!r} is not an edge. Write one as A >> B.{hint}")
