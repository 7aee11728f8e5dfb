"""Who may connect to an inspector, and pages that misbehave."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from urllib.parse import urlsplit

import pytest
from inspector_client import Client
from port_forward import PortForward
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from fsm_engine import Engine, EventEnum, Events
from fsm_engine.inspector import Inspector, app, hub


@pytest.fixture
def engine() -> Engine:
    return Engine(lambda engine, batch: batch)


@pytest.fixture
def inspector(engine: Engine) -> Iterator[Inspector]:
    with engine.inspect() as inspector:
        yield inspector


def get(address: str, path: str | None = None, **headers: str) -> http.client.HTTPResponse:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=200)
    connection.request("GET", parts.path if path is None else path, headers=headers)
    response = connection.getresponse()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return response


def socket_of(address: str) -> str:
    return address.replace("http", "ws", 1) + "live"


def handshake(address: str, **options: object) -> int:
    """Return 101 if a WebSocket opens, else the status of the refusal."""
    try:
        with connect(address, **options):  # type: ignore[arg-type]
            return 101
    except InvalidStatus as error:
        return error.response.status_code


# Token, host and origin


def test_the_page_and_its_files_need_the_token(inspector: Inspector) -> None:
    token = urlsplit(inspector.address).path.strip("/")
    assert len(token) >= 32
    for name, kind in {"": "text/html", "page.js": "text/javascript", "page.css": "text/css"}.items():
        response = get(inspector.address + name)
        assert (response.status, response.headers["content-type"].partition(";")[0]) == (200, kind)
        assert token not in response.text  # type: ignore[attr-defined]
    for path in ("/", "/page.js", f"/{token[:-1]}/", f"/{token}x/", f"/{token}", f"/{token}/../", f"/{token}/other"):
        response = get(inspector.address, path)
        assert response.status in (403, 307), path
        assert token not in response.text, path  # type: ignore[attr-defined]


def test_the_policy_allows_no_inline_script(inspector: Inspector) -> None:
    response = get(inspector.address)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_socket_needs_the_token(inspector: Inspector) -> None:
    address = socket_of(inspector.address)
    token = urlsplit(address).path.split("/")[1]
    assert handshake(address) == 101
    for wrong in ("", token[:-1], token + "x", token.swapcase(), "%00", "é"):
        assert handshake(address.replace(token, wrong)) == 403, wrong


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "0.0.0.0"])
def test_a_request_for_another_host_is_refused(inspector: Inspector, host: str) -> None:
    assert get(inspector.address, Host=host).status in (400, 403)


def test_a_socket_for_another_host_or_from_another_page_is_refused(inspector: Inspector) -> None:
    address = socket_of(inspector.address)
    own = inspector.address.split("/")[2]
    assert handshake(address, origin=f"http://{own}") == 101
    for origin in (
        "http://evil.example",
        "null",
        f"http://{own}.evil.example",
        f"http://evil.example:{own}",
        "file://",
    ):
        assert handshake(address, origin=origin) == 403, origin
    assert raw_handshake(address, "evil.example") == 403


def raw_handshake(address: str, host: str) -> int:
    parts = urlsplit(address)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", f"Origin: http://{host}"]
    with socket.create_connection((parts.hostname, parts.port), timeout=200) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.recv(1000).split()[1])


def test_another_local_port_may_be_forwarded_and_other_hosts_are_refused_there_too(inspector: Inspector) -> None:
    own = urlsplit(inspector.address).port
    assert own is not None
    with PortForward(own) as forward:
        address = inspector.address.replace(str(own), str(forward.port))
        assert get(address).status == 200
        for name in ("127.0.0.1", "localhost"):
            renamed = address.replace("127.0.0.1", name)
            assert handshake(socket_of(renamed), origin=f"http://{name}:{forward.port}") == 101
        assert handshake(socket_of(address), origin=f"http://127.0.0.1:{own}") == 403
        assert raw_handshake(socket_of(address), f"evil.example:{forward.port}") == 403
        assert get(address, Host=f"evil.example:{forward.port}").status == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_another_host_needs_a_token_of_the_user(engine: Engine, host: str) -> None:
    with pytest.raises(ValueError, match="token"):
        engine.inspect(host=host)
    assert engine._recorder is None


@pytest.mark.parametrize("token", ["", "short", "a" * 15, "a" * 20 + "/", "a" * 20 + " ", "ä" * 20])
def test_a_token_is_long_and_fits_into_an_address(engine: Engine, token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        engine.inspect(token=token)


def test_a_user_may_choose_token_and_host(engine: Engine) -> None:
    with engine.inspect(host="0.0.0.0", token="a-token-of-the-user") as inspector:
        port = urlsplit(inspector.address).port
        assert get(f"http://127.0.0.1:{port}/a-token-of-the-user/").status == 200
        assert get(f"http://127.0.0.1:{port}/another-token-here/").status == 403


def test_a_port_in_use_is_an_error(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        engine.inspect(port=taken.getsockname()[1])
    assert engine._recorder is None
    with engine.inspect():
        pass


# Messages


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "1", "null", '{"id": 1}', '{"command": 3}', "[" * 5000, '"' * 20000, "{}" * 9000, b"\x00"]
)
def test_a_malformed_message_closes_its_connection_only(engine: Engine, inspector: Inspector, text: str) -> None:
    with Client(inspector.address) as other:
        with connect(socket_of(inspector.address), max_size=None) as connection:
            connection.send(text)
            with pytest.raises(ConnectionClosed):
                [connection.recv(timeout=200) for _ in count()]
        engine.run([1, 2])
        assert other.done("ping") == ""
        assert other.status("completed")


@pytest.mark.parametrize("message", [{"command": "__init__"}, {"command": "stop"}, {"command": "pause", "engine": "0"}])
def test_only_known_commands_are_executed(inspector: Inspector, message: dict[str, object]) -> None:
    with Client(inspector.address) as client:
        reply = client.ask(**message)  # type: ignore[arg-type]
        assert reply["ok"] == (message["command"] == "pause")


def test_a_read_only_inspector_executes_nothing(engine: Engine) -> None:
    with engine.inspect(read_only=True) as inspector, Client(inspector.address) as client:
        assert client.wait(lambda message: message["type"] == "hello")["readOnly"]
        commands = (
            "pause",
            "continue",
            "step",
            "break",
            "unbreak",
            "terminate",
            "terminate_epoch",
            "suspend",
            "save",
            "set",
        )
        for command in commands:
            reply = client.ask(command, event="Events.STARTED", number=1)
            assert (reply["ok"], "read-only" in reply["text"]) == (False, True)
        engine.run([1, 2])
        assert engine.outcome == "completed"


def test_a_flood_of_messages_closes_the_connection(inspector: Inspector) -> None:
    with connect(socket_of(inspector.address), max_size=None) as connection:
        with suppress(ConnectionClosed):
            for number in range(1000):
                connection.send(json.dumps({"id": number, "command": "ping"}))
        with pytest.raises(ConnectionClosed):
            [connection.recv(timeout=200) for _ in count()]
    with Client(inspector.address) as client:
        assert client.done("ping") == ""


def test_the_number_of_pages_is_bounded(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_MOST_PAGES", 2)
    with Client(inspector.address) as client, Client(inspector.address) as other:
        client.done("ping"), other.done("ping")
        assert handshake(socket_of(inspector.address)) == 403


def test_a_name_from_the_user_stays_text(engine: Engine) -> None:
    name = "<img src=x onerror=alert(1)>"
    bad = EventEnum("Bad", {name: "bad"})
    engine.lifecycle.insert(bad[name], after=Events.STARTED)
    with engine.inspect() as inspector, Client(inspector.address) as client:
        described = client.wait(lambda message: message["type"] == "hello")["engines"][0]
        assert name in {phase["name"] for phase in described["phases"]}
        assert "<img" not in described["svg"]
        assert "<img" not in get(inspector.address).text  # type: ignore[attr-defined]


# Pages that do not read, and many connections


def test_a_page_that_stops_reading_misses_updates_and_gets_everything_anew(
    engine: Engine, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "EVERY", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: engine.run(iter(lambda: stop.is_set(), True), max_epochs=1))
    engine.state.epoch_length = None
    parts = urlsplit(inspector.address)
    with Client(inspector.address) as reading:
        lazy = socket.create_connection((parts.hostname, parts.port), timeout=200)
        lines = [f"GET {parts.path}live HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        lazy.sendall("\r\n".join([*lines, "", ""]).encode())
        thread.start()
        behind = None
        end = time.monotonic() + 200
        while behind is None and time.monotonic() < end:
            behind = next((one for one in inspector._server.hub.clients if one.is_behind), None)
            time.sleep(0.01)
        assert behind is not None
        assert behind.queue.qsize() <= hub._WAITING + 3
        hellos, rest = 0, b""
        while hellos < 2:
            rest = rest[-6:] + lazy.recv(1 << 20)
            hellos += rest.count(b'"hello"')
        assert reading.done("ping") == ""
        lazy.close()
        stop.set()
        thread.join(200)


def test_pages_that_come_and_go_leave_nothing(engine: Engine, inspector: Inspector) -> None:
    running = threading.Thread(target=lambda: engine.run(range(200), max_epochs=5))
    running.start()
    for _ in range(40):
        with connect(socket_of(inspector.address), max_size=None):
            pass
    running.join(200)
    end = time.monotonic() + 200
    while inspector._server.hub.clients and time.monotonic() < end:
        time.sleep(0.02)
    assert inspector._server.hub.clients == set()
    assert engine.state.iteration == 1000


def test_a_closed_inspector_leaves_no_thread_and_no_hook(engine: Engine) -> None:
    def hooks() -> tuple[object, ...]:
        return list(logging.getLogger().handlers), logging.getLogRecordFactory(), warnings.showwarning

    before = hooks()
    with engine.inspect() as inspector, Client(inspector.address) as client:
        client.done("ping")
    assert hooks() == before
    assert not [thread for thread in threading.enumerate() if "inspector" in thread.name]
    with pytest.raises(OSError, match="refused"):
        get(inspector.address)
