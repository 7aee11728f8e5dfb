"""`Hub`: the inspectors of one server and the pages that are connected to them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from time import perf_counter_ns, time_ns
from typing import Any, ClassVar

from fsm_engine.inspector.control import RANKS, Control
from fsm_engine.inspector.errors import CommandError
from fsm_engine.inspector.feed import Feed
from fsm_engine.inspector.inspected import InspectedEngine
from fsm_engine.inspector.saving import find_checkpoint
from fsm_engine.inspector.warning_log import WarningLog

EVERY = 0.1
"""Seconds between two updates."""

_REST = 0.5
"""Seconds between two readings of the records while no page is connected."""

_REFRESH = 10
"""Updates between two readings of the offered values."""

_PATIENCE = 3
"""Seconds for the last messages to pages, when the server ends."""

_WAITING = 4
"""Messages that may wait for a page. A page that reads more slowly gets everything again when it has read them."""


class Client:
    """A connected page: the messages that wait for it, and whether it has missed one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.replies: asyncio.Queue[str] = asyncio.Queue()
        self.is_behind = False

    def put(self, text: str) -> None:
        """Add a message, unless too many wait already. Called in the loop of the server."""
        if self.queue.qsize() >= _WAITING:
            self.is_behind = True
        elif not self.is_behind:
            self.queue.put_nowait(text)


