"""`Checkpoint`: contents, file names, retention, events and background writing; names and retention match Ignite's."""

from __future__ import annotations

import copy
import errno
import gc
import pickle
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ignite.engine import Engine as IgniteEngine
from ignite.handlers import Checkpoint as IgniteCheckpoint
from ignite.handlers.checkpoint import BaseSaveHandler as IgniteBaseSaveHandler
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from fsm_engine import Engine, Events
from fsm_engine.handlers.checkpoint import BaseSaveHandler, Checkpoint, CheckpointEvents, DiskSaver, ModelCheckpoint


def echo(engine: Any, batch: Any) -> Any:
    return batch


class Number:
    """An object whose state dict has one value."""

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


class Kept(BaseSaveHandler):
    """A save handler that keeps checkpoints in memory and records its calls."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}
        self.calls: list[Any] = []

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        self.files[filename] = checkpoint
        self.calls.append(("save", filename, metadata))

    def remove(self, filename: str) -> None:
        del self.files[filename]
        self.calls.append(("remove", filename))


class IgniteKept(Kept, IgniteBaseSaveHandler):
    """The same save handler for pytorch-ignite."""


def engine_at(iteration: int = 0, epoch: int = 0, **metrics: Any) -> Engine:
    engine = Engine(echo)
    engine.state.iteration, engine.state.epoch = iteration, epoch
    engine.state.metrics = metrics
    return engine


def names_in(folder: Path) -> list[str]:
    """Return the names of the files in `folder`, except the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".fsm_engine.lock")


# Retention and file names

arguments = st.fixed_dictionaries(
    {
        "n_saved": st.sampled_from([None, 1, 2, 3]),
        "greater_or_equal": st.booleans(),
        "filename_prefix": st.sampled_from(["", "best"]),
        "score_name": st.sampled_from([None, "acc"]),
        "filename_pattern": st.sampled_from(
            [None, "{name}.{ext}", "{global_step}-{name}-{filename_prefix}{score_name}.{ext}", "{score}.{ext}"]
        ),
        "include_self": st.booleans(),
    }
)
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -1.25, 1e-5, 12345.678901, -0.0]))
saves = st.lists(st.tuples(st.integers(0, 6), numbers), max_size=12)


@given(arguments, saves, st.booleans(), st.booleans(), st.integers(1, 2))
def test_names_and_retention_match_ignite(
    given: dict[str, Any], saves: list[tuple[int, Any]], scored: bool, stepped: bool, objects: int
) -> None:
    to_save = {name: Number() for name in ["model", "other"][:objects]}
    results = []
    for kind, engine, keep in ((Checkpoint, Engine, Kept()), (IgniteCheckpoint, IgniteEngine, IgniteKept())):
        score = {"score_function": lambda engine: engine.state.metrics["acc"]} if scored else {}
        step = {"global_step_transform": lambda engine, _: engine.state.iteration * 10} if stepped else {}
        checkpoint = kind(dict(to_save), keep, **given, **score, **step)
        running, after = engine(echo), []
        for iteration, number in saves:
            running.state.iteration, running.state.metrics = iteration, {"acc": number}
            checkpoint(running)
            after.append((dict(keep.files), checkpoint.last_checkpoint, dict(checkpoint.state_dict())))
        results.append((after, [call for call in keep.calls if call[0] == "save"]))
    assert results[0] == results[1]


def test_a_nan_score_is_removed_first() -> None:
    keep, engine = Kept(), engine_at()
    scores = iter([float("nan"), 0.5, float("nan"), float("-inf"), 0.25])
    checkpoint = Checkpoint({"m": Number()}, keep, score_function=lambda _: next(scores), n_saved=2, score_name="s")
    for _ in range(5):
        checkpoint(engine)
    assert sorted(keep.files) == ["m_s=0.2500.pt", "m_s=0.5000.pt"]


def test_the_old_file_is_removed_after_the_new_one_is_saved() -> None:
    keep = Kept()
    checkpoint = Checkpoint({"m": Number()}, keep)
    for iteration in (1, 2, 2):
        checkpoint(engine_at(iteration))
    assert keep.calls == [
        ("save", "m_1.pt", {"basename": "m", "score_name": None, "priority": 1}),
        ("save", "m_2.pt", {"basename": "m", "score_name": None, "priority": 2}),
        ("remove", "m_1.pt"),
    ]


