"""The inspector of programs that do strange things: none of them may fail, stop for ever, or leave a broken page."""

from __future__ import annotations

import asyncio
import copy
import gc
import http.client
import json
import multiprocessing
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from inspector_client import Client
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events
from fsm_engine._util.errors import BusyError
from fsm_engine.inspector import control as control_module
from fsm_engine.inspector import hub as hub_module
from fsm_engine.inspector import look as looks
from fsm_engine.inspector.control import Command
from fsm_engine.inspector.hub import Hub
from fsm_engine.runtime import pauses

DATA = [0.0, 1.0, 2.0, 3.0]


@pytest.fixture
def engine() -> Engine:
    return Engine(lambda engine, batch: batch)


def start(engine: Engine, data: Any = DATA) -> Thread:
    thread = Thread(target=lambda: engine.run(data))
    thread.start()
    return thread


def counted(calls: list[int], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        calls.append(1)
        return function(*args)

    return call


def wait_until(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + 200
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def strictly_json(message: Any) -> str:
    return json.dumps(message, allow_nan=False)


@pytest.mark.parametrize(
    "output",
    [10**400, torch.tensor(1j), float("nan"), {"a": float("inf"), 1j: 2}, torch.empty(1, device="meta"), "\ud800"],
    ids=["int", "complex", "nan", "dict", "meta", "surrogate"],
)
def test_every_output_is_reported_or_left_out(output: Any) -> None:
    engine = Engine(lambda engine, batch: output)
    engine.state.strange = float("nan")
    with engine.inspect() as inspector, Client(inspector.address) as client:
        engine.run(DATA)
        client.status("completed")
        for message in client.messages:
            strictly_json(message)


def test_numbers_that_json_lacks_are_left_out(engine: Engine) -> None:
    engine.state.max_iters = float("inf")  # type: ignore[assignment]
    with engine.inspect() as inspector, Client(inspector.address) as client:
        update = client.wait(lambda message: message["type"] == "update" and message["engines"])
        assert strictly_json(update)


class Strange:
    def __repr__(self) -> str:
        raise ValueError("no text")

    __str__ = __repr__


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value] * 20
    return value


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:The PyTorch API of nested tensors")
def test_a_pause_shows_any_state_and_batch(engine: Engine) -> None:
    loop: list[Any] = []
    loop.append(loop)
    sparse = torch.eye(3).to_sparse()
    strange = [Strange(), {Strange(): Strange()}, deep(40), loop, sparse, sparse.to_sparse_csr(), 10**5000]
    engine.state.good = 1
    for number, value in enumerate(strange):
        setattr(engine.state, f"strange{number}", value)
    batch: dict[str, Any] = {str(number): {"x": torch.ones(2)} for number in range(10_000)}
    tensors = [torch.empty(2, device="meta"), sparse, sparse.to_sparse_csr(), torch.empty(0), torch.tensor([1j])]
    for value in (batch, [*tensors, torch.nested.nested_tensor([torch.ones(2)]), Strange(), torch.ones(2)]):
        engine.state.batch = value
        shown = looks.look(engine)
        strictly_json(shown)
        assert {"name": "good", "type": "int", "value": "1"} in shown["state"]
        assert 0 < len(shown["batch"]) <= 500
    assert shown["batch"][-1]["high"] == 1


def test_layers_without_a_shape_do_not_hide_the_others() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2))

    def step(engine: Engine, batch: float) -> None: ...

    step.model = model  # type: ignore[attr-defined]
    layers = looks.look(Engine(step))["layers"]
    assert [layer["norm"] is not None for layer in layers] == [False, False, True, True]


@pytest.mark.parametrize("limits", [(float("nan"), 1), (0, float("inf")), (2, 1)], ids=str)
def test_limits_of_offers_are_finite(engine: Engine, limits: tuple[float, float]) -> None:
    with engine.inspect() as inspector:
        with pytest.raises(ValueError, match="low"):
            inspector.offer("x", lambda: 1.0, lambda value: None, *limits)
        with pytest.raises(TypeError, match="name"):
            inspector.offer(1, lambda: 1.0, lambda value: None)  # type: ignore[arg-type]


def test_engines_that_no_longer_exist_take_bounded_memory(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "_MOST_GONE", 3)

    @engine.on(Events.ITERATION_COMPLETED)
    def evaluate() -> None:
        evaluator = Engine(lambda engine, batch: batch)
        evaluator.run(DATA)
        number = len(client.messages)
        client.wait(lambda message: message["type"] == "update", number)  # the pages know this engine
        del evaluator
        gc.collect(1)

    with engine.inspect() as inspector, Client(inspector.address) as client:
        engine.run(range(10))
        client.wait(lambda message: message["type"] == "gone")
        tracks = inspector.timeline.tracks
        assert len(tracks) == len(inspector._control.engines) <= 5
        assert len(inspector.recorder._nested) == len(tracks) - 1
        assert all(len(track.move_ring.block) < 5000 for track in tracks[1:-1])
        assert [len(track.move_ring) for track in tracks[1:]] == [len(tracks[-1].move_ring)] * (len(tracks) - 1)
        assert inspector.timeline.summary()


