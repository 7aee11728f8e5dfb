"""Metrics with data for them, by name, and the comparison of their values."""

from __future__ import annotations

import json
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

generator = torch.Generator().manual_seed(0)


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator)


def randint(high: int, *shape: int) -> torch.Tensor:
    return torch.randint(high, shape, generator=generator)


def batches(make: Callable[[], Any]) -> list[Any]:
    return [make() for _ in range(3)]


SCORES = batches(lambda: (rand(6), randint(2, 6)))
MULTICLASS = batches(lambda: (rand(6, 4), randint(4, 6)))
CLASSES = batches(lambda: (randint(4, 9), randint(4, 9)))
ONE_HOT = batches(lambda: (torch.eye(3)[randint(3, 7)], randint(3, 7)))
SEGMENTS = batches(lambda: (rand(2, 3, 4, 5), randint(3, 2, 4, 5)))
LABELS = batches(lambda: (randint(2, 5, 3), randint(2, 5, 3)))
LABEL_SCORES = batches(lambda: (rand(5, 3), randint(2, 5, 3)))
LOGITS = batches(lambda: (rand(4, 3, 2) * 4, rand(4, 3, 2) * 4))
REALS = batches(lambda: (rand(7) + 0.5, rand(7) + 0.5))
COLUMNS = batches(lambda: (rand(5, 1) + 0.5, rand(5, 1) + 0.5))
ODD = batches(lambda: (rand(5) + 0.5, rand(5) + 0.5))
VECTORS = batches(lambda: (rand(4, 3), rand(4, 3)))
IMAGES = batches(lambda: (rand(2, 3, 14, 13), rand(2, 3, 14, 13)))
BYTES = batches(lambda: (randint(256, 2, 1, 12, 12).byte(), randint(256, 2, 1, 12, 12).byte()))
VOLUMES = batches(lambda: (rand(1, 2, 8, 9, 7), rand(1, 2, 8, 9, 7)))
CLUSTERS = batches(lambda: (rand(8, 2), randint(3, 8)))
USERS = batches(lambda: (rand(5, 8), randint(4, 5, 8) * randint(2, 5, 1)))
WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "and", "tree"]


def sentence(length: int) -> list[str]:
    return [WORDS[int(i)] for i in randint(6, length)]


SENTENCES = batches(
    lambda: ([sentence(n) for n in (8, 5, 9)], [[sentence(7), sentence(9)], [sentence(5)], [sentence(12)]])
)
TEXTS = batches(lambda: ([" ".join(sentence(3)) for _ in range(2)], [" ".join(sentence(3)) for _ in range(2)]))
TOKENS = [(rand(2, 5, 3), torch.tensor([[1, 4, -100], [0, 2, 3]])), (rand(2, 5, 3), randint(5, 2, 3))]

