"""The inspector: what its commands do to a run, and what it reports of it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from inspector_client import Client
from torch import nn

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine._util.errors import BusyError
from fsm_engine.handlers import Checkpoint, TimeLimit, Timer, Watchdog
from fsm_engine.inspector import Inspector, hub
from fsm_engine.inspector.breakpoints import read_breakpoint
from fsm_engine.inspector.replay import serve_replay
from fsm_engine.inspector.ring_reader import RingReader
from fsm_engine.inspector.value_history import ValueHistory
from fsm_engine.runtime import pauses
from fsm_engine.supervised import create_supervised_evaluator, create_supervised_trainer
from fsm_engine.timeline import Timeline
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.track import MOVE

DATA = [0.0, 1.0, 2.0, 3.0]


class Running:
    """A run in a thread, which a test steers."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(run,))
        self._thread.start()

    def _run(self, run: Callable[[], Any]) -> None:
        try:
            run()
        except BaseException as error:
            self.error = error

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> None:
        self._thread.join(200)
        assert self.is_over


@pytest.fixture
def engine() -> Engine:
    return Engine(lambda engine, batch: batch)


@pytest.fixture
def inspector(engine: Engine) -> Iterator[Inspector]:
    with engine.inspect(paused=True) as inspector:
        yield inspector


@pytest.fixture
def client(inspector: Inspector) -> Iterator[Client]:
    with Client(inspector.address) as client:
        yield client


def run(engine: Engine, epochs: int = 2) -> Running:
    return Running(lambda: engine.run(DATA, max_epochs=epochs))


def moves(timeline: Timeline, track: int = 0) -> list[tuple[str, str]]:
    kinds = [move.kind for move in timeline.tracks[track].moves]
    return [(kind.source.rpartition(".")[2], kind.target.rpartition(".")[2]) for kind in kinds]


def last_move(inspector: Inspector) -> tuple[str, str]:
    return moves(inspector.timeline)[-1]


# Pauses and steps


def test_a_run_pauses_at_its_first_move_and_goes_on(engine: Engine, inspector: Inspector, client: Client) -> None:
    running = run(engine)
    look = client.wait(lambda message: message["type"] == "look")
    assert (look["engine"], look["why"]) == (0, "pause")
    assert client.status("paused")["phase"] == "Events.STARTED"
    assert inspector.is_paused
    assert last_move(inspector) == ("IDLE", "STARTED")
    assert not running.is_over
    client.done("continue")
    running.end()
    assert (engine.outcome, engine.state.iteration) == ("completed", 8)
    assert client.status("completed")["progress"]["done"] == 8
    assert not inspector.is_paused


def test_steps_pause_at_each_phase_iteration_and_epoch(engine: Engine, inspector: Inspector, client: Client) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    seen = []
    for by in ("phase", "phase", "phase", "phase", "iteration", "phase", "epoch", "iteration"):
        client.look("step", by=by)
        seen.append((by, last_move(inspector)[1], engine.state.epoch, engine.state.iteration))
    client.done("continue")
    running.end()
    assert seen == [
        ("phase", "EPOCH_STARTED", 0, 0),
        ("phase", "GET_BATCH_STARTED", 1, 0),
        ("phase", "GET_BATCH_COMPLETED", 1, 0),
        ("phase", "ITERATION_STARTED", 1, 0),
        ("iteration", "ITERATION_STARTED", 1, 1),
        ("phase", "ITERATION_COMPLETED", 1, 2),
        ("epoch", "EPOCH_STARTED", 1, 4),
        ("iteration", "ITERATION_STARTED", 2, 4),
    ]
    assert engine.outcome == "completed"


def test_a_breakpoint_pauses_each_time_until_it_is_removed(
    engine: Engine, inspector: Inspector, client: Client
) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("break", event="Events.EPOCH_COMPLETED")
    for epoch in (1, 2):
        client.look("continue")
        assert (last_move(inspector)[1], engine.state.epoch) == ("EPOCH_COMPLETED", epoch)
    shown = client.messages[-1] if client.messages[-1]["type"] == "breakpoints" else None
    shown = shown or [message for message in client.messages if message["type"] == "breakpoints"][-1]
    assert [(one["number"], one["event"], one["hits"]) for one in shown["breakpoints"]] == [
        (1, "Events.EPOCH_COMPLETED", 2)
    ]
    client.done("unbreak", number=1)
    client.done("continue")
    running.end()
    assert not client.ask("unbreak", number=1)["ok"]


