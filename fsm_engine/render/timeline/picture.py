"""The picture of a timeline after layout: shapes and texts with their positions in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from fsm_engine.render.picture import Label, Rect
from fsm_engine.render.timeline.lanes import Item


@dataclass(frozen=True)
class Bar:
    """A bar.

    Attributes:
        item: the item that it shows.
        bounds: the whole bar.
        shown: its parts outside the breaks of the axis.
        text: its name, or a letter of the legend; inside the bar or below it.
    """

    item: Item
    bounds: Rect
    shown: tuple[Rect, ...]
    text: Label | None


@dataclass(frozen=True)
class Row:
    """A lane.

    Attributes:
        name: the name at its left.
        share: the share of the time of all runs.
        backgrounds: the parts of the lane where something can be shown.
        bars: the bars.
    """

    name: Label
    share: Label | None
    backgrounds: tuple[Rect, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class EventLine:
    """The line of an event from `top` to `bottom`, with its name if there is space."""

    x: float
    top: float
    bottom: float
    tip: str
    name: Label | None = None


@dataclass(frozen=True)
class Break:
    """A part of the axis that stands for a gap."""

    bounds: Rect
    text: Label


@dataclass(frozen=True)
class Tick:
    """A tick of the axis."""

    x: float
    text: Label


@dataclass(frozen=True)
class LegendEntry:
    """An entry of the legend: a sample of a role, or a letter, and its meaning."""

    role: str
    bounds: Rect
    text: Label
    letter: Label | None = None


@dataclass(frozen=True)
class TimelinePicture:
    """The whole picture.

    Attributes:
        headings: the names of the engines, if there are several.
        joins: areas that lead from a handler call to the engine that it ran.
        bands: the top and the bottom of the lanes of each engine.
        axis: the linear pieces of the axis.
    """

    width: float
    height: float
    title: Label | None
    headings: tuple[Label, ...]
    rows: tuple[Row, ...]
    event_lines: tuple[EventLine, ...]
    breaks: tuple[Break, ...]
    joins: tuple[Rect, ...]
    bands: tuple[tuple[float, float], ...]
    axis: tuple[Rect, ...]
    ticks: tuple[Tick, ...]
    legend: tuple[LegendEntry, ...]
    note: Label | None
