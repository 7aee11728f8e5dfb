"""`fsm-engine migrate`: the imports of a program change, and lines that need a human are listed with their row."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest

from fsm_engine.compat.ignite.migrated_files import migrate_files
from fsm_engine.compat.ignite.migration import RULES, Note, migrate

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import ignite", "import fsm_engine"),
        ("import os, ignite.engine, sys", "import os, fsm_engine.engine, sys"),
        (
            "import ignite.distributed as idist\nidist.get_rank()",
            "import fsm_engine.distributed as idist\nidist.get_rank()",
        ),
        ("import ignite\nignite.engine.Engine(ignite)", "import fsm_engine\nfsm_engine.engine.Engine(fsm_engine)"),
        ("from ignite import metrics as m", "from fsm_engine import metrics as m"),
        ("from ignite.engine import *  # ignite", "from fsm_engine.engine import *  # ignite"),
        ("é = 'ü'; from ignite.engine import Engine", "é = 'ü'; from fsm_engine.engine import Engine"),
        ("from \\\n  ignite.engine import (\n  Engine,\n)", "from \\\n  fsm_engine.engine import (\n  Engine,\n)"),
        ("def f():\n\timport ignite.metrics\n", "def f():\n\timport fsm_engine.metrics\n"),
        ("from ignite.engine import Engine\r\nx = 1\r\n", "from fsm_engine.engine import Engine\r\nx = 1\r\n"),
        ("from ignite.engine import Engine\nignite = 3\n", "from fsm_engine.engine import Engine\nignite = 3\n"),
        ("a\n\x0c\nfrom ignite.engine import Engine", "a\n\x0c\nfrom fsm_engine.engine import Engine"),
        ("s = 'a\u2028b\x85'\nimport ignite\n", "s = 'a\u2028b\x85'\nimport fsm_engine\n"),
        ("import os\rimport ignite\r", "import os\rimport fsm_engine\r"),
        ("s = (\n  'x'\n  % (1,\n  2))\nimport ignite", "s = (\n  'x'\n  % (1,\n  2))\nimport fsm_engine"),
        ("if x:\n  !ls\ny = !ls\nx?\n?x\nimport ignite", "if x:\n  !ls\ny = !ls\nx?\n?x\nimport fsm_engine"),
        ("%pip install x\nfrom ignite.engine import Engine", "%pip install x\nfrom fsm_engine.engine import Engine"),
    ],
)
def test_only_the_word_changes(before: str, after: str) -> None:
    assert migrate(before).source == after


@pytest.mark.parametrize(
    "source",
    [
        "import igniter\nfrom .ignite import x\nfrom ignition import y",
        "ignite = 1\nprint(ignite)",
        "",
        "'ignite.engine'",
    ],
)
def test_programs_without_ignite_stay_unchanged(source: str) -> None:
    migration = migrate(source)
    assert (migration.source, migration.changes, migration.notes) == (source, [], [])


def notes_of(source: str) -> list[Note]:
    return migrate(dedent(source)).notes


@pytest.mark.parametrize(
    ("source", "line", "fragment"),
    [
        ("from ignite.handlers import (\n  Timer,\n  VisdomLogger,\n)", 3, "VisdomLogger.*Use "),
        ("import ignite.handlers.neptune_logger", 1, "neptune_logger.*Use "),
        ("from ignite.metrics.gan import FID", 1, "FID|gan.*Use "),
        ("import ignite\n\nx = ignite.metrics.InceptionScore()", 3, "InceptionScore.*Use "),
        ("from ignite import metrics as m\nm.HSIC", 2, "HSIC.*Use "),
        ("import importlib\nimportlib.import_module('ignite.engine')", 2, "a string names ignite.engine"),
        ("import ignite\ndef f(ignite): ...", 2, "variable"),
        ("from ignite.engine.engine import _nonexistent", 1, "private name"),
        ("import ignite\nmock.patch('ignite.engine.Engine.run')", 2, "a string names ignite.engine"),
        ("import ignite.engine\nlogging.getLogger(f'ignite.engine.{x}')", 2, "a string names ignite.engine"),
    ],
)
def test_what_is_missing_is_named_with_its_line(source: str, line: int, fragment: str) -> None:
    (note,) = notes_of(source)
    assert note.line == line
    assert re.search(fragment, note.reason)


@pytest.mark.parametrize(
    ("source", "line", "row"),
    [
        ("from ignite.engine import Events\ne.on(Events.EXCEPTION_RAISED)", 2, "EXCEPTION_RAISED has a handler"),
        ("import ignite\ndef step(e, b):\n    raise StopIteration", 3, "StopIteration"),
        ("import ignite\ne.register_events(*E, event_to_attr={E.A: 'a'})", 2, "event_to_attr"),
        ("import ignite\ne.terminate_epoch()", 2, "terminate_epoch"),
        ("import ignite\ncreate_supervised_trainer(m, o, l, amp_mode='apex')", 2, "apex"),
        ("import ignite.distributed as idist\nidist.Parallel('nccl', nproc_per_node=4)", 2, "`Parallel`"),
        ("from ignite.handlers import LRScheduler\nLRScheduler(s)", 2, "LRScheduler"),
    ],
)
def test_a_use_that_may_act_differently_is_named_with_its_row(source: str, line: int, row: str) -> None:
    (note,) = notes_of(source)
    assert note.line == line
    assert note.row is not None
    assert row in note.row


@pytest.mark.parametrize(
    "source",
    [
        "import ignite\ncreate_supervised_trainer(m, o, l, amp_mode='amp')",
        "import ignite.distributed as idist\nidist.Parallel('nccl', nproc_per_node=None)",
        "import ignite\nfrom torch.optim.lr_scheduler import LRScheduler\nLRScheduler(o)",
        "from ignite.handlers import Checkpoint\nCheckpoint.load_objects",
        '"""Uses ignite.engine."""\nimport ignite',
        "from ignite.contrib.engines import common\ncommon.setup_tb_logging",
    ],
)
def test_other_uses_need_no_human(source: str) -> None:
    assert notes_of(source) == []


def test_every_row_of_a_rule_is_in_the_differences() -> None:
    rows = (ROOT / "docs" / "differences.md").read_text()
    assert [rule.row for rule in RULES if f"| {rule.row} |" not in rows] == []


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "package" / ".hidden").mkdir(parents=True)
    (tmp_path / "package" / "venv").mkdir()
    program = "# -*- coding: latin-1 -*-\nfrom ignite.engine import Engine  # \u00e9\n"
    (tmp_path / "package" / "train.py").write_bytes(program.encode("latin-1"))
    for skipped in (".hidden/a.py", "venv/b.py"):
        (tmp_path / "package" / skipped).write_text("import ignite")
    (tmp_path / "broken.py").write_text("import ignite\ndef f(:\n")
    (tmp_path / "other.py").write_text("import torch\n")
    (tmp_path / "requirements.txt").write_text("torch\npytorch-ignite==0.5\n")
    found = dict(migrate_files(tmp_path, write=False))
    assert {file.relative_to(tmp_path).as_posix() for file in found} == {
        "package/train.py",
        "broken.py",
        "requirements.txt",
    }
    assert (tmp_path / "package" / "train.py").read_bytes() == program.encode("latin-1")
    assert found[tmp_path / "broken.py"].notes[0].line == 2
    assert found[tmp_path / "requirements.txt"].notes == [
        Note(2, "replace the requirement pytorch-ignite by fsm-engine")
    ]
    list(migrate_files(tmp_path, write=True))
    written = (tmp_path / "package" / "train.py").read_bytes()
    assert written == program.replace("ignite", "fsm_engine").encode("latin-1")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(migrate_files(tmp_path / "nowhere", write=False))


def test_a_notebook_is_one_program(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# ignite\n"], "metadata": {}},
        {
            "cell_type": "code",
            "source": ["!pip install x\n", "import ignite\n", "a = 1"],
            "outputs": [],
            "metadata": {},
        },
        {"cell_type": "code", "source": ["b = ignite.engine.Engine(a)\n", "\n"], "outputs": [], "metadata": {}},
        {"cell_type": "code", "source": "", "outputs": [], "metadata": {}},
    ]
    path = tmp_path / "demo.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}, indent=1) + "\n")
    before = path.read_text()
    ((_, migration),) = migrate_files(path, write=True)
    assert [change.line for change in migration.changes] == [2, 4]
    expected = before.replace("import ignite\\n", "import fsm_engine\\n").replace("b = ignite.", "b = fsm_engine.")
    assert path.read_text() == expected


def test_cells_in_other_languages_are_left_alone(tmp_path: Path) -> None:
    cells = [
        "%%bash\npip show pytorch-ignite; do",
        "%%html\n<p>\n",
        "%%time\nimport ignite",
        "from ignite.engine import Engine",
    ]
    path = tmp_path / "demo.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    ((_, migration),) = migrate_files(path, write=True)
    written = [cell["source"] for cell in json.loads(path.read_text())["cells"]]
    assert written == [*cells[:2], *(cell.replace("ignite", "fsm_engine") for cell in cells[2:])]
    assert [change.line for change in migration.changes] == [7, 8]
    assert [(note.line, "not Python" in note.reason) for note in migration.notes] == [(1, True)]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("requirements.txt", "pytorch_ignite"),
        ("environment.yml", "  - ignite"),
        ("environment.yml", "- pytorch::ignite=0.5"),
    ],
)
def test_requirements_in_other_spellings(name: str, line: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f"torch\n{line}\n")
    ((_, migration),) = migrate_files(tmp_path, write=False)
    assert [note.line for note in migration.notes] == [2]
