"""`ModelCheckpoint`: a `Checkpoint` that gets its objects where it is attached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsm_engine.handlers.checkpoint.checkpoint import Checkpoint
from fsm_engine.handlers.checkpoint.disk_saver import DiskSaver

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine


class ModelCheckpoint(Checkpoint):
    """Save the objects that the handler is attached with, to files in a folder.

    ``engine.add_event_handler(Events.EPOCH_COMPLETED, handler, {"model": model})``. To resume after a kill, create the
    handler with ``require_empty=False``, and call ``handler.resume({"model": model})`` before `run`.

    Args:
        dirname: the folder.
        filename_prefix: the first part of file names.
        score_function: see `Checkpoint` for this argument and the others that are not explained here.
        score_name: the name of the score.
        n_saved: the maximum number of files; None keeps all.
        atomic: whether files get a temporary name until they are complete.
        require_empty: whether to raise an error if the folder has checkpoints.
        create_dir: whether to create the folder if it does not exist.
        global_step_transform: returns the step for file names.
        filename_pattern: a format string for file names.
        include_self: whether the checkpoint includes the list of saved checkpoints.
        greater_or_equal: whether a checkpoint with the same priority as the lowest kept one replaces it.
        save_on_rank: the rank of the process that writes in a distributed run.
        background: whether a thread writes the files while the run continues.
        **kwargs: arguments of `torch.save`.

    Raises:
        TypeError: a function is not callable.
        ValueError: `n_saved` is not positive, the folder does not exist, or it has checkpoints.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> checkpoint = ModelCheckpoint(folder, "best", n_saved=1, require_empty=False)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint, {"model": model})
        >>> _ = trainer.run([1, 2], max_epochs=3)
        >>> checkpoint.last_checkpoint.name
        'best_model_6.pt'
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
        """The path of the checkpoint with the best score or the highest step; None before the first save."""
        if not isinstance(self.save_handler, DiskSaver):
            raise RuntimeError(f"Internal error, save_handler should be DiskSaver, but has {type(self.save_handler)}.")
        return super().last_checkpoint

    def __call__(self, engine: Engine, *given: Any, to_save: Mapping[str, Any] | None = None) -> None:
        """Save `to_save`; see `Checkpoint`.

        Args:
            engine: the engine that calls this handler.
            *given: `to_save`; at EXCEPTION_RAISED, the exception comes before it.
            to_save: the objects by name.

        Raises:
            RuntimeError: `to_save` is empty or missing.
            Exception: a `Checkpoint` raises it.
        """
        objects = given[-1] if to_save is None and given else to_save
        if not objects:
            raise RuntimeError(
                "No objects to checkpoint found. Give them when you attach the handler: {'model': model}."
            )
        self.to_save = objects
        super().__call__(engine)
