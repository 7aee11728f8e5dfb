"""Timeline pictures: they show the record at the right positions, and nothing overlaps."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycles import Plan, built, plans, recorded_run

from fsm_engine import Engine, Events, Lifecycle
from fsm_engine.render import render
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.picture import Label, Rect
from fsm_engine.render.timeline import render_timeline
from fsm_engine.render.timeline.layout import lay_out
from fsm_engine.render.timeline.picture import TimelinePicture
from fsm_engine.render.timeline.time_axis import format_moment
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.rank import ClockReading, Rank
from fsm_engine.timeline.units import format_duration
from fsm_engine.timeline.visits import Visits

MS = 1_000_000
TIMES = "\N{MULTIPLICATION SIGN}"


class Clock:
    """A clock that advances by the time spent, and by 200 ns when it is read."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 200
        return self.now

    def spend(self, milliseconds: float) -> None:
        self.now += int(milliseconds * MS)


def run(epochs: int, iterations: int, fetch: float = 8, step: float = 22, evaluate: bool = True) -> Timeline:
    """Return the timeline of a training with an evaluation after every epoch, with simulated times."""
    clock = Clock()
    trainer = Engine(lambda _engine, _batch: clock.spend(step))
    evaluator = Engine(lambda _engine, _batch: clock.spend(step / 3))

    class Data:
        def __len__(self) -> int:
            return iterations

        def __iter__(self):  # type: ignore[no-untyped-def]
            for number in range(iterations):
                clock.spend(fetch)
                yield number

    @trainer.on(Events.ITERATION_COMPLETED)
    def log() -> None:
        clock.spend(1)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate() -> None:
        if evaluate:
            evaluator.run(Data())

    with mock.patch("fsm_engine.timeline.track_writer.perf_counter_ns", clock), trainer.record() as timeline:
        trainer.run(Data(), max_epochs=epochs)
    return timeline


def labels(picture: TimelinePicture) -> list[Label]:
    found = [picture.title, picture.note, *picture.headings, *(tick.text for tick in picture.ticks)]
    found += [event.name for event in picture.event_lines]
    found += [label for row in picture.rows for label in (row.name, row.share, *(bar.text for bar in row.bars))]
    found += [label for sample in picture.legend for label in (sample.text, sample.letter)]
    return [*(label for label in found if label is not None), *(gap.text for gap in picture.breaks)]


def wrong(picture: TimelinePicture) -> list[str]:
    """Return a description of each overlap, and of each shape outside the page."""
    page = Rect(picture.width / 2, picture.height / 2, picture.width, picture.height)
    texts = labels(picture)
    bounds = [*(label.bounds for label in texts), *(bar.bounds for row in picture.rows for bar in row.bars)]
    found = [f"{one} is not on the page" for one in bounds if not _holds(page, one)]
    for one, other in combinations(texts, 2):
        if one.bounds.overlaps(other.bounds, -0.5):
            found.append(f"{one.text.lines} and {other.text.lines} overlap")
    for event in picture.event_lines:
        for label in (other.name for other in picture.event_lines if other is not event and other.name is not None):
            if (
                label.bounds.left + 0.5 < event.x < label.bounds.right - 0.5
                and event.top < label.bounds.y < event.bottom
            ):
                found.append(f"{event.tip} runs through {label.text.lines}")
    for row in picture.rows:
        for one, other in zip(row.bars, row.bars[1:]):
            if one.item.end > other.item.start:
                found.append(f"{one.item.tip} and {other.item.tip} overlap")
    return found


def _holds(page: Rect, one: Rect) -> bool:
    return page.left <= one.left and one.right <= page.right and page.top <= one.top and one.bottom <= page.bottom


def lines(label: Label | None) -> str:
    return "" if label is None else " ".join(label.text.lines)


def test_a_short_run_is_shown_completely() -> None:
    picture = lay_out(run(2, 3), "")
    names = [lines(row.name) for row in picture.rows]
    assert names == [
        *("engine, run", "epoch", "iteration", "data", "step", "handlers"),
        *("engine, run, epoch", "iteration", "data", "step"),
    ]
    counts = [len(row.bars) for row in picture.rows]
    assert (counts[1], counts[2], counts[4], counts[5]) == (2, 6, 6, 8)
    assert [lines(heading) for heading in picture.headings] == ["training", "evaluator, run by validate"]
    assert picture.breaks == ()
    assert len(picture.joins) == 2


def test_repetitions_are_left_out_and_counted() -> None:
    picture = lay_out(run(10, 500), "")
    told = [lines(gap.text) for gap in picture.breaks]
    assert [text.partition("(")[0] for text in told] == [
        *("497 more iterations ", "497 more iterations ", "8 more epochs "),
        *("497 more iterations ", "497 more iterations "),
    ]
    assert [lines(bar.text) for bar in picture.rows[1].bars] == ["epoch 1", "epoch 10"]


