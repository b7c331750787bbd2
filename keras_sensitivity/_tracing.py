"""A function of a model and a batch: traced once, compiled by XLA where that is faster, kept for the next call."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, _models
from keras_sensitivity._inputs import Inputs
from keras_sensitivity.definition import Definition

__all__ = ["JitCompile", "Traced"]

JitCompile = bool | Literal["auto"]
Array = np.ndarray[Any, Any]
Batch = tuple[Array, ...]

# Traces kept for one model: several batch shapes or output units in turn.
TRACES_KEPT = 16

# A float16 network loses derivatives below 6e-8, so its target is scaled up as far as it stays finite.
FIRST_HALF_SCALE = 2.0**24
HALF_SCALE_STEP = 16.0


class Traced:
    """A traced model: call it on a batch, get what the kind of pass returns for it.

    A kind says in `_traced` what is computed on the device and in `_result` what the caller gets of it.

    Args:
        model: A built Keras model.
        batch: For each input an array of shape (batch_size, ...) whose shape and type all later batches share.
        inputs: What the model is called with.
        exclude: Names of inputs that are not differentiated with respect to.
        definition: What is differentiated.
        jit_compile: True, False, or "auto" for whichever is faster.

    Attributes:
        compiler: "XLA" or "plain graph".
        reason: Why this compiler.
    """

    def __init__(
        self,
        model: keras.Model,
        batch: Batch,
        *,
        inputs: Inputs,
        definition: Definition,
        jit_compile: JitCompile,
        exclude: Sequence[str] = (),
    ) -> None:
        self._model = weakref.ref(model)  # a function in the cache must not keep its model alive
        self._inputs = inputs
        self._excluded = {index for index, name in enumerate(inputs.names) if name in exclude}
        self._definition = definition
        self._spec = tuple(tf.TensorSpec(leaf.shape, _device_type(leaf)) for leaf in batch)
        self._halves = any(layer.compute_dtype == "float16" for layer in _models.layers(model))
        self._target_scale = FIRST_HALF_SCALE if self._halves else 1.0
        self._use_xla, self.reason = _choose_compiler(model, jit_compile, self._spec)
        self._trace()

    @classmethod
    def of(cls, model: keras.Model, batch: Batch, **how: Any) -> Any:
        """This kind of pass for the model as it is built now, traced only where that was not done before."""
        known = _cache.setdefault(model, {})
        definition = how["definition"]
        what = (definition.output, definition.logits, definition.mode, how["jit_compile"], tuple(how["exclude"]))
        shapes = tuple((leaf.shape, leaf.dtype.str) for leaf in batch)
        key = (cls, shapes, repr(how["inputs"]), what, _models.fingerprint(model))
        if key not in known:
            while len(known) >= TRACES_KEPT:
                del known[next(iter(known))]
            known[key] = cls(model, batch, **how)
        return known[key]

    @property
    def compiler(self) -> str:
        """What the function was compiled by."""
        return "XLA" if self._use_xla else "plain graph"

    def __call__(self, batch: Batch, weights: Array) -> Any:
        """Run on a batch, with row weights of shape (batch_size,)."""
        tensors = tuple(tf.constant(leaf, spec.dtype) for leaf, spec in zip(batch, self._spec, strict=True))
        while True:
            found = self._run(tensors, tf.constant(weights))
            if self._is_finite(found):
                return self._result(found)
            if not self._halves or self._target_scale <= 1:
                _checks.derivatives()
            self._target_scale /= HALF_SCALE_STEP

    def _traced(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, target_scale: tf.Tensor) -> Any:
        """What is computed on the device: a structure of tensors."""
        raise NotImplementedError

    def _is_finite(self, found: Any) -> bool:
        """Whether all derivatives in the same structure of arrays are finite."""
        raise NotImplementedError

    def _result(self, found: Any) -> Any:
        """What the caller gets of it."""
        raise NotImplementedError

    def _run(self, batch: tuple[tf.Tensor, ...], weights: tf.Tensor) -> Any:
        try:
            found = self._function(*batch, weights, tf.constant(self._target_scale, tf.float32))
        except tf.errors.ResourceExhaustedError as error:
            _checks.memory(error, batch[0].shape[0])
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
        function = tf.function(
            lambda *arguments: self._traced(arguments[:-2], *arguments[-2:]), jit_compile=self._use_xla, autograph=False
        )
        row_weights = tf.TensorSpec(self._spec[0].shape[:1], tf.float64)
        self._function = function.get_concrete_function(*self._spec, row_weights, tf.TensorSpec((), tf.float32))


_cache: weakref.WeakKeyDictionary[keras.Model, dict[Any, Traced]] = weakref.WeakKeyDictionary()


def _device_type(leaf: Array) -> Any:
    return tf.string if leaf.dtype == object else leaf.dtype


def _choose_compiler(model: keras.Model, jit_compile: JitCompile, spec: tuple[tf.TensorSpec, ...]) -> tuple[bool, str]:
    """Whether to use XLA, and why."""
    if jit_compile != "auto":
        return jit_compile, f"jit_compile={jit_compile}"
    if any(leaf.dtype == tf.string for leaf in spec):
        return False, "XLA takes no strings"
    for layer in _models.layers(model):
        if not getattr(layer, "supports_jit", True):
            return False, f"the layer {layer.name!r} does not support XLA"
        if getattr(layer, "sparse", False) is True:
            return False, f"XLA takes no sparse tensors, as {layer.name!r} returns"
        if "Conv" in type(layer).__name__ and not tf.config.list_physical_devices("GPU"):
            return False, f"the convolution {layer.name!r} is faster without XLA on a CPU"
    return True, "every layer supports it"
