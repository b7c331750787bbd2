"""Model + batch -> sums over the batch: the only room with a gradient tape.

The forward pass is `stateless_call`, so that a look changes no seed generator, no statistic and no state. It runs
once under a persistent tape; one backward pass a unit follows. All of it is one function, traced once for one shape
and compiled by XLA where that is faster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks
from keras_sensitivity.definition import Definition
from keras_sensitivity.moments import CrossMoments, LookMoments, Moments

__all__ = ["Gradients", "suitable_batch_size", "traced"]

JitCompile = bool | Literal["auto"]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to compile flat.
UNROLLED_UNITS = 16

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 128

# Traces kept for one model: several batch shapes or output units in turn.
TRACES_KEPT = 16

# A float16 network loses derivatives below 6e-8, so its target is scaled up as far as it stays finite.
FIRST_HALF_SCALE = 2.0**24
HALF_SCALE_STEP = 16.0

# Floats that one batch may hold in its activations and derivatives (256 MB in float32), and rows at the most.
BATCH_FLOATS = 2**26
BATCH_ROWS = 2**15


class Gradients:
    """A traced model: call it on a batch to get the `LookMoments` of the batch.

    Args:
        model: A built Keras model.
        batch: Rows of shape (batch_size, num_columns) whose shape and type all later batches share.
        definition: What is differentiated.
        jit_compile: True, False, or "auto" for whichever is faster.

    Attributes:
        units: Names of the output units, shape (num_units,).
        saturates: Whether what is differentiated is a softmax or sigmoid.
        compiler: "XLA" or "plain graph".
        reason: Why this compiler.
    """

    def __init__(
        self, model: keras.Model, batch: np.ndarray[Any, Any], definition: Definition, jit_compile: JitCompile
    ) -> None:
        self._model = weakref.ref(model)  # a function in the cache must not keep its model alive
        self._definition = definition
        self._spec = tf.TensorSpec(batch.shape, batch.dtype)
        self._halves = any(layer.compute_dtype == "float16" for layer in layers(model))
        self._target_scale = FIRST_HALF_SCALE if self._halves else 1.0
        self.units: tuple[str, ...] = ()
        self.saturates = False
        self._use_xla, self.reason = _choose_compiler(model, jit_compile)
        self._trace()

    @property
    def compiler(self) -> str:
        """What the function was compiled by."""
        return "XLA" if self._use_xla else "plain graph"

    def __call__(self, batch: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> LookMoments:
        """Moments of a batch of shape (batch_size, num_columns) with row weights of shape (batch_size,)."""
        while True:
            sums = self._run(tf.constant(batch), tf.constant(weights))
            if all(np.isfinite(total).all() for total in (sums.derivatives[-1], sums.squares[-1])):
                return sums.moments()
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
            _checks.warn(f"{self.reason}. The plain graph is used instead; pass jit_compile=False to go there directly.")
            self._trace()
            return self._run(batch, weights)
        return _Sums(*tf.nest.map_structure(lambda tensor: tensor.numpy(), sums))

    def _trace(self) -> None:
        """Trace the pass for the one batch shape, into a concrete function: Keras' users see no retracing warnings."""
        function = tf.function(self._sums, jit_compile=self._use_xla, autograph=False)
        row_weights = tf.TensorSpec(self._spec.shape[:1], self._spec.dtype)
        self._function = function.get_concrete_function(self._spec, row_weights, tf.TensorSpec((), self._spec.dtype))

    def _sums(self, x: tf.Tensor, weights: tf.Tensor, target_scale: tf.Tensor) -> tuple[Any, ...]:
        """The traced pass: sums over the batch, in float64, as `_Sums` keeps them."""
        weights = tf.cast(weights, tf.float64)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            target = self._target(x)

        def derivatives(unit: int | tf.Tensor) -> tf.Tensor:
            """Derivatives of one unit, shape (batch_size, num_entries), in float64: sums in float32 lose digits."""
            direction = tf.one_hot(unit, target.shape[1], dtype=target.dtype) * tf.cast(target_scale, target.dtype)
            found = tape.gradient(target, x, output_gradients=tf.broadcast_to(direction, tf.shape(target)))
            if found is None:
                _checks.path(["x"])
            return tf.cast(found, tf.float64) / tf.cast(target_scale, tf.float64)

        per_unit, h = _over_units(derivatives, lambda g: _power_sums(g, weights), len(self.units), x.shape)
        flat = tf.reduce_all(h == 0, axis=1) & (weights > 0)
        present = tf.math.count_nonzero(weights), tf.math.count_nonzero(flat)
        totals = tf.reduce_sum(weights), tf.reduce_sum(weights**2)
        return present, totals, per_unit, _power_sums(tf.cast(x, tf.float64), weights), _product_sums(h, weights)

    def _target(self, x: tf.Tensor) -> tf.Tensor:
        """What is differentiated, shape (batch_size, num_units), in float32 or float64."""
        model = self._model()
        assert model is not None
        with _final_activations(model) as activated:
            try:
                output = _forward(model, x)
            except Exception as error:
                _checks.call(error, x.shape)
        heads = _heads(model, output)
        inner = {name: activated.get(id(head)) for name, head in heads.items()}
        self.saturates = not self._definition.logits and any(logits is not None for logits in inner.values())
        if self._definition.logits:
            heads = {name: _checks.logits() if logits is None else logits for name, logits in inner.items()}
        self.units, target = _units(heads, self._definition.output)
        return target


