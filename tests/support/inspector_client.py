"""A client of an inspector: what a page sends and receives, without a browser."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE = 200
"""Seconds to wait for a message."""


class Client:
    """Connects to an inspector and keeps the messages that arrive, in a ``with`` block."""

    def __init__(self, address: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self._connecting = connect(address.replace("http", "ws", 1) + "live", max_size=None)
        self._numbers = count(1)
        self._arrived = threading.Condition()

    def __enter__(self) -> Client:
        self.connection: ClientConnection = self._connecting.__enter__()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._connecting.__exit__(None, None, None)
        self._thread.join()

    def _read(self) -> None:
        with suppress(ConnectionClosed):
            for text in self.connection:
                with self._arrived:
                    self.messages.append(json.loads(text))
                    self._arrived.notify_all()

    def wait(self, is_it: Callable[[dict[str, Any]], Any], since: int = 0) -> dict[str, Any]:
        """Return the first message from index `since` on that `is_it` is true for."""
        end = time.monotonic() + PATIENCE
        with self._arrived:
            while True:
                for message in self.messages[since:]:
                    if is_it(message):
                        return message
                if not self._arrived.wait(max(end - time.monotonic(), 0)):
                    raise TimeoutError(f"not among {[message['type'] for message in self.messages[since:]]}")

    def send(self, command: str, **message: Any) -> int:
        """Send a command and return its number."""
        number = next(self._numbers)
        self.connection.send(json.dumps({"id": number, "command": command, **message}))
        return number

    def ask(self, command: str, **message: Any) -> dict[str, Any]:
        """Send a command and return the reply."""
        number = self.send(command, **message)
        return self.wait(lambda one: one["type"] == "reply" and one["id"] == number)

    def done(self, command: str, **message: Any) -> str:
        """Send a command, check that it was executed, and return the text of the reply."""
        reply = self.ask(command, **message)
        assert reply["ok"], reply
        return str(reply["text"])

    def look(self, command: str, **message: Any) -> dict[str, Any]:
        """Send a command after which the run pauses, and return what the pause shows."""
        since = len(self.messages)
        self.done(command, **message)
        return self.wait(lambda one: one["type"] == "look", since)

    def status(self, wanted: str, engine: int | None = None) -> dict[str, Any]:
        """Wait until an engine has a status, and return its part of that update."""

        def part(message: dict[str, Any]) -> dict[str, Any] | None:
            engines = message["engines"] if message["type"] == "update" else []
            return next((o for o in engines if o["status"] == wanted and engine in (None, o["id"])), None)

        found = part(self.wait(part, max(len(self.messages) - 1, 0)))
        assert found is not None
        return found
