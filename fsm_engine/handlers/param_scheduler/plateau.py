"""`ReduceLROnPlateauScheduler`: a lower learning rate when a metric stops improving."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fsm_engine._util.state_dicts import check_keys
from fsm_engine.distributed.gathering import agreed_score
from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.param_scheduler.base import ParamScheduler
from fsm_engine.handlers.param_scheduler.param_groups import number_or_list, record_history, set_value
from fsm_engine.handlers.param_scheduler.simulation import simulate
from fsm_engine.handlers.weak_engine import WeakEngine

if TYPE_CHECKING:
    from fsm_engine.dispatch.handles import RemovableEventHandle
    from fsm_engine.engine.engine import Engine


class ReduceLROnPlateauScheduler(ParamScheduler):
    """Call torch's ReduceLROnPlateau with a metric of an evaluator after each of its runs.

    With several ranks the metric is the mean over ranks, so their learning rates stay equal.

    Attach it to the evaluator. Unlike the other schedulers, it multiplies the current learning rate of the optimizer.

    Args:
        optimizer: a torch optimizer.
        metric_name: key in ``engine.state.metrics`` of the evaluator.
        trainer: the engine whose state gets the history; the evaluator unless given. The reference is weak.
        save_history: append the learning rates to ``state.param_history``.
        param_group_index: index of the only parameter group to set; all groups unless given.
        **scheduler_kwargs: arguments of ReduceLROnPlateau.

    Raises:
        TypeError: `optimizer` has no list `param_groups`, or `min_lr` is a list although `param_group_index` is given.
        Exception: ReduceLROnPlateau refuses an argument.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1)
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> Average().attach(trainer, "loss")
        >>> scheduler = ReduceLROnPlateauScheduler(optimizer, "loss", factor=0.5, patience=0)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, scheduler)
        >>> _ = trainer.run([1.0], max_epochs=3)
        >>> optimizer.param_groups[0]["lr"]
        0.025
    """

    _saved = (*ParamScheduler._saved, "metric_name", "scheduler")
    meets_other_ranks = True

    def __init__(
        self,
        optimizer: Any,
        metric_name: str,
        trainer: Engine | None = None,
        save_history: bool = False,
        param_group_index: int | None = None,
        **scheduler_kwargs: Any,
    ) -> None:
        super().__init__(optimizer, "lr", save_history, param_group_index)
        min_lr = scheduler_kwargs.get("min_lr", 0.0)
        if param_group_index is not None and not isinstance(min_lr, (int, float)):
            raise TypeError(f"When param_group_index is given, min_lr should be a float, but given {type(min_lr)}")
        self.metric_name = metric_name
        self.scheduler = ReduceLROnPlateau(optimizer, **scheduler_kwargs)
        self._trainer = WeakEngine(trainer)

    @property
    def trainer(self) -> Engine | None:
        """The engine whose state gets the history; None if not given, or gone, or in a copy of this scheduler."""
        return self._trainer()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_trainer": WeakEngine(None)}  # engines are not copied along with their handlers

    def attach(self, engine: Engine, event: AnyEvent | EventsList = Events.COMPLETED) -> RemovableEventHandle:
        """Call this scheduler at each `event` of `engine`, the evaluator.

        Raises:
            ValueError: the event is not registered.
        """
        return super().attach(engine, event)

    def get_param(self) -> Any:
        """Return the current learning rate: a number, or a list with one per parameter group."""
        return number_or_list(self._learning_rates())

    def _learning_rates(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer_param_groups]

    def __call__(self, engine: Any = None, name: str | None = None) -> None:
        """Call ReduceLROnPlateau with the metric, and record the learning rates if `save_history` is True.

        Raises:
            ValueError: ``engine.state.metrics`` has no such metric.
        """
        purpose = f"the metric {self.metric_name!r} for ReduceLROnPlateau"
        self._step(agreed_score(purpose, lambda: self._metric_of(engine)))
        if self.save_history:
            record_history(self.trainer or engine, name or self.param_name, self._learning_rates())
        self._advance()

    def _metric_of(self, engine: Any) -> Any:
        metrics = getattr(getattr(engine, "state", None), "metrics", None) or {}
        if self.metric_name not in metrics:
            raise ValueError(
                f"Argument engine should have in its 'state', attribute 'metrics' which itself has the metric "
                f"{self.metric_name}. It has {list(metrics)}."
            )
        return metrics[self.metric_name]

    def _step(self, metric: Any) -> None:
        # ReduceLROnPlateau changes all parameter groups, so the other groups get their learning rates back.
        own = list(map(id, self.optimizer_param_groups))
        others = [group for group in self.optimizer.param_groups if id(group) not in own]
        before = [copy.deepcopy(group["lr"]) for group in others]
        self.scheduler.step(metric)
        for group, value in zip(others, before):
            set_value(group, "lr", value)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this scheduler and of ReduceLROnPlateau, and the learning rates, as plain data."""
        return {**super().state_dict(), "lr": copy.deepcopy(self._learning_rates())}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state dict that `state_dict` returned, and set the learning rates of the optimizer.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing; nothing was changed.
        """
        check_keys(state_dict, (*self._saved, "lr"))
        super().load_state_dict(state_dict)
        for group, value in zip(self.optimizer_param_groups, state_dict["lr"]):
            set_value(group, "lr", copy.deepcopy(value))

    @classmethod
    def simulate_values(  # type: ignore[override]  # the values depend on a metric
        cls, num_events: int, metric_values: Sequence[float], init_lr: float, **scheduler_kwargs: Any
    ) -> list[list[Any]]:
        """Return ``[event, learning rate]`` for each value of the metric.

        Args:
            num_events: number of events.
            metric_values: value of the metric at each event.
            init_lr: initial learning rate.
            **scheduler_kwargs: arguments of ReduceLROnPlateau.

        Raises:
            ValueError: the length of `metric_values` is not `num_events`.
        """
        if len(metric_values) != num_events:
            raise ValueError(
                f"Length of argument metric_values should be equal to num_events. {len(metric_values)} != {num_events}"
            )
        given = {k: v for k, v in scheduler_kwargs.items() if k not in ("optimizer", "metric_name", "save_history")}
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=init_lr)
        scheduler = cls(optimizer, "", **given)
        metrics = iter(metric_values)
        return simulate(lambda: scheduler._step(next(metrics)), num_events, lambda: [optimizer.param_groups[0]["lr"]])