@pytest.mark.parametrize(
    ("when", "stops"),
    [
        ({"counter": "iteration", "is": "==", "value": 3}, [3]),
        ({"counter": "iteration", "is": ">=", "value": 7}, [7, 8]),
        ({"counter": "iteration", "is": "every", "value": 3}, [3, 6]),
        ({"counter": "epoch", "is": "==", "value": 2}, [5, 6, 7, 8]),
    ],
    ids=str,
)
def test_conditions_count_the_iteration_that_begins(
    engine: Engine, inspector: Inspector, client: Client, when: dict[str, Any], stops: list[int]
) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("break", edge=["Events.GET_BATCH_COMPLETED", "Events.ITERATION_STARTED"], when=when)
    seen = []
    for _ in stops:
        look = client.look("continue")
        seen.append(engine.state.iteration + 1)
        assert f"iteration {seen[-1]}" in look["at"]
    client.done("continue")
    running.end()
    assert seen == stops
    assert engine.outcome == "completed"


class Rl(EventEnum):
    COLLECT = "collect"
    LEARN = "learn"


def test_a_lifecycle_without_epochs_is_followed_and_paused_by_its_own_counter() -> None:
    lifecycle = Lifecycle("ppo")
    with lifecycle.edit():
        lifecycle.add_phase(Rl.COLLECT, activity=lambda engine: engine.state.rounds * 10, counter="rounds")
        lifecycle.add_phase(Rl.LEARN, activity=lambda engine: engine.state.output + 1)
        lifecycle.add_path(Events.STARTED >> Rl.COLLECT >> Rl.LEARN >> Rl.COLLECT)
        lifecycle.add_transition(Rl.LEARN >> Events.COMPLETED, guard=lambda e: e.state.rounds == 9, label="solved")
    player = Engine(lifecycle=lifecycle)
    with player.inspect(paused=True) as inspector, Client(inspector.address) as client:
        described = client.wait(lambda message: message["type"] == "hello")["engines"][0]
        assert (described["name"], described["counters"]) == ("ppo", ["rounds"])
        running = Running(player.run)
        assert client.wait(lambda message: message["type"] == "look")["at"] == "IDLE --run--> STARTED, rounds 0"
        every_third = {"counter": "rounds", "is": "every", "value": 3}
        assert "every 3 rounds" in client.done("break", event="Rl.COLLECT", when=every_third)
        refused = client.ask("break", event="Rl.COLLECT", when={"counter": "epoch", "is": "==", "value": 1})
        assert (refused["ok"], "rounds" in refused["text"]) == (False, True)
        assert not client.ask("step", by="epoch")["ok"]
        for rounds in (3, 6, 9):
            assert client.look("continue")["at"].endswith(f"COLLECT, rounds {rounds}")
        client.look("step", by="phase")
        client.done("continue")
        running.end()
        part = client.status("completed")
    assert (part["state"]["rounds"], part["visits"]["Rl.LEARN"]) == (9, 9)
    assert part["values"]["output"][-1][:2] == [9, 91.0]


def test_a_lifecycle_that_is_edited_between_runs_is_sent_again(engine: Engine) -> None:
    extra = EventEnum("Extra", {"EXTRA": "extra"})
    with engine.inspect() as inspector, Client(inspector.address) as client:
        engine.run(DATA, max_epochs=1)
        engine.lifecycle.insert(extra["EXTRA"], after=Events.ITERATION_STARTED)
        client.done("break", event="Extra.EXTRA", when={"counter": "iteration", "is": "==", "value": 2})
        running = run(engine, epochs=1)
        assert "--extra--> EXTRA" in client.wait(lambda message: message["type"] == "look")["at"]
        client.done("continue")
        running.end()
        named = {"EXTRA"}
        client.wait(lambda m: m["type"] == "engine" and named <= {one["name"] for one in m["engine"]["phases"]})
        with engine.lifecycle.edit():
            phase = next(one for one in engine.lifecycle.phases if one.event is extra["EXTRA"])
            exits = [one for one in engine.lifecycle.transitions if extra["EXTRA"] in (one.source, one.target)]
            engine.lifecycle.remove(*exits, phase)
            engine.lifecycle.add_path(Events.ITERATION_STARTED >> Events.ITERATION_COMPLETED)
        engine.run(DATA, max_epochs=1)  # the breakpoint at the removed phase holds nothing
        last = client.wait(lambda m: m["type"] == "update" and m["engines"][0]["visits"].get("IDLE") == 3)
    visits = last["engines"][0]["visits"]
    assert (visits["Extra.EXTRA"], visits["Events.ITERATION_COMPLETED"]) == (4, 12)


