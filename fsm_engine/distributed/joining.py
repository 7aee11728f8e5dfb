"""`join_uneven`: lets ranks without batches take part in the collectives of the others, by torch's `Join`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch.distributed as c10d
from torch.distributed.algorithms.join import Join, Joinable
from torch.nn.parallel import DistributedDataParallel

from fsm_engine.distributed.gathering import gather_for
from fsm_engine.distributed.world import device, get_rank
from fsm_engine.events.events import Events
from fsm_engine.events.priorities import FIRST

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_ENDS = (Events.EPOCH_COMPLETED, Events.TERMINATE_SINGLE_EPOCH, Events.TERMINATE, Events.INTERRUPT)
"""The events at which no iteration follows at once."""


def join_uneven(engine: Engine) -> None:
    """Attach to `engine` the handlers that enter torch's `Join` when an epoch begins, and leave it when it ends.

    Raises:
        ValueError: `Join` does not work with the step or the lifecycle of the engine.
    """
    _check(engine)
    joined = _JoinedEpochs()
    engine.add_event_handler(Events.EPOCH_STARTED(priority=FIRST) | Events.RESUMED(priority=FIRST), joined.enter)
    for event in _ENDS:
        if event in engine.lifecycle.graph.index:
            engine.add_event_handler(event(priority=FIRST), joined.leave)


def _check(engine: Engine) -> None:
    missing = [
        event for event in (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED) if event not in engine.lifecycle.graph.index
    ]
    if missing:
        raise ValueError(
            f"uneven='join' needs a lifecycle with EPOCH_STARTED and EPOCH_COMPLETED, but {engine.lifecycle.name!r} "
            f"has no {missing[0]}. Use uneven='drop'."
        )
    step = engine._step
    model = getattr(step, "model", None)
    if not isinstance(model, DistributedDataParallel):
        has = f"{getattr(step, '__name__', step)} has no attribute model" if model is None else type(model).__name__
        raise ValueError(
            f"uneven='join' works with a DistributedDataParallel model only, because torch's Join does, and the step "
            f"has to show it as step.model: {has}. Pass DistributedDataParallel(model) to create_supervised_trainer, "
            f"or use uneven='drop'."
        )
    steps = getattr(step, "gradient_accumulation_steps", 1)
    if steps > 1:
        raise ValueError(
            f"uneven='join' does not work with gradient_accumulation_steps={steps}, because ranks would average their "
            f"gradients in different iterations. Use uneven='drop', or gradient_accumulation_steps=1."
        )


class _JoinedEpochs:
    """The `Join` of the open epoch of an engine."""

    def __init__(self) -> None:
        self._join: Join | None = None

    def enter(self, engine: Engine) -> None:
        """Enter `Join`, unless a run resumes behind the end of an epoch."""
        if engine._cursor.epoch_is_open:
            self._join = Join(_joinables(engine))
            self._join.__enter__()  # type: ignore[no-untyped-call]

    def leave(self, engine: Engine) -> None:
        """Wait until all ranks leave; meanwhile, take part in their collectives. Then make the optimizers equal."""
        if self._join is None:
            return
        join, self._join = self._join, None
        with warnings.catch_warnings():  # leaving it changes the filters for the process
            join.__exit__(None, None, None)
        Join(_joinables(engine), enable=False)  # else evaluation by the model itself would still look for ranks
        _copy_optimizer(engine)


def _joinables(engine: Engine) -> list[Joinable]:
    step: Any = engine._step
    optimizer = getattr(step, "optimizer", None)
    return [step.model, *([optimizer] if isinstance(optimizer, Joinable) else [])]


def _copy_optimizer(engine: Engine) -> None:
    """Copy the state of the optimizer from a rank that has made the most steps, as `Join` does with the weights."""
    optimizer = getattr(engine._step, "optimizer", None)
    if optimizer is None or isinstance(optimizer, Joinable):
        return
    state = engine.state
    done = gather_for(f"the end of epoch {state.epoch}", lambda: state.iteration - engine._cursor.epoch_start)
    if len(set(done)) == 1:
        return
    source = len(done) - 1 - done[::-1].index(max(done))  # Join takes the weights of the last rank of these
    values: list[Any] = [optimizer.state_dict() if get_rank() == source else None]
    c10d.broadcast_object_list(values, source, device=device())
    if done[get_rank()] < max(done):
        optimizer.load_state_dict(values[0])
