"""The cost of fsm_engine and of other training libraries, relative to a bare PyTorch loop: a table and a plot.

Run ``python benchmarks/peers.py``; README.md in this folder explains the table. It needs no package: each library is
installed in a virtual environment of its own, and measured by `peers.worker` in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from environments import Environments
from peers_measurement import PEERS, measure
from peers_plot import plot
from peers_table import page, table


def measure_all(names: Iterable[str], environments: Environments, turns: int, stored: Path) -> dict[str, Any]:
    """Measure the peers called `names`, and return all rows; the rows of other peers are read from `stored`.

    The file is written after each peer, so an interrupted run keeps its rows.
    """
    results: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {"peers": {}}
    for peer in (peer for peer in PEERS if peer.name in names):
        print(f"measuring {peer.title}", file=sys.stderr, flush=True)
        results |= {"machine": machine(), "turns": turns}
        results["peers"][peer.name] = measure(peer, environments, turns)
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


def machine() -> str:
    """Describe this machine."""
    return f"Python {platform.python_version()}, {platform.system()}, {platform.machine()}, {os.cpu_count()} CPU cores"


def write(results: dict[str, Any], folder: Path) -> None:
    """Write the page and the plot of `results` into `folder`."""
    (folder / "peers.md").write_text(page(results), encoding="utf-8")
    (folder / "peers.svg").write_text(plot(results, "auto"), encoding="utf-8")


def main() -> None:
    """Parse the command line, measure, print the table, and write it with the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fsm_engine" / "peers"
    names = [peer.name for peer in PEERS]
    parser.add_argument("--environments", type=Path, default=cache, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--torch", default="torch", metavar="REQUIREMENT", help="for example torch==2.13.0")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: results in the folder of environments")
    parser.add_argument("--only", action="append", choices=names, metavar="PEER", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="few turns: rough")
    parser.add_argument("--report", action="store_true", help="measure nothing; write table and plot from peers.json")
    args = parser.parse_args()
    output = args.output or args.environments / "results"
    measured = [] if args.report else args.only or names
    environments = Environments(args.environments.resolve(), args.torch)
    results = measure_all(measured, environments, 5 if args.quick else 15, output / "peers.json")
    write(results, output)
    print(table(results))
    print(f"\nThe table and the plot are in {output}.")


if __name__ == "__main__":
    main()
