"""Passes over the data: open one at any batch, count its batches, and handle its end."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from fsm_engine.events.events import Events
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.positions import phase_at
from fsm_engine.runtime.data_pass import DataPass
from fsm_engine.runtime.exact_data import open_exactly, saves_position
from fsm_engine.runtime.run import Run
from fsm_engine.runtime.run_limits import length_of, limits_reached

_ONCE = (
    "A generator or an iterator gives its batches once: give a list or a DataLoader, or an iterator that does not end."
)


def open_data(run: Run, pending: int = 0) -> None:
    """Open a pass over the data of the run; after a load, a copy or a resume, at the next batch.

    `pending` is the number of batches that have been fetched and whose iteration has not begun.

    Raises:
        ValueError: the run has no data.
    """
    data_pass, state = run._data_pass, run.state
    if state.dataloader is None:
        raise ValueError(_no_data_message(run))
    skip, data_pass.skip = data_pass.skip, 0
    start = data_pass.start if skip else state.iteration + pending
    opened = open_exactly(run, start, skip) if run.resumes_exactly else run._open_pass(state.dataloader, start, skip)
    if run._lengths is not None:
        opened = run._lengths.shared_part(opened, skip)
    data_pass.iterator = opened if run._graph.pending_batches is not None else CountingIterator(opened, skip)
    data_pass.at_end = data_pass.data_exhausted = data_pass.must_reopen = False
    data_pass.start = start
    data_pass.times_opened += 1


class CountingIterator:
    """An iterator that counts fetched batches, for graphs in which the number of iterations does not determine it."""

    def __init__(self, batches: Iterator[Any], taken: int) -> None:
        self.batches, self.taken = batches, taken

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.taken += 1  # also if next() raises another error, because a DataLoader then continues with the next batch
        try:
            return next(self.batches)
        except StopIteration:
            self.taken -= 1
            raise


def check_data(data: Any, may_be_empty: bool = False) -> None:
    """Check that `data` is iterable and, unless it `may_be_empty`, not known to be empty. Warn if it is a dataset.

    Raises:
        TypeError: `data` is not iterable.
        ValueError: `data` has length zero.
    """
    if getattr(type(data), "__iter__", None) is None and not hasattr(data, "__getitem__"):
        fix = f" Give an object of this class: {data.__name__}(...)." if isinstance(data, type) else ""
        if isinstance(data, Run):
            fix = " A handler gets the engine as its first argument. Attach lambda: evaluator.run(data)."
        raise TypeError(f"Argument data should be iterable, got {type(data).__name__}: {data!r}.{fix}")
    if length_of(data) == 0 and not may_be_empty:
        dropped = " drop_last=True has dropped the only batch." if getattr(data, "drop_last", False) else ""
        raise ValueError(f"Input data has zero size.{dropped} Please provide non-empty data.")
    torch_data = sys.modules.get("torch.utils.data")
    if torch_data is not None and _is_map_style(torch_data, data):
        warnings.warn(
            f"The data is a {type(data).__name__}, a dataset, so each iteration gets one item of it, in the same order "
            f"in each epoch. Give DataLoader(dataset, batch_size=..., shuffle=True), or, if each item is a batch, "
            f"DataLoader(dataset, batch_size=None).",
            stacklevel=4,
        )


def _is_map_style(torch_data: Any, dataset: Any) -> bool:
    return isinstance(dataset, torch_data.Dataset) and not isinstance(dataset, torch_data.IterableDataset)


def pending_batches(run: Run) -> int:
    """Return the number of batches that have been fetched and whose iteration has not begun.

    For a suspended or failed run, it is the number at the position to resume from.
    """
    per_phase = run._graph.pending_batches
    return per_phase[phase_at(run._resume_position)] if per_phase is not None else 0


def resume_data(run: Run, data: Any) -> None:
    """Resume the pass of a suspended run; if `data` is other data than before, start a pass over it.

    If opening the data raises, the run does not change.
    """
    data_pass, state = run._data_pass, run.state
    before = {name: getattr(data_pass, name) for name in DataPass.__slots__}
    dataloader = state.dataloader
    try:
        _set_data(run, data)
    except BaseException:
        for name, value in before.items():
            setattr(data_pass, name, value)
        state.dataloader = dataloader
        raise


def _set_data(run: Run, data: Any) -> None:
    data_pass, state = run._data_pass, run.state
    is_unpickled = state.dataloader is None and data_pass.has_data  # `data` is then taken for the data left out
    if data is not None and data is not state.dataloader and not is_unpickled:
        data_pass.iterator, data_pass.skip, data_pass.times_opened, data_pass.at_end = None, 0, 0, False
        data_pass.must_reopen, opens = False, _needs_new_data(run)
    else:
        opens = data_pass.must_reopen
    state.dataloader = state.dataloader if data is None else data
    data_pass.has_data = state.dataloader is not None
    if data_pass.iterator is not None or not opens:
        return
    if data_pass.at_end:
        data_pass.iterator, data_pass.must_reopen = iter(()), False
    else:
        open_data(run, pending_batches(run))


def is_open(run: Run) -> bool:
    """Return True if a pass is open, or was open where the run was saved or copied."""
    return run._data_pass.iterator is not None or run._data_pass.must_reopen


def _needs_new_data(run: Run) -> bool:
    """Return True if the run was suspended after EPOCH_STARTED in an epoch; otherwise EPOCH_STARTED opens new data."""
    phase = run._graph.phases[phase_at(run._cursor.suspended_at)]  # type: ignore[arg-type]  # it was suspended
    return Scope.EPOCH.contains(phase.scope) and phase.event is not Events.EPOCH_STARTED


def iter_from(data: Any, skip: int, draws_now: bool = False) -> Iterator[Any]:
    """Return an iterator over `data` from batch number `skip` on.

    A list or another sequence is indexed. For a `torch.utils.data.DataLoader`, indices of its sampler are skipped, so
    the skipped batches are not loaded. All other data is iterated over up to there, which loads each skipped batch.

    With `draws_now`, the sampler of a DataLoader draws its first index here instead of at the first fetch, so random
    numbers drawn in between have no effect on it.
    """
    by_index = is_map_style_loader(data) and not saves_position(data)
    if not skip and not (draws_now and by_index and not data.num_workers):
        return iter(data)
    if isinstance(data, Sequence):
        return (data[number] for number in range(skip, len(data)))
    if by_index:
        return _iter_loader_from(data, skip, draws_now and not data.num_workers)  # with workers, iter() draws already
    batches = iter(data)
    next(islice(batches, skip, skip), None)
    return batches  # type: ignore[no-any-return]


def is_map_style_loader(data: Any) -> bool:
    """Return True if `data` is a DataLoader over a map-style dataset, which has a sampler. Does not import torch."""
    torch_data = sys.modules.get("torch.utils.data")
    return (
        torch_data is not None
        and isinstance(data, torch_data.DataLoader)
        and hasattr(data, "dataset")  # a subclass that makes its own batches may have none
        and not isinstance(data.dataset, torch_data.IterableDataset)
    )


class _SkippingSampler:
    """A sampler without its first `skip` indices, for one pass.

    `draw` draws the skipped indices, or the first one if `skip` is 0. It draws no others, because a sampler may use
    random numbers for each index.
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
    name = sampler_attribute(loader)
    indices = _SkippingSampler(getattr(loader, name), skip)
    opened: Iterator[Any] = iter(with_attributes(loader, {name: indices}))
    if draws_now:
        indices.draw()
    return opened


