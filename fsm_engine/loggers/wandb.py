"""`WandBLogger`, and handlers that work only with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fsm_engine import distributed
from fsm_engine._util.extras import import_extra
from fsm_engine.loggers import handlers
from fsm_engine.loggers.base import BaseLogger
from fsm_engine.loggers.silent import Silent


class WandBLogger(BaseLogger):
    """Logger for Weights & Biases, online or offline: ``WandBLogger(project="first", mode="offline")``.

    The functions of the module ``wandb`` are methods of the logger: ``logger.watch(model)``. `close` ends the run; as a
    context manager the logger marks the run as failed if the block raises.

    Weights & Biases drops values whose step is lower than the last one. If handlers log at events with different
    counters, such as epochs and iterations, give them the same step:
    ``global_step_transform=lambda engine, event: engine.state.iteration``.

    Args:
        *args: arguments of ``wandb.init``.
        init: start a run; False uses a run that was started before.
        **kwargs: keyword arguments of ``wandb.init``.

    Raises:
        ModuleNotFoundError: wandb is not installed: ``pip install "fsm-engine[wandb]"``.
    """

    takes_text: ClassVar[bool] = True

    def __init__(self, *args: Any, init: bool = True, **kwargs: Any) -> None:
        wandb = _wandb()
        if init and distributed.get_rank() == 0:
            wandb.init(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_wandb() if distributed.get_rank() == 0 else Silent(), name)

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log numbers and strings."""
        self.log(dict(values), step=step)

    def log_histograms(self, arrays: Mapping[str, Any], step: int) -> None:
        """Log histograms."""
        self.log({name: self.Histogram(values) for name, values in arrays.items()}, step=step)

    def _log_picture(self, svg: Path, name: str, /) -> None:
        self.log({name: self.Html(svg.read_text())}, commit=False)  # does not advance the step

    def close(self) -> None:
        """End the run."""
        self.finish()

    def __exit__(self, *error: object) -> None:
        self.finish(1 if any(error) else 0)


WandbLogger = WandBLogger


def _wandb() -> Any:
    return import_extra("wandb", "wandb", "WandBLogger needs wandb")


class _WandBHandler(handlers.BaseHandler):
    works_with = WandBLogger


class OutputHandler(_WandBHandler, handlers.OutputHandler):
    """`fsm_engine.loggers.OutputHandler` that works only with `WandBLogger`."""


class OptimizerParamsHandler(_WandBHandler, handlers.OptimizerParamsHandler):
    """`fsm_engine.loggers.OptimizerParamsHandler` that works only with `WandBLogger`."""
