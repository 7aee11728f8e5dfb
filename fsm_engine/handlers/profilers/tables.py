"""What profilers print and write: tables, by rich on a terminal, else in plain text; CSV files by pandas."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fsm_engine._util.extras import import_extra
from fsm_engine._util.tables import align

_HEADERS = ("Handler", "Event Name", "Total(s)", "Min(s)/IDX", "Max(s)/IDX", "Mean(s)", "Std(s)")
_STATISTICS = ("total", "min/index", "max/index", "mean", "std")


def write_csv(columns: Mapping[str, Iterable[float]], path: str | os.PathLike[str]) -> None:
    """Write columns of equal length to a file.

    Raises:
        ModuleNotFoundError: if pandas is not installed.
    """
    pandas = import_extra("pandas", None, "Need pandas to write results as files")
    pandas.DataFrame({name: list(values) for name, values in columns.items()}).to_csv(path, index=False)


def print_basic(results: Mapping[str, Any]) -> str:
    """Print the results of a `BasicTimeProfiler`, and return them as plain text."""
    handlers, names = results["event_handlers_stats"], results["event_handlers_names"]
    title = "Time profiling stats (in seconds):"
    total = f"{float(handlers['total_time']):.5f}"
    rows = {"Processing function": results["processing_stats"], "Dataflow": results["dataflow_stats"]}
    events = {f"Events.{name}": (handlers[name], names[f"{name}_names"]) for name in handlers if name != "total_time"}
    lines = [f" {'-' * 52}", f"| {title:<51}|", f" {'-' * 52}", "  |  ".join(_STATISTICS)]
    for name, stats in rows.items():
        lines += ["", f"{name}:", _in_line(stats)]
    lines += ["", "Event handlers:", total]
    for name, (stats, attached) in events.items():
        lines += ["", f"- {name}: {attached}", _in_line(stats)]
    text = "\n".join(lines)
    table = [(name, *_cells(stats), "") for name, stats in rows.items()]
    table += [(n.removeprefix("Events."), *_cells(stats), ", ".join(on)) for n, (stats, on) in events.items()]
    table.append(("All handlers", total, "", "", "", "", ""))
    if not _on_terminal(title, ("", *_STATISTICS, "handlers"), table):
        print(text)
    return text


def _in_line(stats: Mapping[str, Any]) -> str:
    return " | ".join(_basic_cell(value) for value in stats.values())


def _cells(stats: Mapping[str, Any]) -> list[str]:
    return [_basic_cell(stats[name]) if name in stats else "" for name in _STATISTICS]


def _basic_cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value[0]:.5f}/{value[1]}" if isinstance(value, tuple) else f"{value:.5f}"


def print_handlers(results: Sequence[Sequence[Any]]) -> None:
    """Print the results of a `HandlersTimeProfiler`."""
    rows = [tuple(map(_cell, row)) for row in results]
    ends = [_sentence(row) for row in results[-2:]]
    if _on_terminal("", _HEADERS, rows[:-2]):
        print("\n".join(ends))
        return
    rule = ["-" * (max(map(len, column)) + 2) for column in zip(_HEADERS, *rows[:-2])]
    lines = align([rule, _HEADERS, rule, *rows[:-3], rule, *rows[-3:-2], rule], left=2)
    print("\n".join([*lines, *ends]))


def _cell(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _sentence(row: Sequence[Any]) -> str:
    name, _, total, low, high, mean, std = row
    if isinstance(total, str):
        return f"{name}: {total}"
    ends = f"min/index: {low[0]}s/{low[1]}, max/index: {high[0]}s/{high[1]}"
    spread = "" if isinstance(std, str) else f", std: {std}s"
    return f"{name} took total {total}s [{ends}, mean: {mean}s{spread}]"


def _on_terminal(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Print a table by rich, and say whether that was possible."""
    if not sys.stdout.isatty():
        return False
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, header in enumerate(headers):
        table.add_column(header, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
    return True
