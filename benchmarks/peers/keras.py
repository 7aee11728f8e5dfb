"""Keras on torch: `TorchModuleWrapper` makes a layer of the PyTorch model; loss and optimizer are Keras's own.

It needs the environment variable ``KERAS_BACKEND=torch``.
"""

from __future__ import annotations

from typing import Any

# user code
import keras

# end of user code


def train(model: Any, optimizer: Any, criterion: Any, loader: Any, epochs: int) -> None:
    """Train `model` in place."""
    # user code
    net = keras.Sequential([keras.layers.TorchModuleWrapper(model)])
    net.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    net.fit(loader, epochs=epochs, verbose=0)
    # end of user code


class NoOp(keras.Model):
    """A model whose step does nothing."""

    def call(self, x: Any) -> Any:
        """Return `x`; Keras calls it once, to build the model."""
        return x

    def train_step(self, data: Any) -> dict[str, Any]:
        """Return no logs."""
        return {}


def no_op(loader: Any, epochs: int) -> None:
    """Call a step that does nothing."""
    net = NoOp()
    net.compile(jit_compile=False)
    net.fit(loader, epochs=epochs, verbose=0)
