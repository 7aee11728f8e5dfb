"""The page of the live inspector, in a browser, with messages from the tests instead of a server."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from fake_inspector import (
    FAKE_SOCKET,
    FakeInspector,
    described,
    described_kind,
    hello,
    moves_of,
    serve_files,
    spans_of,
    update,
)

from fsm_engine import Engine, EventEnum, Events
from fsm_engine.render.inspector_page import (
    SCRIPTS,
    inspector_page,
    inspector_script,
    inspector_style,
    track_picture,
)
from fsm_engine.render.page import read_asset
from fsm_engine.timeline.timeline import Timeline

if TYPE_CHECKING:
    from chromium import Tab

pytest_plugins = ("chromium",)

NASTY = "<img src=x onerror=alert(1)>"


class Parts(EventEnum):
    FORWARD = "forward"
    BACKWARD = "backward"


def step(engine: Engine, batch: int) -> int:
    engine.fire_event(Parts.FORWARD)
    engine.fire_event(Parts.BACKWARD)
    return batch


def log(engine: Engine) -> None:
    """Do nothing."""


def recorded(epochs: int = 3) -> tuple[Engine, Timeline]:
    """Return an engine with two phases in its iteration, and the timeline of a run of four iterations an epoch."""
    engine = Engine(step)
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> Parts.FORWARD >> Parts.BACKWARD >> Events.ITERATION_COMPLETED)
    engine.add_event_handler(Events.ITERATION_COMPLETED, log)
    with engine.record() as timeline:
        engine.run([1, 2, 3, 4], max_epochs=epochs)
    return engine, timeline


# Files


def test_the_page_has_no_inline_script_or_style_and_loads_its_own_files_only() -> None:
    text = inspector_page()
    assert set(re.findall(r'\s(?:src|href)="([^"]*)"', text)) == {"page.js", "page.css", "data:,", "#panel"}
    assert not re.search(r"\s(?:style|on\w+)=|<style|<script(?! type=\"module\" src=)", text)
    identifiers = re.findall(r'\sid="([^"]*)"', text)
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize("title", [NASTY, "$mode", '"><b>'])
def test_the_title_is_text(title: str) -> None:
    text = inspector_page("replay", title)
    assert text.count("<") == inspector_page("replay", "plain").count("<")
    assert 'data-source="replay"' in text


def test_the_script_uses_only_elements_of_the_page() -> None:
    used = set(re.findall(r'byId\("([\w-]+)"\)', inspector_script()))
    assert used <= set(re.findall(r'\sid="([^"]*)"', inspector_page()))


def test_every_colour_variable_has_a_value() -> None:
    text = inspector_style()
    assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= set(re.findall(r"(--[\w-]+):", text))


def test_the_picture_of_a_track_has_the_phases_and_exits_of_its_moves() -> None:
    _, timeline = recorded()
    picture = track_picture(timeline.tracks[0])
    nodes = set(re.findall(r'data-node="([^"]*)"', picture["svg"]))
    edges = set(re.findall(r'data-source="([^"]*)" data-target="([^"]*)"', picture["svg"]))
    taken = {timeline.tracks[0].kinds[number] for _, number, *_ in moves_of(timeline)}
    shown = {(phase["id"], exit_["label"], exit_["target"]) for phase in picture["phases"] for exit_ in phase["exits"]}
    assert shown == {kind.names for kind in taken if kind.is_transition}
    assert {node for phase in picture["phases"] for node in phase["nodes"]} == nodes
    assert {exit_["edge"][:2] for phase in picture["phases"] for exit_ in phase["exits"]} == edges
    assert [phase["scopes"][-1:] for phase in picture["phases"] if phase["id"] == "Parts.FORWARD"] == [
        ("engine.run.epoch.iteration",)
    ]


# Parts of the script


@pytest.fixture
def run_js(tab: Tab) -> Any:
    """Return a function that runs code after the parts of the script, without the page."""
    classes = SCRIPTS[: SCRIPTS.index("inspector/main.js")]
    parts = "".join(read_asset(name) for name in classes if name != "mode.js")
    tab.driver.get("about:blank")
    return lambda code, *arguments: tab.js(f"{parts}\n{code}", *arguments)


def test_columns_keep_the_newest_rows(run_js: Any) -> None:
    code = """
    const columns = new Columns(2, 100);
    const seen = [];
    for (let number = 0; number < arguments[0]; number++) columns.push([number, -number]);
    return [columns.length, columns.dropped, [...columns.column(0)], [...columns.column(1)], columns.arrays[0].length];
    """
    for count in (0, 1, 99, 100, 101, 255, 256, 257, 5000):
        length, dropped, first, second, room = run_js(code, count)
        kept = list(range(max(count - 100, 0), count))
        assert (length, dropped, first) == (len(kept), count - len(kept), kept)
        assert [-number for number in second] == first
        assert room <= 256


def test_a_series_of_any_length_is_bounded_and_keeps_sums_and_ranges(run_js: Any) -> None:
    dice = random.Random(1)
    for count in (1, 1999, 2001, 30_000):
        values = [dice.gauss(0, 1) for _ in range(count)]
        code = """
        const series = new Series("loss");
        arguments[0].forEach((value, number) => series.push(number + 1, value, number));
        const points = series.until(Infinity, 0);
        const half = series.until(arguments[0].length / 2, 0);
        const rows = points.map(({ count, sum, low, high, x }) => [count, sum, low, high, x]);
        return [rows, half.map(({ x }) => x), series.last];
        """
        points, half, last = run_js(code, values)
        assert len(points) <= 2000
        assert sum(point[0] for point in points) == count
        assert sum(point[1] for point in points) == pytest.approx(sum(values))
        assert (min(point[2] for point in points), max(point[3] for point in points)) == (min(values), max(values))
        assert (points[-1][4], last) == (count, values[-1])
        assert all(x <= count / 2 + 1 for x in half)


def test_smoothing_does_not_depend_on_joined_points_and_ignores_nan(run_js: Any) -> None:
    code = """
    const series = new Series("loss");
    for (const [iteration, value] of arguments[0]) series.push(iteration, Number(value), 0);
    return series.until(Infinity, 0.5).map(({ smooth }) => smooth);
    """
    assert run_js(code, [[1, 4], [2, "nan"], [3, 2]]) == [4, 4, pytest.approx(8 / 3)]
    assert run_js(code, [[number, 3] for number in range(1, 5000)])[-1] == pytest.approx(3)


def test_points_are_numbered_if_the_iterations_begin_again(run_js: Any) -> None:
    code = """
    const series = new Series("accuracy");
    for (const iteration of arguments[0]) series.push(iteration, 1, 0);
    return series.until(Infinity, 0).map(({ x }) => x);
    """
    assert run_js(code, [3, 6, 9]) == [3, 6, 9]
    assert run_js(code, [3, 6, 3]) == [1, 2, 3]
    assert run_js(code, [6, 6, 6]) == [1, 2, 3]


def test_the_moment_has_the_counts_and_the_phase_at_any_time(run_js: Any) -> None:
    engine, timeline = recorded()
    moves = moves_of(timeline)
    kinds = [described_kind(kind) for kind in timeline.tracks[0].kinds]
    code = """
    const [description, message, times, kept] = arguments;
    const records = new EngineRecords(description, kept);
    records.update(message.engines[0], message.now);
    return times.map((time) => {
      const { taken, phase, visits, iteration } = momentOf(records, time);
      return [taken, phase, [...visits], iteration];
    });
    """
    dice = random.Random(2)
    times = [dice.randrange(-5, moves[-1][0] + 5) for _ in range(40)]
    for kept in (1000, 30):
        shown = run_js(code, described(engine, timeline), update(moves, "completed", phase=None), times, kept)
        for time, (taken, phase, visits, iteration) in zip(times, shown):
            done = max(sum(1 for move in moves if move[0] <= time), len(moves) - kept)
            counts = Counter(number for _, number, *_ in moves[:done])
            assert taken == [counts[number] for number in range(len(kinds))]
            expected = Counter(kinds[number]["target"] for _, number, *_ in moves[:done])
            assert {name: count for name, count in visits if count} == expected
            if done > len(moves) - kept:
                assert phase == kinds[moves[done - 1][1]]["target"]
                assert iteration == moves[min(done, len(moves) - 1)][3]


def test_no_visit_is_drawn_across_missing_moves(run_js: Any) -> None:
    engine, timeline = recorded()
    moves = moves_of(timeline)
    code = """
    const records = new EngineRecords(arguments[0], 1000);
    records.update(arguments[1].engines[0], arguments[1].now);
    const track = records.track(arguments[1].now);
    const lanes = track.lanes.filter(({ role }) => role !== "handler");
    return lanes.map((lane) => [...lane.starts].map((start, at) => [start, lane.ends[at]]));
    """
    for place in range(1, len(moves) - 1, 7):
        given = [*moves[:place], None, *moves[place + 1 :]]
        before, after = moves[place - 1][0], moves[place + 1][0]
        lanes = run_js(code, described(engine, timeline), update(given, "completed"))
        assert sum(map(len, lanes)) > 10
        crossing = [bar for lane in lanes for bar in lane if bar[0] < after and bar[1] > before]
        assert crossing == []


# The page


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the files of the page."""
    with serve_files() as address:
        yield address


