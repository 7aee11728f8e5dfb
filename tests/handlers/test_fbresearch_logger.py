"""`FBResearchLogger`: the lines of pytorch-ignite's logger, except for the times."""

from __future__ import annotations

import logging
import re
from typing import Any

import ignite.engine
import ignite.handlers
import pytest
import torch

import fsm_engine
import fsm_engine.handlers

LIBRARIES = [(fsm_engine, fsm_engine.handlers), (ignite.engine, ignite.handlers)]


def lines(library: tuple[Any, Any], caplog: pytest.LogCaptureFixture, epochs: int, **options: Any) -> list[str]:
    core, handlers = library
    caplog.clear()
    logger = logging.getLogger("test_fbresearch_logger")
    engine = core.Engine(lambda engine, batch: {"loss": torch.tensor(batch / 3), "parts": [1.0, torch.ones(2, 2)]})
    engine.state.alpha = 3.899
    fb = handlers.FBResearchLogger(logger, show_output=True)
    fb.attach(engine, "Train", every=2, state_attributes=["alpha"], **options)
    with caplog.at_level(logging.INFO, logger.name):
        engine.run([1, 2, 3, 4], max_epochs=epochs)
    messages = [record.message for record in caplog.records if record.name == logger.name]
    return [" ".join(re.sub(r"\d+\.\d{4}(?= s)", "T", message).split()) for message in messages]


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("transform", [None, lambda output: {"loss": [output["loss"], torch.arange(12.0)]}])
def test_lines_are_those_of_ignite(epochs: int, transform: Any, caplog: pytest.LogCaptureFixture) -> None:
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": 0.1}])
    options = {"output_transform": transform, "optimizer": optimizer}
    ours, theirs = (lines(library, caplog, epochs, **options) for library in LIBRARIES)
    assert ours == theirs
    assert len(ours) == 4 * epochs + (epochs > 1)


def test_a_number_is_logged_which_ignite_leaves_out(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = (lines(library, caplog, 1, output_transform=lambda output: output["loss"]) for library in LIBRARIES)
    assert "0.6667" in ours[1]
    assert "0.6667" not in theirs[1]
