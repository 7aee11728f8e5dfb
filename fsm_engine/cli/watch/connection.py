"""`Connection`: the WebSocket of an inspector, in a thread that connects again when it is lost."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fsm_engine._util.extras import import_extra
from fsm_engine.cli.errors import CommandError
from fsm_engine.cli.watch.address import Address
from fsm_engine.cli.watch.text import clean

_TIMEOUT = 5.0
_WAITS = (0.5, 1.0, 2.0, 5.0)
"""Seconds before each new attempt to connect; the last one repeats."""

_LARGEST = 64 * 2**20
"""The most bytes of a message. The pictures of all engines are in the first."""

_UNUSED = ("svg", "edges", "spans")


class Lost(str):
    """The reason why the connection was lost, or could not be made again."""

    __slots__ = ()


def connect(address: Address) -> Any:
    """Return a connected WebSocket.

    Raises:
        ModuleNotFoundError: websockets is not installed.
        CommandError: there is no inspector at the address, or it refuses the token.
    """
    import_extra("websockets", "cli,inspector", "fsm-engine watch needs websockets")
    from websockets.exceptions import InvalidHandshake, InvalidStatus
    from websockets.sync import client

    try:
        opened = socket.create_connection((address.host, address.port), _TIMEOUT)  # not through a proxy
    except OSError as error:
        raise CommandError(_unreachable(address, error)) from error
    try:
        opened.settimeout(None)
        limits: dict[str, Any] = {"open_timeout": _TIMEOUT, "max_size": _LARGEST}
        connection = client.connect(address.url, sock=opened, compression=None, **limits)
        return connection.__enter__()  # releases of websockets from 17 on warn about a connection that is not entered
    except InvalidStatus as error:
        opened.close()
        raise CommandError(_refused(address, error.response.status_code)) from error
    except (InvalidHandshake, OSError, EOFError) as error:
        opened.close()
        raise CommandError(f"the server at {address.place} is not an inspector: {error}") from error


def _unreachable(address: Address, error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return (
        f"no inspector can be reached at {address.place}: {reason}. Is the run over? "
        f"For another machine, forward the port: ssh -L {address.port}:127.0.0.1:{address.port} MACHINE"
    )


def _refused(address: Address, status: int) -> str:
    if status == 403:
        return (
            f"the inspector at {address.place} refuses the token {address.token!r}. Expected the address that "
            "inspect() logged; a restarted process has another token unless it passes token=. An inspector also "
            "refuses more than 32 pages."
        )
    return f"the server at {address.place} is not an inspector: it answered with status {status}."


class Connection:
    """Receives the messages of an inspector, and sends commands to it.

    `read` returns `Lost` for each time that the connection was lost, and the messages otherwise.

    Args:
        address: the address of the inspector.
        first: its open WebSocket.
        wake: called in the thread of the connection when something can be read.
    """

    def __init__(self, address: Address, first: Any, wake: Callable[[], None]) -> None:
        self._address, self._socket, self._wake = address, first, wake
        self._arrived: deque[Mapping[str, Any] | Lost] = deque()
        self._closing = threading.Event()
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="fsm_engine watch", daemon=True)
        self._thread.start()

    def read(self) -> Iterator[Mapping[str, Any] | Lost]:
        """Yield the messages that have arrived, and the losses of the connection."""
        while self._arrived:
            yield self._arrived.popleft()

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command. Without a connection it is dropped, because the run may be another one later."""
        from websockets.exceptions import ConnectionClosed

        self._number += 1
        try:
            if self._socket is not None:
                self._socket.send(json.dumps({"id": self._number, **command}))
        except (ConnectionClosed, OSError):
            return  # the thread notes the loss

    def close(self) -> None:
        """Close the connection."""
        self._closing.set()
        if self._socket is not None:
            self._socket.close()
        self._thread.join(timeout=_TIMEOUT)

    def _run(self) -> None:
        attempts = 0
        while not self._closing.is_set():
            if self._socket is not None:
                attempts, reason = 0, self._receive(self._socket)
                self._socket = None
            else:
                attempts, reason = attempts + 1, self._connect_again()
            if reason and not self._closing.is_set():
                self._put(Lost(reason))
                self._closing.wait(_WAITS[min(attempts, len(_WAITS) - 1)])

    def _receive(self, opened: Any) -> str:
        """Receive messages until the connection is lost, and return the reason."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                self._put(read_message(opened.recv()))
        except (ConnectionClosed, OSError):
            return "the server has closed the connection"
        except ValueError as error:
            opened.close()
            return f"the server has sent a malformed message: {error}"

    def _connect_again(self) -> str:
        try:
            self._socket = connect(self._address)
        except CommandError as error:
            return str(error)
        return ""

    def _put(self, arrived: Mapping[str, Any] | Lost) -> None:
        self._arrived.append(arrived)
        self._wake()


def read_message(text: str | bytes) -> Mapping[str, Any]:
    """Return a message of the server without pictures and spans, and without control characters in its strings.

    Raises:
        ValueError: it is not a JSON object with a type.
    """
    message = json.loads(text)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError("not an object with a type")
    for part in (message.get("engine"), *message.get("engines", ())):
        if isinstance(part, dict):
            for name in _UNUSED:
                part.pop(name, None)
    return dict(clean(message))
