"""The script that mypy and pyright check, as `[tool.mypy]` and `[tool.pyright]` configure them, runs."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest

SCRIPT = Path(__file__).with_name("users_script.py")


def test_the_users_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    for needed in ("uvicorn", "torchmetrics", "tqdm"):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    run_path(str(SCRIPT))["main"]([str(tmp_path)])
    assert capsys.readouterr().out.endswith("{'longest': 2}\n")
    assert {"lifecycle.svg", "timeline.html", "run.fsmt", "training.csv"} <= {path.name for path in tmp_path.iterdir()}
