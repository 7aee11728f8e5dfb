"""Lifecycle files: golden files, invalid files and their errors, limits of size."""

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
from sample_lifecycle import BIND, Ppo, learn, small

from fsm_engine import (
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
from fsm_engine.graph.code import CodeFragment, Payload
from fsm_engine.graph.graph import Graph
from fsm_engine.lifecycle.edits import user_callable
from fsm_engine.serialization import library
from fsm_engine.serialization.files import READERS

GOLDENS = Path(__file__).parents[1] / "goldens"


def assert_refused(fragments: tuple[str, ...], call: Callable[..., object], *arguments: Any) -> None:
    """Check that a call raises a LifecycleError whose message has all the fragments."""
    with pytest.raises(LifecycleError) as error:
        call(*arguments)
    message = str(error.value)
    assert [fragment for fragment in fragments if fragment not in message] == [], message
    assert len(message) < 700


@pytest.mark.parametrize("suffix", ["json", "graphml", "scxml"])
def test_written_files_match_the_golden_files(suffix: str) -> None:
    golden = GOLDENS / f"ppo.{suffix}"
    text = getattr(small(), f"to_{suffix}")()
    assert text == golden.read_text("utf-8")
    assert Lifecycle.load(golden, BIND) == small()
    assert Lifecycle.load(str(golden)) == Lifecycle.load(golden)


def test_load_picks_the_reader_by_suffix_and_skips_a_byte_order_mark(tmp_path: Path) -> None:
    for suffix in READERS:
        file = tmp_path / f"any{suffix.upper()}"
        file.write_text("\ufeff" + getattr(small(), f"to_{suffix[1:]}")(), "utf-8")
        assert Lifecycle.load(file, bind=BIND) == small()


@pytest.mark.parametrize("suffix", READERS)
def test_load_reads_the_file_that_save_wrote(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"any{suffix}"
    file.write_text("an older file, which is longer " * 1000)
    assert small().save(str(file)) == file
    assert file.read_text("utf-8") == getattr(small(), f"to_{suffix[1:]}")()
    assert Lifecycle.load(file, bind=BIND) == small()


def test_save_and_draw_write_the_same_file(tmp_path: Path) -> None:
    for suffix in READERS:
        saved, drawn = small().save(tmp_path / f"saved{suffix}"), small().draw(tmp_path / f"drawn{suffix}")
        assert saved.read_bytes() == drawn.read_bytes()


def test_save_refuses_other_suffixes_and_missing_folders(tmp_path: Path) -> None:
    for name in ("any.svg", "any"):
        with pytest.raises(ValueError, match=rf"{name}'.*\.json, \.scxml, \.graphml"):
            small().save(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        small().save(tmp_path / "nowhere" / "any.json")
    assert list(tmp_path.iterdir()) == []


def test_save_keeps_the_file_that_it_cannot_replace(tmp_path: Path) -> None:
    file = small().save(tmp_path / "any.json")
    with pytest.raises(LifecycleError, match="printable"):
        Lifecycle("a\nb").save(file)
    assert Lifecycle.load(file, bind=BIND) == small()


def test_errors_of_load_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"any\.yaml' ends in \.yaml.*\.json, \.scxml, \.graphml"):
        Lifecycle.load(tmp_path / "any.yaml")
    with pytest.raises(FileNotFoundError):
        Lifecycle.load(tmp_path / "any.json")
    (tmp_path / "any.json").write_bytes(b'{"name": "\xff"}')
    assert_refused(("any.json: byte 10", "UTF-8"), Lifecycle.load, tmp_path / "any.json")
    (tmp_path / "any.json").write_text("{")
    assert_refused(("any.json: line 1, column 2:", "property name"), Lifecycle.load, tmp_path / "any.json")


def test_readers_reject_arguments_of_the_wrong_type() -> None:
    for reader in (Lifecycle.from_json, Lifecycle.from_graphml, Lifecycle.from_scxml):
        with pytest.raises(TypeError, match=r"string, got b'{}'.*Lifecycle\.load\(path\)"):
            reader(b"{}")
    with pytest.raises(TypeError, match=r"^bind=\[\].*mapping"):
        Lifecycle.from_json(small().to_json(), bind=[])
    with pytest.raises(TypeError, match=r"networkx graph, got None"):
        Lifecycle.from_networkx(None)


# Invalid dictionaries and JSON


def changed(**top: Any) -> dict[str, Any]:
    return {**small().to_dict(), **top}


def with_phase(**fields: Any) -> dict[str, Any]:
    document = small().to_dict()
    merged = document["phases"][COLLECT] | fields
    document["phases"][COLLECT] = {key: value for key, value in merged.items() if value is not None}
    return document


def with_transition(**fields: Any) -> dict[str, Any]:
    document = small().to_dict()
    merged = document["transitions"][RETRY] | fields
    document["transitions"][RETRY] = {key: value for key, value in merged.items() if value is not None}
    return document


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


COLLECT = [phase.event for phase in small().phases].index(Ppo.COLLECT)
RETRY = [transition.label for transition in small().transitions].index("retry")
PHASE, EDGE = f"phases[{COLLECT}]", f"transitions[{RETRY}]"
INVALID: dict[str, tuple[Any, tuple[str, ...]]] = {
    "document is a list": ([], ("the document is []", "'fsm_engine.lifecycle' as 'format'")),
    "document is null": (None, ("the document is None", "'fsm_engine.lifecycle' as 'format'")),
    "wrong format": ({"format": "x"}, ("'format' is 'x'", "'fsm_engine.lifecycle'")),
    "no version": (changed(version=None), ("'version' is None", "version 1")),
    "version 2": (changed(version=2), ("'version' is 2", "version 1")),
    "version true": (changed(version=True), ("'version' is True", "version 1")),
    "unknown key": (
        changed(phase=[]),
        ("'phase'", "format, version, name, phases, transitions, step, required"),
    ),
    "missing keys": (
        {"format": "fsm_engine.lifecycle", "version": 1},
        ("'name' is missing", "'format', 'version'"),
    ),
    "phases is a number": (changed(phases=3), ("phases is 3", "a list")),
    "no phases": (changed(phases=[], transitions=[], required=[]), ("no phase",)),
    "phase is a string": (changed(phases=["A"]), ("phases[0] is 'A'", "object with event")),
    "scope is a list": (with_phase(scope=[1]), (f"{PHASE}.scope is [1]", "printable")),
    "empty name in a scope": (with_phase(scope="engine..run"), (f"{PHASE}.scope is 'engine..run'", "path of at most")),
    "scope too deep": (with_phase(scope=".".join("a" * 9999)), (f"{PHASE}.scope is 'a.a.a", "path of at most 32")),
    "duplicate event": (with_phase(event="IDLE"), (f"{PHASE}.event: 'IDLE' is a duplicate", "phases[0].event")),
    "unknown enum member": (with_phase(event="Events.ENDED"), (f"{PHASE}.event: Events", "'ENDED'", "STARTED,")),
    "empty event": (with_phase(event=""), (f"{PHASE}.event is ''", "printable")),
    "event with a zero byte": (with_phase(event="a\0"), (f"{PHASE}.event is 'a\\x00'", "printable")),
    "event with a lone surrogate": (with_phase(event="\ud800"), (f"{PHASE}.event is '\\ud800'", "printable")),
    "counter is code": (
        with_phase(counter="x = __import__('os')"),
        (f"{PHASE}.counter: counter=\"x = __import__('os')\"",),
    ),
    "counter is an attribute of State": (with_phase(counter="epoch"), (f"{PHASE}.counter: counter='epoch'", "State")),
    "payload is code": (
        with_phase(payload="__import__('os')"),
        (f"{PHASE}.payload is \"__import__('os')\"", "error, error=, iter_counter="),
    ),
    "activity is a number": (with_phase(activity=1), (f"{PHASE}.activity is 1", "name of the activity")),
    "activity is an empty object": (with_phase(activity={}), (f"{PHASE}.activity: the key 'call' is missing",)),
    "entry is a string": (with_phase(entry="x"), (f"{PHASE}.entry is 'x'", "a list")),
    "arguments too deep": (
        with_phase(activity={"call": "f", "with": {"a": deep(40)}}),
        (f"{PHASE}.activity.with is {{'a': ", "at most 16 deep"),
    ),
    "bound argument is a number": (
        with_phase(activity={"call": "f", "with_bound": {"a": 1}}),
        (f"{PHASE}.activity.with_bound.a is 1", "printable"),
    ),
    "bound argument without a name": (
        with_phase(activity={"call": "f", "with_bound": {"": "a"}}),
        (f"{PHASE}.activity.with_bound is {{'': 'a'}}", "an object of names"),
    ),
    "unscoped is a string": (with_phase(unscoped="yes"), (f"{PHASE}.unscoped is 'yes'", "true or false")),
    "unknown source": (
        with_transition(**{"from_scope": None, "from": "Ppo.LEARM"}),
        (f"{EDGE}.from: there is no phase 'Ppo.LEARM'", "Ppo.LEARN,"),
    ),
    "two sources": (with_transition(**{"from": "IDLE"}), (f"{EDGE}: exactly one", "'from'", "'from_scope'")),
    "unknown scope": (with_transition(to=None, to_history="engine.rum"), ("which has no phases", "scopes")),
    "limit 0": (with_transition(limit=0), (f"{EDGE}.limit is 0", "positive integer")),
    "limit is a string": (with_transition(limit="3"), (f"{EDGE}.limit is '3'", "positive integer")),
    "limit is infinite": (with_transition(limit=1e999), (f"{EDGE}.limit is inf", "positive integer")),
    "unknown trigger": (with_transition(trigger="eval"), (f"{EDGE}.trigger is 'eval'", "one of automatic, signal,")),
    "unknown signal": (
        with_transition(signal="stop"),
        (f"{EDGE}.signal is 'stop'", "one of terminate, terminate_epoch,"),
    ),
    "error is not an exception": (
        with_transition(error=["os.system"]),
        (f"{EDGE}.error[0] is 'os.system'", "exception class"),
    ),
    "graph breaks a rule": (with_transition(signal="run"), ("is an error edge without the signal EXCEPTION",)),
    "requirement of an unknown phase": (
        changed(required=[{"event": "X", "before": "IDLE"}]),
        ("required[0].event: there is no phase 'X'",),
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_from_dict_refuses_invalid_documents_with_their_location(case: str) -> None:
    document, fragments = INVALID[case]
    assert_refused(fragments, Lifecycle.from_dict, document)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", ("line 1, column 1:", "Expecting value")),
        ('{\n  "name" "x"}', ("line 2, column 10:", "Expecting ':' delimiter")),
        ('{"name": 1, "name": 2}', ("'name' twice",)),
        ("[" * 100_000, ("nested too deep",)),
        ('{"version": NaN}', ("NaN is not a JSON number",)),
        ('{"version": ' + "9" * 5000 + "}", ("too many digits",)),
        (json.dumps(changed(version=10**50)), ("'version' is 1000000", "version 1")),
    ],
)
def test_from_json_refuses_invalid_texts_with_their_line(text: str, fragments: tuple[str, ...]) -> None:
    assert_refused(fragments, Lifecycle.from_json, text)


def test_an_integer_that_python_cannot_print_is_refused() -> None:
    assert_refused(("'version' is an integer with too many digits",), Lifecycle.from_dict, changed(version=10**5000))


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
            copied = getattr(Lifecycle, f"from_{form}")(getattr(lifecycle, f"to_{form}")())
            assert copied == lifecycle
            assert copied.check() != []
    assert "fsm_engine_was_here" not in sys.modules


@pytest.mark.parametrize(
    ("bind", "fragments"),
    [
        ({"Ppo": int}, (f"{PHASE}.event: 'Ppo' is bound to <class 'int'>", "EventEnum with COLLECT")),
        ({"Ppo": Events}, (f"{PHASE}.event: Ppo", "'COLLECT'", "STARTED,")),
        ({"collect": 3}, (f"{PHASE}.activity: bind['collect'], the activity,", "callable")),
        ({"collect": learn}, (f"{PHASE}.activity: bind['collect'], the activity, 'learn' takes parameters []",)),
        ({"SolverError": 3}, ("'SolverError' is bound to 3", "exception class")),
    ],
)
def test_unsuitable_bindings_are_refused_with_their_location(bind: dict[str, Any], fragments: tuple[str, ...]) -> None:
    assert_refused(fragments, Lifecycle.from_json, small().to_json(), bind)


# Invalid XML


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("form", ["graphml", "scxml"])
@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (lambda text: "", ("line 1, column 1:", "no element found")),
        (lambda text: text[:200], ("line 2, column", "unclosed token")),
        (lambda text: text.replace("?>", f"?>{BOMB}"), ("line 1:", "document type", "<!DOCTYPE")),
        (lambda text: text.replace("?>", f"?>{OUTSIDE}"), ("line 1:", "document type")),
        (lambda text: text.replace("?>", '?><!DOCTYPE x SYSTEM "http://localhost/x.dtd">'), ("document type",)),
        (lambda text: text.replace("IDLE", "&b;", 1), ("undefined entity",)),
        (lambda text: text.replace("IDLE", "&#0;", 1), ("reference to invalid character number",)),
        (lambda text: "<a>" * 100 + "</a>" * 100, ("line 1:", "nested deeper than 64")),
        (lambda text: "<x:a/>", ("unbound prefix",)),
        (lambda text: "\ud800", ("character 0", "surrogate")),
    ],
)
def test_invalid_xml_is_refused_with_its_line(
    form: str, change: Callable[[str], str], fragments: tuple[str, ...]
) -> None:
    text = change(getattr(small(), f"to_{form}")())
    assert_refused(fragments, getattr(Lifecycle, f"from_{form}"), text)


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ('<node id="Ppo.LEARN">', '<node id="IDLE">', ("2 <node> elements with id='IDLE'",)),
        ('target="Ppo.LEARN"', 'target="Nowhere"', ("0 <node> elements with id='Nowhere'",)),
        ('edgedefault="directed"', 'edgedefault="undirected"', ("not directed",)),
        ("<graphml ", "<gml ", ("mismatched tag",)),
        ('attr.type="long"', 'attr.type="money"', ("networkx cannot read this GraphML: KeyError",)),
        ("</graph>", "</graph><graph/>", ("one <graph>", "graphml> with 2")),
        (
            "</graph>",
            "<hyperedge/></graph>",
            ("networkx cannot read this GraphML: NetworkXError: GraphML reader doesn't",),
        ),
        (">3</data>", ">three</data>", ("networkx cannot read this GraphML: ValueError",)),
    ],
)
def test_invalid_graphml_is_refused(old: str, new: str, fragments: tuple[str, ...]) -> None:
    text = small().to_graphml()
    assert old in text
    assert_refused(fragments, Lifecycle.from_graphml, text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ('id="Ppo.LEARN"', 'id="IDLE"', ("the id 'IDLE' is a duplicate",)),
        ('target="Ppo.LEARN"', 'target="Ppo.LEARM"', ("there is no state 'Ppo.LEARM'", "Ppo.LEARN")),
        ('fsm:format="1"', 'fsm:format="2"', ("'version' is 2", "version 1")),
        ('fsm:order="1"', f'fsm:order="{"9" * 5000}"', ("order is '999", "fewer than 19 digits")),
        ('fsm:limit="3"', 'fsm:limit="three"', ("limit is 'three'", "integer")),
        ("fsm:guard=", "fsm:gaurd=", ("fsm:gaurd", "label,", "guard,")),
        ('fsm:activity_ref="{', 'fsm:activity_ref="{{', ('activity_ref is \'{{"call": "collect"', "not JSON")),
        ('fsm:activity="collect"', 'fsm:activity="select"', ("activity is 'select'", "activity_ref has 'collect'")),
        ('initial="IDLE"', 'initial="engine"', ("initial state is 'Events.STARTED'", "lowest order is in line 3")),
        ("</scxml>", "<script>1</script></scxml>", ("<script> is not supported", "code")),
    ],
)
def test_invalid_scxml_with_attributes_of_ours_is_refused(old: str, new: str, fragments: tuple[str, ...]) -> None:
    text = small().to_scxml()
    assert old in text
    assert_refused(fragments, Lifecycle.from_scxml, text.replace(old, new, 1))


