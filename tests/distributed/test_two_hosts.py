"""A job on two hosts, which are two network namespaces of this machine, each with a host name of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from ranks import Ranks

ADDRESSES = ("10.213.7.1", "10.213.7.2")
SCRIPT = """
    import os, signal, socket, sys
    from pathlib import Path
    import torch
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import TensorDataset
    from fsm_engine import Events, create_supervised_trainer
    from fsm_engine.distributed import session
    from fsm_engine.handlers import Checkpoint

    folder, how = sys.argv[-2:]
    with session() as ranks:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
        data = TensorDataset(torch.randn(40, 4), torch.randint(2, (40,)))
        torch.manual_seed(ranks.rank)
        optimizer = torch.optim.Adam(model.parameters())
        parallel = DistributedDataParallel(model)
        trainer = create_supervised_trainer(parallel, optimizer, torch.nn.functional.cross_entropy)
        ranks.attach(trainer)
        checkpoint = Checkpoint({"model": model, "optimizer": optimizer, "trainer": trainer}, folder)
        trainer.add_event_handler(Events.ITERATION_COMPLETED(every=3), checkpoint)
        checkpoint.resume()
        begun = trainer.state.iteration
        if how == "kill" and begun == 0 and socket.gethostname() == "second":
            trainer.add_event_handler(Events.ITERATION_COMPLETED(once=8), os.kill, os.getpid(), signal.SIGKILL)
        trainer.run(ranks.loader(data, batch_size=4, shuffle=True), max_epochs=2)
        weights = [parameter.tolist() for parameter in model.parameters()]
        result = f"{socket.gethostname()} {trainer.state.iteration} {begun} {torch.rand(1).item()} {weights}"
        Path(f"{folder}.{ranks.rank}").write_text(result)
"""


def ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Return the names of two network namespaces that are connected by a pair of interfaces."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("needs root and the commands ip and unshare")
    names = [f"fsm-{uuid.uuid4().hex[:8]}" for _ in ADDRESSES]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", "net0", "netns", names[0], "type", "veth", "peer", "name", "net0", "netns", names[1])
            for name, address in zip(names, ADDRESSES):
                ip("-n", name, "addr", "add", f"{address}/24", "dev", "net0")
                for device in ("lo", "net0"):
                    ip("-n", name, "link", "set", device, "up")
            subprocess.run(["unshare", "-um", "true"], check=True)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"namespaces are not allowed here: {error.stderr}")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def train(hosts: list[str], folder: Path, how: str) -> list[list[str]]:
    """Train on both hosts with one rank each, and return their results."""
    script = folder / "train.py"
    script.write_text(textwrap.dedent(SCRIPT))
    names = folder / "hosts"
    names.write_text(f"127.0.0.1 localhost\n{ADDRESSES[0]} first\n{ADDRESSES[1]} second\n")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "net0",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    started = []
    for name, hostname, address in zip(hosts, ("first", "second"), ADDRESSES):
        torchrun = [
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{ADDRESSES[0]}:29400", "--rdzv-id", how),
            *("--local-addr", address, "--max-restarts", "3", str(script), str(folder / how), how),
        ]
        rename = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'  # seen in the namespaces only
        command = ["ip", "netns", "exec", name, "unshare", "-um", "sh", "-c", rename, str(names), hostname, *torchrun]
        with (folder / f"{how}.{hostname}.log").open("w") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    try:
        codes = [process.wait(timeout=900) for process in started]
    finally:
        for process in started:
            process.kill()
    assert codes == [0, 0], "\n".join(path.read_text()[-4000:] for path in folder.glob("*.log"))
    return results(folder / how)


def results(path: Path) -> list[list[str]]:
    """Return, per rank, the host, the iteration, the iteration that the process began with, and the state."""
    return [Path(f"{path}.{rank}").read_text().split(maxsplit=3) for rank in (0, 1)]


@pytest.mark.slow
def test_ranks_on_two_hosts_continue_after_one_is_killed(hosts: list[str], ranks: Ranks, tmp_path: Path) -> None:
    ranks.run(2, SCRIPT, str(tmp_path / "undisturbed"), "undisturbed")
    undisturbed, killed = results(tmp_path / "undisturbed"), train(hosts, tmp_path, "kill")

    assert {host for host, *_ in killed} == {"first", "second"}
    assert [int(begun) for _, _, begun, _ in undisturbed] == [0, 0]
    assert [int(begun) for _, _, begun, _ in killed] == [6, 6]
    assert [int(iteration) for _, iteration, _, _ in killed] == [10, 10]
    assert [end for *_, end in killed] == [end for *_, end in undisturbed]