def test_a_long_pause_is_shortened() -> None:
    def cut(fetch: float) -> list[str]:
        return [lines(gap.text) for gap in lay_out(run(1, 2, fetch=fetch, evaluate=False), "").breaks]

    assert cut(100) == []
    assert cut(1000) == ["(912 ms)", "(912 ms)"]


def test_a_resumed_run_is_drawn_with_a_note_about_dropped_moves() -> None:
    engine = Engine(lambda _engine, _batch: None)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=7), Engine.interrupt)
    with engine.record(capacity=40) as timeline:
        engine.run(range(10))
        engine.run()
    picture = lay_out(timeline, "")
    assert lines(picture.note) == f"The first {timeline.dropped[0]} moves were not kept."
    assert wrong(picture) == []


def test_every_event_is_named_at_least_once() -> None:
    picture = lay_out(run(1, 2, evaluate=False), "")
    named = {lines(event.name) for event in picture.event_lines} - {""}
    (track,) = run(1, 2, evaluate=False).tracks
    assert named == {visit.phase.removeprefix("Events.") for visit in Visits(track)}


def test_the_lengths_of_bars_are_proportional_to_durations() -> None:
    picture = lay_out(run(1, 2, fetch=10, step=30, evaluate=False), "")
    data, step = (next(row for row in picture.rows if lines(row.name) == name) for name in ("data", "step"))
    waits = [bar.bounds.width for bar in data.bars if bar.bounds.width > 1]
    assert [bar.bounds.width for bar in step.bars] == pytest.approx([3 * wait for wait in waits], rel=0.01)
    assert (lines(data.share), lines(step.share)) == ("24%", "73%")


@pytest.mark.parametrize("name", ["gif", "", "SVG "])
def test_an_unknown_format_raises(name: str) -> None:
    with pytest.raises(ValueError, match=r"format=.*'svg'"):
        render_timeline(run(1, 1), name)


def test_a_title_that_is_not_a_string_raises() -> None:
    with pytest.raises(TypeError, match="title=5 has to be a string"):
        render_timeline(run(1, 1), "svg", title=5)  # type: ignore[arg-type]


def test_drawing_an_empty_timeline_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no run to draw"):
        Timeline().draw(tmp_path / "timeline.svg")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_one_svg_without_scripts_or_links(tmp_path: Path) -> None:
    path = run(3, 50).draw(tmp_path / "timeline.svg", title="<script>")
    elements = list(ElementTree.parse(path).iter())
    tags = {element.tag.rpartition("}")[2] for element in elements}
    assert tags == {"svg", "title", "style", "g", "rect", "path", "line", "text"}
    assert not any("href" in name or name.startswith("on") for element in elements for name in element.attrib)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        *((0, "0 ns"), (999, "999 ns"), (1500, "1.5 µs"), (999_700, "1 ms"), (2_340_000, "2.34 ms"), (10**9, "1 s")),
        *((59 * 10**9, "59 s"), (61 * 10**9, "1 min 1 s"), (7_500 * 10**9, "2 h 5 min")),
    ],
)
def test_durations_are_formatted_with_three_digits(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("nanoseconds", "step", "whole", "text"),
    [
        (0, 1000, 10**6, "0"),
        (20 * MS, 20 * MS, 100 * MS, "20 ms"),
        (1_500 * MS, 500 * MS, 10_000 * MS, "1.5 s"),
        (61_250 * MS, 50 * MS, 90_000 * MS, "1:01.25"),
        (3_661_000 * MS, 1_000 * MS, 9_000_000 * MS, "1:01:01"),
    ],
)
def test_ticks_have_the_necessary_digits(nanoseconds: int, step: int, whole: int, text: str) -> None:
    assert format_moment(nanoseconds, step, whole) == text


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 300), st.floats(0, 200), st.floats(0.001, 500), st.booleans())
def test_nothing_overlaps(epochs: int, iterations: int, fetch: float, step: float, both: bool) -> None:
    assert wrong(lay_out(run(epochs, iterations, fetch, step, both), "A title")) == []


@settings(deadline=None, max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans(), st.randoms(use_true_random=False))
def test_pictures_of_random_lifecycles_have_every_scope(plan: Plan, chance: random.Random) -> None:
    building = built(plan)
    clock = Clock()

    def tell() -> int:
        clock.spend(chance.choice((0, 0, 0.01, 1, 30)))
        return clock()

    with mock.patch("fsm_engine.timeline.track_writer.perf_counter_ns", tell), building.engine.record() as timeline:
        building.run()
    (track, *_) = timeline.tracks
    hypothesis.assume(list(Visits(track)))
    picture = lay_out(timeline, "A title")
    assert wrong(picture) == []
    scopes = {scope for visit in Visits(track) for scope in visit.entered.kind.target_scopes}
    assert scopes <= {
        name for row in picture.rows for part in lines(row.name).split(" / ") for name in part.split(", ")
    }
    render_timeline(timeline, "svg")


