"""The command line, called in this process and as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

pytest.importorskip("rich")
pytest.importorskip("typer")

from command_line import call, process, ran

from fsm_engine import Engine, Events, Lifecycle
from fsm_engine.cli.examples import EXAMPLES
from fsm_engine.timeline.rank import ClockReading, Rank

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """
    from fsm_engine import Engine, EventEnum, Events, Lifecycle
    from helper import step

    print("imported")

    class B(EventEnum):
        FORWARD = "forward"
        BACKWARD = "backward"

    class Other(EventEnum):
        FORWARD = "forward"

    def build():
        import helper
        return Engine(helper.step)

    def ambiguous():
        lifecycle = Lifecycle.training(step)
        lifecycle.add_path(Events.ITERATION_STARTED >> B.FORWARD >> Other.FORWARD >> Events.ITERATION_COMPLETED)
        return lifecycle

    def needs(data): ...
    def nothing(): ...
    def fails(): helper_of_fails()
    def helper_of_fails(): raise ValueError("not\\ntoday")

    class Holder:
        engine = Engine(step)

    def fires(engine, batch):
        engine.fire_event(B.FORWARD)
        engine.fire_event(B.BACKWARD)

    trainer = Engine(fires)
    trainer.lifecycle.add_path(
        Events.ITERATION_STARTED >> B.FORWARD >> B.BACKWARD >> Events.ITERATION_COMPLETED, required=True
    )
    stuck = Lifecycle("stuck")
    loader = [1, 2]
"""
HELPER = """
    def step(engine, batch):
        return batch
"""
PHASES = "ITERATION_STARTED --forward--> FORWARD --backward--> BACKWARD --iteration_completed--> ITERATION_COMPLETED\n"


def write(folder: Path, **modules: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(dedent(text))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with a module ``train``, a file ``lifecycle.json`` and a recorded run."""
    write(tmp_path, train=TRAIN, helper=HELPER)
    for name in ("run", "rank0", "rank1"):
        record(tmp_path / f"{name}.fsmt")
    (tmp_path / "lifecycle.json").write_text(Lifecycle.training().to_json())
    (tmp_path / "ignite_program.py").write_text("from ignite.engine import Engine\n")
    (tmp_path / "my_project").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def record(path: Path) -> None:
    engine = Engine(lambda _engine, batch: batch)
    with engine.record() as timeline:
        engine.run([1, 2])
    if path.stem.startswith("rank"):
        timeline.tracks[0].rank = Rank(int(path.stem[4:]), 2, "host", "run", [ClockReading(0, 0, 20_000)])
    timeline.save(path)


def error_line(*arguments: str) -> str:
    """Run a command that fails, and return the line that it prints."""
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    lines = [line for line in done.stderr.splitlines() if line != "imported"]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


# Targets


@pytest.mark.parametrize(
    "target",
    ["train:trainer", "train.py:trainer", "./train.py:trainer", "elsewhere/../train.py:trainer"],
)
def test_a_target_is_an_engine_in_a_module_or_file(here, target):
    (here / "elsewhere").mkdir()
    done = call("paths", "iteration_started", "iteration_completed", target)
    assert (done.exit_code, done.stdout, done.stderr) == (0, PHASES, "imported\n")


@pytest.mark.parametrize("target", ["train:build", "train.py:Holder.engine", "lifecycle.json", "training"])
def test_a_target_is_the_result_of_a_function_an_attribute_or_a_lifecycle_file(here, target):
    done = call("show", target)
    assert (done.exit_code, done.stdout) == (0, f"{Lifecycle.training()}\n")


def test_the_name_is_optional_in_a_module_with_one_engine(here):
    write(here, only="from fsm_engine import Engine\nfrom helper import step\nmine = Engine(step)")
    done = call("show", "only.py")
    assert (done.exit_code, done.stdout) == (0, f"{Lifecycle.training()}\n")


@pytest.mark.parametrize("form", ["json", "scxml", "graphml"])
def test_a_lifecycle_file_that_draw_wrote_is_a_target(here, form):
    assert call("draw", "train:trainer", "-o", f"mine.{form}").exit_code == 0
    done = call("diff", "train:trainer", f"mine.{form}")
    assert (done.exit_code, done.stdout) == (0, "")


