"""`SleepingServer`: a server of uvicorn without the timer that would wake the process ten times a second."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uvicorn


class SleepingServer(uvicorn.Server):
    """Serves until `close` is called. Between two requests it does nothing."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait until the server is closed."""
        await self.on_tick(0)  # sets the headers of all responses
        self._loop = asyncio.get_running_loop()
        while not self.should_exit:  # True already if `close` found no loop
            await self._closing.wait()

    def close(self) -> None:
        """Let the server end. Any thread may call this."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._closing.set)
