"""Which compiler a look takes, and that it always finds one that works."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_sensitivity as ks
from tests import sequences, zoo

STD = ks.Definition(scale="std")


def strings():
    words = keras.Input((1,), dtype="string", name="word")
    codes = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(words)
    return keras.Model(words, layers.Dense(1)(codes)), np.array([["a"], ["b"], ["c"]] * 20)


def sparse_codes():
    month = keras.Input((1,), dtype="int32", name="month")
    codes = layers.CategoryEncoding(5, "one_hot", sparse=True)(month)
    return keras.Model(month, layers.Dense(1)(codes)), np.arange(60) % 5


def table():
    return zoo.build("linear"), zoo.rows()


def convolution():
    model = keras.Sequential(
        [keras.Input((5,)), layers.Reshape((5, 1)), layers.Conv1D(2, 2), layers.Flatten(), layers.Dense(1)]
    )
    return model, zoo.rows()


def recurrent():
    model, (x, _) = sequences.build(lambda: sequences.recurrent("LSTM")), sequences.rows(8)
    return model, x


class Hidden(layers.Layer):
    """A Python function inside a graph, which XLA has not."""

    def call(self, x):
        return x + tf.ensure_shape(tf.numpy_function(np.zeros_like, [x], tf.float32), x.shape)

    def compute_output_shape(self, shape):
        return shape


def with_hidden():
    inputs = keras.Input((5,))
    return keras.Model(inputs, layers.Dense(1)(Hidden()(inputs))), zoo.rows()


def unsupported():
    model, x = with_hidden()
    model.layers[1].supports_jit = False
    return model, x


CASES = [table, strings, sparse_codes, convolution, recurrent, unsupported]


@pytest.mark.parametrize("build", CASES)
def test_a_cpu_takes_the_plain_graph(build, capsys):
    ks.measure(*build(), verbose=1, definition=STD)
    assert "plain graph: XLA seldom pays on a CPU" in capsys.readouterr().out


ON_A_GPU = [
    (table, "XLA: faster on a GPU"),
    (convolution, "XLA: faster on a GPU"),
    (strings, "plain graph: XLA takes no strings"),
    (sparse_codes, "plain graph: XLA takes no sparse tensors, as 'category_encoding"),
    (unsupported, "plain graph: the layer 'hidden"),
]


@pytest.mark.parametrize(("build", "said"), ON_A_GPU)
def test_a_gpu_takes_xla_for_what_it_can_compile(build, said, capsys, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    ks.measure(*build(), verbose=1, definition=STD)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("use_xla", [True, False])
def test_a_compiler_that_is_asked_for_is_taken(use_xla, capsys):
    ks.measure(*table(), verbose=1, definition=STD, jit_compile=use_xla)
    assert f"{'XLA' if use_xla else 'plain graph'}: jit_compile={use_xla}" in capsys.readouterr().out


def test_what_xla_cannot_compile_falls_back_with_one_warning():
    model, x = with_hidden()
    with pytest.warns(UserWarning, match="XLA failed.*plain graph is used"):
        importance = ks.measure(model, x, definition=STD, jit_compile=True)
    weights = np.abs(model.layers[-1].get_weights()[0][:, 0]) * x.std(axis=0)
    np.testing.assert_allclose(importance.features, 100 * weights / weights.sum(), rtol=1e-5)
