"""Code generation: the text of the function that runs a lifecycle, ``run(engine, position, bound) -> position``.

Each phase is a block under ``if position <= ...``, which is skipped if the run is already past it, so the usual next
phase is reached by falling through. A block has two parts: the entry actions and handlers at position ``2 * k``, and
the activity and exits at position ``2 * k + 1``. Events without handlers add no code. After each call of users' code
the function reads the flag ``signals.needs_attention`` and returns its position if a signal is pending or handlers have
changed; the loop in `Engine.run` handles all of these and calls the function again.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from fsm_engine.compiler.loops import Loop, find_loops, open_exits
from fsm_engine.dispatch.entries import EventEntry, HandlerWrapper
from fsm_engine.dispatch.handler_calls import names_of_calls, text_of_calls
from fsm_engine.dispatch.step_moves import announce_move, return_to_history, stuck_error
from fsm_engine.graph.code import Code, CodeFragment, UserCallable, assignments, code_name, is_static, runs_user_code
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase
from fsm_engine.graph.positions import IDLE_POSITION, after_handlers, before
from fsm_engine.graph.transitions import Transition, Trigger
from fsm_engine.lifecycle.step_parts import COMPLETE_STEP, end_of_step

Lines = list[str]

_GROUP_SIZE = 32
"""How many blocks of phases lie in one ``if`` statement of a large graph."""


class Specialization(NamedTuple):
    """The handlers, observers and constants for which a function is generated.

    Attributes:
        entries: the event entries with handlers, by phase number.
        static_values: the value of each static guard of the graph.
        is_observed: True if the function calls observers with each move.
        has_callback_events: True if callback events are registered; ``engine.last_event_name`` depends on them.
        move_entries: the event entries whose handlers an automatic exit calls, by phase number and label.
    """

    entries: Mapping[int, EventEntry]
    static_values: tuple[bool, ...]
    is_observed: bool
    has_callback_events: bool
    move_entries: Mapping[tuple[int, str], tuple[EventEntry, ...]] = MappingProxyType({})

    @property
    def key(self) -> tuple[Any, ...]:
        """The key of the generated text among all texts of one graph."""
        shapes = tuple([(number, entry.counter, entry.shape) for number, entry in self.entries.items()])
        return shapes, self.static_values, self.is_observed, self.has_callback_events, tuple(self.move_entries)

    def bound_objects(
        self, graph: Graph, moves: Mapping[int, Any], wrappers: Iterable[HandlerWrapper] = (), notify: Any = None
    ) -> list[Any]:
        """Return the objects of the names that `bound_names` returns, in the same order.

        Args:
            graph: the graph of the function.
            moves: the moves that may be made by firing, by phase number.
            wrappers: each of them wraps every handler.
            notify: the function to call with each move, if `is_observed`.
        """
        objects: list[Any] = []
        for entry in self.entries.values():
            objects += entry.bound_objects(wrappers, takes_arguments=False)
        objects += self.move_entries.values()
        for number in firing_phases(graph):
            objects.append(moves[number])
        if self.is_observed:
            objects.append(notify)
        return objects

    def bound_names(self, graph: Graph) -> list[str]:
        """Return the names that the function binds to `bound_objects`."""
        names = [name for number, entry in self.entries.items() for name in names_of_calls(str(number), entry.handlers)]
        move_entries = [f"move_entries{number}" for number in range(len(self.move_entries))]
        tables = [f"moves{number}" for number in firing_phases(graph)]
        return [*names, *move_entries, *tables, *(["notify"] if self.is_observed else [])]


def firing_phases(graph: Graph) -> list[int]:
    """Return the numbers of the phases whose activity may fire phases, except phases that are fired themselves."""
    if not graph.fired_phases:
        return []
    return [number for number, fired in enumerate(graph.fired_exits) if fired and number not in graph.fired_phases]


class CodeGenerator:
    """Generates the text of one function.

    Attributes:
        names: the objects of the graph that the text refers to, by name.
        bound: the names of objects by `id`.
        numbers: the reachable phases in order.
        firing: the phases whose activity may fire phases, except phases that are fired themselves.
        inner_loops: the loops directly inside each loop, by their first phases; None for the outermost loops.
    """

    def __init__(self, graph: Graph, specialization: Specialization) -> None:
        self.graph, self.specialization = graph, specialization
        self.names: dict[str, Any] = {}
        self.bound: dict[int, str] = {}
        self.exits = open_exits(graph, dict(zip(graph.static_guards, specialization.static_values)))
        self.numbers = sorted(self.exits)
        self.firing = set(firing_phases(graph))
        self.inner_loops: defaultdict[int | None, dict[int, Loop]] = defaultdict(dict)
        for loop in find_loops(self.exits):
            self.inner_loops[loop.parent.first if loop.parent else None][loop.first] = loop
        self.move_entry_names = {key: f"move_entries{number}" for number, key in enumerate(specialization.move_entries)}
        self.walked_phases = {
            graph.index.get(t.target)  # type: ignore[arg-type]
            for t in graph.transitions
            if t.trigger is not Trigger.FIRED
        }

    def text(self) -> str:
        """Return the text of the function."""
        body = self._blocks([number for number in self.numbers if number], None)
        lines = assignments(body) + _unpacking(self.specialization.bound_names(self.graph)) + body
        return "\n".join(["def run(engine, position, bound):", *_indented(lines), ""])

    def _blocks(self, numbers: Sequence[int], loop: Loop | None) -> Lines:
        blocks: list[tuple[int, Lines]] = []
        inner_loops = self.inner_loops[loop.first if loop else None]
        index = 0
        while index < len(numbers):
            number = last = numbers[index]
            inner = inner_loops.get(number)
            stop = index + 1
            if inner is None:
                lines = self._phase(number, loop)
            else:
                last, stop = inner.last, bisect_right(numbers, inner.last)
                lines = self._loop(numbers[index:stop], inner)
            if lines:
                blocks.append((last, lines))
            index = stop
        return _grouped(blocks)

    def _loop(self, numbers: Sequence[int], loop: Loop) -> Lines:
        body = self._blocks(numbers, loop)
        lines = [f"if position <= {after_handlers(loop.last)}:", "    while True:", *_indented(body, 2)]
        return lines + self._after_loop(numbers, loop)

    def _after_loop(self, numbers: Sequence[int], loop: Loop) -> Lines:
        """Return the lines after `loop`: where to jump, unless the target is further down in the parent loop."""
        parent = loop.parent
        if parent is None:
            return []
        targets = {t for n in numbers for _, t in self.exits[n] if t > 0 and not loop.contains(t)}
        lines: Lines = []
        if not all(parent.contains(target) for target in targets):
            lines += [f"if not {before(parent.first)} <= position <= {after_handlers(parent.last)}:", "    break"]
        if any(parent.contains(target) and target < loop.first for target in targets):
            lines += [f"if position < {before(loop.first)}:", "    continue"]
        return lines

    def _phase(self, number: int, loop: Loop | None) -> Lines:
        phase, entry = self.graph.phases[number], self.specialization.entries.get(number)
        entering: Lines = []
        if number not in self.graph.fired_phases or number in self.walked_phases:
            entering = [line for action in phase.entry for line in self._entry_action(number, action)]
            entering += self._call_handlers(number, phase, entry) if entry is not None else []
        leaving = self._activity(number, phase) + self._exits(number, phase, loop)
        lines = [_comment(phase.name).strip()]
        if entering:
            lines += [f"if position <= {before(number)}:", *_indented(entering)]
        if leaving:
            lines += [f"if position <= {after_handlers(number)}:", *_indented(leaving)]
        return lines if entering or leaving else []

    def _entry_action(self, number: int, action: Code) -> Lines:
        position = self._set_position(before(number)) if runs_user_code(action) else []
        return [*position, *self._statements(action)]

    def _call_handlers(self, number: int, phase: Phase, entry: EventEntry) -> Lines:
        keywords = [f"{name}={text}" for name, text in phase.payload.keywords.items()]
        return [
            *self._set_position(before(number)),
            *text_of_calls(str(number), entry, phase.payload.positional, keywords),
            "if signals.needs_attention:",
            f"    return {after_handlers(number)}",
        ]

    def _set_position(self, position: int) -> Lines:
        return [
            f"cursor.position = {position}",
            *(["cursor.callback_event = None"] if self.specialization.has_callback_events else []),
        ]

    def _activity(self, number: int, phase: Phase) -> Lines:
        lines: Lines = []
        if number in self.graph.recovery_phases and not phase.payload.positional:
            lines.append("failure.error = None  # frees the objects of its traceback before the activity")
        if runs_user_code(phase.activity) or self._exits_may_raise(number):
            lines += self._set_position(after_handlers(number))
        if phase.activity is None:
            return lines
        if number in self.firing:
            lines.append(f"cursor.activity_position, cursor.moves = {after_handlers(number)}, moves{number}")
        lines += self._run_activity(number, phase.activity)
        if number in self.firing:
            lines.append("cursor.moves = None")
        return lines

    def _exits_may_raise(self, number: int) -> bool:
        """Return True if a guard or action calls a function. If that raises, the cursor must be at this phase."""
        if any(end_of_step(self.graph, number, target) is COMPLETE_STEP for _, target in self.exits[number]):
            return True
        return any(
            not isinstance(code, CodeFragment) or bool(code.names)
            for transition, _ in self.exits[number]
            for code in (transition.guard, transition.action)
            if code is not None
        )

    def _run_activity(self, number: int, activity: Code) -> Lines:
        is_part = number in self.graph.step_phases  # then its result is ignored
        if isinstance(activity, UserCallable) and activity.sets_output and not is_part:
            return [
                f"value = {self._call(activity)}{_comment(activity.name)}",
                "if value is not None:",
                "    engine.state.output = value",
            ]
        return self._statements(activity)

    def _exits(self, number: int, phase: Phase, loop: Loop | None) -> Lines:
        exits = self.exits[number]
        after_moves = self._after_fired_moves(number, loop) if number in self.firing else []
        if not exits and not after_moves:
            is_terminal = number in self.graph.terminal
            return [f"return {after_handlers(number)}"] if is_terminal else self._stuck()
        runs = runs_user_code(phase.activity) or number in self.graph.fired_phases
        branches = [
            (self._condition(t), self._take_exit(number, t, target, runs or self._stops_deferring(phase, target), loop))
            for t, target in exits
        ]
        return _if_chain([*after_moves, *(branches or [(None, self._stuck())])])

    def _stops_deferring(self, phase: Phase, target: int) -> bool:
        """Return True if signals that waited in `phase` may be handled in the target of an exit."""
        return phase.defer is not None and (target < 0 or phase.defer != self.graph.phases[target].defer)

    def _after_fired_moves(self, number: int, loop: Loop | None) -> list[tuple[str | None, Lines]]:
        """Return the branch for an activity that has fired phases: continue from the last one."""
        fired, pending = set(), [number]
        while pending:
            for event in self.graph.fired_exits[pending.pop()]:
                target = self.graph.index[event]
                if target not in fired:
                    fired.add(target)
                    pending.append(target)
        falls_through = all(target > number and (loop is None or loop.contains(target)) for target in fired)
        lines = ["position = cursor.position"] if falls_through else ["return cursor.position"]
        return [(f"cursor.position != {after_handlers(number)}", lines)]

    def _stuck(self) -> Lines:
        self.names["stuck_error"] = stuck_error
        return ["raise stuck_error(engine)"]

    def _condition(self, transition: Transition) -> str | None:
        guard = transition.guard
        if guard is None or is_static(guard):  # open_exits has dropped the exits whose static guard is false
            return None
        if isinstance(guard, CodeFragment):
            self.names.update(guard.names)
            return guard.text
        return self._call(guard)

    def _take_exit(self, number: int, transition: Transition, target: int, checks: bool, loop: Loop | None) -> Lines:
        if target < 0:
            self.names["return_to_history"] = return_to_history
            edge = self._bind("edge", transition)
            return [*self._set_position(after_handlers(number)), f"return return_to_history(engine, {edge})"]
        lines = self._statements(transition.action) if transition.action is not None else []
        move_entries = self.move_entry_names.get((number, transition.label))
        if move_entries is not None:
            self.names["announce_move"] = announce_move
            lines += self._set_position(after_handlers(number))
            lines.append(f"announce_move(engine, {self._bind('edge', transition)}, {move_entries})")
        elif self.specialization.is_observed:
            lines.append(f"cursor.position = {after_handlers(number)}")
            lines.append(f"notify(engine, {self._bind('edge', transition)})")
        step_end = end_of_step(self.graph, number, target)
        if step_end is not None:
            lines += self._statements(step_end)
        if checks or move_entries is not None or runs_user_code(transition.action):
            lines += ["if signals.needs_attention:", f"    return {before(target) or IDLE_POSITION}"]
        return lines + self._jump(number, target, loop)

    def _jump(self, number: int, target: int, loop: Loop | None) -> Lines:
        to = f"position = {before(target)}" + _comment(self.graph.phases[target].name)
        if target == 0:
            return [f"cursor.position = {after_handlers(number)}", f"return {IDLE_POSITION}"]
        if loop is not None and not loop.contains(target):
            return [to, "break"]
        if target <= number:
            return [to, "continue"]
        skipped = bisect_left(self.numbers, target) - bisect_right(self.numbers, number) > 0
        return [to] if skipped else []

    def _statements(self, code: Code) -> Lines:
        if isinstance(code, CodeFragment):
            self.names.update(code.names)
            return code.text.splitlines()
        return [f"{self._call(code)}{_comment(code_name(code))}"]

    def _call(self, code: Code) -> str:
        if not isinstance(code, UserCallable):
            return f"{self._bind('call', code)}(engine)"
        arguments = ["engine"] if code.takes_engine else []
        arguments += [f"**{self._bind('kwargs', code.kwargs)}"] if code.kwargs else []
        return f"{self._bind('call', code.function)}({', '.join(arguments)})"

    def _bind(self, kind: str, thing: Any) -> str:
        """Return the name of `thing` in the text; add one if it has none."""
        name = self.bound.get(id(thing))
        if name is None:
            name = self.bound[id(thing)] = f"{kind}{len(self.names)}"
            self.names[name] = thing
        return name


def _grouped(blocks: Sequence[tuple[int, Lines]]) -> Lines:
    """Return the lines of `blocks`, each with the number of its last phase.

    Many blocks are put into groups, and these into groups, so that a move between distant phases of a large graph
    skips groups instead of blocks.
    """
    if len(blocks) <= _GROUP_SIZE:
        return [line for _, lines in blocks for line in lines]
    groups: list[tuple[int, Lines]] = []
    for start in range(0, len(blocks), _GROUP_SIZE):
        members = blocks[start : start + _GROUP_SIZE]
        last = members[-1][0]
        body = _indented([line for _, lines in members for line in lines])
        groups.append((last, [f"if position <= {after_handlers(last)}:", *body]))
    return _grouped(groups)


def _unpacking(names: Sequence[str]) -> Lines:
    """Return the assignment of the bound objects to `names`."""
    return ["(", *_indented(textwrap.wrap(", ".join(names) + ",", 110)), ") = bound"] if names else []


def _comment(name: str) -> str:
    """Return a user's name as a comment; nothing unless it is an identifier, because other text could become code."""
    return f"  # {name}" if name.isidentifier() else ""


def _if_chain(branches: Sequence[tuple[str | None, Lines]]) -> Lines:
    """Return one ``if`` statement of `branches` up to the first without a condition. Empty branches fall through."""
    end = next(number for number, (condition, _) in enumerate(branches) if condition is None)
    rest, is_one_if = branches[end][1], False
    for condition, lines in reversed(branches[:end]):
        if not lines:
            rest = [f"if not ({condition}):", *_indented(rest)] if rest else []
            is_one_if = True
        elif not rest or _jumps(lines):
            is_one_if = not rest
            rest = [f"if {condition}:", *_indented(lines), *rest]
        else:
            otherwise = [f"el{rest[0]}", *rest[1:]] if is_one_if else ["else:", *_indented(rest)]
            rest, is_one_if = [f"if {condition}:", *_indented(lines), *otherwise], True
    return rest


def _jumps(lines: Lines) -> bool:
    return lines[-1] in ("continue", "break") or lines[-1].startswith(("return ", "raise "))


def _indented(lines: Sequence[str], depth: int = 1) -> Lines:
    return ["    " * depth + line for line in lines]
