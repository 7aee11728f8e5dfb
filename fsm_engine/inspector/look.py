"""A look at a paused run: attributes of the state, the batch, and the layers of the model, without whole tensors."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

from fsm_engine._util.plain_data import is_tensor, items_of
from fsm_engine.engine.engine import Engine

_MOST_ROWS, _MOST_TEXT = 500, 200
_NO_LAYER: dict[str, Any] = {"shape": [], "dtype": "", "device": "", "norm": None, "gradient": None, "trains": False}
_ATOMS = (bool, int, float, complex, str, bytes, type(None))


def look(engine: Engine) -> dict[str, Any]:
    """Return the state, the batch and the layers of `engine` as a message has them.

    Called in the thread of the run while it is paused. It waits for the device: ranges and norms are computed there.
    """
    shown: dict[str, Any] = {"state": [], "batch": [], "layers": None, "note": None}
    try:
        shown["state"] = [_attribute(name, value) for name, value in _attributes(engine)]
        shown["batch"] = list(_parts("", engine.state.batch, _MOST_ROWS))
        shown["layers"], shown["note"] = _layers(getattr(engine._process_function, "model", None))
    except Exception as error:  # an object of the user, or the device: the pause shows the rest
        shown["note"] = f"{type(error).__name__}: {error}"[:500]
    return shown


def _attributes(engine: Engine) -> Iterator[tuple[str, Any]]:
    for name, value in engine.state.attributes().items():
        if name not in ("batch", "dataloader", "event_to_attr"):
            yield name, value


def _attribute(name: str, value: Any) -> dict[str, str]:
    return {"name": name, "type": type(value).__name__, "value": _text_or_error(value)}


def _text_or_error(value: Any) -> str:
    try:
        return text_of(value)
    except Exception as error:
        return _error(error)


def _error(error: Exception) -> str:
    return _cut(f"{type(error).__name__}: {error}")


def text_of(value: Any, depth: int = 3) -> str:
    """Return a short text for a value, to this depth; for objects of the user, the name of their class."""
    if is_tensor(value):
        return _one(value) if value.numel() == 1 and not value.is_meta else f"{_kind(value)} {list(value.shape)}"
    if type(value) in _ATOMS:
        return _cut(repr(value))
    items = items_of(value) if type(value) in (dict, list, tuple) else None
    if items is None:
        return type(value).__name__
    if not depth:
        return "…"
    inner = [(key, text_of(item, depth - 1)) for key, item in _first(items, 20)]
    shown = [f"{_key(key)}: {text}" if type(value) is dict else text for key, text in inner]
    return _cut(f"{'{' if type(value) is dict else '['}{', '.join(shown)}{'}' if type(value) is dict else ']'}")


def _key(key: Any) -> str:
    return key if type(key) is str else text_of(key, 0)


def _first(items: Any, most: int) -> Iterator[Any]:
    for number, item in enumerate(items):
        if number == most:
            return
        yield item


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"


def _one(tensor: Any) -> str:
    return _cut(repr(tensor.item()))


def _kind(tensor: Any) -> str:
    return str(tensor.dtype).rpartition(".")[2]


def _parts(path: str, value: Any, most: int) -> Iterator[dict[str, Any]]:
    """Yield rows for the tensors and other parts of a batch, at most `most`."""
    if is_tensor(value):
        yield {"path": path, "type": type(value).__name__, **_tensor_or_error(value)}
        return
    items = items_of(value)
    if items is None:
        yield {"path": path, "type": type(value).__name__, "value": _text_or_error(value)}
        return
    left = most
    for key, item in items:
        for row in _parts(f"{path}[{_text_or_error(key)}]", item, left):
            yield row
            left -= 1
            if not left:
                return


def _tensor_or_error(tensor: Any) -> dict[str, Any]:
    try:
        return describe_tensor(tensor)
    except Exception as error:  # such as a nested tensor, which has no shape
        return {"value": _error(error)}


def describe_tensor(tensor: Any) -> dict[str, Any]:
    """Return shape, dtype, device and range of a tensor."""
    described = {"shape": list(tensor.shape), "dtype": _kind(tensor), "device": str(tensor.device)}
    values = tensor.detach()
    if not values.numel() or not _has_order(values):
        return described
    try:
        low, high = values.aminmax()
    except RuntimeError:  # a dtype that the device cannot compare
        return described
    not_a_number = int(values.isnan().sum()) if values.is_floating_point() else 0
    return {**described, "low": finite(low.item()), "high": finite(high.item()), "nan": not_a_number}


def _has_order(values: Any) -> bool:
    is_dense = values.layout == values.new_empty(0).layout and not values.is_nested
    return is_dense and not (values.is_sparse or values.is_meta or values.is_complex() or values.is_quantized)


def finite(number: Any) -> float | str:
    """Return a number, or its text if JSON has no such number."""
    return number if math.isfinite(number) else str(number)


def finite_or_none(number: Any) -> int | float | None:
    """Return a number; None for other values, and for numbers that JSON lacks or that are too large for a page."""
    if not isinstance(number, (int, float)) or number != number or abs(number) > sys.float_info.max:
        return None
    return number


def _layers(model: Any) -> tuple[list[dict[str, Any]] | None, str | None]:
    """Return the norms of the parameters and gradients of a model, or the reason why there are none."""
    named = getattr(model, "named_parameters", None)
    if named is None:
        return None, "The step has no attribute `model`, as the steps of create_supervised_trainer have."
    rows: list[dict[str, Any]] = []
    for name, parameter in named():
        if len(rows) == _MOST_ROWS:
            return rows, f"Only the first {_MOST_ROWS} parameters are shown."
        try:
            rows.append(_layer(name, parameter))
        except Exception as error:  # such as the parameters of a lazy layer, which have no shape yet
            rows.append(_NO_LAYER | {"name": f"{name} ({_error(error)})"})
    return rows, None


def _layer(name: str, parameter: Any) -> dict[str, Any]:
    gradient = parameter.grad
    return {
        "name": name,
        "shape": list(parameter.shape),
        "dtype": _kind(parameter),
        "device": str(parameter.device),
        "norm": _norm(parameter),
        "gradient": None if gradient is None else _norm(gradient),
        "trains": parameter.requires_grad,
    }


def _norm(tensor: Any) -> float | str | None:
    values = tensor.detach()
    if values.is_sparse or values.is_meta or values.is_quantized:
        return None
    values = values if values.is_floating_point() or values.is_complex() else values.float()
    return finite(values.norm().item())
