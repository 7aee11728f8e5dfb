"""The links of the documents lead somewhere, and the code in `docs/` runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("**/*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "DESIGN.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_to_a_file_of_the_repository(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    files = [link for link in links if not link.startswith("https://")]
    assert [link for link in files if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCS, ids=name)
def test_the_code_of_a_document_runs_from_top_to_bottom(
    document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    if blocks:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": document.stem}
    for code in blocks:
        exec(compile(code, str(document), "exec"), scope)


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_the_differences_from_ignite_are_linked(document: Path) -> None:
    assert "](docs/differences.md)" in document.read_text()


def test_each_difference_from_ignite_describes_both_libraries() -> None:
    rows = [line for line in (ROOT / "docs" / "differences.md").read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    subjects = [subject for subject, *_ in cells if subject and not subject.startswith("---")]
    assert len(subjects) == len(set(subjects)) >= 50
    assert [row for row in cells if len(row) != 3 or not all(row[1:])] == []
