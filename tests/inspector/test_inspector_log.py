"""The warnings of the process that pages show, and the output of the program, which stays as it is."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from inspector_client import Client

from fsm_engine import Engine
from fsm_engine.inspector.warning_log import WarningLog

DATA = [0.0, 1.0]


@pytest.fixture
def log() -> Any:
    log = WarningLog()
    log.open()
    yield log
    log.close()


def shown(log: WarningLog) -> list[tuple[str, str, str]]:
    return [(row["level"], row["logger"], row["text"]) for row in log.last]


def test_warnings_of_a_step_and_of_its_loggers_reach_the_pages(recwarn: pytest.WarningsRecorder) -> None:
    quiet = logging.getLogger("test_inspector_log.quiet")
    quiet.propagate = False

    def step(engine: Engine, batch: float) -> None:
        if not batch:
            warnings.warn("the loss is large", stacklevel=1)
            quiet.error("disk %d is full", 3)
            engine.logger.warning("slow")

    engine = Engine(step)
    with engine.inspect() as inspector, Client(inspector.address) as client:
        client.wait(lambda message: message["type"] == "hello")
        engine.run(DATA)
        client.status("completed")
        rows = [row for message in client.messages if message["type"] == "update" for row in message["warnings"]]
    assert [(row["level"], row["text"]) for row in rows] == [
        ("WARNING", "UserWarning: the loss is large"),
        ("ERROR", "disk 3 is full"),
        ("WARNING", "slow"),
    ]
    place, number = rows[0]["logger"].rsplit(":", 1)
    assert (Path(place).name, number.isdigit()) == (Path(__file__).name, True)
    assert len(recwarn) == 1  # the program still gets it


@pytest.mark.parametrize("is_captured_before", [True, False])
def test_a_captured_warning_is_shown_once(is_captured_before: bool) -> None:
    log = WarningLog()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(is_captured_before)
        log.open()
        logging.captureWarnings(True)
        try:
            warnings.warn("the loss is large", stacklevel=1)
        finally:
            logging.captureWarnings(False)
            log.close()
    assert ["the loss is large" in text for _, _, text in shown(log)] == [True]


def test_records_below_warning_and_wrong_arguments_do_no_harm(log: WarningLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger = logging.getLogger("test_inspector_log")
    logger.setLevel(logging.DEBUG)
    logger.info("not shown")
    logger.warning("%d items", "many")
    logging.makeLogRecord({})
    assert shown(log) == [("WARNING", "test_inspector_log", "%d items")]


def test_closing_restores_both_functions_unless_the_program_has_replaced_them() -> None:
    before = logging.getLogRecordFactory(), warnings.showwarning
    log = WarningLog()
    log.open()
    log.close()
    assert (logging.getLogRecordFactory(), warnings.showwarning) == before
    log.open()
    own, own_show = logging.getLogRecordFactory(), warnings.showwarning

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        return own(*args, **kwargs)

    def show(*args: Any) -> None:
        own_show(*args)

    logging.setLogRecordFactory(factory)
    warnings.showwarning = show
    log.close()
    try:
        assert (logging.getLogRecordFactory(), warnings.showwarning) == (factory, show)
        logging.getLogger("test_inspector_log").warning("after the end")
        assert shown(log) == []
    finally:
        logging.setLogRecordFactory(before[0])
        warnings.showwarning = before[1]


PROGRAM = """
import logging, sys, warnings
from fsm_engine import Engine

def step(engine, batch):
    logging.getLogger("mine").warning("no handler is configured")
    logging.basicConfig(format="configured: %(message)s", force=False)
    logging.getLogger("mine").warning("now there is one")
    warnings.warn("watch out", stacklevel=1)

engine = Engine(step)
if "inspect" in sys.argv:
    with engine.inspect():
        engine.run([1])
else:
    engine.run([1])
"""


def test_a_program_prints_the_same_with_an_inspector(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def output(*arguments: str) -> str:
        command = [sys.executable, str(program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr

    plain = output()
    assert plain.splitlines()[:2] == ["no handler is configured", "configured: now there is one"]
    assert "UserWarning: watch out" in plain
    assert output("inspect") == plain
