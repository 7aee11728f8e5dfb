"""The commands ``fsm-engine timeline ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from typer.testing import CliRunner, Result

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine.cli.app import app
from fsm_engine.cli.examples import EXAMPLES
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.rank import ClockReading, Rank

TRAIN = """
from fsm_engine import Engine, Events
trainer = Engine(lambda engine, batch: batch)
shorter = Engine(lambda engine, batch: batch)
shorter.lifecycle.remove_transition(Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED)
"""


class Own(EventEnum):
    CHECK = "check"


def step(_engine: Engine, batch: Any) -> Any:
    return batch


def run(epochs: int) -> Timeline:
    engine = Engine(step)
    engine.add_event_handler(Events.EPOCH_COMPLETED, step, 1)
    with engine.record() as timeline:
        engine.run([1, 2], max_epochs=epochs)
    return timeline


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with two recorded runs and a module ``train``."""
    run(2).save(tmp_path / "run.fsmt")
    run(3).save(tmp_path / "other.fsmt")
    Timeline().save(tmp_path / "empty.fsmt")
    for rank in range(2):
        (recorded := run(2)).tracks[0].rank = Rank(rank, 3, "host", "run", [ClockReading(0, 0, 20_000)])
        recorded.save(tmp_path / f"rank{rank}.fsmt")
    (tmp_path / "train.py").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["timeline", *arguments], prog_name="fsm-engine")


SERVED = "timeline replay"  # runs until Ctrl-C; tests/inspector/test_inspector_commands.py
LINES = [
    line for name, lines in EXAMPLES.items() if name.startswith("timeline") and name != SERVED for line, _ in lines
]


@pytest.mark.parametrize("line", LINES)
def test_the_examples_of_the_help_work(here: Path, line: str) -> None:
    done = call(*line.split()[1:])
    assert (done.exit_code, "error" in done.stderr) == (int("diff" in line), False)


def test_merge_writes_one_timeline_of_all_ranks_and_says_how_they_are_aligned(here: Path) -> None:
    done = call("merge", "rank1.fsmt", "rank0.fsmt", "-o", "run.svg", "-o", "both.fsmt")
    assert (done.exit_code, done.stdout) == (0, "")
    missing, aligned, *written = done.stderr.splitlines()
    assert "rank 2 of 3" in missing
    assert "20 µs" in aligned
    assert written == ["Wrote run.svg", "Wrote both.fsmt"]
    assert [track.rank and track.rank.number for track in Timeline.load("both.fsmt").tracks] == [0, 1]
    assert "rank 1: training" in Path("run.svg").read_text()


def test_summary_prints_the_summary_of_the_timeline(here: Path) -> None:
    assert call("summary", "run.fsmt").stdout == f"{Timeline.load('run.fsmt').summary()}\n"


@pytest.mark.parametrize("target", [[], ["training"], ["train.py:trainer"]])
def test_verify_prints_nothing_for_a_legal_run(here: Path, target: list[str]) -> None:
    done = call("verify", "run.fsmt", *target)
    assert (done.exit_code, done.stdout) == (0, "")


def test_verify_prints_the_violation_of_an_illegal_run(here: Path) -> None:
    done = call("verify", "run.fsmt", "train.py:shorter")
    assert done.exit_code == 1
    assert done.stdout.count("\n") == 1
    assert "is Events.EPOCH_COMPLETED --next_epoch--> Events.EPOCH_STARTED, but the run was in" in done.stdout


def test_diff_prints_the_divergence_of_two_runs(here: Path) -> None:
    done = call("diff", "run.fsmt", "other.fsmt")
    assert done.exit_code == 1
    assert done.stdout.endswith(
        ": Events.EPOCH_COMPLETED --nothing_left--> Events.COMPLETED (epoch 2, iteration 4) | "
        "Events.EPOCH_COMPLETED --next_epoch--> Events.EPOCH_STARTED (epoch 2, iteration 4)\n"
    )
    done = call("diff", "run.fsmt", "run.fsmt")
    assert (done.exit_code, done.stdout) == (0, "")


