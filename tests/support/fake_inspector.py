"""A page of the inspector with a fake connection: the tests send the messages of the server, and read the page's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from fsm_engine import Engine
from fsm_engine.render.diagram_builder import build_diagram
from fsm_engine.render.inspector_page import inspector_page, inspector_script, inspector_style
from fsm_engine.render.layout import lay_out
from fsm_engine.render.page import page_theme
from fsm_engine.render.page_details import page_details
from fsm_engine.render.svg import to_svg
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import MoveKind
from fsm_engine.timeline.visits import category

if TYPE_CHECKING:
    from chromium import Tab

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:"

FAKE_SOCKET = """
window.sockets = [];
window.sent = [];
window.WebSocket = class extends EventTarget {
  static OPEN = 1;
  constructor(address) {
    super();
    Object.assign(this, { address, readyState: 1 });
    sockets.push(this);
  }
  send(text) { sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
};
window.receive = (...messages) => {
  for (const message of messages) {
    sockets.at(-1).dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }
};
window.drop = () => {
  sockets.at(-1).readyState = 3;
  sockets.at(-1).dispatchEvent(new Event("close"));
};
"""


class Files(BaseHTTPRequestHandler):
    """Serves the files of the page with the policy of the inspector."""

    def do_GET(self) -> None:
        """Answer a request."""
        files = {"page.js": (inspector_script, "text/javascript"), "page.css": (inspector_style, "text/css")}
        name = self.path.rpartition("/")[2]
        mode = "replay" if "replay" in self.path else "live"
        make, kind = files.get(name, (lambda: inspector_page(mode), "text/html"))
        content = make().encode()
        self.send_response(200)
        for header, value in {"Content-Type": f"{kind}; charset=utf-8", "Content-Security-Policy": POLICY}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serve_files() -> Iterator[str]:
    """Serve the files of the page, and yield their address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class FakeInspector:
    """A tab with the page, whose WebSocket is fake."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    def receive(self, *messages: dict[str, Any]) -> None:
        """Let the page receive messages of the server, and wait until it has drawn."""
        self.tab.js("receive(...arguments)", *messages)
        self.settle()

    def settle(self) -> None:
        """Wait until the page shows the messages that it has received."""
        self.tab.driver.execute_async_script("setTimeout(arguments[0], 400)")

    def sent(self) -> list[dict[str, Any]]:
        """Return and forget the commands that the page has sent, without their numbers."""
        commands = self.tab.js("return sent.splice(0)")
        return [{key: value for key, value in command.items() if key != "id"} for command in commands]

    def reply(self, text: str, is_done: bool = True) -> None:
        """Answer the last command."""
        self.tab.js(
            "receive({ type: 'reply', id: sent.at(-1).id, ok: arguments[0], text: arguments[1] })", is_done, text
        )

    def click_phase(self, name: str) -> None:
        """Click a phase of the picture."""
        self.tab.js(
            "document.querySelector(arguments[0]).dispatchEvent(new MouseEvent('click', { bubbles: true }))",
            f'#picture g.node[data-node="{name}"]',
        )

    def lit(self, mark: str = "here") -> list[str]:
        """Return the phases that have a mark."""
        marked = "return [...document.querySelectorAll(arguments[0])].map((node) => node.dataset.node)"
        return self.tab.js(marked, f"#picture g.node.{mark}")

    def counts(self) -> dict[str, int]:
        """Return the counts at the phases."""
        shown = (
            "return [...document.querySelectorAll('#picture g.node')].map((node) => "
            "[node.dataset.node, node.querySelector('g.tally')?.count])"
        )
        return {name: count for name, count in self.tab.js(shown) if count}


def hello(*engines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the first message of a server."""
    return {
        "type": "hello",
        "protocol": 1,
        "session": "one",
        "mode": "live",
        "readOnly": False,
        "title": "training",
        "process": "train.py",
        "engines": list(engines),
        "offers": [],
        "breakpoints": [],
        "canPause": True,
        "canSave": True,
    } | more


def described(engine: Engine, timeline: Timeline, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return the description of a recorded engine."""
    track = timeline.tracks[number]
    return {
        "id": number,
        "name": engine.lifecycle.name,
        "heading": engine.lifecycle.name,
        "parent": None,
        "svg": to_svg(lay_out(build_diagram(engine.lifecycle)), page_theme()),
        "phases": [
            {**asdict(phase), "canStop": place > 0} for place, phase in enumerate(page_details(engine.lifecycle).phases)
        ],
        "kinds": [described_kind(kind) for kind in track.kinds],
        "handlers": [asdict(handler) for handler in track.handlers],
        "canPause": True,
        "canSave": True,
    } | more


def described_kind(kind: MoveKind) -> dict[str, Any]:
    """Return a kind of move as messages have it."""
    return {
        "source": kind.source,
        "label": kind.label,
        "target": kind.target,
        "scopes": kind.target_scopes,
        "category": category(kind),
        "isTransition": kind.is_transition,
        "startsVisit": kind.starts_visit,
        "startsRun": kind.trigger == "run",
    }


def moves_of(timeline: Timeline, number: int = 0) -> list[list[int]]:
    """Return the moves of a track, with times since the first."""
    rows = list(timeline.tracks[number].move_ring)
    return [[time - rows[0][0], *rest] for time, *rest in rows]


def spans_of(timeline: Timeline, number: int = 0) -> list[list[int]]:
    """Return the handler calls of a track: start, duration, handler, and whether it raised."""
    track = timeline.tracks[number]
    start = next(iter(track.move_ring))[0]
    return [[begin - start, end - begin, handler, raised] for begin, end, handler, raised in track.span_ring]


def update(moves: list[Any], status: str = "running", **more: Any) -> dict[str, Any]:
    """Return an update about engine 0: its first moves are `moves`."""
    known = [move for move in moves if move is not None]
    last = known[-1] if known else None
    kinds = [move[1] for move in known]
    engine = {
        "id": 0,
        "status": status,
        "phase": None,
        "since": last and last[0],
        "state": {
            "epoch": last and last[2],
            "max_epochs": 3,
            "iteration": last and last[3],
            "max_iters": None,
            "epoch_length": 4,
        },
        "progress": {"done": last and last[3], "total": 12, "seconds": 1.5, "remaining": 2.5, "rate": 4.0},
        "visits": {},
        "taken": [kinds.count(kind) for kind in range(max(kinds, default=-1) + 1)],
        "calls": [],
        "moves": moves,
        "spans": [],
        "leftOut": {"moves": 0, "spans": 0},
        "values": {},
        "pauses": [],
    } | more
    return {"type": "update", "now": last[0] + 1000 if last else 0, "warnings": [], "engines": [engine]}
