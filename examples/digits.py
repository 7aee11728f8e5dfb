"""What the examples share: handwritten digits in MNIST's file format, and the flags of the command line.

scikit-learn comes with 1,797 scanned digits of 8x8 pixels. They are enlarged to MNIST's 28x28 and written in
its file format, so that ``torchvision.datasets.MNIST`` reads them and nothing has to be downloaded. To have
them in a directory of your choice::

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
    """Return the directory in the user's cache that has the digits, writing them there the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return write_digits(cache / "fsm_engine" / "digits")


def write_digits(root: str | Path) -> Path:
    """Write the digits below `root`, 1,437 for training and 360 held out, and return `root`.

    The split is always the same, and each digit has its share in both parts. If MNIST's files are there
    already, they are left as they are.
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
    """Return the digits as they are, 1,437 for training and 360 held out: 64 values from 0 to 1, and the class."""
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

    They are written elsewhere and then moved there at once, so there are all of them or none.

    Args:
        root: what ``torchvision.datasets.MNIST`` will be given as `root`.
        train_images: (count, height, width), from 0 to 255.
        train_labels: (count,), from 0 to 9.
        test_images: the same for the held-out part.
        test_labels: the same for the held-out part.
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
            if not has_mnist(root):  # or else somebody wrote them in the meantime
                raise
    return Path(root)


def idx(values: torch.Tensor) -> bytes:
    """Return `values` in the IDX format: type (8: unsigned bytes), number of dimensions, sizes, data."""
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.round().to(torch.uint8).numpy().tobytes()


def has_mnist(root: str | Path) -> bool:
    """Say whether MNIST's four files are below `root`, where torchvision looks for them."""
    return all(Path(root, "MNIST", "raw", name).is_file() for name in FILES)


def arguments(description: str | None, epochs: int, batch_size: int) -> argparse.ArgumentParser:
    """Return the flags of an example, with its own number of epochs and batch size as defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data-dir",
        type=_mnist_directory,
        help="a directory with MNIST/raw in it, as torchvision writes it (default: scikit-learn's digits)",
    )
    parser.add_argument("--epochs", type=_positive, default=epochs, help="default: %(default)s")
    parser.add_argument("--batch-size", type=_positive, default=batch_size, help="default: %(default)s")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where to compute, such as cpu, cuda or mps (default: %(default)s)",
    )
    parser.add_argument("--samples", type=_positive, help="train on so many digits only (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


def _mnist_directory(text: str) -> Path:
    if not has_mnist(text):
        raise argparse.ArgumentTypeError(
            f"{text} does not have {', '.join(FILES)} in its subdirectory MNIST/raw. Give the directory that "
            f"torchvision.datasets.MNIST(root, download=True) wrote to, or leave --data-dir out to use the digits "
            f"that come with scikit-learn."
        )
    return Path(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/digits.py DIRECTORY")
    print(write_digits(sys.argv[1]) / "MNIST" / "raw")
