"""Pictures of timelines: lanes of what went on, along a time axis that is broken where nothing new happens; a page."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine.render.choices import choose
from fsm_engine.render.formats import format_of
from fsm_engine.render.themes import Theme, get_theme
from fsm_engine.render.timeline.place import place

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline

Format = Callable[["Timeline", str, Theme], bytes]


def _svg(timeline: Timeline, title: str, theme: Theme) -> bytes:
    from fsm_engine.render.timeline.svg import svg

    return svg(place(timeline, title), theme).encode()


def _converted(format: Literal["png", "pdf"], timeline: Timeline, title: str, theme: Theme) -> bytes:  # noqa: A002
    from fsm_engine.render.convert import convert_svg

    return convert_svg(_svg(timeline, title, theme).decode(), format)


def _html(timeline: Timeline, title: str, theme: Theme) -> bytes:
    from fsm_engine.render.timeline.page import page

    return page(timeline, title or "timeline", theme).encode()


FORMATS: dict[str, Format] = {
    "svg": _svg,
    "png": partial(_converted, "png"),
    "pdf": partial(_converted, "pdf"),
    "html": _html,
}
"""What writes each format of a timeline's picture; its name is the suffix of a file."""


def render_timeline(
    timeline: Timeline,
    format: str,  # noqa: A002  # the word that matplotlib and Graphviz use
    *,
    title: str | None = None,
    theme: str = "auto",
) -> bytes:
    """Return a picture of `timeline` as the content of a file. The arguments are those of `Timeline.draw`.

    Raises:
        ValueError: there is no such format or theme, or nothing was recorded.
        ImportError: png and pdf need Typst; the message has the command that installs it.
    """
    write = choose("format", format, FORMATS)
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title={title!r} has to be a string.")
    return write(timeline, title or "", get_theme(theme))


def draw_timeline(
    timeline: Timeline,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002
    *,
    title: str | None = None,
    theme: str = "auto",
) -> Path:
    """Write a picture of `timeline` to a file, whole or not at all. See `Timeline.draw`."""
    content = render_timeline(timeline, format or format_of(path, FORMATS), title=title, theme=theme)
    return write_atomically(path, content)
