"""The keys of ``fsm-engine watch``: from bytes of a terminal to commands for the server."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from inspector_messages import engine_message, hello, look, update

from fsm_engine.cli.watch.breakpoint_line import read_breakpoint
from fsm_engine.cli.watch.connection import read_message
from fsm_engine.cli.watch.controls import Controls
from fsm_engine.cli.watch.model import Model
from fsm_engine.cli.watch.terminal import KeyReader

PHASES = engine_message()["phases"]


def controls_of(*messages: dict[str, Any]) -> Controls:
    model = Model()
    for message in messages or (hello(), update()):
        model.apply(read_message(json.dumps(message)))
    return Controls(model)


def press(controls: Controls, *keys: str) -> list[dict[str, Any]]:
    for key in keys:
        controls.press(key)
    return controls.take_commands()


def typed(text: str) -> list[str]:
    return [*text, "enter"]


PAUSED = hello(), look(), update(status="paused")


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("p", {"command": "pause"}),
        (" ", {"command": "pause"}),
        ("c", {"command": "continue"}),
        ("n", {"command": "step", "by": "phase"}),
        ("i", {"command": "step", "by": "iteration"}),
        ("e", {"command": "step", "by": "epoch"}),
        ("s", {"command": "save"}),
    ],
)
def test_a_key_is_a_command_to_the_engine_that_is_shown(key, command):
    assert press(controls_of(), key) == [{"engine": 0, **command}]
    assert press(controls_of(hello(readOnly=True), update()), key) == []
    nested = controls_of(hello(engines=[engine_message(), engine_message(7)]), update())
    assert press(nested, "tab", key) == [{"engine": 7, **command}]


def test_space_continues_a_paused_run():
    assert press(controls_of(*PAUSED), " ") == [{"command": "continue", "engine": 0}]


def test_termination_needs_the_key_twice():
    assert press(controls_of(), "t") == []
    assert press(controls_of(), "t", "x", "t", "escape") == []
    assert press(controls_of(), "t", "t") == [{"command": "terminate", "engine": 0}]


def test_leaving_asks_if_the_run_is_paused():
    running, paused = controls_of(), controls_of(*PAUSED)
    assert press(running, "q") == []
    assert running.is_done
    assert press(paused, "q", "x") == []
    assert not paused.is_done
    assert press(paused, "q", "q") == []
    assert (paused.is_done, paused.has_continued) == (True, False)
    continued = controls_of(*PAUSED)
    assert press(continued, "q", "c") == [{"command": "continue", "engine": 0}]
    assert (continued.is_done, continued.has_continued) == (True, True)
    watching = controls_of(hello(readOnly=True), *PAUSED[1:])
    press(watching, "q")
    assert watching.is_done


def test_keys_do_nothing_but_say_so_without_a_connection():
    controls = controls_of()
    controls.model.lose("gone")
    assert press(controls, "p") == []
    assert controls.model.note is not None
    assert controls.model.note.is_error


def test_a_breakpoint_is_typed_or_chosen():
    expected = {"command": "break", "engine": 0, "event": "Steps.FORWARD"}
    assert press(controls_of(), "b", *typed("forward")) == [expected]
    assert press(controls_of(), "b", *typed("forw")) == [expected]
    assert press(controls_of(), "b", *"ward", "down", "enter") == [{**expected, "event": "Steps.BACKWARD"}]
    assert press(controls_of(), "b", *"ward", "up", "tab", *typed("once")) == [
        {**expected, "event": "Steps.BACKWARD", "once": True}
    ]
    when = {"counter": "iteration", "is": ">=", "value": 100}
    assert press(controls_of(), "b", *"forw", "tab", *typed("iteration >= 100")) == [{**expected, "when": when}]
    assert press(controls_of(), "b", *"forward", "escape", "n") == [{"command": "step", "by": "phase", "engine": 0}]


def test_a_refused_line_can_be_corrected():
    controls = controls_of()
    assert press(controls, "b", *typed("forward every 0")) == []
    assert controls.prompt is not None
    assert "every 0" in controls.prompt.error
    when = {"counter": "iteration", "is": "every", "value": 5}
    expected = {"command": "break", "engine": 0, "event": "Steps.FORWARD", "when": when}
    assert press(controls, "backspace", *typed("5")) == [expected]
    assert controls.prompt is None


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("Steps.Forward", {"event": "Steps.FORWARD"}),
        ("forward epoch==3 once", {"event": "Steps.FORWARD", "when": ("epoch", "==", 3), "once": True}),
        ("forward every 5 epochs", {"event": "Steps.FORWARD", "when": ("epoch", "every", 5)}),
        ("forward epoch every 5", {"event": "Steps.FORWARD", "when": ("epoch", "every", 5)}),
        ("forward >= 7", {"event": "Steps.FORWARD", "when": ("iteration", ">=", 7)}),
        ("forward>>backward", {"edge": ["Steps.FORWARD", "Steps.BACKWARD"]}),
    ],
)
def test_lines_of_breakpoints(line, command):
    if "when" in command:
        command["when"] = dict(zip(("counter", "is", "value"), command["when"]))
    assert read_breakpoint(line, PHASES) == {"command": "break", **command}


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ("", "expected PHASE"),
        ("forwrad", "Did you mean FORWARD"),
        ("forward >>", "expected PHASE"),
        ("forward if", "not a condition"),
        ("forward iteration > 3", "not a condition"),
        ("forward iteration >= -3", "not a condition"),
    ],
)
def test_wrong_lines_of_breakpoints_are_explained(line, fragment):
    with pytest.raises(ValueError, match=fragment):
        read_breakpoint(line, PHASES)


def test_conditions_use_the_counters_of_the_lifecycle():
    for line in ("FORWARD every 3 rounds", "FORWARD rounds every 3", "FORWARD every 3", "FORWARD round every 3"):
        when = {"counter": "rounds", "is": "every", "value": 3}
        assert read_breakpoint(line, PHASES, ["rounds"])["when"] == when, line
    for line, counters in (("FORWARD epoch == 3", ["rounds"]), ("FORWARD every 3", [])):
        with pytest.raises(ValueError, match="condition"):
            read_breakpoint(line, PHASES, counters)


def test_breakpoints_are_removed_by_number_and_offered_values_set_by_name():
    empty = controls_of()
    assert press(empty, "u", "v") == []
    assert empty.prompt is None
    offer = {"name": "lr", "label": "lr", "engine": 0, "value": 0.1, "low": 0, "high": 1, "error": None}
    point = {
        "number": 3,
        "engine": 0,
        "event": "Steps.FORWARD",
        "edge": None,
        "text": "FORWARD",
        "once": False,
        "hits": 2,
    }
    other = {**offer, "label": "training 2: lr", "engine": 1}
    two = controls_of(hello(offers=[{**offer, "label": "training: lr"}, other], breakpoints=[{**point, "engine": 1}]))
    assert press(two, "v", *typed("training 2: lr = 1")) == [
        {"command": "set", "name": "lr", "value": 1.0, "engine": 1}
    ]
    assert press(two, "u", *typed("3")) == [{"command": "unbreak", "number": 3, "engine": 1}]
    full = controls_of(hello(offers=[offer], breakpoints=[point]), update())
    assert press(full, "u", *typed("4"), "backspace", *typed("3")) == [{"command": "unbreak", "number": 3, "engine": 0}]
    expected = {"command": "set", "name": "lr", "value": 0.01, "engine": 0}
    assert press(full, "v", *typed("lr = 0.01")) == [expected]
    assert press(full, "v", *typed("nan"), "erase", *typed("1e-2")) == [expected]


def test_bytes_of_a_terminal_are_keys():
    reader, keys = KeyReader(), []
    for part in (b"a\r", b"\x1b", b"[", b"A\x1b[5~", "é".encode()[:1], "é".encode()[1:], b"\x7f\x1b[15~b", b"\x1bOB"):
        keys += reader.feed(part)
    assert keys == ["a", "enter", "up", "page up", "é", "backspace", "b", "down"]
    assert list(reader.feed(b"\x1b")) == []
    assert reader.is_waiting
    reader.flush(keys.append)
    assert keys[-1] == "escape"
    assert not reader.is_waiting
