"""Random numbers that are made of the bits of a row, so that it has the same ones wherever it stands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["bits_of", "fixed_keys", "mixed", "row_codes"]

Array = np.ndarray[Any, Any]

# Some devices take numbers below this one for 0, so all do here.
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def bits_of(numbers: tf.Tensor) -> tf.Tensor:
    """32 bits of each number; equal numbers have equal bits whatever their type, and so have 0.0 and -0.0."""
    number = tf.cast(numbers, tf.float32)
    bits = _normal_bits(number)
    if numbers.dtype.size < 4 or numbers.dtype == tf.float32:
        return bits
    rest = tf.cast(numbers, tf.float64) - tf.cast(number, tf.float64)
    return bits ^ mixed(_normal_bits(tf.cast(rest, tf.float32)))  # unchanged if the number fits into float32


def _normal_bits(number: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(tf.where(tf.abs(number) < SMALLEST_NORMAL, 0.0, number), tf.uint32)


def mixed(codes: tf.Tensor) -> tf.Tensor:
    """A permutation of the 32-bit integers in which each bit of the result depends on every bit of the code.

    The finalizer of MurmurHash3 by Austin Appleby, in the public domain; it leaves 0 where it is.
    """
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        codes ^= tf.bitwise.right_shift(codes, tf.constant(shift, tf.uint32))
        codes *= tf.constant(factor, tf.uint32)
    return codes ^ tf.bitwise.right_shift(codes, tf.constant(16, tf.uint32))


def fixed_keys(shape: tuple[int, ...], *seeds: int) -> Array:
    """Fixed random 32-bit integers."""
    return np.random.SeedSequence(seeds).generate_state(math.prod(shape)).reshape(shape)


def row_codes(bits: tf.Tensor, num_codes: int, seed: int) -> tf.Tensor:
    """Codes made of the bits along the last axis: shape (..., num_bits) -> (..., num_codes), 32-bit integers."""
    column_keys = fixed_keys((2, bits.shape[-1]), seed, 0)
    first, second = (tf.reduce_sum(mixed(bits ^ keys), axis=-1, keepdims=True) for keys in column_keys)
    return mixed(mixed(first ^ fixed_keys((num_codes,), seed, 1)) + second)
