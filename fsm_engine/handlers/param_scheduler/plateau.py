"""`ReduceLROnPlateauScheduler`: a lower learning rate when a metric gets no better."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from fsm_engine.events.events import AnyEvent, Events, EventsList
from fsm_engine.handlers.param_scheduler.base import ParamScheduler, remember, require, set_value

if TYPE_CHECKING:
    from fsm_engine.dispatch.registry import RemovableEventHandle
    from fsm_engine.engine.engine import Engine


class ReduceLROnPlateauScheduler(ParamScheduler):
    """Lets torch's ReduceLROnPlateau look at a metric of an evaluator whenever that has run.

    Attach it to the evaluator. Unlike the other schedulers it lowers what the optimizer has.

    Args:
        optimizer: a torch optimizer.
        metric_name: the key in ``engine.state.metrics`` of the engine it is attached to.
        trainer: the engine in whose state the history is kept; that of the evaluator unless given. It is not kept
            alive.
        save_history: whether the values are kept in ``state.param_history``.
        param_group_index: the only group to set; all of them unless given.
        **scheduler_kwargs: those of ReduceLROnPlateau.

    Raises:
        TypeError: for something that is no optimizer, or several `min_lr` for one group.
        ValueError: what ReduceLROnPlateau says.
    """

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
        least = scheduler_kwargs.get("min_lr", 0.0)
        if param_group_index is not None and not isinstance(least, (int, float)):
            raise TypeError(f"When param_group_index is given, min_lr should be a float, but given {type(least)}")
        self.metric_name = metric_name
        self.scheduler = ReduceLROnPlateau(optimizer, **scheduler_kwargs)
        self._trainer = None if trainer is None else weakref.ref(trainer)

    @property
    def trainer(self) -> Engine | None:
        """The engine in whose state the history is kept, while it lives."""
        return None if self._trainer is None else self._trainer()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_trainer": None}  # engines are not copied along with their handlers

    def attach(self, engine: Engine, event: AnyEvent | EventsList = Events.COMPLETED) -> RemovableEventHandle:
        """Let `engine`, the evaluator, call this scheduler at each `event`.

        Raises:
            ValueError: for an event that is not registered.
        """
        return super().attach(engine, event)

    def get_param(self) -> Any:
        """Return the learning rate there is: a number, or a list with one per group."""
        values = [group["lr"] for group in self.optimizer_param_groups]
        return values[0] if len(values) == 1 else values

    def __call__(self, engine: Any = None, name: str | None = None) -> None:
        """Look at the metric, and lower the learning rate if it is time.

        Raises:
            ValueError: if `engine` has no such metric.
        """
        metrics = getattr(getattr(engine, "state", None), "metrics", None) or {}
        if self.metric_name not in metrics:
            raise ValueError(
                f"Argument engine should have in its 'state', attribute 'metrics' which itself has the metric "
                f"{self.metric_name}. It has {list(metrics)}."
            )
        self._step(metrics[self.metric_name])
        if self.save_history:
            remember(self.trainer or engine, name or self.param_name, [g["lr"] for g in self.optimizer_param_groups])
        self._advance()

    def _step(self, metric: Any) -> None:
        own = list(map(id, self.optimizer_param_groups))
        others = [group for group in self.optimizer.param_groups if id(group) not in own]
        before = [copy.deepcopy(group["lr"]) for group in others]
        self.scheduler.step(metric)
        for group, value in zip(others, before):
            set_value(group, "lr", value)

    def state_dict(self) -> dict[str, Any]:
        """Return where this scheduler and that of torch stand, and the learning rates."""
        own = {**super().state_dict(), "metric_name": self.metric_name}
        rates = [copy.deepcopy(group["lr"]) for group in self.optimizer_param_groups]
        return {**own, "scheduler": copy.deepcopy(self.scheduler.state_dict()), "lr": rates}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, and give the optimizer its learning rates.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if something is missing; nothing is changed then.
        """
        require(state_dict, (*self._saved, "metric_name", "scheduler", "lr"))
        super().load_state_dict(state_dict)
        self.metric_name = state_dict["metric_name"]
        self.scheduler.load_state_dict(copy.deepcopy(state_dict["scheduler"]))
        for group, value in zip(self.optimizer_param_groups, state_dict["lr"]):
            set_value(group, "lr", copy.deepcopy(value))

    @classmethod
    def simulate_values(  # type: ignore[override]  # it depends on a metric
        cls, num_events: int, metric_values: Sequence[float], init_lr: float, **scheduler_kwargs: Any
    ) -> list[list[Any]]:
        """Return ``[event, learning rate]`` for these values of the metric.

        Args:
            num_events: how many.
            metric_values: one per event.
            init_lr: what the optimizer begins with.
            **scheduler_kwargs: those of ReduceLROnPlateau.

        Raises:
            ValueError: if there is not one value per event.
        """
        if len(metric_values) != num_events:
            raise ValueError(
                f"Length of argument metric_values should be equal to num_events. {len(metric_values)} != {num_events}"
            )
        given = {k: v for k, v in scheduler_kwargs.items() if k not in ("optimizer", "metric_name", "save_history")}
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=init_lr)
        scheduler = cls(optimizer, "", **given)
        rows = []
        for event, metric in enumerate(metric_values):
            scheduler._step(metric)
            rows.append([event, optimizer.param_groups[0]["lr"]])
        return rows
