"""Saved models: measured through the derivatives of their graphs, as the models that were saved."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import keras_sensitivity as ks


def tables():
    return keras.Sequential(
        [
            keras.Input((3,), name="rows"),
            layers.Dense(8, "tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )


def sequences():
    return keras.Sequential([keras.Input((5, 2)), layers.LSTM(4, dropout=0.2), layers.Dense(1)])


def images():
    return keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)])


def heads():
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((1,), name="b")}
    joined = layers.Concatenate()([inputs["a"], inputs["b"]])
    return keras.Model(inputs, {"u": layers.Dense(1)(joined), "v": layers.Dense(2)(inputs["a"])})


def unnamed():
    return keras.Sequential([keras.Input((4,)), layers.Dense(1, "sigmoid")])


KINDS = {"tables": tables, "sequences": sequences, "images": images, "heads": heads, "unnamed": unnamed}


def rows_for(model, rng):
    if len(model.inputs) > 1:
        return {tensor.name: rng.normal(size=(60, *tensor.shape[1:])) for tensor in model.inputs}
    return rng.normal(size=(60, *model.inputs[0].shape[1:]))


def _signature(saved):
    KEPT.append(saved)  # with it go its variables
    return saved.signatures["serving_default"]


KEPT = []
WAYS = {
    "tf.saved_model.load": tf.saved_model.load,
    "TFSMLayer": lambda path: layers.TFSMLayer(path, call_endpoint="serve"),
    "TFSMLayer of the default": lambda path: layers.TFSMLayer(path, call_endpoint="serving_default"),
    "a signature": lambda path: _signature(tf.saved_model.load(path)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sample(3)
def test_a_saved_model_has_the_derivatives_of_the_model(kind, way, rng, tmp_path):
    model = KINDS[kind]()
    x = rows_for(model, rng)
    model.export(tmp_path / "saved", verbose=0)
    saved = WAYS[way](str(tmp_path / "saved"))
    one, other = ks.measure(model, x), ks.measure(saved, x)
    np.testing.assert_allclose(other.features, one.features, rtol=1e-4)
    assert (one.lags is None) == (other.lags is None)
    assert (one.map is None) == (other.map is None)
    if kind == "heads":
        pd.testing.assert_frame_equal(one.by_output, other.by_output, rtol=1e-4)
    exp = ks.explain(saved, {k: v[:2] for k, v in x.items()} if isinstance(x, dict) else x[:2], background=x)
    assert len(exp) == 2


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = tf.Variable([[1.0], [2.0]])

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32)])
    def __call__(self, x):
        return tf.matmul(x, self.weights)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32)])
    def of_any_shape(self, x):
        return x


def test_a_module_of_tensorflow(rng, tmp_path):
    tf.saved_model.save(Module(), str(tmp_path / "saved"))
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    x = rng.normal(size=(50, 2))
    np.testing.assert_allclose(ks.measure(saved, x).rms, [1, 2] * x.std(axis=0), rtol=1e-5)
    saved.weights.assign([[5.0], [0.0]])
    np.testing.assert_allclose(ks.measure(saved, x).features, [100, 0])
    with pytest.raises(ValueError, match="any shape"):
        ks.measure(saved.of_any_shape, x)


def test_a_saved_model_without_a_function_is_refused(rng, tmp_path):
    module = tf.Module()
    module.add = tf.function(lambda a, b: a + b, input_signature=[tf.TensorSpec((None, 2), tf.float32)] * 2)
    module.mul = tf.function(lambda a, b: a * b, input_signature=[tf.TensorSpec((None, 2), tf.float32)] * 2)
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"add": module.add, "mul": module.mul})
    with pytest.raises(ValueError, match="no function that is known") as caught:
        ks.measure(tf.saved_model.load(str(tmp_path / "saved")), rng.normal(size=(5, 2)))
    assert "call_endpoint" in str(caught.value)
