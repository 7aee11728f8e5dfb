"""The operations that `growth.py` measures, by the number of phases, handlers or moves."""

from __future__ import annotations

import copy
import functools
import logging
import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsm_engine import Engine, Events, Lifecycle, Scope
from fsm_engine.timeline import Timeline

Call = Callable[[], object]


@dataclass(frozen=True)
class Operation:
    """An operation whose cost grows with `unit`.

    Attributes:
        unit: "phases", "handlers" or "moves".
        name: the name in the table and in the plot.
        prepare: makes the objects for a size, without being timed, and returns the call to time.
        bound: the exponent that is accepted; above 1 only with a reason in the docstring of the function.
    """

    unit: str
    name: str
    prepare: Callable[[int], Call]
    bound: float = 1.0


OPERATIONS: list[Operation] = []


def operation(unit: str, name: str, bound: float = 1.0) -> Callable[[Callable[[int], Call]], Callable[[int], Call]]:
    """Return a decorator that adds a function as `Operation.prepare`."""

    def add(prepare: Callable[[int], Call]) -> Callable[[int], Call]:
        OPERATIONS.append(Operation(unit, name, prepare, bound))
        return prepare

    return add


def act() -> None:
    """Do nothing, as the activity of a phase."""


class Part:
    """An activity that does nothing; each phase has one of its own."""

    def __call__(self) -> None:
        """Do nothing."""


def handle() -> None:
    """Do nothing, as a handler."""


def names_of(size: int) -> list[str]:
    """Return the names of `size` phases."""
    return [f"part_{number}" for number in range(size)]


def write_path(names: list[str]) -> Any:
    """Return the path STARTED >> names >> COMPLETED."""
    path: Any = Events.STARTED >> names[0]
    for name in names[1:]:
        path = path >> name
    return path >> Events.COMPLETED


def add_chain(lifecycle: Lifecycle, names: list[str]) -> None:
    """Add a chain of phases with activities between STARTED and COMPLETED."""
    for name in names:
        lifecycle.add_phase(name, Part())
    lifecycle.add_path(write_path(names))


def chain(size: int) -> Lifecycle:
    """Return a lifecycle whose run enters `size` phases in a row."""
    lifecycle = Lifecycle("chain")
    with lifecycle.edit():
        add_chain(lifecycle, names_of(size))
    return lifecycle


def quiet(engine: Engine) -> Engine:
    """Return `engine` with a logger that logs nothing."""
    engine.logger = logging.getLogger("growth")
    engine.logger.disabled = True
    return engine


def chain_engine(size: int) -> Engine:
    """Return an engine that has run a chain of phases once."""
    engine = quiet(Engine(lifecycle=chain(size)))
    engine.run()
    return engine


# Phases


@operation("phases", "write a path A >> B >> ...")
def prepare_path(size: int) -> Call:
    """Write a path with ``>>``."""
    names = names_of(size)
    return lambda: write_path(names).ends


@operation("phases", "build in one edit block")
def prepare_block(size: int) -> Call:
    """Build a chain in one block."""
    return lambda: chain(size).graph


@operation("phases", "build edit by edit")
def prepare_edits(size: int) -> Call:
    """Build a chain of phases and edges one by one."""

    def build() -> object:
        lifecycle = Lifecycle("chain")
        before: Any = Events.STARTED
        for name in names_of(size):
            lifecycle.add_phase(name, act)
            lifecycle.add_transition(before >> name if not isinstance(before, str) else write_edge(before, name))
            before = name
        lifecycle.add_transition(before >> Events.COMPLETED)
        return lifecycle.graph

    return build


def write_edge(source: str, target: str) -> Any:
    """Return an edge between two strings."""
    from fsm_engine import Edge

    return Edge(source, target)


@operation("phases", "build an engine's lifecycle in one edit block")
def prepare_engine_block(size: int) -> Call:
    """Edit the lifecycle of an engine, which adopts the graph."""

    def build() -> object:
        engine = Engine(lifecycle=Lifecycle("chain"))
        with engine.lifecycle.edit():
            add_chain(engine.lifecycle, names_of(size))
        return engine

    return build


@operation("phases", "remove all phases in one edit block")
def prepare_removal(size: int) -> Call:
    """Remove the phases of a chain."""
    whole = chain(size)

    def remove() -> object:
        lifecycle = copy.copy(whole)
        with lifecycle.edit():
            names = set(names_of(size))
            parts = [p for p in lifecycle.phases if p.event in names]
            edges = [t for t in lifecycle.transitions if t.source in names or t.target in names]
            lifecycle.remove(*edges, *parts)
        return lifecycle.graph

    return remove


