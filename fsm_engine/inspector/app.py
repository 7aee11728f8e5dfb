"""The web application of the inspector: the page, its files, and the WebSocket, behind a token."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from fsm_engine.inspector.control import Command
from fsm_engine.inspector.hub import Client, Hub
from fsm_engine.render.inspector_page import inspector_page, inspector_script, inspector_style

LARGEST_MESSAGE = 16 * 1024
"""The most bytes of a message of a page."""

_MOST_PAGES, _MOST_COMMANDS = 32, 50
"""The most connected pages, and the most commands of one page in a second."""

_MOST_REPLIES = 500
"""The most replies that may wait for a page. The connection of a page that sends and does not read is closed."""

_WATCHING = ("ping", "look")
"""The commands that a page may send to a server that is read-only."""

_PARENTS = "'self' http://127.0.0.1:* http://localhost:* https://127.0.0.1:* https://localhost:* vscode-webview:"
"""The pages that may show this one in a frame: notebooks on this machine."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {_PARENTS}"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(hub: Hub, token: str, hosts: frozenset[str] | None) -> Starlette:
    """Return the application.

    Args:
        hub: the hub with the inspectors.
        token: the first part of every path.
        hosts: the host names that a request may be sent to; None for any.
    """
    files: dict[str, tuple[Callable[[], str], str]] = {
        "": (partial(inspector_page, hub.mode), "text/html"),
        "page.js": (inspector_script, "text/javascript"),
        "page.css": (inspector_style, "text/css"),
    }

    def is_allowed(connection: HTTPConnection) -> bool:
        given = str(connection.path_params.get("token", ""))
        return hmac.compare_digest(given.encode(), token.encode()) and _is_own_host(connection, hosts)

    async def get_file(request: Request) -> Response:
        if not is_allowed(request) or request.path_params["name"] not in files:
            return _refused()
        make, kind = files[request.path_params["name"]]
        return Response(make(), media_type=kind, headers=_HEADERS)

    async def live(websocket: WebSocket) -> None:
        if not is_allowed(websocket) or not _is_own_origin(websocket):
            await websocket.close(1008)  # before `accept`, so the handshake is answered with 403
        elif len(hub.clients) >= _MOST_PAGES:
            await websocket.close(1013)
        else:
            await websocket.accept()
            await _serve(websocket, hub)

    async def refuse(_: Request) -> Response:
        return _refused()

    async def refuse_socket(websocket: WebSocket) -> None:
        await websocket.close(1008)

    return Starlette(
        routes=[
            Route("/{token}/{name:path}", get_file),
            WebSocketRoute("/{token}/live", live),
            Route("/{path:path}", refuse),
            WebSocketRoute("/{path:path}", refuse_socket),
        ]
    )


def _refused() -> Response:
    text = "Open the address that the inspector has printed; it contains a token."
    return PlainTextResponse(text, status_code=403, headers=_HEADERS)


def _is_own_host(connection: HTTPConnection, hosts: frozenset[str] | None) -> bool:
    """Return True if the request was sent to this server by name or address, and not to a name that was rebound."""
    host = _parts(f"//{connection.headers.get('host', '')}").hostname
    return hosts is None or host in hosts


def _is_own_origin(connection: HTTPConnection) -> bool:
    """Return True if a WebSocket comes from a page of this server, or from a program that is not a browser."""
    origin = connection.headers.get("origin")
    return origin is None or _parts(origin).netloc == connection.headers.get("host")


def _parts(address: str) -> SplitResult:
    """Return the parts of an address; empty ones if it is malformed."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


async def _serve(websocket: WebSocket, hub: Hub) -> None:
    client = Client(asyncio.get_running_loop())
    hub.connect(client)
    tasks = [
        asyncio.create_task(_send(websocket, client.queue)),
        asyncio.create_task(_send(websocket, client.replies)),
        asyncio.create_task(_receive(websocket, hub, client)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.clients.discard(client)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(websocket: WebSocket, queue: asyncio.Queue[str]) -> None:
    while True:
        await websocket.send_text(await queue.get())


async def _receive(websocket: WebSocket, hub: Hub, client: Client) -> None:
    times: deque[float] = deque(maxlen=_MOST_COMMANDS)
    while True:
        try:
            text = await websocket.receive_text()
        except (WebSocketDisconnect, KeyError, RuntimeError):  # KeyError: a binary message
            return
        now = monotonic()
        is_too_fast = len(times) == _MOST_COMMANDS and now - times[0] < 1
        if is_too_fast or client.replies.qsize() > _MOST_REPLIES:
            await websocket.close(1008)
            return
        times.append(now)
        message = _read(text)
        if message is None:
            await websocket.close(1003)
            return
        _submit(hub, client, message)


def _read(text: str) -> dict[str, Any] | None:
    """Return a message of a page; None if it is malformed."""
    if len(text) > LARGEST_MESSAGE:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("command"), str) else None


def _submit(hub: Hub, client: Client, message: dict[str, Any]) -> None:
    loop, number = client.loop, message.get("id")

    def reply(is_done: bool, text: str) -> None:
        answer = {"type": "reply", "id": number if type(number) is int else None, "ok": is_done, "text": text}
        if not loop.is_closed():
            loop.call_soon_threadsafe(client.replies.put_nowait, json.dumps(answer))

    if message["command"] == "ping":
        reply(True, "")
    elif hub.read_only and message["command"] not in _WATCHING:
        reply(False, "This inspector is read-only.")
    else:
        control = hub.control_of(message.get("engine"))
        if control is None:
            reply(False, "No engine is inspected any more.")
        else:
            control.submit(Command(message, reply))
