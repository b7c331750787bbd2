"""Inputs that only say which entries of others count: no derivative reaches them, and they are left out."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sensitivity as ks

N, STEPS = 24, 4
STD = ks.Definition(scale="std")
PLAIN = {"jit_compile": False}


def attended(h, mask):
    return layers.MultiHeadAttention(2, 3)(h, h, attention_mask=ops.expand_dims(ops.cast(mask, "bool"), 1))


def chosen(h, mask):
    return ops.where(ops.expand_dims(mask, 2) > 0, h, 0.0)


def averaged(h, mask):
    weights = ops.cast(ops.not_equal(mask, 0), "float32")
    return ops.sum(h * weights[:, :, None], axis=1) / ops.sum(weights, axis=1, keepdims=True)


def shifted(h, mask):
    """As scores are before a softmax."""
    return ops.softmax(h - 1e9 * ops.cast(ops.equal(mask, 0), "float32")[:, :, None], axis=1)


def run(h, mask):
    return layers.GRU(3)(h, mask=ops.cast(mask, "bool"))


def shorter(h, length):
    return averaged(h, ops.less(ops.arange(STEPS)[None], ops.cast(length, "int32")))


# What is made of vectors and an input, and the type and width of that input.
MASKS = {
    "attention": (attended, "int32", STEPS),
    "attention by booleans": (attended, "bool", STEPS),
    "attention by floats": (attended, "float32", STEPS),
    "a choice": (chosen, "float32", STEPS),
    "an average": (averaged, "int32", STEPS),
    "scores": (shifted, "uint8", STEPS),
    "a recurrent layer": (run, "int32", STEPS),
    "lengths": (shorter, "int32", 1),
}


def stopped(h, other):
    return h * ops.stop_gradient(ops.cast(other, "float32"))[:, :, None]


def compared(h, other):
    """A feature, if a coarse one."""
    return ops.concatenate([layers.Flatten()(h), ops.cast(ops.greater(other, 0), "float32")], axis=1)


def weighed(h, other):
    return layers.Flatten()(h) + layers.Dense(STEPS * 3)(ops.cast(ops.greater(other, 0), "float32"))


def unused(h, other):
    return h


NO_MASKS = {
    "behind stop_gradient": (stopped, "float32", STEPS),
    "compared": (compared, "float32", STEPS),
    "compared and weighed": (weighed, "float32", STEPS),
    "unused": (unused, "float32", STEPS),
}


def build(act, kind, width):
    """A model of numbers and another input, and its rows."""
    x, other = keras.Input((STEPS, 3), name="numbers"), keras.Input((width,), dtype=kind, name="other")
    outputs = layers.Dense(2)(layers.Flatten()(act(layers.Dense(3, "tanh")(x), other)))
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, STEPS + 1, (N, 1))
    values = lengths if width == 1 else np.arange(STEPS) < lengths
    rows = {"numbers": rng.normal(size=(N, STEPS, 3)).astype("float32"), "other": values.astype(kind)}
    return keras.Model({"numbers": x, "other": other}, outputs), rows


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.sample(3)
def test_masks_are_left_out_and_it_is_said(name):
    model, x = build(*MASKS[name])
    outputs = model.predict(x, verbose=0)
    every = 1 if MASKS[name][2] != 1 else STEPS
    assert np.abs(outputs - model.predict(x | {"other": np.full_like(x["other"], every)}, verbose=0)).max() > 1e-3
    with pytest.warns(UserWarning, match=r"'other' only say which entries.*exclude=\['other'\]"):
        importance = ks.measure(model, x, definition=STD, **PLAIN)
    asked = ks.measure(model, x, exclude=["other"], definition=STD, **PLAIN)
    np.testing.assert_array_equal(importance.features, asked.features)
    assert [*importance.features.index] == ["numbers/0", "numbers/1", "numbers/2"]
    assert importance.features.min() > 0.1


@pytest.mark.parametrize("name", NO_MASKS)
def test_others_without_derivatives_are_refused(name):
    try:
        model, x = build(*NO_MASKS[name])
    except ValueError:
        pytest.skip("this Keras has no models with an input that is not used")
    with pytest.raises(ValueError, match=r"does not depend on 'other' through derivatives, but it does on 'numbers'"):
        ks.measure(model, x, definition=STD, **PLAIN)


@pytest.mark.filterwarnings("ignore:.*only say which entries")
def test_masks_in_a_fit_and_in_explanations():
    model, x = build(*MASKS["attention"])
    with pytest.warns(UserWarning, match="'other' only say which entries"):
        explanation = ks.explain(model, x, definition=STD, **PLAIN)
    assert [*explanation.features] == ["numbers/0", "numbers/1", "numbers/2"]
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    watch = ks.SensitivityCallback(x, definition=STD, **PLAIN)
    model.fit(x, np.zeros((N, 2)), callbacks=[watch], verbose=0)
    np.testing.assert_allclose(
        watch.importance.features, ks.measure(model, x, definition=STD, **PLAIN).features, rtol=1e-5
    )
