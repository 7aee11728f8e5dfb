"""`Entropy`, `MutualInformation`, `KLDivergence` and `JSDivergence` of predicted class probabilities.

Predictions are scores before the softmax, of shape (batch, classes) or (batch, classes, ...).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import Categorical

from fsm_engine.metrics.example_mean import ExampleMean, check_same_shape

if TYPE_CHECKING:
    import torchmetrics


def _distributions(scores: torch.Tensor) -> Any:
    if scores.ndim < 2:
        raise ValueError(f"y_pred must be in the shape of (B, C) or (B, C, ...), got {tuple(scores.shape)}.")
    return Categorical(logits=scores.movedim(1, -1).flatten(0, -2), validate_args=False)


def _divergence(true: Any, predicted: Any) -> torch.Tensor:
    """Return the Kullback-Leibler divergences; that of `torch.distributions` waits for the device."""
    terms: torch.Tensor = true.probs * (true.logits - predicted.logits)
    return terms.masked_fill(predicted.probs == 0, torch.inf).masked_fill(true.probs == 0, 0.0).sum(-1)


def _entropy(distributions: Any) -> torch.Tensor:
    entropy: torch.Tensor = distributions.entropy()
    return entropy


class Entropy(ExampleMean):
    """Mean entropy of the predicted distributions, in nats, a float; y is not used. See `PairMetric` for the arguments.

    Example:
        >>> entropy = Entropy()
        >>> entropy.update((torch.tensor([[0.0, 0.0]]), torch.tensor([0])))
        >>> round(entropy.compute(), 4)
        0.6931
    """

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return _entropy(_distributions(y_pred))


class MutualInformation(ExampleMean):
    """Mutual information between inputs and predicted classes, in nats, a float; y is not used.

    It is the entropy of the mean distribution minus the mean entropy of the distributions. See `PairMetric` for the
    arguments.

    Example:
        >>> metric = MutualInformation()
        >>> metric.update((torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1])))
        >>> round(metric.compute(), 4)
        0.6031
    """

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        predicted = _distributions(y_pred)
        return torch.cat([_entropy(predicted).unsqueeze(1), predicted.probs], 1)

    def _value(self, accumulator: torchmetrics.Metric) -> float:
        mean_entropy, *probabilities = accumulator.compute()
        marginal = Categorical(probs=torch.stack(probabilities), validate_args=False)
        return max(0.0, float(_entropy(marginal) - mean_entropy))


class KLDivergence(ExampleMean):
    """Mean Kullback-Leibler divergence of the predicted from the true distributions, in nats, a float.

    y holds scores before the softmax, as y_pred does. See `PairMetric` for the arguments.

    Example:
        >>> metric = KLDivergence()
        >>> metric.update((torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 1.0]])))
        >>> round(metric.compute(), 4)
        0.0826
    """

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check_same_shape(y_pred, y)
        return _divergence(_distributions(y), _distributions(y_pred))


class JSDivergence(ExampleMean):
    """Mean Jensen-Shannon divergence between the predicted and the true distributions, in nats, a float.

    y holds scores before the softmax, as y_pred does. See `PairMetric` for the arguments.

    Example:
        >>> metric = JSDivergence()
        >>> metric.update((torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 1.0]])))
        >>> round(metric.compute(), 4)
        0.0183
    """

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check_same_shape(y_pred, y)
        pair = _distributions(y_pred), _distributions(y)
        middle = Categorical(probs=(pair[0].probs + pair[1].probs) / 2, validate_args=False)
        halves = [_divergence(one, middle) for one in pair]
        return (halves[0] + halves[1]) / 2
