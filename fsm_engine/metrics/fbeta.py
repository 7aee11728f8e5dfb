"""`Fbeta`: weighted harmonic mean of precision and recall."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import OutputTransform
from fsm_engine.metrics.metrics_lambda import MetricsLambda
from fsm_engine.metrics.precision_recall import Precision, Recall

if TYPE_CHECKING:
    import torch


def Fbeta(  # noqa: N802  # a function that pytorch-ignite names like a class
    beta: float,
    average: bool = True,
    precision: Precision | None = None,
    recall: Recall | None = None,
    output_transform: OutputTransform | None = None,
    device: str | torch.device | None = None,
) -> MetricsLambda:
    """Return an F-beta metric: (1 + beta²) * precision * recall / (beta² * precision + recall).

    This is the weighted harmonic mean of precision and recall (van Rijsbergen, Information Retrieval, 1979). With
    ``average=True`` it is averaged over classes after that, like ``average="macro"`` of scikit-learn.

    Args:
        beta: weight of the recall, above 0; 1 gives the F1 score.
        average: average over classes, so the value is a float; False gives a tensor with one value per class.
        precision: metric to use instead of a new one; needs ``average=False``.
        recall: metric to use instead of a new one; needs ``average=False``.
        output_transform: `output_transform` of the new metrics; only without `precision` and `recall`.
        device: device of the new metrics; only without `precision` and `recall`. None means the device of the data.

    Raises:
        ValueError: `beta` is not above 0; `precision` or `recall` has an average; `output_transform` or `device` is
            given together with `precision` or `recall`.
        ModuleNotFoundError: torchmetrics is not installed.

    Example:
        >>> f1 = Fbeta(beta=1)
        >>> f1.update((torch.tensor([1, 1, 0, 1]), torch.tensor([1, 0, 0, 0])))
        >>> round(f1.compute(), 3)
        0.5
    """
    if not beta > 0:
        raise ValueError(f"Beta should be a positive number, but is {beta!r}.")
    for name, given in (("precision", precision), ("recall", recall)):
        if given is None:
            continue
        for option, value in (("output_transform", output_transform), ("device", device)):
            if value is not None:
                raise ValueError(f"If {name} argument is provided, {option} should be None: {name} has its own.")
        if given.average:
            raise ValueError(f"Input {name} metric should have average=False, but has {given.average!r}.")
    transform = output_transform or identity
    precision = precision or Precision(transform, device=recall.device if recall else device)
    recall = recall or Recall(transform, device=precision.device)
    return MetricsLambda(partial(_fbeta, beta, average), precision, recall)


def _fbeta(beta: float, average: bool, precision: torch.Tensor, recall: torch.Tensor) -> Any:
    weight = beta**2
    values = (1.0 + weight) * precision * recall / (weight * precision + recall + 1e-15)
    return float(values.mean()) if average else values
