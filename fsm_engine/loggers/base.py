"""`BaseLogger`: what all loggers of experiments have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.events.edges import exits_of
from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.events.priorities import LAST
from fsm_engine.events.scopes import Scope
from fsm_engine.loggers.handlers import OptimizerParamsHandler, OutputHandler

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.timeline.timeline import Timeline


Self = TypeVar("Self", bound="BaseLogger")


class BaseLogger:
    """Writes what handlers read of a run somewhere; a context manager that closes at the end of its block.

    A subclass has `log_values`. What was logged is handed over (`flush`) when a run of an engine that a handler is
    attached to ends, however it ends, and when it is interrupted.

    Attributes:
        separator: what joins the parts of a name.
        takes_text: whether strings are logged, too.
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
        """Call ``log_handler(engine, logger, event, ...)`` whenever the event is fired.

        Args:
            engine: the engine whose event it is.
            log_handler: such as an `OutputHandler`, or any function that takes these.
            event_name: an event that counts something, filtered or not, or several joined with ``|``.
            *args: given to the handler.
            **kwargs: given to the handler.

        Returns:
            A handle with `remove()`, and a context manager.

        Raises:
            RuntimeError: an event without a counter, which would give no step to log at.
            ValueError: a handler that cannot be called like that.
        """
        events = [*event_name] if isinstance(event_name, EventsList) else [event_name]
        for event in events:
            engine.state.get_event_attrib_value(event)
        handles = [engine.add_event_handler(event, log_handler, self, event, *args, **kwargs) for event in events]
        attachments = [attachment for handle in handles for ref in handle._attachments if (attachment := ref())]
        self._flush_at_the_end_of(engine)
        return RemovableEventHandle(event_name, log_handler, engine, attachments)

    def _flush_at_the_end_of(self, engine: Engine) -> None:
        # No handler of EXCEPTION_RAISED: one would mean that the exception has been dealt with.
        for event in (*exits_of(Scope.ENGINE), Events.INTERRUPT(priority=LAST)):
            if not engine.has_event_handler(self.flush, event):
                engine.add_event_handler(event, self.flush)

    def attach_output_handler(
        self, engine: Engine, event_name: AnyEvent | EventsList, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle:
        """Attach an `OutputHandler`, made with `args` and `kwargs`; see `attach`."""
        return self.attach(engine, self._create_output_handler(*args, **kwargs), event_name)

    def attach_opt_params_handler(
        self, engine: Engine, event_name: AnyEvent | EventsList, *args: Any, **kwargs: Any
    ) -> RemovableEventHandle:
        """Attach an `OptimizerParamsHandler`, made with `args` and `kwargs`; see `attach`."""
        return self.attach(engine, self._create_opt_params_handler(*args, **kwargs), event_name)

    def _create_output_handler(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return OutputHandler(*args, **kwargs)

    def _create_opt_params_handler(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return OptimizerParamsHandler(*args, **kwargs)

    def log_values(self, values: Mapping[str, Any], step: int) -> None:
        """Log numbers by name, at a step."""
        raise NotImplementedError(f"{type(self).__name__} has no log_values(values, step), by which handlers log.")

    def log_histograms(self, arrays: Mapping[str, Any], step: int) -> None:
        """Log how the numbers in each array are distributed, by name, at a step.

        Raises:
            NotImplementedError: if this logger has no histograms.
        """
        raise NotImplementedError(f"{type(self).__name__} has no histograms. Log scalars instead.")

    def log_lifecycle(self, engine: Engine, name: str = "lifecycle") -> None:
        """Log a picture of the lifecycle that `engine` runs."""
        self._log_drawing(engine.lifecycle.draw, name)

    def log_timeline(self, timeline: Timeline, name: str = "timeline") -> None:
        """Log a picture of a timeline, which ``engine.record()`` gives.

        Raises:
            ValueError: a timeline in which nothing happened.
        """
        self._log_drawing(timeline.draw, name)

    def _log_drawing(self, draw: Callable[[Path], Path], name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self._log_picture(draw(Path(folder) / f"{name}.svg"), name)

    def _log_picture(self, svg: Path, name: str, /) -> None:
        """Log a file with a picture, which is gone afterwards."""
        raise NotImplementedError(f"{type(self).__name__} has no pictures.")

    def flush(self) -> None:
        """Hand over all that was logged."""

    def close(self) -> None:
        """Hand over all that was logged, and let go of what was opened."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
