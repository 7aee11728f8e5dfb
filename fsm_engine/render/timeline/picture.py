"""A timeline that was laid out: where everything stands, in pixels from the upper left corner."""

from __future__ import annotations

from dataclasses import dataclass

from fsm_engine.render.picture import Label, Rect
from fsm_engine.render.timeline.lanes import Item


@dataclass(frozen=True)
class Bar:
    """An item where it stands.

    Attributes:
        item: what it shows.
        room: all of it.
        shown: the parts of it that lie in no break of the axis.
        text: its name, or a letter that the legend explains; in the bar or below it.
    """

    item: Item
    room: Rect
    shown: tuple[Rect, ...]
    text: Label | None


@dataclass(frozen=True)
class Row:
    """A lane where it stands.

    Attributes:
        name: at its left.
        share: below the name: its part of the time of all runs.
        grounds: the parts of it where something is shown.
        bars: its items.
    """

    name: Label
    share: Label | None
    grounds: tuple[Rect, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Tick:
    """An event: a line from `top` to `bottom`, and its name where there is room for it."""

    x: float
    top: float
    bottom: float
    tip: str
    name: Label | None = None


@dataclass(frozen=True)
class Break:
    """A part of the axis where something is left out."""

    room: Rect
    text: Label


@dataclass(frozen=True)
class Mark:
    """A time at the axis."""

    x: float
    text: Label


@dataclass(frozen=True)
class Sample:
    """An entry of the legend: a bar of that role, or a letter, and what it stands for."""

    role: str
    room: Rect
    text: Label
    letter: Label | None = None


@dataclass(frozen=True)
class TimelinePicture:
    """Everything where it stands.

    Attributes:
        headings: the names of engines, where there is more than one.
        joins: what leads from a call of a handler to the engine that it ran.
        bands: from where to where the lanes of each engine reach down.
        axis: the parts of the axis along which time runs evenly.
    """

    width: float
    height: float
    title: Label | None
    headings: tuple[Label, ...]
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Break, ...]
    joins: tuple[Rect, ...]
    bands: tuple[tuple[float, float], ...]
    axis: tuple[Rect, ...]
    marks: tuple[Mark, ...]
    legend: tuple[Sample, ...]
    note: Label | None
