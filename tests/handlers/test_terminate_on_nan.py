"""`TerminateOnNan`: which outputs terminate a run."""

from __future__ import annotations

import logging
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from fsm_engine import Engine, Events, State
from fsm_engine.handlers import TerminateOnNan

INF, NAN = math.inf, math.nan


def run_with(handler: TerminateOnNan, outputs: list[Any]) -> State:
    engine = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.ITERATION_COMPLETED, handler)
    return engine.run(outputs)


@pytest.mark.parametrize(
    ("output", "location"),
    [
        (NAN, ""),
        (INF, ""),
        (-INF, ""),
        (complex(0, NAN), ""),
        (np.float32("inf"), ""),
        (torch.tensor(NAN), ""),
        (torch.tensor([[1, 2], [-INF, 3]]), ""),
        (torch.tensor(complex(INF, 0)), ""),
        ((1.0, NAN), "[1]"),
        ({"loss": 1.0, "parts": [0.5, {"a": torch.tensor([1.0, INF])}, NAN]}, "['parts'][1]['a']"),
    ],
    ids=str,
)
def test_an_output_that_is_not_finite_terminates_the_run(
    output: Any, location: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        state = run_with(TerminateOnNan(), [1.0, output, 3.0])
    assert state.iteration == 2
    (message,) = caplog.messages
    assert message.startswith(f"TerminateOnNan: output{location} of iteration 2 ")


@pytest.mark.parametrize(
    "output",
    [
        0.5,
        True,
        10**400,
        "nan",
        torch.tensor([1, 2]),
        torch.tensor([]),
        torch.tensor(3.4e38),
        ("inf", [1.0, {"a": 2j, "b": torch.zeros(2)}], {}),
    ],
    ids=str,
)
def test_a_finite_output_does_not_terminate_the_run(output: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        state = run_with(TerminateOnNan(), [output] * 3)
    assert (state.iteration, caplog.messages) == (3, [])


def test_only_the_result_of_the_output_transform_is_checked(caplog: pytest.LogCaptureFixture) -> None:
    handler = TerminateOnNan(output_transform=lambda output: output["loss"])
    state = run_with(handler, [{"loss": 1.0, "other": NAN}, {"loss": [NAN], "other": 1.0}, {}])
    assert state.iteration == 2
    (message,) = caplog.messages
    assert message.startswith("TerminateOnNan: output[0] of iteration 2 ")


@pytest.mark.parametrize("output", [None, {1.0}], ids=str)
def test_an_output_of_another_type_is_an_error(output: Any) -> None:
    with pytest.raises(TypeError) as caught:
        run_with(TerminateOnNan(), [{"loss": output}])
    assert f"the output has {output!r}. Leave it out with output_transform=." in str(caught.value)


def test_it_can_be_pickled() -> None:
    assert run_with(pickle.loads(pickle.dumps(TerminateOnNan())), [NAN, 1.0]).iteration == 1
