"""The plot of `peers.py`, as SVG, made from its stored results."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the pictures of fsm_engine need no other package

from peers_table import UNSTEADY, dates, rounded

from fsm_engine.render.picture import Label, Rect
from fsm_engine.render.svg import svg_document, text_elements
from fsm_engine.render.text_metrics import LINE_HEIGHT, Text, text_width
from fsm_engine.render.themes import Theme, get_theme

PANELS = {"no-op": "Step that does nothing", "digits": "MLP on digits", "cnn": "Small CNN on digits"}
TICKS = (1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
LEFT, TOP, NAMES, PANEL, GAP, VALUE, ROW = 24.0, 88.0, 150.0, 210.0, 26.0, 50.0, 27.0
NAME_SIZE, SMALL, HEADING, TITLE = 14.0, 12.0, 14.0, 20.0
OURS = "fsm_engine"
SUBTITLE = f"Logarithmic axes; less is better; bars: middle half; {UNSTEADY} the bare loop itself varied by over 1 %"


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis from 1 to `most`, between two horizontal positions."""

    left: float
    width: float
    most: float

    def __call__(self, ratio: float) -> float:
        """Return the horizontal position of `ratio`; ratios below 1 are drawn at 1."""
        return self.left + self.width * math.log(max(ratio, 1.0)) / math.log(self.most)

    def ticks(self) -> list[float]:
        """Return at most five round numbers, as far apart as possible."""
        inside = [tick for tick in TICKS if tick <= self.most]
        kept = inside[:1]
        for tick in inside[1:]:
            if self(tick) - self(kept[-1]) >= 34:
                kept.append(tick)
        return kept


def plot(results: Mapping[str, Any], theme_name: str) -> str:
    """Return an SVG picture of all ratios: a panel per job, a row per peer, the cheapest on digits first."""
    rows = [row for name, row in results["peers"].items() if name != "bare" and "error" not in row]
    rows.sort(key=lambda row: row["jobs"]["digits"]["ratio"])
    width = LEFT + 34 + NAMES + len(PANELS) * PANEL + (len(PANELS) - 1) * GAP
    height = TOP + len(rows) * ROW + 56
    return svg_document(
        width, height, None, get_theme(theme_name), lambda theme: _content(results, rows, height, theme)
    )


def _content(
    results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], height: float, theme: Theme
) -> Iterator[str]:
    title = "Time per iteration as a multiple of a bare PyTorch loop"
    yield from [
        text(title, TITLE, LEFT, 30, theme.text, bold=True),
        text(SUBTITLE, SMALL, LEFT, 52, theme.line),
        text(f"{results['machine']}, {dates(results)}", SMALL, LEFT, height - 16, theme.line),
    ]
    for place, row in enumerate(rows):
        ours = row["title"] == OURS
        colour = theme.main.border if ours else theme.text
        yield text(row["title"], NAME_SIZE, LEFT, middle(place), colour, bold=ours)
    for number, (job, heading) in enumerate(PANELS.items()):
        left = LEFT + NAMES + number * (PANEL + GAP)
        yield from panel([(row["title"], row["jobs"][job]) for row in rows], heading, left, theme)


def panel(rows: Sequence[tuple[str, Mapping[str, float]]], heading: str, left: float, theme: Theme) -> Iterator[str]:
    """Yield a panel: its heading, its axis, and for each row a line from 1 to the ratio with its value."""
    most = max(max(job["ratio"], job["high"]) for _, job in rows)
    axis = Axis(left, PANEL - VALUE, max(most, 1.1))
    bottom = TOP + len(rows) * ROW
    yield text(heading, HEADING, left, TOP - 14, theme.text, bold=True)
    for tick in axis.ticks():
        x = axis(tick)
        yield line(x, TOP, x, bottom, theme.box, 1.2 if tick == 1 else 0.6, opacity=1 if tick == 1 else 0.5)
        shown = f"{tick:g}\N{MULTIPLICATION SIGN}"
        yield text(shown, SMALL, x - text_width(shown, SMALL) / 2, bottom + 14, theme.line)
    for place, (title, job) in enumerate(rows):
        y, end, ours = middle(place), axis(job["ratio"]), title == OURS
        colour = theme.main.border if ours else theme.line
        yield line(axis(1), y, end, y, colour, 3 if ours else 2)
        yield line(axis(job["low"]), y, max(axis(job["high"]), axis(job["low"]) + 0.1), y, colour, 9, opacity=0.45)
        yield f'<circle cx="{end:.1f}" cy="{y:.1f}" r="{5.5 if ours else 4.5}" fill="{colour}"/>'
        value = ("" if job["counts"] else UNSTEADY) + rounded(job["ratio"])
        beside = max(end, axis(job["high"])) + 8
        yield clear(beside, y, text_width(value, SMALL) + 4, theme)
        yield text(value, SMALL, beside + 2, y, colour if ours else theme.text, bold=ours)


def middle(place: int) -> float:
    """Return the vertical position of the row at `place`."""
    return TOP + (place + 0.5) * ROW


def clear(left: float, y: float, width: float, theme: Theme) -> str:
    """Return a rectangle of the background for a text, so that no line of the axis crosses it."""
    bounds = f'x="{left:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16"'
    return f'<rect class="background" {bounds} fill="{theme.background}"/>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, opacity: float = 1) -> str:
    """Return a straight line."""
    faded = "" if opacity == 1 else f' stroke-opacity="{opacity:g}"'
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{faded}/>'


def text(shown: str, size: float, left: float, y: float, colour: str, bold: bool = False) -> str:
    """Return a line of text that begins at `left` and whose middle is at `y`."""
    width = text_width(shown, size)
    bounds = Rect(left + width / 2, y, width, size * LINE_HEIGHT)
    return text_elements(Label(Text((shown,), size), bounds), colour, "bold" if bold else "")
