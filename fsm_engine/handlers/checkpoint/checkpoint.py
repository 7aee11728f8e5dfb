"""`Checkpoint`: saves objects during a run, keeps the best or latest files, and resumes from the newest valid one."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fsm_engine._util.signatures import accepts, check_runs_when_called
from fsm_engine._util.state_dicts import check_keys
from fsm_engine.distributed.gathering import agreed_score
from fsm_engine.distributed.meeting import Meeting
from fsm_engine.distributed.own_group import OwnGroup
from fsm_engine.distributed.session import meeting_of
from fsm_engine.distributed.world import get_world_size
from fsm_engine.events.events import EventEnum
from fsm_engine.handlers.checkpoint import checkpoint_objects as tree
from fsm_engine.handlers.checkpoint.background_writer import BackgroundWriter, host_copy
from fsm_engine.handlers.checkpoint.checksummed_file import read_manifest
from fsm_engine.handlers.checkpoint.decision import Decision, Request
from fsm_engine.handlers.checkpoint.disk_saver import BaseSaveHandler, DiskSaver
from fsm_engine.handlers.checkpoint.joint_resume import JointResume
from fsm_engine.handlers.checkpoint.joint_save import Contents, JointSave, with_shards
from fsm_engine.handlers.checkpoint.loading import load_state_dicts
from fsm_engine.handlers.checkpoint.other_world_size import rescaled
from fsm_engine.handlers.checkpoint.rank_states import states_of_this_rank, world_sizes
from fsm_engine.handlers.checkpoint.resume import CheckpointFile, files_in, load_file, load_newest_valid
from fsm_engine.handlers.checkpoint.retention import FileNames, Saved, by_priority, filename_pattern, retain
from fsm_engine.handlers.checkpoint.scores import metric_of, number, score_of
from fsm_engine.handlers.checkpoint.sharded_tensors import copies_on_host, join, split
from fsm_engine.handlers.checkpoint.shards import check_folder, state_file
from fsm_engine.handlers.event_callback import EventCallback
from fsm_engine.metrics.rank_states import place_of
from fsm_engine.runtime.run_ends import call_after_run

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine

_SELF = "checkpointer"


class CheckpointEvents(EventEnum):
    """Events that a `Checkpoint` fires; it registers them on the engine at the first save.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> checkpoint = Checkpoint({"trainer": trainer}, folder)
        >>> trainer.register_events(*CheckpointEvents)
        >>> saved = CheckpointEvents.SAVED_CHECKPOINT
        >>> _ = trainer.add_event_handler(saved, lambda: print(checkpoint.last_checkpoint.name))
        >>> _ = trainer.add_event_handler(Events.COMPLETED, checkpoint)
        >>> _ = trainer.run([1, 2])
        trainer_2.pt
    """

    SAVED_CHECKPOINT = "saved_checkpoint"


class Checkpoint(EventCallback):
    """Save the state dicts of objects, and keep the `n_saved` best or latest checkpoints.

    A handler. For example, keep the last two epochs, and continue with the newest one after the process was killed::

        checkpoint = Checkpoint({"model": model, "optimizer": optimizer, "trainer": trainer}, "checkpoints", n_saved=2)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
        checkpoint.resume()  # when all handlers are attached
        trainer.run(data, max_epochs=10)

    An engine in `to_save` resumes exactly, see `Engine.load_state_dict`. The checkpoint does not keep it alive.

    The checkpoint is saved after all handlers of the event, by `Engine.call_when_safe`, so it never has half of the
    changes that handlers make. Its priority and its file name are computed when the handler is called. Old files are
    removed after the new file is on the disk, unless the new file has replaced them. Called outside a run, a
    `Checkpoint` saves immediately.

    Attached to EXCEPTION_RAISED, it saves the state from which the failed iteration is repeated. Like any handler of
    that event, it stops the exception from leaving `run`.

    A run that was terminated, for example by `TimeLimit`, continues when it is resumed, see `Engine.load_state_dict`.
    A checkpoint of a completed run saved at COMPLETED does not start a new run when it is resumed; one saved after
    `run` has returned does.

    If the engine, or one in `to_save`, is attached to a `fsm_engine.distributed.session` of several ranks, all ranks
    save together, so all have to call the handler. Rank `save_on_rank` decides whether to save and which files to keep.
    It writes one file with the states of all ranks, if an engine is in `to_save`. After the failure of a rank, nothing
    is saved, also at EXCEPTION_RAISED. A function as `save_handler` is called on all ranks, with their own states.

    If an object has sharded tensors, such as those of `torch.distributed.fsdp.fully_shard`, each rank writes its part,
    and the checkpoint is a folder of that name, which all ranks have to share. It counts when it is complete. Any
    number of ranks can load it.

    With a `DiskSaver`, files hold only tensors and plain data, so that loading a file cannot run code. Anything else is
    refused when it is saved.

    Args:
        to_save: the objects by name, possibly in nested mappings and lists. If there is only one object, the file holds
            its state dict and is named after it. Of a module wrapped by `torch.compile`, DataParallel or
            DistributedDataParallel, the state dict of the module itself is saved.
        save_handler: a folder, which means ``DiskSaver(folder, require_empty=False)``; a `BaseSaveHandler`; or a
            function that is called with the checkpoint, the file name and, if it takes three arguments, a mapping with
            basename, score_name and priority.
        filename_prefix: the first part of file names.
        score_function: called with the engine, returns the score; a higher score is better. Without `score_function`
            and `score_name`, a higher step is better. With several ranks the score is the mean over ranks, so all of
            them keep the same checkpoints; attach the handler on all ranks.
        score_name: the name of the score in file names; without a `score_function`, the metric that is the score.
        n_saved: the maximum number of files; None keeps all.
        global_step_transform: called with the engine and the last event, returns the step for file names. The default
            step is ``engine.state.iteration``; with a score, file names have a step only if this argument is given.
        filename_pattern: a format string for file names, with any of ``{filename_prefix}``, ``{name}``,
            ``{global_step}``, ``{score}``, ``{score_name}`` and ``{ext}``; see `setup_filename_pattern`.
        include_self: whether the checkpoint includes the list of saved checkpoints, as ``"checkpointer"``.
        greater_or_equal: whether a checkpoint with the same priority as the lowest kept one replaces it.
        save_on_rank: the rank of the process that writes in a distributed run, if `save_handler` is a folder.
        background: whether a thread writes the files while the run continues. The run waits only while tensors are
            copied to the host's memory, and for the previous file if that is still being written. SAVED_CHECKPOINT is
            fired after the copy. An error is raised at the next save, at the end of the run, or by `wait`: `Engine.run`
            waits for the last file, an evaluator's run inside another run does not. The process does not exit before
            its files are written.

    Raises:
        TypeError: `to_save` is not a mapping, an object in it has no ``state_dict``, or a function is not callable.
        ValueError: `n_saved` is not positive, or `to_save` uses the name that `include_self` needs.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> checkpoint = Checkpoint({"model": model, "trainer": trainer}, folder, n_saved=2)
        >>> _ = trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)
        >>> _ = trainer.run([1, 2], max_epochs=3)
        >>> sorted(path.name for path in folder.glob("*.pt"))
        ['checkpoint_4.pt', 'checkpoint_6.pt']
    """

    SAVED_CHECKPOINT = CheckpointEvents.SAVED_CHECKPOINT
    Item = Saved
    meets_other_ranks = True

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
        self._previous: list[Saved] = []
        self._background = BackgroundWriter() if background else None
        self._group = OwnGroup()  # in which ranks write sharded tensors, also while they train
        self._logger = logging.getLogger(f"fsm_engine.handlers.checkpoint.{type(self).__name__}")

    @property
    def to_save(self) -> dict[str, Any]:
        """The objects to save."""
        return tree.with_engines(self._objects)  # type: ignore[no-any-return]

    @to_save.setter
    def to_save(self, objects: Mapping[str, Any]) -> None:
        tree.check_objects(objects, "state_dict", "to_save")
        if self.include_self and not isinstance(objects, MutableMapping):
            raise TypeError(f"If `include_self` is True, then `to_save` must be mutable, but given {type(objects)}.")
        if self.include_self and _SELF in objects:
            raise ValueError(f"Cannot have key '{_SELF}' if `include_self` is True: {list(objects)}")
        self._objects = tree.with_weak_engines(objects)

    @property
    def last_checkpoint(self) -> str | Path | None:
        """The checkpoint with the best score or the highest step; None before the first save.

        It is a path with a `DiskSaver`, and a file name with any other save handler.
        """
        if not self._saved:
            return None
        filename = self._saved[-1].filename
        return self.save_handler.dirname / filename if isinstance(self.save_handler, DiskSaver) else filename

    # Saving

    def __call__(self, engine: Engine, error: BaseException | None = None) -> None:  # noqa: ARG002
        """Save a checkpoint after all handlers of this event, if its priority is high enough.

        Args:
            engine: the engine that calls this handler.
            error: the argument of handlers of EXCEPTION_RAISED.

        Raises:
            MeetingError: another rank does not save, or cannot; see `fsm_engine.distributed.session`.
            RankError: another rank has failed.
            TypeError: an object's state dict has a part that is neither a tensor nor plain data.
            ValueError: the score, or the step that is the priority, is not a number.
            RuntimeError: the previous file could not be written in the background, or another process saves to the
                folder.
            Exception: a ``state_dict`` or the save handler raised it.
        """
        request = self._request(engine)
        others = [other for other in tree.engines_in(tree.with_engines(self._objects)) if other is not engine]
        _call_when_safe([engine, *others], partial(self._save, engine, request))

    def wait(self) -> None:
        """Wait until no file is being written in the background.

        Raises:
            RuntimeError: a file could not be written.
        """
        if self._background is None:
            return
        try:
            self._background.wait()
        except RuntimeError:
            self._saved = self._previous
            raise

    def _request(self, engine: Engine) -> Request:
        step = score = None
        if self.global_step_transform is not None:
            step = self.global_step_transform(engine, engine.last_event_name)
        if self.score_function is not None:
            score = agreed_score("the score of Checkpoint", partial(score_of, self.score_function, engine))
        elif step is None:
            step = engine.state.iteration
        priority = number(step, "global_step_transform") if score is None else score
        name = tree.name_of(self._objects)
        item = Saved(priority, self._names.filename(name, step, score))
        return Request(item, self._names.basename(name), step, self._objects)

    def _save(self, engine: Engine, request: Request) -> None:
        objects = tree.with_engines(request.objects)
        meeting = meeting_of([engine, *tree.engines_in(objects)])
        saved = self._save_alone(request, objects) if meeting is None else self._save_together(meeting, engine, request)
        if saved is None:
            return
        decision, contents = saved
        request = replace(request, item=decision.item)
        filename, metadata = request.item.filename, self._metadata(engine, request, objects)
        write = self._writer(contents, filename, metadata, meeting)
        finish = partial(self._finish, write, filename, decision.dropped)
        if self._background is None:
            finish()
        else:
            self._background.start(finish, filename)
            call_after_run(self.wait)
        self._previous, self._saved = self._saved, decision.kept
        _fire(engine, self.SAVED_CHECKPOINT)

    def _decide(self, request: Request) -> Decision | None:
        """Return which file to write and which to remove; None if the request is not good enough."""
        retained = retain(self._saved, request.item, self.n_saved, self.greater_or_equal)
        if retained is None:
            return None
        if isinstance(self.save_handler, DiskSaver):
            self.save_handler.lock()  # in this thread, so that a refusal does not wait for the next save
        return Decision(request.item, retained.kept, retained.dropped)

    def _save_alone(self, request: Request, objects: Mapping[str, Any]) -> tuple[Decision, Contents] | None:
        """Return the decision and the contents in a process that needs no other one for the save."""
        self.wait()
        decision = self._decide(request)
        if decision is None:
            return None
        contents = self._collect(objects, decision.kept)
        if contents.tensors and get_world_size() > 1:
            raise RuntimeError(
                f"{next(iter(contents.tensors))!r} is sharded over ranks, which have to save together. Open a "
                f"fsm_engine.distributed.session() as ranks, and call ranks.attach(engine) before run()."
            )
        return decision, with_shards(contents, decision, self.save_handler)

    def _save_together(self, meeting: Meeting, engine: Engine, request: Request) -> tuple[Decision, Contents] | None:
        """Return the decision of the rank that writes, and the contents, which there include all ranks."""
        if engine._failure.final_error is not None:
            self._logger.warning("No checkpoint is saved after the failure of a rank: the ranks are at other places.")
            return None
        objects = tree.with_engines(request.objects)
        tree.check_joint(objects)

        def decide() -> Decision | None:
            self.wait()
            return self._decide(request)

        def collect(decision: Decision) -> Contents:
            self.wait()
            return self._collect(objects, decision.kept)

        what = f"save {request.basename!r} at {place_of(engine)}"
        is_exact = bool(tree.engines_in(objects))
        return JointSave(meeting, self._lead, what, is_exact, self.save_handler).run(decide, collect)

    @property
    def _lead(self) -> int:
        """The rank that decides."""
        return self.save_handler.save_on_rank if isinstance(self.save_handler, DiskSaver) else 0

    def _collect(self, objects: Mapping[str, Any], kept: list[Saved]) -> Contents:
        states = tree.state_dicts(objects)
        checkpoint = states[tree.name_of(objects)] if len(objects) == 1 else states
        if self.include_self:
            checkpoint = copy.copy(checkpoint)  # the object may still use the dict that its state_dict() returned
            checkpoint[_SELF] = _state_of(kept)
        if not isinstance(self.save_handler, DiskSaver):
            return Contents(checkpoint, {})
        contents = Contents(*split(checkpoint))
        tree.check_plain(contents.state)
        return contents

    def _writer(
        self, contents: Contents, filename: str, metadata: Mapping[str, Any], meeting: Meeting | None
    ) -> Callable[[], None]:
        """Return a function that writes the contents; in the background it writes a copy made now."""
        handler, state, tensors = self.save_handler, contents.state, contents.tensors
        if isinstance(handler, DiskSaver) and not handler.is_writer:
            state = None
        if self._background is not None:
            state, tensors = host_copy(state), copies_on_host(tensors)
        if contents.shards is None:
            return partial(self._write, state, filename, metadata)
        group = self._group.get(None if meeting is None else meeting.timeout)
        metadata = {**metadata, "shards": contents.shards}
        return partial(handler.save_shards, state, tensors, filename, metadata, group)  # type: ignore[union-attr]

    def _metadata(self, engine: Engine, request: Request, objects: Mapping[str, Any]) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "basename": request.basename,
            "score_name": self._names.score_name,
            "priority": request.item.priority,
        }
        if isinstance(self.save_handler, DiskSaver) and self.save_handler.is_writer:
            state = next(iter(tree.engines_in(objects)), engine).state
            metadata["save_number"] = self.save_handler.next_number()
            metadata["global_step"] = None if request.step is None else str(request.step)
            metadata.update(keys=[str(key) for key in objects], classes=tree.class_names(objects))
            metadata.update(iteration=state.iteration, epoch=state.epoch)
        return metadata

    def _write(self, checkpoint: Any, filename: str, metadata: Mapping[str, Any]) -> None:
        handler = self.save_handler
        with handler.recorded(filename) if isinstance(handler, DiskSaver) else nullcontext():
            if accepts(handler, checkpoint, filename, metadata):
                handler(checkpoint, filename, metadata)
            else:
                handler(checkpoint, filename)

    def _finish(self, write: Callable[[], None], filename: str, dropped: list[Saved]) -> None:
        """Call `write`, then remove the checkpoints that are not kept."""
        write()
        handler = self.save_handler
        if isinstance(handler, BaseSaveHandler):
            for item in dropped:
                if not handler.overwrites(filename, item.filename):
                    handler.remove(item.filename)

    # Loading

    def resume(
        self, to_load: Mapping[str, Any] | None = None, *, any_world_size: bool = False
    ) -> Path | Literal[False]:
        """Load the newest valid file into the objects, and take over the other files in the folder for retention.

        Each file has a number that counts the saves, so the newest file is found even if the clock was set back.
        A file that is not valid is skipped with a warning: a file that was cut off or changed, that has another format,
        that does not hold plain data, or that does not fit the objects. No code in a file is run, and a file that does
        not fit changes no object.

        If an engine is attached to a session of several ranks, all ranks call this method. The rank that writes chooses
        the file; the others load the file of the same name in their folder, and each gets its own state back. If one of
        them cannot, no rank loads it.

        Args:
            to_load: the objects to load instead of `to_save`, under the same names. A `ModelCheckpoint` needs it.
            any_world_size: whether to continue a run that another number of ranks has saved. All ranks then get the
                weights, the optimizer, the counters and the handlers of one rank; random numbers are new. With data of
                ``ranks.loader``, the open epoch continues after the examples that all ranks together have used, less
                a remainder that is smaller than the batches of one iteration. Other data begins the epoch again. The
                option concerns files and folders alike.

        Returns:
            The path of the file or folder, or False if the folder has no files.

        Raises:
            RuntimeError: there are files, but no valid one; the message has the reason for each file. Or another
                process saves to the folder, another rank cannot load the file, or another number of ranks saved it.
            BusyError: an engine is running. Resume before `run`.
            AttributeError: the save handler is not a `DiskSaver`.
            TypeError: an object has no ``load_state_dict``.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> checkpoint = Checkpoint({"trainer": trainer}, folder)
            >>> _ = trainer.add_event_handler(Events.ITERATION_COMPLETED(every=2), checkpoint)
            >>> _ = trainer.run([1, 2, 3], until=Events.ITERATION_COMPLETED(once=2))
            >>> again = Engine(lambda engine, batch: print("batch", batch))  # in another process
            >>> bool(Checkpoint({"trainer": again}, folder).resume())
            True
            >>> _ = again.run([1, 2, 3])
            batch 3
        """
        self.wait()
        saver = self._disk_saver()
        objects = self.to_save if to_load is None else to_load
        if not objects:
            raise RuntimeError("No objects to checkpoint found. Give them: resume({'model': model}).")
        tree.check_objects(objects, "load_state_dict", "to_load")
        find_files, load = partial(self._find_files, saver, objects), partial(self._load, objects, any_world_size)
        meeting = meeting_of(tree.engines_in(objects))
        if meeting is None:
            _warn_of_other_ranks(objects, self._logger)
            loaded = load_newest_valid(find_files(), load, self._logger)
        else:
            loaded = JointResume(meeting, self._lead, saver.dirname, find_files, load, self._logger).run()
        if loaded is None:
            return False
        path, saved = loaded
        self._saved = self._previous = by_priority(saved)
        self._logger.info("Resumed from %s.", path)
        return path

    def _find_files(self, saver: DiskSaver, objects: Mapping[str, Any]) -> list[CheckpointFile]:
        name = tree.name_of(self._objects or objects)
        pattern = self._names.matcher(name, self.score_function is None or self.global_step_transform is not None)
        if saver.is_writer and saver.dirname.is_dir():
            saver.lock()
            saver.remove_leftovers(pattern)
        files = files_in(saver.dirname, pattern, self._names.basename(name), self._names.score_name)
        if not files:
            self._log_nothing_found(saver.dirname, self._names.basename(name))
        return files

    def _log_nothing_found(self, folder: Path, basename: str) -> None:
        """Log that there is nothing to resume from: a warning if the folder has checkpoints under other names."""
        others = sorted(path.name for path in folder.glob("*.pt")) if folder.is_dir() else []
        level, found = (logging.WARNING, f", but {', '.join(others[:3])}") if others else (logging.INFO, "")
        self._logger.log(level, "No checkpoint named %s in %s%s: nothing is resumed.", basename, folder, found)

    def reload_objects(
        self, to_load: Mapping[str, Any], load_kwargs: Mapping[str, Any] | None = None, **filename_components: Any
    ) -> None:
        """Load the file whose name has these components.

        Args:
            to_load: the objects by name.
            load_kwargs: arguments of ``load_state_dict`` of modules.
            **filename_components: ``name=``, ``score=`` and ``global_step=``, as when the file was saved.

        Raises:
            AttributeError: the save handler is not a `DiskSaver`.
            OSError: the file does not exist.
            Exception: `load_objects` raised it.
        """
        saver = self._disk_saver()
        name = filename_components.get("name") or tree.name_of(self._objects or to_load)
        filename = self._names.filename(name, filename_components.get("global_step"), filename_components.get("score"))
        self.load_objects(to_load, saver.dirname / filename, **(load_kwargs or {}))

    @staticmethod
    def load_objects(to_load: Mapping[str, Any], checkpoint: str | Path | Mapping[str, Any], **kwargs: Any) -> None:
        """Load the objects from a checkpoint, or raise an exception and change none of them.

        Modules must have the saved weights with their shapes, unless ``strict=False`` allows otherwise. An optimizer
        must have the saved class, parameter groups and state. The class is known if a `DiskSaver` wrote the file; to
        ignore it, give the content of the file instead of its path.

        Args:
            to_load: the objects by name, possibly in nested mappings and lists. For a single object, the checkpoint may
                be its state dict.
            checkpoint: a checkpoint, or the path of its file. Tensors in the file are loaded to the CPU. The checksum
                is checked if a `DiskSaver` wrote the file. The weights of a module may have the prefixes ``module.``
                and ``_orig_mod.`` of wrappers, which it need not have itself.
            **kwargs: arguments of ``load_state_dict`` of modules, such as ``strict=False``.

        Raises:
            TypeError: `checkpoint` is neither a path nor a mapping, or an object has no ``load_state_dict``.
            ValueError: a name is missing in the checkpoint.
            RuntimeError: the file is damaged, or it does not fit an object. The message names the object and the
                difference. Or it has the exact state of a run on another number of ranks, and an engine is loaded.
            Exception: `torch.load` raised it.

        Example:
            >>> model, other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
            >>> checkpoint = Checkpoint({"model": model}, folder)
            >>> checkpoint(Engine(lambda engine, batch: batch))
            >>> Checkpoint.load_objects({"model": other}, folder / checkpoint.last_checkpoint.name)
            >>> torch.equal(model.weight, other.weight)
            True
        """
        if not isinstance(checkpoint, (str, Path, Mapping)):
            raise TypeError(f"Argument checkpoint should be a string or a dictionary, but given {type(checkpoint)}")
        tree.check_objects(to_load, "load_state_dict", "to_load")
        classes: Mapping[str, str] = {}
        if isinstance(checkpoint, (str, Path)):
            checkpoint, manifest = load_file(Path(checkpoint), needs_manifest=False)
            classes = manifest.get("classes", {})
        load_state_dicts(to_load, join(states_of_this_rank(to_load, checkpoint)), classes, **kwargs)

    @staticmethod
    def manifest(path: str | Path) -> dict[str, Any]:
        """Check the SHA-256 of a file, or of all files in a folder, that a `DiskSaver` wrote, and return its manifest.

        Its keys include ``versions``, ``keys``, ``priority``, ``save_number`` (higher for a later save),
        ``global_step`` (as in the file name), ``size``, ``sha256``, and ``iteration`` and ``epoch`` of the saved
        engine, or of the engine that called the handler if none was saved.

        Raises:
            RuntimeError: the file is not as it was written.
            OSError: the file cannot be read.

        Example:
            >>> checkpoint = Checkpoint({"model": torch.nn.Linear(1, 1)}, folder)
            >>> checkpoint(Engine(lambda engine, batch: batch))
            >>> manifest = Checkpoint.manifest(folder / checkpoint.last_checkpoint.name)
            >>> len(manifest["sha256"]), "torch" in manifest["versions"]
            (64, True)
        """
        path = Path(path)
        manifest = read_manifest(state_file(path))
        if "shards" in manifest:
            check_folder(path, manifest["shards"])
        return manifest

    def _disk_saver(self) -> DiskSaver:
        if not isinstance(self.save_handler, DiskSaver):
            raise AttributeError(
                f"Checkpoint's `save_handler` should be of type `DiskSaver`, given {type(self.save_handler)}. "
                f"Only a DiskSaver knows the folder of the files."
            )
        return self.save_handler

    def _load(
        self,
        objects: Mapping[str, Any],
        any_world_size: bool,
        content: Any,
        manifest: Mapping[str, Any],
        confirm: Callable[[], None] | None = None,
    ) -> None:
        states = join(states_of_this_rank(objects, content, any_world_size))
        if self.include_self:
            states.pop(_SELF, None)
        names = self._objects or objects
        states = {tree.name_of(names): states} if len(names) == 1 else states
        states, actions = rescaled(objects, states, *world_sizes(objects, content))
        load_state_dicts(objects, states, manifest.get("classes", {}), confirm)
        for action in actions:
            action()

    # Retention

    def reset(self) -> None:
        """Forget the saved checkpoints. Their files are not removed."""
        self._saved = self._previous = []

    def state_dict(self) -> dict[str, Any]:
        """Return the priorities and file names of the kept checkpoints."""
        return _state_of(self._saved)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`.

        Raises:
            TypeError: `state_dict` is not a mapping.
            ValueError: a key is missing.
        """
        check_keys(state_dict, ["_saved"])
        self._saved = self._previous = [Saved(priority, filename) for priority, filename in state_dict["_saved"]]

    @staticmethod
    def setup_filename_pattern(
        with_prefix: bool = True, with_score: bool = True, with_score_name: bool = True, with_global_step: bool = True
    ) -> str:
        """Return a pattern for file names, such as ``"{name}_{global_step}_{score_name}={score}.{ext}"``.

        Raises:
            ValueError: neither a score nor a global step is wanted, or the name of a score without the score.
        """
        return filename_pattern(with_prefix, with_score, with_score_name, with_global_step)

    @staticmethod
    def get_default_score_fn(metric_name: str, score_sign: float = 1.0) -> Callable[[Any], float]:
        """Return a score function that returns a metric of the engine times `score_sign`.

        Args:
            metric_name: the name of the metric.
            score_sign: 1, or -1 for a metric that is better when it is lower.

        Raises:
            ValueError: `score_sign` is neither 1 nor -1.
        """
        if score_sign not in (1.0, -1.0):
            raise ValueError(f"Argument score_sign should be 1 or -1, got {score_sign!r}")
        return partial(metric_of, metric_name, score_sign)