# networkx graphs: edited ones are read back, invalid ones are refused


def test_an_edited_graph_is_read_back() -> None:
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
    graph.add_edge("Events.RESUMED", "Ppo.REST", **graph.edges["Events.RESUMED", "Ppo.LEARN", "resume"])
    lifecycle = Lifecycle.from_networkx(graph)
    exits = [str(exit_) for exit_ in lifecycle.successors("Ppo.LEARN") if exit_.via is None]
    expected = ("rest--> Ppo.REST", "solved--> COMPLETED", "collect--> Ppo.COLLECT")
    assert exits == [f"Ppo.LEARN --{one}" for one in expected]
    assert [t.guard.name for t in lifecycle.transitions if t.label == "solved"] == ["is_bored"]
    assert [finding.code for finding in lifecycle.check()] == ["unbound"]


def test_a_phase_without_transitions_survives_every_format() -> None:
    alone = Lifecycle.of(Graph((Phase("alone"),), ()))
    for form in ("dict", "json", "networkx", "graphml", "scxml"):
        assert getattr(Lifecycle, f"from_{form}")(getattr(alone, f"to_{form}")()) == alone


def test_a_graph_needs_only_labels() -> None:
    graph = networkx.DiGraph([("idle", "busy", {"label": "run", "trigger": "signal", "signal": "run"})])
    graph.add_edge("busy", "idle", label="done")
    lifecycle = Lifecycle.from_networkx(graph)
    assert [str(transition) for transition in lifecycle.transitions] == ["idle --run--> busy", "busy --done--> idle"]
    assert lifecycle.check() == []