def test_an_error_exit_holds_the_run_before_the_handlers_of_the_exception(engine: Engine) -> None:
    handled: list[BaseException] = []
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: handled.append(error))
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: 1 / 0)
    with engine.inspect() as inspector, Client(inspector.address) as client:
        edge = ["Events.ITERATION_COMPLETED", "Events.EXCEPTION_RAISED"]
        client.done("break", edge=edge)
        running = run(engine)
        assert "--exception--> EXCEPTION_RAISED" in client.wait(lambda message: message["type"] == "look")["at"]
        assert handled == []
        client.done("continue")
        running.end()
        assert len(handled) == 1


def test_every_exit_of_the_page_can_have_a_breakpoint(engine: Engine, inspector: Inspector) -> None:
    described = inspector._control.engines[0].describe()
    assert described is not None
    graph, places = engine.lifecycle.graph, 0
    for phase in described["phases"]:
        for move in phase["exits"]:
            if move["target"]:  # else it leads to the phase that was left before
                place = {"event": move["target"]} if move["via"] else {"edge": [phase["id"], move["target"]]}
                read_breakpoint(1, 0, graph, place)
                places += 1
    assert places > 20


def test_run_until_pauses_once(engine: Engine, inspector: Inspector, client: Client) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("break", event="Events.ITERATION_COMPLETED", once=True)
    client.look("continue")
    assert engine.state.iteration == 1
    client.done("continue")
    running.end()


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"event": "Events.NOWHERE"}, "NOWHERE"),
        ({"event": 3}, "event"),
        ({"edge": ["Events.STARTED"]}, "edge"),
        ({"edge": ["Events.STARTED", "Events.ITERATION_COMPLETED"]}, "no transition"),
        ({"event": "Events.STARTED", "when": 1}, "when"),
        ({"event": "Events.STARTED", "when": {"counter": "__class__", "is": "==", "value": 1}}, "counter"),
        ({"event": "Events.STARTED", "when": {"counter": "epoch", "is": "is", "value": 1}}, "test"),
        ({"event": "Events.STARTED", "when": {"counter": "epoch", "is": "every", "value": 0}}, "positive"),
    ],
    ids=str,
)
def test_a_malformed_breakpoint_is_refused(client: Client, message: dict[str, Any], part: str) -> None:
    reply = client.ask("break", **message)
    assert not reply["ok"]
    assert part in reply["text"]


def test_commands_without_a_run_are_refused_or_wait_for_it(
    engine: Engine, inspector: Inspector, client: Client
) -> None:
    for command in ("terminate", "terminate_epoch", "suspend", "save", "look", "set"):
        assert not client.ask(command)["ok"]
    client.done("break", event="Events.EPOCH_STARTED")
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.look("continue")
    assert last_move(inspector)[1] == "EPOCH_STARTED"
    client.done("unbreak", number=1)
    client.done("continue")
    running.end()


# What ends a pause


@pytest.mark.parametrize(
    ("command", "outcome", "iteration", "epoch"),
    [("terminate", "terminated", 1, 1), ("suspend", "interrupted", 1, 1), ("terminate_epoch", "completed", 5, 2)],
)
def test_a_paused_run_can_be_ended(
    engine: Engine, inspector: Inspector, client: Client, command: str, outcome: str, iteration: int, epoch: int
) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("break", event="Events.ITERATION_COMPLETED", once=True)
    client.look("continue")
    client.done(command)
    running.end()
    assert (engine.outcome, engine.state.iteration, engine.state.epoch) == (outcome, iteration, epoch)
    assert client.status({"interrupted": "suspended"}.get(outcome, outcome))
    if command == "suspend":
        engine.run(DATA, max_epochs=2)
        assert engine.state.iteration == 8


