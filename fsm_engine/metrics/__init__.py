"""Metrics: computed by torchmetrics, fed and read by the events of an engine.

Those of this package are attached by their own `attach`; any metric of torchmetrics by `attach` of this package.
Formulas of metrics are metrics: ``f1 = 2 * precision * recall / (precision + recall)``.
torchmetrics is imported when the first metric is made that needs it: ``pip install "fsm-engine[metrics]"``.
"""

from __future__ import annotations

from fsm_engine.metrics.accuracy import Accuracy
from fsm_engine.metrics.confusion_matrix import ConfusionMatrix
from fsm_engine.metrics.epoch_metric import EpochMetric, EpochMetricWarning
from fsm_engine.metrics.fbeta import Fbeta
from fsm_engine.metrics.frequency import Frequency
from fsm_engine.metrics.loss import Loss
from fsm_engine.metrics.metric import Metric, NotComputableError
from fsm_engine.metrics.metrics_lambda import MetricsLambda
from fsm_engine.metrics.precision_recall import Precision, Recall
from fsm_engine.metrics.regression import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from fsm_engine.metrics.running_average import RunningAverage
from fsm_engine.metrics.top_k import TopKCategoricalAccuracy
from fsm_engine.metrics.torchmetrics_adapter import as_metric, attach, detach, is_attached
from fsm_engine.metrics.usage import (
    BatchFiltered,
    BatchWise,
    EpochWise,
    MetricUsage,
    RunningBatchWise,
    RunningEpochWise,
    SingleEpochRunningBatchWise,
    Usage,
)

__all__ = [
    "Accuracy",
    "BatchFiltered",
    "BatchWise",
    "ConfusionMatrix",
    "EpochMetric",
    "EpochMetricWarning",
    "EpochWise",
    "Fbeta",
    "Frequency",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "MetricUsage",
    "MetricsLambda",
    "NotComputableError",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "RunningAverage",
    "RunningBatchWise",
    "RunningEpochWise",
    "SingleEpochRunningBatchWise",
    "TopKCategoricalAccuracy",
    "Usage",
    "as_metric",
    "attach",
    "detach",
    "is_attached",
]
