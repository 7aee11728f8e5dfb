"""A timeline picture as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from xml.sax.saxutils import escape

from fsm_engine.render.picture import Rect
from fsm_engine.render.svg import rounded_rect, svg_document, text_elements
from fsm_engine.render.themes import Paint, Theme
from fsm_engine.render.timeline.picture import Bar, Break, EventLine, LegendEntry, Row, TimelinePicture

ROLES = {"scope": "phase", "step": "main", "data": "custom", "phase": "phase", "handler": "changed", "wait": "removed"}
"""By role of a bar, the attribute of a theme with its colours."""


def to_svg(picture: TimelinePicture, theme: Theme) -> str:
    """Return `picture` as an SVG document.

    Bars and events are groups with the classes ``bar`` and ``event``, and have a title for the tooltip.
    """
    return svg_document(picture.width, picture.height, picture.title, theme, partial(_content, picture))


def _content(picture: TimelinePicture, theme: Theme) -> Iterator[str]:
    handler = _paint("handler", theme).border
    for bounds in picture.joins:
        yield f'<rect class="join" {_box(bounds)} fill="{handler}" fill-opacity="0.14"/>'
    for row in picture.rows:
        for bounds in row.backgrounds:
            yield f'<rect class="lane" {_box(bounds)} fill="{theme.line}" fill-opacity="0.1"/>'
    for event in picture.event_lines:
        yield _event(event, theme)
    for gap in picture.breaks:
        yield from _break(gap, picture, theme)
    for row in picture.rows:
        yield from _row(row, theme)
    for heading in picture.headings:
        yield text_elements(heading, theme.text, "bold")
    for piece in picture.axis:
        yield _line(piece.left, piece.top, piece.right, piece.top, theme.line)
    for tick in picture.ticks:
        yield _line(tick.x, picture.axis[0].top, tick.x, picture.axis[0].top + 4, theme.line)
        yield text_elements(tick.text, theme.text)
    for entry in picture.legend:
        yield _legend_entry(entry, theme)
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
    """Return a bar. It is faint at breaks of the axis."""
    role, paint = bar.item.role, _paint(bar.item.role, theme)
    text = None if bar.text is None else bar.text.bounds
    parts = [_filled(role, bounds, theme, text) for bounds in bar.shown]
    if bar.shown != (bar.bounds,):
        parts.insert(0, f'<g opacity="0.72">{_filled(role, bar.bounds, theme, text)}</g>')
    if bar.text is not None:
        parts.append(text_elements(bar.text, paint.text if bar.text.bounds.y < bar.bounds.bottom else theme.text))
    return f'<g class="bar"><title>{escape(bar.item.tip)}</title>{"".join(parts)}</g>'


def _filled(role: str, bounds: Rect, theme: Theme, text: Rect | None = None) -> str:
    """Return a filled rectangle. Waits are hatched, so that they can be recognized without colours, beside the text."""
    paint = _paint(role, theme)
    if bounds.width < 3:
        return f'<rect {_box(bounds)} fill="{paint.border if paint.fill is None else paint.fill}"/>'
    if role not in ("data", "wait"):
        inside = Rect(bounds.x, bounds.y, bounds.width - 1, bounds.height)
        return rounded_rect(inside, paint.fill, paint.border, 0.6, min(3.0, bounds.width / 4))
    hatching = (_hatching(part, paint.border, falls=role == "wait") for part in _beside(bounds, text))
    return rounded_rect(bounds, None, paint.border, 1, 0) + "".join(hatching)


def _beside(bounds: Rect, text: Rect | None) -> Iterator[Rect]:
    """Yield the parts of a bar to the left and to the right of its text."""
    cuts = [bounds.left, bounds.right]
    if text is not None and text.overlaps(bounds):
        cuts[1:1] = [max(text.left - 3, bounds.left), min(text.right + 3, bounds.right)]
    for left, right in zip(cuts[::2], cuts[1::2]):
        if right - left > 1:
            yield Rect((left + right) / 2, bounds.y, right - left, bounds.height)


def _hatching(bounds: Rect, colour: str, falls: bool) -> str:
    """Return lines that rise to the right, or fall."""
    start, sign = (bounds.top, 1) if falls else (bounds.bottom, -1)
    lines, x = [], bounds.left - bounds.height + 3
    while x < bounds.right:
        low, high = max(x, bounds.left), min(x + bounds.height, bounds.right)
        lines.append(f"M{low:.1f} {start + sign * (low - x):.1f}L{high:.1f} {start + sign * (high - x):.1f}")
        x += 4
    return f'<path d="{"".join(lines)}" stroke="{colour}" stroke-width="1.3"/>'


def _event(event: EventLine, theme: Theme) -> str:
    tip = f"<title>{escape(event.tip)}</title>"
    name = "" if event.name is None else text_elements(event.name, theme.text)
    faint = ' stroke-opacity="0.55"'
    return f'<g class="event">{tip}{_line(event.x, event.top, event.x, event.bottom, theme.line, faint)}{name}</g>'


def _break(gap: Break, picture: TimelinePicture, theme: Theme) -> Iterator[str]:
    """Yield a break: a dashed line through all lanes at both sides, and a stroke through the axis."""
    axis = picture.axis[0].top
    yield '<g class="break">'
    for x in (gap.bounds.left, gap.bounds.right):
        for top, bottom in picture.bands:
            yield _line(x, top - 3, x, bottom + 3, theme.line, ' stroke-dasharray="2 3"')
        yield _line(x - 3, axis + 4, x + 3, axis - 4, theme.line)
    yield text_elements(gap.text, theme.text) + "</g>"


def _legend_entry(entry: LegendEntry, theme: Theme) -> str:
    letter = "" if entry.letter is None else text_elements(entry.letter, _paint(entry.role, theme).text)
    text = text_elements(entry.text, theme.text)
    return f'<g class="legend">{_filled(entry.role, entry.bounds, theme)}{letter}{text}</g>'


def _paint(role: str, theme: Theme) -> Paint:
    paint: Paint = getattr(theme, ROLES[role])
    return paint


def _box(bounds: Rect) -> str:
    return f'x="{bounds.left:.1f}" y="{bounds.top:.1f}" width="{bounds.width:.1f}" height="{bounds.height:.1f}"'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
