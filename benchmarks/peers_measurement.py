"""Measures the libraries of `peers.py`, each in an environment of its own."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import SHARED, CommandError, Environment, Environments

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Peer:
    """A library that is measured.

    Attributes:
        name: the module in the folder `peers` that uses it.
        title: its name in the table.
        distribution: the distribution whose version the table shows.
        requirements: what pip installs, beside torch.
        environment: the name of its environment.
    """

    name: str
    title: str
    distribution: str
    requirements: tuple[str, ...]
    environment: str

    @property
    def source(self) -> Path:
        """The file that uses it."""
        return HERE / "peers" / f"{self.name}.py"


PEERS = (
    Peer("bare", "bare loop", "torch", (), SHARED),
    Peer("fsm_engine", "fsm_engine", "fsm-engine", (str(HERE.parent),), "fsm_engine"),
    Peer("ignite", "Ignite", "pytorch-ignite", ("pytorch-ignite",), "ignite"),
    Peer("lightning_trainer", "Lightning Trainer", "lightning", ("lightning",), "lightning"),
    Peer("lightning_fabric", "Lightning Fabric", "lightning", ("lightning",), "lightning"),
    Peer("accelerate", "Accelerate", "accelerate", ("accelerate",), "accelerate"),
    Peer("composer", "Composer", "mosaicml", ("mosaicml",), "composer"),
    # torchtnt imports pkg_resources, which setuptools 81 removed
    Peer("torchtnt", "torchtnt", "torchtnt", ("torchtnt", "setuptools<81"), "torchtnt"),
    Peer("transformers_trainer", "HF Trainer", "transformers", ("transformers", "accelerate"), "transformers"),
    Peer("fastai", "fastai", "fastai", ("fastai",), "fastai"),
    Peer("skorch", "skorch", "skorch", ("skorch",), "skorch"),
    Peer("keras", "Keras", "keras", ("keras",), "keras"),
)


def measure(peer: Peer, environments: Environments, turns: int) -> dict[str, Any]:
    """Install and measure `peer`, and return its row; the row of a peer that failed has an `error`."""
    row: dict[str, Any] = {"title": peer.title, "date": datetime.date.today().isoformat()}
    try:
        renew = [one for one in peer.requirements if Path(one).is_absolute()]
        environment = environments.make(peer.environment, peer.requirements, renew)
    except CommandError as error:
        return row | {"error": f"not installed: {error}"}
    try:
        return row | {
            "version": version(environment, peer.distribution),
            "torch": version(environment, "torch"),
            **figures(environment, peer.name, turns),
            "lines": len(list(counted(user_code(peer.source.read_text(encoding="utf-8"))))),
        }
    except CommandError as error:
        return row | {"error": f"failed: {error}"}


def version(environment: Environment, distribution: str) -> str:
    """Return the version of a distribution in `environment`."""
    return environment.run("-c", f"import importlib.metadata as m; print(m.version({distribution!r}))").strip()


def figures(environment: Environment, name: str, turns: int) -> dict[str, Any]:
    """Run `peers.worker` in `environment`, and return the line that it prints last."""
    environment.run("-c", f"import peers.jobs, peers.{name}", path=HERE)  # writes bytecode
    printed = environment.run("-m", "peers.worker", name, str(turns), path=HERE)
    return dict(json.loads(printed.splitlines()[-1]))


def user_code(source: str) -> Iterator[str]:
    """Yield the lines of `source` between ``# user code`` and ``# end of user code``."""
    inside = False
    for line in source.splitlines():
        if line.strip() in ("# user code", "# end of user code"):
            inside = line.strip() == "# user code"
        elif inside:
            yield line


def counted(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines that are neither empty nor comments nor docstrings."""
    for line in map(str.strip, lines):
        if line and not line.startswith(("#", '"""')):
            yield line
