"""Handlers that log: `OutputHandler`, `OptimizerParamsHandler`, and `BaseHandler`, the base class of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar

from fsm_engine import distributed
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import AnyEvent
from fsm_engine.loggers.state_reader import NameParts, StateReader

if TYPE_CHECKING:
    from fsm_engine.loggers.base import BaseLogger


class BaseHandler:
    """Base class of handlers for `BaseLogger.attach`, called as ``handler(engine, logger, event)``.

    A subclass defines `_read`, which returns the values to log, or overrides ``__call__``. With several ranks, all read
    the values, because reading may need all of them, and rank 0 logs its values.

    Attributes:
        works_with: class of loggers that the handler is restricted to; None means all loggers.
        refusal: exception class raised for any other logger.
    """

    works_with: ClassVar[type[BaseLogger] | None] = None
    refusal: ClassVar[type[Exception]] = RuntimeError

    def __call__(self, engine: Engine, logger: BaseLogger, event_name: AnyEvent) -> None:
        """Read the values and log them.

        Raises:
            RuntimeError: the event has no counter, or the handler is restricted to another logger; handlers that are
                restricted to `MLflowLogger` raise TypeError then.
            TypeError: the step is not an integer.
        """
        logger_class = self._class_of(logger)
        named = {
            logger_class.separator.join(parts): value for parts, value in self._read(engine, logger_class.takes_text)
        }
        step = self._step(engine, event_name)
        if named and distributed.get_rank() == 0:
            self._log(logger_class, logger, named, step)

    def _class_of(self, logger: Any) -> type[BaseLogger]:
        """Return the class whose methods log: `works_with` if it is set, so that a mock of such a logger works, too."""
        if self.works_with is None:
            return type(logger)
        if not isinstance(logger, self.works_with):
            raise self.refusal(
                f"Handler {type(self).__name__!r} works only with {self.works_with.__name__}, but was given "
                f"{logger!r}. Use fsm_engine.loggers.{type(self).__name__}, which works with every logger."
            )
        return self.works_with

    def _read(self, engine: Engine, takes_text: bool, /) -> Iterable[tuple[NameParts, Any]]:
        """Return the values to log with the parts of their names; strings only if `takes_text`."""
        raise NotImplementedError(f"{type(self).__name__} does not define _read(engine, takes_text).")

    def _log(self, logger_class: type[BaseLogger], logger: BaseLogger, values: Mapping[str, Any], step: int) -> None:
        logger_class.log_values(logger, values, step)

    def _step(self, engine: Engine, event_name: AnyEvent) -> int:
        return engine.state.get_event_attrib_value(event_name)


class OutputHandler(BaseHandler):
    """Handler that logs metrics, the output of the step, and attributes of the state, as ``tag/name``.

    The items of mappings, lists, tuples and 1-d tensors are logged one by one, as ``tag/name/key``. A value that is
    missing or not a number is skipped with a UserWarning. The host waits for the device only when the handler is
    called.

    Args:
        tag: first part of each name, such as ``"training"``.
        metric_names: names of metrics, or ``"all"``.
        output_transform: function from ``engine.state.output`` to a mapping, or to a single value, which is logged as
            ``tag/output``.
        global_step_transform: called as ``global_step_transform(engine, event)``; returns the step. None means the
            counter of the event.
        state_attributes: names of attributes of ``engine.state``.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `metric_names`, `output_transform` and `state_attributes` are all None.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with JSONLinesLogger(folder / "log.jsonl") as logger:
        ...     handler = OutputHandler("training", output_transform=lambda loss: {"loss": loss})
        ...     _ = logger.attach(trainer, handler, Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([0.5])
        >>> json.loads(logger.path.read_text())["training/loss"]
        0.5
    """

    def __init__(
        self,
        tag: str,
        metric_names: str | list[str] | None = None,
        output_transform: Callable[[Any], Any] | None = None,
        global_step_transform: Callable[[Engine, Any], int] | None = None,
        state_attributes: list[str] | None = None,
    ) -> None:
        self.tag = tag
        self.reader = StateReader(metric_names, output_transform, state_attributes)
        if metric_names is None and output_transform is None and state_attributes is None:
            raise ValueError(
                "Either metric_names, output_transform or state_attributes should be defined: there is nothing to log."
            )
        if global_step_transform is not None and not callable(global_step_transform):
            raise TypeError(f"global_step_transform should be a function, got {global_step_transform!r}.")
        self.global_step_transform = global_step_transform

    def _read(self, engine: Engine, takes_text: bool, /) -> Iterator[tuple[NameParts, Any]]:
        for parts, value in self.reader.read(engine.state, takes_text).items():
            yield (self.tag, *parts), value

    def _step(self, engine: Engine, event_name: AnyEvent) -> int:
        if self.global_step_transform is None:
            return super()._step(engine, event_name)
        step = self.global_step_transform(engine, event_name)
        try:
            return index(step)
        except TypeError:
            raise TypeError(
                f"global_step must be int, got {step!r} of {type(step)} from global_step_transform."
            ) from None


class OptimizerParamsHandler(BaseHandler):
    """Handler that logs a parameter of each group of an optimizer, as ``lr/group_0``, or with a tag ``tag/lr/group_0``.

    Args:
        optimizer: an optimizer, or another object with a sequence `param_groups`.
        param_name: name of the parameter in each group.
        tag: first part of each name.

    Raises:
        TypeError: `optimizer` has no sequence `param_groups`.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_trainer(model, optimizer, torch.nn.MSELoss())
        >>> with JSONLinesLogger(folder / "log.jsonl") as logger:
        ...     _ = logger.attach(trainer, OptimizerParamsHandler(optimizer, "lr"), Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([(torch.ones(1, 1), torch.ones(1, 1))])
        >>> sorted(json.loads(logger.path.read_text().splitlines()[0]))
        ['lr/group_0', 'step', 'time']
    """

    def __init__(self, optimizer: Any, param_name: str = "lr", tag: str | None = None) -> None:
        if not isinstance(getattr(optimizer, "param_groups", None), Sequence):
            raise TypeError(
                f"Argument optimizer should be torch.optim.Optimizer, or have a list of param_groups, "
                f"but given {type(optimizer)}."
            )
        self.optimizer, self.param_name, self.tag = optimizer, param_name, tag

    def _read(self, _engine: Engine, _takes_text: bool, /) -> Iterator[tuple[NameParts, Any]]:
        prefix = (self.param_name,) if self.tag is None else (self.tag, self.param_name)
        for number, group in enumerate(self.optimizer.param_groups):
            yield (*prefix, f"group_{number}"), float(group[self.param_name])