@pytest.fixture
def page(tab: Tab, address: str) -> Iterator[FakeInspector]:
    """Open the page with a fake WebSocket."""
    script = tab.send("Page.addScriptToEvaluateOnNewDocument", source=FAKE_SOCKET)
    tab.driver.get(f"{address}/secret/")
    tab.until(lambda: tab.js("return document.documentElement.dataset.ready === ''"))
    yield FakeInspector(tab)
    tab.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def follow(page: FakeInspector, status: str = "running", **more: Any) -> list[list[int]]:
    """Let the page receive a run up to its last iteration, and return the moves."""
    engine, timeline = recorded()
    moves = moves_of(timeline)
    last = max(number for number, move in enumerate(moves) if move[3] == 11)
    page.receive(hello(described(engine, timeline), **more))
    page.receive(update(moves[:last], status))
    return moves[:last]


@pytest.mark.slow
def test_the_page_connects_beside_itself(page: FakeInspector, address: str) -> None:
    assert page.tab.js("return sockets.map((socket) => socket.address)") == [
        f"{address.replace('http', 'ws')}/secret/live"
    ]
    assert page.tab.text("#state") == "connecting"


@pytest.mark.slow
def test_the_page_shows_the_run_that_it_is_told_of(page: FakeInspector) -> None:
    _, timeline = recorded()
    kinds = [described_kind(kind) for kind in timeline.tracks[0].kinds]
    moves = follow(page)
    visits = Counter(kinds[number]["target"] for _, number, *_ in moves)
    assert page.counts() == visits
    assert page.lit() == [kinds[moves[-1][1]]["target"]]
    assert page.tab.text("#state") == "running"
    assert page.tab.text("#here") == kinds[moves[-1][1]]["target"].rpartition(".")[2]
    assert page.tab.text("#progress-text").startswith("epoch 3 of 3 \N{MIDDLE DOT} iteration 11 of 12")
    assert page.tab.js("return document.getElementById('lanes').chart.tracks.length") == 1
    page.receive(update([], "completed", phase="IDLE", taken=[], state={"epoch": 3}, progress={}))
    assert page.tab.text("#state") == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("size", ["WIDE", "NARROW"])
