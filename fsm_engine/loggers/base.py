"""`BaseLogger`: base class of all experiment loggers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from fsm_engine import distributed
from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.engine.engine import Engine
from fsm_engine.events.edges import exits_of
from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.events.priorities import LAST
from fsm_engine.events.scopes import Scope
from fsm_engine.loggers.handlers import OptimizerParamsHandler, OutputHandler
from fsm_engine.timeline.timeline import Timeline

Self = TypeVar("Self", bound="BaseLogger")


class BaseLogger:
    """Base class of loggers, which send values to a logging backend; a context manager that closes the logger.

    A subclass defines `log_values`; depending on its backend also `log_histograms`, `_log_picture`, `flush` and
    `close`. `attach` also attaches `flush` to the engine: it is called when a run ends, whether it completes or fails,
    and when it is interrupted.

    With several ranks, make and attach the logger on all of them: rank 0 logs, and on other ranks the logger opens no
    file and no run. Metrics have the data of all ranks; outputs, gradients and times are those of rank 0, unless
    `output_transform` reduces them.

    Attributes:
        separator: string between the parts of a name, as in ``train/loss``.
        takes_text: True if the backend accepts strings as values.

    Example:
        >>> class PrintLogger(BaseLogger):
        ...     def log_values(self, values, step):
        ...         print(step, values)
        >>> engine = Engine(lambda engine, batch: {"loss": batch})
        >>> handle = PrintLogger().attach_output_handler(
        ...     engine, Events.ITERATION_COMPLETED, tag="train", output_transform=lambda output: output
        ... )
        >>> state = engine.run([0.5, 0.25])
        1 {'train/loss': 0.5}
        2 {'train/loss': 0.25}
    """

    separator: ClassVar[str] = "/"
    takes_text: ClassVar[bool] = False

    def attach(
        self,
        engine: Engine,
        log_handler: Callable[..., Any],
        event_name: AnyEvent | EventsList,
        *args: Any,
        **kwargs: Any,
    ) -> RemovableEventHandle:
        """Call ``log_handler(engine, logger, event, *args, **kwargs)`` at each occurrence of an event.

        Args:
            engine: engine that fires the event.
            log_handler: an `OutputHandler`, another handler of this package, or any function with these parameters.
            event_name: event with a counter, with or without a filter, or several such events joined with ``|``.
            *args: additional arguments for `log_handler`.
            **kwargs: additional keyword arguments for `log_handler`.

        Returns:
            A handle whose `remove` detaches the handler; also a context manager that does so at the end.

        Raises:
            RuntimeError: an event has no counter, which would be the step. Nothing is attached.
            ValueError: `log_handler` cannot be called with these arguments.
        """
        events = [*event_name] if isinstance(event_name, EventsList) else [event_name]
        for event in events:
            engine.state.get_event_attrib_value(event)
        handles = [engine.add_event_handler(event, log_handler, self, event, *args, **kwargs) for event in events]
        attachments = [attachment for handle in handles for ref in handle._handler_entries if (attachment := ref())]
        self._flush_after_runs_of(engine)
        return RemovableEventHandle(event_name, log_handler, engine, attachments)

    def _flush_after_runs_of(self, engine: Engine) -> None:
        # Not at EXCEPTION_RAISED: the engine takes a handler there as a sign that the exception is handled.
        for event in (*exits_of(Scope.ENGINE), Events.INTERRUPT(priority=LAST)):
            if not engine.has_event_handler(self.flush, event):
                engine.add_event_handler(event, self.flush)

    def attach_output_handler(
        self, engine: Engine, event_name: AnyEvent | EventsList, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle:
        """Attach ``OutputHandler(*args, **kwargs)``, which logs metrics and outputs; see `attach`."""
        return self.attach(engine, self._create_output_handler(*args, **kwargs), event_name)

    def attach_opt_params_handler(
        self, engine: Engine, event_name: AnyEvent | EventsList, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle:
        """Attach ``OptimizerParamsHandler(*args, **kwargs)``, which logs learning rates; see `attach`."""
        return self.attach(engine, self._create_opt_params_handler(*args, **kwargs), event_name)

    def _create_output_handler(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return OutputHandler(*args, **kwargs)

    def _create_opt_params_handler(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return OptimizerParamsHandler(*args, **kwargs)

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log numbers, and strings if `takes_text`, by name."""
        raise NotImplementedError(f"{type(self).__name__} does not define log_values(values, step).")

    def log_histograms(self, arrays: Mapping[str, Any], step: int) -> None:
        """Log a histogram of the numbers in each array, by name.

        Raises:
            NotImplementedError: the logger does not support histograms.
        """
        raise NotImplementedError(f"{type(self).__name__} has no histograms. Log numbers with a scalar handler.")

    def log_lifecycle(self, engine: Engine, name: str = "lifecycle") -> None:
        """Log a picture of the lifecycle of `engine`."""
        self._log_drawing(engine.lifecycle.draw, name)

    def log_timeline(self, timeline: Timeline, name: str = "timeline") -> None:
        """Log a picture of a timeline that ``engine.record()`` returned.

        Raises:
            ValueError: the timeline is empty.
        """
        self._log_drawing(timeline.draw, name)

    def _log_drawing(self, draw: Callable[[Path], Path], name: str) -> None:
        if distributed.get_rank() != 0:
            return
        with tempfile.TemporaryDirectory() as folder:
            self._log_picture(draw(Path(folder) / f"{name}.svg"), name)

    def _log_picture(self, svg: Path, name: str, /) -> None:
        """Log an SVG file, which is deleted afterwards."""
        raise NotImplementedError(f"{type(self).__name__} does not support pictures.")

    def flush(self) -> None:
        """Send all logged values to the backend."""

    def close(self) -> None:
        """Send all logged values to the backend and release its resources."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
