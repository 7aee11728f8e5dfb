"""Metrics: computed by torchmetrics, fed and read by the events of an engine.

`Accuracy` and `Loss` are attached by their own `attach`; any metric of torchmetrics by `attach` of this package.
torchmetrics is imported when the first metric is made: ``pip install "fsm-engine[metrics]"``.
"""

from __future__ import annotations

from fsm_engine.metrics.accuracy import Accuracy
from fsm_engine.metrics.bridge import as_metric, attach, detach, is_attached
from fsm_engine.metrics.loss import Loss
from fsm_engine.metrics.metric import Metric, NotComputableError
from fsm_engine.metrics.usage import (
    BatchWise,
    EpochWise,
    RunningBatchWise,
    RunningEpochWise,
    SingleEpochRunningBatchWise,
    Usage,
)

__all__ = [
    "Accuracy",
    "BatchWise",
    "EpochWise",
    "Loss",
    "Metric",
    "NotComputableError",
    "RunningBatchWise",
    "RunningEpochWise",
    "SingleEpochRunningBatchWise",
    "Usage",
    "as_metric",
    "attach",
    "detach",
    "is_attached",
]
