"""The arguments of `run`: data, limits and epoch lengths, and whether they start a new run or continue one."""

from __future__ import annotations

import itertools
import logging
import pickle
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import Edge
from fsm_engine.events.events import Events
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.runtime.run_limits import length_of, limits_reached, reaches
from fsm_engine.runtime.state import State

NO_DATA = r"^{} fetches a batch, but this run has no data\. Pass run\(data=\.\.\.\)"
NOT_OPEN = r"^GET_BATCH_STARTED fetches a batch, but the data is not open\. EPOCH_STARTED opens it"


class Sized:
    """Data with a length that can be iterated over repeatedly."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.length))


class Unsized:
    """Data without a length that can be iterated over repeatedly."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.length))


class RaisingLength(Unsized):
    """Data with a ``__len__`` that raises, like a DataLoader over data without a length."""

    def __len__(self) -> int:
        raise TypeError("object of type 'RaisingLength' has no len()")


class Indexed:
    """Data that is iterable only through ``__getitem__``."""

    def __getitem__(self, index: int) -> int:
        if index >= 2:
            raise IndexError
        return index


class Walk:
    """An engine that records its steps as (epoch, iteration, batch)."""

    def __init__(self) -> None:
        self.engine = Engine(self._step)
        self._steps: list[Any] = []

    def _step(self, engine: Engine, batch: Any) -> Any:
        self._steps.append((engine.state.epoch, engine.state.iteration, batch))
        return batch

    def run(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Run the engine and return the steps of this run."""
        self._steps = []
        assert self.engine.run(*args, **kwargs) is self.engine.state
        return self._steps

    @property
    def limits(self) -> tuple[Any, ...]:
        """The counters, epoch length and limits of the state."""
        state = self.engine.state
        return state.epoch, state.iteration, state.epoch_length, state.max_epochs, state.max_iters


@pytest.fixture
def walk() -> Walk:
    return Walk()


# Data


@pytest.mark.parametrize(
    ("data", "batches"),
    [
        ([7, 8], [7, 8]),
        ((7, 8), [7, 8]),
        (range(3), [0, 1, 2]),
        ("ab", ["a", "b"]),
        ({"x": 1, "y": 2}, ["x", "y"]),
        ([None, None], [None, None]),
        ([[], [1]], [[], [1]]),
        (Sized(2), [0, 1]),
        (Unsized(2), [0, 1]),
        (RaisingLength(2), [0, 1]),
        (Indexed(), [0, 1]),
    ],
)
def test_data_can_be_any_iterable(walk: Walk, data: Any, batches: list[Any]) -> None:
    once = [(1, number, batch) for number, batch in enumerate(batches, 1)]
    again = [(2, number, batch) for number, batch in enumerate(batches, len(batches) + 1)]
    assert walk.run(data, max_epochs=2) == once + again
    assert walk.limits == (2, 2 * len(batches), len(batches), 2, None)
    assert walk.engine.state.dataloader is data


@pytest.mark.parametrize("make", [lambda: iter([7, 8]), lambda: (n for n in (7, 8)), lambda: map(abs, (7, -8))])
def test_the_end_of_an_iterator_sets_the_epoch_length(walk: Walk, make: Callable[[], Any]) -> None:
    assert walk.run(make()) == [(1, 1, 7), (1, 2, 8)]
    assert walk.limits == (1, 2, 2, 1, None)


def test_epochs_after_the_end_of_an_iterator_are_empty(walk: Walk) -> None:
    message = r"^Data iterator can not provide data.* iteration: 2, epoch length: 2, max_epochs: 3\. .* a DataLoader"
    with pytest.warns(UserWarning, match=message) as caught:
        steps = walk.run(iter([7, 8]), max_epochs=3)
    assert len(caught) == 1
    assert steps == [(1, 1, 7), (1, 2, 8)]
    assert walk.limits == (3, 2, 2, 3, None)


def test_a_last_epoch_without_iterations_warns_if_no_earlier_epoch_has(walk: Walk) -> None:
    with pytest.warns(UserWarning, match=r"^Epoch 2, .* no iterations\. .* a list or a DataLoader"):
        walk.run(iter([7, 8]), max_epochs=2)
    assert walk.limits == (2, 2, 2, 2, None)


def test_data_that_ends_within_the_last_epoch_gives_no_warning(walk: Walk) -> None:
    walk.run(iter([7, 8, 9]), max_epochs=2, epoch_length=2)
    assert walk.limits == (2, 3, 2, 2, None)


def test_infinite_data_needs_an_epoch_length(walk: Walk) -> None:
    assert walk.run(itertools.count(), max_epochs=2, epoch_length=2) == [(1, 1, 0), (1, 2, 1), (2, 3, 2), (2, 4, 3)]


def test_data_can_be_a_torch_dataloader(walk: Walk) -> None:
    torch_data = pytest.importorskip("torch.utils.data")
    loader = torch_data.DataLoader([1, 2, 3], batch_size=2)
    assert [(epoch, iteration, batch.tolist()) for epoch, iteration, batch in walk.run(loader, max_epochs=2)] == [
        *[(1, 1, [1, 2]), (1, 2, [3])],
        *[(2, 3, [1, 2]), (2, 4, [3])],
    ]


class NotIterable:
    __iter__ = None


@pytest.mark.parametrize("data", [5, 1.5, True, object, NotIterable(), Engine(lambda engine, batch: batch)])
def test_data_has_to_be_iterable(walk: Walk, data: Any) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape('Argument data should be iterable, got ')}") as error:
        walk.run(data)
    assert f"got {type(data).__name__}: {data!r}." in str(error.value)
    assert walk.limits == (0, 0, None, None, None)
    assert (walk.engine.outcome, walk.engine.phase.name) == (None, "IDLE")


@pytest.mark.parametrize("data", [[], (), {}, "", range(0), Sized(0)])
def test_data_of_length_zero_raises_before_the_run_starts(walk: Walk, data: Any) -> None:
    walk.engine.add_event_handler(Events.STARTED, pytest.fail, "the run began")
    with pytest.raises(ValueError, match=r"^Input data has zero size\. Please provide non-empty data\.$"):
        walk.run(data)
    assert walk.limits == (0, 0, None, None, None)


def test_data_of_length_zero_raises_with_an_epoch_length_and_in_a_continued_run(walk: Walk) -> None:
    for arguments in ({"epoch_length": 2}, {"max_epochs": 3}):
        with pytest.raises(ValueError, match=r"^Input data has zero size\. Please provide non-empty data\.$"):
            walk.run([], **arguments)
        assert walk.engine.phase.name == "IDLE"
        walk.run([7])


def test_data_of_length_zero_raises_with_a_limit_set_on_the_state(walk: Walk) -> None:
    walk.engine.state.max_epochs = 2
    with pytest.raises(ValueError, match=r"^Input data has zero size\. Please provide non-empty data\.$"):
        walk.run([])
    assert walk.limits == (0, 0, None, 2, None)


@pytest.mark.parametrize(
    ("data", "limits", "kind"),
    [
        (iter([]), {}, "list_iterator"),
        (iter([]), {"max_epochs": 3, "epoch_length": 2}, "list_iterator"),
        (Unsized(0), {"max_iters": 3}, "Unsized"),
    ],
)
def test_empty_data_without_a_length_raises_at_the_first_fetch(
    walk: Walk, data: Any, limits: dict[str, int], kind: str
) -> None:
    with pytest.raises(ValueError, match=f"^Input data has zero size: the first fetch from {kind} .*only once"):
        walk.run(data, **limits)


def test_run_raises_the_exception_of_the_data(walk: Walk) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk full")

    with pytest.raises(OSError, match=r"^disk full\b"):
        walk.run(broken())
    assert (walk.engine.outcome, walk.engine.state.iteration) == ("failed", 1)


# No data


def test_a_run_without_data_fires_no_events_of_batches(walk: Walk) -> None:
    log: list[str] = []
    for event in Events:
        walk.engine.add_event_handler(event, lambda *args, name=event.name: log.append(name))
    assert walk.run(max_epochs=2, epoch_length=2) == [(1, 1, None), (1, 2, None), (2, 3, None), (2, 4, None)]
    iteration = ["ITERATION_STARTED", "ITERATION_COMPLETED"]
    assert log == ["STARTED", *["EPOCH_STARTED", *iteration * 2, "EPOCH_COMPLETED"] * 2, "COMPLETED"]
    assert (walk.engine.state.batch, walk.engine.state.dataloader) == (None, None)


NO_LENGTH = r"^epoch_length should be provided if data is None\. .* run\(data\).* run\(None, epoch_length=\.\.\.\)\.$"


@pytest.mark.parametrize("limits", [{}, {"max_epochs": 3}, {"max_iters": 3}])
def test_a_run_without_data_needs_an_epoch_length(walk: Walk, limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=NO_LENGTH):
        walk.run(**limits)
    assert walk.limits == (0, 0, None, None, None)


def test_a_continued_run_without_data_needs_an_epoch_length(walk: Walk) -> None:
    walk.engine.state.max_epochs = 2
    with pytest.raises(ValueError, match=NO_LENGTH):
        walk.run()
    assert walk.limits == (0, 0, None, 2, None)


def test_the_epoch_length_of_a_run_without_data_can_be_set_on_the_state(walk: Walk) -> None:
    walk.engine.state.epoch_length = 2
    assert walk.run() == [(1, 1, None), (1, 2, None)]
    assert walk.run() == [(1, 1, None), (1, 2, None)]


def test_a_continued_run_can_drop_its_data_and_get_data_again(walk: Walk) -> None:
    assert walk.run([7, 8], max_epochs=1) == [(1, 1, 7), (1, 2, 8)]
    assert walk.run(max_epochs=2) == [(2, 3, None), (2, 4, None)]
    assert walk.engine.state.dataloader is None
    assert walk.run([7, 8, 9], max_epochs=3) == [(3, 5, 7), (3, 6, 8)]


# Epoch length


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        (1, [(1, 1, 7), (2, 2, 8), (3, 3, 9)]),
        (2, [(1, 1, 7), (1, 2, 8), (2, 3, 9), (2, 4, 7), (3, 5, 8), (3, 6, 9)]),
        (4, [(1, 1, 7), (1, 2, 8), (1, 3, 9), (1, 4, 7), (2, 5, 8), (2, 6, 9), (2, 7, 7), (2, 8, 8)]),
    ],
)
def test_a_pass_over_the_data_continues_over_the_ends_of_epochs(walk: Walk, length: int, steps: list[Any]) -> None:
    assert walk.run([7, 8, 9], max_epochs=3, epoch_length=length)[: len(steps)] == steps
    assert walk.limits == (3, 3 * length, length, 3, None)


def test_the_length_of_new_data_overrides_the_epoch_length_of_the_state(walk: Walk) -> None:
    walk.engine.state.epoch_length = 2
    assert walk.run([7, 8, 9]) == [(1, 1, 7), (1, 2, 8), (1, 3, 9)]


def test_a_new_run_takes_the_epoch_length_from_its_data_again(walk: Walk) -> None:
    walk.run([7, 8])
    assert walk.run([7, 8, 9]) == [(1, 1, 7), (1, 2, 8), (1, 3, 9)]
    assert walk.run(iter([7])) == [(1, 1, 7)]
    assert walk.run([7, 8, 9], epoch_length=2) == [(1, 1, 7), (1, 2, 8)]
    assert walk.limits == (1, 2, 2, 1, None)


def test_data_of_another_length_does_not_change_the_epoch_length_of_a_continued_run(walk: Walk) -> None:
    walk.run([7, 8], max_epochs=1)
    with pytest.warns(UserWarning, match="3 batches"):
        assert walk.run([1, 2, 3], max_epochs=2) == [(2, 3, 1), (2, 4, 2)]
    assert walk.run([1, 2, 3], max_epochs=3, epoch_length=2) == [(3, 5, 1), (3, 6, 2)]


def lengths_of_later_runs(first: dict[str, Any], *later: Any) -> list[int]:
    """Return the epoch lengths of new runs with `later` data after a run with the arguments `first`."""
    walk, lengths = Walk(), []
    walk.run(**first)
    for data in later:
        walk.engine.state.max_epochs = None
        with walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=9), lambda: walk.engine.terminate()):
            lengths.append(len(walk.run(data)))
    return lengths


@pytest.mark.parametrize("endless", [itertools.count, lambda: Unsized(50)])
def test_a_new_run_on_data_without_a_length_keeps_an_epoch_length_that_was_given(endless: Callable[[], Any]) -> None:
    assert lengths_of_later_runs({"data": endless(), "epoch_length": 5}, endless(), endless()) == [5, 5]


@pytest.mark.parametrize("data", [[7, 8], Unsized(2)])
def test_a_new_run_on_data_without_a_length_drops_an_epoch_length_of_earlier_data(data: Any) -> None:
    assert lengths_of_later_runs({"data": data}, Unsized(4), Unsized(3)) == [4, 3]


def test_data_with_a_length_replaces_an_epoch_length_that_was_given() -> None:
    assert lengths_of_later_runs({"data": Unsized(9), "epoch_length": 5}, [7, 8], Unsized(4)) == [2, 4]


def test_an_epoch_length_that_is_given_again_or_set_on_the_state_counts_as_given(walk: Walk) -> None:
    walk.run([7, 8])
    walk.run([7, 8], max_epochs=2, epoch_length=2)
    walk.engine.state.max_epochs = None
    assert len(walk.run(Unsized(9))) == 2
    walk.engine.state.max_epochs, walk.engine.state.epoch_length = None, 3
    assert len(walk.run(Unsized(9))) == 3


def test_a_pickle_knows_whether_an_epoch_length_was_given() -> None:
    for arguments, length in (({"epoch_length": 5}, 5), ({}, 7)):
        engine = Engine(repeat)
        engine.run(Unsized(9), **arguments)
        engine = pickle.loads(pickle.dumps(engine))
        assert engine.run(Unsized(7)).iteration == length


def repeat(_engine: Engine, batch: Any) -> Any:
    return batch


def test_longer_data_for_a_continued_run_warns_once_with_the_numbers(walk: Walk) -> None:
    walk.run(range(20))
    with pytest.warns(UserWarning, match=r"100 batches.* 20 iterations.*epoch_length = 100.*epoch_length=20") as caught:
        walk.engine.run(range(100), max_epochs=2)
    assert [warning.filename for warning in caught] == [__file__]
    walk.run(range(100), max_epochs=3)
    walk.run(range(50), max_epochs=5)
    walk.engine.state.epoch_length = 100
    assert len(walk.run(range(100), max_epochs=6)) == 100


def test_longer_data_does_not_warn_if_the_epoch_length_was_given_or_the_run_is_new(walk: Walk) -> None:
    walk.run(range(20), epoch_length=10)
    walk.run(range(100), max_epochs=2)
    walk.engine.state.max_epochs = None
    walk.run(range(20))
    walk.run(range(30))
    walk.run(range(30), max_epochs=2)
    walk.run(range(10), max_epochs=3)
    walk.run(range(100), max_epochs=4, epoch_length=30)


def test_a_continued_run_cannot_have_another_epoch_length(walk: Walk) -> None:
    walk.run([7, 8], max_epochs=1)
    message = (
        "Argument epoch_length should be same as in the state, got 3 vs 2. "
        "To start from zero with another length, set engine.state.max_epochs = None before engine.run()."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk.run([7, 8], max_epochs=2, epoch_length=3)
    assert walk.limits == (1, 2, 2, 1, None)
    walk.engine.state.max_epochs = None
    assert walk.run([7, 8], epoch_length=3) == [(1, 1, 7), (1, 2, 8), (1, 3, 7)]


# Limits


def test_a_new_run_has_one_epoch_by_default(walk: Walk) -> None:
    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]
    assert walk.limits == (1, 2, 2, 1, None)


def test_the_second_argument_is_max_epochs_and_the_third_max_iters(walk: Walk) -> None:
    walk.run([7, 8], 2)
    assert walk.limits == (2, 4, 2, 2, None)
    walk.engine.state.max_epochs = None
    walk.run([7, 8], None, 3)
    assert walk.limits == (2, 3, 2, None, 3)


@pytest.mark.parametrize(
    ("iterations", "ending"),
    [
        (3, ["ITERATION_COMPLETED", "TERMINATE", "COMPLETED"]),
        (4, ["ITERATION_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"]),
        (1, ["ITERATION_COMPLETED", "TERMINATE", "COMPLETED"]),
    ],
)
def test_max_iters_ends_a_run_inside_an_epoch_through_terminate(walk: Walk, iterations: int, ending: list[str]) -> None:
    log: list[str] = []
    for event in Events:
        walk.engine.add_event_handler(event, lambda *args, name=event.name: log.append(name))
    walk.run([7, 8], max_iters=iterations)
    assert log[-3:] == ending
    assert walk.limits == (-(-iterations // 2), iterations, 2, None, iterations)
    assert walk.engine.should_terminate == ("TERMINATE" in ending)


@pytest.mark.parametrize("name", ["max_epochs", "max_iters", "epoch_length"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_has_to_be_positive(walk: Walk, name: str, value: int) -> None:
    message = f"Argument {name} is invalid: {value}. It should be greater than zero."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk.run([7, 8], **{name: value})
    assert walk.limits == (0, 0, None, None, None)


@pytest.mark.parametrize("name", ["max_epochs", "max_iters", "epoch_length"])
@pytest.mark.parametrize("value", [1.0, "3", True, [1]])
def test_a_limit_has_to_be_an_integer(walk: Walk, name: str, value: Any) -> None:
    message = f"Argument {name} should be an integer, got {value!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        walk.run([7, 8], **{name: value})
    assert walk.limits == (0, 0, None, None, None)


def test_a_limit_can_be_a_numpy_integer(walk: Walk) -> None:
    numpy = pytest.importorskip("numpy")
    assert walk.run([7, 8], max_epochs=numpy.int64(2), epoch_length=numpy.int32(1)) == [(1, 1, 7), (2, 2, 8)]


def test_max_epochs_and_max_iters_cannot_be_combined(walk: Walk) -> None:
    message = (
        "Arguments max_iters and max_epochs are mutually exclusive, got max_epochs=2 and max_iters=3. Give one of them."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk.run([7, 8], max_epochs=2, max_iters=3)
    assert walk.limits == (0, 0, None, None, None)


@pytest.mark.parametrize(("given_name", "other"), [("max_epochs", "max_iters"), ("max_iters", "max_epochs")])
def test_the_kind_of_limit_can_change_only_after_a_reset(walk: Walk, given_name: str, other: str) -> None:
    walk.run([7, 8], **{other: 1})
    before = walk.limits
    message = (
        f"To switch from {other} to {given_name} mode during resume, you must first reset by setting "
        f"'engine.state.{other} = None', which starts the run from zero; it is 1 now."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk.run([7, 8], **{given_name: 4})
    assert walk.limits == before
    setattr(walk.engine.state, other, None)
    walk.run([7, 8], **{given_name: 2})
    assert (getattr(walk.engine.state, other), getattr(walk.engine.state, given_name)) == (None, 2)
    assert walk.engine.state.iteration == {"max_epochs": 4, "max_iters": 2}[given_name]


@pytest.mark.parametrize(
    ("name", "counter", "limit", "less"), [("max_epochs", "epoch", 3, 2), ("max_iters", "iteration", 5, 4)]
)
def test_a_limit_below_the_counter_raises(walk: Walk, name: str, counter: str, limit: int, less: int) -> None:
    walk.run([7, 8], **{name: limit})
    before = walk.limits
    message = (
        f"Argument {name} should be greater than or equal to the start {counter} defined in the state: {less} vs "
        f"{limit}. Please, set engine.state.{name} = None before calling engine.run() in order to restart the training "
        f"from the beginning."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        walk.run([7, 8], **{name: less})
    assert walk.limits == before
    setattr(walk.engine.state, name, None)
    walk.run([7, 8], **{name: less})
    assert getattr(walk.engine.state, counter) == less


# New, continued and suspended runs


def test_a_finished_run_continues_under_a_higher_limit_and_restarts_under_the_same(walk: Walk) -> None:
    assert walk.run([7], max_epochs=2) == [(1, 1, 7), (2, 2, 7)]
    assert walk.run([7], max_epochs=4) == [(3, 3, 7), (4, 4, 7)]
    assert walk.run([7], max_epochs=4) == [(1, 1, 7), (2, 2, 7), (3, 3, 7), (4, 4, 7)]
    assert walk.run([7]) == [(1, 1, 7)]
    assert walk.limits == (1, 1, 1, 1, None)


def test_a_run_with_max_iters_continues_and_restarts_likewise(walk: Walk) -> None:
    assert walk.run([7, 8], max_iters=3) == [(1, 1, 7), (1, 2, 8), (2, 3, 7)]
    assert walk.run([7, 8], max_iters=6) == [(3, 4, 7), (3, 5, 8), (4, 6, 7)]
    assert walk.run([7, 8], max_iters=6)[:2] == [(1, 1, 7), (1, 2, 8)]
    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]
    assert walk.limits == (1, 2, 2, 1, None)


def test_a_reset_limit_starts_from_zero(walk: Walk) -> None:
    with walk.engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), lambda: walk.engine.terminate()):
        walk.run([7], max_epochs=3)
    assert walk.limits == (1, 1, 1, 3, None)
    walk.engine.state.max_epochs = None
    assert walk.run([7], max_epochs=2) == [(1, 1, 7), (2, 2, 7)]


def test_a_limit_can_be_set_on_the_state(walk: Walk) -> None:
    walk.engine.state.max_epochs = 2
    assert walk.run([7]) == [(1, 1, 7), (2, 2, 7)]
    walk.engine.state.max_epochs = 3
    assert walk.run([7]) == [(3, 3, 7)]


def test_a_terminated_run_continues_with_the_next_epoch(walk: Walk) -> None:
    terminate = walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: walk.engine.terminate())
    assert walk.run([7, 8, 9], max_epochs=2) == [(1, 1, 7), (1, 2, 8)]
    terminate.remove()
    assert walk.run([7, 8, 9]) == [(2, 3, 7), (2, 4, 8), (2, 5, 9)]
    assert walk.engine.outcome == "completed"


def test_a_run_terminated_in_its_last_epoch_starts_from_zero(walk: Walk) -> None:
    terminate = walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: walk.engine.terminate())
    assert walk.run([7, 8, 9]) == [(1, 1, 7), (1, 2, 8)]
    terminate.remove()
    assert walk.run([7, 8, 9]) == [(1, 1, 7), (1, 2, 8), (1, 3, 9)]


def test_a_failed_run_continues_with_the_next_epoch(walk: Walk) -> None:
    def fail() -> None:
        raise LookupError("lost")

    failing = walk.engine.add_event_handler(Events.ITERATION_STARTED(once=2), fail)
    with pytest.raises(LookupError, match=r"^lost\b"):
        walk.run([7, 8], max_epochs=2)
    failing.remove()
    assert walk.run([7, 8]) == [(2, 3, 7), (2, 4, 8)]


def interrupted(walk: Walk) -> list[Any]:
    with walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: walk.engine.interrupt()):
        steps = walk.run([7, 8, 9], max_epochs=2)
    assert walk.engine.outcome == "interrupted"
    return steps


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ({}, [(1, 3, 9), (2, 4, 7), (2, 5, 8), (2, 6, 9)]),
        ({"max_epochs": 1}, [(1, 3, 9)]),
        ({"max_epochs": 3}, [(1, 3, 9), *[(2, 4, 7), (2, 5, 8), (2, 6, 9)], *[(3, 7, 7), (3, 8, 8), (3, 9, 9)]]),
        ({"data": [1, 2]}, [(1, 3, 1), (2, 4, 2), (2, 5, 1), (2, 6, 2)]),
        ({"epoch_length": 3}, [(1, 3, 9), (2, 4, 7), (2, 5, 8), (2, 6, 9)]),
    ],
)
def test_a_suspended_run_resumes_at_its_position(walk: Walk, arguments: dict[str, Any], steps: list[Any]) -> None:
    assert interrupted(walk) == [(1, 1, 7), (1, 2, 8)]
    assert walk.run(**arguments) == steps


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"max_iters": 9}, ValueError, "To switch from max_epochs to max_iters mode during resume, "),
        ({"epoch_length": 2}, ValueError, "Argument epoch_length should be same as in the state, got 2 vs 3."),
        ({"max_epochs": 0}, ValueError, "Argument max_epochs is invalid: 0."),
        ({"data": 5}, TypeError, "Argument data should be iterable, got int: 5."),
    ],
)
def test_invalid_arguments_do_not_change_a_suspended_run(
    walk: Walk, arguments: dict[str, Any], kind: type[Exception], message: str
) -> None:
    interrupted(walk)
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        walk.run(**arguments)
    assert (walk.engine.phase.name, walk.engine.outcome) == ("INTERRUPT", "interrupted")
    assert walk.run() == [(1, 3, 9), (2, 4, 7), (2, 5, 8), (2, 6, 9)]


class RaisingIter:
    def __iter__(self) -> Iterator[int]:
        raise OSError("no such file")


def test_data_that_cannot_be_opened_does_not_change_a_suspended_run(walk: Walk) -> None:
    interrupted(walk)
    with pytest.raises(OSError, match=r"^no such file\b"):
        walk.run(RaisingIter())
    assert (walk.engine.phase.name, walk.engine.outcome) == ("INTERRUPT", "interrupted")
    assert walk.run() == [(1, 3, 9), (2, 4, 7), (2, 5, 8), (2, 6, 9)]


def test_a_reset_limit_drops_a_suspended_run(walk: Walk) -> None:
    interrupted(walk)
    walk.engine.state.max_epochs = None
    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]
    assert walk.engine.outcome == "completed"


def test_a_handler_can_raise_the_limit_of_the_active_run(walk: Walk) -> None:
    def raise_limit() -> None:
        walk.engine.state.max_epochs = 3

    walk.engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), raise_limit)
    assert walk.run([7], max_epochs=1) == [(1, 1, 7), (2, 2, 7), (3, 3, 7)]


def test_a_lowered_limit_ends_the_run_after_the_iteration(walk: Walk) -> None:
    def lower() -> None:
        walk.engine.state.max_iters = 2

    walk.engine.add_event_handler(Events.ITERATION_STARTED(once=2), lower)
    assert walk.run([7, 8, 9], max_iters=8) == [(1, 1, 7), (1, 2, 8)]


calls = st.fixed_dictionaries(
    {"length": st.integers(1, 3)},
    optional={
        "max_epochs": st.integers(1, 4),
        "max_iters": st.integers(1, 7),
        "epoch_length": st.integers(1, 4),
        "reset": st.sampled_from(("max_epochs", "max_iters")),
        "no_data": st.just(True),
    },
)


@pytest.mark.filterwarnings("ignore:The data has")
@settings(deadline=None)
@given(st.lists(calls, min_size=1, max_size=4))
def test_successive_runs_start_and_continue_as_in_pytorch_ignite(rows: list[dict[str, Any]]) -> None:
    ignite = pytest.importorskip("ignite.engine")
    logs: list[list[Any]] = []
    for library_engine in (ignite.Engine, Engine):
        log: list[Any] = []
        engine = library_engine(lambda engine, batch, log=log: log.append((engine.state.epoch, batch)))
        engine.logger = logging.getLogger("tests.quiet")
        engine.logger.disabled = True
        for row in rows:
            row = dict(row)
            data: Any = list(range(row.pop("length")))
            if "reset" in row:
                setattr(engine.state, row.pop("reset"), None)
            try:
                engine.run(None if row.pop("no_data", False) else data, **row)
            except ValueError as error:
                log.append(str(error)[:35])
                break
            state = engine.state
            log.append((state.epoch, state.iteration, state.epoch_length, state.max_epochs, state.max_iters))
        logs.append(log)
    assert logs[0] == logs[1]


# Functions of limits


@pytest.mark.parametrize(
    ("state", "done"),
    [
        ({}, False),
        ({"max_epochs": 2, "epoch": 1}, False),
        ({"max_epochs": 2, "epoch": 2}, True),
        ({"max_epochs": 2, "epoch": 3}, True),
        ({"max_epochs": 2, "epoch": 1, "epoch_length": 3, "iteration": 5}, False),
        ({"max_epochs": 2, "epoch": 1, "epoch_length": 3, "iteration": 6}, True),
        ({"max_iters": 5, "iteration": 4, "epoch": 9}, False),
        ({"max_iters": 5, "iteration": 5}, True),
    ],
)
def test_a_limit_is_reached_when_the_counter_equals_it(state: dict[str, int], done: bool) -> None:
    assert limits_reached(State(**state)) is done
    limits = {name: state.get(name) for name in ("max_epochs", "max_iters")}
    counters = {name: value for name, value in state.items() if name not in limits}
    assert reaches(State(**counters), **limits) is done


@pytest.mark.parametrize(
    ("data", "length"), [([7, 8], 2), (Sized(0), 0), (iter([7]), None), (Unsized(2), None), (RaisingLength(2), None)]
)
def test_the_length_of_data_is_none_if_it_is_unknown(data: Any, length: int | None) -> None:
    assert length_of(data) == length


# Other data in the middle of a run


def test_set_data_provides_the_next_batch_and_keeps_the_epoch_length(walk: Walk) -> None:
    walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: walk.engine.set_data([1, 2]))
    assert walk.run([7, 8, 9], max_epochs=2) == [
        *[(1, 1, 7), (1, 2, 8), (1, 3, 1)],
        *[(2, 4, 2), (2, 5, 1), (2, 6, 2)],
    ]


def test_a_new_state_dataloader_is_used_after_the_end_of_the_pass(walk: Walk) -> None:
    def put() -> None:
        walk.engine.state.dataloader = [1, 2]

    walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), put)
    assert walk.run([7, 8], max_epochs=2) == [(1, 1, 7), (1, 2, 8), (2, 3, 1), (2, 4, 2)]


def test_set_data_outside_a_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"^set_data\(\) .*run\(data\)"):
        Walk().engine.set_data([1])


@pytest.mark.parametrize(("data", "kind"), [([], ValueError), (5, TypeError)])
def test_set_data_checks_its_data_as_run_does(walk: Walk, data: Any, kind: type[Exception]) -> None:
    errors: list[str] = []

    @walk.engine.on(Events.ITERATION_COMPLETED(once=1))
    def _() -> None:
        with pytest.raises(kind) as error:
            walk.engine.set_data(data)
        errors.append(str(error.value))

    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]
    assert errors == [
        "Input data has zero size. Please provide non-empty data."
        if kind is ValueError
        else "Argument data should be iterable, got int: 5."
    ]


# Fetches without open data


def always_fetching() -> Engine:
    """Return an engine that fetches batches even in runs without data."""
    engine = Engine(lambda engine, batch: batch)
    engine.lifecycle.remove_transition(Events.EPOCH_STARTED >> Events.ITERATION_STARTED)
    return engine


def retrying_at(event: Events) -> Engine:
    """Return an engine with an error edge that leads to `event` without EPOCH_STARTED."""
    engine = Engine(lambda engine, batch: 1 / 0)
    engine.lifecycle.add_transition(Events.ITERATION_STARTED >> "again", error=ZeroDivisionError)
    engine.lifecycle.add_transition(Edge("again", event))
    return engine


def without_epochs() -> Engine:
    """Return an engine that fetches batches in a lifecycle without EPOCH_STARTED."""
    lifecycle = Lifecycle("own")
    training = Lifecycle.training()
    lifecycle.add(*[phase for phase in training.phases if phase.event is Events.GET_BATCH_STARTED])
    lifecycle.add_path(Events.STARTED >> Events.GET_BATCH_STARTED >> Events.COMPLETED)
    return Engine(lifecycle=lifecycle)


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
@pytest.mark.parametrize(
    ("engine", "data", "message"),
    [
        (always_fetching, None, NO_DATA.format("GET_BATCH_STARTED")),
        (partial(retrying_at, Events.GET_BATCH_STARTED), None, NO_DATA.format("GET_BATCH_STARTED")),
        (partial(retrying_at, Events.DATALOADER_STOP_ITERATION), None, NO_DATA.format("DATALOADER_STOP_ITERATION")),
        (without_epochs, [7], NOT_OPEN),
    ],
)
def test_a_fetch_without_open_data_raises(engine: Callable[[], Engine], data: Any, message: str, driver: str) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    runs = engine()
    limits = {"epoch_length": 2} if runs.lifecycle.graph.has_epochs else {}
    with pytest.raises(ValueError, match=message) as error:
        runs.run(data, driver=driver, **limits)
    hides_type_error = error.value.__suppress_context__ or error.value.__context__ is None
    assert (type(error.value), hides_type_error, runs.outcome) == (ValueError, True, "failed")


def test_set_data_before_the_first_fetch_gives_data_to_a_run_without_data() -> None:
    engine = always_fetching()
    engine.add_event_handler(Events.STARTED, lambda: engine.set_data([7, 8]))
    assert (engine.run(epoch_length=2).output, engine.outcome) == (8, "completed")


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_run_raises_a_type_error_of_the_data_unchanged(driver: str) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")

    def data() -> Iterator[int]:
        yield 7
        raise TypeError("of the data")

    engine = Engine(lambda engine, batch: batch)
    with pytest.raises(TypeError, match=r"^of the data\b") as error:
        engine.run(data(), driver=driver)
    assert (engine.state.iteration, error.traceback[-1].name) == (1, "data")
