"""How the axes of the measured tensors and of the outputs are read: entries, time steps, units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.network import Part

__all__ = ["Lags", "keeps_steps", "mode_of", "units_of"]


class Lags(NamedTuple):
    """Where each lag is in each row.

    Attributes:
        steps: The time step of each lag, shape (batch_size, num_lags); None if the newest step is the last in all rows.
        valid: 1.0 where the row has the lag, else 0.0, shape (batch_size, num_lags), float64.
        valid_steps: The same in the order of time.
        reached: Whether the row has any valid step, shape (batch_size,).
    """

    steps: tf.Tensor | None
    valid: tf.Tensor
    valid_steps: tf.Tensor
    reached: tf.Tensor

    @classmethod
    def of(cls, batch_size: int, num_lags: int | None, mask: tf.Tensor | None) -> Lags:
        """Lags that count back from the last step, or from the last one that the mask leaves valid."""
        count = num_lags or 1
        if mask is None:
            every = tf.ones((batch_size, count), tf.float64)
            return cls(None, every, every, tf.ones(batch_size, tf.bool))
        mask = tf.ensure_shape(mask, (batch_size, count))
        last = count - 1 - tf.argmax(tf.cast(mask[:, ::-1], tf.int32), axis=1, output_type=tf.int32)
        steps = last[:, None] - tf.range(count)[None, :]
        inside = tf.maximum(steps, 0)
        valid = tf.gather(mask, inside, axis=1, batch_dims=1) & (steps >= 0)
        return cls(inside, tf.cast(valid, tf.float64), tf.cast(mask, tf.float64), tf.reduce_any(mask, axis=1))

    @property
    def num_lags(self) -> int:
        """How many lags there are."""
        return int(self.valid.shape[1])

    @property
    def all_steps(self) -> tf.Tensor:
        """The time step of each lag, shape (batch_size, num_lags)."""
        return tf.broadcast_to(tf.range(self.num_lags)[::-1], self.valid.shape) if self.steps is None else self.steps

    def order(self, entries: tf.Tensor) -> tf.Tensor:
        """Entries of shape (batch_size, num_steps, num_entries) by lag instead of by step."""
        if self.steps is None:
            return entries[:, ::-1] if entries.shape[1] != 1 else entries
        return tf.gather(entries, self.steps, axis=1, batch_dims=1)

    def newest(self, entries: tf.Tensor) -> tf.Tensor:
        """Entries of shape (batch_size, num_steps, ...) at the newest step of each row."""
        return entries[:, -1] if self.steps is None else tf.gather(entries, self.steps[:, 0], axis=1, batch_dims=1)


def mode_of(asked: str, read: Sequence[tuple[Part, Lags]], shapes: list[tuple[int, ...]]) -> tuple[str, Lags | None]:
    """The mode of a model with heads of these shapes, and the time axis that the heads have, or else the first."""
    sequences = [lags for part, lags in read if part.num_lags is not None]
    if not sequences:
        return "static", None
    kept = [lags for lags in sequences if any(keeps_steps(shape, lags.num_lags) for shape in shapes)]
    if asked == "auto":
        asked = "many-to-many" if kept else "many-to-one"
    steps = (kept or sequences)[0]
    if asked == "many-to-many" and not all(len(shape) >= 2 and shape[1] == steps.num_lags for shape in shapes):
        errors.refuse_steps_of_heads(shapes, steps.num_lags)
    return asked, steps


def keeps_steps(shape: Sequence[int], num_lags: int) -> bool:
    """Whether a head of this shape has the time steps of the input as its second axis."""
    return len(shape) >= 3 and shape[1] == num_lags


def units_of(
    heads: dict[str, tf.Tensor], output: int | str | None, num_steps: int | None = None
) -> tuple[tuple[str, ...], tf.Tensor]:
    """Names of the measured units, and one tensor of shape (batch_size, num_units).

    With ``num_steps`` the second axis of the heads is that of the steps: (batch_size, num_steps, num_units).
    """
    names: list[str] = []
    tables = []
    for head, tensor in heads.items():
        kept = tensor.shape[:1] if num_steps is None else tensor.shape[:2]
        width = math.prod(tensor.shape[len(kept) :])
        prefix = "" if len(heads) == 1 else head if width == 1 else f"{head}/"
        names += [prefix] if prefix == head else [f"{prefix}{unit}" for unit in range(width)]
        tables.append(tf.reshape(tensor, (*kept, width)))
    target = tf.concat(tables, axis=-1) if len(tables) > 1 else tables[0]
    if not isinstance(output, int):
        return tuple(names), target
    if output >= len(names):
        errors.refuse_unit(output, names)
    return (names[output],), target[..., output : output + 1]
