"""The pictures in diagrams/ are up to date, and their layouts have no faults."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from geometry import faults, parts

DIAGRAMS = Path(__file__).resolve().parents[2] / "diagrams"
ON_DISK = sorted(path.name for path in DIAGRAMS.glob("*.*") if path.suffix in (".svg", ".mmd"))


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, bytes]]:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    pytest.importorskip("sklearn")
    threads = torch.get_num_threads()
    make = runpy.run_path(str(DIAGRAMS / "make.py"))
    yield {path.name: content for path, content in make["pictures"]()}
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_diagrams_has_the_files_that_make_writes(made: dict[str, bytes]) -> None:
    assert sorted(made) == ON_DISK


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_DISK)
def test_a_picture_is_up_to_date(name: str, made: dict[str, bytes]) -> None:
    assert (DIAGRAMS / name).read_bytes() == made[name], "run python diagrams/make.py and review the diff"


OTHERS = ("packages.svg", "timeline.svg", "timeline_of_ranks.svg", "timeline_of_two_ranks.svg")
LIFECYCLES = [name for name in ON_DISK if name.endswith(".svg") and name not in OTHERS]


@pytest.mark.parametrize("name", LIFECYCLES)
def test_a_picture_has_no_faults(name: str) -> None:
    svg = (DIAGRAMS / name).read_text(encoding="utf-8")
    assert len(parts(svg)) > 20
    assert faults(svg) == []


def lists_of_numbers(text: str, attribute: str) -> list[list[float]]:
    lists = re.findall(rf' (?:{attribute})="([^"]+)"', text)
    return [[float(number) for number in numbers.split(";")] for numbers in lists]


def test_the_animated_run_lights_up_each_phase_as_often_as_it_enters_it() -> None:
    svg = (DIAGRAMS / "walk_over_lifecycle.svg").read_text(encoding="utf-8")
    dot, *lights = re.findall(r"<animate.*?/>", svg)
    for animation in (dot, *lights):
        (times,) = lists_of_numbers(animation, "keyTimes")
        assert times == sorted(set(times))
        assert (times[0], len(times)) == (0, len(lists_of_numbers(animation, "values|keyPoints")[0]))
    (places,) = lists_of_numbers(dot, "keyPoints")
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 1)
    # STARTED, EPOCH_STARTED, 4 phases of 2 iterations in 2 epochs, EPOCH_COMPLETED, COMPLETED, the end
    assert sorted(sum(values) for light in lights for values in lists_of_numbers(light, "values")) == [
        1,
        1,
        1,
        2,
        2,
        4,
        4,
        4,
        4,
    ]


def test_an_animation_needs_an_edge_for_each_move() -> None:
    animated = runpy.run_path(str(DIAGRAMS / "animation.py"))["animated"]
    svg = (DIAGRAMS / "lifecycle.svg").read_text(encoding="utf-8")
    with pytest.raises(KeyError):
        animated(svg, [("initial", "Events.STARTED"), ("Events.STARTED", "Events.ITERATION_COMPLETED")])
