"""`MLflowLogger`, and the handlers that work with it only."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fsm_engine._util.extras import import_extra
from fsm_engine.loggers import handlers
from fsm_engine.loggers.base import BaseLogger

_REFUSED = re.compile(r"[^\w./: -]", re.ASCII)
"""What may not be in a name of MLflow's."""


class MLflowLogger(BaseLogger):
    """Logs to MLflow: into its active run if there is one, else into one that is begun here.

    The functions of the module are methods of the logger, too: ``logger.log_params({"lr": 0.1})``. MLflow hands over
    what is logged at once. The parts of a name are joined with spaces, as MLflow's users are used to.

    Args:
        tracking_uri: where MLflow keeps its runs; if not given, it stays as it is.

    Attributes:
        active_run: the run of MLflow's.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
    """

    separator: ClassVar[str] = " "

    def __init__(self, tracking_uri: str | None = None) -> None:
        mlflow = _mlflow()
        if tracking_uri is not None:
            mlflow.set_tracking_uri(tracking_uri)
        self.active_run = mlflow.active_run() or mlflow.start_run()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_mlflow(), name)

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log metrics. A character that MLflow refuses in a name is replaced, with a UserWarning."""
        self.log_metrics({_legal(name): value for name, value in values.items()}, step=step)

    def _log_picture(self, svg: Path, _name: str, /) -> None:
        self.log_artifact(str(svg))

    def close(self) -> None:
        """End the run."""
        _mlflow().end_run()

    def __exit__(self, *error: object) -> None:
        _mlflow().end_run("FAILED" if any(error) else "FINISHED")


def _mlflow() -> Any:
    return import_extra("mlflow", "mlflow", "MLflowLogger needs mlflow")


def _legal(name: str) -> str:
    legal = _REFUSED.sub("_", name)
    if legal != name:
        warnings.warn(f"MLflow allows no metric with the name {name!r}; it is logged as {legal!r}.", stacklevel=2)
    return legal


class OutputHandler(handlers.OutputHandler):
    """`fsm_engine.loggers.OutputHandler`, for an `MLflowLogger` only."""

    works_with = MLflowLogger
    refusal = TypeError


class OptimizerParamsHandler(handlers.OptimizerParamsHandler):
    """`fsm_engine.loggers.OptimizerParamsHandler`, for an `MLflowLogger` only."""

    works_with = MLflowLogger
    refusal = TypeError
