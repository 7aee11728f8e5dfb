"""Checkpoints of several ranks: one file, from which every rank continues exactly, or none does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks, reports  # noqa: E402

PROGRAM = """
    import hashlib, logging, pickle, random
    from pathlib import Path
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import TensorDataset
    from fsm_engine import create_supervised_trainer
    from fsm_engine._util.rng import rng_states
    from fsm_engine.handlers import Checkpoint, EMAHandler, EpochOutputStore
    from fsm_engine.metrics import RunningAverage
    logging.basicConfig(format="%(levelname)s %(message)s")
    torch.set_num_threads(1)

    plans = json.loads(sys.argv[2])
    os.chdir(sys.argv[3])
    EVENTS = {
        "iterations": Events.ITERATION_COMPLETED(every=5),
        "started": Events.ITERATION_STARTED(every=5),
        "epochs": Events.EPOCH_COMPLETED,
        "interrupt": Events.INTERRUPT,
        "terminate": Events.TERMINATE,
    }

    def fingerprint(*values):
        return hashlib.sha256(pickle.dumps([str(value) for value in values])).hexdigest()[:16]

    def train(ranks, plan):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        parallel = DistributedDataParallel(model) if ranks.world_size > 1 else model
        data = TensorDataset(torch.randn(56, 4), torch.randint(2, (56,)))
        torch.manual_seed(rank + 1)
        random.seed(rank + 1)
        loader = ranks.loader(data, batch_size=4, shuffle=True, num_workers=0)
        trainer = create_supervised_trainer(parallel, optimizer, nn.functional.cross_entropy)
        RunningAverage(output_transform=float).attach(trainer, "loss")
        EpochOutputStore().attach(trainer, "losses")
        EMAHandler(model).attach(trainer)
        drawn = []
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: drawn.append(random.random()))
        if plan.get("attach", True):
            ranks.attach(trainer)
        folder = plan["folders"][rank] if "folders" in plan else plan.get("folder", "checkpoints")
        to_save = {"model": parallel, "optimizer": optimizer, "trainer": trainer}
        checkpoint = Checkpoint(to_save, folder, n_saved=2, background=plan.get("background", False))
        if "without" in plan:  # in a lambda, because the ranks compare the checkpoints that they have attached
            trainer.add_event_handler(EVENTS[plan["event"]], lambda e: rank == plan["without"] or checkpoint(e))
        elif plan.get("event"):
            trainer.add_event_handler(EVENTS[plan["event"]], checkpoint)
        stop = plan.get("stop", {})

        @trainer.on(Events.ITERATION_COMPLETED)
        def stop_here(engine):
            if engine.state.iteration == stop.get("at") and rank in stop.get("ranks", [rank]):
                if stop["how"] == "kill":
                    os.kill(os.getpid(), 9)
                getattr(engine, stop["how"])()

        @trainer.on(Events.EPOCH_STARTED)
        def shorten_timeout():  # not sooner, because the ranks have to meet before
            if plan.get("timeout_of_rank_0") and rank == 0:
                ranks._meeting.timeout = plan["timeout_of_rank_0"]

        resumed = checkpoint.resume()
        begun = trainer.state.iteration
        trainer.run(loader, max_epochs=3)
        weights = [tensor.tolist() for tensor in model.state_dict().values()]
        moments = [tensor.tolist() for state in optimizer.state.values() for tensor in state.values()]
        end = fingerprint(weights, moments), fingerprint(rng_states()), trainer.state.metrics["loss"]
        return resumed and resumed.name, begun, trainer.outcome, end, checkpoint.last_checkpoint is not None

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

EPOCH = 7
CASES: list[tuple[str, str, list[int], int | None]] = [
    ("iterations", "interrupt", [1], 10),
    ("started", "terminate", [0, 1], 10),
    ("epochs", "terminate", [0], EPOCH),
    ("interrupt", "interrupt", [1], None),
    ("interrupt", "interrupt", [0], None),
    ("terminate", "terminate", [1], None),
]
STOPPED = {"event": "iterations", "stop": {"at": 11, "how": "interrupt"}}


def run(ranks: Ranks, count: int, *plans: dict[str, Any]) -> list[Any]:
    """Return for each plan the results of the ranks."""
    return list(zip(*ranks.run(count, PROGRAM, json.dumps(plans), str(ranks.folder))))


def ends(results: Any) -> list[Any]:
    return [end for _, _, _, end, _ in results]


def files(folder: Path) -> list[str]:
    return sorted((path.name for path in folder.glob("*.pt")), key=lambda name: int(name[11:-3]))