def sampler_attribute(loader: Any) -> str:
    """Return the name of the attribute with the sampler that a DataLoader iterates over.

    It is ``batch_sampler``, or ``sampler`` if automatic batching is off.
    """
    return "sampler" if loader.batch_sampler is None else "batch_sampler"


def with_attributes(loader: Any, attributes: dict[str, Any]) -> Any:
    """Return a shallow copy of a DataLoader with other values of these attributes."""
    # DataLoader.__setattr__ rejects some of them, because existing iterators would ignore the new value. The copy does
    # not have an iterator yet.
    copied = copy.copy(loader)
    vars(copied).update(attributes, _iterator=None)
    return copied


def batches_taken(run: Run) -> int:
    """Return the number of batches that have been fetched in the open pass."""
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


def length_of_pass(run: Run) -> int | None:
    """Return the number of batches in a pass over the data of the run, or None if it is unknown."""
    data = run.state.dataloader
    return length_of(data) if run._lengths is None else run._lengths.length_of_pass(data)


def batches_before(run: Run, iteration: int) -> int:
    """Return the number of batches that the current pass over the data has used after `iteration` iterations.

    A pass continues over the ends of epochs, so it starts at multiples of the length of the data; if that is unknown,
    of the epoch length. If both are unknown, returns 0.
    """
    length = length_of_pass(run) or run.state.epoch_length
    return iteration % length if length else 0


