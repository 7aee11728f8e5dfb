"""The timeline page: its content, and its behaviour in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import time
import zlib
from array import array
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_graph import ONE_BATCH, path

from fsm_engine import Engine, Events
from fsm_engine.render.timeline import render_timeline
from fsm_engine.render.timeline.packed_columns import LARGEST, pack_columns
from fsm_engine.render.timeline.visited_diagram import visited_diagram
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.rank import ClockReading, Rank
from fsm_engine.timeline.track import MOVE, SPAN, HandlerRef, MoveKind, NamedSpans, Track
from fsm_engine.timeline.units import format_duration
from fsm_engine.timeline.visits import Visits

if TYPE_CHECKING:
    from chromium import Tab

pytest_plugins = ("chromium",)

NASTY = "<script>alert(1)</script>"
US, MS = 1_000, 1_000_000


def trained(iterations: int, epochs: int = 1, handlers: bool = True, start: int = 5_000_000_000) -> Timeline:
    """Return the timeline of a training of any size, with simulated times."""
    engine = Engine(lambda _engine, batch: batch)
    with engine.record(capacity=8 * epochs * (iterations + 2)) as timeline:
        engine.run([1, 2], max_epochs=2)
    track = timeline.tracks[0]
    numbers = {(kind.source, kind.target): number for number, kind in enumerate(track.kinds) if kind.is_transition}
    track.handlers = [HandlerRef("train.log", "Events.ITERATION_COMPLETED", "train.py:7")]
    track.move_ring.offset = track.move_ring.laps = track.span_ring.offset = 0
    dice, now = random.Random(3), start

    def spend(lowest: int, highest: int) -> None:
        nonlocal now
        now += dice.randrange(lowest, highest)

    here: Any
    here = rest = track.kinds[0].source

    def move(name: str, epoch: int, iteration: int) -> None:
        nonlocal here
        target = rest if name == rest else Events[name]
        for transition in path(here, target):
            ends = str(transition.source), str(transition.target)
            track.move_ring.add(now, numbers[ends], epoch, iteration)
        here = target

    done = 0
    move("STARTED", 0, 0)
    for epoch in range(1, epochs + 1):
        spend(US, 2 * US)
        move("EPOCH_STARTED", epoch - 1, done)
        for _ in range(iterations):
            spend(100, 200)
            move("GET_BATCH_STARTED", epoch, done)
            spend(20 * US, 40 * US)
            move("GET_BATCH_COMPLETED", epoch, done)
            spend(100, 200)
            move("ITERATION_STARTED", epoch, done)
            spend(50 * US, 90 * US)
            done += 1
            move("ITERATION_COMPLETED", epoch, done)
            if handlers:
                track.span_ring.add(now + 50, now + 5 * US, 0, 0)
            spend(6 * US, 8 * US)
        move("EPOCH_COMPLETED", epoch, done)
    spend(US, 2 * US)
    move("COMPLETED", epochs, done)
    spend(US, 2 * US)
    move(rest, epochs, done)
    return timeline


def page(timeline: Timeline, title: str | None = None) -> str:
    return render_timeline(timeline, "html", title=title).decode()


def written(tmp_path: Path, timeline: Timeline, title: str | None = None) -> Path:
    return timeline.draw(tmp_path / "timeline.html", title=title)


def told(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="details">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


# Content


def columns(text: str, shapes: list[list[int]]) -> list[list[float]]:
    """Read columns according to their description, independently of the page."""
    whole, found = zlib.decompress(base64.b64decode(text), -zlib.MAX_WBITS), []
    for count, width in shapes:
        size = count * (width or 8)
        planes, whole = [whole[at : at + count] for at in range(0, size, count or 1)], whole[size:]
        records = [bytes(record) for record in zip(*planes)]
        if width:
            found.append(list(accumulate(int.from_bytes(record, "little", signed=True) for record in records)))
        else:
            values = array("d", b"".join(records))
            found.append(list(values))
    assert whole == b""
    return found


NUMBERS = st.lists(st.integers(-LARGEST, LARGEST) | st.integers(-300, 300))


@given(st.lists(NUMBERS), st.lists(st.floats(allow_nan=False)))
def test_packed_columns_can_be_read(numbers: list[list[int]], values: list[float]) -> None:
    shapes, text = pack_columns([*(array("q", column) for column in numbers), array("d", values)])
    assert columns(text, [list(shape) for shape in shapes]) == [*numbers, values]


def test_numbers_beyond_the_precision_of_javascript_are_clamped() -> None:
    shapes, text = pack_columns([array("q", [2**63 - 1, 5, -(2**63)])])
    assert columns(text, [list(shape) for shape in shapes]) == [[LARGEST, 5, -LARGEST]]


def test_the_page_loads_and_runs_nothing_from_outside() -> None:
    text = page(trained(3))
    script, style = (re.findall(rf"<{tag}>(.*?)</", text, re.DOTALL)[-1] for tag in ('script type="module"', "style"))
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
    policy = f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; base-uri 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text
    assert not re.search(r"<[^>]+\s(src|srcset|on\w+|style)=", text.replace(script, ""))
    assert set(re.findall(r'href="([^"]*)"', text)) == {"#panel"}


@pytest.mark.parametrize("name", [NASTY, "</script><b>", "<!--<script>", "$title", "${data}"])
def test_names_are_escaped(name: str) -> None:
    timeline = trained(2)
    track = timeline.tracks[0]
    track.name, track.handlers = name, [HandlerRef(name, name, name)]
    track.kinds = [MoveKind(kind.source, name, kind.target, (name,), (name,), kind.trigger) for kind in track.kinds]
    timeline.count(name, 1)
    text = page(timeline, name)
    known = told(text)
    assert (known["title"], known["tracks"][0]["heading"], known["tracks"][0]["handlers"]) == (
        name,
        name,
        [{"name": name, "event": name, "place": name}],
    )
    assert text.count("<script") == page(trained(2)).count("<script")


def test_a_page_of_many_moves_is_small() -> None:
    timeline = trained(20_000, handlers=False)
    moves = sum(1 for _ in timeline.tracks[0].moves)
    assert len(page(timeline)) < 5 * moves + 200_000


def test_the_diagram_has_the_visited_phases() -> None:
    timeline = trained(3, epochs=2)
    drawn = visited_diagram(timeline.tracks[0], timeline.summary().tracks[0].phases)
    batch = ["GET_BATCH_STARTED", *(transition.target.name for transition in path(*ONE_BATCH))]
    names = ["STARTED", "EPOCH_STARTED", *batch, "EPOCH_COMPLETED", "COMPLETED"]
    assert [node.text for node in drawn.main] == ["", *names, ""]
    assert [node.notes[0].partition(",")[0] for node in drawn.main[1:-1]] == [
        f"{count}\N{MULTIPLICATION SIGN}" for count in (1, 2, *[6] * len(batch), 2, 1)
    ]
    loops = {(edge.source, edge.target, edge.text) for edge in drawn.edges if not edge.main}
    assert loops == {
        ("Events.ITERATION_COMPLETED", "Events.GET_BATCH_STARTED", "4\N{MULTIPLICATION SIGN}"),
        ("Events.EPOCH_COMPLETED", "Events.EPOCH_STARTED", "1\N{MULTIPLICATION SIGN}"),
    }


def test_a_page_of_an_empty_timeline_raises() -> None:
    with pytest.raises(ValueError, match=r"no run to draw"):
        page(Timeline())


# Behaviour in a browser


POINT = """
const canvas = document.getElementById("lanes");
const row = canvas.chart.rows().find(({ lane }) => lane?.name === arguments[1]);
const box = canvas.getBoundingClientRect();
return [box.left + canvas.chart.x(arguments[0]), box.top + row.top + 8];
"""


def point(tab: Tab, since: float, lane: str) -> dict[str, str]:
    """Move the mouse to a time in a lane, in nanoseconds since the start, and return the content of the tooltip."""
    x, y = tab.js(POINT, since, lane)
    tab.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    tab.until(lambda: tab.find("#tip").is_displayed())
    facts = dict(zip(tab.texts("#tip dt"), tab.texts("#tip dd")))
    return {"name": tab.text("#tip strong"), **facts}


def show(tab: Tab, start: float, end: float) -> None:
    tab.js("document.getElementById('lanes').chart.show(...arguments)", start, end)


def shown(tab: Tab) -> tuple[float, float]:
    """Return the start and the end of the shown time."""
    start, end = tab.js("const { start, end } = document.getElementById('lanes').chart; return [start, end];")
    return start, end


def test_pointing_at_an_item_shows_a_tooltip_and_highlights_its_phase(tab: Tab, tmp_path: Path) -> None:
    timeline = trained(40, epochs=3)
    timeline.count("loss", 0.5)
    track = timeline.tracks[0]
    start = next(track.moves).time
    timeline.counters["loss"].offset = 0
    timeline.counters["loss"].add(start + 10, 0.25)
    tab.open(written(tmp_path, timeline))
    for visit in random.Random(1).sample(list(Visits(track)), 6):
        if visit.duration < US:
            continue
        since = visit.entered.time - start
        show(tab, since - 5 * US, since + visit.duration + 5 * US)
        lane = {"data": "data", "step": "step", "phase": "other phases"}[visit.category]
        first = since if not visit.spans else visit.spans[0].end - start
        facts = point(tab, first + (since + visit.duration - first) / 2, lane)
        name = visit.phase.rpartition(".")[2]
        assert (facts["name"], facts["epoch"], facts["iteration"], facts["loss"]) == (
            *(name, f"{visit.left.epoch}", f"{visit.left.iteration}", "0.25"),
        )
        assert facts["took"] == format_duration(visit.duration - (visit.in_handlers + 50 if visit.spans else 0))
        assert tab.js("return document.querySelector('.graph .here').dataset.node") == visit.phase


def test_the_lane_of_a_single_epoch_has_the_number_of_the_epoch(tab: Tab, tmp_path: Path) -> None:
    tab.open(written(tmp_path, trained(40)))
    facts = point(tab, sum(shown(tab)) / 2, "engine, run, epoch")
    assert (facts["name"], facts["epoch"]) == ("epoch 1", "1")


def test_zooming_keeps_the_time_under_the_pointer(tab: Tab, tmp_path: Path) -> None:
    tab.open(written(tmp_path, trained(50)))
    whole = shown(tab)
    middle = sum(whole) / 2
    x, y = tab.js(POINT, middle, "step")
    for _ in range(60):
        tab.send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-120)
    tab.until(lambda: shown(tab)[1] - shown(tab)[0] < 1000)
    start, end = shown(tab)
    assert start < middle + 40 * MS / 1000
    assert (start < middle < end, end - start >= 20) == (True, True)
    before = shown(tab)
    tab.keys("-")
    assert shown(tab)[1] - shown(tab)[0] > before[1] - before[0]
    tab.keys("0")
    assert shown(tab) == whole
    tab.click("#in")
    tab.keys("\ue014")
    assert shown(tab)[0] > whole[0] + (whole[1] - whole[0]) / 10
    tab.click("#fit")
    assert shown(tab) == whole


def test_dragging_changes_the_shown_time(tab: Tab, tmp_path: Path) -> None:
    tab.open(written(tmp_path, trained(50)), "#from=1000000&to=2000000")
    start, _ = shown(tab)
    x, y = tab.js(POINT, 1_500_000, "step")
    for kind, at in (("mousePressed", x), ("mouseMoved", x - 50), ("mouseMoved", x - 100), ("mouseReleased", x - 100)):
        tab.send("Input.dispatchMouseEvent", type=kind, x=at, y=y, button="left", buttons=1, clickCount=1)
    assert shown(tab)[0] > start + 1000
    (later, end), held = shown(tab), tab.js(POINT, 1_500_000, "step")[0]
    assert (round(end - later), round(held - (x - 100))) == (MS, 0)


def drag(tab: Tab, start: tuple[float, float], end: tuple[float, float], shift: bool = False) -> None:
    """Drag the mouse from one place to another, with the Shift key if `shift`."""
    middle = (start[0] + end[0]) / 2
    moves = ("mousePressed", *start), ("mouseMoved", middle, start[1]), ("mouseMoved", *end), ("mouseReleased", *end)
    for kind, x, y in moves:
        more = {"button": "left", "buttons": 1, "clickCount": 1, "modifiers": 8 if shift else 0}
        tab.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)


AXIS = """
const { chart } = document.getElementById("lanes");
const box = document.getElementById("lanes").getBoundingClientRect();
return [box.left + chart.x(arguments[0]), box.top + chart.head + 10];
"""


def totals(tab: Tab, kind: str) -> dict[str, list[str]]:
    """Return the rows of a table of the marked range."""
    rows = f"return [...document.querySelectorAll('[data-range={kind}] tbody tr')].map(r => r.innerText.split('\\t'))"
    return {name: cells for name, *cells in tab.js(rows)}


@pytest.mark.parametrize("by", ["axis", "shift"])
def test_a_dragged_range_shows_the_totals_per_phase_and_handler(tab: Tab, tmp_path: Path, by: str) -> None:
    timeline = trained(40, epochs=3)
    tab.open(written(tmp_path, timeline))
    before = shown(tab)
    track = timeline.tracks[0]
    visits, origin = list(Visits(track)), next(track.moves).time
    since, until = (visits[at].entered.time - origin for at in (20, 90))
    places = [tab.js(AXIS, time) if by == "axis" else tab.js(POINT, time, "step") for time in (since, until)]
    drag(tab, places[0], places[1], shift=by == "shift")
    start, end = tab.js("return document.getElementById('lanes').chart.range")
    assert (abs(start - since), abs(end - until)) < (before[1] / 500, before[1] / 500)
    assert shown(tab) == before
    phases: dict[str, list[float]] = {}
    for visit in visits:
        first = visit.entered.time - origin
        if first < end and first + visit.duration > start:
            inside = min(first + visit.duration, end) - max(first, start)
            count, total = phases.get(visit.phase, (0, 0.0))
            phases[visit.phase] = [count + 1, total + inside]
    told = totals(tab, "phases")
    assert {name: int(cells[0]) for name, cells in told.items()} == {name: count for name, (count, _) in phases.items()}
    assert {name: cells[1:] for name, cells in told.items()} == {
        name: [format_duration(total), f"{total / (end - start):.1%}"] for name, (_, total) in phases.items()
    }
    (name,) = totals(tab, "handlers")
    assert name.endswith("log on Events.ITERATION_COMPLETED")
    assert tab.text("#range h2") == f"{format_duration(end - start)} marked"
    tab.keys("\ue00c")
    assert (tab.texts("#range h2"), tab.js("return document.getElementById('lanes').chart.range")) == ([], None)


def test_the_totals_of_the_shown_time_are_the_summary_of_the_whole_run(tab: Tab, tmp_path: Path) -> None:
    timeline = trained(30, epochs=2)
    tab.open(written(tmp_path, timeline))
    tab.keys("t")
    summary = timeline.summary().tracks[0]
    for kind, stats in (("phases", summary.phases), ("handlers", summary.handlers)):
        assert {name: cells[:2] for name, cells in totals(tab, kind).items()} == {
            name: [f"{of.count:,}", format_duration(of.total)] for name, of in stats.items()
        }


@pytest.mark.parametrize(
    ("wanted", "found", "name"),
    [
        ("iteration 77", "iteration 77", "iteration 77"),
        ("i 3", "iteration 3", "iteration 3"),
        ("epoch 2", "epoch 2", "epoch 2"),
        ("epoch_comp", "Events.EPOCH_COMPLETED", "EPOCH_COMPLETED"),
        ("train.log", "train.log on Events.ITERATION_COMPLETED", "train.log"),
    ],
)
def test_search_finds(tab: Tab, tmp_path: Path, wanted: str, found: str, name: str) -> None:
    tab.open(written(tmp_path, trained(40, epochs=3)))
    tab.keys("/", wanted)
    assert tab.text("#results [aria-selected=true] .found-text") == found
    tab.keys("\ue007")
    assert tab.text("#selected h2") == name
    tab.until(lambda: tab.text("#number").startswith("1 of "))
    selected = tab.js(
        "const { selected: { lane, place }, start, end } = document.getElementById('lanes').chart;"
        "return start <= lane.starts[place] && lane.ends[place] <= end;"
    )
    assert selected


def test_enter_selects_the_results_one_after_the_other(tab: Tab, tmp_path: Path) -> None:
    tab.open(written(tmp_path, trained(4, epochs=3)))
    tab.keys("/", "epoch_started", "\ue007")
    seen = []
    for _ in range(4):
        facts = dict(zip(tab.texts("#selected dt"), tab.texts("#selected dd")))
        seen.append((tab.text("#number"), facts["epoch"]))
        tab.keys("\ue007")
    assert seen == [("1 of 3", "1"), ("2 of 3", "2"), ("3 of 3", "3"), ("1 of 3", "1")]
    tab.js("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', shiftKey: true }))")
    assert tab.text("#number") == "1 of 3"


def test_the_page_has_the_summary_of_the_timeline(tab: Tab, tmp_path: Path) -> None:
    timeline = trained(30, epochs=2)
    tab.open(written(tmp_path, timeline))
    tab.keys("s")
    summary = timeline.summary().tracks[0]
    for table, times in (
        ("phases", summary.phases),
        ("transitions", summary.transitions),
        ("handlers", summary.handlers),
    ):
        rows = zip(tab.texts(f"[data-table={table}] .name"), read(tab.texts(f"[data-table={table}] td"), 7))
        assert dict(rows) == {
            name: [
                f"{of.count:,}",
                *(format_duration(one) for one in (of.total, of.mean, of.p50, of.p95, of.max)),
                f"{of.share:.1%}",
            ]
            for name, of in times.items()
        }
    parts = (summary.data, summary.step, summary.in_handlers, summary.other)
    assert tab.texts(".spent dd") == [f"{format_duration(part)} {part / summary.total:.0%}" for part in parts]


def read(cells: list[str], width: int) -> list[list[str]]:
    return [cells[at : at + width] for at in range(0, len(cells), width)]


def test_the_page_of_several_ranks_shows_where_a_rank_waits(tab: Tab, tmp_path: Path) -> None:
    start, ranks = 5_000_000_000, [trained(40), trained(40)]
    for number, (timeline, called) in enumerate(zip(ranks, (1, 2))):
        track = timeline.tracks[0]
        track.rank = Rank(number, 3, "host", "run", [ClockReading(0, 0, 100 * US)])
        track.collectives = NamedSpans(1)
        track.collectives.add(start + called * MS, start + 3 * MS, "barrier", False)
    tab.open(written(tmp_path, Timeline.merge(ranks)))
    facts = point(tab, 1.5 * MS, "waits")
    assert (facts["name"], facts["in"], facts["took"]) == ("wait for other ranks", "barrier", "1 ms")
    assert facts["known from"] == "the recorded call"
    assert tab.js("return document.getElementById('lanes').chart.tracks.map((track) => track.heading)") == [
        "rank 0: training",
        "rank 1: training",
    ]
    tab.keys("/", "barrier")
    assert tab.texts("#results .kind") == ["wait"]
    tab.keys("\ue007", "\ue00c")
    assert tab.text("#selected h2") == "wait for other ranks"
    tab.click("#tab-summary")
    text = tab.text("#summary")
    assert "No recording of rank 2 of 3." in text
    assert "1 ms (" in text
    assert "waited for other ranks" in text
    tab.emulate(tab.NARROW)
    assert tab.js("return document.documentElement.scrollWidth <= innerWidth")


def test_names_in_a_browser_are_text(tab: Tab, tmp_path: Path) -> None:
    timeline = trained(5)
    timeline.count(NASTY, 1)
    track = timeline.tracks[0]
    track.handlers = [HandlerRef(NASTY, NASTY, NASTY)]
    other = {"Events.ITERATION_STARTED": f"Events.{NASTY}"}
    track.kinds = [
        MoveKind(other.get(k.source, k.source), NASTY, other.get(k.target, k.target), (NASTY,), (NASTY,), k.trigger)
        for k in track.kinds
    ]
    tab.open(written(tmp_path, timeline, NASTY))
    tab.keys("/", "<script")
    assert tab.text("#results .found-text").endswith(NASTY)
    tab.keys("\ue007", "\ue00c")
    start, end = shown(tab)
    assert NASTY in point(tab, (start + end) / 2, "other phases")["name"]
    tab.keys("s")
    assert NASTY in tab.text("#summary")
    assert tab.js("return document.scripts.length") == 2


def test_calls_in_several_threads_at_once_have_several_lanes(tab: Tab, tmp_path: Path) -> None:
    timeline = Timeline(capacity=10)
    track = Track("odd", "thread", 10)
    timeline.tracks.append(track)
    track.kinds = [MoveKind("A", "go", "B", (), ("run",), "run"), MoveKind("B", "stop", "A", ("run",), ())]
    track.handlers = [HandlerRef("one", "B", "here:1"), HandlerRef("other", "B", "here:2")]
    track.move_ring.add(0, 0, 0, 0)
    track.move_ring.add(100, 1, 0, 0)
    for start, end, number in ((10, 60, 0), (40, 90, 1), (20, 30, 1), (95, 99, 0)):
        track.span_ring.add(start, end, number, 0)
    tab.open(written(tmp_path, timeline))
    lanes = tab.js(
        "return document.getElementById('lanes').chart.tracks[0].lanes.map("
        "(lane) => [lane.name, [...lane.starts], [...lane.ends]]);"
    )
    assert lanes == [
        ["run", [0], [100]],
        ["other phases", [0, 60, 99], [10, 95, 100]],
        ["handlers", [10, 95], [60, 99]],
        ["handlers 2", [20, 40], [30, 90]],
    ]
    assert SPAN.size == MOVE.size


@pytest.mark.slow
def test_a_million_moves(tab: Tab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    timeline = trained(12_500, epochs=20)
    track = timeline.tracks[0]
    assert len(track.move_ring) > 1_000_000
    before = time.perf_counter()
    path = written(tmp_path, timeline)
    drawn = time.perf_counter() - before
    tab.open(path)
    painted = tab.js("return document.documentElement.dataset.painted")
    found = Visits(track)
    for place in random.Random(7).sample(range(len(found)), 4):
        visit, since = found[place], found.start(place) - found.start(0)
        if visit.category != "step" or visit.duration < US:
            visit, since = found[place - place % 4 + 4], found.start(place - place % 4 + 4) - found.start(0)
        lane = {"data": "data", "step": "step", "phase": "other phases"}[visit.category]
        show(tab, since - US, since + visit.duration + US)
        facts = point(tab, since + visit.duration - 20, lane)
        assert (facts["name"], facts["iteration"]) == (
            visit.phase.rpartition(".")[2],
            f"{visit.left.iteration:,}",
        )
    size = path.stat().st_size
    with capsys.disabled():
        print(f"\n{len(found):,} visits: drawn in {drawn:.1f} s, {size / 1e6:.1f} MB, first paint after {painted} ms")