class Hub:
    """Connects the controls of inspectors with pages. `run` is its loop, in the thread of the server.

    Attributes:
        read_only: whether pages may only watch.
        origin: the time to which all times of messages are relative, in nanoseconds of the monotonic clock.
        clients: the connected pages.
        is_alive: whether the server runs.
        is_started: set once messages can be published.
    """

    mode: ClassVar[str] = "live"

    def __init__(self, read_only: bool) -> None:
        self.read_only = read_only
        self.origin, self.session = perf_counter_ns(), secrets.token_hex(8)
        self.clients: set[Client] = set()
        self.is_alive = True
        self.controls: list[Control] = []
        self._feeds: dict[int, tuple[Feed, InspectedEngine, Control]] = {}
        self._versions: dict[int, Any] = {}
        self._failures: dict[int, Mapping[str, Any]] = {}
        self._looks: dict[int, Mapping[str, Any]] = {}
        self._ids, self._breakpoints = count(), count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected: asyncio.Event
        self._warnings = WarningLog()
        self.is_started = threading.Event()

    # The listener of the controls; any thread

    def new_id(self) -> int:
        """Return a number for an engine."""
        return next(self._ids)

    def new_breakpoint(self) -> int:
        """Return a number for a breakpoint."""
        return next(self._breakpoints)

    def new_heading(self, name: str) -> str:
        """Return `name`, with a number if another inspected engine has it."""
        used = {control.engines[0].heading for control in list(self.controls)}
        return next(heading for heading in chain([name], (f"{name} {n}" for n in count(2))) if heading not in used)

    def publish(self, message: Mapping[str, Any]) -> None:
        """Send a message to all pages, and keep it for pages that connect later if it describes a state."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._publish, message)

    def _publish(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "failure":
            message = {**message, "time": message["time"] - self.origin}
            self._failures[message["engine"]] = message
        elif message["type"] == "look":
            self._looks[message["engine"]] = message
        elif message["type"] in ("offers", "breakpoints"):
            message = {"type": message["type"], message["type"]: self._kept()[message["type"]]}
        self._send_all(message)

    def forget_pages(self) -> None:
        """Forget the loop and the pages: this process was forked, and its parent has the thread that serves them."""
        self.is_alive, self._loop = False, None
        self.clients.clear()
        self._warnings.close()

    def finish(self, reason: str) -> None:
        """Send a last update, with the end of the run, before the server ends. It takes at most a few seconds."""
        if self.is_alive and self._loop is not None and self.clients:
            with suppress(Exception):  # the loop ends, or a page does not read
                asyncio.run_coroutine_threadsafe(self._finish(reason), self._loop).result(_PATIENCE)

    async def _finish(self, reason: str) -> None:
        self._update(_REFRESH + 1)
        self._send_all({"type": "closed", "text": reason})
        while any(not client.queue.empty() for client in self.clients):
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Release all runs."""
        self.is_alive = False
        self._warnings.close()
        for control in list(self.controls):
            control.close()

    # The loop of the server

    async def run(self) -> None:
        """Send updates until this task is cancelled."""
        self._loop = asyncio.get_running_loop()
        self._warnings.open()
        self._connected = asyncio.Event()
        self.is_started.set()
        failed = False
        for number in count():
            await self._rest()
            try:
                self._update(number)
            except Exception:
                if not failed:  # the next updates may fail in the same way, ten times a second
                    logging.getLogger(__name__).exception("The inspector could not make an update.")
                failed = True

    async def _rest(self) -> None:
        """Wait for the next update. Without pages, the run is left alone for longer, or until a page connects."""
        if self.clients:
            await asyncio.sleep(EVERY)
        else:
            self._connected.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._connected.wait(), _REST)

    def _update(self, number: int) -> None:
        for control in list(self.controls):
            control.answer()
        if self.clients:
            self._send_update(number)
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        """Count what no page has to get, and keep the rest for pages that connect later."""
        for feed in self._current_feeds():
            feed.catch_up()
        self._forget_old_engines()
        self._warnings.new.clear()

    def _send_update(self, number: int) -> None:
        updates = [update for feed in self._current_feeds() if (update := feed.update()) is not None]
        self._forget_old_engines()
        if number % _REFRESH == 0:
            for control in list(self.controls):
                control.ask_for_values()
        self._send_changed_engines()
        now, warnings = perf_counter_ns() - self.origin, self._take_warnings()
        self._send_all({"type": "update", "now": now, "warnings": warnings, "engines": updates})
        for client in list(self.clients):
            if client.is_behind and client.queue.empty():
                client.is_behind = False
                self.greet(client)

    def _forget_old_engines(self) -> None:
        """Forget engines that are no longer recorded: they have not existed for long, so the pages forget them, too."""
        for _, inspected, control in list(self._feeds.values()):
            if inspected.recorder.is_over:
                self._forget(inspected)
                if not control.is_closed:
                    self._send_all({"type": "gone", "engine": inspected.id})

    def _send_changed_engines(self) -> None:
        for _, inspected, control in list(self._feeds.values()):
            version = inspected.version
            if self._versions.get(inspected.id) != version:
                self._versions[inspected.id] = version
                described = self._describe(inspected, control)
                if described is not None:
                    self._send_all({"type": "engine", "engine": described})

    def _current_feeds(self) -> Iterator[Feed]:
        for control in list(self.controls):
            for inspected in list(control.engines):
                if inspected.id not in self._feeds:
                    self._feeds[inspected.id] = Feed(inspected, control, self.origin), inspected, control
                yield self._feeds[inspected.id][0]

    def _forget(self, inspected: InspectedEngine) -> None:
        for kept in (self._feeds, self._versions, self._failures, self._looks):
            kept.pop(inspected.id, None)

    def _take_warnings(self) -> list[dict[str, Any]]:
        new = self._warnings.new
        return [self._relative(new.popleft()) for _ in range(len(new))]

    def _relative(self, warning: Mapping[str, Any]) -> dict[str, Any]:
        return {**warning, "time": warning["time"] - self.origin}

    def _send_all(self, message: Mapping[str, Any]) -> None:
        text = json.dumps(message, separators=(",", ":"))
        for client in list(self.clients):
            client.put(text)

    def connect(self, client: Client) -> None:
        """Add a page, and send everything that it needs at first."""
        if not self.clients:
            self._catch_up()
        self.greet(client)
        self.clients.add(client)
        self._connected.set()

    def greet(self, client: Client) -> None:
        """Send everything that a page needs at first, or after it has missed messages."""
        client.queue.put_nowait(json.dumps(self._hello()))
        engines = [one for control in list(self.controls) for one in list(control.engines)]
        failed = {one.id for one in engines if one.outcome == "failed"}
        kept = [failure for number, failure in self._failures.items() if number in failed]
        held = {control.pause.inspected.id for control in self.controls if control.pause is not None}
        kept += [look for number, look in self._looks.items() if number in held]
        for message in kept:
            client.queue.put_nowait(json.dumps(message))
        old = list(map(self._relative, self._warnings.last))
        history = [one for feed, *_ in self._feeds.values() if (one := feed.history()) is not None]
        now = perf_counter_ns() - self.origin
        client.queue.put_nowait(json.dumps({"type": "update", "now": now, "warnings": old, "engines": history}))

    def _hello(self) -> dict[str, Any]:
        pairs = [(inspected, control) for control in list(self.controls) for inspected in list(control.engines)]
        engines = [one for pair in pairs if (one := self._describe(*pair)) is not None]
        self._versions.update((inspected.id, inspected.version) for inspected, _ in pairs)
        first = engines[0] if engines else {"heading": "", "canPause": "No engine.", "canSave": "No engine."}
        process = f"{Path(sys.argv[0]).name or 'python'}, process {os.getpid()}, host {socket.gethostname()}"
        return {
            "type": "hello",
            "protocol": 1,
            "session": self.session,
            "mode": self.mode,
            "readOnly": self.read_only,
            "title": first["heading"],
            "process": process,
            "wall": (time_ns() - perf_counter_ns() + self.origin) / 1e6,
            "engines": engines,
            "canPause": first["canPause"],
            "canSave": first["canSave"],
            **self._kept(),
        }

    def _kept(self) -> dict[str, Any]:
        controls = list(self.controls)
        offers = [(control.engines[0], offer) for control in controls for offer in list(control.offers.values())]
        names = Counter(offer.name for _, offer in offers)
        return {
            "offers": [
                {
                    **offer.describe(),
                    "engine": owner.id,
                    "label": offer.name if names[offer.name] == 1 else f"{owner.heading}: {offer.name}",
                }
                for owner, offer in offers
            ],
            "breakpoints": [one.describe() for control in controls for one in list(control.breakpoints.values())],
        }

    def _describe(self, inspected: InspectedEngine, control: Control) -> dict[str, Any] | None:
        described, engine = inspected.describe(), inspected.engine
        if described is None or engine is None:
            return None
        is_alone = not control.has_ranks
        can_save: bool | str = True
        try:
            find_checkpoint(engine)
        except CommandError as error:
            can_save = str(error)
        return {**described, "canPause": is_alone or RANKS, "canSave": can_save if is_alone else RANKS}

    def control_of(self, engine: Any) -> Control | None:
        """Return the control of the engine with this id, else the first; None without any."""
        controls = list(self.controls)
        found = [control for control in controls if any(one.id == engine for one in list(control.engines))]
        return next(iter(found or controls), None)
