"""The text of the function that runs a lifecycle: ``run(engine, at) -> at``, written from the graph.

Each phase is a block that is passed over when the run is already further on, so what usually comes next is
reached by falling through. A block has two parts: entering (entry action, handlers) at position ``2 * k``, and
going on (activity, exits) at ``2 * k + 1``. What nobody observes leaves no code. After everything of the user's
that ran, one look at ``signals.needs_attention`` says whether the function has to return where it is: a signal is
pending, or handlers came or went. What to do then is decided in one place, outside (`Engine.run`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from fsm_engine.compiler.loops import Loop, find_loops, open_exits
from fsm_engine.dispatch.entries import EventEntry, HandlerWrapper
from fsm_engine.dispatch.handler_calls import names_of_calls, text_of_calls
from fsm_engine.dispatch.step_moves import announce_move, return_to_history, stuck_error
from fsm_engine.graph.code import NAMES, Code, CodeFragment, UserCallable, code_name, runs_user_code
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import IDLE_POSITION, after_handlers, before
from fsm_engine.graph.transitions import Transition, Trigger

Lines = list[str]


class Specialization(NamedTuple):
    """What a function is emitted for: which phases are observed, and what is known beforehand.

    Attributes:
        slots: the slots with handlers, by the number of their phase.
        settled: the value of each settled guard of the graph.
        told: whether observers are told of each move.
        callbacks: whether callback events may be fired, which ``engine.last_event_name`` has to tell from phases.
        passed: the slots that an automatic exit calls when it is taken, by the number of its phase and its label.
    """

    entries: Mapping[int, EventEntry]
    static_values: tuple[bool, ...]
    is_observed: bool
    has_callback_events: bool
    move_entries: Mapping[tuple[int, str], tuple[EventEntry, ...]] = MappingProxyType({})

    @property
    def key(self) -> tuple[Any, ...]:
        """What the text depends on, apart from the graph."""
        shapes = tuple([(number, entry.counter, entry.shape) for number, entry in self.entries.items()])
        return shapes, self.static_values, self.is_observed, self.has_callback_events, tuple(self.move_entries)

    def bound_objects(
        self, graph: Graph, moves: Mapping[int, Any], around: Iterable[HandlerWrapper] = (), notify: Any = None
    ) -> list[Any]:
        """Return the objects that the function refers to by the names that `names_bound` gives them.

        What each of `around` makes of a handler stands in for it; `notify` is called with each move.
        """
        entries = [thing for entry in self.entries.values() for thing in entry.bound_objects(around, by_hand=False)]
        tables = [moves[number] for number in firing_phases(graph)]
        return [*entries, *self.move_entries.values(), *tables, *([notify] if self.is_observed else [])]

    def bound_names(self, graph: Graph) -> list[str]:
        """Return names for the objects of `bound`, in its order."""
        names = [name for number, entry in self.entries.items() for name in names_of_calls(str(number), entry.handlers)]
        passed = [f"move_entries{number}" for number in range(len(self.move_entries))]
        notify = ["notify"] if self.is_observed else []
        return [*names, *passed, *(f"moves{number}" for number in firing_phases(graph)), *notify]


def firing_phases(graph: Graph) -> list[int]:
    """Return the phases whose activity fires phases, and is not itself part of another's."""
    return [number for number, fired in enumerate(graph.fired_exits) if fired and number not in graph.fired_phases]