def test_pages_are_told_that_the_inspector_was_closed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_PATIENCE", 200)
    inspector = engine.inspect()
    with Client(inspector.address) as client:
        client.wait(lambda message: message["type"] == "hello")
        inspector.close()
        assert "closed" in client.wait(lambda message: message["type"] == "closed")["text"]


def test_closing_the_inspector_lets_a_paused_run_go_on(engine: Engine) -> None:
    inspector = engine.inspect(paused=True)
    running = run(engine)
    while not inspector.is_paused:
        time.sleep(0.01)
    inspector.close()
    running.end()
    assert engine.outcome == "completed"
    inspector.close()


def test_a_notebook_shows_the_page_until_the_inspector_is_closed(engine: Engine) -> None:
    with engine.inspect() as inspector:
        shown = inspector._repr_html_()
        assert f'<iframe src="{inspector.address}"' in shown
        assert f'<a href="{inspector.address}"' in shown
    assert "<iframe" not in inspector._repr_html_()
    assert "closed" in inspector._repr_html_()


def test_a_run_goes_on_when_its_server_ends(engine: Engine, inspector: Inspector, client: Client) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    inspector._server.close()
    running.end()
    assert (engine.outcome, engine.state.iteration) == ("completed", 8)


def test_terminate_from_another_thread_ends_a_pause(engine: Engine, inspector: Inspector, client: Client) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    engine.terminate()
    running.end()
    assert (engine.outcome, engine.state.iteration) == ("terminated", 0)


@pytest.mark.parametrize("interruptible", [True, False])
def test_ctrl_c_ends_a_pause(engine: Engine, inspector: Inspector, interruptible: bool) -> None:
    def press() -> None:
        while not inspector.is_paused:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    presser = Running(press)
    if interruptible:
        with engine.interruptible():
            engine.run(DATA, max_epochs=2)
        assert engine.outcome == "interrupted"
    else:
        with pytest.raises(KeyboardInterrupt):
            engine.run(DATA, max_epochs=2)
        assert engine.outcome == "failed"
    presser.end()
    assert not inspector.is_paused
    engine.run(DATA, max_epochs=2)
    assert engine.state.iteration == 8


def test_an_engine_has_no_trace_of_a_closed_inspector(engine: Engine) -> None:
    engine.run(DATA)
    source = engine.source
    with engine.inspect():
        assert engine.source != source
        engine.run(DATA)
    assert engine.source == source
    assert not engine._observers
    assert engine._recorder is None
    assert not [thread for thread in threading.enumerate() if "inspector" in thread.name]


# Paused time


