"""`Lifecycle.draw`: files of every format, atomic writes, and errors for illegal arguments."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fsm_engine import Engine, EventEnum, Events, Lifecycle, Scope
from fsm_engine._util.atomic_files import write_atomically
from fsm_engine.render import FORMATS, THEMES, render
from fsm_engine.render.convert import convert_svg
from fsm_engine.render.diagram import Mark
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram

BEGINNINGS = {
    "svg": b"<svg ",
    "png": b"\x89PNG\r\n\x1a\n",
    "pdf": b"%PDF-",
    "html": b"<!doctype html>",
    "mmd": b"stateDiagram-v2",
    "dot": b"digraph ",
    "json": b"{",
    "scxml": b"<?xml ",
    "graphml": b"<?xml ",
}


class Own(EventEnum):
    CHECK = "check"
    SEEN = "seen"


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_suffix_selects_the_format(suffix: str, tmp_path: Path) -> None:
    if suffix in ("png", "pdf"):
        pytest.importorskip("typst")
    path = tmp_path / f"lifecycle.{suffix.upper()}"
    assert Lifecycle.training().draw(path) == path
    assert path.read_bytes().lstrip()[:20].lower().startswith(BEGINNINGS[suffix].lower())
    assert path.read_bytes() == render(Lifecycle.training(), suffix)


def test_a_format_takes_precedence_over_the_suffix(tmp_path: Path) -> None:
    assert Lifecycle.training().draw(tmp_path / "notes.txt", "mmd").read_text().startswith("stateDiagram-v2")


def test_a_png_has_two_dots_per_pixel_of_the_svg() -> None:
    pytest.importorskip("typst")
    lifecycle = Lifecycle.training()
    size = struct.unpack(">II", render(lifecycle, "png")[16:24])
    assert size == tuple(2 * length for length in svg_size(lifecycle))


def svg_size(lifecycle: Lifecycle) -> tuple[int, int]:
    svg = ElementTree.fromstring(render(lifecycle, "svg"))
    return int(svg.get("width", "0")), int(svg.get("height", "0"))


def test_a_pdf_page_has_a_point_per_pixel_of_the_svg() -> None:
    pytest.importorskip("typst")
    lifecycle = Lifecycle.training()
    box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", render(lifecycle, "pdf"))
    assert box is not None
    assert tuple(float(length) for length in box.groups()) == svg_size(lifecycle)


@pytest.mark.parametrize("theme", THEMES)
def test_a_png_has_the_background_of_its_theme_to_every_edge(theme: str, tmp_path: Path) -> None:
    pytest.importorskip("typst")
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(Lifecycle.training().draw(tmp_path / "lifecycle.png", theme=theme)) as image:
        pixels = image.convert("RGBA")
        right, bottom = pixels.width - 1, pixels.height - 1
        corners = {pixels.getpixel(at) for at in ((0, 0), (right, 0), (0, bottom), (right, bottom))}
    background = THEMES[theme].background or THEMES["light"].background
    assert corners == {pillow.new("RGBA", (1, 1), background).getpixel((0, 0))}


def test_a_png_shows_texts_although_the_font_is_not_installed() -> None:
    pytest.importorskip("typst")
    pillow = pytest.importorskip("PIL.Image")
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" font-family="No Such Font">{}</svg>'
    text = '<text x="2" y="15" font-size="12" fill="#000000">run</text>'
    images = [pillow.open(io.BytesIO(convert_svg(svg.format(content), "png"))) for content in ("", text)]
    assert [image.getchannel("A").getbbox() is None for image in images] == [True, False]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lifecycle.gif", "'lifecycle.gif' ends in .gif. Use one of .svg, .png, .pdf,"),
        ("lifecycle", "'lifecycle' has no suffix. Use one of .svg,"),
    ],
)
def test_an_unknown_suffix_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Use one of") as caught:
        Lifecycle.training().draw(tmp_path / name)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theme": "pink"}, r"theme='pink'.*'auto', 'light', 'dark', 'print'"),
        ({"detail": "most"}, r"detail='most'.*'all'.*'main'"),
        ({"direction": "up"}, r"direction='up'.*'down'.*'right'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        Lifecycle.training().draw(tmp_path / "lifecycle.svg", **options)
    assert not list(tmp_path.iterdir())


def test_a_title_that_is_not_a_string_is_refused() -> None:
    with pytest.raises(TypeError, match=r"title=3.*string"):
        render(Lifecycle.training(), "svg", title=3)  # type: ignore[arg-type]


def test_an_error_about_missing_typst_has_the_pip_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(ImportError, match=r'typst.*pip install "fsm-engine\[draw\]"'):
        Lifecycle.training().draw(tmp_path / "lifecycle.png")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Lifecycle.training().draw(tmp_path / "missing" / "lifecycle.svg")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_atomically(tmp_path, b"")


def test_a_file_is_replaced_atomically(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "lifecycle.svg"
    path.write_bytes(b"before")
    path.chmod(0o640)

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            Lifecycle.training().draw(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    Lifecycle.training().draw(path)
    assert path.read_bytes().startswith(b"<svg ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.svg", tmp_path / "link.svg"
    target.write_bytes(b"before")
    link.symlink_to(target)
    Lifecycle.training().draw(link)
    assert link.is_symlink()
    assert target.read_bytes().startswith(b"<svg ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "lifecycle.mmd"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        Lifecycle.training().draw(pipe)
        assert read.result(timeout=400) == render(Lifecycle.training(), "mmd")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("theme", THEMES)
def test_hostile_names_are_escaped_in_svg(theme: str) -> None:
    name = '<script>alert("x")</script> & \N{BUG} "quoted"'
    lifecycle = Lifecycle(name)
    lifecycle.add_phase(name, scope=Scope(name, Scope.RUN))
    lifecycle.add_path(Events.STARTED >> name >> Events.COMPLETED)  # type: ignore[operator]
    svg = ElementTree.fromstring(render(lifecycle, "svg", title=name, theme=theme))
    texts = ["".join(element.itertext()) for element in svg.iter() if element.tag.endswith("}text")]
    assert texts.count(name) == 3  # title, phase and scope
    assert not [element for element in svg.iter() if element.tag.endswith("script")]


def test_the_current_phase_is_marked() -> None:
    marked: list[list[str]] = []

    def look(engine: Engine) -> None:
        marked.append([node.text for node in build_diagram(engine.lifecycle).nodes if Mark.CURRENT in node.marks])

    engine = Engine(lambda _engine, _batch: None)
    engine.add_event_handler(Events.GET_BATCH_COMPLETED | Events.COMPLETED, look)
    look(engine)
    engine.run([0])
    look(engine)
    assert marked == [[], ["GET_BATCH_COMPLETED"], ["COMPLETED"], []]


def test_handlers_are_listed_with_file_and_line() -> None:
    engine = Engine(lambda _engine, _batch: None)

    def log(engine: Engine) -> None:
        pass

    engine.add_event_handler(Events.STARTED, log)
    line = log.__code__.co_firstlineno
    name = log.__qualname__
    nodes = build_diagram(engine.lifecycle, DiagramOptions(handlers=True)).nodes
    listed = {node.text: node.notes for node in nodes if node.notes}
    assert listed == {"STARTED": (f"{name}  test_draw.py:{line}",)}


def test_discovered_callback_events_are_drawn() -> None:
    engine = Engine(lambda engine, _batch: engine.fire_event(Own.SEEN))
    engine.register_events(Own.SEEN)
    with engine.discover():
        engine.run([0])
    drawn = build_diagram(engine.lifecycle)
    seen = next(node for node in drawn.nodes if Mark.CALLBACK in node.marks)
    assert (seen.text, seen.box) == ("SEEN", "engine.run.epoch.iteration")
    found = [(edge.source, edge.target) for edge in drawn.edges if edge.kind.value == "discovered"]
    assert found == [("Events.ITERATION_STARTED", seen.id), (seen.id, "Events.ITERATION_COMPLETED")]


def test_an_engine_as_an_activity_is_drawn_inside_its_phase() -> None:
    inner = Engine(lambda _engine, _batch: None)
    lifecycle = Lifecycle.training()
    lifecycle.insert(Own.CHECK, after=Events.EPOCH_COMPLETED, activity=inner, data=[0])
    node = build_diagram(lifecycle).names["Own.CHECK"]
    assert node.inner is not None
    assert [inner.id for inner in node.inner.main] == [node.id for node in build_diagram(Lifecycle.training()).main]


def test_an_engine_is_not_drawn_inside_itself() -> None:
    engine = Engine(lambda _engine, _batch: None)
    engine.lifecycle.insert(Own.CHECK, after=Events.EPOCH_COMPLETED, activity=engine)
    assert build_diagram(engine.lifecycle).names["Own.CHECK"].inner is None


def test_a_notebook_shows_the_svg() -> None:
    bundle = Lifecycle.training()._repr_mimebundle_(include=None, exclude=None)
    assert {kind: text.split()[0] for kind, text in bundle.items()} == {
        "image/svg+xml": "<svg",
        "text/plain": "phase",
    }


def joined(lifecycle: Lifecycle, **options: Any) -> set[str]:
    """Return the edges that are drawn, as ``A > B``, without those of the main path."""
    diagram = build_diagram(lifecycle, DiagramOptions(**options))
    return {re.sub(r"\w*Events\.", "", f"{edge.source} > {edge.target}") for edge in diagram.edges if not edge.main}


LOOPS = {"ITERATION_COMPLETED > GET_BATCH_STARTED", "EPOCH_COMPLETED > EPOCH_STARTED"}


def test_the_main_detail_is_the_main_path_with_its_loops() -> None:
    lifecycle = Lifecycle.training()
    diagram = build_diagram(lifecycle, DiagramOptions(detail="main"))
    assert diagram.main == build_diagram(lifecycle).main == diagram.nodes
    assert joined(lifecycle, detail="main") == LOOPS < joined(lifecycle)
    for suffix in ("svg", "mmd", "dot"):
        assert render(lifecycle, suffix, detail="main") != render(lifecycle, suffix)


def test_the_main_detail_has_phases_and_edges_of_users_without_errors_and_signals() -> None:
    def is_bad(engine: Engine) -> bool:
        return False

    lifecycle = Lifecycle.training()
    with lifecycle.edit():
        lifecycle.add_phase(Own.CHECK, is_bad, Scope.EPOCH)
        lifecycle.add_transition(Events.ITERATION_COMPLETED >> Own.CHECK, guard=is_bad)
        lifecycle.add_transition(Own.CHECK >> Events.GET_BATCH_STARTED)
        lifecycle.add_phase(Own.SEEN, is_bad, Scope.EPOCH)
        lifecycle.add_transition(Scope.ITERATION >> Own.SEEN, error=MemoryError, limit=1)
        lifecycle.add_transition(Own.SEEN >> Events.GET_BATCH_STARTED)
        lifecycle.add_transition(Events.STARTED >> Events.COMPLETED, guard=is_bad, label="bad")
    check = {"ITERATION_COMPLETED > Own.CHECK", "Own.CHECK > GET_BATCH_STARTED"}
    assert joined(lifecycle, detail="main") == LOOPS | check | {"STARTED > COMPLETED"}


def test_the_main_detail_has_the_branches_of_a_step() -> None:
    pytest.importorskip("torch")
    from torch import nn, optim

    from fsm_engine import create_supervised_trainer

    model = nn.Linear(1, 1)
    trainer = create_supervised_trainer(
        model, optim.SGD(model.parameters(), lr=1), nn.MSELoss(), gradient_accumulation_steps=2
    )
    skip = "BACKWARD_COMPLETED > ITERATION_COMPLETED"
    assert joined(trainer.lifecycle, detail="main") == LOOPS | {skip}


def test_the_main_detail_has_callback_events_between_phases_that_are_drawn() -> None:
    engine = Engine(lambda engine, batch: engine.fire_event(Own.SEEN))
    engine.register_events(*Own)
    engine.add_event_handler(Events.TERMINATE, lambda: engine.fire_event(Own.CHECK))
    engine.add_event_handler(Own.SEEN(once=2), lambda: engine.terminate())
    with engine.discover():
        engine.run([1, 2], max_epochs=1)
    seen = joined(engine.lifecycle, detail="main") - LOOPS
    assert "ITERATION_STARTED > callback Own.SEEN" in seen
    assert not any("TERMINATE" in edge for edge in seen)
    assert render(engine.lifecycle, "svg", detail="main")
