"""`ProgressBar`: how far a run is, on the terminal or in a notebook."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import exits_of
from fsm_engine.events.events import AnyEvent, CallableEventWithFilter, Event, Events, EventsList, name_of, plain
from fsm_engine.events.scopes import Scope
from fsm_engine.handlers._bars import Bar, Bars, Shown
from fsm_engine.loggers.values import Picked

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.runtime.state import State

_FORMAT = "{desc}[{n_fmt}/{total_fmt}] {percentage:3.0f}%|{bar}{postfix} [{elapsed}<{remaining}]"
_PER_SECOND = 10


class ProgressBar:
    """Shows how far an engine is: a bar for each epoch, or whatever the two events given to `attach` tell.

    A bar is drawn at most ten times a second, and what it shows is read only then. In between, an iteration costs a
    look at the clock. Bars of engines that run inside each other's handlers stand one below the other. A bar ends with
    its run, however that ends.

    Args:
        persist: whether a bar stays on the screen when it has ended.
        bar_format: tqdm's; None for the one that tqdm has.
        backend: ``"tqdm"`` or ``"rich"``.
        **tqdm_kwargs: given to tqdm, such as ``desc="Training"`` or ``file=``; for rich `desc`, `file` and `console`.

    Raises:
        ModuleNotFoundError: the backend is not installed.
        ValueError: another backend.
        TypeError: an argument that rich's bars do not have.
    """

    def __init__(
        self, persist: bool = False, bar_format: str | None = _FORMAT, *, backend: str = "tqdm", **tqdm_kwargs: Any
    ) -> None:
        self._name = tqdm_kwargs.pop("desc", None)
        self._bars = _backend(backend)(persist, bar_format, tqdm_kwargs)

    def attach(
        self,
        engine: Engine,
        metric_names: str | list[str] | None = None,
        output_transform: Callable[[Any], Any] | None = None,
        event_name: AnyEvent = Events.ITERATION_COMPLETED,
        closing_event_name: AnyEvent = Events.EPOCH_COMPLETED,
        state_attributes: list[str] | None = None,
    ) -> None:
        """Show a bar from now on whenever `engine` runs.

        Args:
            engine: the engine.
            metric_names: metrics to show beside the bar, or ``"all"``.
            output_transform: makes what is shown of ``engine.state.output``: a mapping, or a single value.
            event_name: moves the bar; it counts iterations or epochs, and may be filtered.
            closing_event_name: ends the bar.
            state_attributes: attributes of the state to show.

        Raises:
            ValueError: an event that is not registered or counts nothing; a closing event with a filter, or one that
                comes before the other.
            TypeError: an argument of the wrong type, or something that is no event.
        """
        _check_events(engine, event_name, closing_event_name)
        picked = Picked(metric_names, output_transform, state_attributes)
        follower = _Follower(self._bars, self._name, picked, plain(event_name), plain(closing_event_name))  # type: ignore[arg-type]  # moves have no counter
        engine.add_event_handler(event_name, follower.look)
        engine.add_event_handler(closing_event_name, follower.end)
        engine.add_event_handler(EventsList(*exits_of(Scope.RUN), *exits_of(Scope.ENGINE)), follower.leave)

    def log_message(self, message: str) -> None:
        """Print a line without disturbing the bars."""
        self._bars.write(message)


def _backend(name: str) -> Callable[[bool, str | None, dict[str, Any]], Bars]:
    if name == "tqdm":
        return _with_tqdm
    if name == "rich":
        return _with_rich
    raise ValueError(f"backend={name!r} is not known. Give 'tqdm' or 'rich'.")


def _with_tqdm(persist: bool, bar_format: str | None, options: dict[str, Any]) -> Bars:
    from fsm_engine.handlers._tqdm_bars import TqdmBars

    return TqdmBars(persist, 1 / _PER_SECOND, {"bar_format": bar_format, **options})


def _with_rich(persist: bool, _bar_format: str | None, options: dict[str, Any]) -> Bars:
    from fsm_engine.handlers._rich_bars import RichBars

    return RichBars(persist, 1 / _PER_SECOND, **options)


def _check_events(engine: Engine, event: AnyEvent, closing: AnyEvent) -> None:
    counted = engine.state.event_to_attr
    for given, what in ((event, "Logging"), (closing, "Closing")):
        if plain(given) not in counted:
            allowed = ", ".join(map(str, counted))
            raise ValueError(f"{what} event {given} is not in allowed events, which count something: {allowed}.")
    if isinstance(closing, CallableEventWithFilter) and closing.filter is not None:
        raise ValueError(f"Closing event {closing} should not be a filtered event: each bar has to end.")
    order = engine.lifecycle.graph.index
    if plain(event) in order and plain(closing) in order and order[plain(event)] >= order[plain(closing)]:  # type: ignore[index]
        raise ValueError(f"Logging event {event} should be called before closing event {closing}.")


class _Follower:
    """Shows a bar for one engine.

    Attributes:
        due: when the bar may be drawn again, on the monotonic clock.
    """

    __slots__ = ("_bar", "_bars", "_closing", "_drawn", "_event", "_name", "_picked", "_values", "due")

    def __init__(self, bars: Bars, name: str | None, picked: Picked, event: Event, closing: Event) -> None:
        self._bars, self._name, self._picked, self._event, self._closing = bars, name, picked, event, closing
        self._bar: Bar | None = None
        self._values: dict[str, Any] = {}
        self._drawn: deque[float] = deque(maxlen=_PER_SECOND)
        self.due = 0.0

    def look(self, engine: Engine) -> None:
        """Draw the bar, if it is time to."""
        if monotonic() >= self.due:
            self._draw(engine.state)

    def _draw(self, state: State) -> None:
        self._read(state)
        shown = self._shown(state)
        if self._bar is None:
            self._bar = self._bars.open(shown)
        else:
            self._bar.show(shown)
        now = monotonic()
        self._drawn.append(now)
        self.due = max(now + self._bars.interval, self._free())

    def _free(self) -> float:
        """Return when there may be one more drawing within a second."""
        return self._drawn[0] + 1 if len(self._drawn) == _PER_SECOND else 0.0

    def end(self, engine: Engine) -> None:
        """End the bar; one that stays shows the last values, and was perhaps too short to be drawn before."""
        if self._bars.persist:
            self._read(engine.state)
            self._bar = self._bar or self._bars.open(self._shown(engine.state))
        self.leave(engine)

    def leave(self, engine: Engine) -> None:
        """End a bar that is there; what it shows is not read, because the run may have failed."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.close(self._shown(engine.state))
            self.due = self._free()

    def _read(self, state: State) -> None:
        self._values = {"_".join(names): value for names, value in self._picked.read(state, True).items()}

    def _shown(self, state: State) -> Shown:
        attribute, once = state.event_to_attr[self._event], self._closing == Events.COMPLETED
        done, length, epochs = getattr(state, attribute), state.epoch_length, _epochs(state)
        name, total = name_of(self._event), None
        if attribute == "epoch":
            name, total = "Epoch", epochs
        elif attribute == "iteration":
            name = "Iteration" if once or epochs == 1 else "Epoch"
            total = _iterations(state) if once else length
            if total is not None and not once:
                done = (done - 1) % total + 1
        name = self._name or name
        return Shown(
            name if once or epochs in (None, 1) else f"{name} [{state.epoch}/{epochs}]", done, total, self._values
        )


def _epochs(state: State) -> int | None:
    if state.max_epochs is None and state.max_iters is not None and state.epoch_length is not None:
        return ceil(state.max_iters / state.epoch_length)
    return state.max_epochs


def _iterations(state: State) -> int | None:
    if state.max_epochs is not None and state.epoch_length is not None:
        return state.max_epochs * state.epoch_length
    return state.max_iters
