"""What goes into a final softmax or sigmoid is found by what is computed, not by how it was spelt."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo
from keras import layers, ops

import keras_sensitivity as ks

X = zoo.rows(24)
LOGITS = ks.Definition(scale="std", logits=True)
PLAIN = {"jit_compile": False}


class Own(layers.Layer):
    """A custom layer that computes a function."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def exponentials(z):
    return ops.exp(z) / ops.sum(ops.exp(z), axis=-1, keepdims=True)


def exponentials_made_small(z):
    made = tf.exp(z - tf.stop_gradient(tf.reduce_max(z, axis=-1, keepdims=True)))
    return made / (tf.reduce_sum(made, axis=-1)[:, None] + 1e-9)


def a(kind, *arguments, **options):
    """A layer that is made when it is called, not when this file is read."""

    def call(z):
        return kind(*arguments, **options)(z)

    return call


def layer(function):
    return a(Own, function)


def same(z):
    return z


# How a softmax or sigmoid of z may be spelt, and what its entries are the logits of.
SPELLINGS = {
    "string": (a(layers.Activation, "softmax"), same),
    "tf.nn": (layer(tf.nn.softmax), same),
    "keras.ops": (ops.softmax, same),
    "keras.activations": (a(layers.Activation, keras.activations.softmax), same),
    "layer": (a(layers.Softmax, axis=1), same),
    "lambda": (a(layers.Lambda, tf.nn.softmax), same),
    "formula": (layer(exponentials), same),
    "formula, made small": (layer(exponentials_made_small), same),
    "exp of log_softmax": (lambda z: ops.exp(ops.log_softmax(z)), same),
    "exp less logsumexp": (layer(lambda z: ops.exp(z - ops.logsumexp(z, axis=-1, keepdims=True))), same),
    "sigmoid": (ops.sigmoid, same),
    "tf.sigmoid": (layer(tf.sigmoid), same),
    "sigmoid, a formula": (layer(lambda z: 1 / (1 + ops.exp(-z))), same),
    "sigmoid, another": (layer(lambda z: ops.exp(z) / (1.0 + ops.exp(z))), same),
    "sigmoid, reciprocal": (layer(lambda z: tf.math.reciprocal(1 + tf.exp(-z))), same),
    "sigmoid by tanh": (layer(lambda z: 0.5 * (1 + ops.tanh(z / 2))), same),
    "log_softmax": (ops.log_softmax, same),
    "log_sigmoid": (ops.log_sigmoid, same),
    "reshaped": (lambda z: layers.Reshape((3, 1))(ops.softmax(z)), same),
    "clipped": (lambda z: ops.clip(ops.softmax(z), 1e-6, 1 - 1e-6), same),
    "joined": (
        lambda z: layers.Concatenate()([ops.sigmoid(z[:, :1]), ops.softmax(z[:, 1:])]),
        same,
    ),
    "cut": (lambda z: ops.softmax(z)[:, 1:], lambda z: z[:, 1:]),
    "stacked": (lambda z: ops.stack([ops.sigmoid(z[:, 0]), ops.sigmoid(z[:, 2])], axis=1), lambda z: z[:, ::2]),
    "transposed": (lambda z: ops.transpose(ops.softmax(ops.reshape(z, (-1, 3, 1))), (0, 2, 1)), same),
    "over another axis": (lambda z: layers.Softmax(axis=1)(layers.Reshape((3, 1))(z)), same),
    "identity and dropout": (lambda z: layers.Dropout(0.5)(layers.Identity()(ops.softmax(z))), same),
    "cast": (lambda z: ops.cast(ops.softmax(z), "float64"), same),
    "temperature": (lambda z: ops.softmax(z / 0.5), lambda z: z / 0.5),
    "scaled and shifted": (lambda z: 1 + 4 * ops.sigmoid(z), same),
    "turned round": (lambda z: 1 - ops.sigmoid(z), lambda z: -z),
    "joined with a number": (lambda z: layers.Concatenate()([ops.sigmoid(z), z]), lambda z: np.tile(z, 2)),
}


