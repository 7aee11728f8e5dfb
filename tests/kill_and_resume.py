"""Stop a training job at random moments, start it again, and print a tally of the results.

    python tests/kill_and_resume.py --kills 100 --terms 20 --limits 20 --early 20
    python tests/kill_and_resume.py --ranks 2 --torchrun --kills 30 --terms 5

Each process trains on handwritten digits and is stopped at a random moment: by SIGKILL or SIGTERM, often while it
writes a file; by a time limit; or by early stopping, whose patience is raised for the next process. The processes that
are stopped by a limit or by early stopping may be killed before. The next process resumes from the folder. At the end
of a job, its weights must equal the weights of an undisturbed job
bit by bit, and its CSV and JSON Lines logs must have the same lines, except for the times. A process must not start
further back than one interval between checkpoints.

With --ranks, several processes train together. A signal goes to a random one of them, or to their launcher, and the
launcher starts all of them again. Then the state of the random number generators must be equal on each rank, too.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import random
import re
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fsm_engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.handlers import (
    Checkpoint,
    CosineAnnealingScheduler,
    EarlyStopping,
    EMAHandler,
    GracefulStop,
    TimeLimit,
    global_step_from_engine,
)
from fsm_engine.loggers import CSVLogger, JSONLinesLogger
from fsm_engine.metrics import Accuracy, RunningAverage

EPOCHS, EVERY, BATCH = 4, 3, 32
TERMINATED = 75
"""The exit code of a process that a time limit or early stopping has stopped."""


@dataclass(frozen=True)
class Stop:
    """How a process is to be stopped besides signals: after some seconds, or after some evaluations of one score."""

    seconds: float | None = None
    patience: int = 50


class Shared:
    """Integers shared by parent and child: the child's current iteration, and the iteration it started from.

    Args:
        path: a file to share them with processes that are not forked.
        count: the number of integers.
    """

    def __init__(self, path: Path | None = None, count: int = 2) -> None:
        size = 8 * count
        if path is None:
            self._map = mmap.mmap(-1, size)
            return
        with path.open("ab+") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)

    def write(self, index: int, value: int) -> None:
        struct.pack_into("q", self._map, 8 * index, value)

    def read(self, index: int) -> int:
        return struct.unpack_from("q", self._map, 8 * index)[0]


def job(folder: Path, shared: Shared, early: Stop) -> int:
    """Start or resume the training, and return the exit code.

    At the end, write the SHA-256 of the weights to ``folder/weights``.
    """
    torch.manual_seed(0)
    digits = load_digits()
    data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})
    average = EMAHandler(model, momentum=0.02)
    average.attach(trainer)
    CosineAnnealingScheduler(optimizer, "lr", 3e-3, 3e-4, cycle_size=len(loader) * EPOCHS).attach(trainer)
    RunningAverage(output_transform=float).attach(trainer, "loss")
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(DataLoader(data, batch_size=600)))
    evaluator.add_event_handler(Events.COMPLETED, EarlyStopping(early.patience, lambda engine: 0.0, trainer))
    to_save = {"model": model, "optimizer": optimizer, "trainer": trainer, "evaluator": evaluator}
    checkpoint = Checkpoint(to_save, folder / "checkpoints", n_saved=2)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(every=EVERY), checkpoint)
    trainer.add_event_handler(Events.TERMINATE | Events.COMPLETED, checkpoint)
    if early.seconds is not None:
        limit = TimeLimit(1)
        limit.limit_sec = early.seconds  # type: ignore[assignment]  # the whole job takes less than a second
        trainer.add_event_handler(Events.ITERATION_COMPLETED, limit)
    stop = GracefulStop(save=checkpoint).attach(trainer)
    attach_loggers(folder, trainer, evaluator, optimizer)
    checkpoint.resume()
    shared.write(0, trainer.state.iteration)
    shared.write(1, trainer.state.iteration)
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED(priority=-(2**40)), lambda engine: shared.write(0, engine.state.iteration)
    )
    trainer.run(loader, max_epochs=EPOCHS)
    if stop.signal is not None and trainer.outcome == "interrupted":
        return 128 + stop.signal
    if trainer.outcome == "terminated":
        return TERMINATED
    loss = struct.pack("d", trainer.state.metrics["loss"])
    weights = [p.detach().numpy().tobytes() for m in (model, average.ema_model) for p in m.parameters()]
    (folder / "weights").write_text(hashlib.sha256(b"".join([*weights, loss])).hexdigest())
    return 0


def attach_loggers(
    folder: Path, trainer: Engine, evaluator: Engine, optimizer: torch.optim.Optimizer, writes: bool = True
) -> None:
    """Log values of both engines to a CSV and a JSON Lines file. `writes` is False on ranks other than 0."""
    paths = folder / "log.csv", folder / "log.jsonl"
    if writes and not list(
        (folder / "checkpoints").glob("*.pt")
    ):  # the job starts again, and loggers keep existing lines
        for path in paths:
            path.unlink(missing_ok=True)
    for logger in (CSVLogger(paths[0]), JSONLinesLogger(paths[1])):
        logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED, "training", metric_names=["loss"])
        logger.attach_opt_params_handler(trainer, Events.ITERATION_COMPLETED(every=2), optimizer)
        logger.attach_output_handler(
            evaluator,
            Events.COMPLETED,
            "evaluation",
            metric_names=["accuracy"],
            global_step_transform=global_step_from_engine(trainer),
        )


def log_lines(folder: Path) -> list[str]:
    """Return the lines of both logs without their times."""
    text = (folder / "log.csv").read_text() + (folder / "log.jsonl").read_text()
    return re.sub(r",\d{10}\.\d{3}$|\"time\": [\d.]+, ", "", text, flags=re.MULTILINE).splitlines()


def start(folder: Path, shared: Shared, early: Stop) -> int:
    """Start the job in a forked process, and return its process ID."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = job(folder, shared, early)
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(child: int) -> int:
    """Wait for a process, and return its exit code, or minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    """Disturb jobs, print the tally, and return the number of errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("--limits", type=int, default=20)
    parser.add_argument("--early", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=1, help="--limits and --early do not apply to more than one")
    parser.add_argument("--torchrun", action="store_true", help="start ranks by torchrun, not by forking")
    given = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(given.seed)
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        if given.ranks > 1:
            from kill_ranks import disturb_ranks

            counts = {"SIGKILL": given.kills, "SIGTERM": given.terms, "SIGTERM to the launcher": given.terms}
            disturb_ranks(Path(temporary), given.ranks, counts, given.torchrun, tally)
            return report(tally)
        shared, undisturbed = Shared(), Path(temporary, "undisturbed")
        undisturbed.mkdir()
        job(Path(temporary), shared, Stop())  # imports everything, so that forked processes need not
        started = time.monotonic()
        assert wait(start(undisturbed, shared, Stop())) == 0
        length = time.monotonic() - started
        expected = (undisturbed / "weights").read_text(), log_lines(undisturbed)
        for how, count in (
            ("SIGKILL", given.kills),
            ("SIGTERM", given.terms),
            ("time limit", given.limits),
            ("early stopping", given.early),
        ):
            disturb(Path(temporary), how, count, length, expected, shared, tally)
    return report(tally)


