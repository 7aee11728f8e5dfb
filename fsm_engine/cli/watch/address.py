"""Addresses of inspectors."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from fsm_engine.cli.errors import CommandError

_FORM = "http://HOST:PORT/TOKEN/, which inspect() logs and `inspector.address` has"
_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True)
class Address:
    """The address of an inspector.

    Attributes:
        host: name or number of the machine.
        port: the port.
        token: the secret part of the path.
        is_secure: whether the connection is encrypted.
    """

    host: str
    port: int
    token: str
    is_secure: bool = False

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL of the WebSocket."""
        return f"{'wss' if self.is_secure else 'ws'}://{self.place}/{self.token}/live"

    def __str__(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.place}/{self.token}/"


def read_address(text: str) -> Address:
    """Return the address in `text`. The scheme and the last slash may be missing.

    Raises:
        CommandError: `text` does not have the form of such an address.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CommandError(f"{text!r} is not an address ({error}). Expected {_FORM}.") from error
    if parts.scheme not in _SCHEMES:
        raise CommandError(f"{text!r} begins with {parts.scheme}://. Expected {_FORM}.")
    is_secure = _SCHEMES[parts.scheme]
    if not host or (port is None and "://" not in text):
        raise CommandError(f"{text!r} has no {'port' if host else 'host'}. Expected {_FORM}.")
    token = next(iter(parts.path.strip("/").split("/")))
    if not token:
        raise CommandError(f"{text!r} has no token. Expected {_FORM}.")
    if not token.isascii() or not token.isprintable() or set(token) & set(' ?#%"<>'):
        raise CommandError(f"{token!r} is not a token: it has letters, digits, '-' and '_'. Expected {_FORM}.")
    return Address(host, port or (443 if is_secure else 80), token, is_secure)
