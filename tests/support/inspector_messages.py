"""Messages of an inspector's server, as a recorded digits training gives them, for tests of its clients."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fsm_engine import Engine, EventEnum, Events
from fsm_engine.lifecycle.table import qualified_name
from fsm_engine.render.main_path import main_path
from fsm_engine.render.page_details import page_details

SECOND = 10**9


class Steps(EventEnum):
    FORWARD = "forward"
    BACKWARD = "backward"


def step(engine: Engine, batch: Any) -> Any:
    """Go through the phases of the iteration."""
    engine.fire_event(Steps.FORWARD)
    engine.fire_event(Steps.BACKWARD)
    return batch


def trainer() -> Engine:
    """Return an engine with two phases in its iteration."""
    engine = Engine(step)
    engine.lifecycle.add_path(
        Events.ITERATION_STARTED >> Steps.FORWARD >> Steps.BACKWARD >> Events.ITERATION_COMPLETED, required=True
    )
    return engine


def engine_message(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the description of an engine."""
    graph = trainer().lifecycle.graph
    phases = page_details(trainer().lifecycle).phases
    names = [phase.id for phase in phases]
    return {
        "id": number,
        "name": "training",
        "heading": "training",
        "parent": None,
        "svg": "<svg/>",
        "phases": [{**asdict(phase), "canStop": number > 0} for number, phase in enumerate(phases)],
        "mainPath": [qualified_name(graph.phases[graph.index[move.source]]) for move in main_path(graph)],  # type: ignore[index]
        "counters": ["iteration", "epoch"],
        "kinds": [{"source": "", "label": "", "target": name, "isTransition": True} for name in names],
        "handlers": [{"name": "validate", "event": "Events.EPOCH_COMPLETED", "place": "train.py:1"}],
        "canPause": True,
        "canSave": True,
        **changes,
    }


def hello(session: str = "a", **changes: Any) -> dict[str, Any]:
    """Return the first message of a session."""
    return {
        "type": "hello",
        "protocol": 1,
        "session": session,
        "mode": "live",
        "readOnly": False,
        "title": "training",
        "process": "train.py, process 4711, host x",
        "engines": [engine_message()],
        "offers": [],
        "breakpoints": [],
        "canPause": True,
        "canSave": True,
        **changes,
    }


def update(now: float = 10, warnings: Any = (), **changes: Any) -> dict[str, Any]:
    """Return an update about engine 0 after `now` seconds."""
    engine = {
        "id": 0,
        "status": "running",
        "phase": "Steps.FORWARD",
        "since": int((now - 2) * SECOND),
        "state": {"epoch": 2, "max_epochs": 5, "iteration": 1234, "max_iters": None, "epoch_length": 1000},
        "progress": {"done": 1234, "total": 5000, "seconds": 61.7, "remaining": 188.3, "rate": 20.0},
        "visits": {"Events.STARTED": 1, "Events.EPOCH_STARTED": 2, "Steps.FORWARD": 1234},
        "taken": [],
        "calls": [[1, 2 * SECOND, 0]],
        "moves": [],
        "spans": [],
        "leftOut": {"moves": 0, "spans": 0},
        "values": {"loss": [[1, 2.5], [1234, 0.125]]},
        "pauses": [],
    }
    engine.update(changes)
    return {"type": "update", "now": int(now * SECOND), "warnings": list(warnings), "engines": [engine]}


def warning(text: str, seconds: float = 4) -> dict[str, Any]:
    """Return a warning of the log."""
    return {"time": int(seconds * SECOND), "level": "WARNING", "logger": "train", "text": text}


def look(**changes: Any) -> dict[str, Any]:
    """Return the details of a pause."""
    return {
        "type": "look",
        "engine": 0,
        "at": "ITERATION_STARTED --forward--> FORWARD, epoch 2, iteration 1234",
        "why": "step",
        "state": [{"name": "iteration", "type": "int", "value": "1234"}],
        "batch": [
            {
                "path": "[0]",
                "type": "Tensor",
                "shape": [64, 8],
                "dtype": "float32",
                "device": "cpu",
                "low": -1.5,
                "high": 2,
                "nan": 3,
            },
            {"path": "[1]", "type": "list", "value": "[1, 2]"},
        ],
        "layers": [
            {
                "name": f"{number}.weight",
                "shape": [64, 64],
                "norm": 15.79,
                "gradient": None,
                "dtype": "float32",
                "device": "cpu",
                "trains": number > 0,
            }
            for number in range(30)
        ],
        "note": None,
        **changes,
    }


def failure(**changes: Any) -> dict[str, Any]:
    """Return an exception."""
    return {
        "type": "failure",
        "engine": 0,
        "phase": "Steps.BACKWARD",
        "error": "ValueError: the loss is nan",
        "traceback": 'Traceback (most recent call last):\n  File "train.py", line 7\nValueError: the loss is nan\n',
        "epoch": 2,
        "iteration": 1234,
        "time": 9 * SECOND,
        **changes,
    }
