"""Metrics of several ranks with uneven data, and their values on one of the ranks."""

from __future__ import annotations

import json
from typing import Any

import torch
import torchmetrics
from metric_cases import CASES, CLASSES, LABELS, MULTICLASS, REALS, SCORES, SEGMENTS

import fsm_engine.metrics
import fsm_engine.metrics.clustering
import fsm_engine.metrics.confusion_matrix
import fsm_engine.metrics.regression


def binary(pairs: list[Any]) -> list[Any]:
    return [(y_pred.round(), y) for y_pred, y in pairs]


MORE_CASES: dict[str, tuple[Any, list[Any]]] = {
    "Accuracy": (lambda m: m.Accuracy(), MULTICLASS),
    "Accuracy binary": (lambda m: m.Accuracy(), binary(SCORES)),
    "Accuracy of labels": (lambda m: m.Accuracy(is_multilabel=True), LABELS),
    "Precision": (lambda m: m.Precision(), MULTICLASS),
    "Precision of samples": (lambda m: m.Precision(average="samples", is_multilabel=True), LABELS),
    "Recall macro": (lambda m: m.Recall(average="macro"), MULTICLASS),
    "Recall weighted": (lambda m: m.Recall(average="weighted"), binary(SCORES)),
    "Fbeta": (lambda m: m.Fbeta(2.0), MULTICLASS),
    "ConfusionMatrix": (lambda m: m.ConfusionMatrix(3), SEGMENTS),
    "ConfusionMatrix of samples": (lambda m: m.ConfusionMatrix(3, average="samples"), SEGMENTS),
    "TopKCategoricalAccuracy": (lambda m: m.TopKCategoricalAccuracy(2), MULTICLASS),
    "Loss": (lambda m: m.Loss(torch.nn.functional.cross_entropy), MULTICLASS),
    "MeanSquaredError": (lambda m: m.MeanSquaredError(), REALS),
    "RootMeanSquaredError": (lambda m: m.RootMeanSquaredError(), REALS),
    "MeanAbsoluteError": (lambda m: m.MeanAbsoluteError(), REALS),
    "EpochMetric": (lambda m: m.EpochMetric(lambda y_pred, y: float((y_pred - y).abs().median())), REALS),
    "VariableAccumulation of maxima": (
        lambda m: m.VariableAccumulation(torch.maximum),
        [torch.tensor(3.0), torch.tensor(1.0), torch.tensor(2.0)],
    ),
    "VariableAccumulation combined": (
        lambda m: m.VariableAccumulation(lambda a, x: a.clamp(min=2 * x), combine=torch.maximum),
        [1.0, 4.0, 2.0],
    ),
    "formula": (lambda m: 2 * m.Precision(average="macro") / (1 + m.Accuracy()), MULTICLASS),
    "MetricGroup of formulas": (
        lambda m: m.MetricGroup({"a": m.Accuracy() + 1, "b": m.MetricGroup({"c": m.Accuracy()})}),
        MULTICLASS,
    ),
    "torchmetrics": (lambda m: m.as_metric(torchmetrics.classification.MulticlassAUROC(4)), MULTICLASS),
    "torchmetrics Pearson": (lambda m: m.as_metric(torchmetrics.PearsonCorrCoef()), REALS),
    "torchmetrics collection": (
        lambda m: m.as_metric(
            torchmetrics.MetricCollection(
                [torchmetrics.classification.MulticlassF1Score(4), torchmetrics.classification.MulticlassRecall(4)]
            )
        ),
        MULTICLASS,
    ),
    "torchmetrics wrapper": (lambda m: m.as_metric(torchmetrics.MinMaxMetric(torchmetrics.MeanMetric())), [1.0, 2.5]),
    "torchmetrics composition": (lambda m: m.as_metric(torchmetrics.MeanMetric() + 1), [1.0, 2.5]),
    "torchmetrics of lists": (lambda m: m.as_metric(torchmetrics.CatMetric()), [torch.tensor([1.0, 2]), 3.0]),
    "CohenKappa of torchmetrics": (
        lambda m: m.as_metric(torchmetrics.CohenKappa("multiclass", num_classes=4)),
        CLASSES,
    ),
}
ALL_CASES = {**CASES, **MORE_CASES}


def value(name: str, rank: int, world_size: int) -> Any:
    """Return the value of the metric on the batches of a rank: one less than another, or none for the last rank."""
    make, data = ALL_CASES[name]
    metric = make(fsm_engine.metrics)
    for number, batch in enumerate(data):
        if world_size == 1 or min(number % 3, 1) == rank:
            metric.update(batch)
    before = json.dumps(as_json(metric.state_dict()))
    result = as_json(metric.over_ranks().compute())
    keeps_values = name == "torchmetrics wrapper"
    assert keeps_values or json.dumps(as_json(metric.state_dict())) == before, f"{name} has kept data of other ranks"
    return result


def as_json(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, (list, tuple)) else value