def double(engine: Engine, batch: float) -> float:
    return 2 * batch


def test_copies_of_an_inspected_engine_are_not_inspected() -> None:
    engine = Engine(double)
    with engine.inspect() as inspector, Client(inspector.address) as client:
        for copied in (copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))):
            copied.run(DATA)
            assert copied.state.output == 6
        assert not list(inspector.timeline.tracks[0].moves)
        client.done("pause")
        thread = start(engine)
        client.wait(lambda message: message["type"] == "look")
        for copied in (copy.deepcopy, pickle.dumps):
            with pytest.raises(BusyError, match="interrupt"):
                copied(engine)
        client.done("suspend")
        thread.join(200)
        resumed = pickle.loads(pickle.dumps(engine))
    resumed.run(DATA)
    assert (resumed.outcome, resumed.state.iteration) == ("completed", 4)


def test_a_forked_process_runs_without_the_inspector(engine: Engine) -> None:
    with engine.inspect(paused=True):  # nobody can continue the run of the other process
        process = multiprocessing.get_context("fork").Process(target=engine.run, args=(DATA,))
        process.start()
        process.join(200)
        assert process.exitcode == 0


def test_workers_of_a_loader_go_on_while_the_run_is_paused(engine: Engine) -> None:
    loader = DataLoader(torch.arange(8).tolist(), batch_size=2, num_workers=1)
    with engine.inspect() as inspector, Client(inspector.address) as client:
        client.done("break", event="Events.ITERATION_COMPLETED", once=True)
        thread = start(engine, loader)
        client.wait(lambda message: message["type"] == "look")
        client.done("continue")
        thread.join(200)
    assert engine.state.iteration == 4


class Pages:
    """A listener without pages."""

    is_alive = True

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def new_id(self) -> int:
        return 0

    def new_breakpoint(self) -> int:
        return 1

    def new_heading(self, name: str) -> str:
        return name

    def publish(self, message: Any) -> None:
        self.messages.append(message)


def test_a_command_after_the_last_move_is_answered(engine: Engine) -> None:
    with engine.inspect() as inspector:
        replies: list[tuple[bool, str]] = []
        engine.run(DATA)
        control = inspector._control
        control._commands.append(Command({"command": "terminate"}, lambda *reply: replies.append(reply)))
        wait_until(lambda: replies)
        assert not replies[0][0]


def test_commands_that_wait_are_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "_MOST_WAITING", 2)
    replies: list[bool] = []
    with engine.inspect() as inspector:

        def step(engine: Engine, batch: float) -> None:
            for _ in range(3):
                inspector._control.submit(Command({"command": "ping"}, lambda is_done, text: replies.append(is_done)))
            assert replies == [False]
            engine.terminate()

        engine._process_function = step
        engine.run(DATA)
    assert len(replies) == 3


def test_breakpoints_hold_after_ctrl_c_ended_a_pause(engine: Engine) -> None:
    with engine.inspect(paused=True) as inspector:
        control = inspector._control
        control.submit(Command({"command": "break", "event": "Events.STARTED", "once": True}, lambda *reply: None))
        looked: list[str] = []

        def publish(message: Any) -> None:
            if message["type"] == "look":
                looked.append(message["why"])
                if len(looked) == 1:
                    raise KeyboardInterrupt
                control._is_released = True

        class Listener(Pages):
            pass

        listener = Listener()
        listener.publish = publish  # type: ignore[method-assign]
        control._listener = listener
        with pytest.raises(KeyboardInterrupt):
            engine.run(DATA)
        assert not inspector.is_paused
        assert not pauses._since
        control._arrived.set()
        thread = start(engine)
        wait_until(lambda: len(looked) == 2)
        control.submit(Command({"command": "continue"}, lambda *reply: None))
        thread.join(200)
    assert engine.outcome == "completed"


def test_a_run_inside_a_pause_or_beside_it_is_not_held(engine: Engine) -> None:
    other = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.COMPLETED, lambda: other.run(DATA))
    with engine.inspect() as inspector, Client(inspector.address) as client:
        engine.run(DATA)
        client.done("break", event="Events.ITERATION_COMPLETED")
        inspector.offer("run", lambda: 0.0, lambda value: other.run(DATA))
        thread = start(engine)
        client.wait(lambda message: message["type"] == "look")
        client.done("set", name="run", value=1)
        client.done("break", engine=1, event="Events.ITERATION_COMPLETED")
        other.run(DATA)  # in this thread
        assert (inspector.is_paused, other.outcome) == (True, "completed")
        client.done("unbreak", number=1)
        client.done("unbreak", number=2)
        client.done("continue")
        thread.join(200)
    assert engine.outcome == "completed"
    assert not pauses._since


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)


def test_a_job_with_several_processes_is_not_paused(engine: Engine, world: None) -> None:
    with engine.inspect() as inspector, Client(inspector.address) as client:
        assert "ranks" in client.ask("pause")["text"]
        thread = start(engine, iter(int, 1))  # which does not end
        while not engine.is_running:
            time.sleep(0.001)
        assert "ranks.attach" in client.ask("terminate")["text"]
        engine.terminate()
        thread.join(200)
        with pytest.raises(RuntimeError, match="ranks"):
            inspector.pause()


