"""The picture of a timeline as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from fsm_engine.render.picture import Rect
from fsm_engine.render.svg import rounded_rect, svg_document, text_elements
from fsm_engine.render.themes import Paint, Theme
from fsm_engine.render.timeline.picture import Bar, Break, Row, Sample, Tick, TimelinePicture

ROLES = {"scope": "phase", "step": "main", "data": "custom", "phase": "phase", "handler": "changed"}
"""Which part of a theme paints the bars of a role."""


def svg(picture: TimelinePicture, theme: Theme) -> str:
    """Return `picture` as an SVG document.

    Bars and events are groups with the classes ``bar`` and ``event``; what they stand for is in their titles.
    """
    return svg_document(picture.width, picture.height, picture.title, theme, _content(picture, theme))


def _content(picture: TimelinePicture, theme: Theme) -> Iterator[str]:
    handler = _paint("handler", theme).border
    for room in picture.joins:
        yield f'<rect class="join" {_box(room)} fill="{handler}" fill-opacity="0.14"/>'
    for row in picture.rows:
        yield from (f'<rect class="lane" {_box(room)} fill="{theme.line}" fill-opacity="0.1"/>' for room in row.grounds)
    for tick in picture.ticks:
        yield _tick(tick, theme)
    for gap in picture.breaks:
        yield from _break(gap, picture, theme)
    for row in picture.rows:
        yield from _row(row, theme)
    for heading in picture.headings:
        yield text_elements(heading, theme.text, "bold")
    for room in picture.axis:
        yield _line(room.left, room.top, room.right, room.top, theme.line)
    for mark in picture.marks:
        yield _line(mark.x, picture.axis[0].top, mark.x, picture.axis[0].top + 4, theme.line)
        yield text_elements(mark.text, theme.text)
    for sample in picture.legend:
        yield _sample(sample, theme)
    if picture.note is not None:
        yield text_elements(picture.note, theme.text)


def _row(row: Row, theme: Theme) -> Iterator[str]:
    yield '<g class="row">' + text_elements(row.name, theme.text)
    if row.share is not None:
        yield text_elements(row.share, theme.text)
    for bar in row.bars:
        yield _bar(bar, theme)
    yield "</g>"


def _bar(bar: Bar, theme: Theme) -> str:
    """Return a bar: faint where the axis is broken."""
    role, paint = bar.item.role, _paint(bar.item.role, theme)
    parts = [_filled(role, room, theme) for room in bar.shown]
    if bar.shown != (bar.room,):
        parts.insert(0, f'<g opacity="0.72">{_filled(role, bar.room, theme)}</g>')
    if bar.text is not None:
        parts.append(text_elements(bar.text, paint.text if bar.text.bounds.y < bar.room.bottom else theme.text))
    return f'<g class="bar"><title>{escape(bar.item.tip)}</title>{"".join(parts)}</g>'


def _filled(role: str, room: Rect, theme: Theme) -> str:
    """Return a bar; one that waits for data is hatched, so that no colour is needed to tell it apart."""
    paint = _paint(role, theme)
    if room.width < 3:
        return f'<rect {_box(room)} fill="{paint.border if paint.fill is None else paint.fill}"/>'
    if role != "data":
        inside = Rect(room.x, room.y, room.width - 1, room.height)
        return rounded_rect(inside, paint.fill, paint.border, 0.6, min(3.0, room.width / 4))
    return rounded_rect(room, None, paint.border, 1, 0) + _hatch(room, paint.border)


def _hatch(room: Rect, colour: str) -> str:
    lines, x = [], room.left - room.height + 3
    while x < room.right:
        low, high = max(x, room.left), min(x + room.height, room.right)
        lines.append(f"M{low:.1f} {room.bottom - (low - x):.1f}L{high:.1f} {room.bottom - (high - x):.1f}")
        x += 4
    return f'<path d="{"".join(lines)}" stroke="{colour}" stroke-width="1.3"/>'


def _tick(tick: Tick, theme: Theme) -> str:
    tip = f"<title>{escape(tick.tip)}</title>"
    name = "" if tick.name is None else text_elements(tick.name, theme.text)
    faint = ' stroke-opacity="0.55"'
    return f'<g class="event">{tip}{_line(tick.x, tick.top, tick.x, tick.bottom, theme.line, faint)}{name}</g>'


def _break(gap: Break, picture: TimelinePicture, theme: Theme) -> Iterator[str]:
    """Yield a break: a dashed line on either side of it, through all lanes, and a stroke through the axis."""
    axis = picture.axis[0].top
    yield '<g class="break">'
    for x in (gap.room.left, gap.room.right):
        for top, bottom in picture.bands:
            yield _line(x, top - 3, x, bottom + 3, theme.line, ' stroke-dasharray="2 3"')
        yield _line(x - 3, axis + 4, x + 3, axis - 4, theme.line)
    yield text_elements(gap.text, theme.text) + "</g>"


def _sample(sample: Sample, theme: Theme) -> str:
    key = "" if sample.letter is None else text_elements(sample.letter, _paint(sample.role, theme).text)
    text = text_elements(sample.text, theme.text)
    return f'<g class="legend">{_filled(sample.role, sample.room, theme)}{key}{text}</g>'


def _paint(role: str, theme: Theme) -> Paint:
    paint: Paint = getattr(theme, ROLES[role])
    return paint


def _box(room: Rect) -> str:
    return f'x="{room.left:.1f}" y="{room.top:.1f}" width="{room.width:.1f}" height="{room.height:.1f}"'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