@operation("phases", "one edit of a built lifecycle")
def prepare_edit(size: int) -> Call:
    """Add and remove an edge of a lifecycle that was edited before."""
    lifecycle = chain(size)

    def edit() -> None:
        lifecycle.add_transition(Events.STARTED >> Events.TERMINATE, error=ValueError, label="extra")
        lifecycle.remove_transition(Events.STARTED >> Events.TERMINATE)

    edit()
    return edit


@operation("phases", "check")
def prepare_check(size: int) -> Call:
    """Check all rules."""
    graph = chain(size).graph
    return lambda: Lifecycle.of(type(graph)(graph.phases, graph.transitions)).check()


@operation("phases", "require and prove it")
def prepare_require(size: int) -> Call:
    """Prove that one phase comes before another."""
    lifecycle = chain(size)
    return lambda: lifecycle.require("part_0", before=f"part_{size - 1}")


@operation("phases", "build in one edit block, and run it first")
def prepare_first_run(size: int) -> Call:
    """Build, compile and run a chain of phases."""
    return lambda: chain_engine(size)


@operation("phases", "a run through all phases")
def prepare_run(size: int) -> Call:
    """Run a chain again."""
    return chain_engine(size).run


@operation("phases", "a thousand moves between distant phases")
def prepare_jumps(size: int) -> Call:
    """Run a loop between the first and the last phase of a long list."""
    lifecycle = chain(size)
    last = names_of(size)[-1]

    def often(engine: Engine) -> bool:
        engine.state.rounds += 1
        return bool(engine.state.rounds % 1000)

    with lifecycle.edit():
        lifecycle.add_phase("hub", act, scope=Scope.RUN)
        lifecycle.remove(next(t for t in lifecycle.transitions if t.source is Events.STARTED and t.target == "part_0"))
        lifecycle.add_transition(Events.STARTED >> "hub")
        lifecycle.add_transition(write_edge("hub", "part_0"), guard=lambda engine: engine.state.rounds < 0, label="in")
        lifecycle.add_transition(write_edge("hub", last))
        lifecycle.add_transition(write_edge(last, "hub"), guard=often)
    engine = quiet(Engine(lifecycle=lifecycle))
    engine.state.rounds = 0
    engine.run()
    return engine.run


@operation("phases", "a run with every phase observed")
def prepare_observed(size: int) -> Call:
    """Run a chain with an observer."""
    engine = chain_engine(size)
    engine.observe(lambda _engine, _transition: None)
    engine.run()
    return engine.run


@operation("phases", "fire all phases from an activity")
def prepare_fired(size: int) -> Call:
    """Fire a chain of phases from the step."""
    names = names_of(size)

    def step(engine: Engine, _batch: Any) -> None:
        for name in names:
            engine.fire_event(name)

    path: Any = Events.ITERATION_STARTED >> names[0]
    for name in names[1:]:
        path = path >> name
    engine = quiet(Engine(step))
    engine.lifecycle.add_path(path >> Events.ITERATION_COMPLETED, required=True)
    engine.run([0], max_epochs=1)
    return lambda: engine.run([0], max_epochs=1)


@operation("phases", "copy an engine")
def prepare_copy(size: int) -> Call:
    """Copy an engine deeply."""
    engine = chain_engine(size)
    return lambda: copy.deepcopy(engine)


@operation("phases", "pickle an engine")
def prepare_pickle(size: int) -> Call:
    """Pickle an engine and load it."""
    engine = chain_engine(size)
    return lambda: pickle.loads(pickle.dumps(engine))


@operation("phases", "compare two lifecycles")
def prepare_diff(size: int) -> Call:
    """Compare a chain with a longer one."""
    one, other = chain(size), chain(size + 1)
    return lambda: str(one.diff(other))


@operation("phases", "reachable phases")
def prepare_reachable(size: int) -> Call:
    """Return the phases that a run may enter."""
    lifecycle = chain(size)
    return lambda: lifecycle.reachable(Events.STARTED)


@operation("phases", "dominators", bound=2.0)
def prepare_dominators(size: int) -> Call:
    """Return the dominators."""
    lifecycle = chain(size)
    return lambda: lifecycle.dominators()["part_0"]


@operation("phases", "a shortest path")
def prepare_shortest(size: int) -> Call:
    """Return the shortest path through all phases."""
    lifecycle = chain(size)
    return lambda: next(lifecycle.paths(Events.STARTED, f"part_{size - 1}", shortest=True))


@operation("phases", "test paths", bound=2.0)
def prepare_test_paths(size: int) -> Call:
    """Return runs that take every transition."""
    lifecycle = chain(size)
    return lifecycle.test_paths


