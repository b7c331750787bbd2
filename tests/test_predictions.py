"""What an explanation says was predicted is what the model predicts: what is differentiated is the user's model.

For every shape of model, see test_shapes.py.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import predictions
import pytest
import sequences
import tensorflow as tf
import zoo
from keras import layers, ops

import keras_sensitivity as ks

STD = ks.Definition(scale="std")


@pytest.mark.parametrize("name", zoo.ZOO)
@pytest.mark.sample(3)
def test_of_every_model_of_the_zoo(name):
    model, x = zoo.build(name), zoo.rows(50)
    units = ks.measure(model, x, jit_compile=False, definition=STD).by_output.index
    predictions.assert_equal(ks.explain(model, x, jit_compile=False, batch_size=16), predictions.of(model, x), units)


@pytest.mark.parametrize("name", ["stepwise", "attention", "many to many, masked"])
@pytest.mark.sample(3)
def test_of_sequences_they_are_those_of_the_newest_step(name):
    builders = {
        "stepwise": sequences.stepwise,
        "attention": sequences.attention,
        "many to many, masked": lambda: sequences.recurrent("GRU", many=True, masked=True, units=2),
    }
    x, mask = sequences.rows(padding="post" if "masked" in name else None)
    model = sequences.build(builders[name])
    every = model.predict(x, verbose=0)
    newest = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    expected = every[np.arange(len(x)), newest]
    assert np.abs(expected - every[:, 0]).max() > 1e-3
    np.testing.assert_allclose(ks.explain(model, x, jit_compile=False).predictions, expected, rtol=1e-4, atol=1e-5)


# --- what goes into the final activation ----------------------------------------------------------------------------


def _ending(*stack):
    return keras.Sequential([keras.Input((zoo.NUM_FEATURES,)), layers.Dense(4, "sigmoid"), *stack])


def _two_heads(final):
    inputs = keras.Input((zoo.NUM_FEATURES,))
    kind, chance = (
        layers.Dense(2, final and "softmax", name="kind"),
        layers.Dense(1, final and "sigmoid", name="chance"),
    )
    return keras.Model(inputs, {"kind": kind(inputs), "chance": chance(inputs)})


LOGITS = {
    "softmax": lambda final: _ending(layers.Dense(3, final and "softmax")),
    "sigmoid": lambda final: _ending(layers.Dense(1, final and "sigmoid")),
    "a Softmax layer": lambda final: _ending(layers.Dense(3), *([layers.Softmax()] if final else [])),
    "an Activation": lambda final: _ending(layers.Dense(2), *([layers.Activation("sigmoid")] if final else [])),
    "nested": lambda final: _ending(keras.Sequential([keras.Input((4,)), layers.Dense(2, final and "softmax")])),
    "two heads": _two_heads,
}


@pytest.mark.parametrize("name", LOGITS)
@pytest.mark.sample(3)
def test_logits_are_what_goes_into_the_final_activation(name):
    model, without = LOGITS[name](True), LOGITS[name](None)
    without.set_weights(model.get_weights())
    x, options = zoo.rows(50), {"definition": ks.Definition(scale="std", logits=True), "jit_compile": False}
    expected = predictions.of(without, x)
    assert max(np.abs(column - predictions.of(model, x)[unit]).max() for unit, column in expected.items()) > 0.1
    predictions.assert_equal(ks.explain(model, x, **options), expected, ks.measure(model, x, **options).by_output.index)


# --- integers, of which a cast would make something else ------------------------------------------------------------


class Calls(layers.Layer):
    """A custom layer that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


class CallsInAModel(keras.Model):
    """A function, called by no layer, and a network."""

    def __init__(self, function, net):
        super().__init__()
        self.function, self.net = function, net

    def call(self, x):
        return self.net(self.function(x))


def scaled(x):
    """To the range from 0 to 1: integers are divided by their largest, floats stay."""
    return tf.image.convert_image_dtype(x, "float32")


def branching(x):
    return tf.cast(x, "float32") / 255.0 if x.dtype.is_integer else x


def numbers(largest, kind, columns=3):
    return np.random.default_rng(0).integers(0, largest, (40, columns)).astype(kind)


class Integers(NamedTuple):
    """Rows of integers, what a model makes of them first, and where that only changes their unit, the same in NumPy."""

    x: Any
    function: Callable[[Any], Any]
    floats: Callable[[Any], Any] | None = None


BYTES = np.random.default_rng(0).integers(0, 255, (40, 2, 2, 1)).astype("uint8")

