"""Handlers that log the weights of a model and their gradients, as histograms or reduced to one number each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any, ClassVar

import torch

from fsm_engine.engine.engine import Engine
from fsm_engine.loggers.base import BaseLogger
from fsm_engine.loggers.handlers import BaseHandler
from fsm_engine.loggers.state_reader import NameParts

Whitelist = Sequence[str] | Callable[[str, torch.nn.Parameter], bool] | None


class BaseWeightsHandler(BaseHandler):
    """Base class of handlers that log a tensor for each parameter of a model, as ``[tag/]kind/layer/parameter``.

    Args:
        model: model whose parameters are logged.
        tag: first part of each name.
        whitelist: parameters to log: prefixes of their names, or a function called as ``whitelist(name, parameter)``
            that returns True for them; None means all parameters.

    Attributes:
        kind: part of each name that identifies the handler, such as ``"weights"``.

    Raises:
        TypeError: `model` is not a `torch.nn.Module`.
    """

    kind: ClassVar[str]

    def __init__(self, model: torch.nn.Module, tag: str | None = None, whitelist: Whitelist = None) -> None:
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"Argument model should be of type torch.nn.Module, but given {type(model)}.")
        self.model, self.tag = model, tag
        self.whitelist = (whitelist,) if isinstance(whitelist, str) else whitelist

    def _tensors(self) -> Iterator[tuple[NameParts, torch.Tensor]]:
        prefix = (self.kind,) if self.tag is None else (self.tag, self.kind)
        for name, parameter in self.model.named_parameters():
            if self._is_selected(name, parameter):
                tensor = self._tensor_of(parameter)
                if tensor is not None:
                    yield (*prefix, *name.split(".")), tensor.detach()

    def _is_selected(self, name: str, parameter: torch.nn.Parameter) -> bool:
        if callable(self.whitelist):
            return bool(self.whitelist(name, parameter))
        return self.whitelist is None or name.startswith(tuple(self.whitelist))

    def _tensor_of(self, parameter: torch.nn.Parameter) -> torch.Tensor | None:
        return parameter


class BaseWeightsScalarHandler(BaseWeightsHandler):
    """Base class of handlers that reduce each tensor to one number and log it.

    The reductions of all tensors are queued before the host waits for the first result.

    Args:
        model: model whose parameters are logged.
        reduction: function from a tensor to a number or 0-d tensor; the L2 norm by default.
        tag: first part of each name.
        whitelist: parameters to log; see `BaseWeightsHandler`.

    Raises:
        TypeError: `model` is not a `torch.nn.Module`, or `reduction` does not return a number for a tensor of ones.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        reduction: Callable[[torch.Tensor], Any] = torch.linalg.vector_norm,
        tag: str | None = None,
        whitelist: Whitelist = None,
    ) -> None:
        super().__init__(model, tag, whitelist)
        if not callable(reduction):
            raise TypeError(f"Argument reduction should be callable, but given {reduction!r}.")
        result = reduction(torch.ones(4, 2))
        if not (isinstance(result, Number) or (isinstance(result, torch.Tensor) and result.ndim == 0)):
            raise TypeError(
                f"Output of the reduction function should be a scalar, but for a tensor of shape (4, 2) it is "
                f"{result!r}. Use a function such as torch.linalg.vector_norm or torch.mean."
            )
        self.reduction = reduction

    def _read(self, _engine: Engine, _takes_text: bool, /) -> Iterator[tuple[NameParts, Any]]:
        reduced = [(parts, self.reduction(tensor)) for parts, tensor in self._tensors()]
        for parts, value in reduced:
            yield parts, value.item() if isinstance(value, torch.Tensor) else value


class BaseWeightsHistHandler(BaseWeightsHandler):
    """Base class of handlers that log a histogram of each tensor; see `BaseWeightsHandler` for the arguments."""

    def _read(self, _engine: Engine, _takes_text: bool, /) -> Iterator[tuple[NameParts, Any]]:
        for parts, tensor in self._tensors():
            dense = tensor.to_dense().cpu()
            yield parts, (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()  # NumPy has no bfloat16

    def _log(self, logger_class: type[BaseLogger], logger: BaseLogger, values: Mapping[str, Any], step: int) -> None:
        logger_class.log_histograms(logger, values, step)


class _GradientHandler(BaseWeightsHandler):
    def _tensor_of(self, parameter: torch.nn.Parameter) -> torch.Tensor | None:
        return parameter.grad


class WeightsScalarHandler(BaseWeightsScalarHandler):
    """Handler that logs one number per parameter, its L2 norm by default, as ``weights_norm/fc1/weight``.

    See `BaseWeightsScalarHandler` for the arguments.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_trainer(model, optimizer, torch.nn.MSELoss())
        >>> with JSONLinesLogger(folder / "log.jsonl") as logger:
        ...     _ = logger.attach(trainer, WeightsScalarHandler(model), Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([(torch.ones(1, 1), torch.ones(1, 1))])
        >>> sorted(json.loads(logger.path.read_text().splitlines()[0]))
        ['step', 'time', 'weights_norm/bias', 'weights_norm/weight']
    """

    kind = "weights_norm"


class WeightsHistHandler(BaseWeightsHistHandler):
    """Handler that logs a histogram of each parameter, as ``weights/fc1/weight``.

    See `BaseWeightsHandler` for the arguments.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_trainer(model, optimizer, torch.nn.MSELoss())
        >>> with TensorboardLogger(folder) as logger:
        ...     _ = logger.attach(trainer, WeightsHistHandler(model), Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([(torch.ones(1, 1), torch.ones(1, 1))])
        >>> len(list(folder.iterdir()))
        1
    """

    kind = "weights"


class GradsScalarHandler(_GradientHandler, BaseWeightsScalarHandler):
    """Handler that logs one number per gradient, its L2 norm by default, as ``grads_norm/fc1/weight``.

    Parameters without a gradient are skipped. See `BaseWeightsScalarHandler` for the arguments.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_trainer(model, optimizer, torch.nn.MSELoss())
        >>> with JSONLinesLogger(folder / "log.jsonl") as logger:
        ...     _ = logger.attach(trainer, GradsScalarHandler(model), Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([(torch.ones(1, 1), torch.ones(1, 1))])
        >>> sorted(json.loads(logger.path.read_text().splitlines()[0]))
        ['grads_norm/bias', 'grads_norm/weight', 'step', 'time']
    """

    kind = "grads_norm"


class GradsHistHandler(_GradientHandler, BaseWeightsHistHandler):
    """Handler that logs a histogram of each gradient, as ``grads/fc1/weight``.

    Parameters without a gradient are skipped. See `BaseWeightsHandler` for the arguments.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = create_supervised_trainer(model, optimizer, torch.nn.MSELoss())
        >>> with TensorboardLogger(folder) as logger:
        ...     _ = logger.attach(trainer, GradsHistHandler(model), Events.ITERATION_COMPLETED)
        ...     _ = trainer.run([(torch.ones(1, 1), torch.ones(1, 1))])
        >>> len(list(folder.iterdir()))
        1
    """

    kind = "grads"
