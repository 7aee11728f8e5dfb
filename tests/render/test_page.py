"""The page of a lifecycle: its HTML, and its behaviour in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sample_diagrams import HOSTILE

from fsm_engine import Engine, EventEnum, Events, Exit, Lifecycle, Scope, Transition
from fsm_engine.events.edges import Edge
from fsm_engine.graph.signals import Signal
from fsm_engine.lifecycle.coverage import covering_walks
from fsm_engine.render import render
from fsm_engine.render.page import lifecycle_page, page_theme
from fsm_engine.render.page_details import Details, ExitDetails, HandlerDetails, PhaseDetails, page_details
from fsm_engine.render.themes import THEMES
from fsm_engine.render.timeline import render_timeline

if TYPE_CHECKING:
    from chromium import Tab

pytest_plugins = ("chromium",)

SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="200" height="120" viewBox="0 0 200 120">
<g class="box" data-box="run"><rect x="5" y="40" width="100" height="60" stroke="var(--box)" fill="none"/></g>
<g class="edge signal" data-source="initial" data-target="A"><title>IDLE --run--&gt; A</title>
<path d="M20 10L20 50" stroke="var(--line)"/></g>
<g class="node initial" data-node="initial"><circle cx="20" cy="10" r="6"/></g>
<g class="node phase" data-node="A"><rect x="10" y="50" width="60" height="30"/></g>
<g class="node final" data-node="final"><circle cx="20" cy="110" r="6"/></g>
</svg>
"""
IDLE = PhaseDetails("IDLE", "IDLE", ("initial", "final"), (), (), "", "", "", True, False, False, (), ())
SMALL = Details((IDLE, replace(IDLE, id="A", name="A", nodes=("A",), scopes=("run",), terminal=False)))
NASTY = "<script>alert(1)</script>"


def move(label: str, target: str = "", **more: Any) -> ExitDetails:
    """Return an exit with default values for all other fields."""
    plain = ExitDetails(label, "automatic", "", target, "", "", "", "", (), None, (), ("", "", ""))
    return replace(plain, **more)


# HTML


