"""What a trace of a model bakes in: as long as it is the same, so is what the trace computes.

The values of variables are read anew at each run. Everything else that a model's Python looks at while it is traced is
frozen in the trace, and nothing tells when it changes: attributes of layers at any depth, what functions close over,
the globals that they name, the attributes of classes, tables, constants. So before a trace is used again, all of that
is compared.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.facts import Facts, Path, Same, same
from keras_sensitivity.networks.keras_tf.layers import blank_functional, is_bookkeeping, operations, trainer_attributes

__all__ = ["Identity"]

UNCHANGING = (tf.Tensor, tf.DType, tf.TensorShape, keras.KerasTensor)

# A layer of Keras' has fewer attributes than this.
FACTS_OF_LAYERS = 100

# Where TensorFlow's wrappers, such as `tf.function` and `tf.recompute_grad`, keep the user's function.
OF_WRAPPERS = ("__wrapped__", "_decorated_target", "_f", "_python_function")

# Only training asks for these.
TRAINING = ("_initializer", "_regularizer", "_constraint", "activity_regularizer", "_trainable")

# Layers inside a layer and calls of them, which are looked at by themselves; whether one was called; what a training
# leaves behind.
ELSEWHERE = {
    "_called",
    "_dropout_mask",
    "_layers",
    "_nodes",
    "_nodes_by_depth",
    "_operations",
    "_operations_by_depth",
    "_recurrent_dropout_mask",
}

# What Keras' own models compute by; all else that they have is for their training.
OF_MODELS = {
    "_dtype_policy",
    "_functional",
    "_inputs_struct",
    "_outputs_struct",
    "_remat_mode",
    "autocast",
    "output_names",
}


class Identity(Facts):
    """A model as it stands now. It keeps nothing of the model alive.

    Attributes:
        is_whole: Whether all could be looked into; else what the model computes has to be compared, too.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        every = list(operations(model))
        self._most += FACTS_OF_LAYERS * len(every)
        try:
            self._layers(every, ())
        except RecursionError:
            self.is_whole = False
        self._facts[("floats",)] = keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()
        for kept in (self._seen, self._where, self._kinds):
            kept.clear()

    def _layers(self, every: Iterable[Any], path: Path) -> None:
        new = [each for each in every if id(each) not in self._seen]
        for index, each in enumerate(new):
            self._seen[id(each)], self._where[id(each)] = each, (*path, index)
        for index, each in enumerate(new):
            self._layer(each, (*path, index))

    def _layer(self, layer: Any, path: Path) -> None:
        self._facts[path] = Same(layer)
        self._kind(type(layer), (*path, "class"))
        for name, value in self._attributes(layer):
            self._value(value, (*path, name))
        for index, arguments in enumerate(_constants(layer)):
            self._value(arguments, (*path, "arguments", index))

    def _attributes(self, owner: Any) -> list[tuple[str, Any]]:
        """Those that say what is computed, of layers, models and other objects."""
        matters = _matters_to(owner)
        return [(name, value) for name, value in super()._attributes(owner) if matters(name)]

    def _is_special(self, value: Any, path: Path) -> bool:
        """Variables, which are read at each run; layers, which are looked at once; constants."""
        if isinstance(value, keras.Variable | tf.Variable):
            inner = getattr(value, "_value", None)
            self._facts[path] = Same(value), str(value.dtype), tuple(value.shape), inner is None or Same(inner)
        elif isinstance(value, keras.Layer | keras.Operation):
            # One that is held where Keras does not look for layers: the others were seen before.
            self._facts[path] = Same(value)
            self._layers(operations(value) if isinstance(value, keras.Layer) else [value], path)
        elif isinstance(value, UNCHANGING) or _is_of_tensorflow(value):
            self._facts[path] = same(value)
            for name in OF_WRAPPERS:
                inner = vars(value).get(name) if hasattr(value, "__dict__") else None
                if inner is not None:
                    self._value(inner, (*path, name))
        else:
            return False
        return True


def _is_of_tensorflow(value: Any) -> bool:
    """Whether it is a table, a data set or the like; TensorFlow's own lists and dicts are the user's."""
    return type(value).__module__.startswith("tensorflow.") and not isinstance(value, list | Mapping)


def _matters_to(owner: Any) -> Callable[[str], bool]:
    """Which attributes of a layer, a model or another object say what it computes."""
    of_keras = type(owner).__module__.startswith("keras.")
    if isinstance(owner, keras.Model):
        return _matters_in_keras_models if of_keras else _matters_in_models
    if of_keras:
        return _matters_to_keras
    return _matters_in_layers if isinstance(owner, keras.Layer | keras.Operation) else _always


@functools.cache
def _matters_in_layers(name: str) -> bool:
    return not is_bookkeeping(name) and name not in ELSEWHERE


@functools.cache
def _matters_in_keras_models(name: str) -> bool:
    return name in OF_MODELS or name not in _of_blank_models()


@functools.cache
def _of_blank_models() -> set[str]:
    """The attributes that Keras gives its own models; others are the user's, maybe for a layer to read."""
    sequential = keras.Sequential([keras.layers.InputLayer((1,), name="blank_input")], name="blank_sequential")
    return {*vars(blank_functional()), *vars(sequential), *trainer_attributes()}


def _matters_in_models(name: str) -> bool:
    return _matters_in_layers(name) and name not in trainer_attributes()


@functools.cache
def _matters_to_keras(name: str) -> bool:
    return _matters_in_layers(name) and not name.endswith(TRAINING)


def _always(name: str) -> bool:
    return True


def _constants(layer: Any) -> Iterator[Any]:
    """What the layers of a functional model are called with, beside tensors."""
    for node in itertools.chain(*getattr(layer, "_nodes_by_depth", {}).values()):
        given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
        yield [each for each in given if not isinstance(each, keras.KerasTensor)]
