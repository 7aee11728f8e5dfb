"""Draw the packages and their imports: ``python diagrams/packages.py`` writes ``packages.svg`` beside itself.

The layers and arrows are derived from the import statements of the package. Imports that another path of arrows implies
are left out, and so are the imports inside methods of `Engine`, `Lifecycle` and `Timeline`, and the imports of
`fsm_engine.engine` for type checkers.
"""

from __future__ import annotations

import ast
import itertools
from html import escape
from pathlib import Path

import networkx
from package_imports import PACKAGE, all_imports, package_of

FACADES = ("engine", "engine.engine", "lifecycle.lifecycle", "timeline.timeline", "timeline.track")
WIDTH, HEIGHT, GAP, LAYER, MARGIN = 250, 78, 26, 126, 24

STYLE = """
  text { font-family: Helvetica, Arial, sans-serif; fill: #1f2328 }
  .name { font-size: 16px; font-weight: bold }
  .what { font-size: 11.5px; fill: #57606a }
  rect { fill: #f6f8fa; stroke: #8c959f; rx: 8px }
  path { fill: none; stroke: #57606a; stroke-width: 1.4 }
  marker path { fill: #57606a; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .what { fill: #9198a1 }
    rect { fill: #161b22; stroke: #6e7681 }
    path { stroke: #9198a1 }
    marker path { fill: #9198a1 }
  }
"""


def package_graph() -> networkx.DiGraph[str]:
    """Return the packages, joined by the imports that no facade hides in a method."""
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for found in all_imports():
        ends = package_of(found.importer), package_of(found.imported)
        is_door = found.importer in FACADES and not found.at_load
        if all(ends) and "__main__" not in ends and ends[0] != ends[1] and not is_door:
            graph.add_edge(*ends)
    return graph


def layers(graph: networkx.DiGraph[str]) -> list[list[str]]:
    """Return the packages by the length of their longest chain of imports, the highest first."""
    height: dict[str, int] = {}
    for package in reversed(list(networkx.topological_sort(graph))):
        height[package] = 1 + max((height[below] for below in graph[package]), default=-1)
    rows = [sorted(name for name in height if height[name] == level) for level in range(max(height.values()) + 1)]
    return rows[::-1]


def summary(package: str) -> list[str]:
    """Return the first sentence of the package's docstring as at most three lines."""
    text = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text())) or ""
    words = text.split("\n\n")[0].replace("`", "").replace("\n", " ").split(". ")[0].rstrip(".").split()
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 38:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) < 4 else [*lines[:2], f"{lines[2]} \N{HORIZONTAL ELLIPSIS}"]


def places(rows: list[list[str]]) -> dict[str, tuple[float, float]]:
    """Return the centre of the upper edge of each package's box."""
    middle = MARGIN + max(map(len, rows)) * (WIDTH + GAP) / 2
    found = {}
    for level, row in enumerate(rows):
        left = middle - (len(row) * (WIDTH + GAP) - GAP) / 2
        for place, package in enumerate(row):
            found[package] = left + place * (WIDTH + GAP) + WIDTH / 2, MARGIN + level * LAYER
    return found


def box(package: str, x: float, y: float) -> str:
    """Draw a package."""
    lines = summary(package)
    texts = "".join(
        f'<text class="what" x="{x}" y="{y + 38 + 15 * number}" text-anchor="middle">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<rect x="{x - WIDTH / 2}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/>'
        f'<text class="name" x="{x}" y="{y + 21}" text-anchor="middle">{package}</text>{texts}'
    )


def arrow(start: tuple[float, float], end: tuple[float, float], shift: float) -> str:
    """Draw an import from one box down to another, around the boxes of the layers between them."""
    (x, y), (to_x, to_y) = (start[0], start[1] + HEIGHT), (end[0] + shift, end[1])
    bend = (to_y - y) / 2
    return f'<path d="M{x},{y} C{x},{y + bend} {to_x},{to_y - bend} {to_x},{to_y - 6}" marker-end="url(#tip)"/>'


def packages_svg() -> str:
    """Draw all packages."""
    graph = package_graph()
    rows, edges = layers(graph), sorted(networkx.transitive_reduction(graph).edges)
    place = places(rows)
    width = 2 * MARGIN + max(map(len, rows)) * (WIDTH + GAP) - GAP
    height = 2 * MARGIN + (len(rows) - 1) * LAYER + HEIGHT
    by_target = itertools.groupby(sorted(edges, key=lambda edge: (edge[1], place[edge[0]])), lambda edge: edge[1])
    arrows = []
    for below, group in by_target:
        ends = list(group)
        for number, (above, _) in enumerate(ends):
            arrows.append(arrow(place[above], place[below], (number - (len(ends) - 1) / 2) * 36))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="packages">',
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            *arrows,
            *(box(package, *place[package]) for row in rows for package in row),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    Path(__file__).with_name("packages.svg").write_text(packages_svg(), encoding="utf-8")