def test_targets_in_two_folders_import_different_modules_of_one_name(here):
    write(here / "old", train="from names import build", names="from fsm_engine import Lifecycle as build")
    write(
        here / "new",
        train="from names import build",
        names="""
            from fsm_engine import Events, Lifecycle
            def build():
                lifecycle = Lifecycle()
                lifecycle.add_transition(Events.STARTED >> Events.COMPLETED)
                return lifecycle
        """,
    )
    done = call("diff", "old/train.py:build", "new/train.py:build")
    assert (done.exit_code, done.stdout) == (1, "+ STARTED --completed--> COMPLETED\n")
    assert not {"names", "train"} & set(sys.modules)
    assert not {str(here), str(here / "old")} & set(sys.path)


@pytest.mark.parametrize(
    ("target", "fragments"),
    [
        ("trian:trainer", ("no module trian", "Did you mean train?")),
        ("trian.py:trainer", ("no file trian.py", "Did you mean train.py?")),
        ("nowhere/train.py:trainer", ("no file nowhere/train.py",)),
        ("train:trianer", ("train has no trianer", "Did you mean trainer?")),
        ("train:zzz", ("train has no zzz", "train has trainer, stuck.")),
        ("train", ("train has trainer, stuck.", "train:trainer")),
        ("helper", ("helper has no engine or lifecycle", "helper:build")),
        ("train:loader", ("train:loader is a list", "engine, a lifecycle, or a function", "train has trainer, stuck.")),
        ("train:nothing", ("train:nothing returns None", "engine, a lifecycle", "train has trainer, stuck.")),
        ("train:needs", ("train:needs has required arguments", "'data'")),
        ("train:fails", ("train:fails cannot be loaded: train.py:26: ValueError: not today",)),
        ("nothing.json", ("nothing.json: No such file or directory",)),
        ("a b:c", ("'a b' is not a module name", "module:engine, train.py:trainer or lifecycle.json")),
        ("text/plain", ("no file text/plain",)),
        ("notes.txt/", ("notes.txt is not a Python file", "train.py:trainer")),
    ],
)
def test_an_invalid_target_is_reported_in_one_line(here, target, fragments):
    (here / "notes.txt").touch()
    line = error_line("show", target)
    assert [fragment for fragment in fragments if fragment not in line] == [], line


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os\nx = = 1\n", "SyntaxError: invalid syntax"),
        ("import os\nimport not_there\n", "ModuleNotFoundError: No module named 'not_there'"),
        ("import os\nos.sys.exit(3)\n", "SystemExit: 3"),
        (
            "from fsm_engine import Engine\nEngine(3)\n",
            "ValueError: Error adding 3 as the process function: it takes other parameters, but will be called with "
            "(engine, batch): 3 is not a callable object",
        ),
    ],
)
@pytest.mark.parametrize("target", ["wrong", "wrong.py"])
def test_an_exception_in_user_code_is_reported_with_its_file_and_line(here, target, text, why):
    write(here, wrong=text)
    assert error_line("check", f"{target}:x") == f"{target} cannot be loaded: wrong.py:2: {why}"


def test_the_traceback_option_shows_the_frames_of_user_code(here):
    for done in (call("--traceback", "show", "train:fails"), call("show", "train:fails", FSM_ENGINE_TRACEBACK="1")):
        assert done.exit_code == 2
        assert re.findall(r'File ".*train.py", line \d+, in (\w+)', done.stderr) == ["fails", "helper_of_fails"]
        assert done.stderr.endswith("ValueError: not\ntoday\n")


def test_an_unexpected_exception_is_reported_in_one_line(here, monkeypatch):
    monkeypatch.setattr(Lifecycle, "check", lambda self: 1 / 0)
    line = error_line("check")
    assert line.startswith("ZeroDivisionError: division by zero (")
    assert "fsm-engine --traceback" in line


# Commands


def test_draw_writes_each_file_in_the_format_of_its_suffix(here):
    done = call("draw", "train:trainer", "-o", "a.svg", "-o", "b.mmd", "--output", "c.txt", "--format", "dot")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "imported\nWrote a.svg\nWrote b.mmd\nWrote c.txt\n"
    assert all((here / name).read_text().startswith("digraph") for name in ("a.svg", "b.mmd", "c.txt"))
    assert call("draw", "-o", "a.svg", "-o", "b.mmd").exit_code == 0
    assert (here / "a.svg").read_text().startswith("<svg")
    assert "stateDiagram-v2" in (here / "b.mmd").read_text()


