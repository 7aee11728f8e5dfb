"""SCXML: charts that the interpreter of another library runs as the engine did, and charts of other programs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycles import Building, plan_of

from fsm_engine import Engine, Events, History, Lifecycle, LifecycleError, Scope, Transition
from fsm_engine.events.edges import name_of_end

NS = "{http://www.w3.org/2005/07/scxml}"
OFTEN = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def echo(engine: Engine, batch: Any) -> Any:
    return batch


# Charts in the interpreter of python-statemachine


class Interpreter:
    """The SCXML interpreter of python-statemachine, with a chart."""

    def __init__(self, text: str) -> None:
        processor = pytest.importorskip("statemachine.io.scxml.processor").SCXMLProcessor()
        processor.parse_scxml("chart", text)
        self.machine = processor.start()

    @property
    def phase(self) -> str:
        """The id of the innermost active state."""
        return str(list(self.machine.configuration)[-1].id)

    def take(self, transition: Transition) -> str:
        """Send the event of `transition`, and return the id of the new innermost state."""
        source = transition.via if transition.via is not None else transition.source
        name = source.name if isinstance(source, Scope) else str(source)
        self.machine.send(f"{name}.{transition.label}")
        return self.phase


NOT_IN_A_RUN = (Events.INTERRUPT, Events.RESUMED, Events.EXCEPTION_RAISED)


def walk_of(engine: Engine) -> list[Transition]:
    walk: list[Transition] = []
    engine.observe(lambda _, transition: walk.append(transition))
    return walk


def test_the_interpreter_follows_a_run_of_several_epochs() -> None:
    engine = Engine(echo)
    walk = walk_of(engine)
    engine.run([1, 2, 3], max_epochs=2)
    chart = Interpreter(engine.lifecycle.to_scxml())
    assert chart.phase == "IDLE"
    assert [chart.take(step) for step in walk] == [str(step.target) for step in walk]
    assert chart.phase == engine.phase.name == "IDLE"
    assert {"got_batch", "step_done", "epoch_full", "nothing_left", "done"} <= {step.label for step in walk}


@pytest.mark.parametrize("event", [event for event in Events if event not in NOT_IN_A_RUN])
def test_the_interpreter_resumes_an_interrupted_run_at_the_same_phase(event: Events) -> None:
    engine = Engine(echo)
    walk = walk_of(engine)
    engine.add_event_handler(event(once=1), engine.interrupt)
    engine.run([1, 2], max_epochs=2, epoch_length=3)
    chart = Interpreter(engine.lifecycle.to_scxml())
    assert [chart.take(step) for step in walk] == [str(step.target) for step in walk]
    assert chart.phase == str(engine.phase.event)
    if engine.phase.event is Events.INTERRUPT:
        walk.clear()
        engine.run()
        assert [chart.take(step) for step in walk] == [str(step.target) for step in walk]
    assert chart.phase == "IDLE"


def test_terminate_and_exceptions_exit_whole_scopes() -> None:
    for stop in ("terminate", "terminate_epoch", "raise"):
        engine = Engine(echo)
        walk = walk_of(engine)
        engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: None)
        does = {"raise": lambda: 1 / 0}.get(stop) or getattr(engine, stop)
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), does)
        engine.run([1, 2, 3], max_epochs=2)
        chart = Interpreter(engine.lifecycle.to_scxml())
        assert [chart.take(step) for step in walk] == [str(step.target) for step in walk]


def replay(plan_seed: int) -> Counter[str]:
    """Run a random lifecycle, send its transitions to the interpreter, and count the compared moves by kind."""
    building = Building(plan_of(plan_seed), ("compiled",))
    if building.wrong:
        return Counter()
    walk = walk_of(building.engine)
    building.run()
    chart = Interpreter(building.engine.lifecycle.to_scxml())
    seen: Counter[str] = Counter()
    for step in walk:
        led = chart.take(step)
        if step.label == "resume" or History in map(type, _written(building, step)):
            seen["history"] += led == str(step.target)
            if led != str(step.target):  # the scope was never exited, or a state was loaded: the chart has no record
                return seen
        assert led == str(step.target), (plan_seed, str(step))
        seen["moves"] += 1
        seen["from a scope"] += step.via is not None
    return seen


def _written(building: Building, step: Transition) -> list[Any]:
    exits = building.engine.lifecycle.successors(step.source)
    return [exit_.target for exit_ in exits if (exit_.label, exit_.via) == (step.label, step.via)]


def test_the_interpreter_follows_random_runs() -> None:
    seen: Counter[str] = Counter()
    for seed in range(80):
        seen += replay(seed)
    assert seen["moves"] > 500
    assert seen["history"] > 5
    assert seen["from a scope"] > 5


# The structure of a chart


@settings(OFTEN, max_examples=40)
@given(st.integers(0, 2**64 - 1), st.sampled_from(("a b", "9", "-", "a.b.", "..", "é", "<&\"'>", "xml", "#2", "run")))
def test_a_chart_is_well_formed(seed: int, odd: str) -> None:
    lifecycle = Building(plan_of(seed), ("compiled",)).lifecycle
    lifecycle.add_phase(odd, scope=Scope(odd, Scope.RUN))
    lifecycle.add_phase(f"{odd}_", scope=Scope(odd, Scope.RUN))
    root = ET.fromstring(lifecycle.to_scxml())
    states = {state.get("id"): state for state in root.iter(f"{NS}state")}
    histories = {state.get("id"): state for state in root.iter(f"{NS}history")}
    ids = [element.get("id") for element in root.iter() if element.get("id") is not None]
    assert len(set(ids)) == len(ids) == len(states) + len(histories)
    assert all(re.fullmatch(r"[^\W\d][\w.-]*", id_) for id_ in ids)
    scopes = {scope for phase in lifecycle.phases if phase.scope for scope in phase.scope.path}
    assert len(states) == len(lifecycle.phases) + len(scopes)
    assert {element.tag for element in root.iter()} <= {
        f"{NS}{tag}" for tag in ("scxml", "state", "transition", "history")
    }
    for outer in [root, *(state for state in states.values() if state.find(f"{NS}state") is not None)]:
        assert outer.get("initial") in [child.get("id") for child in outer.findall(f"{NS}state")]
    moves = [(state, move) for state in states.values() for move in state.findall(f"{NS}transition")]
    assert len(moves) == len(lifecycle.transitions)
    assert len({move.get("event") for _, move in moves}) == len(moves)
    for state, move in moves:
        assert move.get("event").startswith(f"{state.get('id')}.")
        assert move.get("target") in states or move.get("target") in histories
        assert not {"cond"} & set(move.attrib)
    for history in histories.values():
        assert history.get("type") == "deep"
        assert [list(move.attrib) for move in history] == [["target"]]


# Charts of other programs


LIGHTS = """<?xml version="1.0"?>
<scxml xmlns="http://www.w3.org/2005/07/scxml" xmlns:qt="urn:editor" version="1.0" name="lights" initial="on">
  <qt:editor x="3"/>
  <state id="on" initial="red" qt:colour="grey">
    <transition event="off" target="dark"/>
    <transition event="done.state.on" target="dark"/>
    <state id="red"><transition event="timer" target="green"/></state>
    <state id="green">
      <transition event="timer" cond="cars &gt; 3" target="yellow"/>
      <transition event="wait" target="green"/>
    </state>
    <state id="yellow"><transition event="timer" target="red"/><transition event="broken" target="end"/></state>
    <final id="end"/>
  </state>
  <state id="dark">
    <initial><transition target="deep"/></initial>
    <state id="deep"><transition target="over"/></state>
  </state>
  <final id="over"/>
