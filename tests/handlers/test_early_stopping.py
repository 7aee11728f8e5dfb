"""`EarlyStopping`: when it terminates the training, compared with pytorch-ignite, and its state dict."""

from __future__ import annotations

import copy
import gc
import logging
import math
import pickle
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ignite.engine import Engine as IgniteEngine
from ignite.handlers import EarlyStopping as IgniteEarlyStopping

from fsm_engine import Engine, Events
from fsm_engine.handlers import EarlyStopping

NAN = math.nan


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def score_of(engine: Engine) -> Any:
    return engine.state.output


def epochs_with(scores: list[Any], **arguments: Any) -> tuple[Engine, EarlyStopping]:
    """Train one epoch per score. An evaluator runs after each epoch and returns the score of the epoch."""
    trainer, evaluator = Engine(echo), Engine(echo)
    handler = EarlyStopping(**{"patience": 2, "score_function": score_of, "trainer": trainer, **arguments})
    handler.attach(evaluator)
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: evaluator.run([scores[engine.state.epoch - 1]], epoch_length=1)
    )
    trainer.run([0], max_epochs=len(scores))
    return trainer, handler


arguments = st.fixed_dictionaries(
    {
        "patience": st.integers(1, 4),
        "threshold": st.sampled_from([0.0, 0.25, 1.0, 2.0]),
        "cumulative": st.booleans(),
        "threshold_mode": st.sampled_from(["abs", "rel"]),
        "mode": st.sampled_from(["min", "max"]),
    }
)
scores = st.lists(st.integers(-6, 6).map(lambda number: number / 2), min_size=1, max_size=12)


@given(arguments, scores)
def test_it_counts_and_stops_as_in_ignite(arguments: dict[str, Any], scores: list[float]) -> None:
    theirs_trainer = IgniteEngine(echo)
    values = iter(scores)
    theirs = IgniteEarlyStopping(score_function=lambda engine: next(values), trainer=theirs_trainer, **arguments)
    expected = []
    for _ in scores:
        theirs(None)  # type: ignore[arg-type]
        expected.append((theirs.counter, theirs.best_score))
        if theirs_trainer.should_terminate:
            break

    trainer, evaluator, seen = Engine(echo), Engine(echo), []
    ours = EarlyStopping(score_function=score_of, trainer=trainer, **arguments)
    ours.attach(evaluator)

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(engine: Engine) -> None:
        evaluator.run([scores[engine.state.epoch - 1]])
        seen.append((ours.counter, ours.best_score))

    trainer.run([0], max_epochs=len(scores))
    assert seen == expected
    assert (trainer.outcome == "terminated") == theirs_trainer.should_terminate


def test_a_stop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trainer, handler = epochs_with([1.0, 2.0, 2.0, 1.5, 3.0])
    assert (trainer.state.epoch, trainer.outcome, handler.counter) == (4, "terminated", 2)
    (message,) = [message for message in caplog.messages if message.startswith("EarlyStopping: ")]
    assert "2.0" in message
    assert "2 calls" in message


def test_a_nan_score_is_never_an_improvement_or_the_best_score() -> None:
    trainer, handler = epochs_with([NAN, 1.0, NAN, 2.0, NAN, NAN, 3.0])
    assert (trainer.state.epoch, handler.best_score) == (6, 2.0)
    trainer, handler = epochs_with([NAN, NAN, 1.0])
    assert (trainer.state.epoch, handler.best_score) == (2, None)


@pytest.mark.parametrize("make", [np.float32, torch.tensor, lambda value: torch.tensor([value])])
def test_scores_are_stored_as_python_numbers(make: Any) -> None:
    _, handler = epochs_with([make(1.5), make(2.5)])
    assert type(handler.best_score) is float
    assert handler.state_dict() == {"counter": 0, "best_score": 2.5, "threshold_mode": "abs"}