class Read(HTMLParser):
    """Parses a page: all elements with their attributes, and the texts of some."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": [], "h1": []}
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.texts:
            self.texts[tag].append("")
        self.open = tag

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open in self.texts:
            self.texts[self.open][-1] += data


def sha(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_the_script_and_style_of_the_page_only():
    read = Read(lifecycle_page(SVG, SMALL, "small"))
    policy = [attrs["content"] for _, attrs in read.elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    _data, script = read.texts["script"]
    (style,) = read.texts["style"]
    assert policy == [f"default-src 'none'; script-src {sha(script)}; style-src {sha(style)}; base-uri 'none'"]
    handlers = [name for _, attrs in read.elements for name in attrs if name.startswith("on") or name == "style"]
    loaded = [attrs for _, attrs in read.elements if {"src", "srcset", "background"} & {*attrs}]
    assert (handlers, loaded) == ([], [])
    assert {attrs["href"] for _, attrs in read.elements if "href" in attrs} == {"#panel"}


def test_the_page_contains_details_picture_and_title():
    text = lifecycle_page(SVG, SMALL, "small")
    read = Read(text)
    assert json.loads(read.texts["script"][0]) == json.loads(json.dumps({"title": "small", **asdict(SMALL)}))
    assert SVG in text
    assert (read.texts["title"][0], read.texts["h1"]) == ("small", ["small"])


@pytest.mark.parametrize("name", [NASTY, "</script><b>", "<!--<script>", "]]>", "$title", "${svg}", *HOSTILE])
def test_hostile_names_are_escaped(name):
    phase = replace(
        SMALL.phases[1],
        **dict.fromkeys(("id", "name", "activity", "defer", "counter"), name),
        entry=(name,),
        handlers=(HandlerDetails(name, name, name, name),),
        exits=(move(name, guard=name, action=name, errors=(name,)),),
    )
    given = Details((IDLE, phase), name)
    plain, read = Read(lifecycle_page(SVG, SMALL, "small")), Read(lifecycle_page(SVG, given, name))
    known = json.loads(read.texts["script"][0])
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in plain.elements]
    assert {**known, "title": ""} == {**json.loads(json.dumps(asdict(given))), "title": ""}
    assert read.texts["script"][1:] + read.texts["style"] == plain.texts["script"][1:] + plain.texts["style"]


def test_every_colour_variable_has_a_value():
    text = lifecycle_page("\n".join(re.findall(r"var\(--[\w-]+\)", repr(page_theme()))), SMALL, "small")
    declared = set(re.findall(r"(--[\w-]+):", text))
    assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= declared


@pytest.mark.parametrize(
    ("theme", "mode", "lines"),
    [
        ("auto", "auto", "light-dark(#6e7781, #8b949e)"),
        ("light", "light", "light-dark(#6e7781, #8b949e)"),
        ("dark", "dark", "light-dark(#6e7781, #8b949e)"),
        ("print", "light", "light-dark(#555555, #8b949e)"),
    ],
)
def test_the_theme_sets_the_initial_colours_of_the_page(theme, mode, lines):
    read = Read(lifecycle_page(SVG, SMALL, "small", THEMES[theme]))
    assert read.elements[0] == ("html", {"lang": "en", "data-mode": mode})
    assert f"--line: {lines};" in read.texts["style"][0]


def test_the_title_of_a_page_says_what_it_shows():
    engine = Engine(lambda engine, batch: None, name="digits <b>")
    with engine.record() as timeline:
        engine.run([1], max_epochs=1)
    pages = [
        render(Lifecycle("ppo"), "html"),
        render(engine.lifecycle, "html"),
        render(engine.lifecycle, "html", timeline=timeline),
        render(engine.lifecycle, "html", title="Mine"),
        render_timeline(timeline, "html"),
    ]
    titles = [Read(page.decode()).texts["title"][0] for page in pages]
    assert titles == [
        *("Lifecycle of ppo", "Lifecycle of digits <b>", "Recorded run of digits <b>", "Mine"),
        "Timeline of digits <b>",
    ]


# Details of a phase


class Parts(EventEnum):
    FORWARD = "forward"
    BACKWARD = "backward"
    RETRY = "retry"


class Rl(EventEnum):
    COLLECT = "collect"
    LEARN = "learn"
    SKIP = "skip"


def solved(engine: Engine) -> bool:
    return engine.state.solved


def collect(engine: Engine) -> None:
    """Collect a rollout."""


def rl() -> Engine:
    lifecycle = Lifecycle("ppo")
    lifecycle.add_phase(Rl.COLLECT, collect, Scope("rollout", Scope.RUN), counter="rollouts")
    lifecycle.add_phase(Rl.LEARN, None, Scope.RUN)
    lifecycle.add_phase(Rl.SKIP, None, Scope.RUN)
    lifecycle.add_transition(Events.STARTED >> Rl.COLLECT)
    lifecycle.add_transition(Rl.COLLECT >> Rl.LEARN)
    lifecycle.add_transition(Rl.LEARN >> Events.COMPLETED, guard=solved, label="solved")
    lifecycle.add_transition(Rl.LEARN >> Rl.COLLECT)
    lifecycle.add_transition(Scope("rollout", Scope.RUN) >> Rl.SKIP, error=MemoryError, limit=2)
    lifecycle.add_transition(Rl.SKIP >> Rl.LEARN)
    return Engine(lifecycle=lifecycle)


HERE = Path(__file__).relative_to(Path(__file__).parents[2])


def line_of(text: str) -> int:
    return Path(__file__).read_text(encoding="utf-8").splitlines().index(text) + 1


def signal(name: str, target: str, via: str, scope: str) -> ExitDetails:
    edge = (via, f"Events.{target}", f"{scope} --{name}--> {target}")
    return move(name, f"Events.{target}", kind="signal", signal=name, via=via, edge=edge)


def test_the_details_of_a_phase(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    engine = rl()
    engine.add_event_handler(Rl.COLLECT(every=3), collect)
    engine.add_event_handler(Rl.COLLECT >> Rl.LEARN, collect)
    engine.add_event_handler(Exit(Scope.RUN), collect)
    place = f"{HERE}:{line_of('def collect(engine: Engine) -> None:')}"
    told = {phase.id: phase for phase in page_details(engine.lifecycle).phases}
    leaving = HandlerDetails("collect", "Exit(Scope.RUN)", "", place)
    out = [signal("terminate", "TERMINATE", "engine.run", "run"), signal("interrupt", "INTERRUPT", "engine.run", "run")]
    fails = signal("exception", "EXCEPTION_RAISED", "engine", "engine")
    assert told["Rl.COLLECT"] == PhaseDetails(
        id="Rl.COLLECT",
        name="COLLECT",
        nodes=("Rl.COLLECT",),
        scopes=("engine", "engine.run", "engine.run.rollout"),
        entry=("rollouts += 1",),
        activity="collect",
        defer="",
        counter="rollouts",
        terminal=False,
        fired=False,
        recovers=False,
        handlers=(HandlerDetails("collect", "", "every=3", place),),
        exits=(
            *(replace(exit_, handlers=(leaving,)) for exit_ in [*out, fails]),
            move(
                "learn",
                "Rl.LEARN",
                handlers=(HandlerDetails("collect", "Rl.COLLECT >> Rl.LEARN", "", place),),
                edge=("Rl.COLLECT", "Rl.LEARN", "COLLECT --learn--> LEARN"),
                main=True,
            ),
            move(
                "skip",
                "Rl.SKIP",
                kind="error",
                signal="exception",
                via="engine.run.rollout",
                errors=("MemoryError",),
                limit=2,
                edge=("engine.run.rollout", "Rl.SKIP", "rollout --skip--> SKIP"),
            ),
        ),
    )
    assert [exit_.guard for exit_ in told["Rl.LEARN"].exits] == ["", "", "", "solved", ""]
    assert told["Rl.SKIP"].recovers
    assert told["Events.RESUMED"].exits[0] == move(
        "resume", history="engine.run", edge=("Events.RESUMED", "engine.run history", "RESUMED --resume--> run")
    )


# Behaviour in a browser


@pytest.fixture
def shown(tab: Tab, tmp_path: Path) -> Any:
    """Return a function that draws a lifecycle, opens its page, and returns the tab."""

    def show(lifecycle: Lifecycle, hash: str = "", **options: Any) -> Tab:  # noqa: A002
        tab.open(lifecycle.draw(tmp_path / "lifecycle.html", **options), hash)
        return tab

    return show


def training() -> Lifecycle:
    return Lifecycle.training(lambda engine, batch: None)


def retrying() -> Lifecycle:
    lifecycle = training()
    retry(lifecycle)
    return lifecycle


def retry(lifecycle: Lifecycle) -> None:
    """Add phases that the step fires, and an error edge that retries the iteration once."""
    lifecycle.add_path(Events.ITERATION_STARTED >> Parts.FORWARD >> Parts.BACKWARD >> Events.ITERATION_COMPLETED)
    lifecycle.add_phase(Parts.RETRY, None, Scope.EPOCH)
    lifecycle.add_transition(Scope.ITERATION >> Parts.RETRY, error=MemoryError, limit=1)
    lifecycle.add_transition(Parts.RETRY >> Scope.ITERATION)


def failing_once() -> Any:
    """Return a step that fires its phases, and raises MemoryError between them in its first call."""
    errors = [MemoryError()]

    def step(engine: Engine, batch: Any) -> None:
        engine.fire_event(Parts.FORWARD)
        if errors:
            raise errors.pop()
        engine.fire_event(Parts.BACKWARD)

    return step


def once(function: Any) -> Any:
    """Return a handler that calls `function` in its first call only."""
    waiting = [function]
    return lambda: waiting.pop()() if waiting else None


MAKERS = pytest.mark.parametrize("make", [training, lambda: rl().lifecycle, retrying], ids=["training", "own", "retry"])


def node(event: Any) -> str:
    return f'g.node[data-node="{type(event).__name__}.{event.name}"]'


def place(tab: Tab) -> tuple[float, float, float]:
    """Return the position of the picture and its scale."""
    matrix = tab.js("const m = new DOMMatrix(getComputedStyle(picture).transform); return [m.e, m.f, m.a]")
    return tuple(round(value, 2) for value in matrix)


def hash_of(tab: Tab) -> str:
    return tab.js("return location.hash")


def path(tab: Tab) -> list[str]:
    """Return the labels and targets of the path so far."""
    rows = "return [...document.querySelectorAll('.path li')].map(row => [...row.children].map(e => e.textContent))"
    return [f"--{label}--> {name}" for label, name in tab.js(rows)]


def observed(engine: Engine, *data: Any, **limits: Any) -> list[Transition]:
    moves: list[Transition] = []
    with engine.observe(lambda engine, transition: moves.append(transition)):
        engine.run(*data, **limits)
    return moves


def number_of(tab: Tab, move: Transition) -> str:
    """Return the displayed number of the exit of a move."""
    find = (
        "return [...document.querySelectorAll('.choices button')].map(b => [b.dataset.choice, b.disabled, b.innerText])"
    )
    label, target = move.label, getattr(move.target, "name", move.target)
    numbers = [n for n, off, text in tab.js(find) if not off and {label, target} <= set(text.split())]
    assert len(numbers) == 1, (str(move), tab.texts(".choices button"))
    return numbers[0]


@pytest.mark.slow
def test_dragging_and_arrow_keys_move_the_picture(shown):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    tab = shown(training())
    x, y, scale = place(tab)
    ActionChains(tab.driver).move_to_element_with_offset(tab.find("#view"), -350, -200).click_and_hold().move_by_offset(
        30, 20
    ).move_by_offset(10, 30).release().perform()
    assert place(tab) == pytest.approx((x + 40, y + 50, scale), abs=0.02)
    tab.keys(Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert place(tab) == pytest.approx((x + 130, y + 140, scale), abs=0.02)
    tab.keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert place(tab) == pytest.approx((x + 40, y - 40, scale), abs=0.02)


@pytest.mark.slow
def test_a_drag_does_not_select_a_phase(shown):
    from selenium.webdriver import ActionChains

    tab = shown(training())
    phase = tab.find(node(Events.EPOCH_STARTED))
    ActionChains(tab.driver).click_and_hold(phase).move_by_offset(25, 25).release().perform()
    assert (tab.text("#phase h2"), hash_of(tab)) == ("Overview", "")
    tab.click(node(Events.EPOCH_STARTED))
    assert (tab.text("#phase h2"), hash_of(tab)) == ("EPOCH_STARTED", "#phase=Events.EPOCH_STARTED")


@pytest.mark.slow
def test_the_wheel_zooms_around_the_pointer(shown):
    tab = shown(training())
    x, y, scale = place(tab)
    for delta in (-400, 250):
        tab.send("Input.dispatchMouseEvent", type="mouseWheel", x=300, y=400, deltaX=0, deltaY=delta)
    grown = 1.2712491503214047  # exp(0.24)
    top = tab.js("return view.getBoundingClientRect().top")
    tab.until(lambda: place(tab)[2] == pytest.approx(scale * grown, abs=0.01))
    assert place(tab)[:2] == pytest.approx((300 - (300 - x) * grown, 400 - top - (400 - top - y) * grown), abs=1)


@pytest.mark.slow
def test_keys_and_buttons_zoom_and_fit(shown):
    tab = shown(training())
    tab.keys("0")
    whole = place(tab)
    tab.keys("+", "+", "-")
    assert place(tab)[2] == pytest.approx(whole[2] * 1.25, abs=0.01)
    assert tab.text("#fit") == f"{place(tab)[2] * 100:.0f}%"
    tab.click("#in")
    assert place(tab)[2] == pytest.approx(whole[2] * 1.25**2, abs=0.01)
    tab.click("#out")
    tab.click("#fit")
    assert place(tab) == whole
    tab.keys(*"-" * 60)
    assert place(tab)[2] == 0.05
    tab.keys(*"+" * 60)
    assert place(tab)[2] == 4


@pytest.mark.slow
def test_the_picture_never_leaves_the_frame(shown):
    from selenium.webdriver.common.keys import Keys

    tab = shown(training())
    for key in (Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_DOWN):
        tab.keys(*[key] * 40)
        inside = """const one = picture.getBoundingClientRect(), all = view.getBoundingClientRect();
            return one.right > all.left && one.left < all.right && one.bottom > all.top && one.top < all.bottom"""
        assert tab.js(inside)


@pytest.mark.slow
def test_two_fingers_zoom(shown):
    tab = shown(training())
    before = place(tab)[2]

    def touch(kind: str, *places: int) -> None:
        points = [{"x": x, "y": 300, "id": number} for number, x in enumerate(places)]
        tab.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    touch("touchStart", 300, 400)
    for apart in range(10, 110, 10):
        touch("touchMove", 300 - apart // 2, 400 + apart // 2)
    touch("touchEnd")
    tab.until(lambda: place(tab)[2] == pytest.approx(before * 2, rel=0.02))


@pytest.mark.slow
def test_a_selected_phase_shows_its_exits_guards_and_handlers(shown, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    engine = rl()
    engine.add_event_handler(Rl.LEARN(every=3), collect)
    tab = shown(engine.lifecycle)
    tab.click(node(Rl.LEARN))
    place = f"{HERE}:{line_of('def collect(engine: Engine) -> None:')}"
    assert tab.text("#phase").split("Entered from")[0].strip() == (
        "engine \u203a run LEARN Rl.LEARN "
        f"Handlers, in order collect every=3 {place} "
        "Exits The first exit whose guard is true is taken when the activity ends. "
        "\u2192 COMPLETED solved [solved] \u2192 COLLECT collect "
        "On a signal \u2192 TERMINATE terminate from any phase of run "
        "\u2192 INTERRUPT interrupt from any phase of run "
        "\u2192 EXCEPTION_RAISED exception from any phase of engine"
    )
    tab.click(node(Rl.COLLECT))
    assert tab.texts("#phase .doing") == ["On entry rollouts += 1 Activity collect Counter state.rollouts"]
    assert tab.texts("#phase .error") == ["\u2192 SKIP skip MemoryError at most 2 times from any phase of rollout"]
    tab.click("#phase .error a")
    assert (tab.text("#phase h2"), hash_of(tab)) == ("SKIP", "#phase=Rl.SKIP")


@pytest.mark.slow
def test_tab_moves_through_phases_in_the_order_of_the_graph(shown):
    from selenium.webdriver.common.keys import Keys

    lifecycle = training()
    tab = shown(lifecycle)
    tab.js("view.focus()")
    for phase in lifecycle.phases:
        tab.keys(Keys.TAB, Keys.ENTER)
        assert (tab.text("#phase h2"), tab.js("return document.activeElement.getAttribute('role')")) == (
            phase.name,
            "button",
        )
        inside = """const one = document.activeElement.getBoundingClientRect(), all = view.getBoundingClientRect();
            return one.top >= all.top && one.bottom <= all.bottom && scrollY === 0 && view.scrollTop === 0"""
        assert tab.js(inside), phase


@pytest.mark.slow
def test_hovering_a_phase_highlights_its_edges(shown):
    tab = shown(training())
    tab.hover(node(Events.GET_BATCH_COMPLETED))
    near = "return [...document.querySelectorAll('.edge.near title')].map(title => title.textContent)"
    assert sorted(tab.js(near)) == [
        "DATALOADER_STOP_ITERATION --got_batch--> GET_BATCH_COMPLETED",
        "GET_BATCH_COMPLETED --iterate--> ITERATION_STARTED",
        "GET_BATCH_STARTED --got_batch--> GET_BATCH_COMPLETED",
        "engine --exception--> EXCEPTION_RAISED",
        "epoch --terminate_epoch--> TERMINATE_SINGLE_EPOCH",
        "run --interrupt--> INTERRUPT",
        "run --terminate--> TERMINATE",
    ]
    tab.hover("#title")
    assert tab.js(near) == []


@pytest.mark.slow
def test_search_finds_phases_guards_and_handlers(shown):
    from selenium.webdriver.common.keys import Keys

    engine = Engine(lambda engine, batch: None)
    engine.add_event_handler(Events.COMPLETED, collect)
    tab = shown(engine.lifecycle)
    tab.keys("/", "get_b")
    assert tab.texts("#results li") == ["phase Events.GET_BATCH_STARTED", "phase Events.GET_BATCH_COMPLETED"]
    assert len(tab.js("return [...document.querySelectorAll('.searching .found')]")) == 2
    tab.keys(Keys.ARROW_DOWN)
    assert tab.texts("#results [aria-selected=true]") == ["phase Events.GET_BATCH_COMPLETED"]
    tab.keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert (tab.text("#phase h2"), hash_of(tab)) == ("GET_BATCH_STARTED", "#phase=Events.GET_BATCH_STARTED")
    assert tab.texts("#results li") == []
    tab.keys("/", "epoch_length reached")
    assert tab.texts("#results li") == ["guard epoch_length reached ITERATION_COMPLETED"]
    tab.keys(Keys.ESCAPE, "/", "epoch_full")
    assert tab.texts("#results li") == ["exit epoch_full ITERATION_COMPLETED"]
    tab.keys(Keys.ESCAPE, "/", "collect")
    (found,) = tab.texts("#results li")
    assert re.fullmatch(r"handler collect \S+test_page\.py:\d+ COMPLETED", found)
    tab.click("#results li")
    assert tab.text("#phase h2") == "COMPLETED"
    tab.keys("/", "nothing like it")
    assert tab.texts("#results li") == ["No results."]
    tab.keys(Keys.ENTER, Keys.ESCAPE)
    assert (tab.texts("#results li"), tab.text("#phase h2")) == ([], "COMPLETED")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["keys", "mouse"])
def test_a_simulated_epoch_has_the_moves_of_an_engine(way, shown):
    engine = Engine(lambda engine, batch: None)
    moves = observed(engine, [1, 2], max_epochs=1)
    tab = shown(engine.lifecycle)
    tab.keys("s")
    for step in moves:
        number = number_of(tab, step)
        if way == "keys":
            tab.keys(number)
        else:
            tab.click(f'[data-choice="{number}"]')
    walk = "".join(f"{step}\n" for step in moves)
    taken = [str(line).split(" ", 1)[1] for line in moves]
    assert path(tab) == taken
    assert exported(tab, "walk.txt") == walk
    known = dict(zip([phase.name for phase in engine.lifecycle.phases], ids(engine.lifecycle)))
    assert json.loads(exported(tab, "walk.json")) == {
        "lifecycle": engine.lifecycle.name,
        "walk": [
            {"source": known[ends[0]], "label": step.label, "target": known[ends[1]]}
            for step in moves
            for ends in [re.split(r" --.*--> ", str(step))]
        ],
    }
    lit = "return new Set([...document.querySelectorAll('.edge.taken title')].map(title => title.textContent)).size"
    assert tab.js(lit) == len({str(step) for step in moves})
    assert copied(tab) == walk


def ids(lifecycle: Lifecycle) -> list[str]:
    return [phase.id for phase in page_details(lifecycle).phases]


def exported(tab: Tab, name: str) -> str:
    """Click a download button, and return the content of the file."""
    kind = {"walk.json": 2, "walk.txt": 3}[name]
    tab.click(f".exports button:nth-child({kind})")
    file = tab.downloads / name
    tab.until(lambda: file.exists() and file.stat().st_size)
    return file.read_text(encoding="utf-8")


def copied(tab: Tab) -> str:
    tab.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.click(".exports button:nth-child(1)")
    tab.until(lambda: tab.text("#status") == "Copied")
    return tab.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")


@pytest.mark.slow
def test_undo_and_reset(shown):
    from selenium.webdriver.common.keys import Keys

    tab = shown(training())
    tab.keys("1", "1")
    both = ["--run--> STARTED", "--next_epoch--> EPOCH_STARTED"]
    assert path(tab) == both
    tab.keys(Keys.BACKSPACE)
    assert (path(tab), tab.text("#walk h2")) == (both[:1], "STARTED")
    tab.keys("1", "r")
    assert (path(tab), tab.text("#walk h2")) == ([], "IDLE")
    tab.keys(Keys.BACKSPACE, "9")
    assert (path(tab), tab.js("return document.querySelectorAll('.taken').length")) == ([], 0)


@pytest.mark.slow
def test_n_runs_to_the_next_choice(shown):
    tab = shown(rl().lifecycle)
    tab.keys("n")
    assert path(tab) == ["--run--> STARTED", "--collect--> COLLECT", "--learn--> LEARN"]
    assert tab.texts(".choices[aria-label=Exits] .where") == ["COMPLETED", "COLLECT"]
    tab.keys("1", "n")
    assert tab.text("#walk h2") == "IDLE"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "phases"),
    [
        (lambda: rl().lifecycle, "STARTED COLLECT LEARN COMPLETED IDLE"),
        (
            training,
            "STARTED EPOCH_STARTED GET_BATCH_STARTED GET_BATCH_COMPLETED ITERATION_STARTED ITERATION_COMPLETED "
            "EPOCH_COMPLETED COMPLETED IDLE",
        ),
    ],
    ids=["own", "training"],
)
def test_key_1_follows_the_main_path_of_a_successful_run(make, phases, shown):
    tab = shown(make())
    tab.keys(*["1"] * len(phases.split()))
    assert [line.rpartition(" ")[2] for line in path(tab)] == phases.split()
    nodes = "return [...document.querySelectorAll(arguments[0])].map(node => node.dataset.node).sort()"
    assert tab.js(nodes, ".node.been") == tab.js(nodes, ".node.main")


@pytest.mark.slow
def test_the_main_path_and_automatic_exits_come_first_and_signals_are_listed_separately(shown):
    tab = shown(training(), "#walk=0.2")
    assert tab.texts(".choices[aria-label=Exits] button") == [
        "1 GET_BATCH_STARTED next_batch",
        "2 ITERATION_STARTED no_data [no data] / batch = output = None",
    ]
    assert tab.texts(".choices[aria-label='Signals and errors'] button") == [
        "3 TERMINATE_SINGLE_EPOCH terminate_epoch from any phase of epoch",
        "4 TERMINATE terminate from any phase of run",
        "5 INTERRUPT interrupt from any phase of run",
        "6 EXCEPTION_RAISED exception from any phase of engine",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("interrupts", "back"),
    [
        ((), ["ITERATION_STARTED"]),
        ((Events.ITERATION_COMPLETED,), ["ITERATION_STARTED", "ITERATION_COMPLETED"]),
        ((Events.EPOCH_STARTED, Events.RESUMED), ["EPOCH_STARTED", "ITERATION_STARTED"]),
        ((Parts.RETRY,), ["RETRY", "ITERATION_STARTED"]),
        ((Parts.RETRY, Events.RESUMED), ["RETRY", "ITERATION_STARTED"]),
    ],
)
def test_simulated_history_has_the_target_of_an_engine(interrupts, back, shown):
    engine = Engine(failing_once())
    retry(engine.lifecycle)
    for event in interrupts:
        engine.add_event_handler(event, once(engine.interrupt))
    moves = observed(engine, [1, 2], max_epochs=1)
    for _ in interrupts:
        moves += observed(engine)
    assert engine.outcome == "completed"
    tab = shown(engine.lifecycle)
    tab.keys("s")
    for step in moves:
        tab.keys(number_of(tab, step))
    assert path(tab) == [str(step).split(" ", 1)[1] for step in moves]
    labels = ("resume", "iteration")
    assert [step.target.name for step in moves if step.label in labels] == back


@pytest.mark.slow
def test_an_error_in_RESUMED_is_recovered_before_the_interrupt(shown):
    def fail() -> None:
        raise MemoryError

    engine = Engine(lambda engine, batch: None)
    engine.lifecycle.add_phase(Parts.RETRY, None, Scope.RUN)
    engine.lifecycle.add_transition(Scope.RUN >> Parts.RETRY, error=MemoryError)
    engine.lifecycle.add_transition(Parts.RETRY >> Scope.RUN, label="back")
    engine.add_event_handler(Events.EPOCH_STARTED, once(engine.interrupt))
    engine.add_event_handler(Events.RESUMED, once(fail))
    moves = observed(engine, [1], max_epochs=1) + observed(engine)
    tab = shown(engine.lifecycle)
    tab.keys("s")
    for step in moves:
        tab.keys(number_of(tab, step))
    assert path(tab) == [str(step).split(" ", 1)[1] for step in moves]
    back = [way for way in path(tab) if way.startswith(("--back", "--resume"))]
    assert back == ["--back--> RESUMED", "--resume--> EPOCH_STARTED"]


@pytest.mark.slow
def test_an_error_edge_is_disabled_at_its_limit(shown):
    tab = shown(rl().lifecycle, "#walk=0")
    error = Transition(Scope("rollout", Scope.RUN), Rl.SKIP, "skip")
    for _ in range(2):
        tab.keys("n")
        while tab.text("#walk h2") != "COLLECT":
            tab.keys(number_of(tab, Transition(Rl.LEARN, Rl.COLLECT, "collect")))
        tab.keys(number_of(tab, error))
    tab.keys("n", "2")
    assert tab.texts(".choices .error") == [
        "5 SKIP skip MemoryError at most 2 times from any phase of rollout limit reached"
    ]
    assert not tab.find(".choices .error").is_enabled()


@pytest.mark.slow
@MAKERS
def test_every_transition_can_be_simulated(make, shown):
    lifecycle = make()
    phases = {phase.id: phase for phase in page_details(lifecycle).phases}
    names = dict(zip([phase.event for phase in lifecycle.phases], phases))
    tab = shown(lifecycle)
    for walk in covering_walks(lifecycle.graph):
        labels = [[exit_.label for exit_ in phases[names[step.source]].exits] for step in walk]
        numbers = ".".join(str(all_.index(step.label)) for all_, step in zip(labels, walk))
        tab.js("location.hash = arguments[0]", f"#walk={numbers}")
        tab.until(lambda numbers=numbers: hash_of(tab) == f"#walk={numbers}")
        assert path(tab) == [str(step).split(" ", 1)[1] for step in walk]


@pytest.mark.slow
@MAKERS
def test_random_simulations_are_walks_of_the_lifecycle(make, shown):
    lifecycle, dice = make(), random.Random(1)
    tab = shown(lifecycle)
    tab.js(
        """const dice = arguments[0];
        for (const die of dice) {
            const open = [...document.querySelectorAll('.choices button:enabled')];
            open[Math.floor(die * open.length)].click();
        }""",
        [dice.random() for _ in range(400)],
    )
    known = dict(zip(ids(lifecycle), [phase.event for phase in lifecycle.phases]))
    exits = {(t.source, t.label): t for exits in lifecycle.graph.exits for t in exits}
    walk = json.loads(exported(tab, "walk.json"))["walk"]
    steps = [(known[move["source"]], move["label"], known[move["target"]]) for move in walk]
    taken = [replace(exits[source, label], target=target) for source, label, target in steps]
    assert len(taken) == 400
    assert all(one.target == other.source for one, other in pairwise(taken))
    assert lifecycle.coverage(taken).of_phases > 0.5


@pytest.mark.slow
def test_the_address_stores_the_phase_and_the_walk(shown):
    tab = shown(training(), "#phase=Events.EPOCH_STARTED")
    assert tab.text("#phase h2") == "EPOCH_STARTED"
    tab.click(node(Events.COMPLETED))
    tab.driver.back()
    tab.until(lambda: tab.text("#phase h2") == "EPOCH_STARTED")
    tab.keys("1", "1", "1")
    tab.until(lambda: hash_of(tab) == "#phase=Events.EPOCH_STARTED&walk=0.2.1")
    tab.driver.refresh()
    tab.until(lambda: len(path(tab)) == 3)
    assert tab.js("return document.querySelector('#phase h2').textContent") == "EPOCH_STARTED"


@pytest.mark.slow
@pytest.mark.parametrize(
    "hash", ["#phase=Events.GONE", "#walk=x.y", "#walk=7", "#%", "#phase=__proto__", "#walk=0.2.constructor"]
)
def test_an_illegal_address_is_ignored(hash, shown):  # noqa: A002
    tab = shown(training(), hash)
    assert tab.js("return document.querySelector('#phase h2').textContent") == "Overview"
    assert path(tab) == (["--run--> STARTED", "--next_epoch--> EPOCH_STARTED"] if "constructor" in hash else [])


@pytest.mark.slow
def test_hostile_names_are_shown_as_text(shown):
    lifecycle = Lifecycle(NASTY)
    ends = EventEnum("Nasty", {"<img/src=x onerror=alert(1)>": "a", "'\"><b>": "b"})
    nasty, other = ends
    scope = Scope(NASTY, Scope.RUN)

    def guard(engine: Engine) -> bool:
        return True

    guard.__name__ = guard.__qualname__ = NASTY
    lifecycle.add_phase(NASTY, guard, scope)
    lifecycle.add_phase(nasty, None, scope)
    lifecycle.add_phase(other, None, scope)
    lifecycle.add_transition(Events.STARTED >> nasty)
    lifecycle.add_transition(nasty >> other, guard=guard, label=NASTY, action=guard)
    lifecycle.add_transition(nasty >> Events.COMPLETED)
    lifecycle.add_transition(Edge(other, NASTY), label=NASTY)
    lifecycle.add_transition(Edge(NASTY, Events.COMPLETED))
    engine = Engine(lifecycle=lifecycle)
    engine.add_event_handler(NASTY, guard)
    engine.add_event_handler(nasty, guard)
    tab = shown(engine.lifecycle, f"#phase={NASTY}", title=NASTY, guards=True, handlers=True)
    assert (tab.driver.title, tab.text("h1"), tab.text("#phase h2")) == (NASTY, NASTY, NASTY)
    tab.click(f'g.node[data-node="Nasty.{nasty.name}"]')
    assert tab.text("#phase h2") == nasty.name
    assert tab.texts("#phase .chip")[0] == f"[{NASTY}]"
    tab.keys("n", "1", "n")
    assert path(tab) == [
        "--run--> STARTED",
        f"--{nasty.name.lower()}--> {nasty.name}",
        f"--{NASTY}--> {other.name}",
        f"--{NASTY}--> {NASTY}",
        "--completed--> COMPLETED",
        "--done--> IDLE",
    ]
    tab.keys("/", "script")
    assert len(tab.texts("#results li")) > 3
    made = "return [...document.querySelectorAll('img, body b, #picture script')].length"
    assert (tab.js(made), tab.js("return document.scripts.length")) == (0, 2)


@pytest.mark.slow
def test_the_button_and_the_system_set_light_or_dark(shown, tab):
    colour = "return getComputedStyle(document.querySelector('.bar')).backgroundColor"
    light, dark = "rgb(255, 255, 255)", "rgb(21, 27, 35)"
    shown(training())
    assert tab.js(colour) == light
    tab.keys("d")
    assert (tab.js(colour), tab.find("#mode").accessible_name) == (dark, "Change to light colours")
    tab.driver.refresh()
    assert tab.js(colour) == dark
    tab.click("#mode")
    assert tab.js(colour) == light
    tab.emulate(scheme="dark")
    assert tab.js(colour) == dark
    shown(training(), theme="light")
    assert tab.js(colour) == light


@pytest.mark.slow
def test_an_open_help_dialog_disables_other_keys(shown):
    from selenium.webdriver.common.keys import Keys

    tab = shown(training())
    tab.keys("?")
    assert tab.text("#keys h2") == "Keys and legend"
    tab.keys("1")
    assert path(tab) == []
    tab.keys(Keys.ESCAPE)
    assert tab.texts("#keys h2") == []
    tab.keys("1")
    assert path(tab) == ["--run--> STARTED"]


@pytest.mark.slow
def test_on_a_small_screen_the_panel_is_below_the_picture(shown, tab):
    tab.emulate(tab.NARROW)
    shown(training())
    room = "const r = arguments[0].getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom].map(Math.round)"
    left, top, right, bottom = tab.js(room, tab.find("#panel"))
    assert (left, right, bottom) == (0, *tab.NARROW)
    assert tab.js(room, tab.find(".foot"))[3] <= top
    assert tab.js("return document.documentElement.scrollWidth") == tab.NARROW[0]
    tab.click("#handle")
    assert tab.texts("#phase h2") == []
    assert tab.find("#handle").get_attribute("aria-expanded") == "false"
    tab.click("#tab-walk")
    assert tab.texts("#walk h2") == ["IDLE"]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["WIDE", "NARROW"])
def test_nothing_covers_the_picture(size, shown, tab):
    tab.emulate(getattr(tab, size))
    shown(training(), "#walk=0.2")
    assert tab.covered("#view") == []
    assert tab.js("return document.querySelectorAll('#view > :not(.picture)').length") == 0


INSIDE = """
    const [view, svg] = ["#view", "#picture > svg"].map(at => document.querySelector(at).getBoundingClientRect());
    return svg.left >= view.left && svg.top >= view.top && svg.right <= view.right && svg.bottom <= view.bottom;
