"""Files of checkpoints: atomic writes, checksums, resuming, and files that are damaged or hold code."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import pickle
import platform
import re
import resource
import signal
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
from fsm_engine import BusyError, Engine
from fsm_engine._util.atomic_files import open_durably
from fsm_engine.handlers.checkpoint import BaseSaveHandler, Checkpoint, DiskSaver, ModelCheckpoint, checksummed_file


def echo(engine: Any, batch: Any) -> Any:
    return batch


class Number:
    """An object whose state dict has one value."""

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
    """Return the names of the files in `folder`, except the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".fsm_engine.lock")


def with_saved(folder: Path, *iterations: int, **arguments: Any) -> tuple[Checkpoint, Number]:
    """Return a handler that has saved at these iterations, and its number, whose saved value is the iteration."""
    number = Number()
    checkpoint = Checkpoint({"number": number, "more": Number()}, folder, **{"n_saved": None, **arguments})
    for number.value in iterations:
        checkpoint(engine_at(number.value))
    return checkpoint, number


def save_and_wait(checkpoint: Checkpoint, iteration: int) -> None:
    checkpoint(engine_at(iteration))
    checkpoint.wait()


def fresh(folder: Path, **arguments: Any) -> tuple[Checkpoint, Number]:
    """Return a handler with the same arguments and a number that was not saved yet, as after a restart."""
    number = Number("fresh")
    return Checkpoint({"number": number, "more": Number()}, folder, **arguments), number


# DiskSaver


def test_a_disk_saver_checks_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Directory path '.*there' is not found"):
        DiskSaver(tmp_path / "there", create_dir=False)
    DiskSaver(tmp_path / "there" / "deep")
    assert (tmp_path / "there" / "deep").is_dir()
    (tmp_path / "b.pt").touch()
    with pytest.raises(ValueError, match=r"Files \['b.pt'\] with extension '.pt' are already present in the directory"):
        DiskSaver(tmp_path)
    assert DiskSaver(tmp_path, require_empty=False).dirname == tmp_path


def test_a_disk_saver_writes_files_that_torch_loads_and_removes_them(tmp_path: Path) -> None:
    saver = DiskSaver(tmp_path)
    saver({"a": torch.arange(3)}, "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["a"].tolist() == [0, 1, 2]
    assert stat.S_IMODE((tmp_path / "a.pt").stat().st_mode) & 0o444 == 0o444
    saver.remove("a.pt")
    saver.remove("a.pt")
    assert names_in(tmp_path) == []


def test_only_the_process_of_save_on_rank_writes(tmp_path: Path) -> None:
    saver = DiskSaver(tmp_path / "new", create_dir=False, save_on_rank=1)  # the rank of this process is 0
    saver({"a": 1}, "a.pt")
    saver.remove("b.pt")
    checkpoint = Checkpoint({"n": Number()}, tmp_path / "new", save_on_rank=1)
    checkpoint(engine_at(3))
    assert (names_in(tmp_path), checkpoint.last_checkpoint) == ([], tmp_path / "new" / "n_3.pt")


@pytest.mark.parametrize(("atomic", "left"), [(True, []), (False, ["a.pt"])])
def test_a_failed_save_leaves_no_file_if_atomic(tmp_path: Path, atomic: bool, left: list[str]) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError)):
        DiskSaver(tmp_path, atomic=atomic)({"a": torch.ones(3), "b": lambda: None}, "a.pt")
    assert names_in(tmp_path) == left