@dataclass
class CodeGenerator:
    """The text of one function, and the objects of the graph that it names."""

    graph: Graph
    specialization: Specialization
    names: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        value = dict(zip(self.graph.static_guards, self.specialization.static_values))
        self.exits = open_exits(self.graph, value.__getitem__)
        self.static_values = value
        self.loops = find_loops(self.exits)
        self.move_entry_names = {
            key: f"move_entries{number}" for number, key in enumerate(self.specialization.move_entries)
        }
        self.walked_phases = {
            self.graph.index.get(t.target)  # type: ignore[arg-type]
            for t in self.graph.transitions
            if t.trigger is not Trigger.FIRED
        }

    def text(self) -> str:
        """Write the function."""
        unpacked = self.specialization.bound_names(self.graph)
        prologue = [f"({', '.join(unpacked)},) = bound"] if unpacked else []
        body = self._blocks([number for number in sorted(self.exits) if number], None)
        return "\n".join(["def run(engine, at, bound):", *_indented(_assignments(body) + prologue + body), ""])

    def _blocks(self, numbers: Sequence[int], loop: Loop | None) -> Lines:
        lines: Lines = []
        inner = {inside.first: inside for inside in self.loops if inside.parent == loop}
        done = 0
        for number in numbers:
            if number < done:
                continue
            if number in inner:
                inside = inner[number]
                lines += self._loop([n for n in numbers if inside.contains(n)], inside)
                done = inside.last + 1
            else:
                lines += self._phase(number, loop)
        return lines

    def _loop(self, numbers: Sequence[int], loop: Loop) -> Lines:
        body = self._blocks(numbers, loop)
        lines = [f"if at <= {after_handlers(loop.last)}:", "    while True:", *_indented(body, 2)]
        return lines + self._after(numbers, loop)

    def _after(self, numbers: Sequence[int], loop: Loop) -> Lines:
        """Sort out where a break out of `loop` leads, unless it is further down in the loop around it."""
        around = loop.parent
        targets = {t for n in numbers for _, t in self.exits[n] if t > 0 and not loop.contains(t)}
        if around is None:
            return []
        lines: Lines = []
        if not all(around.contains(target) for target in targets):
            lines += [f"if not {before(around.first)} <= at <= {after_handlers(around.last)}:", "    break"]
        if any(around.contains(target) and target < loop.first for target in targets):
            lines += [f"if at < {before(loop.first)}:", "    continue"]
        return lines

    def _phase(self, number: int, loop: Loop | None) -> Lines:
        phase, entry = self.graph.phases[number], self.specialization.entries.get(number)
        entering: Lines = []
        if number not in self.graph.fired_phases or number in self.walked_phases:
            entering = [line for action in phase.entry for line in self._statements(action)]
            entering += self._call_handlers(number, phase, entry) if entry is not None else []
        going_on = self._activity(number, phase) + self._exits(number, phase, loop)
        lines = [_comment(phase.name).strip()]
        if entering:
            lines += [f"if at <= {before(number)}:", *_indented(entering)]
        if going_on:
            lines += [f"if at <= {after_handlers(number)}:", *_indented(going_on)]
        return lines if entering or going_on else []

    def _call_handlers(self, number: int, phase: Phase, entry: EventEntry) -> Lines:
        keywords = [f"{name}={text}" for name, text in phase.payload.keywords.items()]
        return [
            *self._set_position(before(number)),
            *text_of_calls(str(number), entry, phase.payload.positional, keywords),
            "if signals.needs_attention:",
            f"    return {after_handlers(number)}",
        ]

    def _set_position(self, at: int) -> Lines:
        return [
            f"cursor.position = {at}",
            *(["cursor.callback_event = None"] if self.specialization.has_callback_events else []),
        ]

    def _activity(self, number: int, phase: Phase) -> Lines:
        lines: Lines = []
        if number in self.graph.recovery_phases and not phase.payload.positional:
            lines.append("failure.error = None  # what its traceback holds is free before the activity")
        if runs_user_code(phase.activity) or self._may_fail_to_decide(number):
            lines += self._set_position(after_handlers(number))
        if phase.activity is None:
            return lines
        if number in firing_phases(self.graph):
            lines.append(f"cursor.activity_position, cursor.moves = {after_handlers(number)}, moves{number}")
        lines += self._run_activity(phase.activity)
        if number in firing_phases(self.graph):
            lines.append("cursor.moves = None")
        return lines

    def _may_fail_to_decide(self, number: int) -> bool:
        """Say whether a guard or action calls something, whose error has to find the run here."""
        return any(
            not isinstance(code, CodeFragment) or bool(code.names)
            for transition, _ in self.exits[number]
            for code in (transition.guard, transition.action)
            if code is not None
        )

    def _run_activity(self, activity: Code) -> Lines:
        if isinstance(activity, UserCallable) and activity.sets_output:
            return [
                f"value = {self._call(activity)}{_comment(activity.name)}",
                "if value is not None:",
                "    engine.state.output = value",
            ]
        return self._statements(activity)

    def _exits(self, number: int, phase: Phase, loop: Loop | None) -> Lines:
        exits = self.exits[number]
        moved = self._after_fired_moves(number, loop) if number in firing_phases(self.graph) else []
        if not exits and not moved:
            is_terminal = number in self.graph.terminal
            return [f"return {after_handlers(number)}"] if is_terminal else self._stuck()
        look = phase.defer is not None or runs_user_code(phase.activity) or number in self.graph.fired_phases
        arms = [(self._condition(t), self._take_exit(number, t, target, look, loop)) for t, target in exits]
        return _branches([*moved, *(arms or [(None, self._stuck())])])

    def _after_fired_moves(self, number: int, loop: Loop | None) -> list[tuple[str | None, Lines]]:
        """Write what follows an activity that has fired phases: go on from where it is."""
        inside, waiting = set(), [number]
        while waiting:
            for event in self.graph.fired_exits[waiting.pop()]:
                target = self.graph.index[event]
                if target not in inside:
                    inside.add(target)
                    waiting.append(target)
        falls = all(target > number and (loop is None or loop.contains(target)) for target in inside)
        lines = ["at = cursor.position"] if falls else ["return cursor.position"]
        return [(f"cursor.position != {after_handlers(number)}", lines)]

    def _stuck(self) -> Lines:
        self.names["stuck_error"] = stuck_error
        return ["raise stuck_error(engine)"]

    def _condition(self, transition: Transition) -> str | None:
        guard = transition.guard
        if guard is None or (isinstance(guard, CodeFragment) and guard in self.static_values):
            return None
        if isinstance(guard, CodeFragment):
            self.names.update(guard.names)
            return guard.text
        return self._call(guard)

    def _take_exit(self, number: int, transition: Transition, target: int, look: bool, loop: Loop | None) -> Lines:
        if target < 0:
            self.names["return_to_history"] = return_to_history
            edge = self._named("edge", transition)
            return [*self._set_position(after_handlers(number)), f"return return_to_history(engine, {edge})"]
        lines = self._statements(transition.action) if transition.action is not None else []
        passed = self.move_entry_names.get((number, transition.label))
        if passed is not None:
            self.names["announce_move"] = announce_move
            lines += self._set_position(after_handlers(number))
            lines.append(f"announce_move(engine, {self._named('edge', transition)}, {passed})")
        elif self.specialization.is_observed:
            lines.append(f"cursor.position = {after_handlers(number)}")
            lines.append(f"notify(engine, {self._named('edge', transition)})")
        if look or passed is not None or (transition.action is not None and runs_user_code(transition.action)):
            lines += ["if signals.needs_attention:", f"    return {before(target) or IDLE_POSITION}"]
        return lines + self._jump(number, target, loop)

    def _jump(self, number: int, target: int, loop: Loop | None) -> Lines:
        to = f"at = {before(target)}" + _comment(self.graph.phases[target].name)
        if target == 0:
            return [f"cursor.position = {after_handlers(number)}", f"return {IDLE_POSITION}"]
        if loop is not None and not loop.contains(target):
            return [to, "break"]
        if target <= number:
            return [to, "continue"]
        skipped = any(number < other < target for other in self.exits)
        return [to] if skipped else []

    def _statements(self, code: Code) -> Lines:
        if isinstance(code, CodeFragment):
            self.names.update(code.names)
            return code.text.splitlines()
        return [f"{self._call(code)}{_comment(code_name(code))}"]

    def _call(self, code: Code) -> str:
        if not isinstance(code, UserCallable):
            return f"{self._named('call', code)}(engine)"
        given = ["engine"] if code.takes_engine else []
        given += [f"**{self._named('kwargs', code.kwargs)}"] if code.kwargs else []
        return f"{self._named('call', code.function)}({', '.join(given)})"

    def _named(self, kind: str, thing: Any) -> str:
        for name, known in self.names.items():
            if known is thing:
                return name
        name = f"{kind}{len(self.names)}"
        self.names[name] = thing
        return name


def _assignments(body: Lines) -> Lines:
    """Write the assignments of those `NAMES` that `body` uses."""
    used = set(re.findall(r"\w+", "\n".join(body)))
    return [f"{name} = {value}" for name, value in NAMES.items() if name in used]


def _comment(name: str) -> str:
    """Write a name of the user's behind a line, if it is one that can do no harm there."""
    return f"  # {name}" if name.isidentifier() else ""


def _branches(arms: Sequence[tuple[str | None, Lines]]) -> Lines:
    """Write guarded arms as one ``if``; the last has no condition. An arm without lines just falls through."""
    condition, lines = arms[0]
    if condition is None:
        return lines
    rest = _branches(arms[1:])
    if not lines:
        return [f"if not ({condition}):", *_indented(rest)] if rest else []
    otherwise = ["else:", *_indented(rest)] if rest and not _leaves(lines) else rest
    return [f"if {condition}:", *_indented(lines), *otherwise]


def _leaves(lines: Lines) -> bool:
    return lines[-1] in ("continue", "break") or lines[-1].startswith(("return ", "raise "))


def _indented(lines: Sequence[str], depth: int = 1) -> Lines:
    return ["    " * depth + line for line in lines]
