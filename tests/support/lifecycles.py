"""Random lifecycles with a program that runs on them and logs its calls, so that drivers can be compared.

A plan is plain data: the edits of the lifecycle, the acts at the n-th call of a place, and the observed events. Each
driver runs an engine that is built from the same plan.
"""

from __future__ import annotations

import logging
import random
import threading
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import hypothesis
from hypothesis import strategies as st
from programs import Boom, Requests, Runaway, Sized

from fsm_engine import Engine, EventEnum, Events, Exit, Lifecycle, LifecycleError, Scope, Transition, Trigger
from fsm_engine.engine.error_recovery import error_edge_name
from fsm_engine.timeline import Timeline


class P(EventEnum):
    """Phases of the user."""

    A = "a"
    B = "b"
    C = "c"
    D = "d"
    E = "e"
    F = "f"
    G = "g"
    H = "h"


class R(EventEnum):
    """Phases that error edges lead to."""

    SKIP = "skip"
    RETRY = "retry"
    GIVE_UP = "give_up"


class Halt(BaseException):
    """Exception that no error edge takes."""


OWN = Scope("own", Scope.RUN)
INNER = Scope("inner", OWN)
ERRORS: dict[str, type[BaseException]] = {"boom": Boom, "memory": MemoryError, "any": Exception}
RAISED = {**ERRORS, "halt": Halt}
ACTS = (
    *("terminate", "terminate, skip", "terminate_epoch", "terminate_epoch, skip", "interrupt"),
    *("raise boom", "raise boom", "raise memory", "raise halt", "attach", "detach", "fire"),
    *("thread terminate", "thread terminate_epoch", "thread interrupt"),
)
SIGNALS = ("terminate", "terminate_epoch", "interrupt")
WALKED = ("STARTED", "EPOCH_STARTED", "GET_BATCH_COMPLETED", "ITERATION_COMPLETED", "EPOCH_COMPLETED")
FROM = (*WALKED, "GET_BATCH_STARTED", "ITERATION_STARTED", "DATALOADER_STOP_ITERATION")
TO = ("EPOCH_STARTED", "ITERATION_COMPLETED", "EPOCH_COMPLETED", "COMPLETED", "GET_BATCH_STARTED", "TERMINATE")


@dataclass(frozen=True)
class Plan:
    """Lifecycle and program; see the module docstring."""

    base: str
    edits: tuple[tuple[Any, ...], ...]
    acts: dict[tuple[str, int], str] = field(hash=False)
    seed: int
    kind: str
    length: int
    epoch_length: int | None
    runs: int
    observed: tuple[str, ...]
    moves: tuple[tuple[str, ...], ...]
    watched: bool


def plans() -> st.SearchStrategy[Plan]:
    """Return a strategy of plans by seed: Hypothesis would otherwise prefer small ones."""
    return st.integers(0, 2**64 - 1).map(plan_of)


def plan_of(seed: int) -> Plan:
    """Return the plan that `seed` generates."""
    return _plan(random.Random(seed))


def _plan(rng: random.Random) -> Plan:
    base = rng.choice(("training", "training", "own"))
    edits = _edits_of_training(rng) if base == "training" else _edits_of_own(rng)
    names = [*(p.name for p in P), *(r.name for r in R), *WALKED]
    places = [
        *names,
        "step",
        "fired",
        "activity",
        "action",
        "edge",
        "exit",
        "STARTED",
        "INTERRUPT",
        "RESUMED",
        "fetch",
    ]
    usual = ["step", "fired", "activity", "ITERATION_STARTED", "ITERATION_COMPLETED", "EPOCH_STARTED"]
    chosen = rng.choices(places, k=rng.choice((0, 1, 2, 3))) + rng.choices(usual, k=rng.choice((0, 1, 1, 2, 3)))
    acts = {(place, rng.randint(1, 3)): rng.choice(ACTS) for place in chosen}
    if rng.random() < 0.3:
        acts["guard", rng.randint(0, 2)] = "raise boom"
    moves = tuple(_move(rng, names) for _ in range(rng.choice((0, 0, 3, 6))))
    for place, wanted in (("exit", moves), ("edge", moves), ("action", edits), ("fetch", edits)):
        if wanted and rng.random() < 0.25:
            acts[place, 1] = rng.choice(ACTS)
    if any(edit[0] == "error" for edit in edits) and rng.random() < 0.7:
        acts["step" if base == "training" else "activity", rng.randint(1, 2)] = rng.choice(
            ("raise boom", "raise memory")
        )
    events = [*names, *(event.name for event in Events if event.name not in names)]
    share = rng.choice((0.0, 0.5, 1.0, 1.0))
    return Plan(
        base=base,
        edits=tuple(edits),
        acts=acts,
        seed=rng.randint(0, 9),
        kind=rng.choice(("list", "sized", "generator", "none")),
        length=rng.randint(1, 4),
        epoch_length=rng.choice((None, None, 1, 3)),
        runs=rng.choice((1, 2, 3)),
        observed=tuple(event for event in events if rng.random() < share),
        moves=moves,
        watched=rng.random() < 0.7,
    )


