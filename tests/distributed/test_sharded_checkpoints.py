"""Checkpoints of models that `torch.distributed.fsdp.fully_shard` has divided among ranks."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
fsdp = pytest.importorskip("torch.distributed.fsdp", reason="this torch has no distributed package")
if not hasattr(fsdp, "fully_shard"):
    pytest.skip("this torch has no torch.distributed.fsdp.fully_shard", allow_module_level=True)

from children import Children  # noqa: E402
from ranks import Ranks, reports  # noqa: E402

from fsm_engine.handlers import Checkpoint  # noqa: E402

PROGRAM = """
    import hashlib, logging, pickle, random
    from torch import nn
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from torch.utils.data import TensorDataset
    from fsm_engine import create_supervised_trainer
    from fsm_engine._util.rng import rng_states
    from fsm_engine.handlers import Checkpoint, GracefulStop, ModelCheckpoint
    from fsm_engine.handlers.checkpoint import shards
    from fsm_engine.metrics import RunningAverage
    logging.basicConfig(format="%(levelname)s %(message)s")
    torch.set_num_threads(1)

    plans = json.loads(sys.argv[2])
    os.chdir(sys.argv[3])
    every = Events.ITERATION_COMPLETED(every=5)
    EVENTS = {"iterations": every, "interrupt": Events.INTERRUPT, "started": Events.STARTED}

    class Rows(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            for parameter in self.param_groups[0]["params"]:
                if parameter.dim() == 2:
                    self.state[parameter]["rows"] = parameter.detach().square().sum(1)

    def whole(tensor):
        return tensor.full_tensor().tolist() if hasattr(tensor, "full_tensor") else tensor.tolist()

    def fingerprint(*values):
        return hashlib.sha256(pickle.dumps([str(value) for value in values])).hexdigest()[:16]

    def contents(model, optimizer):
        weights = [whole(tensor) for tensor in model.state_dict().values()]
        return weights, [whole(tensor) for state in optimizer.state.values() for tensor in state.values()]

    def train(ranks, plan):
        torch.manual_seed(plan.get("seed", 0))
        model = nn.Sequential(nn.Linear(4, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 2))
        if plan.get("stages", False):
            model = nn.Sequential(nn.Linear(4, 7 + rank))
        data = TensorDataset(torch.randn(56, 4), torch.randint(2, (56,)))
        if plan.get("wrapped", False):
            model.wrapped = FullyShardedDataParallel.__new__(FullyShardedDataParallel)  # a real one needs a GPU
            nn.Module.__init__(model.wrapped)
        elif plan.get("stages", False):
            fully_shard(model, mesh=init_device_mesh("cpu", (2, 1), mesh_dim_names=("stages", "shards"))["shards"])
        elif rank in plan.get("sharded_on", [0, 1, 2, 3]):
            fully_shard(model)
        kind = {"Adam": torch.optim.Adam, "SGD": torch.optim.SGD, "Rows": Rows}[plan.get("optimizer", "Adam")]
        optimizer = kind(model.parameters(), lr=0.01)
        if "load" in plan:
            Checkpoint.load_objects({"model": model, "optimizer": optimizer}, plan["load"])
            return contents(model, optimizer)

        torch.manual_seed(rank + 1)
        random.seed(rank + 1)
        loader = ranks.loader(data, batch_size=4, shuffle=True, num_workers=0)
        trainer = create_supervised_trainer(model, optimizer, nn.functional.cross_entropy)
        RunningAverage(output_transform=float).attach(trainer, "loss")
        drawn = []
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: drawn.append(random.random()))
        if plan.get("attach", True):
            ranks.attach(trainer)
        folder = plan["folders"][rank] if "folders" in plan else plan.get("folder", "checkpoints")
        to_save = {"model": model, "optimizer": optimizer, "trainer": trainer}
        if plan.get("only_model", False):
            to_save = {"model": model}
        options = {"n_saved": 2, "background": plan.get("background", False)}
        if plan.get("handler") == "model":
            checkpoint = ModelCheckpoint(folder, require_empty=False, score_name="loss", filename_pattern="best.pt")
            trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint, to_save)
        else:
            checkpoint = Checkpoint(to_save, folder, **options)
            if plan.get("event"):
                trainer.add_event_handler(EVENTS[plan["event"]], checkpoint)
        if plan.get("handler") == "graceful":
            GracefulStop(save=checkpoint).attach(trainer)
        stop = plan.get("stop", {})

        @trainer.on(Events.ITERATION_COMPLETED)
        def stop_here(engine):
            if engine.state.iteration == stop.get("at") and rank in stop.get("ranks", [rank]):
                if stop["how"] == "signal":
                    os.kill(os.getpid(), 15)
                else:
                    getattr(engine, stop["how"])()

        if "kill" in plan and rank == 1:
            kill_rank_one(plan["kill"])
        resumed = checkpoint.resume(to_save)
        begun = trainer.state.iteration
        trainer.run(loader, max_epochs=3)
        end = fingerprint(*contents(model, optimizer)), fingerprint(rng_states()), trainer.state.metrics["loss"]
        return resumed and resumed.name, begun, trainer.outcome, end, str(checkpoint.last_checkpoint)

    def kill_rank_one(number):
        calls, about = [], shards._about
        def kill(path):
            calls.append(path)
            if len(calls) == number:
                os.kill(os.getpid(), 9)
            return about(path)
        shards._about = kill

    status = 1
    try:
        with session() as ranks:
            for plan in plans:
                try:
                    report(train(ranks, plan))
                except Exception as error:
                    report([type(error).__name__, str(error)])
                    if plan.get("raise", False):
                        raise
        status = 0
    finally:
        os._exit(status)  # without taking the modules apart, which takes seconds
