"""The table of `peers.py`, in Markdown, made from its stored results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]

COLUMNS = (
    "",
    "version",
    "torch",
    "no-op step",
    "digits MLP",
    "small CNN",
    "added per no-op step",
    "once per run",
    "import",
    "memory",
    "lines",
)
UNSTEADY = "~"

PAGE = """\
# fsm_engine and other training libraries

![{alt}](peers.svg)

{table}

Measured on {dates} with {machine}.
`python benchmarks/peers.py` measures again and writes this page; [peers.json](peers.json) has the figures, and [the
folder peers](../peers) the programs.

## Columns

- **no-op step, digits MLP, small CNN**: CPU time per iteration, divided by the time of the bare loop in the same
  environment, with half of the width of the middle half. The libraries and two identical bare loops take turns in one
  process, {turns} times; each turn is a run of some epochs with new objects, without its first epoch. A ratio with
  {unsteady} does not count: the second bare loop left 0.99 to 1.01 of the first in every attempt.
- **added per no-op step**: the time that the library adds to an iteration whose step does nothing.
- **once per run**: the time that a run on digits takes beside its epochs: set-up and clean-up. The garbage collector
  ignores objects from before the measurement, so collections that a library starts are cheaper than in a program.
- **import**: CPU seconds that the imports of the program take in a process that has imported torch and scikit-learn.
- **memory**: the growth of the peak of the resident memory of a process by importing the library and training on
  digits, after the bare loop has trained on them.
- **lines**: lines of the program that trains a given model, with its imports, without empty lines and comments.

## The work

All libraries get the same model, SGD with a learning rate of 0.1, cross-entropy, one thread, and a
`DataLoader(batches, batch_size=None)` of batches of 64 in a fixed order. Before the measurement, the losses of all
batches after training are compared with the bare loop's, and have to be equal within 0.01 %. The MLP has layers of 64,
32 and 10 units and trains on scikit-learn's digits. The CNN has two convolutions of 16 and 32 channels and one linear
layer. Progress bars, loggers, checkpoints and validation are off, as the documentation of each library says.

- The bare loop, Fabric, Accelerate and torchtnt read the loss in every iteration, as `create_supervised_trainer` does;
  the others do it when they log.
- Lightning's Trainer runs in its barebones mode, which is meant for measuring its overhead.
- Keras trains the PyTorch model as a `TorchModuleWrapper`, with its own loss and optimizer.
- The no-op step is a function of the user that does nothing. Accelerate and Fabric have no step, so their loader is
  measured. In fastai, a callback cancels the batch. Hugging Face's Trainer also calls the optimizer, and Composer the
  optimizer and the backward pass, of a model with one or two numbers.
- Accelerate and Hugging Face's Trainer move batches to their device; so does Fabric.
"""


def table(results: Mapping[str, Any]) -> str:
    """Return the rows as a Markdown table: by the ratio on digits, peers that failed last."""
    rows = list(results["peers"].values())
    measured = sorted((row for row in rows if "error" not in row), key=lambda row: row["jobs"]["digits"]["ratio"])
    failed = [row for row in rows if "error" in row]
    lines = [COLUMNS, ["---"] * 3 + ["---:"] * (len(COLUMNS) - 3)]
    lines += [list(cells(row)) for row in measured]
    lines += [[row["title"], row["error"].replace("|", "\\|"), *[""] * (len(COLUMNS) - 2)] for row in failed]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(row: Row) -> Iterator[str]:
    """Yield the cells of a peer that was measured."""
    yield row["title"]
    yield row["version"]
    yield row["torch"]
    for job in row["jobs"].values():
        yield ratio(job)
    yield f"{row['jobs']['no-op']['added_us']:.1f} µs"
    yield f"{max(row['jobs']['digits']['once_ms'], 0):.1f} ms"
    yield f"{row['import_s']:.2f} s"
    yield f"{row['memory_mib']:.0f} MiB"
    yield str(row["lines"])


def ratio(job: Mapping[str, float]) -> str:
    """Return the ratio of a job with half of the width of its middle half."""
    mark = "" if job["counts"] else UNSTEADY
    return f"{mark}{rounded(job['ratio'])} ± {rounded((job['high'] - job['low']) / 2)}"


def rounded(figure: float) -> str:
    """Format a ratio with two or three digits."""
    return f"{figure:.2f}" if figure < 10 else f"{figure:.1f}" if figure < 30 else f"{figure:.0f}"


def dates(results: Mapping[str, Any]) -> str:
    """Return the day of the measurements, or the first and the last day."""
    days = sorted({row["date"] for row in results["peers"].values()})
    return " to ".join(dict.fromkeys((days[0], days[-1])))


def page(results: Mapping[str, Any]) -> str:
    """Return the page: plot, table, and how it was measured."""
    return PAGE.format(
        alt="Time per iteration of training libraries, as a multiple of a bare PyTorch loop",
        table=table(results),
        dates=dates(results),
        machine=results["machine"],
        turns=results["turns"],
        unsteady=UNSTEADY,
    )
