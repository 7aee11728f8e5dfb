"""Complete outputs of the formats, compared with the files in tests/goldens."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
WRITTEN = runpy.run_path(str(GOLDENS / "write.py"))["GOLDENS"]


@pytest.mark.parametrize("name", WRITTEN)
def test_the_output_equals_the_golden_file(name):
    assert WRITTEN[name]() == (GOLDENS / name).read_text(encoding="utf-8"), "python tests/goldens/write.py"


def test_every_golden_file_has_a_writer():
    assert {path.name for path in GOLDENS.iterdir() if path.suffix != ".py"} == {*WRITTEN}