def test_no_control_covers_the_picture(page: FakeInspector, size: str) -> None:
    page.tab.emulate(getattr(page.tab, size))
    follow(page)
    assert page.tab.covered("#view") == []
    assert page.tab.js("return document.querySelectorAll('#view button').length") == 0
    assert page.tab.text("#fit").endswith("%")


@pytest.mark.slow
def test_names_are_text(page: FakeInspector) -> None:
    nasty = EventEnum("Nasty", {NASTY: "nasty"})
    (event,) = nasty
    engine = Engine(lambda engine, _batch: engine.fire_event(event))
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> event >> Events.ITERATION_COMPLETED)
    log.__name__ = log.__qualname__ = NASTY
    engine.add_event_handler(event, log)
    with engine.record() as timeline:
        engine.run([1, 2], max_epochs=2)
    offers = [{"name": NASTY, "label": NASTY, "engine": 0, "value": 1.0, "low": None, "high": None, "error": NASTY}]
    breakpoints = [
        {"number": 1, "engine": 0, "event": f"Nasty.{NASTY}", "edge": None, "text": NASTY, "once": False, "hits": 1}
    ]
    texts = dict.fromkeys(("heading", "name"), NASTY)
    page.receive(
        hello(described(engine, timeline, **texts), title=NASTY, process=NASTY, offers=offers, breakpoints=breakpoints)
    )
    told = update(
        moves_of(timeline), "failed", spans=spans_of(timeline), calls=[[2, 10, 0]], values={NASTY: [[1, 2], [2, 1]]}
    )
    told["warnings"] = [{"time": 5, "level": NASTY, "logger": NASTY, "text": NASTY}]
    failure = {
        "type": "failure",
        "engine": 0,
        "phase": NASTY,
        "error": NASTY,
        "traceback": NASTY,
        "epoch": 1,
        "iteration": 1,
    }
    look = {"at": NASTY, "why": NASTY, "state": [dict.fromkeys(("name", "type", "value"), NASTY)], "note": NASTY}
    look |= {"batch": [{"path": NASTY, "type": NASTY, "value": NASTY}], "layers": None}
    page.receive(told, failure | {"time": 0}, {"type": "look", "engine": 0, **look}, {"type": "note", "text": NASTY})
    page.click_phase(f"Nasty.{NASTY}")
    for tab in ("run", "phase", "curves", "handlers", "log"):
        page.tab.click(f"#tab-{tab}")
        page.settle()
        assert NASTY in page.tab.text(f"#{tab}")
    page.receive(update([], "paused"))
    page.tab.click("#tab-run")
    page.settle()
    assert NASTY in page.tab.text(".look")
    assert page.tab.js("return document.querySelectorAll('img, script:not([src])').length") == 0


