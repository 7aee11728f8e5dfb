"""Pictures of timelines as PNG and PDF."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path

import pytest

from fsm_engine import Engine, Events
from fsm_engine.render.timeline import render_timeline
from fsm_engine.timeline import Timeline


def run() -> Timeline:
    engine = Engine(lambda _engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _engine: None)
    with engine.record() as timeline:
        engine.run(range(40), max_epochs=3)
    return timeline


def size(png: bytes) -> tuple[int, int]:
    return struct.unpack(">II", png[16:24])  # type: ignore[return-value]


def colours(path: Path) -> set[tuple[int, ...]]:
    image = pytest.importorskip("PIL.Image")
    with image.open(path) as shown:
        return {colour for _, colour in shown.convert("RGBA").getcolors(1 << 24)}


def test_a_png_has_twice_the_pixels_of_the_svg_and_its_colours(tmp_path: Path) -> None:
    pytest.importorskip("typst")
    timeline = run()
    path = timeline.draw(tmp_path / "run.png", theme="light")
    width, height = size(path.read_bytes())
    svg = render_timeline(timeline, "svg", theme="light").decode()
    drawn = [int(number) for number in re.findall(r'<svg [^>]*?width="(\d+)" height="(\d+)"', svg)[0]]
    assert [width, height] == [2 * number for number in drawn]
    assert {(255, 255, 255, 255), (0x0B, 0x62, 0xA8, 255)} <= colours(path)  # the background, and steps


def test_a_png_cannot_follow_the_reader_and_has_the_light_colours() -> None:
    pytest.importorskip("typst")
    timeline = run()
    assert render_timeline(timeline, "png") == render_timeline(timeline, "png", theme="light")


def test_a_pdf_is_written(tmp_path: Path) -> None:
    pytest.importorskip("typst")
    assert run().draw(tmp_path / "run.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_a_missing_package_raises_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(ImportError, match=rf"^A \.{form} .* typst.*pip install .fsm-engine\[draw\]"):
        render_timeline(run(), form)
