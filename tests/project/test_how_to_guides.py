"""Each page of `docs/how-to` answers one question with a program that runs and prints the output on the page."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "how-to"
GUIDES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "index")
FENCE = re.compile(r"(<!-- numbers differ -->\n\n)?^```(python|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


def test_the_program_of_a_guide_prints_what_the_guide_shows(
    guide: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # models this small are faster on one thread
    request.addfinalizer(partial(torch.set_num_threads, threads))
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": guide.stem}
    printed = io.StringIO()
    for numbers_differ, language, text in FENCE.findall(guide.read_text()):
        if language == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(text, str(guide), "exec"), scope)
        else:
            shown, output = (without_numbers(s) if numbers_differ else s for s in (text, printed.getvalue()))
            assert doctest.OutputChecker().check_output(shown, output, doctest.ELLIPSIS), output
            printed = io.StringIO()
    assert printed.getvalue() == "", "the guide does not show this output"


def without_numbers(text: str) -> str:
    """Return `text` with each number, and its unit of time, replaced by a sign."""
    return re.sub(r"\d[\d.,]*(?: (?:ns|us|µs|ms|s)\b)?", "#", text)


def test_a_guide_answers_one_question_with_one_program(guide: Path) -> None:
    text = guide.read_text()
    assert re.fullmatch(r"# .*\?", text.splitlines()[0])
    assert len(re.findall(r"^```python$", text, re.MULTILINE)) == 1
    assert "\nSee also: [" in text
    assert len(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).split()) >= 80


def test_the_index_lists_a_guide_once(guide: Path) -> None:
    assert (FOLDER / "index.md").read_text().count(f"]({guide.name})") == 1