def test_every_rank_continues_exactly(ranks: Ranks) -> None:
    plans: list[dict[str, Any]] = [{"folder": "none"}]
    for number, (event, how, asker, _) in enumerate(CASES):
        plan = {"event": event, "folder": str(number)}
        plans += [{**plan, "stop": {"at": 12, "how": how, "ranks": asker}}, plan]

    undisturbed, *rest = run(ranks, 2, *plans)

    expected = ends(undisturbed)
    assert expected[0][0] != expected[1][0]  # the statistics of BatchNorm are of the rank's own last batch
    assert expected[0][1] != expected[1][1]  # the generators
    for (event, how, asker, begun), stopped, resumed in zip(CASES, rest[::2], rest[1::2]):
        outcome = "interrupted" if how == "interrupt" else "terminated"
        assert [result[2] for result in stopped] == [outcome] * 2, (event, how, asker)
        assert all(has_saved for *_, has_saved in stopped)
        assert resumed[0][1] == resumed[1][1]
        assert resumed[0][1] in ([begun] if begun else [12, 13, 14])
        assert ends(resumed) == expected, (event, how, asker)


@pytest.mark.parametrize("killed", [[0, 1], [1]])
def test_killed_ranks_continue_exactly_in_new_processes(ranks: Ranks, killed: list[int]) -> None:
    plan = {"event": "iterations", "stop": {"at": 12, "how": "kill", "ranks": killed}}
    started = ranks.start(2, PROGRAM, json.dumps([plan]), str(ranks.folder))
    statuses = [child.wait() for child in started]

    resumed, undisturbed = run(ranks, 2, {}, {"folder": "none"})

    assert [statuses[rank] for rank in killed] == [-9] * len(killed)
    assert 0 not in statuses
    assert [result[:2] for result in resumed] == [["checkpoint_10.pt", 10]] * 2
    assert ends(resumed) == ends(undisturbed)


def test_a_file_holds_equal_weights_once(ranks: Ranks) -> None:
    run(ranks, 2, {"event": "iterations", "background": True})

    folder = ranks.folder / "checkpoints"
    names = files(folder)
    content = torch.load(folder / names[-1], weights_only=True)
    ((rank, difference),) = content["other_ranks"].items()

    assert len(names) == 2
    assert rank == 1
    assert set(difference["items"]) == {"model", "trainer"}
    assert set(difference["items"]["model"]["items"]) == {"1.running_mean", "1.running_var"}
    handlers = difference["items"]["trainer"]["items"]["handlers"]["items"]
    assert "RunningAverage" in handlers
    assert set(handlers["EMAHandler"]["items"]["ema_model"]["items"]) <= {"1.running_mean", "1.running_var"}


def test_another_number_of_ranks_is_refused_by_each(ranks: Ranks) -> None:
    for count in (1, 2, 3):
        run(ranks, count, {**STOPPED, "folder": str(count)})
    for path in (ranks.folder / "1").glob("*.pt"):
        assert list(torch.load(path, weights_only=True)) == ["model", "optimizer", "trainer"]

    (alone,) = run(ranks, 1, {"folder": "2"})
    two = run(ranks, 2, {"folder": "1"}, {"folder": "3"}, {"folder": "2", "attach": False})

    refusals = [alone, *two]
    assert [len(refused) for refused in refusals] == [1, 2, 2, 2]
    for part, refused in zip(["2 processes", "one process", "3 processes", "ranks.attach(engine)"], refusals):
        for _, message in refused:
            assert part in message
            assert "load_objects" in message


def test_a_rank_without_the_file_makes_all_refuse(ranks: Ranks) -> None:
    run(ranks, 2, {**STOPPED, "folder": "all"})
    folders = {name: ranks.folder / name for name in ("all", "missing", "other", "same", "damaged")}
    for name in ("missing", "other", "same", "damaged"):
        shutil.copytree(folders["all"], folders[name])
    older, newest = files(folders["all"])
    (folders["missing"] / newest).unlink()
    shutil.copyfile(folders["all"] / older, folders["other"] / newest)
    damaged = folders["damaged"] / newest
    damaged.write_bytes(damaged.read_bytes()[:-100])

    *refusals, same, skipped = run(
        ranks,
        2,
        *({"folders": ["all", name]} for name in ("missing", "other", "damaged")),
        {"folders": ["empty", "all"]},
        {"folders": ["all", "same"]},
        {"folder": "damaged"},
    )

    parts = [f"{newest}, because some cannot load it: rank 1", "is another file", "rank 1: ", "ranks have: rank 1"]
    for part, refused in zip(parts, refusals):
        assert len(refused) == 2
        for _, message in refused:
            assert part in message
    assert [result[:2] for result in same] == [[newest, 10]] * 2
    assert [result[:2] for result in skipped] == [[older, 5]] * 2
    assert ends(same) == ends(skipped)


def test_a_rank_that_does_not_save_is_named(ranks: Ranks) -> None:
    plan = {"event": "iterations", "without": 1, "timeout_of_rank_0": 1, "raise": True}
    started = ranks.start(2, PROGRAM, json.dumps([plan]), str(ranks.folder))

    assert [child.wait() for child in started] == [1, 1]
    assert "rank 1 did not come" in reports(started[0])[-1][1]


