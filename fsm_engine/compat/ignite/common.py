"""Functions of ``ignite.contrib.engines.common`` that attach the usual handlers of a training in one call."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler as TorchScheduler
from torch.utils.data import DistributedSampler

from fsm_engine import distributed
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.handlers import (
    BaseParamScheduler,
    Checkpoint,
    DiskSaver,
    EarlyStopping,
    ProgressBar,
    TerminateOnNan,
    global_step_from_engine,
)
from fsm_engine.metrics import GpuInfo, RunningAverage


def setup_common_training_handlers(
    trainer: Engine,
    train_sampler: DistributedSampler[Any] | None = None,
    to_save: Mapping[str, Any] | None = None,
    save_every_iters: int = 1000,
    output_path: str | None = None,
    lr_scheduler: BaseParamScheduler | TorchScheduler | None = None,
    with_gpu_stats: bool = False,
    output_names: Iterable[str] | None = None,
    with_pbars: bool = True,
    with_pbar_on_iters: bool = True,
    log_every_iters: int = 100,
    stop_on_nan: bool = True,
    clear_cuda_cache: bool = True,
    save_handler: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> None:
    """Attach the usual handlers to `trainer`: a NaN check, a schedule, checkpoints, running averages, progress bars.

    Args:
        trainer: engine to attach to.
        train_sampler: sampler that is told the epoch; ignored with a warning in a single process.
        to_save: objects to save by name; see `Checkpoint`.
        save_every_iters: number of iterations between checkpoints.
        output_path: folder of the checkpoints, whose names begin with ``training``.
        lr_scheduler: scheduler of torch, which steps after each iteration, or a scheduler of this library.
        with_gpu_stats: attach `GpuInfo` as ``gpu``.
        output_names: names for the parts of the step's output, by key or by position; the running average of each is
            stored in ``state.metrics``.
        with_pbars: attach a progress bar of epochs.
        with_pbar_on_iters: attach a progress bar of iterations with all metrics, too.
        log_every_iters: number of iterations between updates of that bar and of `GpuInfo`.
        stop_on_nan: attach `TerminateOnNan`.
        clear_cuda_cache: empty the cache of CUDA after each epoch, if CUDA is available.
        save_handler: writes the checkpoints, instead of `output_path`.
        **kwargs: further arguments of `Checkpoint`.

    Raises:
        ValueError: `output_path` and `save_handler` are both given, or neither with `to_save`.
        TypeError: during a run, the output has no parts that could have names.
    """
    if output_path is not None and save_handler is not None:
        raise ValueError("Arguments output_path and save_handler are mutually exclusive. Give only one of them.")
    if to_save is not None and output_path is None and save_handler is None:
        raise ValueError("If to_save argument is provided then output_path or save_handler has to be given, too.")
    if train_sampler is not None and distributed.get_world_size() > 1:
        trainer.add_event_handler(Events.EPOCH_STARTED, _set_epoch, train_sampler)
    elif train_sampler is not None:
        warnings.warn("Argument train_sampler is ignored, because the world size is 1.", stacklevel=2)
    if stop_on_nan:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    if isinstance(lr_scheduler, TorchScheduler):
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: lr_scheduler.step())
    elif lr_scheduler is not None:
        trainer.add_event_handler(Events.ITERATION_STARTED, lr_scheduler)
    if clear_cuda_cache and torch.cuda.is_available():
        trainer.add_event_handler(Events.EPOCH_COMPLETED, empty_cuda_cache)
    if to_save is not None:
        saver = save_handler or DiskSaver(str(output_path), require_empty=False)
        checkpoint = Checkpoint(to_save, saver, filename_prefix="training", **kwargs)
        trainer.add_event_handler(Events.ITERATION_COMPLETED(every=save_every_iters), checkpoint)
    every = Events.ITERATION_COMPLETED(every=log_every_iters)
    if with_gpu_stats:
        GpuInfo().attach(trainer, "gpu", event_name=every)
    for position, name in enumerate(output_names or ()):
        RunningAverage(output_transform=partial(_part_of, position, name)).attach(trainer, name)
    if with_pbars and with_pbar_on_iters:
        ProgressBar(persist=False).attach(trainer, "all", event_name=every)
    if with_pbars:
        bar = ProgressBar(persist=True, bar_format="")
        bar.attach(trainer, event_name=Events.EPOCH_STARTED, closing_event_name=Events.COMPLETED)


setup_common_distrib_training_handlers = setup_common_training_handlers


def _set_epoch(engine: Engine, sampler: DistributedSampler[Any]) -> None:
    sampler.set_epoch(engine.state.epoch - 1)


def _part_of(position: int, name: str, output: Any) -> Any:
    if isinstance(output, Mapping):
        return output[name]
    if isinstance(output, (list, tuple)):
        return output[position]
    if isinstance(output, (int, float, torch.Tensor)):
        return output
    raise TypeError(
        f"output_names names {name!r}, but the output of the step is neither a mapping nor a sequence, tensor or "
        f"number: {output!r}."
    )


def empty_cuda_cache(_engine: Engine) -> None:
    """Release the memory that CUDA's allocator keeps, and collect garbage."""
    torch.cuda.empty_cache()
    gc.collect()