def test_paused_time_is_not_counted(
    engine: Engine, inspector: Inspector, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    monkeypatch.setattr(pauses, "perf_counter", lambda: time.perf_counter() + later)
    timer, limit = Timer().attach(engine), TimeLimit(1000)
    engine.add_event_handler(Events.ITERATION_COMPLETED, limit)
    stalls_in_a_pause: list[bool] = []
    Watchdog(0.3, lambda stall: stalls_in_a_pause.append(inspector.is_paused)).attach(engine)
    client.done("break", event="Events.ITERATION_COMPLETED", once=True)
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.look("continue")
    time.sleep(0.4)
    later = 2000
    client.done("continue")
    running.end()
    assert engine.outcome == "completed"  # and not terminated by the limit
    assert timer.value() < 1000
    assert engine.state.times["COMPLETED"] < 1000
    assert not any(stalls_in_a_pause)
    first, second = inspector.timeline.tracks[0].pauses
    assert second[1] - second[0] > 0.4e9
    moves = list(inspector.timeline.tracks[0].moves)
    summary = inspector.timeline.summary().tracks[0]
    assert summary.paused == sum(end - start for start, end in (first, second))
    assert summary.total <= moves[-1].time - moves[0].time - (second[1] - second[0])
    assert "paused" in str(summary)
    assert client.status("completed")["pauses"][-1][1] is not None


def test_a_pause_survives_in_a_file(engine: Engine, inspector: Inspector, client: Client, tmp_path: Path) -> None:
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("continue")
    running.end()
    loaded = Timeline.load(inspector.timeline.save(tmp_path / "run.fsmt"))
    ((start, end),) = loaded.tracks[0].pauses
    assert inspector.timeline.tracks[0].pauses == [(start, end)]
    with serve_replay(loaded, "run.fsmt") as server, Client(server.address) as page:
        (one,) = page.wait(lambda message: message["type"] == "update")["engines"]
    origin = next(iter(loaded.tracks[0].moves)).time
    assert one["pauses"] == [[start - origin, end - origin]]
    assert loaded.verify(Lifecycle.training()) is None


def test_a_pause_counts_in_its_thread_only() -> None:
    with pauses.pause():
        time.sleep(0.02)
        other: list[float] = []  # the other thread may have the number, and the pauses, of one that has ended
        Running(lambda: other.extend(pauses.paused_seconds(threading.get_ident()) for _ in range(2))).end()
        assert other[0] == other[1]
        assert pauses.paused_seconds(threading.get_ident()) >= 0.02


# What is reported


def test_counts_and_moves_are_those_of_the_record(engine: Engine, client: Client, inspector: Inspector) -> None:
    engine.add_event_handler(Events.ITERATION_COMPLETED(every=2), lambda: None)
    running = run(engine, epochs=3)
    client.wait(lambda message: message["type"] == "look")
    client.done("continue")
    running.end()
    part = client.status("completed")
    recorded = list(inspector.timeline.tracks[0].moves)
    visits: dict[str, int] = {}
    for move in recorded:
        visits[move.kind.target] = visits.get(move.kind.target, 0) + move.kind.is_transition
    assert part["visits"] == visits
    assert sum(part["taken"]) == len(recorded)
    sent = [
        move
        for message in client.messages
        if message["type"] == "update"
        for one in message["engines"]
        for move in one["moves"]
    ]
    assert [move[2:] for move in sent] == [[move.epoch, move.iteration] for move in recorded]
    assert part["leftOut"] == {"moves": 0, "spans": 0, "uncounted": 0}
    handlers = [one["engine"] for one in client.messages if one["type"] == "engine"][-1]["handlers"]
    calls = {ref["name"].rpartition(".")[2]: row for ref, row in zip(handlers, part["calls"])}
    assert calls["<lambda>"][0] == 6


def test_a_nested_engine_appears_with_its_parent(engine: Engine, inspector: Inspector, client: Client) -> None:
    evaluator = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(DATA))
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("continue")
    running.end()
    found = client.wait(lambda message: message["type"] == "engine" and message["engine"]["id"] == 1)["engine"]
    assert (found["parent"], "EPOCH_COMPLETED" in found["heading"]) == (0, True)
    assert client.status("completed", 1)["visits"]["Events.ITERATION_STARTED"] == 8


def test_a_page_that_connects_late_gets_the_last_moves_calls_and_values(engine: Engine, inspector: Inspector) -> None:
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: None)
    running = run(engine)
    inspector.timeline.count("norm", 2)
    with Client(inspector.address) as client:
        client.wait(lambda message: message["type"] == "look")
        client.done("continue")
        running.end()
        client.status("completed")
    recorded = list(inspector.timeline.tracks[0].move_ring)
    with Client(inspector.address) as late:
        (one,) = late.wait(lambda message: message["type"] == "update")["engines"]
    assert [row[1:] for row in one["moves"]] == [list(row[1:]) for row in recorded]
    assert sum(one["taken"]) == len(recorded)
    assert len(one["spans"]) == 9  # the pause is one
    assert [value for _, value, _ in one["values"]["norm"]] == [2.0]
    assert one["values"]["output"][-1][:2] == [8, 3.0]


