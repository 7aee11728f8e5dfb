"""A picture as a web page to click through, in one file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from fsm_engine.render.labels import one_line
from fsm_engine.render.page_details import Details
from fsm_engine.render.themes import THEMES, Paint, Theme

SCRIPTS = (
    "make.js",
    "mode.js",
    "walk.js",
    "view.js",
    "picture.js",
    "panel.js",
    "simulation.js",
    "listbox.js",
    "search.js",
    "page.js",
)
"""The parts of the script, each after those that it uses."""

_ROLES = [field.name for field in fields(Theme) if field.name not in ("name", "background", "heat", "font")]


def lifecycle_page(svg: str, details: Details, title: str, theme: Theme = THEMES["auto"]) -> str:
    """Return a page around a picture that was drawn with `page_theme`.

    Whatever comes from users is text in it: escaped, or as JSON in an element that nothing runs. Its policy lets the
    browser run this script and this style only, and load nothing.

    Args:
        svg: the picture, as text.
        details: what is told of its phases.
        title: of the page.
        theme: ``auto`` follows the reader's browser; with another, the page opens in its colours.
    """
    return standalone_page("page.html", ("page.css",), SCRIPTS, asdict(details), title, theme, svg=svg)


def standalone_page(
    template: str,
    styles: Iterable[str],
    scripts: Iterable[str],
    details: dict[str, Any],
    title: str,
    theme: Theme,
    **parts: str,
) -> str:
    """Return a page that needs nothing but itself.

    Args:
        template: the asset with its HTML, which has places for `parts`.
        styles: assets, after the colours that `page_theme` names.
        scripts: assets, which are one script together.
        details: what the script reads, with the title.
        title: of the page.
        theme: see `page`.
        parts: HTML as it is.
    """
    script, style = "".join(map(_asset, scripts)), _palettes(theme) + "".join(map(_asset, styles))
    shown = {"title": one_line(title), **details}
    return Template(_asset(template)).substitute(
        parts,
        title=escape(shown["title"]),
        mode={"auto": "auto", "dark": "dark"}.get(theme.name, "light"),
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'",
        style=style,
        details=json.dumps(shown).replace("<", "\\u003c"),
        script=script,
    )


def page_theme() -> Theme:
    """Return the theme of a picture inside a page: its colours are names, and the page has them for light and dark."""
    values: dict[str, Any] = {}
    for role in _ROLES:
        painted = isinstance(getattr(THEMES["auto"], role), Paint)
        parts = (f"var(--{role}-{field.name})" for field in fields(Paint))
        values[role] = Paint(*parts) if painted else f"var(--{role})"
    return Theme(name="page", background=None, heat=THEMES["auto"].heat, **values)


def _palettes(theme: Theme) -> str:
    """Return the colours that `page_theme` names, as CSS for light and for dark pages."""
    light, dark = _colours(theme if theme.name == "print" else THEMES["light"]), _colours(THEMES["dark"])
    return ":root {\n" + "".join(f"  --{name}: light-dark({light[name]}, {dark[name]});\n" for name in light) + "}\n"


def _colours(theme: Theme) -> dict[str, str]:
    """Return every colour of `theme` by its name; those of nodes have two parts, such as ``main-fill``."""
    colours: dict[str, str] = {}
    for role in _ROLES:
        colour = getattr(theme, role)
        if isinstance(colour, Paint):
            colours |= {f"{role}-{part}": value for part, value in asdict(colour).items()}
        else:
            colours[role] = colour
    return colours


@cache
def _asset(name: str) -> str:
    return (files("fsm_engine.render") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
