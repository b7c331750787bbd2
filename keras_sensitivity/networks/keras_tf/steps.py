"""How a model leads from one time step to another, and recurrent layers whose states are stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.borrowing import Loan
from keras_sensitivity.networks.keras_tf.layers import blank_functional, layers
from keras_sensitivity.probes import NoiseProbes

__all__ = ["keeps_steps_apart", "recurrent_paths", "stop_states"]

# Recurrent layers whose states are all that leads from one step to the next.
RECURRENT = (keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM)

CELLS = (keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell)

# Layers that treat every step alike and by itself, whatever their arguments.
STEPWISE = (
    keras.layers.InputLayer,
    keras.layers.Dense,
    keras.layers.Embedding,
    keras.layers.Masking,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
    keras.layers.TimeDistributed,
    keras.layers.Rescaling,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    NoiseProbes,
)

# Layers that do so when they work along the last axis.
STEPWISE_ON_LAST_AXIS = (
    keras.layers.Concatenate,
    keras.layers.LayerNormalization,
    keras.layers.BatchNormalization,
    keras.layers.Normalization,
    keras.layers.Softmax,
)


def stop_states(model: keras.Model, loan: Loan) -> set[str]:
    """Let no derivative pass through the states of recurrent cells; the names of the layers, once they are run so.

    The derivative of the sum of all steps with respect to step l is then that of step l alone.
    """
    run: set[str] = set()

    def stopping(layer: keras.Layer) -> Callable[..., Any]:
        function = layer.cell.call

        def call(inputs: Any, states: Any, *args: Any, **kwargs: Any) -> Any:
            run.add(layer.path)
            return function(inputs, tf.nest.map_structure(tf.stop_gradient, states), *args, **kwargs)

        return call

    for layer in layers(model):
        if type(layer) in RECURRENT:
            loan.replace(layer.cell, "call", stopping(layer))
    return run


def keeps_steps_apart(model: keras.Model) -> bool:
    """Whether the states of recurrent layers are surely all that leads from one time step to another.

    True for functional and Sequential models of layers known to treat each step by itself, and of recurrent layers
    that run forward. Whatever is not known is taken to mix steps.
    """
    return all(_is_causal_or_stepwise(layer) for layer in layers(model))


def recurrent_paths(model: keras.Model) -> set[str]:
    """The names of the recurrent layers."""
    return {layer.path for layer in layers(model) if type(layer) in RECURRENT}


def _is_causal_or_stepwise(layer: keras.Layer) -> bool:
    kind = type(layer)
    if isinstance(layer, keras.Model):
        plain = kind.call in (keras.Sequential.call, type(blank_functional()).call)
        operations = getattr(layer, "operations", layer.layers)
        return plain and all(isinstance(operation, keras.Layer) for operation in operations)
    activation = getattr(layer, "activation", None)
    if activation is not None and not getattr(activation, "__module__", "").startswith("keras."):
        return False  # a function of the user's, which may do anything
    if kind in RECURRENT:
        return bool(layer.return_sequences and not layer.go_backwards and not layer.return_state)
    if kind in STEPWISE_ON_LAST_AXIS:
        axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
        return len(axes) == 1 and axes[0] in (-1, 2)
    return kind in STEPWISE or kind in CELLS
