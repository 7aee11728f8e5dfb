"""Handlers that log: what they read of a run, and under which names and at which step it is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar

from fsm_engine.events.events import AnyEvent
from fsm_engine.loggers.state_reader import Names, StateReader

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.loggers.base import BaseLogger


class BaseHandler:
    """Called as ``handler(engine, logger, event)``, it logs what it reads; `BaseLogger.attach` attaches it.

    A subclass has `_read`, or does everything itself in a ``__call__`` of its own.

    Attributes:
        works_with: the only class of loggers that it takes; None for all.
        refusal: what is raised for another.
    """

    works_with: ClassVar[type[BaseLogger] | None] = None
    refusal: ClassVar[type[Exception]] = RuntimeError

    def __call__(self, engine: Engine, logger: BaseLogger, event_name: AnyEvent) -> None:
        """Read the values, and log them.

        Raises:
            RuntimeError: a logger that this handler does not work with; an event without a counter.
            TypeError: a step that is no integer.
        """
        kind = self._kind_of(logger)
        named = {kind.separator.join(names): value for names, value in self._read(engine, kind.takes_text)}
        self._log(kind, logger, named, self._step(engine, event_name))

    def _kind_of(self, logger: Any) -> type[BaseLogger]:
        if self.works_with is None:
            return type(logger)
        if not isinstance(logger, self.works_with):
            raise self.refusal(
                f"Handler {type(self).__name__!r} works only with {self.works_with.__name__}, and was given "
                f"{logger!r}. Those of fsm_engine.loggers work with every logger."
            )
        return self.works_with

    def _read(self, engine: Engine, takes_text: bool, /) -> Iterable[tuple[Names, Any]]:
        """Return what is to be logged, by the parts of its name."""
        raise NotImplementedError(f"{type(self).__name__} has no _read(engine, takes_text), which gives what it logs.")

    def _log(self, kind: type[BaseLogger], logger: BaseLogger, values: Mapping[str, Any], step: int) -> None:
        if values:
            kind.log_values(logger, values, step)

    def _step(self, engine: Engine, event_name: AnyEvent) -> int:
        return engine.state.get_event_attrib_value(event_name)


class OutputHandler(BaseHandler):
    """Logs metrics, the output and attributes of the state, as ``tag/name``.

    Mappings, lists, tuples and 1-d tensors are logged number by number, as ``tag/name/key``. What is missing, or no
    number, is left out with a UserWarning. The host waits for the device here, at the event, and nowhere else.

    Args:
        tag: the first part of each name, such as ``"training"``.
        metric_names: names of metrics, or ``"all"``.
        output_transform: makes a mapping, or a single value (then called ``output``), of ``engine.state.output``.
        global_step_transform: called with (engine, event), gives the step; unless given it is the event's counter.
        state_attributes: names of attributes of the state.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: nothing to log.
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

    def _read(self, engine: Engine, takes_text: bool, /) -> Iterator[tuple[Names, Any]]:
        for names, value in self.reader.read(engine.state, takes_text).items():
            yield (self.tag, *names), value

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
    """Logs a parameter of each group of an optimizer, as ``lr/group_0``; with a tag as ``tag/lr/group_0``.

    Args:
        optimizer: an optimizer, or anything else that has a sequence of `param_groups`.
        param_name: which parameter.
        tag: the first part of each name.

    Raises:
        TypeError: something without such groups.
    """

    def __init__(self, optimizer: Any, param_name: str = "lr", tag: str | None = None) -> None:
        if not isinstance(getattr(optimizer, "param_groups", None), Sequence):
            raise TypeError(
                f"Argument optimizer should be torch.optim.Optimizer, or have a list of param_groups, "
                f"but given {type(optimizer)}."
            )
        self.optimizer, self.param_name, self.tag = optimizer, param_name, tag

    def _read(self, _engine: Engine, _takes_text: bool, /) -> Iterator[tuple[Names, Any]]:
        above = (self.param_name,) if self.tag is None else (self.tag, self.param_name)
        for number, group in enumerate(self.optimizer.param_groups):
            yield (*above, f"group_{number}"), float(group[self.param_name])
