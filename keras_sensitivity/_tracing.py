"""A function of a model and a batch: traced once, compiled by XLA where that is faster, kept for the next call."""

from __future__ import annotations

import weakref
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, _models
from keras_sensitivity.definition import Definition

__all__ = ["JitCompile", "Layout", "Traced"]

JitCompile = bool | Literal["auto"]
Array = np.ndarray[Any, Any]

# Traces kept for one model: several batch shapes or output units in turn.
TRACES_KEPT = 16

# A float16 network loses derivatives below 6e-8, so its target is scaled up as far as it stays finite.
FIRST_HALF_SCALE = 2.0**24
HALF_SCALE_STEP = 16.0


class Layout(NamedTuple):
    """How the axes of one input row are read.

    Attributes:
        num_lags: Time steps; None without a time axis.
        num_columns: Entries of one step, or of the whole row.
    """

    num_lags: int | None
    num_columns: int


class Traced:
    """A traced model: call it on a batch, get what the kind of pass returns for it.

    A kind says in `_traced` what is computed on the device and in `_result` what the caller gets of it.

    Args:
        model: A built Keras model.
        batch: Rows of shape (batch_size, ...) whose shape and type all later batches share.
        layout: How the axes after the first are read.
        definition: What is differentiated.
        jit_compile: True, False, or "auto" for whichever is faster.

    Attributes:
        compiler: "XLA" or "plain graph".
        reason: Why this compiler.
    """

    def __init__(
        self, model: keras.Model, batch: Array, *, layout: Layout, definition: Definition, jit_compile: JitCompile
    ) -> None:
        self._model = weakref.ref(model)  # a function in the cache must not keep its model alive
        self._layout = layout
        self._definition = definition
        self._spec = tf.TensorSpec(batch.shape, batch.dtype)
        self._halves = any(layer.compute_dtype == "float16" for layer in _models.layers(model))
        self._target_scale = FIRST_HALF_SCALE if self._halves else 1.0
        self._use_xla, self.reason = _choose_compiler(model, jit_compile)
        self._trace()

    @classmethod
    def of(cls, model: keras.Model, batch: Array, **how: Any) -> Any:
        """This kind of pass for the model as it is built now, traced only where that was not done before."""
        known = _cache.setdefault(model, {})
        definition, layout, jit_compile = how["definition"], how["layout"], how["jit_compile"]
        what = (definition.output, definition.logits, definition.mode)
        key = (cls, batch.shape, batch.dtype.str, layout, what, jit_compile, _models.fingerprint(model))
        if key not in known:
            while len(known) >= TRACES_KEPT:
                del known[next(iter(known))]
            known[key] = cls(model, batch, **how)
        return known[key]

    @property
    def compiler(self) -> str:
        """What the function was compiled by."""
        return "XLA" if self._use_xla else "plain graph"

    def __call__(self, batch: Array, weights: Array) -> Any:
        """Run on a batch of shape (batch_size, ...) with row weights of shape (batch_size,)."""
        while True:
            found = self._run(tf.constant(batch), tf.constant(weights))
            if self._is_finite(found):
                return self._result(found)
            if not self._halves or self._target_scale <= 1:
                _checks.derivatives()
            self._target_scale /= HALF_SCALE_STEP

    def _traced(self, x: tf.Tensor, weights: tf.Tensor, target_scale: tf.Tensor) -> Any:
        """What is computed on the device: a structure of tensors."""
        raise NotImplementedError

    def _is_finite(self, found: Any) -> bool:
        """Whether all derivatives in the same structure of arrays are finite."""
        raise NotImplementedError

    def _result(self, found: Any) -> Any:
        """What the caller gets of it."""
        raise NotImplementedError

    def _run(self, batch: tf.Tensor, weights: tf.Tensor) -> Any:
        try:
            found = self._function(batch, weights, tf.constant(self._target_scale, batch.dtype))
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
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), found)

    def _trace(self) -> None:
        """Trace the pass for the one batch shape, into a concrete function: Keras' users see no retracing warnings."""
        function = tf.function(self._traced, jit_compile=self._use_xla, autograph=False)
        row_weights = tf.TensorSpec(self._spec.shape[:1], self._spec.dtype)
        self._function = function.get_concrete_function(self._spec, row_weights, tf.TensorSpec((), self._spec.dtype))


_cache: weakref.WeakKeyDictionary[keras.Model, dict[Any, Traced]] = weakref.WeakKeyDictionary()


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
