"""`Engine`: runs the lifecycle graph, and takes signals from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import EnumMeta
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import BusyError
from fsm_engine._util.signatures import call_error
from fsm_engine.compiler.program import Program, program_for
from fsm_engine.dispatch.entries import Handler, HandlerWrapper
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.observers import Observation, Observer
from fsm_engine.dispatch.step_moves import FirableMoves, firable_moves, resolve_history
from fsm_engine.engine import breakpoints, handler_checks
from fsm_engine.engine import run_loop as running
from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, CallableEventWithFilter, Event, EventEnum, EventsList
from fsm_engine.graph.positions import IDLE_POSITION, phase_at
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.persistence import copying
from fsm_engine.persistence import state_dict as saving
from fsm_engine.runtime import data_iter as batches
from fsm_engine.runtime import run_limits as limits
from fsm_engine.runtime.state import State

if TYPE_CHECKING:
    import transitions

    from fsm_engine.engine.callback_discovery import Discovery
    from fsm_engine.engine.transitions_driver import Driver
    from fsm_engine.lifecycle.validation import Finding
    from fsm_engine.timeline.recorder import Recorder
    from fsm_engine.timeline.timeline import Timeline

Step = Callable[[Any, Any], Any]


class Engine(EventDispatcher):
    """Runs a step over data, phase by phase along a lifecycle graph, and announces each phase to handlers.

    Args:
        process_function: the step, called as ``process_function(engine, batch)`` in every iteration; what it
            returns becomes ``engine.state.output``.
        lifecycle: another lifecycle than that of training; it is copied. ``Engine(step)`` is
            ``Engine(lifecycle=Lifecycle.training(step))``.

    Attributes:
        state: the run's data, a `State`; may be replaced by another.
        logger: a standard logger named after the class; may be replaced.
        lifecycle: the graph that is run, a copy of this engine's own.
        state_dict_user_keys: names of state attributes that `state_dict` holds besides the counters.
        interrupt_resume_enabled: for classes: whether `interrupt` is allowed.
        resumes_exactly: whether `state_dict` holds all that a run needs to go on as if it had not been stopped. A
            `Checkpoint` that saves this engine sets it. It costs a look at the random generators per pass.

    Raises:
        ValueError: no step, or one that cannot be called with an engine and a batch; a step beside a lifecycle.
    """

    def __init__(self, process_function: Step | None = None, *, lifecycle: Lifecycle | None = None) -> None:
        lifecycle = _with_step(process_function, lifecycle)
        super().__init__()
        self.lifecycle = lifecycle._copy_for(self)
        self._process_function = lifecycle.step

    def _reset_process(self) -> None:
        super()._reset_process()
        self._debug = False
        self._program: Program | None = None
        self._recorder: Recorder | None = None
        self._has_handlers_cache: dict[Any, bool] = {}
        self._driver: Driver | None = None
        self._machine: Driver | None = None
        self._firable_moves: dict[int, FirableMoves] | None = None

    # Looking

    @property
    def last_event_name(self) -> Event | None:
        """The event that was fired last; None before the first."""
        cursor = self._cursor
        number = phase_at(cursor.position) or cursor.last_phase
        return cursor.callback_event or (self._graph.phases[number].event if number else None)

    @property
    def source(self) -> str:
        """The text of the function that runs the lifecycle, as it is with the handlers attached now."""
        return self._current_program().compiled.source

    def may(self, event: AnyEvent) -> bool:
        """Say whether the phase of `event` may come next: whether an edge leads there from where the run is.

        An event that is no phase may be fired at any time.

        Raises:
            ValueError: if `event` is not registered.
        """
        wanted = self._registry.entry(event).event
        graph, cursor = self._graph, self._cursor
        if isinstance(wanted, (Edge, Exit)):
            raise ValueError(f"{wanted} is a move, no phase. Ask may() about the phase that it leads to.")
        if wanted not in graph.index:
            return True
        exits = [resolve_history(self, transition) for transition in graph.exits[phase_at(cursor.position)]]
        return any(transition.target == wanted for transition in exits if transition is not None)

    def has_handlers(self, what: AnyEvent | type[EventEnum]) -> bool:
        """Say whether anybody listens to an event, its exit, or an edge from or to it; an enum stands for its events.

        For a step that computes something only for those who look. It costs a look-up.
        """
        known = self._has_handlers_cache.get(what)
        if known is None:
            events: Iterable[AnyEvent] = what if isinstance(what, EnumMeta) else (what,)
            known = self._has_handlers_cache[what] = self._registry.has_handlers(events)
        return known

    def check(
        self,
        data: Iterable[Any] | None = None,
        max_epochs: int | None = None,
        max_iters: int | None = None,
        epoch_length: int | None = None,
    ) -> list[Finding]:
        """Return what is wrong with the lifecycle and the handlers of this engine, for a run with these arguments.

        That is what `Lifecycle.check` finds; filters that nothing will pass, which the log also tells at the start
        of a run; and, after a run, callback events with handlers that nothing has fired in it. Without a limit,
        those of the state count. An empty list means that nothing was found.

        Raises:
            ValueError, TypeError: limits that no run can have.
        """
        limits.check_limits(max_epochs, max_iters, epoch_length)
        state = self.state
        if max_epochs is max_iters is None:
            max_epochs, max_iters = state.max_epochs, state.max_iters
        length = epoch_length or (state.epoch_length if data is None else limits.length_of(data))
        given = handler_checks.RunLimits(max_epochs, max_iters, length)
        return [*self.lifecycle.check(), *handler_checks.findings(self, given)]

    def explain(self, what: AnyEvent | Handler) -> str:
        """Say which handlers an event calls, in order, or what became of a handler; made to be printed.

        For an event: its handlers with filter, priority and the place where each was defined. For a handler:
        per event how often it fired, how often the filter passed, the last value, and why it is not called.

        Raises:
            ValueError: for an event that is not registered.
            TypeError: for several events at once, or for something that is neither.
        """
        from fsm_engine.engine.explain import explain_event, explain_handler

        if isinstance(what, EventsList):
            raise TypeError(f"{what!r} are several events. Ask about one at a time.")
        if isinstance(what, (str, CallableEventWithFilter)):
            return explain_event(self, what)
        if not callable(what):
            raise TypeError(f"{what!r} is neither an event nor a handler, so there is nothing to explain.")
        return explain_handler(self, what)

    def observe(self, observer: Observer) -> Observation:
        """Tell `observer` of every move from now on: it is called as ``observer(engine, transition)``.

        It is called when a transition is taken, before its target is entered. It may only look. One that
        raises is removed, and the error logged. While there is no observer this costs nothing.

        Returns:
            A handle with `remove()`, and a context manager.
        """
        observation = self._observers.add(self, observer)
        self._invalidate()
        return observation

    def record(
        self,
        timeline: Timeline | None = None,
        *,
        handlers: bool = True,
        room: int | None = None,
        profile: bool = False,
        every: int = 1,
        device: bool = False,
    ) -> Recorder:
        """Record when this engine moves and what its handlers take, from now on until the end of the ``with`` block.

        Engines that run meanwhile inside its runs, such as an evaluator in a handler, are recorded with it. While
        nothing is recorded this costs nothing; else a fraction of a microsecond per move and per call.

        Args:
            timeline: records into this one, beside other engines; into a new one unless given.
            handlers: whether the calls of handlers are recorded, too.
            room: of a new timeline: how many moves, and how many calls of handlers, it keeps of each engine, a million
                unless given, at 24 bytes each. The oldest are dropped, and counted.
            profile: whether phases that do something of the user's (the data, the step, what it fires, activities) are
                ranges in a profile, while `torch.profiler` is active in the thread of the run, or ``emit_nvtx`` or
                ``emit_itt`` of torch. A range that you open in one phase and end in another overlaps them.
            every: records one iteration in so many, from the wait for its batch to the next one's, of each engine; and
                all that is no part of an iteration. What is left out is counted, and costs next to nothing.
            device: whether a CUDA event is recorded at each move, in the stream that is current then. It tells how long
                the device took for what a phase handed over, if it had to wait for nothing else. Nothing waits for it
                before the recording ends.

        Returns:
            A context manager that gives the `Timeline`.

        Raises:
            ImportError: `profile` or `device` without torch.
            RuntimeError: `device` without a CUDA device.
            BusyError: this engine is being recorded already.
            ValueError: no room, or room for a timeline that has it; `every` is no positive integer, or the lifecycle
                has no iterations.
        """
        from fsm_engine.timeline.device import Cuda
        from fsm_engine.timeline.recorder import Recorder
        from fsm_engine.timeline.sampling import check_every
        from fsm_engine.timeline.timeline import ROOM, Timeline

        if self._recorder is not None:
            raise BusyError("this engine is being recorded already. End that first, with its remove() or its block.")
        if timeline is not None and room is not None:
            raise ValueError(f"room={room!r} is that of a new timeline, and one is given, which has its own.")
        into = Timeline(ROOM if room is None else room) if timeline is None else timeline
        check_every(every, self._graph)
        return Recorder(self, into, handlers, profile, every, Cuda() if device else None)

    def _wrap_handlers(self, around: HandlerWrapper, wanted: bool) -> None:
        """Let what `around` makes of handlers be called in their place, or no longer."""
        others = tuple([other for other in self._wrappers if other != around])
        self._wrappers = (*others, around) if wanted else others
        for entry in self._entries.values():
            entry.fire = None
        self._invalidate()

    def discover(self) -> Discovery:
        """Watch where callback events are fired, from now on until the end of the ``with`` block.

        Returns:
            A context manager that collects the moves between events that the lifecycle does not have as edges;
            print it for a table. They are kept in ``engine.lifecycle.discovered``, apart from the graph.
        """
        from fsm_engine.engine.callback_discovery import Discovery

        return Discovery(self)

    @property
    def machine(self) -> transitions.Machine:
        """A flat machine of the `transitions` library for the lifecycle; its model's ``phase`` is where the run is.

        It is the machine that drives ``run(..., driver="transitions")``.

        Raises:
            ImportError: if that library is not installed.
        """
        return self._machine_driver().machine

    def _machine_driver(self) -> Driver:
        from fsm_engine.engine.transitions_driver import Driver

        if self._machine is None or self._machine.graph is not self._graph:
            self._machine = Driver(self._graph)
        self._machine.stand(phase_at(self._cursor.position))
        return self._machine

    def _notify_observers(self, transition: Transition) -> None:
        if self._driver is not None:
            self._driver.follow(self, transition)
        if self._debug:
            self.logger.debug("%s", transition)
        if self._observers:
            self._observers.notify(self, transition)

    def _notifier(self) -> Observer | None:
        """Return what has to be called with each move, None if nobody is told."""
        return Engine._notify_observers if self._debug else self._observers.notifier

    def interruptible(self) -> AbstractContextManager[None]:
        """Let Ctrl-C, or a notebook's stop button, `interrupt` this engine inside the ``with`` block.

        The first one suspends the run where it may stop, and `run` returns; a second one before that, or one
        while no run is going on, raises KeyboardInterrupt. What was done on SIGINT before is done again afterwards.

        Raises:
            RuntimeError: outside the main thread, which alone is told of signals; or interrupts are switched off.
        """
        return breakpoints.interruptible(self)

    # Running

    def run(
        self,
        data: Iterable[Any] | None = None,
        max_epochs: int | None = None,
        max_iters: int | None = None,
        epoch_length: int | None = None,
        *,
        until: AnyEvent | EventsList | None = None,
        driver: str = "compiled",
    ) -> State:
        """Run the lifecycle until its limits are reached, or somebody ends it.

        Starts from zero if no limit is set on the state, or the last run reached its limits. Otherwise the
        counters go on: at the very place where an interrupt left, or else with the next epoch.

        Args:
            data: batches; a DataLoader, any iterable, or None for steps without data. A suspended run goes on
                with the data it has if the same, or none, is given; other data starts at its beginning.
            max_epochs: how many epochs in all; 1 unless given.
            max_iters: how many iterations in all, instead.
            epoch_length: iterations per epoch, if that is not ``len(data)``. Data without a length and without
                this tells its length when it ends first.
            until: a breakpoint: the run stops when it has entered this phase, or come along this edge, and its
                handlers are through, as if interrupted there; filters count. The next `run` goes on.
            driver: ``"compiled"``, or ``"transitions"`` to let a machine of the `transitions` library pick the
                exits: the same walk, hundreds of times slower, for those who do not trust the first.

        Returns:
            The state.

        Raises:
            BusyError: called inside a run of the same engine.
            LifecycleError: a lifecycle that cannot run; see `Lifecycle.check`.
            ValueError: limits that exclude each other, or are passed already; data that gives nothing; a
                breakpoint where no run can stop.
            IllegalTransition: the step has moved along an edge that is not there.
            TypeError: data that cannot be iterated over.
            Exception: what a step, a handler or the data raised, unless a handler of EXCEPTION_RAISED took it.
        """
        stops = breakpoints.attach(self, until) if until is not None else ()
        try:
            at = self._begin(data, max_epochs, max_iters, epoch_length, driver)
        except BaseException:
            breakpoints.detach(stops)
            raise
        terminal = self._graph.terminal_positions
        try:
            while True:
                try:
                    if at < 0:
                        at = running.take_run_edge(self)
                    at = running.handle_requests(self, at)
                    if at in terminal:
                        break
                    function, bound = self._runner()
                    at = function(self, at, bound)
                except BaseException as error:
                    at = running.fail(self, error)
        finally:
            breakpoints.detach(stops)
            unhandled = running.end(self, at)
        if unhandled is not None:
            try:
                raise unhandled
            finally:
                del unhandled  # the traceback refers to this frame
        return self.state

    def _runner(self) -> tuple[Callable[[Any, int, list[Any]], int], list[Any]]:
        """Return the function that runs the lifecycle from a position, and the objects that it refers to."""
        if self._driver is not None:
            return self._driver.run, []
        program = self._current_program()
        return program.compiled.function, program.bound

    def _current_program(self) -> Program:
        self._program = program = program_for(self, self._program)
        return program

    def _current_moves(self) -> dict[int, FirableMoves]:
        if self._firable_moves is None:
            observed = self._debug or bool(self._observers) or self._driver is not None
            self._firable_moves = firable_moves(self._graph, self._registry, observed)
        return self._firable_moves

    def _invalidate(self) -> None:
        cursor = self._cursor
        self._program = None
        self._signals.needs_attention = True
        self._firable_moves = None
        self._has_handlers_cache.clear()
        if cursor.moves is not None:
            cursor.moves = self._current_moves()[phase_at(cursor.position)]

    def _allow_change(self) -> None:
        if self._cursor.position != IDLE_POSITION:
            raise BusyError(
                f"the lifecycle cannot change while its engine is in {self.phase}, because where the run is would "
                f"lose its meaning. Change it before run(), or after the run has ended."
            )

    def _begin(
        self, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None, driver: str
    ) -> int:
        return running.begin(self, data, max_epochs, max_iters, epoch_length, driver)

    def _open_pass(self, data: Any, start: int, skip: int) -> Iterator[Any]:  # noqa: ARG002  # for DeterministicEngine
        return batches.iter_from(data, skip, draws_now=self.resumes_exactly)

    def set_data(self, data: Iterable[Any]) -> None:
        """Let the next batch of this run come from `data`; the length of an epoch stays as it is.

        Raises:
            RuntimeError: outside a run, where `run` itself takes the data.
            ValueError: for data of length zero.
            TypeError: for data that cannot be iterated over.
        """
        cursor, data_pass, state = self._cursor, self._data_pass, self.state
        if cursor.position == IDLE_POSITION:
            raise RuntimeError("set_data() changes the data of a run that is going on. Give it to run(data).")
        batches.check_data(data)
        state.dataloader, data_pass.has_data, data_pass.times_opened = data, True, 0
        batches.open_data(self, batches.pending_batches(self))
        self._invalidate()

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the run as plain data: epoch_length, iteration, the limit, and the user's keys.

        It holds iterations, not batches: where a lifecycle skips batches before their iteration, or goes through
        one twice, only a pickle or a copy, or an engine that `resumes_exactly`, knows the position in the data.

        With `resumes_exactly` it also holds the state of the handlers, and of a step that has one; the attributes of
        the state that are plain data; and, of a run that is suspended, or asked `call_when_safe`, the
        states of the random generators and its position in the lifecycle and in the data, with the batch where a step
        is still to use it. In
        the middle of a firing there is no such position, and the log says so. Asked at EXCEPTION_RAISED, it is that
        of what has failed: the step, or the fetch, is done again, and handlers that were not called yet are left out.

        Raises:
            ValueError: a user's key that the state does not have; a batch at hand that is no plain data.
        """
        return saving.state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the progress that `state_dict` returned; the next `run` goes on from there.

        With a position, `run` goes on exactly there, announced by RESUMED, and gives what the run that was saved would
        have given: that needs the same data, and the same handlers attached before this is called. STARTED is not fired
        again: what its handlers have set up, such as frozen layers, belongs before `run`, or at RESUMED as well. So
        does what others have changed outside: ``requires_grad``, the mode of a part of a model. If `set_data` had
        changed the data, give that to `run`.

        Lost are gradients that wait for the optimizer, unless a step of `create_supervised_trainer` adds them up;
        ``state.batch`` behind its iteration; random numbers of workers until a pass ends, and those by which data
        without a sampler draws its order later than it is opened. A run that was at its end just ends again, with
        STARTED, and TERMINATE if that had ended it, unless it is given a higher limit.

        Without a position, in the middle of an epoch, `run` skips the batches that this epoch has used already. RESUMED
        tells that a run goes on, unless nothing was done before: that one starts, with the limits it had.

        Args:
            state_dict: ``epoch_length``, one of ``iteration`` and ``epoch``, one of ``max_epochs`` and
                ``max_iters``, and every key of `state_dict_user_keys`.

        Raises:
            TypeError: if it is no mapping.
            ValueError: for missing or contradictory keys; nothing is changed then.
            BusyError: while an epoch is open, or with a position in any run.
        """
        saving.load_state_dict(self, state_dict)

    def __deepcopy__(self, memo: dict[int, Any]) -> Engine:
        return copying.copy_engine(self, memo)

    def __getstate__(self) -> dict[str, Any]:
        return copying.pickle_state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        copying.restore_pickle(self, state)


def engine_of(lifecycle: Lifecycle) -> Engine | None:
    """Return the engine that `lifecycle` belongs to; None for a lifecycle without an engine."""
    engine = lifecycle._engine()
    return engine if isinstance(engine, Engine) else None


def _with_step(step: Step | None, lifecycle: Lifecycle | None) -> Lifecycle:
    if lifecycle is not None:
        if not isinstance(lifecycle, Lifecycle):
            raise TypeError(f"lifecycle= has to be a Lifecycle, got {lifecycle!r}.")
        if step is not None:
            raise ValueError("Engine was given a step and a lifecycle. Put the step in: Lifecycle.training(step).")
        if lifecycle.step is not None:
            _check_step(lifecycle.step)
        return lifecycle
    _check_step(step)
    return Lifecycle.training(step)


def _check_step(step: Any) -> None:
    if step is None:
        raise ValueError("Engine must be given a processing function in order to run.")
    error = call_error(step, None, None)
    if error is not None:
        raise ValueError(
            f"Error adding {step!r} as the process function: "
            f"it takes other parameters, but will be called with (engine, batch): {error}"
        )
