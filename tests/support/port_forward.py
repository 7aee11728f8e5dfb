"""A forwarded local port, as ``ssh -L`` makes one, whose connections a test can stall, cut and refuse."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class PortForward:
    """Forwards the connections to `port` of this machine to `target`, in a ``with`` block."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._flows, self._is_up = threading.Event(), True
        self._flows.set()
        self._open: list[socket.socket] = []

    def __enter__(self) -> PortForward:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.close()
        self.cut()
        for one in self._open:
            one.close()

    def stall(self) -> None:
        """Keep the connections, and pass nothing on: the computer sleeps, or its network is gone."""
        self._flows.clear()

    def go_on(self) -> None:
        """Pass everything on that has arrived, and accept connections."""
        self._is_up = True
        self._flows.set()

    def cut(self) -> None:
        """Close all connections, and refuse others until `go_on`."""
        self._is_up = False
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                if not self._is_up:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += (near, far)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 16):
                self._flows.wait()
                target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
