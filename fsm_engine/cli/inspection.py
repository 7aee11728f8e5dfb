"""Inspection of a whole program, and replay of a recorded run."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fsm_engine.engine import recording
from fsm_engine.engine.engine import Engine
from fsm_engine.inspector.inspector import Inspector
from fsm_engine.inspector.replay import serve_replay
from fsm_engine.inspector.server import keep_server
from fsm_engine.timeline import Timeline


@contextmanager
def inspected_program(open_page: bool) -> Iterator[None]:
    """Inspect every run of the block that is not inside another run, on one page, whose address is printed."""
    inspectors: list[Inspector] = []

    def begin(engine: Engine) -> None:
        for inspector in [one for one in inspectors if not one.has_engine]:
            inspector.close()
            inspectors.remove(inspector)
        if engine._recorder is None:
            inspectors.append(engine.inspect())
            recording.make_way(inspectors[-1].recorder)

    with keep_server() as server:
        typer.echo(f"The inspector is at {server.address}", err=True)
        if open_page:
            webbrowser.open(server.address)
        try:
            with recording.before_outermost_runs(begin):
                yield
        finally:
            for inspector in inspectors:
                inspector.close()


def replay(path: Path, port: int, open_page: bool) -> None:
    """Serve a page that plays a recorded run, until Ctrl-C."""
    with serve_replay(Timeline.load(path), path.name, port) as server:
        print(f"Playing {path.name} at {server.address}\nPress Ctrl-C to end.", flush=True)
        if open_page:
            webbrowser.open(server.address)
        try:
            while server.is_alive:
                time.sleep(0.2)
        except KeyboardInterrupt:
            return
