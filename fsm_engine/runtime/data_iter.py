"""A pass over the data: opening it, at its beginning or at a batch further on, and telling when it is empty."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.positions import phase_at
from fsm_engine.runtime.data_pass import DataPass
from fsm_engine.runtime.exact_data import open_exactly, saves_position
from fsm_engine.runtime.run import Run
from fsm_engine.runtime.run_limits import length_of, limits_reached


def open_data(run: Run, uncounted: int = 0) -> None:
    """Open the data of the run where the run is: after a load or a copy, at the batch that comes next.

    `uncounted` says how many batches are at hand whose iteration has not begun.

    Raises:
        ValueError: if the run has no data.
    """
    data_pass, state = run._data_pass, run.state
    if state.dataloader is None:
        raise ValueError(_no_data_message(run))
    skip, data_pass.skip = data_pass.skip, 0
    start = data_pass.start if skip else state.iteration + uncounted
    opening = open_exactly if run.resumes_exactly else _open
    opened = opening(run, start, skip)
    data_pass.iterator = opened if run._graph.pending_batches is not None else CountingIterator(opened, skip)
    data_pass.at_end = data_pass.data_exhausted = False
    data_pass.start = start
    data_pass.times_opened += 1


def _open(run: Run, start: int, skip: int) -> Iterator[Any]:
    return run._open_pass(run.state.dataloader, start, skip)


class CountingIterator:
    """An open pass that counts what is fetched, for lifecycles in which iterations do not tell."""

    def __init__(self, batches: Iterator[Any], taken: int) -> None:
        self.batches, self.taken = batches, taken

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.taken += 1  # also where it raises: a DataLoader has gone on to the next
        try:
            return next(self.batches)
        except StopIteration:
            self.taken -= 1
            raise


def check_data(data: Any) -> None:
    """Refuse data that cannot be iterated over, or that is known to be empty.

    Raises:
        TypeError: if it cannot be iterated over.
        ValueError: if it has the length zero.
    """
    if not (isinstance(data, Iterable) or hasattr(data, "__getitem__")):
        raise TypeError(f"Argument data should be iterable, got {type(data).__name__}: {data!r}.")
    if length_of(data) == 0:
        raise ValueError("Input data has zero size. Please provide non-empty data.")


def pending_batches(run: Run) -> int:
    """Return how many batches are at hand, where the run is or was left, whose iteration has not begun."""
    known = run._graph.pending_batches
    return known[phase_at(run._resume_position)] if known is not None else 0


def resume_data(run: Run, data: Any) -> None:
    """Let a run that was suspended go on with its data, or with other data from the beginning.

    If the data cannot be opened, everything is left as it was.
    """
    data_pass, state = run._data_pass, run.state
    kept = {name: getattr(data_pass, name) for name in DataPass.__slots__}
    old = state.dataloader
    try:
        _take(run, data)
    except BaseException:
        for name, value in kept.items():
            setattr(data_pass, name, value)
        state.dataloader = old
        raise


def _take(run: Run, data: Any) -> None:
    data_pass, state = run._data_pass, run.state
    known = state.dataloader is not None or not data_pass.has_data  # else the data was left out by pickle
    if data is not None and data is not state.dataloader and known:
        data_pass.iterator, data_pass.skip, data_pass.times_opened, data_pass.at_end = None, 0, 0, False
    state.dataloader = state.dataloader if data is None else data
    data_pass.has_data = state.dataloader is not None
    if not data_pass.has_data or data_pass.iterator is not None:
        return
    if not (data_pass.skip or data_pass.at_end or _is_open(run)):
        return
    if data_pass.at_end:
        data_pass.iterator = iter(())
    else:
        open_data(run, pending_batches(run))


def _is_open(run: Run) -> bool:
    """Say whether the run was left where its data is open; elsewhere EPOCH_STARTED opens it when it comes there."""
    phase = run._graph.phases[phase_at(run._cursor.suspended_at)]  # type: ignore[arg-type]  # it was suspended
    return Scope.EPOCH.contains(phase.scope) and phase.event is not Events.EPOCH_STARTED


def iter_from(data: Any, skip: int, draws_now: bool = False) -> Iterator[Any]:
    """Iterate over `data` from batch number `skip` on.

    A list or another sequence is indexed. A `torch.utils.data.DataLoader` skips by sampler index, so no
    skipped batch is loaded. Everything else is consumed up to there, which takes as long as it takes.

    With `draws_now` the sampler of a DataLoader is asked for its first index here, not at the first fetch, so what is
    drawn in between has no influence on it.
    """
    by_index = is_map_style_loader(data) and not saves_position(data)
    if not skip and not (draws_now and by_index and not data.num_workers):
        return iter(data)
    if isinstance(data, Sequence):
        return (data[number] for number in range(skip, len(data)))
    if by_index:
        return _iter_loader_from(data, skip, draws_now and not data.num_workers)  # workers have asked already
    batches = iter(data)
    next(islice(batches, skip, skip), None)
    return batches  # type: ignore[no-any-return]


def is_map_style_loader(data: Any) -> bool:
    """Say whether `data` is a DataLoader that takes indices from a sampler; does not import torch."""
    torch_data = sys.modules.get("torch.utils.data")
    return (
        torch_data is not None
        and isinstance(data, torch_data.DataLoader)
        and hasattr(data, "dataset")  # a subclass that makes its own batches may have none
        and not isinstance(data.dataset, torch_data.IterableDataset)
    )


class _SkippingSampler:
    """The indices of a sampler from number `skip` on, for one pass.

    `draw` asks for those that are skipped, or else for the first, and for no more: a sampler may draw random numbers
    for any of them.
    """

    def __init__(self, sampler: Any, skip: int) -> None:
        self.sampler, self.skip = sampler, skip
        self.first: list[Any] = []
        self.rest: Iterator[Any] = iter(())
        self.skipped = False

    def __iter__(self) -> Iterator[Any]:
        self.rest = iter(self.sampler)
        self.skipped = False
        return self

    def __next__(self) -> Any:
        if not self.skipped:
            self.draw()
        return self.first.pop() if self.first else next(self.rest)

    def draw(self) -> None:
        self.skipped = True
        self.first = list(islice(self.rest, self.skip or 1))[self.skip :]


def _iter_loader_from(loader: Any, skip: int, draws_now: bool) -> Iterator[Any]:
    name = sampler_of(loader)
    indices = _SkippingSampler(getattr(loader, name), skip)
    opened: Iterator[Any] = iter(with_attributes(loader, {name: indices}))
    if draws_now:
        indices.draw()
    return opened


def sampler_of(loader: Any) -> str:
    """Return the name of what a DataLoader takes its indices from: its sampler if it makes no batches."""
    return "sampler" if loader.batch_sampler is None else "batch_sampler"


def with_attributes(loader: Any, attributes: dict[str, Any]) -> Any:
    """Return a shallow copy of a DataLoader that has these attributes instead."""
    # A DataLoader refuses assignment to some after it is made, because its own iterators would not see it; the
    # copy has none yet.
    part = copy.copy(loader)
    vars(part).update(attributes, _iterator=None)
    return part


def batches_taken(run: Run) -> int:
    """Return how many batches of the open pass are used up, one at hand included."""
    data_pass = run._data_pass
    if isinstance(data_pass.iterator, CountingIterator):
        return data_pass.iterator.taken
    return run.state.iteration - data_pass.start + pending_batches(run)


def batches_to_skip(run: Run) -> int:
    """Return the number of batches to skip when a copy of the run, or another process, opens the pass again."""
    data_pass = run._data_pass
    if data_pass.at_end:
        return 0
    return data_pass.skip if data_pass.iterator is None else batches_taken(run)


def batches_before(iteration: int, data: Any, epoch_length: int | None) -> int:
    """Return how many batches of its pass over `data` a run has used up after `iteration` iterations.

    A pass goes on over the ends of epochs, so the length of the data counts; where it is unknown, that of
    an epoch.
    """
    length = length_of(data) or epoch_length
    return iteration % length if length else 0


def raise_not_open(run: Run) -> None:
    """Raise if there is nothing open that a batch could be fetched from.

    It is asked when a fetch fails, since a handler may still give the data of a run that began without.

    Raises:
        ValueError: the run has no data, or was led past the phase that opens it.
    """
    if run._data_pass.iterator is not None:
        return
    if run.state.dataloader is None:
        raise ValueError(_no_data_message(run)) from None
    raise ValueError(
        f"a batch is to be fetched in {run.phase}, where the data is not open. EPOCH_STARTED opens it: lead to "
        f"{run.phase} by way of that."
    ) from None


def _no_data_message(run: Run) -> str:
    return (
        f"a batch is to be fetched in {run.phase}, and this run has no data. Give run(data=...), or lead a run "
        f"without data to ITERATION_STARTED instead."
    )


def raise_if_empty(run: Run) -> None:
    """Raise if the data of the run gave nothing at the first fetch.

    Raises:
        ValueError: always the mistake of the caller of `run`: an empty, or an already consumed, iterable.
    """
    data_pass, state = run._data_pass, run.state
    if data_pass.times_opened == 1 and not batches_taken(run):
        raise ValueError(
            f"Input data has zero size: the first fetch from {type(state.dataloader).__name__} gave nothing. "
            f"Please provide non-empty data; a generator or iterator can be run through only once."
        )


def set_epoch_length(run: Run) -> None:
    """Set the length of an epoch, unknown until now, to the number of iterations of the one that ends."""
    raise_if_empty(run)
    count = run.state.iteration - run._cursor.epoch_start
    if count:
        run.state.epoch_length = count
    else:
        note_exhausted(run)


def note_exhausted(run: Run) -> None:
    """Note that the data ended and gave nothing more when it was opened again; warn unless the run is done.

    Epochs without iterations follow under `max_epochs`. Under `max_iters` they would never end, so the run does.
    """
    state, run._data_pass.data_exhausted = run.state, True
    if not limits_reached(state):
        limit = f"max_epochs: {state.max_epochs}" if state.max_iters is None else f"max_iters: {state.max_iters}"
        warnings.warn(
            f"Data iterator can not provide data anymore but required total number of iterations to run is not "
            f"reached. Current iteration: {state.iteration}, epoch length: {state.epoch_length}, {limit}.",
            stacklevel=2,
        )
