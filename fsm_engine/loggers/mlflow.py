"""`MLflowLogger`, and handlers that work only with it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fsm_engine import distributed
from fsm_engine._util.extras import import_extra
from fsm_engine.loggers import handlers
from fsm_engine.loggers.base import BaseLogger
from fsm_engine.loggers.silent import Silent

_REFUSED = re.compile(r"[^\w./: -]", re.ASCII)
"""Characters that MLflow does not accept in names of metrics."""


class MLflowLogger(BaseLogger):
    """Logger for MLflow; uses the active run, or starts one.

    The functions of the module ``mlflow`` are methods of the logger: ``logger.log_params({"lr": 0.1})``. MLflow sends
    values immediately. As in pytorch-ignite, the parts of a name are joined with spaces: ``train loss``. `close` ends
    the run; as a context manager the logger marks the run as failed if the block raises.

    Args:
        tracking_uri: location where MLflow stores runs, such as ``"file:./runs"``; None keeps MLflow's setting.

    Attributes:
        active_run: the run of MLflow; None on other ranks than 0.

    Raises:
        ModuleNotFoundError: MLflow is not installed: ``pip install "fsm-engine[mlflow]"``.
    """

    separator: ClassVar[str] = " "

    def __init__(self, tracking_uri: str | None = None) -> None:
        mlflow = _mlflow()
        if distributed.get_rank() != 0:
            self.active_run = None
            return
        if tracking_uri is not None:
            mlflow.set_tracking_uri(tracking_uri)
        self.active_run = mlflow.active_run() or mlflow.start_run()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_mlflow() if distributed.get_rank() == 0 else Silent(), name)

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log metrics. Characters that MLflow does not accept in names are replaced, with a UserWarning."""
        self.log_metrics({_legal_name(name): value for name, value in values.items()}, step=step)

    def _log_picture(self, svg: Path, _name: str, /) -> None:
        self.log_artifact(str(svg))

    def close(self) -> None:
        """End the run."""
        self.end_run()

    def __exit__(self, *error: object) -> None:
        self.end_run("FAILED" if any(error) else "FINISHED")


def _mlflow() -> Any:
    return import_extra("mlflow", "mlflow", "MLflowLogger needs mlflow")


def _legal_name(name: str) -> str:
    legal = _REFUSED.sub("_", name)
    if legal != name:
        warnings.warn(f"MLflow does not accept the metric name {name!r}; it is logged as {legal!r}.", stacklevel=2)
    return legal


class _MLflowHandler(handlers.BaseHandler):
    works_with = MLflowLogger
    refusal = TypeError


class OutputHandler(_MLflowHandler, handlers.OutputHandler):
    """`fsm_engine.loggers.OutputHandler` that works only with `MLflowLogger`."""


class OptimizerParamsHandler(_MLflowHandler, handlers.OptimizerParamsHandler):
    """`fsm_engine.loggers.OptimizerParamsHandler` that works only with `MLflowLogger`."""
