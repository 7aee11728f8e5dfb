"""Two processes: the same results as ``ignite.distributed`` has, and processes that are started by name."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks  # noqa: E402

SAME_AS_IGNITE = """
    import importlib
    from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

    lib = importlib.import_module(sys.argv[2])
    lib.initialize("gloo")
    data = TensorDataset(torch.arange(10))
    seen = []

    report([lib.get_rank(), lib.get_world_size(), lib.get_local_rank(), lib.get_nproc_per_node(), lib.get_nnodes(),
            lib.get_node_rank(), lib.backend(), lib.model_name(), str(lib.device())])
    report([lib.all_reduce(rank + 1), lib.all_reduce(rank + 0.5, op="MAX"), lib.all_reduce(rank + 2, op="PRODUCT"),
            lib.all_reduce(torch.tensor([rank, 5])).tolist()])
    report([lib.all_gather(rank), lib.all_gather(rank / 2), lib.all_gather("r" * (rank + 1)), lib.all_gather([rank]),
            lib.all_gather(torch.tensor([[rank, 1]])).tolist(), lib.all_gather(torch.tensor(rank)).tolist()])
    shapes = [(1, 2), (2, 3)]
    gathered = lib.all_gather_tensors_with_shapes(torch.full(shapes[rank], float(rank)), shapes)
    report([tensor.tolist() for tensor in gathered])
    report([lib.broadcast(rank, src=1), lib.broadcast("ab"[rank], src=0),
            lib.broadcast(torch.tensor([rank]), src=1).tolist(),
            lib.broadcast(torch.ones(2) if rank == 0 else None, src=0, safe_mode=True).tolist()])
    group = lib.new_group([0, 1])
    report([lib.all_reduce(rank, group=group), lib.all_reduce(rank, group=[0, 1]), lib.all_gather(rank, group=group)])

    lib.one_rank_only()(seen.append)("zero")
    lib.one_rank_only(rank=1, with_barrier=True)(seen.append)("one")
    with lib.one_rank_first(rank=1):
        seen.append("first")
    report(seen)

    loader = lib.auto_dataloader(data, batch_size=4, shuffle=False)
    report([[batch.tolist() for (batch,) in loader], type(loader.sampler).__name__, loader.num_workers])
    weighted = lib.auto_dataloader(data, batch_size=1, sampler=WeightedRandomSampler([1.0] * 10, 10), num_workers=3)
    report([type(weighted.sampler).__name__, weighted.batch_size, weighted.num_workers])
    model = lib.auto_model(torch.nn.Linear(1, 1))
    report(type(model).__name__)
    lib.finalize()
    report([lib.get_world_size(), lib.backend()])
"""


def test_two_processes_get_the_results_of_ignite(ranks: Ranks) -> None:
    environment = {"LOCAL_WORLD_SIZE": "2"}
    ours = ranks.run(2, SAME_AS_IGNITE, "fsm_engine.distributed", **environment)
    theirs = ranks.run(2, SAME_AS_IGNITE, "ignite.distributed", **environment)

    assert len(ours[0]) == 11
    assert ours == theirs


def test_functions_are_called_in_new_processes(ranks: Ranks) -> None:
    code = """
        from fsm_engine import distributed
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            del os.environ[name]

        def main(local_rank, path):
            total = distributed.all_reduce(local_rank + 1)
            with open(f"{path}/{local_rank}", "w") as file:
                file.write(str([distributed.get_world_size(), total]))

        def total():
            with session() as ranks:
                return [ranks.rank, distributed.all_reduce(1)]

        for number, start in enumerate((
            lambda path: distributed.spawn("gloo", main, (path,), nproc_per_node=2),
            lambda path: distributed.Parallel("gloo", nproc_per_node=2).run(main, path),
        )):
            path = f"{sys.argv[2]}/{number}"
            os.mkdir(path)
            start(path)
            report([open(f"{path}/{rank}").read() for rank in (0, 1)])
        report(distributed.launch(total, 2))
    """
    ((spawned, parallel, launched),) = ranks.run(1, code, str(ranks.folder))

    assert spawned == parallel == ["[2, 3]", "[2, 3]"]
    assert launched == [[0, 2], [1, 2]]
