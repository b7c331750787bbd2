"""Model + batch -> derivatives, summed over the batch or row by row: the only room with a gradient tape.

The forward pass runs once under a persistent tape; one backward pass a unit follows.

Inside, every input has the shape (batch_size, num_lags, num_columns): a table has one lag, an image is one long row
of columns. Lag 0 is the newest step; with a mask, that is the last valid one of each row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, _models
from keras_sensitivity._tracing import Traced
from keras_sensitivity.moments import CrossMoments, LookMoments, Moments

__all__ = ["BatchMoments", "Derivatives", "InputMoments", "Pass", "RowGradients"]

Array = np.ndarray[Any, Any]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to compile flat.
UNROLLED_UNITS = 16

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 256


class Pass(Traced):
    """A forward pass under a tape, and what a kind of pass makes of it.

    Attributes:
        units: Names of the output units, shape (num_units,).
        mode: "static", "many-to-one" or "many-to-many".
        saturates: Whether what is differentiated is a softmax or sigmoid.
        same_step: How many-to-many models are differentiated: "one pass" for recurrent stacks whose states are all
            that leads from step to step, "exact" with one pass a step for all others, else "".
        keeps_rows: Whether the derivatives of single rows are returned, not only their sums.
    """

    keeps_rows = False
    units: tuple[str, ...] = ()
    mode = "static"
    saturates = False
    same_step = ""

    def _forward(self, x: tf.Tensor) -> _Forward:
        """The forward pass, and which of its results are differentiated."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            heads, mask = self._outputs(x)
            lags = _Lags.of(x.shape[0], self._layout.num_lags, mask)
            newest = {name: lags.newest(head) if self._has_steps(head) else head for name, head in heads.items()}
            self.units, target = _units(newest, self._definition.output)
        return _Forward(x, tape, heads, lags, target)

    def _has_steps(self, head: tf.Tensor) -> bool:
        """Whether the second axis of a head is that of the time steps."""
        return self.mode == "many-to-many" or _keeps_steps(head.shape, self._layout.num_lags)

    def _entries(self, x: tf.Tensor) -> tf.Tensor:
        """A batch as (batch_size, num_lags, num_columns), in the order of time."""
        return tf.reshape(x, (x.shape[0], self._layout.num_lags or 1, self._layout.num_columns))

    def _input_sums(self, x: tf.Tensor, lags: _Lags, present: tf.Tensor) -> tuple[Any, Any, Any]:
        """Sums of the entries of x by lag, each weighing what ``present`` of shape (batch_size, num_lags) says."""
        return _power_sums(lags.order(self._entries(tf.cast(x, tf.float64))), present)

    def _outputs(self, x: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
        """The heads that are differentiated, in float32 or float64, and the mask of the steps."""
        model = self._model()
        assert model is not None
        with _models.final_activations(model) as activated, _models.masks(model) as masks:
            heads = _models.heads(model, _models.forward(model, x))
        if isinstance(self._definition.output, str):
            if self._definition.output not in heads:
                _checks.unit(self._definition.output, list(heads))
            heads = {self._definition.output: heads[self._definition.output]}
        inner = {name: activated.get(id(head)) for name, head in heads.items()}
        self.saturates = not self._definition.logits and any(logits is not None for logits in inner.values())
        if self._definition.logits:
            heads = {name: _checks.logits() if logits is None else logits for name, logits in inner.items()}
        if not all(head.dtype.is_floating for head in heads.values()):
            _checks.path(["x"])
        num_lags = self._layout.num_lags
        self.mode = _mode(self._definition.mode, num_lags, [tuple(head.shape) for head in heads.values()])
        wide = {
            name: tf.cast(head, tf.float64 if head.dtype == tf.float64 else tf.float32) for name, head in heads.items()
        }
        return wide, next((mask for mask in masks if num_lags and mask.shape[1] == num_lags), None)


class BatchMoments(Pass):
    """The pass of a look: the `LookMoments` of a batch, and whether each row has a step that is not masked."""

    def _traced(self, x: tf.Tensor, weights: tf.Tensor, target_scale: tf.Tensor) -> _Sums:
        """Sums over the batch, in float64."""
        forward = self._forward(x)
        lags = forward.lags
        rows = tf.cast(weights, tf.float64)[:, None]
        present = rows * lags.valid

        def derivatives(unit: Any) -> tf.Tensor:
            """Derivatives of a unit at the newest step, shape (batch_size, num_lags, num_columns)."""
            return lags.order(self._entries(forward.derivatives(unit, target_scale)))

        shape = (x.shape[0], self._layout.num_lags or 1, self._layout.num_columns)
        per_unit, h = _over_units(derivatives, present, len(self.units), shape)
        flat = tf.reduce_all(h == 0, axis=(1, 2)) & (weights > 0)
        same_step: tuple[Any, ...] = ()
        if self.mode == "many-to-many":
            diagonal = self._same_step(forward, target_scale)
            same_step, h = _over_units(diagonal, present, len(self.units), shape)
        h = tf.reshape(h * lags.valid[:, :, None], (x.shape[0], -1))
        return _Sums(
            lags.reached,
            (tf.math.count_nonzero(weights), tf.math.count_nonzero(flat)),
            (tf.reduce_sum(rows), tf.reduce_sum(rows**2), tf.reduce_sum(present, axis=0)[:, None]),
            per_unit,
            same_step,
            self._input_sums(x, lags, present),
            _product_sums(h, rows),
        )

    def _is_finite(self, found: _Sums) -> bool:
        # The squares of derivatives that are not finite would not be either.
        return all(np.isfinite(sums[-1]).all() for sums in (found.derivatives, found.same_step, found.squares) if sums)

    def _result(self, found: _Sums) -> tuple[LookMoments, Array]:
        weight, weight_squares, lag_weights = found.weights
        moments = LookMoments(
            Moments.from_sums(lag_weights, *found.derivatives),
            Moments.from_sums(lag_weights, *found.same_step) if found.same_step else None,
            Moments.from_sums(lag_weights, *found.inputs),
            CrossMoments.from_sums(weight, weight_squares, *found.squares),
            int(found.present[0]),
            int(found.present[1]),
        )
        return moments, found.reached

    def _same_step(self, forward: _Forward, target_scale: tf.Tensor) -> Callable[[Any], tf.Tensor]:
        """A function from a unit to its derivatives of each step with respect to the same step of x, by lag."""
        model = self._model()
        assert model is not None
        x, tape, heads, lags, _ = forward
        num_steps = self._layout.num_lags
        self.same_step = "exact"
        if _models.keeps_steps_apart(model):
            with tf.GradientTape(persistent=True) as stopped, _models.stopped_states(model) as run:
                stopped.watch(x)
                apart = _units(self._outputs(x)[0], self._definition.output, num_steps)[1]
            # A cuDNN kernel would not run the cells, and so would not stop their states.
            if run == _models.recurrent_paths(model):
                self.same_step = "one pass"

                def one_pass(unit: Any) -> tf.Tensor:
                    """The derivative of the sum over valid steps: the diagonal, where no step leads to another."""
                    one_hot = tf.one_hot(unit, apart.shape[2], dtype=apart.dtype)
                    direction = tf.cast(lags.valid_steps, apart.dtype)[:, :, None] * one_hot
                    return lags.order(self._entries(_gradient(stopped, apart, x, direction, target_scale)))

                return one_pass
        with tape:
            target = _units(heads, self._definition.output, num_steps)[1]

        def exact(unit: Any) -> tf.Tensor:
            """One backward pass a step, of which that step's derivatives are kept."""

            def at(step: tf.Tensor) -> tf.Tensor:
                here = tf.one_hot(step, target.shape[1], dtype=target.dtype)[:, None]
                direction = tf.broadcast_to(here * tf.one_hot(unit, target.shape[2], dtype=target.dtype), target.shape)
                return self._entries(_gradient(tape, target, x, direction, target_scale))[:, step]

            steps = tf.map_fn(at, tf.range(target.shape[1]), fn_output_signature=tf.float64)
            return lags.order(tf.transpose(steps, (1, 0, 2)))

        return exact


class _Sums(NamedTuple):
    """What the device returns for a batch of a look."""

    reached: Any
    present: tuple[Any, Any]
    weights: tuple[Any, Any, Any]
    derivatives: tuple[Any, ...]
    same_step: tuple[Any, ...]
    inputs: tuple[Any, Any, Any]
    squares: tuple[Any, Any, Any]


class Derivatives(NamedTuple):
    """What `RowGradients` returns for a batch.

    Attributes:
        gradients: Of each unit at its newest step, shape (batch_size, num_units, *row_shape).
        predictions: What is differentiated, shape (batch_size, num_units).
        steps: The time step of each lag, shape (batch_size, num_lags).
        valid: Whether the row has the lag, of the same shape.
    """

    gradients: Any
    predictions: Any
    steps: Any
    valid: Any


class RowGradients(Pass):
    """The pass of an explanation: the `Derivatives` of each row, and whether it has a step that is not masked."""

    keeps_rows = True

    def _traced(self, x: tf.Tensor, weights: tf.Tensor, target_scale: tf.Tensor) -> Derivatives:
        forward = self._forward(x)

        def derivatives(unit: Any) -> tf.Tensor:
            return tf.cast(forward.derivatives(unit, target_scale), x.dtype)

        num_units = len(self.units)
        if num_units <= UNROLLED_UNITS:
            gradients = tf.stack([derivatives(unit) for unit in range(num_units)])
        else:
            gradients = tf.map_fn(derivatives, tf.range(num_units), fn_output_signature=x.dtype)
        steps = forward.lags.steps
        if steps is None:
            newest_first = tf.range(forward.lags.valid.shape[1])[::-1]
            steps = tf.broadcast_to(newest_first, forward.lags.valid.shape)
        by_row = tf.transpose(gradients, (1, 0, *range(2, len(gradients.shape))))
        return Derivatives(by_row, forward.target, steps, forward.lags.valid > 0)

    def _is_finite(self, found: Derivatives) -> bool:
        return bool(np.isfinite(found.gradients).all())

    def _result(self, found: Derivatives) -> tuple[Derivatives, Array]:
        return found, found.valid.any(axis=1)


class InputMoments(Pass):
    """The pass over background rows: the `Moments` of the input entries; of the model only its mask is run."""

    def _traced(self, x: tf.Tensor, weights: tf.Tensor, target_scale: tf.Tensor) -> tuple[Any, ...]:
        lags = self._forward(x).lags
        present = tf.cast(weights, tf.float64)[:, None] * lags.valid
        return lags.reached, tf.reduce_sum(present, axis=0)[:, None], self._input_sums(x, lags, present)

    def _is_finite(self, found: tuple[Any, ...]) -> bool:
        return True

    def _result(self, found: tuple[Any, ...]) -> tuple[Moments, Array]:
        reached, weight, sums = found
        return Moments.from_sums(weight, *sums), reached


class _Forward(NamedTuple):
    """A forward pass.

    Attributes:
        x: The batch, watched by the tape.
        tape: Persistent, to be asked once a unit.
        heads: The outputs that are differentiated.
        lags: Where each lag is in each row.
        target: The heads at their newest step, shape (batch_size, num_units).
    """

    x: tf.Tensor
    tape: tf.GradientTape
    heads: dict[str, tf.Tensor]
    lags: _Lags
    target: tf.Tensor

    def derivatives(self, unit: Any, target_scale: tf.Tensor) -> tf.Tensor:
        """Of one unit with respect to x, of the shape of x, in float64."""
        one_hot = tf.one_hot(unit, self.target.shape[1], dtype=self.target.dtype)
        direction = tf.broadcast_to(one_hot, self.target.shape)
        return _gradient(self.tape, self.target, self.x, direction, target_scale)


class _Lags(NamedTuple):
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
    def of(cls, batch_size: int, num_lags: int | None, mask: tf.Tensor | None) -> _Lags:
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

    def order(self, entries: tf.Tensor) -> tf.Tensor:
        """Entries of shape (batch_size, num_steps, num_columns) by lag instead of by step."""
        if self.steps is None:
            return entries[:, ::-1] if entries.shape[1] != 1 else entries
        return tf.gather(entries, self.steps, axis=1, batch_dims=1)

    def newest(self, entries: tf.Tensor) -> tf.Tensor:
        """Entries of shape (batch_size, num_steps, ...) at the newest step of each row."""
        return entries[:, -1] if self.steps is None else tf.gather(entries, self.steps[:, 0], axis=1, batch_dims=1)


def _mode(asked: str, num_lags: int | None, shapes: list[tuple[int, ...]]) -> str:
    """The mode of a model with heads of these shapes."""
    if num_lags is None:
        return "static"
    if asked == "auto":
        asked = "many-to-many" if any(_keeps_steps(shape, num_lags) for shape in shapes) else "many-to-one"
    if asked == "many-to-many" and not all(len(shape) >= 2 and shape[1] == num_lags for shape in shapes):
        _checks.steps_of_heads(shapes, num_lags)
    return asked


def _keeps_steps(shape: Sequence[int], num_lags: int | None) -> bool:
    """Whether a head of this shape has the time steps of the input as its second axis."""
    return num_lags is not None and len(shape) >= 3 and shape[1] == num_lags


def _units(
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
        _checks.unit(output, names)
    return (names[output],), target[..., output : output + 1]


def _gradient(
    tape: tf.GradientTape, target: tf.Tensor, x: tf.Tensor, direction: tf.Tensor, target_scale: tf.Tensor
) -> tf.Tensor:
    """Derivatives of ``sum(direction * target)`` with respect to x, of its shape, in float64.

    The scale, a power of 2, lifts them over the smallest float16 on their way; taking it back in float64 is exact.
    """
    scaled = direction * tf.cast(target_scale, target.dtype)
    found = tape.gradient(target, x, output_gradients=scaled)
    if found is None:
        _checks.path(["x"])
    return tf.cast(tf.ensure_shape(found, x.shape), tf.float64) / tf.cast(target_scale, tf.float64)


def _over_units(
    derivatives: Callable[[Any], tf.Tensor], weights: tf.Tensor, num_units: int, shape: tuple[int, ...]
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """The power sums of each unit's derivatives, stacked, and h = sum over units of g**2, of ``shape``."""
    h = tf.zeros(shape, tf.float64)
    if num_units <= UNROLLED_UNITS:
        every = []
        for unit in range(num_units):
            g = derivatives(unit)
            h += g**2
            every.append(_power_sums(g, weights))
        return tuple(tf.stack(sums) for sums in zip(*every, strict=True)), h

    def body(unit: tf.Tensor, h: tf.Tensor, *columns: tf.TensorArray) -> tuple[Any, ...]:
        g = tf.ensure_shape(derivatives(unit), shape)
        written = [column.write(unit, sums) for column, sums in zip(columns, _power_sums(g, weights), strict=True)]
        return unit + 1, h + g**2, *written

    empty = [tf.TensorArray(tf.float64, num_units, element_shape=shape[1:]) for _ in range(3)]
    looped = tf.while_loop(lambda unit, *_: unit < num_units, body, (0, h, *empty), maximum_iterations=num_units)
    return tuple(column.stack() for column in looped[2:]), looped[1]


def _power_sums(values: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift, and weighted sums of ``v - shift`` and its squares: see `Moments.from_sums`.

    The values have the axes of the weights, rows first, and one more.
    """
    shift = values[0]
    centred = values - shift
    weighted = centred * weights[..., None]
    return shift, tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weighted * centred, axis=0)


def _product_sums(values: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift, and weighted sums of ``v - shift`` and its products, or only squares for wide inputs."""
    if values.shape[1] > CROSS_ENTRIES:
        return _power_sums(values, weights[:, 0])
    shift = values[0]
    centred = values - shift
    weighted = centred * weights
    return shift, tf.reduce_sum(weighted, axis=0), tf.matmul(weighted, centred, transpose_a=True)