"""

STOPPED = {"event": "iterations", "stop": {"at": 11, "how": "interrupt"}}


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    modules = "torch.distributed.fsdp", "torch.distributed.checkpoint", "torch._dynamo", "fsm_engine.metrics"
    with Children(*modules, "fsm_engine.handlers") as parent:
        yield parent


def run(ranks: Ranks, count: int, *plans: dict[str, Any]) -> list[Any]:
    """Return for each plan the results of the ranks."""
    return list(zip(*ranks.run(count, PROGRAM, json.dumps(plans), str(ranks.folder))))


def ends(results: Any) -> list[Any]:
    return [end for _, _, _, end, _ in results]


def shards_of(checkpoint: Path) -> Path:
    (folder,) = checkpoint.glob("shards-*")
    return folder


def test_every_rank_continues_exactly(ranks: Ranks) -> None:
    stops: list[dict[str, Any]] = [
        {"event": "iterations", "stop": {"at": 12, "how": "terminate", "ranks": [1]}},
        {"event": "iterations", "stop": {"at": 12, "how": "interrupt"}, "background": True},
        {"event": "interrupt", "stop": {"at": 9, "how": "interrupt", "ranks": [0]}},
        {"handler": "graceful", "stop": {"at": 9, "how": "signal", "ranks": [1]}},
    ]
    plans: list[dict[str, Any]] = [{"folder": "none"}]
    for number, stop in enumerate(stops):
        plans += [{**stop, "folder": str(number)}, {**stop, "folder": str(number), "stop": {}}]

    undisturbed, *rest = run(ranks, 2, *plans)

    expected = ends(undisturbed)
    assert expected[0][1] != expected[1][1]  # the generators
    for stop, stopped, resumed in zip(stops, rest[::2], rest[1::2]):
        assert {result[2] for result in stopped} < {"interrupted", "terminated"}, stop
        assert [result[0] for result in resumed] == [Path(stopped[0][4]).name] * 2
        assert ends(resumed) == expected, stop


def test_another_number_of_ranks_loads_the_model_and_the_optimizer(ranks: Ranks) -> None:
    plans = [{**STOPPED, "folder": kind, "optimizer": kind} for kind in ("Adam", "Rows", "SGD")]
    run(ranks, 2, *plans)
    paths = {kind: str(ranks.folder / kind / "checkpoint_10.pt") for kind in ("Adam", "Rows", "SGD")}
    loads = [{"load": path, "optimizer": kind, "seed": 1} for kind, path in paths.items()]

    loaded = {count: run(ranks, count, *loads) for count in (1, 2, 4)}
    plain = run(ranks, 1, *({**load, "sharded_on": []} for load in loads))

    for number, kind in enumerate(paths):
        weights, moments = loaded[2][number][0]
        assert len(moments) == {"Adam": 18, "Rows": 2, "SGD": 0}[kind]
        for results in (*(loaded[count][number] for count in (1, 2, 4)), plain[number]):
            assert all(result == [weights, moments] for result in results)


def test_a_checkpoint_is_a_folder_that_torch_reads(ranks: Ranks) -> None:
    results = run(ranks, 2, {"event": "iterations"}, {"load": "checkpoints/checkpoint_20.pt", "sharded_on": []})
    weights = results[1][0][0]
    folder = ranks.folder / "checkpoints"
    newest = folder / "checkpoint_20.pt"

    assert results[0][0][4] == "checkpoints/checkpoint_20.pt"
    assert sorted(path.name for path in folder.glob("*.pt")) == ["checkpoint_15.pt", "checkpoint_20.pt"]
    assert sorted(path.name for path in newest.iterdir()) == [shards_of(newest).name, "state.pt"]
    manifest = Checkpoint.manifest(newest)
    assert set(manifest["shards"]["files"]) == {".metadata", "__0_0.distcp", "__1_0.distcp"}
    assert manifest["iteration"] == 20

    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    dcp_to_torch_save(shards_of(newest), ranks.folder / "whole.pt")
    whole = torch.load(ranks.folder / "whole.pt", weights_only=True)
    assert whole["model.0.weight"].tolist() == weights[0]


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_manipulated_files_are_refused_and_run_no_code(ranks: Ranks) -> None:
    (expected,) = run(ranks, 2, STOPPED)
    original, ran = ranks.folder / "checkpoints", ranks.folder / "ran"
    changes = {
        ".metadata": lambda path: path.write_bytes(pickle.dumps(Malicious(ran))),
        "__0_0.distcp": lambda path: path.write_bytes(pickle.dumps(Malicious(ran)) + path.read_bytes()[50:]),
        "__1_0.distcp": lambda path: path.write_bytes(path.read_bytes()[:-8] + b"12345678"),
        "../state.pt": lambda path: path.write_bytes(path.read_bytes()[:-8]),
    }
    plans = []
    for number, (name, change) in enumerate(changes.items()):
        folder = shutil.copytree(original, ranks.folder / str(number))
        change(shards_of(folder / "checkpoint_10.pt") / name)
        only = shutil.copytree(folder, ranks.folder / f"only {number}")
        shutil.rmtree(only / "checkpoint_5.pt")
        plans += [{"folder": str(number)}, {"folder": f"only {number}"}]

    results = run(ranks, 2, {}, *plans)

    undisturbed = ends(results[0])
    assert [result[:2] for result in results[0]] == [["checkpoint_10.pt", 10]] * 2
    assert expected[0][0] is False
    for name, fallback, refused in zip(changes, results[1::2], results[2::2]):
        assert [result[:2] for result in fallback] == [["checkpoint_5.pt", 5]] * 2, name
        assert ends(fallback) == undisturbed
        for kind, message in refused:
            assert kind in ("RuntimeError", "MeetingError")
            assert "none of the checkpoints is valid" in message
            assert Path(name).name.replace("state", "checkpoint_10") in message
    assert not ran.exists()


def test_metadata_with_a_forged_checksum_is_never_unpickled(ranks: Ranks, monkeypatch: pytest.MonkeyPatch) -> None:
    run(ranks, 2, STOPPED)
    newest, ran = ranks.folder / "checkpoints" / "checkpoint_10.pt", ranks.folder / "ran"
    data = pickle.dumps(Malicious(ran))
    metadata = shards_of(newest) / ".metadata"
    before = [metadata.stat().st_size, hashlib.sha256(metadata.read_bytes()).hexdigest()]
    metadata.write_bytes(data)
    manifest = Checkpoint.manifest
    forge(newest / "state.pt", before, [len(data), hashlib.sha256(data).hexdigest()])

    assert manifest(newest)["shards"]["files"][".metadata"][0] == len(data)
    ((result, _),) = [run(ranks, 2, {})[0]]
    assert result[:2] == ["checkpoint_10.pt", 10]
    assert not ran.exists()


def forge(path: Path, old: Any, new: Any) -> None:
    """Replace a value in the manifest of a file, and make its checksum right again."""
    from fsm_engine.handlers.checkpoint import checksummed_file

    manifest = checksummed_file.read_manifest(path)
    content = torch.load(path, weights_only=True)
    facts = {key: value for key, value in manifest.items() if key not in ("format", "written_ns", "versions", "size")}
    facts = json.loads(json.dumps(facts).replace(json.dumps(old), json.dumps(new)))
    with path.open("wb+") as file:
        checksummed_file.write_checksummed(content, file, facts)


def test_a_rank_that_is_killed_while_it_saves_leaves_the_earlier_checkpoints(ranks: Ranks) -> None:
    plan = {"event": "iterations", "kill": 2, "raise": True}
    started = ranks.start(2, PROGRAM, json.dumps([plan]), str(ranks.folder))
    statuses = [child.wait() for child in started]
    folder = ranks.folder / "checkpoints"
    half = folder / "checkpoint_10.pt"
    assert statuses == [1, -9]
    assert half.is_dir()
    assert not (half / "state.pt").exists()

    resumed, undisturbed = run(ranks, 2, {}, {"folder": "none"})

    assert not half.exists()
    assert [result[:2] for result in resumed] == [["checkpoint_5.pt", 5]] * 2
    assert ends(resumed) == ends(undisturbed)


def test_a_model_alone_is_saved_and_resumed(ranks: Ranks) -> None:
    saved, resumed = run(ranks, 2, *[{"event": "iterations", "only_model": True}] * 2)

    assert [result[:2] for result in saved] == [[False, 0]] * 2
    assert [result[:2] for result in resumed] == [["model_20.pt", 0]] * 2


def test_one_name_is_overwritten_by_a_complete_checkpoint_only(ranks: Ranks) -> None:
    first, resumed = run(ranks, 2, {"handler": "model", "stop": {"at": 15, "how": "terminate"}}, {"handler": "model"})
    best = ranks.folder / "checkpoints" / "best.pt"

    assert first[0][4] == first[1][4] == "checkpoints/best.pt"
    assert resumed[0][0] == "best.pt"
    assert resumed[0][1] in (7, 14)
    assert len(list(best.iterdir())) == 2
    Checkpoint.manifest(best)


def test_mistakes_end_on_every_rank_with_an_error(ranks: Ranks) -> None:
    cases = {
        "give all ranks a folder that they share": {"folders": ["one", "other"]},
        "alike on all ranks": {"sharded_on": [0]},
        "ranks.attach(engine)": {"attach": False},
        "Stages of a pipeline": {"stages": True},
        "fully_shard(model)": {"wrapped": True},
    }
    for part, plan in cases.items():
        plan = {"event": "started", "raise": True, **plan}
        started = ranks.start(2, PROGRAM, json.dumps([plan]), str(ranks.folder))
        assert [child.wait() for child in started] == [1, 1], part
        for child in started:
            kind, message = reports(child)[-1]
            assert part in message, (kind, message)
