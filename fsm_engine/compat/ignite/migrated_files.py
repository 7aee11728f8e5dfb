"""`migrate_files`: the programs and notebooks of a folder, and the files that name pytorch-ignite as a requirement."""

from __future__ import annotations

import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from fsm_engine.compat.ignite.migration import Migration, Note, is_python, lines_of, migrate

_SKIPPED = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}
_REQUIREMENT = re.compile(r"pytorch[-_.]ignite|^\s*-\s*(\S+::)?ignite\b")  # conda calls it ignite
_REQUIREMENTS = re.compile(r"(requirements.*\.(txt|in)|pyproject\.toml|setup\.(py|cfg)|environment.*\.ya?ml)$")


def migrate_files(path: Path, write: bool) -> Iterator[tuple[Path, Migration]]:
    """Yield the migration of each file below `path`, or of `path` itself, that has changes or notes.

    Args:
        path: a file or a folder. Hidden folders, virtual environments and build folders below it are left out.
        write: write the new sources.

    Raises:
        FileNotFoundError: `path` does not exist.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    for file in [path] if path.is_file() else _files_below(path):
        data = file.read_bytes()
        migration, new = _migrated(file, data)
        if migration.changes or migration.notes:
            if write and new != data:
                file.write_bytes(new)
            yield file, migration


def _files_below(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        parents = file.relative_to(folder).parts[:-1]
        is_skipped = any(part in _SKIPPED or part.startswith(".") for part in parents)
        is_program = file.suffix in (".py", ".ipynb")
        if not is_skipped and file.is_file() and (is_program or _REQUIREMENTS.search(file.name)):
            yield file


def _migrated(file: Path, data: bytes) -> tuple[Migration, bytes]:
    """Return the migration of a file, and its new content."""
    if b"ignite" not in data:
        return Migration("", [], []), data
    try:
        if file.suffix == ".ipynb":
            return _notebook(data)
        if file.suffix == ".py":
            encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
            migration = migrate(data.decode(encoding))
            notes = [*migration.notes, *_requirements(file, data)]
            new = migration.source.encode(encoding) if migration.changes else data
            return Migration(migration.source, migration.changes, notes), new
        return Migration("", [], _requirements(file, data)), data
    except (SyntaxError, UnicodeDecodeError, json.JSONDecodeError) as error:
        line = getattr(error, "lineno", None) or 1
        return Migration("", [], [Note(line, f"the file cannot be read: {error}")]), data


def _requirements(file: Path, data: bytes) -> list[Note]:
    if not _REQUIREMENTS.search(file.name):
        return []
    lines = data.decode(errors="replace").splitlines()
    return [
        Note(number, "replace the requirement pytorch-ignite by fsm-engine")
        for number, line in enumerate(lines, 1)
        if _REQUIREMENT.search(line)
    ]


def _notebook(data: bytes) -> tuple[Migration, bytes]:
    """Migrate the code cells of a notebook as one program; lines are counted over all of them."""
    notebook: Any = json.loads(data)
    cells = [cell for cell in notebook.get("cells", ()) if cell.get("cell_type") == "code"]
    texts = ["".join(cell["source"]) for cell in cells]
    migration = migrate("\n".join(text if is_python(text) else _blank(text) for text in texts))
    lines = lines_of(migration.source)
    skipped: list[Note] = []
    number = 1
    for cell, text in zip(cells, texts):
        count = len(lines_of(f"{text}\n"))
        new, lines = "".join(lines[:count]), lines[count:]
        if not is_python(text):
            if "ignite" in text:
                skipped.append(Note(number, "a cell that is not Python names ignite, and was not changed"))
            number += count
            continue
        number += count
        source = new.removesuffix("\n") if new.count("\n") > text.count("\n") else new
        cell["source"] = source.splitlines(keepends=True) if isinstance(cell["source"], list) else source
    end = "\n" if data.endswith(b"\n") else ""
    indent = 1 if b"\n" in data else None
    migration = replace(migration, notes=sorted([*migration.notes, *skipped], key=lambda note: note.line))
    return migration, (json.dumps(notebook, indent=indent, ensure_ascii=False) + end).encode()


def _blank(cell: str) -> str:
    """Return as many empty lines as a cell in another language has."""
    return "\n" * (len(lines_of(f"{cell}\n")) - 1)
