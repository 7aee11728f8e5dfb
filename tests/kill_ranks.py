"""Stop ranks of a training job at random moments, let ``torchrun`` start them again, and count the results.

`kill_and_resume.py --ranks` calls `disturb_ranks`. Each rank is a process that runs `main` of this module. Most jobs
are started by `fsm_engine.distributed.launch`, which forks the ranks in milliseconds; with ``--torchrun``, the command
``torchrun`` starts each rank as a new process.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kill_and_resume import EPOCHS, EVERY, Shared, attach_loggers, log_lines
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import TensorDataset

from fsm_engine import Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.distributed import Session, launch, session
from fsm_engine.handlers import Checkpoint, CosineAnnealingScheduler, EMAHandler, GracefulStop
from fsm_engine.metrics import Accuracy, RunningAverage

EXAMPLES, BATCH = 630, 16
RESTARTS = 1000
LONGEST = 600.0
"""Seconds after which a job is said to hang."""
PID, BEGUN, REACHED, SAVES, ATTEMPT = range(5)
"""The numbers that a rank writes: its process ID, its first and current iteration, whether it saves, the attempt."""


class RankNumbers:
    """The numbers of one rank, shared with the process that disturbs the job."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._shared = Shared(folder / f"numbers.{rank}", 5)

    def __getitem__(self, index: int) -> int:
        return self._shared.read(index)

    def __setitem__(self, index: int, value: int) -> None:
        self._shared.write(index, value)


def main(folder: str) -> None:
    """Train as one of several ranks, and end the process with an exit code of 128 + the number of a signal received."""
    torch.set_num_threads(1)
    numbers = RankNumbers(Path(folder), int(os.environ["RANK"]))
    numbers[SAVES] = numbers[BEGUN] = numbers[REACHED] = 0
    numbers[PID] = os.getpid()
    numbers[ATTEMPT] = int(os.environ["TORCHELASTIC_RESTART_COUNT"]) + 1
    with session() as ranks:
        code = train(ranks, Path(folder), numbers)
    sys.stdout.flush()
    if code:
        sys.exit(code)


def train(ranks: Session, folder: Path, numbers: RankNumbers) -> int:
    """Start or resume the training, and return the exit code.

    At the end, write hashes of the weights and of numbers from the generators of this rank to ``folder/end.RANK``.
    """
    torch.manual_seed(0)
    digits = load_digits()
    images, targets = digits.data[:EXAMPLES], digits.target[:EXAMPLES]
    data = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(targets))
    loader = ranks.loader(data, batch_size=BATCH, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    parallel = DistributedDataParallel(model)
    torch.manual_seed(ranks.rank)
    random.seed(ranks.rank)
    np.random.seed(ranks.rank)  # else a new process begins with another state
    trainer = create_supervised_trainer(parallel, optimizer, nn.CrossEntropyLoss())
    evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})
    ranks.attach(trainer, evaluator)
    average = EMAHandler(model, momentum=0.02)
    average.attach(trainer)
    CosineAnnealingScheduler(optimizer, "lr", 3e-3, 3e-4, cycle_size=len(loader) * EPOCHS).attach(trainer)
    RunningAverage(output_transform=float).attach(trainer, "loss")
    evaluation = ranks.loader(data, batch_size=100, pad=False)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(evaluation))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: random.random())
    to_save = {"model": model, "optimizer": optimizer, "trainer": trainer, "evaluator": evaluator}
    checkpoint = Checkpoint(to_save, folder / "checkpoints", n_saved=2)

    def note(index: int, value: int) -> None:
        numbers[index] = value

    saves = Events.ITERATION_COMPLETED(every=EVERY)
    trainer.add_event_handler(saves, note, SAVES, 1)
    trainer.add_event_handler(saves, checkpoint)
    trainer.add_event_handler(Events.TERMINATE | Events.COMPLETED, checkpoint)
    stop = GracefulStop(save=checkpoint).attach(trainer)
    attach_loggers(folder, trainer, evaluator, optimizer, writes=ranks.rank == 0)
    checkpoint.resume()
    numbers[BEGUN] = numbers[REACHED] = trainer.state.iteration
    trainer.add_event_handler(Events.GET_BATCH_COMPLETED, note, SAVES, 0)
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: note(REACHED, engine.state.iteration - 1))
    trainer.run(loader, max_epochs=EPOCHS)
    if stop.signal is not None and trainer.outcome == "interrupted":
        return 128 + stop.signal
    weights = [tensor.tolist() for m in (model, average.ema_model) for tensor in m.state_dict().values()]
    values = weights, trainer.state.metrics, evaluator.state.metrics
    drawn = torch.rand(4).tolist(), random.random(), np.random.random()
    hashes = [hashlib.sha256(repr(value).encode()).hexdigest() for value in (values, drawn)]
    (folder / f"end.{ranks.rank}").write_text("\n".join(hashes))
    return 0


