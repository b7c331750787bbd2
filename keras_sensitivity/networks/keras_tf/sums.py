"""Weighted sums over the rows of a batch, on the device, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

__all__ = ["UNROLLED_UNITS", "over_units", "power_sums", "product_sums"]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to compile flat.
UNROLLED_UNITS = 16

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 256

Sums = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def over_units(
    derivatives: Callable[[Any], tf.Tensor], weights: tf.Tensor, num_units: int, shape: tuple[int, ...], keep: bool
) -> tuple[Sums, tf.Tensor, Any]:
    """What is made of each unit's derivatives g, of ``shape``.

    Args:
        derivatives: From a unit to its derivatives.
        weights: See `power_sums`.
        num_units: How many there are.
        shape: Of the derivatives of a unit.
        keep: Whether the g**2 themselves are returned.

    Returns:
        The power sums, stacked; h = sum over units of g**2; the g**2, stacked, or ().
    """
    h = tf.zeros(shape, tf.float64)
    if num_units <= UNROLLED_UNITS:
        sums, every = [], []
        for unit in range(num_units):
            g = derivatives(unit)
            every.append(g**2)
            h += every[-1]
            sums.append(power_sums(g, weights))
        return tuple(tf.stack(each) for each in zip(*sums, strict=True)), h, tf.stack(every) if keep else ()

    def body(unit: tf.Tensor, h: tf.Tensor, *columns: tf.TensorArray) -> tuple[Any, ...]:
        g = tf.ensure_shape(derivatives(unit), shape)
        values = [*power_sums(g, weights), *([g**2] if keep else [])]
        written = [column.write(unit, value) for column, value in zip(columns, values, strict=True)]
        return unit + 1, h + g**2, *written

    empty = [tf.TensorArray(tf.float64, num_units, element_shape=shape[1:]) for _ in range(3)]
    if keep:
        empty.append(tf.TensorArray(tf.float64, num_units, element_shape=shape))
    looped = tf.while_loop(lambda unit, *_: unit < num_units, body, (0, h, *empty), maximum_iterations=num_units)
    columns = [column.stack() for column in looped[2:]]
    return tuple(columns[:3]), looped[1], columns[3] if keep else ()


def power_sums(values: tf.Tensor, weights: tf.Tensor) -> Sums:
    """Shift, and weighted sums of ``v - shift`` and its squares: see `Moments.from_sums`.

    The weights have the axes of the values, rows first, the last of them maybe 1.
    """
    shift = values[0]
    centred = values - shift
    weighted = centred * weights
    return shift, tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weighted * centred, axis=0)


def product_sums(values: tf.Tensor, weights: tf.Tensor) -> Sums:
    """Shift, and weighted sums of ``v - shift`` and its products, or only squares for wide inputs."""
    if values.shape[1] > CROSS_ENTRIES:
        return power_sums(values, weights)
    shift = values[0]
    centred = values - shift
    weighted = centred * weights
    return shift, tf.reduce_sum(weighted, axis=0), tf.matmul(weighted, centred, transpose_a=True)