LIGHT = """
    import logging, random
    from fsm_engine.handlers import Checkpoint
    logging.basicConfig(format="%(levelname)s %(message)s")
    os.chdir(sys.argv[3])

    class Part:
        def state_dict(self):
            if sys.argv[2] == "state" and rank == 1:
                raise KeyError("no state here")
            return {"made by": rank, "not plain": print if sys.argv[2] == "plain" and rank == 1 else 0}

        def load_state_dict(self, state):
            report(state["made by"])
            if sys.argv[2] == "load" and rank == 1:
                raise KeyError("it does not fit")

    def step(engine, batch):
        if sys.argv[2] == "failure" and rank == 1 and engine.state.iteration == 3:
            raise ValueError("a bad batch")

    def save(trainer, **options):
        checkpoint = Checkpoint({"part": Part(), "trainer": trainer}, "checkpoints", **options)
        checkpoint.attach = lambda event: trainer.add_event_handler(event, checkpoint)
        return checkpoint

    def main(ranks):
        trainer = Engine(step)
        ranks.attach(trainer)
        trainer.state.place = rank
        if sys.argv[2] == "steps":
            steps = [[1, 5, 2, 6, 3], [9, 1, 8, 1, 7]][rank]
            checkpoint = save(trainer, n_saved=2, global_step_transform=lambda e, _: steps[e.state.iteration - 1])
            checkpoint.attach(Events.ITERATION_COMPLETED)
            trainer.register_events(Checkpoint.SAVED_CHECKPOINT)
            trainer.add_event_handler(Checkpoint.SAVED_CHECKPOINT, lambda: report(trainer.state.iteration))
            trainer.run(range(5))
            report(str(checkpoint.last_checkpoint))
        elif sys.argv[2] == "place":
            where = Events.ITERATION_COMPLETED(once=2 + rank)  # attached after the ranks have compared their handlers
            trainer.add_event_handler(Events.EPOCH_STARTED, lambda: save(trainer).attach(where))
            trainer.run(range(5))
        elif sys.argv[2] == "failure":
            save(trainer, n_saved=None).attach(Events.ITERATION_COMPLETED | Events.EXCEPTION_RAISED)
            trainer.run(range(5))
        else:
            checkpoint = save(trainer, save_on_rank={"rank": 7, "writer": 1}.get(sys.argv[2], 0))
            checkpoint.attach(Events.ITERATION_COMPLETED(once=2))
            trainer.run(range(5))
            trainer.state.place = -1
            report(checkpoint.resume().name)
            report(trainer.state.place)

    status = 1
    try:
        with session() as ranks:
            main(ranks)
        status = 0
    except Exception as error:
        report([type(error).__name__, str(error)])
    finally:
        os._exit(status)
"""


def light(ranks: Ranks, case: str) -> tuple[list[int], list[list[Any]]]:
    started = ranks.start(2, LIGHT, case, str(ranks.folder))
    statuses = [child.wait() for child in started]
    return statuses, [reports(child) for child in started]


def test_rank_zero_decides_which_files_are_kept(ranks: Ranks) -> None:
    statuses, saved = light(ranks, "steps")

    assert statuses == [0, 0]
    assert saved == [[1, 2, 3, 4, "checkpoints/checkpoint_6.pt"]] * 2
    assert files(ranks.folder / "checkpoints") == ["checkpoint_5.pt", "checkpoint_6.pt"]


def test_another_rank_may_write_the_file(ranks: Ranks) -> None:
    statuses, loaded = light(ranks, "writer")

    assert statuses == [0, 0]
    assert loaded == [[rank, "checkpoint_2.pt", rank] for rank in (0, 1)]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("state", "KeyError: 'no state here'"),
        ("plain", "is a builtins.builtin_function_or_method"),
        ("place", "iteration 2; rank 1: save 'checkpoint' at Events.ITERATION_COMPLETED, epoch 1, iteration 3"),
        ("load", "rank 1: RuntimeError: The checkpoint does not fit to_load['part']"),
        ("rank", "rank 7 should save 'checkpoint'"),
        ("failure", "a bad batch"),
    ],
)
def test_an_error_of_one_rank_ends_all(ranks: Ranks, case: str, message: str) -> None:
    statuses, reported = light(ranks, case)

    assert statuses == [1, 1]
    for values in reported:
        if case == "state" and values[-1][0] == "KeyError":  # its own
            continue
        assert message in values[-1][1]
    if case == "failure":  # EXCEPTION_RAISED saves nothing, because the ranks are at other places
        assert files(ranks.folder / "checkpoints") == ["checkpoint_1.pt", "checkpoint_2.pt"]
