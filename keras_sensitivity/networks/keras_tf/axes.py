"""How the axes of the measured tensors and of the outputs are read: entries, time steps, units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from keras_sensitivity import errors

__all__ = ["Lags", "Reading", "units_of"]


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


class Reading(NamedTuple):
    """How the steps of the heads are read.

    Attributes:
        mode: "static", "many-to-one", "many-to-many" or "all-steps".
        steps: The lags of the time axis that heads have, or else of the first input that has one; None without one.
        heads: Those of which only the newest step is asked for.
        sources: The positions of the tensors that have the steps of the heads.
        is_guess: Whether it cannot be known if the steps of the heads are those of the input.
    """

    mode: str
    steps: Lags | None
    heads: frozenset[str]
    sources: frozenset[int]
    is_guess: bool = False

    @classmethod
    def of(
        cls,
        asked: str,
        lags: Mapping[int, Lags],
        heads: Mapping[str, tf.Tensor],
        has_steps: Callable[[tf.Tensor, int], bool | None],
    ) -> Reading:
        """The reading that was asked for, or as the model is made.

        Args:
            asked: As in a `Definition`.
            lags: Of each tensor, by its position, that has a time axis.
            heads: The outputs by name.
            has_steps: Whether the second axis of a head stands for the time steps of the tensor at a position; None if
                that cannot be known.
        """
        if not lags:
            return cls("static", None, frozenset(), frozenset())
        first = next(iter(lags.values()))
        if asked == "many-to-many":
            return cls._by_length(lags, heads)
        kept: dict[tuple[str, int], bool | None] = {}
        for (name, head), (position, each) in itertools.product(heads.items(), lags.items()):
            if asked != "all-steps" and len(head.shape) >= 3 and head.shape[1] == each.num_lags:
                kept[name, position] = has_steps(head, position)
        stepped = [pair for pair, has in kept.items() if has is not False]
        steps = lags[stepped[0][1]] if stepped else first
        stepped = [(name, position) for name, position in stepped if lags[position].num_lags == steps.num_lags]
        named, positions = frozenset(name for name, _ in stepped), frozenset(position for _, position in stepped)
        if asked == "auto" and stepped:
            if len(named) < len(heads):
                errors.refuse_steps_of_heads([tuple(head.shape) for head in heads.values()], steps.num_lags)
            return cls("many-to-many", steps, named, positions, not any(kept.values()))
        if asked == "auto":
            asked = "all-steps" if any(len(head.shape) >= 3 for head in heads.values()) else "many-to-one"
        return cls(asked, steps, named, positions)

    @classmethod
    def _by_length(cls, lags: Mapping[int, Lags], heads: Mapping[str, tf.Tensor]) -> Reading:
        """Many-to-many, because that was asked for, with the first input whose steps are as many as the heads'."""
        shapes = [tuple(head.shape) for head in heads.values()]
        lengths = {shape[1] if len(shape) >= 2 else None for shape in shapes}
        steps = next((each for each in lags.values() if lengths == {each.num_lags}), None)
        if steps is None:
            errors.refuse_steps_of_heads(shapes, next(iter(lags.values())).num_lags)
        sources = frozenset(position for position, each in lags.items() if each.num_lags == steps.num_lags)
        return cls("many-to-many", steps, frozenset(heads), sources)

    def newest(self, name: str, head: tf.Tensor) -> tf.Tensor:
        """A head at the newest step of each row, if it has steps."""
        return self.steps.newest(head) if self.steps is not None and name in self.heads else head


def units_of(
    heads: dict[str, tf.Tensor], output: int | str | None, *, keeps_steps: bool = False, mode: str = ""
) -> tuple[tuple[str, ...], tf.Tensor]:
    """Names of the measured units, and one tensor of shape (batch_size, num_units).

    With ``keeps_steps`` the second axis of the heads is that of the steps: (batch_size, num_steps, num_units). In the
    mode "all-steps" a unit is named by its step, and by its place there if there are several: "5", "5/1".
    """
    names: list[str] = []
    tables = []
    for head, tensor in heads.items():
        kept = tensor.shape[:2] if keeps_steps else tensor.shape[:1]
        shape = tensor.shape[len(kept) :]
        width = math.prod(shape)
        inner = math.prod(shape[1:]) if mode == "all-steps" else 1
        prefix = "" if len(heads) == 1 else head if width == 1 else f"{head}/"
        units = [f"{unit}" if inner == 1 else f"{unit // inner}/{unit % inner}" for unit in range(width)]
        names += [prefix] if prefix == head else [prefix + unit for unit in units]
        tables.append(tf.reshape(tensor, (*kept, width)))
    target = tf.concat(tables, axis=-1) if len(tables) > 1 else tables[0]
    if not isinstance(output, int):
        return tuple(names), target
    if output >= len(names):
        errors.refuse_unit(output, names)
    return (names[output],), target[..., output : output + 1]