def heated(timeline: Timeline) -> ElementTree.Element:
    lifecycle = Engine(lambda _engine, _batch: None).lifecycle
    return ElementTree.fromstring(render(lifecycle, "svg", timeline=timeline))


def groups(picture: ElementTree.Element, kind: str) -> dict[tuple[str, ...], ElementTree.Element]:
    keys = {"node": ("data-node",), "edge": ("data-source", "data-target")}[kind]
    found = [group for group in picture.iter() if (group.get("class") or "").split()[:1] == [kind]]
    return {tuple(str(group.get(key)) for key in keys): group for group in found}


def test_a_lifecycle_is_drawn_with_the_heat_map_of_a_run() -> None:
    picture = heated(run(2, 5, fetch=10, step=30, evaluate=False))
    nodes, edges = groups(picture, "node"), groups(picture, "edge")
    told = {name: [text.text for text in group.iter() if text.tag.endswith("text")] for (name,), group in nodes.items()}
    assert told["Events.ITERATION_STARTED"] == ["ITERATION_STARTED", f"10{TIMES}, 73%"]
    assert told["Events.TERMINATE"] == ["TERMINATE"]
    faint = {name for (name,), group in nodes.items() if "unvisited" in group.get("class").split()}
    assert faint == {
        *("Events.RESUMED", "Events.TERMINATE", "Events.TERMINATE_SINGLE_EPOCH", "Events.INTERRUPT"),
        *("Events.EXCEPTION_RAISED", "engine.run history"),
    }
    widths = {
        ends: float(next(part.get("stroke-width") or "" for part in group if part.tag.endswith("path")))
        for ends, group in edges.items()
    }
    loop, again, never = (
        ("Events.ITERATION_STARTED", "Events.ITERATION_COMPLETED"),
        ("Events.EPOCH_COMPLETED", "Events.EPOCH_STARTED"),
        ("Events.TERMINATE", "Events.COMPLETED"),
    )
    assert widths[loop] > widths[again] > widths[never]
    assert (edges[loop].get("data-label"), edges[never].get("data-label")) == (f"10{TIMES}", "")


def test_a_heat_map_of_another_lifecycle_raises() -> None:
    other = Lifecycle("other")
    with pytest.raises(ValueError, match="no such edge"):
        render(other, "svg", timeline=run(1, 1))
    with pytest.raises(ValueError, match="nothing was recorded"):
        render(other, "svg", timeline=Timeline())


def test_a_heat_map_can_show_any_track() -> None:
    timeline = run(2, 4)
    lifecycle = Engine(lambda _engine, _batch: None).lifecycle
    first, second = (render(lifecycle, "svg", timeline=track) for track in timeline.tracks)
    assert first == render(lifecycle, "svg", timeline=timeline)
    assert first != second


def ranks(*fetch: int) -> Timeline:
    """Return the timeline of ranks that wait for their data for different times."""
    timelines = [run(2, 5, fetch=own, step=30, evaluate=False) for own in fetch]
    for number, timeline in enumerate(timelines):
        timeline.tracks[0].rank = Rank(number, len(fetch), "", "", [ClockReading(0, 0, 0)])
    return Timeline.merge(timelines)


def test_the_heat_map_of_a_merged_timeline_shows_where_ranks_differ() -> None:
    lifecycle = Engine(lambda _engine, _batch: None).lifecycle
    timeline = ranks(10, 40, 20)
    drawn = build_diagram(lifecycle, DiagramOptions(tracks=timeline.tracks))
    data, step = (drawn.names[f"Events.{name}_STARTED"] for name in ("GET_BATCH", "ITERATION"))
    texts = render(lifecycle, "svg", timeline=timeline).decode()
    assert data.heat is not None
    assert data.heat > 0.3 > 0.01 > (step.heat or 0)
    assert "9 ms to 36 ms (rank 1)" in data.notes
    assert any(note.startswith("entered") for note in step.notes)
    assert "ranks differ by under 1%" in texts
    assert "ranks differ" not in render(lifecycle, "svg", timeline=timeline.tracks[0]).decode()


def test_a_merged_timeline_is_drawn_by_rank() -> None:
    picture = lay_out(ranks(10, 40), "Two ranks")
    assert [heading.text.lines for heading in picture.headings] == [("rank 0: training",), ("rank 1: training",)]
    assert wrong(picture) == []


@settings(deadline=None, max_examples=15, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans())
def test_heat_maps_of_random_runs(plan: Plan) -> None:
    building, timeline = recorded_run(plan)
    track = timeline.tracks[0]
    drawn = build_diagram(building.engine.lifecycle, DiagramOptions(tracks=(track,)))
    came = {visit.phase for visit in Visits(track)}
    assert {node.id for node in drawn.nodes if node.heat is not None} == came
    assert sum(node.heat for node in drawn.nodes if node.heat is not None) == pytest.approx(1 if came else 0)
