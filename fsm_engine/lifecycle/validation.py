"""What makes a lifecycle graph valid: a table of rules, each with the sentence and the fix that a user reads.

Rules of the first kind hold after every edit: an edit that breaks one is refused. Those of the second kind are
about the whole, which takes several edits to build; a run is refused while one of them is broken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from fsm_engine._util.errors import LifecycleError
from fsm_engine._util.similar_names import similar_names
from fsm_engine.events.events import Event
from fsm_engine.events.placeholders import Unbound, UnboundError, how_to_bind
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import UserCallable
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import History, Transition, Trigger
from fsm_engine.lifecycle.bounds import CUT_SHORT, SCOPE_BOUNDS
from fsm_engine.lifecycle.traversal import possible_moves


@dataclass(frozen=True)
class Finding:
    """A rule that a graph breaks.

    Attributes:
        code: the name of the rule, such as ``stuck``.
        sentence: what is wrong, with the names of the phases and transitions.
        fix: what to do about it.
        is_error: whether it stops a run; a warning does not.
    """

    code: str
    sentence: str
    fix: str
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.sentence} {self.fix}"


def _no_phases(graph: Graph) -> Iterator[Finding]:
    if not graph.phases:
        yield Finding("no-phases", "there is no phase.", "The first is where a run starts and ends.")


def _phase_twice(graph: Graph) -> Iterator[Finding]:
    for number, phase in enumerate(graph.phases):
        if graph.index[phase.event] != number:
            yield Finding(
                "phase-twice", f"phase {phase} is there twice.", "Each phase stands for one event: leave one out."
            )


def _edge_to_nowhere(graph: Graph) -> Iterator[Finding]:
    scopes = {scope for phase in graph.phases if phase.scope is not None for scope in phase.scope.path}
    for transition in graph.transitions:
        for end in transition.edge.ends:
            if isinstance(end, Scope) and end not in scopes:
                yield Finding(
                    "edge-to-nowhere",
                    f"{transition} leads to or from the scope {end}, in which there is no phase.",
                    f"The scopes are {', '.join(sorted(map(str, scopes)))}.",
                )
            elif not isinstance(end, Scope) and end not in graph.index:
                yield Finding(
                    "edge-to-nowhere",
                    f"{transition} leads to or from {end}, which is no phase.",
                    f"The phases are {', '.join(graph.by_name)}.",
                )


def _trigger_without_signal(graph: Graph) -> Iterator[Finding]:
    for transition in graph.transitions:
        if (transition.trigger is Trigger.SIGNAL) != (transition.signal is not None):
            yield Finding(
                "signal",
                f"{transition}: a transition has a signal if, and only if, its trigger is SIGNAL.",
                "Give both, or neither.",
            )
        elif transition.error and transition.signal is not Signal.EXCEPTION:
            yield Finding("signal", f"{transition}: an error edge has the signal EXCEPTION.", "Give that one.")
        elif transition.signal is not None and isinstance(transition.target, History):
            yield Finding(
                "signal",
                f"{transition}: a signal leads to a phase, and {transition.target} is a scope.",
                "Lead to a phase, and from there back to the scope.",
            )


def _fired_otherwise(graph: Graph) -> Iterator[Finding]:
    for phase, exits in zip(graph.phases, graph.exits):
        seen: dict[Event | History, Transition] = {}
        for exit_ in (t for t in exits if t.trigger is Trigger.FIRED):
            if isinstance(exit_.target, History) or exit_.guard is not None:
                what = "has a guard" if exit_.guard is not None else f"leads to the scope {exit_.target}"
                yield Finding(
                    "fired",
                    f"{exit_} {what}, but is taken whenever its target is fired.",
                    "Leave the guard out, and name a phase as target.",
                )
            elif exit_.target in seen:
                yield Finding(
                    "fired",
                    f"{seen[exit_.target]} and {exit_} are taken when the same phase is fired in {phase}.",
                    "Leave one of them out.",
                )
            seen[exit_.target] = exit_


def _leaves_a_scope(graph: Graph) -> Iterator[Finding]:
    for transition in graph.transitions:
        if isinstance(transition.source, Scope) and transition.trigger is not Trigger.SIGNAL:
            yield Finding(
                "scope",
                f"{transition} leaves a whole scope, which takes an exception or a signal.",
                "Give it a signal, or leave from a phase.",
            )


def _leaves_rest(graph: Graph) -> Iterator[Finding]:
    for number, exits in enumerate(graph.automatic_exits):
        if number in graph.terminal:
            for exit_ in exits:
                yield Finding(
                    "dead-exit",
                    f"{exit_} can never be taken: a run rests in {graph.phases[number]} until the next one.",
                    "Leave from the phase to which the signal RUN leads.",
                )


def _duplicate_label(graph: Graph) -> Iterator[Finding]:
    for phase, exits in zip(graph.phases, graph.exits):
        seen: dict[str, Transition] = {}
        for exit_ in exits:
            other = seen.setdefault(exit_.label, exit_)
            if other is not exit_ and not _overrides(other, exit_):
                inherited = [f", one of them from the scope {t.via}" for t in (other, exit_) if t.via is not None]
                yield Finding(
                    "duplicate-label",
                    f"two exits of {phase} are labelled {exit_.label!r}{''.join(inherited[:1])}.",
                    "Give each a label of its own.",
                )


def _overrides(one: Transition, other: Transition) -> bool:
    """Say whether both answer to the same signal at different levels: the inner one goes before the outer."""
    return one.via != other.via and one.signal is other.signal is not None and not one.error and not other.error


def _dead_exit(graph: Graph) -> Iterator[Finding]:
    for exits in graph.automatic_exits:
        for earlier, later in pairwise(t for t in exits if t.via is None):
            if earlier.guard is not None:
                continue
            if later.guard is None:
                yield Finding(
                    "two-unguarded-exits",
                    f"{earlier} and {later} have no guard, so the second can never be taken.",
                    "Give one of them a guard, or take one out with remove_transition.",
                )
            else:
                yield Finding(
                    "dead-exit",
                    f"{later} can never be taken: {earlier} comes before it and has no guard.",
                    "Put the exit without a guard last.",
                )


def _unfireable(graph: Graph) -> Iterator[Finding]:
    for phase, fired in zip(graph.phases, graph.fired_exits):
        number = graph.index[phase.event]
        for transition in fired.values():
            if not phase.may_fire and number not in graph.fired_phases:
                yield Finding(
                    "nobody-fires",
                    f"{transition} is taken when an activity fires it, and {phase} has none that could.",
                    f"Make {_name(transition.target)} a phase that the engine walks to, "
                    f"add_phase({transition.target}, activity=...), before you connect it.",
                )


def _fired_with_activity(graph: Graph) -> Iterator[Finding]:
    for number in sorted(graph.fired_phases):
        phase = graph.phases[number]
        if phase.activity is not None:
            yield Finding(
                "two-activities",
                f"{phase} is entered while an activity runs that fires it, and has an activity of its own.",
                "Let the engine walk to it, or leave its activity out.",
            )


def _no_start(graph: Graph) -> Iterator[Finding]:
    if Signal.RUN not in graph.signal_exits[0]:
        yield Finding(
            "no-start",
            f"no run can start: no transition with the signal RUN leaves the first phase, {graph.phases[0]}.",
            "Add one, as from IDLE to STARTED.",
        )


def _unreachable(graph: Graph) -> Iterator[Finding]:
    reached = _reached(graph)
    lost = [phase.name for number, phase in enumerate(graph.phases) if number not in reached]
    if lost:
        yield Finding(
            "unreachable", f"nothing leads to {', '.join(lost)}.", "Add a transition, or leave the phase out."
        )


def _reached(graph: Graph) -> set[int]:
    return _from([0], lambda number: _targets(graph, graph.exits[number]))


def _from(starts: Iterable[int], following: Callable[[int], Iterable[int]]) -> set[int]:
    """Return the phases that come after `starts`, those included."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        new = set(following(waiting.pop())) - found
        found |= new
        waiting += new
    return found