TENSOR = {"dtype": "float32", "device": "cpu"}
OFFER = {"name": "lr", "label": "lr", "engine": 0, "value": 0.5, "low": 0, "high": 1, "error": None}
LOOK = {
    "type": "look",
    "engine": 0,
    "at": "ITERATION_STARTED --forward--> FORWARD",
    "why": "pause",
    "state": [{"name": "epoch", "type": "int", "value": "3"}],
    "batch": [{"path": "[0]", "type": "Tensor", "shape": [64, 8], "low": 0, "high": "inf", "nan": 2, **TENSOR}],
    "layers": [{"name": "0.weight", "shape": [8, 2], "norm": 1.5, "gradient": None, "trains": False, **TENSOR}],
    "note": None,
}


@pytest.mark.slow
def test_a_paused_run_shows_its_state_batch_and_layers(page: FakeInspector) -> None:
    follow(page, "paused")
    page.receive(LOOK)
    assert page.tab.text("#state") == "paused"
    assert page.tab.text("#pause") == "Continue"
    assert page.tab.text(".look .at") == LOOK["at"]
    rows = page.tab.texts(".look tbody tr")
    assert rows == [
        "epoch 3",
        "[0] 64\N{MULTIPLICATION SIGN}8 float32, cpu 0 … inf 2 NaN",
        "0.weight 8\N{MULTIPLICATION SIGN}2 1.5 frozen",
    ]
    page.receive(update([], "running"))
    assert page.tab.texts(".look tbody tr") == []


@pytest.mark.slow
def test_a_closed_inspector_is_not_called_disconnected(page: FakeInspector) -> None:
    follow(page)
    page.receive({"type": "closed", "text": "The inspector was closed."})
    page.tab.js("drop()")
    page.tab.until(lambda: page.tab.text("#banner").startswith("The inspector was closed."))
    page.tab.until(lambda: page.tab.js("return sockets.length") > 1)  # it connects again
    engine, timeline = recorded()
    page.receive(hello(described(engine, timeline)))
    assert page.tab.text("#banner") == ""
    page.tab.js("drop()")
    page.tab.until(lambda: page.tab.text("#banner").startswith("Disconnected."))


@pytest.mark.slow
def test_a_lifecycle_without_epochs_shows_its_own_counters(page: FakeInspector) -> None:
    engine, timeline = recorded()
    page.receive(hello(described(engine, timeline, counters=["rounds"])))
    values = {"output": [[1, 2.0], [7, 3.0]]}
    page.receive(update(moves_of(timeline), values=values, state={"epoch": 0, "iteration": 0, "rounds": 7}))
    assert page.tab.text("#progress-text").startswith("rounds 7")
    assert "counters rounds 7" in page.tab.text("#run .facts")
    assert "epoch" not in page.tab.text("#run .facts")
    page.click_phase("Parts.FORWARD")
    conditions = page.tab.texts(".stop-form option")
    assert conditions == ["always", "at rounds", "from rounds", "every … rounds"]


@pytest.mark.slow
def test_the_exit_to_the_phase_before_says_where_to_pause_instead(page: FakeInspector) -> None:
    follow(page)
    page.tab.js(
        "document.querySelector('[data-source=\"Events.RESUMED\"] .reach')"
        ".dispatchEvent(new MouseEvent('click', { bubbles: true }))"
    )
    assert page.tab.text(".stop-form h3").endswith("from RESUMED to the phase before")
    assert "Pause at RESUMED instead" in page.tab.text(".stop-form .hint")
    assert page.tab.find(".stop-here").get_attribute("disabled")


