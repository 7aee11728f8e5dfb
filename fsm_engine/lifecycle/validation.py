"""Check lifecycle graphs against a table of rules; each rule reports the problem and its fix.

The rules in `FOR_EVERY_EDIT` hold after every edit: an edit that breaks one raises. Each looks at one phase with its
exits, or at one transition, so only the changed part of a graph is checked after an edit. The rules in `FOR_EVERY_RUN`
are about the whole graph, which takes several edits to build: a run raises while the graph breaks one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine._util.similar_names import similar_names
from fsm_engine.events.events import Event, name_of
from fsm_engine.events.placeholders import Unbound, UnboundError, how_to_bind
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.bounds import SCOPE_BOUNDS, TERMINATIONS
from fsm_engine.lifecycle.graph_view import GraphView, WholeGraph
from fsm_engine.lifecycle.traversal import possible_moves

_SHOWN = 20
"""How many findings an error shows."""


@dataclass(frozen=True)
class Finding:
    """Report that a graph breaks a rule.

    Attributes:
        code: name of the problem, such as ``stuck``.
        message: the problem, with the names of the phases and transitions.
        fix: how to repair it.
        is_error: whether a run raises because of it; otherwise it is a warning.

    Example:
        >>> lifecycle = Lifecycle("unfinished")
        >>> lifecycle.add_phase("WORK", activity=lambda engine: None)
        >>> finding = lifecycle.check()[0]
        >>> finding.code, finding.is_error
        ('unreachable', True)
    """

    code: str
    message: str
    fix: str
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.message} {self.fix}"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        return Findings([self])._repr_mimebundle_()


class Findings(list[Finding]):
    """A list of findings that notebooks show as a table, and IPython in a terminal as one line each."""

    def _text(self) -> str:
        return "\n".join(f"{_severity(finding)} {finding.code}: {finding}" for finding in self) or "no problems found"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(self._text())

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, mimebundle, table

        def html() -> str:
            rows = [(_severity(one), one.code, one.message, one.fix) for one in self]
            if not rows:
                return block('<p class="note">No problems found.</p>')
            return block(f'<div class="findings">{table(("", "rule", "problem", "fix"), rows)}</div>')

        return mimebundle(self._text, html)


def _severity(finding: Finding) -> str:
    return "error" if finding.is_error else "warning"


def _no_phases(view: GraphView) -> Iterator[Finding]:
    if view.is_empty():
        yield Finding("no-phases", "the lifecycle has no phases.", "Add one: a run starts and ends in the first phase.")


def _phase_twice(view: GraphView) -> Iterator[Finding]:
    seen: set[Event] = set()
    for phase in view.phases:
        if phase.event in seen:
            yield phase_twice_finding(phase.event)
        seen.add(phase.event)


def phase_twice_finding(event: Event) -> Finding:
    """Return the finding that two phases have this event."""
    message = f"two phases have the event {name_of(event)}."
    return Finding("duplicate-phase", message, "Remove one: an event has one phase.")


def _unknown_end(view: GraphView) -> Iterator[Finding]:
    for transition in view.transitions:
        for end in transition.edge.ends:
            if view.has_end(end):
                continue
            if isinstance(end, Scope):
                yield Finding(
                    "unknown-end",
                    f"{transition} starts or ends in the scope {end}, which has no phases.",
                    f"The scopes are {', '.join(sorted(map(str, view.scopes())))}.",
                )
            else:
                yield Finding(
                    "unknown-end",
                    f"{transition} starts or ends in {end}, which is not a phase.",
                    f"The phases are {', '.join(view.names())}.",
                )


def _trigger_without_signal(view: GraphView) -> Iterator[Finding]:
    for transition in view.transitions:
        if (transition.trigger is Trigger.SIGNAL) != (transition.signal is not None):
            yield Finding(
                "signal",
                f"{transition} needs both trigger=Trigger.SIGNAL and signal=, or neither.",
                "Set both, or remove one.",
            )
        elif transition.error and transition.signal is not Signal.EXCEPTION:
            yield Finding("signal", f"{transition} is an error edge without the signal EXCEPTION.", "Set it.")
        elif transition.signal is not None and isinstance(transition.target, History):
            yield Finding(
                "signal",
                f"{transition} has a signal, whose target must be a phase; {transition.target} is a scope.",
                "Add a phase as the target, and a transition from there to the scope.",
            )


def _ambiguous_fired_exit(view: GraphView) -> Iterator[Finding]:
    for phase in view.phases:
        seen: dict[Event | History, Transition] = {}
        for exit_ in (t for t in view.exits(phase) if t.trigger is Trigger.FIRED):
            if isinstance(exit_.target, History) or exit_.guard is not None:
                obstacle = "a guard" if exit_.guard is not None else f"the scope {exit_.target} as target"
                yield Finding(
                    "fired",
                    f"{exit_} has {obstacle}, but it is taken whenever its target is fired.",
                    "Remove the guard, and use a phase as the target.",
                )
            elif exit_.target in seen:
                yield Finding(
                    "fired",
                    f"{seen[exit_.target]} and {exit_} leave {phase} when the same phase is fired.",
                    "Remove one of them.",
                )
            seen[exit_.target] = exit_


def _scope_without_signal(view: GraphView) -> Iterator[Finding]:
    for transition in view.transitions:
        if isinstance(transition.source, Scope) and transition.trigger is not Trigger.SIGNAL:
            yield Finding(
                "scope",
                f"{transition} leaves a scope, but has neither a signal nor an error.",
                "Give it one, or use a phase as the source.",
            )


def _exit_of_terminal(view: GraphView) -> Iterator[Finding]:
    for phase in view.phases:
        exits = view.exits(phase)
        if any(t.signal is Signal.RUN and not t.error for t in exits):
            for exit_ in (t for t in exits if t.trigger is Trigger.AUTOMATIC):
                yield Finding(
                    "dead-exit",
                    f"{exit_} can never be taken: the next run leaves {phase} by the signal RUN.",
                    "Use the target of that signal as the source.",
                )


def _duplicate_label(view: GraphView) -> Iterator[Finding]:
    for phase in view.phases:
        seen: dict[str, Transition] = {}
        for exit_ in view.exits(phase):
            other = seen.setdefault(exit_.label, exit_)
            if other is not exit_ and not _overrides(other, exit_):
                inherited = [f", one of them from the scope {t.via}" for t in (other, exit_) if t.via is not None]
                yield Finding(
                    "duplicate-label",
                    f"two exits of {phase} have the label {exit_.label!r}{''.join(inherited[:1])}.",
                    "Give one of them another label.",
                )


def _overrides(one: Transition, other: Transition) -> bool:
    """Return True if both have the same signal at different levels, where the inner transition takes precedence."""
    return one.via != other.via and one.signal is other.signal is not None and not one.error and not other.error


def _dead_exit(view: GraphView) -> Iterator[Finding]:
    for phase in view.phases:
        own = [t for t in view.exits(phase) if t.via is None and t.trigger is Trigger.AUTOMATIC]
        for earlier, later in pairwise(own):
            if earlier.guard is not None:
                continue
            if later.guard is None:
                yield Finding(
                    "two-unguarded-exits",
                    f"{earlier} and {later} both have no guard, so the second can never be taken.",
                    "Give one of them a guard, or remove one with remove_transition.",
                )
            else:
                yield Finding(
                    "dead-exit",
                    f"{later} can never be taken: {earlier} comes first and has no guard.",
                    "Move the exit without a guard to the end.",
                )


def _unfireable(view: GraphView) -> Iterator[Finding]:
    for phase in view.phases:
        if phase.may_fire or view.is_fired(phase.event):
            continue
        for transition in (t for t in view.exits(phase) if t.trigger is Trigger.FIRED):
            yield Finding(
                "unfireable",
                f"{transition} needs an activity in {phase} that fires its target.",
                f"Add the target with add_phase({transition.target}, activity=...) before you connect it, so that "
                "the engine enters it by itself.",
            )


def _fired_with_activity(view: GraphView) -> Iterator[Finding]:
    for phase in view.phases:
        if phase.activity is not None and view.is_fired(phase.event):
            yield Finding(
                "two-activities",
                f"{phase} has an activity, but is fired while the activity of another phase runs.",
                "Remove its activity, or do not make it a fired phase.",
            )


def _no_start(graph: Graph) -> Iterator[Finding]:
    if Signal.RUN not in graph.signal_exits[0]:
        yield Finding(
            "no-start",
            f"no run can start: the first phase, {graph.phases[0]}, has no exit with the signal RUN.",
            "Add one, such as the transition from IDLE to STARTED.",
        )


def _unreachable(graph: Graph) -> Iterator[Finding]:
    reachable = _reachable(graph)
    names = [phase.name for number, phase in enumerate(graph.phases) if number not in reachable]
    if names:
        yield Finding("unreachable", f"no path leads to {', '.join(names)}.", "Add a transition, or remove the phase.")


def _reachable(graph: Graph) -> set[int]:
    return _closure([0], lambda number: _targets(graph, graph.exits[number]))


def _closure(starts: Iterable[int], neighbours: Callable[[int], Iterable[int]]) -> set[int]:
    """Return `starts` and all phases that `neighbours` leads to from there."""
    found = set(starts)
    stack = list(found)
    while stack:
        new = set(neighbours(stack.pop())) - found
        found |= new
        stack += new
    return found


def _targets(graph: Graph, exits: Iterable[Transition]) -> list[int]:
    """Return the targets of `exits`, edges into history excluded."""
    return [graph.index[exit_.target] for exit_ in exits if not isinstance(exit_.target, History)]


def _stuck(graph: Graph) -> Iterator[Finding]:
    for number, phase in enumerate(graph.phases):
        automatic = graph.automatic_exits[number]
        if number in graph.terminal:
            continue
        if automatic and automatic[-1].guard is not None:
            yield Finding(
                "stuck",
                f"{phase} may get stuck: each of its automatic exits has a guard.",
                f"Remove the guard of the last exit, {automatic[-1]}.",
            )
        elif not automatic and not graph.fired_exits[number]:
            yield Finding(
                "stuck",
                f"{phase} gets stuck: it has no automatic exit.",
                f"Add one with add_transition({phase.event} >> ...), or copy the exits of another phase with "
                f"add_exits({phase.event}, like=...).",
            )


def _same_name(graph: Graph) -> Iterator[Finding]:
    seen: dict[str, Event] = {}
    for phase in graph.phases:
        if phase.name in seen:
            yield Finding(
                "same-name",
                f"{seen[phase.name]!r} and {phase.event!r} are two phases with the same name.",
                "Rename one of them, unless both are intended.",
                is_error=False,
            )
        seen[phase.name] = phase.event


def _never_taken(graph: Graph) -> Iterator[Finding]:
    taken = {(exit_.via or exit_.source, exit_.label) for exits in possible_moves(graph) for exit_ in exits}
    for transition in graph.transitions:
        if (transition.source, transition.label) in taken:
            continue
        if transition.error:
            reason = "the error edges tried before it take all of its exceptions"
            fix = "Remove one of them, or give the earlier one a limit or a guard."
        else:
            reason = "inner scopes have edges for its signal, or its source is a fired phase, where signals wait"
            fix = "Remove it, or use a source that is not fired."
        yield Finding("dead-exit", f"{transition} can never be taken: {reason}.", fix)


def _endless(graph: Graph) -> Iterator[Finding]:
    exits_of = [_exits_without_signal(graph, number) for number in range(len(graph.phases))]
    ends = [
        number
        for number, exits in enumerate(exits_of)
        if not exits or number in graph.terminal or any(isinstance(exit_.target, History) for exit_ in exits)
    ]
    endless = sorted(_reachable(graph) - _leading_to(graph, ends))
    if endless and graph.terminal:
        names = ", ".join(graph.phases[number].name for number in endless)
        yield Finding(
            "endless",
            f"from {names} a run never ends by itself.",
            "Add an exit with a guard, such as to COMPLETED, or end the run in a handler with engine.terminate().",
            is_error=False,
        )


def _leading_to(graph: Graph, ends: Iterable[int], avoid: Iterable[int] = ()) -> set[int]:
    """Return `ends` and the phases from which a run may reach them without signals, errors and the phases `avoid`."""
    sources: defaultdict[int, list[int]] = defaultdict(list)
    for number in set(range(len(graph.phases))).difference(avoid):
        for target in _targets(graph, _exits_without_signal(graph, number)):
            sources[target].append(number)
    return _closure(set(ends).difference(avoid), lambda number: sources[number])


def _exits_without_signal(graph: Graph, number: int) -> list[Transition]:
    return [exit_ for exit_ in graph.exits[number] if exit_.signal is None]


def _skipped_completion(graph: Graph) -> Iterator[Finding]:
    skipping = {s: _skipping_completion(graph, s) for s in SCOPE_BOUNDS if SCOPE_BOUNDS[s][1] in graph.index}
    for number, phase in enumerate(graph.phases):
        for exit_ in _exits_without_signal(graph, number):
            for target in _targets(graph, [exit_]):
                left = [s for s in skipping if s.contains(phase.scope) and _leaves(graph, s, target)]
                scopes = [scope for scope in left if target in skipping[scope]]
                if scopes:
                    yield _skipped_completion_finding(exit_, scopes)


def _leaves(graph: Graph, scope: Scope, target: int) -> bool:
    """Return True if a move from `scope` to `target` leaves the scope or restarts it."""
    phase = graph.phases[target]
    return phase.event is SCOPE_BOUNDS[scope][0] or not scope.contains(phase.scope)


def _skipping_completion(graph: Graph, scope: Scope) -> set[int]:
    """Return the phases that lead back into `scope`, or out of its parent, without the completed event of `scope`."""
    outer = scope.parent
    beyond = [
        number
        for number, phase in enumerate(graph.phases)
        if scope.contains(phase.scope) or (outer is not None and not outer.contains(phase.scope))
    ]
    completions = (SCOPE_BOUNDS[scope][1], *TERMINATIONS)
    return _leading_to(graph, beyond, avoid=[graph.index[event] for event in completions if event in graph.index])


def _skipped_completion_finding(exit_: Transition, scopes: Iterable[Scope]) -> Finding:
    completed = ", ".join(SCOPE_BOUNDS[scope][1].name for scope in scopes)
    return Finding(
        "skipped-completion",
        f"{exit_} leaves {' and '.join(map(str, scopes))} without calling the handlers of {completed}.",
        f"Use {completed.partition(',')[0]} as the target, or TERMINATE to end the run early.",
        is_error=False,
    )


def _similar_names(graph: Graph) -> Iterator[Finding]:
    for one, other in similar_names(phase.name for phase in graph.phases):
        yield Finding(
            "similar-names",
            f"the phases {one} and {other} have names that are easily confused.",
            "Correct the name if it is a typing error, or rename one of them.",
            is_error=False,
        )


def _unbound(graph: Graph) -> Iterator[Finding]:
    codes = [code for p in graph.phases for code in (*p.entry, p.activity, p.defer)]
    codes += [code for t in graph.transitions for code in (t.guard, t.action)]
    objects = [
        value for code in codes if isinstance(code, UserCallable) for value in (code.function, *code.kwargs.values())
    ]
    keys = [value.key for value in (*codes, *objects) if isinstance(value, Unbound)]
    keys += [kind.key for t in graph.transitions for kind in t.error if issubclass(kind, UnboundError)]
    if keys:
        yield unbound_finding(keys)


def unbound_finding(keys: Iterable[str]) -> Finding:
    """Return the finding that the file of the lifecycle names objects of the user by `keys` that are not bound."""
    names = list(dict.fromkeys(keys))
    verb = "is" if len(names) == 1 else "are"
    message = f"{', '.join(names)} in the file of the lifecycle {verb} not bound."
    return Finding("unbound", message, how_to_bind(names))


FOR_EVERY_EDIT: tuple[Callable[[GraphView], Iterator[Finding]], ...] = (
    _no_phases,
    _phase_twice,
    _unknown_end,
    _trigger_without_signal,
    _ambiguous_fired_exit,
    _scope_without_signal,
    _duplicate_label,
    _dead_exit,
    _exit_of_terminal,
    _unfireable,
    _fired_with_activity,
)
FOR_EVERY_RUN: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    _no_start,
    _unreachable,
    _stuck,
    _never_taken,
    _endless,
    _skipped_completion,
    _same_name,
    _similar_names,
    _unbound,
)


def findings(graph: Graph) -> list[Finding]:
    """Return the findings for `graph`. `FOR_EVERY_RUN` is checked only if `FOR_EVERY_EDIT` holds."""
    return edit_findings(WholeGraph(graph)) or [finding for rule in FOR_EVERY_RUN for finding in rule(graph)]


def edit_findings(view: GraphView) -> list[Finding]:
    """Return the findings of `FOR_EVERY_EDIT` for the part of a graph that `view` shows."""
    return [finding for rule in FOR_EVERY_EDIT for finding in rule(view)]


def raise_errors(found: Iterable[Finding]) -> None:
    """Raise one error for all findings that are errors.

    Raises:
        LifecycleError: with the message and the fix of each finding, up to 20 of them.
    """
    messages = list(dict.fromkeys(str(finding) for finding in found if finding.is_error))
    if len(messages) == 1:
        raise LifecycleError(messages[0])
    if messages:
        shown = [f"- {message}" for message in messages[:_SHOWN]]
        more = [f"- and {len(messages) - _SHOWN} more"] if len(messages) > _SHOWN else []
        raise LifecycleError("\n".join([f"the lifecycle has {len(messages)} errors:", *shown, *more]))
