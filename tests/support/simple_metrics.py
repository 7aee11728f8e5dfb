"""Metrics and steps for tests."""

from __future__ import annotations

from typing import Any

from fsm_engine.metrics import (
    Metric,
)


class Last(Metric):
    """Metric whose value is the last output; counts its updates."""

    def reset(self) -> None:
        self.value: Any = None
        self.updates = 0

    def update(self, output: Any) -> None:
        self.value = output
        self.updates += 1

    def compute(self) -> Any:
        return self.value


def last(value: Any) -> Last:
    """Return a `Last` metric with this value."""
    metric = Last()
    metric.update(value)
    return metric


def echo(engine: Any, batch: Any) -> Any:
    """Return the batch."""
    return batch
