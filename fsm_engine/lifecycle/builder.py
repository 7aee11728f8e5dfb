"""`LifecycleBuilder`: a lifecycle graph that users edit; every edit keeps it valid."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from fsm_engine._util.errors import BusyError, LifecycleError
from fsm_engine.events.edges import Edge, Path
from fsm_engine.events.events import AnyEvent, Event, without_filter
from fsm_engine.events.placeholders import Unbound
from fsm_engine.events.scopes import Scope
from fsm_engine.graph.code import Code, CodeFragment, UserFunction
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.phases import Phase, similar_phases
from fsm_engine.graph.transitions import Transition
from fsm_engine.lifecycle import edits
from fsm_engine.lifecycle.mutable_graph import ChangedPart
from fsm_engine.lifecycle.step_events import maker_hint
from fsm_engine.lifecycle.step_parts import ignores_options, missing_parts, with_one_activity
from fsm_engine.lifecycle.training import OUTER
from fsm_engine.lifecycle.validation import Finding, Findings, edit_findings, findings, raise_errors, unbound_finding
from fsm_engine.runtime.run import Run

E = TypeVar("E", bound="LifecycleBuilder")


class Owner(Protocol):
    """Interface that a lifecycle needs from the engine that owns it."""

    def _allow_change(self) -> None:
        """Raise BusyError if the engine is in a run."""

    def _adopt_graph(self, graph: Graph) -> None:
        """Use `graph` from now on, or raise if attached handlers cannot be called with it."""


class LifecycleBuilder:
    """Lifecycle graph that can be edited between runs. An edit that breaks a rule raises and changes nothing."""

    def __init__(self, name: str = "lifecycle") -> None:
        if not isinstance(name, str):
            raise TypeError(
                f"the name of a lifecycle must be a string, got {name!r}. For a step, use Lifecycle.training(step)."
            )
        self.name = name
        self.step: Callable[[Any, Any], Any] | None = None
        self._graph = OUTER
        self._open_blocks = 0
        self.discovered: dict[Edge, int] = {}
        self._required: tuple[tuple[Event, Event], ...] = ()
        self._validated: Graph | None = None  # the graph that passed all checks last
        self._engine: Callable[[], Owner | None] = _no_engine  # weak reference to the owner of this copy

    @property
    def graph(self) -> Graph:
        """Current graph of phases and transitions; it is immutable, so an edit replaces it.

        Example:
            >>> len(Lifecycle.training().graph.phases)
            15
        """
        return self._base if self._draft is None else self._draft.graph

    @property
    def _graph(self) -> Graph:
        return self.graph

    @_graph.setter
    def _graph(self, graph: Graph) -> None:
        self._base, self._base_unscoped = graph, frozenset[Event]()
        self._draft: edits.Draft | None = None  # the graph in a form that changes in place, once it is edited

    @property
    def _unscoped(self) -> frozenset[Event]:
        """Phases that were added without a scope and are not connected yet."""
        return self._base_unscoped if self._draft is None else frozenset(self._draft.unscoped)

    @_unscoped.setter
    def _unscoped(self, events: frozenset[Event]) -> None:
        self._base, self._base_unscoped, self._draft = self.graph, events, None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases of the graph. A run starts and ends in the first one.

        Example:
            >>> [phase.name for phase in Lifecycle("empty").phases][:3]
            ['IDLE', 'STARTED', 'RESUMED']
        """
        return self._graph.phases

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """Transitions as they were defined: a transition from a scope appears once.

        Example:
            >>> print(Lifecycle.training().transitions[0])
            STARTED --loaded--> RESUMED
        """
        return self._graph.transitions

    def successors(self, event: AnyEvent) -> tuple[Transition, ...]:
        """Return the transitions that may leave the phase of `event`, including the transitions of its scopes.

        Raises:
            LifecycleError: if `event` is not a phase.

        Example:
            >>> for transition in Lifecycle.training().successors(Events.EPOCH_COMPLETED)[:2]:
            ...     print(transition)
            EPOCH_COMPLETED --nothing_left--> COMPLETED
            EPOCH_COMPLETED --next_epoch--> EPOCH_STARTED
        """
        return self._graph.exits[self._number(event)]

    def _number(self, event: AnyEvent) -> int:
        number = self._graph.index.get(without_filter(event))  # type: ignore[arg-type]  # an edge is not a key
        if number is None:
            hint = maker_hint(event) or similar_phases(getattr(event, "name", str(event)), self.phases)
            raise LifecycleError(
                f"{event} is not a phase of {self!r}.{hint} The phases are {', '.join(self._graph.by_name)}."
            )
        return number

    def add_phase(
        self,
        event: Event,
        activity: UserFunction | Code | Run | None = None,
        scope: Scope | None = None,
        counter: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a phase that the engine enters along automatic transitions.

        Args:
            event: event of the phase, and its name. The engine registers it.
            activity: function that is called after the handlers of the phase, with the engine if it takes one. Its
                result, unless None, is stored in ``engine.state.output``. If it is an `Engine`, each visit runs it.
            scope: scope of the phase. By default it joins the scope of the phase that first leads to it.
            counter: name of a state attribute that counts the visits. Event filters use it, each new run resets it to
                0, and `Engine.state_dict` saves it. Without one, filters count how often the event was fired.
            **kwargs: arguments of the activity; for an engine, of its `run`.

        Raises:
            LifecycleError: if the event already is a phase.
            ValueError: if the activity cannot be called with these arguments, or the counter is not a valid name.
            TypeError: if `event` is not an event, or `activity` is not callable.
            BusyError: if the engine is running or suspended.

        Example:
            >>> lifecycle = Lifecycle.training(lambda engine, batch: batch)
            >>> with lifecycle.edit():
            ...     lifecycle.add_phase("VALIDATE", activity=lambda engine: print("epoch", engine.state.epoch))
            ...     lifecycle.remove_transition(Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED)
            ...     lifecycle.add_path(Events.EPOCH_COMPLETED >> "VALIDATE" >> Events.EPOCH_STARTED)
            >>> _ = Engine(lifecycle=lifecycle).run([1], max_epochs=2)
            epoch 1
        """
        edits.check_counter(counter)
        code = _activity(event, activity, kwargs)
        self._edit(lambda draft: draft.add_phase(event, code, scope, counter))

    def add_path(self, path: Edge | Path, required: bool = False) -> None:
        """Add the missing edges of a path ``A >> B >> C``.

        Phases on the path that do not exist yet are added as *fired* phases: the activity of the first phase, such as
        the step, moves from one to the next with ``engine.fire_event``. They join the scope of the phase before them.
        The engine enters phases that exist, such as phases from `add_phase`, by itself when an activity ends.

        Args:
            path: two or more phases.
            required: whether to remove direct automatic edges without a guard from the first phase to the last, so
                that a run has to follow the path.

        Raises:
            LifecycleError: if the graph would break a rule.
            TypeError: if `path` is not a path.
            BusyError: if the engine is running or suspended.

        Example:
            >>> trainer = Engine(lambda engine, batch: engine.fire_event("LOSS"))
            >>> path = Events.ITERATION_STARTED >> "LOSS" >> Events.ITERATION_COMPLETED
            >>> trainer.lifecycle.add_path(path, required=True)
            >>> _ = trainer.add_event_handler("LOSS", lambda: print(trainer.phase))
            >>> _ = trainer.run([1])
            LOSS
        """
        self._edit(lambda draft: draft.add_path(path, required))

    def add_transition(
        self,
        edge: Edge,
        *,
        guard: UserFunction | Code | None = None,
        label: str | None = None,
        error: edits.Errors | None = None,
        limit: int | None = None,
        action: UserFunction | Code | None = None,
    ) -> None:
        """Add one transition ``A >> B``; B is added as a phase if it does not exist yet.

        Exits with a guard are tried before the exit without one, which is taken if no guard returned True. As the
        source of an error edge, a scope means every phase in it. As a target, a scope means the phase in which an
        error edge left it: the activity of that phase starts again.

        Args:
            edge: source and target.
            guard: function without side effects, of the engine or without arguments, that returns whether the
                transition may be taken. Tables and pictures show its name.
            label: name of the transition, unique among the exits of its source; by default the name of the target.
            error: exception class, or tuple of exception classes, that takes this edge when raised in the source. The
                edges of the phase are tried first, then the edges of its scopes from the inside out. A scope's edge
                does not take exceptions raised in its own target or, without guard and limit, exceptions raised in a
                recovery that it started. ``state.errors`` counts the errors by label; handlers of the target may take
                the exception as the parameter ``error``.
            limit: maximum number of times that a run takes an error edge; later exceptions propagate.
            action: function of the engine or without arguments, called when the transition is taken.

        Raises:
            LifecycleError: if the graph would break a rule.
            TypeError, ValueError: if an argument is invalid.
            BusyError: if the engine is running or suspended.

        Example:
            >>> trainer = Engine(lambda engine, batch: 6 // batch)
            >>> trainer.logger.setLevel("ERROR")  # a recovery is logged as a warning
            >>> edge = Events.ITERATION_STARTED >> Events.ITERATION_COMPLETED
            >>> trainer.lifecycle.add_transition(edge, error=ZeroDivisionError, limit=2)
            >>> trainer.run([0, 3]).output, trainer.outcome.value
            (2, 'completed')
        """
        guard_code = None if guard is None else edits.user_callable(guard, "the guard", label, {})
        action_code = None if action is None else edits.user_callable(action, "the action", label, {})
        self._edit(lambda draft: draft.add_transition(edge, guard_code, label, error, limit, action_code))

    def insert(
        self,
        event: Event,
        *,
        after: Event | None = None,
        before: Event | None = None,
        activity: UserFunction | Code | Run | None = None,
        counter: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a phase between two phases; other arguments as in `add_phase`.

        With `after`, it takes over all automatic exits of that phase. With `before`, it takes over all automatic
        transitions to that phase, which every run then enters through the new phase, and joins the innermost scope
        around them. The exit from STARTED to RESUMED, by which a run resumes from a loaded state, stays where it is.

            trainer.lifecycle.insert("CLIP", before=StepEvents.OPTIM_STEP_STARTED, activity=clip_gradients)

        Raises:
            LifecycleError: if `after` or `before` is not a phase or has no such transitions, or `event` already is a
                phase.
            TypeError, ValueError: if an argument is invalid, or not exactly one of `after` and `before` is given.
            BusyError: if the engine is running or suspended.

        Example:
            >>> def validate(engine):
            ...     print("validate after epoch", engine.state.epoch)
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> trainer.lifecycle.insert("VALIDATE", after=Events.EPOCH_COMPLETED, activity=validate)
            >>> _ = trainer.run([1, 2], max_epochs=2)
            validate after epoch 1
            validate after epoch 2
        """
        if (after is None) == (before is None):
            raise ValueError(f"insert({event}) takes either after= or before=, got after={after} and before={before}.")
        edits.check_counter(counter)
        code = _activity(event, activity, kwargs)
        if after is not None:
            self._edit(lambda draft: draft.insert(event, after, code, counter))
        elif before is not None:
            self._edit(lambda draft: draft.insert_before(event, before, code, counter))

    def replace(self, event: Event, *, activity: UserFunction | Code | Run | None, **kwargs: Any) -> None:
        """Replace the activity of a phase: the step, a part of it, or a function of yours; None removes it.

            trainer.lifecycle.replace(StepEvents.OPTIM_STEP_STARTED, activity=step_both_optimizers)

        Args:
            event: the phase.
            activity: function or engine, as in `add_phase`.
            **kwargs: arguments of the activity, as in `add_phase`.

        Raises:
            LifecycleError: if `event` is not a phase, or the graph would break a rule.
            TypeError, ValueError: if an argument is invalid.
            BusyError: if the engine is running or suspended.

        Example:
            >>> def double(engine):
            ...     return 2 * engine.state.batch
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> trainer.lifecycle.replace(Events.ITERATION_STARTED, activity=double)
            >>> trainer.run([1, 2]).output
            4
        """
        code = _activity(event, activity, kwargs)
        self._edit(lambda draft: draft.replace_activity(event, code))

    def add_exits(self, event: Event, *, like: Event) -> None:
        """Copy the automatic exits of the phase `like` to the phase `event`.

        The exit from STARTED to RESUMED is not copied to a phase with an activity, which would start again.

        Raises:
            LifecycleError: if either is not a phase, or the graph would break a rule.
            BusyError: if the engine is running or suspended.

        Example:
            >>> trainer = Engine(lambda engine, batch: 6 // batch)
            >>> trainer.logger.setLevel("ERROR")  # a recovery is logged as a warning
            >>> with trainer.lifecycle.edit():
            ...     to_skip = Events.ITERATION_STARTED >> "SKIPPED"
            ...     trainer.lifecycle.add_transition(to_skip, error=ZeroDivisionError, limit=2)
            ...     trainer.lifecycle.add_exits("SKIPPED", like=Events.ITERATION_COMPLETED)
            >>> trainer.run([0, 3]).output
            2
        """
        self._edit(lambda draft: draft.add_exits(event, like))

    def remove_transition(self, edge: Edge, label: str | None = None) -> None:
        """Remove the transitions along `edge`; with a label, only the transition with that label.

        Raises:
            LifecycleError: if there is no such transition.
            BusyError: if the engine is running or suspended.

        Example:
            >>> lifecycle = Lifecycle.training()
            >>> lifecycle.remove_transition(Events.STARTED >> Events.COMPLETED)
            >>> [transition.label for transition in lifecycle.successors(Events.STARTED) if transition.via is None]
            ['loaded', 'next_epoch']
        """
        self._edit(lambda draft: draft.disconnect(edge, label))

    def add(self, *parts: Phase | Transition) -> None:
        """Add phases and transitions, all of them or none.

        Transitions are added after the existing ones: a new exit of a phase is tried last.

        Raises:
            LifecycleError: if the graph would break a rule.
            TypeError: if a part is neither a phase nor a transition.
            BusyError: if the engine is running or suspended.

        Example:
            >>> lifecycle = Lifecycle("one phase")
            >>> begin = Transition(Events.STARTED, "WORK", "begin")
            >>> lifecycle.add(Phase("WORK"), begin, Transition("WORK", Events.COMPLETED, "finish"))
            >>> for walk in lifecycle.paths("WORK", Events.COMPLETED, shortest=True):
            ...     print(walk)
            WORK --finish--> COMPLETED
        """
        for part in parts:
            if not isinstance(part, (Phase, Transition)):
                raise TypeError(f"{part!r} is neither a Phase nor a Transition. Use add_transition for an edge.")
        self._edit(lambda draft: draft.add_parts(parts))

    def remove(self, *parts: Phase | Transition) -> None:
        """Remove phases and transitions, all of them or none.

        Raises:
            LifecycleError: if one of them is not in the lifecycle, or the graph would break a rule.
            BusyError: if the engine is running or suspended.

        Example:
            >>> lifecycle = Lifecycle("unfinished")
            >>> lifecycle.add_phase("WORK", activity=lambda engine: None)
            >>> lifecycle.remove(lifecycle.phases[-1])
            >>> "WORK" in [phase.event for phase in lifecycle.phases]
            False
        """
        self._edit(lambda draft: draft.remove_parts(parts, repr(self)))

    @contextmanager
    def edit(self: E) -> Iterator[E]:
        """Make several edits as one: check the graph once, at the end of the ``with`` block, and adopt it as a whole.

        An exception that leaves the block restores the lifecycle as it was before. An edit that raises inside the block
        changes nothing. Inside the block the lifecycle shows the edits so far, whose graph may break rules, and no run
        can start. A nested block is checked at the end of the outermost one; an exception restores only its own edits.

            with lifecycle.edit():
                lifecycle.add_phase(Rounds.PLAY, play)
                lifecycle.add_path(Events.STARTED >> Rounds.PLAY >> Events.COMPLETED)

        The block costs time in proportion to its edits. An engine adopts the graph once; without the block it does so
        after each edit, which costs O(n) for n phases.

        Raises:
            LifecycleError: at the end of the block, if the graph breaks rules that hold after every edit; the message
                lists all findings.
            ValueError: at the end of the block, if a handler cannot be called with the arguments of its changed event.
            BusyError: if the engine is running or suspended.

        Example:
            >>> lifecycle = Lifecycle.training(lambda engine, batch: batch)
            >>> before = lifecycle.to_dict()
            >>> try:
            ...     with lifecycle.edit():
            ...         lifecycle.insert("VALIDATE", after=Events.EPOCH_COMPLETED)
            ...         raise ValueError("changed my mind")
            ... except ValueError:
            ...     print(lifecycle.to_dict() == before)
            True
        """
        self._allow_change()
        if self._draft is None:
            self._draft = edits.Draft(self._base, self._base_unscoped)
        draft, mark, required = self._draft, len(self._draft.changes), self._required
        self._open_blocks += 1
        try:
            yield self
            if self._open_blocks == 1:
                self._adopt(draft)
        except BaseException:
            draft.undo_changes(mark)
            self._required = required
            raise
        finally:
            self._open_blocks -= 1

    def _edit(self, edit: Callable[[edits.Draft], None]) -> None:
        with self.edit():
            assert self._draft is not None
            edit(self._draft)

    def _allow_change(self) -> None:
        engine = self._engine()
        if engine is not None:
            engine._allow_change()

    def _adopt(self, draft: edits.Draft) -> None:
        """Check the changes of `draft` and pass its graph to the engine."""
        if not draft.changes:
            return
        self._allow_change()
        raise_errors(edit_findings(ChangedPart(draft)))
        engine = self._engine()
        if engine is not None:
            engine._adopt_graph(draft.graph)
        draft.forget_changes()

    def _ensure_no_open_block(self) -> None:
        if self._open_blocks:
            raise BusyError(f"{self!r} is being edited. Leave its `with lifecycle.edit():` block first.")

    # Checking

    def check(self) -> list[Finding]:
        """Return the rules that the lifecycle breaks, and the requirements that do not hold.

        A lifecycle without findings can run. Findings with ``is_error=False`` are warnings and do not prevent a run.

        Example:
            >>> lifecycle = Lifecycle("unfinished")
            >>> lifecycle.add_phase("WORK", activity=lambda engine: None)
            >>> [finding.code for finding in lifecycle.check()]
            ['unreachable', 'stuck', 'stuck']
        """
        step = self._step_findings()
        broken = (found for rule in self._required if (found := self._broken_requirement(*rule)))
        return Findings([*findings(self._graph), *step, *broken])

    def _step_findings(self) -> list[Finding]:
        if isinstance(self.step, Unbound):
            return [unbound_finding([self.step.key])]
        if ignores_options(self._graph, self.step):
            return [
                Finding(
                    "step",
                    f"the step {getattr(self.step, '__name__', self.step)} has options, such as "
                    f"gradient_accumulation_steps or prepare_batch, but the lifecycle is of a trainer without options, "
                    f"whose parts would ignore them.",
                    "Use the lifecycle of a trainer that was made with the same options.",
                )
            ]
        return [
            Finding(
                "step",
                f"the step {getattr(self.step, '__name__', self.step)} has no attribute {name}, which {phase} uses."
                if self.step is not None
                else f"the lifecycle has no step, but {phase} uses its attribute {name}.",
                "Use the result of supervised_training_step(...) as the step, or replace the activity of the phase.",
            )
            for phase, name in missing_parts(self._graph, self.step)
        ]

    def _use_step(self, step: Callable[[Any, Any], Any]) -> None:
        """Replace the step; the parts of the former step become one activity that calls `step`.

        Raises:
            LifecycleError: if the phases of the former step were edited.
            BusyError: if the engine is in a run or an edit block is open, and the step has parts.
        """
        if self._graph.step_phases:
            self._ensure_no_open_block()
            self._allow_change()
            graph = with_one_activity(self._graph, getattr(self.step, "graph_of_parts", self._graph))
            engine, unscoped = self._engine(), self._unscoped
            if engine is not None:
                engine._adopt_graph(graph)
            self._graph, self._unscoped = graph, unscoped
        self.step = step

    def require(self, event: Event, *, before: Event) -> None:
        """Require that every run visits the phase `event` before it enters the phase `before`.

        The proof is that no path is left without `event`. It is repeated before a run if the graph has changed.

        Raises:
            LifecycleError: if the requirement does not hold; the message shows a path around `event`. The requirement
                is not kept then.

        Example:
            >>> lifecycle = Lifecycle.training()
            >>> lifecycle.require(Events.EPOCH_STARTED, before=Events.ITERATION_STARTED)  # proven for every run
            >>> try:
            ...     lifecycle.require(Events.EPOCH_COMPLETED, before=Events.ITERATION_STARTED)
            ... except LifecycleError:
            ...     print("a run may enter ITERATION_STARTED first")
            a run may enter ITERATION_STARTED first
        """
        if self._draft is not None:
            raise_errors(edit_findings(ChangedPart(self._draft)))  # a block may be open
        broken = self._broken_requirement(event, before)
        if broken is not None:
            raise LifecycleError(str(broken))
        self._required += ((event, before),)
        self._validated = None

    def _broken_requirement(self, event: Event, before: Event) -> Finding | None:
        from fsm_engine.lifecycle.requirements import path_around

        for end in (event, before):
            self._number(end)
        around = path_around(self._graph, event, before)
        if around is None:
            return None
        return Finding(
            "required",
            f"a run may enter {before} without {event}: {' -> '.join(around)}.",
            "Remove an edge of this path, or put the phase on it, such as with add_path(..., required=True).",
        )

    def _ensure_valid(self) -> None:
        """Check that the lifecycle can run.

        Raises:
            LifecycleError: with the messages and fixes of all errors.
            BusyError: if an edit block is open.
        """
        self._ensure_no_open_block()
        graph = self.graph
        if self._validated is graph:
            return
        raise_errors(self.check())
        self._validated = graph

    # With an engine

    def _copy_for(self: E, engine: Owner) -> E:
        self._ensure_no_open_block()
        copy = type(self)(self.name)
        copy.step, copy._graph, copy._required = self.step, self._graph, self._required
        copy.discovered = dict(self.discovered)
        if self.step is None:
            copy._graph = _without_step(self._graph)
        copy._unscoped = self._unscoped
        copy._engine = weakref.ref(engine)
        engine._adopt_graph(copy._graph)
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LifecycleBuilder):
            return NotImplemented
        mine, others = self._graph, other._graph
        return mine is others or (mine.phases, mine.transitions) == (others.phases, others.transitions)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __getstate__(self) -> dict[str, Any]:
        self._ensure_no_open_block()
        return {**vars(self), "_base": self.graph, "_base_unscoped": self._unscoped, "_draft": None}

    def __repr__(self) -> str:
        return f"<Lifecycle {self.name}: {len(self.phases)} phases, {len(self.transitions)} transitions>"


def _no_engine() -> None:
    return None


def _activity(event: Event, activity: Any, kwargs: Mapping[str, Any]) -> Any:
    if activity is None:
        if kwargs:
            arguments = ", ".join(f"{name}=" for name in kwargs)
            raise ValueError(f"{arguments} would be passed to an activity, but {event} has none. Pass activity=.")
        return None
    return edits.user_callable(activity, f"the activity of {event}", str(event), kwargs, keeps=True)


def _is_step(code: Code | None) -> bool:
    return isinstance(code, CodeFragment) and code.is_step


@lru_cache(maxsize=64)
def _without_step(graph: Graph) -> Graph:
    return Graph(
        tuple(
            replace(
                phase,
                activity=None if _is_step(phase.activity) else phase.activity,
                entry=tuple(code for code in phase.entry if not _is_step(code)),
            )
            for phase in graph.phases
        ),
        graph.transitions,
    )