</scxml>
"""


def test_a_chart_of_another_program_becomes_a_lifecycle() -> None:
    lifecycle = Lifecycle.from_scxml(LIGHTS)
    on = Scope("on", Scope.RUN)
    assert lifecycle.name == "lights"
    assert [(p.event, p.scope) for p in lifecycle.phases if p.event not in Lifecycle("outer").graph.index] == [
        *((name, on) for name in ("red", "green", "yellow", "end")),
        ("deep", Scope("dark", Scope.RUN)),
        ("over", Scope.RUN),
    ]
    new = [t for t in lifecycle.transitions if t not in Lifecycle("outer").transitions]
    assert [f"[{t.guard.name}] {t}" if t.guard else str(t) for t in new] == [
        "STARTED --start--> red",
        "[off] red --off--> deep",
        "red --timer--> green",
        "[off] green --off--> deep",
        "[cars > 3] green --timer--> yellow",
        "green --wait--> green",
        "[off] yellow --off--> deep",
        "[timer] yellow --timer--> red",
        "yellow --broken--> end",
        "[off] end --off--> deep",
        "end --done.state.on--> deep",
        "deep --over--> over",
        "over --completed--> COMPLETED",
    ]
    assert [finding.code for finding in lifecycle.check()] == ["unbound"]


def test_a_chart_of_another_program_runs_with_guards_for_its_events() -> None:
    rounds = []

    def busy(engine: Engine) -> bool:
        rounds.append(engine.phase.name)
        return len(rounds) > 2

    never = {"off": lambda: False}
    lifecycle = Lifecycle.from_scxml(LIGHTS, bind={**never, "cars > 3": busy, "timer": lambda: len(rounds) < 4})
    engine = Engine(lifecycle=lifecycle)
    walk = walk_of(engine)
    engine.run()
    assert [name_of_end(step.target) for step in walk] == [
        *("STARTED", "red", "green", "green", "green", "yellow", "red", "green", "yellow"),
        *("end", "deep", "over", "COMPLETED", "IDLE"),
    ]


def chart(inside: str, attributes: str = "") -> str:
    return f'<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" {attributes}>\n{inside}\n</scxml>'


@pytest.mark.parametrize(
    ("inside", "fragments"),
    [
        ("<parallel id='p'/>", ("<parallel> is not supported", "active at once")),
        ("<state id='a'><invoke src='x'/></state>", ("<invoke> is not supported", "another program")),
        ("<script>boom()</script>", ("<script> is not supported", "code in a file is never run")),
        ("<state id='a'><onentry><log/></onentry></state>", ("<onentry> is not supported", "code")),
        (
            "<state id='a'><transition event='e' target='a'><raise event='x'/></transition></state>",
            ("<raise> is not supported",),
        ),
        (
            "<state id='a'><history id='h'><transition target='a'/></history></state>",
            ("<history> is not supported",),
        ),
        ("<state id='a'><transition event='e'/></state>", ("no target", "handler")),
        ("<state id='a'><transition event='e' target='a b'/></state>", ("'a b' has several targets",)),
        ("<state id='a'><transition event='e' target='B'/></state>", ("there is no state 'B'", "closest ids are a")),
        ("<state id='a'/><state id='a'/>", ("the id 'a' is a duplicate",)),
        ("<state id='a'/><transition target='a'/>", ("<transition> is not supported", "not legal here")),
        ("<state/>", ("<state> has no id",)),
        (
            "<state id='a' initial='b'><state id='c'/></state><state id='b'/>",
            ("initial state 'b' is not a child",),
        ),
        ("<state id='IDLE'/>", ("line 2, event: 'IDLE' is a duplicate", "phases[0].event")),
        ("<state id='a&#9;b'/>", ("event is 'a\\tb'", "printable")),
    ],
)
def test_unsupported_charts_are_refused_with_their_line(inside: str, fragments: tuple[str, ...]) -> None:
    with pytest.raises(LifecycleError) as error:
        Lifecycle.from_scxml(chart(inside))
    message = str(error.value)
    assert message.startswith("line 2")
    assert [fragment for fragment in fragments if fragment not in message] == [], message


def test_a_chart_without_states_is_refused() -> None:
    with pytest.raises(LifecycleError, match=r"^line 1: .*no states"):
        Lifecycle.from_scxml(chart(""))
    with pytest.raises(LifecycleError, match=r"^line 1: expected <scxml xmlns=.*, got <html>"):
        Lifecycle.from_scxml("<html/>")
