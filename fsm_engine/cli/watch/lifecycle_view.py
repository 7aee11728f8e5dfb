"""The lifecycle as lines: the main path from top to bottom, and the phases beside it that the run has entered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from fsm_engine.cli.watch.model import WatchedEngine
from fsm_engine.cli.watch.text import count_text, fitted

_OUTER = 2
"""The scopes around every phase of a run, engine and run, which are not drawn."""

_CELLS = 6
"""The width of the bars that show the share of the time."""

_BAR = "▏▎▍▌▋▊▉█"
Phase = Mapping[str, Any]


def shown_phases(engine: WatchedEngine) -> list[Phase]:
    """Return the phases of the main path, and all others that were entered, in the order of the lifecycle."""
    visits, path = engine.now.get("visits", {}), engine.described.get("mainPath") or ()
    now = engine.now.get("phase")
    return [one for one in engine.phases if not path or one["id"] in path or visits.get(one["id"]) or one["id"] == now]


def column(engine: WatchedEngine, width: int, height: int | None) -> list[Text]:
    """Return a line for each shown phase, at most `height`, with the number of visits and the share of the time.

    Lines far from the current phase are left out first.
    """
    phases = shown_phases(engine)
    trees = _trees([max(len(one["scopes"]) - _OUTER, 0) for one in phases])
    lines = [_line(engine, phase, tree, width) for phase, tree in zip(phases, trees)]
    if height is None or len(lines) <= height:
        return lines
    now = next((at for at, one in enumerate(phases) if one["id"] == engine.now.get("phase")), 0)
    first = min(max(now - height // 2, 0), len(lines) - height)
    return lines[first : first + height]


def natural_width(engine: WatchedEngine) -> int:
    """Return the width of `column` in which no name is cut, and in which bars show the share of the time."""
    names = [len(one["name"]) + 2 * max(len(one["scopes"]) - _OUTER, 0) for one in engine.phases]
    return max(names, default=0) + 15 + _CELLS


def _trees(depths: Sequence[int]) -> list[str]:
    """Return the lines to the left of each name, which show the scopes."""
    rows = []
    for at, depth in enumerate(depths):
        before = depths[at - 1] if at else 0
        after = depths[at + 1] if at + 1 < len(depths) else 0
        rows.append("".join(_corner(level, before, after) for level in range(1, depth + 1)))
    return rows


def _corner(level: int, before: int, after: int) -> str:
    opens, closes = before < level, after < level
    return "╶ " if opens and closes else "╭ " if opens else "╰ " if closes else "│ "


def _line(engine: WatchedEngine, phase: Phase, tree: str, width: int) -> Text:
    visits, is_now = engine.now.get("visits", {}).get(phase["id"], 0), phase["id"] == engine.now.get("phase")
    path = engine.described.get("mainPath") or ()
    style = "bold reverse" if is_now else "" if visits and phase["id"] in path else "yellow" if visits else "dim"
    name = Text.assemble(("▶ " if is_now else "  ", "bold"), (tree, "dim"), (str(phase["name"]), style))
    share = engine.times[phase["id"]] / max(engine.times.total(), 1)
    percent = f"{share:5.0%}" if share >= 0.005 else " " * 5
    bar = f" {_bar(share, _CELLS)}" if width >= natural_width(engine) else ""
    count = Text(count_text(visits) if visits else "", "" if is_now else style)
    right = Text.assemble(count, (percent, "dim"), (bar, "cyan"))
    return Text.assemble(fitted(name, width - right.cell_len - 1), " ", right)


def _bar(share: float, cells: int) -> str:
    eighths = min(round(share * cells * 8), cells * 8)
    return (_BAR[-1] * (eighths // 8) + (_BAR[eighths % 8 - 1] if eighths % 8 else "")).ljust(cells)


def paragraph(engine: WatchedEngine, width: int) -> list[Text]:
    """Return the shown phases with their visits as a wrapped line, for a narrow terminal."""
    visits, now = engine.now.get("visits", {}), engine.now.get("phase")
    rows: list[Text] = []
    row = Text()
    for phase in shown_phases(engine):
        number = visits.get(phase["id"], 0)
        style = "bold reverse" if phase["id"] == now else "" if number else "dim"
        item = Text.assemble((str(phase["name"]), style), (f" {count_text(number)}" if number else "", "dim"))
        if row.plain and row.cell_len + 3 + item.cell_len > width:
            rows, row = [*rows, row], Text()
        row = Text.assemble(row, (" → " if row.plain or rows else "", "dim"), item)
    return [fitted(one, width) for one in [*rows, row]]