def test_a_failed_save_changes_nothing() -> None:
    keep = Kept()
    checkpoint = Checkpoint({"m": Number()}, keep)
    checkpoint(engine_at(1))
    checkpoint.save_handler = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        checkpoint(engine_at(2))
    checkpoint.save_handler = keep
    assert (checkpoint.last_checkpoint, list(keep.files)) == ("m_1.pt", ["m_1.pt"])


@pytest.mark.parametrize(
    ("parts", "pattern"),
    [
        ((True, True, True, True), "{filename_prefix}_{name}_{global_step}_{score_name}={score}.{ext}"),
        ((False, True, False, False), "{name}_{score}.{ext}"),
        ((False, False, False, True), "{name}_{global_step}.{ext}"),
    ],
)
def test_a_filename_pattern_has_the_wanted_parts(parts: tuple[bool, ...], pattern: str) -> None:
    assert Checkpoint.setup_filename_pattern(*parts) == pattern


def test_a_filename_pattern_needs_a_score_or_a_step_and_known_fields() -> None:
    with pytest.raises(ValueError, match="At least one of with_score and with_global_step should be True"):
        Checkpoint.setup_filename_pattern(True, False, False, False)
    with pytest.raises(ValueError, match="If with_score_name is True, with_score should be also True"):
        Checkpoint.setup_filename_pattern(True, False, True, True)
    with pytest.raises(KeyError, match="colour"):
        Checkpoint({"m": Number()}, Kept(), filename_pattern="{colour}.{ext}")(engine_at())


def test_the_default_score_is_a_metric_times_its_sign() -> None:
    engine = engine_at(acc=0.75)
    assert Checkpoint.get_default_score_fn("acc")(engine) == 0.75
    assert Checkpoint.get_default_score_fn("acc", -1)(engine) == -0.75
    with pytest.raises(ValueError, match="Argument score_sign should be 1 or -1"):
        Checkpoint.get_default_score_fn("acc", 2.0)
    with pytest.raises(KeyError, match=r"no 'loss', which is the score. There are \['acc'\]"):
        Checkpoint.get_default_score_fn("loss")(engine)
    with pytest.raises(ValueError, match="Output of score_function should be a number, got 'high'"):
        Checkpoint({"m": Number()}, Kept(), score_function=lambda _: "high")(engine)


# Arguments and objects

