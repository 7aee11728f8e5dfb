"""Engines for supervised learning: steps, trainers, evaluators, truncated backpropagation and deterministic runs.

A model, an optimizer and a loss go in; an `Engine` comes out. Programs and examples import this package; the package
imports everything below it.
"""

from __future__ import annotations

from fsm_engine.supervised.steps import (
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
