"""The sections of the panel: curves, handlers, engines, breakpoints, offered values, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from fsm_engine.cli.watch.curves import Curve, sparkline
from fsm_engine.cli.watch.model import Model, WatchedEngine
from fsm_engine.cli.watch.section import Section
from fsm_engine.cli.watch.tables import cut, table
from fsm_engine.cli.watch.text import count_text, number_text
from fsm_engine.timeline.units import format_duration

_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_STATUSES = {"running": "green", "paused": "yellow", "suspended": "magenta", "completed": "cyan", "failed": "red"}
_VALUE, _SPAN = 9, 22
"""The widths of the last value of a curve, and of its range."""


def all_sections(model: Model, engine: WatchedEngine, width: int, rows: int) -> list[Section]:
    """Return the sections that have something to show. `rows` is the height of a curve."""
    sections = (
        Section("curves", _curves(engine, width, rows)),
        Section("handlers", _handlers(engine, width)),
        Section("engines", _engines(model, engine)),
        Section("breakpoints", [_breakpoint(one, model, engine) for one in model.breakpoints]),
        Section("offered values, set with v", [_offer(one) for one in model.offers]),
        Section("warnings", [_warning(one, model.now) for one in reversed(model.warnings)]),
    )
    return [section for section in sections if section.lines]


def status_style(status: str) -> str:
    """Return the colour of a status."""
    return _STATUSES.get(status, "")


def _curves(engine: WatchedEngine, width: int, rows: int) -> list[Text]:
    curves = {name: engine.curves[name] for name in sorted(engine.curves, key=_rank) if engine.curves[name].points}
    label = min(max(map(cell_len, curves), default=0), max(width // 3, 8))
    pictures = [_curve(cut(name, label), curve, width, rows) for name, curve in curves.items()]
    between = [Text()] if rows > 1 else []
    return [line for picture in pictures for line in (*picture, *between)][: -len(between) or None]


def _rank(name: str) -> tuple[int, str]:
    """Return the place of a curve: the output, then the metrics, then the learning rates."""
    group = name.partition("/")[0]
    return 2 if group == "lr" else 1 if group == "metrics" else 0, name


def _curve(name: str, curve: Curve, width: int, rows: int) -> list[Text]:
    values, before = curve.finite, cell_len(name) + _VALUE + 2
    is_flat, is_wide = not values or min(values) == max(values), width - before >= 2 * _SPAN
    span = f"  {number_text(min(values))} to {number_text(max(values))}" if is_wide and not is_flat else ""
    *upper, lowest = sparkline(curve, max(width - before - is_wide * _SPAN, 1), 1 if is_flat else rows)
    last = (f" {number_text(curve.last):>{_VALUE}} ", "bold")
    lines = [Text.assemble(" " * before, (row, "cyan")) for row in upper]
    return [*lines, Text.assemble(name, last, (lowest, "cyan"), (span, "dim"))]


def _handlers(engine: WatchedEngine, width: int) -> list[Text]:
    known = zip(engine.described["handlers"], engine.now.get("calls", ()))
    called = [(handler, calls) for handler, calls in known if calls[0] and handler["event"]]
    called.sort(key=lambda pair: -pair[1][1])
    lines = table([_handler(*pair) for pair in called], "<.>>.>", width) if called else []
    for line, (_, calls) in zip(lines, called):
        line.stylize("red" if calls[2] else "")
    return lines


def _handler(handler: Mapping[str, Any], calls: Sequence[int]) -> list[str]:
    number, spent, errors = calls
    times = [format_duration(spent), f"{format_duration(spent / number)} each"]
    failed = f"{errors} raised" if errors else ""
    return [handler["name"], handler["event"].rpartition(".")[2], f"{count_text(number)} calls", *times, failed]


def _engines(model: Model, shown: WatchedEngine) -> list[Text]:
    return [_engine(one, one is shown) for one in model.engines.values()] if len(model.engines) > 1 else []


def _engine(engine: WatchedEngine, is_shown: bool) -> Text:
    progress = engine.now.get("progress", {})
    done, total = progress.get("done"), progress.get("total")
    place = f"  {count_text(done)}{f'/{count_text(total)}' if total else ''}"
    status = (f"  {engine.status}", status_style(engine.status))
    return Text.assemble(("▶ " if is_shown else "  ", "bold"), engine.heading, status, (place, "dim"))


def _breakpoint(one: Mapping[str, Any], model: Model, shown: WatchedEngine) -> Text:
    owner = model.engines.get(one["engine"], shown)
    place = "" if owner is shown else f"{owner.heading}: "
    once, hits = ", once" if one["once"] else "", f"  {one['hits']} {'hit' if one['hits'] == 1 else 'hits'}"
    return Text.assemble((f"{one['number']} ", "bold"), f"{place}{one['text']}{once}", (hits, "dim"))


def _offer(one: Mapping[str, Any]) -> Text:
    if one["error"]:
        return Text.assemble(f"{one['label']} ", (str(one["error"]), "red"))
    low, high = one["low"], one["high"]
    has_limits = low is not None and high is not None
    limits = f"  {number_text(low)} to {number_text(high)}" if has_limits else ""
    return Text.assemble(f"{one['label']} = ", (number_text(one["value"]), "bold"), (limits, "dim"))


def _warning(one: Mapping[str, Any], now: int) -> Text:
    seconds = max(now - one["time"], 0) // 10**9
    ago = f"{format_duration(seconds * 10**9)} ago" if seconds else "now"
    level = (f"{one['level'].lower()} ", _LEVELS.get(one["level"], ""))
    return Text.assemble((f"{ago:>8}  ", "dim"), level, one["text"])