def test_each_run_of_the_trainer_forgets_the_scores_also_after_a_stop() -> None:
    trainer, handler = epochs_with([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert trainer.state.epoch == 3
    trainer.run([0])
    assert (trainer.state.epoch, handler.best_score) == (6, 0.0)


def test_the_reset_event_of_the_reset_engine_forgets_the_scores() -> None:
    trainer, other = Engine(echo), Engine(echo)
    handler = EarlyStopping(5, score_of, trainer)
    handler.attach(trainer, Events.EPOCH_COMPLETED, reset_engine=other, reset_event=Events.EPOCH_COMPLETED)
    trainer.run([3], max_epochs=3)
    assert (handler.counter, handler.best_score) == (2, 3)
    other.run([0])
    assert (handler.counter, handler.best_score) == (0, None)


def test_a_run_resumed_from_a_state_dict_keeps_the_scores() -> None:
    def make(scores: list[float]) -> tuple[Engine, EarlyStopping]:
        trainer = Engine(lambda engine, batch: scores[engine.state.epoch - 1])
        handler = EarlyStopping(3, score_of, trainer)
        handler.attach(trainer, Events.EPOCH_COMPLETED)
        return trainer, handler

    scores = [5.0, 4.0, 4.0, 4.0, 4.0]
    trainer, handler = make(scores)
    trainer.run([0], max_epochs=5, until=Events.EPOCH_COMPLETED(once=3))
    saved = pickle.dumps((trainer.state_dict(), handler.state_dict()))

    trainer, handler = make(scores)
    for one, state in zip((trainer, handler), pickle.loads(saved)):
        one.load_state_dict(state)
    trainer.run([0])
    assert (trainer.state.epoch, trainer.outcome, handler.best_score) == (4, "terminated", 5.0)


def test_a_state_dict_without_a_key_is_an_error_and_changes_nothing() -> None:
    handler = EarlyStopping(3, score_of, Engine(echo), threshold_mode="rel")
    handler.load_state_dict({"counter": 2, "best_score": 7.0, "threshold_mode": "abs"})
    state = {"counter": 2, "best_score": 7.0, "threshold_mode": "abs"}
    assert handler.state_dict() == state
    for key in state:
        with pytest.raises(ValueError, match=f"^Required state attribute '{key}' is absent in provided state_dict"):
            handler.load_state_dict({other: 0 for other in state if other != key})
    with pytest.raises(TypeError, match=r"^Argument state_dict should be a dictionary, but given <class 'list'>$"):
        handler.load_state_dict([1])  # type: ignore[arg-type]
    assert handler.state_dict() == state


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"score_function": 12}, TypeError, "Argument score_function should be a function. Got 12."),
        ({"patience": 0}, ValueError, "Argument patience should be positive integer. Got 0."),
        ({"trainer": None}, TypeError, "Argument trainer should be an instance of Engine. Got None."),
        ({"threshold": -0.1}, ValueError, "Argument threshold should not be a negative number. Got -0.1."),
        ({"threshold_mode": "x"}, ValueError, "Argument threshold_mode should be either 'abs' or 'rel'. Got 'x'."),
        ({"mode": "x"}, ValueError, "Argument mode should be either 'min' or 'max'. Got 'x'."),
    ],
)
def test_wrong_arguments_are_errors(wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        EarlyStopping(**{"patience": 2, "score_function": score_of, "trainer": Engine(echo), **wrong})
    assert str(caught.value) == message


def test_deprecated_names_work_with_a_warning() -> None:
    trainer = Engine(echo)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        handler = EarlyStopping(2, score_of, trainer, min_delta=1.5, min_delta_mode="rel", cumulative_delta=True)
        assert (handler.min_delta, handler.min_delta_mode, handler.cumulative_delta) == (1.5, "rel", True)
    assert (handler.threshold, handler.threshold_mode, handler.cumulative) == (1.5, "rel", True)
    renamed = [("min_delta", "threshold"), ("min_delta_mode", "threshold_mode"), ("cumulative_delta", "cumulative")]
    assert [(one.category, str(one.message), one.filename) for one in caught] == [
        (DeprecationWarning, f"'{old}' is deprecated. Please use '{new}' instead.", __file__)
        for old, new in renamed * 2
    ]


@contextmanager
def no_gc() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_it_does_not_keep_the_trainer_alive() -> None:
    with no_gc():
        trainer, handler = epochs_with([1.0, 2.0])
        dropped = weakref.ref(trainer)
        assert handler.trainer is trainer
        del trainer
        assert (dropped(), handler.trainer) == (None, None)
    evaluator = Engine(echo)
    evaluator.state.output = 0.0
    for _ in range(3):
        handler(evaluator)  # without a trainer, nothing is terminated
    assert handler.counter == 3


@pytest.mark.parametrize("score", [None, "0.5", (1, 2)])
def test_a_score_of_another_type_is_an_error(score: Any) -> None:
    with pytest.raises(TypeError) as caught:
        epochs_with([score])
    assert f"score_function should return a number, but it returned {score!r}" in str(caught.value)


def test_a_pickle_contains_the_trainer_and_a_copy_shares_it() -> None:
    trainer = Engine(echo)
    handler = EarlyStopping(2, score_of, trainer)
    assert copy.deepcopy(handler).trainer is trainer
    other_trainer, other = pickle.loads(pickle.dumps((trainer, handler)))
    assert other.trainer is other_trainer is not trainer
    del trainer
    assert pickle.loads(pickle.dumps(handler)).trainer is None
