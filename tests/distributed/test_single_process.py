"""One process: the same results as ``ignite.distributed`` has without a process group."""

from __future__ import annotations

import inspect
import logging
import socket
from datetime import timedelta
from typing import Any

import ignite.distributed
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset, WeightedRandomSampler

from fsm_engine import Engine, distributed

CALLS = {
    "get_rank": lambda d: d.get_rank(),
    "get_local_rank": lambda d: d.get_local_rank(),
    "get_world_size": lambda d: d.get_world_size(),
    "get_nproc_per_node": lambda d: d.get_nproc_per_node(),
    "get_nnodes": lambda d: d.get_nnodes(),
    "get_node_rank": lambda d: d.get_node_rank(),
    "backend": lambda d: d.backend(),
    "model_name": lambda d: d.model_name(),
    "device": lambda d: d.device(),
    "hostname": lambda d: d.hostname(),
    "all_reduce": lambda d: d.all_reduce(2.5, op="MAX"),
    "all_gather of a number": lambda d: d.all_gather(2),
    "all_gather of a string": lambda d: d.all_gather("a"),
    "all_gather of a tensor": lambda d: d.all_gather(torch.tensor([1, 2])).tolist(),
    "all_gather_tensors_with_shapes": lambda d: [
        t.tolist() for t in d.all_gather_tensors_with_shapes(torch.ones(1, 2), ((1, 2),))
    ],
    "broadcast": lambda d: d.broadcast("a", src=0),
    "barrier": lambda d: d.barrier(),
    "new_group": lambda d: d.new_group([0]),
    "sync": lambda d: d.sync(),
    "one_rank_only": lambda d: d.one_rank_only()(lambda: "called")(),
    "one_rank_only elsewhere": lambda d: d.one_rank_only(rank=1)(lambda: "called")(),
    "auto_optim": lambda d: type(d.auto_optim(torch.optim.SGD([torch.zeros(1)], lr=0.1))),
    "auto_model": lambda d: d.auto_model(torch.nn.Linear(1, 1)).weight.device.type,
    "auto_dataloader": lambda d: len(d.auto_dataloader(TensorDataset(torch.zeros(5)), batch_size=2)),
    "Parallel": lambda d: parallel_calls(d),
}


OWN_NAMES = {"AgreementError", "RankError", "RankMismatchError", "Session", "launch", "rank_zero", "session"}


def parallel_calls(library: Any) -> list[Any]:
    calls: list[Any] = []
    with library.Parallel(backend=None) as parallel:
        parallel.run(lambda *args, **kwargs: calls.append((args, kwargs)), 1, key=2)
    return calls


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize("call", CALLS)
def test_results_are_those_of_ignite(call: str) -> None:
    assert CALLS[call](distributed) == CALLS[call](ignite.distributed)


def test_arguments_are_those_of_ignite() -> None:
    for name in distributed.__all__:
        if name in OWN_NAMES:
            continue
        ours, theirs = getattr(distributed, name), getattr(ignite.distributed, name)
        if not callable(ours):
            continue
        accepts = inspect.signature(ours).parameters
        for parameter in inspect.signature(theirs).parameters:
            assert parameter in accepts or "kwargs" in accepts, (name, parameter)


def test_one_rank_first_runs_the_block() -> None:
    with distributed.one_rank_first():
        ran = True
    assert ran
    with pytest.raises(ValueError, match="rank should be between 0 and 0"), distributed.one_rank_first(rank=3):
        pass


def test_new_group_of_something_else_is_an_error() -> None:
    for library in (distributed, ignite.distributed):
        with pytest.raises(ValueError, match="list of int"):
            library.new_group("0")


@pytest.mark.parametrize(
    "ask", [lambda: distributed.Parallel(nnodes=2), lambda: distributed.spawn("gloo", print, (), nnodes=2)]
)
def test_several_machines_need_torchrun(ask: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"nnodes=2.*torchrun --nnodes 2"):
        ask()


@pytest.mark.parametrize(
    "begin", [distributed.Parallel, distributed.initialize, lambda: distributed.session().__enter__()]
)
def test_an_incomplete_environment_of_a_launcher_is_an_error(monkeypatch: pytest.MonkeyPatch, begin: Any) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(RuntimeError, match=r"WORLD_SIZE, but not RANK, MASTER_ADDR, MASTER_PORT.*torchrun"):
        begin()


def test_spawn_calls_the_function_with_the_local_rank() -> None:
    calls: list[Any] = []
    distributed.spawn("gloo", lambda *args, **kwargs: calls.append((args, kwargs)), (1,), {"key": 2})
    assert calls == [((0, 1), {"key": 2})]


def test_show_config_logs_the_rank(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fsm_engine.distributed"):
        distributed.show_config()
    assert "rank 0" in caplog.text
    distributed.set_local_rank(0)
    distributed.finalize()
    distributed.barrier()


def test_wrappers_that_need_a_process_group_work_in_a_session_of_one_process() -> None:
    def train() -> None:
        with distributed.session() as ranks:
            model = DistributedDataParallel(torch.nn.Linear(1, 1).to(ranks.device))
            model(torch.ones(1, 1, device=ranks.device)).sum().backward()
            assert model.module.weight.grad == torch.ones(1, 1)
            assert [distributed.backend(), distributed.model_name(), distributed.device()] == alone
            raise KeyError("the session has to leave the group")

    alone = [distributed.backend(), distributed.model_name(), distributed.device()]
    for _ in range(2):
        with pytest.raises(KeyError):
            train()
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("rank", [0, 1])
def test_proxy_sampler_draws_the_share_that_it_draws_in_ignite(rank: int) -> None:
    weighted = WeightedRandomSampler([1.0, 2.0, 3.0, 4.0, 5.0], 5)
    drawn = []
    for library in (distributed, ignite.distributed):
        sampler = library.DistributedProxySampler(weighted, num_replicas=2, rank=rank)
        sampler.set_epoch(3)
        drawn.append(list(sampler))
        with pytest.raises(TypeError, match="Argument sampler"):
            library.DistributedProxySampler(None)
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("name", ["timeout", "stall_after"])
@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1.5, ValueError), ("5", TypeError), (timedelta(seconds=5), TypeError)]
)
def test_times_that_are_not_positive_numbers_are_errors(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"session\({name}=.*seconds"), distributed.session(**{name: value}):
        pass


def test_a_port_that_is_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, value)
        expected = rf"listens at MASTER_PORT already \(.*MASTER_PORT={port}\)\. Set another MASTER_PORT"
        with pytest.raises(RuntimeError, match=expected), distributed.session():
            pass


def test_what_a_session_cannot_use_is_an_error() -> None:
    with distributed.session() as ranks:
        with pytest.raises(TypeError, match=r"range_iterator.*DataLoader\(dataset\)"):
            ranks.loader(iter(range(3)))  # type: ignore[arg-type]
        for option in ("sampler", "batch_sampler"):
            with pytest.raises(TypeError, match=rf"{option}= was given.*sampler=DistributedProxySampler\(sampler\)"):
                ranks.loader(TensorDataset(torch.zeros(3)), 2, **{option: [0]})
        with pytest.raises(TypeError, match=r"ranks\.attach\(trainer\)"):
            ranks.attach([Engine(lambda engine, batch: None)])  # type: ignore[arg-type]


def test_launch_needs_a_function_and_a_process() -> None:
    with pytest.raises(TypeError, match="2 is not callable"):
        distributed.launch(2, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one process at least"):
        distributed.launch(print, 0)