def test_a_history_of_values_is_bounded_and_keeps_the_first_and_the_last_point() -> None:
    for count in (1, 999, 1000, 12_345):
        history = ValueHistory()
        history.add((number, 0.0, number) for number in range(count))
        kept = [iteration for iteration, *_ in history.points]
        assert len(kept) <= 1000
        assert (kept[0], kept[-1]) == (0, count - 1)
        assert len({after - before for before, after in pairwise(kept[:-1])}) <= 1


@pytest.mark.parametrize("written", [0, 5, 80, 100, 101, 250])
def test_records_of_a_ring_are_read_again_unless_they_may_be_overwritten(written: int) -> None:
    ring = Ring(MOVE, 100)
    reader = RingReader(ring)
    for number in range(written):
        ring.add(number, 0, 0, 0)
        if number % 40 == 0:
            reader.read()
    reader.read()
    for most in (0, 7, 1000):
        records = reader.read_again(most)
        expected = list(range(max(written - most, written - 90, 0), written))
        assert list(records.words[0][0::3]) == expected
        assert records.missed == (expected[0] if expected else written)


def test_values_are_reported(inspector: Inspector, engine: Engine, client: Client) -> None:
    engine.state.metrics["accuracy"] = 0.5
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: inspector.timeline.count("norm", 2))
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("continue")
    running.end()
    client.status("completed")
    values: dict[str, list[Any]] = {}
    for message in client.messages:
        for one in message["engines"] if message["type"] == "update" else []:
            for name, points in one["values"].items():
                values.setdefault(name, []).extend(points)
    assert values["output"][-1][:2] == [8, 3.0]
    assert [value for _, value, _ in values["norm"]] == [2.0] * 8
    assert values["metrics/accuracy"][-1][1] == 0.5


def test_a_failure_has_its_traceback_and_phase(engine: Engine, inspector: Inspector, client: Client) -> None:
    def fail() -> None:
        raise ValueError("a <b>loss</b> of nan")

    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), fail)
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    client.done("continue")
    running.end()
    assert isinstance(running.error, ValueError)
    failure = client.wait(lambda message: message["type"] == "failure")
    assert failure["phase"] == "Events.ITERATION_COMPLETED"
    assert failure["error"] == "ValueError: a <b>loss</b> of nan"
    assert "in fail" in failure["traceback"]
    assert failure["iteration"] == 3
    assert client.status("failed")
    with Client(inspector.address) as later:
        assert later.wait(lambda message: message["type"] == "failure") == failure


def test_warnings_are_reported(engine: Engine, inspector: Inspector, client: Client) -> None:
    engine.logger.warning("the %s is low", "disk")
    found = client.wait(lambda message: message["type"] == "update" and message["warnings"])
    assert [(one["level"], one["text"]) for one in found["warnings"]] == [("WARNING", "the disk is low")]


def supervised() -> tuple[nn.Module, Engine, Any]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    batches = [(torch.randn(4, 3), torch.randint(2, (4,))) for _ in range(4)]
    return model, create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss()), batches


def test_a_pause_shows_state_batch_and_layers() -> None:
    model, trainer, batches = supervised()
    with trainer.inspect(paused=True) as inspector, Client(inspector.address) as client:
        running = Running(lambda: trainer.run(batches))
        client.wait(lambda message: message["type"] == "look")
        client.done("break", event="StepEvents.BACKWARD_COMPLETED", once=True)
        look = client.look("continue")
        assert {row["name"]: row["value"] for row in look["state"]}["iteration"] == "1"
        x, y = look["batch"]
        assert (x["path"], x["shape"], x["dtype"], x["nan"]) == ("[0]", [4, 3], "float32", 0)
        assert x["low"] == pytest.approx(float(batches[0][0].min()))
        assert (y["dtype"], y["high"]) == ("int64", int(batches[0][1].max()))
        weight, bias = look["layers"]
        assert (weight["name"], weight["shape"], weight["trains"]) == ("weight", [2, 3], True)
        assert weight["norm"] == pytest.approx(float(model.weight.detach().norm()))
        assert bias["gradient"] == pytest.approx(float(model.bias.grad.norm()))
        client.done("continue")
        running.end()


