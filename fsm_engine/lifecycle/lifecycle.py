"""`Lifecycle`: a graph and the step that it runs, with queries, pictures and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from fsm_engine._util.signatures import check_runs_when_called
from fsm_engine.events.edges import Edge, Path
from fsm_engine.events.events import AnyEvent, Event
from fsm_engine.graph.graph import Graph
from fsm_engine.lifecycle import edits
from fsm_engine.lifecycle.builder import LifecycleBuilder
from fsm_engine.lifecycle.graph_view import WholeGraph
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.lifecycle.validation import edit_findings, raise_errors

if TYPE_CHECKING:
    import os
    import pathlib

    import networkx
    from transitions import Machine

    from fsm_engine.lifecycle.analysis import Walk
    from fsm_engine.lifecycle.coverage import Coverage
    from fsm_engine.lifecycle.diff import Difference
    from fsm_engine.timeline import Timeline, Track


class Lifecycle(LifecycleBuilder):
    """Lifecycle graph and the step that runs in it. It holds no state of a run.

    ``Lifecycle("ppo")`` has only the outer phases: start and end of a run, and its signals. Add phases with `add_phase`
    and `insert`, and edges with `add_path` and `add_transition`.

    An engine keeps its own copy as ``engine.lifecycle``, which can be edited between runs. An edit that breaks a rule
    raises and changes nothing. `check` returns the remaining problems; a run starts only if none of them is an error.

    Attributes:
        name: name for pictures and messages.
        step: step of a training lifecycle, None if there is none.
        discovered: counts of observed moves between events that the graph has no edge for; see `Engine.discover`.

    Example:
        >>> class Rl(EventEnum):
        ...     COLLECT = "collect"
        ...     LEARN = "learn"
        >>> lifecycle = Lifecycle("rl")
        >>> with lifecycle.edit():
        ...     lifecycle.add_phase(Rl.COLLECT, activity=lambda engine: 5, counter="rounds")
        ...     lifecycle.add_phase(Rl.LEARN, activity=lambda engine: engine.state.output + 1)
        ...     lifecycle.add_path(Events.STARTED >> Rl.COLLECT >> Rl.LEARN >> Events.COMPLETED)
        >>> Engine(lifecycle=lifecycle).run().output
        6
    """

    @classmethod
    def training(cls, step: Callable[[Any, Any], Any] | None = None) -> Lifecycle:
        """Return the training lifecycle with `step`, a function of (engine, batch).

        If the step fires phases, its attribute ``paths``, a tuple of paths, adds them to the lifecycle. The steps of
        the supervised trainers have parts instead, which the engine calls in their phases.

        Raises:
            TypeError: `step` is a coroutine or generator function, whose call runs none of its code.

        Example:
            >>> lifecycle = Lifecycle.training(lambda engine, batch: 2 * batch)
            >>> Engine(lifecycle=lifecycle).run([1, 2]).output
            4
        """
        check_runs_when_called(step, "the step")
        lifecycle = cls("training")
        lifecycle.step = step
        graph = getattr(step, "graph_of_parts", None)
        lifecycle._graph = graph or _training_with(tuple(getattr(step, "paths", ())))
        return lifecycle

    @classmethod
    def of(cls, graph: Graph, name: str = "lifecycle") -> Lifecycle:
        """Return a lifecycle with the given graph.

        Raises:
            LifecycleError: if the graph breaks a rule that holds after every edit.

        Example:
            >>> Lifecycle.of(Lifecycle.training().graph, "copy") == Lifecycle.training()
            True
        """
        raise_errors(edit_findings(WholeGraph(graph)))
        lifecycle = cls(name)
        lifecycle._graph = graph
        return lifecycle

    @classmethod
    def from_transitions(cls, machine: Machine, activities: Mapping[str, Any], name: str = "machine") -> Lifecycle:
        """Return the lifecycle of a machine of the `transitions` library. See `transitions_driver.from_transitions`.

        Example:
            >>> from transitions import Machine
            >>> machine = Machine(states=["draft", "review", "done"], initial="draft", auto_transitions=False)
            >>> _ = machine.add_transition("submit", "draft", "review")
            >>> _ = machine.add_transition("accept", "review", "done")
            >>> lifecycle = Lifecycle.from_transitions(machine, {"review": lambda engine: "looks good"})
            >>> Engine(lifecycle=lifecycle).run().output
            'looks good'
        """
        from fsm_engine.engine.transitions_driver import from_transitions

        return from_transitions(machine, activities, name)

    # Queries

    def reachable(self, event: AnyEvent) -> tuple[Event, ...]:
        """Return the phases that a run in the phase `event` may still enter, by edges of all kinds.

        The run ends when it returns to the first phase; a later run is not included. Edges into history lead only to
        phases in which the run may have been suspended or may have failed.

        Raises:
            LifecycleError: if `event` is not a phase.

        Example:
            >>> Lifecycle.training().reachable(Events.TERMINATE)
            ('IDLE', Events.COMPLETED, Events.EXCEPTION_RAISED)
        """
        from fsm_engine.lifecycle.analysis import reachable

        return reachable(self._graph, self._number(event))

    def paths(
        self, start: AnyEvent, end: AnyEvent, *, shortest: bool = False, limit: int | None = None
    ) -> Iterator[Walk]:
        """Return an iterator over the simple paths of a run from one phase to another: no phase is visited twice.

        Their number may grow exponentially with the number of phases; they are computed one at a time.

        Args:
            start: phase in which the paths start.
            end: phase in which the paths end. If it is `start`, the paths are cycles.
            shortest: whether to return only the paths with the fewest moves.
            limit: maximum number of moves of a path.

        Raises:
            LifecycleError: if `start` or `end` is not a phase.
            ValueError: if `limit` is not positive.

        Example:
            >>> lifecycle = Lifecycle.training()
            >>> for walk in lifecycle.paths(Events.TERMINATE, "IDLE", shortest=True):
            ...     print(walk)
            TERMINATE --skipped--> IDLE
        """
        from fsm_engine.lifecycle.analysis import paths

        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit} is invalid: a path has at least one move.")
        return paths(self._graph, self._number(start), self._number(end), shortest, limit)

    def dominators(self) -> dict[Event, tuple[Event, ...]]:
        """Return for each reachable phase the phases that every run visits before it, in order.

        Edges into history are ignored: they return to phases that the run has visited already.

        Example:
            >>> Lifecycle.training().dominators()[Events.ITERATION_STARTED]
            ('IDLE', Events.STARTED, Events.EPOCH_STARTED)
        """
        from fsm_engine.lifecycle.analysis import before_each

        return before_each(self._graph)

    def coverage(self, walks: Iterable[Any]) -> Coverage:
        """Return the coverage of phases and transitions by these walks; print it for a report.

        Args:
            walks: sequences of transitions as observers receive them, or a single sequence.

        Raises:
            ValueError: if a step is not a transition of this lifecycle.
            TypeError: if a walk is not a sequence of transitions.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> walk = []
            >>> with trainer.observe(lambda engine, transition: walk.append(transition)):
            ...     _ = trainer.run([1, 2])
            >>> print(str(trainer.lifecycle.coverage(walk)).splitlines()[0])
            9 of 15 phases (60%)
        """
        from fsm_engine.lifecycle.coverage import cover

        return cover(self._graph, walks)

    def test_paths(self) -> tuple[Walk, ...]:
        """Return a few runs that together take every transition; a transition from a scope, from one of its phases.

        Each run starts in the first phase and ends there if the graph leads back. Guards are ignored: a test makes them
        true. Transitions that no run can take, which `check` reports, are left out.

        Example:
            >>> lifecycle = Lifecycle.training()
            >>> walks = lifecycle.test_paths()
            >>> lifecycle.coverage(walks).is_complete
            True
        """
        from fsm_engine.lifecycle.coverage import covering_walks

        return covering_walks(self._graph)

    def diff(self, other: Lifecycle) -> Difference:
        """Return the differences of `other` from this lifecycle; print them, or draw them with `draw_difference`.

        Raises:
            TypeError: if `other` is not a lifecycle.

        Example:
            >>> lifecycle = Lifecycle.training()
            >>> lifecycle.insert("VALIDATE", after=Events.EPOCH_COMPLETED)
            >>> print(str(Lifecycle.training().diff(lifecycle)).splitlines()[0])
            + phase VALIDATE
        """
        from fsm_engine.lifecycle.diff import difference

        if not isinstance(other, Lifecycle):
            raise TypeError(f"diff() compares a lifecycle with another Lifecycle, got {other!r}.")
        return difference(self._graph, other._graph)

    # Pictures and tables

    def draw(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002  # the word that matplotlib and Graphviz use
        *,
        title: str | None = None,
        direction: str = "down",
        detail: str = "all",
        theme: str = "auto",
        guards: bool = False,
        handlers: bool = False,
        timeline: Timeline | Track | None = None,
    ) -> pathlib.Path:
        """Draw the lifecycle to a file, and return its path. An existing file is replaced atomically.

        The main path of a run is a straight line. The current phase of an engine is marked. A very wide or very tall
        .svg, .png or .pdf is folded into strips.

        Args:
            path: path of the file. Its suffix selects the format: .svg, .png, .pdf; .html for an interactive page;
                .mmd (Mermaid) and .dot (Graphviz) for other tools; .json, .scxml and .graphml for `load`.
            format: one of these suffixes without the dot, to override the suffix of `path`.
            title: title above the picture.
            direction: direction of the main path, ``"down"`` or ``"right"``.
            detail: ``"all"``, or ``"main"`` to leave out signals, errors and rare edges, with the phases that only they
                reach.
            theme: ``"light"``, ``"dark"`` or ``"print"``. ``"auto"`` is light or dark as the reader's page; only .svg,
                .html and .mmd can follow the page, other formats are light.
            guards: whether to show guards, actions, limits and activities.
            handlers: whether to list the handlers of each phase, with file and line.
            timeline: recorded run, whose first track is shown in the picture, or one of its tracks. The width of an
                edge shows how often it was taken, the colour of a phase its share of the time. Phases and edges that
                the run did not visit are faint. For a merged timeline, the colour shows how much the ranks differ in
                the phase, and its texts the shortest and the longest mean duration, the slowest rank, and how far
                apart the ranks entered.

        Raises:
            ValueError: if a suffix, format, direction, detail or theme is unknown, or the timeline has moves without an
                edge.
            ImportError: if .png or .pdf is requested without Typst; the message shows the command that installs it.
            OSError: if the file cannot be written.

        Example:
            >>> Lifecycle.training().draw(folder / "lifecycle.svg", title="Training", guards=True).name
            'lifecycle.svg'
        """
        from fsm_engine.render import draw

        return draw(
            self,
            path,
            format,
            title=title,
            direction=direction,
            detail=detail,
            theme=theme,
            guards=guards,
            handlers=handlers,
            timeline=timeline,
        )

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        """Return the picture for a notebook, and the table that ``print`` shows for consoles."""
        from fsm_engine.render import render

        bundle = {"text/plain": str(self)}
        try:
            bundle["image/svg+xml"] = render(self, "svg").decode()
        except Exception as error:  # an output must not hide the lifecycle that it shows
            bundle["text/plain"] += f"\n(no picture: {type(error).__name__}: {error})"
        return bundle

    def to_transitions(self) -> Machine:
        """Return a flat machine of the `transitions` library with the same moves and no guards.

        Example:
            >>> machine = Lifecycle.training().to_transitions()
            >>> machine.model.phase
            'IDLE'
        """
        from fsm_engine.engine.transitions_driver import to_transitions

        return to_transitions(self._graph)

    def to_markdown(self) -> str:
        """Return the table that ``print`` shows as Markdown, for example for a README.

        Example:
            >>> print(Lifecycle("empty").to_markdown().splitlines()[0])
            | phase | scope | on entry | activity | exits |
        """
        from fsm_engine.lifecycle.table import to_markdown

        return to_markdown(self._graph)

    # Serialization

    def to_dict(self) -> dict[str, Any]:
        """Return the lifecycle as a JSON-compatible dictionary. See `serialization.dictionary`.

        Example:
            >>> sorted(Lifecycle.training().to_dict())
            ['format', 'name', 'phases', 'transitions', 'version']
        """
        from fsm_engine.serialization.dictionary import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Any, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a dictionary from `to_dict`. It evaluates and imports nothing.

        Args:
            data: dictionary from `to_dict`.
            bind: functions, event enums and exception classes by their names in `data`, such as
                ``{"is_good": is_good, "BackpropEvents": BackpropEvents}``. Events of an unbound enum become strings. A
                lifecycle with other unbound names can be inspected and drawn, but a run raises.

        Raises:
            LifecycleError: if `data` is invalid; the message shows the location, the value and the allowed values.

        Example:
            >>> Lifecycle.from_dict(Lifecycle.training().to_dict()) == Lifecycle.training()
            True
        """
        from fsm_engine.serialization.dictionary_reader import from_dict

        return from_dict(data, bind)

    def to_json(self) -> str:
        """Return the lifecycle as JSON text with one phase or transition per line. See `serialization.dictionary`.

        Example:
            >>> json.loads(Lifecycle("empty").to_json())["name"]
            'empty'
        """
        from fsm_engine.serialization.files import WRITERS

        return WRITERS[".json"](self)

    @classmethod
    def from_json(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a JSON text; `bind` and errors as in `from_dict`.

        Example:
            >>> def step(engine, batch):
            ...     return batch
            >>> text = Lifecycle.training(step).to_json()
            >>> Lifecycle.from_json(text, bind={"step": step}) == Lifecycle.training(step)
            True
        """
        from fsm_engine.serialization.files import READERS

        return READERS[".json"](text, bind)

    def to_networkx(self) -> networkx.MultiDiGraph[str]:
        """Return a networkx graph. A transition from a scope has an edge for each phase of the scope.

        Example:
            >>> import networkx
            >>> networkx.is_directed_acyclic_graph(Lifecycle.training().to_networkx())
            False
        """
        from fsm_engine.serialization.networkx_graph import to_networkx

        return to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: networkx.Graph[Any], bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a networkx graph; `bind` and errors as in `from_dict`.

        Example:
            >>> Lifecycle.from_networkx(Lifecycle.training().to_networkx()) == Lifecycle.training()
            True
        """
        from fsm_engine.serialization.networkx_graph import from_networkx

        return from_networkx(graph, bind)

    def to_graphml(self) -> str:
        """Return the graph of `to_networkx` as GraphML.

        Example:
            >>> Lifecycle.training().to_graphml().count("<node ")
            15
        """
        from fsm_engine.serialization.files import WRITERS

        return WRITERS[".graphml"](self)

    @classmethod
    def from_graphml(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a GraphML text; `bind` and errors as in `from_dict`.

        Example:
            >>> Lifecycle.from_graphml(Lifecycle.training().to_graphml()) == Lifecycle.training()
            True
        """
        from fsm_engine.serialization.files import READERS

        return READERS[".graphml"](text, bind)

    def to_scxml(self) -> str:
        """Return the lifecycle as SCXML, the W3C format of state charts. See `serialization.scxml`.

        Example:
            >>> '<scxml' in Lifecycle.training().to_scxml()
            True
        """
        from fsm_engine.serialization.files import WRITERS

        return WRITERS[".scxml"](self)

    @classmethod
    def from_scxml(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of an SCXML text from any tool; `bind` and errors as in `from_dict`.

        Example:
            >>> Lifecycle.from_scxml(Lifecycle.training().to_scxml()) == Lifecycle.training()
            True
        """
        from fsm_engine.serialization.files import READERS

        return READERS[".scxml"](text, bind)

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Save the lifecycle to a file for `load`, and return its path. An existing file is replaced atomically.

        The suffix selects the format: ``.json``, ``.graphml`` or ``.scxml``.

        Raises:
            LifecycleError: if the format cannot represent the lifecycle, such as a name that is not printable.
            ValueError: if the suffix is unknown.
            OSError: if the file cannot be written.

        Example:
            >>> Lifecycle.training().save(folder / "lifecycle.json").name
            'lifecycle.json'
        """
        from fsm_engine.serialization.files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a file. The suffix selects the format: ``.json``, ``.graphml`` or ``.scxml``.

        `bind` is as in `from_dict`.

        Raises:
            LifecycleError: if the file does not contain a valid lifecycle.
            ValueError: if the suffix is unknown.
            OSError: if the file cannot be read.

        Example:
            >>> path = Lifecycle.training().save(folder / "lifecycle.scxml")
            >>> Lifecycle.load(path) == Lifecycle.training()
            True
        """
        from fsm_engine.serialization.files import load

        return load(path, bind)

    def __str__(self) -> str:
        from fsm_engine.lifecycle.table import to_table

        return to_table(self._graph)


@cache
def _training_with(paths: tuple[Path | Edge, ...]) -> Graph:
    draft = edits.Draft(TRAINING, frozenset())
    for path in paths:
        draft.add_path(path, required=True)
    graph = draft.graph if paths else TRAINING
    raise_errors(edit_findings(WholeGraph(graph)))
    return graph
