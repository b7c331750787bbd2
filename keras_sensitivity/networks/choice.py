"""Which kind of `Network` answers for what the user passes."""

from __future__ import annotations

from typing import Any

import keras

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.layers import check_call, unbuilt
from keras_sensitivity.networks.keras_tf.network import KerasNetwork
from keras_sensitivity.networks.network import Network

__all__ = ["is_built", "network_of"]

# Where objects that wrap a Keras model hold it: estimators the one that they trained, others theirs.
HELD = ("model_", "model")


def is_built(model: Any) -> bool:
    """Whether a model has all its weights; one that a fit was given without gets them with its first step."""
    check_call(model)
    return not unbuilt(model)


def network_of(model: Any) -> Network:
    """The network that answers for a model, or for an object that holds one; a network answers for itself."""
    return model if isinstance(model, Network) else KerasNetwork(_unwrapped(model))


def _unwrapped(model: Any) -> Any:
    """The Keras model in an estimator or another object; anything else as it is."""
    if isinstance(model, (keras.Model, type)):
        return model
    held = [part for name in HELD if isinstance(part := getattr(model, name, None), keras.Model)]
    if hasattr(model, "get_params") and not isinstance(getattr(model, "model_", None), keras.Model):
        errors.refuse_unfitted(type(model).__name__)  # its `model` would be the one that is copied to be trained
    return held[0] if held else model
