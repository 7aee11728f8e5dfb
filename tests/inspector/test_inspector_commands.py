"""The commands that serve the page: ``run --inspect`` and ``timeline replay``, and the page of a recorded run."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from inspector_client import Client

from fsm_engine import Engine, Events
from fsm_engine.inspector.replay import serve_replay
from fsm_engine.timeline import Timeline

PROGRAM = """
import time
from fsm_engine import Engine, Events

def validate(trainer):
    evaluator.run([1, 2])

trainer = Engine(lambda engine, batch: time.sleep(0.01))
evaluator = Engine(lambda engine, batch: batch)
trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
trainer.run([1, 2], max_epochs=100_000)
print(trainer.outcome)
other = Engine(lambda engine, batch: batch)
other.run([1])
"""


def address_in(stream: IO[str]) -> str:
    for line in stream:
        found = re.search(r"http://\S+", line)
        if found:
            return found[0]
    raise AssertionError("no address was printed")


def test_run_inspects_every_outermost_run(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(PROGRAM)
    command = [
        sys.executable,
        "-m",
        "fsm_engine",
        "run",
        str(script),
        "--inspect",
        "--record",
        str(tmp_path / "r.fsmt"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with Client(address_in(process.stderr)) as client:
            assert client.wait(lambda message: message["type"] == "hello")["process"].startswith("train.py")
            client.status("running")
            client.look("pause")
            client.look("step", by="epoch")
            client.done("terminate", engine=0)
        output = process.communicate(timeout=200)
        assert (process.returncode, output[0]) == (0, "terminated\n"), output
    timeline = Timeline.load(tmp_path / "r.fsmt")
    assert len(timeline.tracks) == 3
    assert len(timeline.tracks[0].pauses) == 2


def recorded(path: Path) -> Timeline:
    evaluator = Engine(lambda engine, batch: batch)
    engine = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
    with engine.record() as timeline:
        engine.run([1, 2, 3], max_epochs=2)
        timeline.count("loss", 0.5)
    timeline.save(path)
    return timeline


def test_a_recorded_run_is_sent_whole(tmp_path: Path) -> None:
    timeline = recorded(tmp_path / "run.fsmt")
    loaded = Timeline.load(tmp_path / "run.fsmt")
    with serve_replay(loaded, "run.fsmt") as server, Client(server.address) as client:
        client.wait(lambda message: message["type"] == "end")
        hello = client.messages[0]
        assert (hello["mode"], hello["readOnly"], hello["title"]) == ("replay", True, "run.fsmt")
        assert [(one["id"], one["parent"]) for one in hello["engines"]] == [(0, None), (1, 0)]
        updates = [one for message in client.messages if message["type"] == "update" for one in message["engines"]]
        for number, track in enumerate(timeline.tracks):
            sent = [move for one in updates if one["id"] == number for move in one.get("moves", [])]
            assert [move[2:] for move in sent] == [[move.epoch, move.iteration] for move in track.moves]
        ((iteration, value, moment),) = next(one["values"]["loss"] for one in updates if "values" in one)
        assert (iteration, value) == (6, 0.5)
        assert moment >= updates[0]["moves"][-1][0]
        assert not client.ask("pause")["ok"]


def test_an_empty_recording_has_nothing_to_play() -> None:
    with pytest.raises(ValueError, match="no run"), serve_replay(Timeline(), "run.fsmt"):
        pass


def test_replay_serves_until_ctrl_c(tmp_path: Path) -> None:
    recorded(tmp_path / "run.fsmt")
    command = [sys.executable, "-m", "fsm_engine", "timeline", "replay", str(tmp_path / "run.fsmt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with Client(address_in(process.stdout)) as client:
            client.wait(lambda message: message["type"] == "end")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=200)
        assert (process.returncode, output[1]) == (0, ""), output
