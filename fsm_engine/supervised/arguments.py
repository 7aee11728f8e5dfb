"""Checks of the arguments that users give to a supervised trainer or evaluator."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from fsm_engine._util.signatures import accepts, call_error


def check_model(model: Any) -> None:
    """Check that `model` can be called with a batch.

    Raises:
        TypeError: it is a class or not callable.
    """
    if isinstance(model, type):
        raise TypeError(f"model is the class {model.__name__}. Give an object of it: model={model.__name__}(...).")
    if not callable(model):
        raise TypeError(f"model has to be a torch.nn.Module, got {_short(model)}.{_order(model)}")


def check_functions(prepare_batch: Any, model_transform: Any, output_transform: Any, outputs: str) -> None:
    """Check that the functions of a supervised step can be called as the step calls them.

    Args:
        prepare_batch: the function that makes (x, y) from a batch.
        model_transform: the function of the output of the model.
        output_transform: the function that returns the output of the step.
        outputs: the names of the arguments of `output_transform`.

    Raises:
        TypeError: one of them is not callable, or takes other arguments.
    """
    given = {"device": None, "non_blocking": False}
    _check_call("prepare_batch", "batch, device=device, non_blocking=non_blocking", prepare_batch, None, **given)
    _check_call("model_transform", "y_pred", model_transform, None)
    _check_call("output_transform", outputs, output_transform, *outputs.split(", "))


def _check_call(name: str, shown: str, function: Any, *args: Any, **kwargs: Any) -> None:
    error = call_error(function, *args, **kwargs)
    if error is not None:
        raise TypeError(f"{name} is called as {name}({shown}), but it cannot be: {error}.")


def check_training(model: Any, optimizer: Any, loss_fn: Any) -> None:
    """Check the arguments of a supervised training step. Warn if the optimizer has no parameter of the model.

    Raises:
        TypeError: one of them is a class or has another type, for example because two of them are swapped.
        ValueError: the optimizer computes the loss itself, several times per step, and so needs a closure.
    """
    check_model(model)
    _check_optimizer(optimizer, loss_fn)
    _check_loss(loss_fn)
    _warn_if_other_parameters(model, optimizer)


def _check_optimizer(optimizer: Any, loss_fn: Any) -> None:
    if isinstance(optimizer, type):
        raise TypeError(
            f"optimizer is the class {optimizer.__name__}. Give an object of it: "
            f"optimizer={optimizer.__name__}(model.parameters(), ...)."
        )
    if not (hasattr(optimizer, "step") and hasattr(optimizer, "zero_grad")):
        fix = _order(loss_fn) or " Give an optimizer, such as torch.optim.SGD(model.parameters(), lr=0.1)."
        raise TypeError(f"optimizer has to be a torch.optim.Optimizer, got {_short(optimizer)}.{fix}")
    step = getattr(type(optimizer), "step", None)  # of the class: schedulers of torch replace the method of the object
    if step is not None and not accepts(step, optimizer):
        raise ValueError(
            f"{type(optimizer).__name__}.step() needs a closure that computes the loss again, which the parts of a "
            f"supervised step cannot provide. Write a step that calls optimizer.step(closure), and use Engine(step)."
        )


def _check_loss(loss_fn: Any) -> None:
    if isinstance(loss_fn, type):
        raise TypeError(f"loss_fn is the class {loss_fn.__name__}. Give an object of it: loss_fn={loss_fn.__name__}().")
    if not callable(loss_fn):
        raise TypeError(
            f"loss_fn has to be callable as loss_fn(y_pred, y), got {_short(loss_fn)}."
            f"{_order(loss_fn) or ' Give a loss, such as torch.nn.CrossEntropyLoss().'}"
        )


def _order(argument: Any) -> str:
    """Return the fix for an optimizer in the place of another argument; an empty string for other arguments."""
    if not isinstance(argument, torch.optim.Optimizer):
        return ""
    return " The optimizer is the second argument: model, optimizer, loss_fn."


def _short(value: Any) -> str:
    return f"{type(value).__name__}: {str(value)[:80]}"


def _warn_if_other_parameters(model: Any, optimizer: Any) -> None:
    if not (isinstance(model, torch.nn.Module) and isinstance(optimizer, torch.optim.Optimizer)):
        return
    own = {id(parameter) for parameter in model.parameters()}
    optimized = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if own and optimized and own.isdisjoint(map(id, optimized)):
        warnings.warn(
            f"The optimizer has no parameter of the model {type(model).__name__}, so training does not change the "
            f"model. Make the optimizer from model.parameters(), after the model has its final form.",
            stacklevel=4,
        )
