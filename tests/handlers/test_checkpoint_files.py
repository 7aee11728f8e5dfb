"""Checkpoint files: whole or not there, checked before they are loaded, and what happens when one is bad."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import resource
import stat
import sys
import tempfile
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from children import Children
from hypothesis import given
from hypothesis import strategies as st
from ignite.handlers import Checkpoint as IgniteCheckpoint
from torch import nn

import fsm_engine
from fsm_engine import Engine
from fsm_engine.handlers.checkpoint import Checkpoint, DiskSaver, ModelCheckpoint
from fsm_engine.handlers.checkpoint import checksummed_file as sealed
from fsm_engine.handlers.checkpoint.files import writing_durably


def echo(engine: Any, batch: Any) -> Any:
    return batch


class Number:
    """Something with a state dict."""

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]


def engine_at(iteration: int = 0, **metrics: Any) -> Engine:
    engine = Engine(echo)
    engine.state.iteration = iteration
    engine.state.metrics = metrics
    return engine


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def with_saved(folder: Path, *iterations: int, **arguments: Any) -> tuple[Checkpoint, Number]:
    """Return a checkpoint that has saved at these iterations, with the iteration as the value of its number."""
    number = Number()
    checkpoint = Checkpoint({"number": number, "more": Number()}, folder, **{"n_saved": None, **arguments})
    for number.value in iterations:
        checkpoint(engine_at(number.value))
    return checkpoint, number


def save_and_wait(checkpoint: Checkpoint, iteration: int) -> None:
    checkpoint(engine_at(iteration))
    checkpoint.wait()


def fresh(folder: Path, **arguments: Any) -> tuple[Checkpoint, Number]:
    """Return the same of a job that has just begun."""
    number = Number("fresh")
    return Checkpoint({"number": number, "more": Number()}, folder, **arguments), number


# What a saver does


def test_a_saver_looks_at_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Directory path '.*there' is not found"):
        DiskSaver(tmp_path / "there", create_dir=False)
    DiskSaver(tmp_path / "there" / "deep")
    assert (tmp_path / "there" / "deep").is_dir()
    (tmp_path / "b.pt").touch()
    with pytest.raises(ValueError, match=r"Files \['b.pt'\] with extension '.pt' are already present in the directory"):
        DiskSaver(tmp_path)
    assert DiskSaver(tmp_path, require_empty=False).dirname == tmp_path


def test_a_saver_writes_what_torch_reads_and_removes_it(tmp_path: Path) -> None:
    saver = DiskSaver(tmp_path)
    saver({"a": torch.arange(3)}, "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["a"].tolist() == [0, 1, 2]
    assert stat.S_IMODE((tmp_path / "a.pt").stat().st_mode) & 0o444 == 0o444
    saver.remove("a.pt")
    saver.remove("a.pt")
    assert names_in(tmp_path) == []


def test_only_one_process_writes(tmp_path: Path) -> None:
    saver = DiskSaver(tmp_path / "new", create_dir=False, save_on_rank=1)  # this process is of rank 0
    saver({"a": 1}, "a.pt")
    saver.remove("b.pt")
    checkpoint = Checkpoint({"n": Number()}, tmp_path / "new", save_on_rank=1)
    checkpoint(engine_at(3))
    assert (names_in(tmp_path), checkpoint.last_checkpoint) == ([], tmp_path / "new" / "n_3.pt")


@pytest.mark.parametrize(("atomic", "left"), [(True, []), (False, ["a.pt"])])
def test_a_failure_leaves_nothing_unless_that_is_allowed(tmp_path: Path, atomic: bool, left: list[str]) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError)):
        DiskSaver(tmp_path, atomic=atomic)({"a": torch.ones(3), "b": lambda: None}, "a.pt")
    assert names_in(tmp_path) == left


def test_arguments_go_to_torch(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'unheard_of'"):
        DiskSaver(tmp_path, unheard_of=True)({"a": 1}, "a.pt")
    ModelCheckpoint(tmp_path, "old", _use_new_zipfile_serialization=False)(engine_at(1), {"n": Number(5)})
    path = tmp_path / "old_n_1.pt"
    number = Number()
    ModelCheckpoint(tmp_path, "old", require_empty=False).resume({"n": number})
    assert (number.value, zipfile.is_zipfile(path)) == (5, False)


def test_a_file_tells_what_it_is(tmp_path: Path) -> None:
    with_saved(tmp_path, 3)
    path = tmp_path / "checkpoint_3.pt"
    told = Checkpoint.manifest(path)
    content = path.read_bytes()
    of_torch = content[: told["size"] - 2] + b"\0\0"
    assert told.pop("sha256") == hashlib.sha256(of_torch).hexdigest()
    assert told.pop("written_ns") <= path.stat().st_mtime_ns + 10**9
    assert told == {
        "format": 1,
        "basename": "checkpoint",
        "score_name": None,
        "priority": 3,
        "global_step": "3",
        "keys": ["number", "more"],
        "iteration": 3,
        "epoch": 0,
        "versions": {
            "fsm_engine": fsm_engine.__version__,
            "torch": str(torch.__version__),
            "python": sys.version.split()[0],
            "numpy": np.__version__,
        },
        "size": len(of_torch),
    }


def test_others_read_the_files_too(tmp_path: Path) -> None:
    with_saved(tmp_path, 3)
    path, number = tmp_path / "checkpoint_3.pt", Number()
    IgniteCheckpoint.load_objects({"number": number}, str(path))
    assert number.value == 3
    with path.open("rb") as file:
        assert torch.load(file, weights_only=True, mmap=False) == {"number": {"value": 3}, "more": {"value": 0}}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b'{"format": 1, "basename": "checkpoint"')


def test_files_of_others_are_loaded_by_name_only(tmp_path: Path) -> None:
    torch.save({"number": {"value": 9}, "more": {"value": 8}}, tmp_path / "checkpoint_9.pt")
    checkpoint, number = fresh(tmp_path)
    Checkpoint.load_objects({"number": number}, tmp_path / "checkpoint_9.pt")
    assert number.value == 9
    with pytest.raises(RuntimeError, match="no manifest at its end: it was cut off, or not written by fsm_engine"):
        checkpoint.resume()


# What is not plain data


class Strange(dict):  # type: ignore[type-arg]
    pass


def with_attribute() -> torch.Tensor:
    tensor = torch.ones(1)
    tensor.note = {"by": Path()}  # type: ignore[attr-defined]
    return tensor


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (np.float64(0.5), r"\['value'\] is a numpy.float64"),
        ({"a": [1, (2, np.ones(2))]}, r"\['value'\]\['a'\]\[1\]\[1\] is a numpy.ndarray"),
        (nn.Linear(1, 1), r"\['value'\] is a torch.nn.modules.linear.Linear"),
        ({Path("a"): 1}, r"\['value'\] \(the key .*Path\('a'\)\) is a pathlib.*Path"),
        (Strange(), r"\['value'\] is a .*test_checkpoint_files.Strange"),
        (defaultdict(list), r"\['value'\] is a collections.defaultdict"),
        (echo, r"\['value'\] is a builtins.function"),
        (with_attribute(), r"\['value'\].note\['by'\] is a pathlib.*Path"),
        ([LOOP, print], r"\['value'\]\[1\] is a builtins.builtin_function_or_method"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_place(tmp_path: Path, value: Any, place: str) -> None:
    checkpoint, number = fresh(tmp_path)
    number.value = value
    with pytest.raises(TypeError, match=r"^checkpoint\['number'\]" + place):
        checkpoint(engine_at(1))
    assert names_in(tmp_path) == []


def test_what_is_plain_comes_back(tmp_path: Path) -> None:
    parameters = [nn.Parameter(torch.ones(2))]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(torch.optim.SGD(parameters, lr=0.5), [3, 5])
    plain = [None, True, 1, 10**30, 0.5, float("inf"), "a", (1, [2]), OrderedDict(a=1), Counter("aab"), torch.Size([1])]
    number = Number([*plain, torch.float16, torch.device("cpu"), scheduler.state_dict(), torch.get_rng_state()])
    Checkpoint({"n": number}, tmp_path)(engine_at(1))
    other = Number()
    Checkpoint({"n": other}, tmp_path).resume()
    assert str(other.value) == str(number.value)


def test_other_savers_take_what_they_like() -> None:
    taken: list[Any] = []
    Checkpoint({"n": Number(echo)}, lambda checkpoint, _: taken.append(checkpoint))(engine_at(1))
    assert taken == [{"value": echo}]


# Going on


@pytest.mark.parametrize("background", [False, True])
def test_a_job_begins_and_goes_on_by_the_same_lines(tmp_path: Path, background: bool) -> None:
    def job(max_epochs: int) -> tuple[Path | bool, list[str], list[int]]:
        began: list[int] = []
        trainer = Engine(echo)
        checkpoint = Checkpoint({"trainer": trainer, "n": Number()}, tmp_path, n_saved=2, background=background)
        trainer.add_event_handler(fsm_engine.Events.EPOCH_COMPLETED, checkpoint)
        trainer.on(fsm_engine.Events.EPOCH_STARTED)(lambda engine: began.append(engine.state.epoch))
        found = checkpoint.resume()
        trainer.run([1, 2, 3], max_epochs=max_epochs)
        checkpoint.wait()
        return found, names_in(tmp_path), began

    assert job(2) == (False, ["checkpoint_3.pt", "checkpoint_6.pt"], [1, 2])
    assert job(4) == (tmp_path / "checkpoint_6.pt", ["checkpoint_12.pt", "checkpoint_9.pt"], [3, 4])


@pytest.mark.parametrize("killed_at", range(1, 8))
def test_what_follows_a_kill_is_what_would_have_followed(tmp_path: Path, killed_at: int) -> None:
    def job(folder: Path, ends_at: int) -> list[tuple[int, int, float]]:
        """Return iteration, batch and a random number of each iteration, up to one that does not end."""
        told = []

        def step(engine: Engine, batch: Any) -> None:
            if engine.state.iteration == ends_at:
                raise SystemExit
            told.append((engine.state.iteration, int(batch), float(torch.rand(()))))

        torch.manual_seed(0)
        trainer, loader = Engine(step), torch.utils.data.DataLoader(torch.arange(4), batch_size=None, shuffle=True)
        checkpoint = Checkpoint({"trainer": trainer}, folder)
        trainer.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED(every=2), checkpoint)
        checkpoint.resume()
        with suppress(SystemExit):
            trainer.run(loader, max_epochs=2)
        return told

    whole = job(tmp_path / "whole", 0)
    before = job(tmp_path / "killed", killed_at)
    after = job(tmp_path / "killed", 0)
    assert (len(whole), before + after[len(before) % 2 :]) == (8, whole)


def test_what_is_there_is_kept_and_goes_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    for count in range(1, 4):  # a job that is killed each time
        number = Number()
        checkpoint = Checkpoint({"n": number}, tmp_path, "best", score_name="acc", n_saved=2, include_self=True)
        assert bool(checkpoint.resume()) is (count > 1)
        number.value = count
        checkpoint(engine_at(count, acc=[0.0, 0.5, 0.25, 0.75][count]))
    assert names_in(tmp_path) == ["best_n_acc=0.5000.pt", "best_n_acc=0.7500.pt"]
    assert checkpoint.state_dict() == {"_saved": [(0.5, "best_n_acc=0.5000.pt"), (0.75, "best_n_acc=0.7500.pt")]}


def test_a_kill_between_writing_and_removing_leaves_one_that_the_next_save_removes(tmp_path: Path) -> None:
    with_saved(tmp_path, 1, 2, 3)
    checkpoint, _ = fresh(tmp_path, n_saved=2)
    checkpoint.resume()
    checkpoint(engine_at(4))
    assert names_in(tmp_path) == ["checkpoint_3.pt", "checkpoint_4.pt"]


def test_the_newest_is_the_one_written_last(tmp_path: Path) -> None:
    with_saved(tmp_path, 9, 10, 2)
    checkpoint, number = fresh(tmp_path)
    assert (checkpoint.resume(), number.value) == (tmp_path / "checkpoint_2.pt", 2)


def test_handlers_that_share_a_folder_know_their_own(tmp_path: Path) -> None:
    last = Checkpoint({"n": Number("last")}, tmp_path)
    best = Checkpoint({"n": Number("best")}, tmp_path, "best", score_name="acc")
    scored = Checkpoint({"n": Number("scored")}, tmp_path, score_name="acc", global_step_transform=lambda *_: 5)
    for checkpoint in (last, best, scored):
        checkpoint(engine_at(1, acc=0.5))
    assert names_in(tmp_path) == ["best_n_acc=0.5000.pt", "n_1.pt", "n_5_acc=0.5000.pt"]
    for checkpoint in (last, best, scored):
        (number,) = checkpoint.to_save.values()
        wanted, number.value = number.value, None
        checkpoint.resume()
        assert (number.value, len(checkpoint.state_dict()["_saved"])) == (wanted, 1)


def test_a_file_can_be_named_by_its_parts(tmp_path: Path) -> None:
    checkpoint, number = with_saved(tmp_path, 1, 2)
    checkpoint.reload_objects({"number": number}, global_step=1)
    assert number.value == 1
    scored = Checkpoint({"n": Number(5)}, tmp_path, score_name="acc")
    scored(engine_at(1, acc=0.25))
    scored.reload_objects({"n": number}, score=0.25)
    assert number.value == 5
    scored.reload_objects({"n": number}, score="0.2500", name="n")
    linear = nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="Missing key"):
        scored.reload_objects({"n": linear}, score=0.25)
    scored.reload_objects({"n": linear}, {"strict": False}, score=0.25)
    elsewhere = Checkpoint({"n": Number()}, lambda *_: None)
    for ask in (lambda: elsewhere.reload_objects({"n": number}, global_step=1), elsewhere.resume):
        with pytest.raises(AttributeError, match="Checkpoint's `save_handler` should be of type `DiskSaver`"):
            ask()


def test_other_versions_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as other:
        other.setattr(torch, "__version__", "2.2.0")
        with_saved(tmp_path, 1)
    checkpoint, number = fresh(tmp_path)
    checkpoint.resume()
    here = str(torch.__version__)
    assert caplog.messages == [f"{tmp_path / 'checkpoint_1.pt'} was written with torch 2.2.0, not {here}."]
    assert number.value == 1


# Bad files


def passed_over(folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Resume where only the file before the newest is good, and return what was wrong with the newest."""
    caplog.clear()
    checkpoint, number = fresh(folder)
    assert (checkpoint.resume(), number.value) == (folder / "checkpoint_1.pt", 1)
    assert checkpoint.state_dict() == {"_saved": [(1, "checkpoint_1.pt")]}
    assert names_in(folder) == ["checkpoint_1.pt", "checkpoint_2.pt"]
    ((logger, level, message),) = caplog.record_tuples
    assert (logger, level) == ("fsm_engine.handlers.checkpoint.Checkpoint", logging.WARNING)
    return message.removeprefix(f"{folder / 'checkpoint_2.pt'} is passed over: ")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_was_cut_off_is_passed_over(tmp_path: Path, caplog: Any, legacy: bool) -> None:
    saver = DiskSaver(tmp_path, _use_new_zipfile_serialization=not legacy)
    checkpoint, number = fresh(tmp_path, n_saved=2)
    checkpoint.save_handler = saver
    for number.value in (1, 2):
        checkpoint(engine_at(number.value))
    path = tmp_path / "checkpoint_2.pt"
    content = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(content[: len(content) * tenth // 10])
        assert passed_over(tmp_path, caplog).startswith("it has no manifest at its end: it was cut off")


@pytest.fixture(scope="module")
def two_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    with_saved(folder, 1, 2)
    return folder


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_noticed(two_saved: Path, place: float, bit: int) -> None:
    path = two_saved / "checkpoint_2.pt"
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        checkpoint, number = fresh(two_saved)
        assert (checkpoint.resume(), number.value) == (two_saved / "checkpoint_1.pt", 1)
        if sealed.is_sealed(path):
            with pytest.raises(RuntimeError, match=r"changed or damaged|has the format"):
                Checkpoint.load_objects({"number": number}, path)
    finally:
        path.write_bytes(content)


def test_every_bit_of_the_end_counts(two_saved: Path) -> None:
    path = two_saved / "checkpoint_2.pt"
    content = path.read_bytes()
    size = sealed.check_sealed(path)["size"]
    try:
        for place in [
            *range(size - 4, size),
            *range(size, len(content) - 100, 7),
            *range(len(content) - 100, len(content)),
        ]:
            damaged = bytearray(content)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(sealed.BadFileError):
                sealed.check_sealed(path)
    finally:
        path.write_bytes(content)


def test_another_format_is_passed_over(tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with_saved(tmp_path, 1)
    with monkeypatch.context() as later:
        later.setattr(sealed, "FORMAT", 2)
        with_saved(tmp_path, 2)
    wrote = f"it has the format 2, written by fsm_engine {fsm_engine.__version__}, and this version reads format 1."
    assert passed_over(tmp_path, caplog) == wrote


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, touches: Path) -> None:
        self.touches = touches

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.touches),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_not_run(tmp_path: Path, caplog: Any, legacy: bool) -> None:
    folder = tmp_path / "checkpoints"
    with_saved(folder, 1)
    bomb = {"number": Bomb(tmp_path / "exploded"), "more": {}}
    saver = DiskSaver(folder, require_empty=False, _use_new_zipfile_serialization=not legacy)
    saver(bomb, "checkpoint_2.pt", {"basename": "checkpoint", "score_name": None, "priority": 2})
    reason = r"it holds something else than tensors and plain data, \w+.mkdir, and loading that may run code."
    assert re.fullmatch(reason, passed_over(folder, caplog))
    torch.save(bomb, folder / "checkpoint_2.pt")
    assert "no manifest" in passed_over(folder, caplog)
    with pytest.raises(pickle.UnpicklingError):
        Checkpoint.load_objects({"number": Number()}, folder / "checkpoint_2.pt")
    assert names_in(tmp_path) == ["checkpoints"]
    torch.load(folder / "checkpoint_2.pt", weights_only=False)  # it would have
    assert names_in(tmp_path) == ["checkpoints", "exploded"]


def test_what_does_not_fit_the_objects_is_passed_over(tmp_path: Path, caplog: Any) -> None:
    with_saved(tmp_path, 1)
    Checkpoint({"number": Number(), "less": Number()}, tmp_path)(engine_at(2))
    reason = "Key 'more' from to_load is not found in the checkpoint: ['number', 'less']."
    assert passed_over(tmp_path, caplog) == reason


def test_if_none_is_good_each_is_told_of(tmp_path: Path) -> None:
    with_saved(tmp_path, 1, 2, 3)
    (tmp_path / "checkpoint_1.pt").write_bytes(b"")
    (tmp_path / "checkpoint_3.pt").unlink()
    (tmp_path / "checkpoint_3.pt").mkdir()
    damaged = bytearray((tmp_path / "checkpoint_2.pt").read_bytes())
    damaged[100] ^= 1
    (tmp_path / "checkpoint_2.pt").write_bytes(damaged)
    checkpoint, number = fresh(tmp_path)
    with pytest.raises(RuntimeError) as raised:
        checkpoint.resume()
    first, *rest, last = str(raised.value).splitlines()
    assert (first, last) == ("none of the checkpoints is good:", "To begin anew, move them away.")
    assert {line.strip() for line in rest} == {
        f"{tmp_path / 'checkpoint_1.pt'}: it has no manifest at its end: it was cut off, or not written by fsm_engine",
        f"{tmp_path / 'checkpoint_2.pt'}: its contents do not match its SHA-256, so it was changed or damaged",
        f"{tmp_path / 'checkpoint_3.pt'}: [Errno 21] Is a directory: '{tmp_path / 'checkpoint_3.pt'}'",
    }
    assert number.value == "fresh"


# A disk that does not do what it should


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write in `folder` from this process, also if it may do everything."""
    folder.chmod(0o555)
    user = os.geteuid()
    if not user:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine may look into."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("size", [0, 100, 1500, 150_000])
@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk_is_an_error_with_the_name_and_leaves_the_file_before(
    tmp_path: Path, size: int, background: bool
) -> None:
    number = Number(1)
    checkpoint = Checkpoint({"n": number}, tmp_path, background=background)
    save_and_wait(checkpoint, 1)
    number.value = torch.zeros(50_000)
    message = r"File too large; the checkpoint was not saved: '.*n_2.pt'"
    with files_of_at_most(size), pytest.raises((OSError, RuntimeError), match=message):
        save_and_wait(checkpoint, 2)
    assert (names_in(tmp_path), checkpoint.last_checkpoint) == (["n_1.pt"], tmp_path / "n_1.pt")
    assert Checkpoint({"n": number}, tmp_path).resume() == tmp_path / "n_1.pt"
    save_and_wait(checkpoint, 3)
    assert names_in(tmp_path) == ["n_3.pt"]


def test_a_folder_that_cannot_be_written_to_is_an_error_with_the_name(open_folder: Path) -> None:
    checkpoint, number = with_saved(open_folder, 1)
    with read_only(open_folder), pytest.raises(PermissionError, match=r"not saved: '.*checkpoint_2.pt'"):
        checkpoint(engine_at(2))
    assert (names_in(open_folder), number.value) == (["checkpoint_1.pt"], 1)
    with read_only(open_folder):
        assert fresh(open_folder)[0].resume() == open_folder / "checkpoint_1.pt"


def test_the_folder_may_be_gone(tmp_path: Path) -> None:
    checkpoint, _ = with_saved(tmp_path / "there")
    (tmp_path / "there").rmdir()
    assert checkpoint.resume() is False
    with pytest.raises(FileNotFoundError, match=r"not saved: '.*checkpoint_0.pt'"):
        checkpoint(engine_at())


# What killed processes leave


@pytest.mark.parametrize("clean", [DiskSaver, lambda folder: fresh(folder)[0].resume()])
def test_what_a_killed_process_has_left_is_removed_and_nothing_else(
    tmp_path: Path, clean: Callable[[Path], Any]
) -> None:
    (tmp_path / ".fsm_engine-0123456789abcdef.tmp").write_bytes(b"half")
    (tmp_path / ".fsm_engine-notes.tmp").touch()
    (tmp_path / "mine.tmp").touch()
    with writing_durably(tmp_path / "new.txt") as file:
        clean(tmp_path)
        file.write(b"whole")
    assert names_in(tmp_path) == [".fsm_engine-notes.tmp", "mine.tmp", "new.txt"]
    assert (tmp_path / "new.txt").read_bytes() == b"whole"


@pytest.mark.slow
@pytest.mark.parametrize("background", [False, True])
def test_after_a_kill_at_any_time_there_is_a_good_file(children: Children, tmp_path: Path, background: bool) -> None:
    code = f"""
        import os, random, signal, sys, time
        import torch
        from fsm_engine import Engine
        from fsm_engine.handlers.checkpoint import Checkpoint

        class Counted:
            value = 0
            def state_dict(self):
                return {{"value": self.value, "ballast": torch.zeros(20_000)}}
            def load_state_dict(self, state):
                self.value = state["value"]

        def job(folder):
            counted, engine = Counted(), Engine(lambda engine, batch: None)
            checkpoint = Checkpoint({{"counted": counted}}, folder, n_saved=2, background={background})
            checkpoint.resume()
            while True:
                counted.value += 1
                engine.state.iteration = counted.value
                checkpoint(engine)

        def newest():
            return max((int(name[8:-3]) for name in os.listdir(sys.argv[1]) if name.endswith(".pt")), default=0)

        before = 0
        for seed in range(12):
            child = os.fork()
            if not child:
                job(sys.argv[1])
            while newest() == before:
                time.sleep(0.001)
            time.sleep(random.Random(seed).uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            written, counted = newest(), Counted()
            Checkpoint({{"counted": counted}}, sys.argv[1]).resume()
            assert counted.value == written > before, (counted.value, written, before)
            before = written
            assert all(name.endswith(".pt") for name in os.listdir(sys.argv[1])), os.listdir(sys.argv[1])
        print("good")
    """
    folder = tmp_path / "saved"
    folder.mkdir()
    child = children.start(tmp_path, code, str(folder))
    assert (child.wait(), child.out.read_text()) == (0, "good\n"), child.err.read_text()
    checkpoint = Checkpoint({"counted": Number()}, folder, n_saved=2)
    newest = checkpoint.resume()
    checkpoint(engine_at(10_000))
    assert names_in(folder) == sorted([Path(newest).name, "counted_10000.pt"])


def test_a_process_does_not_end_before_its_files_are_written(children: Children, tmp_path: Path) -> None:
    code = """
        import sys
        import torch
        from fsm_engine import Engine
        from fsm_engine.handlers.checkpoint import Checkpoint

        module = torch.nn.Linear(1500, 1500)
        Checkpoint({"module": module}, sys.argv[1], background=True)(Engine(lambda engine, batch: None))
        print("end")
    """
    child = children.start(tmp_path, code, str(tmp_path))
    assert (child.wait(), child.out.read_text()) == (0, "end\n"), child.err.read_text()
    assert Checkpoint({"module": nn.Linear(1500, 1500)}, tmp_path).resume() == tmp_path / "module_0.pt"
