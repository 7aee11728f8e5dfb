"""The model and the screen of ``fsm-engine watch``, as functions of the messages of a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from inspector_messages import engine_message, failure, hello, look, update, warning
from rich.text import Text

from fsm_engine.cli.errors import CommandError
from fsm_engine.cli.watch.address import read_address
from fsm_engine.cli.watch.connection import read_message
from fsm_engine.cli.watch.controls import Controls
from fsm_engine.cli.watch.curves import MOST_POINTS, Curve, sparkline
from fsm_engine.cli.watch.model import Model
from fsm_engine.cli.watch.screen import screen, snapshot
from fsm_engine.cli.watch.tables import table

SIZES = [(60, 20), (80, 24), (100, 12), (200, 60)]


def model_of(*messages: dict[str, Any]) -> Model:
    model = Model()
    for message in messages:
        model.apply(read_message(json.dumps(message)))
    return model


def lines_of(model: Model, width: int = 140, height: int = 40, keys: str = "") -> list[str]:
    controls = Controls(model)
    for key in keys:
        controls.press(key)
    return [line.plain for line in screen(model, controls, width, height)]


NESTED = engine_message(1, heading="validation, run in EPOCH_COMPLETED", parent=0)
MOMENTS = {
    "before the first message": (),
    "without an engine": (hello(engines=[]),),
    "before the first update": (hello(),),
    "running": (hello(), update(warnings=[warning("watch out")] * 30)),
    "with two engines": (hello(engines=[engine_message(), NESTED]), update()),
    "paused": (hello(), look(), update(status="paused")),
    "failed": (hello(), update(status="failed"), failure(traceback="x" * 500 + "\nline\n" * 100)),
    "wide characters": (hello(process="訓練" * 100), update(warnings=[warning("警告" * 100)])),
    "many curves": (hello(), update(values={f"metrics/{n}": [[1, n]] for n in range(50)})),
    "no numbers": (hello(), update(values={"loss": [[1, "nan"], [2, "inf"]]}, progress={}, state={})),
}


@pytest.mark.parametrize(
    ("moment", "keys"), [*((moment, "") for moment in MOMENTS), *(("running", key) for key in "?bt"), ("paused", "q")]
)
def test_every_line_has_the_width_of_the_terminal_and_every_screen_its_height(moment, keys):
    for width, height in SIZES:
        model = model_of(*MOMENTS[moment])
        controls = Controls(model)
        for key in keys:
            controls.press(key)
        lines = screen(model, controls, width, height)
        assert [line.cell_len for line in lines] == [width] * height, (width, height)


def test_the_screen_tells_where_the_run_is():
    text = "\n".join(lines_of(model_of(*MOMENTS["running"])))
    for fragment in (
        "train.py, process 4711, host x",
        " running ",
        "FORWARD for 2 s",
        "epoch 2 of 5",
        "1,234/5,000",
        "20 it/s",
        "3:08 left",
        "0.125 to 2.5",
        "6 s ago  warning watch out",
        "validate",
        "22 more",
    ):
        assert fragment in text, fragment
    assert [line.strip() for line in text.splitlines() if "▶" in line and "FORWARD" in line] != []


def test_the_column_is_the_main_path_and_the_phases_that_were_entered():
    def names(model: Model) -> list[str]:
        return [line.split("│ ")[0] for line in lines_of(model) if "TERMINATE" in line or "RESUMED" in line]

    assert names(model_of(hello(), update())) == []
    (line,) = names(model_of(hello(), update(visits={"Events.TERMINATE": 3})))
    assert line.split() == ["TERMINATE", "3"]


def test_phases_show_their_share_of_the_time_without_pauses():
    names = [phase["id"] for phase in engine_message()["phases"]]
    forward, backward = names.index("Steps.FORWARD"), names.index("Steps.BACKWARD")
    first = [[0, forward, 1, 1], [300, backward, 1, 1], None, [5000, forward, 1, 2]]
    model = model_of(hello(), update(moves=first), update(moves=[[6700, backward, 1, 2]], pauses=[[5100, 6700]]))
    assert model.engines[0].times == {"Steps.FORWARD": 300 + 100}
    assert model_of(hello(), update(moves=first), update(moves=[[5400, backward, 1, 2]])).engines[0].times == {
        "Steps.FORWARD": 700
    }


def test_names_are_text_and_never_markup_or_control_codes():
    evil = "[bold red]x[/] \x1b[2J\x1b]0;title\x07\u202e\x9b"
    phases = [{**phase, "name": evil} for phase in engine_message()["phases"]]
    engine = engine_message(heading=evil, phases=phases, handlers=[{"name": evil, "event": evil, "place": ""}])
    messages = [
        hello(engines=[engine]),
        update(values={evil: [[1, 2.0]]}, warnings=[warning(evil)]),
        failure(error=evil),
    ]
    for model in (model_of(*messages[:2]), model_of(*messages)):
        text = "\n".join([*lines_of(model, 200, 60), *(line.plain for line in snapshot(model, 200))])
        assert "[bold red]x[/]" in text
        assert set(text) & set("\x1b\x07\x9b\u202e\r\t") == set()


def test_a_pause_shows_the_place_the_state_the_batch_and_the_layers():
    model = model_of(*MOMENTS["paused"])
    text = "\n".join(lines_of(model, 140, 50))
    for fragment in (
        "ITERATION_STARTED --forward--> FORWARD",
        "step",
        "64x8",
        "-1.5 to 2, 3 NaN",
        "[1, 2]",
        "15.79",
        "frozen",
    ):
        assert fragment in text, fragment
    controls = Controls(model)
    first = screen(model, controls, 100, 30)
    controls.press("page down")
    assert screen(model, controls, 100, 30) != first
    for _ in range(100):
        controls.press("page down")
    assert "validate" in "\n".join(line.plain for line in screen(model, controls, 100, 30))
    model.apply(update())
    assert "64x8" not in "\n".join(lines_of(model))


def test_a_failure_shows_its_phase_and_traceback_until_the_engine_runs_again():
    model = model_of(hello(), update(status="failed"), failure())
    text = "\n".join(lines_of(model))
    for fragment in (
        "ValueError: the loss is nan",
        "in BACKWARD, epoch 2, iteration 1234",
        '  File "train.py", line 7',
    ):
        assert fragment in text
    model.apply(update(now=12))
    assert "ValueError" not in "\n".join(lines_of(model))


def test_a_restarted_process_is_a_new_session_and_a_lost_connection_is_shown():
    model = model_of(hello("a"), update())
    model.lose("the server has closed the connection")
    assert "disconnected" in lines_of(model)[0]
    assert "the server has closed the connection" in "\n".join(lines_of(model))
    model.apply(hello("a"))
    assert len(model.engines[0].curves["loss"].points) == 2
    assert model.note is None
    model.apply(hello("b"))
    assert model.engines[0].curves == {}
    assert "restarted" in "\n".join(lines_of(model))
    assert "disconnected" not in lines_of(model)[0]


def test_a_closed_inspector_is_not_called_disconnected():
    model = model_of(hello("a"), update(), {"type": "closed", "text": "The inspector was closed."})
    model.lose("the server has closed the connection")
    text = "\n".join(lines_of(model))
    assert "closed" in lines_of(model)[0]
    assert "The inspector was closed." in text
    assert "disconnected" not in text
    model.apply(hello("a"))
    assert "closed" not in lines_of(model)[0]


def test_equal_names_and_breakpoints_of_two_engines_are_told_apart():
    point = {"number": 2, "engine": 1, "event": "Steps.FORWARD", "edge": None, "text": "FORWARD", "once": False}
    offer = {"name": "lr", "label": "training 2: lr", "engine": 1, "value": 1, "low": None, "high": None, "error": None}
    engines = [engine_message(0), engine_message(1, heading="training 2")]
    model = model_of(hello(engines=engines, offers=[offer], breakpoints=[point | {"hits": 0}]), update())
    text = "\n".join(lines_of(model))
    assert "2 training 2: FORWARD" in text
    assert "training 2: lr = 1" in text


def test_an_engine_that_the_server_has_forgotten_is_gone():
    model = model_of(hello(), {"type": "engine", "engine": engine_message(id=7)})
    assert 7 in model.engines
    model.apply({"type": "gone", "engine": 7})
    assert 7 not in model.engines


def test_a_snapshot_has_everything_and_no_blanks_at_the_ends_of_lines():
    lines = [line.plain for line in snapshot(model_of(*MOMENTS["running"]), 80)]
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []
    assert sum("watch out" in line for line in lines) == 30


def test_a_curve_is_bounded_and_keeps_its_ends():
    curve = Curve()
    for number in range(1, 3 * MOST_POINTS):
        curve.extend([[number, number / 2]])
    assert len(curve.points) <= MOST_POINTS
    assert (curve.points[0], curve.points[-1]) == ((1, 0.5), (3 * MOST_POINTS - 1, (3 * MOST_POINTS - 1) / 2))


def test_points_that_are_sent_again_replace_the_end_of_a_curve():
    curve = Curve()
    curve.extend([[1, 1], [2, 2], [3, 3]])
    curve.extend([[2, 20], [3, 30], [4, 40]])
    assert curve.points == [(1, 1), (2, 20), (3, 30), (4, 40)]


def test_a_sparkline_rises_with_the_values():
    curve = Curve()
    curve.extend([[number, number] for number in range(8)])
    assert sparkline(curve, 8) == ["▁▂▃▄▅▆▇█"]
    upper, lower = sparkline(curve, 8, 2)
    assert (upper[0], upper[-1], lower[0], lower[-1]) == (" ", "█", "▁", "█")
    gap = Curve()
    gap.extend([[0, 1], [1, "nan"], [8, 2]])
    assert sparkline(gap, 4) == ["▁▁▁█"]


@pytest.mark.parametrize("width", [30, 40, 60])
def test_a_table_fits_and_keeps_its_numbers(width):
    rows = [["a name that is long", "an event that is long", "12,345"], ["b", "c", "6"]]
    lines = table(rows, "<.>", width)
    assert {line.cell_len for line in lines} == {min(width, 50)} or lines[0].cell_len <= width
    assert all(isinstance(line, Text) and line.plain.endswith(row[-1]) for line, row in zip(lines, rows))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:81/abc/", "ws://127.0.0.1:81/abc/live"),
        ("127.0.0.1:81/abc", "ws://127.0.0.1:81/abc/live"),
        ("ws://host:81/abc/live", "ws://host:81/abc/live"),
        ("https://host/abc/#phase=x", "wss://host:443/abc/live"),
        ("http://[::1]:81/abc/", "ws://[::1]:81/abc/live"),
    ],
)
def test_addresses(text, url):
    assert read_address(text).url == url


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://127.0.0.1:81/", "no token"),
        ("127.0.0.1:81", "no token"),
        ("localhost", "no port"),
        ("", "no host"),
        ("ftp://a:1/b", "ftp"),
        ("http://a:b/c", "not an address"),
        ("http://a:1/b c", "not a token"),
    ],
)
def test_a_wrong_address_is_refused_with_the_form_that_was_expected(text, problem):
    with pytest.raises(CommandError, match=problem) as caught:
        read_address(text)
    assert "http://HOST:PORT/TOKEN/" in str(caught.value)
