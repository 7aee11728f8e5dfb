"""What the formats write for a diagram with everything in it, whole."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
WRITTEN = runpy.run_path(str(GOLDENS / "write.py"))["GOLDENS"]


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_what_was_looked_at(name):
    assert WRITTEN[name]() == (GOLDENS / name).read_text(encoding="utf-8"), "python tests/goldens/write.py"


def test_every_golden_is_written_by_something():
    assert {path.name for kind in ("mmd", "dot", "md") for path in GOLDENS.glob(f"*.{kind}")} == {*WRITTEN}
