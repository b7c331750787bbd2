"""Integers that a model takes as numbers without saying so: cast before the call where that changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.networks.keras_tf.backward import depends_on
from keras_sensitivity.networks.keras_tf.borrowing import borrowed
from keras_sensitivity.networks.keras_tf.codes import Call, agree
from keras_sensitivity.networks.keras_tf.layers import called, packed, reads_codes

__all__ = ["Cast"]

Tensors = tuple[tf.Tensor, ...]


class Cast(NamedTuple):
    """The inputs of a model, of which some integers were cast to floating point.

    Attributes:
        x: The inputs.
        agreements: Of each input that was cast, whether the model returns what it does without.
    """

    x: Tensors
    agreements: dict[Call, tf.Tensor]

    @classmethod
    def of(cls, model: keras.Model, inputs: Inputs, x: Tensors, kept_as_integers: Collection[Call]) -> Cast:
        """Cast what the model declares no type for, takes as floating point, and has derivatives in.

        A model that looks codes up takes integers as such.
        """
        cast, tried = x, {}
        if not reads_codes(model):
            for index, (leaf, tensor) in enumerate(zip(inputs.leaves, x, strict=True)):
                name = f"input {leaf.name}", index
                if leaf.dtype is None and tensor.dtype.is_integer and name not in kept_as_integers:
                    one = _with_floats(cast, index)
                    if _has_derivatives(model, inputs, one, index):
                        cast, tried[name] = one, index
        if not tried:
            return cls(x, {})
        found = _numbers(model, inputs, cast)
        return cls(
            cast,
            {
                name: _agree(_numbers(model, inputs, (*cast[:index], x[index], *cast[index + 1 :])), found)
                for name, index in tried.items()
            },
        )


def _with_floats(x: Tensors, index: int) -> Tensors:
    return (*x[:index], tf.cast(x[index], keras.config.floatx()), *x[index + 1 :])


def _has_derivatives(model: keras.Model, inputs: Inputs, x: Tensors, index: int) -> bool:
    """Whether the model can be called so, and its output depends on an input through derivatives."""
    try:
        found = _numbers(model, inputs, x)
    except (ValueError, TypeError):  # floating point is nothing that the model takes
        return False
    return depends_on(found, [x[index]])


def _numbers(model: keras.Model, inputs: Inputs, x: Tensors) -> list[tf.Tensor]:
    """The numbers that the model returns."""
    with borrowed(model):
        parts = tf.nest.flatten(called(model, packed(model, inputs, x)))
    return [part for part in parts if isinstance(part, tf.Tensor) and part.dtype != tf.string]


def _agree(expected: Sequence[tf.Tensor], found: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.reduce_all(tf.stack([agree(one, other) for one, other in zip(expected, found, strict=True)]))