def test_draw_without_a_file_writes_mermaid_to_standard_output(here):
    from fsm_engine.render import render

    done = call("draw")
    assert (done.exit_code, done.stdout_bytes, done.stderr) == (0, render(Lifecycle.training(), "mmd"), "")


def test_draw_passes_its_options_to_render(here):
    from fsm_engine.render import render

    options = {"title": "T", "direction": "right", "detail": "main", "theme": "dark"}
    options |= {"guards": True, "handlers": True}
    flags = ["--title=T", "--direction=right", "--detail=main", "--theme=dark", "--guards", "--handlers"]
    done = call("draw", "--format", "svg", *flags)
    assert done.stdout_bytes == render(Lifecycle.training(), "svg", **options)
    plain = call("draw", "--format", "svg").stdout_bytes
    assert all(call("draw", "--format", "svg", flag).stdout_bytes != plain for flag in flags[:5])


def test_draw_shows_the_handlers_of_an_engine_that_a_function_returned(here):
    write(
        here,
        heard="""
            from fsm_engine import Engine, Events
            from helper import step

            def build():
                trainer = Engine(step)
                trainer.add_event_handler(Events.EPOCH_COMPLETED, print)
                return trainer
        """,
    )
    assert "print" in call("draw", "heard:build", "--handlers").stdout
    assert "print" not in call("draw", "heard:build").stdout


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--format", "gif"], ("format='gif'", "'svg', ")),
        (["-o", "x.gif"], ("'x.gif'", ".gif", ".svg, ")),
        (["-o", "x"], ("'x' has no suffix", ".svg, ")),
        (["--theme", "pink"], ("theme='pink'", "'auto', ")),
        (["--detail", "most"], ("detail='most'", "'all' or 'main'")),
        (["--direction", "up"], ("direction='up'", "'down' or 'right'")),
        (["-o", "no/where.svg"], ("no/where.svg", "folder")),
    ],
)
def test_draw_refuses_invalid_options_and_paths(here, arguments, fragments):
    line = error_line("draw", *arguments)
    assert [fragment for fragment in fragments if fragment not in line] == [], line


def test_show_source_prints_the_function_of_the_engine_with_its_handlers(here):
    write(
        here,
        heard="""
            from fsm_engine import Engine, Events
            from helper import step
            trainer = Engine(step)
            trainer.add_event_handler(Events.EPOCH_COMPLETED, print)
        """,
    )
    step = lambda engine, batch: None  # noqa: E731
    sources = [call("show", "--source", *target).stdout for target in ([], ["heard"])]
    assert sources[0] == Engine(step).source
    compile(sources[1], "source", "exec")
    assert sources[1] != sources[0]


def test_check_exits_with_0_without_findings(here):
    done = call("check", "train:trainer")
    assert (done.exit_code, done.stdout) == (0, "train:trainer: no problems found\n")


def test_check_prints_each_problem_and_its_fix(here):
    done = call("check", "train:stuck")
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("error stuck: STARTED ")
    assert second.startswith("  ")
    assert "add_transition(Events.STARTED >> ...)" in second


def test_warnings_fail_a_strict_check_only(here):
    done, strict = call("check", "train:ambiguous"), call("check", "train:ambiguous", "--strict")
    assert (done.exit_code, strict.exit_code) == (0, 1)
    assert done.stdout == strict.stdout
    assert done.stdout.startswith("warning same-name: B.FORWARD and Other.FORWARD ")