def test_pauses_that_were_asked_for_before_the_ranks_are_forgotten(
    engine: Engine, request: pytest.FixtureRequest
) -> None:
    with engine.inspect(paused=True) as inspector, Client(inspector.address) as client:
        client.done("break", event="Events.ITERATION_COMPLETED")
        request.getfixturevalue("world")
        engine.run(DATA)
        assert "ranks" in client.wait(lambda message: message["type"] == "note")["text"]
        assert not inspector._control.breakpoints


def test_a_failure_is_not_sent_once_the_engine_runs_well(engine: Engine) -> None:
    step = engine._process_function
    with engine.inspect() as inspector:
        engine._process_function = lambda engine, batch: 1 / 0
        with pytest.raises(ZeroDivisionError):
            engine.run(DATA)
        with Client(inspector.address) as client:
            client.wait(lambda message: message["type"] == "failure")
        engine._process_function = step
        engine.run(DATA)
        with Client(inspector.address) as client:
            client.status("completed")
            assert "failure" not in {message["type"] for message in client.messages}


def test_an_update_that_fails_is_logged_once(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail(hub: Hub, number: int) -> None:
        calls.append(number)
        raise ValueError

    monkeypatch.setattr(Hub, "_update", fail)
    monkeypatch.setattr(hub_module, "_REST", 0.01)
    with engine.inspect():
        wait_until(lambda: len(calls) >= 3)
    assert len([record for record in caplog.records if "update" in record.message]) == 1


def test_pages_get_the_end_of_a_run_whose_inspector_is_closed_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_PATIENCE", 200)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: 1 / 0)
    inspector = engine.inspect()
    with Client(inspector.address) as client:
        client.wait(lambda message: message["type"] == "update")
        with pytest.raises(ZeroDivisionError), inspector:
            engine.run(DATA)
        assert client.wait(lambda message: message["type"] == "failure")["iteration"] == 3
        client.wait(lambda message: message["type"] == "closed")
        last = [message for message in client.messages if message["type"] == "update"][-1]["engines"][0]
        assert (last["status"], last["visits"]["Events.ITERATION_COMPLETED"]) == ("failed", 3)


def test_pages_get_the_end_of_a_program_that_does_not_close_its_inspector(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from fsm_engine import Engine\n"
        "engine = Engine(lambda engine, batch: batch)\n"
        "print(engine.inspect().address, flush=True)\n"
        "input()\n"
        "engine.run(range(7))\n"
    )
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with Client(process.stdout.readline().strip()) as client:
            client.wait(lambda message: message["type"] == "update")
            process.stdin.write("\n")
            process.stdin.flush()
            client.wait(lambda message: message["type"] == "closed")
        last = [message for message in client.messages if message["type"] == "update"][-1]["engines"][0]
        assert (last["status"], last["state"]["iteration"]) == ("completed", 7)


def test_malformed_hosts_and_origins_are_refused_without_an_exception(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.inspect() as inspector:
        address = urlsplit(inspector.address)
        for path, headers in (("", {"Host": "[1"}), ("live", {"Origin": "http://[1"})):
            connection = http.client.HTTPConnection(address.netloc)
            socket = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            given = {**socket, "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw=="} if path else {}
            connection.request("GET", address.path + path, headers={**given, **headers})
            assert connection.getresponse().status == 403
            connection.close()
    assert not [record for record in caplog.records if record.exc_info]


def test_counts_and_curves_are_complete_for_a_page_that_comes_after_a_long_run(engine: Engine) -> None:
    with engine.inspect() as inspector:
        engine.run(range(5_000))
        with Client(inspector.address) as client:
            (one,) = client.wait(lambda message: message["type"] == "update")["engines"]
        assert sum(one["taken"]) == inspector.timeline.tracks[0].move_ring.count > 20_000
    assert one["visits"]["Events.ITERATION_COMPLETED"] == 5_000
    assert one["leftOut"]["uncounted"] == 0
    assert one["values"]["output"][-1][:2] == [5_000, 4_999.0]


def test_a_page_wakes_a_server_that_rests(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_REST", 10_000)
    with engine.inspect() as inspector:
        for epochs in (1, 2):
            with Client(inspector.address) as client:
                client.wait(lambda message: message["type"] == "update")
                number = len(client.messages)
                engine.run(DATA, max_epochs=epochs)
                client.wait(lambda m: m["type"] == "update" and m["engines"][0]["status"] == "completed", number)
            wait_until(lambda: not inspector._server.hub.clients)


def test_a_server_without_pages_sleeps(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_REST", 10_000)
    loop = asyncio.base_events.BaseEventLoop
    wakes: list[int] = []
    monkeypatch.setattr(loop, "_run_once", counted(wakes, loop._run_once))  # type: ignore[attr-defined]
    with engine.inspect():
        windows: list[int] = []  # the first ones may contain the start of the server
        while len(windows) < 20 and 0 not in windows:
            before = len(wakes)
            time.sleep(0.4)
            windows.append(len(wakes) - before)
        assert 0 in windows
