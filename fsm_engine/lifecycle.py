"""The lifecycle of training, written once, and `Lifecycle`: a graph with the step that it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsm_engine import clock, data, limits
from fsm_engine.cursor import IDLE_AT, Cursor, Signal
from fsm_engine.errors import BusyError, LifecycleError
from fsm_engine.events import AnyEvent, Event, Events, plain
from fsm_engine.graph import IDLE, Graph, Payload, Phase, Scope, Snippet, Transition, Trigger
from fsm_engine.registry import Registry

if TYPE_CHECKING:
    import networkx

E, S = Events, Scope


def _guard(name: str, text: str, **names: Any) -> Snippet:
    return Snippet(name, text, names)


def _action(name: str, text: str, **names: Any) -> Snippet:
    return Snippet(name, text, names)


def _signal(source: Scope, signal: Signal, target: Event | Scope) -> Transition:
    return Transition(source, target, signal.value, Trigger.SIGNAL, signal)


_nothing_left = _guard(
    "nothing left to do",
    "nothing_left(state) or (here.dry and state.max_epochs is None)",
    nothing_left=limits.nothing_left,
)
_no_data = Snippet("no data", "not here.has_data", settled=True)
_got_batch = _guard("got a batch", "not here.exhausted")
_length_known = _guard("exhausted, length known", "state.epoch_length is not None")
_epoch_full = _guard(
    "epoch full", "(length := state.epoch_length) is not None and state.iteration - here.epoch_start >= length"
)
_max_iters = _guard("iteration >= max_iters", "(limit := state.max_iters) is not None and state.iteration >= limit")
_skipped = _guard("COMPLETED skipped", "here.skip_completed")
_epoch_skipped = _guard("EPOCH_COMPLETED skipped", "here.skip_epoch_completed")
_last_epoch_skipped = _guard(
    "EPOCH_COMPLETED skipped, nothing left to do",
    f"here.skip_epoch_completed and ({_nothing_left.text})",
    **_nothing_left.names,
)

_start_epoch = _action(
    "epoch += 1",
    "state.epoch += 1\n"
    "here.epoch_start, here.loaded_part = state.iteration - here.loaded_part, 0\n"
    "start_epoch_clock(engine)",
    start_epoch_clock=clock.start_epoch_clock,
)
_no_batch = _action("batch = output = None", "state.batch = state.output = None")
_refuse_empty = _action("not at the first fetch", "refuse_empty(engine)", refuse_empty=data.refuse_empty)

_open = Snippet(
    "open the data unless it is open",
    "if here.has_data and here.batches is None:\n    open_data(engine)",
    {"open_data": data.open_data},
    runs_user_code=True,
)
_next_batch = Snippet(
    "next batch",
    "try:\n    state.batch = next(here.batches)\nexcept StopIteration:\n    here.exhausted = True",
    runs_user_code=True,
)
_reopen = Snippet(
    "reopen state.dataloader, next batch", "open_data(engine)\n" + _next_batch.text, _open.names, runs_user_code=True
)
_step = Snippet("the step", "engine.state.output = step(engine, state.batch)", runs_user_code=True)
_epoch_time = _action("take the time", "take_epoch_time(engine)", take_epoch_time=clock.take_epoch_time)
_end_epoch = _action("take the time", "end_epoch(engine)", end_epoch=clock.end_epoch)
_run_time = _action("take the time", "take_run_time(engine)", take_run_time=clock.take_run_time)

TRAINING = Graph(
    phases=(
        Phase(IDLE),
        Phase(E.STARTED, S.RUN, entry=(_action("start the clock", "start(engine)", start=clock.start_run_clock),)),
        Phase(E.EPOCH_STARTED, S.EPOCH, entry=(_start_epoch,), activity=_open),
        Phase(
            E.GET_BATCH_STARTED, S.EPOCH, entry=(_action("batch = None", "state.batch = None"),), activity=_next_batch
        ),
        Phase(E.GET_BATCH_COMPLETED, S.EPOCH, entry=(_action("output = None", "state.output = None"),)),
        Phase(
            E.ITERATION_STARTED, S.ITERATION, entry=(_action("iteration += 1", "state.iteration += 1"),), activity=_step
        ),
        Phase(E.ITERATION_COMPLETED, S.EPOCH),
        Phase(E.DATALOADER_STOP_ITERATION, S.EPOCH, activity=_reopen),
        Phase(
            E.TERMINATE_SINGLE_EPOCH,
            S.RUN,
            entry=(_action("drop the open iterator", "here.batches = None"),),
            payload=Payload(keywords={"iter_counter": "state.iteration - here.epoch_start"}),
            defer=_guard("EPOCH_COMPLETED to come", "not here.skip_epoch_completed"),
        ),
        Phase(E.EPOCH_COMPLETED, S.RUN, entry=(_epoch_time,), activity=_end_epoch),
        Phase(E.TERMINATE, S.ENGINE, entry=(_action("stopped = True", "here.stopped = True"),)),
        Phase(E.COMPLETED, S.ENGINE, entry=(_run_time,), activity=_run_time),
        Phase(E.INTERRUPT, S.ENGINE),
        Phase(E.EXCEPTION_RAISED, payload=Payload(positional=("here.error",))),
    ),
    transitions=(
        Transition(IDLE, E.STARTED, "run", Trigger.SIGNAL, Signal.RUN),
        Transition(E.STARTED, E.COMPLETED, "nothing_left", guard=_nothing_left),
        Transition(E.STARTED, E.EPOCH_STARTED, "next_epoch"),
        Transition(E.EPOCH_STARTED, E.ITERATION_STARTED, "no_data", guard=_no_data, action=_no_batch),
        Transition(E.EPOCH_STARTED, E.GET_BATCH_STARTED, "next_batch"),
        Transition(E.GET_BATCH_STARTED, E.GET_BATCH_COMPLETED, "got_batch", guard=_got_batch),
        Transition(
            E.GET_BATCH_STARTED, E.DATALOADER_STOP_ITERATION, "exhausted", guard=_length_known, action=_refuse_empty
        ),
        Transition(
            E.GET_BATCH_STARTED,
            E.EPOCH_COMPLETED,
            "end_of_data",
            action=_action("epoch_length = count", "count(engine)", count=data.count_becomes_length),
        ),
        Transition(E.GET_BATCH_COMPLETED, E.ITERATION_STARTED, "iterate"),
        Transition(E.ITERATION_STARTED, E.ITERATION_COMPLETED, "step_done"),
        Transition(E.ITERATION_COMPLETED, E.EPOCH_COMPLETED, "epoch_full", guard=_epoch_full),
        Transition(E.ITERATION_COMPLETED, E.TERMINATE, "max_iters", guard=_max_iters),
        Transition(E.ITERATION_COMPLETED, E.ITERATION_STARTED, "no_data", guard=_no_data, action=_no_batch),
        Transition(E.ITERATION_COMPLETED, E.GET_BATCH_STARTED, "next_batch"),
        Transition(E.DATALOADER_STOP_ITERATION, E.GET_BATCH_COMPLETED, "got_batch", guard=_got_batch),
        Transition(
            E.DATALOADER_STOP_ITERATION,
            E.EPOCH_COMPLETED,
            "gave_nothing",
            action=_action("run dry, warn unless done", "run_dry(engine)", run_dry=data.run_dry),
        ),
        Transition(E.EPOCH_COMPLETED, E.COMPLETED, "nothing_left", guard=_nothing_left),
        Transition(E.EPOCH_COMPLETED, E.EPOCH_STARTED, "next_epoch"),
        Transition(E.TERMINATE_SINGLE_EPOCH, E.COMPLETED, "skipped_last", guard=_last_epoch_skipped),
        Transition(E.TERMINATE_SINGLE_EPOCH, E.EPOCH_STARTED, "skipped", guard=_epoch_skipped),
        Transition(E.TERMINATE_SINGLE_EPOCH, E.EPOCH_COMPLETED, "end_epoch"),
        Transition(E.TERMINATE, IDLE, "skipped", guard=_skipped),
        Transition(E.TERMINATE, E.COMPLETED, "end_run"),
        Transition(E.COMPLETED, IDLE, "done"),
        Transition(E.EXCEPTION_RAISED, IDLE, "done"),
        Transition(E.INTERRUPT, S.RUN, "run", Trigger.SIGNAL, Signal.RUN),
        _signal(S.RUN, Signal.TERMINATE, E.TERMINATE),
        _signal(S.EPOCH, Signal.TERMINATE_EPOCH, E.TERMINATE_SINGLE_EPOCH),
        _signal(S.RUN, Signal.INTERRUPT, E.INTERRUPT),
        _signal(S.ENGINE, Signal.EXCEPTION, E.EXCEPTION_RAISED),
    ),
)
"""The training lifecycle: the only place in which the order of its events is written down."""


class Lifecycle:
    """A lifecycle graph, and the step that runs in it: a definition, with no run in it.

    An engine keeps a copy of its own as ``engine.lifecycle``. It can be changed only between runs; a change
    that breaks a rule of graphs is refused and changes nothing.
    """

    def __init__(self, graph: Graph, step: Callable[[Any, Any], Any] | None = None, name: str = "lifecycle") -> None:
        self.name = name
        self.step = step
        self._graph = graph
        self._here: Cursor | None = None  # where the engine that owns this copy is
        self._registry: Registry | None = None  # the events that this engine knows

    @classmethod
    def training(cls, step: Callable[[Any, Any], Any] | None = None) -> Lifecycle:
        """Return the training lifecycle around `step`, a function of (engine, batch)."""
        return cls(TRAINING, step, "training")

    @property
    def graph(self) -> Graph:
        """The phases and transitions as they are now; a later change makes a new one."""
        return self._graph

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases; the first is where a run starts and ends."""
        return self._graph.phases

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The transitions as they were written: one from a scope is there once."""
        return self._graph.transitions

    def successors(self, event: AnyEvent) -> tuple[Transition, ...]:
        """Return the transitions that may leave the phase of `event`, those of its scopes included.

        Raises:
            LifecycleError: if there is no such phase.
        """
        number = self._graph.index.get(plain(event))
        if number is None:
            raise LifecycleError(f"{event} is no phase of {self!r}. The phases are {', '.join(self._graph.by_name)}.")
        return self._graph.exits[number]

    def add(self, *parts: Phase | Transition) -> None:
        """Add phases and transitions, all of them or none.

        Transitions come after those that are there, so an exit added to a phase that has one is looked at last.

        Raises:
            LifecycleError: if the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        self._change(
            self.phases + tuple(part for part in parts if isinstance(part, Phase)),
            self.transitions + tuple(part for part in parts if isinstance(part, Transition)),
        )

    def remove(self, *parts: Phase | Transition) -> None:
        """Take phases and transitions out, all of them or none.

        Raises:
            LifecycleError: if one of them is not there, or the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        for part in parts:
            if part not in self.phases and part not in self.transitions:
                raise LifecycleError(f"{part} is not in {self!r}, so it cannot be taken out.")
        self._change(
            tuple(phase for phase in self.phases if phase not in parts),
            tuple(transition for transition in self.transitions if transition not in parts),
        )

    def _change(self, phases: tuple[Phase, ...], transitions: tuple[Transition, ...]) -> None:
        if self._here is not None and self._here.at != IDLE_AT:
            phase = self._graph.phases[self._here.at >> 1]
            raise BusyError(
                f"the lifecycle cannot change while its engine is in {phase}, because where the run is would lose "
                f"its meaning. Change it before run(), or after the run has ended."
            )
        self._graph = Graph(phases, transitions)
        if self._registry is not None:
            self._registry.know_phases(phases[1:])

    def _owned(self, here: Cursor, registry: Registry) -> Lifecycle:
        copy = Lifecycle(self._graph, self.step, self.name)
        copy._here, copy._registry = here, registry
        registry.know_phases(self._graph.phases[1:])
        return copy

    def to_networkx(self) -> networkx.MultiDiGraph[str]:
        """Return the graph for networkx, with one edge per phase that a transition may leave. See `views`."""
        from fsm_engine.views import to_networkx

        return to_networkx(self._graph, self.name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lifecycle):
            return NotImplemented
        mine, others = self._graph, other._graph
        return mine is others or (mine.phases, mine.transitions) == (others.phases, others.transitions)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"<Lifecycle {self.name}: {len(self.phases)} phases, {len(self.transitions)} transitions>"

    def __str__(self) -> str:
        from fsm_engine.views import to_table

        return to_table(self._graph)
