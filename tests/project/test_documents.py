"""The links of the documents lead somewhere, and the code in `docs/` runs; `test_how_to_guides.py` runs the guides."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("**/*.md"))
WITH_OUTPUT = ("index.md", "migrate-", "topics/", "tutorials/", "explanation/")  # with output after code
DOCUMENTS = [ROOT / "README.md", ROOT / "DESIGN.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_generated(path: Path) -> bool:
    """Return whether the documentation site makes this page: its strict build checks links to it."""
    return path.resolve().parent == ROOT / "docs" / "reference" / "commands"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_to_a_file_of_the_repository(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    files = [link for link in links if not link.startswith("https://") and not is_generated(document.parent / link)]
    assert [link for link in files if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_path_in_code_exists(document: Path) -> None:
    paths = re.findall(r"[` ]((?:benchmarks|diagrams|docs|examples|tests)/[\w./-]+)", document.read_text())
    assert [path for path in paths if not (ROOT / path.rstrip(".")).exists()] == []


def test_every_extra_in_an_install_command_exists() -> None:
    project = pytest.importorskip("tomllib").loads((ROOT / "pyproject.toml").read_text())["project"]
    commands = {
        (document.name, extra)
        for document in DOCUMENTS
        for extras in re.findall(r"pip install (?:-e )?\"(?:fsm-engine|\.)\[([\w,-]+)\]\"", document.read_text())
        for extra in extras.split(",")
    }
    assert len(commands) > 15
    assert [one for one in commands if one[1] not in project["optional-dependencies"]] == []


@pytest.mark.parametrize("document", [document for document in DOCS if document.parent.name != "how-to"], ids=name)
def test_the_code_of_a_document_runs_from_top_to_bottom(
    document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", document.read_text(), re.MULTILINE | re.DOTALL
    )
    if blocks:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": document.stem}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(document), "exec"), scope)
        if expected and document.relative_to(ROOT / "docs").as_posix().startswith(WITH_OUTPUT):
            assert printed.getvalue() == expected


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_the_differences_from_ignite_are_linked(document: Path) -> None:
    assert "](docs/differences.md)" in document.read_text()


def test_each_difference_from_ignite_describes_both_libraries() -> None:
    rows = [line for line in (ROOT / "docs" / "differences.md").read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    subjects = [subject for subject, *_ in cells if subject and not subject.startswith("---")]
    assert len(subjects) == len(set(subjects)) >= 50
    assert [row for row in cells if len(row) != 3 or not all(row[1:])] == []
