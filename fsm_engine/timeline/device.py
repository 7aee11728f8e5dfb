"""Device times: a CUDA event is recorded in the stream at each move, and read once the device has passed it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from fsm_engine.timeline.ring import Ring

MAX_PENDING = 4096
"""The number of events that may wait for the device at once. Beyond it, moves get no device time."""


class Event(Protocol):
    """The methods of `torch.cuda.Event` that a `DeviceClock` calls."""

    def record(self) -> Any:
        """Record the event in the current stream."""

    def query(self) -> bool:
        """Return True if the stream has passed the event."""
        ...

    def synchronize(self) -> Any:
        """Wait until the stream has passed the event."""

    def elapsed_time(self, other: Any) -> float:
        """Return the time from this event to `other`, in milliseconds."""
        ...


class Device(Protocol):
    """A device whose streams can record events."""

    def event(self) -> Event:
        """Return a new event."""
        ...

    def is_capturing(self) -> bool:
        """Return True while the current stream is captured into a graph. Recording an event would break the capture."""
        ...


class CudaDevice:
    """The CUDA devices of torch.

    Raises:
        ModuleNotFoundError: torch is not installed.
        RuntimeError: torch has no CUDA device.
    """

    def __init__(self) -> None:
        import torch

        if not torch.cuda.is_available():
            raise RuntimeError(
                "record(device=True) records times of a CUDA device, but torch.cuda.is_available() is False. "
                "Without a GPU, call record() without device=: it records the times of the host."
            )
        self._torch = torch
        self.is_capturing: Callable[[], bool] = torch.cuda.is_current_stream_capturing

    def event(self) -> Event:
        """Return a new event."""
        return self._torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class DeviceClock:
    """Measures the time between moves on a device. It waits for the device only when it is closed.

    If the device raises an error, a warning is logged and no more times are measured.

    Args:
        device: the device.
        ring: the ring for the times, as records of `track.DEVICE`.
        logger: the logger for the warning.
    """

    def __init__(self, device: Device, ring: Ring, logger: logging.Logger) -> None:
        self._device, self._ring, self._logger = device, ring, logger
        self._unused: list[Event] = []
        self._pending: deque[tuple[int, Event | None]] = deque()  # None: no time from or to this move
        self._is_closed = False

    def mark(self, number: int) -> None:
        """Record an event for the move with this number. Never raises."""
        if self._is_closed:
            return
        try:
            event, pending = self._record_event(), self._pending
            if event is not None or not pending or pending[-1][1] is not None:
                pending.append((number, event))
            self._read_finished()
        except Exception:
            self._disable()

    def close(self) -> None:
        """Wait for the device and read the remaining times. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            for _, event in self._pending:
                if event is not None:
                    event.synchronize()
            self._read_finished()
        except Exception:
            self._disable()
        self._pending.clear()
        self._unused.clear()

    def _record_event(self) -> Event | None:
        """Record an event in the current stream; return None during a graph capture, or if too many are pending."""
        if self._device.is_capturing() or len(self._pending) >= MAX_PENDING:
            return None
        event = self._unused.pop() if self._unused else self._device.event()
        event.record()
        return event

    def _read_finished(self) -> None:
        """Read the times of passed events: at most two per recorded event, which keeps few events pending."""
        pending = self._pending
        for _ in range(len(pending) if self._is_closed else 2):
            if len(pending) < 2:
                return
            (number, before), (_, after) = pending[0], pending[1]
            if after is not None and not after.query():
                return
            if before is not None:
                if after is not None:
                    self._ring.add(number, round(before.elapsed_time(after) * 1e6))
                self._unused.append(before)
            pending.popleft()

    def _disable(self) -> None:
        self._is_closed = True
        self._logger.warning("The device raised an error. No more device times are recorded.", exc_info=True)
