"""`FBResearchLogger`: one line of text every few iterations, in the format of FAIR's training logs."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fsm_engine import distributed
from fsm_engine.events.events import Events
from fsm_engine.handlers.timer import Timer

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_SHOWN = 10


class FBResearchLogger:
    """Handler that logs the progress of an epoch, the learning rates, values and times, as one line each time.

    With several ranks, rank 0 logs; outputs and times are its own.

    ``Epoch [1/5]  [20/100]:  ETA: 0:01:20  lr: 0.00100  loss: 0.4560  Iter time: 0.0100 s  Data prep time: 0.0020 s``

    Args:
        logger: a standard logger.
        delimiter: text between the parts of a line.
        show_output: log the output of the step, too.

    Example:
        >>> import logging
        >>> logger = logging.getLogger("training")
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> FBResearchLogger(logger).attach(trainer, "Train", every=10)  # one line for every tenth iteration
    """

    def __init__(self, logger: logging.Logger, delimiter: str = "  ", show_output: bool = False) -> None:
        self.logger = logger
        self.delimiter = delimiter
        self.show_output = show_output
        self.iter_timer = Timer(average=True)
        self.data_timer = Timer(average=True)

    def attach(
        self,
        engine: Engine,
        name: str,
        every: int = 1,
        output_transform: Callable[[Any], Any] | None = None,
        state_attributes: list[str] | None = None,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Log the progress of `engine`.

        Args:
            engine: engine to log.
            name: its name in the lines for the beginning and end of epochs and of the run.
            every: number of iterations between lines.
            output_transform: function from the output of the step to the values to log.
            state_attributes: names of attributes of the state to log.
            optimizer: optimizer whose learning rates are logged.
        """
        self.output_transform = output_transform
        self.state_attributes = state_attributes
        engine.add_event_handler(Events.EPOCH_STARTED, self.log_epoch_started, name)
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=every), self.log_every, optimizer)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.log_epoch_completed, name)
        engine.add_event_handler(Events.COMPLETED, self.log_completed, name)
        for timer, begin, end in (
            (self.iter_timer, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED),
            (self.data_timer, Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED),
        ):
            timer.reset()
            timer.attach(engine, start=Events.EPOCH_STARTED, resume=begin, pause=end, step=end)

    def log_every(self, engine: Engine, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Log the progress of the epoch."""
        state = engine.state
        length = state.epoch_length or state.iteration
        done = (state.iteration - 1) % length + 1
        seconds = self.iter_timer.value()
        parts = [
            f"Epoch [{state.epoch}/{state.max_epochs}]",
            f"[{done}/{length}]:",
            f"ETA: {_duration(seconds * (length - done))}",
            _learning_rates(optimizer),
        ]
        if self.show_output and state.output is not None:
            output = state.output if self.output_transform is None else self.output_transform(state.output)
            parts += _texts(output)
        attributes = {name: getattr(state, name, None) for name in self.state_attributes or ()}
        parts += [
            " ".join(_texts(attributes)),
            f"Iter time: {seconds:.4f} s",
            f"Data prep time: {self.data_timer.value():.4f} s",
        ]
        if torch.cuda.is_available():
            parts.append(f"GPU Max Mem: {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
        self._log(self.delimiter.join(part for part in parts if part))

    def log_epoch_started(self, engine: Engine, name: str) -> None:
        """Log that an epoch begins."""
        self._log(f"{name}: start epoch [{engine.state.epoch}/{engine.state.max_epochs}]")

    def log_epoch_completed(self, engine: Engine, name: str) -> None:
        """Log the time of the epoch."""
        state = engine.state
        epoch = f"Epoch [{state.epoch}/{state.max_epochs}]" if (state.max_epochs or 0) > 1 else ""
        seconds = state.times["EPOCH_COMPLETED"] or 0.0
        per_iteration = seconds / (state.epoch_length or 1)
        parts = [f"{name}: {epoch}", f"Total time: {_duration(seconds)}", f"({per_iteration:.4f} s / it)"]
        self._log(self.delimiter.join(parts))

    def log_completed(self, engine: Engine, name: str) -> None:
        """Log the time of a run of several epochs."""
        state = engine.state
        if (state.max_epochs or 0) > 1:
            total = _duration(state.times["COMPLETED"] or 0.0)
            self._log(self.delimiter.join([f"{name}: run completed", f"Total time: {total}"]))

    def _log(self, line: str) -> None:
        if distributed.get_rank() == 0:
            self.logger.info("%s", line)


def _duration(seconds: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=int(seconds))


def _learning_rates(optimizer: torch.optim.Optimizer | None) -> str:
    if optimizer is None:
        return ""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    if len(rates) == 1:
        return f"lr: {rates[0]:.5f}"
    return " ".join(f"lr [g{number}]: {rate:.5f}" for number, rate in enumerate(rates))


def _texts(value: Any) -> Iterator[str]:
    """Yield the numbers in a nested value as text, with four decimals and after their keys."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{key}: {', '.join(_texts(item))}"
    elif isinstance(value, torch.Tensor) and value.ndim:
        if value.ndim > 1:
            yield f"Shape{list(value.shape)}"
        else:
            numbers = [f"{item:.4f}" for item in value[:_SHOWN].tolist()]
            yield f"[{', '.join(numbers + ['...'] * (len(value) > _SHOWN))}]"
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, (int, float, torch.Tensor)):
        yield f"{float(value):.4f}"
    else:
        yield str(value)