M = {"m": Number()}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"to_save": [Number()]}, TypeError, "Argument `to_save` should be a dictionary"),
        ({"to_save": {"m": 1}}, TypeError, r"<class 'int'> should have `state_dict` method. It is to_save\['m'\]"),
        ({"to_save": {"m": [M, {"n": 1}]}}, TypeError, r"to_save\['m'\]\[1\]\['n'\]"),
        ({"save_handler": 1}, TypeError, "Argument `save_handler` should be a string or Path object or callable or in"),
        ({"score_function": 1}, TypeError, "score_function should be a function"),
        ({"global_step_transform": 1}, TypeError, "global_step_transform should be a function"),
        ({"to_save": {"checkpointer": Number()}, "include_self": True}, ValueError, "Cannot have key 'checkpointer'"),
        ({"to_save": MappingProxyType(M), "include_self": True}, TypeError, "then `to_save` must be mutable"),
        ({"n_saved": 0}, ValueError, "n_saved must be a positive integer or None, got 0"),
    ],
)
def test_wrong_arguments_raise(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Checkpoint(**{"to_save": M, "save_handler": Kept(), **arguments})


def test_a_save_function_takes_two_or_three_arguments() -> None:
    taken: list[Any] = []
    Checkpoint(M, lambda checkpoint, name: taken.append(name))(engine_at(1))
    Checkpoint(M, lambda checkpoint, name, metadata: taken.append((name, metadata)))(engine_at(2))
    Checkpoint(M, lambda *arguments: taken.append(len(arguments)))(engine_at(3))
    assert taken == ["m_1.pt", ("m_2.pt", {"basename": "m", "score_name": None, "priority": 2}), 3]


def test_objects_in_mappings_and_lists_are_saved() -> None:
    keep = Kept()
    objects = {"one": Number(1), "more": [Number(2), {"deep": Number(3)}], "wrapped": DataParallel(nn.Linear(1, 1))}
    Checkpoint(objects, keep)(engine_at(1))
    saved = keep.files["checkpoint_1.pt"]
    wrapped = saved.pop("wrapped")
    assert saved == {"one": {"value": 1}, "more": [{"value": 2}, {"deep": {"value": 3}}]}
    assert list(wrapped) == ["weight", "bias"]


def test_objects_are_loaded_from_a_checkpoint() -> None:
    one, deep, module = Number(), Number(), nn.Linear(2, 1)
    weights = {"weight": torch.ones(1, 2), "bias": torch.ones(1)}
    to_load = {"one": one, "more": [{"deep": deep}], "wrapped": DataParallel(module)}
    Checkpoint.load_objects(to_load, {"one": {"value": 1}, "more": [{"deep": {"value": 3}}], "wrapped": weights})
    assert (one.value, deep.value, module.bias.item()) == (1, 3, 1.0)
    Checkpoint.load_objects({"one": one}, {"value": 5})
    assert one.value == 5
    Checkpoint.load_objects({"one": one}, {"one": {"value": 6}})
    assert one.value == 6
    Checkpoint.load_objects(
        {"m": module, "one": one}, {"m": {"bias": torch.zeros(1)}, "one": one.state_dict()}, strict=False
    )
    assert module.bias.item() == 0.0


@pytest.mark.parametrize(
    ("to_load", "checkpoint", "error", "message"),
    [
        ({"m": Number()}, [1], TypeError, "Argument checkpoint should be a string or a dictionary"),
        ({"m": 1}, {"m": 1}, TypeError, "should have `load_state_dict` method"),
        ([Number()], {"m": 1}, TypeError, "Argument `to_load` should be a dictionary"),
        (
            {"model": Number(), "n": Number()},
            {"n": {"value": 1}},
            ValueError,
            "Key 'model' from to_load is not found in",
        ),
        ({"m": [Number()], "n": Number()}, {"m": [], "n": {}}, ValueError, "a list of 1 objects where .* one of 0"),
    ],
)
def test_a_checkpoint_that_does_not_fit_raises(
    to_load: Any, checkpoint: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Checkpoint.load_objects(to_load, checkpoint)


def test_no_object_is_loaded_if_one_is_missing_in_the_checkpoint() -> None:
    first = Number(1)
    with pytest.raises(ValueError, match="Key 'second'"):
        Checkpoint.load_objects({"first": first, "second": Number()}, {"first": {"value": 2}})
    assert first.value == 1


# Wrapped modules


class Net(nn.Module):
    """A module with a buffer, whose parts may be wrapped."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.head = nn.Linear(2, 1)


@pytest.fixture(scope="module")
def _process_group() -> Iterator[None]:
    """Form a group of this process alone, which DistributedDataParallel needs."""
    distributed = torch.distributed
    if not distributed.is_available():
        pytest.skip("needs torch.distributed")
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def compiled(module: nn.Module) -> Any:
    return torch.compile(module, backend="eager")


def with_compiled_part(net: Net) -> Net:
    net.body = compiled(net.body)
    return net


def with_parallel_part(net: Net) -> Net:
    net.body = DataParallel(net.body)  # type: ignore[assignment]
    return net


WRAPPERS: list[Any] = [
    lambda net: net,
    compiled,
    DataParallel,
    DistributedDataParallel,
    lambda net: compiled(DistributedDataParallel(net)),
    lambda net: DataParallel(compiled(net)),
    with_compiled_part,
    lambda net: DistributedDataParallel(with_parallel_part(net)),
]


@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize("raw", [False, True], ids=["checkpoint", "state_dict"])
@pytest.mark.parametrize("source", range(len(WRAPPERS)))
def test_weights_load_with_and_without_wrappers(tmp_path: Path, source: int, raw: bool) -> None:
    net = Net()
    nn.init.uniform_(net.body[1].running_mean)  # type: ignore[arg-type]
    expected = copy.deepcopy(net.state_dict())
    model = WRAPPERS[source](net)
    if raw:
        torch.save(model.state_dict(), tmp_path / "model_1.pt")
    else:
        Checkpoint({"model": model}, tmp_path)(engine_at(1))
    for wrap in WRAPPERS:
        loads: list[Any] = [lambda target: Checkpoint.load_objects({"model": target}, tmp_path / "model_1.pt")]
        if not raw:
            loads.append(lambda target: Checkpoint({"model": target}, tmp_path).resume())
        for load in loads:
            inner = Net()
            load(wrap(inner))
            plain = {key.replace("module.", "").replace("_orig_mod.", ""): v for key, v in inner.state_dict().items()}
            assert plain.keys() == expected.keys()
            assert all(torch.equal(plain[key], expected[key]) for key in expected)


@pytest.mark.usefixtures("_process_group")
def test_a_wrapped_module_is_saved_under_the_names_of_the_module() -> None:
    for wrap in WRAPPERS[:6]:
        keep = Kept()
        Checkpoint({"model": wrap(Net()), "n": Number()}, keep)(engine_at(1))
        assert list(keep.files["checkpoint_1.pt"]["model"]) == list(Net().state_dict())


def test_versions_of_modules_are_found_with_and_without_wrappers() -> None:
    state = compiled(Net()).state_dict()
    for name in state:
        if name.endswith("num_batches_tracked"):
            del state[name]
            break
    with pytest.raises(RuntimeError, match="num_batches_tracked"):  # old versions did not have it, this one has
        Checkpoint.load_objects({"model": Net()}, state)


def test_weights_of_a_wrapped_module_load_partly_if_not_strict() -> None:
    net = Net()
    state = {"module.head.weight": torch.ones(1, 2), "module.tail.weight": torch.ones(1)}
    Checkpoint.load_objects({"model": compiled(net)}, state, strict=False)
    assert net.head.weight.tolist() == [[1.0, 1.0]]


def test_a_module_with_a_part_named_module_is_loaded_as_it_is() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.weight = nn.Linear(1, 1, bias=False), nn.Parameter(torch.zeros(1))

    source, target = Outer(), Outer()
    nn.init.constant_(source.module.weight, 5.0)
    Checkpoint.load_objects({"model": DataParallel(target)}, DataParallel(source).state_dict())
    assert (target.module.weight.item(), target.weight.item()) == (5.0, 0.0)


def test_its_own_state_is_saved_with_include_self_and_loaded() -> None:
    keep = Kept()
    checkpoint = Checkpoint({"m": Number(7)}, keep, n_saved=2, include_self=True)
    checkpoint(engine_at(1))
    checkpoint(engine_at(2))
    state = {"_saved": [(1, "m_1.pt"), (2, "m_2.pt")]}
    assert keep.files["m_2.pt"] == {"value": 7, "checkpointer": state}
    other = Checkpoint({"m": Number()}, keep, n_saved=2)
    other.load_state_dict(checkpoint.state_dict())
    assert (other.state_dict(), other.last_checkpoint) == (state, "m_2.pt")
    other.reset()
    assert (other.state_dict(), other.last_checkpoint) == ({"_saved": []}, None)
    with pytest.raises(ValueError, match="Required state attribute '_saved' is absent"):
        other.load_state_dict({})
    with pytest.raises(TypeError, match="Argument state_dict should be a dictionary"):
        other.load_state_dict([])  # type: ignore[arg-type]


# In a run


def test_saved_checkpoint_is_fired_after_each_save() -> None:
    fired: list[Any] = []
    engine = Engine(echo)
    engine.register_events(*CheckpointEvents)
    checkpoint = Checkpoint(M, Kept(), score_function=lambda engine: -engine.state.epoch, n_saved=2)
    engine.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
    engine.on(Checkpoint.SAVED_CHECKPOINT)(lambda engine: fired.append(checkpoint.last_checkpoint))
    engine.run([1], max_epochs=4)
    assert fired == ["m_-1.pt", "m_-1.pt"]


def test_saved_checkpoint_is_registered_at_the_first_save() -> None:
    engine = Engine(echo)
    checkpoint = Checkpoint(M, Kept())
    assert not engine.has_registered_events(CheckpointEvents.SAVED_CHECKPOINT)
    checkpoint(engine)
    assert engine.last_event_name is CheckpointEvents.SAVED_CHECKPOINT


def test_global_step_transform_gets_the_event_that_called_the_handler() -> None:
    keep, seen = Kept(), []

    def step(engine: Engine, event: Any) -> int:
        seen.append(event)
        return engine.state.epoch

    engine = Engine(echo)
    engine.add_event_handler(Events.EPOCH_COMPLETED, Checkpoint(M, keep, "p", global_step_transform=step, n_saved=None))
    engine.run([1, 2], max_epochs=2)
    assert (list(keep.files), seen) == (["p_m_1.pt", "p_m_2.pt"], [Events.EPOCH_COMPLETED] * 2)


def test_the_checkpoint_is_saved_after_all_handlers_of_the_event() -> None:
    keep, number, engine = Kept(), Number("before"), Engine(echo)
    engine.add_event_handler(Events.EPOCH_COMPLETED, Checkpoint({"m": number}, keep))
    engine.on(Events.EPOCH_COMPLETED)(lambda: setattr(number, "value", "after"))
    engine.on(Events.EPOCH_COMPLETED)(lambda engine: setattr(engine.state, "iteration", 77))
    engine.run([1])
    assert keep.files == {"m_1.pt": {"value": "after"}}


def test_a_handler_of_the_evaluator_saves_the_trainer_after_the_handlers_of_both() -> None:
    keep, number = Kept(), Number("before")
    trainer, evaluator = Engine(echo), Engine(echo)
    evaluator.on(Events.COMPLETED)(lambda engine: engine.state.metrics.update(acc=trainer.state.epoch / 4))
    best = Checkpoint({"m": number, "trainer": trainer}, keep, score_name="acc", n_saved=None)
    evaluator.add_event_handler(Events.COMPLETED, best)
    trainer.on(Events.EPOCH_COMPLETED)(lambda: evaluator.run([1]))
    trainer.on(Events.EPOCH_COMPLETED)(lambda engine: setattr(number, "value", engine.state.epoch))
    trainer.run([1, 2, 3], max_epochs=2)
    values = {name: (saved["m"]["value"], saved["trainer"]["iteration"]) for name, saved in keep.files.items()}
    assert values == {"checkpoint_acc=0.2500.pt": (1, 3), "checkpoint_acc=0.5000.pt": (2, 6)}


@pytest.mark.parametrize("event", [Events.COMPLETED, Events.EXCEPTION_RAISED, Events.INTERRUPT, Events.TERMINATE])
def test_the_checkpoint_is_saved_before_run_returns(event: Events) -> None:
    keep = Kept()

    def step(engine: Engine, batch: int) -> None:
        if event is Events.EXCEPTION_RAISED:
            raise OSError("no more")
        if event is Events.INTERRUPT:
            engine.interrupt()
        if event is Events.TERMINATE:
            engine.terminate()

    engine = Engine(step)
    engine.add_event_handler(event, Checkpoint(M, keep))
    engine.run([1])
    assert list(keep.files) == ["m_1.pt"]


# ModelCheckpoint


def test_a_model_checkpoint_saves_the_objects_it_is_attached_with(tmp_path: Path) -> None:
    handler, engine = ModelCheckpoint(tmp_path, "p", n_saved=2), Engine(echo)
    assert handler.last_checkpoint is None
    engine.add_event_handler(Events.EPOCH_COMPLETED, handler, {"model": nn.Linear(1, 1)})
    engine.run([1], max_epochs=4)
    assert (names_in(tmp_path), handler.last_checkpoint) == (
        ["p_model_3.pt", "p_model_4.pt"],
        tmp_path / "p_model_4.pt",
    )


def test_a_model_checkpoint_takes_objects_by_keyword_or_after_an_exception(tmp_path: Path) -> None:
    engine = Engine(lambda engine, batch: 1 / 0)
    engine.add_event_handler(Events.ITERATION_STARTED, ModelCheckpoint(tmp_path, "started"), to_save=M)
    engine.add_event_handler(Events.EXCEPTION_RAISED, ModelCheckpoint(tmp_path, "failed", require_empty=False), M)
    engine.run([1])
    assert names_in(tmp_path) == ["failed_m_1.pt", "started_m_1.pt"]


def test_a_model_checkpoint_needs_objects_and_a_disk_saver(tmp_path: Path) -> None:
    handler = ModelCheckpoint(tmp_path)
    with pytest.raises(RuntimeError, match="No objects to checkpoint found"):
        handler(Engine(echo), {})
    with pytest.raises(RuntimeError, match="No objects to checkpoint found"):
        handler.resume()
    handler.save_handler = Kept()
    with pytest.raises(RuntimeError, match="Internal error, save_handler should be DiskSaver, but has"):
        handler.last_checkpoint  # noqa: B018


# Background writing


class Slow(Kept):
    """A save handler that waits for an event before it saves."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def __call__(self, checkpoint: Any, filename: str, metadata: Any = None) -> None:
        assert self.released.wait(200)
        super().__call__(checkpoint, filename, metadata)


def test_the_background_thread_writes_a_copy_of_the_objects() -> None:
    slow, module = Slow(), nn.Linear(1, 1, bias=False)
    checkpoint = Checkpoint({"m": module}, slow, background=True)
    nn.init.constant_(module.weight, 1.0)
    checkpoint(engine_at(1))
    nn.init.constant_(module.weight, 2.0)
    assert slow.files == {}
    slow.released.set()
    checkpoint(engine_at(2))
    checkpoint.wait()
    assert [call[:2] for call in slow.calls] == [("save", "m_1.pt"), ("save", "m_2.pt"), ("remove", "m_1.pt")]
    assert slow.files["m_2.pt"]["weight"].item() == 2.0


def test_the_background_copy_equals_the_state_dicts_and_shares_memory_like_them() -> None:
    slow, module = Slow(), nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2), nn.Linear(2, 2))
    module[2].weight = module[1].weight
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    before = copy.deepcopy({"m": module.state_dict(), "o": optimizer.state_dict()})
    checkpoint = Checkpoint({"m": module, "o": optimizer}, slow, background=True)
    checkpoint(engine_at(1))
    optimizer.step()
    slow.released.set()
    checkpoint.wait()
    saved = slow.files["checkpoint_1.pt"]
    assert str(saved) == str(before)
    assert saved["m"]["1.weight"] is saved["m"]["2.weight"]
    assert saved["m"]._metadata == before["m"]._metadata