"""


@pytest.mark.slow
def test_a_page_shows_the_whole_lifecycle_or_says_where_more_is(shown, tab):
    shown(rl().lifecycle)
    assert (tab.js(INSIDE), tab.texts("#more")) == (True, [])
    tab.keys(*"+++++")
    assert (tab.js(INSIDE), tab.texts("#more")) == (False, ["More on all sides: show all"])
    tab.click("#more")
    assert (tab.js(INSIDE), tab.texts("#more")) == (True, [])
    tab.emulate(tab.NARROW)
    shown(training(), guards=True)
    assert (tab.js(INSIDE), tab.texts("#more")) == (False, ["More below, right: show all"])
    tab.click("#more")
    assert (tab.js(INSIDE), tab.texts("#more")) == (True, [])


@pytest.mark.slow
def test_phases_that_the_main_detail_leaves_out_are_listed_and_simulated(shown):
    tab = shown(training(), "#phase=Events.TERMINATE", detail="main")
    assert tab.js("return document.querySelectorAll('.node').length") < len(training().phases)
    assert tab.text("#phase h2") == "TERMINATE"
    tab.keys("s", "1")
    tab.click(f'[data-choice="{number_of(tab, training().graph.signal_exits[1][Signal.TERMINATE])}"]')
    tab.keys("2", "1")
    assert [line.rpartition(" ")[2] for line in path(tab)] == ["STARTED", "TERMINATE", "COMPLETED", "IDLE"]


@pytest.mark.slow
def test_reduced_motion_disables_animations(shown, tab):
    running = "return document.getAnimations().length"
    shown(training(), "#walk=0.2")
    assert tab.js(running) == 0
    tab.emulate(motion="no-preference")
    assert tab.until(lambda: tab.js(running)) > 0


@pytest.mark.slow
def test_every_control_has_an_accessible_name_and_ids_are_unique(shown):
    tab = shown(rl().lifecycle, "#walk=0")
    elements = tab.driver.find_elements("css selector", "button, input, a, aside, [role=button], [tabindex]")
    assert [e.get_attribute("outerHTML") for e in elements if e.is_displayed() and not e.accessible_name] == []
    assert (
        tab.js(
            "const all = [...document.querySelectorAll('[id]')].map(e => e.id); return all.length - new Set(all).size"
        )
        == 0
    )


@pytest.mark.slow
def test_the_page_of_200_phases_is_searched_and_simulated(shown):
    phases = EventEnum("Many", {f"PHASE_{number}": f"phase {number}" for number in range(200)})
    events = list(phases)
    lifecycle = Lifecycle("many")
    for number, event in enumerate(events):
        lifecycle.add_phase(event, None, Scope(f"part_{number // 20}", Scope.RUN))
    lifecycle.add_transition(Events.STARTED >> events[0])
    for one, other in pairwise(events):
        lifecycle.add_transition(one >> other)
    lifecycle.add_transition(events[-1] >> Events.COMPLETED)
    tab = shown(lifecycle)
    tab.keys("n")
    assert len(path(tab)) == 203
    tab.keys("/", "phase_123", "\n")
    assert tab.text("#phase h2") == "PHASE_123"
