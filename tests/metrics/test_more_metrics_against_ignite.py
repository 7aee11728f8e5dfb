"""The metrics that pytorch-ignite has besides the basic ones: both libraries return the same value for each case."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import ignite.metrics
import ignite.metrics.clustering
import ignite.metrics.confusion_matrix
import ignite.metrics.regression
import pytest
import torch
from metric_cases import CASES, assert_close, rand, randint, value_of

import fsm_engine.metrics
import fsm_engine.metrics.clustering
import fsm_engine.metrics.confusion_matrix
import fsm_engine.metrics.regression


@pytest.mark.parametrize("case", CASES)
def test_value_is_the_value_of_ignite(case: str) -> None:
    make, data = CASES[case]
    assert_close(value_of(make(fsm_engine.metrics), data), value_of(make(ignite.metrics), data))


@pytest.mark.parametrize("case", CASES)
def test_state_dict_continues_an_accumulation(case: str) -> None:
    make, data = CASES[case]
    first, second = make(fsm_engine.metrics), make(fsm_engine.metrics)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.update(data[0])
    second.load_state_dict(first.state_dict())
    assert_close(value_of(second, data[1:]), value_of(make(fsm_engine.metrics), data))


WRONG: dict[str, Callable[[Any], Any]] = {
    "VariableAccumulation op": lambda m: m.VariableAccumulation(1),
    "Average of a string": lambda m: m.Average().update("a"),
    "IoU of an accuracy": lambda m: m.IoU(m.Accuracy()),
    "IoU of recalls": lambda m: m.IoU(m.ConfusionMatrix(3, average="recall")),
    "IoU without an unknown class": lambda m: m.IoU(m.ConfusionMatrix(3), ignore_index=3),
    "MultiLabelConfusionMatrix of one": lambda m: m.MultiLabelConfusionMatrix(1),
    "MultiLabelConfusionMatrix of floats": lambda m: m.MultiLabelConfusionMatrix(3).update((rand(2, 3), rand(2, 3))),
    "CohenKappa weights": lambda m: m.CohenKappa(weights="cubic"),
    "MeanAveragePrecision mean": lambda m: m.MeanAveragePrecision(class_mean="samples"),
    "MeanAveragePrecision threshold": lambda m: m.MeanAveragePrecision([2.0]),
    "PSNR dtypes": lambda m: m.PSNR(1.0).update((rand(2, 3), rand(2, 3).double())),
    "PSNR shapes": lambda m: m.PSNR(1.0).update((rand(2, 3), rand(2, 4))),
    "SSIM kernel": lambda m: m.SSIM(1.0, kernel_size=4),
    "SSIM sigma": lambda m: m.SSIM(1.0, sigma=-1.0),
    "SSIM kernels": lambda m: m.SSIM(1.0, kernel_size=[3]),
    "SSIM ndims": lambda m: m.SSIM(1.0, ndims=1),
    "SSIM shape": lambda m: m.SSIM(1.0).update((rand(2, 3), rand(2, 3))),
    "HitRate top_k": lambda m: m.HitRate(top_k=[0]),
    "NDCG gain": lambda m: m.NDCG([1], gain_function="cubic"),
    "Entropy shape": lambda m: m.Entropy().update((rand(3), rand(3))),
    "KLDivergence shapes": lambda m: m.KLDivergence().update((rand(3, 2), rand(3, 3))),
    "Bleu order": lambda m: m.Bleu(ngram=0),
    "Bleu smoothing": lambda m: m.Bleu(smooth="smooth9"),
    "Bleu average": lambda m: m.Bleu(average="mean"),
    "RougeN order": lambda m: m.RougeN(ngram=0),
    "Rouge alpha": lambda m: m.RougeL(alpha=2),
    "Rouge variant": lambda m: m.Rouge(["M"]),
    "CharacterErrorRate of numbers": lambda m: m.CharacterErrorRate().update((1, 2)),
    "Perplexity shapes": lambda m: m.Perplexity().update((rand(2, 5), randint(5, 2, 3))),
    "regression shape": lambda m: m.regression.MeanError().update((rand(2, 2), rand(2, 2))),
    "regression dtype": lambda m: m.regression.MeanError().update((randint(3, 2), randint(3, 2))),
    "division by zero": lambda m: m.regression.MeanNormalizedBias().update((rand(2), torch.zeros(2))),
    "Kendall variant": lambda m: m.regression.KendallRankCorrelation(variant="a"),
    "no data": lambda m: m.CosineSimilarity().compute(),
    "no data for an average": lambda m: m.Average().compute(),
    "no data for a text": lambda m: m.Bleu().compute(),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments_raise_the_same_exception_type_as_ignite(wrong: str) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        WRONG[wrong](ignite.metrics)
    expected = fsm_engine.metrics.NotComputableError if "Computable" in theirs.type.__name__ else theirs.type
    with pytest.raises(expected):
        WRONG[wrong](fsm_engine.metrics)
