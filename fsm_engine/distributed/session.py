"""`session`: joins the processes that train together, and `Session`, which makes engines and data work over ranks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from time import monotonic
from typing import Any

from torch.distributed.distributed_c10d import PrefixStore, _get_default_store
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset

from fsm_engine.distributed.agreement import Agreement
from fsm_engine.distributed.clock import RankClock
from fsm_engine.distributed.comparison import Comparison
from fsm_engine.distributed.event_log import EventLog
from fsm_engine.distributed.failures import Failures, RankError
from fsm_engine.distributed.gathering import make_group
from fsm_engine.distributed.joining import join_uneven
from fsm_engine.distributed.meeting import Meeting
from fsm_engine.distributed.samplers import UnpaddedSampler, set_epoch
from fsm_engine.distributed.stalls import Heartbeat
from fsm_engine.distributed.uneven import Lengths, Uneven, check_uneven, is_evaluator
from fsm_engine.distributed.world import (
    device,
    finalize,
    get_local_rank,
    get_rank,
    get_world_size,
    has_group,
    is_launched,
    join,
    join_alone,
    leave_alone,
)
from fsm_engine.engine.engine import Engine
from fsm_engine.engine.recording import before_outermost_runs
from fsm_engine.events.events import Events
from fsm_engine.events.priorities import FIRST
from fsm_engine.timeline.rank import set_process

_logger = logging.getLogger(__name__)
_LAST_WAIT = 3.0
"""Seconds to wait for the messages of other ranks before this one ends with an error."""

_numbers = count()
"""The numbers of the sessions of this process. All ranks open equally many, and a store outlives a session."""

_open: Session | None = None


class Session:
    """The processes that train together, seen from one of them. `session` makes it.

    Attributes:
        rank: the number of this process, from 0.
        world_size: the number of processes.
        local_rank: the number of this process on its machine.
        device: the device of this process: its GPU, or the CPU.

    Example:
        >>> with session() as ranks:
        ...     print(ranks.rank, ranks.world_size, ranks.local_rank)
        0 1 0
    """

    def __init__(self, timeout: float, stall_after: float | None) -> None:
        self.rank, self.world_size, self.local_rank = get_rank(), get_world_size(), get_local_rank()
        self.device = device()
        self._timeout = timeout
        self._engines: list[Engine] = []
        self._has_warned = False
        self._log: EventLog | None = None
        self._meeting: Meeting | None = None
        if self.world_size > 1:
            self._store = store = PrefixStore(f"fsm_engine/{next(_numbers)}", _get_default_store())
            self._log = EventLog(store, self.rank, self.world_size)
            self._failures = Failures(self._log)
            self._meeting = Meeting(store, self.rank, self.world_size, self._failures, self._timeout)
            self._log.start()
            make_group()
            set_process(RankClock(self._meeting.store, self._log, self.rank, self.world_size))
            if stall_after is not None:
                heartbeat = Heartbeat(store, self.rank, self.world_size, self._engines, stall_after)
                self._log.call_at_close(heartbeat.stop)

    def attach(self, *engines: Engine, uneven: Uneven | None = None) -> None:
        """Let `engines` agree with the other ranks on signals and lengths, and set the epoch of samplers.

        Call it on every rank with the same engines in the same order, before they run. From then on a `terminate`,
        `terminate_epoch` or `interrupt` on one rank is handled by all ranks behind the same iteration. It costs nothing
        until a rank asks for it. At EPOCH_STARTED, ``set_epoch`` of the sampler is called, so that each epoch has an
        order of its own. With one process, `attach` only does this.

        At the beginning of its first run, each engine is compared with the engine of rank 0: a `RankMismatchError`
        names the transitions, and the handlers that wait for other ranks, that only one of them has.

        At the beginning of a run, all ranks compare their epoch lengths and limits; this takes one exchange of messages
        through the store. Evaluators are left out: the engines of `create_supervised_evaluator`, and, without `uneven`,
        engines that run in a handler of another attached engine. Their iterations do not communicate, so ranks may have
        different numbers of them.

        Args:
            *engines: the engines.
            uneven: what to do if ranks have different numbers of batches.

                None: every rank raises `RankMismatchError` before the first iteration; also if the data of a rank has
                no length and no ``epoch_length`` is given.

                "drop": ``epoch_length`` is the smallest one of all ranks, and each epoch is a new pass over the data.
                So all ranks have equally many iterations, and the last batches of the longer ones are not used in this
                epoch. Data without a length ends on all ranks where it ends on the first one, which costs one
                collective per batch.

                "join": every rank uses all its batches. A rank without batches takes part in the collectives of the
                others by `torch.distributed.algorithms.Join`, until all have ended the epoch. Gradients are still
                divided by the number of ranks. At EPOCH_COMPLETED, weights and optimizers are equal on all ranks. The
                step has to be made by `supervised_training_step` with a `DistributedDataParallel` model, or have
                attributes ``model`` and ``optimizer``, and must not accumulate gradients. Ranks count different
                numbers of iterations, so handlers that communicate belong to epochs.

                "keep": the lengths are not compared, for other engines whose iterations do not communicate.

        Raises:
            TypeError: an argument is not an engine.
            ValueError: an engine is attached already, has run or is running, or its lifecycle has no iterations;
                there is no such `uneven`, or it cannot be used with the step or the lifecycle of the engine.

        Example:
            >>> trainer, evaluator = Engine(lambda engine, batch: batch), Engine(lambda engine, batch: batch)
            >>> with session() as ranks:
            ...     ranks.attach(trainer, evaluator)
            ...     _ = trainer.run([1, 2])
            >>> print(trainer.outcome)
            completed
        """
        check_uneven(uneven)
        for engine in engines:
            self._check(engine)
            if self._log is not None:
                self._attach_to_ranks(engine, uneven)
            if Events.EPOCH_STARTED in engine.lifecycle.graph.index:
                engine.add_event_handler(Events.EPOCH_STARTED(priority=FIRST), set_epoch)
            self._engines.append(engine)

    def _attach_to_ranks(self, engine: Engine, uneven: Uneven | None) -> None:
        assert self._log is not None
        assert self._meeting is not None
        name = f"engine {len(self._engines)}"
        mode = "keep" if is_evaluator(engine) else uneven
        if mode == "join":
            join_uneven(engine)
        agreement = Agreement(engine, name, self._log, self._failures, self._timeout)
        engine._agreement = agreement
        if Events.STARTED in engine.lifecycle.graph.index:
            engine.add_event_handler(Events.STARTED(priority=FIRST), Comparison(name, self._store, self.rank))
        engine._lengths = Lengths(engine, name, agreement, self._meeting, self._engines, mode)

    def _check(self, engine: Engine) -> None:
        if not isinstance(engine, Engine):
            raise TypeError(f"{engine!r} was passed to ranks.attach(), which takes engines: ranks.attach(trainer).")
        if any(engine is other for other in self._engines):
            raise ValueError("this engine is attached already. Call ranks.attach() once per engine.")
        if engine.is_running:
            raise ValueError(f"ranks.attach() was called in {engine.phase}. Call it before run().")
        if engine.outcome is not None:
            raise ValueError(
                "ranks.attach() was called after a run of this engine, which ranks count to agree on a place. Call it "
                "before run(), or attach a new engine."
            )
        if Events.ITERATION_STARTED not in engine.lifecycle.graph.index:
            raise ValueError(
                f"the lifecycle {engine.lifecycle.name!r} has no iterations, which ranks count to agree on a place. "
                f"Attach engines whose lifecycle has ITERATION_STARTED."
            )

    def _warn_if_not_attached(self, engine: Engine) -> None:
        if self._has_warned or any(engine is attached for attached in self._engines):
            return
        self._has_warned = True
        _logger.warning(
            "The engine %s runs in a session of %s ranks, but ranks.attach(engine) was not called. So a signal to one "
            "rank does not stop the others, which then wait for it, and stalls are not named. Call "
            "ranks.attach(engine) before run(), unless this rank alone runs it.",
            *(engine.name or engine.lifecycle.name, self.world_size),
        )

    def loader(
        self,
        dataset: Dataset[Any],
        batch_size: int = 1,
        *,
        shuffle: bool = False,
        pad: bool = True,
        seed: int = 0,
        **options: Any,
    ) -> DataLoader[Any]:
        """Return a DataLoader over the share of this rank of `dataset`. With one process, that is all of it.

        The order of the examples is the same for any number of ranks: each rank takes every n-th one.

        Args:
            dataset: a data set with a length.
            batch_size: the number of examples per batch and rank.
            shuffle: whether each epoch has an order of its own; `attach` tells the sampler the epoch.
            pad: True repeats a few examples so that all ranks have equally many, as training needs. False gives each
                example to exactly one rank, as evaluation needs; a rank may have fewer batches then.
            seed: the seed of the order, equal on all ranks.
            **options: further arguments of `torch.utils.data.DataLoader`, such as ``num_workers``.

        Raises:
            TypeError: `dataset` has no length or is an IterableDataset, which has to divide its examples among ranks
                itself; or a sampler is given.

        Example:
            >>> with session() as ranks:
            ...     print([batch.tolist() for batch in ranks.loader([1, 2, 3], batch_size=2)])
            [[1, 2], [3]]
        """
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"ranks.loader() cannot divide {type(dataset).__name__} among ranks, because it is an IterableDataset "
                f"or has no length. Yield the examples number ranks.rank, ranks.rank + ranks.world_size, ..., and use "
                f"DataLoader(dataset)."
            )
        given = [name for name in ("sampler", "batch_sampler") if options.get(name) is not None]
        if given:
            raise TypeError(
                f"ranks.loader() makes the sampler itself, and {given[0]}= was given. Let each rank take its share of "
                f"a sampler by DataLoader(dataset, {batch_size}, sampler=DistributedProxySampler(sampler))."
            )
        sampler_type: Any = DistributedSampler if pad else UnpaddedSampler
        sampler = sampler_type(dataset, self.world_size, self.rank, shuffle=shuffle, seed=seed)
        return DataLoader(dataset, batch_size, sampler=sampler, **options)

    def _close(self) -> None:
        """Wait for the other ranks.

        Raises:
            RankError: a rank failed; this one, if a handler of EXCEPTION_RAISED has handled its exception.
        """
        if self._log is None:
            return
        begun = monotonic()
        missing = self._log.close(self._timeout)
        if self._failures.has_any:
            raise self._failures.error()
        if missing:
            _logger.warning("Ranks %s have not left the session after %.0f s.", missing, monotonic() - begun)

    def _fail(self, error: BaseException) -> None:
        """Tell the other ranks of `error`.

        Raises:
            RankError: another rank failed first, with another error.
        """
        if self._log is None:
            return
        is_own = not isinstance(error, RankError)
        if is_own:
            self._failures.report(error, "outside a run")
            self._failures.wait_for_own(_LAST_WAIT)
        self._log.close(_LAST_WAIT)
        if is_own and isinstance(error, Exception) and self._failures.is_caused_elsewhere(error):  # Ctrl-C goes to all
            raise self._failures.error() from error


def meeting_of(engines: Iterable[Engine]) -> Meeting | None:
    """Return the meeting of the ranks if one of these engines is attached to a session of several ranks, else None."""
    if _open is None or not any(engine is attached for engine in engines for attached in _open._engines):
        return None
    return _open._meeting


@contextmanager
def session(*, backend: str | None = None, timeout: float = 300, stall_after: float | None = 300) -> Iterator[Session]:
    """Join the processes that train together, and leave them at the end of the ``with`` block.

    A process group that exists, such as one made by Accelerate, is used and left open. Otherwise the environment that
    ``torchrun`` sets is used to make one, and the block ends with its destruction. Without either there is one process,
    with a group of its own for the wrappers of torch that need one, such as `DistributedDataParallel`. No thread of
    this package is started. So the same script runs with and without ``torchrun``::

        with fsm_engine.distributed.session() as ranks:
            train = ranks.loader(train_set, batch_size=64, shuffle=True)
            trainer = create_supervised_trainer(DistributedDataParallel(model), optimizer, loss_fn)
            ranks.attach(trainer)
            trainer.run(train, max_epochs=10)

    Args:
        backend: the backend of a new process group; by default NCCL for GPUs and gloo for the CPU.
        timeout: seconds to wait for other ranks before an error names those that do not answer.
        stall_after: seconds without a move after which each rank logs where all ranks are; None for never. Costs one
            write a second to the store.

    A rank that fails names itself to the others: they log its exception, and raise `RankError` at the next place
    between handlers, or at the end of the block. So every process ends with an error, also if EXCEPTION_RAISED has a
    handler.

    Raises:
        TypeError, ValueError: `timeout` or `stall_after` is not a positive number.
        RankError: another rank failed first, or a handler of EXCEPTION_RAISED has handled an exception.
        RuntimeError: a session is open already, ``torchrun``'s environment is incomplete, or the other processes are
            not found within `timeout` seconds.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with session() as ranks:
        ...     ranks.attach(trainer)
        ...     loader = ranks.loader(list(range(6)), batch_size=2)
        ...     print(ranks.rank, ranks.world_size, trainer.run(loader).iteration)
        0 1 3
    """
    global _open  # a process has one session
    _check_seconds("timeout", timeout)
    if stall_after is not None:
        _check_seconds("stall_after", stall_after)
    if _open is not None:
        raise RuntimeError("a session is open already. Pass its value, as in main(ranks), instead of a second session.")
    is_new = not has_group() and is_launched()
    if is_new:
        join(backend, timeout)
    elif not has_group():
        join_alone()
    try:
        _open = ranks = Session(timeout, stall_after)
        try:
            with before_outermost_runs(ranks._warn_if_not_attached) if ranks.world_size > 1 else nullcontext():
                yield ranks
        except SystemExit:
            ranks._close()
            raise
        except BaseException as error:
            is_new = False  # a collective that some ranks have not left would block the destruction of the group
            ranks._fail(error)
            raise
        ranks._close()
    finally:
        _open = None
        set_process(None)
        leave_alone()
        if is_new:
            finalize()


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"session({name}={value!r}) has to be a number of seconds, such as {name}=300.")
    if not value > 0:
        off = ", or None for no reports" if name == "stall_after" else ""
        raise ValueError(f"session({name}={value!r}) has to be a positive number of seconds{off}.")
