"""Metrics, which an engine resets, updates and computes at its events.

A metric takes the output of the step and puts its value into ``engine.state.metrics``. The metrics of this package are
subclasses of `Metric`, `PairMetric` (y_pred and y, accumulated by torchmetrics) or `ClassificationMetric`, one module
for each kind of value; `attach` and `as_metric` adapt any metric of torchmetrics, which is imported when it is needed
first. Only loggers, handlers, supervised, compat and cli may import this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm_engine._util.lazy_modules import names_of
from fsm_engine.metrics.accumulation import Average, GeometricAverage, VariableAccumulation
from fsm_engine.metrics.accuracy import Accuracy
from fsm_engine.metrics.classification_report import ClassificationReport
from fsm_engine.metrics.confusion_matrix import (
    ConfusionMatrix,
    DiceCoefficient,
    IoU,
    JaccardIndex,
    MultiLabelConfusionMatrix,
    mIoU,
)
from fsm_engine.metrics.correlation import KendallRankCorrelation, PearsonCorrelation, SpearmanRankCorrelation
from fsm_engine.metrics.epoch_metric import EpochMetric, EpochMetricWarning
from fsm_engine.metrics.fbeta import Fbeta
from fsm_engine.metrics.frequency import Frequency
from fsm_engine.metrics.gpu_info import GpuInfo
from fsm_engine.metrics.image import PSNR, SSIM
from fsm_engine.metrics.information import Entropy, JSDivergence, KLDivergence, MutualInformation
from fsm_engine.metrics.loss import Loss
from fsm_engine.metrics.mean_errors import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from fsm_engine.metrics.metric import Metric, NotComputableError
from fsm_engine.metrics.metric_group import MetricGroup
from fsm_engine.metrics.metrics_lambda import MetricsLambda
from fsm_engine.metrics.precision_recall import Precision, Recall
from fsm_engine.metrics.ranking import NDCG, HitRate
from fsm_engine.metrics.running_average import RunningAverage
from fsm_engine.metrics.scikit_learn import (
    ROC_AUC,
    AveragePrecision,
    CohenKappa,
    MatthewsCorrCoef,
    MeanAveragePrecision,
    PrecisionRecallCurve,
    RocCurve,
)
from fsm_engine.metrics.similarity import CosineSimilarity, MeanPairwiseDistance
from fsm_engine.metrics.text import Bleu, CharacterErrorRate, Perplexity, Rouge, RougeL, RougeN
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

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)  # modules that pytorch-ignite has here

__all__ = [
    "NDCG",
    "PSNR",
    "ROC_AUC",
    "SSIM",
    "Accuracy",
    "Average",
    "AveragePrecision",
    "BatchFiltered",
    "BatchWise",
    "Bleu",
    "CharacterErrorRate",
    "ClassificationReport",
    "CohenKappa",
    "ConfusionMatrix",
    "CosineSimilarity",
    "DiceCoefficient",
    "Entropy",
    "EpochMetric",
    "EpochMetricWarning",
    "EpochWise",
    "Fbeta",
    "Frequency",
    "GeometricAverage",
    "GpuInfo",
    "HitRate",
    "IoU",
    "JSDivergence",
    "JaccardIndex",
    "KLDivergence",
    "KendallRankCorrelation",
    "Loss",
    "MatthewsCorrCoef",
    "MeanAbsoluteError",
    "MeanAveragePrecision",
    "MeanPairwiseDistance",
    "MeanSquaredError",
    "Metric",
    "MetricGroup",
    "MetricUsage",
    "MetricsLambda",
    "MultiLabelConfusionMatrix",
    "MutualInformation",
    "NotComputableError",
    "PearsonCorrelation",
    "Perplexity",
    "Precision",
    "PrecisionRecallCurve",
    "Recall",
    "RocCurve",
    "RootMeanSquaredError",
    "Rouge",
    "RougeL",
    "RougeN",
    "RunningAverage",
    "RunningBatchWise",
    "RunningEpochWise",
    "SingleEpochRunningBatchWise",
    "SpearmanRankCorrelation",
    "TopKCategoricalAccuracy",
    "Usage",
    "VariableAccumulation",
    "as_metric",
    "attach",
    "detach",
    "is_attached",
    "mIoU",
]