@pytest.mark.slow
def test_offers_and_breakpoints_of_two_engines_are_told_apart(page: FakeInspector) -> None:
    engine, timeline = recorded()
    two = [described(engine, timeline, heading=heading) | {"id": number} for number, heading in enumerate(("a", "b"))]
    offers = [OFFER | {"label": "a: lr"}, OFFER | {"label": "b: lr", "engine": 1}]
    stop = {"number": 1, "event": "Parts.FORWARD", "edge": None, "text": "FORWARD", "once": False, "hits": 0}
    stops = [stop | {"engine": 0}, stop | {"engine": 1, "number": 2}]
    page.receive(hello(*two, offers=offers, breakpoints=stops), update(moves_of(timeline)))
    assert page.tab.texts(".offer label") == ["a: lr", "b: lr"]
    assert page.tab.texts(".stop-text") == ["FORWARD", "b: FORWARD"]
    second = "const lr = document.querySelector('[data-offer=\"b: lr\"]');"
    page.tab.js(f"{second} lr.value = 1; lr.dispatchEvent(new Event('change'))")
    page.tab.click(".stops li:last-child button")
    assert page.sent() == [
        {"command": "set", "engine": 1, "name": "lr", "value": 1},
        {"command": "unbreak", "engine": 1, "number": 2},
    ]


@pytest.mark.slow
def test_the_buttons_and_keys_send_commands(page: FakeInspector) -> None:
    follow(page, offers=[OFFER])
    page.tab.click("#pause")
    assert page.tab.text("#pause") == "Pausing…"
    page.reply("The run pauses at its next move.")
    assert page.sent() == [{"command": "pause", "engine": 0}]
    page.receive(update([], "paused"), LOOK)
    for by in ("phase", "iteration", "epoch"):
        page.tab.click(f"[data-by={by}]")
    page.tab.keys("s", "i", "e")
    page.tab.click("#save")
    page.tab.click(".look button")
    steps = [{"command": "step", "engine": 0, "by": by} for by in ("phase", "iteration", "epoch")]
    assert page.sent() == [*steps, *steps, {"command": "save", "engine": 0}, {"command": "look", "engine": 0}]
    for command in ("terminate_epoch", "suspend", "terminate"):
        page.tab.click("#end")
        page.tab.click(f"[data-command={command}]")
        assert page.sent() == [{"command": command, "engine": 0}]
    page.tab.js(
        "const lr = document.querySelector('[data-offer=lr]'); lr.value = 0.25; lr.dispatchEvent(new Event('change'))"
    )
    assert page.sent() == [{"command": "set", "engine": 0, "name": "lr", "value": 0.25}]
    page.tab.js("document.activeElement.blur()")
    page.tab.keys(" ")
    assert page.sent() == [{"command": "continue", "engine": 0}]


@pytest.mark.slow
def test_a_refused_command_is_explained(page: FakeInspector) -> None:
    follow(page)
    page.tab.click("#pause")
    page.reply("There is no run to pause.", is_done=False)
    page.settle()
    assert page.tab.text("#pause") == "Pause"
    assert page.tab.text("#status") == "There is no run to pause."
    page.tab.click("#tab-log")
    assert "refused There is no run to pause." in page.tab.text("#log li")


@pytest.mark.slow
def test_breakpoints_are_set_at_phases_and_exits_of_the_picture(page: FakeInspector) -> None:
    from selenium.webdriver.support.select import Select

    follow(page, "paused")
    page.click_phase("Parts.FORWARD")
    assert page.tab.text("#phase h2") == "FORWARD"
    page.tab.click(".stop-here")
    Select(page.tab.find(".stop-form select")).select_by_value("iteration >=")
    page.tab.js("document.querySelector('.stop-form input').value = 40")
    page.tab.click(".stop-here")
    page.tab.click("[data-stop]")
    Select(page.tab.find(".stop-form select")).select_by_value("")
    page.tab.click(".stop-here")
    edge = {"command": "break", "engine": 0, "edge": ["Parts.FORWARD", "Parts.BACKWARD"]}
    condition = {"counter": "iteration", "is": ">=", "value": 40}
    one = {"command": "break", "engine": 0, "event": "Parts.FORWARD"}
    sent = page.sent()
    assert sent[:2] == [one, one | {"when": condition}]
    assert sent[2]["event" if "event" in sent[2] else "edge"]
    page.tab.js(
        'document.querySelector(\'[data-source="Parts.FORWARD"][data-target="Parts.BACKWARD"] .reach\')'
        ".dispatchEvent(new MouseEvent('click', { bubbles: true }))"
    )
    page.tab.click(".stop-here")
    assert page.sent() == [edge]
    page.tab.keys("b")
    assert page.sent() == [edge]
    stop = {"number": 7, "engine": 0, "event": None, "edge": edge["edge"], "text": "an edge", "once": False, "hits": 2}
    page.receive(
        {"type": "breakpoints", "breakpoints": [stop, stop | {"number": 8, "event": "Parts.BACKWARD", "edge": None}]}
    )
    assert page.lit("stop") == ["Parts.BACKWARD"]
    page.tab.keys("b")
    assert page.sent() == [{"command": "unbreak", "engine": 0, "number": 7}]
    page.click_phase("Parts.BACKWARD")
    page.tab.keys("r")
    page.reply("")
    page.settle()
    assert page.sent() == [
        {"command": "break", "engine": 0, "event": "Parts.BACKWARD", "once": True},
        {"command": "continue", "engine": 0},
    ]
    page.tab.click("#tab-run")
    page.settle()
    page.tab.click(".stops button")
    assert page.sent() == [{"command": "unbreak", "engine": 0, "number": 7}]