@operation("phases", "coverage of a run")
def prepare_coverage(size: int) -> Call:
    """Measure the coverage of a run."""
    engine = chain_engine(size)
    walk: list[Any] = []
    with engine.observe(lambda _engine, transition: walk.append(transition)):
        engine.run()
    return lambda: str(engine.lifecycle.coverage(walk))


def _rendered(format_: str) -> Callable[[int], Call]:
    def prepare(size: int) -> Call:
        from fsm_engine.render import render

        lifecycle = chain(size)
        return lambda: render(lifecycle, format_)

    return prepare


for format_ in ("svg", "html", "mmd", "dot"):
    operation("phases", f"draw .{format_}")(_rendered(format_))


@operation("phases", "print the table")
def prepare_table(size: int) -> Call:
    """Print a lifecycle."""
    lifecycle = chain(size)
    return lambda: str(lifecycle)


def _written(form: str) -> Callable[[int], Call]:
    def prepare(size: int) -> Call:
        lifecycle = chain(size)
        write, read = getattr(lifecycle, f"to_{form}"), getattr(Lifecycle, f"from_{form}")
        return lambda: read(write())

    return prepare


for form in ("dict", "json", "scxml", "graphml", "networkx"):
    operation("phases", f"write and read {form}")(_written(form))


@operation("phases", "a machine of transitions")
def prepare_machine(size: int) -> Call:
    """Make a machine of the library."""
    lifecycle = chain(size)
    return lifecycle.to_transitions


@operation("phases", "explain and engine.check")
def prepare_engine_check(size: int) -> Call:
    """Check the handlers of an engine."""
    engine = chain_engine(size)
    for name in names_of(size):
        engine.add_event_handler(name, handle)
    return lambda: (engine.check(max_epochs=1), engine.explain("part_0"))


# Handlers


def trainer() -> Engine:
    """Return a trainer whose step does nothing."""
    return quiet(Engine(lambda _engine, _batch: None))


def with_handlers(size: int) -> Engine:
    """Return a trainer with handlers on ITERATION_COMPLETED that has run once."""
    engine = trainer()
    attach_all(engine, size)
    engine.run([0], max_epochs=1)
    return engine


def attach_all(engine: Engine, size: int) -> list[Any]:
    """Attach handlers and return their handles."""
    return [engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: None) for _ in range(size)]


@operation("handlers", "attach to one event")
def prepare_attach(size: int) -> Call:
    """Attach handlers to one event."""
    return lambda: attach_all(trainer(), size)


@operation("handlers", "attach with filters and priorities")
def prepare_attach_filtered(size: int) -> Call:
    """Attach handlers with filters and priorities."""

    def attach() -> None:
        engine = trainer()
        for number in range(size):
            engine.add_event_handler(Events.ITERATION_COMPLETED(every=7, priority=number % 5), handle)

    return attach


@operation("handlers", "register an event each and attach to it")
def prepare_register(size: int) -> Call:
    """Register events one by one, with a handler each."""

    def register() -> None:
        engine = trainer()
        for name in names_of(size):
            engine.register_events(name)
            engine.add_event_handler(name, handle)

    return register


@operation("handlers", "remove by handle")
def prepare_remove(size: int) -> Call:
    """Remove all handlers in the order in which they were attached, from a new engine each."""

    def remove() -> None:
        for handle_ in attach_all(trainer(), size):
            handle_.remove()

    return remove


@operation("handlers", "one with-block on an event with handlers")
def prepare_with(size: int) -> Call:
    """Attach one more handler, run, and detach it."""
    engine = with_handlers(size)

    def run_with() -> None:
        with engine.add_event_handler(Events.COMPLETED, handle):
            engine.run([0], max_epochs=1)

    run_with()
    return run_with


@operation("handlers", "a first run")
def prepare_first_handled_run(size: int) -> Call:
    """Attach handlers and run, which compiles their calls."""
    return lambda: with_handlers(size)


@operation("handlers", "fire an event for the first time")
def prepare_first_firing(size: int) -> Call:
    """Attach handlers to a callback event and fire it."""

    def fire() -> None:
        engine = trainer()
        engine.register_events("custom")
        for _ in range(size):
            engine.add_event_handler("custom", handle)
        engine.fire_event("custom")

    return fire


@operation("handlers", "an iteration that calls all")
def prepare_iteration(size: int) -> Call:
    """Run ten iterations."""
    engine = with_handlers(size)
    return lambda: engine.run([0] * 10, max_epochs=1)


@operation("handlers", "fire an event")
def prepare_firing(size: int) -> Call:
    """Fire a callback event."""
    engine = trainer()
    engine.register_events("custom")
    for _ in range(size):
        engine.add_event_handler("custom", handle)
    engine.fire_event("custom")
    return lambda: engine.fire_event("custom")


