"""`Engine`: runs a step over data along a lifecycle graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import EnumMeta
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import BusyError
from fsm_engine._util.lazy_modules import names_of
from fsm_engine._util.signatures import accepts, call_error, check_runs_when_called
from fsm_engine.compiler.program import Program, program_for
from fsm_engine.dispatch.entries import Handler
from fsm_engine.dispatch.event_dispatcher import EventDispatcher
from fsm_engine.dispatch.observers import Observation, Observer
from fsm_engine.dispatch.step_moves import FirableMoves, firable_moves, resolve_history
from fsm_engine.engine import breakpoints, handler_checks, recording, run_loop
from fsm_engine.events.edges import Edge, Exit
from fsm_engine.events.events import AnyEvent, CallableEventWithFilter, Event, EventEnum, EventsList
from fsm_engine.graph.positions import IDLE_POSITION, phase_at
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.persistence import copying
from fsm_engine.persistence.state_dict import load_state_dict, make_state_dict
from fsm_engine.runtime import data_iter, run_limits
from fsm_engine.runtime.claim import nobody
from fsm_engine.runtime.cursor import Outcome
from fsm_engine.runtime.state import State

if TYPE_CHECKING:
    import transitions

    from fsm_engine.engine.callback_discovery import Discovery
    from fsm_engine.engine.explain import Explanation
    from fsm_engine.engine.transitions_driver import Driver
    from fsm_engine.inspector.inspector import Inspector
    from fsm_engine.lifecycle.validation import Finding
    from fsm_engine.timeline.recorder import Recorder
    from fsm_engine.timeline.timeline import Timeline
else:
    __getattr__ = names_of(__name__)  # names that pytorch-ignite has in this module

Step = Callable[[Any, Any], Any]


class Engine(EventDispatcher):
    """Runs a step over data along a lifecycle graph, and calls handlers when a phase is entered.

    Args:
        process_function: the step. Each iteration calls it as ``process_function(engine, batch)`` and stores its result
            in ``engine.state.output``.
        lifecycle: a lifecycle with a step of its own, instead of the training lifecycle; the engine copies it.
            ``Engine(step)`` is short for ``Engine(lifecycle=Lifecycle.training(step))``.

    Attributes:
        state: the data of the run, a `State`; it may be replaced.
        logger: a standard logger named after the class; it may be replaced.
        lifecycle: the lifecycle that this engine runs, and that no other engine shares.
        name: the name of the engine in pictures, recordings and the inspector. None stands for the name of the
            lifecycle; an engine that runs inside the run of another is then named by its class or by its variable.
        state_dict_user_keys: the names of state attributes that `state_dict` holds besides the counters.
        interrupt_resume_enabled: a class attribute: False makes `interrupt` raise.
        resumes_exactly: True if `state_dict` holds everything that a run needs to resume exactly. A `Checkpoint` that
            saves this engine sets it. It costs one read of the RNG states per pass over the data.

    Thread safety: `run` may be called by one thread at a time; a second call raises BusyError. During a run, other
    threads may call `terminate`, `terminate_epoch`, `interrupt` and `call_when_safe`, and attach and remove handlers
    and observers. These take effect at the next check between handlers and activities. Everything else belongs to the
    thread that runs.

    Raises:
        ValueError: there is no step, the step cannot be called with an engine and a batch, or both a step and a
            lifecycle are given.
        TypeError: `name` is not a string, `lifecycle` is not a `Lifecycle`, or the step is a coroutine or generator
            function, whose call runs none of its code.

    Example:
        >>> trainer = Engine(lambda engine, batch: 2 * batch)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: print("epoch", trainer.state.epoch))
        >>> trainer.run([1, 2, 3], max_epochs=2).output
        epoch 1
        epoch 2
        6
    """

    name: str | None = None

    def __init__(
        self, process_function: Step | None = None, *, lifecycle: Lifecycle | None = None, name: str | None = None
    ) -> None:
        lifecycle = _with_step(process_function, lifecycle)
        if name is not None:
            if not isinstance(name, str):
                raise TypeError(f'name={name!r} must be a string, such as Engine(step, name="validation").')
            self.name = name
        super().__init__()
        self.lifecycle = lifecycle._copy_for(self)
        self._step = lifecycle.step

    def _reset_process(self) -> None:
        super()._reset_process()
        self._debug = False
        self._has_breakpoints = False
        self._program: Program | None = None
        self._recorder: Recorder | None = None
        self._has_handlers_cache: dict[Any, bool] = {}
        self._driver: Driver | None = None
        self._machine: Driver | None = None
        self._firable_moves: dict[int, FirableMoves] | None = None

    # Inspection

    @property
    def last_event_name(self) -> Event | None:
        """The event that was fired last; None before the first event.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.run([1, 2])
            >>> print(trainer.last_event_name)
            Events.COMPLETED
        """
        cursor = self._cursor
        number = phase_at(cursor.position) or cursor.last_phase
        return cursor.callback_event or (self._graph.phases[number].event if number else None)

    @property
    def source(self) -> str:
        """The source of the generated function that runs the lifecycle with the current handlers.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.run([1])
            >>> print(trainer.source.splitlines()[0])
            def run(engine, position, bound):
        """
        return self._current_program().compiled.source

    def may(self, event: AnyEvent) -> bool:
        """Return True if a transition leads from the current phase to the phase of `event`.

        Guards are ignored. A callback event may be fired at any time, so the result is True.

        Raises:
            ValueError: `event` is not registered, or it is an edge or an exit.
            TypeError: `event` is not an event.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> trainer.may(Events.STARTED), trainer.may(Events.EPOCH_STARTED)
            (True, False)
            >>> _ = trainer.run([1, 2], until=Events.ITERATION_COMPLETED)
            >>> trainer.may(Events.RESUMED)
            True
        """
        target = self._registry.entry(event).event
        graph, cursor = self._graph, self._cursor
        if isinstance(target, (Edge, Exit)):
            raise ValueError(f"may() takes the event of a phase, got the move {target}. Pass the phase it leads to.")
        if target not in graph.index:
            return True
        exits = [resolve_history(self, transition) for transition in graph.exits[phase_at(cursor.position)]]
        return any(transition.target == target for transition in exits if transition is not None)

    def has_handlers(self, what: AnyEvent | type[EventEnum]) -> bool:
        """Return True if a handler is attached to an event, to its exit, or to an edge from or to it.

        For an enum, return True if this holds for one of its events. A step can use it to skip work that only handlers
        need. It costs one dictionary look-up.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.STARTED >> Events.EPOCH_STARTED, print)
            >>> [trainer.has_handlers(what) for what in (Events.STARTED, Events.COMPLETED, Events)]
            [True, False, True]
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
        """Return the problems of the lifecycle and the handlers of this engine, for a run with these arguments.

        The list contains the findings of `Lifecycle.check`; filters that no value in such a run passes, which `run`
        also logs when it starts; and, after a run, callback events that have handlers but were not fired in it. It is
        empty if nothing was found. If neither limit is given, the limits of the state apply.

        Raises:
            ValueError, TypeError: invalid limits.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> def save():
            ...     pass
            >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED(once=5), save)
            >>> print(trainer.check([1, 2], max_epochs=3)[0].fix)
            Change the filter, or raise the limit of the run.
        """
        run_limits.check_limits(max_epochs, max_iters, epoch_length)
        state = self.state
        if max_epochs is max_iters is None:
            max_epochs, max_iters = state.max_epochs, state.max_iters
        length = epoch_length or (state.epoch_length if data is None else run_limits.length_of(data))
        limits = handler_checks.RunLimits(max_epochs, max_iters, length)
        found = self.lifecycle.check()
        found.extend(handler_checks.findings(self, limits))
        return found

    def explain(self, what: AnyEvent | Handler) -> Explanation:
        """Return which handlers an event calls, or when a handler is called; print it, or show it in a notebook.

        For an event: its handlers in the order of the calls, each with filter, priority, file and line. For a handler:
        per event, how often the event fired, how often the filter passed, the last value, and why the handler was not
        called.

        Raises:
            ValueError: the event is not registered.
            TypeError: `what` is several events, or neither an event nor a handler.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> def save():
            ...     pass
            >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED(every=2), save)
            >>> _ = trainer.run([1, 2], max_epochs=3)
            >>> print(str(trainer.explain(save)).splitlines()[1])
              on Events.EPOCH_COMPLETED (every=2): fired 3, called 1
        """
        from fsm_engine.engine.explain import explain_event, explain_handler

        if isinstance(what, EventsList):
            raise TypeError(f"explain() takes one event, got several: {what!r}.")
        if isinstance(what, (str, CallableEventWithFilter)):
            return explain_event(self, what)
        if not callable(what):
            raise TypeError(f"explain() takes an event or a handler, got {what!r}.")
        return explain_handler(self, what)

    def observe(self, observer: Observer) -> Observation:
        """Call ``observer(engine, transition)`` for every transition from now on.

        The call comes before the target phase is entered. An observer must not change the run. If it raises, it is
        removed and its error is logged. Without observers this costs nothing.

        Returns:
            A handle with `remove()`, which is also a context manager.

        Raises:
            TypeError: `observer` is not callable.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> walk = []
            >>> with trainer.observe(lambda engine, transition: walk.append(transition)):
            ...     _ = trainer.run([1])
            >>> print(walk[0], "|", walk[-1])
            IDLE --run--> STARTED | COMPLETED --done--> IDLE
        """
        observation = self._observers.add(self, observer)
        self._invalidate()
        return observation

    def record(
        self,
        timeline: Timeline | None = None,
        *,
        handlers: bool = True,
        capacity: int | None = None,
        profile: bool = False,
        every: int = 1,
        device: bool = False,
    ) -> Recorder:
        """Record the transitions and the handler calls of this engine until the ``with`` block ends.

        An engine that runs inside a recorded run, such as an evaluator in a handler, is recorded, too. Recording costs
        a fraction of a microsecond per transition and per handler call; without a recorder it costs nothing.

        Args:
            timeline: the timeline to record into, which other engines may share; a new one by default.
            handlers: whether to record the calls of handlers.
            capacity: for a new timeline, how many transitions and how many handler calls it keeps per engine, at 24
                bytes each; a million by default. The oldest records are dropped and counted.
            profile: whether phases that run user code (data, step, fired phases, activities) become ranges of a profile
                while `torch.profiler`, ``emit_nvtx`` or ``emit_itt`` is active in the thread of the run. A range that
                user code opens in one phase and ends in another overlaps them.
            every: record one iteration out of `every`, from the wait for its batch to the wait for the next one, and
                everything outside iterations. Iterations that are not recorded are counted; they cost almost nothing.
            device: whether to record a CUDA event for each transition, in the current stream. The events give the time
                that the device took for the work submitted in a phase, if the device had no other work. The host waits
                for them only when the recording ends.

        Returns:
            A context manager that returns the `Timeline`.

        Raises:
            ImportError: `profile` or `device` is given and torch is not installed.
            RuntimeError: `device` is given and there is no CUDA device.
            BusyError: this engine is already being recorded.
            TypeError: `timeline` is not a `Timeline`.
            ValueError: `capacity` is not positive, or is given together with `timeline`; `every` is not a positive
                integer, or the lifecycle has no iterations.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=3)
            >>> print(timeline.verify(trainer.lifecycle))  # None: the lifecycle allows every move
            None
        """
        from fsm_engine.timeline.device import CudaDevice
        from fsm_engine.timeline.recorder import Recorder
        from fsm_engine.timeline.sampling import check_every
        from fsm_engine.timeline.timeline import CAPACITY, Timeline

        if self._recorder is not None and not recording.makes_way(self._recorder):
            raise BusyError(
                "this engine is already being recorded. Call remove() on that recorder, or leave its block."
            )
        if timeline is not None and not isinstance(timeline, Timeline):
            raise TypeError(
                f"timeline should be a Timeline, got {timeline!r}. To write a file, save the recorded timeline: "
                "with engine.record() as timeline: ..., then timeline.save('run.fsmt')."
            )
        if timeline is not None and capacity is not None:
            raise ValueError(
                f"capacity={capacity!r} was given together with a timeline, which has its own. Pass Timeline(capacity)."
            )
        into = Timeline(CAPACITY if capacity is None else capacity) if timeline is None else timeline
        check_every(every, self._graph)
        recorder = Recorder(self, into, handlers, profile, every, CudaDevice() if device else None)
        if self._recorder is not None:
            self._recorder.remove()
        try:
            return recorder.start()
        except BaseException:  # the caller does not get the recorder, so it could not call remove()
            recorder.remove()
            raise

    def inspect(
        self,
        *,
        open: bool = False,  # noqa: A002
        paused: bool = False,
        read_only: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
    ) -> Inspector:
        """Show the runs of this engine in a browser while they go on, and pause and steer them from there.

        ::

            with trainer.inspect() as inspector:
                print(inspector.address)
                trainer.run(data, max_epochs=10)

        Engines that run inside its runs, such as evaluators, appear by themselves. The inspected engines of a process
        share one page. A notebook shows the page if a cell ends with the inspector. The engine is recorded, see
        `record`; the page is served by a thread that reads the record ten times a second.

        Args:
            open: whether to open the page in the browser.
            paused: whether the next run pauses after its first move, for example to set breakpoints on the page.
            read_only: whether pages may only watch.
            host: the address to listen on; by default, only this machine can connect.
            port: the port; 0 for a free one.
            token: the secret part of the address, at least 16 letters or digits; random by default. It is needed if
                other machines can reach `host`: anybody who has it can steer the run.

        Returns:
            The inspector, which is a context manager, with the ``address`` of the page.

        Raises:
            ModuleNotFoundError: a package of the server is not installed: ``pip install "fsm-engine[inspector]"``.
            BusyError: this engine is recorded or inspected already.
            ValueError: `host` needs a token, the token is too short, or the server of this process has other settings.
            RuntimeError: `paused` is given and the run has several ranks.
            OSError: the port is in use, or `host` is not an address of this machine.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.inspect() as inspector:
            ...     print(inspector.address.startswith("http://127.0.0.1:"))
            ...     _ = trainer.run([1, 2])
            True
        """
        from fsm_engine.inspector.inspector import inspect

        return inspect(self, open=open, paused=paused, read_only=read_only, host=host, port=port, token=token)

    def discover(self) -> Discovery:
        """Record where callback events are fired until the ``with`` block ends.

        Returns:
            A context manager that collects moves between events that are not edges of the lifecycle. Its `str` is a
            table. The moves are kept in ``engine.lifecycle.discovered``, apart from the graph.

        Example:
            >>> trainer = Engine(lambda engine, batch: engine.fire_event("batch_seen"))
            >>> trainer.register_events("batch_seen")
            >>> with trainer.discover() as seen:
            ...     _ = trainer.run([1, 2, 3])
            >>> print(seen)
            ITERATION_STARTED -> batch_seen           3
            batch_seen        -> ITERATION_COMPLETED  3
        """
        from fsm_engine.engine.callback_discovery import Discovery

        return Discovery(self)

    @property
    def machine(self) -> transitions.Machine:
        """The lifecycle as a flat machine of the `transitions` library, in the current phase of the run.

        The phase is ``machine.model.phase``. ``run(..., driver="transitions")`` uses this machine.

        Raises:
            ImportError: the library is not installed.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.run([1, 2], until=Events.EPOCH_STARTED)
            >>> print(trainer.machine.model.phase)
            Events.INTERRUPT
        """
        return self._machine_driver().machine

    def _machine_driver(self) -> Driver:
        from fsm_engine.engine.transitions_driver import Driver

        if self._machine is None or self._machine.graph is not self._graph:
            self._machine = Driver(self._graph)
        self._machine.set_phase(phase_at(self._cursor.position))
        return self._machine

    def _notify_observers(self, transition: Transition) -> None:
        if self._driver is not None:
            self._driver.follow(self, transition)
        if self._debug:
            self.logger.debug("%s", transition)
        if self._observers:
            self._observers.notify(self, transition)

    def _notifier(self) -> Observer | None:
        """Return the function to call for each transition; None if nothing observes."""
        return Engine._notify_observers if self._debug else self._observers.notifier

    def interruptible(self) -> AbstractContextManager[None]:
        """Return a context manager in which SIGINT (Ctrl-C, or the stop button of a notebook) interrupts this engine.

        The first SIGINT suspends the run at the next safe place, and `run` returns. A second one before that, or one
        while no run is active, raises KeyboardInterrupt. Leaving the block restores the earlier SIGINT handler.

        Raises:
            RuntimeError: entered outside the main thread, which alone receives signals, or interrupts are disabled.

        Example:
            >>> import signal
            >>> trainer = Engine(lambda engine, batch: signal.raise_signal(signal.SIGINT) if batch == 2 else None)
            >>> with trainer.interruptible():
            ...     _ = trainer.run([1, 2, 3])
            >>> print(trainer.outcome, trainer.state.iteration)
            interrupted 2
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
        """Run the lifecycle until its limits are reached or the run is ended or suspended.

        The run starts from zero if the state has no limit, or the last run reached its limits. Otherwise a suspended
        run resumes at the position where it was interrupted, and any other run continues its counters with the next
        epoch.

        Args:
            data: the batches: a DataLoader, any iterable, or None for steps without data. A suspended run keeps its
                position in the data if it is given the same data or None; other data starts at its beginning.
            max_epochs: the total number of epochs; 1 if neither limit is given.
            max_iters: the total number of iterations, instead of `max_epochs`.
            epoch_length: the number of iterations per epoch, if it is not ``len(data)``. For data without a length, the
                default is the length given to an earlier run, else the number of batches of the first pass.
            until: a breakpoint: a phase or an edge, filtered or not. When the run has entered the phase, or the target
                of the edge, and the handlers have run, it is suspended as by `interrupt`. The next `run` resumes it.
            driver: ``"compiled"``, or ``"transitions"`` to let a machine of the `transitions` library choose the
                transitions. The order of phases is the same, but it is hundreds of times slower.

        Returns:
            The state.

        Raises:
            BusyError: this engine is already running.
            LifecycleError: the lifecycle cannot run; see `Lifecycle.check`.
            ValueError: both limits are given, or a limit is exceeded already; the data is empty; the run cannot stop at
                `until`.
            IllegalTransition: the step fired a phase to which no edge leads.
            TypeError: the data is not iterable.
            RuntimeError: `until` is given and interrupts are disabled.
            Exception: raised by the step, a handler or the data, unless an error edge takes it or EXCEPTION_RAISED has
                a handler. KeyboardInterrupt and the like are raised even if EXCEPTION_RAISED has one.

        Example:
            >>> trainer = Engine(lambda engine, batch: 2 * batch)
            >>> state = trainer.run([1, 2, 3], max_epochs=2)
            >>> state.epoch, state.iteration, state.output
            (2, 6, 6)
            >>> trainer.run([1, 2, 3], max_epochs=3).iteration  # continues with the third epoch
            9
        """
        has_begun, position, unhandled = False, run_loop.NOT_STARTED, None
        with run_loop.claim(self):  # the engine is running until the end of this block
            try:
                if until is not None or self._has_breakpoints:  # an exception may have left those of another run
                    breakpoints.replace(self, until)
                self._begin(data, max_epochs, max_iters, epoch_length, driver)
                has_begun, terminal = True, self._graph.terminal_positions
                while True:
                    try:
                        if position == run_loop.NOT_STARTED:
                            position = run_loop.take_run_edge(self)
                        position = run_loop.handle_requests(self, position)
                        if position in terminal:
                            break
                        function, bound = self._runner()
                        position = function(self, position, bound)
                    except BaseException as error:
                        position = run_loop.fail(self, error)
            except BaseException:
                if has_begun:  # the exception ended the run without EXCEPTION_RAISED
                    self._cursor.outcome = Outcome.FAILED
                raise
            finally:
                try:
                    if self._has_breakpoints:
                        breakpoints.replace(self, None)
                    if has_begun:
                        unhandled = run_loop.end(self, position)
                finally:
                    self._claim.holder = nobody
        if unhandled is not None:
            try:
                raise unhandled
            finally:
                del unhandled  # the traceback refers to this frame
        return self.state

    def _runner(self) -> tuple[Callable[[Any, int, list[Any]], int], list[Any]]:
        """Return the function that runs the lifecycle from a position, and the objects that it uses."""
        if self._driver is not None:
            return self._driver.run, []
        program = self._current_program()
        return program.compiled.function, program.bound

    def _current_program(self) -> Program:
        program = program_for(self, self._program)
        if program is not self._program:
            self._program = program
        return program

    def _current_moves(self) -> dict[int, FirableMoves]:
        if not self._graph.fired_phases:
            return {}
        if self._firable_moves is None:
            observed = self._debug or bool(self._observers) or self._driver is not None
            self._firable_moves = firable_moves(self._graph, self._registry, observed)
        return self._firable_moves

    def _invalidate(self) -> None:
        cursor = self._cursor
        self._registry.version = object()
        self._signals.needs_attention = True
        if self._firable_moves is not None:  # comparing first, because an assignment to an engine costs more
            self._firable_moves = None
        self._has_handlers_cache.clear()
        if cursor.moves is not None:
            cursor.moves = self._current_moves()[phase_at(cursor.position)]

    def _replace_step(self, step: Step) -> None:
        """Run `step` from now on; a step in parts becomes one activity.

        Raises:
            ValueError: `step` cannot be called with an engine and a batch.
            LifecycleError: the parts of the former step were edited.
            BusyError: the former step has parts, and a run is active or suspended.
        """
        _check_step(step)
        self.lifecycle._use_step(step)
        self._step = step
        self._invalidate()

    def _allow_change(self) -> None:
        if self._cursor.position != IDLE_POSITION:
            raise BusyError(
                f"the lifecycle cannot be changed while its engine is in {self.phase}, because the position of the run "
                f"would become invalid. Change it before run(), or after the run has ended."
            )

    def _begin(
        self, data: Any, max_epochs: int | None, max_iters: int | None, epoch_length: int | None, driver: str
    ) -> None:
        run_loop.begin(self, data, max_epochs, max_iters, epoch_length, driver)

    def _open_pass(self, data: Any, start: int, skip: int) -> Iterator[Any]:  # noqa: ARG002  # for DeterministicEngine
        return data_iter.iter_from(data, skip, draws_now=self.resumes_exactly)

    def set_data(self, data: Iterable[Any]) -> None:
        """Replace the data of the active or suspended run: the next batch is the first batch of `data`.

        The length of an epoch does not change.

        Raises:
            RuntimeError: no run is active or suspended.
            ValueError: the length of the data is zero.
            TypeError: the data is not iterable.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.add_event_handler(Events.EPOCH_STARTED(once=2), lambda: trainer.set_data([7, 8]))
            >>> trainer.run([1, 2], max_epochs=2).output
            8
        """
        cursor, data_pass, state = self._cursor, self._data_pass, self.state
        if cursor.position == IDLE_POSITION:
            raise RuntimeError("set_data() was called without an active run. Pass the data to run(data).")
        data_iter.check_data(data)
        state.dataloader, data_pass.has_data, data_pass.times_opened = data, True, 0
        data_iter.open_data(self, data_iter.pending_batches(self))
        self._invalidate()

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the run as plain data: epoch_length, iteration, the limit, and the user's keys.

        For a lifecycle without epochs, the phase in which the run is suspended takes the place of the first three.

        If epochs had different lengths, or their length is not known yet, ``epoch_progress`` holds the numbers of
        completed epochs, and of iterations of the open epoch and batches of the open pass that are done.

        Without `resumes_exactly` the state dict counts iterations, not batches. If a lifecycle skips or repeats
        batches, it does not hold the position in the data; a pickle or a copy does.

        With `resumes_exactly` it also holds the plain attributes of the state and the states of the step and of
        handlers that have a ``state_dict``. If the run is suspended, or the call is made from `call_when_safe`, it also
        holds the exact position: the position in the lifecycle and in the data, the states of the RNGs, and the current
        batch if a step is still to use it. Called while handlers run, it holds only the progress, and a warning is
        logged. At EXCEPTION_RAISED, the position is where the exception was raised: the step or the fetch runs again.
        If a handler raised it, the remaining handlers of that event are skipped. After `terminate`, also when `run` has
        returned, the position is where the run was left for TERMINATE. An engine that has returned while another runs,
        such as an evaluator, saves no position, because its next run is a new one.

        Raises:
            ValueError: the state has no attribute for a user's key, or the current batch is not plain data.
            BusyError: the run is suspended inside a step of `create_supervised_trainer`.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> _ = trainer.run([1, 2, 3], max_epochs=2)
            >>> dict(trainer.state_dict())
            {'epoch_length': 3, 'iteration': 6, 'max_epochs': 2}
        """
        return make_state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the progress that `state_dict` returned; the next `run` resumes there.

        With an exact position, `run` fires RESUMED and continues as the saved run would have. Give it the same data
        (the log names differences that can be known without reading it, such as another ``batch_size``),
        and attach the same handlers before loading. Data that replaced the original with `set_data` has to be given to
        `run`. STARTED is not fired again, so do what its handlers did, such as freezing layers, before `run` or at
        RESUMED. The same holds for other changes outside the engine, such as ``requires_grad`` or the training mode of
        a submodule.

        Not restored are: gradients that wait for the optimizer, unless a step of `create_supervised_trainer`
        accumulates them; ``state.batch`` after its iteration; random numbers of worker processes until the pass ends;
        random numbers of data without a sampler that draws its order later than in ``iter``.

        A run that was terminated continues with the next batch, whatever called `terminate`: the request is not loaded,
        and the random numbers drawn since are drawn again. COMPLETED fires again when the run ends. It ends at once
        only if its limits are reached, or if the loaded state of a handler says that it is over, such as
        `EarlyStopping` out of patience; the log says how to continue it then. A handler of your own that ended the run
        for good has to call `terminate` again at RESUMED, for example because of a state that it saves. A run that had
        completed fires STARTED and ends again, unless a higher limit is given; then it continues with the next batch.

        Without an exact position, `run` skips the batches that the current epoch has used. It fires STARTED, then
        RESUMED unless the loaded run had done nothing.

        Args:
            state_dict: ``epoch_length``, either ``iteration`` or ``epoch``, either ``max_epochs`` or ``max_iters``, or
                ``phase`` for a lifecycle without epochs; and every key of `state_dict_user_keys`.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: keys are missing or contradict each other, or the state of a handler does not fit it.
            BusyError: an epoch is open; with an exact position, or without epochs, any run is active.
            Exception: raised by ``load_state_dict`` of the step.

        After any of these, the engine, its step and its handlers are as they were before.

        Example:
            >>> trainer = Engine(lambda engine, batch: print(engine.state.iteration, batch))
            >>> trainer.load_state_dict({"epoch_length": 3, "iteration": 4, "max_epochs": 2})
            >>> _ = trainer.run([10, 20, 30])
            5 20
            6 30
        """
        load_state_dict(self, state_dict)

    # Notebooks and consoles

    def __repr__(self) -> str:
        from fsm_engine.engine.status import describe

        return describe(self)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        """Return the output for a notebook: the state of the run, the handlers, and the lifecycle with its phase."""
        from fsm_engine._util.html import mimebundle
        from fsm_engine.render.engine_html import engine_html

        return mimebundle(self.__repr__, lambda: engine_html(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Engine:
        return copying.copy_engine(self, memo)

    def __getstate__(self) -> dict[str, Any]:
        return copying.pickle_state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        copying.restore_pickle(self, state)


def engine_of(lifecycle: Lifecycle) -> Engine | None:
    """Return the engine that owns `lifecycle`; None if there is none."""
    engine = lifecycle._engine()
    return engine if isinstance(engine, Engine) else None


def _with_step(step: Step | None, lifecycle: Lifecycle | None) -> Lifecycle:
    if lifecycle is not None:
        if not isinstance(lifecycle, Lifecycle):
            raise TypeError(f"lifecycle must be a Lifecycle, got {lifecycle!r}.")
        if step is not None:
            raise ValueError("Engine got both a step and a lifecycle. Use lifecycle=Lifecycle.training(step).")
        if lifecycle.step is not None:
            _check_step(lifecycle.step)
        return lifecycle
    _check_step(step)
    return Lifecycle.training(step)


def _check_step(step: Any) -> None:
    if step is None:
        raise ValueError(
            "Engine must be given a processing function in order to run: Engine(step), where step(engine, batch) "
            "trains or evaluates on one batch."
        )
    if hasattr(step, "forward") and hasattr(step, "parameters") and not accepts(step.forward, None, None):
        raise ValueError(
            f"Error adding {type(step).__name__} as the process function: it is a model, and takes no engine. Write a "
            f"function step(engine, batch) that calls it, or use create_supervised_trainer(model, optimizer, loss_fn)."
        )
    check_runs_when_called(step, "the step")
    error = call_error(step, None, None)
    if error is not None:
        raise ValueError(
            f"Error adding {step!r} as the process function: "
            f"it takes other parameters, but will be called with (engine, batch): {error}"
        )
