"""`TensorboardLogger`, and handlers that work only with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from fsm_engine import distributed
from fsm_engine._util.extras import import_extra
from fsm_engine.engine.engine import Engine
from fsm_engine.loggers import handlers, weights_handlers
from fsm_engine.loggers.base import BaseLogger
from fsm_engine.loggers.silent import Silent
from fsm_engine.timeline.timeline import Timeline


class TensorboardLogger(BaseLogger):
    """Logger for TensorBoard; writes event files with the `SummaryWriter` of tensorboardX, or else of torch.

    The methods of the `SummaryWriter` are methods of the logger: ``logger.add_text(...)``. The writer works in its own
    thread; the logger flushes it when a run ends, also if it fails. A pickled logger writes to the same folder.

    Args:
        *args: arguments of `SummaryWriter`.
        **kwargs: keyword arguments of `SummaryWriter`, such as ``log_dir="runs/first"``.

    Attributes:
        writer: the `SummaryWriter`; on other ranks than 0 an object whose methods do nothing.

    Raises:
        ModuleNotFoundError: neither is installed: ``pip install "fsm-engine[tensorboard]"``.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with TensorboardLogger(folder) as logger:
        ...     output = OutputHandler("training", output_transform=lambda loss: {"loss": loss})
        ...     _ = logger.attach(trainer, output, Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([0.5, 0.25])
        >>> [path.name.split(".")[0] for path in folder.iterdir()]
        ['events']
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        writer_class = _summary_writer_class()
        if distributed.get_rank() == 0:
            self.writer = writer_class(*args, **kwargs)
        else:
            self.writer = Silent(log_dir=kwargs.get("log_dir", args[0] if args else None))

    def __getattr__(self, name: str) -> Any:
        if name == "writer" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.writer, name)

    def __reduce__(self) -> Any:
        log_dir = self.writer.log_dir
        return partial(type(self), log_dir=None if log_dir is None else str(log_dir)), ()

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log scalars."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def log_histograms(self, arrays: Mapping[str, Any], step: int) -> None:
        """Log histograms."""
        for name, values in arrays.items():
            self.writer.add_histogram(tag=name, values=values, global_step=step)

    def log_lifecycle(self, engine: Engine, name: str = "lifecycle") -> None:
        """Log the lifecycle of `engine`: a picture if typst and pillow are installed, else Mermaid text."""
        if distributed.get_rank() != 0:
            return
        if not _add_picture(self.writer, engine.lifecycle.draw, name):
            with tempfile.TemporaryDirectory() as folder:
                mermaid = engine.lifecycle.draw(Path(folder) / "lifecycle.mmd").read_text()
            self.writer.add_text(name, f"```mermaid\n{mermaid}\n```")

    def log_timeline(self, timeline: Timeline, name: str = "timeline") -> None:
        """Log the summary of a timeline as text, and a picture if typst and pillow are installed."""
        if distributed.get_rank() != 0:
            return
        _add_picture(self.writer, timeline.draw, name)
        self.writer.add_text(name, f"```text\n{timeline.summary()}\n```")

    def flush(self) -> None:
        """Write all pending events to the file."""
        self.writer.flush()

    def close(self) -> None:
        """Close the event file. Values that are logged later go to a new file in the same folder."""
        self.writer.close()


def _summary_writer_class() -> Any:
    try:
        module = import_module("tensorboardX")
    except ModuleNotFoundError:
        needs = "This contrib module requires either tensorboardX or torch with tensorboard"
        module = import_extra("torch.utils.tensorboard", "tensorboard", needs)
    return module.SummaryWriter


def _add_picture(writer: Any, draw: Callable[..., Path], name: str) -> bool:
    """Log a picture as pixels, because TensorBoard does not show SVG; return False if a package for that is missing."""
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


class _TensorboardHandler(handlers.BaseHandler):
    works_with = TensorboardLogger


class OutputHandler(_TensorboardHandler, handlers.OutputHandler):
    """`fsm_engine.loggers.OutputHandler` that works only with `TensorboardLogger`."""


class OptimizerParamsHandler(_TensorboardHandler, handlers.OptimizerParamsHandler):
    """`fsm_engine.loggers.OptimizerParamsHandler` that works only with `TensorboardLogger`."""


class WeightsScalarHandler(_TensorboardHandler, weights_handlers.WeightsScalarHandler):
    """`fsm_engine.loggers.WeightsScalarHandler` that works only with `TensorboardLogger`."""


class WeightsHistHandler(_TensorboardHandler, weights_handlers.WeightsHistHandler):
    """`fsm_engine.loggers.WeightsHistHandler` that works only with `TensorboardLogger`."""


class GradsScalarHandler(_TensorboardHandler, weights_handlers.GradsScalarHandler):
    """`fsm_engine.loggers.GradsScalarHandler` that works only with `TensorboardLogger`."""


class GradsHistHandler(_TensorboardHandler, weights_handlers.GradsHistHandler):
    """`fsm_engine.loggers.GradsHistHandler` that works only with `TensorboardLogger`."""
