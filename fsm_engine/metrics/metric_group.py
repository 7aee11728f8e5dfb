"""`MetricGroup`: several metrics that are attached as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from fsm_engine._util.identity import identity
from fsm_engine.metrics.metric import Metric, OutputTransform
from fsm_engine.metrics.rank_states import Reductions


class MetricGroup(Metric):
    """Values of several metrics by name; attached, each is stored under its name, too.

    Args:
        metrics: metrics by name. Each is updated with its own ``output_transform`` of the output of this group.
        output_transform: function from ``engine.state.output`` to the argument of `update`.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Example:
        >>> group = MetricGroup({"accuracy": Accuracy(), "error": MeanAbsoluteError()})
        >>> group.update((torch.tensor([1, 1]), torch.tensor([1, 0])))
        >>> group.compute()
        {'accuracy': 0.5, 'error': 0.5}
    """

    _state_dict_all_req_keys = ("metrics",)
    state_reductions: ClassVar[Reductions | None] = {"metrics": "metrics"}

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        output_transform: OutputTransform = identity,
        skip_unrolling: bool = False,
    ) -> None:
        self.metrics = dict(metrics)
        super().__init__(output_transform, skip_unrolling=skip_unrolling)

    def reset(self) -> None:
        """Reset all metrics."""
        for metric in self.metrics.values():
            metric.reset()

    def update(self, output: Any) -> None:
        """Update all metrics."""
        for metric in self.metrics.values():
            metric.update(metric.output_transform(output))

    def compute(self) -> dict[str, Any]:
        """Return the values of the metrics by name.

        Raises:
            NotComputableError: a metric has no data.
        """
        return {name: metric.compute() for name, metric in self.metrics.items()}
