"""The inspector in a browser: what the reader does on the page, and what the run records."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import torch
from port_forward import PortForward
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fsm_engine import Engine, Events
from fsm_engine.handlers import Checkpoint, DiskSaver
from fsm_engine.inspector import Inspector
from fsm_engine.inspector.replay import serve_replay
from fsm_engine.lifecycle.step_events import StepEvents
from fsm_engine.metrics import Accuracy
from fsm_engine.supervised import create_supervised_evaluator, create_supervised_trainer
from fsm_engine.timeline.timeline import Timeline

if TYPE_CHECKING:
    from chromium import Tab

pytest_plugins = ("chromium",)
pytestmark = pytest.mark.slow

TOKEN = "0123456789abcdef"


class Job:
    """A training on real handwritten digits, in a thread, which validates after each epoch."""

    def __init__(self) -> None:
        digits = pytest.importorskip("sklearn.datasets").load_digits()
        images, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
        torch.manual_seed(0)
        self.data = DataLoader(TensorDataset(images[:640], labels[:640]), batch_size=32, shuffle=True)
        self.model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.trainer = create_supervised_trainer(self.model, self.optimizer, nn.CrossEntropyLoss())
        self.evaluator = create_supervised_evaluator(self.model, metrics={"accuracy": Accuracy()})
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: self.evaluator.run(self.data))
        self.thread: Thread | None = None

    def start(self, epochs: int) -> None:
        self.thread = Thread(target=lambda: self.trainer.run(self.data, max_epochs=epochs))
        self.thread.start()

    def end(self) -> None:
        if self.thread is not None:
            self.thread.join(200)
            assert not self.thread.is_alive()


@pytest.fixture
def job() -> Job:
    return Job()


@pytest.fixture
def inspector(job: Job) -> Iterator[Inspector]:
    with job.trainer.inspect(paused=True) as inspector:
        yield inspector
        job.trainer.terminate()
    job.end()


def visit(tab: Tab, address: str) -> None:
    tab.emulate((1400, 900))
    tab.driver.get(address)
    tab.until(lambda: tab.js("return document.documentElement.dataset.ready === ''"))
    tab.until(lambda: tab.text("#state") != "connecting")


def wait_for(tab: Tab, status: str) -> None:
    tab.until(lambda: tab.text("#state") == status)


def wait_until(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + 200
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def last_target(inspector: Inspector) -> str:
    last = inspector.timeline.tracks[0].last_move
    assert last is not None
    return last.kind.target.rpartition(".")[2]


def do(tab: Tab, inspector: Inspector, act: Callable[[], Any]) -> str:
    """Act on the page, wait for the next pause, and return the phase that the page shows, which the record has too."""
    ring = inspector.timeline.tracks[0].move_ring
    before = ring.count
    act()
    wait_until(lambda: ring.count > before and inspector.is_paused)
    tab.until(lambda: tab.text("#here") == last_target(inspector))
    wait_for(tab, "paused")
    return last_target(inspector)


def content(tab: Tab, selector: str) -> str:
    """Return the text of an element; "" if the page does not show it now."""
    return str(tab.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def click_phase(tab: Tab, event: Any) -> None:
    click = "document.querySelector(arguments[0]).dispatchEvent(new MouseEvent('click', { bubbles: true }))"
    tab.js(click, f'#picture g.node[data-node="{type(event).__name__}.{event.name}"]')


def counts(tab: Tab) -> dict[str, int]:
    shown = (
        "return [...document.querySelectorAll('#picture g.node')].map((node) => "
        "[node.dataset.node, node.querySelector('g.tally')?.count])"
    )
    return {name: count for name, count in tab.js(shown) if count}


def entered(inspector: Inspector) -> dict[str, int]:
    names = Counter(move.kind.target for move in inspector.timeline.tracks[0].moves if move.kind.is_transition)
    return {"final" if name == "IDLE" else name: count for name, count in names.items()}


def test_steps_breakpoints_and_saves(tab: Tab, job: Job, inspector: Inspector, tmp_path: Path) -> None:
    checkpoint = Checkpoint({"model": job.model}, DiskSaver(tmp_path), n_saved=None)
    job.trainer.add_event_handler(Events.COMPLETED, checkpoint)
    inspector.offer(
        "lr", lambda: job.optimizer.param_groups[0]["lr"], lambda lr: job.optimizer.param_groups[0].update(lr=lr)
    )
    visit(tab, inspector.address)
    assert tab.text("#state") == "not started"
    assert do(tab, inspector, lambda: job.start(50)) == "STARTED"
    assert do(tab, inspector, lambda: tab.click("[data-by=phase]")) == "EPOCH_STARTED"
    assert do(tab, inspector, lambda: tab.click("[data-by=iteration]")) == "ITERATION_STARTED"
    assert do(tab, inspector, lambda: tab.keys("i")) == "ITERATION_STARTED"
    assert job.trainer.state.iteration == 1
    tab.until(lambda: counts(tab) == entered(inspector))

    click_phase(tab, StepEvents.BACKWARD_COMPLETED)
    assert do(tab, inspector, lambda: tab.keys("r")) == "BACKWARD_COMPLETED"
    tab.js("document.querySelector('.stop-form select').value = 'iteration ==';")
    tab.js("document.querySelector('.stop-form select').dispatchEvent(new Event('change'))")
    tab.js("document.querySelector('.stop-form input').value = 7")
    tab.click(".stop-here")
    tab.until(lambda: tab.js("return document.querySelectorAll('.node.stop').length"))
    assert do(tab, inspector, lambda: tab.click("#pause")) == "BACKWARD_COMPLETED"
    assert job.trainer.state.iteration == 7
    tab.click("#tab-run")
    tab.until(lambda: "iteration == 7" in content(tab, ".card.paused"))
    tab.until(lambda: "1\N{MULTIPLICATION SIGN}" in content(tab, ".stops"))
    assert "32\N{MULTIPLICATION SIGN}64" in content(tab, ".look")
    assert tab.js("return document.querySelectorAll('.look .bar-of.gradient').length") == 4

    tab.js(
        "const lr = document.querySelector('[data-offer=lr]'); lr.value = 0.5; lr.dispatchEvent(new Event('change'))"
    )
    wait_until(lambda: job.optimizer.param_groups[0]["lr"] == 0.5)
    tab.click(".stops button")
    tab.until(lambda: tab.js("return document.querySelector('.stops') === null"))
    tab.click("#save")
    tab.click("#pause")
    wait_until(lambda: list(tmp_path.iterdir()))
    tab.until(lambda: "Saved" in tab.js("return document.getElementById('log').textContent"))


def test_the_menu_ends_the_epoch_and_the_run(tab: Tab, job: Job, inspector: Inspector) -> None:
    visit(tab, inspector.address)
    do(tab, inspector, lambda: job.start(50))
    do(tab, inspector, lambda: tab.click("[data-by=iteration]"))
    tab.click("#end")
    tab.click("[data-command=terminate_epoch]")  # which lets the run go on
    wait_until(lambda: "Events.TERMINATE_SINGLE_EPOCH" in entered(inspector))
    wait_for(tab, "running")
    tab.click("#end")
    tab.click("[data-command=terminate]")
    wait_for(tab, "terminated")
    job.end()
    assert job.trainer.outcome == "terminated"
    tab.until(lambda: counts(tab) == entered(inspector))


def test_a_reloaded_page_and_a_second_page_show_the_same_run(tab: Tab, job: Job, inspector: Inspector) -> None:
    visit(tab, inspector.address)
    do(tab, inspector, lambda: job.start(50))
    click_phase(tab, Events.EPOCH_COMPLETED)
    do(tab, inspector, lambda: tab.click(".stop-form .fields button:last-child"))
    shown = "return document.getElementById('lanes').chart.tracks.map((track) => track.times.length)"
    moves = [inspector.timeline.tracks[0].move_ring.count + 1]  # the present is the last one
    tab.until(lambda: tab.js(shown) == moves)
    tab.driver.refresh()
    tab.until(lambda: tab.js(shown) == moves)
    wait_for(tab, "paused")
    tab.until(lambda: counts(tab) == entered(inspector))
    tab.until(lambda: tab.js("return document.querySelectorAll('.look tbody tr').length") > 5)
    first = tab.driver.current_window_handle
    tab.driver.switch_to.new_window("tab")
    try:
        visit(tab, inspector.address)
        wait_for(tab, "paused")
        assert tab.text("#here") == "EPOCH_COMPLETED"
        tab.click("#pause")
        wait_for(tab, "running")
    finally:
        tab.driver.close()
        tab.driver.switch_to.window(first)
    wait_for(tab, "running")
    tab.until(lambda: len(tab.texts("#engine option")) == 2)


def test_a_page_at_a_forwarded_port_outlives_a_lost_connection_and_a_sleep(
    tab: Tab, job: Job, inspector: Inspector
) -> None:
    own = urlsplit(inspector.address).port
    assert own is not None
    with PortForward(own) as forward:
        visit(tab, inspector.address.replace(str(own), str(forward.port)))
        do(tab, inspector, lambda: job.start(100_000))
        forward.cut()
        tab.until(lambda: tab.text("#banner").startswith("Disconnected"))
        tab.until(lambda: tab.find("#pause").get_attribute("disabled"))
        forward.go_on()
        tab.until(lambda: tab.text("#banner") == "")
        assert do(tab, inspector, lambda: tab.click("[data-by=phase]")) == "EPOCH_STARTED"
        tab.click("#pause")
        wait_for(tab, "running")
        forward.stall()
        ring = inspector.timeline.tracks[0].move_ring
        before = ring.count
        wait_until(lambda: ring.count > before + 5_000)  # the page gets nothing of them yet
        job.trainer.terminate()
        job.end()
        forward.go_on()
        wait_for(tab, "terminated")
        tab.until(lambda: counts(tab) == entered(inspector))
    tab.driver.get_log("browser")  # the browser reports the lost connections


def test_a_frozen_page_shows_the_end_of_the_run_in_its_title_and_then_everything(
    tab: Tab, job: Job, inspector: Inspector
) -> None:
    visit(tab, inspector.address)
    do(tab, inspector, lambda: job.start(100_000))
    tab.click("#pause")
    wait_for(tab, "running")
    tab.send("Page.setWebLifecycleState", state="frozen")
    job.trainer.terminate()
    job.end()
    tab.send("Page.setWebLifecycleState", state="active")  # it is still hidden, so it paints nothing
    tab.until(lambda: tab.js("return document.title").startswith("terminated"))
    first = tab.driver.current_window_handle
    tab.driver.switch_to.new_window("tab")
    tab.driver.close()
    tab.driver.switch_to.window(first)
    wait_for(tab, "terminated")
    tab.until(lambda: counts(tab) == entered(inspector))
    tab.driver.get_log("browser")  # the browser closes the connection of a frozen page, and reports it


def test_a_page_that_the_reader_comes_back_to_connects_again(tab: Tab, job: Job, inspector: Inspector) -> None:
    visit(tab, inspector.address)
    do(tab, inspector, lambda: job.start(100_000))
    tab.driver.get("data:text/html,another page")
    tab.driver.back()
    wait_for(tab, "paused")
    assert do(tab, inspector, lambda: tab.click("[data-by=phase]")) == "EPOCH_STARTED"
    tab.until(lambda: counts(tab) == entered(inspector))
    tab.driver.get_log("browser")  # as above


def test_the_page_connects_to_a_restarted_process(tab: Tab) -> None:
    engine = Engine(lambda engine, batch: batch)
    with engine.inspect(token=TOKEN) as inspector:
        visit(tab, inspector.address)
        engine.run([1, 2], max_epochs=3)
        wait_for(tab, "completed")
        port = int(inspector.address.split(":")[2].split("/")[0])
    tab.until(lambda: tab.text("#banner").startswith("The inspector was closed"))
    other = Engine(lambda engine, batch: batch)
    with other.inspect(token=TOKEN, port=port) as inspector:
        tab.until(lambda: tab.text("#banner").startswith("The process was restarted"))
        other.run([1, 2], max_epochs=1)
        wait_for(tab, "completed")
        tab.until(lambda: counts(tab) == entered(inspector))
    tab.driver.get_log("browser")  # the browser reports the lost connections


def test_a_pause_before_the_run_holds_its_first_move(tab: Tab) -> None:
    engine = Engine(lambda engine, batch: batch)
    with engine.inspect() as inspector:
        visit(tab, inspector.address)
        tab.click("#pause")
        tab.until(lambda: "next move" in content(tab, "#status"))
        thread = Thread(target=lambda: engine.run([1, 2]))
        thread.start()
        wait_for(tab, "paused")
        assert last_target(inspector) == "STARTED"
        tab.until(lambda: tab.text("#pause") == "Continue")
        tab.click("#pause")
        wait_for(tab, "completed")
        thread.join()


def test_a_failed_run_shows_its_traceback(tab: Tab) -> None:
    def fail(engine: Engine, batch: Any) -> None:
        raise ValueError("no <b>luck</b>")

    engine = Engine(fail)
    with engine.inspect() as inspector:
        visit(tab, inspector.address)
        with pytest.raises(ValueError, match="luck"):
            engine.run([1, 2])
        wait_for(tab, "failed")
        tab.until(lambda: content(tab, "#run .card.failed"))
        tab.click("#run .card.failed button")
        assert "raise ValueError" in tab.text(".traceback")
        assert tab.text("#log .error").endswith("ValueError: no <b>luck</b>")
        assert tab.js("return document.querySelector('.node.failed').dataset.node") == "Events.ITERATION_STARTED"


def test_a_file_is_played(tab: Tab, tmp_path: Path) -> None:
    engine = Engine(lambda engine, batch: batch)
    evaluator = Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
    with engine.record() as timeline:
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: timeline.count("loss", 1 / engine.state.iteration))
        engine.run([1, 2, 3], max_epochs=4)
    timeline.save(tmp_path / "run.fsmt")
    with serve_replay(Timeline.load(tmp_path / "run.fsmt"), "run.fsmt") as server:
        visit(tab, server.address)
        wait_for(tab, "recording")
        assert tab.text("h1") == "run.fsmt"
        for _ in range(3):
            tab.keys(".")
        tab.until(lambda: sum(counts(tab).values()) == 4)
        tab.keys(" ")
        tab.until(lambda: counts(tab).get("final"))
        tab.click("#tab-curves")
        tab.until(lambda: tab.texts("#curves figcaption") == ["loss 0.083333"])
