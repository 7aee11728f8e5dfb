"""Metrics, which an engine resets, updates and computes at its events.

A metric takes the output of the step and puts its value into ``engine.state.metrics``. The metrics of this package are
subclasses of `Metric`, `PairMetric` (y_pred and y, accumulated by torchmetrics) or `ClassificationMetric`, one module
for each kind of value; `attach` and `as_metric` adapt any metric of torchmetrics, which is imported when it is needed
first. Only loggers, handlers, supervised, compat and cli may import this package.
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