# Disturbing


@dataclass
class Job:
    """A running job: its folder, its ranks, and the process of its launcher."""

    folder: Path
    numbers: list[RankNumbers]
    pid: int
    _code: int | None = None

    def code(self) -> int | None:
        """Return the exit code of the launcher, or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def attempt(self) -> int:
        """Return how often all ranks have been started."""
        return min(numbers[ATTEMPT] for numbers in self.numbers)

    def is_training(self) -> bool:
        return all(numbers[REACHED] > numbers[BEGUN] for numbers in self.numbers)

    def is_saving(self) -> bool:
        return any(numbers[SAVES] for numbers in self.numbers)

    def kill(self) -> None:
        """Kill all processes of the job, and show its messages."""
        print((self.folder / "log.txt").read_text()[-5000:], file=sys.stderr)
        for pid in (self.pid, *(numbers[PID] for numbers in self.numbers)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start(folder: Path, ranks: int, by_torchrun: bool) -> Job:
    """Start the processes of the job."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [RankNumbers(folder, rank) for rank in range(ranks)]
    for own in numbers:
        own[ATTEMPT] = 0
    pid = os.fork()
    if pid:
        return Job(folder, numbers, pid)
    code = 1
    try:
        messages = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(messages, stream)
        if by_torchrun:
            options = ["--nproc-per-node", str(ranks), "--max-restarts", str(RESTARTS)]
            options += ["--shutdown-timeout", "5"]  # a rank that waits for a killed one to save ignores SIGTERM
            command = [sys.executable, "-m", "torch.distributed.run", *options, __file__, str(folder)]
            os.execve(command[0], command, {**os.environ, "OMP_NUM_THREADS": "1"})
        launch(main, ranks, str(folder), max_restarts=RESTARTS)
        code = 0
    except BaseException as error:
        print(f"launch raised {error!r}", flush=True)
    finally:
        os._exit(code)


def ends(folder: Path, ranks: int) -> dict[str, Any]:
    """Return the hashes that each rank wrote at its end, and the lines of the logs."""
    of_ranks = {f"rank {rank}": (folder / f"end.{rank}").read_text() for rank in range(ranks)}
    return {**of_ranks, "logs": log_lines(folder)}


