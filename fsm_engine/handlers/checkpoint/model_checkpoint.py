"""`Checkpoint` and what belongs to it, and `ModelCheckpoint`, which is told what to save where it is attached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsm_engine.handlers.checkpoint.checkpoint import Checkpoint
from fsm_engine.handlers.checkpoint.disk_saver import DiskSaver

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class ModelCheckpoint(Checkpoint):
    """A `Checkpoint` that is told what to save where it is attached, and writes into a folder.

    ``engine.add_event_handler(Events.EPOCH_COMPLETED, handler, {"model": model})``. To go on after a kill, make it with
    ``require_empty=False``, and call ``handler.resume({"model": model})`` before `run`.

    Args:
        dirname: the folder.
        filename_prefix: how file names begin.
        score_function: as for `Checkpoint`, like all that is not here.
        score_name: the name of the score.
        n_saved: how many are kept; None for all.
        atomic: whether files are written beside their place first.
        require_empty: whether checkpoints that are in the folder already are an error.
        create_dir: whether the folder is made if it is not there.
        global_step_transform: returns the step for file names.
        filename_pattern: for file names.
        include_self: whether the names of what is saved are saved with it.
        greater_or_equal: whether a checkpoint as good as the worst one that is kept takes its place.
        save_on_rank: which process of a distributed run writes.
        background: whether files are written by another thread.
        **kwargs: for `torch.save`.

    Raises:
        ValueError: as `Checkpoint` and `DiskSaver`.
        TypeError: something that cannot be called.
    """

    def __init__(
        self,
        dirname: str | Path,
        filename_prefix: str = "",
        score_function: Callable[[Any], float] | None = None,
        score_name: str | None = None,
        n_saved: int | None = 1,
        atomic: bool = True,
        require_empty: bool = True,
        create_dir: bool = True,
        global_step_transform: Callable[[Any, Any], Any] | None = None,
        filename_pattern: str | None = None,
        include_self: bool = False,
        greater_or_equal: bool = False,
        save_on_rank: int = 0,
        *,
        background: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            {},
            DiskSaver(dirname, atomic, create_dir, require_empty, save_on_rank, **kwargs),
            filename_prefix,
            score_function,
            score_name,
            n_saved,
            global_step_transform,
            filename_pattern,
            include_self,
            greater_or_equal,
            save_on_rank,
            background=background,
        )

    @property
    def last_checkpoint(self) -> str | Path | None:
        """The path of the best one, or without a score of the newest; None before."""
        if not isinstance(self.save_handler, DiskSaver):
            raise RuntimeError(f"Internal error, save_handler should be DiskSaver, but has {type(self.save_handler)}.")
        return super().last_checkpoint

    def __call__(self, engine: Engine, *given: Any, to_save: Mapping[str, Any] | None = None) -> None:
        """Save `to_save`, as `Checkpoint` does.

        Args:
            engine: where it is attached.
            *given: `to_save`, behind the exception that EXCEPTION_RAISED hands over.
            to_save: the objects by name.

        Raises:
            RuntimeError: there are none.
            Exception: as `Checkpoint`.
        """
        objects = given[-1] if to_save is None and given else to_save
        if not objects:
            raise RuntimeError("No objects to checkpoint found. Give them when it is attached: {'model': model}.")
        self.to_save = objects
        super().__call__(engine)
