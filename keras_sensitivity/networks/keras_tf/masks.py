"""The masks of time steps that a model's layers make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.borrowing import Loan
from keras_sensitivity.networks.keras_tf.layers import layers

__all__ = ["record_masks"]


def record_masks(model: keras.Model, loan: Loan) -> list[tf.Tensor]:
    """The masks of shape (batch_size, num_steps) that layers will make when they are called, in this order."""
    made: list[tf.Tensor] = []

    def recording(function: Callable[..., Any], mask_of: Callable[[Any], Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            mask = mask_of(result)
            if mask is not None and len(getattr(mask, "shape", ())) == 2:
                made.append(tf.cast(mask, tf.bool))
            return result

        return call

    for layer in layers(model):
        if isinstance(layer, keras.layers.Masking):  # it sets its mask in its call
            loan.replace(layer, "call", recording(layer.call, lambda result: getattr(result, "_keras_mask", None)))
        elif not isinstance(layer, keras.Model) and layer.supports_masking:
            loan.replace(layer, "compute_mask", recording(layer.compute_mask, lambda mask: mask))
    return made
