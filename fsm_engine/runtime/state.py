"""The run's data: counters, limits, batch, output, metrics, times."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any

from fsm_engine.events.events import AnyEvent, Event, Events, without_filter

COUNTERS: dict[Event, str] = {
    Events.GET_BATCH_STARTED: "iteration",
    Events.GET_BATCH_COMPLETED: "iteration",
    Events.ITERATION_STARTED: "iteration",
    Events.ITERATION_COMPLETED: "iteration",
    Events.EPOCH_STARTED: "epoch",
    Events.EPOCH_COMPLETED: "epoch",
    Events.STARTED: "epoch",
    Events.COMPLETED: "epoch",
}


class State:
    """What handlers and steps read and write as ``engine.state``.

    Attributes:
        iteration: iterations begun, from 1 inside the first; 0 before.
        epoch: epochs begun, from 1 inside the first; 0 before.
        epoch_length: iterations per epoch, or None until it is known.
        max_epochs, max_iters: the limits of the run; one of them is None. Read live, so a handler may change them.
        batch: the batch at hand; None while the next one is fetched.
        output: what the step returned last.
        dataloader: the data of the run, None for a run without data.
        metrics: results of metrics by name.
        times: seconds of the last epoch (``"EPOCH_COMPLETED"``) and of the run (``"COMPLETED"``), each with
            its handlers' time once they are through.
        errors: how often this run has taken each error edge, by ``source.label``.
        seed: free for the user.

    Any further attribute may be set, here or later; it stays over the runs of the engine.
    """

    # Slots, because a look at vars() would slow down every later access to plain attributes; __dict__ holds
    # the user's.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "batch",
        "dataloader",
        "epoch",
        "epoch_length",
        "errors",
        "event_to_attr",
        "iteration",
        "max_epochs",
        "max_iters",
        "metrics",
        "output",
        "seed",
        "times",
    )

    def __init__(self, **attributes: Any) -> None:
        self.event_to_attr: Mapping[Event, str] = COUNTERS
        self.iteration = 0
        self.epoch = 0
        self.epoch_length: int | None = None
        self.max_epochs: int | None = None
        self.max_iters: int | None = None
        self.output: Any = None
        self.batch: Any = None
        self.dataloader: Any = None
        self.seed: Any = None
        self.metrics: dict[str, Any] = {}
        self.errors: dict[str, int] = {}
        self.times: dict[str, float | None] = {"EPOCH_COMPLETED": None, "COMPLETED": None}
        for name, value in attributes.items():
            setattr(self, name, value)

    if TYPE_CHECKING:  # the user's attributes are unknown to type checkers

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get_event_attrib_value(self, event: AnyEvent) -> int:
        """Return the counter that filters on `event` are given.

        Raises:
            RuntimeError: if no counter belongs to `event`.
        """
        attribute = self.event_to_attr.get(without_filter(event))  # type: ignore[arg-type]  # an edge has none
        if attribute is None:
            raise RuntimeError(
                f"Unknown event name '{event}': no counter belongs to it. Those that have one: "
                f"{', '.join(map(str, self.event_to_attr))}."
            )
        return getattr(self, attribute)  # type: ignore[no-any-return]

    def map_events(self, event_to_attr: Mapping[Event, str]) -> None:
        """Let filters on these events read these attributes; one that is missing is created with 0."""
        if event_to_attr:
            self.event_to_attr = {**self.event_to_attr, **event_to_attr}
        for attribute in event_to_attr.values():
            if not hasattr(self, attribute):
                setattr(self, attribute, 0)

    def attributes(self) -> dict[str, Any]:
        """Return every attribute by name, the user's last."""
        own = [name for name in State.__slots__ if not name.startswith("__") and name != "event_to_attr"]
        return {**{name: getattr(self, name) for name in own}, **self.__dict__}

    def __repr__(self) -> str:
        lines = [
            f"\t{name}: {value if isinstance(value, (Number, str)) else type(value)}"
            for name, value in self.attributes().items()
        ]
        return "State:\n" + "\n".join(lines) + "\n"
