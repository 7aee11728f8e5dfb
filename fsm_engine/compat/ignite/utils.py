"""Functions of ``ignite.utils``: nested tensors, one-hot codes, seeds, loggers, and checkpoints named by their hash."""

from __future__ import annotations

import hashlib
import logging
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import torch

from fsm_engine._util.plain_data import map_leaves

Device = str | torch.device | None
Types = type | tuple[type, ...]


def apply_to_type(x: Any, input_type: Types, func: Callable[[Any], Any]) -> Any:
    """Return a copy of `x` with ``func(item)`` in place of each instance of `input_type`.

    Items of dicts, lists and tuples are searched; strings and bytes stay as they are.

    Raises:
        TypeError: `x` contains something else.
    """

    def apply(leaf: Any) -> Any:
        if isinstance(leaf, input_type):
            return func(leaf)
        if isinstance(leaf, (str, bytes)):
            return leaf
        raise TypeError(f"x must contain {input_type}, dicts, lists or tuples; found {type(leaf)}.")

    return map_leaves(apply, x, lambda value: isinstance(value, input_type))


def apply_to_tensor(x: Any, func: Callable[[torch.Tensor], Any]) -> Any:
    """Return a copy of `x` with ``func(tensor)`` in place of each tensor; see `apply_to_type`."""
    return apply_to_type(x, torch.Tensor, func)


def convert_tensor(x: Any, device: Device = None, non_blocking: bool = False) -> Any:
    """Return `x` with all its tensors on `device`; None leaves them where they are. See `apply_to_type`."""
    if device is None:
        return apply_to_tensor(x, lambda tensor: tensor)
    return apply_to_tensor(x, lambda tensor: tensor.to(device, non_blocking=non_blocking))


def to_onehot(indices: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return class indices of shape (batch, ...) as a uint8 tensor of shape (batch, classes, ...) with ones there."""
    codes = torch.nn.functional.one_hot(indices.long(), num_classes)
    return codes.movedim(-1, 1).to(torch.uint8)


def manual_seed(seed: int) -> None:
    """Seed the global random generators of Python, torch and, if it is imported, NumPy."""
    random.seed(seed)
    torch.manual_seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def setup_logger(
    name: str | None = "fsm_engine",
    level: int = logging.INFO,
    stream: TextIO | None = None,
    format: str = "%(asctime)s %(name)s %(levelname)s: %(message)s",  # noqa: A002  # pytorch-ignite's name
    filepath: str | Path | None = None,
    distributed_rank: int | None = None,
    reset: bool = False,
    encoding: str | None = "utf-8",
) -> logging.Logger:
    """Return the standard logger `name`, which writes to `stream` and to the file `filepath`.

    A logger that exists already, and the root logger (None), keep their handlers unless `reset` is true.

    Args:
        name: name of the logger; None is the root logger. Messages of other loggers do not propagate to the root.
        level: lowest level that is written.
        stream: stream to write to; None is standard error.
        format: format of a line, as for `logging.Formatter`.
        filepath: file to append to as well.
        distributed_rank: rank of this process; ranks other than 0 write nothing.
        reset: remove the handlers of an existing logger first.
        encoding: encoding of the file.
    """
    is_new = name is not None and name not in logging.root.manager.loggerDict
    logger = logging.getLogger(name)
    if distributed_rank or reset:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
    if distributed_rank:
        logger.addHandler(logging.NullHandler())
    if not (is_new or reset):
        return logger
    if not distributed_rank:
        logger.setLevel(level)
        handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
        if filepath is not None:
            handlers.append(logging.FileHandler(filepath, encoding=encoding))
        for handler in handlers:
            handler.setLevel(level)
            handler.setFormatter(logging.Formatter(format))
            logger.addHandler(handler)
    logger.propagate = name is None
    return logger


def hash_checkpoint(checkpoint_path: str | Path, output_dir: str | Path) -> tuple[Path, str]:
    """Move a file into `output_dir`, with the first 8 digits of its SHA-256 in its name: ``model-1a2b3c4d.pt``.

    Returns:
        The new path, and the whole SHA-256.

    Raises:
        FileNotFoundError: the file does not exist.
    """
    source, folder = Path(checkpoint_path), Path(output_dir)
    if not source.exists():
        raise FileNotFoundError(f"{source.name} does not exist in {source.parent}.")
    folder.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    sha = digest.hexdigest()
    return Path(shutil.move(source, folder / f"{source.stem}-{sha[:8]}.pt")), sha
