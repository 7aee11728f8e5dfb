"""The generated function: its walk through the graph, its source, and the cache of compiled functions."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from programs import Program, Recording, programs

import fsm_engine
from fsm_engine import History
from fsm_engine.compiler.cache import _caches, function_for
from fsm_engine.compiler.codegen import Specialization
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import IDLE, Phase
from fsm_engine.graph.positions import IDLE_POSITION, before, phase_at
from fsm_engine.graph.signals import Signal
from fsm_engine.graph.transitions import Transition, Trigger
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.runtime.cursor import Cursor


class Enough(Exception):
    """Ends a walk that is long enough to compare."""


@dataclass
class Tape:
    """A fake engine: guards read decisions from it, and it records moves."""

    decisions: list[bool]
    walk: list[str] = field(default_factory=list)
    state: Any = None
    _step: Any = None
    _cursor: Cursor = field(default_factory=Cursor)

    def decide(self) -> bool:
        if not self.decisions:
            raise Enough
        return self.decisions.pop()

    def note(self, transition: Transition) -> None:
        self.walk.append(str(transition))
        if len(self.walk) > 60:
            raise Enough


def interpret(graph: Graph, tape: Tape, number: int) -> None:
    """Walk `graph` from a phase step by step, as the reference for the generated function."""
    while number:
        exits = graph.automatic_exits[number]
        transition = next(t for t in exits if t.guard is None or t.guard(tape))  # type: ignore[operator]
        tape.note(transition)
        number = graph.index[transition.target]  # type: ignore[index]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph in which every phase is reachable, with loops of every shape."""
    count = draw(st.integers(1, 9))
    names = [IDLE, *(f"p{number}" for number in range(1, count + 1))]
    transitions = [Transition(IDLE, "p1", "run", Trigger.SIGNAL, Signal.RUN)]
    for number in range(1, count + 1):
        reaching = [names[number + 1]] if number < count else [IDLE]
        targets = draw(st.lists(st.sampled_from(names), max_size=3))
        place = draw(st.integers(0, len(targets)))
        exits = [*targets[:place], *reaching, *targets[place:]]
        for position, target in enumerate(exits):
            guard = None if position == len(exits) - 1 else Tape.decide
            transitions.append(Transition(names[number], target, f"{position}", guard=guard))
    order = draw(st.permutations(names[1:]))
    return Graph(tuple(Phase(name) for name in [IDLE, *order]), tuple(transitions))


@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(graphs(), st.lists(st.booleans(), max_size=80))
def test_the_generated_function_takes_the_same_walk_as_an_interpreter(graph: Graph, tape: list[bool]) -> None:
    expected, walked = Tape(list(tape)), Tape(list(tape))
    first = graph.index["p1"]
    function = function_for(graph, Specialization({}, (), is_observed=True, has_callback_events=False)).function
    try:
        interpret(graph, expected, first)
    except Enough:
        with pytest.raises(Enough):
            function(walked, before(first), [Tape.note])
    else:
        assert function(walked, before(first), [Tape.note]) == IDLE_POSITION
    assert walked.walk == expected.walk


@pytest.mark.parametrize(("decision", "last"), [(True, "p2"), (False, "p1")])
def test_an_exit_to_the_next_phase_falls_through(decision: bool, last: str) -> None:
    transitions = (
        Transition(IDLE, "p1", "run", Trigger.SIGNAL, Signal.RUN),
        Transition("p1", "p2", "on", guard=Tape.decide),
        Transition("p1", IDLE, "off"),
        Transition("p2", IDLE, "done"),
    )
    graph, tape = Graph((Phase(IDLE), Phase("p1"), Phase("p2")), transitions), Tape([decision])
    compiled = function_for(graph, Specialization({}, (), is_observed=False, has_callback_events=False))
    assert compiled.function(tape, before(1), []) == IDLE_POSITION
    assert graph.phases[phase_at(tape._cursor.position)].name == last


def test_a_pickled_graph_generates_the_same_source() -> None:
    twin = pickle.loads(pickle.dumps(TRAINING))
    assert (twin.phases, twin.transitions) == (TRAINING.phases, TRAINING.transitions)
    specialization = Specialization({}, (True,), is_observed=False, has_callback_events=False)
    assert function_for(twin, specialization).source == function_for(TRAINING, specialization).source