def without_an_edge(graph: Any) -> None:
    graph.remove_edge("Ppo.LEARN", "Events.TERMINATE", "terminate")


def with_an_extra_edge(graph: Any) -> None:
    graph.add_edge("IDLE", "Events.TERMINATE", **graph.edges["Ppo.LEARN", "Events.TERMINATE", "terminate"])


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (without_an_edge, ("whole scope", "lacks the edge Ppo.LEARN -> Events.TERMINATE", "'leaves'")),
        (with_an_extra_edge, (", terminate: the edge IDLE -> Events.TERMINATE has a phase outside the scope",)),
        (lambda graph: graph.add_node(3), ("node 3, event is 3", "printable")),
        (lambda graph: graph.add_node("x", entry=[1]), ("node 'x', entry is [1]", "string, number or boolean")),
        (lambda graph: graph.add_node("x", order="1"), ("node 'x', order is '1'", "integer")),
        (lambda graph: graph.add_node("x", counter="__class__"), ("node 'x', counter: counter='__class__'",)),
        (lambda graph: graph.add_edge("IDLE", "IDLE"), ("edge IDLE -> IDLE, : the key 'label' is missing",)),
        (
            lambda graph: graph.add_edge("IDLE", "IDLE", label="x", guard={}),
            ("edge 'IDLE' -> 'IDLE', guard is {}", "string, number or boolean"),
        ),
        (
            lambda graph: graph.add_edge("IDLE", "IDLE", label="x", leaves="run"),
            ("edge IDLE -> IDLE, x:", "outside the scope"),
        ),
        (lambda graph: graph.add_edge("IDLE", "IDLE", leaves="run"), ("edge IDLE -> IDLE", "outside the scope")),
        (lambda graph: graph.graph.update(version="1"), ("'version' is '1'", "version 1")),
        (lambda graph: graph.graph.update(required="["), ("the graph's attribute 'required' is '['", "not JSON")),
    ],
)
def test_invalid_graphs_are_refused_with_the_node_or_edge(
    change: Callable[[Any], None], fragments: tuple[str, ...]
) -> None:
    graph = small().to_networkx()
    change(graph)
    assert_refused(fragments, Lifecycle.from_networkx, graph)