def _move(rng: random.Random, names: list[str]) -> tuple[str, ...]:
    if rng.random() < 0.4:
        return ("exit", rng.choice([*names, "ITERATION_STARTED", "run", "epoch", "iteration", "own", "inner"]))
    often = (("STARTED", "EPOCH_STARTED"), ("GET_BATCH_COMPLETED", "ITERATION_STARTED"), ("run", "COMPLETED"))
    ends = rng.choice([*names, *FROM, "run", "epoch"]), rng.choice([*names, *TO, "RESUMED"])
    return ("edge", *(rng.choice(often) if rng.random() < 0.4 else ends))


def _edits_of_training(rng: random.Random) -> list[tuple[Any, ...]]:
    edits: list[tuple[Any, ...]] = []
    free = [p.name for p in P]
    rng.shuffle(free)
    if rng.random() < 0.6:
        path = [free.pop() for _ in range(rng.randint(1, 3))]
        edits.append(("path", "ITERATION_STARTED", *path, "ITERATION_COMPLETED", rng.random() < 0.5))
        if rng.random() < 0.5:
            edits.append(("path", rng.choice(path), rng.choice(path), False))
        if rng.random() < 0.5:
            edits.append(("path", rng.choice(path), "ITERATION_COMPLETED", False))
    for _ in range(rng.choice((0, 0, 1, 2))):
        edits.append(("insert", free.pop(), rng.choice(FROM), rng.random() < 0.4))
    for _ in range(rng.choice((0, 1, 1))):
        edits.append(("transition", rng.choice(FROM), rng.choice(TO), rng.randint(2, 3)))
    edits += _error_edges(rng, (*FROM, *TO, *(p.name for p in P)), ("run", "epoch", "iteration"))
    return edits


def _edits_of_own(rng: random.Random) -> list[tuple[Any, ...]]:
    free = [p.name for p in P]
    rng.shuffle(free)
    chain = [free.pop() for _ in range(rng.randint(1, 4))]
    edits: list[tuple[Any, ...]] = [
        ("phase", name, rng.choice(("run", "own", "inner", None)), rng.random() < 0.5) for name in chain
    ]
    edits.append(("path", "STARTED", *chain, "COMPLETED", False))
    for _ in range(rng.choice((0, 1, 2))):
        edits.append(
            ("transition", rng.choice(chain), rng.choice([*chain, "COMPLETED", "TERMINATE"]), rng.randint(2, 3))
        )
    if rng.random() < 0.4:
        start, fired = rng.choice(chain), free.pop()
        edits.append(("path", start, fired, rng.choice([*chain, "COMPLETED"]), rng.random() < 0.5))
    if rng.random() < 0.4:
        edits.append(("insert", free.pop(), rng.choice(chain), False))
    edits += _error_edges(rng, (*chain, "STARTED", "COMPLETED"), ("run", "own", "inner"))
    return edits