@operation("handlers", "has_event_handler, handlers, explain")
def prepare_questions(size: int) -> Call:
    """Ask for handlers."""
    engine = with_handlers(size)
    return lambda: (
        engine.has_event_handler(act, Events.ITERATION_COMPLETED),
        engine.handlers(Events.ITERATION_COMPLETED),
        str(engine.explain(Events.ITERATION_COMPLETED)),
    )


@operation("handlers", "engine.check")
def prepare_handler_check(size: int) -> Call:
    """Check the handlers of an engine."""
    engine = trainer()
    for number in range(size):
        engine.add_event_handler(Events.ITERATION_COMPLETED(once=number + 1), handle)
    return lambda: engine.check([0] * 10, max_epochs=1)


@operation("handlers", "a recorded iteration")
def prepare_recorded(size: int) -> Call:
    """Record the calls of all handlers."""
    engine = with_handlers(size)

    def record() -> object:
        with engine.record() as timeline:
            engine.run([0], max_epochs=1)
        return timeline

    return record


@operation("handlers", "copy an engine with handlers")
def prepare_copy_handled(size: int) -> Call:
    """Copy an engine deeply."""
    engine = with_handlers(size)
    return lambda: copy.deepcopy(engine)


@operation("handlers", "draw with handlers")
def prepare_draw_handled(size: int) -> Call:
    """Draw the lifecycle with all handlers."""
    from fsm_engine.render import render

    engine = with_handlers(size)
    return lambda: render(engine.lifecycle, "svg", handlers=True)


# Moves

MOVES_PER_ITERATION = 4


@functools.lru_cache(maxsize=1)
def recorded(size: int) -> tuple[Engine, Timeline]:
    """Return an engine with a handler, and the timeline of its run of about `size` moves."""
    engine = trainer()
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=10), handle)
    with engine.record(capacity=2 * size) as timeline:
        engine.run(range(size // (10 * MOVES_PER_ITERATION)), max_epochs=10)
    return engine, timeline


@operation("moves", "run")
def prepare_moves(size: int) -> Call:
    """Run without a recorder."""
    engine = trainer()
    return lambda: engine.run(range(size // (10 * MOVES_PER_ITERATION)), max_epochs=10)


@operation("moves", "run, recorded")
def prepare_recording(size: int) -> Call:
    """Run with a recorder."""
    engine = trainer()

    def record() -> object:
        with engine.record(capacity=2 * size) as timeline:
            engine.run(range(size // (10 * MOVES_PER_ITERATION)), max_epochs=10)
        return timeline

    return record


def _question(ask: Callable[[Engine, Timeline], object]) -> Callable[[int], Call]:
    def prepare(size: int) -> Call:
        engine, timeline = recorded(size)
        return lambda: ask(engine, timeline)

    return prepare


def _in_folder(write: Callable[[Engine, Timeline, Path], object]) -> Callable[[Engine, Timeline], object]:
    def ask(engine: Engine, timeline: Timeline) -> object:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return write(engine, timeline, Path(folder))

    return ask


def _save_and_load(_engine: Engine, timeline: Timeline, folder: Path) -> object:
    timeline.save(folder / "run.fsmt")
    return Timeline.load(folder / "run.fsmt")


QUESTIONS: dict[str, Callable[[Engine, Timeline], object]] = {
    "summary": lambda _engine, timeline: str(timeline.summary()),
    "verify": lambda engine, timeline: timeline.verify(engine.lifecycle),
    "compare with itself": lambda _engine, timeline: timeline.diff(timeline),
    "coverage of a timeline": lambda engine, timeline: timeline.coverage(engine.lifecycle),
    "save and load": _in_folder(_save_and_load),
    "draw the timeline .svg": _in_folder(lambda _engine, timeline, folder: timeline.draw(folder / "run.svg")),
    "draw the timeline .html": _in_folder(lambda _engine, timeline, folder: timeline.draw(folder / "run.html")),
    "draw the lifecycle with a timeline": _in_folder(
        lambda engine, timeline, folder: engine.lifecycle.draw(folder / "heat.svg", timeline=timeline)
    ),
    "export for Chrome": _in_folder(lambda _engine, timeline, folder: timeline.export(folder / "trace.json.gz")),
    "export for Perfetto": _in_folder(lambda _engine, timeline, folder: timeline.export(folder / "trace.pftrace")),
    "rows as dictionaries": lambda _engine, timeline: timeline.to_dicts(),
}
for name, ask in QUESTIONS.items():
    operation("moves", name)(_question(ask))