def _targets(graph: Graph, exits: Iterable[Transition]) -> list[int]:
    """Return the phases that `exits` lead to, history left out."""
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
                f"Leave the guard of the last one, {automatic[-1]}, out.",
            )
        elif not automatic and not graph.fired_exits[number]:
            yield Finding(
                "stuck",
                f"{phase} gets stuck: no automatic exit leaves it.",
                f"Add one, add_transition({phase.event} >> ...), or those of another phase, "
                f"add_exits({phase.event}, like=...).",
            )


def _namesakes(graph: Graph) -> Iterator[Finding]:
    seen: dict[str, Event] = {}
    for phase in graph.phases:
        if phase.name in seen:
            yield Finding(
                "namesakes",
                f"{phase.event!r} has the name of {seen[phase.name]!r}, but is another phase.",
                "Give it another name if that is not what you want.",
                is_error=False,
            )
        seen[phase.name] = phase.event


def _never_taken(graph: Graph) -> Iterator[Finding]:
    taken = {(exit_.via or exit_.source, exit_.label) for exits in possible_moves(graph) for exit_ in exits}
    for transition in graph.transitions:
        if (transition.source, transition.label) in taken:
            continue
        if transition.error:
            why = "the error edges that are tried before it take all that it would"
            fix = "Leave one of them out, or give the earlier one a limit or a guard."
        else:
            why = "edges of inner scopes answer its signal, or it has to wait while a step fires phases"
            fix = "Leave it out, or leave from a phase that the engine walks to."
        yield Finding("dead-exit", f"{transition} can never be taken: {why}.", fix)


