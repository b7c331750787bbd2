"""The pass of second derivatives, of smooth networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.backward import backward
from keras_sensitivity.networks.keras_tf.directions import Directions
from keras_sensitivity.networks.keras_tf.forward import Forward, Scale
from keras_sensitivity.networks.keras_tf.passes import KerasPass
from keras_sensitivity.networks.network import NotFiniteError

__all__ = ["CurvaturePass"]

Array = np.ndarray[Any, Any]

# Operations that are made of straight pieces, so that their second derivative is 0 or does not exist; pooling and the
# largest of several, too.
STRAIGHT = {
    "Abs",
    "ClipByValue",
    "LeakyRelu",
    "Max",
    "MaxPool",
    "MaxPool3D",
    "MaxPoolV2",
    "Maximum",
    "Minimum",
    "Relu",
    "Relu6",
    "Selu",
}


class CurvaturePass(KerasPass[Array]):
    """Squared second derivatives of each row, summed over the units.

    Of shape (batch_size, num_lags, num_entries, num_lags, num_entries).
    """

    def _on_device(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale) -> Any:
        straight = sorted(set(_operations(x)) & STRAIGHT)
        if straight:
            errors.refuse_straight_pieces(straight)
        num_units, size = len(self.units), forward.shape[0] * forward.shape[1]
        directions, count = Directions(num_units), x[0].shape[0]

        def of_entry(index: tf.Tensor) -> tf.Tensor:
            """The squared derivatives of the derivative with respect to one entry, summed over the units."""

            def of_unit(unit: Any) -> tf.Tensor:
                first = forward.assembled(forward.derivatives(directions, unit, scale))
                column = tf.gather(tf.reshape(first, (count, size)), index, axis=1)
                tensors = forward.tensors
                second = [
                    tf.zeros_like(tensor) if each is None else tf.ensure_shape(each, tensor.shape)
                    for each, tensor in zip(backward(column, tensors), tensors, strict=True)
                ]
                return tf.square(tf.cast(tf.reshape(forward.assembled(second), (count, size)), tf.float64))

            if num_units == 1:
                return of_unit(0)
            every = tf.map_fn(
                of_unit, tf.range(num_units), fn_output_signature=tf.TensorSpec((count, size), tf.float64)
            )
            return tf.reduce_sum(every, axis=0)

        found = tf.map_fn(of_entry, tf.range(size), fn_output_signature=tf.TensorSpec((count, size), tf.float64))
        shape = (count, *forward.shape, *forward.shape)
        return tf.reshape(tf.transpose(found, (1, 0, 2)), shape), forward.reached

    def _bad(self, found: Any, weights: Array) -> NotFiniteError | None:
        return NotFiniteError.of(~np.isfinite(found[0]).all(axis=(1, 3, 4)), np.zeros(len(weights), bool), weights)

    def _has_derivatives(self, found: Any, rows: Array) -> bool:
        return bool(found[0][rows].any())

    def _result(self, found: Any) -> tuple[Array, Array]:
        return found[0], found[1]


def _operations(x: tuple[tf.Tensor, ...]) -> Iterator[str]:
    """The kinds of the operations that some tensors go into, directly or through others, and those inside of loops."""
    waiting, seen = list(x), set()
    while waiting:
        for operation in waiting.pop().consumers():
            if operation not in seen and operation.type != "StopGradient":
                seen.add(operation)
                yield operation.type
                waiting += operation.outputs
    for function in x[0].graph.as_graph_def().library.function:
        for node in function.node_def:
            yield node.op
