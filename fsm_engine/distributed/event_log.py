"""`EventLog`: messages that every rank receives in the same order, through the store of the process group."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from queue import SimpleQueue
from typing import Any

from torch.distributed.distributed_c10d import Store

_logger = logging.getLogger(__name__)
LONGEST_WAIT = timedelta(days=20)
"""The longest time to wait that fits into the milliseconds of the store."""

_LAST_WAIT = 3.0
"""Seconds to wait for a thread, or for the other ranks after one of them has failed."""

Message = dict[str, Any]
Receiver = Callable[[int, Message], None]


class EventLog:
    """A numbered sequence of messages in a store.

    Two threads do the work, so no other thread waits for the network: one posts messages, and one waits for the next
    message and calls the receivers. Waiting does not poll: without messages there is no traffic.

    Args:
        store: the store that all ranks share. Each thread gets a connection of its own.
        rank: the number of this process.
        world_size: the number of processes.

    Attributes:
        is_lost: True once the store does not answer any more. The receivers get a last message of the kind "lost".
    """

    def __init__(self, store: Store, rank: int, world_size: int) -> None:
        self.store, self.rank, self.world_size = store, rank, world_size
        self._closed: set[int] = set()
        self._left: set[int] = set()
        self._others_left = threading.Event()
        self._may_leave, self._all_closed = threading.Event(), threading.Event()
        self.is_closed = self.is_lost = False
        self._receivers: list[Receiver] = []
        self._received: list[tuple[int, Message]] = []  # a rank may ask before another one attaches its engines
        self._delivering = threading.Lock()
        self._outbox: SimpleQueue[Message | None] = SimpleQueue()
        self._stops: list[Callable[[], None]] = []
        self._threads = [
            threading.Thread(target=loop, args=(store.clone(),), name=f"fsm_engine {name}", daemon=True)
            for name, loop in (("posts", self._post_messages), ("receives", self._receive_messages))
        ]

    def subscribe(self, receiver: Receiver) -> None:
        """Call ``receiver(number, message)`` for each message: at once for those received, else in the log's thread."""
        with self._delivering:
            for number, message in self._received:
                receiver(number, message)
            self._receivers.append(receiver)

    def start(self) -> None:
        """Start to receive messages, from the first message of the log on."""
        for thread in self._threads:
            thread.start()

    def start_thread(
        self, function: Callable[[Any], None], argument: Any, stop: Callable[[], None] | None = None
    ) -> None:
        """Call `function` in a thread that has to end soon after `is_closed` or `stop`: `close` waits for it."""
        name = f"fsm_engine {function.__name__}"
        thread = threading.Thread(target=function, args=(argument,), name=name, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive() or each.ident is None] + [thread]
        if stop is not None:
            self.call_at_close(stop)
        thread.start()

    def call_at_close(self, stop: Callable[[], None]) -> None:
        """Call `stop` in `close`, when all ranks have come there."""
        self._stops.append(stop)

    def post(self, message: Message) -> None:
        """Send `message`, which is JSON data, to all ranks, this one included. Return at once."""
        self._outbox.put({"rank": self.rank, **message})

    def close(self, timeout: float) -> list[int]:
        """Wait until all ranks close their logs, because a rank may need the answers of this one until then.

        Returns:
            The ranks that have not closed their logs within `timeout` seconds, or soon after `stop_waiting`.
        """
        self.post({"kind": "closed"})
        self._may_leave.wait(timeout)
        self._all_closed.wait(_LAST_WAIT)  # after a failure: this process may have the store that the others need
        self.is_closed = True
        if self.rank == 0:
            self._others_left.wait(_LAST_WAIT)
        for stop in self._stops:
            stop()
        self.post({"kind": "left"})  # wakes the thread that receives, which must not wait when the interpreter ends
        self._outbox.put(None)
        for thread in self._threads:  # a thread in a function of the store at the interpreter's end aborts the process
            thread.join(_LAST_WAIT)
        return sorted(set(range(self.world_size)) - self._closed)

    def stop_waiting(self) -> None:
        """Let `close` return soon although not all ranks have closed their logs."""
        self._may_leave.set()

    def _post_messages(self, store: Store) -> None:
        while True:
            message = self._outbox.get()
            if message is None:
                return
            try:
                store.set(_key(store.add("messages", 1)), json.dumps(message))
            except RuntimeError as error:
                _logger.warning("Messages to other ranks are not sent any more, because the store failed: %s", error)
                return

    def _receive_messages(self, store: Store) -> None:
        number = 0
        while True:
            number += 1
            try:
                store.wait([_key(number)], LONGEST_WAIT)
                message = json.loads(store.get(_key(number)))
            except RuntimeError as error:
                _logger.debug("The store of the process group ended: %s", error)
                self._lose(number)
                return
            if message["kind"] == "closed":
                self._closed.add(message["rank"])
                if len(self._closed) == self.world_size:
                    self._all_closed.set()
                    self._may_leave.set()
            elif message["kind"] == "left":
                self._left.add(message["rank"])
                if len(self._left) >= self.world_size - 1:
                    self._others_left.set()
                if self.rank in self._left:
                    return
            self._deliver(number, message)

    def _lose(self, number: int) -> None:
        """Let nobody wait for a message, because none comes any more."""
        self.is_lost = True
        for event in (self._may_leave, self._all_closed, self._others_left):
            event.set()
        self._deliver(number, {"kind": "lost"})

    def _deliver(self, number: int, message: Message) -> None:
        with self._delivering:
            self._received.append((number, message))
            for receiver in self._receivers:
                try:
                    receiver(number, message)
                except Exception:
                    _logger.exception("A receiver of messages from other ranks failed.")


def _key(number: int) -> str:
    return f"message/{number}"