def test_an_error_in_the_background_is_raised_at_the_next_save(caplog: pytest.LogCaptureFixture) -> None:
    keep = Kept()
    checkpoint = Checkpoint(M, keep, background=True)
    checkpoint(engine_at(1))
    checkpoint.wait()
    checkpoint.save_handler = lambda *_: 1 / 0
    checkpoint(engine_at(2))
    with pytest.raises(RuntimeError, match=r"m_2\.pt.*division by zero"):
        checkpoint(engine_at(3))
    assert (checkpoint.last_checkpoint, list(keep.files)) == ("m_1.pt", ["m_1.pt"])
    (message,) = caplog.messages
    assert "m_2.pt" in message
    checkpoint.wait()


def fails(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def unsaved(event: Any, **step: Any) -> tuple[Engine, Checkpoint]:
    """Return an engine that saves at `event`, in the background and without success."""
    engine = Engine(step.get("step", echo))
    checkpoint = Checkpoint(M, fails, n_saved=None, background=True)
    engine.add_event_handler(event, checkpoint)
    return engine, checkpoint


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Events.COMPLETED])
def test_a_run_whose_last_save_fails_in_the_background_raises(event: Events) -> None:
    engine, checkpoint = unsaved(event)
    with pytest.raises(RuntimeError, match=r"m_1\.pt could not be written in the background.*No space left") as raised:
        engine.run([1])
    assert isinstance(raised.value.__cause__, OSError)
    assert (engine.outcome, checkpoint.last_checkpoint) == ("failed", None)
    checkpoint.wait()