def _endless(graph: Graph) -> Iterator[Finding]:
    own = [_own_exits(graph, number) for number in range(len(graph.phases))]
    ends = [
        number
        for number, exits in enumerate(own)
        if not exits or number in graph.terminal or any(isinstance(exit_.target, History) for exit_ in exits)
    ]
    endless = sorted(_reached(graph) - _leading_to(graph, ends))
    if endless and graph.terminal:
        names = ", ".join(graph.phases[number].name for number in endless)
        yield Finding(
            "endless",
            f"from {names} a run does not come to an end by itself.",
            "Add an exit with a guard, as to COMPLETED, unless a handler is to end it with engine.terminate().",
            is_error=False,
        )


def _leading_to(graph: Graph, ends: Iterable[int], but: Iterable[int] = ()) -> set[int]:
    """Return the phases from which a run may come to `ends` by itself, those included, other than through `but`."""
    before: defaultdict[int, list[int]] = defaultdict(list)
    for number in set(range(len(graph.phases))).difference(but):
        for target in _targets(graph, _own_exits(graph, number)):
            before[target].append(number)
    return _from(set(ends).difference(but), lambda number: before[number])


def _own_exits(graph: Graph, number: int) -> list[Transition]:
    """Return the exits that a run takes by itself, without signals and errors."""
    return [exit_ for exit_ in graph.exits[number] if exit_.signal is None]


def _unannounced(graph: Graph) -> Iterator[Finding]:
    silent = {scope: _unannounced_in(graph, scope) for scope in SCOPE_BOUNDS if SCOPE_BOUNDS[scope][1] in graph.index}
    for number, phase in enumerate(graph.phases):
        for exit_ in _own_exits(graph, number):
            for target in _targets(graph, [exit_]):
                left = [s for s in silent if s.contains(phase.scope) and _leaves(graph, s, target)]
                scopes = [scope for scope in left if target in silent[scope]]
                if scopes:
                    yield _left_silently(exit_, scopes)


def _leaves(graph: Graph, scope: Scope, target: int) -> bool:
    """Say whether a run in `scope` that goes to `target` leaves it, or begins it anew."""
    phase = graph.phases[target]
    return phase.event is SCOPE_BOUNDS[scope][0] or not scope.contains(phase.scope)