@dataclass
class Disturbance:
    """Stops running jobs by signals, one job after the other, and counts the results in `tally`.

    Args:
        ranks: the number of ranks.
        how: "SIGKILL" or "SIGTERM", to a random rank, or "SIGTERM to the launcher".
        count: the number of signals.
        length: the seconds that an undisturbed job takes.
        by_torchrun: whether the command torchrun starts the ranks.
        tally: the results.
    """

    ranks: int
    how: str
    count: int
    length: float
    by_torchrun: bool
    tally: Counter[str]

    def run_all(self, folder: Path, expected: dict[str, Any]) -> None:
        """Run jobs in subfolders of `folder` until all signals have been sent, and compare their ends."""
        jobs = 0
        while self._is_on() and not any(name.startswith("WRONG") for name in +self.tally):
            jobs += 1
            if not self._run(folder / str(jobs)):
                return
            for name, value in ends(folder / str(jobs), self.ranks).items():
                same = value == expected[name]
                self.tally[f"same end of {name}" if same else f"WRONG: other end of {name} after {self.how}"] += 1

    def _is_on(self) -> bool:
        return self.tally[f"times {self.how}"] < self.count

    def _run(self, folder: Path) -> bool:
        """Run a job to its end, and return True if it gets there."""
        while True:
            job = start(folder, self.ranks, self.by_torchrun)
            code, signals = self._disturb(job)
            if code is None:
                self.tally[f"WRONG: a job hung after {self.how}"] += 1
            elif code and not (signals and "launcher" in self.how):
                self.tally[f"WRONG: the launcher ended with {code} after {self.how}"] += 1
            elif "launcher" not in self.how and job.attempt() > signals + 1:
                self.tally["WRONG: the ranks were restarted without a signal"] += 1
            elif code == 0:
                return True
            else:
                continue
            job.kill()
            return False

    def _disturb(self, job: Job) -> tuple[int | None, int]:
        """Send signals until the launcher ends. Return its exit code, or None if it does not end, and their number."""
        code, signals, reached, attempt, end = None, 0, 0, 0, time.monotonic() + LONGEST
        while code is None and time.monotonic() < end:
            if job.attempt() > attempt and self._is_on() and not (signals and "launcher" in self.how):
                attempt = job.attempt()
                self._wait_for_moment(job)
                if job.code() is not None:
                    break
                reached = max(numbers[REACHED] for numbers in job.numbers)  # before, because the job may restart soon
                self._send(job)
                signals += 1
                end = time.monotonic() + LONGEST
            if reached and job.attempt() > attempt and job.is_training():
                begun = {numbers[BEGUN] for numbers in job.numbers}
                self.tally["resumes"] += 1
                self.tally["WRONG: ranks began at different places"] += len(begun) > 1
                self.tally["WRONG: ranks started further back than one interval"] += min(begun) < reached - EVERY
                reached = 0
            time.sleep(0.001)
            code = job.code()
        return job.code(), signals

    def _wait_for_moment(self, job: Job) -> None:
        """Wait for a random moment: while the ranks start, train or save."""
        end = time.monotonic() + LONGEST
        moment = random.choices(["start", "train", "save"], [1, 2, 2])[0]
        if moment == "start":
            time.sleep(random.uniform(0, 0.3))
            return
        while not job.is_training() and job.code() is None and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.4 * self.length))
        while moment == "save" and not job.is_saving() and job.code() is None and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(random.uniform(0, 0.01))

    def _send(self, job: Job) -> None:
        victim = random.choice(job.numbers)
        with suppress(ProcessLookupError):
            os.kill(job.pid if "launcher" in self.how else victim[PID], signal.Signals[self.how.split()[0]])
            self.tally["signals during a save"] += victim[SAVES]
        self.tally[f"times {self.how}"] += 1


def disturb_ranks(folder: Path, ranks: int, counts: dict[str, int], by_torchrun: bool, tally: Counter[str]) -> None:
    """Run an undisturbed job, then jobs that are stopped `counts[how]` times for each `how` of `Disturbance`."""
    undisturbed = start(folder / "undisturbed", ranks, by_torchrun)
    started = time.monotonic()
    while (code := undisturbed.code()) is None:
        if not undisturbed.is_training():
            started = time.monotonic()
        time.sleep(0.01)
    assert code == 0, (folder / "undisturbed" / "log.txt").read_text()
    length = time.monotonic() - started
    expected = ends(folder / "undisturbed", ranks)
    for how, count in counts.items():
        Disturbance(ranks, how, count, length, by_torchrun, tally).run_all(folder / how.replace(" ", "-"), expected)


if __name__ == "__main__":
    main(sys.argv[1])
