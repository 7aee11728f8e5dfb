"""`LRScheduler`: a scheduler of torch as a handler."""

from __future__ import annotations

import warnings
from typing import Any

from torch.optim import lr_scheduler as torch_schedulers

from fsm_engine.handlers.param_scheduler.base import ParamScheduler
from fsm_engine.handlers.param_scheduler.param_groups import number_or_list, set_value
from fsm_engine.handlers.param_scheduler.simulation import copies_for_simulation, simulate


class LRScheduler(ParamScheduler):
    """Set the learning rate with a scheduler of torch: its first value at the first event, its second at the next.

    Attach it to ITERATION_STARTED, or to EPOCH_STARTED for a scheduler that counts epochs. The values do not depend on
    the current learning rate of the optimizer, so neither a warm-up nor a new optimizer after a resume changes them.

    Args:
        lr_scheduler: a scheduler of `torch.optim.lr_scheduler`, except ReduceLROnPlateau.
        save_history: append the values to ``engine.state.param_history``.
        use_legacy: start with the second value. For ITERATION_COMPLETED, where the first step has already used the
            first value, which torch sets when `lr_scheduler` is made.

    Raises:
        TypeError: `lr_scheduler` is another object.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor(0.0))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1)
        >>> steps = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        >>> LRScheduler.simulate_values(3, steps)
        [[0, 0.1], [1, 0.05], [2, 0.025]]
    """

    _saved = (*ParamScheduler._saved, "lr_scheduler")

    def __init__(self, lr_scheduler: Any, save_history: bool = False, use_legacy: bool = False) -> None:
        check_torch_scheduler(lr_scheduler)
        if use_legacy:
            warnings.warn(
                "With use_legacy=True, attach the scheduler to Events.ITERATION_COMPLETED instead of "
                "Events.ITERATION_STARTED to make sure to use the first lr value from the optimizer, otherwise it "
                "will be skipped",
                stacklevel=2,
            )
        super().__init__(lr_scheduler.optimizer, "lr", save_history)
        self.lr_scheduler = lr_scheduler
        self._skips_first = use_legacy

    def get_param(self) -> Any:
        """Return the current value of `lr_scheduler`: a number, or a list with one per parameter group."""
        return number_or_list(self.lr_scheduler.get_last_lr())

    def __call__(self, engine: Any = None, name: str | None = None) -> None:
        """Set the value of this event and advance to the next event."""
        if self.event_index or self._skips_first:
            self._step()
        super().__call__(engine, name)

    def _step(self) -> None:
        # Some schedulers compute the next value from the value in the optimizer.
        for group, value in zip(self.optimizer_param_groups, self.lr_scheduler.get_last_lr()):
            set_value(group, "lr", value)
        if getattr(self.optimizer, "_opt_called", False):
            self.lr_scheduler.step()
            return
        with warnings.catch_warnings():  # torch warns before the first optimizer step; no value is skipped here
            warnings.simplefilter("ignore", UserWarning)
            self.lr_scheduler.step()

    @classmethod
    def simulate_values(  # type: ignore[override]  # takes a scheduler of torch
        cls, num_events: int, lr_scheduler: Any, **kwargs: Any
    ) -> list[list[Any]]:
        """Return ``[event, value of each parameter group]`` for each of `num_events` events.

        The scheduler and its optimizer are not changed.

        Args:
            num_events: number of events.
            lr_scheduler: the scheduler of torch; the simulation starts at its current value.
            **kwargs: further arguments of the scheduler.
        """
        (scheduler,) = copies_for_simulation([cls(lr_scheduler, **kwargs)])
        return simulate(scheduler, num_events, lambda: [group["lr"] for group in scheduler.optimizer.param_groups])


def check_torch_scheduler(lr_scheduler: Any, others: str = "") -> None:
    """Check that `lr_scheduler` is a scheduler of torch that needs no metric.

    Raises:
        TypeError: it is another object; `others` names further classes that were allowed.
    """
    if isinstance(lr_scheduler, torch_schedulers.ReduceLROnPlateau):
        raise TypeError(
            "Argument lr_scheduler is a ReduceLROnPlateau, which needs a metric at each step. "
            "Use fsm_engine.handlers.ReduceLROnPlateauScheduler, attached to the evaluator."
        )
    if not isinstance(lr_scheduler, torch_schedulers.LRScheduler):
        raise TypeError(
            f"Argument lr_scheduler should be a subclass of torch.optim.lr_scheduler.LRScheduler{others}, "
            f"but given {type(lr_scheduler)}"
        )
