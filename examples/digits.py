"""Data and command-line flags shared by the examples: handwritten digits in MNIST's file format.

scikit-learn ships 1,797 scanned digits of 8x8 pixels. This module enlarges them to MNIST's 28x28 and writes them in its
file format, so that ``torchvision.datasets.MNIST`` reads them without a download. To write them to a directory of your
choice::

    python examples/digits.py some/directory
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import interpolate
from torch.utils.data import TensorDataset

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
HELD_OUT = 360


def cached_digits() -> Path:
    """Return the cache directory of the digits, writing them there on the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return write_digits(cache / "fsm_engine" / "digits")


def write_digits(root: str | Path) -> Path:
    """Write the digits below `root`, 1,437 for training and 360 held out, and return `root`.

    The split is deterministic and stratified by digit. Existing MNIST files are kept.
    """
    if has_mnist(root):
        return Path(root)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)  # (1797, 1, 8, 8), from 0 to 16
    images = interpolate(images, size=(28, 28), mode="bilinear").squeeze(1) * (255 / 16)
    labels = torch.tensor(digits.target)
    train, held_out = train_test_split(range(len(labels)), test_size=HELD_OUT, stratify=digits.target, random_state=0)
    return write_mnist(root, images[train], labels[train], images[held_out], labels[held_out])


def small_digits() -> tuple[TensorDataset, TensorDataset]:
    """Return data sets of 1,437 training and 360 held-out digits: 64 pixels from 0 to 1 each, and the label."""
    digits = load_digits()
    images, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    train, held_out = train_test_split(range(len(labels)), test_size=HELD_OUT, stratify=digits.target, random_state=0)
    return TensorDataset(images[train], labels[train]), TensorDataset(images[held_out], labels[held_out])


def write_mnist(
    root: str | Path,
    train_images: torch.Tensor,
    train_labels: torch.Tensor,
    test_images: torch.Tensor,
    test_labels: torch.Tensor,
) -> Path:
    """Write MNIST's four files into ``root/MNIST/raw`` and return `root`.

    The files are written to a temporary directory, which is then renamed, so either all four exist or none.

    Args:
        root: the directory to pass to ``torchvision.datasets.MNIST`` as ``root``.
        train_images: (count, height, width), from 0 to 255.
        train_labels: (count,), from 0 to 9.
        test_images: like `train_images`, for the held-out digits.
        test_labels: like `train_labels`, for the held-out digits.
    """
    folder = Path(root, "MNIST")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        raw = Path(temporary, "raw")
        raw.mkdir()
        for name, values in zip(FILES, (train_images, train_labels, test_images, test_labels), strict=True):
            (raw / name).write_bytes(idx(values))
        try:
            raw.rename(folder / "raw")
        except OSError:
            if not has_mnist(root):  # rename fails, too, if another process has just written the files
                raise
    return Path(root)


def idx(values: torch.Tensor) -> bytes:
    """Return `values` in the IDX format: data type (8: unsigned bytes), number of dimensions, sizes, data."""
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.round().to(torch.uint8).numpy().tobytes()


def has_mnist(root: str | Path) -> bool:
    """Return True if MNIST's four files are below `root`, where torchvision looks for them."""
    return all(Path(root, "MNIST", "raw", name).is_file() for name in FILES)


def arguments(description: str | None, epochs: int, batch_size: int) -> argparse.ArgumentParser:
    """Return an argument parser with the flags of an example.

    Args:
        description: the text that ``--help`` prints.
        epochs: the default of ``--epochs``.
        batch_size: the default of ``--batch-size``.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data-dir",
        type=_mnist_directory,
        help="a directory that contains MNIST/raw, as torchvision writes it (default: scikit-learn's digits)",
    )
    parser.add_argument("--epochs", type=_positive, default=epochs, help="default: %(default)s")
    parser.add_argument("--batch-size", type=_positive, default=batch_size, help="default: %(default)s")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="the device to train on, such as cpu, cuda or mps (default: %(default)s)",
    )
    parser.add_argument("--samples", type=_positive, help="train on the first so many digits only (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


def _mnist_directory(text: str) -> Path:
    if not has_mnist(text):
        raise argparse.ArgumentTypeError(
            f"{text} does not have {', '.join(FILES)} in its subdirectory MNIST/raw. Pass the root of "
            f"torchvision.datasets.MNIST(root, download=True), or leave --data-dir out to use scikit-learn's digits."
        )
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/digits.py DIRECTORY")
    print(write_digits(sys.argv[1]) / "MNIST" / "raw")
