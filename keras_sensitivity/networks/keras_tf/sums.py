"""Weighted sums over the rows of a batch, on the device, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sensitivity.networks.keras_tf.directions import Directions

__all__ = ["UNROLLED_UNITS", "over_directions", "power_sums", "product_sums"]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to compile flat.
UNROLLED_UNITS = 16

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 256

Sums = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


def over_directions(
    derivatives: Callable[[Directions, Any], tf.Tensor],
    directions: Directions,
    weights: tf.Tensor,
    shape: tuple[int, ...],
    keep: bool,
) -> tuple[Sums, tf.Tensor, Any]:
    """What is made of the derivatives g in all directions, each of ``shape``.

    Args:
        derivatives: Those in one of the directions, by its index.
        directions: All of them.
        weights: See `power_sums`.
        shape: Of the derivatives.
        keep: Whether the g**2 themselves are returned.

    Returns:
        The power sums, stacked; h = sum over the directions of g**2; the g**2, stacked, or (). Random signs mean
        nothing one by one: they are taken as a single unit, whose mean is 0 and whose g**2 is h.
    """
    if directions.num_draws is not None:
        h = _estimated(derivatives, directions, shape)
        zeros = tf.zeros((1, *shape[1:]), tf.float64)
        return (zeros, zeros, tf.reduce_sum(h * weights, axis=0)[None]), h, h[None] if keep else ()
    if directions.num_units <= UNROLLED_UNITS:
        every = [derivatives(directions, unit) for unit in range(directions.num_units)]
        sums = zip(*(power_sums(g, weights) for g in every), strict=True)
        squares = [g**2 for g in every]
        return tuple(map(tf.stack, sums)), tf.add_n(squares), tf.stack(squares) if keep else ()
    return _looped(derivatives, directions, weights, shape, keep)


def _estimated(
    derivatives: Callable[[Directions, Any], tf.Tensor], directions: Directions, shape: tuple[int, ...]
) -> tf.Tensor:
    """The h of random signs."""

    def body(index: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index + 1, h + tf.ensure_shape(derivatives(directions, index), shape) ** 2

    count = directions.num_draws
    return tf.while_loop(
        lambda index, _: index < count, body, (0, tf.zeros(shape, tf.float64)), maximum_iterations=count
    )[1]


def _looped(
    derivatives: Callable[[Directions, Any], tf.Tensor],
    directions: Directions,
    weights: tf.Tensor,
    shape: tuple[int, ...],
    keep: bool,
) -> tuple[Sums, tf.Tensor, Any]:
    """What `over_directions` returns, of many units."""
    count = directions.num_units

    def body(unit: tf.Tensor, h: tf.Tensor, *columns: tf.TensorArray) -> tuple[Any, ...]:
        g = tf.ensure_shape(derivatives(directions, unit), shape)
        values = [*power_sums(g, weights), *([g**2] if keep else [])]
        written = [column.write(unit, value) for column, value in zip(columns, values, strict=True)]
        return unit + 1, h + g**2, *written

    empty = [tf.TensorArray(tf.float64, count, element_shape=shape[1:]) for _ in range(3)]
    if keep:
        empty.append(tf.TensorArray(tf.float64, count, element_shape=shape))
    start = (0, tf.zeros(shape, tf.float64), *empty)
    looped = tf.while_loop(lambda unit, *_: unit < count, body, start, maximum_iterations=count)
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