def _check_arguments(save_handler: Any, score_function: Any, global_step_transform: Any, n_saved: Any) -> None:
    if not (isinstance(save_handler, (str, Path)) or callable(save_handler)):
        raise TypeError(
            f"Argument `save_handler` should be a string or Path object or callable or inherit from BaseSaveHandler, "
            f"got {save_handler!r}."
        )
    check_runs_when_called(save_handler, "the save handler")
    for name, function in (("score_function", score_function), ("global_step_transform", global_step_transform)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} should be a function, got {type(function)} instead.")
    if n_saved is not None and (not isinstance(n_saved, Integral) or n_saved < 1):
        raise ValueError(f"n_saved must be a positive integer or None, got {n_saved!r}")


def _state_of(saved: list[Saved]) -> dict[str, Any]:
    return {"_saved": [tuple(item) for item in saved]}


def _call_when_safe(engines: list[Engine], save: Callable[[], None]) -> None:
    """Call `save` when all these engines have called the handlers of their current events."""
    if not engines:
        save()
        return
    first, *others = engines
    first.call_when_safe(lambda _: _call_when_safe(others, save))


def _warn_of_other_ranks(objects: Mapping[str, Any], logger: logging.Logger) -> None:
    if get_world_size() > 1 and tree.engines_in(objects):
        logger.warning(
            "resume() gives all %s processes the random numbers and the place in the data of one of them. Open a "
            "fsm_engine.distributed.session() as ranks, and call ranks.attach(engine) before resume() and run().",
            get_world_size(),
        )


def _fire(engine: Engine, event: CheckpointEvents) -> None:
    if not engine.has_registered_events(event):
        engine.register_events(event)
    engine.fire_event(event)
