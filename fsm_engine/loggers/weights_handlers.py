"""Handlers that log a model's weights and their gradients, as histograms or as one number each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from fsm_engine.loggers.handlers import BaseHandler
from fsm_engine.loggers.state_reader import Names

if TYPE_CHECKING:
    from fsm_engine.engine.engine import Engine
    from fsm_engine.loggers.base import BaseLogger

Whitelist = Sequence[str] | Callable[[str, torch.nn.Parameter], bool] | None


class BaseWeightsHandler(BaseHandler):
    """Reads tensors of a model's parameters, as ``kind/layer/parameter``; with a tag as ``tag/kind/...``.

    Args:
        model: the model.
        tag: the first part of each name.
        whitelist: which parameters: a list of beginnings of their names, or a function of (name, parameter); all of
            them unless given.

    Raises:
        TypeError: something that is no module.
    """

    kind: ClassVar[str]

    def __init__(self, model: torch.nn.Module, tag: str | None = None, whitelist: Whitelist = None) -> None:
        if not isinstance(model, torch.nn.Module):
            raise TypeError(f"Argument model should be of type torch.nn.Module, but given {type(model)}.")
        self.model, self.tag = model, tag
        self.whitelist = (whitelist,) if isinstance(whitelist, str) else whitelist

    def _tensors(self) -> Iterator[tuple[Names, torch.Tensor]]:
        above = (self.kind,) if self.tag is None else (self.tag, self.kind)
        for name, parameter in self.model.named_parameters():
            if self._is_wanted(name, parameter):
                tensor = self._tensor_of(parameter)
                if tensor is not None:
                    yield (*above, *name.split(".")), tensor.detach()

    def _is_wanted(self, name: str, parameter: torch.nn.Parameter) -> bool:
        if callable(self.whitelist):
            return bool(self.whitelist(name, parameter))
        return self.whitelist is None or name.startswith(tuple(self.whitelist))

    def _tensor_of(self, parameter: torch.nn.Parameter) -> torch.Tensor | None:
        return parameter


class BaseWeightsScalarHandler(BaseWeightsHandler):
    """Logs one number of each tensor.

    Args:
        model: the model.
        reduction: makes a number, or a 0-d tensor, of a tensor.
        tag: the first part of each name.
        whitelist: which parameters; see `BaseWeightsHandler`.

    Raises:
        TypeError: something that is no module, or a reduction that is no function to a number.
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
        tried = reduction(torch.ones(4, 2))
        if not (isinstance(tried, Number) or (isinstance(tried, torch.Tensor) and tried.ndim == 0)):
            raise TypeError(
                f"Output of the reduction function should be a scalar, but it made {tried!r} of a tensor of shape "
                f"(4, 2). Give one such as torch.linalg.vector_norm or torch.mean."
            )
        self.reduction = reduction

    def _read(self, _engine: Engine, _takes_text: bool, /) -> Iterator[tuple[Names, Any]]:
        reduced = [(names, self.reduction(tensor)) for names, tensor in self._tensors()]  # all queued before one waits
        for names, value in reduced:
            yield names, value.item() if isinstance(value, torch.Tensor) else value


class BaseWeightsHistHandler(BaseWeightsHandler):
    """Logs how the numbers of each tensor are distributed; see `BaseWeightsHandler`."""

    def _read(self, _engine: Engine, _takes_text: bool, /) -> Iterator[tuple[Names, Any]]:
        for names, tensor in self._tensors():
            dense = tensor.to_dense().cpu()
            yield names, (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()

    def _log(self, kind: type[BaseLogger], logger: BaseLogger, values: Mapping[str, Any], step: int) -> None:
        if values:
            kind.log_histograms(logger, values, step)


class _Gradients(BaseWeightsHandler):
    def _tensor_of(self, parameter: torch.nn.Parameter) -> torch.Tensor | None:
        return parameter.grad


class WeightsScalarHandler(BaseWeightsScalarHandler):
    """Logs a number of each parameter, as ``weights_norm/fc1/weight``; see `BaseWeightsScalarHandler`."""

    kind = "weights_norm"


class WeightsHistHandler(BaseWeightsHistHandler):
    """Logs a histogram of each parameter, as ``weights/fc1/weight``; see `BaseWeightsHandler`."""

    kind = "weights"


class GradsScalarHandler(_Gradients, BaseWeightsScalarHandler):
    """Logs a number of each gradient that is there, as ``grads_norm/fc1/weight``; see `BaseWeightsScalarHandler`."""

    kind = "grads_norm"


class GradsHistHandler(_Gradients, BaseWeightsHistHandler):
    """Logs a histogram of each gradient that is there, as ``grads/fc1/weight``; see `BaseWeightsHandler`."""

    kind = "grads"
