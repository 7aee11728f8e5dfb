"""`WandBLogger`, and the handlers that work with it only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fsm_engine._util.extras import import_extra
from fsm_engine.loggers import handlers
from fsm_engine.loggers.base import BaseLogger


class WandBLogger(BaseLogger):
    """Logs to Weights & Biases, also offline: ``WandBLogger(project="first", mode="offline")``.

    The functions of the module are methods of the logger, too: ``logger.watch(model)``. Steps have to grow there: what
    is logged at a lower one than before is dropped. Where some events count epochs and others iterations, give them
    ``global_step_transform=lambda engine, event: engine.state.iteration``.

    Args:
        *args: given to ``wandb.init``.
        init: whether to begin a run; if not, there has to be one already.
        **kwargs: given to ``wandb.init``.

    Raises:
        ModuleNotFoundError: wandb is not installed.
    """

    takes_text: ClassVar[bool] = True

    def __init__(self, *args: Any, init: bool = True, **kwargs: Any) -> None:
        wandb = _wandb()
        if init:
            wandb.init(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_wandb(), name)

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log numbers and strings."""
        self.log(dict(values), step=step)

    def log_histograms(self, arrays: Mapping[str, Any], step: int) -> None:
        """Log histograms."""
        self.log({name: self.Histogram(values) for name, values in arrays.items()}, step=step)

    def _log_picture(self, svg: Path, name: str, /) -> None:
        self.log({name: self.Html(svg.read_text())}, commit=False)  # it counts no step

    def close(self) -> None:
        """End the run."""
        _wandb().finish()

    def __exit__(self, *error: object) -> None:
        _wandb().finish(1 if any(error) else 0)


WandbLogger = WandBLogger


def _wandb() -> Any:
    return import_extra("wandb", "wandb", "WandBLogger needs wandb")


class OutputHandler(handlers.OutputHandler):
    """`fsm_engine.loggers.OutputHandler`, for a `WandBLogger` only."""

    works_with = WandBLogger


class OptimizerParamsHandler(handlers.OptimizerParamsHandler):
    """`fsm_engine.loggers.OptimizerParamsHandler`, for a `WandBLogger` only."""

    works_with = WandBLogger
