"""The plot of `growth.py`: the exponent of each operation, in a picture for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from growth import Growth

LIGHT = {"ink": "#1f2328", "faint": "#8c959f", "good": "#0969da", "reason": "#bc4c00"}
DARK = {"ink": "#e6edf3", "faint": "#7d8590", "good": "#4493f8", "reason": "#f0883e"}


def plot(results: Sequence[Growth], path: Path) -> None:
    """Draw the exponents to an SVG file whose colours follow the page.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise ImportError("The plot needs matplotlib. Install it with pip install -e '.[plot]'.") from None
    matplotlib.use("svg")
    from matplotlib import pyplot

    units = [unit for unit in ("phases", "handlers", "moves") if any(g.operation.unit == unit for g in results)]
    groups = [[growth for growth in results if growth.operation.unit == unit] for unit in units]
    left = groups[0] if len(groups) > 1 else []
    columns = [[(units[0], left)], list(zip(units[1:], groups[1:]))] if left else [list(zip(units, groups))]
    rows = max(sum(len(group) + 3 for _, group in column) for column in columns)
    settings = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": LIGHT["ink"]}
    with pyplot.rc_context(settings):
        figure = pyplot.figure(figsize=(6.6 * len(columns), 0.21 * rows + 0.6))
        for number, column in enumerate(columns):
            top = 0.0
            for unit, group in column:
                height = len(group) / rows
                width = 0.26 if len(columns) > 1 else 0.5
                x = (number + (0.47 if len(columns) > 1 else 0.4)) / len(columns)
                axes = figure.add_axes((x, 1 - top - height - 1.6 / rows, width, height))
                _draw(axes, unit, group)
                top += (len(group) + 3) / rows
        figure.savefig(path, transparent=True, bbox_inches="tight")
        pyplot.close(figure)
    _follow_the_page(path)


def _draw(axes: Any, unit: str, group: Sequence[Growth]) -> None:
    ordered = sorted(group, key=lambda growth: -growth.exponent)
    for place, growth in enumerate(ordered):
        colour = LIGHT["good"] if growth.verdict == "yes" else LIGHT["reason"]
        axes.plot([0, growth.exponent], [place, place], color=colour, linewidth=1.2, alpha=0.5)
        axes.plot([growth.exponent], [place], "o", color=colour, markersize=4.5)
        size, seconds = list(growth.times.items())[-1]
        text = f"{_seconds(seconds)} at {size:,}"
        axes.text(2.42, place, text, color=LIGHT["faint"], va="center", fontsize=8)
    axes.set_yticks(range(len(ordered)), [growth.operation.name for growth in ordered])
    axes.set_ylim(-0.7, len(ordered) - 0.3)
    axes.set_xlim(0, 2.35)
    axes.set_xticks([0, 1, 2], ["constant", "n", "n²"])
    axes.set_title(f"per number of {unit}", fontsize=10, color=LIGHT["ink"], pad=4)
    for exponent in (1, 2):
        axes.axvline(exponent, color=LIGHT["faint"], linewidth=0.7, linestyle=(0, (3, 3)), zorder=0)
    axes.tick_params(colors=LIGHT["ink"], length=0, labelsize=8.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _seconds(seconds: float) -> str:
    from growth import in_words

    return in_words(seconds)


def _follow_the_page(path: Path) -> None:
    """Replace the colours by variables that a dark page changes."""
    text = path.read_text(encoding="utf-8")
    for name, colour in LIGHT.items():
        text = text.replace(colour, f"var(--{name})")
    light, dark = ("".join(f"--{name}:{colour};" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    style = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    head, tag, rest = text.partition("<defs>")
    path.write_text(f"{head}{style}{tag}{rest}", encoding="utf-8")
