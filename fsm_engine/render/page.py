"""Interactive pages: one HTML file that needs no network and runs no script but its own."""

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
    "dom.js",
    "mode.js",
    "walk.js",
    "tabs.js",
    "view.js",
    "picture.js",
    "panel.js",
    "simulation.js",
    "listbox.js",
    "search.js",
    "page.js",
)
"""Parts of the script of a lifecycle's page. Each follows the parts that it uses."""

_ROLES = [field.name for field in fields(Theme) if field.name not in ("name", "background", "heat", "font")]


def lifecycle_page(svg: str, details: Details, title: str, theme: Theme = THEMES["auto"]) -> str:
    """Return a page that shows a picture of a lifecycle and details of its phases.

    Names from users are escaped in HTML, or strings in a JSON element. The content security policy of the page allows
    its own script and style only, by their hashes, and no request.

    Args:
        svg: the picture, drawn with `page_theme`.
        details: the details of the lifecycle.
        title: title of the page.
        theme: ``auto`` follows the colour scheme of the browser. With another theme, the page opens in its colours.
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
    """Return a page with its script, style and data in one file.

    Args:
        template: name of the asset with the HTML; it has placeholders for `parts`.
        styles: names of CSS assets. They can use the colours of `page_theme`.
        scripts: names of JavaScript assets, which are joined into one script.
        details: data for the script. The title is added to it.
        title: title of the page.
        theme: see `lifecycle_page`.
        parts: HTML for the placeholders, inserted without escaping.
    """
    script, style = "".join(map(read_asset, scripts)), colour_variables(theme) + "".join(map(read_asset, styles))
    data = {"title": one_line(title), **details}
    return Template(read_asset(template)).substitute(
        parts,
        title=escape(data["title"]),
        mode={"auto": "auto", "dark": "dark"}.get(theme.name, "light"),
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'",
        style=style,
        details=json.dumps(data).replace("<", "\\u003c"),
        script=script,
    )


def page_theme() -> Theme:
    """Return the theme of a picture inside a page: its colours are CSS variables, which the page defines."""
    values: dict[str, Any] = {}
    for role in _ROLES:
        is_paint = isinstance(getattr(THEMES["auto"], role), Paint)
        parts = (f"var(--{role}-{field.name})" for field in fields(Paint))
        values[role] = Paint(*parts) if is_paint else f"var(--{role})"
    return Theme(name="page", background=None, heat=THEMES["auto"].heat, **values)


def colour_variables(theme: Theme) -> str:
    """Return the CSS variables of `page_theme`, each with a colour for light and one for dark pages."""
    light, dark = _colours(theme if theme.name == "print" else THEMES["light"]), _colours(THEMES["dark"])
    return ":root {\n" + "".join(f"  --{name}: light-dark({light[name]}, {dark[name]});\n" for name in light) + "}\n"


def _colours(theme: Theme) -> dict[str, str]:
    """Return the colours of `theme` by the names of their variables, such as ``line`` and ``main-fill``."""
    colours: dict[str, str] = {}
    for role in _ROLES:
        colour = getattr(theme, role)
        if isinstance(colour, Paint):
            colours |= {f"{role}-{part}": value for part, value in asdict(colour).items()}
        else:
            colours[role] = colour
    return colours


@cache
def read_asset(name: str) -> str:
    """Return the text of an asset."""
    return (files("fsm_engine.render") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
