"""`setup_tb_logging`, `setup_mlflow_logging` and `setup_wandb_logging`: log the usual values of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch.optim import Optimizer

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import Events
from fsm_engine.handlers.global_step import global_step_from_engine
from fsm_engine.loggers import BaseLogger, MLflowLogger, TensorboardLogger, WandBLogger

L = TypeVar("L", bound=BaseLogger)
Optimizers = Optimizer | Mapping[str, Optimizer] | None
Evaluators = Engine | Mapping[str, Engine] | None
MetricNames = str | list[str]


def setup_tb_logging(
    output_path: str,
    trainer: Engine,
    optimizers: Optimizers = None,
    evaluators: Evaluators = None,
    log_every_iters: int | None = 100,
    *,
    trainer_metric_names: MetricNames = "all",
    evaluator_metric_names: MetricNames = "all",
    **kwargs: Any,
) -> TensorboardLogger:
    """Log to TensorBoard, in the folder `output_path`: metrics, learning rates and results of evaluators.

    Args:
        output_path: folder of the log.
        trainer: engine whose metrics are logged as ``training/...``.
        optimizers: an optimizer, or several by name, whose learning rates are logged.
        evaluators: an engine, whose metrics are logged as ``validation/...``, or several engines by name.
        log_every_iters: number of iterations between logged values; None means 1.
        trainer_metric_names: names of the metrics of `trainer`, or "all".
        evaluator_metric_names: names of the metrics of `evaluators`, or "all".
        **kwargs: arguments of the logger.

    Returns:
        The logger, which you close.

    Raises:
        TypeError: `optimizers` or `evaluators` has another type.
    """
    logger = TensorboardLogger(log_dir=output_path, **kwargs)
    names = trainer_metric_names, evaluator_metric_names
    return _attach(logger, trainer, optimizers, evaluators, log_every_iters, names)


def setup_mlflow_logging(
    trainer: Engine,
    optimizers: Optimizers = None,
    evaluators: Evaluators = None,
    log_every_iters: int | None = 100,
    *,
    trainer_metric_names: MetricNames = "all",
    evaluator_metric_names: MetricNames = "all",
    **kwargs: Any,
) -> MLflowLogger:
    """Log to MLflow; see `setup_tb_logging`."""
    names = trainer_metric_names, evaluator_metric_names
    return _attach(MLflowLogger(**kwargs), trainer, optimizers, evaluators, log_every_iters, names)


def setup_wandb_logging(
    trainer: Engine,
    optimizers: Optimizers = None,
    evaluators: Evaluators = None,
    log_every_iters: int | None = 100,
    *,
    trainer_metric_names: MetricNames = "all",
    evaluator_metric_names: MetricNames = "all",
    **kwargs: Any,
) -> WandBLogger:
    """Log to Weights & Biases; see `setup_tb_logging`. The step of an evaluation is the iteration of the trainer."""
    names = trainer_metric_names, evaluator_metric_names
    return _attach(WandBLogger(**kwargs), trainer, optimizers, evaluators, log_every_iters, names)


def _attach(
    logger: L,
    trainer: Engine,
    optimizers: Optimizers,
    evaluators: Evaluators,
    every: int | None,
    metric_names: tuple[MetricNames, MetricNames],
) -> L:
    every = every or 1
    of_trainer, of_evaluators = metric_names
    by_tag = _by_name("optimizers", optimizers, Optimizer, None)
    engines = _by_name("evaluators", evaluators, Engine, "validation")
    logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED(every=every), "training", of_trainer)
    for tag, optimizer in by_tag.items():
        logger.attach_opt_params_handler(trainer, Events.ITERATION_STARTED(every=every), optimizer, "lr", tag)
    counter = Events.ITERATION_COMPLETED if isinstance(logger, WandBLogger) else None
    step = global_step_from_engine(trainer, counter)
    for tag, engine in engines.items():
        logger.attach_output_handler(engine, Events.COMPLETED, tag, of_evaluators, global_step_transform=step)
    return logger


def _by_name(argument: str, given: Any, kind: type, name: str | None) -> Mapping[Any, Any]:
    if given is None:
        return {}
    if isinstance(given, kind):
        return {name: given}
    if isinstance(given, Mapping):
        return given
    raise TypeError(
        f"Argument {argument} should be one {kind.__name__.lower()} or a dictionary of them by name, got {given!r}."
    )