# Lifecycles that no file can hold


def with_string_event(name: str) -> Lifecycle:
    lifecycle = small()
    lifecycle.add_phase(name)
    return lifecycle


def training_with(*parts: Any) -> Lifecycle:
    lifecycle = Lifecycle.training()
    lifecycle.add(*parts)
    return lifecycle


def with_an_exit_of_one_phase() -> Lifecycle:
    lifecycle = Lifecycle.training()
    exit_ = next(exit_ for exit_ in lifecycle.successors(Events.STARTED) if exit_.label == "terminate")
    lifecycle.remove(replace(exit_, source=Scope.RUN, via=None))
    lifecycle.add(exit_)
    return lifecycle


def with_deep_scopes() -> Lifecycle:
    scope = Scope.RUN
    for number in range(40):
        scope = Scope(str(number), scope)
    return training_with(Phase("x", scope))


def boom() -> None: ...


TWIN = EventEnum("Ppo", {"OTHER": "other"})
UNWRITABLE: dict[str, tuple[Callable[[], Lifecycle], tuple[str, ...]]] = {
    "a line break in a name": (lambda: with_string_event("a\nb"), ("'a\\nb'", "printable", "Rename it")),
    "an empty name": (lambda: Lifecycle(""), ("''", "at least one character", "Rename it")),
    "a string event like a library event": (
        lambda: with_string_event("Events.X"),
        ("'Events.X' would be read as a member of Events", "Rename it"),
    ),
    "a string event like a user's event": (
        lambda: with_string_event("Ppo.X"),
        ("'Ppo.X' would be read as a member of Ppo", "Rename it"),
    ),
    "two enums with one name": (lambda: with_string_event(TWIN.OTHER), ("same name", "Rename one")),
    "an enum with the name of a library enum": (
        lambda: with_string_event(EventEnum("StepEvents", {"OTHER": "other"}).OTHER),
        ("<enum 'StepEvents'> would be read as <enum 'StepEvents'>", "Rename one"),
    ),
    "a CodeFragment of the user's": (
        lambda: training_with(Phase("x", activity=CodeFragment("next batch", "boom()"))),
        ("'next batch'", "cannot hold", "Use a function"),
    ),
    "a payload of the user's": (
        lambda: training_with(Phase("x", payload=Payload(("boom()",)))),
        ("x has a payload", "cannot hold"),
    ),
    "an exit of one phase": (
        with_an_exit_of_one_phase,
        ("STARTED --terminate--> TERMINATE", "scope run", "successors()"),
    ),
    "deep scopes": (with_deep_scopes, ("39 is nested deeper than 32 scopes",)),
    "an exception class that is not an identifier": (
        lambda: training_with(
            Phase("x", Scope.RUN),
            Transition("x", "IDLE", "e", Trigger.SIGNAL, Signal.EXCEPTION, error=(type("no name", (Exception,), {}),)),
        ),
        ("'no name'", "Rename it"),
    ),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_writers_refuse_lifecycles_that_no_file_can_hold(case: str) -> None:
    make, fragments = UNWRITABLE[case]
    lifecycle = make()
    for form in ("dict", "json", "networkx", "graphml", "scxml"):
        assert_refused(fragments, getattr(lifecycle, f"to_{form}"))


# The library's own names


def test_library_finds_every_enum_of_the_package() -> None:
    pytest.importorskip("torch")
    for module in ("lifecycle.step_events", "supervised.tbptt", "supervised.deterministic", "handlers", "metrics"):
        import_module(f"fsm_engine.{module}")
    ours = (kind for kind in EventEnum.__subclasses__() if kind.__module__.startswith("fsm_engine."))
    own = [kind for kind in ours if kind.__module__ != "fsm_engine.compat.ignite"]  # made by it at run time
    assert {kind.__name__: library.enum(kind.__name__) for kind in own} == {kind.__name__: kind for kind in own}
    assert len(own) == 4


def test_library_finds_every_fragment_and_payload_by_its_name() -> None:
    lifecycle = Lifecycle.training()
    lifecycle.add_path(Events.ITERATION_STARTED >> Ppo.LEARN >> Events.ITERATION_COMPLETED)
    lifecycle.add_transition(Events.ITERATION_STARTED >> Ppo.RETRY, error=MemoryError)
    codes = [code for phase in lifecycle.phases for code in (*phase.entry, phase.activity, phase.defer) if code]
    codes += [code for transition in lifecycle.transitions for code in (transition.guard, transition.action) if code]
    assert [library.fragment(library.name_of(code)) for code in codes] == codes
    payloads = [phase.payload for phase in lifecycle.phases]
    assert [library.payload(library.signature(payload)) for payload in payloads] == payloads


def test_library_finds_only_exception_classes_among_the_builtins() -> None:
    assert [library.exception_class(name) for name in ("__import__", "int", "eval", "open")] == [None] * 4
    assert [library.exception_class(name) for name in ("MemoryError", "LifecycleError")] == [
        MemoryError,
        LifecycleError,
    ]


def test_loading_the_training_lifecycle_imports_no_heavy_library(tmp_path: Path) -> None:
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
        Phase(name, scopes[number % 10], activity=user_callable(boom, "it", None, {}, keeps=True))
        for number, name in enumerate(names)
    ]
    chain = [Transition(a, b, "on") for a, b in pairwise([Events.STARTED, *names, Events.COMPLETED])]
    return Graph((*outer.phases, *phases), (*outer.transitions, *chain))


