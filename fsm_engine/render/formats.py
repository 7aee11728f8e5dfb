"""The formats of pictures of lifecycles, by the suffix of the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine._util.choices import choose, suffix_of
from fsm_engine.engine.engine import engine_of
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.render.diagram import Diagram
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.themes import Theme, get_theme, without_choice
from fsm_engine.serialization.files import WRITERS
from fsm_engine.timeline.rank_visits import engines_of_ranks
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import Track

DiagramWriter = Callable[[Diagram, Theme], bytes]
LifecycleWriter = Callable[["Lifecycle", DiagramOptions, Theme], bytes]


def _svg(diagram: Diagram, theme: Theme, in_page: bool = False) -> bytes:
    from fsm_engine.render.fold import folded
    from fsm_engine.render.layout import lay_out
    from fsm_engine.render.legend import with_legend
    from fsm_engine.render.svg import to_svg

    picture = lay_out(diagram) if in_page else folded(lay_out(diagram))
    picture = with_legend(picture, diagram, in_page)
    return to_svg(picture, theme).encode()


def _converted(format: Literal["png", "pdf"], diagram: Diagram, theme: Theme) -> bytes:  # noqa: A002
    from fsm_engine.render.convert import convert_svg

    return convert_svg(_svg(diagram, without_choice(theme)).decode(), format)


def _dot(diagram: Diagram, theme: Theme) -> bytes:
    from fsm_engine.render.dot import to_dot

    return to_dot(diagram, without_choice(theme)).encode()


def _mermaid(diagram: Diagram, theme: Theme) -> bytes:
    from fsm_engine.render.mermaid import to_mermaid

    return to_mermaid(diagram, theme).encode()


DIAGRAM_FORMATS: dict[str, DiagramWriter] = {
    "svg": _svg,
    "png": partial(_converted, "png"),
    "pdf": partial(_converted, "pdf"),
    "mmd": _mermaid,
    "dot": _dot,
}
"""Writers of the formats that need nothing but a diagram."""


def _picture(write: DiagramWriter, lifecycle: Lifecycle, options: DiagramOptions, theme: Theme) -> bytes:
    return write(build_diagram(lifecycle, options), theme)


def render_svg(lifecycle: Lifecycle, theme: Theme, options: DiagramOptions | None = None) -> str:
    """Return the picture of `lifecycle` as SVG, for a page that has a legend of its own."""
    return _svg(build_diagram(lifecycle, options or DiagramOptions()), theme, in_page=True).decode()


def _html(lifecycle: Lifecycle, options: DiagramOptions, theme: Theme) -> bytes:
    from fsm_engine.render.page import lifecycle_page, page_theme
    from fsm_engine.render.page_details import page_details

    svg = render_svg(lifecycle, page_theme(), replace(options, title=""))
    title = options.title or _page_title(lifecycle, options)
    return lifecycle_page(svg, page_details(lifecycle), title, theme).encode()


def _page_title(lifecycle: Lifecycle, options: DiagramOptions) -> str:
    """Return the title of a page for which the user gave none: its contents, and the name of the engine."""
    engine = engine_of(lifecycle)
    name = (engine and engine.name) or lifecycle.name
    if not options.tracks:
        return f"Lifecycle of {name}"
    return f"Differences between ranks of {name}" if len(options.tracks) > 1 else f"Recorded run of {name}"


def _file(write: Callable[[Lifecycle], str], lifecycle: Lifecycle, _options: DiagramOptions, _theme: Theme) -> bytes:
    return write(lifecycle).encode()


FORMATS: dict[str, LifecycleWriter] = {
    **{name: partial(_picture, write) for name, write in DIAGRAM_FORMATS.items()},
    "html": _html,
    **{suffix[1:]: partial(_file, write) for suffix, write in WRITERS.items()},
}
"""Writers of all formats, by the suffix of the file."""


def render(
    lifecycle: Lifecycle,
    format: str,  # noqa: A002  # the word that matplotlib and Graphviz use
    *,
    title: str | None = None,
    direction: str = "down",
    detail: str = "all",
    theme: str = "auto",
    guards: bool = False,
    handlers: bool = False,
    timeline: Timeline | Track | None = None,
) -> bytes:
    """Return a picture of `lifecycle` as the content of a file.

    The arguments are the same as in `Lifecycle.draw`.

    Raises:
        ValueError: an unknown format, direction, detail or theme, or a timeline of another lifecycle.
        ImportError: png and pdf need Typst; the message has the command that installs it.

    Example:
        >>> render(Lifecycle.training(), "svg").decode().startswith("<svg")
        True
    """
    write = choose("format", format, FORMATS)
    options = DiagramOptions(title or "", direction, detail, guards, handlers, _tracks(timeline))
    return write(lifecycle, options, get_theme(theme))


def _tracks(timeline: Timeline | Track | None) -> Sequence[Track]:
    """Return the first track of a timeline, which belongs to the engine that was recorded: of each rank, if several."""
    if timeline is None:
        return ()
    if isinstance(timeline, Track):
        return (timeline,)
    if not timeline.tracks:
        raise ValueError("timeline is empty: nothing was recorded. Record a run with: with engine.record() as timeline")
    first = timeline.tracks[0]
    return next((tracks for tracks in engines_of_ranks(timeline) if tracks[0] is first), (first,))


def draw(
    lifecycle: Lifecycle,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002
    **options: Any,
) -> Path:
    """Write a picture of `lifecycle` to a file, completely or not at all; the options are arguments of `render`.

    Example:
        >>> draw(Lifecycle.training(), folder / "lifecycle.mmd", direction="right").name
        'lifecycle.mmd'
    """
    return write_atomically(path, render(lifecycle, format or format_of(path, FORMATS), **options))


def format_of(path: str | os.PathLike[str], formats: Collection[str]) -> str:
    """Return the one of `formats` that is the suffix of `path`, in upper or lower case.

    Raises:
        ValueError: the suffix is none of them; the message lists the legal ones.
    """
    return suffix_of(path, [f".{name}" for name in formats])[1:]