def test_check_prints_json_for_scripts(here):
    done = call("check", "train:stuck", "--format", "json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert (answer["target"], len(answer["findings"])) == ("train:stuck", 1)
    finding = answer["findings"][0]
    assert (finding["code"], finding["is_error"]) == ("stuck", True)
    assert "STARTED" in finding["message"]
    assert "add_transition(Events.STARTED >> ...)" in finding["fix"]


def test_check_ignores_unbound_names_of_a_file(here):
    call("draw", "train:build", "-o", "mine.json")
    assert json.loads((here / "mine.json").read_text())["step"] == "step"
    done = call("check", "mine.json", "--strict")
    assert (done.exit_code, done.stdout) == (0, "mine.json: no problems found\n")


def test_paths_prints_the_paths_of_the_lifecycle(here):
    done = call("paths", "Started", "Events.completed")
    expected = [str(path) for path in Lifecycle.training().paths(Events.STARTED, Events.COMPLETED)]
    assert (done.exit_code, done.stdout.splitlines()) == (0, expected)


def test_paths_can_be_limited_to_the_shortest_or_to_a_length(here):
    shortest = call("paths", "started", "completed", "--shortest")
    assert shortest.stdout == "STARTED --nothing_left--> COMPLETED\n"
    assert call("paths", "started", "completed", "--limit", "1").stdout == shortest.stdout


def test_paths_exits_with_1_without_a_path(here):
    done = call("paths", "completed", "started")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "No path leads from Events.COMPLETED to Events.STARTED" in done.stderr


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("iteration_strated", ("no phase iteration_strated", "Did you mean ITERATION_STARTED?")),
        ("zzz", ("no phase zzz", "The phases are IDLE, STARTED, ")),
    ],
)
def test_an_unknown_phase_is_reported_with_suggestions(here, name, fragments):
    for line in (error_line("paths", name, "completed"), error_line("paths", "started", name)):
        assert [fragment for fragment in fragments if fragment not in line] == [], line


def test_phases_with_one_name_need_the_name_of_their_enum(here):
    line = error_line("paths", "forward", "completed", "train:ambiguous")
    assert "forward is ambiguous" in line
    assert "B.FORWARD or Other.FORWARD" in line
    done = call("paths", "b.forward", "other.forward", "train:ambiguous")
    assert (done.exit_code, done.stdout) == (0, "FORWARD --forward--> FORWARD\n")


def test_diff_prints_and_draws_the_differences(here):
    done = call("diff", "training", "train:trainer", "-o", "diff.svg")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "+ phase B.FORWARD",
        "+ phase B.BACKWARD",
        "- ITERATION_STARTED --step_done--> ITERATION_COMPLETED",
        "+ ITERATION_STARTED --forward--> B.FORWARD",
        "+ B.FORWARD --backward--> B.BACKWARD",
        "+ B.BACKWARD --iteration_completed--> ITERATION_COMPLETED",
    ]
    assert "+ B.BACKWARD" in (here / "diff.svg").read_text()
    turned = call("diff", "training", "train:trainer", "-o", "turned.svg", "--direction", "right", "--theme", "dark")
    assert (turned.exit_code, turned.stdout) == (1, done.stdout)
    wide, tall = (
        re.search(r'width="(\d+)" height="(\d+)"', (here / name).read_text()) for name in ("turned.svg", "diff.svg")
    )
    assert int(wide[1]) / int(wide[2]) > int(tall[1]) / int(tall[2])
    same = call("diff", "lifecycle.json", "train:build")
    assert (same.exit_code, same.stdout) == (0, "")
    assert error_line("diff", "training", "nothing.json") == "nothing.json: No such file or directory"
    line = error_line("diff", "training", "train:trainer", "-o", "x.json")
    assert "'x.json'" in line
    assert ".svg" in line


# Help


@pytest.mark.parametrize("command", ["", *EXAMPLES])
def test_help_ends_with_examples(command):
    done = call(*command.split(), "--help")
    assert (done.exit_code, done.stderr) == (0, "")
    assert all(f"fsm-engine {line}" in done.stdout for line, _ in EXAMPLES.get(command, ()))
    assert "fsm-engine " in [line for line in done.stdout.splitlines() if line.strip()][-1]
    assert "[bold]" not in done.stdout


WITH_FILES = [name for name in EXAMPLES if name not in ("demo", "watch") and not name.startswith("timeline")]


@pytest.mark.parametrize(
    ("line", "code"),
    [(line, int(name == "diff")) for name, lines in EXAMPLES.items() if name in WITH_FILES for line, _ in lines],
)
def test_the_examples_in_the_help_work(here, line, code):
    assert call(*line.split()).exit_code == code


