"""The noise of a model's probes, to be differentiated with respect to."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.backward import depends_on
from keras_sensitivity.networks.keras_tf.borrowing import Loan
from keras_sensitivity.networks.keras_tf.layers import layers
from keras_sensitivity.probes import NoiseProbes

__all__ = ["Noise"]


class Noise:
    """Finds the noise that the model's `NoiseProbes` make when they are called.

    Args:
        model: The model.
        loan: Takes the layers' methods back afterwards.
        copies: How many changed copies of some rows are called, the first of them unchanged: all have its noise. Made
            anew of a row of which a column is changed, the noise of all probes would change with it.
        swapped: Which probes have the noise of the rows of the second copy instead, for each copy, shape
            (copies, num_probes), bool; None: none.

    Attributes:
        made: The noise, in the order of the calls.
    """

    def __init__(self, model: keras.Model, loan: Loan, copies: int = 1, swapped: tf.Tensor | None = None) -> None:
        self._copies = copies
        self._swapped = swapped
        self._trained: list[tf.Tensor] = [variable.value for variable in model.trainable_variables]
        self._origins: list[tuple[str, tf.Tensor]] = []
        self.made: list[tf.Tensor] = []
        for layer in layers(model):
            if isinstance(layer, NoiseProbes):
                loan.replace(layer, "noise", self._finding(layer))

    def _finding(self, layer: NoiseProbes) -> Callable[..., tf.Tensor]:
        function = layer.noise

        def call(inputs: tf.Tensor) -> tf.Tensor:
            result = function(inputs) if self._copies == 1 else self._of_first(function, inputs)
            self.made.append(result)
            self._origins.append((layer.name, inputs))
            return result

        return call

    def _of_first(self, function: Callable[..., tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
        num_rows = inputs.shape[0] // self._copies
        own = function(inputs[:num_rows])
        if self._swapped is None:
            return tf.tile(own, [self._copies, *[1] * (own.shape.rank - 1)])
        other = function(inputs[num_rows : 2 * num_rows])
        start = sum(each.shape[-1] for each in self.made)
        swapped = self._swapped[:, start : start + own.shape[-1]]
        swapped = tf.reshape(swapped, [self._copies, *[1] * (own.shape.rank - 1), own.shape[-1]])
        return tf.reshape(tf.where(swapped, other, own), (-1, *own.shape[1:]))

    def refuse_behind_weights(self) -> None:
        """Refuse, after the call, probes behind weights that are trained: as those change, so would the noise."""
        for name, inputs in self._origins:
            if self._trained and depends_on(inputs, self._trained):
                errors.refuse_probes_behind_weights(name)
