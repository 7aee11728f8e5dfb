"""Programs that run in several processes at once, forked from a process that has imported torch."""

from __future__ import annotations

import json
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
"""


class Ranks:
    """Starts a program in several processes that find each other, as ``torchrun`` does."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._children, self.folder = children, folder

    def start(self, count: int, code: str, *arguments: str, **environment: str) -> list[Child]:
        """Start `code` in `count` processes. It has the names of `PROLOGUE`, and `report` for its result."""
        rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
        started = []
        for rank in range(count):
            own = {**rendezvous, "RANK": str(rank), "LOCAL_RANK": str(rank), **environment}
            text = textwrap.dedent(PROLOGUE) + textwrap.dedent(code)
            started.append(self._children.start(self.folder, text, json.dumps(own), *arguments))
        return started

    def run(self, count: int, code: str, *arguments: str, timeout: float = 60, **environment: str) -> list[list[Any]]:
        """Return the values that each process has reported.

        Raises:
            AssertionError: a process ended with an error.
            TimeoutError: a process runs for more than `timeout` seconds.
        """
        started = self.start(count, code, *arguments, **environment)
        statuses = [child.wait(timeout) for child in started]
        errors = "\n".join(child.err.read_text()[-3000:] for child in started)
        assert statuses == [0] * count, errors
        return [reports(child) for child in started]

    def launch(self, code: str, *arguments: str) -> Child:
        """Start `code`, which starts processes itself, in one process."""
        return self._children.start(self.folder, textwrap.dedent(code), *arguments)


def reports(child: Child) -> list[Any]:
    """Return the values that `child` has reported so far."""
    lines = child.out.read_text().splitlines()
    return [json.loads(line.removeprefix("REPORT ")) for line in lines if line.startswith("REPORT ")]


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
