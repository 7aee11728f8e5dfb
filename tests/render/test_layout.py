"""The layout of pictures: no overlaps, and a straight main path, for any lifecycle."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import hypothesis
import pytest
import training_graph
from geometry import Part, faults, parts
from hypothesis import given, settings
from lifecycles import Plan, built, plans
from training_graph import ONE_BATCH

from fsm_engine import EventEnum, Events, Lifecycle, Scope
from fsm_engine.render.diagram import Box, Diagram, Edge, EdgeKind, Mark, Node, NodeKind
from fsm_engine.render.diagram_builder import build_diagram
from fsm_engine.render.formats import DIAGRAM_FORMATS, render
from fsm_engine.render.text_metrics import text_width, wrap_name
from fsm_engine.render.themes import get_theme

LOOKS = [{"direction": direction, "guards": guards} for direction in ("down", "right") for guards in (False, True)]
TWENTY = EventEnum("TWENTY", {f"PHASE_{letter}": letter for letter in "abcdefghijklmnopqrst"})


def if_so(engine: Any) -> bool:
    return False


def if_not(engine: Any) -> bool:
    return False


def act(engine: Any) -> None:
    pass


def is_done(engine: Any) -> bool:
    return True


def twenty() -> Lifecycle:
    """Return the training lifecycle with twenty phases in its iteration: a chain, two loops, two detours, an exit."""
    a, b, c, d, e, f, g, h, i, j, k, last, m, n, o, p, q, r, s, t = TWENTY
    lifecycle = Lifecycle.training()
    for event in TWENTY:
        lifecycle.add_phase(event, act, scope=Scope.ITERATION)
    chain = Events.ITERATION_STARTED >> a >> b >> c >> d >> e >> f >> g >> h >> i >> j >> k >> last
    lifecycle.add_path(chain >> Events.ITERATION_COMPLETED, required=True)
    for start, guard, path in (
        (c, if_so, m >> n >> f),
        (e, if_not, o >> p >> q >> b),
        (h, if_so, r >> s >> j),
        (k, if_not, t >> Events.TERMINATE),
    ):
        lifecycle.add_transition(start >> path.ends[0], guard=guard)
        lifecycle.add_path(path)
    lifecycle.add_transition(s >> r, guard=if_not, label="again")
    return lifecycle


def svg(drawn: Diagram) -> str:
    return DIAGRAM_FORMATS["svg"](drawn, get_theme("auto")).decode()


def placed(drawn: Diagram) -> dict[str, Part]:
    return {part.name: part for part in parts(svg(drawn)) if part.kind == "node"}


def middle(part: Part) -> tuple[float, float]:
    assert part.outline is not None
    return (part.outline.left + part.outline.right) / 2, (part.outline.top + part.outline.bottom) / 2


def chain(*names: str, **nodes: Any) -> Diagram:
    """Return a diagram whose main path goes through the nodes of these names, with `nodes` beside it."""
    edges = tuple(Edge(one, other, main=True) for one, other in pairwise(names))
    return Diagram(tuple(Node(name, name.upper(), main=True) for name in names), edges=edges, **nodes)


@pytest.mark.parametrize("look", LOOKS)
def test_a_layout_of_twenty_phases_has_no_faults(look: dict[str, Any]) -> None:
    picture = render(twenty(), "svg", **look).decode()
    assert sum(part.kind == "node" for part in parts(picture)) == len(twenty().phases) - 1 + 3  # two points and history
    assert faults(picture) == []


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
@given(plans())
def test_layouts_of_random_lifecycles_have_no_faults(plan: Plan) -> None:
    building = built(plan)
    look = LOOKS[plan.seed % len(LOOKS)]
    assert faults(render(building.engine.lifecycle, "svg", **look).decode()) == []


@pytest.mark.parametrize("to_the_right", [False, True])
def test_the_main_path_is_straight_and_in_order(to_the_right: bool) -> None:
    picture = render(Lifecycle.training(), "svg", direction="right" if to_the_right else "down").decode()
    path = [middle(part) for part in parts(picture) if part.kind == "node" and "main" in classes(picture, part.name)]
    across, along = [point[to_the_right] for point in path], [point[not to_the_right] for point in path]
    walk = (Events.STARTED, Events.EPOCH_STARTED, *ONE_BATCH, Events.EPOCH_COMPLETED, Events.COMPLETED)
    assert len(path) == len(training_graph.path("IDLE", *walk, "IDLE")) + 1
    assert max(across) - min(across) < 0.2
    assert along[:-1] == sorted(along[:-1])


def classes(picture: str, node: str) -> list[str]:
    return re.search(rf'class="([^"]*)" data-node="{re.escape(node)}"', picture).group(1).split()  # type: ignore[union-attr]


def test_loops_run_on_the_left_and_detours_on_the_right() -> None:
    edges = (Edge("c", "a"), Edge("a", "detour"), Edge("detour", "c"), Edge("b", "back"), Edge("back", "a"))
    drawn = chain("a", "b", "c")
    nodes = (*drawn.nodes, Node("detour", "DETOUR"), Node("back", "BACK"))
    drawn = Diagram(nodes, edges=(*drawn.edges, *edges))
    at = placed(drawn)
    x = middle(at["a"])[0]
    assert middle(at["back"])[0] < x < middle(at["detour"])[0]
    loop = next(part for part in parts(svg(drawn)) if part.ends == ("c", "a"))
    assert max(line.right for line in loop.lines) < x
    assert faults(svg(drawn)) == []


def test_lines_avoid_the_title_of_a_box() -> None:
    drawn = chain("a", "b", "c", boxes=(Box("box", "quite a long name"),))
    nodes = tuple(Node(node.id, node.text, main=True, box="box" if node.id == "b" else None) for node in drawn.nodes)
    edges = (*drawn.edges, Edge("c", "b", "again"), Edge("box", "c", "ValueError", EdgeKind.ERROR))
    for to_the_right in (False, True):
        assert faults(svg(Diagram(nodes, drawn.boxes, edges, to_the_right=to_the_right))) == []


@pytest.mark.parametrize("look", LOOKS)
def test_a_layout_of_many_error_edges_has_no_faults(look: dict[str, Any]) -> None:
    lifecycle = Lifecycle.training()
    kinds = (ValueError, KeyError, OSError, MemoryError, TypeError)
    for event, kind in zip(TWENTY, kinds):
        lifecycle.add_transition(Events.ITERATION_STARTED >> event, error=kind, limit=3)
        lifecycle.add_exits(event, like=Events.ITERATION_COMPLETED)
    assert faults(render(lifecycle, "svg", **look).decode()) == []


def test_the_main_path_is_a_successful_run_although_giving_up_has_more_phases() -> None:
    one, two, *_ = TWENTY
    lifecycle = Lifecycle("solve")
    with lifecycle.edit():
        for event in (one, two):
            lifecycle.add_phase(event, act)
        lifecycle.add_path(Events.STARTED >> one >> two >> one)
        lifecycle.add_transition(two >> Events.COMPLETED, guard=is_done)
        lifecycle.add_transition(two >> Events.TERMINATE, guard=is_done)
    names = ["", "STARTED", one.name, two.name, "COMPLETED", ""]
    assert [node.text for node in build_diagram(lifecycle).main] == names


def test_the_main_path_may_end_early_if_no_other_path_ends() -> None:
    one, *_ = TWENTY
    lifecycle = Lifecycle("give up")
    with lifecycle.edit():
        lifecycle.add_phase(one, act)
        lifecycle.add_path(Events.STARTED >> one >> Events.TERMINATE)
    assert [node.text for node in build_diagram(lifecycle).main][2:] == [one.name, "TERMINATE", "COMPLETED", ""]


def test_the_main_path_of_an_endless_lifecycle_is_its_first_pass() -> None:
    one, two, three, *_ = TWENTY
    lifecycle = Lifecycle("endless")
    for event in (one, two, three):
        lifecycle.add_phase(event, act)
    lifecycle.add_path(Events.STARTED >> one >> two >> three >> one)
    assert [node.text for node in build_diagram(lifecycle).main] == ["", "STARTED", one.name, two.name, three.name]
    assert faults(render(lifecycle, "svg").decode()) == []


def test_a_box_contains_its_own_nodes_only() -> None:
    boxes = (Box("outer", "outer"), Box("outer.inner", "inner", "outer"))
    nodes = (
        Node("a", "A", main=True),
        Node("b", "B", main=True, box="outer"),
        Node("c", "C", main=True, box="outer.inner"),
        Node("d", "D", main=True, box="outer"),
        Node("e", "E", main=True),
        Node("aside", "ASIDE", box="outer.inner"),
        Node("out", "OUT"),
    )
    path = tuple(Edge(one, other, main=True) for one, other in pairwise("abcde"))
    more = (
        Edge("c", "aside", "to the side"),
        Edge("aside", "aside", "again and again"),
        Edge("outer.inner", "out", "leaves", EdgeKind.SIGNAL),
        Edge("outer", "out", "ValueError", EdgeKind.ERROR),
        Edge("outer", "b", "back in", EdgeKind.ERROR),
        Edge("out", "a"),
    )
    picture = svg(Diagram(nodes, boxes, (*path, *more)))
    assert faults(picture) == []
    found = {part.name: part.outline for part in parts(picture) if part.kind in ("node", "box")}
    within = {
        box: {name for name, room in found.items() if name != box and found[box].contains(room)}  # type: ignore[union-attr,arg-type]
        for box in ("outer", "outer.inner")
    }
    assert within == {"outer": {"outer.inner", "b", "c", "d", "aside"}, "outer.inner": {"c", "aside"}}


def test_an_inner_picture_is_inside_its_node() -> None:
    inner = chain("x", "y")
    drawn = Diagram(
        (Node("a", "A", main=True), Node("b", "B", main=True, inner=inner)), edges=(Edge("a", "b", main=True),)
    )
    at = placed(drawn)
    assert set(at) == {"a", "b", "b/x", "b/y"}
    assert at["b"].outline.contains(at["b/x"].outline)  # type: ignore[union-attr,arg-type]
    assert at["b"].outline.contains(at["b/y"].outline)  # type: ignore[union-attr,arg-type]


def test_edges_between_the_same_two_nodes_do_not_overlap() -> None:
    drawn = chain("a", "b")
    more = [Edge("a", "b", f"edge {number}") for number in range(4)] + [Edge("b", "a", f"back {n}") for n in range(4)]
    assert faults(svg(Diagram(drawn.nodes, edges=(*drawn.edges, *more)))) == []


def test_unreachable_nodes_are_drawn() -> None:
    drawn = Diagram((*chain("a", "b").nodes, Node("lost", "LOST")), edges=chain("a", "b").edges)
    assert set(placed(drawn)) == {"a", "b", "lost"}


def test_a_diagram_can_have_a_single_node() -> None:
    assert faults(svg(Diagram((Node("only", "ONLY", NodeKind.INITIAL),)))) == []


def test_the_current_phase_has_a_halo() -> None:
    drawn = Diagram((Node("a", "A", main=True, marks=frozenset({Mark.CURRENT})),), edges=())
    assert 'class="halo"' in svg(drawn)


def test_an_overlap_is_a_fault() -> None:
    picture = svg(chain("a", "b", "c"))
    number = re.search(r'data-node="b".*?<rect x="[^"]*" y="([^"]*)"', picture, re.DOTALL).group(1)  # type: ignore[union-attr]
    broken = picture.replace(f'y="{number}"', 'y="8.0"')
    assert "a overlaps b" in faults(broken)


def test_a_border_through_a_label_and_lines_on_top_of_each_other_are_faults() -> None:
    nodes = tuple(Node(name, name.upper(), main=True, box="box" if name == "b" else None) for name in "abc")
    edges = (Edge("a", "b", main=True), Edge("b", "c", "[guard]", main=True))
    picture = svg(Diagram(nodes, (Box("box", "box"),), edges))
    frame = re.search(r'data-box="box".*?height="([^"]*)"', picture, re.DOTALL).group(1)  # type: ignore[union-attr]
    broken = picture.replace(f'height="{frame}"', f'height="{float(frame) + 24}"', 1)
    assert "the border of box runs through '[guard]'" in faults(broken)
    line = re.search(r'data-source="b".*?d="(M[^"]*)"', picture, re.DOTALL).group(1)  # type: ignore[union-attr]
    twice = re.sub(r'd="M[^"]*"', f'd="{line}"', picture, count=1)
    assert "the lines from a and b run along each other" in faults(twice)


def test_a_long_name_of_several_words_has_two_lines() -> None:
    assert wrap_name("GET_BATCH_STARTED").lines == ("GET_BATCH_STARTED",)
    assert wrap_name("DATALOADER_STOP_ITERATION").lines == ("DATALOADER_", "STOP_ITERATION")
    assert wrap_name("A" * 40).lines == ("A" * 40,)


def test_text_widths_are_the_metrics_of_helvetica() -> None:
    assert text_width("", 10.0) == 0
    assert text_width("iW", 1000.0) == 222 + 944
    assert text_width("\u4e16", 10.0) == 10.0
    assert text_width("e\u0301", 1000.0) == 556


def test_a_layout_of_two_hundred_phases_has_no_faults() -> None:
    many = EventEnum("MANY", {f"PHASE_{number}": f"phase_{number}" for number in range(200)})
    events = list(many)
    lifecycle = Lifecycle("many")
    path = Events.STARTED >> events[0]
    for event in events:
        lifecycle.add_phase(event, act, scope=Scope.RUN)
        path = path >> event if event is not events[0] else path
    lifecycle.add_path(path >> Events.COMPLETED)
    for number in range(0, 200, 9):
        lifecycle.add_transition(events[number] >> events[number * 7 % 200], guard=if_so, label=f"jump {number}")
    assert faults(render(lifecycle, "svg", guards=True).decode()) == []
