"""What a Keras model tells of itself, and how it is run without a trace of that left in it.

Whatever is borrowed from a model (a layer's function, a cell's states) is given back when the block ends.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks
from keras_sensitivity.probes import NoiseProbes

__all__ = [
    "final_activations",
    "fingerprint",
    "forward",
    "heads",
    "keeps_steps_apart",
    "layers",
    "masks",
    "noise",
    "operations",
    "reads_codes",
    "recurrent_paths",
    "replaced",
    "stopped_states",
]

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


# Layers that look their input up; a column behind them would have a derivative of 0 and look dead.
CODES = (
    keras.layers.Embedding,
    keras.layers.Discretization,
    keras.layers.CategoryEncoding,
    keras.layers.Hashing,
    keras.layers.HashedCrossing,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
)


def layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The model and all layers in it, at any depth."""
    return model._flatten_layers()  # type: ignore[no-any-return]


def operations(model: keras.Model) -> Iterator[Any]:
    """All layers, and the operations of functional models that are no layers, such as those of `keras.ops`."""
    for layer in layers(model):
        yield layer
        if isinstance(layer, keras.Model):
            yield from (each for each in getattr(layer, "operations", ()) if not isinstance(each, keras.Layer))


def reads_codes(model: keras.Model) -> bool:
    """Whether the model has layers that look codes, bins or words up."""
    return any(isinstance(layer, CODES) for layer in layers(model))


def forward(model: keras.Model, x: Any) -> Any:
    """The model's output in inference mode, leaving every variable of the model as it is."""
    parameters = inspect.signature(model.call).parameters
    takes_training = "training" in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    arguments = {"training": False} if takes_training else {}
    trainable = [variable.value for variable in model.trainable_variables]
    non_trainable = [variable.value for variable in model.non_trainable_variables]
    try:
        with warnings.catch_warnings():
            # Keras tells a dict of its own from a plain one; nothing is wrong with either.
            warnings.filterwarnings("ignore", message="The structure of `inputs` doesn't match")
            return model.stateless_call(trainable, non_trainable, x, **arguments)[0]
    except Exception as error:  # noqa: BLE001  (whatever the user's model raises)
        _checks.call(error, [tuple(tensor.shape) for tensor in tf.nest.flatten(x)])


def heads(model: keras.Model, output: Any) -> dict[str, tf.Tensor]:
    """The output tensors by name."""
    if isinstance(output, dict):
        return output
    tensors = tf.nest.flatten(output)
    names = getattr(model, "output_names", None)
    if not names or len(names) != len(tensors):
        names = [f"output_{index}" for index in range(len(tensors))]
    return dict(zip(names, tensors, strict=True))


def fingerprint(model: keras.Model) -> tuple[Any, ...]:
    """What a trace bakes in: the layers, their variables, and their plain attributes such as ``activation``.

    A trace made before ``layer.activation = ...`` would go on with the old one. Lists and dicts are not looked into.
    """
    parts: list[Any] = []
    for layer in layers(model):
        # A layer that was never called notes its first call, which changes nothing else.
        transient = _trainer_attributes() if isinstance(layer, keras.Model) else frozenset({"_called"})
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
    return frozenset(vars(keras.Model(name="blank"))) | {"_eval_epoch_iterator", "stop_training"}


# --- watching the layers of a model while it is traced --------------------------------------------------------------


@contextlib.contextmanager
def final_activations(model: keras.Model) -> Iterator[dict[int, tf.Tensor]]:
    """What goes into each softmax and sigmoid, by the id of what comes out."""
    arguments: dict[int, tf.Tensor] = {}
    results = []  # kept alive, so that no id is used twice

    def recording(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(inputs, *args, **kwargs)
            arguments[id(result)] = inputs
            results.append(result)
            return result

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers(model):
            own = vars(layer).get("activation")
            if own is not None and own in (keras.activations.softmax, keras.activations.sigmoid):
                stack.enter_context(replaced(layer, "activation", recording(own)))
            elif isinstance(layer, keras.layers.Softmax):
                stack.enter_context(replaced(layer, "call", recording(layer.call)))
        yield arguments


@contextlib.contextmanager
def masks(model: keras.Model) -> Iterator[list[tf.Tensor]]:
    """The masks of shape (batch_size, num_steps) that the model's layers make, in the order of the calls."""
    made: list[tf.Tensor] = []

    def recording(function: Callable[..., Any], mask_of: Callable[[Any], Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            mask = mask_of(result)
            if mask is not None and len(getattr(mask, "shape", ())) == 2:
                made.append(tf.cast(mask, tf.bool))
            return result

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers(model):
            if isinstance(layer, keras.layers.Masking):  # it sets its mask in its call
                on_result = recording(layer.call, lambda result: getattr(result, "_keras_mask", None))
                stack.enter_context(replaced(layer, "call", on_result))
            elif not isinstance(layer, keras.Model) and layer.supports_masking:
                returned = recording(layer.compute_mask, lambda mask: mask)
                stack.enter_context(replaced(layer, "compute_mask", returned))
        yield made


@contextlib.contextmanager
def noise(model: keras.Model, tape: tf.GradientTape) -> Iterator[list[tf.Tensor]]:
    """The noise of the model's probes, watched by the tape, in the order of the calls.

    Refuses probes behind weights that are trained: as those change, so would the noise.
    """
    made: list[tf.Tensor] = []
    origins: list[tuple[str, tf.Tensor]] = []

    def watching(layer: NoiseProbes) -> Callable[..., Any]:
        function = layer.noise

        def call(inputs: tf.Tensor) -> tf.Tensor:
            result = function(inputs)
            tape.watch(result)
            made.append(result)
            origins.append((layer.name, inputs))
            return result

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers(model):
            if isinstance(layer, NoiseProbes):
                stack.enter_context(replaced(layer, "noise", watching(layer)))
        yield made
    trained = [variable.value for variable in model.trainable_variables]
    with tape.stop_recording():
        for name, inputs in origins:
            if any(gradient is not None for gradient in tape.gradient(inputs, trained)):
                _checks.probes_behind_weights(name)


@contextlib.contextmanager
def stopped_states(model: keras.Model) -> Iterator[set[str]]:
    """Recurrent cells through whose states no derivative passes; yields the names of the layers that were run so.

    Within the block the derivative of the sum of all steps with respect to step l is that of step l alone.
    """
    run: set[str] = set()

    def stopping(layer: keras.Layer) -> Callable[..., Any]:
        function = layer.cell.call

        def call(inputs: Any, states: Any, *args: Any, **kwargs: Any) -> Any:
            run.add(layer.path)
            return function(inputs, tf.nest.map_structure(tf.stop_gradient, states), *args, **kwargs)

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers(model):
            if type(layer) in RECURRENT:
                stack.enter_context(replaced(layer.cell, "call", stopping(layer)))
        yield run


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
        plain = kind.call in (keras.Sequential.call, _functional_call())
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


@functools.cache
def _functional_call() -> Any:
    """`call` of functional models, whose class has no public name."""
    inputs = keras.Input((1,), name="blank")  # named, so that the user's layers get the names they would get
    outputs = keras.layers.Identity(name="blank_output")(inputs)
    return type(keras.Model(inputs, outputs, name="blank_model")).call


@contextlib.contextmanager
def replaced(layer: keras.Layer, name: str, value: Any) -> Iterator[None]:
    """An attribute of a layer, replaced for a while, past Keras' own tracking of attributes."""
    own = vars(layer)
    had, before = name in own, own.get(name)
    own[name] = value
    try:
        yield
    finally:
        if had:
            own[name] = before
        else:
            del own[name]
