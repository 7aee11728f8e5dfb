"""`Lifecycle`: a graph with the step that it runs; how it is changed, checked and looked at."""

from __future__ import annotations

import os
import pathlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from fsm_engine import edits
from fsm_engine.checks import FOR_EVERY_EDIT, Finding, findings, refuse, unbound
from fsm_engine.cursor import IDLE_AT
from fsm_engine.edges import Edge, Path
from fsm_engine.errors import BusyError, LifecycleError
from fsm_engine.events import AnyEvent, Event, plain
from fsm_engine.graph import Graph, Phase, Snippet, Transition
from fsm_engine.scopes import Scope
from fsm_engine.training import OUTER, TRAINING
from fsm_engine.unbound import Unbound

if TYPE_CHECKING:
    import os

    import networkx
    from transitions import Machine

    from fsm_engine.coverage import Coverage
    from fsm_engine.difference import Difference
    from fsm_engine.engine import Engine
    from fsm_engine.questions import Walk
    from fsm_engine.timeline import Timeline, Track


class Lifecycle:
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

    def __init__(self, name: str = "lifecycle") -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a lifecycle is a string, got {name!r}. See Lifecycle.training(step), too.")
        self.name = name
        self.step: Callable[[Any, Any], Any] | None = None
        self._graph = OUTER
        self._floating: frozenset[Event] = frozenset()
        self.discovered: dict[Edge, int] = {}
        self._required: tuple[tuple[Event, Event], ...] = ()
        self._passed: Graph | None = None  # the graph for which everything was checked
        self._engine: Callable[[], Engine | None] = _nobody  # the engine that owns this copy

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
        refuse(graph, FOR_EVERY_EDIT)
        lifecycle = cls(name)
        lifecycle._graph = graph
        return lifecycle

    @classmethod
    def from_transitions(cls, machine: Machine, activities: Mapping[str, Any], name: str = "machine") -> Lifecycle:
        """Return the lifecycle of a machine written with the `transitions` library. See `machine.from_transitions`."""
        from fsm_engine.machine import from_transitions

        return from_transitions(machine, activities, name)

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
        return self._graph.exits[self._number(event)]

    def _number(self, event: AnyEvent) -> int:
        number = self._graph.index.get(plain(event))  # type: ignore[arg-type]  # an edge is none
        if number is None:
            raise LifecycleError(f"{event} is no phase of {self!r}. The phases are {', '.join(self._graph.by_name)}.")
        return number

    # Asking

    def reachable(self, event: AnyEvent) -> tuple[Event, ...]:
        """Return the phases that a run in that of `event` may still come to, by whatever edges.

        A run ends in the first phase: what a later one does is not counted, unless `event` is that phase. An edge
        into history leads only to where the run may have been suspended, or may have failed.

        Raises:
            LifecycleError: if there is no such phase.
        """
        from fsm_engine.questions import reachable

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
        from fsm_engine.questions import paths

        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit} is invalid: a path has at least one move.")
        return paths(self._graph, self._number(start), self._number(end), shortest, limit)

    def dominators(self) -> dict[Event, tuple[Event, ...]]:
        """Return for each phase those that every run has been in before it, in their order.

        Phases that no run comes to are left out. History leads only to where a run has been, so it opens no way
        of its own.
        """
        from fsm_engine.questions import before_each

        return before_each(self._graph)

    def coverage(self, walks: Iterable[Any]) -> Coverage:
        """Return which phases and transitions these walks have covered; print it.

        Args:
            walks: sequences of transitions, as observers are told of them, or a single one.

        Raises:
            ValueError: for a step that is no transition of this lifecycle.
            TypeError: for something that is no walk.
        """
        from fsm_engine.coverage import cover

        return cover(self._graph, walks)

    def test_paths(self) -> tuple[Walk, ...]:
        """Return a few runs that together take every transition, those from a scope from one of its phases.

        Each begins in the first phase and ends there. Guards are not looked at: a test makes them true. What no
        run can take, and `check` tells of, is left out.
        """
        from fsm_engine.coverage import covering_walks

        return covering_walks(self._graph)

    def diff(self, other: Lifecycle) -> Difference:
        """Return what `other` has added, removed or changed; print it. `render.draw_difference` draws it.

        Raises:
            TypeError: for something that is no lifecycle.
        """
        from fsm_engine.difference import difference

        if not isinstance(other, Lifecycle):
            raise TypeError(f"a lifecycle is compared with another one, got {other!r}.")
        return difference(self._graph, other._graph)

    # Changing

    def add_phase(
        self,
        event: Event,
        activity: Any = None,
        scope: Scope | None = None,
        counter: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a phase that the engine walks to: it is entered along an automatic transition, and then acts.

        Args:
            event: its event, also its name; becomes known to the engine.
            activity: called like a handler, with the engine if it takes one, when the handlers are through. Its
                result, unless None, becomes ``engine.state.output``. An `Engine` is run, once per visit.
            scope: where it lies; unless given, where the phase that first leads to it lies.
            counter: an attribute of the state that counts how often it is entered: its filters are given that,
                every new run starts it at 0, and `Engine.state_dict` holds it. Without one, firings are counted.
            **kwargs: given to the activity; for an engine, to its `run`.

        Raises:
            LifecycleError: it is a phase already.
            ValueError: an activity that cannot be called like that; a counter that is no name.
            TypeError: something that is no event, or no activity.
            BusyError: while the engine runs or is suspended.
        """
        edits.check_counter(counter)
        act = _activity(event, activity, kwargs)
        self._edit(lambda draft: draft.add_phase(event, act, scope, counter))

    def add_path(self, path: Edge | Path, required: bool = False) -> None:
        """Add the edges of a path, ``A >> B >> C``, that are not there yet.

        Phases on it that are not there yet are *fired*: the activity of the phase that the path starts in, such as
        the step, moves from one to the next with ``engine.fire_event``. They join the scope they start in. To
        phases that were there, such as those of `add_phase`, the engine walks by itself when an activity ends.

        Args:
            path: two ends or more.
            required: takes the direct edge from the first to the last end away, if there is one without a guard,
                so the path is the only way.

        Raises:
            LifecycleError: the graph would break a rule.
            TypeError: something that is no path.
            BusyError: while the engine runs or is suspended.
        """
        self._edit(lambda draft: draft.add_path(path, required))

    def add_transition(
        self,
        edge: Edge,
        *,
        guard: Any = None,
        label: str | None = None,
        error: edits.Errors | None = None,
        limit: int | None = None,
        action: Any = None,
    ) -> None:
        """Add one transition, ``A >> B``; B becomes a phase if it is none yet.

        An exit with a guard goes before the one without, which is taken when no guard was true. A scope as source
        stands for every phase in it, for error edges; as target, for the place that an error edge left: its
        activity is begun again.

        Args:
            edge: from where to where.
            guard: a function of the engine, or of nothing, without side effects: whether it may be taken. It is
                shown by its name.
            label: the name of the transition, unique among those of its source; that of the target unless given.
            error: the exception, or a tuple of them, that takes this edge when it leaves the source. The edges of
                the phase itself are tried first, then those of its scopes, innermost first; that of a scope does
                not take what is raised in its own target nor, without a guard and a limit, what is raised anywhere
                in a recovery that it was taken for. ``state.errors`` counts them by label; handlers of the target
                may take the exception as ``error``.
            limit: how often in a run an error edge may be taken; beyond it, the exception goes on.
            action: a function of the engine, or of nothing, called when it is taken.

        Raises:
            LifecycleError: the graph would break a rule.
            TypeError, ValueError: arguments of a wrong kind.
            BusyError: while the engine runs or is suspended.
        """
        held = None if guard is None else edits.called(guard, "a guard", label, {})
        done = None if action is None else edits.called(action, "an action", label, {})
        self._edit(lambda draft: draft.add_transition(edge, held, label, error, limit, done))

    def insert(
        self, event: Event, *, after: Event, activity: Any = None, counter: str | None = None, **kwargs: Any
    ) -> None:
        """Add a phase behind `after`, whose automatic exits it takes over; the other arguments are `add_phase`'s.

        An exit that comes back stays: STARTED's to RESUMED, by which a run goes on from a state that was loaded.

        Raises:
            LifecycleError: `after` is no phase or has no such exit, `event` is one already.
            TypeError, ValueError: arguments of a wrong kind.
            BusyError: while the engine runs or is suspended.
        """
        edits.check_counter(counter)
        act = _activity(event, activity, kwargs)
        self._edit(lambda draft: draft.insert(event, after, act, counter))

    def add_exits(self, event: Event, *, like: Event) -> None:
        """Give the phase of `event` the automatic exits that the phase of `like` has, so that it goes on as that does.

        If it has an activity, an exit that comes back is left out, since the activity would begin again.

        Raises:
            LifecycleError: one of them is no phase, or the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        self._edit(lambda draft: draft.add_exits(event, like))

    def remove_transition(self, edge: Edge, label: str | None = None) -> None:
        """Take out the transitions along `edge`; with a label, only the one of that name.

        Raises:
            LifecycleError: there is none.
            BusyError: while the engine runs or is suspended.
        """
        self._edit(lambda draft: draft.remove_transition(edge, label))

    def add(self, *parts: Phase | Transition) -> None:
        """Add phases and transitions, all of them or none.

        Transitions come after those that are there, so an exit added to a phase that has one is looked at last.

        Raises:
            LifecycleError: if the graph would break a rule.
            BusyError: while the engine runs or is suspended.
        """
        for part in parts:
            if not isinstance(part, (Phase, Transition)):
                raise TypeError(f"{part!r} is neither a Phase nor a Transition. For edges, use add_transition.")
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

    def _edit(self, edit: Callable[[edits.Draft], None]) -> None:
        draft = edits.Draft(self._graph, self._floating)
        edit(draft)
        self._change(draft.phases, draft.transitions)
        self._floating = frozenset(draft.floating)

    def _change(self, phases: Iterable[Phase], transitions: Iterable[Transition]) -> None:
        engine = self._engine()
        if engine is not None and engine._here.at != IDLE_AT:
            raise BusyError(
                f"the lifecycle cannot change while its engine is in {engine.phase}, because where the run is would "
                f"lose its meaning. Change it before run(), or after the run has ended."
            )
        graph = Graph(tuple(phases), tuple(transitions))
        refuse(graph, FOR_EVERY_EDIT)
        if engine is not None:
            engine._know(graph)  # first: it refuses what its handlers cannot take
        self._graph = graph
        self._floating &= frozenset(graph.index)

    # Checking

    def check(self) -> list[Finding]:
        """Return what is wrong with the lifecycle: rules that it breaks, and what was required and does not hold.

        An empty list means that it can run. Findings that are no errors do not stop a run.
        """
        step = [unbound([self.step.key])] if isinstance(self.step, Unbound) else []
        return [*findings(self._graph), *step, *(found for rule in self._required if (found := self._broken(*rule)))]

    def require(self, event: Event, *, before: Event) -> None:
        """Demand that no run enters the phase of `before` without having been in that of `event`.

        It is proven for the whole graph by dominators, here and again before a run if the graph has changed.

        Raises:
            LifecycleError: it does not hold; the message has a path around `event`. Nothing is kept then.
        """
        broken = self._broken(event, before)
        if broken is not None:
            raise LifecycleError(str(broken))
        self._required += ((event, before),)
        self._passed = None

    def _broken(self, event: Event, before: Event) -> Finding | None:
        from fsm_engine.proofs import way_around

        for end in (event, before):
            self._number(end)
        around = way_around(self._graph, event, before)
        if around is None:
            return None
        return Finding(
            "required",
            f"{before} may be entered without {event} before it: {' -> '.join(around)}.",
            "Take an edge of this path out, or put the phase on it, such as with add_path(..., required=True).",
        )

    def _pass(self) -> None:
        """Refuse a lifecycle that cannot run.

        Raises:
            LifecycleError: with everything that is wrong.
        """
        if self._passed is self._graph:
            return
        errors = [str(finding) for finding in self.check() if finding.is_error]
        if errors:
            raise LifecycleError(" ".join(errors))
        self._passed = self._graph

    # With an engine

    def _owned(self, engine: Engine) -> Lifecycle:
        copy = Lifecycle(self.name)
        copy.step, copy._graph, copy._floating, copy._required = self.step, self._graph, self._floating, self._required
        copy.discovered = dict(self.discovered)
        if self.step is None:
            copy._graph = _without_step(self._graph)
        copy._engine = weakref.ref(engine)
        engine._know(copy._graph)
        return copy

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
            ImportError: .png and .pdf need pygraphviz; the message says how to install it.
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
        from fsm_engine.machine import to_transitions

        return to_transitions(self._graph)

    def to_markdown(self) -> str:
        """Return the table that ``print`` shows in Markdown, such as for a README. See `views`."""
        from fsm_engine.views import to_markdown

        return to_markdown(self._graph)

    # Exchange: see the modules of `exchange`

    def to_dict(self) -> dict[str, Any]:
        """Return the lifecycle as a dictionary that JSON can hold. See `exchange.dictionary`."""
        from fsm_engine.exchange.dictionary import to_dict

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
        from fsm_engine.exchange.reading import from_dict

        return from_dict(data, bind)

    def to_json(self) -> str:
        """Return the lifecycle as JSON, a phase or transition to a line. See `exchange.dictionary`."""
        from fsm_engine.exchange.json_text import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a JSON text; `bind` and errors as in `from_dict`."""
        from fsm_engine.exchange.json_text import from_json

        return from_json(text, bind)

    def to_networkx(self) -> networkx.MultiDiGraph[str]:
        """Return a networkx graph, with one edge per phase that a transition may leave."""
        from fsm_engine.exchange.networkx_graph import to_networkx

        return to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: networkx.Graph[Any], bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a networkx graph; `bind` and errors as in `from_dict`."""
        from fsm_engine.exchange.networkx_graph import from_networkx

        return from_networkx(graph, bind)

    def to_graphml(self) -> str:
        """Return the graph of `to_networkx` as GraphML."""
        from fsm_engine.exchange.graphml import to_graphml

        return to_graphml(self)

    @classmethod
    def from_graphml(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a GraphML text; `bind` and errors as in `from_dict`."""
        from fsm_engine.exchange.graphml import from_graphml

        return from_graphml(text, bind)

    def to_scxml(self) -> str:
        """Return the lifecycle as a W3C state chart. See `exchange.scxml`."""
        from fsm_engine.exchange.scxml import to_scxml

        return to_scxml(self)

    @classmethod
    def from_scxml(cls, text: str, bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a W3C state chart, ours or another's; `bind` and errors as in `from_dict`."""
        from fsm_engine.exchange.scxml import from_scxml

        return from_scxml(text, bind)

    @classmethod
    def load(cls, path: str | os.PathLike[str], bind: Mapping[str, Any] | None = None) -> Lifecycle:
        """Return the lifecycle of a file, read by its suffix: ``.json``, ``.graphml`` or ``.scxml``.

        `bind` and errors are as in `from_dict`.

        Raises:
            LifecycleError: it is no lifecycle.
            ValueError: another suffix.
            OSError: the file cannot be read.
        """
        from fsm_engine.exchange.files import load

        return load(path, bind)

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


def _nobody() -> None:
    return None


def _activity(event: Event, activity: Any, kwargs: Mapping[str, Any]) -> Any:
    if activity is None:
        if kwargs:
            raise ValueError(f"{', '.join(kwargs)} are given to an activity, and {event} has none. Give activity=.")
        return None
    return edits.called(activity, f"the activity of {event}", str(event), kwargs, keeps=True)


@cache
def _training_with(paths: tuple[Path | Edge, ...]) -> Graph:
    draft = edits.Draft(TRAINING, frozenset())
    for path in paths:
        draft.add_path(path, required=True)
    graph = draft.graph if paths else TRAINING
    refuse(graph, FOR_EVERY_EDIT)
    return graph


@lru_cache(maxsize=64)
def _without_step(graph: Graph) -> Graph:
    return Graph(
        tuple(
            replace(phase, activity=None) if isinstance(phase.activity, Snippet) and phase.activity.is_step else phase
            for phase in graph.phases
        ),
        graph.transitions,
    )