def _error_edges(rng: random.Random, phases: tuple[str, ...], scopes: tuple[str, ...]) -> list[tuple[Any, ...]]:
    edits = []
    for name in [r.name for r in R]:
        if rng.random() < 0.6:
            usual = "ITERATION_STARTED" if "iteration" in scopes else phases[0]
            source = rng.choice((usual, usual, rng.choice(phases), *scopes))
            out = rng.choice((*phases, *scopes, "like"))
            error = rng.choice(list(ERRORS))
            limit = rng.choice(
                (1, 2) if error == "any" else (None, 1, 2)
            )  # without a limit, a recovery that fails repeats forever
            if rng.random() < 0.2:
                source, out = rng.choice((usual, scopes[-1])), scopes[-1]
            edits.append(("error", source, name, error, limit, out, rng.random() < 0.2))
    return edits


def end_of(name: str | None) -> Any:
    """Return the event or scope named `name`."""
    scopes = {str(scope): scope for scope in (Scope.RUN, Scope.EPOCH, Scope.ITERATION, OWN, INNER)}
    for kind in (P, R, Events):
        if name in kind.__members__:
            return kind[name]
    return scopes.get(name) if name is not None else None


class Building:
    """Engine of a plan, run by one driver or by several in turn.

    Attributes:
        lifecycle: lifecycle after the edits, even if it is not valid.
        log: calls and results, equal for all drivers.
        walk: transitions that an observer received.
        seen: counts of the kinds of acts and moves that occurred.
    """

    def __init__(self, plan: Plan, drivers: tuple[str, ...]) -> None:
        self.plan, self.drivers = plan, drivers
        self.log: list[Any] = []
        self.walk: list[Transition] = []
        self.seen: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._rng = random.Random(plan.seed)
        self._handles: list[Any] = []
        lifecycle = Lifecycle.training(self._step) if plan.base == "training" else Lifecycle("own")
        self.refused: list[str] = []
        for edit in plan.edits:
            self._edit(lifecycle, edit)
        self.lifecycle = lifecycle
        self.wrong = [finding.code for finding in lifecycle.check() if finding.is_error]
        if not self.wrong:
            self.make_engine()

    def make_engine(self) -> None:
        """Make a new engine with the lifecycle and the handlers of the plan, and clear the log."""
        self.log = []
        self.engine = Engine(lifecycle=self.lifecycle)
        self.engine.logger = logging.getLogger("silent")
        self.engine.logger.disabled = True
        self._attach()

    def _edit(self, lifecycle: Lifecycle, edit: tuple[Any, ...]) -> None:
        before = lifecycle.graph
        try:
            self._apply(lifecycle, *edit)
        except LifecycleError as error:
            self.refused.append(str(error))
            if edit[0] != "error":  # an error edit adds two transitions
                assert lifecycle.graph is before

    def _apply(self, lifecycle: Lifecycle, kind: str, *what: Any) -> None:
        if kind == "phase":
            name, scope, counted = what
            counter = f"count_of_{name.lower()}" if counted else None
            lifecycle.add_phase(end_of(name), self._activity, scope=end_of(scope), counter=counter, name=name)
        elif kind == "path":
            *names, required = what
            path = end_of(names[0]) >> end_of(names[1])
            for name in names[2:]:
                path = path >> end_of(name)
            lifecycle.add_path(path, required=required)
        elif kind == "insert":
            name, after, idle = what
            activity = {} if idle else {"activity": self._activity, "name": name}
            lifecycle.insert(end_of(name), after=end_of(after), counter=f"count_of_{name.lower()}", **activity)
        elif kind == "transition":
            source, target, modulus = what
            lifecycle.add_transition(
                end_of(source) >> end_of(target), guard=self._guard(source, modulus), action=self._action
            )
        elif kind == "error":
            self._apply_error(lifecycle, *what)

    def _apply_error(
        self, lifecycle: Lifecycle, source: str, name: str, error: str, limit: int | None, out: str, guarded: bool
    ) -> None:
        trial = Lifecycle.of(lifecycle.graph)
        for target in (trial, lifecycle):  # add both edges or neither
            guard = self._guard(source, 2) if guarded else None
            target.add_transition(end_of(source) >> R[name], error=ERRORS[error], limit=limit, guard=guard)
            if out == "like":
                target.add_exits(R[name], like=Events.STARTED)
            else:
                target.add_transition(R[name] >> end_of(out))

    def _guard(self, place: str, modulus: int) -> Any:
        def divides(engine: Engine) -> bool:
            state = engine.state
            if ("guard", state.iteration) in self.plan.acts:
                self.seen["raise from guard"] += 1
                self._act("guard that raises")
                raise Boom("guard")
            counters = sum(value for name, value in vars(state).items() if name.startswith("count_of"))
            return bool((state.iteration + state.epoch + counters) % modulus == 1)

        divides.__name__ = f"{place} of {modulus}"
        return divides

    def _attach(self) -> None:
        engine = self.engine
        for name in self.plan.observed:
            event = end_of(name)
            if not engine.has_registered_events(event):
                continue
            if event is Events.EXCEPTION_RAISED:
                engine.add_event_handler(event, lambda error: self._handler(f"EXCEPTION_RAISED {error!r}"))
            elif engine.lifecycle.graph.index[event] in engine.lifecycle.graph.recovery_phases:
                engine.add_event_handler(event, lambda error, n=name: self._handler(n, repr(error)))
            else:
                engine.add_event_handler(event, self._handler_of, name)
        for kind, *ends in self.plan.moves:
            move = Exit(end_of(ends[0])) if kind == "exit" else end_of(ends[0]) >> end_of(ends[1])
            if engine.has_registered_events(move):
                engine.add_event_handler(move, self._moved, kind)
        if self.plan.watched:
            engine.observe(lambda _engine, transition: self._observe(transition))

    @property
    def _requests(self) -> Requests:
        return Requests(fetched=lambda: self._act("fetch"), ended=lambda: self._act("fetch"))

    def run(self) -> Building:
        """Run the plan."""
        plan, engine = self.plan, self.engine
        data = {
            "list": lambda: [10 + number for number in range(plan.length)],
            "sized": lambda: Sized(plan.length, self._requests),
            "generator": lambda: iter(Sized(plan.length, self._requests)),
            "none": lambda: None,
        }[plan.kind]()
        limits: dict[str, Any] = {}
        if engine.lifecycle.graph.has_epochs:
            limits = {"max_epochs": 2, "epoch_length": plan.epoch_length or (2 if plan.kind == "none" else None)}
        for number in range(plan.runs):
            self._run(data, limits, self.drivers[number % len(self.drivers)])
        return self

    def _run(self, data: Any, limits: dict[str, Any], driver: str) -> None:
        engine = self.engine
        resumes = engine.phase.name == "INTERRUPT"
        given = limits if engine.outcome is None or not resumes else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                engine.run(data, driver=driver, **given)
                self.log.append(("returned", str(engine.outcome)))
            except (Exception, Runaway, Halt) as error:
                self.log.append(("raised", type(error).__name__, str(error)))
        state = {
            name: value for name, value in engine.state.attributes().items() if name not in ("times", "dataloader")
        }
        self.log.append((engine.phase.name, str(engine.last_event_name), repr(state)))
        self.seen[str(engine.outcome)] += 1
        self.seen["resumed"] += resumes
        self._count_errors(engine)

    def _count_errors(self, engine: Engine) -> None:
        taken, graph = engine.state.errors, engine.lifecycle.graph
        for edge in (t for t in graph.transitions if t.error and error_edge_name(t) in taken):
            self.seen["error from a scope" if isinstance(edge.source, Scope) else "error from a phase"] += 1
            self.seen["limit reached"] += edge.limit == taken[error_edge_name(edge)]
        self.seen["counted"] += any(getattr(engine.state, counter) for counter in graph.counters.values())

    def _step(self, engine: Engine, batch: Any) -> Any:
        self.log.append(("step", engine.state.iteration, batch))
        self._act("step")
        self._wander("step")
        return batch

    def _activity(self, engine: Engine, name: str) -> Any:
        self.log.append(("activity", name, engine.phase.name))
        self._act("activity")
        self._wander("activity")
        return self._counts["activity"] if self._rng.random() < 0.5 else None

    def _action(self) -> None:
        self.log.append("action")
        self.seen["guarded exit"] += 1
        self._act("action")

    def _wander(self, who: str) -> None:
        """Fire up to eight random phases; stop early at random where an automatic exit exists."""
        engine = self.engine
        for _ in range(8):
            exits = engine.lifecycle.successors(engine.phase.event)
            fired = [t.target for t in exits if t.trigger is Trigger.FIRED]
            free = any(t.trigger is Trigger.AUTOMATIC for t in exits)
            if not fired:
                return
            choice = self._rng.randrange(len(fired) + free)
            if choice == len(fired):
                return
            engine.fire_event(fired[choice])
            self.seen[f"fired by {who}"] += 1
            self.log.append(("fired", engine.phase.name))
            self._act("fired")

    def _handler_of(self, _engine: Engine, name: str) -> None:
        self._handler(name)

    def _handler(self, name: str, *more: Any) -> None:
        state = self.engine.state
        self.log.append((name, *more, self.engine.phase.name, state.epoch, state.iteration, state.batch, state.output))
        self.log.append(dict(state.errors))
        self._act(name.partition(" ")[0])

    def _moved(self, _engine: Engine, kind: str, transition: Transition) -> None:
        self.log.append((kind, str(transition), self.engine.phase.name))
        self.seen[f"handler of {kind}"] += 1
        self._act(kind)

    def _observe(self, transition: Transition) -> None:
        self.walk.append(transition)
        self.log.append(("told", str(transition)))
        graph = self.engine.lifecycle.graph
        if isinstance(transition.source, R) and transition not in graph.exits[graph.index[transition.source]]:
            self.seen["back into history"] += 1
        self.seen["own scope"] += OWN.contains(graph.phases[graph.index[transition.target]].scope)

    def _act(self, where: str) -> None:
        self._counts[where] += 1
        self._counts["all"] += 1
        if self._counts["all"] > 300:
            raise Runaway
        what = self.plan.acts.get((where, self._counts[where]))
        if what is not None:
            self.log.append(("does", what, where))
            self.seen[what] += 1
            kind = "signal" if what.partition(",")[0].split()[-1] in SIGNALS else what.split()[0]
            self.seen[f"{kind} from {where if where.islower() else 'handler'}"] += 1
            self._do(what)

    def _do(self, what: str) -> None:
        engine = self.engine
        if what.startswith("raise"):
            raise RAISED[what.removeprefix("raise ")]("raised")
        if what == "attach":
            name = self._rng.choice(
                [p.name for p in engine.lifecycle.phases[1:] if p.event is not Events.EXCEPTION_RAISED]
            )
            self._handles.append(engine.add_event_handler(end_of(name), lambda: self._handler(f"{name} new")))
        elif what == "detach":
            engine.remove_event_handler(self._handler_of, Events[self._attached()]) if self._attached() else None
        elif what == "fire":
            engine.fire_event(self._rng.choice([phase.event for phase in engine.lifecycle.phases[1:]]))
        elif what.startswith("thread"):
            thread = threading.Thread(target=self._signal, args=(what.removeprefix("thread "),))
            thread.start()
            thread.join()
        else:
            self._signal(what)

    def _attached(self) -> str | None:
        known = [event for event in Events if self.engine.has_registered_events(event)]
        return next((e.name for e in known if self.engine.has_event_handler(self._handler_of, e)), None)

    def _signal(self, what: str) -> None:
        name, _, skip = what.partition(", ")
        try:
            getattr(self.engine, name)(*[True] if skip else [])
        except RuntimeError as error:
            self.log.append(str(error))


def built(plan: Plan) -> Building:
    """Return the building of `plan`; Hypothesis rejects a plan whose lifecycle is not valid."""
    building = Building(plan, ("compiled",))
    hypothesis.assume(not building.wrong)
    return building


def recorded_run(plan: Plan) -> tuple[Building, Timeline]:
    """Return the building of `plan` after its runs, and their timeline."""
    building = built(plan)
    with building.engine.record() as timeline:
        building.run()
    return building, timeline
