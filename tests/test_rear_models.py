"""Models whose inputs were tensors inside of a larger one, and words of no fixed number."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_sensitivity as ks

N = 24
PLAIN = {"jit_compile": False}


def space():
    """Features of three kinds, and their rows."""
    kinds = keras.utils.FeatureSpace
    made = kinds(
        {"income": "float_normalized", "month": kinds.integer_categorical(), "age": kinds.float_discretized(3)},
        output_mode="concat",
    )
    rng = np.random.default_rng(0)
    x = {
        "income": rng.normal(size=N).astype("float32"),
        "month": rng.integers(1, 4, N),
        "age": rng.normal(size=N).astype("float32"),
    }
    made.adapt(tf.data.Dataset.from_tensor_slices(x).batch(8))
    return made, x


def test_columns_of_encoded_features_have_the_names_of_the_features():
    made, x = space()
    encoded = made.get_encoded_features()
    model = keras.Model(encoded, layers.Dense(1)(encoded))
    rows = np.asarray(made({name: tf.constant(values) for name, values in x.items()}))
    features = ks.measure(model, rows, definition=ks.Definition(scale="std"), **PLAIN).features
    weights = np.abs(model.layers[-1].kernel.numpy()[:, 0]) * rows.std(axis=0)
    np.testing.assert_allclose(features, 100 * weights / weights.sum(), rtol=1e-4, atol=1e-4)
    assert sorted({name.partition("/")[0] for name in features.index}) == ["age", "income", "month"]
    (number,) = [index for index, column in enumerate(rows.T) if len(np.unique(column)) > 3]
    assert list(features.index)[number] == "income"
    asked = ks.measure(model, rows, feature_names=[f"c{i}" for i in range(rows.shape[1])], **PLAIN)
    assert asked.features.index[0] == "c0"


def test_another_tensor_inside_gives_names_by_number():
    inputs = keras.Input((2,), name="prices")
    hidden = layers.Dense(3)(inputs)
    model = keras.Model(hidden, layers.Dense(1)(hidden))
    assert list(ks.measure(model, np.eye(3), **PLAIN).features.index) == ["x0", "x1", "x2"]


def test_words_of_no_fixed_number_are_refused_in_words():
    vectorize = layers.TextVectorization(vocabulary=["red", "green"])
    inputs, price = keras.Input((1,), dtype="string", name="review"), keras.Input((1,), name="price")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(4, 2)(vectorize(inputs)))
    model = keras.Model({"review": inputs, "price": price}, layers.Dense(1)(layers.Concatenate()([pooled, price])))
    x = {"review": tf.constant([["red green"], ["red"]]), "price": np.array([[1.0], [2.0]])}
    for use in (ks.measure, ks.explain):
        with pytest.raises(ValueError, match=r"(?s)makes of 'review' is as long as.*output_sequence_length"):
            use(model, x, **PLAIN)
    assert list(ks.measure(model, x, exclude=["review"], **PLAIN).features.index) == ["price"]
