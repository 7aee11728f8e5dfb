"""Pictures and pages of recorded runs.

A `Timeline` is drawn as lanes of bars along a time axis, which is broken where the run repeats itself, and written as
SVG, PNG or PDF, or as a page with zoom. `render` and the packages above it may import this one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine._util.choices import choose
from fsm_engine.render.formats import format_of
from fsm_engine.render.themes import Theme, get_theme, without_choice
from fsm_engine.timeline.timeline import Timeline

Writer = Callable[["Timeline", str, Theme], bytes]


def _svg(timeline: Timeline, title: str, theme: Theme) -> bytes:
    from fsm_engine.render.timeline.layout import lay_out
    from fsm_engine.render.timeline.svg import to_svg

    return to_svg(lay_out(timeline, title), theme).encode()


def _converted(format: Literal["png", "pdf"], timeline: Timeline, title: str, theme: Theme) -> bytes:  # noqa: A002
    from fsm_engine.render.convert import convert_svg

    return convert_svg(_svg(timeline, title, without_choice(theme)).decode(), format)


def _html(timeline: Timeline, title: str, theme: Theme) -> bytes:
    from fsm_engine.render.timeline.page import timeline_page

    return timeline_page(timeline, title or _page_title(timeline), theme).encode()


def _page_title(timeline: Timeline) -> str:
    name = timeline.tracks[0].name if timeline.tracks else "nothing"
    ranks = len({track.rank.number for track in timeline.tracks if track.rank is not None})
    return f"Timeline of {name}" + (f" on {ranks} ranks" if ranks > 1 else "")


FORMATS: dict[str, Writer] = {
    "svg": _svg,
    "png": partial(_converted, "png"),
    "pdf": partial(_converted, "pdf"),
    "html": _html,
}
"""Writers of all formats, by the suffix of the file."""


def render_timeline(
    timeline: Timeline,
    format: str,  # noqa: A002  # the word that matplotlib and Graphviz use
    *,
    title: str | None = None,
    theme: str = "auto",
) -> bytes:
    """Return a picture of `timeline` as the content of a file. The arguments are the same as in `Timeline.draw`.

    Raises:
        TypeError: the title is not a string.
        ValueError: the format or the theme is unknown, or no run was recorded.
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
    """Write a picture of `timeline` to a file atomically. See `Timeline.draw`."""
    content = render_timeline(timeline, format or format_of(path, FORMATS), title=title, theme=theme)
    return write_atomically(path, content)
