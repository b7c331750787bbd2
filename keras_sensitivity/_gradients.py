"""Model + batch -> sums over the batch: the only room with a gradient tape.

The forward pass runs once under a persistent tape; one backward pass a unit follows. All of it is one function,
traced once for one shape and compiled by XLA where that is faster.

Inside, every input has the shape (batch_size, num_lags, num_columns): a table has one lag, an image is one long row
of columns. Lag 0 is the newest step; with a mask, that is the last valid one of each row.
"""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, _models
from keras_sensitivity.definition import Definition
from keras_sensitivity.moments import CrossMoments, LookMoments, Moments

__all__ = ["Gradients", "Layout", "suitable_batch_size", "traced"]

JitCompile = bool | Literal["auto"]
Array = np.ndarray[Any, Any]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to compile flat.
UNROLLED_UNITS = 16

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 256

# Traces kept for one model: several batch shapes or output units in turn.
TRACES_KEPT = 16

# A float16 network loses derivatives below 6e-8, so its target is scaled up as far as it stays finite.
FIRST_HALF_SCALE = 2.0**24
HALF_SCALE_STEP = 16.0

# Floats that one batch may hold in its activations and derivatives (256 MB in float32), and rows at the most.
BATCH_FLOATS = 2**26
BATCH_ROWS = 2**15


class Layout(NamedTuple):
    """How the axes of one input row are read.

    Attributes:
        num_lags: Time steps; None without a time axis.
        num_columns: Entries of one step, or of the whole row.
    """

    num_lags: int | None
    num_columns: int


