"""The states of all ranks in one checkpoint: the state of one rank, and the differences of the others beside it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fsm_engine._util.plain_data import find
from fsm_engine.distributed.session import meeting_of
from fsm_engine.handlers.checkpoint.checkpoint_objects import engines_in
from fsm_engine.handlers.checkpoint.rank_differences import apply_difference

_OTHERS = "other_ranks"
"""The key of a checkpoint under which it has the differences of the other ranks, by rank."""


class WorldSizeError(RuntimeError):
    """Another number of processes saved a checkpoint than loads it."""


def with_other_ranks(checkpoint: Any, differences: Mapping[int, Any]) -> Any:
    """Return a copy of the checkpoint of one rank that includes the differences of the others.

    Raises:
        ValueError: the checkpoint has an object of the name that is needed.
    """
    if _OTHERS in checkpoint:
        raise ValueError(f"to_save has an object named {_OTHERS!r}, which holds the states of other ranks. Rename it.")
    checkpoint = copy.copy(checkpoint)
    checkpoint[_OTHERS] = dict(differences)
    return checkpoint


def states_of_this_rank(objects: Any, checkpoint: Any, any_world_size: bool = False) -> Any:
    """Return the part of a checkpoint that belongs to this rank, to be loaded into `objects`.

    Without an engine among the objects, and from a checkpoint without the exact state of a run, it is the same for all
    ranks. So it is from a checkpoint of another number of ranks.

    Args:
        objects: the objects.
        checkpoint: the content of the checkpoint.
        any_world_size: whether the exact state of a run on another number of ranks is accepted.

    Raises:
        WorldSizeError: the checkpoint has the exact state of a run on another number of ranks.
    """
    engines = engines_in(objects)
    if not engines or not isinstance(checkpoint, Mapping):
        return checkpoint
    others = checkpoint.get(_OTHERS, {})
    meeting = meeting_of(engines)
    saved_by, here = world_sizes(objects, checkpoint)
    if saved_by != here and not any_world_size and find(_has_generators, checkpoint) is not None:
        raise WorldSizeError(_message(saved_by, here))
    own = {key: part for key, part in checkpoint.items() if key != _OTHERS}
    return apply_difference(own, None if meeting is None or saved_by != here else others.get(meeting.rank))


def world_sizes(objects: Any, checkpoint: Mapping[str, Any]) -> tuple[int, int]:
    """Return the number of ranks that have saved a checkpoint with an engine, and the number that loads it."""
    meeting = meeting_of(engines_in(objects))
    return 1 + len(checkpoint.get(_OTHERS, {})), 1 if meeting is None else meeting.world_size


def _has_generators(node: Any) -> bool:
    return isinstance(node, Mapping) and node.get("generators") is not None


def _message(saved_by: int, here: int) -> str:
    start = f"{saved_by} processes with torchrun, and call ranks.attach(engine) before" if saved_by > 1 else "one for"
    return (
        f"it was saved by {_processes(saved_by)}, and {_processes(here)} would load it. Each process has its own "
        f"random numbers and its own place in the data, so the run would not continue exactly. To continue it exactly, "
        f"start {start} resume(). To continue it with new random numbers, call resume(any_world_size=True). To load "
        f"the weights only, call Checkpoint.load_objects({{'model': model}}, path)."
    )


def _processes(count: int) -> str:
    return f"{count} processes of a session" if count > 1 else "one process"
