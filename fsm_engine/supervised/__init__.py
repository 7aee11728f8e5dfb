"""Engines for supervised learning: training and evaluation steps, truncated backpropagation and deterministic runs.

A model, an optimizer and a loss go in; an `Engine` with its step comes out. The package may import every package before
it; of the packages after it, `compat` and `cli` may import it.
"""

from __future__ import annotations

from fsm_engine.supervised.factories import (
    create_supervised_evaluator,
    create_supervised_trainer,
    supervised_evaluation_step,
    supervised_training_step,
)

__all__ = [
    "create_supervised_evaluator",
    "create_supervised_trainer",
    "supervised_evaluation_step",
    "supervised_training_step",
]
