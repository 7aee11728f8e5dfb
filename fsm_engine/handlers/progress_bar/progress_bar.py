"""`ProgressBar`: the progress of a run on the terminal or in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsm_engine import distributed
from fsm_engine.events.edges import exits_of
from fsm_engine.events.events import AnyEvent, CallableEventWithFilter, Events, EventsList, without_filter
from fsm_engine.events.scopes import Scope
from fsm_engine.handlers.progress_bar.backend import Backend
from fsm_engine.handlers.progress_bar.engine_bar import EngineBar
from fsm_engine.handlers.progress_bar.rich_backend import RichBackend
from fsm_engine.handlers.progress_bar.tqdm_backend import TqdmBackend
from fsm_engine.loggers.state_reader import StateReader

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_FORMAT = "{desc}[{n_fmt}/{total_fmt}] {percentage:3.0f}%|{bar}{postfix} [{elapsed}<{remaining}]"


class ProgressBar:
    """Show the progress of an engine: one bar per epoch, or between the two events given to `attach`.

    A bar is drawn at most ten times a second, and metrics and outputs are read only for a draw. Every other iteration
    costs one call of `time.monotonic`. Bars of nested runs, such as an evaluator inside a handler of the trainer, are
    drawn below each other. A bar is closed when its run ends, also by an exception or an interrupt.

    With several ranks, rank 0 shows the bars: metrics of all ranks, and its own outputs.

    Args:
        persist: keep closed bars on the screen.
        bar_format: the format for tqdm; None for tqdm's default.
        backend: ``"tqdm"`` or ``"rich"``.
        **tqdm_kwargs: arguments for tqdm, such as ``desc="Training"`` or ``file=``. The rich backend takes `desc`,
            `file` and `console`.

    Raises:
        ModuleNotFoundError: the backend is not installed.
        ValueError: the backend is unknown.
        TypeError: `persist` is not a bool, or the rich backend does not take one of the arguments.

    Example:
        >>> import io
        >>> trainer, screen = Engine(lambda engine, batch: batch), io.StringIO()
        >>> ProgressBar(persist=True, file=screen).attach(trainer)
        >>> _ = trainer.run([1, 2])
        >>> "[2/2]" in screen.getvalue()
        True
    """

    def __init__(
        self, persist: bool = False, bar_format: str | None = _FORMAT, *, backend: str = "tqdm", **tqdm_kwargs: Any
    ) -> None:
        if not isinstance(persist, bool):
            raise TypeError(
                f"Argument persist should be a bool, got {type(persist).__name__}. To show the bar of an engine, write "
                f"ProgressBar().attach(engine)."
            )
        self._description = tqdm_kwargs.pop("desc", None)
        self._backend = _backend(backend, persist, bar_format, tqdm_kwargs)

    def attach(
        self,
        engine: Engine,
        metric_names: str | list[str] | None = None,
        output_transform: Callable[[Any], Any] | None = None,
        event_name: AnyEvent = Events.ITERATION_COMPLETED,
        closing_event_name: AnyEvent = Events.EPOCH_COMPLETED,
        state_attributes: list[str] | None = None,
    ) -> None:
        """Show a bar in every run of `engine` from now on.

        Args:
            engine: the engine.
            metric_names: names of metrics to show, or ``"all"``.
            output_transform: function from ``engine.state.output`` to the values to show: a mapping or a single value.
            event_name: event that advances the bar. The bar shows its counter: iterations, epochs, or a custom one.
                It may have a filter.
            closing_event_name: event that closes the bar.
            state_attributes: names of attributes of the state to show.

        Raises:
            ValueError: an event is not registered or has no counter; the closing event has a filter or does not come
                after the other event.
            TypeError: an argument has the wrong type.
        """
        _check_events(engine, event_name, closing_event_name)
        reader = StateReader(metric_names, output_transform, state_attributes)
        if distributed.get_rank() != 0:
            return
        event, closing_event = without_filter(event_name), without_filter(closing_event_name)
        bar = EngineBar(self._backend, self._description, reader, event, closing_event)  # type: ignore[arg-type]  # edges have no counter, so the check has refused them
        engine.add_event_handler(event_name, bar.update)
        engine.add_event_handler(closing_event_name, bar.finish)
        engine.add_event_handler(EventsList(*exits_of(Scope.RUN)), bar.leave_run)
        engine.add_event_handler(EventsList(*exits_of(Scope.ENGINE)), bar.close)

    def log_message(self, message: str) -> None:
        """Print a line above the open bars."""
        if distributed.get_rank() == 0:
            self._backend.write(message)


def _backend(name: str, persist: bool, bar_format: str | None, options: dict[str, Any]) -> Backend:
    if name == "tqdm":
        return TqdmBackend(persist, {"bar_format": bar_format, **options})
    if name == "rich":
        return RichBackend(persist, **options)
    raise ValueError(f"backend={name!r} is not known. Give 'tqdm' or 'rich'.")


def _check_events(engine: Engine, event: AnyEvent, closing_event: AnyEvent) -> None:
    counters = engine.state.event_to_attr
    for given, role in ((event, "Logging"), (closing_event, "Closing")):
        if without_filter(given) not in counters:
            allowed = ", ".join(map(str, counters))
            raise ValueError(f"{role} event {given} is not in allowed events, which have a counter: {allowed}.")
    if isinstance(closing_event, CallableEventWithFilter) and closing_event.filter is not None:
        raise ValueError(
            f"Closing event {closing_event} should not be a filtered event, because it has to close every bar."
        )
    order = engine.lifecycle.graph.index
    first, last = without_filter(event), without_filter(closing_event)
    if first in order and last in order and order[first] >= order[last]:  # type: ignore[index]
        raise ValueError(f"Logging event {event} should be called before closing event {closing_event}.")
