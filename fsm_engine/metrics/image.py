"""`PSNR` and `SSIM`: how similar images are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from fsm_engine._util.identity import identity
from fsm_engine.metrics.example_mean import ExampleMean, check_same_dtype, check_same_shape
from fsm_engine.metrics.metric import OutputTransform


class PSNR(ExampleMean):
    """Mean peak signal-to-noise ratio of images, in decibels, a float. y_pred and y have any shape (batch, ...).

    Args:
        data_range: largest possible difference of two values, such as 255 or 1.0.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.

    Example:
        >>> metric = PSNR(data_range=1.0)
        >>> metric.update((torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([[0.6, 0.5], [1.0, 0.1]])))
        >>> round(metric.compute(), 4)
        23.0103
    """

    def __init__(
        self,
        data_range: float,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
    ) -> None:
        super().__init__(output_transform, device, skip_unrolling)
        self.data_range = data_range

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check_same_dtype(y_pred, y)
        check_same_shape(y_pred, y)
        difference = y_pred.to(self._double_dtype) - y.to(self._double_dtype)
        error = difference.square().flatten(1).mean(1)
        return 10 * torch.log10(self.data_range**2 / (error + 1e-10))  # identical images have a finite value


class SSIM(ExampleMean):
    """Mean structural similarity of images, a float (Wang et al., Image Quality Assessment, 2004).

    y_pred and y have the shape (batch, channels, height, width), or with ``ndims=3`` one more dimension. Images are
    padded by reflection, and all positions count, as in pytorch-ignite. torchmetrics leaves out the border.

    Args:
        data_range: largest possible difference of two values, such as 255 or 1.0.
        kernel_size: odd size of the window, for all dimensions or for each.
        sigma: standard deviation of the Gaussian window, for all dimensions or for each.
        k1: constant for the means.
        k2: constant for the variances.
        gaussian: True for a Gaussian window, False for a uniform one over the five positions in the middle.
        output_transform: function from ``engine.state.output`` to (y_pred, y), or to a mapping with these keys.
        device: device of the accumulator; None means the device of the data.
        skip_unrolling: pass lists of tensors to `update` unchanged instead of pair by pair.
        ndims: 2 for images, 3 for volumes.

    Raises:
        ValueError: `ndims`, `kernel_size` or `sigma` is not possible.

    Example:
        >>> metric = SSIM(data_range=1.0)
        >>> image = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16)
        >>> metric.update((image, image))
        >>> round(metric.compute(), 4)
        1.0
    """

    def __init__(
        self,
        data_range: float,
        kernel_size: int | Sequence[int] = 11,
        sigma: float | Sequence[float] = 1.5,
        k1: float = 0.01,
        k2: float = 0.03,
        gaussian: bool = True,
        output_transform: OutputTransform = identity,
        device: str | torch.device | None = None,
        skip_unrolling: bool = False,
        ndims: int = 2,
    ) -> None:
        if ndims not in (2, 3):
            raise ValueError(f"Expected ndims to be 2 or 3. Got {ndims}.")
        sizes = _per_dimension("kernel_size", kernel_size, int, ndims)
        widths = _per_dimension("sigma", sigma, float, ndims)
        if any(size % 2 == 0 or size <= 0 for size in sizes):
            raise ValueError(f"Expected kernel_size to have odd positive number. Got {kernel_size}.")
        if any(width <= 0 for width in widths):
            raise ValueError(f"Expected sigma to have positive number. Got {sigma}.")
        super().__init__(output_transform, device, skip_unrolling)
        self._constants = (k1 * data_range) ** 2, (k2 * data_range) ** 2
        self._windows = [_gauss(*pair) if gaussian else _uniform(pair[0]) for pair in zip(sizes, widths)]

    def _values(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check_same_dtype(y_pred, y)
        check_same_shape(y_pred, y)
        if y_pred.ndim != 2 + len(self._windows):
            raise ValueError(
                f"Expected y_pred and y to have BxCxHxW or BxCxDxHxW shape, for ndims={len(self._windows)}. "
                f"Got {tuple(y_pred.shape)}."
            )
        if not y_pred.is_floating_point():
            y_pred, y = y_pred.float(), y.float()
        mean_pred, mean_y = self._smoothed(y_pred), self._smoothed(y)
        variance_pred = self._smoothed(y_pred * y_pred) - mean_pred**2
        variance_y = self._smoothed(y * y) - mean_y**2
        covariance = self._smoothed(y_pred * y) - mean_pred * mean_y
        c1, c2 = self._constants
        means = (2 * mean_pred * mean_y + c1) / (mean_pred**2 + mean_y**2 + c1)
        variances = (2 * covariance + c2) / (variance_pred + variance_y + c2)
        return (means * variances).flatten(1).mean(1)

    def _smoothed(self, images: torch.Tensor) -> torch.Tensor:
        """Return the weighted means over the window, in each dimension one after the other."""
        ndims = len(self._windows)
        convolve: Any = functional.conv2d if ndims == 2 else functional.conv3d
        padding = [len(window) // 2 for window in reversed(self._windows) for _ in range(2)]
        images = functional.pad(images, padding, mode="reflect")
        channels = images.shape[1]
        for dimension, window in enumerate(self._windows):
            shape = [len(window) if number == dimension else 1 for number in range(ndims)]
            kernel = window.to(images).view(1, 1, *shape).expand(channels, 1, *shape)
            images = convolve(images, kernel, groups=channels)
        return images


def _per_dimension(name: str, given: Any, kind: type, ndims: int) -> list[Any]:
    if isinstance(given, kind):
        return [given] * ndims
    if isinstance(given, Sequence) and len(given) == ndims:
        return list(given)
    raise ValueError(f"Argument {name} should be {kind.__name__} or a sequence of length {ndims}, got {given!r}.")


def _gauss(size: int, sigma: float) -> torch.Tensor:
    distances = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-0.5 * (distances / sigma) ** 2)
    return weights / weights.sum()


def _uniform(size: int) -> torch.Tensor:
    distances = torch.arange(size, dtype=torch.float64) - size // 2
    return (distances.abs() <= 2) / 5.0
