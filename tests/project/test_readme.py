"""The README is short, its code runs from top to bottom, and one of its programs prints the same with Ignite."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", README, re.MULTILINE | re.DOTALL)


def output(code: str, scope: dict[str, Any]) -> str:
    """Run `code`, and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), scope)
    return printed.getvalue()


def test_the_readme_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("starlette")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "readme"}
    printed = [output(code, scope) for code, _ in PROGRAMS]
    first, switched, resumed, seen, step = printed

    assert first == PROGRAMS[0][1]
    assert re.fullmatch(r"epoch 5: accuracy 0\.\d{3}\nepoch 10: accuracy 0\.9\d\d\n", switched)
    assert resumed == ""
    files = {file.name for file in tmp_path.glob("checkpoints/*.pt")}
    assert files == {"checkpoint_92.pt", "checkpoint_96.pt"}
    assert "\nphase " in seen
    assert re.findall(r"^iteration (\d): gradient norm \d", step, re.MULTILINE) == ["3", "6"]
    written = {file.name for file in tmp_path.iterdir()}
    assert written == {"checkpoints", "run.fsmt", "run.svg", "timeline.html", "trainer.html"}


def test_a_program_of_ignite_prints_the_same_after_one_word_has_changed() -> None:
    pytest.importorskip("ignite")
    (code,) = (code for code, _ in PROGRAMS if "from fsm_engine.engine import" in code)

    assert output(code, {}) == output(code.replace("fsm_engine", "ignite"), {})


def test_the_text_of_the_readme_has_at_most_900_words() -> None:
    text = re.sub(r"^```.*?^```|^\|.*?$|<details>.*?</details>", "", README, flags=re.MULTILINE | re.DOTALL)
    assert len(text.split()) <= 900
