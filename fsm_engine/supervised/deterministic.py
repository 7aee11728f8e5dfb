"""An engine whose runs can be repeated and resumed with the same batches and random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

from fsm_engine._util.rng import restore_rng_states, rng_states
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.runtime.data_iter import is_map_style_loader, sampler_attribute
from fsm_engine.runtime.exact_data import saves_position
from fsm_engine.runtime.run_limits import length_of
from fsm_engine.supervised.eager_sampling import (
    ORIGINAL,
    ReproducibleBatchSampler,
    update_dataloader,
    with_eager_sampler,
)

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

__all__ = ["DeterministicEngine", "ReproducibleBatchSampler", "keep_random_state", "update_dataloader"]

P = ParamSpec("P")
R = TypeVar("R")

_BEFORE_USER_HANDLERS = 2**60
_LIBRARIES = ("python", "torch", "numpy")  # the order of pytorch-ignite's rng_states


class DeterministicEngine(Engine):
    """An engine whose run gives the same batches when it is repeated, or resumed from a state dict or a pickle.

    At STARTED the engine draws ``state.seed`` from torch's global RNG: call ``torch.manual_seed`` before `run`, with
    the same number for a repeated or resumed run. Before each pass over the data it seeds the global RNGs of Python,
    torch (on every device) and numpy with ``state.seed`` plus the number of the pass, or plus ``state.iteration`` if
    epochs were cut short, so that each pass is different. It replaces a `torch.utils.data.DataLoader` in
    ``state.dataloader`` by a copy that draws all indices of a pass when the pass begins, so that random numbers drawn
    during the pass do not change its order.

    A run that resumes in the middle of a pass opens that pass again with its seed, skips the used batches, and restores
    the states of the global RNGs that `state_dict` or INTERRUPT saved.

    Reproducible are the order of the batches and the random numbers of the main process, such as dropout on a CPU and
    the augmentations of a dataset without workers. After a resume in the middle of a pass, these are not reproducible:
    random numbers of worker processes, of RNGs other than the global ones, and of a GPU, whose RNG is seeded but not
    saved. Data without a length is assumed to have as many batches as an epoch. A state dict does not hold where a pass
    began after `terminate_epoch`. For deterministic algorithms, call ``torch.use_deterministic_algorithms``.

    The engine costs a list of the indices of a pass, and nothing per iteration.

    Args:
        process_function: the step, as for `Engine`.
        lifecycle: a lifecycle with epochs, as for `Engine`.
        name: the name of the engine, as for `Engine`.

    Raises:
        ValueError: as for `Engine`, for a lifecycle without epochs, and in `run` for a new run without data.

    Example:
        >>> def order():
        ...     torch.manual_seed(0)
        ...     loader = torch.utils.data.DataLoader(list(range(6)), shuffle=True)
        ...     seen = []
        ...     DeterministicEngine(lambda engine, batch: seen.append(int(batch))).run(loader)
        ...     return seen
        >>> order() == order()
        True
    """

    def __init__(
        self,
        process_function: Callable[[Any, Any], Any] | None = None,
        *,
        lifecycle: Lifecycle | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(process_function, lifecycle=lifecycle, name=name)
        if not self.lifecycle.graph.has_epochs:
            raise ValueError(
                f"DeterministicEngine seeds each pass over the data, but the lifecycle {self.lifecycle.name!r} has no "
                f"EPOCH_STARTED, which opens the data. Use Engine, and seed in the phases that draw random numbers."
            )
        self._loaded_iterator: Any = None
        self.state.rng_states = None  # set from a load or an INTERRUPT until the run has resumed
        self.state_dict_user_keys.append("rng_states")
        self.add_event_handler(Events.STARTED(priority=_BEFORE_USER_HANDLERS), _draw_seed)
        for event, handler in (
            (Events.INTERRUPT, _save_rng_states),
            (Events.DATALOADER_STOP_ITERATION, _seed_next_pass),  # for handlers that make new data there
            (Events.TERMINATE_SINGLE_EPOCH, _seed_next_pass),
        ):
            if event in self.lifecycle.graph.index:
                self.add_event_handler(event(priority=_BEFORE_USER_HANDLERS), handler)

    def _begin(self, data: Any, *args: Any, **kwargs: Any) -> None:
        state = self.state
        has_limit = state.max_epochs is not None or state.max_iters is not None
        resumes = self._cursor.suspended_at is not None and has_limit
        if data is None and not resumes:
            raise ValueError(
                "Deterministic engine does not support the option of data=None. Please, provide data as iterable, "
                "or use Engine."
            )
        if data is not None and getattr(state.dataloader, ORIGINAL, None) is data:
            data = state.dataloader
        self._loaded_iterator = data if self._has_loaded_state and _is_iterator(data) else None
        super()._begin(data, *args, **kwargs)
        if resumes:
            self._restore_rng_states()

    def _open_pass(self, data: Any, start: int, skip: int) -> Iterator[Any]:
        if data is not None and data is self._loaded_iterator:  # an iterator has one pass, which the first epoch began
            start, skip, self._loaded_iterator = 0, start + skip, None
        self._seed_pass(start)
        if is_map_style_loader(data) and not saves_position(data):
            opened = self._open_loader(data, start, skip)
        else:
            opened = super()._open_pass(data, start, skip)
        if skip:
            self._restore_rng_states()
        return opened

    def _open_loader(self, data: Any, start: int, skip: int) -> Iterator[Any]:
        if not hasattr(data, ORIGINAL):
            data = self.state.dataloader = with_eager_sampler(data)
        # A loader that starts workers draws a seed for them, after iter(sampler) and before the first index. Persistent
        # workers are started in the first pass only. To make all passes alike, the indices are then drawn before that
        # seed, and the RNGs are seeded again after it.
        persistent = data.persistent_workers
        with getattr(data, sampler_attribute(data)).one_pass(draw_first=persistent):
            opened = super()._open_pass(data, start, skip)
        if persistent:
            self._seed_pass(start)
        return opened

    def _seed_pass(self, start: int) -> None:
        state = self.state
        length = length_of(state.dataloader) or state.epoch_length or 1
        _seed_all(state.seed + (start if start % length else start // length))

    def _restore_rng_states(self) -> None:
        states = getattr(self.state, "rng_states", None)
        if states is not None:
            _set_rng_states(states)
            self.state.rng_states = None

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the run, and the states of the global RNGs as ``rng_states``.

        ``rng_states`` is a list of the values of ``random.getstate``, ``torch.get_rng_state`` and
        ``numpy.random.get_state``, as plain data and a tensor. `load_state_dict` also takes None for it; a pass that is
        resumed in the middle then continues with the random numbers of its beginning.
        """
        values = super().state_dict()
        generators = values.get("generators")
        values["rng_states"] = _in_order(rng_states() if generators is None else generators["process"])
        return values


# The handlers are module functions: bound methods would be a reference cycle, and closures cannot be pickled.


def _draw_seed(engine: Engine) -> None:
    engine.state.seed = int(torch.randint(0, 10**9, (1,)))


def _save_rng_states(engine: Engine) -> None:
    engine.state.rng_states = _rng_states()


def _seed_next_pass(engine: DeterministicEngine) -> None:
    engine._seed_pass(engine.state.iteration)


def _is_iterator(data: Any) -> bool:
    return isinstance(data, Iterator)


def keep_random_state(func: Callable[P, R]) -> Callable[P, R]:
    """Wrap `func` so that the global RNGs of Python, torch and numpy are restored when it returns or raises."""

    @wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        states = _rng_states()
        try:
            return func(*args, **kwargs)
        finally:
            _set_rng_states(states)

    return wrapper


def _seed_all(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    if numpy is not None:
        numpy.random.seed(seed)


def _rng_states() -> list[Any]:
    return _in_order(rng_states())


def _in_order(states: Mapping[str, Any]) -> list[Any]:
    return [states[library] for library in _LIBRARIES if library in states]


def _set_rng_states(states: Sequence[Any]) -> None:
    restore_rng_states(dict(zip(_LIBRARIES, states)))
