"""The table of Ignite's metrics in ``docs/migrate-from-ignite.md``; running this file as a program writes it."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import ignite.metrics
import ignite.metrics.clustering
import ignite.metrics.fairness
import ignite.metrics.regression

from fsm_engine._util.ignite_paths import MISSING
from fsm_engine.metrics.pair_metric import PairMetric

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "migrate-from-ignite.md"
TABLE = re.compile(r"(?<=<!-- metrics of ignite -->\n).*?(?=<!-- end of metrics -->)", re.DOTALL)
PACKAGES = ("metrics", "metrics.clustering", "metrics.fairness", "metrics.regression")
BY_MODULE = {"scikit_learn": "scikit-learn", "gpu_info": "torch and nvidia-ml-py"}
BY_NAME = {
    "ClassificationReport": "`Precision` and `Recall`",
    "Fbeta": "`Precision` and `Recall`",
    "KendallRankCorrelation": "scipy",
    "SpearmanRankCorrelation": "scipy",
    **dict.fromkeys(("DiceCoefficient", "IoU", "JaccardIndex", "mIoU"), "`ConfusionMatrix`"),
}


def metric_names(package: str) -> list[str]:
    """Return the names of the metrics that a package of ignite has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = ignite
        for part in package.split("."):
            module = getattr(module, part)
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if isinstance(value, type)
    ]
    return sorted(name for name in names if not isinstance(getattr(module, name), ModuleType))


def computed_by(thing: Any, name: str) -> str:
    """Return what computes a metric."""
    module = thing.__module__.rpartition(".")[2]
    if name in BY_NAME or module in BY_MODULE:
        return BY_NAME.get(name) or BY_MODULE[module]
    if isinstance(thing, type) and issubclass(thing, PairMetric):
        of_torchmetrics = thing._new_accumulator is not PairMetric._new_accumulator
        return "torchmetrics" if of_torchmetrics else "fsm_engine, with sums of torchmetrics"
    return "fsm_engine"


def advice(path: str) -> str:
    parts = path.split(".")
    known = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next(MISSING[prefix] for prefix in known if prefix in MISSING)


def table() -> str:
    rows = ["| `fsm_engine.` | computed by |", "| --- | --- |"]
    for package in PACKAGES:
        for name in metric_names(package):
            path = f"{package}.{name}"
            try:
                home = import_module(f"fsm_engine.{package}")
                rows.append(f"| `{path}` | {computed_by(getattr(home, name), name)} |")
            except (AttributeError, ImportError):
                rows.append(f"| `{path}` | missing. {advice(path)} |")
    return "\n".join(rows)


def updated(text: str) -> str:
    return TABLE.sub(lambda _: f"\n{table()}\n\n", text)


def test_the_table_has_every_metric_of_ignite() -> None:
    text = DOCUMENT.read_text()
    assert updated(text) == text, f"run python {Path(__file__).name}"
    assert text.count("| torchmetrics |") >= 5
    assert text.count("| scikit-learn |") >= 8


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text()))
