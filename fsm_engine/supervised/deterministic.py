"""Runs whose batches can be had again: random generators seeded pass by pass, and batches drawn ahead."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import chain, islice
from typing import Any, ParamSpec, TypeVar

import torch
from torch.utils.data import BatchSampler, DataLoader

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.runtime.data_iter import is_map_style_loader, sampler_of, with_attributes
from fsm_engine.runtime.exact_data import saves_position
from fsm_engine.runtime.run_limits import length_of

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

P = ParamSpec("P")
R = TypeVar("R")

_FIRST = 2**60  # the priority of what has to come before every handler of the user
_GIVEN = "_given_to_run"  # the attribute of a loader made here that holds the user's own


class DeterministicEngine(Engine):
    """An engine whose run gives the same batches again, also when it goes on from a state dict or a pickle.

    At STARTED it draws ``state.seed`` from torch's generator, so call ``torch.manual_seed`` before `run`, with
    the same number when a run is to be repeated or resumed. Before each pass over the data it seeds Python's,
    torch's (on every device) and numpy's global generators with ``state.seed`` plus the number of the pass, or
    with ``state.seed`` plus ``state.iteration`` where epochs were cut short, so that no pass repeats another.
    A `torch.utils.data.DataLoader` is replaced, as ``state.dataloader``, by one that draws a pass's indices
    when the pass begins, so that random numbers used in between have no influence on them.

    Where the run goes on in the middle of a pass, that pass is seeded and opened as it was, the batches used
    already are skipped, and the states of the generators are those that `state_dict`, or INTERRUPT, found.

    What is the same: the order of the batches; random numbers of the main process, such as dropout on a CPU
    and what a dataset draws without workers. What is not, from the middle of a pass on: random numbers drawn
    in worker processes, by generators of the user's own, and on a GPU, whose generator is seeded but not
    saved. Data without a length is taken to have as many batches as an epoch. Where a pass began after
    `terminate_epoch` is not in a state dict. Algorithms are left alone: call
    ``torch.use_deterministic_algorithms``.

    It costs one list of a pass's indices, and nothing per iteration.

    Args:
        process_function: the step, as for `Engine`.
        lifecycle: another lifecycle than that of training, as for `Engine`. It has to go by epochs: others open
            no data.

    Raises:
        ValueError: as `Engine`; a lifecycle without epochs; in `run` also without data, unless a suspended run goes on.
    """

    def __init__(
        self, process_function: Callable[[Any, Any], Any] | None = None, *, lifecycle: Lifecycle | None = None
    ) -> None:
        super().__init__(process_function, lifecycle=lifecycle)
        if not self.lifecycle.graph.has_epochs:
            raise ValueError(
                f"a DeterministicEngine seeds each pass over the data, and the lifecycle {self.lifecycle.name!r} opens "
                f"none, because it has no EPOCH_STARTED. Use Engine, and seed where its phases draw random numbers."
            )
        self.state.rng_states = None  # of where the run goes on, until it does
        self.state_dict_user_keys.append("rng_states")
        self.add_event_handler(Events.STARTED(priority=_FIRST), _draw_seed)
        for event, handler in (
            (Events.INTERRUPT, _keep_rng_states),
            (Events.DATALOADER_STOP_ITERATION, _seed_next_pass),  # for handlers that make new data there
            (Events.TERMINATE_SINGLE_EPOCH, _seed_next_pass),
        ):
            if event in self.lifecycle.graph.index:
                self.add_event_handler(event(priority=_FIRST), handler)

    def _begin(self, data: Any, *args: Any, **kwargs: Any) -> int:
        state = self.state
        goes_on = self._cursor.suspended_at is not None and not (state.max_epochs is None and state.max_iters is None)
        if data is None and not goes_on and not self._running:
            raise ValueError(
                "Deterministic engine does not support the option of data=None. Please, provide data as iterable, "
                "or use Engine."
            )
        if data is not None and getattr(state.dataloader, _GIVEN, None) is data:
            data = state.dataloader
        at = super()._begin(data, *args, **kwargs)
        if goes_on:
            self._restore_rng_states()
        return at

    def _open_pass(self, data: Any, start: int, skip: int) -> Iterator[Any]:
        self._seed_pass(start)
        if is_map_style_loader(data) and not saves_position(data):
            opened = self._open_loader(data, start, skip)
        else:
            opened = super()._open_pass(data, start, skip)
        if skip:
            self._restore_rng_states()
        return opened

    def _open_loader(self, data: Any, start: int, skip: int) -> Iterator[Any]:
        if not hasattr(data, _GIVEN):
            data = self.state.dataloader = _drawn_ahead(data)
        # A loader draws a number for its workers when it makes them, behind opening its sampler and before it
        # asks for an index. If they stay for the next pass, it draws none there, so the indices go first.
        stay = data.persistent_workers
        with getattr(data, sampler_of(data)).opening(first=stay):
            opened = super()._open_pass(data, start, skip)
        if stay:
            self._seed_pass(start)
        return opened

    def _seed_pass(self, start: int) -> None:
        state = self.state
        length = length_of(state.dataloader) or state.epoch_length or 1
        _seed(state.seed + (start if start % length else start // length))

    def _restore_rng_states(self) -> None:
        states = getattr(self.state, "rng_states", None)
        if states is not None:
            _set_rng_states(states)
            self.state.rng_states = None

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the run, and as ``rng_states`` what the global generators stand at.

        These are what ``random.getstate``, ``torch.get_rng_state`` and ``numpy.random.get_state`` return, as
        plain data and a tensor. `load_state_dict` takes None for them as well, which leaves a pass that is
        opened in the middle with the numbers from its beginning.
        """
        values = super().state_dict()
        values["rng_states"] = _rng_states()
        return values