def test_an_interrupted_run_whose_save_fails_in_the_background_raises_and_can_be_resumed() -> None:
    engine, checkpoint = unsaved(Events.INTERRUPT, step=lambda engine, batch: engine.interrupt())
    with pytest.raises(RuntimeError, match=r"m_1\.pt could not be written"):
        engine.run([1, 2])
    assert (engine.outcome, engine.state.iteration) == ("interrupted", 1)
    checkpoint.save_handler = lambda *_: None
    assert (engine.run().iteration, engine.outcome) == (2, "interrupted")


def test_a_failed_run_raises_its_own_exception_and_logs_the_failed_background_save(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine, checkpoint = unsaved(Events.ITERATION_STARTED, step=lambda engine, batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.run([1])
    checkpoint.wait()  # does not raise again
    assert ["m_1.pt could not be written" in message for message in caplog.messages].count(True) == 1


def test_a_handled_exception_does_not_hide_a_failed_background_save() -> None:
    engine, _ = unsaved(Events.EXCEPTION_RAISED, step=lambda engine, batch: 1 / 0)
    with pytest.raises(RuntimeError, match=r"m_1\.pt could not be written"):
        engine.run([1])
    assert engine.outcome == "failed"


def test_the_outermost_run_waits_for_the_background_save_of_an_inner_run() -> None:
    slow, trainer, evaluator = Slow(), Engine(echo), Engine(echo)
    evaluator.add_event_handler(Events.COMPLETED, Checkpoint(M, slow, background=True))
    seen: list[int] = []

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate() -> None:
        evaluator.run([1])
        seen.append(len(slow.files))
        slow.released.set()

    trainer.run([1])
    assert (seen, list(slow.files)) == ([0], ["m_1.pt"])


# References, copies and pickles


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("background", [False, True])
def test_an_engine_is_freed_with_its_last_reference(background: bool) -> None:
    engine = Engine(echo)
    model = nn.Linear(1, 1)
    checkpoint = Checkpoint({"engine": engine, "m": model}, Kept(), background=background)
    engine.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
    gone = weakref.ref(engine)
    with no_garbage_collection():
        engine.run([1, 2], max_epochs=2)
        checkpoint.wait()
        del engine
        assert gone() is None
    with pytest.raises(ReferenceError, match="Keep a reference to it"):
        checkpoint.to_save  # noqa: B018


def test_it_can_be_copied_and_pickled(tmp_path: Path) -> None:
    engine = Engine(echo)
    checkpoint = Checkpoint({"engine": engine, "m": nn.Linear(1, 1)}, tmp_path, score_name="acc", background=True)
    checkpoint(engine_at(acc=1))
    checkpoint.wait()
    engine.add_event_handler(Events.COMPLETED, checkpoint)
    other_engine, other = pickle.loads(pickle.dumps((engine, checkpoint)))
    assert other.to_save["engine"] is other_engine
    assert (other.state_dict(), other.last_checkpoint) == (checkpoint.state_dict(), checkpoint.last_checkpoint)
    assert copy.deepcopy(checkpoint).state_dict() == checkpoint.state_dict()


def test_a_folder_becomes_a_disk_saver_that_accepts_existing_files(tmp_path: Path) -> None:
    (tmp_path / "old.pt").touch()
    for folder in (tmp_path, str(tmp_path)):
        saver = Checkpoint(M, folder, save_on_rank=3).save_handler
        assert (type(saver), saver.dirname, saver.save_on_rank) == (DiskSaver, tmp_path, 3)  # type: ignore[union-attr]


def test_the_checkpoint_is_saved_even_if_a_handler_of_the_exception_raises_it_again() -> None:
    keep, engine = Kept(), Engine(lambda engine, batch: 1 / 0)
    engine.add_event_handler(Events.EXCEPTION_RAISED, Checkpoint(M, keep))

    def again(engine: Engine, error: Exception) -> None:
        raise error

    engine.add_event_handler(Events.EXCEPTION_RAISED, again)
    with pytest.raises(ZeroDivisionError):
        engine.run([1])
    assert (list(keep.files), engine._signals.callbacks) == (["m_1.pt"], [])
