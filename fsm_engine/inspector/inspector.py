"""`Inspector`: shows a run in the browser while it runs, and pauses and steers it."""

from __future__ import annotations

import html
import math
import webbrowser
from collections.abc import Callable
from typing import Any

from fsm_engine._util.errors import BusyError
from fsm_engine.engine import recording
from fsm_engine.engine.engine import Engine
from fsm_engine.inspector.control import Control
from fsm_engine.inspector.offers import Offer
from fsm_engine.inspector.server import Server, release, shared_server
from fsm_engine.timeline.recorder import Recorder
from fsm_engine.timeline.timeline import Timeline

CAPACITY = 200_000
"""The moves, and the handler calls, that the timeline of an inspector keeps per engine, at 24 bytes each."""


class Inspector:
    """The inspector of an engine, until `close` is called or its ``with`` block ends; see `Engine.inspect`.

    Attributes:
        address: the address of the page. It contains a token: anybody who has it can steer the run.
        recorder: records the engine.
        timeline: the record of the moves and handler calls; it can be saved and drawn.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with trainer.inspect() as inspector:
        ...     _ = trainer.run([1, 2])
        >>> print(inspector.is_paused, inspector.timeline.verify(trainer.lifecycle))
        False None
    """

    def __init__(self, server: Server, control: Control, recorder: Recorder) -> None:
        self._server, self._control, self.recorder = server, control, recorder
        self.address, self.timeline = server.address, recorder.timeline

    def offer(
        self,
        name: str,
        get: Callable[[], float],
        set: Callable[[float], Any],  # noqa: A002
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        """Let pages change a scalar, such as a learning rate, while it runs.

        ::

            group = optimizer.param_groups[0]
            inspector.offer("lr", lambda: group["lr"], lambda value: group.update(lr=value), low=0, high=0.1)

        Args:
            name: the name that the page shows.
            get: returns the value. It is called here, and in the thread of the run about once a second.
            set: changes the value. It is called in the thread of the run, between a move and the handlers of its phase.
            low: the least value; None for no limit.
            high: the greatest value. With both limits, the page shows a slider.

        Raises:
            ValueError: the name is offered already, a limit is not finite, or `low` is not less than `high`.
            TypeError: `name` is not a string, a limit is not a number, or `get` or `set` is not callable.

        Example:
            >>> weight = torch.nn.Parameter(torch.tensor(0.0))
            >>> group = torch.optim.SGD([weight], lr=0.1).param_groups[0]
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.inspect() as inspector:
            ...     inspector.offer("lr", lambda: group["lr"], lambda value: group.update(lr=value), low=0, high=1)
            ...     _ = trainer.run([1, 2])
        """
        if type(name) is not str:
            raise TypeError(f"the name of an offered value is a string, got {name!r}.")
        if name in self._control.offers:
            raise ValueError(f"{name!r} is offered already. Use another name.")
        if not callable(get) or not callable(set):
            raise TypeError(f"offer({name!r}, get, set) takes two functions, got {get!r} and {set!r}.")
        low, high = (None if limit is None else float(limit) for limit in (low, high))
        if not all(limit is None or math.isfinite(limit) for limit in (low, high)):
            raise ValueError(f"low={low!r} and high={high!r} have to be finite numbers, or None for no limit.")
        if low is not None and high is not None and not low < high:
            raise ValueError(f"low={low!r} has to be less than high={high!r}.")
        offer = Offer(name, get, set, low, high)
        offer.refresh()
        self._control.offers[name] = offer
        self._control.publish_offers()

    def pause(self) -> None:
        """Pause the run after its next move, or the next run after its first one. Any thread may call this.

        Raises:
            RuntimeError: the run has several ranks.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.inspect() as inspector:
            ...     inspector.pause()  # the next run waits for the page after its first move
            ...     inspector.close()  # and this releases it
        """
        if self._control.has_ranks:
            raise RuntimeError("pause() was called for a run with several ranks, which cannot be paused one by one.")
        self._control.pause_at_next_move()

    @property
    def has_engine(self) -> bool:
        """False if the engine no longer exists."""
        return self._control.engines[0].engine is not None

    @property
    def is_paused(self) -> bool:
        """True while the run is paused."""
        return self._control.pause is not None

    def close(self) -> None:
        """Release a paused run, and stop recording. The server stops with its last inspector.

        A second call does nothing.
        """
        self.recorder.remove()
        release(self._server, self._control)

    def __enter__(self) -> Inspector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Inspector at {self.address}>"

    def _repr_html_(self) -> str:
        address = html.escape(self.address, quote=True)
        if self._control.is_closed:
            return f"<p>The inspector at {address} was closed.</p>"
        return (
            f'<iframe src="{address}" title="Inspector" width="100%" height="640" style="border: 0"></iframe>'
            f'<p><a href="{address}" target="_blank" rel="noopener">Open the inspector in a tab</a>. From another '
            f"machine, forward port {self._server.port}.</p>"
        )


def inspect(
    engine: Engine,
    *,
    open: bool = False,  # noqa: A002
    paused: bool = False,
    read_only: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
) -> Inspector:
    """Start to inspect `engine`; see `Engine.inspect`.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with inspect(trainer, read_only=True) as inspector:
        ...     _ = trainer.run([1, 2])
        >>> print(inspector.timeline.verify(trainer.lifecycle))
        None
    """
    if engine._recorder is not None and not recording.makes_way(engine._recorder):
        raise BusyError(
            "this engine is already being recorded or inspected. End that first; the timeline of an inspector is "
            "inspector.timeline."
        )
    server = shared_server(host, port, token, read_only)
    control = Control(server.hub)
    recorder = Recorder(engine, Timeline(CAPACITY), handlers=True, gate=control)
    try:
        recorder.start()
        server.hub.controls.append(control)
        inspector = Inspector(server, control, recorder)
        if paused:
            inspector.pause()
    except BaseException:
        recorder.remove()
        release(server, control)
        raise
    engine.logger.info("The inspector is at %s", server.address)
    if open:
        webbrowser.open(server.address)
    return inspector
