"""Programs that run in several processes at once, forked from a process that has imported torch."""

from __future__ import annotations

import json
import signal
import socket
import textwrap
from pathlib import Path
from typing import Any

from children import Child, Children

PROLOGUE = """
    import json, os, sys, time
    os.environ.update(json.loads(sys.argv[1]))
    rank = int(os.environ["RANK"])
    import torch
    import torch.distributed as c10d
    from fsm_engine import Engine, Events
    from fsm_engine.distributed import session

    def report(value):
        print("REPORT " + json.dumps(value), flush=True)

    def wait_for(name):  # until the test calls Ranks.release(name)
        while not os.access(os.path.join(os.environ["RANKS_FOLDER"], name), os.F_OK):
            time.sleep(0.002)

    def join():  # before a session with a short timeout, which should not apply to the start of the processes
        c10d.init_process_group("gloo")
"""


class Ranks:
    """Starts a program in several processes that find each other, as ``torchrun`` does."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._children, self.folder = children, folder
        self._started: list[Child] = []
        self._ports: list[socket.socket] = []

    def start(self, count: int, code: str, *arguments: str, **environment: str) -> list[Child]:
        """Start `code` in `count` processes. It has the names of `PROLOGUE`, and `report` for its result."""
        rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self.port()), "WORLD_SIZE": str(count)}
        started = []
        for rank in range(count):
            own = {**rendezvous, "RANK": str(rank), "LOCAL_RANK": str(rank), "RANKS_FOLDER": str(self.folder)}
            text = textwrap.dedent(PROLOGUE) + textwrap.dedent(code)
            started.append(self._children.start(self.folder, text, json.dumps({**own, **environment}), *arguments))
        self._started += started
        return started

    def run(self, count: int, code: str, *arguments: str, **environment: str) -> list[list[Any]]:
        """Return the values that each process has reported.

        Raises:
            AssertionError: a process ended with an error.
        """
        started = self.start(count, code, *arguments, **environment)
        statuses = [child.wait() for child in started]
        errors = "\n".join(child.err.read_text()[-3000:] for child in started)
        assert statuses == [0] * count, errors
        return [reports(child) for child in started]

    def launch(self, code: str, *arguments: str) -> Child:
        """Start `code`, which starts processes itself, in one process."""
        return self._children.start(self.folder, textwrap.dedent(code), *arguments)

    def release(self, name: str) -> None:
        """Let the processes continue that have called ``wait_for(name)``."""
        (self.folder / name).touch()

    def port(self) -> int:
        """Return a port that no process listens on, and which the system gives to no other process until `close`."""
        reserved = socket.socket()
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so that one process can listen on it
        reserved.bind(("127.0.0.1", 0))
        self._ports.append(reserved)
        return int(reserved.getsockname()[1])

    def close(self) -> None:
        """Kill the processes that still run, after a failed test for example, and give the ports back."""
        for child in self._started:
            if child.status is None:
                child.send_signal(signal.SIGKILL)
                child.wait()
        for port in self._ports:
            port.close()


def reports(child: Child) -> list[Any]:
    """Return the values that `child` has reported so far."""
    lines = child.out.read_text().splitlines()
    return [json.loads(line.removeprefix("REPORT ")) for line in lines if line.startswith("REPORT ")]