class Gradients:
    """A traced model: call it on a batch to get the `LookMoments` of the batch.

    Args:
        model: A built Keras model.
        batch: Rows of shape (batch_size, ...) whose shape and type all later batches share.
        layout: How the axes after the first are read.
        definition: What is differentiated.
        jit_compile: True, False, or "auto" for whichever is faster.

    Attributes:
        units: Names of the output units, shape (num_units,).
        mode: "static", "many-to-one" or "many-to-many".
        saturates: Whether what is differentiated is a softmax or sigmoid.
        compiler: "XLA" or "plain graph".
        reason: Why this compiler.
        same_step: How many-to-many models are differentiated: "one pass" for recurrent stacks whose states are all
            that leads from step to step, "exact" with one pass a step for all others, else "".
    """

    def __init__(
        self, model: keras.Model, batch: Array, layout: Layout, definition: Definition, jit_compile: JitCompile
    ) -> None:
        self._model = weakref.ref(model)  # a function in the cache must not keep its model alive
        self._layout = layout
        self._definition = definition
        self._spec = tf.TensorSpec(batch.shape, batch.dtype)
        self._halves = any(layer.compute_dtype == "float16" for layer in _models.layers(model))
        self._target_scale = FIRST_HALF_SCALE if self._halves else 1.0
        self.units: tuple[str, ...] = ()
        self.mode = "static"
        self.saturates = False
        self.same_step = ""
        self._use_xla, self.reason = _choose_compiler(model, jit_compile)
        self._trace()

    @property
    def compiler(self) -> str:
        """What the function was compiled by."""
        return "XLA" if self._use_xla else "plain graph"

    def __call__(self, batch: Array, weights: Array) -> tuple[LookMoments, Array]:
        """Moments of a batch of shape (batch_size, ...) with row weights of shape (batch_size,).

        Returns:
            The moments, and for each row whether it has a step that is not masked, shape (batch_size,).
        """
        while True:
            sums = self._run(tf.constant(batch), tf.constant(weights))
            if sums.are_finite():
                return sums.moments(), sums.reached
            if not self._halves or self._target_scale <= 1:
                _checks.derivatives()
            self._target_scale /= HALF_SCALE_STEP

    def _run(self, batch: tf.Tensor, weights: tf.Tensor) -> _Sums:
        try:
            sums = self._function(batch, weights, tf.constant(self._target_scale, batch.dtype))
        except tf.errors.ResourceExhaustedError as error:
            _checks.memory(error, batch.shape[0])
        except (tf.errors.OpError, ValueError, NotImplementedError) as error:
            if not self._use_xla:
                raise
            self._use_xla = False
            self.reason = f"XLA failed: {str(error).strip().splitlines()[0]}"
            _checks.warn(
                f"{self.reason}. The plain graph is used instead; pass jit_compile=False to go there directly."
            )
            self._trace()
            return self._run(batch, weights)
        return _Sums(*tf.nest.map_structure(lambda tensor: tensor.numpy(), sums))

    def _trace(self) -> None:
        """Trace the pass for the one batch shape, into a concrete function: Keras' users see no retracing warnings."""
        function = tf.function(self._sums, jit_compile=self._use_xla, autograph=False)
        row_weights = tf.TensorSpec(self._spec.shape[:1], self._spec.dtype)
        self._function = function.get_concrete_function(self._spec, row_weights, tf.TensorSpec((), self._spec.dtype))

    # --- traced -----------------------------------------------------------------------------------------------------

    def _sums(self, x: tf.Tensor, weights: tf.Tensor, target_scale: tf.Tensor) -> tuple[Any, ...]:
        """The traced pass: sums over the batch, in float64, as `_Sums` keeps them."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            heads, mask = self._outputs(x)
            lags = _Lags.of(x.shape[0], self._layout.num_lags, mask)
            newest = {name: lags.newest(head) if self._has_steps(head) else head for name, head in heads.items()}
            self.units, target = _units(newest, self._definition.output)
        rows = tf.cast(weights, tf.float64)[:, None]
        present = rows * lags.valid

        def derivatives(unit: Any) -> tf.Tensor:
            """Derivatives of a unit at the newest step, shape (batch_size, num_lags, num_columns)."""
            direction = tf.broadcast_to(tf.one_hot(unit, target.shape[1], dtype=target.dtype), target.shape)
            return lags.order(self._entries(_gradient(tape, target, x, direction, target_scale)))

        shape = (x.shape[0], self._layout.num_lags or 1, self._layout.num_columns)
        per_unit, h = _over_units(derivatives, present, len(self.units), shape)
        flat = tf.reduce_all(h == 0, axis=(1, 2)) & (weights > 0)
        same_step: tuple[Any, ...] = ()
        if self.mode == "many-to-many":
            diagonal = self._same_step(x, heads, lags, tape, target_scale)
            same_step, h = _over_units(diagonal, present, len(self.units), shape)
        h = tf.reshape(h * lags.valid[:, :, None], (x.shape[0], -1))
        return (
            lags.reached,
            (tf.math.count_nonzero(weights), tf.math.count_nonzero(flat)),
            (tf.reduce_sum(rows), tf.reduce_sum(rows**2), tf.reduce_sum(present, axis=0)[:, None]),
            per_unit,
            same_step,
            _power_sums(lags.order(self._entries(tf.cast(x, tf.float64))), present),
            _product_sums(h, rows),
        )

    def _has_steps(self, head: tf.Tensor) -> bool:
        """Whether the second axis of a head is that of the time steps."""
        return self.mode == "many-to-many" or _keeps_steps(head.shape, self._layout.num_lags)

    def _entries(self, x: tf.Tensor) -> tf.Tensor:
        """A batch as (batch_size, num_lags, num_columns), in the order of time."""
        return tf.reshape(x, (x.shape[0], self._layout.num_lags or 1, self._layout.num_columns))

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

    def _same_step(
        self, x: tf.Tensor, heads: dict[str, tf.Tensor], lags: _Lags, tape: tf.GradientTape, target_scale: tf.Tensor
    ) -> Callable[[Any], tf.Tensor]:
        """A function from a unit to its derivatives of each step with respect to the same step of x, by lag."""
        model = self._model()
        assert model is not None
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


@dataclasses.dataclass(frozen=True)
class _Sums:
    """What the device returns for a batch, as NumPy arrays; in its order."""

    reached: Array
    present: tuple[Any, Any]
    weights: tuple[Any, Any, Any]
    derivatives: tuple[Any, Any, Any]
    same_step: tuple[Any, ...]
    inputs: tuple[Any, Any, Any]
    squares: tuple[Any, Any, Any]

    def are_finite(self) -> bool:
        """Whether all derivatives are; their squares would not be."""
        return all(np.isfinite(sums[-1]).all() for sums in (self.derivatives, self.same_step, self.squares) if sums)

    def moments(self) -> LookMoments:
        weight, weight_squares, lag_weights = self.weights
        return LookMoments(
            Moments.from_sums(lag_weights, *self.derivatives),
            Moments.from_sums(lag_weights, *self.same_step) if self.same_step else None,
            Moments.from_sums(lag_weights, *self.inputs),
            CrossMoments.from_sums(weight, weight_squares, *self.squares),
            int(self.present[0]),
            int(self.present[1]),
        )


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


# --- before the trace -----------------------------------------------------------------------------------------------


def traced(
    model: keras.Model, batch: Array, layout: Layout, definition: Definition, jit_compile: JitCompile
) -> Gradients:
    """`Gradients` for the model as it is built now, traced only where that was not done before."""
    known = _cache.setdefault(model, {})
    what = (definition.output, definition.logits, definition.mode)
    key = (batch.shape, batch.dtype.str, layout, what, jit_compile, _models.fingerprint(model))
    if key not in known:
        while len(known) >= TRACES_KEPT:
            del known[next(iter(known))]
        known[key] = Gradients(model, batch, layout, definition, jit_compile)
    return known[key]


_cache: weakref.WeakKeyDictionary[keras.Model, dict[Any, Gradients]] = weakref.WeakKeyDictionary()


def suitable_batch_size(model: keras.Model, num_rows: int, row_shape: tuple[int, ...]) -> int:
    """Rows of a batch whose activations and derivatives take about 256 MB, in equal batches over all rows."""
    widths: int = sum(variable.shape[-1] for variable in model.trainable_variables if variable.shape)
    outputs = [tensor.shape[-1] or 1 for tensor in getattr(model, "outputs", None) or [] if len(tensor.shape) > 1]
    units = min(UNROLLED_UNITS, sum(outputs) or UNROLLED_UNITS)
    # Derivatives are float64, and those of several units are alive at once; activations have their gradients.
    floats_per_row = 2 * (units + 2) * math.prod(row_shape) + 2 * math.prod(row_shape[:-1]) * widths
    most = max(1, min(BATCH_ROWS, BATCH_FLOATS // floats_per_row))
    num_batches = -(-num_rows // most)
    return -(-num_rows // num_batches)


def _choose_compiler(model: keras.Model, jit_compile: JitCompile) -> tuple[bool, str]:
    """Whether to use XLA, and why."""
    if jit_compile != "auto":
        return jit_compile, f"jit_compile={jit_compile}"
    for layer in _models.layers(model):
        if not getattr(layer, "supports_jit", True):
            return False, f"the layer {layer.name!r} does not support XLA"
        if "Conv" in type(layer).__name__ and not tf.config.list_physical_devices("GPU"):
            return False, f"the convolution {layer.name!r} is faster without XLA on a CPU"
    return True, "every layer supports it"
