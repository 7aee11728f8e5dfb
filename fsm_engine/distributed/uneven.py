"""`Lengths`: epochs of ranks whose data has different numbers of batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

from fsm_engine.distributed.agreement import Agreement
from fsm_engine.distributed.comparison import meeting_handlers
from fsm_engine.distributed.gathering import RankMismatchError, gather_for
from fsm_engine.distributed.meeting import Meeting, in_words
from fsm_engine.events.events import Events
from fsm_engine.runtime.run_limits import length_of

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

Uneven = Literal["drop", "join", "keep"]

_FIXES = (
    "Give all ranks equally many batches, as ranks.loader(data, pad=True) does; or use the shortest length with "
    "ranks.attach(trainer, uneven='drop'), or every example with uneven='join' (DistributedDataParallel only). If the "
    "iterations of this engine do not communicate, as in an evaluator, use uneven='keep'."
)

_IN_ITERATION = (
    Events.GET_BATCH_STARTED,
    Events.GET_BATCH_COMPLETED,
    Events.ITERATION_STARTED,
    Events.ITERATION_COMPLETED,
)


def check_uneven(uneven: object) -> None:
    """Raise if there is no such value of ``uneven``.

    Raises:
        ValueError: there is none.
    """
    if uneven is not None and uneven not in get_args(Uneven):
        raise ValueError(
            f"uneven={uneven!r} was passed to ranks.attach(). Pass 'drop' to use the shortest length of all ranks, "
            f"'join' to use every example, 'keep' to leave the ranks alone, or leave it out to raise if lengths differ."
        )


def is_evaluator(engine: Engine) -> bool:
    """Return True if the step of `engine` was made for an evaluator."""
    return bool(getattr(engine._step, "is_evaluation", False))


@dataclass(frozen=True)
class _Length:
    """How long the run of a rank is.

    Attributes:
        uneven: the value that was passed to ``ranks.attach``.
        iteration: the iteration at which the run begins.
        epoch_length: the number of iterations per epoch; None if it is unknown.
        batches: the number of batches in the data; None if there is no data or its length is unknown.
        is_open: True if there is data of unknown length.
        max_epochs: the limit of the run, or None.
        max_iters: the other limit of the run, or None.
    """

    uneven: Uneven | None
    iteration: int
    epoch_length: int | None
    batches: int | None
    is_open: bool
    max_epochs: int | None
    max_iters: int | None

    def __str__(self) -> str:
        length = "data without a length" if self.epoch_length is None else f"{self.epoch_length} iterations per epoch"
        if self.epoch_length is None and self.batches == 0:
            length = "no batches"
        limit = f"max_epochs={self.max_epochs}" if self.max_iters is None else f"max_iters={self.max_iters}"
        return f"{length} from iteration {self.iteration}, {limit}, uneven={self.uneven!r}"


class Lengths:
    """Compares the lengths of the runs of an engine on all ranks. See `LengthAgreement`.

    Args:
        engine: the engine.
        name: a name that is unique in the group.
        agreement: how the engine agrees on signals.
        meeting: where the ranks meet.
        engines: the attached engines of this rank.
        uneven: the value that was passed to ``ranks.attach``.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        agreement: Agreement,
        meeting: Meeting,
        engines: Sequence[Engine],
        uneven: Uneven | None,
    ) -> None:
        self._engine, self._name, self._agreement, self._meeting = engine, name, agreement, meeting
        self._engines = engines
        self._uneven: Uneven | None = uneven
        self._shortest: int | None = None  # the number of batches of a pass that all ranks use; None for all of them
        self._ends_with_first = False

    def begin_run(self, data: Any) -> None:
        """Compare the run over `data` with the other ranks, and set its epoch length.

        Raises:
            RankMismatchError: the lengths or limits differ, and `uneven` does not say what to do.
        """
        if self._uneven == "keep" or (self._uneven is None and self._is_inside_run()):
            return
        lengths = [_Length(**each) for each in self._meeting.exchange(f"begin a run of {self._name}", self._own(data))]
        self._check(lengths)
        if self._uneven == "drop":
            self._drop(lengths)
        elif self._uneven == "join":
            self._agreement.shared_iterations = min(length.epoch_length or 0 for length in lengths)

    def shared_part(self, batches: Iterator[Any], skip: int) -> Iterator[Any]:
        """Return an iterator that ends where the pass ends for all ranks."""
        if self._ends_with_first:
            return self._until_first_end(batches)
        return batches if self._shortest is None else islice(batches, max(0, self._shortest - skip))

    def length_of_pass(self, data: Any) -> int | None:
        """Return the number of batches in a pass over `data`, or None if it is unknown."""
        length = length_of(data)
        return length if length is None or self._shortest is None else min(length, self._shortest)

    def _is_inside_run(self) -> bool:
        return any(other.is_running for other in self._engines if other is not self._engine)

    def _own(self, data: Any) -> dict[str, Any]:
        state = self._engine.state
        batches = None if data is None else length_of(data)
        limits = getattr(state, "max_epochs", None), getattr(state, "max_iters", None)
        is_open = data is not None and batches is None
        epoch_length = getattr(state, "epoch_length", None)
        return asdict(_Length(self._uneven, state.iteration, epoch_length, batches, is_open, *limits))

    def _check(self, lengths: Sequence[_Length]) -> None:
        limits = {(length.uneven, length.max_epochs, length.max_iters) for length in lengths}
        if len(limits) > 1:
            raise _error("ranks run to different limits or with different uneven=", lengths, "Pass equal ones.")
        if self._uneven == "join":
            self._check_join(lengths)
            return
        if len({length.iteration for length in lengths}) > 1:
            raise _error("ranks begin at different iterations", lengths, "Load the same checkpoint on all ranks.")
        if self._uneven == "drop":
            if any(length.batches == 0 for length in lengths):
                raise _error("a rank has no batches", lengths, "With uneven='drop', every rank needs one at least.")
            return
        if any(length.epoch_length is None and length.is_open for length in lengths):
            fix = "Pass run(data, epoch_length=...) with the same number on all ranks. " + _FIXES
            raise _error("ranks cannot compare the lengths of their data", lengths, fix)
        if len({length.epoch_length for length in lengths}) > 1:
            raise _error("ranks have different numbers of iterations", lengths, _FIXES)

    def _check_join(self, lengths: Sequence[_Length]) -> None:
        if lengths[0].max_iters is not None:
            fix = "With uneven='join', ranks count different numbers of iterations: use run(data, max_epochs=...)."
            raise _error("ranks reach max_iters in different epochs", lengths, fix)
        if None in (sizes := {length.epoch_length for length in lengths}) or len(sizes) > 1:
            self._check_iterations(lengths)

    def _check_iterations(self, lengths: Sequence[_Length]) -> None:
        """Raise if a handler waits for other ranks in an iteration that some of them may not have."""
        graph = self._engine.lifecycle.graph
        events = {*_IN_ITERATION, *(graph.phases[phase].event for phase in graph.step_phases)}
        waiting = [
            text
            for event, owner, text in meeting_handlers(self._engine)
            if event in events and getattr(type(owner), "meets_in_iterations", True)
        ]
        if waiting:
            fix = (
                f"These wait for all ranks: {', '.join(waiting)}. Attach them to epochs, metrics by "
                f"MetricUsage(Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.ITERATION_COMPLETED), or use "
                f"uneven='drop'."
            )
            raise _error("ranks have different iterations, and handlers exchange values in each", lengths, fix)

    def _drop(self, lengths: Sequence[_Length]) -> None:
        state, data_pass = self._engine.state, self._engine._data_pass
        self._ends_with_first = any(length.is_open for length in lengths)
        known = [length.batches for length in lengths if length.batches is not None]
        self._shortest = min(known, default=None)
        epochs = [length.epoch_length for length in lengths]
        agreed = None if None in epochs else min(epochs)  # type: ignore[type-var]
        if state.epoch_length != agreed:
            state.epoch_length = data_pass.derived_length = agreed

    def _until_first_end(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield `batches` until the batches of one rank end; one collective per batch."""
        end = object()
        while True:
            batch = next(batches, end)
            if not all(gather_for(f"a batch of {self._name}", lambda: batch is not end)):  # noqa: B023
                return
            yield batch


def _error(what: str, lengths: Sequence[_Length], fix: str) -> RankMismatchError:
    return RankMismatchError(f"{what}. {in_words(dict(enumerate(map(str, lengths))))}. {fix}")