def test_further_arguments_are_passed_to_torch_save(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'unheard_of'"):
        DiskSaver(tmp_path, unheard_of=True)({"a": 1}, "a.pt")
    ModelCheckpoint(tmp_path, "old", _use_new_zipfile_serialization=False)(engine_at(1), {"n": Number(5)})
    path = tmp_path / "old_n_1.pt"
    number = Number()
    ModelCheckpoint(tmp_path, "old", require_empty=False).resume({"n": number})
    assert (number.value, zipfile.is_zipfile(path)) == (5, False)


def test_a_manifest_describes_its_file(tmp_path: Path) -> None:
    with_saved(tmp_path, 3)
    path = tmp_path / "checkpoint_3.pt"
    manifest = Checkpoint.manifest(path)
    content = path.read_bytes()
    torch_output = content[: manifest["size"] - 2] + b"\0\0"
    assert manifest.pop("sha256") == hashlib.sha256(torch_output).hexdigest()
    assert manifest.pop("written_ns") <= path.stat().st_mtime_ns + 10**9
    assert manifest == {
        "format": 1,
        "basename": "checkpoint",
        "score_name": None,
        "priority": 3,
        "save_number": 1,
        "global_step": "3",
        "keys": ["number", "more"],
        "classes": {"['number']": "Number", "['more']": "Number"},
        "iteration": 3,
        "epoch": 0,
        "versions": {
            "fsm_engine": fsm_engine.__version__,
            "torch": str(torch.__version__),
            "python": sys.version.split()[0],
            "numpy": np.__version__,
        },
        "size": len(torch_output),
    }


def test_ignite_torch_and_zipfile_read_the_files(tmp_path: Path) -> None:
    with_saved(tmp_path, 3)
    path, number = tmp_path / "checkpoint_3.pt", Number()
    IgniteCheckpoint.load_objects({"number": number}, str(path))
    assert number.value == 3
    with path.open("rb") as file:
        assert torch.load(file, weights_only=True, mmap=False) == {"number": {"value": 3}, "more": {"value": 0}}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b'{"format": 1, "basename": "checkpoint"')


def test_a_file_without_a_manifest_is_loaded_by_path_but_not_resumed_from(tmp_path: Path) -> None:
    torch.save({"number": {"value": 9}, "more": {"value": 8}}, tmp_path / "checkpoint_9.pt")
    checkpoint, number = fresh(tmp_path)
    Checkpoint.load_objects({"number": number}, tmp_path / "checkpoint_9.pt")
    assert number.value == 9
    with pytest.raises(RuntimeError, match=r"no manifest.*not written by fsm_engine"):
        checkpoint.resume()


# Plain data


class Strange(dict):  # type: ignore[type-arg]
    pass


def with_attribute() -> torch.Tensor:
    tensor = torch.ones(1)
    tensor.note = {"by": Path()}  # type: ignore[attr-defined]
    return tensor


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "path"),
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
def test_a_value_that_is_not_plain_data_is_refused_with_its_path(tmp_path: Path, value: Any, path: str) -> None:
    checkpoint, number = fresh(tmp_path)
    number.value = value
    with pytest.raises(TypeError, match=r"^checkpoint\['number'\]" + path):
        checkpoint(engine_at(1))
    assert names_in(tmp_path) == []


def test_plain_data_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    parameters = [nn.Parameter(torch.ones(2))]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(torch.optim.SGD(parameters, lr=0.5), [3, 5])
    plain = [None, True, 1, 10**30, 0.5, float("inf"), "a", (1, [2]), OrderedDict(a=1), Counter("aab"), torch.Size([1])]
    number = Number([*plain, torch.float16, torch.device("cpu"), scheduler.state_dict(), torch.get_rng_state()])
    Checkpoint({"n": number}, tmp_path)(engine_at(1))
    other = Number()
    Checkpoint({"n": other}, tmp_path).resume()
    assert str(other.value) == str(number.value)


def test_other_save_handlers_get_values_that_are_not_plain_data() -> None:
    taken: list[Any] = []
    Checkpoint({"n": Number(echo)}, lambda checkpoint, _: taken.append(checkpoint))(engine_at(1))
    assert taken == [{"value": echo}]


# Resuming


