"""How long phases take on a CUDA device: an event is recorded in its stream at each move, and read when it is there."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from fsm_engine.timeline.ring import Ring

PENDING = 4096
"""How many events may wait for the device at once."""


class Event(Protocol):
    """What is needed of a `torch.cuda.Event`."""

    def record(self) -> Any:
        """Put it behind what the current stream has to do."""
        raise NotImplementedError

    def query(self) -> bool:
        """Say whether the stream has come to it."""
        raise NotImplementedError

    def synchronize(self) -> Any:
        """Wait until the stream has come to it."""
        raise NotImplementedError

    def elapsed_time(self, other: Any) -> float:
        """Return the milliseconds from this event to another."""
        raise NotImplementedError


class Device(Protocol):
    """What makes events, and says when they must not be recorded."""

    def event(self) -> Event:
        """Return a new event."""
        raise NotImplementedError

    def is_capturing(self) -> bool:
        """Say whether the current stream is being captured into a graph, which an event with a time would spoil."""
        raise NotImplementedError


class Cuda:
    """The CUDA devices of torch.

    Raises:
        ModuleNotFoundError: torch is not installed.
        RuntimeError: torch has no CUDA device.
    """

    def __init__(self) -> None:
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError(
                "record(device=True) takes the time of a CUDA device, and torch.cuda.is_available() is False here. "
                "Leave device= out, where there is no GPU: times are then those of the host."
            )
        self._torch = torch
        self.is_capturing: Callable[[], bool] = torch.cuda.is_current_stream_capturing

    def event(self) -> Event:
        """Return a new event."""
        return self._torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class DeviceClock:
    """Takes the time between moves on a device, without ever waiting for it while the run goes on.

    Args:
        device: what makes events.
        ring: where times are put, as records of `track.DEVICE`.
        logger: told if the device refuses; no times are taken then.
    """

    def __init__(self, device: Device, ring: Ring, logger: logging.Logger) -> None:
        self._device, self._ring, self._logger = device, ring, logger
        self._free: list[Event] = []
        self._pending: deque[tuple[int, Event | None]] = deque()
        self._is_over = False

    def mark(self, number: int) -> None:
        """Take note that the move of that number is made; nothing raises."""
        if self._is_over:
            return
        try:
            event, pending = self._recorded(), self._pending
            if event is not None or not pending or pending[-1][1] is not None:
                pending.append((number, event))
            self._collect()
        except Exception:
            self._give_up()

    def close(self) -> None:
        """Wait for the device, read what is left, and take no more times."""
        if self._is_over:
            return
        self._is_over = True
        try:
            for _, event in self._pending:
                if event is not None:
                    event.synchronize()
            self._collect()
        except Exception:
            self._give_up()
        self._pending.clear()
        self._free.clear()

    def _recorded(self) -> Event | None:
        """Return an event behind what was handed over so far; None if there must or can be none."""
        if self._device.is_capturing() or len(self._pending) >= PENDING:
            return None
        event = self._free.pop() if self._free else self._device.event()
        event.record()
        return event

    def _collect(self) -> None:
        """Read what the device has done by now: of at most two events for each that is recorded, so few are left."""
        pending = self._pending
        for _ in range(len(pending) if self._is_over else 2):
            if len(pending) < 2:
                return
            (number, before), (_, after) = pending[0], pending[1]
            if after is not None and not after.query():
                return
            if before is not None:
                if after is not None:
                    self._ring.add(number, round(before.elapsed_time(after) * 1e6))
                self._free.append(before)
            pending.popleft()

    def _give_up(self) -> None:
        self._is_over = True
        self._logger.warning("The device refuses to tell times, so none are recorded any more.", exc_info=True)