@dataclasses.dataclass(frozen=True)
class _Sums:
    """What the device returns for a batch, as NumPy arrays; in its order."""

    present: tuple[Any, Any]
    totals: tuple[Any, Any]
    derivatives: tuple[Any, Any, Any]
    inputs: tuple[Any, Any, Any]
    squares: tuple[Any, Any, Any]

    def moments(self) -> LookMoments:
        weight, weight_squares = self.totals
        return LookMoments(
            Moments.from_sums(weight, *self.derivatives),
            Moments.from_sums(weight, *self.inputs),
            CrossMoments.from_sums(weight, weight_squares, *self.squares),
            int(self.present[0]),
            int(self.present[1]),
        )


def traced(
    model: keras.Model, batch: np.ndarray[Any, Any], definition: Definition, jit_compile: JitCompile
) -> Gradients:
    """`Gradients` for the model as it is built now, traced only where that was not done before."""
    known = _cache.setdefault(model, {})
    key = (batch.shape, batch.dtype.str, definition.output, definition.logits, jit_compile, _fingerprint(model))
    if key not in known:
        while len(known) >= TRACES_KEPT:
            del known[next(iter(known))]
        known[key] = Gradients(model, batch, definition, jit_compile)
    return known[key]


_cache: weakref.WeakKeyDictionary[keras.Model, dict[Any, Gradients]] = weakref.WeakKeyDictionary()


def _fingerprint(model: keras.Model) -> tuple[Any, ...]:
    """What a trace bakes in: the layers, their variables, and their plain attributes such as ``activation``.

    A trace made before ``layer.activation = ...`` would go on with the old one. Lists and dicts are not looked into.
    """
    parts: list[Any] = []
    for layer in layers(model):
        transient = _trainer_attributes() if isinstance(layer, keras.Model) else frozenset()
        for name, value in vars(layer).items():
            if name not in transient and isinstance(value, (int, float, str, bool)):
                parts.append((name, value))
            elif name not in transient and (callable(value) or isinstance(value, np.ndarray)):
                parts.append((name, id(value)))
        parts.append(id(layer))
    return *parts, *map(id, model.weights)


@functools.cache
def _trainer_attributes() -> frozenset[str]:
    """Attributes of every model that change when it is compiled and trained, not what it computes."""
    return frozenset(vars(keras.Model())) | {"_eval_epoch_iterator", "stop_training"}