@pytest.mark.slow
def test_a_phase_at_which_no_run_can_pause_says_so(page: FakeInspector) -> None:
    follow(page)
    page.click_phase("initial")
    assert page.tab.text(".stop-form .hint") == "A run cannot pause in IDLE."
    assert not page.tab.find(".stop-here").is_enabled()


@pytest.mark.slow
def test_a_failed_run_shows_the_traceback_and_its_phase(page: FakeInspector) -> None:
    follow(page, "failed")
    failure = {
        "engine": 0,
        "phase": "Parts.BACKWARD",
        "error": "ValueError: no",
        "traceback": "Traceback:\n  no",
        "time": 3,
    }
    page.receive({"type": "failure", "epoch": 3, "iteration": 11, **failure})
    assert page.tab.text(".card.failed .error") == "ValueError: no"
    assert page.lit("failed") == ["Parts.BACKWARD"]
    page.tab.click(".card.failed button")
    assert page.tab.find(".traceback").text == "Traceback:\n  no"
    page.tab.click("#log .go")
    assert page.tab.text("#phase h2") == "BACKWARD"


@pytest.mark.slow
def test_a_lost_connection_is_opened_again(page: FakeInspector) -> None:
    follow(page)
    page.tab.js("drop()")
    assert page.tab.text("#banner").startswith("Disconnected. Trying again in 1 second")
    assert not page.tab.find("#pause").is_enabled()
    page.tab.until(lambda: page.tab.js("return sockets.length") == 2)
    moves = follow(page)
    assert page.tab.texts("#banner") == []
    assert page.tab.js("return document.getElementById('lanes').chart.tracks[0].times.length") == len(moves) + 1
    page.tab.js("drop()")
    page.tab.until(lambda: page.tab.js("return sockets.length") == 3)
    follow(page, session="two")
    assert page.tab.text("#banner") == "The process was restarted. The page shows the new run."


@pytest.mark.slow
def test_the_scrubber_holds_an_earlier_moment(page: FakeInspector) -> None:
    _, timeline = recorded()
    kinds = [described_kind(kind) for kind in timeline.tracks[0].kinds]
    moves = follow(page)
    page.tab.js("const s = document.getElementById('scrubber'); s.value = 500; s.dispatchEvent(new Event('input'))")
    page.settle()
    middle = (moves[0][0] + moves[-1][0] + 1000) / 2
    done = [move for move in moves if move[0] <= middle]
    assert page.tab.text("#state") == "held"
    assert page.lit() == [kinds[done[-1][1]]["target"]]
    assert page.counts() == Counter(kinds[number]["target"] for _, number, *_ in done)
    page.tab.click("#forth")
    page.settle()
    assert page.lit() == [kinds[moves[len(done)][1]]["target"]]
    page.tab.click("#follow")
    page.settle()
    assert page.tab.text("#state") == "running"
    assert page.counts() == Counter(kinds[number]["target"] for _, number, *_ in moves)


@pytest.mark.slow
def test_handlers_and_curves_are_shown(page: FakeInspector) -> None:
    _, timeline = recorded()
    moves = follow(page)
    points = [[number, 1 / number] for number in range(1, 12)]
    more = {"spans": spans_of(timeline), "calls": [[12, 24_000_000, 1]], "values": {"loss": points}}
    page.receive(update([], taken=[1] * 30, **more, phase=None, since=moves[-1][0], state={}, progress={}))
    page.tab.click("#tab-handlers")
    page.settle()
    assert page.tab.texts("#handlers tbody td")[1:] == ["Events.ITERATION_COMPLETED", "12", "24 ms", "2 ms", "1"]
    page.tab.click("#tab-curves")
    page.settle()
    assert page.tab.texts("#curves figcaption") == ["loss 0.090909"]
    assert "11 points" in page.tab.find("#curves canvas").get_attribute("aria-label")
    picture = "return document.querySelector('#curves canvas').toDataURL()"
    light = page.tab.js(picture)
    page.tab.click("#mode")
    page.settle()
    assert page.tab.js(picture) != light  # without another message


