"""Saved models: what `tf.saved_model.load` and `keras.layers.TFSMLayer` bring back, as a Keras model with derivatives.

Of a saved model its graph is there, not its layers. TensorFlow differentiates graphs, so it is measured as any other
model is: what it is called with stands in the signature of the function that it serves.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity import errors

__all__ = ["is_saved", "model_of"]

# What a saved model is called by, the first that it has: what Keras exports, and the default of TensorFlow.
ENDPOINTS = ("serve", "serving_default")


def is_saved(model: Any) -> bool:
    """Whether it is a saved model, a layer made of one, or one of its functions."""
    is_object = isinstance(getattr(model, "signatures", None), Mapping)
    return is_object or isinstance(model, keras.layers.TFSMLayer) or _signature(model) is not None


def model_of(saved: Any) -> keras.Model:
    """A Keras model that calls a saved one; the same for the same object."""
    if saved in _models:
        return _models[saved]
    function = saved
    if isinstance(saved, keras.layers.TFSMLayer):
        function = saved.call_endpoint_fn
    elif _signature(saved) is None or hasattr(saved, "signatures"):
        function = _endpoint(saved)
    signature = _signature(function)
    if signature is None:
        errors.refuse_saved_model("a function that takes more than tensors")
    arguments, keywords = signature
    inputs = keras.tree.map_structure(_input, keywords or arguments[0])
    if keywords and len(inputs) == 1:
        ((name, only),) = inputs.items()
        model = keras.Model(only, _Served(function, by_name=(name,))(only))
    else:
        model = keras.Model(inputs, _Served(function, by_name=tuple(keywords))(inputs))
    if function is not saved:
        _models[saved] = model
    return model


@keras.saving.register_keras_serializable(package="keras_sensitivity")
class _Served(keras.layers.Layer):
    """Calls a function of a saved model.

    Args:
        function: The function.
        by_name: What its arguments are called, where it takes no others.
    """

    def __init__(self, function: Any, by_name: tuple[str, ...]) -> None:
        super().__init__()
        self.function = function
        self.by_name = by_name

    def call(self, x: Any) -> Any:
        """What it returns; of a dict with one output that one."""
        if not self.by_name:
            found = self.function(x)
        elif len(self.by_name) == 1:
            found = self.function(**{self.by_name[0]: x})
        else:
            found = self.function(**x)
        if not isinstance(found, dict):
            return found
        # They come in another order in each process.
        return next(iter(found.values())) if len(found) == 1 else dict(sorted(found.items()))


def _endpoint(saved: Any) -> Any:
    """The function that a saved model is called by."""
    every = [getattr(saved, name, None) or saved.signatures.get(name) for name in ENDPOINTS]
    every += [saved.__call__] if callable(saved) else []
    every += list(saved.signatures.values()) if len(saved.signatures) == 1 else []
    for function in every:
        if _signature(function) is not None:
            return function
    return errors.refuse_saved_model(f"the signatures {list(saved.signatures)}")


def _signature(function: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The tensors that a function is called with: one argument, or keywords; None if it is no function of a graph."""
    every = [function] if isinstance(function, tf.types.experimental.ConcreteFunction) else []
    every = every or getattr(function, "concrete_functions", None) or []
    for each in every:
        arguments, keywords = each.structured_input_signature
        specs = tf.nest.flatten((arguments, keywords))
        if specs and all(isinstance(spec, tf.TensorSpec) for spec in specs) and (len(arguments) == 1) != bool(keywords):
            return arguments, keywords
    return None


def _input(spec: tf.TensorSpec) -> Any:
    """What a Keras model takes for a tensor."""
    if spec.shape.rank is None:
        errors.refuse_saved_model(f"an input {spec.name!r} of any shape")
    return keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=spec.name)


# A model holds no more of a saved one than its function, so that both go together.
_models: weakref.WeakKeyDictionary[Any, keras.Model] = weakref.WeakKeyDictionary()
