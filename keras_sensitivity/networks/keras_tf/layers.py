"""What a Keras model tells of its layers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.inputs import Inputs

__all__ = [
    "CODES",
    "blank_functional",
    "called",
    "check_call",
    "is_bookkeeping",
    "is_stateful",
    "layers",
    "operations",
    "packed",
    "reads_codes",
    "trainer_attributes",
    "unbuilt",
]

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

# Attributes in which Keras and TensorFlow keep books of a layer's place among others, its losses, its checkpoints and
# its signature: nothing that is computed depends on them.
BOOKKEEPING = frozenset(
    [
        "_auto_config",
        "_build_shapes_dict",
        "_call_context_args",
        "_call_has_context_arg",
        "_call_has_mask_arg",
        "_call_has_training_arg",
        "_call_signature",
        "_inbound_nodes",
        "_input_spec",
        "_lock",
        "_loss_ids",
        "_losses",
        "_losses_override",
        "_metrics",
        "_obj_type",
        "_outbound_nodes",
        "_parent_path",
        "_path",
        "_saved_model_arg_spec",
        "_saved_model_inputs_spec",
        "_tracked",
        "_tracker",
        "build",
        "call_signature_parameters",
        "name",
        "quantize",
    ]
)

# Attributes that a model is given while it is trained.
TRAINING = frozenset(
    [
        "_compile_config",
        "_compiled_trainable_state",
        "_eval_epoch_iterator",
        "history",
        "optimizer",
        "stop_evaluating",
        "stop_predicting",
        "stop_training",
    ]
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


def is_stateful(model: keras.Model) -> bool:
    """Whether the model keeps a state for each row of its batch, so that all batches have one size."""
    return any(getattr(layer, "stateful", False) is True for layer in layers(model))


def check_call(model: keras.Model) -> None:
    """Refuse a model that returns nothing."""
    if type(model).call is keras.Model.call:
        parts = [name for name, part in vars(model).items() if isinstance(part, keras.Model)]
        errors.refuse_no_call(model.name, type(model).__name__, parts)


def unbuilt(model: keras.Model) -> list[str]:
    """The names of the layers whose weights do not exist yet."""
    return [each.name for each in layers(model) if not each.built and type(each).build is not keras.Layer.build]


def is_bookkeeping(name: str) -> bool:
    """Whether an attribute of layers says nothing of what they compute."""
    return name in BOOKKEEPING or name.startswith("_self_")


@functools.cache
def blank_functional() -> keras.Model:
    """A functional model, whose class has no public name."""
    inputs = keras.Input((1,), name="blank")  # named, so that the user's layers get the names they would get
    outputs = keras.layers.Identity(name="blank_output")(inputs)
    return keras.Model(inputs, outputs, name="blank_model")


@functools.cache
def trainer_attributes() -> frozenset[str]:
    """Attributes of models that are none of layers: they change when a model is compiled and trained."""
    blank = keras.Model(name="blank"), keras.layers.Layer(name="blank")  # named, so that no automatic name is used up
    return (frozenset(vars(blank[0])) - frozenset(vars(blank[1]))) | TRAINING


def packed(model: keras.Model, inputs: Inputs, tensors: Sequence[tf.Tensor]) -> Any:
    """The tensors in the structure that the model is called with; in Keras' own dicts, if it was built with such."""
    structure = getattr(model, "_inputs_struct", None)
    return inputs.pack(tensors) if structure is None else keras.tree.pack_sequence_as(structure, list(tensors))


def called(model: keras.Model, x: Any) -> Any:
    """The model's output in inference mode, leaving every variable of the model as it is."""
    parameters = inspect.signature(model.call).parameters
    takes_training = "training" in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    arguments = {"training": False} if takes_training else {}
    without = unbuilt(model)
    trainable = [variable.value for variable in model.trainable_variables]
    non_trainable = [variable.value for variable in model.non_trainable_variables]
    try:
        with tf.name_scope("model"):  # TensorFlow refuses outermost names that begin with "_", as those of layers may
            return model.stateless_call(trainable, non_trainable, x, **arguments)[0]
    except Exception as error:  # noqa: BLE001  (whatever the user's model raises)
        if without:
            errors.refuse_unbuilt_layers(without, error)
        errors.refuse_call(error, [tuple(tensor.shape) for tensor in tf.nest.flatten(x)])