@pytest.mark.slow
def test_a_recording_is_played(page: FakeInspector, address: str) -> None:
    engine, timeline = recorded()
    moves = moves_of(timeline)
    page.tab.driver.get(f"{address}/replay/")
    page.tab.until(lambda: page.tab.js("return document.documentElement.dataset.ready === ''"))
    records = {"id": 0, "moves": moves, "spans": spans_of(timeline), "leftOut": {"moves": 0, "spans": 0}}
    described_track = described(engine, timeline) | track_picture(timeline.tracks[0])
    page.receive(
        hello(described_track, mode="replay", readOnly=True),
        {"type": "update", "now": moves[-1][0], "warnings": [], "engines": [records]},
        {"type": "end"},
    )
    assert page.tab.text("#state") == "recording"
    assert sum(page.counts().values()) <= 1
    assert page.tab.texts("#commands button") == []
    page.tab.click("#play")
    page.tab.until(lambda: page.counts().get("final"))
    kinds = [described_kind(kind) for kind in timeline.tracks[0].kinds]
    ends = Counter(kinds[number]["target"] for _, number, *_ in moves)
    assert page.counts() == {"final" if name == "IDLE" else name: count for name, count in ends.items()}


@pytest.mark.slow
def test_a_long_run_takes_bounded_memory_and_the_page_says_what_it_leaves_out(page: FakeInspector) -> None:
    engine, timeline = recorded()
    page.receive(hello(described(engine, timeline)))
    moves = moves_of(timeline)
    kinds = [number for _, number, *_ in moves]
    page.tab.js(
        """
        const [message, kinds, rounds] = arguments;
        let time = 0;
        for (let round = 1; round <= rounds; round++) {
          const moves = Array.from({ length: 1000 }, (_, at) => [(time += 1000), kinds[at % kinds.length], 1, round]);
          const taken = message.engines[0].taken.map(() => 16_000 * round);
          const leftOut = { moves: 15_000 * round, spans: 0 };
          const values = { loss: [[round, 1 / round]] };
          const engine = { ...message.engines[0], moves: [null, ...moves], taken, leftOut, values };
          receive({ ...message, now: time, engines: [engine] });
        }
        """,
        update(moves),
        kinds[5:25],
        70,
    )
    page.settle()
    chart = "const chart = document.getElementById('lanes').chart; "
    numbers = page.tab.js(chart + "return [...chart.tracks[0].numbers]")
    kept = sum(number != len(timeline.tracks[0].kinds) for number in numbers)
    total = 16_000 * 70 * len(update(moves)["engines"][0]["taken"])
    assert len(numbers) == 20_001
    assert page.tab.text("#left-out") == f"showing {kept:,} of {total:,} moves; the counts are complete"
    assert page.counts()["Parts.FORWARD"] == 1_120_000


@pytest.mark.slow
def test_a_read_only_page_has_no_commands(page: FakeInspector) -> None:
    follow(page, readOnly=True)
    assert page.tab.texts("#commands button, #read-only") == ["read-only"]
    page.tab.keys(" ", "s")
    page.click_phase("Parts.FORWARD")
    page.tab.keys("b", "r")
    assert page.sent() == []


@pytest.mark.slow
def test_a_run_with_several_ranks_cannot_be_paused(page: FakeInspector) -> None:
    engine, timeline = recorded()
    reason = "The run has several ranks."
    page.receive(hello(described(engine, timeline, canPause=reason, canSave=reason)), update(moves_of(timeline)[:30]))
    assert not page.tab.find("#pause").is_enabled()
    assert page.tab.find("#pause").get_attribute("title") == reason
    assert reason in page.tab.text("#run")


@pytest.mark.slow
def test_another_engine_can_be_shown(page: FakeInspector) -> None:
    from selenium.webdriver.support.select import Select

    engine, timeline = recorded()
    other = described(engine, timeline, id=1, heading="evaluation, run by validate", parent=0)
    page.receive(hello(described(engine, timeline)))
    assert not page.tab.find("#engine").is_displayed()
    told = update(moves_of(timeline)[:20])
    page.receive({"type": "engine", "engine": other}, told, {**told, "engines": [{**told["engines"][0], "id": 1}]})
    assert page.tab.texts("#engine option") == ["training", "evaluation, run by validate"]
    Select(page.tab.find("#engine")).select_by_index(1)
    page.settle()
    assert sum(page.counts().values()) == 20
    page.tab.click("#pause")
    assert page.sent() == [{"command": "pause", "engine": 1}]
    assert len(page.tab.js("return document.getElementById('lanes').chart.tracks.map(({ id }) => id)")) == 2
    page.receive({"type": "gone", "engine": 1}, told)
    page.settle()
    assert not page.tab.find("#engine").is_displayed()
    assert len(page.tab.js("return document.getElementById('lanes').chart.tracks.map(({ id }) => id)")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1400, 900), (1010, 640), (930, 640), (800, 640), (390, 800)])