def gen_save_best_models_by_val_score(
    save_handler: Callable[..., Any],
    evaluator: Engine,
    models: torch.nn.Module | Mapping[str, torch.nn.Module],
    metric_name: str,
    n_saved: int = 3,
    trainer: Engine | None = None,
    tag: str = "val",
    score_sign: float = 1.0,
    **kwargs: Any,
) -> Checkpoint:
    """Save `models` after an evaluation if a metric is among the `n_saved` best, and return the `Checkpoint`.

    Args:
        save_handler: writes the checkpoints; see `Checkpoint`.
        evaluator: engine that computes the metric.
        models: a model, or several by name.
        metric_name: name of the metric in ``evaluator.state.metrics``.
        n_saved: number of checkpoints to keep.
        trainer: engine whose epoch appears in the file names.
        tag: beginning of the score's name in the file names: ``best_model_3_val_acc=0.9100.pt``.
        score_sign: 1.0 to keep the highest values, -1.0 to keep the lowest.
        **kwargs: further arguments of `Checkpoint`.
    """
    checkpoint = Checkpoint(
        {"model": models} if isinstance(models, torch.nn.Module) else models,
        save_handler,
        filename_prefix="best",
        n_saved=n_saved,
        global_step_transform=None if trainer is None else global_step_from_engine(trainer),
        score_name=f"{tag}_{metric_name.lower()}",
        score_function=Checkpoint.get_default_score_fn(metric_name, score_sign),
        **kwargs,
    )
    evaluator.add_event_handler(Events.COMPLETED, checkpoint)
    return checkpoint


def save_best_model_by_val_score(
    output_path: str,
    evaluator: Engine,
    model: torch.nn.Module,
    metric_name: str,
    n_saved: int = 3,
    trainer: Engine | None = None,
    tag: str = "val",
    score_sign: float = 1.0,
    **kwargs: Any,
) -> Checkpoint:
    """Save the best models to the folder `output_path`; see `gen_save_best_models_by_val_score`."""
    saver = DiskSaver(output_path, require_empty=False)
    return gen_save_best_models_by_val_score(
        saver, evaluator, model, metric_name, n_saved, trainer, tag, score_sign, **kwargs
    )


def add_early_stopping_by_val_score(
    patience: int, evaluator: Engine, trainer: Engine, metric_name: str, score_sign: float = 1.0
) -> EarlyStopping:
    """Stop `trainer` if a metric does not improve in `patience` evaluations, and return the `EarlyStopping`.

    Args:
        patience: number of evaluations without improvement.
        evaluator: engine that computes the metric.
        trainer: engine to stop.
        metric_name: name of the metric in ``evaluator.state.metrics``.
        score_sign: 1.0 if higher values are better, -1.0 if lower ones are.
    """
    score = Checkpoint.get_default_score_fn(metric_name, score_sign)
    stopping = EarlyStopping(patience=patience, score_function=score, trainer=trainer)
    evaluator.add_event_handler(Events.COMPLETED, stopping)
    return stopping
