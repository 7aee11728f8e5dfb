"""`TensorboardLogger`, and the handlers that work with it only."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsm_engine._util.extras import import_extra
from fsm_engine.loggers import handlers, weights_handlers
from fsm_engine.loggers.base import BaseLogger

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.timeline.timeline import Timeline


class TensorboardLogger(BaseLogger):
    """Writes event files for TensorBoard, with a `SummaryWriter` of tensorboardX if that is there, else of torch.

    The writer's own methods are those of the logger, too: ``logger.add_text(...)``. It writes in a thread of its own;
    what it has still to write is written when a run ends, however it does.

    Args:
        *args: given to the `SummaryWriter`.
        **kwargs: given to the `SummaryWriter`, such as ``log_dir="runs/first"``.

    Attributes:
        writer: the `SummaryWriter`.

    Raises:
        ModuleNotFoundError: neither is installed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.writer = _writer_class()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "writer" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.writer, name)

    def __reduce__(self) -> Any:
        return _reopened, (type(self), str(self.writer.log_dir))

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log scalars."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def log_histograms(self, arrays: Mapping[str, Any], step: int) -> None:
        """Log histograms."""
        for name, values in arrays.items():
            self.writer.add_histogram(tag=name, values=values, global_step=step)

    def log_lifecycle(self, engine: Engine, name: str = "lifecycle") -> None:
        """Log the lifecycle that `engine` runs: a picture if typst and pillow are installed, else Mermaid text."""
        if not _add_picture(self.writer, engine.lifecycle.draw, name):
            with tempfile.TemporaryDirectory() as folder:
                mermaid = engine.lifecycle.draw(Path(folder) / "lifecycle.mmd").read_text()
            self.writer.add_text(name, f"```mermaid\n{mermaid}\n```")

    def log_timeline(self, timeline: Timeline, name: str = "timeline") -> None:
        """Log what the time was spent on, as a table of text, and the picture, if typst and pillow are installed."""
        _add_picture(self.writer, timeline.draw, name)
        self.writer.add_text(name, f"```text\n{timeline.summary()}\n```")

    def flush(self) -> None:
        """Write what the writer has still to write."""
        self.writer.flush()

    def close(self) -> None:
        """Close the writer. What is logged later goes into another file of the same folder."""
        self.writer.close()


def _writer_class() -> Any:
    try:
        module = import_module("tensorboardX")
    except ModuleNotFoundError:
        needs = "This contrib module requires either tensorboardX or torch with tensorboard, which is not there"
        module = import_extra("torch.utils.tensorboard", "tensorboard", needs)
    return module.SummaryWriter


def _reopened(logger: type[TensorboardLogger], log_dir: str) -> TensorboardLogger:
    return logger(log_dir=log_dir)


def _add_picture(writer: Any, draw: Callable[..., Path], name: str) -> bool:
    """Log what `draw` draws, for TensorBoard shows only pixels; return whether what makes them is installed."""
    try:
        import numpy
        from PIL import Image

        with tempfile.TemporaryDirectory() as folder:
            png = draw(Path(folder) / "picture.png", theme="light")
            pixels = numpy.asarray(Image.open(png).convert("RGB"))
    except ImportError:
        return False
    writer.add_image(name, pixels, dataformats="HWC")
    return True


class OutputHandler(handlers.OutputHandler):
    """`fsm_engine.loggers.OutputHandler`, for a `TensorboardLogger` only."""

    works_with = TensorboardLogger


class OptimizerParamsHandler(handlers.OptimizerParamsHandler):
    """`fsm_engine.loggers.OptimizerParamsHandler`, for a `TensorboardLogger` only."""

    works_with = TensorboardLogger


class WeightsScalarHandler(weights_handlers.WeightsScalarHandler):
    """`fsm_engine.loggers.WeightsScalarHandler`, for a `TensorboardLogger` only."""

    works_with = TensorboardLogger


class WeightsHistHandler(weights_handlers.WeightsHistHandler):
    """`fsm_engine.loggers.WeightsHistHandler`, for a `TensorboardLogger` only."""

    works_with = TensorboardLogger


class GradsScalarHandler(weights_handlers.GradsScalarHandler):
    """`fsm_engine.loggers.GradsScalarHandler`, for a `TensorboardLogger` only."""

    works_with = TensorboardLogger


class GradsHistHandler(weights_handlers.GradsHistHandler):
    """`fsm_engine.loggers.GradsHistHandler`, for a `TensorboardLogger` only."""

    works_with = TensorboardLogger
