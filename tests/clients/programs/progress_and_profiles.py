"""Progress bars, profilers and a text log around a run; the times differ, the rest does not."""

import io
import logging

import torch
from ignite.engine import Engine, Events
from ignite.handlers import FBResearchLogger, ProgressBar
from ignite.handlers.time_profilers import BasicTimeProfiler, HandlersTimeProfiler
from ignite.metrics import Frequency, RunningAverage


def main(folder):
    trainer = Engine(lambda engine, batch: torch.tensor(batch / 2))
    RunningAverage(output_transform=lambda x: x).attach(trainer, "loss")
    Frequency(output_transform=lambda output: 4).attach(trainer, "speed")
    output = io.StringIO()
    bar = ProgressBar(persist=True, file=output, desc="Training")
    bar.attach(trainer, ["loss"], output_transform=lambda x: {"output": x})
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: bar.log_message("an epoch is over"))
    basic, handlers = BasicTimeProfiler(), HandlersTimeProfiler()
    basic.attach(trainer)
    messages = []
    log = logging.getLogger("fb")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.Handler())
    log.handlers[0].emit = lambda record: messages.append(record.getMessage().split("ETA")[0])
    FBResearchLogger(log).attach(trainer, "Train", every=2)
    trainer.run([1.0, 2.0, 3.0, 4.0], max_epochs=2)
    results = basic.get_results()
    other = Engine(lambda engine, batch: batch)
    handlers.attach(other)
    other.add_event_handler(Events.EPOCH_STARTED, lambda: None)
    other.run([1, 2])
    return {
        "loss": trainer.state.metrics["loss"],
        "speed": trainer.state.metrics["speed"] > 0,
        "bar": ["Training [2/2]" in output.getvalue(), "[4/4]" in output.getvalue(), "loss=" in output.getvalue()],
        "profile": [sorted(results), results["processing_stats"]["min/index"][0] > 0],
        "rows": len(handlers.get_results()[0]),
        "messages": [message for message in messages if "Total" not in message],
    }