def suitable_batch_size(model: keras.Model, num_rows: int, num_columns: int) -> int:
    """Rows of a batch whose activations and derivatives take about 256 MB, in equal batches over all rows."""
    widths: int = sum(variable.shape[-1] for variable in model.trainable_variables if variable.shape)
    # Derivatives are float64 and up to UNROLLED_UNITS of them are alive at once; activations have their gradients.
    floats_per_row = 2 * UNROLLED_UNITS * num_columns + 2 * widths
    most = max(1, min(BATCH_ROWS, BATCH_FLOATS // floats_per_row))
    num_batches = -(-num_rows // most)
    return -(-num_rows // num_batches)


def layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The model and all layers in it, at any depth."""
    return model._flatten_layers()  # type: ignore[no-any-return]


def _choose_compiler(model: keras.Model, jit_compile: JitCompile) -> tuple[bool, str]:
    """Whether to use XLA, and why."""
    _checks.one_of("jit_compile", jit_compile, ("auto", True, False))
    if jit_compile != "auto":
        return jit_compile, f"jit_compile={jit_compile}"
    for layer in layers(model):
        if not getattr(layer, "supports_jit", True):
            return False, f"the layer {layer.name!r} does not support XLA"
        if "Conv" in type(layer).__name__ and not tf.config.list_physical_devices("GPU"):
            return False, f"the convolution {layer.name!r} is faster without XLA on a CPU"
    return True, "every layer supports it"


def _forward(model: keras.Model, x: tf.Tensor) -> Any:
    """The model's output in inference mode, leaving every variable of the model as it is."""
    takes_training = "training" in inspect.signature(model.call).parameters or _passes_keywords(model)
    arguments = {"training": False} if takes_training else {}
    trainable = [variable.value for variable in model.trainable_variables]
    non_trainable = [variable.value for variable in model.non_trainable_variables]
    return model.stateless_call(trainable, non_trainable, x, **arguments)[0]


def _passes_keywords(model: keras.Model) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(model.call).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def _heads(model: keras.Model, output: Any) -> dict[str, tf.Tensor]:
    """The output tensors by name."""
    if isinstance(output, dict):
        return output
    tensors = tf.nest.flatten(output)
    names = getattr(model, "output_names", None)
    if not names or len(names) != len(tensors):
        names = [f"output_{index}" for index in range(len(tensors))]
    return dict(zip(names, tensors, strict=True))


def _units(heads: dict[str, tf.Tensor], output: int | str | None) -> tuple[tuple[str, ...], tf.Tensor]:
    """Names of the measured units and their tensor of shape (batch_size, num_units)."""
    if isinstance(output, str):
        if output not in heads:
            _checks.unit(output, list(heads))
        heads = {output: heads[output]}
    names: list[str] = []
    tables = []
    for head, tensor in heads.items():
        if len(tensor.shape) not in (1, 2):
            _checks.output_rank(tensor.shape)
        table = tensor if len(tensor.shape) == 2 else tensor[:, None]
        if not table.dtype.is_floating:
            _checks.path(["x"])
        width = table.shape[1]
        prefix = "" if len(heads) == 1 else head if width == 1 else f"{head}/"
        names += [prefix] if prefix == head else [f"{prefix}{unit}" for unit in range(width)]
        tables.append(tf.cast(table, tf.float64 if table.dtype == tf.float64 else tf.float32))
    target = tables[0] if len(tables) == 1 else tf.concat(tables, axis=1)
    if isinstance(output, int):
        if output >= len(names):
            _checks.unit(output, names)
        return (names[output],), target[:, output : output + 1]
    return tuple(names), target


@contextlib.contextmanager
def _final_activations(model: keras.Model) -> Iterator[dict[int, tf.Tensor]]:
    """Record, while the model is traced, what goes into each softmax and sigmoid, by the id of what comes out.

    The layers' functions are wrapped for the trace and given back afterwards. The results are kept alive with their
    arguments, so that no id is used twice.
    """
    arguments: dict[int, tf.Tensor] = {}
    results = []

    def recording(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(inputs, *args, **kwargs)
            arguments[id(result)] = inputs
            results.append(result)
            return result

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers(model):
            if getattr(layer, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid):
                stack.enter_context(_replaced(layer, "activation", recording(layer.activation)))
            elif isinstance(layer, keras.layers.Softmax):
                stack.enter_context(_replaced(layer, "call", recording(layer.call)))
        yield arguments


@contextlib.contextmanager
def _replaced(layer: keras.Layer, name: str, value: Any) -> Iterator[None]:
    """An attribute of a layer, replaced for a while, past Keras' own tracking of attributes."""
    own = vars(layer)
    before = own.get(name)
    own[name] = value
    try:
        yield
    finally:
        if before is None:
            del own[name]
        else:
            own[name] = before


def _over_units(
    derivatives: Callable[[int | tf.Tensor], tf.Tensor],
    sums: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    num_units: int,
    shape: tf.TensorShape,
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """The sums of each unit, stacked to (num_units, num_entries), and h = sum over units of g**2, of ``shape``."""
    h = tf.zeros(shape, tf.float64)
    if num_units <= UNROLLED_UNITS:
        every = []
        for unit in range(num_units):
            g = derivatives(unit)
            h += g**2
            every.append(sums(g))
        return tuple(tf.stack(each) for each in zip(*every, strict=True)), h

    def body(unit: tf.Tensor, h: tf.Tensor, *columns: tf.TensorArray) -> tuple[Any, ...]:
        g = tf.ensure_shape(derivatives(unit), shape)
        written = [column.write(unit, total) for column, total in zip(columns, sums(g), strict=True)]
        return unit + 1, h + g**2, *written

    empty = [tf.TensorArray(tf.float64, num_units, element_shape=shape[1:]) for _ in range(3)]
    looped = tf.while_loop(lambda unit, *_: unit < num_units, body, (0, h, *empty), maximum_iterations=num_units)
    return tuple(column.stack() for column in looped[2:]), looped[1]


def _power_sums(values: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift, and weighted sums of ``v - shift`` and its squares: see `Moments.from_sums`."""
    shift = values[0]
    centred = values - shift
    weighted = centred * weights[:, None]
    return shift, tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weighted * centred, axis=0)


def _product_sums(values: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift, and weighted sums of ``v - shift`` and its products, or only squares for wide inputs."""
    if values.shape[1] > CROSS_ENTRIES:
        return _power_sums(values, weights)
    shift = values[0]
    centred = values - shift
    weighted = centred * weights[:, None]
    return shift, tf.reduce_sum(weighted, axis=0), tf.matmul(weighted, centred, transpose_a=True)