def test_random_commands_do_not_change_the_weights() -> None:
    def trained(steer: Callable[[Engine, Any], None]) -> list[float]:
        model, trainer, batches = supervised()
        evaluator = create_supervised_evaluator(model)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(batches))
        steer(trainer, batches)
        assert trainer.state.iteration == 40
        return [*model.weight.flatten().tolist(), *model.bias.tolist()]

    def steered(trainer: Engine, batches: Any) -> None:
        with trainer.inspect(paused=True) as inspector, Client(inspector.address) as client:
            running = Running(lambda: trainer.run(batches, max_epochs=10))
            client.wait(lambda message: message["type"] == "look")
            for by in ("phase", "iteration", "epoch", "run", "phase", "phase", "epoch"):
                client.look("step", by=by) if by != "run" else client.look("step", by="iteration")
                client.done("look")
            client.done(
                "break", event="Events.ITERATION_STARTED", when={"counter": "iteration", "is": ">=", "value": 38}
            )
            client.look("continue")
            client.look("continue")
            client.done("unbreak", number=1)
            client.done("continue")
            running.end()

    assert trained(steered) == trained(lambda trainer, batches: trainer.run(batches, max_epochs=10) and None)


# Saving and setting


def test_a_checkpoint_is_saved_at_the_next_exact_place(tmp_path: Path) -> None:
    model, trainer, batches = supervised()
    save = Checkpoint({"model": model, "trainer": trainer}, tmp_path)
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=99), save)
    with trainer.inspect(paused=True) as inspector, Client(inspector.address) as client:
        running = Running(lambda: trainer.run(batches, max_epochs=2))
        client.wait(lambda message: message["type"] == "look")
        client.done("break", event="StepEvents.FORWARD_STARTED", when={"counter": "iteration", "is": "==", "value": 3})
        client.look("continue")
        look = client.look("save")
        text = [m for m in client.messages if m["type"] == "reply"][-1]["text"]
        assert "ITERATION_COMPLETED, epoch 1, iteration 3" in text
        assert [path.name in text for path in tmp_path.glob("*.pt")] == [True]
        assert look["why"] == "save"
        assert client.wait(lambda message: message["type"] == "note")["text"] == text
        client.done("unbreak", number=1)
        client.done("continue")
        running.end()
    undisturbed = model.weight.tolist()
    model, trainer, batches = supervised()
    Checkpoint({"model": model, "trainer": trainer}, tmp_path).resume()
    trainer.run(batches, max_epochs=2)
    assert model.weight.tolist() == undisturbed


def test_a_save_that_fails_is_reported_and_the_run_goes_on(engine: Engine, tmp_path: Path) -> None:
    class Unsaved:
        def state_dict(self) -> Any:
            raise OSError("the disk is full")

        def load_state_dict(self, _: Any) -> None: ...

    engine.add_event_handler(Events.EPOCH_COMPLETED(once=99), Checkpoint({"a": Unsaved()}, tmp_path))
    with engine.inspect(paused=True) as inspector, Client(inspector.address) as client:
        running = run(engine)
        client.wait(lambda message: message["type"] == "look")
        reply = client.ask("save")
        assert (reply["ok"], "the disk is full" in reply["text"]) == (False, True)
        client.done("continue")
        running.end()
        assert (running.error, engine.outcome) == (None, "completed")


def test_an_offered_value_is_set_in_the_thread_of_the_run(engine: Engine, inspector: Inspector, client: Client) -> None:
    threads, values = set(), {"lr": 0.1, "text": "a"}

    def change(value: float) -> None:
        threads.add(threading.current_thread())
        values["lr"] = value

    inspector.offer("lr", lambda: values["lr"], change, low=0, high=1)
    inspector.offer("broken", lambda: float(values["text"]), change)
    assert not client.ask("set", name="lr", value=0.5)["ok"]  # no run
    running = run(engine)
    client.wait(lambda message: message["type"] == "look")
    for bad in (2, -1, "0.5", None, True, float("nan")):
        assert not client.ask("set", name="lr", value=bad)["ok"], bad
    assert not client.ask("set", name="momentum", value=0.5)["ok"]
    assert "0.5" in client.done("set", name="lr", value=0.5)
    assert values["lr"] == 0.5
    offers = client.wait(lambda m: m["type"] == "offers" and m["offers"][0]["value"] == 0.5)["offers"]
    assert (offers[0]["low"], offers[0]["high"]) == (0, 1)
    assert (offers[1]["value"], "ValueError" in offers[1]["error"]) == (None, True)
    assert threads == {running._thread}
    client.done("continue")
    running.end()
    with pytest.raises(ValueError, match="lr"):
        inspector.offer("lr", lambda: 1, change)
    with pytest.raises(TypeError, match="two functions"):
        inspector.offer("momentum", 1, change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="low"):
        inspector.offer("momentum", lambda: 1, change, low=1, high=0)


