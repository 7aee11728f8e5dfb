"""`LRScheduler`: any scheduler of torch as a handler."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from torch.optim import lr_scheduler as torch_schedulers

from fsm_engine.handlers.param_scheduler.base import ParamScheduler, on_stand_ins, rehearse, require, set_value


class LRScheduler(ParamScheduler):
    """Lets a scheduler of torch set the learning rate: the first event has its first value, as each epoch has in torch.

    Attach it to ITERATION_STARTED, or to EPOCH_STARTED for a scheduler that counts epochs. What others set between
    two events, such as a warm-up, does not change its values, and neither does a fresh optimizer on resume.

    Args:
        lr_scheduler: any of `torch.optim.lr_scheduler`, but ReduceLROnPlateau.
        save_history: whether the values are kept in ``engine.state.param_history``.
        use_legacy: leaves the first value to the optimizer: the first event has the second. For
            ITERATION_COMPLETED, after the step that used the first.

    Raises:
        TypeError: for anything else.
    """

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
        """Return what the torch scheduler stands at: one number, or a list with one per group."""
        values = list(self.lr_scheduler.get_last_lr())
        return values[0] if len(values) == 1 else values

    def __call__(self, engine: Any = None, name: str | None = None) -> None:
        """Set the value of this event, and go on to the next."""
        if self.event_index or self._skips_first:
            self._step()
        super().__call__(engine, name)

    def _step(self) -> None:
        for group, value in zip(self.optimizer_param_groups, self.lr_scheduler.get_last_lr()):
            set_value(group, "lr", value)  # some compute the next value from what is there
        if getattr(self.optimizer, "_opt_called", False):
            self.lr_scheduler.step()
            return
        with warnings.catch_warnings():  # that the optimizer has made no step yet: torch would have skipped a value
            warnings.simplefilter("ignore", UserWarning)
            self.lr_scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return where this scheduler and that of torch stand."""
        return {**super().state_dict(), "lr_scheduler": copy.deepcopy(self.lr_scheduler.state_dict())}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned: the next event goes on from there.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if something is missing; nothing is changed then.
        """
        require(state_dict, (*self._saved, "lr_scheduler"))
        super().load_state_dict(state_dict)
        self.lr_scheduler.load_state_dict(copy.deepcopy(state_dict["lr_scheduler"]))

    @classmethod
    def simulate_values(  # type: ignore[override]  # it is made of torch's scheduler
        cls, num_events: int, lr_scheduler: Any, **kwargs: Any
    ) -> list[list[Any]]:
        """Return ``[event, value of each group]`` for as many events, without touching anything.

        Args:
            num_events: how many.
            lr_scheduler: that of torch; where it stands is where this begins.
            **kwargs: what else the scheduler would be made with.
        """
        (twin,) = on_stand_ins([cls(lr_scheduler, **kwargs)])
        return rehearse(twin, num_events, lambda: [group["lr"] for group in twin.optimizer.param_groups])


def check_torch_scheduler(lr_scheduler: Any, others: str = "") -> None:
    """Refuse what is no scheduler of torch, and the one that needs a metric.

    Raises:
        TypeError: for those; `others` says what else was possible.
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
