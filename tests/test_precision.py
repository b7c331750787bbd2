"""Right to 1e-3 against float64, in whatever type a model computes, on whatever scale its inputs are; or warned of."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo

import keras_sensitivity as ks

POLICIES = ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]
CHANGES = ["auto", "derivative", "swap"]


def pair(name, policy):
    """A model under a policy, and one of float64 with the same weights."""
    low = zoo.build(name, policy=policy)
    return low, zoo.build(name, policy="float64", like=low)


def same(low, high, x, **how):
    """Compare in all numbers; returns what was warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = ks.measure(low, x, **how)
    expected = ks.measure(high, np.asarray(x, "float64"), **how)
    for name in ("importance", "rms"):
        np.testing.assert_allclose(found.table[name], expected.table[name], rtol=1e-3, atol=1e-9 * expected.rms.max())
    np.testing.assert_allclose(found.by_output, expected.by_output, rtol=1e-3, atol=1e-6)
    return [str(each.message) for each in told]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", zoo.ZOO)
@pytest.mark.sample(20)
def test_every_policy(name, policy, change):
    assert same(*pair(name, policy), zoo.rows(), definition=ks.Definition(change=change)) == []


# Powers of ten between which the columns of x lie.
SCALES = [(-12, 12), (-12, -6), (-3, 3), (6, 12)]


@pytest.mark.parametrize("policy", [*POLICIES[:3], "float64"])
@pytest.mark.parametrize("scale", ["path", "std"])
@pytest.mark.parametrize("powers", SCALES, ids=str)
@pytest.mark.sample(5)
def test_every_scale_of_inputs(policy, scale, powers):
    scales = np.logspace(*powers, zoo.NUM_FEATURES)
    low, high = pair("tanh regression", "float64")
    weights = high.get_weights()
    high.set_weights([weights[0] / scales[:, None], *weights[1:]])
    low = zoo.build("tanh regression", policy=policy, like=high)
    x = np.random.default_rng(0).normal(size=(500, zoo.NUM_FEATURES)) * scales
    told = same(low, high, x, definition=ks.Definition(scale=scale))
    expected = policy == "mixed_float16" and powers != (-3, 3)
    assert [("Standardise these columns" in each) for each in told] == [True] * expected


@pytest.mark.parametrize("policy", POLICIES)
def test_no_effect_is_so_small_that_a_feature_dies_of_it(policy):
    """Of features that count for 1e-4 to 1, the smallest would be lost in the rounding of three digits."""
    model = zoo.build("linear", policy=policy)
    weights = np.array([[1.0], [1e-1], [1e-2], [1e-3], [1e-4]])
    model.set_weights([weights, np.array([3.0])])
    kept = np.asarray(model.get_weights()[0], "float64")[:, 0]
    x = np.random.default_rng(0).normal(size=(400, 5)).astype("float32")
    expected = np.abs(kept) * x.std(axis=0, dtype="float64")
    for change in ("derivative", "swap"):
        found = ks.measure(model, x, definition=ks.Definition(change=change))
        rtol = 1e-3 if change == "derivative" else 0.2  # of pairs of some rows
        np.testing.assert_allclose(found.rms, expected, rtol=rtol)


class Insists(keras.layers.Layer):
    """Computes in its own type, whatever it is told."""

    def __init__(self, **how):
        super().__init__(**how)
        self.kind = self.compute_dtype

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 1), initializer="ones")

    def call(self, x):
        return tf.matmul(tf.cast(x, self.kind), tf.cast(self.kernel.value, self.kind)) + tf.zeros((), self.kind)


class Refuses(Insists):
    """Cannot do with another one."""

    def call(self, x):
        return tf.matmul(x, tf.cast(self.kernel.value, self.kind))


@pytest.mark.parametrize(("kind", "is_told"), [(Insists, False), (Refuses, True)])
def test_a_layer_that_insists_on_its_type(kind, is_told):
    model = keras.Sequential([keras.Input((5,)), kind(dtype="mixed_float16")])
    x = zoo.rows()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = ks.measure(model, x)
    q = x.std(axis=0, dtype="float64")
    np.testing.assert_allclose(found.features, 100 * q / q.sum(), rtol=1e-2)
    assert [("right to about 1 %" in str(each.message)) for each in told] == [True] * is_told


@pytest.mark.parametrize("policy", POLICIES[1:])
def test_the_model_computes_as_before(policy):
    model, x = zoo.build("functional", policy=policy), zoo.rows(20)
    before, kinds = model.predict(x, verbose=0), [layer.compute_dtype for layer in model.layers]
    ks.measure(model, x)
    ks.explain(model, x[:3], background=x)
    assert [layer.compute_dtype for layer in model.layers] == kinds
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    assert model(x).dtype.name == kinds[-1]