def test_migrate_lists_changes_and_lines_that_need_a_human(here):
    done = call("migrate", "ignite_program.py")
    change = "ignite_program.py:1: from ignite.engine import Engine -> from fsm_engine.engine import Engine\n"
    assert (done.exit_code, done.stdout) == (0, change)
    assert "ignite.engine" in (here / "ignite_program.py").read_text()
    (here / "other.py").write_text("import ignite\n\nengine.terminate_epoch()\n")
    done = call("migrate", ".", "--write")
    assert done.exit_code == 1
    assert "other.py:3: check: terminate_epoch (docs/differences.md: `terminate_epoch()` with no epoch" in done.stdout
    assert (here / "ignite_program.py").read_text() == "from fsm_engine.engine import Engine\n"
    assert call("migrate", "nowhere").exit_code == 2


def test_the_version(here):
    import fsm_engine

    done = call("--version")
    assert (done.exit_code, done.stdout) == (0, f"fsm-engine {fsm_engine.__version__}\n")


@pytest.mark.parametrize("arguments", [["drwa"], ["show", "--sauce"], ["paths", "started"], ["demo", "--epochs", "0"]])
def test_a_wrong_command_line_is_reported_with_the_usage(here, arguments):
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: fsm-engine" in done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["s"], ["show"]),
        (["ru"], ["run"]),
        (["run", "train.py", "--rec"], ["--record"]),
        (["paths", "epoch"], ["epoch_started", "epoch_completed"]),
        (["paths", "STARTED", "ITER"], ["ITERATION_STARTED", "ITERATION_COMPLETED"]),
        (["draw", "--format", "s"], ["svg", "scxml"]),
        (["draw", "--theme", "d"], ["dark"]),
        (["draw", "--direction", ""], ["down", "right"]),
        (["draw", "--detail", ""], ["all", "main"]),
    ],
)
def test_the_shell_completes_commands_phases_and_formats(typed, offered):
    done = call(
        _FSM_ENGINE_COMPLETE="complete_bash",
        COMP_WORDS=" ".join(["fsm-engine", *typed]),
        COMP_CWORD=str(len(typed)),
    )
    assert (done.exit_code, done.stdout.split()) == (0, offered)


def test_the_completion_script_is_printed(monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = call("--show-completion", "bash")
    assert done.exit_code == 0
    assert "_FSM_ENGINE_COMPLETE=complete_bash" in done.stdout


# As a process


@pytest.mark.parametrize(
    "command",
    [
        "draw",
        "draw -o x.svg",
        "show",
        "show --source",
        "check",
        "paths started completed",
        "diff training lifecycle.json",
        "draw lifecycle.json",
        "show lifecycle.json",
        "check lifecycle.json",
        "show train:trainer",
    ],
)
def test_commands_do_not_import_torch(here, command):
    code = """
import atexit, sys
from fsm_engine.cli import main
atexit.register(lambda: print(sorted({"torch", "numpy", "pandas", "sklearn"} & set(sys.modules)), file=sys.stderr))
main()
"""
    status, _, err = ran(*command.split(), code=code)
    assert (status, err.splitlines()[-1]) == (0, "[]")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_library_is_reported_with_the_pip_command(missing):
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom fsm_engine.cli import main\nmain()"
    result, output, error = ran("show", code=code)
    assert (result, output) == (2, "")
    assert error.startswith(f"fsm-engine needs {missing} (")
    assert error.endswith('Install it with: pip install "fsm-engine[cli]"\n')


def test_answers_go_to_standard_output_and_notes_to_standard_error(here):
    assert ran("draw", "train:trainer", "-o", "x.svg") == (0, "", "imported\nWrote x.svg\n")
    assert ran("check", "train:build") == (0, "train:build: no problems found\n", "imported\n")
    status, out, err = ran("check", "nowhere")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: there is no module nowhere")


@pytest.mark.parametrize("command", ["show --source", "draw --format svg", "paths started completed", "show"])
def test_a_closed_pipe_ends_the_command_without_a_message(here, command):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with process(*command.split(), stdout=writing) as running:
            _, err = running.communicate(timeout=400)
    finally:
        os.close(writing)
    assert (running.returncode, err) == (141, "")


def test_characters_outside_the_encoding_are_escaped(here):
    write(
        here,
        named="""
            from fsm_engine import Events, Lifecycle
            russian = Lifecycle()
            russian.add_phase("ПУСК")
            russian.add_path(Events.STARTED >> "ПУСК" >> Events.COMPLETED)
        """,
    )
    status, out, err = ran("show", "named.py", env={"PYTHONIOENCODING": "ascii"})
    assert (status, err) == (0, "")
    assert r"\u041f\u0423\u0421\u041a" in out


# On a terminal


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Open a terminal of 80 columns, and yield the ends for the test and for the process."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    yield ours, theirs
    os.close(ours)


def lines_of(ours: int) -> Iterator[str]:
    """Yield the lines written to a terminal until the process closes it."""
    with os.fdopen(os.dup(ours), newline="") as stream:
        try:
            yield from stream
        except OSError:  # Linux raises at the end
            return


def shown_on(terminal: tuple[int, int], *arguments: str, **environment: str) -> str:
    ours, theirs = terminal
    plain = {"COLUMNS": "", "TERM": "xterm-256color", "NO_COLOR": "", "FORCE_COLOR": "", **environment}
    with process(*arguments, stdout=theirs, env={name: value for name, value in plain.items() if value}) as running:
        os.close(theirs)
        text = "".join(lines_of(ours))
    assert running.returncode == 0
    return text


def test_a_terminal_gets_colours_and_a_table_that_fits(here, terminal):
    text = shown_on(terminal, "show", "train:trainer")
    assert "\x1b[1;36mFORWARD\x1b[0m" in text
    assert "\x1b[1;36mthe\x1b[0m" not in text  # a history is no phase
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(len, plain)) <= 80
    words = re.findall(r"[A-Z_]{4,}", " ".join(plain))
    assert {phase.name for phase in Lifecycle.training().phases} <= set(words)


