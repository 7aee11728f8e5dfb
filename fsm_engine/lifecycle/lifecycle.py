"""`Lifecycle`: a graph with the step that it runs; what can be asked of it, and how it is drawn and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from fsm_engine.events.edges import Edge, Path
from fsm_engine.events.events import AnyEvent, Event
from fsm_engine.graph.graph import Graph
from fsm_engine.lifecycle import edits
from fsm_engine.lifecycle.builder import LifecycleBuilder
from fsm_engine.lifecycle.training import TRAINING
from fsm_engine.lifecycle.validation import FOR_EVERY_EDIT, raise_first

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
    """A lifecycle graph, and the step that runs in it: a definition, with no run in it.

    ``Lifecycle("ppo")`` has the outer phases only: how a run starts, ends, and takes signals. What happens in
    between is added: phases with `add_phase` and `insert`, edges with `add_path` and `add_transition`.

    An engine keeps a copy of its own as ``engine.lifecycle``. It can be changed only between runs. An edit that
    breaks a rule is refused and changes nothing; `check` tells what is still missing, and a run starts only
    when nothing is.

    Attributes:
        name: shown in pictures and messages.
        step: the step of a training lifecycle, if there is one.
        discovered: how often moves between events were seen that are no edges; see `Engine.discover`.
    """

    @classmethod
    def training(cls, step: Callable[[Any, Any], Any] | None = None) -> Lifecycle:
        """Return the training lifecycle around `step`, a function of (engine, batch).

        A step that fires phases may say so by an attribute ``paths``, a tuple of paths; they are added here.
        """
        lifecycle = cls("training")
        lifecycle.step = step
        lifecycle._graph = _training_with(tuple(getattr(step, "paths", ())))
        return lifecycle

    @classmethod
    def of(cls, graph: Graph, name: str = "lifecycle") -> Lifecycle:
        """Return a lifecycle around a whole graph.

        Raises:
            LifecycleError: if the graph breaks a rule of edits.
        """
        raise_first(graph, FOR_EVERY_EDIT)
        lifecycle = cls(name)
        lifecycle._graph = graph
        return lifecycle

    @classmethod
    def from_transitions(cls, machine: Machine, activities: Mapping[str, Any], name: str = "machine") -> Lifecycle:
        """Return the lifecycle of a machine written with the `transitions` library. See `machine.from_transitions`."""
        from fsm_engine.engine.transitions_driver import from_transitions

        return from_transitions(machine, activities, name)

    # Asking

    def reachable(self, event: AnyEvent) -> tuple[Event, ...]:
        """Return the phases that a run in that of `event` may still come to, by whatever edges.

        A run ends in the first phase: what a later one does is not counted, unless `event` is that phase. An edge
        into history leads only to where the run may have been suspended, or may have failed.

        Raises:
            LifecycleError: if there is no such phase.
        """
        from fsm_engine.lifecycle.analysis import reachable

        return reachable(self._graph, self._number(event))

    def paths(
        self, start: AnyEvent, end: AnyEvent, *, shortest: bool = False, limit: int | None = None
    ) -> Iterator[Walk]:
        """Return the ways of a run from one phase to another that come to no phase twice; print one to see it.

        There may be very many: they are found one after the other, as they are asked for.

        Args:
            start: where they begin.
            end: where they end; the same phase asks for the ways that lead back to it.
            shortest: only those with the fewest moves.
            limit: the most moves that one may have.

        Raises:
            LifecycleError: if there is no such phase.
            ValueError: a limit that is not positive.
        """
        from fsm_engine.lifecycle.analysis import paths

        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit} is invalid: a path has at least one move.")
        return paths(self._graph, self._number(start), self._number(end), shortest, limit)

    def dominators(self) -> dict[Event, tuple[Event, ...]]:
        """Return for each phase those that every run has been in before it, in their order.

        Phases that no run comes to are left out. History leads only to where a run has been, so it opens no way
        of its own.
        """
        from fsm_engine.lifecycle.analysis import before_each

        return before_each(self._graph)

    def coverage(self, walks: Iterable[Any]) -> Coverage:
        """Return which phases and transitions these walks have covered; print it.

        Args:
            walks: sequences of transitions, as observers are told of them, or a single one.

        Raises:
            ValueError: for a step that is no transition of this lifecycle.
            TypeError: for something that is no walk.
        """
        from fsm_engine.lifecycle.coverage import cover

        return cover(self._graph, walks)

    def test_paths(self) -> tuple[Walk, ...]:
        """Return a few runs that together take every transition, those from a scope from one of its phases.

        Each begins in the first phase and ends there. Guards are not looked at: a test makes them true. What no
        run can take, and `check` tells of, is left out.
        """
        from fsm_engine.lifecycle.coverage import covering_walks

        return covering_walks(self._graph)

    def diff(self, other: Lifecycle) -> Difference:
        """Return what `other` has added, removed or changed; print it. `render.draw_difference` draws it.

        Raises:
            TypeError: for something that is no lifecycle.
        """
        from fsm_engine.lifecycle.diff import difference

        if not isinstance(other, Lifecycle):
            raise TypeError(f"a lifecycle is compared with another one, got {other!r}.")
        return difference(self._graph, other._graph)

    # Looking

    def draw(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002  # the word that matplotlib and Graphviz use
        *,
        title: str | None = None,
        direction: str = "down",
        theme: str = "auto",
        guards: bool = False,
        handlers: bool = False,
        timeline: Timeline | Track | None = None,
    ) -> pathlib.Path:
        """Draw the lifecycle to a file, and return its path. A file that is there is replaced whole or not at all.

        The main path of a run goes straight through; the phase that an engine is in right now is marked.

        Args:
            path: its suffix tells the format: .svg, .png, .pdf; .html, a page to click through; .mmd (Mermaid) and
                .dot (Graphviz), to be laid out by others; .json, .scxml and .graphml, to be read back by `load`.
            format: one of these without the dot, whatever the suffix is.
            title: written above the picture.
            direction: of the main path, ``"down"`` or ``"right"``.
            theme: ``"auto"``, without a background, for light and dark pages; ``"light"``, ``"dark"``, ``"print"``.
            guards: whether guards, actions, limits and activities are written out.
            handlers: whether the handlers of each phase are listed in it, with file and line.
            timeline: a recorded run, whose first track is laid over the picture, or any track of one: how wide an
                edge is tells how often it was taken, the colour of a phase its share of the time; where the run
                never came is faint.

        Raises:
            ValueError: an unknown suffix, format, direction or theme; a timeline with moves that are no edges here.
            ImportError: .png and .pdf need Typst; the message has the command that installs it.
            OSError: the file cannot be written.
        """
        from fsm_engine.render import draw

        return draw(
            self,
            path,
            format,
            title=title,
            direction=direction,
            theme=theme,
            guards=guards,
            handlers=handlers,
            timeline=timeline,
        )

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        """Show the picture in a notebook; where that is no SVG, its text as Mermaid."""
        from fsm_engine.render import render

        return {form: render(self, name).decode() for name, form in (("svg", "image/svg+xml"), ("mmd", "text/plain"))}

    def to_transitions(self) -> Machine:
        """Return a flat machine of the `transitions` library with the same moves and no guards. See `machine`."""
        from fsm_engine.engine.transitions_driver import to_transitions

        return to_transitions(self._graph)

    def to_markdown(self) -> str:
        """Return the table that ``print`` shows in Markdown, such as for a README. See `views`."""
        from fsm_engine.lifecycle.table import to_markdown

        return to_markdown(self._graph)

    # Serialization

    def to_dict(self) -> dict[str, Any]:
        """Return the lifecycle as a dictionary that JSON can hold. See `serialization.dictionary`."""
        from fsm_engine.serialization.dictionary import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Any, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle that `to_dict` gave; nothing in it is evaluated or imported.

        Args:
            data: the dictionary.
            bind: functions, enums of events and exceptions by their names in `data`, such as
                ``{"is_good": is_good, "BackpropEvents": BackpropEvents}``. Events of an enum that is not bound
                become strings. With anything else not bound the lifecycle can be looked at, and a run is refused.

        Raises:
            LifecycleError: it is no lifecycle; the message says where, what was found, and what is legal.
        """
        from fsm_engine.serialization.dictionary_reader import from_dict

        return from_dict(data, bind)

    def to_json(self) -> str:
        """Return the lifecycle as JSON, a phase or transition to a line. See `serialization.dictionary`."""
        from fsm_engine.serialization.json_text import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a JSON text; `bind` and errors as in `from_dict`."""
        from fsm_engine.serialization.json_text import from_json

        return from_json(text, bind)

    def to_networkx(self) -> networkx.MultiDiGraph[str]:
        """Return a networkx graph, with one edge per phase that a transition may leave."""
        from fsm_engine.serialization.networkx_graph import to_networkx

        return to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: networkx.Graph[Any], bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a networkx graph; `bind` and errors as in `from_dict`."""
        from fsm_engine.serialization.networkx_graph import from_networkx

        return from_networkx(graph, bind)

    def to_graphml(self) -> str:
        """Return the graph of `to_networkx` as GraphML."""
        from fsm_engine.serialization.graphml import to_graphml

        return to_graphml(self)

    @classmethod
    def from_graphml(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a GraphML text; `bind` and errors as in `from_dict`."""
        from fsm_engine.serialization.graphml import from_graphml

        return from_graphml(text, bind)

    def to_scxml(self) -> str:
        """Return the lifecycle as a W3C state chart. See `serialization.scxml`."""
        from fsm_engine.serialization.scxml import to_scxml

        return to_scxml(self)

    @classmethod
    def from_scxml(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a W3C state chart, ours or another's; `bind` and errors as in `from_dict`."""
        from fsm_engine.serialization.scxml import from_scxml

        return from_scxml(text, bind)

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Write the lifecycle to a file that `load` reads, and return its path. An existing file is replaced whole.

        The suffix tells the format: ``.json``, ``.graphml`` or ``.scxml``.

        Raises:
            LifecycleError: a file cannot hold something in the lifecycle, such as a name that is not printable.
            ValueError: the suffix is another one.
            OSError: the file cannot be written.
        """
        from fsm_engine.serialization.files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a file, read by its suffix: ``.json``, ``.graphml`` or ``.scxml``.

        `bind` and errors are as in `from_dict`.

        Raises:
            LifecycleError: it is no lifecycle.
            ValueError: another suffix.
            OSError: the file cannot be read.
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
    raise_first(graph, FOR_EVERY_EDIT)
    return graph
