"""Edits of a lifecycle graph: how `Lifecycle.add_path` and other methods change its phases and transitions."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine._util.signatures import accepts, check_runs_when_called, parameter_names
from fsm_engine.events.edges import Edge, End, Path, name_of_end
from fsm_engine.events.events import Event, EventEnum, is_same
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, Payload, UserCallable
from fsm_engine.graph.phases import Phase, similar_phases
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.mutable_graph import MutableGraph
from fsm_engine.lifecycle.step_events import maker_hint
from fsm_engine.lifecycle.training import ITERATION_IS_OPEN, RETURN_TO_STARTED
from fsm_engine.lifecycle.validation import phase_twice_finding

_ERROR = Payload(keywords={"error": "failure.error"})

Errors = type[BaseException] | tuple[type[BaseException], ...]


class Draft(MutableGraph):
    """Graph during an edit; each phase in `unscoped` joins the scope of the phase that first leads to it.

    An edit looks at the exits of the phases that it connects. Only a phase that is listed anew takes along the phases
    that it alone leads to, so a chain that is connected from its end to its beginning costs O(n) per edge.
    """

    def add_phase(self, event: Event, activity: Code | None, scope: Scope | None, counter: str | None) -> None:
        """Add a phase that the engine enters along automatic transitions."""
        self._check_new(event)
        if scope is not None and not isinstance(scope, Scope):
            raise TypeError(f"scope={scope!r} must be a scope, such as Scope.RUN.")
        if scope is None:
            self.set_unscoped(event, True)
        self._put(event, activity, scope or Scope.RUN, counter)

    def _put(
        self,
        event: Event,
        activity: Code | None = None,
        scope: Scope | None = None,
        counter: str | None = None,
        after: Event | None = None,
    ) -> None:
        self.put_phase(_phase(event, activity, scope, counter), after)

    def add_path(self, path: Edge | Path, required: bool) -> None:
        """Add the edges of `path`, with new phases as fired phases of the activity in which the path starts."""
        if not isinstance(path, (Edge, Path)):
            raise TypeError(f"{path!r} is not a path. Write one as A >> B >> C.")
        for end in path.ends:
            if isinstance(end, Scope):
                raise LifecycleError(f"the path {path} contains the scope {end}. Use a phase of that scope.")
        events: list[Event] = list(path.ends)  # type: ignore[arg-type]
        if self.phase(events[0]) is None:
            raise LifecycleError(f"{self._unknown(events[0])} Start the path at one of them.")
        new: set[Event] = set()
        earlier = {events[0]}
        for before, event in pairwise(events):
            if self.phase(event) is None:
                new.add(event)
                self._put(event, scope=self._scope_of(before), after=before)
            elif event not in earlier:
                self._list_after(event, before)
            earlier.add(event)
        if required and len(path.ends) > 2:
            self._remove_direct_exit(events[0], events[-1])
        fired = {event for event in events if event in new or self.is_fired(event)}
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
        if not isinstance(source, Scope) and self.phase(source) is None:
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
            if self.phase(target) is None:
                self._put(target, scope=self._scope_of(source), after=source)
            self._list_after(target, source)
        fired = not isinstance(target, Scope) and self.is_fired(target)
        if fired and guard is not None:
            raise LifecycleError(f"{edge} is taken when {target} is fired, so it cannot have a guard. Omit guard=.")
        self._connect(edge, fired, guard, label, action, parallel=True)

    def insert(self, event: Event, after: Event, activity: Code | None, counter: str | None) -> None:
        """Add a phase that takes over the automatic exits of `after`, except one that returns to `after`."""
        self._check_new(event)
        scope = self._known(after).scope
        moved = [(number, t) for number, t in self._automatic(after) if t.action != RETURN_TO_STARTED]
        if not moved:
            raise LifecycleError(f"{after} has no automatic exits for {event} to take over. Use add_transition.")
        self._put(event, activity, scope, counter, after)
        for number, transition in moved:
            self.replace_transition(number, replace(transition, source=event))
        self._connect(Edge(after, event), fired=False)

    def insert_before(self, event: Event, before: Event, activity: Code | None, counter: str | None) -> None:
        """Add a phase that takes over the automatic transitions to `before`, except the exit to RESUMED.

        The phase joins the innermost scope that contains `before` and the phases that lead to it.
        """
        self._check_new(event)
        scope = self._known(before).scope
        entries = [(number, t) for number, t in self.into(before) if t.action != RETURN_TO_STARTED]
        moved = [(number, t) for number, t in entries if t.trigger is Trigger.AUTOMATIC]
        if any(t.trigger is Trigger.FIRED for _, t in entries):
            raise LifecycleError(
                f"{before} is fired by the step, so the engine cannot call {event} before it. Fire it from the step, "
                f"with add_path(A >> {event} >> {before}), where A is the phase before."
            )
        if not moved:
            raise LifecycleError(
                f"no automatic transition leads to {before}, so {event} cannot take one over. Use add_transition."
            )
        for _, transition in moved:
            scope = _common_scope(scope, self._scope_of(transition.source))  # type: ignore[arg-type]  # no scope
        self._put(event, activity, scope, counter, self.previous_phase(before))
        for number, transition in moved:
            has_default_label = transition.label == name_of_end(before).lower()
            label = self._label(Edge(transition.source, event)) if has_default_label else transition.label
            self.replace_transition(number, replace(transition, target=event, label=label))
        self._connect(Edge(event, before), fired=False)

    def replace_activity(self, event: Event, activity: Code | None) -> None:
        """Replace the activity of the phase of `event`."""
        phase = self._known(event)
        if self.previous_phase(event) is None:
            raise LifecycleError(f"{event} is the phase of an engine that does not run; it has no activity.")
        self.replace_phase(replace(phase, activity=activity))

    def add_exits(self, event: Event, like: Event) -> None:
        """Copy the automatic exits of `like` to `event`, without an exit that would repeat the activity of `event`."""
        has_activity = self._known(event).activity is not None
        self._known(like)
        for _, transition in self._automatic(like):
            if not (has_activity and transition.action == RETURN_TO_STARTED):
                self.put_transition(replace(transition, source=event))

    def _automatic(self, source: Event) -> list[tuple[int, Transition]]:
        return [(number, t) for number, t in self.exits(source) if t.trigger is Trigger.AUTOMATIC]

    def disconnect(self, edge: Edge, label: str | None) -> None:
        """Remove the transitions along `edge`, or only the one with `label`."""
        _check_edge(edge)
        exits = list(self.exits(edge.source))
        found = [number for number, t in exits if t.edge == edge and label in (None, t.label)]
        if not found:
            raise LifecycleError(
                f"the lifecycle has no transition {edge}{'' if label is None else f' with the label {label!r}'}. "
                f"The exits of {name_of_end(edge.source)} are: {', '.join(str(t) for _, t in exits) or 'none'}."
            )
        for number in found:
            self.remove_transition(number)

    def add_parts(self, parts: Iterable[Phase | Transition]) -> None:
        """Add phases and transitions after the existing ones."""
        for part in parts:
            if isinstance(part, Transition):
                self.put_transition(part)
            elif self.phase(part.event) is None:
                self.put_phase(part)
            else:
                raise LifecycleError(str(phase_twice_finding(part.event)))

    def remove_parts(self, parts: Iterable[Phase | Transition], owner: str) -> None:
        """Remove phases, and all transitions that are equal to one of `parts`; `owner` names the lifecycle."""
        numbers: dict[int, None] = {}
        phases: dict[Event, None] = {}
        for part in parts:
            found = isinstance(part, Transition) and [n for n, t in self.exits(part.source) if t == part]
            if found:
                numbers.update(dict.fromkeys(found))
            elif isinstance(part, Phase) and self.phase(part.event) == part:
                phases[part.event] = None
            else:
                raise LifecycleError(f"{part} is not in {owner}, so it cannot be removed.{_removal_hint(part)}")
        for number in numbers:
            self.remove_transition(number)
        for event in phases:
            self.remove_phase(event)

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
        if not parallel and any(t.edge == edge and t.trigger is trigger for _, t in self.exits(edge.source)):
            return
        self._add_exit(Transition(edge.source, _target(edge), label or self._label(edge), trigger, None, guard, action))

    def _add_exit(self, added: Transition) -> None:
        """Add `added` before an unguarded sibling if it has a guard, otherwise after all siblings."""
        siblings = list(self.exits(added.source))
        unguarded = (n for n, t in siblings if t.trigger is Trigger.AUTOMATIC and t.guard is None)
        before = next(unguarded, None) if added.guard is not None else None
        self.put_transition(added, before=before, after=siblings[-1][0] if siblings else None)

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
        phase = self.phase(target)
        if phase is None:
            self._put(target, scope=self._scope_around(source))
        elif target in self.unscoped and source not in self.unscoped:
            self._assign_scope(target, self._scope_around(source))
        phase = self._known(target)
        if phase.payload == Payload():
            self.replace_phase(replace(phase, payload=_ERROR))
        self._add_exit(
            Transition(
                source,
                target,
                label or self._label(edge),
                Trigger.SIGNAL,
                Signal.EXCEPTION,
                guard,
                action,
                errors,
                limit,
            )
        )

    def _label(self, edge: Edge) -> str:
        """Return a label that no exit from the same phases has: the name of the target, numbered if necessary."""
        name = name_of_end(edge.target).lower()
        used = {t.label for end in self._overlapping(edge.source) for _, t in self.exits(end)}
        number, label = 2, name
        while label in used:
            number, label = number + 1, f"{name}_{number}"
        return label

    def _overlapping(self, end: End) -> list[End]:
        """Return the phases and scopes that may contain a phase of `end`. For a scope, these are all phases in it."""
        if not isinstance(end, Scope):
            scope = self._scope_of(end)
            return [end, *(scope.path if scope is not None else ())]
        inner = [scope for scope in self.sources() if isinstance(scope, Scope) and end.contains(scope)]
        return [*dict.fromkeys([*end.path, *inner]), *self.members(end)]

    def _remove_direct_exit(self, source: Event, target: Event) -> None:
        edge = Edge(source, target)
        for number, transition in self._automatic(source):
            if transition.edge == edge and not transition.guard:
                self.remove_transition(number)

    def _list_after(self, event: Event, before: Event) -> None:
        """List a phase without sources after `before`, and assign the scope of `before` to an unscoped phase."""
        gets_scope = event in self.unscoped and before not in self.unscoped
        if gets_scope or not (is_same(event, before) or self.has_source(event)):
            self._move_after(event, before)
        if gets_scope:
            self._assign_scope(event, self._scope_of(before))

    def _move_after(self, event: Event, before: Event) -> None:
        """List a phase after `before`, followed by the phases that only it leads to: the order in which a run goes."""
        moved = {event, before}
        pending = [(event, before)]
        while pending:
            event, before = pending.pop()
            self.move_phase(event, before)
            targets = [target for target in self._targets(event) if target not in moved]
            inner = dict.fromkeys(target for target in targets if self._is_only_source(event, target))
            moved.update(inner)
            pending += [(target, event) for target in reversed(inner)]

    def _targets(self, event: Event) -> list[Event]:
        return [t.target for _, t in self.exits(event) if not isinstance(t.target, History)]

    def _is_only_source(self, event: Event, target: Event) -> bool:
        return all(is_same(transition.source, event) for _, transition in self.into(target))

    def _assign_scope(self, event: Event, scope: Scope | None) -> None:
        """Put an unscoped phase into `scope`, and the unscoped phases that it leads to into theirs."""
        pending = [(event, scope)]
        while pending:
            event, scope = pending.pop()
            if event not in self.unscoped:
                continue
            self.set_unscoped(event, False)
            phase = self._known(event)
            self.replace_phase(replace(_phase(event, phase.activity, scope, phase.counter), payload=phase.payload))
            inner: list[tuple[Event, Scope | None]] = []
            for _, transition in self.exits(event):
                target = transition.target
                if isinstance(target, History) or target not in self.unscoped:
                    continue
                if not transition.error and not self._is_only_source(event, target):
                    self._move_after(target, event)
                inner.append((target, self._scope_around(event) if transition.error else scope))
            pending += reversed(inner)

    def _scope_around(self, source: End) -> Scope | None:
        """Return the scope for the target of an error edge: the parent of the scope that failed, inside the run."""
        scope = source if isinstance(source, Scope) else self._scope_of(source)
        return scope if scope in (None, Scope.RUN, Scope.ENGINE) else scope.parent

    def _scope_of(self, event: Event) -> Scope | None:
        return self._known(event).scope

    def _known(self, event: Event) -> Phase:
        phase = self.phase(event)
        if phase is None:
            raise LifecycleError(self._unknown(event))
        return phase

    def _check_new(self, event: Any) -> None:
        if not isinstance(event, (EventEnum, str)):
            hint = " Remove its filter." if isinstance(getattr(event, "event", None), EventEnum) else ""
            raise TypeError(f"{event!r} cannot be a phase. Use a member of an EventEnum or a string.{hint}")
        if self.phase(event) is not None:
            raise LifecycleError(f"{event} already is a phase. Connect it with add_transition, or use another event.")

    def _unknown(self, event: End) -> str:
        hint = maker_hint(event) or similar_phases(name_of_end(event), self.graph.phases)
        return f"{event} is not a phase.{hint} The phases are {', '.join(self.names())}."


def _removal_hint(part: object) -> str:
    if isinstance(part, Edge):
        return f" To remove an edge, use remove_transition({part})."
    if isinstance(part, (str, EventEnum)):
        return " Give the phase itself, one of lifecycle.phases, and its transitions."
    return ""


def _target(edge: Edge) -> Event | History:
    return History(edge.target) if isinstance(edge.target, Scope) else edge.target


def _common_scope(one: Scope | None, other: Scope | None) -> Scope | None:
    """Return the innermost scope that contains both scopes; None if there is none."""
    shared = [scope for scope in (one.path if one else ()) if scope.contains(other)]
    return shared[-1] if shared else None


def _phase(event: Event, activity: Code | None, scope: Scope | None, counter: str | None) -> Phase:
    entry = () if counter is None else (count_action(counter),)
    defer = ITERATION_IS_OPEN if Scope.ITERATION.contains(scope) else None
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
