"""A fake accelerator: tensors whose data is on the CPU and whose device is not. It notes each wait of the host."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
"""Device of the tensors. A device without a backend, so that no kernel of a real one is called."""

aten = torch.ops.aten
WAITING = {
    aten._local_scalar_dense: "item, float, int or bool of a tensor",
    aten.is_nonzero: "bool of a tensor",
    aten.equal: "torch.equal",
    aten.nonzero: "indices of a mask, whose number is not known",
    aten.masked_select: "selection by a mask, whose number is not known",
    aten._unique2: "torch.unique",
    aten.unique_dim: "torch.unique",
    aten.unique_consecutive: "torch.unique",
    aten.bincount: "torch.bincount, whose length is not known",
}
"""Operations whose result the host needs, as CUDA does them."""


class DeviceTensor(torch.Tensor):
    """A tensor on the fake device.

    Attributes:
        data_on_host: the data.
    """

    data_on_host: torch.Tensor

    @staticmethod
    def __new__(cls, data: torch.Tensor, requires_grad: bool = False) -> DeviceTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            data.size(),
            strides=data.stride(),
            storage_offset=data.storage_offset(),
            dtype=data.dtype,
            device=DEVICE,
            requires_grad=requires_grad,
        )
        made.data_on_host = data
        return made  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} was called on a tensor of the fake device outside `with FakeDevice():`.")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        return self.cpu().numpy(force=force)

    def __repr__(self) -> str:  # type: ignore[override]
        return f"DeviceTensor({tuple(self.shape)}, {self.dtype})"


class FakeDevice(TorchDispatchMode):
    """Runs the operations of tensors on the fake device, inside its ``with`` block.

    Attributes:
        waits: each wait of the host, with the line of the library that caused it.
        is_watching: whether waits are noted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.is_watching = False

    @contextmanager
    def watching(self) -> Iterator[FakeDevice]:
        """Note the waits in a ``with`` block."""
        self.is_watching = True
        try:
            yield self
        finally:
            self.is_watching = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        on_device = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, DeviceTensor)]
        wanted = kwargs.get("device")
        to_device = wanted is not None and torch.device(wanted) == DEVICE
        to_host = wanted is not None and not to_device
        reason = self._reason(func, args, on_device, to_host)
        if reason and self.is_watching:
            self.waits.append(f"{reason} at {_place()}")
        if to_device:
            kwargs["device"] = torch.device("cpu")
        inner = func(*tree_map(_unwrap, args), **tree_map(_unwrap, kwargs))
        if not func._schema.returns:
            return None
        if func.overloadpacket is aten.copy_ or _is_in_place(func):
            return args[0]
        if to_host or not (on_device or to_device):
            return inner
        return tree_map(_wrap, inner)

    def _reason(self, func: Any, args: Any, on_device: list[DeviceTensor], to_host: bool) -> str | None:
        if not on_device:
            return None
        packet = func.overloadpacket
        if to_host:
            return "a copy to the host"
        if packet is aten.copy_ and not isinstance(args[0], DeviceTensor):
            return "a copy to the host"
        if packet in (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_):
            masks = [x for x in args[1] if isinstance(x, torch.Tensor) and x.dtype in (torch.bool, torch.uint8)]
            return "an index by a mask, whose number is not known" if masks else None
        return WAITING.get(packet)


def _is_in_place(func: Any) -> bool:
    return bool(func._schema.name.endswith("_") and func._schema.is_mutable)


def _unwrap(value: Any) -> Any:
    return value.data_on_host if isinstance(value, DeviceTensor) else value


def _wrap(value: Any) -> Any:
    return DeviceTensor(value) if isinstance(value, torch.Tensor) and not isinstance(value, DeviceTensor) else value


def _place() -> str:
    frames = [frame for frame in traceback.extract_stack() if "/fsm_engine/" in frame.filename]
    return f"{frames[-1].filename.rpartition('fsm_engine/')[2]}:{frames[-1].lineno}" if frames else "the test"