# Random documents


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
def test_a_random_dictionary_is_a_lifecycle_or_refused(rng: Any, changes: int) -> None:
    document: Any = copy.deepcopy(small().to_dict())
    for _ in range(changes):
        put(document, rng.choice(places_in(document)[1:]), copy.deepcopy(rng.choice(HOSTILE)))
    assert_lifecycle_or_refused("dict", document)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(("json", "graphml", "scxml")), st.randoms(use_true_random=False), st.integers(1, 3))
def test_a_random_text_is_a_lifecycle_or_refused(form: str, rng: Any, changes: int) -> None:
    text = TEXTS[form]
    for _ in range(changes):
        words = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
        (start, end), (other, last) = rng.choice(words), rng.choice(words)
        new = rng.choice(("", text[other:last], text[other : last + 60], "9" * 30, '"', "<state/>", "&amp;", "\u2028"))
        text = text[:start] + new + text[end:]
    assert_lifecycle_or_refused(form, text)


TEXTS = {form: getattr(small(), f"to_{form}")() for form in ("json", "graphml", "scxml")}


def assert_lifecycle_or_refused(form: str, document: Any) -> None:
    try:
        lifecycle = getattr(Lifecycle, f"from_{form}")(document)
    except LifecycleError:
        return
    assert lifecycle.check() != []
    assert getattr(Lifecycle, f"from_{form}")(getattr(lifecycle, f"to_{form}")()) == lifecycle
