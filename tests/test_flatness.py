"""Rows that are flat: because the final softmax or sigmoid is saturated, or because what goes into it is flat, too."""

import re
import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sensitivity as ks

N = 40
PLAIN = {"jit_compile": False}

# Two columns; in a quarter of the rows both are negative, and one ReLU of their sum is off.
X = np.abs(np.random.default_rng(0).normal(size=(N, 2))).astype("float32") + 0.1
OFF = np.arange(N) % 4 == 0
X[OFF] *= -1


def ending(*stack, weights):
    """A hidden ReLU of the sum of the columns, and what follows."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, "relu"), *stack])
    model.set_weights([np.ones((2, 1)), np.zeros(1), *map(np.array, weights)])
    return model


def linear(factor, end):
    """Without a hidden layer."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, end)])
    model.set_weights([np.full((2, 1), factor), np.zeros(1)])
    return model


# A model, and the parts of the rows that are saturated and dead, in percent.
CASES = {
    "saturated sigmoid": (lambda: linear(1e3, "sigmoid"), 100, 0),
    "saturated softmax": (lambda: ending(layers.Dense(2, "softmax"), weights=[[[900.0, -900.0]], [0.0, 0.0]]), 75, 25),
    "dead ReLUs, softmax": (lambda: ending(layers.Dense(2, "softmax"), weights=[[[0.1, -0.2]], [0.0, 0.0]]), 0, 25),
    "dead ReLUs, sigmoid": (lambda: ending(layers.Dense(1, "sigmoid"), weights=[[[0.1]], [0.0]]), 0, 25),
    "dead ReLUs, a formula": (
        lambda: ending(layers.Dense(1), layers.Lambda(lambda z: 1 / (1 + ops.exp(-z))), weights=[[[0.1]], [0.0]]),
        0,
        25,
    ),
    "neither": (lambda: linear(0.1, "sigmoid"), 0, 0),
    "no softmax": (lambda: ending(layers.Dense(2), weights=[[[0.1, -0.2]], [0.0, 0.0]]), None, 25),
}


def told(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(each.message) for each in caught if issubclass(each.category, UserWarning)]


def shares_in(messages):
    """The percentages that are said to be saturated, and dead."""
    found = {"saturated": 0, "before it": 0}
    for message in messages:
        (kind,) = [kind for kind in found if kind in message]
        found[kind] = int(re.match(r"(\d+)% of the rows", message)[1])
        assert ("Definition(logits=True) differentiates" in message) == (kind == "saturated")
    return tuple(found.values())


@pytest.mark.parametrize("name", CASES)
def test_a_look_says_why_rows_are_flat(name):
    build, saturated, dead = CASES[name]
    model = build()
    expected = (0, 0) if saturated is None else (saturated, dead)
    assert shares_in(told(lambda: ks.measure(model, X, **PLAIN))) == expected


@pytest.mark.parametrize("name", CASES)
def test_an_explanation_says_why_rows_are_flat(name):
    build, saturated, dead = CASES[name]
    model = build()
    messages = told(lambda: ks.explain(model, X, **PLAIN))
    of_saturated = [each for each in messages if "softmax or sigmoid is saturated" in each]
    of_dead = [each for each in messages if "does not change near them" in each]
    assert len(messages) == len(of_saturated) + len(of_dead) == bool(saturated) + bool(dead)
    if saturated:
        assert of_saturated[0].startswith(f"At {N * saturated // 100} of {N} rows")
    if dead:
        assert of_dead[0].startswith(f"At {N // 4} of {N} rows")
        assert "rows 0, 4, 8" in of_dead[0]
        assert "logits" not in of_dead[0]


def heads(kind, chance):
    """A price, and two heads behind a hidden ReLU whose sigmoids have these slopes."""
    inputs = keras.Input((2,))
    hidden = layers.Dense(1, "relu", kernel_initializer="ones")(inputs)
    price = layers.Dense(1, name="price")(inputs)
    ends = [
        layers.Dense(1, "sigmoid", kernel_initializer=keras.initializers.Constant(slope), name=name)(hidden)
        for name, slope in (("kind", kind), ("chance", chance))
    ]
    return keras.Model(inputs, {"price": price, "kind": ends[0], "chance": ends[1]})


@pytest.mark.parametrize("scale", ["path", "std"])
def test_of_several_heads_each_is_told(scale):
    model = heads(1e3, 0.1)
    definition = ks.Definition(scale=scale)
    messages = told(lambda: ks.measure(model, X, definition=definition, **PLAIN))
    assert len(messages) == 2
    saturated, dead = messages
    assert saturated.startswith("75% of the rows (output 'kind') have")
    assert dead.startswith("25% of the rows (output 'kind') and 25% of the rows (output 'chance') have")
    assert told(lambda: ks.measure(model, X, definition=ks.Definition(scale=scale, output="price"), **PLAIN)) == []


def test_a_fit_is_told_once():
    model = CASES["dead ReLUs, softmax"][0]()
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    watch = ks.SensitivityCallback(X, **PLAIN)
    messages = told(lambda: model.fit(X, np.zeros((N, 2)), epochs=3, callbacks=[watch], verbose=0))
    assert shares_in(messages) == (0, 25)
    assert len(messages) == 1
