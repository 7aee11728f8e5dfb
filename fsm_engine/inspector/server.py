"""The server of the inspectors of a process: uvicorn in a thread, shared by all inspectors."""

from __future__ import annotations

import asyncio
import atexit
import ipaddress
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fsm_engine._util.extras import import_extra
from fsm_engine.inspector.control import Control
from fsm_engine.inspector.hub import Hub

_SHORTEST_TOKEN = 16


class Server:
    """Serves the page of a hub until `close` is called.

    Args:
        hub: connects the inspectors and the pages.
        host: the address to listen on.
        port: the port; 0 for a free one.
        token: the secret part of the address; None for a random one, on a loopback address only.

    Attributes:
        hub: connects the inspectors and the pages.
        address: the address of the page, with its token.
        is_kept: whether it stays without inspectors.

    Raises:
        ModuleNotFoundError: Starlette, uvicorn or websockets is not installed.
        ValueError: other machines can reach `host`, and there is no token; or the token is too short.
        OSError: the port is in use, or the host is not an address of this machine.
    """

    def __init__(self, hub: Hub, host: str, port: int, token: str | None) -> None:
        uvicorn = import_extra("uvicorn", "inspector", "the inspector needs uvicorn")
        import_extra("websockets", "inspector", "the inspector needs websockets")
        import_extra("starlette", "inspector", "the inspector needs Starlette")
        from fsm_engine.inspector.app import LARGEST_MESSAGE, make_app
        from fsm_engine.inspector.sleeping_server import SleepingServer

        is_loopback = _is_loopback(host)
        token = _check_token(host, token, is_loopback)
        self.is_kept, self.hub, self.settings = False, hub, (host, token, hub.read_only)
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else socket.gethostname() if _is_any(host) else host
        self.address = f"http://{shown}:{self.port}/{token}/"
        names = frozenset({"127.0.0.1", "localhost", "::1", host}) if is_loopback else None
        config = uvicorn.Config(
            make_app(self.hub, token, names),
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="websockets-sansio",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._server = SleepingServer(config)
        self._thread = threading.Thread(target=self._serve, name="fsm_engine inspector", daemon=True)
        self._thread.start()
        self.hub.is_started.wait(10)

    @property
    def is_alive(self) -> bool:
        """Whether the server still answers."""
        return self.hub.is_alive

    def close(self) -> None:
        """Stop the server, and release all runs."""
        self._server.close()
        self.hub.close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5)
        self._socket.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            logging.getLogger(__name__).exception("The server of the inspector failed; runs continue without it.")
        finally:
            self.hub.close()

    async def _main(self) -> None:
        updates = asyncio.create_task(self.hub.run())
        try:
            await self._server._serve([self._socket])  # `serve` would take over the signals of the process
        finally:
            updates.cancel()


def _check_token(host: str, token: str | None, is_loopback: bool) -> str:
    if token is None:
        if is_loopback:
            return secrets.token_urlsafe(24)
        raise ValueError(
            f"host={host!r} can be reached by other machines, so the inspector needs a token that you choose, such as "
            f"token=secrets.token_urlsafe(). Anybody who has it can steer the run. Without a host, only this machine "
            f"can connect; ssh -L reaches it from another one."
        )
    is_plain = token.isascii() and token.replace("-", "").replace("_", "").isalnum()
    if len(token) < _SHORTEST_TOKEN or not is_plain:
        raise ValueError(
            f"a token has at least {_SHORTEST_TOKEN} letters, digits, '-' or '_'. Use secrets.token_urlsafe()."
        )
    return token


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that the port is known before the server runs."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(64)
    except BaseException:
        listening.close()
        raise
    return listening


_current: list[Server] = []
_lock = threading.Lock()


def _leave_to_parent() -> None:
    """Let a forked process, such as a worker of a loader, run without the server, whose thread it does not have."""
    global _lock
    _lock = threading.Lock()
    for server in _current:
        server.hub.forget_pages()
        server._socket.close()
    _current.clear()


@atexit.register
def _finish() -> None:
    for server in _current:
        server.hub.finish("The program has ended.")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def shared_server(host: str, port: int, token: str | None, read_only: bool) -> Server:
    """Return the server of this process, and start it if there is none.

    Raises:
        ValueError: it runs with other settings. See `Server` for further exceptions.
    """
    with _lock:
        if _current and not _current[0].is_alive:
            _current.pop().close()
        if not _current:
            _current.append(Server(Hub(read_only), host, port, token))
            return _current[0]
        server = _current[0]
        _check_settings(server, host, port, token, read_only)
        return server


def _check_settings(server: Server, host: str, port: int, token: str | None, read_only: bool) -> None:
    old_host, old_token, old_read_only = server.settings
    is_same = host == old_host and port in (0, server.port) and token in (None, old_token)
    if not is_same or read_only != old_read_only:
        raise ValueError(
            f"the inspectors of a process share one server, which runs at port {server.port} of {old_host!r} with "
            f"read_only={old_read_only}. Pass the same settings, or close the other inspectors first."
        )


def release(server: Server, control: Control | None) -> None:
    """Remove a control from its server, and close a server that has no controls and is not kept."""
    with _lock:
        if control is not None:
            control.close()
        if not server.is_kept and all(one is control for one in server.hub.controls):
            server.hub.finish("The inspector was closed.")
        if control in server.hub.controls:
            server.hub.controls.remove(control)
        if server.hub.controls or server.is_kept:
            return
        if server in _current:
            _current.remove(server)
    server.close()


@contextmanager
def keep_server() -> Iterator[Server]:
    """Start the server of this process, and keep it without inspectors until the end of the ``with`` block."""
    server = shared_server("127.0.0.1", 0, None, False)
    server.is_kept = True
    try:
        yield server
    finally:
        server.is_kept = False
        release(server, None)