def test_no_color_is_respected(here, terminal):
    text = shown_on(terminal, "show", "--source", NO_COLOR="1")
    assert "def" in text
    assert not re.search(r"\x1b\[[0-9;]*[349][0-7]m", text)


# The documents

DOCUMENTS = [(ROOT / name).read_text() for name in ("README.md", "docs/topics/command-line.md")]
IN_DOCUMENTS = set(re.findall(r"^fsm-engine (.+?)(?:  #.*)?$", "\n".join(DOCUMENTS), re.MULTILINE))
LONG = ("demo", "watch ", "timeline replay ")  # train for seconds, or run until they are stopped


@pytest.mark.parametrize("line", sorted(line for line in IN_DOCUMENTS if not line.startswith(LONG)))
def test_the_commands_of_the_documents_work(here: Path, line: str) -> None:
    before = set(here.iterdir())
    assert call(*line.split()).exit_code == int(line.startswith("diff "))
    written = {file.name for file in set(here.iterdir()) - before} - {"__pycache__"}
    assert written == set(re.findall(r"-o (\S+)", line))


# The demo


def test_the_demo_trains_and_draws(here):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    status, out, err = ran("demo", "--epochs", "2", "--out", "pictures")
    assert status == 0, err
    assert re.fullmatch(r"2 epochs, 46 iterations, \d+\.\d s\nHeld-out accuracy: 0\.\d{3}\n", out)
    assert float(out.split()[-1]) > 0.5
    assert "StepEvents.BACKWARD_COMPLETED" in (here / "pictures" / "lifecycle.svg").read_text()
    for name in ("lifecycle.mmd", "lifecycle.html"):
        assert "BACKWARD_COMPLETED" in (here / "pictures" / name).read_text()


@pytest.mark.parametrize(("module", "package"), [("torch", "torch"), ("sklearn.datasets", "scikit-learn")])
def test_the_demo_reports_a_missing_library(here, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    done = call("demo")
    first, *_, line = done.stderr.splitlines()
    assert (done.exit_code, done.stdout) == (2, "")
    assert "handwritten digits" in first
    assert line.removeprefix("error: ").startswith(f"the demo needs {package} ")
    assert line.endswith('pip install "fsm-engine[examples]"')


def test_ctrl_c_ends_the_demo_quietly(here, terminal):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    ours, theirs = terminal
    with process("demo", "--epochs", "1000000", stderr=theirs, env={"TERM": "xterm"}) as running:
        os.close(theirs)
        seen = b""
        while b"loss" not in seen:
            seen += os.read(ours, 4096)
        running.send_signal(signal.SIGINT)
        rest = "".join(lines_of(ours))
    assert running.returncode == 130
    assert "Traceback" not in rest
    assert list(here.glob("fsm_engine_demo")) == []