CASES: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "Average": (lambda m: m.Average(), [1.0, 2, 4.5]),
    "Average of tensors": (lambda m: m.Average(), [rand(3, 2), rand(4, 2)]),
    "Average of scalars": (lambda m: m.Average(), [torch.tensor(1.0), torch.tensor(4)]),
    "Average of vectors": (lambda m: m.Average(), [rand(3), rand(3)]),
    "GeometricAverage": (lambda m: m.GeometricAverage(), [1.0, 2.0, 4.5]),
    "GeometricAverage of tensors": (lambda m: m.GeometricAverage(), [rand(3, 2), rand(4, 2)]),
    "VariableAccumulation": (lambda m: m.VariableAccumulation(operator.add), [1.0, torch.tensor(2.0)]),
    "MetricGroup": (
        lambda m: m.MetricGroup(
            {"a": m.Accuracy(), "b": m.Accuracy(output_transform=lambda pair: (1 - pair[0], pair[1]))}
        ),
        [(randint(2, 6), randint(2, 6)) for _ in range(2)],
    ),
    "IoU": (lambda m: m.IoU(m.ConfusionMatrix(3)), SEGMENTS),
    "IoU without a class": (lambda m: m.IoU(m.ConfusionMatrix(3, average="samples"), ignore_index=0), SEGMENTS),
    "mIoU": (lambda m: m.mIoU(m.ConfusionMatrix(3), ignore_index=2), SEGMENTS),
    "JaccardIndex": (lambda m: m.JaccardIndex(m.ConfusionMatrix(3)), SEGMENTS),
    "DiceCoefficient": (lambda m: m.DiceCoefficient(m.ConfusionMatrix(3), ignore_index=1), SEGMENTS),
    "cmAccuracy": (lambda m: m.confusion_matrix.cmAccuracy(m.ConfusionMatrix(3)), SEGMENTS),
    "cmPrecision": (lambda m: m.confusion_matrix.cmPrecision(m.ConfusionMatrix(3), average=False), SEGMENTS),
    "cmRecall": (lambda m: m.confusion_matrix.cmRecall(m.ConfusionMatrix(3)), SEGMENTS),
    "MultiLabelConfusionMatrix": (lambda m: m.MultiLabelConfusionMatrix(3), LABELS),
    "MultiLabelConfusionMatrix normalized": (lambda m: m.MultiLabelConfusionMatrix(3, normalized=True), LABELS),
    "ClassificationReport": (lambda m: m.ClassificationReport(output_dict=True), MULTICLASS),
    "ClassificationReport as JSON": (lambda m: m.ClassificationReport(beta=2, labels=["a", "b", "c", "d"]), MULTICLASS),
    "ClassificationReport of labels": (lambda m: m.ClassificationReport(output_dict=True, is_multilabel=True), LABELS),
    "ROC_AUC": (lambda m: m.ROC_AUC(), SCORES),
    "RocCurve": (lambda m: m.RocCurve(), SCORES),
    "AveragePrecision": (lambda m: m.AveragePrecision(), SCORES),
    "AveragePrecision of labels": (lambda m: m.AveragePrecision(), LABEL_SCORES),
    "PrecisionRecallCurve": (lambda m: m.PrecisionRecallCurve(), SCORES),
    "CohenKappa": (lambda m: m.CohenKappa(), CLASSES),
    "CohenKappa quadratic": (lambda m: m.CohenKappa(weights="quadratic"), CLASSES),
    "CohenKappa with classes": (lambda m: m.CohenKappa(weights="linear", num_classes=4), CLASSES),
    "MatthewsCorrCoef": (lambda m: m.MatthewsCorrCoef(), CLASSES),
    "MatthewsCorrCoef of scores": (lambda m: m.MatthewsCorrCoef(), ONE_HOT),
    "MeanAveragePrecision": (lambda m: m.MeanAveragePrecision(), MULTICLASS),
    "MeanAveragePrecision per class": (lambda m: m.MeanAveragePrecision(class_mean=None), MULTICLASS),
    "MeanAveragePrecision weighted": (lambda m: m.MeanAveragePrecision(class_mean="weighted"), MULTICLASS),
    "MeanAveragePrecision micro": (lambda m: m.MeanAveragePrecision(class_mean="micro"), MULTICLASS),
    "MeanAveragePrecision binary": (lambda m: m.MeanAveragePrecision(), SCORES),
    "MeanAveragePrecision of labels": (lambda m: m.MeanAveragePrecision(is_multilabel=True), LABEL_SCORES),
    "MeanAveragePrecision of pixels": (lambda m: m.MeanAveragePrecision(class_mean=None), SEGMENTS),
    "MeanAveragePrecision at recalls": (lambda m: m.MeanAveragePrecision([0.0, 0.3, 0.9, 1.0]), MULTICLASS),
    "PSNR": (lambda m: m.PSNR(data_range=1.0), IMAGES),
    "PSNR of bytes": (lambda m: m.PSNR(data_range=255), BYTES),
    "SSIM": (lambda m: m.SSIM(data_range=1.0), IMAGES),
    "SSIM of bytes": (lambda m: m.SSIM(data_range=255, kernel_size=7, sigma=1.0), BYTES),
    "SSIM uniform": (lambda m: m.SSIM(data_range=1.0, gaussian=False, k1=0.02), IMAGES),
    "SSIM of volumes": (
        lambda m: m.SSIM(data_range=1.0, ndims=3, kernel_size=5, sigma=[1.0, 2.0, 0.5]),
        VOLUMES,
    ),
    "CosineSimilarity": (lambda m: m.CosineSimilarity(), IMAGES),
    "MeanPairwiseDistance": (lambda m: m.MeanPairwiseDistance(p=3), VECTORS),
    "HitRate": (lambda m: m.HitRate(top_k=[1, 3]), USERS),
    "HitRate of all users": (lambda m: m.HitRate(top_k=2, ignore_zero_hits=False), USERS),
    "NDCG": (lambda m: m.NDCG(top_k=[1, 3, 20]), USERS),
    "NDCG linear": (lambda m: m.NDCG([2], False, 2.0, "linear_rank"), USERS),
    "MutualInformation": (lambda m: m.MutualInformation(), LOGITS),
    "Entropy": (lambda m: m.Entropy(), LOGITS),
    "KLDivergence": (lambda m: m.KLDivergence(), LOGITS),
    "JSDivergence": (lambda m: m.JSDivergence(), LOGITS),
    "Bleu": (lambda m: m.Bleu(ngram=2), SENTENCES),
    "Bleu smooth1": (lambda m: m.Bleu(smooth="smooth1"), SENTENCES),
    "Bleu smooth2": (lambda m: m.Bleu(smooth="smooth2"), SENTENCES),
    "Bleu nltk": (lambda m: m.Bleu(smooth="nltk_smooth2"), SENTENCES),
    "Bleu micro": (lambda m: m.Bleu(ngram=3, average="micro"), SENTENCES),
    "Rouge": (lambda m: m.Rouge(), SENTENCES),
    "Rouge chosen": (lambda m: m.Rouge(["L", 3], multiref="best", alpha=0.3), SENTENCES),
    "RougeN": (lambda m: m.RougeN(ngram=2, multiref="best"), SENTENCES),
    "RougeL": (lambda m: m.RougeL(alpha=0.5), SENTENCES),
    "CharacterErrorRate": (lambda m: m.CharacterErrorRate(), TEXTS),
    "Perplexity": (lambda m: m.Perplexity(), TOKENS),
    "CanberraMetric": (lambda m: m.regression.CanberraMetric(), REALS),
    "FractionalAbsoluteError": (lambda m: m.regression.FractionalAbsoluteError(), COLUMNS),
    "FractionalBias": (lambda m: m.regression.FractionalBias(), REALS),
    "GeometricMeanAbsoluteError": (lambda m: m.regression.GeometricMeanAbsoluteError(), REALS),
    "GeometricMeanRelativeAbsoluteError": (lambda m: m.regression.GeometricMeanRelativeAbsoluteError(), COLUMNS),
    "ManhattanDistance": (lambda m: m.regression.ManhattanDistance(), REALS),
    "MaximumAbsoluteError": (lambda m: m.regression.MaximumAbsoluteError(), REALS),
    "MeanAbsoluteRelativeError": (lambda m: m.regression.MeanAbsoluteRelativeError(), REALS),
    "MeanError": (lambda m: m.regression.MeanError(), COLUMNS),
    "MeanNormalizedBias": (lambda m: m.regression.MeanNormalizedBias(), REALS),
    "MedianAbsoluteError": (lambda m: m.regression.MedianAbsoluteError(), REALS),
    "MedianAbsolutePercentageError": (lambda m: m.regression.MedianAbsolutePercentageError(), ODD),
    "MedianRelativeAbsoluteError": (lambda m: m.regression.MedianRelativeAbsoluteError(), REALS),
    "R2Score": (lambda m: m.regression.R2Score(), REALS),
    "WaveHedgesDistance": (lambda m: m.regression.WaveHedgesDistance(), REALS),
    "PearsonCorrelation": (lambda m: m.regression.PearsonCorrelation(), REALS),
    "SpearmanRankCorrelation": (lambda m: m.regression.SpearmanRankCorrelation(), REALS),
    "KendallRankCorrelation": (lambda m: m.regression.KendallRankCorrelation(variant="c"), COLUMNS),
    "CalinskiHarabaszScore": (lambda m: m.clustering.CalinskiHarabaszScore(), CLUSTERS),
    "DaviesBouldinScore": (lambda m: m.clustering.DaviesBouldinScore(), CLUSTERS),
    "SilhouetteScore": (lambda m: m.clustering.SilhouetteScore(silhouette_kwargs={"metric": "l1"}), CLUSTERS),
}


def value_of(metric: Any, data: list[Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for batch in data:
            metric.update(batch)
        return metric.compute()


def assert_close(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, Mapping):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_close(ours[key], theirs[key])
    elif isinstance(theirs, str):
        assert_close(json.loads(ours), json.loads(theirs))
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs):
            assert_close(*pair)
    elif isinstance(theirs, torch.Tensor):
        torch.testing.assert_close(
            torch.as_tensor(ours), theirs, rtol=1e-5, atol=1e-6, check_dtype=False, equal_nan=True
        )
    else:
        assert math.isclose(ours, theirs, rel_tol=1e-5, abs_tol=1e-6), (ours, theirs)
