"""The formats of a picture, by the suffix of the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from fsm_engine._util.atomic_files import write_whole
from fsm_engine.render.choices import choose
from fsm_engine.render.diagram import Diagram
from fsm_engine.render.diagram_builder import DiagramOptions, build_diagram
from fsm_engine.render.themes import Theme, get_theme
from fsm_engine.timeline.track import Track

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fsm_engine.lifecycle.lifecycle import Lifecycle
    from fsm_engine.render.picture import Picture as Placed
    from fsm_engine.timeline.timeline import Timeline

Format = Callable[["Lifecycle", DiagramOptions, Theme], bytes]
Picture = Callable[[Diagram, Theme], bytes]


def _svg(drawn: Diagram, theme: Theme) -> bytes:
    from fsm_engine.render.svg import to_svg

    return to_svg(_placed(drawn), theme).encode()


def _placed(drawn: Diagram) -> Placed:
    from fsm_engine.render.heat_map import with_legend
    from fsm_engine.render.layout import lay_out

    picture = lay_out(drawn)
    return picture if all(node.heat is None for node in drawn.nodes) else with_legend(picture)


def _converted(format: Literal["png", "pdf"], drawn: Diagram, theme: Theme) -> bytes:  # noqa: A002
    from fsm_engine.render.convert import convert_svg

    return convert_svg(_svg(drawn, theme).decode(), format)


def _dot(drawn: Diagram, theme: Theme) -> bytes:
    from fsm_engine.render.dot import to_dot

    return to_dot(drawn, theme).encode()


def _mermaid(drawn: Diagram, theme: Theme) -> bytes:
    from fsm_engine.render.mermaid import to_mermaid

    return to_mermaid(drawn, theme).encode()


PICTURES: dict[str, Picture] = {
    "svg": _svg,
    "png": partial(_converted, "png"),
    "pdf": partial(_converted, "pdf"),
    "mmd": _mermaid,
    "dot": _dot,
}
"""What draws a diagram in each format that is nothing but a picture."""


def _picture(format: str, lifecycle: Lifecycle, options: DiagramOptions, theme: Theme) -> bytes:  # noqa: A002
    return PICTURES[format](build_diagram(lifecycle, options), theme)


def _html(lifecycle: Lifecycle, options: DiagramOptions, theme: Theme) -> bytes:
    from fsm_engine.render.page import lifecycle_page, page_theme
    from fsm_engine.render.page_details import details

    svg = _svg(build_diagram(lifecycle, replace(options, title="")), page_theme()).decode()
    return lifecycle_page(svg, details(lifecycle), options.title or lifecycle.name, theme).encode()


def _json(lifecycle: Lifecycle, _options: DiagramOptions, _theme: Theme) -> bytes:
    return lifecycle.to_json().encode()


def _scxml(lifecycle: Lifecycle, _options: DiagramOptions, _theme: Theme) -> bytes:
    return lifecycle.to_scxml().encode()


def _graphml(lifecycle: Lifecycle, _options: DiagramOptions, _theme: Theme) -> bytes:
    return lifecycle.to_graphml().encode()


FORMATS: dict[str, Format] = {
    **{name: partial(_picture, name) for name in PICTURES},
    "html": _html,
    "json": _json,
    "scxml": _scxml,
    "graphml": _graphml,
}
"""What writes each format; its name is the suffix of a file."""


def render(
    lifecycle: Lifecycle,
    format: str,  # noqa: A002  # the word that matplotlib and Graphviz use
    *,
    title: str | None = None,
    direction: str = "down",
    theme: str = "auto",
    guards: bool = False,
    handlers: bool = False,
    timeline: Timeline | Track | None = None,
) -> bytes:
    """Return a picture of `lifecycle` as the content of a file. The arguments are those of `Lifecycle.draw`.

    Raises:
        ValueError: there is no such format, direction or theme, or the timeline is of another lifecycle.
        ImportError: png and pdf need Typst; the message has the command that installs it.
    """
    write = choose("format", format, FORMATS)
    options = DiagramOptions(title or "", direction, guards, handlers, _track(timeline))
    return write(lifecycle, options, get_theme(theme))


def _track(timeline: Timeline | Track | None) -> Track | None:
    """Return a track: of a timeline the first, that of the engine that was recorded."""
    if timeline is None or isinstance(timeline, Track):
        return timeline
    if not timeline.tracks:
        raise ValueError("timeline is empty: nothing was recorded. See Engine.record.")
    return timeline.tracks[0]


class Looks(TypedDict, total=False):
    """The arguments of `render` that are not about which file."""

    title: str | None
    direction: str
    theme: str
    guards: bool
    handlers: bool
    timeline: Timeline | Track | None


def draw(
    lifecycle: Lifecycle,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002
    **looks: Unpack[Looks],
) -> Path:
    """Write a picture of `lifecycle` to a file, whole or not at all. See `Lifecycle.draw`."""
    return write_whole(path, render(lifecycle, format or format_of(path, FORMATS), **looks))


def format_of(path: str | os.PathLike[str], legal: Collection[str]) -> str:
    """Return the format that the suffix of a file stands for.

    Raises:
        ValueError: it is none of those that are legal.
    """
    name = Path(path).suffix.lower().removeprefix(".")
    if name not in legal:
        suffixes = ", ".join(f".{other}" for other in legal)
        what = f"ends in .{name}" if name else "has no suffix"
        raise ValueError(f"{Path(path).name!r} {what}. Use one of {suffixes}.")
    return name