# Functions of the module, so that an engine refers to nothing that refers to it, and can be pickled.


def _draw_seed(engine: Engine) -> None:
    engine.state.seed = int(torch.randint(0, 10**9, (1,)))


def _keep_rng_states(engine: Engine) -> None:
    engine.state.rng_states = _rng_states()


def _seed_next_pass(engine: DeterministicEngine) -> None:
    engine._seed_pass(engine.state.iteration)


class _Pass:
    """The indices of one pass, drawn when it begins: at `begin`, or when the first is asked for."""

    def __init__(self, draw: Callable[[], Iterator[Any]]) -> None:
        self._draw: Callable[[], Iterator[Any]] | None = draw
        self._indices: Iterator[Any] = iter(())

    def begin(self) -> None:
        draw, self._draw = self._draw, None
        if draw is not None:
            self._indices = draw()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.begin()
        return next(self._indices)


class _DrawnAhead:
    """A sampler of any kind whose indices are drawn when a pass begins; of one without a length, the first is."""

    _opening: _Pass | None = None

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler

    @contextmanager
    def opening(self, first: bool) -> Iterator[None]:
        """Open one pass inside, however often it is asked for, and have its indices drawn at the end of it.

        With `first` they are drawn at the beginning.
        """
        self._opening = _Pass(self._draw)
        try:
            if first:
                self._opening.begin()
            yield
            self._opening.begin()
        finally:
            self._opening = None

    def __iter__(self) -> Iterator[Any]:
        return _Pass(self._draw) if self._opening is None else self._opening

    def __len__(self) -> int:
        return len(self.sampler)

    def _draw(self) -> Iterator[Any]:
        if length_of(self.sampler) is not None:
            return iter(list(self.sampler))
        indices = iter(self.sampler)
        return chain(list(islice(indices, 1)), indices)


class ReproducibleBatchSampler(_DrawnAhead, BatchSampler):
    """The batches of another sampler, all of them drawn when a pass begins.

    Args:
        batch_sampler: gives the batches' indices.
        start_iteration: how many batches the first pass leaves out; those after it are whole.

    Raises:
        TypeError: if `batch_sampler` is none.
    """

    def __init__(self, batch_sampler: BatchSampler, start_iteration: int | None = None) -> None:
        if not isinstance(batch_sampler, BatchSampler):
            raise TypeError(
                f"Argument batch_sampler should be torch.utils.data.sampler.BatchSampler, got {batch_sampler!r}."
            )
        vars(self).update(vars(batch_sampler))  # sampler, batch_size and so on, whatever there is
        self.batch_sampler = batch_sampler
        self.start_iteration = start_iteration

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def _draw(self) -> Iterator[Any]:
        skip, self.start_iteration = self.start_iteration or 0, None
        return iter(list(self.batch_sampler)[skip:])


def update_dataloader(dataloader: DataLoader[Any], new_batch_sampler: BatchSampler) -> DataLoader[Any]:
    """Return a DataLoader of the same class and with the same attributes, which loads the batches of another sampler.

    `dataloader` stays as it is. Dataset and worker settings are shared; workers themselves are not.
    """
    return with_attributes(dataloader, {"batch_sampler": new_batch_sampler})  # type: ignore[no-any-return]


def _drawn_ahead(loader: Any) -> Any:
    name = sampler_of(loader)
    sampler = getattr(loader, name)
    known = isinstance(sampler, BatchSampler) and length_of(sampler) is not None
    ahead = ReproducibleBatchSampler(sampler) if known else _DrawnAhead(sampler)
    return with_attributes(loader, {name: ahead, _GIVEN: loader})


def keep_random_state(func: Callable[P, R]) -> Callable[P, R]:
    """Let `func` leave Python's, torch's and numpy's global generators as it found them, also when it raises."""

    @wraps(func)
    def keeping(*args: P.args, **kwargs: P.kwargs) -> R:
        states = _rng_states()
        try:
            return func(*args, **kwargs)
        finally:
            _set_rng_states(states)

    return keeping


def _seed(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    if numpy is not None:
        numpy.random.seed(seed)


def _rng_states() -> list[Any]:
    states: list[Any] = [random.getstate(), torch.get_rng_state()]
    if numpy is not None:
        legacy: Any = numpy.random.get_state()
        name, keys, *rest = legacy
        states.append((name, keys.tolist(), *rest))  # torch.load refuses an array unless it is told to trust
    return states


def _set_rng_states(states: list[Any]) -> None:
    random.setstate(states[0])
    torch.set_rng_state(states[1])
    if numpy is not None and len(states) > 2:
        numpy.random.set_state(states[2])