@pytest.mark.parametrize("background", [False, True])
def test_the_same_script_starts_and_continues_a_job(tmp_path: Path, background: bool) -> None:
    def job(max_epochs: int) -> tuple[Path | bool, list[str], list[int]]:
        started: list[int] = []
        trainer = Engine(echo)
        checkpoint = Checkpoint({"trainer": trainer, "n": Number()}, tmp_path, n_saved=2, background=background)
        trainer.add_event_handler(fsm_engine.Events.EPOCH_COMPLETED, checkpoint)
        trainer.on(fsm_engine.Events.EPOCH_STARTED)(lambda engine: started.append(engine.state.epoch))
        found = checkpoint.resume()
        trainer.run([1, 2, 3], max_epochs=max_epochs)
        checkpoint.wait()
        return found, names_in(tmp_path), started

    assert job(2) == (False, ["checkpoint_3.pt", "checkpoint_6.pt"], [1, 2])
    assert job(4) == (tmp_path / "checkpoint_6.pt", ["checkpoint_12.pt", "checkpoint_9.pt"], [3, 4])


@pytest.mark.parametrize("killed_at", range(1, 8))
def test_a_killed_job_continues_exactly_where_it_was_saved(tmp_path: Path, killed_at: int) -> None:
    def job(folder: Path, ends_at: int) -> list[tuple[int, int, float]]:
        """Return the iteration, batch and a random number of each completed iteration; exit at iteration `ends_at`."""
        log = []

        def step(engine: Engine, batch: Any) -> None:
            if engine.state.iteration == ends_at:
                raise SystemExit
            log.append((engine.state.iteration, int(batch), float(torch.rand(()))))

        torch.manual_seed(0)
        trainer, loader = Engine(step), torch.utils.data.DataLoader(torch.arange(4), batch_size=None, shuffle=True)
        checkpoint = Checkpoint({"trainer": trainer}, folder)
        trainer.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED(every=2), checkpoint)
        checkpoint.resume()
        with suppress(SystemExit):
            trainer.run(loader, max_epochs=2)
        return log

    whole = job(tmp_path / "whole", 0)
    before = job(tmp_path / "killed", killed_at)
    after = job(tmp_path / "killed", 0)
    assert (len(whole), before + after[len(before) % 2 :]) == (8, whole)


def test_retention_continues_after_restarts(tmp_path: Path) -> None:
    for count in range(1, 4):  # each round is a new process
        number = Number()
        checkpoint = Checkpoint({"n": number}, tmp_path, "best", score_name="acc", n_saved=2, include_self=True)
        assert bool(checkpoint.resume()) is (count > 1)
        number.value = count
        checkpoint(engine_at(count, acc=[0.0, 0.5, 0.25, 0.75][count]))
    assert names_in(tmp_path) == ["best_n_acc=0.5000.pt", "best_n_acc=0.7500.pt"]
    assert checkpoint.state_dict() == {"_saved": [(0.5, "best_n_acc=0.5000.pt"), (0.75, "best_n_acc=0.7500.pt")]}


def test_the_next_save_removes_a_file_that_a_killed_process_did_not(tmp_path: Path) -> None:
    with_saved(tmp_path, 1, 2, 3)
    checkpoint, _ = fresh(tmp_path, n_saved=2)
    checkpoint.resume()
    checkpoint(engine_at(4))
    assert names_in(tmp_path) == ["checkpoint_3.pt", "checkpoint_4.pt"]


def test_the_file_written_last_is_the_newest(tmp_path: Path) -> None:
    with_saved(tmp_path, 9, 10, 2)
    checkpoint, number = fresh(tmp_path)
    assert (checkpoint.resume(), number.value) == (tmp_path / "checkpoint_2.pt", 2)


def set_clock(monkeypatch: pytest.MonkeyPatch, folder: Path, nanoseconds: int) -> None:
    """Set the clock that the manifests are written with, and the modification times of the files in `folder`."""
    monkeypatch.setattr(checksummed_file.time, "time_ns", lambda: nanoseconds)
    for path in folder.glob("*.pt"):
        os.utime(path, ns=(nanoseconds, nanoseconds))