def ending(end):
    """A model whose output is made of three numbers z, and the model that returns these."""
    inputs = keras.Input((5,))
    z = layers.Dense(3)(layers.Dense(4, "relu")(inputs))
    return keras.Model(inputs, end(z)), keras.Model(inputs, z)


@functools.cache
def of_numbers():
    """The three numbers z, which are the same whatever the end, and their derivatives."""
    keras.utils.set_random_seed(7)
    _, bare = ending(same)
    explanation = ks.explain(bare, X, definition=ks.Definition(scale="std"), **PLAIN)
    return explanation.predictions, explanation.gradients


def nested(end):
    inputs = keras.Input((5,))
    inner, bare = ending(end)
    return keras.Model(inputs, inner(inputs)), bare


class Subclassed(keras.Model):
    def __init__(self, inner, end):
        super().__init__()
        self.inner, self.end = inner, end

    def call(self, x):
        return self.end(self.inner(x))


def subclassed(end):
    _, bare = ending(same)
    model = Subclassed(bare, end)
    model(X)
    return model, bare


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.sample(2)
def test_logits_however_the_end_was_spelt(name):
    end, expected = SPELLINGS[name]
    keras.utils.set_random_seed(7)
    model, _ = ending(end)
    explanation = ks.explain(model, X, definition=LOGITS, **PLAIN)
    z, gradients = of_numbers()
    np.testing.assert_array_equal(explanation.predictions, np.reshape(expected(z), (len(X), -1)))
    of_logits = np.stack([expected(each) for each in np.moveaxis(gradients, 2, 0)], axis=2)
    np.testing.assert_allclose(explanation.gradients, of_logits, rtol=1e-6)
    assert np.ptp(of_logits) > 0.1


@pytest.mark.parametrize("build", [nested, subclassed])
@pytest.mark.parametrize("name", ["keras.ops", "formula", "joined"])
def test_logits_of_models_in_models(name, build):
    model, bare = build(SPELLINGS[name][0] if build is nested else {"joined": ops.sigmoid}.get(name, exponentials))
    found = ks.explain(model, X, definition=LOGITS, **PLAIN)
    np.testing.assert_array_equal(found.predictions, bare.predict(X, verbose=0))


# Ends that are no softmax or sigmoid, though there is one before.
NOT_FINAL = {
    "gate": lambda z: z * ops.sigmoid(z),
    "attention": lambda z: ops.sum(ops.softmax(z) * ops.tanh(z), axis=1, keepdims=True),
    "a layer behind": lambda z: layers.Dense(2)(ops.softmax(z)),
    "hierarchy": lambda z: ops.softmax(z) * ops.sigmoid(z[:, :1]),
    "mean": lambda z: ops.mean(ops.sigmoid(z), axis=1, keepdims=True),
    "residual": lambda z: z + ops.sigmoid(z),
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "other sum": lambda z: ops.exp(z) / ops.sum(ops.exp(2 * z), axis=-1, keepdims=True),
    "exp": ops.exp,
    "ratio": lambda z: ops.abs(z) / ops.sum(ops.abs(z), axis=-1, keepdims=True),
}


@pytest.mark.parametrize("name", NOT_FINAL)
def test_a_softmax_in_the_middle_is_not_looked_behind(name):
    with pytest.raises(ValueError, match="found no final softmax or sigmoid"):
        ks.measure(ending(NOT_FINAL[name])[0], X, definition=LOGITS, **PLAIN)


def heads():
    inputs = keras.Input((5,))
    kind, price = layers.Dense(3, name="kind")(inputs), layers.Dense(1, name="price")(inputs)
    return (
        keras.Model(inputs, {"kind": ops.softmax(kind), "price": price}),
        keras.Model(inputs, {"kind": kind, "price": price}),
    )


def test_each_head_has_logits_of_its_own_or_is_measured_as_it_is():
    model, bare = heads()
    found = ks.measure(model, X, definition=LOGITS, **PLAIN)
    expected = ks.measure(bare, X, definition=ks.Definition(scale="std"), **PLAIN)
    np.testing.assert_allclose(found.by_output, expected.by_output, rtol=1e-6)
    with pytest.raises(ValueError, match="found no final softmax or sigmoid"):
        ks.measure(model, X, definition=ks.Definition(logits=True, output="price"), **PLAIN)
