"""The seam between the package and what it measures: a plain function goes through it as a Keras model does."""

import keras
import numpy as np
import pandas as pd
import pytest
from function_network import FunctionNetwork

import keras_sensitivity as ks


@pytest.fixture
def pair(rng):
    """The same network twice: as a Keras model, and as a function in NumPy."""
    layers = [keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    a, b, c, d = weights
    return model, FunctionNetwork(lambda x: np.tanh(x @ a + b) @ c + d, ("0", "1"))


def test_a_function_is_measured_like_a_model(pair, rng):
    model, function = pair
    x = pd.DataFrame(rng.normal(size=(200, 3)) * [1, 2, 0.5], columns=["a", "b", "c"])
    options = {"groups": {"ab": ["a", "b"]}, "batch_size": 64}
    one, other = ks.measure(model, x, jit_compile=False, **options), ks.measure(function, x, **options)
    assert np.ptp(one.features) > 5
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-3, check_dtype=False)
    pd.testing.assert_frame_equal(one.by_output, other.by_output, rtol=1e-3)
    pd.testing.assert_frame_equal(one.outputs, other.outputs, rtol=1e-3)
    pd.testing.assert_frame_equal(
        ks.explain(model, x, jit_compile=False).features, ks.explain(function, x).features, rtol=1e-3
    )


def test_a_function_names_how_it_is_run(pair, rng, capsys):
    ks.measure(pair[1], rng.normal(size=(20, 3)), verbose=1)
    assert "central differences" in capsys.readouterr().out


def test_the_moments_of_the_outputs_are_those_of_the_predictions(pair, rng):
    x, weights = rng.normal(size=(100, 3)), rng.integers(0, 3, 100).astype(float)
    outputs = ks.measure(pair[0], iter([(x, None, weights)]), jit_compile=False, batch_size=32).outputs
    repeated = np.repeat(pair[0].predict(x, verbose=0), weights.astype(int), axis=0)
    np.testing.assert_allclose(outputs["mean"], repeated.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(outputs["std"], repeated.std(axis=0), rtol=1e-5)