def test_the_newest_file_is_found_after_the_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, time_ns in enumerate([10**18, 10**18 - 10**12, 10**18 + 10**12, 10**18 - 10**13], start=1):
        set_clock(monkeypatch, tmp_path, time_ns)
        checkpoint, restored = fresh(tmp_path, n_saved=2)  # each round is a new process
        assert (checkpoint.resume(), restored.value) in [
            (False, "fresh"),
            (tmp_path / f"checkpoint_{number - 1}.pt", number - 1),
        ]
        restored.value = number
        checkpoint(engine_at(number))
    assert names_in(tmp_path) == ["checkpoint_3.pt", "checkpoint_4.pt"]
    checkpoint, restored = fresh(tmp_path)
    assert (checkpoint.resume(), restored.value) == (tmp_path / "checkpoint_4.pt", 4)


def test_save_numbers_rise_over_handlers_and_restarts(tmp_path: Path) -> None:
    last, best = with_saved(tmp_path, 1, 2)[0], Checkpoint({"n": Number()}, tmp_path, "best", n_saved=None)
    best(engine_at(3))
    last(engine_at(4))
    del last, best
    fresh(tmp_path, n_saved=None)[0](engine_at(5))
    names = ["checkpoint_1", "checkpoint_2", "best_n_3", "checkpoint_4", "checkpoint_5"]
    assert [Checkpoint.manifest(tmp_path / f"{name}.pt")["save_number"] for name in names] == [1, 2, 3, 4, 5]


def test_handlers_that_share_a_folder_resume_from_their_own_files(tmp_path: Path) -> None:
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


def test_a_file_is_reloaded_by_the_components_of_its_name(tmp_path: Path) -> None:
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
    for load in (lambda: elsewhere.reload_objects({"n": number}, global_step=1), elsewhere.resume):
        with pytest.raises(AttributeError, match="Checkpoint's `save_handler` should be of type `DiskSaver`"):
            load()


def test_a_file_of_other_versions_is_loaded_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as other:
        other.setattr(torch, "__version__", "2.2.0")
        with_saved(tmp_path, 1)
    checkpoint, number = fresh(tmp_path)
    checkpoint.resume()
    (message,) = caplog.messages
    assert str(tmp_path / "checkpoint_1.pt") in message
    assert f"torch 2.2.0, not {torch.__version__}" in message
    assert number.value == 1


# Damaged files


