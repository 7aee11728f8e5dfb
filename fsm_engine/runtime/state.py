"""`State`: the counters, limits, batch, output, metrics and times of a run."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any

from fsm_engine._util.suggestions import did_you_mean
from fsm_engine.events.events import AnyEvent, Event, Events, name_of, without_filter

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


STEP_VALUES = ("x", "y", "y_pred", "loss")
"""The attributes of a state in which a supervised step keeps its values until it ends."""


class State:
    """The data of a run that steps and handlers read and write as ``engine.state``.

    Attributes:
        iteration: number of iterations begun; 1 in the first iteration.
        epoch: number of epochs begun; 1 in the first epoch.
        epoch_length: iterations per epoch, or None until it is known.
        max_epochs, max_iters: limits of the run; at most one of them is set. A run reads them again each time, so
            handlers can change them.
        batch: the current batch; None while the next one is fetched.
        output: the result of the last step.
        dataloader: the data of the run, None for a run without data.
        metrics: results of metrics by name.
        times: seconds of the last epoch (``"EPOCH_COMPLETED"``) and of the run (``"COMPLETED"``). Handlers of these
            events see the time without their own; afterwards it includes them.
        errors: how often this run has taken each error edge, by ``source.label``.
        seed: not used by the engine.
        x, y, y_pred, loss: the values of a supervised step, from the phase after their computation until the step ends;
            see `StepEvents`. Outside a step they do not exist.

    Other attributes can be passed to the constructor or set later. The runs of the engine keep them.

    Example:
        >>> trainer = Engine(lambda engine, batch: 2 * batch)
        >>> state = trainer.run([1, 2], max_epochs=3)
        >>> state.epoch, state.iteration, state.epoch_length, state.output
        (3, 6, 2, 4)
        >>> state.best = 0.9  # attributes of your own
    """

    # Slots, because calling vars() on an object makes every later access to attributes in its dict slower. The user's
    # attributes are in __dict__.
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
        "loss",
        "max_epochs",
        "max_iters",
        "metrics",
        "output",
        "seed",
        "times",
        "x",
        "y",
        "y_pred",
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

    if TYPE_CHECKING:  # type checkers do not know the user's attributes

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get_event_attrib_value(self, event: AnyEvent) -> int:
        """Return the value of the counter that filters of `event` read.

        Raises:
            RuntimeError: `event` has no counter.
        """
        attribute = self.event_to_attr.get(without_filter(event))  # type: ignore[arg-type]  # an edge has none
        if attribute is None:
            near = (
                did_you_mean(event, {name_of(known): str(known) for known in COUNTERS})
                if isinstance(event, str)
                else ""
            )
            raise RuntimeError(
                f"Unknown event name '{event}': no counter belongs to it.{near} Events with a counter: "
                f"{', '.join(map(str, self.event_to_attr))}."
            )
        return getattr(self, attribute)  # type: ignore[no-any-return]

    def map_events(self, event_to_attr: Mapping[Event, str]) -> None:
        """Make filters of these events read these attributes. Missing attributes are created with the value 0."""
        if event_to_attr:
            self.event_to_attr = {**self.event_to_attr, **event_to_attr}
        for attribute in event_to_attr.values():
            if not hasattr(self, attribute):
                setattr(self, attribute, 0)

    def attributes(self) -> dict[str, Any]:
        """Return all attributes by name, the user's last."""
        slots = [name for name in State.__slots__ if not name.startswith("__") and name != "event_to_attr"]
        names = [name for name in slots if name not in STEP_VALUES] + self.step_values()
        return {**{name: getattr(self, name) for name in names}, **self.__dict__}

    def step_values(self) -> list[str]:
        """Return the names of the values of a step that are set now."""
        return [name for name in STEP_VALUES if hasattr(self, name)]

    def drop_step_values(self) -> None:
        """Delete the values of a step, so that they do not keep its autograd graph alive."""
        for name in self.step_values():
            delattr(self, name)

    def __repr__(self) -> str:
        lines = [
            f"\t{name}: {value if isinstance(value, (Number, str)) else type(value)}"
            for name, value in self.attributes().items()
        ]
        return "State:\n" + "\n".join(lines) + "\n"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        from fsm_engine._util.html import block, mimebundle, table
        from fsm_engine._util.short_values import describe_value

        def html() -> str:
            return block(table((), [(name, describe_value(value)) for name, value in self.attributes().items()]))

        return mimebundle(self.__repr__, html)
