"""Whether integers may be taken for floats before a model is called."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.networks.keras_tf.borrowing import borrowed
from keras_sensitivity.networks.keras_tf.codes import agree
from keras_sensitivity.networks.keras_tf.layers import called, packed
from keras_sensitivity.networks.network import Batch

__all__ = ["takes_floats"]

# On so many rows it is tried.
ROWS_TRIED = 64


def takes_floats(
    model: keras.Model, inputs: Inputs, rows: Batch, *, types: Sequence[str], floats: Sequence[str]
) -> bool:
    """Whether a model returns for floats what it returns for integers, and has derivatives in them.

    Args:
        model: The model.
        inputs: What it is called with.
        rows: Some rows of each input.
        types: Of each input.
        floats: The same, with a floating-point type in the place of some integer types.
    """
    try:
        with borrowed(model), tf.GradientTape() as tape:
            expected = _returned(model, inputs, _tensors(rows, types))
            x = _tensors(rows, floats)
            tape.watch([tensor for tensor in x if tensor.dtype.is_floating])
            found = _returned(model, inputs, x)
    except (ValueError, TypeError, tf.errors.OpError):  # floats are nothing that the model takes
        return False
    new = [tensor for tensor, kind, other in zip(x, types, floats, strict=True) if kind != other]
    reached = tape.gradient([part for part in found if part.dtype.is_floating], new)
    return all(map(agree, expected, found)) and all(gradient is not None for gradient in reached)


def _tensors(rows: Batch, types: Sequence[str]) -> list[tf.Tensor]:
    kinds = [None if kind == "string" else kind for kind in types]
    return [tf.constant(array[:ROWS_TRIED], kind) for array, kind in zip(rows, kinds, strict=True)]


def _returned(model: keras.Model, inputs: Inputs, x: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The numbers that the model returns."""
    parts = tf.nest.flatten(called(model, packed(model, inputs, x)))
    return [part for part in parts if isinstance(part, tf.Tensor) and part.dtype != tf.string]
