"""Suggestions for misspelt names."""

from __future__ import annotations

import pytest

from fsm_engine._util.suggestions import did_you_mean

NAMES = ("EPOCH_STARTED", "EPOCH_COMPLETED", "GET_BATCH_COMPLETED", "COMPLETED", "A1", "A2")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EPOCH_COMPLETE", " Did you mean EPOCH_COMPLETED?"),
        ("epoch_completd", " Did you mean EPOCH_COMPLETED?"),
        ("EPCOH_STARTED", " Did you mean EPOCH_STARTED?"),
        ("completed", " Did you mean COMPLETED?"),
        ("A", " Did you mean A2 or A1?"),
        ("banana", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_suggested_and_a_second_one_only_if_it_is_as_near(name: str, expected: str) -> None:
    assert did_you_mean(name, NAMES) == expected


def test_a_mapping_gives_the_texts_to_show() -> None:
    assert did_you_mean("startd", {"STARTED": "Events.STARTED"}) == " Did you mean Events.STARTED?"


def test_a_very_long_name_is_cut_off_before_it_is_compared() -> None:
    assert did_you_mean("COMPLETED" * 1_000_000, NAMES) == ""
