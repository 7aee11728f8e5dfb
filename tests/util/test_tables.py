"""Tables as plain text: cells of a column stand below each other, whatever is in them."""

from __future__ import annotations

from fsm_engine._util.tables import align

ROWS = [("handler", "count", ""), ("log", "12", "s"), ("", "3", "")]


def test_columns_are_flush_left() -> None:
    assert align(ROWS) == ["handler  count", "log      12     s", "         3"]


def test_columns_behind_the_first_ones_are_flush_right() -> None:
    assert align(ROWS, left=1) == ["handler  count", "log         12  s", "             3"]


def test_what_stands_between_columns_is_told() -> None:
    assert align([("a", "bb"), ("ccc", "d")], between=" -> ") == ["a   -> bb", "ccc -> d"]


def test_no_rows_are_no_lines() -> None:
    assert align([]) == []
