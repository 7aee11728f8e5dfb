"""Samplers that draw all indices of a pass when the pass begins, so that later random numbers do not change them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from torch.utils.data import BatchSampler, DataLoader

from fsm_engine.runtime.data_iter import sampler_attribute, with_attributes
from fsm_engine.runtime.run_limits import length_of

ORIGINAL = "_original_loader"
"""Attribute of a loader made by `with_eager_sampler` that holds the loader given to `run`."""


class _Indices:
    """The indices of one pass. They are drawn by `draw`, or when the first index is requested."""

    def __init__(self, draw: Callable[[], Iterator[Any]]) -> None:
        self._draw: Callable[[], Iterator[Any]] | None = draw
        self._indices: Iterator[Any] = iter(())

    def draw(self) -> None:
        draw, self._draw = self._draw, None
        if draw is not None:
            self._indices = draw()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.draw()
        return next(self._indices)


class EagerSampler:
    """A sampler that draws all indices of another sampler when a pass begins, or the first if it has no length."""

    _open_pass: _Indices | None = None

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler

    @contextmanager
    def one_pass(self, draw_first: bool) -> Iterator[None]:
        """Return the indices of the same pass from every ``iter()`` in this context.

        They are drawn at the end of the context, or at its beginning if `draw_first` is true.
        """
        self._open_pass = _Indices(self._draw)
        try:
            if draw_first:
                self._open_pass.draw()
            yield
            self._open_pass.draw()
        finally:
            self._open_pass = None

    def __iter__(self) -> Iterator[Any]:
        return _Indices(self._draw) if self._open_pass is None else self._open_pass

    def __len__(self) -> int:
        return len(self.sampler)

    def _draw(self) -> Iterator[Any]:
        if length_of(self.sampler) is not None:
            return iter(list(self.sampler))
        indices = iter(self.sampler)
        return chain(list(islice(indices, 1)), indices)


class ReproducibleBatchSampler(EagerSampler, BatchSampler):
    """A batch sampler that draws all batches of another batch sampler when a pass begins.

    Args:
        batch_sampler: the sampler to draw the batches from.
        start_iteration: the number of batches that the first pass skips; later passes are complete.

    Raises:
        TypeError: if `batch_sampler` is not a `torch.utils.data.BatchSampler`.
    """

    def __init__(self, batch_sampler: BatchSampler, start_iteration: int | None = None) -> None:
        if not isinstance(batch_sampler, BatchSampler):
            raise TypeError(
                f"Argument batch_sampler should be torch.utils.data.sampler.BatchSampler, got {batch_sampler!r}."
            )
        vars(self).update(vars(batch_sampler))  # sampler, batch_size and further attributes, which users may read
        self.batch_sampler = batch_sampler
        self.start_iteration = start_iteration

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def _draw(self) -> Iterator[Any]:
        skip, self.start_iteration = self.start_iteration or 0, None
        return iter(list(self.batch_sampler)[skip:])


def update_dataloader(dataloader: DataLoader[Any], new_batch_sampler: BatchSampler) -> DataLoader[Any]:
    """Return a copy of `dataloader` that loads the batches of `new_batch_sampler`.

    `dataloader` does not change. The copy shares its dataset and worker settings, but not its worker processes.
    """
    return with_attributes(dataloader, {"batch_sampler": new_batch_sampler})  # type: ignore[no-any-return]


def with_eager_sampler(loader: Any) -> Any:
    """Return a copy of `loader` whose sampler draws all indices of a pass when the pass begins."""
    name = sampler_attribute(loader)
    sampler = getattr(loader, name)
    has_batches = isinstance(sampler, BatchSampler) and length_of(sampler) is not None
    eager = ReproducibleBatchSampler(sampler) if has_batches else EagerSampler(sampler)
    return with_attributes(loader, {name: eager, ORIGINAL: loader})
