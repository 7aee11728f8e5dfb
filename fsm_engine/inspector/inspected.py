"""`InspectedEngine`: one engine of an inspector, with its track and its description for the page."""

from __future__ import annotations

import weakref
from dataclasses import asdict
from typing import Any

from fsm_engine.engine.engine import Engine
from fsm_engine.graph.graph import Graph
from fsm_engine.graph.transitions import History
from fsm_engine.inspector.counters import counter_names
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.render.formats import render_svg
from fsm_engine.render.main_path import main_path
from fsm_engine.render.page import page_theme
from fsm_engine.render.page_details import page_details
from fsm_engine.render.timeline.page import describe_kind
from fsm_engine.timeline.recorder import Recorder


class InspectedEngine:
    """One engine of an inspector.

    Attributes:
        id: its number, unique on the server.
        recorder: its recorder.
        heading: its name, and the phase or handler in which it ran first.
        parent: the id of the engine inside whose run it ran first; None for an engine that `inspect` was given.
        thread: the identifier of the thread of its last run.
        first_iteration: the iteration at which its last run began.
        outcome: how its last run ended; empty before the end of a run.
    """

    def __init__(
        self, number: int, recorder: Recorder, engine: Engine, heading: str, parent: InspectedEngine | None
    ) -> None:
        self.id, self.recorder = number, recorder
        self.heading, self.parent = heading, None if parent is None else parent.id
        if parent is not None:
            running = parent.engine
            self.heading += f", run in {running.phase.name}" if running is not None else ""
        self.thread, self.first_iteration, self.outcome = 0, 0, ""
        self._engine = weakref.ref(engine)
        self._picture: tuple[Graph, str] | None = None
        self._counters: tuple[Graph, tuple[str, ...]] | None = None

    @property
    def engine(self) -> Engine | None:
        """The engine; None if it no longer exists."""
        return self._engine()

    @property
    def version(self) -> tuple[Any, ...]:
        """A value that changes with `describe`."""
        track, engine = self.recorder.track, self.engine
        return len(track.kinds), len(track.handlers), None if engine is None else id(engine.lifecycle.graph)

    def describe(self) -> dict[str, Any] | None:
        """Return the lifecycle, its picture, and the kinds of moves; None if the engine no longer exists."""
        engine, track = self.engine, self.recorder.track
        if engine is None:
            return None
        graph, phases = engine.lifecycle.graph, page_details(engine.lifecycle).phases
        return {
            "id": self.id,
            "name": engine.lifecycle.name,
            "heading": self.heading,
            "parent": self.parent,
            "svg": self._svg(engine),
            "phases": [
                {**asdict(phase), "node": phase.nodes[0], "canStop": number > 0} for number, phase in enumerate(phases)
            ],
            "edges": [
                {"source": qualified_name(phase), "target": target, "label": transition.label}
                for phase, exits in zip(graph.phases, graph.exits)
                for transition in exits
                if (target := _target(graph, transition.target)) is not None
            ],
            "counters": self.counters(graph),
            "mainPath": [_target(graph, move.source) for move in main_path(graph)],
            "kinds": [describe_kind(kind) for kind in list(track.kinds)],
            "handlers": [asdict(handler) for handler in list(track.handlers)],
        }

    def counters(self, graph: Graph) -> tuple[str, ...]:
        """Return the counters of the engine's lifecycle, the finest first."""
        if self._counters is None or self._counters[0] is not graph:
            self._counters = graph, counter_names(graph)
        return self._counters[1]

    def _svg(self, engine: Engine) -> str:
        graph = engine.lifecycle.graph
        if self._picture is None or self._picture[0] is not graph:
            self._picture = graph, render_svg(engine.lifecycle, page_theme())
        return self._picture[1]


def _target(graph: Graph, target: Any) -> str | None:
    return None if isinstance(target, History) else qualified_name(graph.phases[graph.index[target]])
