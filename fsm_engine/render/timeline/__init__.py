"""Pictures of timelines: lanes of what went on, along a time axis that is broken where nothing new happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fsm_engine.files import write_whole
from fsm_engine.render.formats import format_of
from fsm_engine.render.themes import theme_named
from fsm_engine.render.timeline.place import place
from fsm_engine.render.timeline.svg import svg

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline

FORMATS = ("svg",)
"""The formats of a timeline's picture; each is the suffix of a file."""


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
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r} has to be one of {', '.join(map(repr, FORMATS))}.")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title={title!r} has to be a string.")
    colours = theme_named(theme)
    return svg(place(timeline, title or ""), colours).encode()


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
    return write_whole(path, content)