def _unannounced_in(graph: Graph, scope: Scope) -> set[int]:
    """Return the phases that lead past the end of `scope` without its completed event: back into it, or too far."""
    outer = scope.parent
    past = [
        number
        for number, phase in enumerate(graph.phases)
        if scope.contains(phase.scope) or (outer is not None and not outer.contains(phase.scope))
    ]
    announced = (SCOPE_BOUNDS[scope][1], *CUT_SHORT)
    return _leading_to(graph, past, but=[graph.index[event] for event in announced if event in graph.index])


def _left_silently(exit_: Transition, scopes: Iterable[Scope]) -> Finding:
    completed = ", ".join(SCOPE_BOUNDS[scope][1].name for scope in scopes)
    return Finding(
        "unannounced",
        f"{exit_} leaves {' and '.join(map(str, scopes))} without {completed}, whose handlers are not called.",
        f"Lead to {completed.partition(',')[0]}, or to TERMINATE to end the run early.",
        is_error=False,
    )


def _similar_names(graph: Graph) -> Iterator[Finding]:
    for one, other in similar_names(phase.name for phase in graph.phases):
        yield Finding(
            "confusable",
            f"the names of the phases {one} and {other} are easily taken for each other.",
            "Make one phase of them if it is a slip, or give one another name.",
            is_error=False,
        )


def _unbound(graph: Graph) -> Iterator[Finding]:
    codes = [code for p in graph.phases for code in (*p.entry, p.activity, p.defer)]
    codes += [code for t in graph.transitions for code in (t.guard, t.action)]
    things = [
        thing for code in codes if isinstance(code, UserCallable) for thing in (code.function, *code.kwargs.values())
    ]
    keys = [thing.key for thing in (*codes, *things) if isinstance(thing, Unbound)]
    keys += [kind.key for t in graph.transitions for kind in t.error if issubclass(kind, UnboundError)]
    if keys:
        yield unbound_finding(keys)


def unbound_finding(keys: Iterable[str]) -> Finding:
    """Return the finding that a file names things of the user's by `keys`, and nobody has bound them."""
    names = list(dict.fromkeys(keys))
    are = "is" if len(names) == 1 else "are"
    sentence = f"the lifecycle was read from a file, and {', '.join(names)} in it {are} not bound."
    return Finding("unbound", sentence, how_to_bind(names))


Rule = Callable[[Graph], Iterator[Finding]]

FOR_EVERY_EDIT: tuple[Rule, ...] = (
    _no_phases,
    _phase_twice,
    _edge_to_nowhere,
    _trigger_without_signal,
    _fired_otherwise,
    _leaves_a_scope,
    _duplicate_label,
    _dead_exit,
    _leaves_rest,
    _unfireable,
    _fired_with_activity,
)
FOR_EVERY_RUN: tuple[Rule, ...] = (
    _no_start,
    _unreachable,
    _stuck,
    _never_taken,
    _endless,
    _unannounced,
    _namesakes,
    _similar_names,
    _unbound,
)


def findings(graph: Graph) -> list[Finding]:
    """Return what is wrong with `graph`; rules about the whole are looked at when those of edits hold."""
    found = list(_first_broken(graph, FOR_EVERY_EDIT))
    return found or [finding for rule in FOR_EVERY_RUN for finding in rule(graph)]


def _first_broken(graph: Graph, rules: Iterable[Rule]) -> Iterable[Finding]:
    """Return what the first broken rule finds: a rule may rely on those before it."""
    return next((found for rule in rules if (found := list(rule(graph)))), [])


def raise_first(graph: Graph, rules: Iterable[Rule]) -> None:
    """Raise for the first error that `rules` find in `graph`.

    Raises:
        LifecycleError: with the sentence and the fix.
    """
    for rule in rules:
        for finding in rule(graph):
            if finding.is_error:
                raise LifecycleError(str(finding))


def _name(end: Event | Scope | History) -> str:
    return str(getattr(end, "name", end))