@hypothesis.settings(max_examples=300, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(programs())
def test_every_observed_walk_is_a_path_of_the_graph(program: Program) -> None:
    recording = Recording(fsm_engine, program)
    moves: list[Transition] = []
    recording.engine.observe(lambda engine, transition: moves.append(transition))
    recording.run()
    graph = recording.engine.lifecycle.graph
    edges = {(t.source, t.label): t for exits in graph.exits for t in exits}
    for move in moves:
        edge = edges[move.source, move.label]
        if isinstance(edge.target, History):
            assert edge.target.contains(graph.phases[graph.index[move.target]].scope)  # type: ignore[index]
        else:
            assert move == edge
    assert [move.source for move in moves[1:]] == [move.target for move in moves[:-1]]
    assert not moves or moves[0].source == IDLE


@hypothesis.settings(max_examples=300, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(programs())
def test_observing_changes_nothing(program: Program) -> None:
    recording = Recording(fsm_engine, program)
    recording.engine.observe(lambda engine, transition: None)
    assert recording.run().log == Recording(fsm_engine, program).run().log


def test_events_without_handlers_and_moves_without_observers_add_no_code() -> None:
    engine = Engine(lambda engine, batch: None)
    plain = engine.source
    assert "fire_count" not in plain
    assert "notify(" not in plain
    with engine.add_event_handler(Events.COMPLETED, lambda: None):
        assert engine.source.count("fire_count") == 1
    engine.run([1])
    with engine.observe(lambda engine, transition: None):
        automatic = [
            t
            for exits in engine.lifecycle.graph.automatic_exits
            for t in exits
            if t.label != "no_data" and not isinstance(t.target, History)
        ]
        assert engine.source.count("notify(engine") == len(automatic)
    engine.run(None, epoch_length=1)
    assert engine.source == plain


def test_a_run_without_data_has_no_code_for_batches() -> None:
    engine = Engine(lambda engine, batch: None)
    seen: list[str] = []
    engine.add_event_handler(Events.COMPLETED, lambda: seen.append(engine.source))
    engine.run(None, epoch_length=2)
    engine.run([1], max_epochs=2)
    assert ["next(" in source for source in seen] == [False, True]


def test_engines_with_handlers_of_equal_shape_share_one_function() -> None:
    one, other = Engine(lambda engine, batch: 1), Engine(lambda engine, batch: 2)
    for engine in (one, other):
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=3), lambda engine: None)
    assert one._current_program().compiled is other._current_program().compiled


def test_engines_share_a_function_in_whatever_order_their_handlers_were_attached() -> None:
    one, other = Engine(lambda engine, batch: 1), Engine(lambda engine, batch: 2)
    events = [Events.COMPLETED, Events.STARTED, Events.EPOCH_COMPLETED]
    called: list[str] = []
    for engine, order in ((one, events), (other, events[::-1])):
        engine.register_events("custom")
        for event in order:
            engine.add_event_handler(event, lambda event: called.append(event.name), event)
        engine.add_event_handler("custom", lambda: None)
    assert one._current_program().compiled is other._current_program().compiled
    for engine in (one, other):
        engine.run([1])
    assert called == ["STARTED", "EPOCH_COMPLETED", "COMPLETED"] * 2


def test_names_of_users_never_become_code() -> None:
    hostile = EventEnum("Hostile", {"a\nraise SystemExit": "x"})
    event = hostile["a\nraise SystemExit"]
    engine = Engine(lambda engine, batch: None)

    def guard(engine: Engine) -> bool:
        return False

    guard.__name__ = "1; raise SystemExit"
    home = next(t for t in engine.lifecycle.transitions if (t.source, t.target) == (Events.COMPLETED, IDLE))
    engine.lifecycle.remove(home)
    engine.lifecycle.add(
        Phase(event, activity=guard),
        Transition(Events.COMPLETED, event, "x\nraise SystemExit", guard=guard, action=guard),
        home,
        Transition(event, IDLE, "done"),
    )
    engine.register_events(hostile["a\nraise SystemExit"], event_to_attr={event: "y; raise SystemExit"})
    assert "SystemExit" not in engine.source
    assert engine.run([1]).iteration == 1


def test_tracebacks_show_the_generated_line() -> None:
    def step(engine: Engine, batch: Any) -> None:
        raise ValueError("here")

    engine = Engine(step)
    with pytest.raises(ValueError, match=r"^here\b") as error:
        engine.run([1])
    frames = traceback.extract_tb(error.value.__traceback__)
    names = [(frame.name, frame.line) for frame in frames][-2:]
    assert names == [("run", "engine.state.output = step(engine, state.batch)"), ("step", 'raise ValueError("here")')]


def test_there_is_one_generated_frame_between_run_and_the_step() -> None:
    stack: list[str] = []

    def step(engine: Engine, batch: Any) -> None:
        stack.extend(frame.name for frame in traceback.extract_stack())

    Engine(step).run([1])
    assert stack[-3:] == ["run", "run", "step"]


def test_the_cache_keeps_a_limited_number_of_functions() -> None:
    engine = Engine(lambda engine, batch: None)
    for _ in range(80):
        engine.add_event_handler(Events.COMPLETED, lambda: None)
        assert engine.source
    assert len(_caches[engine.lifecycle.graph]._functions) <= 64