def test_the_page_fits_into_its_window(page: FakeInspector, size: tuple[int, int]) -> None:
    page.tab.emulate(size)
    follow(page, "paused")
    page.receive({**LOOK, "why": "breakpoint 1: StepEvents.BACKWARD_COMPLETED, every 100 iterations"})
    outside = """
    return [...document.querySelectorAll("button, select, input, canvas, [role=tabpanel]")]
      .filter((part) => part.checkVisibility() && !part.closest(".scroller, dialog"))
      .filter((part) => { const box = part.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth; })
      .map((part) => part.outerHTML);
    """
    assert page.tab.js(outside) == []
    assert page.tab.js("return document.documentElement.scrollWidth") == size[0]


@pytest.mark.slow
def test_every_control_has_an_accessible_name(page: FakeInspector) -> None:
    follow(page, "paused", offers=[OFFER])
    page.receive(LOOK)
    elements = page.tab.driver.find_elements(
        "css selector", "button, input, select, a, aside, [role=button], [tabindex]"
    )
    unnamed = [one for one in elements if one.is_displayed() and not one.accessible_name]
    assert [one.get_attribute("outerHTML") for one in unnamed] == []


@pytest.mark.slow
def test_the_page_says_how_many_moves_the_counts_are_without(page: FakeInspector) -> None:
    engine, timeline = recorded()
    moves = moves_of(timeline)
    page.receive(hello(described(engine, timeline)))
    page.receive(update([None, *moves], leftOut={"moves": 9000, "spans": 0, "uncounted": 5000}))
    total = len(moves) + 5000
    assert page.tab.text("#left-out") == (
        f"showing {len(moves):,} of {total:,} moves; the counts are without 5,000 of them"
    )


@pytest.mark.slow
def test_a_zoom_of_the_timeline_follows_the_run_and_a_pan_holds_it(page: FakeInspector) -> None:
    moves = follow(page)
    chart = "const chart = document.getElementById('lanes').chart; "
    page.tab.js(chart + "chart.zoom(4)")
    start, end, last = page.tab.js(chart + "return [chart.start, chart.end, chart.last]")
    assert end == pytest.approx(last)
    assert end - start == pytest.approx((last - moves[0][0]) / 4, rel=0.05)
    assert page.tab.text("#state") == "running"
    page.tab.js(chart + "chart.pan(-100)")
    page.settle()
    assert page.tab.text("#state") == "held"
    page.receive(update([[moves[-1][0] + 10**6, *moves[-1][1:]]], taken=[1] * 40))
    assert page.tab.js(chart + "return chart.end") < last
    page.tab.keys("f")
    page.settle()
    assert page.tab.text("#state") == "running"
    assert page.tab.js(chart + "return chart.end") > last


@pytest.mark.slow
def test_a_selected_item_stays_selected_while_the_timeline_grows(page: FakeInspector) -> None:
    moves = follow(page)
    select = """
    const chart = document.getElementById("lanes").chart;
    const track = chart.tracks[0];
    const lane = track.lanes.find(({ role }) => role === "step");
    chart.selected = { track, lane, place: 3, time: lane.starts[3], count: 1 };
    return lane.starts[3];
    """
    start = page.tab.js(select)
    page.receive(update([[moves[-1][0] + 10**6, *moves[-1][1:]]], taken=[1] * 40))
    again = """
    const { selected, tracks } = document.getElementById("lanes").chart;
    return [selected.lane.starts[selected.place], tracks[0].lanes.includes(selected.lane)];
    """
    assert page.tab.js(again) == [start, True]


@pytest.mark.slow
def test_keys_open_tabs_and_colour_the_phases(page: FakeInspector) -> None:
    follow(page)
    for number, name in enumerate(("run", "phase", "curves", "handlers", "log"), start=1):
        page.tab.keys(str(number))
        assert page.tab.find(f"#{name}").is_displayed()
    page.tab.keys("h")
    page.tab.until(lambda: page.tab.js("return document.querySelectorAll('[class*=heat-]:is(g)').length"))
    assert page.tab.find("#heat").get_attribute("aria-pressed") == "true"
    page.tab.keys("/", "backward", "\n")
    assert page.tab.text("#phase h2") == "BACKWARD"
