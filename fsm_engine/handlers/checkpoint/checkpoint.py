"""`Checkpoint`: saves objects during a run, keeps the best or the newest, and goes on from them after a kill."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fsm_engine.events.events import EventEnum
from fsm_engine.handlers.checkpoint import objects as tree
from fsm_engine.handlers.checkpoint.background import Background
from fsm_engine.handlers.checkpoint.checksummed_file import check_sealed
from fsm_engine.handlers.checkpoint.copies import host_copy
from fsm_engine.handlers.checkpoint.disk_saver import BaseSaveHandler, DiskSaver
from fsm_engine.handlers.checkpoint.files import remove_leftovers
from fsm_engine.handlers.checkpoint.found import found_in, load_any, load_newest_good
from fsm_engine.handlers.checkpoint.names import FileNames, pattern_of
from fsm_engine.handlers.checkpoint.retention import Saved, by_priority, kept_with

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_SELF = "checkpointer"


class CheckpointEvents(EventEnum):
    """What a `Checkpoint` fires on the engine that it is a handler of, which learns of it at the first save."""

    SAVED_CHECKPOINT = "saved_checkpoint"


@dataclass(frozen=True)
class _Asked:
    """A checkpoint that was asked for: what it is called and how good it is, as of then."""

    item: Saved
    basename: str
    step: Any
    objects: Any


class Checkpoint:
    """Saves the state dicts of objects, and keeps the `n_saved` best or newest; a handler.

    ``Checkpoint({"model": model, "optimizer": optimizer, "trainer": trainer}, "checkpoints", n_saved=2)`` on
    EPOCH_COMPLETED keeps the last two epochs. ``checkpoint.resume()``, when all handlers are attached and before `run`,
    loads the newest of them, if there is one, so the same script begins a job and goes on with it after a kill. An
    engine in `to_save` resumes exactly: see `Engine.load_state_dict`.

    It saves when the handlers of the event that it was called for are through, in what `Engine.when_settled` calls, so
    that the work of no handler is saved by half. Priority and file name are those of when it was called. Called by
    hand, outside a run, it saves at once; a run that has ended is begun anew from such a file, but not from one of
    COMPLETED. At EXCEPTION_RAISED it saves what the iteration that failed is done again from; it counts there as a
    handler that takes the exception, like any other. The old files are removed when the new one is on the disk.

    With a `DiskSaver`, files hold only tensors and plain data, so that loading one runs no code of anybody; what is
    anything else is refused when it is to be saved. Engines in `to_save` are not kept alive.

    Args:
        to_save: the objects by name; there may be mappings and lists in it. If there is only one, the file holds its
            state dict as it is, and is named after it.
        save_handler: a folder, for ``DiskSaver(folder, require_empty=False)``; or a `BaseSaveHandler`, or something to
            be called with the checkpoint, its file name and, if it takes that, a mapping with its basename, score_name
            and priority.
        filename_prefix: how file names begin.
        score_function: called with the engine, returns how good a checkpoint is; without it and `score_name`, a later
            one is better.
        score_name: the name of the score in file names; without a `score_function`, the metric that is the score.
        n_saved: how many are kept; None for all.
        global_step_transform: called with the engine and the event fired last, returns the step for file names, which
            without a score is the priority; without it, that is ``engine.state.iteration``.
        filename_pattern: for file names, with any of ``{filename_prefix}``, ``{name}``, ``{global_step}``, ``{score}``,
            ``{score_name}`` and ``{ext}``; see `setup_filename_pattern`.
        include_self: whether the names of what is saved are saved with it, as ``"checkpointer"``.
        greater_or_equal: whether a checkpoint as good as the worst one that is kept takes its place.
        save_on_rank: which process of a distributed run writes, with a folder as `save_handler`.
        background: whether files are written by another thread, while the run goes on with what may change the
            objects: it waits only while their tensors are copied to the host's memory, and for the file before, if that
            is still being written. SAVED_CHECKPOINT is then fired when that copy is made. What fails is raised when
            the next one is saved, or by `wait`. A process does not end before its files are written.

    Raises:
        TypeError: `to_save` is no mapping; an object in it has no ``state_dict``; something that cannot be called.
        ValueError: no positive number of files.
    """

    SAVED_CHECKPOINT = CheckpointEvents.SAVED_CHECKPOINT
    Item = Saved

    def __init__(
        self,
        to_save: Mapping[str, Any],
        save_handler: str | Path | Callable[..., Any] | BaseSaveHandler,
        filename_prefix: str = "",
        score_function: Callable[[Any], float] | None = None,
        score_name: str | None = None,
        n_saved: int | None = 1,
        global_step_transform: Callable[[Any, Any], Any] | None = None,
        filename_pattern: str | None = None,
        include_self: bool = False,
        greater_or_equal: bool = False,
        save_on_rank: int = 0,
        *,
        background: bool = False,
    ) -> None:
        _check_arguments(save_handler, score_function, global_step_transform, n_saved)
        if score_function is None and score_name is not None:
            score_function = self.get_default_score_fn(score_name)
        if isinstance(save_handler, (str, Path)):
            save_handler = DiskSaver(save_handler, require_empty=False, save_on_rank=save_on_rank)
        self.include_self, self.n_saved, self.greater_or_equal = include_self, n_saved, greater_or_equal
        self.to_save = to_save
        self.save_handler = save_handler
        self.score_function, self.global_step_transform = score_function, global_step_transform
        self._names = FileNames(filename_prefix, score_name, score_function is not None, filename_pattern)
        self._saved: list[Saved] = []
        self._before: list[Saved] = []
        self._background = Background() if background else None
        self._logger = logging.getLogger(f"fsm_engine.handlers.checkpoint.{type(self).__name__}")

    @property
    def to_save(self) -> dict[str, Any]:
        """The objects that are saved."""
        return tree.given(self._objects)  # type: ignore[no-any-return]

    @to_save.setter
    def to_save(self, objects: Mapping[str, Any]) -> None:
        tree.check_objects(objects, "state_dict", "to_save")
        if self.include_self and not isinstance(objects, MutableMapping):
            raise TypeError(f"If `include_self` is True, then `to_save` must be mutable, but given {type(objects)}.")
        if self.include_self and _SELF in objects:
            raise ValueError(f"Cannot have key '{_SELF}' if `include_self` is True: {list(objects)}")
        self._objects = tree.kept(objects)

    @property
    def last_checkpoint(self) -> str | Path | None:
        """The best one, or without a score the newest: its path with a `DiskSaver`, else its file name; None before."""
        if not self._saved:
            return None
        filename = self._saved[-1].filename
        return self.save_handler.dirname / filename if isinstance(self.save_handler, DiskSaver) else filename

    # Saving

    def __call__(self, engine: Engine, error: BaseException | None = None) -> None:  # noqa: ARG002
        """Save, when the handlers of this event are through, what is good enough to be kept.

        Args:
            engine: where it is attached.
            error: what EXCEPTION_RAISED hands over.

        Raises:
            TypeError: an object has something in its state that is neither a tensor nor plain data.
            ValueError: a score, or a step that is the priority, that is no number.
            RuntimeError: the file before could not be written in the background.
            Exception: what the state dicts of the objects, or the save handler, raise.
        """
        asked = self._ask(engine)
        others = [other for other in tree.engines(tree.given(self._objects)) if other is not engine]
        _when_settled([engine, *others], partial(self._save, engine, asked))

    def wait(self) -> None:
        """Return when no file is being written in the background any more.

        Raises:
            RuntimeError: one could not be written.
        """
        if self._background is None:
            return
        try:
            self._background.wait()
        except RuntimeError:
            self._saved = self._before
            raise

    def _ask(self, engine: Engine) -> _Asked:
        step, score = self._step(engine), self._score(engine)
        priority = _number(step, "global_step_transform") if score is None else score
        name = _name_of(self._objects)
        item = Saved(priority, self._names.make(name, step, score))
        return _Asked(item, self._names.basename(name), step, self._objects)

    def _step(self, engine: Engine) -> Any:
        step = None
        if self.global_step_transform is not None:
            step = self.global_step_transform(engine, engine.last_event_name)
        return engine.state.iteration if step is None and self.score_function is None else step

    def _score(self, engine: Engine) -> float | None:
        return None if self.score_function is None else _number(self.score_function(engine), "score_function")

    def _save(self, engine: Engine, asked: _Asked) -> None:
        self.wait()
        kept = kept_with(self._saved, asked.item, self.n_saved, self.greater_or_equal)
        if kept is None:
            return
        checkpoint = self._collect(asked, kept.saved)
        write = partial(self._write, checkpoint, asked.item.filename, self._metadata(engine, asked), kept.dropped)
        if self._background is None:
            write()
        else:
            self._background.start(write, asked.item.filename)
        self._before, self._saved = self._saved, kept.saved
        _fire(engine, self.SAVED_CHECKPOINT)

    def _collect(self, asked: _Asked, saved: list[Saved]) -> Any:
        objects = tree.given(asked.objects)
        states = tree.state_dicts(objects)
        checkpoint = states[_name_of(objects)] if len(objects) == 1 else states
        if self.include_self:
            checkpoint = copy.copy(checkpoint)  # not in what an object gave
            checkpoint[_SELF] = _state_of(saved)
        if isinstance(self.save_handler, DiskSaver):
            if not self.save_handler.is_writer:
                return None
            tree.check_plain(checkpoint)
        return checkpoint if self._background is None else host_copy(checkpoint)

    def _metadata(self, engine: Engine, asked: _Asked) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "basename": asked.basename,
            "score_name": self._names.score_name,
            "priority": asked.item.priority,
        }
        if isinstance(self.save_handler, DiskSaver):
            objects = tree.given(asked.objects)
            state = next(iter(tree.engines(objects)), engine).state
            metadata["global_step"] = None if asked.step is None else str(asked.step)
            metadata.update(keys=[str(key) for key in objects], iteration=state.iteration, epoch=state.epoch)
        return metadata

    def _write(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any], dropped: list[Saved]) -> None:
        handler = self.save_handler
        if _takes(handler, 3):
            handler(checkpoint, filename, metadata)
        else:
            handler(checkpoint, filename)
        if isinstance(handler, BaseSaveHandler):
            for item in dropped:
                handler.remove(item.filename)

    # Loading

    def resume(self, to_load: Mapping[str, Any] | None = None) -> Path | Literal[False]:
        """Load the newest good file into the objects that are saved, and go on keeping those that are there.

        A file that is not good is passed over with a warning in the log: cut off, changed, of another format, holding
        what is not plain data, not fitting the objects. Nothing in it is run.

        Args:
            to_load: load these instead, by the same names; a `ModelCheckpoint` has to be told.

        Returns:
            The path of the file, or False if there is none at all.

        Raises:
            RuntimeError: there are files, and none is good; the message has a reason for each.
            AttributeError: the save handler is no `DiskSaver`.
            TypeError: an object has no ``load_state_dict``.
        """
        self.wait()
        saver = self._disk_saver()
        objects = self.to_save if to_load is None else to_load
        if not objects:
            raise RuntimeError("No objects to checkpoint found. Give them: resume({'model': model}).")
        tree.check_objects(objects, "load_state_dict", "to_load")
        if saver.is_writer and saver.dirname.is_dir():
            remove_leftovers(saver.dirname)
        name = _name_of(self._objects or objects)
        pattern = self._names.matcher(name, self.score_function is None or self.global_step_transform is not None)
        found = found_in(saver.dirname, pattern, self._names.basename(name), self._names.score_name)
        loaded = load_newest_good(found, partial(self._load, objects), self._logger)
        if loaded is None:
            return False
        path, saved = loaded
        self._saved = self._before = by_priority(saved)
        self._logger.info("Resumed from %s.", path)
        return path

    def reload_objects(
        self, to_load: Mapping[str, Any], load_kwargs: Mapping[str, Any] | None = None, **filename_components: Any
    ) -> None:
        """Load the file with this name, made of ``name=``, ``score=`` and ``global_step=`` as when it was saved.

        Args:
            to_load: the objects by name.
            load_kwargs: for ``load_state_dict`` of modules.
            **filename_components: what is in the file's name.

        Raises:
            AttributeError: the save handler is no `DiskSaver`.
            OSError: there is no such file.
            Exception: what `load_objects` raises.
        """
        saver = self._disk_saver()
        name = filename_components.get("name") or _name_of(self._objects or to_load)
        filename = self._names.make(name, filename_components.get("global_step"), filename_components.get("score"))
        self.load_objects(to_load, saver.dirname / filename, **(load_kwargs or {}))

    @staticmethod
    def load_objects(to_load: Mapping[str, Any], checkpoint: str | Path | Mapping[str, Any], **kwargs: Any) -> None:
        """Load a checkpoint into objects.

        Args:
            to_load: the objects by name; there may be mappings and lists in it. One object alone also takes a
                checkpoint that is its state dict.
            checkpoint: what was saved, or its file, which is checked if a `DiskSaver` wrote it, and whose tensors come
                to the CPU first.
            **kwargs: for ``load_state_dict`` of modules, such as ``strict=False``.

        Raises:
            TypeError: `checkpoint` is neither; an object has no ``load_state_dict``.
            ValueError: a name is not in the checkpoint; nothing was loaded.
            RuntimeError: the file is damaged.
            Exception: what `torch.load` and ``load_state_dict`` raise.
        """
        if not isinstance(checkpoint, (str, Path, Mapping)):
            raise TypeError(f"Argument checkpoint should be a string or a dictionary, but given {type(checkpoint)}")
        tree.check_objects(to_load, "load_state_dict", "to_load")
        states = load_any(checkpoint) if isinstance(checkpoint, (str, Path)) else checkpoint
        tree.load_all(to_load, states, **kwargs)

    @staticmethod
    def manifest(path: str | Path) -> dict[str, Any]:
        """Check a file that a `DiskSaver` wrote, and return what it says about itself.

        That is, among others, ``versions``, ``keys``, ``priority``, ``global_step`` (as in the file name), ``size`` and
        ``sha256``; ``iteration`` and ``epoch`` of the engine that was saved, or else of the one that it is attached to.

        Raises:
            RuntimeError: it is not what was written.
            OSError: it cannot be read.
        """
        return check_sealed(Path(path))

    def _disk_saver(self) -> DiskSaver:
        if not isinstance(self.save_handler, DiskSaver):
            raise AttributeError(
                f"Checkpoint's `save_handler` should be of type `DiskSaver`, given {type(self.save_handler)}. "
                f"Only that knows where the files are."
            )
        return self.save_handler

    def _load(self, objects: Mapping[str, Any], states: Any) -> None:
        if self.include_self:
            states.pop(_SELF, None)
        names = self._objects or objects
        tree.load_all(objects, {_name_of(names): states} if len(names) == 1 else states)

    # What is kept

    def reset(self) -> None:
        """Forget what was saved; the files stay."""
        self._saved = self._before = []

    def state_dict(self) -> dict[str, Any]:
        """Return the priorities and file names of what is kept."""
        return _state_of(self._saved)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            TypeError: if it is no mapping.
            ValueError: if it is another one's.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Argument state_dict should be a dictionary, but given {type(state_dict)}")
        if "_saved" not in state_dict:
            raise ValueError(f"Required state attribute '_saved' is absent in provided state_dict '{list(state_dict)}'")
        self._saved = self._before = [Saved(priority, filename) for priority, filename in state_dict["_saved"]]

    @staticmethod
    def setup_filename_pattern(
        with_prefix: bool = True, with_score: bool = True, with_score_name: bool = True, with_global_step: bool = True
    ) -> str:
        """Return a pattern of file names, such as ``"{name}_{global_step}_{score_name}={score}.{ext}"``.

        Raises:
            ValueError: neither score nor global step; the name of a score without the score.
        """
        return pattern_of(with_prefix, with_score, with_score_name, with_global_step)

    @staticmethod
    def get_default_score_fn(metric_name: str, score_sign: float = 1.0) -> Callable[[Any], float]:
        """Return a score function: the metric of that name, times `score_sign`, which is -1 where less is better.

        Raises:
            ValueError: another sign.
        """
        if score_sign not in (1.0, -1.0):
            raise ValueError(f"Argument score_sign should be 1 or -1, got {score_sign!r}")
        return partial(_metric, metric_name, score_sign)


def _check_arguments(save_handler: Any, score_function: Any, global_step_transform: Any, n_saved: Any) -> None:
    if not (isinstance(save_handler, (str, Path)) or callable(save_handler)):
        raise TypeError(
            f"Argument `save_handler` should be a string or Path object or callable or inherit from BaseSaveHandler, "
            f"got {save_handler!r}."
        )
    if score_function is not None and not callable(score_function):
        raise TypeError(f"score_function should be a function, got {type(score_function)} instead.")
    if global_step_transform is not None and not callable(global_step_transform):
        raise TypeError(f"global_step_transform should be a function, got {type(global_step_transform)} instead.")
    if n_saved is not None and n_saved < 1:
        raise ValueError(f"n_saved must be a positive integer or None, got {n_saved!r}")


def _name_of(objects: Mapping[str, Any]) -> str:
    return next(iter(objects)) if len(objects) == 1 else "checkpoint"


def _number(value: Any, source: str) -> float:
    if not isinstance(value, Real):
        raise ValueError(f"Output of {source} should be a number, got {value!r}")
    return int(value) if isinstance(value, Integral) else float(value)


def _metric(name: str, sign: float, engine: Engine) -> float:
    metrics = engine.state.metrics
    if name not in metrics:
        raise KeyError(f"engine.state.metrics has no {name!r}, which is the score. There are {list(metrics)}.")
    return sign * metrics[name]  # type: ignore[no-any-return]


def _state_of(saved: list[Saved]) -> dict[str, Any]:
    return {"_saved": [tuple(item) for item in saved]}


def _takes(handler: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(handler).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # a built-in function that does not tell
        return True
    return True


def _when_settled(engines: list[Engine], save: Callable[[], None]) -> None:
    """Call `save` when each of these engines is through with the handlers of what it fires at the moment."""
    if not engines:
        save()
        return
    first, *others = engines
    first.when_settled(lambda _: _when_settled(others, save))


def _fire(engine: Engine, event: CheckpointEvents) -> None:
    if not engine.has_registered_events(event):
        engine.register_events(event)
    engine.fire_event(event)
