"""HTML for notebooks: tables that take their colours from the page, so that they fit light and dark themes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

__all__ = ["block", "details", "escape", "mimebundle", "table"]

_STYLE = """<style>
.fsm-engine { line-height: 1.45; overflow-x: auto; }
.fsm-engine table { border-collapse: collapse; margin: 0 0 0.8em; font-size: 0.92em; color: inherit; }
.fsm-engine table tr :is(th, td) { padding: 0.15em 1.1em 0.15em 0; border: 0; vertical-align: top; }
.fsm-engine table tbody tr:nth-child(n) { background: none; }
.fsm-engine table tr th { font-weight: 600; opacity: 0.75; white-space: nowrap; }
.fsm-engine table thead tr th { border-bottom: 1px solid rgba(128, 128, 128, 0.5); }
.fsm-engine table tbody tr + tr > * { border-top: 1px solid rgba(128, 128, 128, 0.18); }
.fsm-engine table tr .text { text-align: left; overflow-wrap: anywhere; }
.fsm-engine table tr .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.fsm-engine .findings tr td:nth-child(-n+2) { white-space: nowrap; overflow-wrap: normal; }
.fsm-engine .title { margin: 0 0 0.4em; font-weight: 600; font-size: 1.05em; }
.fsm-engine .note { margin: 0 0 0.6em; opacity: 0.8; }
.fsm-engine .status { display: inline-block; margin-left: 0.6em; padding: 0 0.6em; border: 1px solid currentColor;
  border-radius: 1em; font-size: 0.85em; }
.fsm-engine .running { color: #1f83d6; } .fsm-engine .suspended, .fsm-engine .interrupted { color: #b87700; }
.fsm-engine .completed { color: #148f77; } .fsm-engine .failed, .fsm-engine .problem { color: #d0471a; }
.fsm-engine .sides { display: flex; flex-wrap: wrap; gap: 0 2em; align-items: flex-start; }
.fsm-engine svg { max-width: 100%; height: auto; }
.fsm-engine details { margin: 0 0 0.6em; } .fsm-engine summary { cursor: pointer; display: list-item; }
</style>"""


def block(*parts: str) -> str:
    """Return the HTML of one output: `parts`, which are HTML, and the style that they share."""
    return f'<div class="fsm-engine">{_STYLE}{"".join(parts)}</div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int | None = None) -> str:
    """Return a table; all cells are text, which is escaped.

    Args:
        columns: the names of the columns; if there are none, the first cell of each row is its heading.
        rows: the cells of each row.
        left: the number of left-aligned columns; the columns after them are right-aligned numbers. By default, all are
            left-aligned.
    """
    head = f"<thead><tr>{_cells(columns, left, 'th')}</tr></thead>" if columns else ""
    body = "".join(
        f"<tr>{_cells(row, left, 'td') if columns else _cells(row[:1], left, 'th') + _cells(row[1:], left, 'td')}</tr>"
        for row in rows
    )
    return f"<table>{head}<tbody>{body}</tbody></table>"


def _cells(cells: Sequence[str], left: int | None, tag: str) -> str:
    return "".join(
        f'<{tag} class="{"text" if left is None or number < left else "number"}">{escape(cell)}</{tag}>'
        for number, cell in enumerate(cells)
    )


def details(summary: str, content: str, is_open: bool = False) -> str:
    """Return `content`, which is HTML, behind a line to click."""
    return f"<details{' open' * is_open}><summary>{escape(summary)}</summary>{content}</details>"


def mimebundle(plain: Callable[[], str], html: Callable[[], str]) -> dict[str, str]:
    """Return an output for IPython: text for consoles, and HTML for notebooks.

    If a part cannot be made, it is left out, and the text says why; an output must not hide the object that it shows.
    """
    bundle = {"text/plain": _or_error(plain)}
    try:
        bundle["text/html"] = html()
    except Exception as error:
        bundle["text/plain"] += f"\n(no HTML: {type(error).__name__}: {error})"
    return bundle


def _or_error(make: Callable[[], str]) -> str:
    try:
        return make()
    except Exception as error:
        return f"({type(error).__name__}: {error})"
