"""Files: what they look like, which are refused and how, and how large they may be."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine import (
    Engine,
    EventEnum,
    Events,
    Lifecycle,
    LifecycleError,
    Phase,
    Scope,
    Signal,
    Transition,
    Trigger,
)
from fsm_engine.graph.graph import Graph, Payload, Snippet
from fsm_engine.lifecycle.edits import called
from fsm_engine.serialization import library
from fsm_engine.serialization.files import READERS

GOLDENS = Path(__file__).parents[1] / "goldens"


class Ppo(EventEnum):
    """The phases of the small lifecycle."""

    COLLECT = "collect"
    LEARN = "learn"
    RETRY = "retry"


class SolverError(Exception):
    """What learning may raise."""


def collect(engine: Engine, steps: int, source: object) -> int:
    return steps


def learn() -> None: ...


def is_solved() -> bool:
    return True


SOURCE = object()


def small() -> Lifecycle:
    """Return a lifecycle with a bit of everything."""
    lifecycle = Lifecycle("ppo")
    rollout = Scope("roll.out", Scope.RUN)
    lifecycle.add_phase(Ppo.COLLECT, activity=collect, scope=rollout, counter="rounds", steps=64, source=SOURCE)
    lifecycle.add_phase(Ppo.LEARN, activity=learn, scope=rollout)
    lifecycle.add_path(Events.STARTED >> Ppo.COLLECT >> Ppo.LEARN >> Ppo.COLLECT)
    lifecycle.add_transition(Ppo.LEARN >> Events.COMPLETED, guard=is_solved, label="solved")
    lifecycle.add_transition(rollout >> Ppo.RETRY, error=(SolverError, MemoryError), limit=3)
    lifecycle.add_transition(Ppo.RETRY >> rollout)
    lifecycle.require(Ppo.COLLECT, before=Ppo.LEARN)
    return lifecycle


BIND = {
    "Ppo": Ppo,
    "collect": collect,
    "collect.source": SOURCE,
    "learn": learn,
    "is_solved": is_solved,
    "SolverError": SolverError,
}


@pytest.mark.parametrize("suffix", ["json", "graphml", "scxml"])
def test_a_file_looks_like_this(suffix: str) -> None:
    golden = GOLDENS / f"ppo.{suffix}"
    text = getattr(small(), f"to_{suffix}")()
    assert text == golden.read_text("utf-8")
    assert Lifecycle.load(golden, BIND) == small()
    assert Lifecycle.load(str(golden)) == Lifecycle.load(golden)


def test_every_format_that_is_written_is_loaded_by_its_suffix(tmp_path: Path) -> None:
    for suffix in READERS:
        file = tmp_path / f"any{suffix.upper()}"
        file.write_text("\ufeff" + getattr(small(), f"to_{suffix[1:]}")(), "utf-8")
        assert Lifecycle.load(file, bind=BIND) == small()


def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"any\.yaml ends in '\.yaml'. A lifecycle is read from \.json, \.graphml, \.sc"
    ):
        Lifecycle.load(tmp_path / "any.yaml")
    with pytest.raises(FileNotFoundError):
        Lifecycle.load(tmp_path / "any.json")
    (tmp_path / "any.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(LifecycleError, match=r"any\.json: byte 10 is not UTF-8\.$"):
        Lifecycle.load(tmp_path / "any.json")
    (tmp_path / "any.json").write_text("{")
    with pytest.raises(LifecycleError, match=r"any\.json: line 1, column 2: this is no JSON: Expecting property name"):
        Lifecycle.load(tmp_path / "any.json")


def test_reading_text_takes_text() -> None:
    for reader in (Lifecycle.from_json, Lifecycle.from_graphml, Lifecycle.from_scxml):
        with pytest.raises(TypeError, match=r"reads a string, got a bytes\. For a file, use Lifecycle\.load\(path\)"):
            reader(b"{}")
    with pytest.raises(TypeError, match=r"^bind=\[\] has to be a mapping of names to what they mean\.$"):
        Lifecycle.from_json(small().to_json(), bind=[])
    with pytest.raises(TypeError, match=r"^from_networkx reads a graph of networkx, got None\.$"):
        Lifecycle.from_networkx(None)


# JSON that is no lifecycle


def changed(**top: Any) -> dict[str, Any]:
    return {**small().to_dict(), **top}


def with_phase(**parts: Any) -> dict[str, Any]:
    document = small().to_dict()
    there = document["phases"][COLLECT] | parts
    document["phases"][COLLECT] = {key: value for key, value in there.items() if value is not None}
    return document


def with_transition(**parts: Any) -> dict[str, Any]:
    document = small().to_dict()
    there = document["transitions"][RETRY] | parts
    document["transitions"][RETRY] = {key: value for key, value in there.items() if value is not None}
    return document


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


COLLECT = [phase.event for phase in small().phases].index(Ppo.COLLECT)
RETRY = [transition.label for transition in small().transitions].index("retry")
PHASE, EDGE = f"phases[{COLLECT}]", f"transitions[{RETRY}]"
WRONG: dict[str, tuple[Any, str]] = {
    "a list": ([], "the whole is a list of 0, but has to be an object with 'fsm_engine.lifecycle' as 'format'."),
    "null": (None, "the whole is None, but has to be an object with 'fsm_engine.lifecycle' as 'format'."),
    "another format": ({"format": "x"}, "the whole: 'format' is 'x', but has to be 'fsm_engine.lifecycle'."),
    "no version": (changed(version=None), "the whole: 'version' is None, and this fsm_engine reads version 1."),
    "version 2": (changed(version=2), "the whole: 'version' is 2, and this fsm_engine reads version 1."),
    "version true": (changed(version=True), "the whole: 'version' is True, and this fsm_engine reads version 1."),
    "a typo": (
        changed(phase=[]),
        "the whole: 'phase' means nothing here. Legal are format, version, name, phases, transitions, step, required.",
    ),
    "nothing else": (
        {"format": "fsm_engine.lifecycle", "version": 1},
        "the whole: 'name' is missing. It has 'format', 'version'.",
    ),
    "phases a number": (changed(phases=3), "phases is 3, but has to be a list."),
    "no phases": (changed(phases=[], transitions=[], required=[]), "there is no phase."),
    "a phase of text": (changed(phases=["A"]), "phases[0] is 'A', but has to be an object with event."),
    "a scope of numbers": (with_phase(scope=[1]), f"{PHASE}.scope is a list of 1, but has to be a string of printable"),
    "an empty scope": (with_phase(scope="engine..run"), f"{PHASE}.scope is 'engine..run', but has to be a path of at"),
    "a deep scope": (with_phase(scope=".".join("a" * 9999)), f"{PHASE}.scope is 'a.a.a"),
    "an event twice": (
        with_phase(event="IDLE"),
        f"{PHASE}.event: 'IDLE' is there twice: phases[0].event has it, too.",
    ),
    "an unknown member": (with_phase(event="Events.ENDED"), f"{PHASE}.event: Events has no 'ENDED'. It has STARTED,"),
    "no name": (with_phase(event=""), f"{PHASE}.event is '', but has to be a string of printable characters."),
    "a zero byte": (with_phase(event="a\0"), f"{PHASE}.event is 'a\\x00', but has to be a string of printable"),
    "half a character": (
        with_phase(event="\ud800"),
        f"{PHASE}.event is '\\ud800', but has to be a string of printable",
    ),
    "a counter of code": (
        with_phase(counter="x = __import__('os')"),
        f"{PHASE}.counter: counter=\"x = __import__('os')\" has to be a name that an attribute can have",
    ),
    "a counter of the state": (with_phase(counter="epoch"), f"{PHASE}.counter: counter='epoch' is an attribute of eve"),
    "a payload of code": (
        with_phase(payload="__import__('os')"),
        f"{PHASE}.payload is \"__import__('os')\", but has to be one of error, error=, iter_counter=.",
    ),
    "an activity of a number": (
        with_phase(activity=1),
        f"{PHASE}.activity is 1, but has to be the name of the activity",
    ),
    "an activity of nothing": (with_phase(activity={}), f"{PHASE}.activity: 'call' is missing. It has nothing."),
    "entries of text": (with_phase(entry="x"), f"{PHASE}.entry is 'x', but has to be a list."),
    "arguments too deep": (
        with_phase(activity={"call": "f", "with": {"a": deep(40)}}),
        f"{PHASE}.activity.with is an object with 'a', but has to be an object of strings, numbers, lists and objects",
    ),
    "arguments of numbers": (
        with_phase(activity={"call": "f", "with_bound": {"a": 1}}),
        f"{PHASE}.activity.with_bound.a is 1, but has to be a string of printable characters.",
    ),
    "floating in words": (with_phase(floating="yes"), f"{PHASE}.floating is 'yes', but has to be true or false."),
    "from nowhere": (
        with_transition(**{"from_scope": None, "from": "Ppo.LEARM"}),
        f"{EDGE}.from: 'Ppo.LEARM' is no phase. The phases nearest to it in name are Ppo.LEARN,",
    ),
    "from two": (
        with_transition(**{"from": "IDLE"}),
        f"{EDGE}: one of 'from' and 'from_scope' has to be there, and not both.",
    ),
    "to no scope": (with_transition(to=None, to_history="engine.rum"), "in which there is no phase. The scopes are"),
    "a limit of nothing": (with_transition(limit=0), f"{EDGE}.limit is 0, but has to be a positive integer."),
    "a limit of text": (with_transition(limit="3"), f"{EDGE}.limit is '3', but has to be a positive integer."),
    "a limit without end": (with_transition(limit=1e999), f"{EDGE}.limit is inf, but has to be a positive integer."),
    "a trigger": (
        with_transition(trigger="eval"),
        f"{EDGE}.trigger is 'eval', but has to be one of automatic, signal,",
    ),
    "a signal": (
        with_transition(signal="stop"),
        f"{EDGE}.signal is 'stop', but has to be one of terminate, terminate_epoch,",
    ),
    "an error that is none": (
        with_transition(error=["os.system"]),
        f"{EDGE}.error[0] is 'os.system', but has to be the name",
    ),
    "a rule broken": (with_transition(signal="run"), "an error edge has the signal EXCEPTION"),
    "a rule about nobody": (
        changed(required=[{"event": "X", "before": "IDLE"}]),
        "required[0].event: 'X' is no phase. The phases nearest to it in name are",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_lifecycle_is_refused_with_its_place(what: str) -> None:
    document, message = WRONG[what]
    with pytest.raises(LifecycleError) as error:
        Lifecycle.from_dict(document)
    assert message in str(error.value)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: this is no JSON: Expecting value."),
        ('{\n  "name" "x"}', "line 2, column 10: this is no JSON: Expecting ':' delimiter."),
        ('{"name": 1, "name": 2}', "an object has 'name' twice. Leave one of them out."),
        ("[" * 100_000, "this JSON is nested too deep for a lifecycle."),
        ('{"version": NaN}', "NaN is no number that JSON has. Leave it out."),
        ('{"version": ' + "9" * 5000 + "}", "a number in this JSON has too many digits."),
        (
            json.dumps(changed(version=10**50)),
            "the whole: 'version' is an integer of 167 bits, and this fsm_engine reads",
        ),
    ],
)
def test_text_that_is_no_lifecycle_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(LifecycleError, match=f"^{re.escape(message)}"):
        Lifecycle.from_json(text)


def test_nothing_in_a_file_is_evaluated_or_imported() -> None:
    code = "__import__('fsm_engine_was_here').boom()"
    for document in (
        with_phase(activity=code, entry=[code], defer=code),
        with_phase(activity={"function": code}),
        with_transition(guard=code, action=code, error=["fsm_engine_was_here"], label=code),
        changed(step=code, name=code),
    ):
        for form in ("dict", "json", "networkx", "graphml", "scxml"):
            lifecycle = Lifecycle.from_dict(document)
            twin = getattr(Lifecycle, f"from_{form}")(getattr(lifecycle, f"to_{form}")())
            assert twin == lifecycle
            assert twin.check() != []
    assert "fsm_engine_was_here" not in sys.modules


@pytest.mark.parametrize(
    ("bind", "message"),
    [
        ({"Ppo": int}, f"{PHASE}.event: 'Ppo' is bound to a type, and has to be the EventEnum with COLLECT."),
        ({"Ppo": Events}, f"{PHASE}.event: Ppo has no 'COLLECT'. It has STARTED,"),
        ({"collect": 3}, f"{PHASE}.activity: what 'collect' is bound to, the activity, has to be callable"),
        (
            {"collect": learn},
            f"{PHASE}.activity: what 'collect' is bound to, the activity, 'learn' takes parameters []",
        ),
        ({"SolverError": 3}, "'SolverError' is bound to 3, and has to be a class of exceptions."),
    ],
)
def test_what_cannot_be_bound_is_refused_with_its_place(bind: dict[str, Any], message: str) -> None:
    with pytest.raises(LifecycleError, match=re.escape(message)):
        Lifecycle.from_json(small().to_json(), bind=bind)


# XML that is no lifecycle


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("form", ["graphml", "scxml"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "line 1, column 1: invalid XML: no element found."),
        (lambda text: text[:200], "invalid XML: unclosed token."),
        (
            lambda text: text.replace("?>", f"?>{BOMB}"),
            "line 1: the XML has a document type",
        ),
        (lambda text: text.replace("?>", f"?>{OUTSIDE}"), "line 1: the XML has a document type"),
        (
            lambda text: text.replace("?>", '?><!DOCTYPE x SYSTEM "http://localhost/x.dtd">'),
            "line 1: the XML has a document type",
        ),
        (lambda text: text.replace("IDLE", "&b;", 1), "invalid XML: undefined entity."),
        (lambda text: text.replace("IDLE", "&#0;", 1), "invalid XML: reference to invalid character number."),
        (lambda text: "<a>" * 100 + "</a>" * 100, "line 1: elements are nested deeper than 64."),
        (lambda text: "<x:a/>", "invalid XML: unbound prefix."),
        (lambda text: "\ud800", "invalid XML: character 0 is a lone surrogate."),
    ],
)
def test_xml_that_is_no_lifecycle_is_refused_with_its_line(
    form: str, change: Callable[[str], str], message: str
) -> None:
    with pytest.raises(LifecycleError, match=re.escape(message)):
        getattr(Lifecycle, f"from_{form}")(change(getattr(small(), f"to_{form}")()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<node id="Ppo.LEARN">', '<node id="IDLE">', "2 <node> elements with id='IDLE'"),
        ('target="Ppo.LEARN"', 'target="Nowhere"', "0 <node> elements with id='Nowhere'"),
        ('edgedefault="directed"', 'edgedefault="undirected"', "the graph is not directed"),
        ("<graphml ", "<gml ", "invalid XML: mismatched tag."),
        ('attr.type="long"', 'attr.type="money"', "networkx cannot read this GraphML: KeyError"),
        (
            "</graph>",
            "</graph><graph/>",
            "with one <graph>, got <{http://graphml.graphdrawing.org/xmlns}graphml> with 2.",
        ),
        (
            "</graph>",
            "<hyperedge/></graph>",
            "networkx cannot read this GraphML: NetworkXError: GraphML reader doesn't",
        ),
        (">3</data>", ">three</data>", "networkx cannot read this GraphML: ValueError"),
    ],
)
def test_graphml_that_is_no_lifecycle_is_refused(old: str, new: str, message: str) -> None:
    text = small().to_graphml()
    assert old in text
    with pytest.raises(LifecycleError, match=re.escape(message)):
        Lifecycle.from_graphml(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id="Ppo.LEARN"', 'id="IDLE"', "the id 'IDLE' is there twice."),
        (
            'target="Ppo.LEARN"',
            'target="Ppo.LEARM"',
            "there is no state 'Ppo.LEARM'. Nearest to it in name are Ppo.LEARN",
        ),
        ('fsm:format="1"', 'fsm:format="2"', "'version' is 2, and this fsm_engine reads version 1."),
        ('fsm:order="1"', f'fsm:order="{"9" * 5000}"', "order is '999"),
        ('fsm:limit="3"', 'fsm:limit="three"', "limit is 'three', but has to be an integer of less than 19 digits."),
        ("fsm:guard=", "fsm:gaurd=", "the attribute 'gaurd' of ours means nothing here. Legal are label,"),
        ("fsm:activity_ref='{", "fsm:activity_ref='{{", 'activity_ref is \'{{"call": "collect"'),
        ('fsm:activity="collect"', 'fsm:activity="select"', "activity is 'select', and activity_ref says 'collect'."),
        ('initial="IDLE"', 'initial="engine"', "its initial state is 'Events.STARTED', but the one with the lowest"),
        ("</scxml>", "<script>1</script></scxml>", "<script> cannot be read: it is code"),
    ],
)
def test_scxml_of_ours_that_is_no_lifecycle_is_refused(old: str, new: str, message: str) -> None:
    text = small().to_scxml()
    assert old in text
    with pytest.raises(LifecycleError, match=re.escape(message)):
        Lifecycle.from_scxml(text.replace(old, new, 1))


# Networks that are no lifecycle, or are one that was changed


def test_a_network_may_be_changed_and_read_again() -> None:
    graph = small().to_networkx()
    edge = graph.edges["Ppo.LEARN", "Events.COMPLETED", "solved"]
    edge["guard"], edge["colour"] = "is_bored", [1, 2]
    for scope in ("run", "engine"):
        for _, target, data in list(graph.out_edges("Ppo.LEARN", data=True)):
            if data["via"] == scope:
                graph.add_edge("Ppo.REST", target, key=data["label"], **data)
    graph.add_node("Ppo.REST", scopes="engine.run", activity="rest")
    graph.add_edge("Ppo.LEARN", "Ppo.REST", label="rest", guard="is_tired", order=edge["order"] - 1)
    graph.add_edge("Ppo.REST", "Ppo.COLLECT", label="go")
    graph.add_edge("Events.RESUMED", "Ppo.REST", **graph.edges["Events.RESUMED", "Ppo.LEARN", "go_on"])
    lifecycle = Lifecycle.from_networkx(graph)
    exits = [str(exit_) for exit_ in lifecycle.successors("Ppo.LEARN") if exit_.via is None]
    ways = ("rest--> Ppo.REST", "solved--> COMPLETED", "collect--> Ppo.COLLECT")
    assert exits == [f"Ppo.LEARN --{way}" for way in ways]
    assert [t.guard.name for t in lifecycle.transitions if t.label == "solved"] == ["is_bored"]
    assert [finding.code for finding in lifecycle.check()] == ["unbound"]


def test_a_phase_without_transitions_is_a_lifecycle() -> None:
    alone = Lifecycle.of(Graph((Phase("alone"),), ()))
    for form in ("dict", "json", "networkx", "graphml", "scxml"):
        assert getattr(Lifecycle, f"from_{form}")(getattr(alone, f"to_{form}")()) == alone


def test_a_plain_network_is_a_lifecycle() -> None:
    graph = networkx.DiGraph([("idle", "busy", {"label": "run", "trigger": "signal", "signal": "run"})])
    graph.add_edge("busy", "idle", label="done")
    lifecycle = Lifecycle.from_networkx(graph)
    assert [str(transition) for transition in lifecycle.transitions] == ["idle --run--> busy", "busy --done--> idle"]
    assert lifecycle.check() == []


def without_an_edge(graph: Any) -> None:
    graph.remove_edge("Ppo.LEARN", "Events.TERMINATE", "terminate")


def with_an_odd_edge(graph: Any) -> None:
    graph.add_edge("IDLE", "Events.TERMINATE", **graph.edges["Ppo.LEARN", "Events.TERMINATE", "terminate"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without_an_edge,
            "stands for one from or to a whole scope, but the edge Ppo.LEARN -> Events.TERMINATE is missing",
        ),
        (with_an_odd_edge, "edge IDLE -> Events.TERMINATE, terminate: one of them is outside the scope."),
        (lambda graph: graph.add_node(3), "node 3, event is 3, but has to be a string of printable characters."),
        (
            lambda graph: graph.add_node("x", entry=[1]),
            "node 'x', entry is a list of 1, but has to be a string, a number",
        ),
        (lambda graph: graph.add_node("x", order="1"), "node 'x', order is '1', but has to be an integer."),
        (
            lambda graph: graph.add_node("x", counter="__class__"),
            "node 'x', counter: counter='__class__' has to be a name",
        ),
        (lambda graph: graph.add_edge("IDLE", "IDLE"), "edge IDLE -> IDLE, : 'label' is missing."),
        (
            lambda graph: graph.add_edge("IDLE", "IDLE", label="x", guard={}),
            "edge 'IDLE' -> 'IDLE', guard is an object",
        ),
        (
            lambda graph: graph.add_edge("IDLE", "IDLE", label="x", leaves="run"),
            "edge IDLE -> IDLE, x: one of them is out",
        ),
        (
            lambda graph: graph.graph.update(version="1"),
            "the whole: 'version' is '1', and this fsm_engine reads version 1.",
        ),
        (lambda graph: graph.graph.update(required="["), "the graph's attribute 'required' is '[', which is no JSON."),
    ],
)
def test_a_network_that_is_no_lifecycle_is_refused_with_its_place(change: Callable[[Any], None], message: str) -> None:
    graph = small().to_networkx()
    change(graph)
    with pytest.raises(LifecycleError, match=re.escape(message)):
        Lifecycle.from_networkx(graph)


# What cannot be written


def with_string_event(name: str) -> Lifecycle:
    lifecycle = small()
    lifecycle.add_phase(name)
    return lifecycle


def grown(*parts: Any) -> Lifecycle:
    lifecycle = Lifecycle.training()
    lifecycle.add(*parts)
    return lifecycle


def with_an_exit_of_one_phase() -> Lifecycle:
    lifecycle = Lifecycle.training()
    exit_ = next(exit_ for exit_ in lifecycle.successors(Events.STARTED) if exit_.label == "terminate")
    lifecycle.remove(replace(exit_, source=Scope.RUN, via=None))
    lifecycle.add(exit_)
    return lifecycle


def deeply_nested() -> Lifecycle:
    scope = Scope.RUN
    for number in range(40):
        scope = Scope(str(number), scope)
    return grown(Phase("x", scope))


def boom() -> None: ...


TWIN = EventEnum("Ppo", {"OTHER": "other"})
UNWRITABLE: dict[str, tuple[Callable[[], Lifecycle], str]] = {
    "a name of two lines": (
        lambda: with_string_event("a\nb"),
        "'a\\nb' cannot be written to a file: a name has to have a",
    ),
    "no name": (
        lambda: Lifecycle(""),
        "'' cannot be written to a file: a name has to have a character, and only such as",
    ),
    "a string like a member": (
        lambda: with_string_event("Events.X"),
        "the string event 'Events.X' would be read as a mem",
    ),
    "a string like a user's": (
        lambda: with_string_event("Ppo.X"),
        "the string event 'Ppo.X' would be read as a member of",
    ),
    "two enums of one name": (lambda: with_string_event(TWIN.OTHER), "which has the same name. Rename one of them."),
    "an enum of the library's name": (
        lambda: with_string_event(EventEnum("StepEvents", {"OTHER": "other"}).OTHER),
        "<enum 'StepEvents'> would be read as <enum 'StepEvents'>, which has the same name. Rename one of them.",
    ),
    "a text of one's own": (
        lambda: grown(Phase("x", activity=Snippet("next batch", "boom()"))),
        "the text of 'next batch' is not the library's, so no file can hold it. Call it.",
    ),
    "a payload of one's own": (
        lambda: grown(Phase("x", payload=Payload(("boom()",)))),
        "what x hands to its handlers is not the library's, so no file can hold it.",
    ),
    "an exit of one phase": (
        with_an_exit_of_one_phase,
        "STARTED --terminate--> TERMINATE stands for one from the scope run, as successors() gives it. Add that one.",
    ),
    "scopes without end": (deeply_nested, "39 lies in more than 32 scopes, which no file can hold."),
    "an exception of no name": (
        lambda: grown(
            Phase("x", Scope.RUN),
            Transition("x", "IDLE", "e", Trigger.SIGNAL, Signal.EXCEPTION, error=(type("no name", (Exception,), {}),)),
        ),
        "the exception 'no name' cannot be written to a file. Rename it.",
    ),
}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_what_no_file_can_hold_is_refused_when_it_is_written(what: str) -> None:
    make, message = UNWRITABLE[what]
    lifecycle = make()
    for form in ("dict", "json", "networkx", "graphml", "scxml"):
        with pytest.raises(LifecycleError, match=re.escape(message)):
            getattr(lifecycle, f"to_{form}")()


# The library's own


def test_every_enum_of_the_library_is_known() -> None:
    pytest.importorskip("torch")
    for module in ("lifecycle.step_events", "supervised.tbptt", "supervised.deterministic", "handlers", "metrics"):
        import_module(f"fsm_engine.{module}")
    ours = (kind for kind in EventEnum.__subclasses__() if kind.__module__.startswith("fsm_engine."))
    own = [kind for kind in ours if kind.__module__ != "fsm_engine.compat.ignite"]  # made by it at run time
    assert {kind.__name__: library.enum(kind.__name__) for kind in own} == {kind.__name__: kind for kind in own}
    assert len(own) == 4


def test_everything_of_the_library_is_found_by_a_name_of_its_own() -> None:
    lifecycle = Lifecycle.training()
    lifecycle.add_path(Events.ITERATION_STARTED >> Ppo.LEARN >> Events.ITERATION_COMPLETED)
    lifecycle.add_transition(Events.ITERATION_STARTED >> Ppo.RETRY, error=MemoryError)
    codes = [code for phase in lifecycle.phases for code in (*phase.entry, phase.activity, phase.defer) if code]
    codes += [code for transition in lifecycle.transitions for code in (transition.guard, transition.action) if code]
    assert [library.snippet(library.key_of(code)) for code in codes] == codes
    payloads = [phase.payload for phase in lifecycle.phases]
    assert [library.payload(library.signature(payload)) for payload in payloads] == payloads


def test_names_of_builtins_that_are_no_exceptions_are_no_errors() -> None:
    assert [library.error(name) for name in ("__import__", "int", "eval", "open")] == [None] * 4
    assert [library.error(name) for name in ("MemoryError", "LifecycleError")] == [MemoryError, LifecycleError]


def test_reading_a_file_of_training_does_not_import_torch(tmp_path: Path) -> None:
    file = tmp_path / "training.json"
    file.write_text(Lifecycle.training().to_json(), "utf-8")
    code = (
        f"import sys; from fsm_engine import Lifecycle; Lifecycle.load({str(file)!r}).to_scxml(); "
        "assert not {'torch', 'networkx', 'transitions'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Size


def test_a_thousand_phases_are_written_and_read() -> None:
    lifecycle = Lifecycle.of(large(1000))
    for form in ("json", "graphml", "scxml"):
        text = getattr(lifecycle, f"to_{form}")()
        assert getattr(Lifecycle, f"from_{form}")(text, bind={"boom": boom}) == lifecycle


def large(size: int) -> Graph:
    outer = Lifecycle("large").graph
    scopes = [Scope(f"scope {number}", Scope.RUN) for number in range(10)]
    names = [f"phase {number}" for number in range(size)]
    phases = [
        Phase(name, scopes[number % 10], activity=called(boom, "it", None, {}, keeps=True))
        for number, name in enumerate(names)
    ]
    chain = [Transition(a, b, "on") for a, b in pairwise([Events.STARTED, *names, Events.COMPLETED])]
    return Graph((*outer.phases, *phases), (*outer.transitions, *chain))


# Whatever is in a file, it is a lifecycle or it is refused


HOSTILE = (
    None,
    "",
    "x",
    "IDLE",
    "engine.run",
    0,
    -1,
    1.5,
    10**400,
    True,
    [],
    [[]],
    ["x"],
    {},
    {"call": 1},
    {"x": "x"},
    "\0",
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places_in(one, (*path, key)))]


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    for key in path[:-1]:
        document = document[key]
    if path:
        document[path[-1]] = value
    return value


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_a_dictionary_with_anything_in_it_is_a_lifecycle_or_refused(rng: Any, changes: int) -> None:
    document: Any = copy.deepcopy(small().to_dict())
    for _ in range(changes):
        put(document, rng.choice(places_in(document)[1:]), copy.deepcopy(rng.choice(HOSTILE)))
    assert_lifecycle_or_refused("dict", document)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(("json", "graphml", "scxml")), st.randoms(use_true_random=False), st.integers(1, 3))
def test_a_text_with_anything_in_it_is_a_lifecycle_or_refused(form: str, rng: Any, changes: int) -> None:
    text = TEXTS[form]
    for _ in range(changes):
        words = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
        (start, end), (other, last) = rng.choice(words), rng.choice(words)
        new = rng.choice(("", text[other:last], text[other : last + 60], "9" * 30, '"', "<state/>", "&amp;", "\u2028"))
        text = text[:start] + new + text[end:]
    assert_lifecycle_or_refused(form, text)


TEXTS = {form: getattr(small(), f"to_{form}")() for form in ("json", "graphml", "scxml")}


def assert_lifecycle_or_refused(form: str, what: Any) -> None:
    try:
        lifecycle = getattr(Lifecycle, f"from_{form}")(what)
    except LifecycleError:
        return
    assert lifecycle.check() != []
    assert getattr(Lifecycle, f"from_{form}")(getattr(lifecycle, f"to_{form}")()) == lifecycle
