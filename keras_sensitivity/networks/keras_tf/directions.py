"""`Directions`: what is sent back through a network, one backward pass each: single units, or random signs of all.

With a sign e_u for each unit u, drawn at random, the derivative of ``sum over u of e_u y_u`` is ``sum over u of
e_u g_u``, and the mean of its square over the signs is ``sum over u of g_u**2``: products of different units cancel.
So a few draws estimate without bias what takes a pass for each unit to compute, the better the more rows there are,
since each row has signs of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_sensitivity.bits import bits_of, row_codes

__all__ = ["NUM_DRAWS", "Directions", "are_single"]

# A look takes one backward pass for each unit up to so many passes, or for so few units; beyond, random signs.
MOST_PASSES, FEW_UNITS = 64, 32

# Random signs of a row.
NUM_DRAWS = 4


class Directions(NamedTuple):
    """What is sent back, pass by pass.

    Attributes:
        num_units: Of what is differentiated.
        codes: Of which the random signs are bits, shape (batch_size, num_units); None for single units.
    """

    num_units: int
    codes: tf.Tensor | None = None

    @classmethod
    def of(cls, x: Sequence[tf.Tensor], num_units: int, passes_of_unit: int) -> Directions:
        """Single units, or random signs where these would take too many passes.

        Args:
            x: The inputs, whose rows the signs are made of: a row has the same wherever it stands.
            num_units: How many there are.
            passes_of_unit: Backward passes that a unit takes.
        """
        if are_single(num_units, passes_of_unit):
            return cls(num_units)
        bits = [tf.reshape(bits_of(_numbers(each)), (each.shape[0], -1)) for each in x]
        return cls(num_units, row_codes(tf.concat(bits, axis=1), num_units, seed=0))

    @property
    def num_passes(self) -> int:
        """How many passes there are."""
        return self.num_units if self.codes is None else NUM_DRAWS

    @property
    def num_draws(self) -> int | None:
        """Random signs of a row; None for single units."""
        return None if self.codes is None else NUM_DRAWS

    def __call__(self, index: Any, kind: tf.DType) -> tf.Tensor:
        """The direction of a pass, broadcastable to (batch_size, num_units).

        The squares of the derivatives in all directions add up to those of all units, or to an estimate of these.
        """
        if self.codes is None:
            return tf.one_hot(index, self.num_units, dtype=kind)[None]
        bits = tf.bitwise.right_shift(self.codes, tf.cast(index, tf.uint32)) & 1
        return (1 - 2 * tf.cast(bits, kind)) / NUM_DRAWS**0.5


def are_single(num_units: int, passes_of_unit: int = 1) -> bool:
    """Whether the units are sent back one by one; else random signs of all, `NUM_DRAWS` times."""
    return num_units <= FEW_UNITS or num_units * passes_of_unit <= MOST_PASSES


def _numbers(x: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(x, 2**62) if x.dtype == tf.string else x
