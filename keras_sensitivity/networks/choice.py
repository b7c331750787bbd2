"""Which kind of `Network` answers for what the user passes."""

from __future__ import annotations

from typing import Any

import keras

from keras_sensitivity import errors
from keras_sensitivity.networks.functions.network import FunctionNetwork
from keras_sensitivity.networks.functions.torch_module import function_of, is_module
from keras_sensitivity.networks.keras_tf.layers import check_call, unbuilt
from keras_sensitivity.networks.keras_tf.network import KerasNetwork
from keras_sensitivity.networks.keras_tf.saved import is_saved, model_of
from keras_sensitivity.networks.network import Network

__all__ = ["is_built", "network_of"]

# Where objects that wrap a Keras model hold it: estimators the one that they trained, others theirs.
HELD = ("model_", "model")


def is_built(model: Any) -> bool:
    """Whether a model has all its weights; one that a fit was given without gets them with its first step."""
    check_call(model)
    return not unbuilt(model)


def network_of(model: Any, batch_size: int | None = None) -> Network:
    """The network that answers for a model, also a saved one, an object that holds one, or a function, or a network.

    Args:
        model: What the user passes.
        batch_size: Rows of a call of a function, at the most; None: as many as are suitable.
    """
    if isinstance(model, Network):
        return model
    if is_module(model):
        return FunctionNetwork(function_of(model), batch_size)
    model = model_of(model) if is_saved(model) else _unwrapped(model)
    return FunctionNetwork(model, batch_size) if _is_function(model) else KerasNetwork(model)


def _is_function(model: Any) -> bool:
    """Whether it can be called with rows, and is nothing of Keras'; a class is no function of rows."""
    return callable(model) and not isinstance(model, (keras.Model, keras.layers.Layer, type))


def _unwrapped(model: Any) -> Any:
    """The Keras model in an estimator or another object; anything else as it is."""
    if isinstance(model, (keras.Model, type)):
        return model
    held = [part for name in HELD if isinstance(part := getattr(model, name, None), keras.Model)]
    if "model" in getattr(model, "get_params", dict)() and not isinstance(getattr(model, "model_", None), keras.Model):
        errors.refuse_unfitted(type(model).__name__)  # its `model` would be the one that is copied to be trained
    return held[0] if held else model
