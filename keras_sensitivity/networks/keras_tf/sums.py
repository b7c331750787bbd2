"""What is made of the derivatives on the device: stacked, to be summed up by `row_sums`, or summed up in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sensitivity.networks.keras_tf.directions import Directions
from keras_sensitivity.networks.row_sums import CROSS_ENTRIES

__all__ = ["UNROLLED_UNITS", "in_all_directions", "power_sums", "product_sums", "sums_over_directions"]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to trace flat, and is as fast.
UNROLLED_UNITS = 2

Sums = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def in_all_directions(
    derivatives: Callable[[Directions, Any], tf.Tensor], directions: Directions, shape: tuple[int, ...]
) -> tf.Tensor:
    """The derivatives in all directions, each of ``shape``, stacked.

    Args:
        derivatives: Those in one of the directions, by its index.
        directions: All of them.
        shape: Of the derivatives.
    """
    first = derivatives(directions, 0)
    if directions.num_passes == 1:
        return first[None]
    if directions.num_passes <= UNROLLED_UNITS:
        return tf.stack([first, *(derivatives(directions, index) for index in range(1, directions.num_passes))])

    def at(index: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(derivatives(directions, index), shape)

    return tf.map_fn(at, tf.range(directions.num_passes), fn_output_signature=tf.TensorSpec(shape, first.dtype))


def sums_over_directions(
    derivatives: Callable[[Directions, Any], tf.Tensor],
    directions: Directions,
    weights: tf.Tensor,
    shape: tuple[int, ...],
) -> tuple[Sums, tf.Tensor]:
    """The power sums of the derivatives in all directions, stacked, and h, the sum of their squares.

    Random signs mean nothing one by one: they are taken as a single unit, whose mean is 0 and whose square is h.
    ``weights`` as for `power_sums`, the others as for `in_all_directions`.
    """

    def wide(index: Any) -> tf.Tensor:
        return tf.ensure_shape(tf.cast(derivatives(directions, index), tf.float64), shape)

    if directions.num_draws is not None:
        h = _estimated(wide, directions.num_draws, shape)
        zeros = tf.zeros((1, *shape[1:]), tf.float64)
        return (zeros, zeros, tf.reduce_sum(h * weights, axis=0)[None]), h
    if directions.num_units <= UNROLLED_UNITS:
        every = [wide(unit) for unit in range(directions.num_units)]
        sums = zip(*(power_sums(g, weights) for g in every), strict=True)
        return tuple(map(tf.stack, sums)), tf.add_n([g**2 for g in every])
    return _looped(wide, directions.num_units, weights, shape)


def _estimated(derivatives: Callable[[Any], tf.Tensor], count: int, shape: tuple[int, ...]) -> tf.Tensor:
    """The h of random signs."""

    def body(index: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index + 1, h + derivatives(index) ** 2

    return tf.while_loop(
        lambda index, _: index < count, body, (0, tf.zeros(shape, tf.float64)), maximum_iterations=count
    )[1]


def _looped(
    derivatives: Callable[[Any], tf.Tensor], count: int, weights: tf.Tensor, shape: tuple[int, ...]
) -> tuple[Sums, tf.Tensor]:
    """What `sums_over_directions` returns, of many units."""

    def body(unit: tf.Tensor, h: tf.Tensor, *columns: tf.TensorArray) -> tuple[Any, ...]:
        g = derivatives(unit)
        written = [column.write(unit, sums) for column, sums in zip(columns, power_sums(g, weights), strict=True)]
        return unit + 1, h + g**2, *written

    empty = [tf.TensorArray(tf.float64, count, element_shape=shape[1:]) for _ in range(3)]
    start = (0, tf.zeros(shape, tf.float64), *empty)
    looped = tf.while_loop(lambda unit, *_: unit < count, body, start, maximum_iterations=count)
    return tuple(column.stack() for column in looped[2:]), looped[1]


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