INTEGERS = {
    "convert_image_dtype": Integers(BYTES, scaled, lambda x: x / 255),
    "a branch on the type": Integers(BYTES, branching, lambda x: x / 255),
    "a cast by an operation": Integers(numbers(9, "int32"), lambda x: ops.cast(x, "float32") / 9, lambda x: x / 9),
    "a true division": Integers(numbers(9, "int32"), lambda x: tf.cast(x / 2, "float32"), lambda x: x / 2),
    "a division of integers": Integers(numbers(9, "int32"), lambda x: tf.cast(x // 2, "float32")),
    "a remainder": Integers(numbers(99, "int32"), lambda x: tf.cast(x % 7, "float32")),
    "bits": Integers(numbers(99, "int32"), lambda x: ops.cast(ops.bitwise_and(x, 6), "float32")),
    "a shift": Integers(numbers(99, "int32"), lambda x: ops.cast(ops.bitwise_right_shift(x, 3), "float32")),
    "an overflow": Integers(numbers(255, "uint8"), lambda x: tf.cast(x + 100, "float32") / 9),
    "a clip": Integers(numbers(9, "int32"), lambda x: ops.cast(ops.clip(x, 2, 6), "float32")),
    "one-hot": Integers(numbers(5, "int32"), lambda x: ops.one_hot(x, 5)),
    "a table": Integers(numbers(5, "int32"), lambda x: ops.take(ops.convert_to_tensor([0.1, 5, -2, 7, 1]), x)),
    "a mean of integers": Integers(
        numbers(99, "int32", 4), lambda x: tf.cast(tf.reduce_mean(tf.reshape(x, (-1, 2, 2)), axis=2), "float32") / 9
    ),
}


# How the function gets into the model.
WAYS = {
    "a Lambda": lambda function, shape: layers.Lambda(function, output_shape=shape),
    "a custom layer": lambda function, shape: Calls(function),
    "a subclassed model": None,
}


def turns(names):
    """Each name in two ways, all ways in turns: what is computed and where it stands are found apart."""
    ways = list(WAYS)
    return [(name, ways[(index + shift) % len(ways)]) for index, name in enumerate(names) for shift in (0, 1)]


def of_integers(row, way):
    """A model that calls the function, and the network behind."""
    net = keras.Sequential([layers.Flatten(), layers.Dense(4, "tanh"), layers.Dense(2)])
    model = CallsInAModel(row.function, net)
    made = model(row.x)
    if WAYS[way] is not None:
        inputs = keras.Input(row.x.shape[1:], dtype=row.x.dtype.name)
        model = keras.Model(inputs, net(WAYS[way](row.function, row.function(tf.constant(row.x)).shape[1:])(inputs)))
    np.testing.assert_allclose(model(row.x), made, rtol=1e-4, atol=1e-6)
    return model, net


@pytest.mark.parametrize(("name", "way"), turns(INTEGERS))
@pytest.mark.sample(6)
def test_integers_stay_integers(name, way):
    row = INTEGERS[name]
    model, _ = of_integers(row, way)
    explanation = ks.explain(model, row.x, jit_compile=False)
    predictions.assert_equal(explanation, predictions.of(model, row.x), explanation.units)


@pytest.mark.parametrize(("name", "way"), turns([name for name, row in INTEGERS.items() if row.floats is not None]))
@pytest.mark.sample(3)
def test_integers_are_as_important_as_the_floats_that_they_become(name, way):
    """A scale of "std" times a derivative is the same, whatever unit a number is measured in."""
    row = INTEGERS[name]
    model, net = of_integers(row, way)
    floats = row.floats(row.x).astype("float32")
    inputs = keras.Input(floats.shape[1:])
    other = keras.Model(inputs, net(inputs))
    np.testing.assert_allclose(model(row.x), other(floats), rtol=1e-4, atol=1e-5)
    expected = ks.measure(other, floats, jit_compile=False, definition=STD).features.to_numpy()
    assert np.ptp(expected) > 1
    found = ks.measure(model, row.x, jit_compile=False, definition=STD).features.to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    local = ks.explain(model, row.x, jit_compile=False).features.to_numpy()
    np.testing.assert_allclose(local, ks.explain(other, floats, jit_compile=False).features, rtol=1e-2, atol=1e-2)


def test_bytes_into_a_rescaling_and_integers_into_a_dense_layer():
    stack = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "tanh")]
    rescaled = keras.Sequential([keras.Input((2, 2, 1), dtype="uint8"), *stack])
    dense = keras.Sequential([keras.Input((3,), dtype="int32"), layers.Dense(4, "tanh"), layers.Dense(2)])
    for model, x in ((rescaled, BYTES), (dense, numbers(3, "int32"))):
        units = ks.measure(model, x, jit_compile=False, definition=STD).by_output.index
        predictions.assert_equal(ks.explain(model, x, jit_compile=False), predictions.of(model, x), units)


class Wraps(keras.Model):
    """Adds before it casts: bytes go on from 0 behind 255, floats do not."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.out(ops.tanh(tf.cast(x + 60, "float32") / 128 - 1))


def test_integers_are_compared_in_every_batch():
    """Only rows behind the first batch tell that floats are something else."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.integers(0, 190, (64, 2)), rng.integers(0, 256, (100, 2))]).astype("uint8")
    model = Wraps()
    model(x)
    first = ks.explain(model, x[:64], jit_compile=False)
    np.testing.assert_allclose(first.predictions, model.predict(x[:64], verbose=0), rtol=1e-4)
    explanation = ks.explain(model, x, jit_compile=False, batch_size=64)
    np.testing.assert_allclose(explanation.predictions, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


class OneOfTwo(keras.Model):
    """Takes one input of integers as numbers, and looks at the other only as a code."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x):
        return self.out(ops.concatenate([ops.cast(x["a"], "float32"), ops.one_hot(x["c"][:, 0] % 3, 3)], axis=1))


def test_each_input_of_integers_is_tried_by_itself():
    x = {"a": numbers(9, "int32", 2), "c": numbers(9, "int32", 1)}
    model = OneOfTwo()
    model(x)
    importance = ks.measure(model, x, exclude=["c"], jit_compile=False, definition=STD)
    weights = np.abs(model.out.kernel.numpy()[:2, 0]) * x["a"].std(axis=0)
    assert list(importance.features.index) == ["a/0", "a/1"]
    np.testing.assert_allclose(importance.features, 100 * weights / weights.sum(), rtol=1e-4)
