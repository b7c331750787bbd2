"""A function of a batch: traced once, compiled by XLA where that is faster, run without a trace left in the model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.borrowing import LOCK
from keras_sensitivity.networks.keras_tf.layers import layers
from keras_sensitivity.networks.network import JitCompile

__all__ = ["Compiled", "chosen_compiler"]

Specs = tuple[tf.TensorSpec, ...]

# Operations that read a variable and leave it as it is.
READING = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp"}


class Compiled:
    """A traced function, called with tensors of the shapes and types that it was traced for.

    Args:
        function: What is traced: from tensors to nested tensors. It may run the model.
        specs: Of the tensors.
        use_xla: Whether to compile with XLA.
        reason: Why so.

    Attributes:
        use_xla: The same; False after XLA has failed once.
        reason: Why this compiler.
    """

    def __init__(self, function: Callable[..., Any], specs: Specs, use_xla: bool, reason: str) -> None:
        self._python = function
        self._specs = specs
        self.use_xla = use_xla
        self.reason = reason
        self._trace()

    def __call__(self, *tensors: tf.Tensor) -> Any:
        """Run; the results as NumPy arrays."""
        try:
            with self._unchanged_variables():
                found = self._function(*tensors)
        except tf.errors.ResourceExhaustedError as error:
            errors.refuse_memory(error, tensors[0].shape[0])
        except (tf.errors.OpError, ValueError, NotImplementedError) as error:
            if not self.use_xla:
                raise
            self.use_xla = False
            self.reason = f"XLA failed: {str(error).strip().splitlines()[0]}"
            errors.warn_xla_failed(self.reason)
            self._trace()
            return self(*tensors)
        return tf.nest.map_structure(np.asarray, found)

    def _trace(self) -> None:
        """Trace into a concrete function: Keras' users see no retracing warnings."""
        function = tf.function(self._python, jit_compile=self.use_xla, autograph=False)
        self._function = function.get_concrete_function(*self._specs)
        self._written = list(_written(self._function.graph))

    @contextlib.contextmanager
    def _unchanged_variables(self) -> Iterator[None]:
        """Give back what the model writes to variables that are not Keras', as those of a `tf.random.Generator`."""
        if not self._written:
            yield
            return
        with LOCK:
            values = [tf.raw_ops.ReadVariableOp(resource=handle, dtype=kind) for handle, kind in self._written]
            try:
                yield
            finally:
                for (handle, _), value in zip(self._written, values, strict=True):
                    tf.raw_ops.AssignVariableOp(resource=handle, value=value)


def _written(graph: Any) -> Iterator[tuple[tf.Tensor, tf.DType]]:
    """The variables that a graph may change, and their types: those that go into anything but a plain reading."""
    for outside, inside in graph.captures:
        shapes = getattr(getattr(outside, "_handle_data", None), "shape_and_type", ())
        if outside.dtype == tf.resource and shapes and any(each.type not in READING for each in inside.consumers()):
            yield outside, tf.as_dtype(shapes[0].dtype)


def chosen_compiler(model: keras.Model, jit_compile: JitCompile, specs: Specs) -> tuple[bool, str]:
    """Whether to use XLA, and why.

    On a CPU it made a look up to a quarter faster and the first one half a second slower, and each compilation leaves
    3 MB and 84 memory maps in the process: few fits have so many looks, and a search has many models. So "auto" means
    the plain graph there, whatever the model is, and XLA on a GPU, for models that it can compile.
    """
    if not isinstance(jit_compile, str):
        return jit_compile, f"jit_compile={jit_compile}"
    if not tf.config.list_physical_devices("GPU"):
        return False, "XLA seldom pays on a CPU"
    if any(spec.dtype == tf.string for spec in specs):
        return False, "XLA takes no strings"
    for layer in layers(model):
        if not getattr(layer, "supports_jit", True):
            return False, f"the layer {layer.name!r} does not support XLA"
        if getattr(layer, "sparse", False) is True:
            return False, f"XLA takes no sparse tensors, as {layer.name!r} returns"
    return True, "faster on a GPU"
