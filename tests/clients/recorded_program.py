"""Run one program in a process of its own, and write the events, results and files that it has.

The arguments are the library, the file with the source of the program, an empty folder, and the file for the results.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

UNRECORDED = ("EXCEPTION_RAISED", "RESUMED")  # a handler of the first one changes the run; ignite has no RESUMED


def plain(value: Any) -> Any:
    """Return a result as JSON can hold it."""
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        return value.item()
    return value if isinstance(value, (bool, int, float, str, type(None))) else f"<{type(value).__name__}>"


def record_events(engine_class: Any, events: Any) -> list[Any]:
    """Attach a handler to every event of every engine from now on; return the list to which they add the events."""
    log: list[Any] = []
    engines: list[Any] = []
    make, register = engine_class.__init__, engine_class.register_events

    def attach(engine: Any, event: Any, name: str) -> None:
        number = next(number for number, other in enumerate(engines) if other is engine)

        def note(engine: Any, *_: Any, **__: Any) -> None:
            log.append([number, name, engine.state.epoch, engine.state.iteration])

        engine.add_event_handler(event, note)

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if any(other is self for other in engines):
            return make(self, *args, **kwargs)
        make(self, *args, **kwargs)  # which registers events in ignite
        engines.append(self)
        for event in events:
            if event.name not in UNRECORDED:
                attach(self, event, event.name)
        for event in getattr(self, "registered_events", ()):  # phases of fsm_engine that ignite registers as events
            if event.name.startswith("TIME_ITERATION"):
                attach(self, event, event.name)
        return None

    def register_events(self: Any, *names: Any, **kwargs: Any) -> None:
        register(self, *names, **kwargs)
        for event in names:
            if any(other is self for other in engines):
                attach(self, event, getattr(event, "name", event))

    engine_class.__init__, engine_class.register_events = init, register_events
    return log


def files_in(folder: Path) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(re.sub(r"events\.out\.tfevents\..*", "events", name) for name in names if not name.endswith(".lock"))


def run(library: str, source: Path, folder: Path, out: Path) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    core = import_module("ignite.engine" if library == "ignite" else "fsm_engine")
    log = record_events(core.Engine, core.Events)
    scope: dict[str, Any] = {"__name__": source.stem}
    exec(compile(source.read_text(), str(source), "exec"), scope)
    result = scope["main"](folder)
    ignored = scope.get("IGNORED_EVENTS", ())
    log = [entry for entry in log if entry[1] not in ignored]
    out.write_text(json.dumps({"events": log, "result": plain(result), "files": files_in(folder)}))


def main() -> None:
    library, *paths = sys.argv[1:]
    run(library, *map(Path, paths))