def report(tally: Counter[str]) -> int:
    """Print the tally, and return the number of errors."""
    for name, count in sorted((+tally).items()):
        print(f"{count:5d} {name}")
    return sum(count for name, count in tally.items() if name.startswith("WRONG"))


def disturb(
    folder: Path,
    how: str,
    count: int,
    length: float,
    expected: tuple[str, list[str]],
    shared: Shared,
    tally: Counter[str],
) -> None:
    """Stop running jobs `count` times, one job after the other."""
    jobs = 0
    while tally[f"times {how}"] < count:
        jobs += 1
        own = folder / f"{how.replace(' ', '-')}-{jobs}"
        own.mkdir()
        reached, code, patience = 0, -1, 0
        while code != 0:
            shared.write(0, -1)
            shared.write(1, -1)
            is_on = tally[f"times {how}"] < count
            patience += is_on and how == "early stopping" and code in (-1, TERMINATED)
            child = start(own, shared, stop_for(how, length, patience) if is_on else Stop())
            number = signal_for(how) if is_on else None
            if number is not None:
                time.sleep(random.uniform(0, 0.7 * length))
                os.kill(child, number)
            previous, code = code, wait(child)
            if code not in (0, -(number or 0), 128 + (number or 0), TERMINATED):
                tally[f"WRONG: a process ended with {code}"] += 1
                break
            if 0 <= shared.read(1) < reached - (0 if previous == TERMINATED else EVERY):
                tally["WRONG: a process started further back than one interval"] += 1
            tally[f"times {how}"] += code == TERMINATED if how not in signal.Signals.__members__ else code != 0
            tally["processes that resumed"] += shared.read(1) > 0
            tally["kills while a file was written"] += code == -signal.SIGKILL and bool(leftovers(own))
            reached = max(reached, shared.read(0))
        if code == 0:
            same = (own / "weights").read_text() == expected[0]
            tally["jobs with the same weights" if same else f"WRONG: jobs with other weights after {how}"] += 1
            same = log_lines(own) == expected[1]
            tally["jobs with the same logs" if same else f"WRONG: jobs with other logs after {how}"] += 1


def stop_for(how: str, length: float, patience: int) -> Stop:
    """Return how the next process stops by itself."""
    if how == "time limit":
        return Stop(seconds=random.uniform(0, 0.5 * length))
    return Stop(patience=patience) if how == "early stopping" else Stop()


def signal_for(how: str) -> int | None:
    """Return the signal for the next process: the one that is tested, or sometimes SIGKILL in addition."""
    if how in signal.Signals.__members__:
        return signal.Signals[how]
    return signal.SIGKILL if random.random() < 0.3 else None


def leftovers(folder: Path) -> list[Path]:
    """Return the unfinished files of killed processes."""
    return [path for path in (folder / "checkpoints").glob("*") if path.suffix == ".tmp"]


if __name__ == "__main__":
    sys.exit(main())
