"""The details of a paused run, and of a failure, as sections."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from rich.text import Text

from fsm_engine.cli.watch.model import WatchedEngine
from fsm_engine.cli.watch.section import Section
from fsm_engine.cli.watch.tables import table
from fsm_engine.cli.watch.text import number_text


def pause_sections(look: Mapping[str, Any], width: int) -> list[Section]:
    """Return the place of a pause, the state, the batch, and the layers."""
    place = [Text(line, "bold") for line in wrap(str(look["at"]), width)]
    reason = [Text(line, "dim") for line in wrap(f"because of: {look['why']}", width)]
    rows = {
        "state": [[one["name"], one["value"], one["type"]] for one in look["state"]],
        "batch": [_part(one) for one in look["batch"]],
        "layers": [["", "", "norm", "gradient", ""], *map(_layer, look["layers"])] if look["layers"] else [],
    }
    sides = {"state": "<<.", "batch": "<.<.", "layers": "<.>>."}
    tables = [Section(title, table(content, sides[title], width)) for title, content in rows.items() if content]
    note = [Section("note", [Text(line, "yellow") for line in wrap(str(look["note"]), width)])] if look["note"] else []
    return [Section("paused at", [*place, *reason]), *tables, *note]


def _part(one: Mapping[str, Any]) -> list[str]:
    path = one["path"] or "batch"
    if "shape" not in one:
        return [path, str(one["type"]), str(one.get("value", "")), ""]
    span = f"{number_text(one['low'])} to {number_text(one['high'])}" if "low" in one else ""
    bad = f", {one['nan']} NaN" if one.get("nan") else ""
    return [path, f"{one['dtype']} {_shape(one)}", f"{span}{bad}", str(one["device"])]


def _layer(one: Mapping[str, Any]) -> list[str]:
    norms = ["-" if one[name] is None else number_text(one[name]) for name in ("norm", "gradient")]
    return [str(one["name"]), _shape(one), *norms, "" if one["trains"] else "frozen"]


def _shape(one: Mapping[str, Any]) -> str:
    return "x".join(map(str, one["shape"])) or "scalar"


def failure_sections(failure: Mapping[str, Any], engine: WatchedEngine, width: int) -> list[Section]:
    """Return the exception with its place, and the traceback."""
    place = f"in {engine.phase_name(failure['phase'])}, epoch {failure['epoch']}, iteration {failure['iteration']}"
    error = [Text(line, "bold red") for line in wrap(str(failure["error"]), width)]
    lines = [Text(line) for line in str(failure["traceback"]).rstrip().split("\n")]
    return [Section("failed", [*error, Text(place)]), Section("traceback", lines)]