# Several inspectors, and errors


def test_inspected_engines_share_a_server(engine: Engine) -> None:
    other = Engine(lambda engine, batch: batch)
    with engine.inspect() as first:
        with other.inspect() as second, Client(first.address) as client:
            assert first.address == second.address
            hello = client.wait(lambda message: message["type"] == "hello")
            assert [one["id"] for one in hello["engines"]] == [0, 1]
            client.done("pause", engine=1)
            running = run(other)
            assert client.wait(lambda message: message["type"] == "look")["engine"] == 1
            engine.run(DATA)  # is not paused
            client.done("continue", engine=1)
            running.end()
            with pytest.raises(ValueError, match="read_only"):
                Engine(lambda e, b: b).inspect(read_only=True)
        with Client(first.address) as client:
            assert len(client.wait(lambda message: message["type"] == "hello")["engines"]) == 1


def test_equal_names_of_two_inspectors_are_told_apart(engine: Engine) -> None:
    other, values = Engine(lambda engine, batch: batch), {"first": 1.0, "second": 2.0}
    with engine.inspect() as first, other.inspect() as second, Client(first.address) as client:
        for name, one in (("first", first), ("second", second)):
            one.offer("lr", lambda name=name: values[name], lambda value, name=name: values.update({name: value}))
        hello = client.wait(lambda message: message["type"] == "hello")
        assert [one["heading"] for one in hello["engines"]] == ["training", "training 2"]
        offers = client.wait(lambda message: message["type"] == "offers" and len(message["offers"]) == 2)["offers"]
        assert [(one["engine"], one["label"]) for one in offers] == [(0, "training: lr"), (1, "training 2: lr")]
        for number in (0, 1):
            client.done("break", engine=number, event="Events.STARTED")
        shown = [message for message in client.messages if message["type"] == "breakpoints"][-1]["breakpoints"]
        assert [(one["number"], one["engine"]) for one in shown] == [(1, 0), (2, 1)]
        running = run(other)
        client.wait(lambda message: message["type"] == "look")
        client.done("set", engine=1, name="lr", value=5)
        assert values == {"first": 1, "second": 5}
        client.done("unbreak", engine=0, number=1)
        assert not client.ask("unbreak", engine=0, number=2)["ok"]
        client.done("continue", engine=1)
        running.end()


def test_an_engine_is_inspected_once(engine: Engine, inspector: Inspector) -> None:
    with pytest.raises(BusyError, match=r"inspector\.timeline"):
        engine.inspect()
    with pytest.raises(BusyError):
        engine.record()


def test_a_run_with_ranks_is_not_paused(engine: Engine) -> None:
    class Agreement:
        is_pending = False

        def begin_run(self) -> None: ...
        def end_run(self, error: BaseException | None) -> None: ...

    engine._agreement = Agreement()  # type: ignore[assignment]
    with engine.inspect() as inspector, Client(inspector.address) as client:
        for command in ("pause", "step", "save"):
            running = run(engine)
            reply = client.ask(command)
            running.end()
            assert not reply["ok"]
        assert "ranks" in client.wait(lambda message: message["type"] == "hello")["canPause"]
        with pytest.raises(RuntimeError, match="ranks"):
            inspector.pause()


def test_an_engine_that_is_inspected_is_freed(engine: Engine) -> None:
    import weakref

    inspector = Engine(lambda engine, batch: batch).inspect()
    assert inspector._control.engines[0].engine is None
    inspector.close()
    model, trainer, batches = supervised()
    kept = weakref.ref(model)
    with trainer.inspect():
        trainer.run(batches)
    del model, trainer
    assert kept() is None
