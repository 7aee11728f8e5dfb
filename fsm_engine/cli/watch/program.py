"""The loop of ``fsm-engine watch``: messages and keys in, a screen and commands out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from time import monotonic
from typing import Any

from rich.console import Console, Group
from rich.live import Live

from fsm_engine.cli.errors import CommandError
from fsm_engine.cli.watch.address import Address, read_address
from fsm_engine.cli.watch.connection import Connection, Lost, connect, read_message
from fsm_engine.cli.watch.controls import Controls
from fsm_engine.cli.watch.model import PROTOCOL, Model
from fsm_engine.cli.watch.screen import screen, snapshot
from fsm_engine.cli.watch.terminal import KeyReader, Waker, is_terminal, orderly_end, read_keys, single_keys

_PATIENCE = 5.0
"""Seconds after which a snapshot is made without waiting for more messages."""

_EVERY, _REST = 0.2, 0.05
"""Seconds between two drawings, unless a key is pressed, and seconds after which ESC alone is a key."""


def watch(text: str, once: bool) -> None:
    """Show the run whose inspector is at the address `text`, until the user leaves.

    Args:
        text: the address.
        once: print one snapshot instead.

    Raises:
        CommandError: there is no inspector at the address, or it replays a recorded run, or there is no terminal.
        ModuleNotFoundError: websockets is not installed.
    """
    address = read_address(text)
    if not once and not is_terminal():
        raise CommandError(
            f"watch needs a terminal for its keys and its screen. Print one snapshot: fsm-engine watch --once {address}"
        )
    opened = connect(address)
    if once:
        _print_snapshot(address, opened)
    else:
        _watch(address, opened)


def _print_snapshot(address: Address, opened: Any) -> None:
    model, end = Model(), monotonic() + _PATIENCE
    with closing(opened), suppress(TimeoutError):
        while not model.is_ready:
            try:
                message = read_message(opened.recv(timeout=max(end - monotonic(), 0)))
            except (EOFError, ValueError) as error:
                raise CommandError(f"the server at {address.place} has sent no update: {error}") from error
            _apply(model, message)
    console = Console(highlight=False)
    for line in snapshot(model, console.width):
        console.print(line, soft_wrap=True)


def _apply(model: Model, message: Any) -> None:
    """Give a message to the model.

    Raises:
        CommandError: the server replays a recorded run, or speaks another protocol.
    """
    if isinstance(message, Lost):
        model.lose(message)
        return
    if message["type"] == "hello":
        if message["protocol"] != PROTOCOL:
            raise CommandError(
                f"the inspector speaks protocol {message['protocol']}, and this fsm-engine speaks {PROTOCOL}. "
                "Install the same version on both sides."
            )
        if message["mode"] != "live":
            raise CommandError(
                "this inspector replays a recorded run, which needs the page: open the address in a browser. "
                "fsm-engine timeline summary RUN.fsmt prints the times of a recorded run."
            )
    model.apply(message)


def _watch(address: Address, opened: Any) -> None:
    model, waker = Model(), Waker()
    controls = Controls(model)
    connection = Connection(address, opened, waker.wake)
    with orderly_end(), closing(waker), closing(connection):
        try:
            while _show(model, controls, connection, waker):
                os.kill(0, signal.SIGTSTP)  # the shell continues it with `fg`
        finally:
            _tell_of_pause(model, controls, address)


def _tell_of_pause(model: Model, controls: Controls, address: Address) -> None:
    if model.is_paused and not model.lost and not controls.has_continued:
        Console(stderr=True, soft_wrap=True, highlight=False).print(
            f"The run is still paused. fsm-engine watch {address} continues it with c.", markup=False
        )


def _show(model: Model, controls: Controls, connection: Connection, waker: Waker) -> bool:
    """Show the run until the user leaves or suspends the program. Return True if it is to be suspended."""
    controls.wants_suspension = False
    with single_keys(sys.stdin.fileno()):
        _loop(model, controls, connection, waker)
    return controls.wants_suspension


def _loop(model: Model, controls: Controls, connection: Connection, waker: Waker) -> None:
    console, reader, keyboard = Console(highlight=False), KeyReader(), sys.stdin.fileno()
    drawn, is_open = 0.0, True
    with _full_screen(console) as draw:
        while is_open and not controls.is_done and not controls.wants_suspension:
            for arrived in connection.read():
                _apply(model, arrived)
            if monotonic() - drawn >= _EVERY:
                draw(screen(model, controls, *console.size))
                drawn = monotonic()
            if waker.wait(keyboard, _REST if reader.is_waiting else _EVERY):
                is_open, drawn = read_keys(keyboard, reader, controls.press), 0.0
            elif reader.is_waiting:
                reader.flush(controls.press)
            for command in controls.take_commands():
                connection.send(command)


@contextmanager
def _full_screen(console: Console) -> Iterator[Callable[[Any], None]]:
    """Show lines on the alternate screen of the terminal, which is left at the end, whatever ends the block."""
    with Live(console=console, screen=True, auto_refresh=False, transient=True) as live:
        yield lambda lines: live.update(Group(*lines), refresh=True)
