"""Tables as plain text: alignment and separators of columns."""

from __future__ import annotations

from fsm_engine._util.tables import align

ROWS = [("handler", "count", ""), ("log", "12", "s"), ("", "3", "")]


def test_columns_are_left_aligned_by_default() -> None:
    assert align(ROWS) == ["handler  count", "log      12     s", "         3"]


def test_columns_after_the_first_left_ones_are_right_aligned() -> None:
    assert align(ROWS, left=1) == ["handler  count", "log         12  s", "             3"]


def test_the_separator_of_columns_can_be_given() -> None:
    assert align([("a", "bb"), ("ccc", "d")], between=" -> ") == ["a   -> bb", "ccc -> d"]


def test_without_rows_there_are_no_lines() -> None:
    assert align([]) == []
