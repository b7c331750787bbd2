"""`NoiseProbes`: columns of frozen noise beside the input, which show what an irrelevant feature looks like."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.bits import bits_of, row_codes

__all__ = ["NoiseProbes"]


@keras.saving.register_keras_serializable(package="keras_sensitivity")
class NoiseProbes(keras.layers.Layer):
    """A layer that appends columns of frozen noise to its input.

    What is the importance of a feature that means nothing? It is not 0: a network gives every input some weight, and
    the more it memorises, the more. The probes measure it, in this network, at this epoch: they are inputs that mean
    nothing for sure. `SensitivityCallback` finds them by itself. They are not among its features; with them,
    `DeadFeatureMonitor` takes for dead what cannot be told from noise, and `SensitivityCallback.noise_level` shows
    their importance.

    With h a 32-bit hash of the bits of a row and the number j of the probe, the noise of the row is

        e[j] = Phi^-1((h(row, j) + 1/2) / 2**32)            with Phi the standard normal distribution function.

    It is standard normal, uncorrelated with every column, and frozen: a row has the same noise whenever it comes,
    in any batch or order, in training and in inference, compiled or not, after saving and loading. So a network can
    memorise it just as it can memorise an irrelevant column; noise drawn anew at each step would look more harmless
    than that. Predictions stay deterministic, and the derivative with respect to the input is what it was. Equal rows
    have equal noise, whatever their type, and 0.0 equals -0.0; the row is read before Keras casts it to a smaller type.

    Place it after the input, or after a `keras.layers.Normalization`; beside several inputs, where their numbers are
    concatenated. With a `keras.layers.Masking`, place it behind that. Two things it cannot do:

    - Rows that are augmented anew in each epoch have new bits, so their noise is new, too.
    - Noise is a function of the row. Where there are few different rows, as of three columns of 0 and 1, it tells one
      from another, and means something.

    Args:
        num_probes: Columns of noise, at least 2. With fewer than 8 the threshold is erratic; 16 gain little.
        seed: Of the hash, at least 0: another seed is other noise.
        kwargs: As of every Keras layer: ``name``, ``dtype``.

    Input shape: (num_samples, num_features) or (num_samples, num_steps, num_features), numbers. Of a sequence, each
    step has noise of its own, made of the bits of that step.

    Output shape: (num_samples, num_features + num_probes), or with steps between.

    Raises:
        ValueError, TypeError: If an argument is not as above, or the input has other axes or is no number.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = 3 * x[:, 0] + x[:, 1]
    >>> model = keras.Sequential([keras.Input((3,)), ks.NoiseProbes(), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.Adam(0.1), "mse")
    >>> watch = ks.SensitivityCallback(x, feature_names=["a", "b", "c"])
    >>> _ = model.fit(x, y, epochs=10, callbacks=[watch], verbose=0)
    >>> watch.dead_features
    ['c']
    >>> float(watch.noise_level.iloc[-1]) < 1  # percent
    True
    """

    def __init__(self, num_probes: int = 8, seed: int = 0, **kwargs: Any) -> None:
        # Rounded to float16 by Keras before the call, other rows would be equal: the noise is drawn first.
        super().__init__(**({"autocast": False} | kwargs))
        errors.check_backend()
        errors.check_whole_number("num_probes", num_probes, least=2)
        errors.check_whole_number("seed", seed, least=0)
        self.num_probes = num_probes
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Refuse inputs that have no columns."""
        errors.check_probes_shape(input_shape)
        self.num_features: int = input_shape[-1] or 0
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The inputs and, behind them along the last axis, the noise."""
        noise = tf.cast(self.noise(inputs), self.compute_dtype)
        return tf.concat([tf.cast(inputs, self.compute_dtype), noise], axis=-1)

    def noise(self, inputs: tf.Tensor) -> tf.Tensor:
        """The noise of each row, or of each step of each row: shape (..., num_features) -> (..., num_probes)."""
        errors.check_probes_type(inputs.dtype)
        codes = row_codes(bits_of(inputs), self.num_probes, self.seed)
        # In float64: no code rounds to a probability of 1, whose quantile is infinite, and compilers that round
        # differently still agree on the float32.
        uniform = (tf.cast(codes, tf.float64) + 0.5) / 2**32
        return tf.stop_gradient(tf.cast(tf.math.ndtri(uniform), tf.float32))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input, with more columns."""
        *kept, last = input_shape
        return (*kept, None if last is None else last + self.num_probes)

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Shape and type of the output; refuses what is no number, before anything runs."""
        errors.check_probes_type(tf.as_dtype(inputs.dtype))
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """What the layer is made of, for saving."""
        own: dict[str, Any] = super().get_config()
        return own | {"num_probes": self.num_probes, "seed": self.seed}