@pytest.mark.parametrize("command", [["draw"], []], ids=["draw", "no command"])
@pytest.mark.parametrize("name", ["run.svg", "run.html", "run.json", "run.json.gz"])
def test_draw_writes_the_format_of_the_suffix(here: Path, name: str, command: list[str]) -> None:
    done = call(*command, "run.fsmt", "-o", name)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"Wrote {name}\n")
    assert (here / name).stat().st_size > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "no.fsmt"], "no.fsmt: No such file or directory"),
        (["summary", "train.py"], "train.py is not a timeline"),
        (["merge", "rank0.fsmt", "rank0.fsmt", "-o", "run.svg"], "rank0.fsmt and rank0.fsmt are both of rank 0"),
        (["merge", "rank0.fsmt", "-o", "run.xyz"], "'run.xyz' ends in .xyz."),
        (["no.fsmt", "-o", "run.svg"], "no.fsmt: No such file or directory"),
        (["verify", "empty.fsmt"], "empty.fsmt has no tracks"),
        (["diff", "run.fsmt", "empty.fsmt"], "empty.fsmt has no tracks"),
        (["verify", "run.fsmt", "train.py:trianer"], "train.py has no trianer. Did you mean trainer?"),
    ],
)
def test_an_error_is_printed_in_one_line(here: Path, arguments: list[str], message: str) -> None:
    done = call(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {message}")


def test_an_unknown_suffix_is_an_error(here: Path) -> None:
    done = call("draw", "run.fsmt", "-o", "run.svg", "-o", "run.xyz")
    assert (done.exit_code, Path("run.svg").exists()) == (2, False)
    assert done.stderr.startswith("error: 'run.xyz' ends in .xyz.")
    assert ".svg, .png, .pdf, .html, .json, .json.gz, .perfetto, .pftrace" in done.stderr


def test_a_misspelled_command_gets_a_suggestion(here: Path) -> None:
    done = call("sumary")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No such command 'sumary'. Did you mean 'summary'?" in done.stderr


def test_a_lifecycle_is_drawn_with_the_heat_map_of_a_run(here: Path) -> None:
    app_ = CliRunner(env={"COLUMNS": "200"})
    done = app_.invoke(app, ["draw", "--timeline", "run.fsmt", "-o", "heat.svg"], prog_name="fsm-engine")
    assert (done.exit_code, done.stderr) == (0, "Wrote heat.svg\n")
    Lifecycle.training().draw("expected.svg", timeline=Timeline.load("run.fsmt"))
    assert (here / "heat.svg").read_text() == (here / "expected.svg").read_text()


VALIDATES = """
from fsm_engine import Engine, EventEnum, Events

class Extra(EventEnum):
    VALIDATE = "validate"

def validate():
    pass

trainer = Engine(lambda engine, batch: batch)
trainer.lifecycle.insert(Extra.VALIDATE, after=Events.EPOCH_COMPLETED, activity=validate)
"""


@pytest.fixture
def own(here: Path) -> Path:
    """Record the run of a lifecycle that is not the standard one, and write its program."""
    program: dict[str, Any] = {}
    exec(VALIDATES, program)
    (here / "validates.py").write_text(VALIDATES)
    with program["trainer"].record() as recorded:
        program["trainer"].run([1, 2], max_epochs=2)
    return recorded.save(here / "own.fsmt")


def test_a_file_without_a_command_is_summarized(here: Path) -> None:
    done = call("run.fsmt")
    assert (done.exit_code, done.stdout) == (0, f"{Timeline.load('run.fsmt').summary()}\n")


@pytest.mark.parametrize("target", [[], ["validates.py:trainer"]])
def test_a_run_is_verified_and_drawn_on_its_own_lifecycle(own: Path, target: list[str]) -> None:
    done = call("verify", "own.fsmt", *target)
    assert (done.exit_code, done.stdout) == (0, "")
    draw = ["draw", *target, "--timeline", "own.fsmt", "-o", "heat.svg"]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, draw, prog_name="fsm-engine")
    assert (done.exit_code, done.stderr) == (0, "Wrote heat.svg\n")
    assert "VALIDATE" in Path("heat.svg").read_text()


def test_a_run_drawn_on_another_lifecycle_says_which_target_to_name(own: Path) -> None:
    draw = ["draw", "training", "--timeline", "own.fsmt", "-o", "heat.svg"]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, draw, prog_name="fsm-engine")
    assert (done.exit_code, done.stdout) == (2, "")
    for part in ("Extra.VALIDATE", "no such edge", "the engine 'training'", "train.py:trainer", "leave TARGET out"):
        assert part in done.stderr
    assert call("verify", "own.fsmt", "training").exit_code == 1