def reason_for_skipping(folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Resume where only the older of two files is valid, and return the logged reason for skipping the newer one."""
    caplog.clear()
    checkpoint, number = fresh(folder)
    assert (checkpoint.resume(), number.value) == (folder / "checkpoint_1.pt", 1)
    assert checkpoint.state_dict() == {"_saved": [(1, "checkpoint_1.pt")]}
    assert names_in(folder) == ["checkpoint_1.pt", "checkpoint_2.pt"]
    ((logger, level, message),) = caplog.record_tuples
    assert (logger, level) == ("fsm_engine.handlers.checkpoint.Checkpoint", logging.WARNING)
    path, _, reason = message.partition(" is skipped: ")
    assert path == str(folder / "checkpoint_2.pt")
    return reason


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_was_cut_off_is_skipped(tmp_path: Path, caplog: Any, legacy: bool) -> None:
    saver = DiskSaver(tmp_path, _use_new_zipfile_serialization=not legacy)
    checkpoint, number = fresh(tmp_path, n_saved=2)
    checkpoint.save_handler = saver
    for number.value in (1, 2):
        checkpoint(engine_at(number.value))
    path = tmp_path / "checkpoint_2.pt"
    content = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(content[: len(content) * tenth // 10])
        assert reason_for_skipping(tmp_path, caplog).startswith("it has no manifest at its end")


@pytest.fixture(scope="module")
def two_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    with_saved(folder, 1, 2)
    return folder


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_detected(two_saved: Path, place: float, bit: int) -> None:
    path = two_saved / "checkpoint_2.pt"
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        checkpoint, number = fresh(two_saved)
        assert (checkpoint.resume(), number.value) == (two_saved / "checkpoint_1.pt", 1)
        if damaged.endswith(b" fsm_engine checkpoint\n"):
            with pytest.raises(RuntimeError, match=r"changed or damaged|has the format"):
                Checkpoint.load_objects({"number": number}, path)
    finally:
        path.write_bytes(content)


def test_a_flipped_bit_in_manifest_or_footer_is_detected(two_saved: Path) -> None:
    path = two_saved / "checkpoint_2.pt"
    content = path.read_bytes()
    size = Checkpoint.manifest(path)["size"]
    try:
        for place in [
            *range(size - 4, size),
            *range(size, len(content) - 100, 7),
            *range(len(content) - 100, len(content)),
        ]:
            damaged = bytearray(content)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(checksummed_file.BadFileError):
                Checkpoint.manifest(path)
    finally:
        path.write_bytes(content)


def test_a_file_of_another_format_is_skipped(tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with_saved(tmp_path, 1)
    with monkeypatch.context() as later:
        later.setattr(checksummed_file, "FORMAT", 2)
        with_saved(tmp_path, 2)
    reason = reason_for_skipping(tmp_path, caplog)
    for part in ("format 2", f"fsm_engine {fsm_engine.__version__}", "reads format 1"):
        assert part in reason


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_not_run(tmp_path: Path, caplog: Any, legacy: bool) -> None:
    folder = tmp_path / "checkpoints"
    with_saved(folder, 1)
    bomb = {"number": Bomb(tmp_path / "exploded"), "more": {}}
    saver = DiskSaver(folder, require_empty=False, _use_new_zipfile_serialization=not legacy)
    facts = {"basename": "checkpoint", "score_name": None, "priority": 2, "save_number": 2}
    saver(bomb, "checkpoint_2.pt", facts)
    assert re.search(r"plain data, \w+\.mkdir\b.*run code", reason_for_skipping(folder, caplog))
    torch.save(bomb, folder / "checkpoint_2.pt")
    assert "no manifest" in reason_for_skipping(folder, caplog)
    with pytest.raises(RuntimeError, match=r"plain data, \w+\.mkdir\b.*run code"):
        Checkpoint.load_objects({"number": Number()}, folder / "checkpoint_2.pt")
    assert names_in(tmp_path) == ["checkpoints"]
    torch.load(folder / "checkpoint_2.pt", weights_only=False)  # to show that the code would have run
    assert names_in(tmp_path) == ["checkpoints", "exploded"]


def test_resuming_a_running_engine_is_an_error_that_does_not_blame_the_file(tmp_path: Path) -> None:
    def made() -> tuple[Engine, Checkpoint]:
        engine = Engine(lambda engine, batch: batch)
        return engine, Checkpoint({"engine": engine}, tmp_path)

    engine, checkpoint = made()
    engine.add_event_handler(fsm_engine.Events.ITERATION_COMPLETED(once=1), checkpoint)
    engine.run([1, 2])
    engine, checkpoint = made()
    engine.add_event_handler(fsm_engine.Events.STARTED, lambda: checkpoint.resume())
    with pytest.raises(BusyError, match=r"STARTED.*before run\(\)"):
        engine.run([1, 2])


def test_a_file_that_does_not_fit_the_objects_is_skipped(tmp_path: Path, caplog: Any) -> None:
    with_saved(tmp_path, 1)
    Checkpoint({"number": Number(), "less": Number()}, tmp_path)(engine_at(2))
    reason = reason_for_skipping(tmp_path, caplog)
    assert "'more'" in reason
    assert "['number', 'less']" in reason


def test_without_a_valid_file_the_error_has_the_reason_for_each(tmp_path: Path) -> None:
    with_saved(tmp_path, 1, 2, 3)
    (tmp_path / "checkpoint_1.pt").write_bytes(b"")
    (tmp_path / "checkpoint_3.pt").unlink()
    (tmp_path / "checkpoint_3.pt").mkdir()
    (tmp_path / "checkpoint_3.pt" / "state.pt").write_bytes(b"cut off")
    (tmp_path / "checkpoint_4.pt").mkdir()  # of a save that did not end
    damaged = bytearray((tmp_path / "checkpoint_2.pt").read_bytes())
    damaged[100] ^= 1
    (tmp_path / "checkpoint_2.pt").write_bytes(damaged)
    checkpoint, number = fresh(tmp_path)
    with pytest.raises(RuntimeError) as raised:
        checkpoint.resume()
    first, *rest, last = str(raised.value).splitlines()
    assert "none of the checkpoints" in first
    assert "move them away" in last
    reasons = dict(line.strip().split(": ", 1) for line in rest)
    parts = {1: "no manifest", 2: "SHA-256", 3: "no manifest"}
    assert set(reasons) == {str(tmp_path / f"checkpoint_{number}.pt") for number in parts}
    assert all(part in reasons[str(tmp_path / f"checkpoint_{number}.pt")] for number, part in parts.items())
    assert number.value == "fresh"


# Save handlers that choose the file themselves


class Best(DiskSaver):
    """Writes each checkpoint to the same file."""

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        super().__call__(checkpoint, "best.pt", metadata)

    def remove(self, filename: str) -> None:
        super().remove("best.pt")


class OwnBest(DiskSaver):
    """Writes and removes the same file without the methods of `DiskSaver`, and a description of each checkpoint."""

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        torch.save(checkpoint, self.dirname / "best.pt")
        (self.dirname / f"{filename}.txt").write_text(filename)

    def remove(self, filename: str) -> None:
        (self.dirname / "best.pt").unlink()
        (self.dirname / f"{filename}.txt").unlink()


class BestElsewhere(BaseSaveHandler):
    """Writes each checkpoint to the same file, and declares it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "best.pt"

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        torch.save(checkpoint, self.path)

    def remove(self, filename: str) -> None:
        self.path.unlink()

    def overwrites(self, new: str, old: str) -> bool:
        return True


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("saver", [Best, OwnBest, BestElsewhere])
@pytest.mark.parametrize("n_saved", [1, 2])
def test_a_file_that_every_checkpoint_is_written_to_is_not_removed(
    tmp_path: Path, saver: Callable[[Path], Any], n_saved: int, background: bool
) -> None:
    number = Number()
    checkpoint = Checkpoint({"n": number}, saver(tmp_path), n_saved=n_saved, background=background)
    for number.value in range(1, 5):
        save_and_wait(checkpoint, number.value)
        assert torch.load(tmp_path / "best.pt", weights_only=True) == {"value": number.value}


def test_a_fixed_file_is_not_removed_after_a_restart(tmp_path: Path) -> None:
    state = {"_saved": [(1, "n_1.pt")]}
    checkpoint = Checkpoint({"n": Number(2)}, Best(tmp_path))
    checkpoint.load_state_dict(state)  # the process that saved n_1.pt was another one
    checkpoint(engine_at(2))
    assert names_in(tmp_path) == ["best.pt"]


class Labelled(DiskSaver):
    """Writes files with a prefix, and the name of the newest one to another file."""

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        super().__call__(checkpoint, f"label_{filename}", metadata)
        (self.dirname / "newest").write_text(filename)

    def remove(self, filename: str) -> None:
        super().remove(f"label_{filename}")


class Described(DiskSaver):
    """Writes files under their names, and a description of the newest one."""

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        super().__call__(checkpoint, filename, metadata)
        (self.dirname / "newest").write_text(filename)


@pytest.mark.parametrize(("saver", "name"), [(Labelled, "label_n_4.pt"), (Described, "n_4.pt")])
def test_old_files_of_a_subclass_are_removed(tmp_path: Path, saver: type[DiskSaver], name: str) -> None:
    checkpoint = Checkpoint({"n": Number()}, saver(tmp_path))
    for iteration in range(1, 5):
        checkpoint(engine_at(iteration))
    assert names_in(tmp_path) == [name, "newest"]


def test_the_old_file_exists_until_the_new_one_is_written(tmp_path: Path) -> None:
    class Checked(Best):
        def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
            seen.append(names_in(self.dirname))
            super().__call__(checkpoint, filename, metadata)
            seen.append(names_in(self.dirname))

    seen: list[list[str]] = []
    checkpoint = Checkpoint({"n": Number()}, Checked(tmp_path))
    for iteration in (1, 2, 3):
        checkpoint(engine_at(iteration))
    assert seen == [[], *[["best.pt"]] * 5]


# Full disks, missing permissions and missing folders


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
    """Take the permission to write in `folder` from this process, even if it runs as root."""
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
    """Yield a folder that every user of the machine can read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("size", [0, 100, 1500, 150_000])
@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk_raises_with_the_path_and_keeps_the_previous_file(
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


def test_a_read_only_folder_raises_with_the_path_and_can_be_resumed_from(open_folder: Path) -> None:
    checkpoint, number = with_saved(open_folder, 1)
    with read_only(open_folder), pytest.raises(PermissionError, match=r"not saved: '.*checkpoint_2.pt'"):
        checkpoint(engine_at(2))
    assert (names_in(open_folder), number.value) == (["checkpoint_1.pt"], 1)
    with read_only(open_folder):
        assert fresh(open_folder)[0].resume() == open_folder / "checkpoint_1.pt"


def test_a_removed_folder_has_no_file_to_resume_from_and_saving_raises(tmp_path: Path) -> None:
    checkpoint, _ = with_saved(tmp_path / "there")
    (tmp_path / "there").rmdir()
    assert checkpoint.resume() is False
    with pytest.raises(FileNotFoundError, match=r"not saved: '.*checkpoint_0.pt'"):
        checkpoint(engine_at())


# Several processes

SAVE_AND_WAIT = """
    import os, sys, time
    from fsm_engine import Engine
    from fsm_engine.handlers.checkpoint import Checkpoint

    class Number:
        value = 1
        def state_dict(self):
            return {"value": self.value}
        def load_state_dict(self, state):
            self.value = state["value"]

    checkpoint = Checkpoint({"number": Number(), "more": Number()}, sys.argv[1])
    checkpoint(Engine(lambda engine, batch: None))
    if sys.argv[2] == "forks":
        if not os.fork():
            time.sleep(60)  # as a worker of a DataLoader that outlives its process
            os._exit(0)
    print("saved", flush=True)
    sys.stdin.read()
    if sys.argv[2] != "ends":
        time.sleep(60)
"""


@pytest.mark.parametrize("background", [False, True])
def test_a_second_process_that_saves_to_the_folder_is_refused(
    children: Children, tmp_path: Path, background: bool
) -> None:
    folder = tmp_path / "saved"
    child = children.start(tmp_path, SAVE_AND_WAIT, str(folder), "stays")
    child.wait_for("saved")
    checkpoint, number = fresh(folder, background=background)
    owner = re.escape(f"{folder} is in use: process {child.pid} on {platform.node()}")
    for refused in (
        checkpoint.resume,
        lambda: checkpoint(engine_at(2)),
        lambda: DiskSaver(folder, require_empty=False)({}, "a.pt"),
    ):
        with pytest.raises(RuntimeError, match=owner):
            refused()
    Checkpoint.load_objects({"number": number}, folder / "checkpoint_0.pt")
    assert (number.value, names_in(folder)) == (1, ["checkpoint_0.pt"])
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert checkpoint.resume() == folder / "checkpoint_0.pt"
    save_and_wait(checkpoint, 3)
    assert names_in(folder) == ["checkpoint_3.pt"]


def test_a_worker_that_outlives_a_killed_process_does_not_lock_the_folder(children: Children, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    child = children.start(tmp_path, SAVE_AND_WAIT, str(folder), "forks")
    child.wait_for("saved")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert fresh(folder)[0].resume() == folder / "checkpoint_0.pt"


def test_the_lock_is_removed_when_its_process_ends_or_the_handler_is_gone(children: Children, tmp_path: Path) -> None:
    folder, lock = tmp_path / "saved", tmp_path / "saved" / ".fsm_engine.lock"
    child = children.start(tmp_path, SAVE_AND_WAIT, str(folder), "ends")
    assert (child.wait(), lock.exists()) == (0, False)
    checkpoint, _ = with_saved(folder, 1)
    assert lock.exists()
    del checkpoint
    assert not lock.exists()


def test_a_forked_process_is_refused_while_its_parent_has_the_lock(tmp_path: Path) -> None:
    checkpoint, _ = with_saved(tmp_path, 1)
    child = os.fork()
    if not child:
        status = 1
        try:
            checkpoint(engine_at(2))
        except RuntimeError as error:
            status = 0 if f"process {os.getppid()} on" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    checkpoint(engine_at(3))
    assert names_in(tmp_path) == ["checkpoint_1.pt", "checkpoint_3.pt"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", flock)
        patched.setattr("fsm_engine.handlers.checkpoint.disk_saver.remove_leftovers", lambda folder: None)
        with_saved(tmp_path, 1, 2)
        fresh(tmp_path)[0](engine_at(3))
    assert names_in(tmp_path) == ["checkpoint_1.pt", "checkpoint_2.pt", "checkpoint_3.pt"]
    (message,) = caplog.messages
    assert str(tmp_path) in message
    assert os.strerror(number) in message


def test_processes_of_different_ranks_share_a_folder(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "saved"
    child = children.start(tmp_path, SAVE_AND_WAIT, str(folder), "stays")
    child.wait_for("saved")
    monkeypatch.setattr("fsm_engine.handlers.checkpoint.disk_saver._rank", lambda: 1)
    DiskSaver(folder, require_empty=False, save_on_rank=1)({}, "other.pt")
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert names_in(folder) == ["checkpoint_0.pt", "other.pt"]


# Killed processes


@pytest.mark.parametrize("clean", [DiskSaver, lambda folder: fresh(folder)[0].resume()])
def test_only_temporary_files_that_no_process_writes_to_are_removed(
    tmp_path: Path, clean: Callable[[Path], Any]
) -> None:
    (tmp_path / ".fsm_engine-0123456789abcdef.tmp").write_bytes(b"half")
    (tmp_path / ".fsm_engine-notes.tmp").touch()
    (tmp_path / "mine.tmp").touch()
    with open_durably(tmp_path / "new.txt") as file:
        clean(tmp_path)
        file.write(b"whole")
    assert names_in(tmp_path) == [".fsm_engine-notes.tmp", "mine.tmp", "new.txt"]
    assert (tmp_path / "new.txt").read_bytes() == b"whole"


def test_a_process_whose_last_save_fails_in_the_background_does_not_exit_with_zero(
    children: Children, tmp_path: Path
) -> None:
    code = """
        import resource, sys
        import torch
        from fsm_engine import Engine, Events
        from fsm_engine.handlers.checkpoint import Checkpoint

        engine = Engine(lambda engine, batch: None)
        checkpoint = Checkpoint({"module": torch.nn.Linear(500, 500)}, sys.argv[1], background=True)
        engine.add_event_handler(Events.COMPLETED, checkpoint)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as if the disk was full
        engine.run([1])
    """
    child = children.start(tmp_path, code, str(tmp_path / "saved"))
    assert child.wait() == 1
    assert "module_1.pt could not be written in the background" in child.err.read_text()
    assert names_in(tmp_path / "saved") == []


@pytest.mark.slow
@pytest.mark.parametrize("background", [False, True])
def test_the_newest_file_is_valid_after_a_kill_at_any_time(
    children: Children, tmp_path: Path, background: bool
) -> None:
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
            assert all(name.endswith((".pt", ".lock")) for name in os.listdir(sys.argv[1])), os.listdir(sys.argv[1])
        print("valid")
    """
    folder = tmp_path / "saved"
    folder.mkdir()
    child = children.start(tmp_path, code, str(folder))
    assert (child.wait(), child.out.read_text()) == (0, "valid\n"), child.err.read_text()
    checkpoint = Checkpoint({"counted": Number()}, folder, n_saved=2)
    newest = checkpoint.resume()
    checkpoint(engine_at(10_000))
    assert names_in(folder) == sorted([Path(newest).name, "counted_10000.pt"])


def test_a_process_exits_only_after_its_files_are_written(children: Children, tmp_path: Path) -> None:
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
