"""Take the picture of the inspector's page: a training on digits, paused at a breakpoint.

It needs Debian's packages chromium and chromium-driver, and the extras test and inspector::

    python diagrams/inspector.py
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from fsm_engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from fsm_engine.handlers import Checkpoint, DiskSaver
from fsm_engine.metrics import Accuracy, Loss

HERE = Path(__file__).resolve().parent
SIZE = (1400, 900)


def digits_job(folder: Path) -> tuple[Engine, Any, Any]:
    """Return a trainer that validates and saves after each epoch, its optimizer, and its data."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    from digits import small_digits

    torch.manual_seed(0)
    train, held_out = small_digits()
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer, criterion = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.8), nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(model, optimizer, criterion)
    evaluator = create_supervised_evaluator(model, metrics={"accuracy": Accuracy(), "loss": Loss(criterion)})
    validation = DataLoader(held_out, batch_size=120)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine: Engine) -> None:
        evaluator.run(validation)
        engine.state.metrics = dict(evaluator.state.metrics)

    @trainer.on(Events.EPOCH_COMPLETED)
    def decay_lr() -> None:
        for group in optimizer.param_groups:
            group["lr"] *= 0.97

    @trainer.on(Events.ITERATION_COMPLETED)
    def log(_: Engine) -> None:
        time.sleep(0.003)

    saver = DiskSaver(folder, require_empty=False)
    trainer.add_event_handler(Events.EPOCH_COMPLETED(every=10), Checkpoint({"model": model}, saver, n_saved=1))
    return trainer, optimizer, DataLoader(train, batch_size=64, shuffle=True)


def open_browser(address: str) -> Any:
    """Return a browser that shows the page."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    width, height = SIZE
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)
    return browser


def main(folder: Path) -> None:
    """Run the job, pause it, and write ``inspector.png`` and ``inspector_dark.png``."""
    trainer, optimizer, data = digits_job(folder)
    group = optimizer.param_groups[0]
    with trainer.inspect() as inspector:
        inspector.offer("lr", lambda: group["lr"], lambda lr: group.update(lr=lr), 0.0, 0.3)
        browser = open_browser(inspector.address)
        job = threading.Thread(target=lambda: trainer.run(data, max_epochs=30))
        job.start()
        time.sleep(3)
        browser.execute_script(
            """
            const press = () => new MouseEvent("click", { bubbles: true });
            const click = (part) => document.querySelector(part).dispatchEvent(press());
            click('g.node[data-node="StepEvents.BACKWARD_COMPLETED"]');
            click(".stop-here");
            setTimeout(() => click("#tab-run"), 500);
            """
        )
        time.sleep(4)
        for name, scheme in {"inspector.png": "light", "inspector_dark.png": "dark"}.items():
            feature = {"name": "prefers-color-scheme", "value": scheme}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            browser.execute_script("document.getElementById('process').textContent = 'train.py'")
            time.sleep(1)
            browser.save_screenshot(str(HERE / name))
        trainer.terminate()
    job.join()
    browser.quit()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as saved:
        main(Path(saved))