def raise_not_open(run: Run) -> None:
    """Raise if the data is not open.

    It is called only after a fetch has failed, because a handler can set the data of a run that started without data.

    Raises:
        ValueError: the run has no data, or has not passed through the phase that opens it.
    """
    if run._data_pass.iterator is not None:
        return
    if run.state.dataloader is None:
        raise ValueError(_no_data_message(run)) from None
    raise ValueError(
        f"{run.phase} fetches a batch, but the data is not open. EPOCH_STARTED opens it: add transitions so that a run "
        f"enters EPOCH_STARTED before {run.phase}."
    ) from None


def _no_data_message(run: Run) -> str:
    return (
        f"{run.phase} fetches a batch, but this run has no data. Pass run(data=...), or let runs without data go to "
        f"ITERATION_STARTED instead."
    )


def raise_if_empty(run: Run) -> None:
    """Raise if the first fetch of the run found the end of the data. Data of length zero has passed `check_data`.

    Raises:
        ValueError: `run` was called with an empty or consumed iterable.
    """
    data_pass, state = run._data_pass, run.state
    if data_pass.times_opened == 1 and not batches_taken(run) and length_of(state.dataloader) != 0:
        raise ValueError(
            f"Input data has zero size: the first fetch from {type(state.dataloader).__name__} returned no batch. "
            f"Please provide non-empty data; a generator or an iterator can be consumed only once."
        )


def set_epoch_length(run: Run) -> None:
    """Set the unknown epoch length to the number of iterations of the epoch that ends.

    Raises:
        ValueError: the data of the run is empty.
    """
    raise_if_empty(run)
    count = run.state.iteration - run._cursor.epoch_start
    if count:
        run.state.epoch_length = run._data_pass.derived_length = count
    else:
        note_exhausted(run)


def note_exhausted(run: Run) -> None:
    """Record that the data ended and yielded no batch when it was opened again; warn if iterations are missing.

    With `max_epochs`, epochs without iterations follow. With `max_iters`, the run ends, because such epochs would never
    reach the limit.
    """
    state, run._data_pass.data_exhausted = run.state, True
    if not limits_reached(state):
        limit = f"max_epochs: {state.max_epochs}" if state.max_iters is None else f"max_iters: {state.max_iters}"
        warnings.warn(
            f"Data iterator can not provide data anymore but required total number of iterations to run is not "
            f"reached. Current iteration: {state.iteration}, epoch length: {state.epoch_length}, {limit}. {_ONCE}",
            stacklevel=2,
        )
    elif state.epoch > 1 and state.iteration == (state.epoch_length or 0) * (state.epoch - 1):
        warnings.warn(f"Epoch {state.epoch}, the last one, has no iterations. {_ONCE}", stacklevel=2)
