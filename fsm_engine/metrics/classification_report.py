"""`ClassificationReport`: precision, recall and F-beta of each class and their means, as one metric."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fsm_engine._util.identity import identity
from fsm_engine.metrics.fbeta import Fbeta
from fsm_engine.metrics.metric import OutputTransform
from fsm_engine.metrics.metrics_lambda import MetricsLambda
from fsm_engine.metrics.precision_recall import Precision, Recall

if TYPE_CHECKING:
    import torch


def ClassificationReport(  # noqa: N802  # a function that pytorch-ignite names like a class
    beta: int = 1,
    output_dict: bool = False,
    output_transform: OutputTransform = identity,
    device: str | torch.device | None = None,
    is_multilabel: bool = False,
    labels: Sequence[str] | None = None,
    metrics_result_mode: str = "both",
) -> MetricsLambda:
    """Return a metric whose value has precision, recall and F-beta of each class, and of their mean as "macro avg".

    Args:
        beta: weight of the recall in F-beta.
        output_dict: True for a value that is a dictionary, False for a string of JSON.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulators; None means the device of the data.
        is_multilabel: read the data as multilabel.
        labels: names of the classes; None means their numbers.
        metrics_result_mode: as for `Metric`.

    Raises:
        ValueError: `beta` is not above 0.
        ModuleNotFoundError: torchmetrics is not installed.

    Example:
        >>> report = ClassificationReport(output_dict=True)
        >>> report.update((torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), torch.tensor([1, 0, 0])))
        >>> report.compute()["0"]["precision"]
        1.0
    """
    options: dict[str, Any] = {"is_multilabel": is_multilabel, "device": device}
    precision = Precision(output_transform, average=False, **options)
    recall = Recall(output_transform, average=False, **options)
    fbeta = Fbeta(beta, average=False, precision=precision, recall=recall)
    function = partial(_report, f"f{beta}-score", labels, output_dict)
    return MetricsLambda(function, precision, recall, fbeta, metrics_result_mode=metrics_result_mode)


def _report(
    score: str,
    labels: Sequence[str] | None,
    as_dict: bool,
    precision: torch.Tensor,
    recall: torch.Tensor,
    fbeta: torch.Tensor,
) -> Any:
    columns = {"precision": precision, "recall": recall, score: fbeta}
    report = {
        labels[number] if labels else str(number): {name: column[number].item() for name, column in columns.items()}
        for number in range(len(precision))
    }
    report["macro avg"] = {name: column.mean().item() for name, column in columns.items()}
    return report if as_dict else json.dumps(report)
