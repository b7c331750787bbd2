"""`select`: what is kept, how far it goes, and that it can be gone on with."""

import random

import keras
import numpy as np
import pandas as pd
import pytest

import keras_sensitivity as ks

BUILT = []


def build(num_features):
    BUILT.append(num_features)
    model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
    return model


def table(rng, num_columns=8, num_rows=400):
    x = pd.DataFrame(rng.normal(size=(num_rows, num_columns)), columns=[f"c{index}" for index in range(num_columns)])
    return x, 3 * x["c5"] + x["c2"] + 0.1 * rng.normal(size=num_rows)


def selected(x, y, **options):
    return ks.select(build, x, y, **({"epochs": 6, "seed": 0, "verbose": 0} | options))


@pytest.mark.slow
def test_the_features_that_matter_are_kept_the_most_important_first(rng):
    x, y = table(rng)
    found = selected(x, y)
    assert found.features == ["c5", "c2"]
    assert found.columns == ["c2", "c5"]
    assert found.rounds["num_features"].tolist() == [8, 4, 2, 1]
    assert found.rounds["chosen"].tolist() == [False, False, True, False]
    assert found.rounds["val_loss"].iloc[-1] > 10 * found.rounds["val_loss"].iloc[2]
    np.testing.assert_allclose(found.importances.sum(axis=1), 100)
    assert found.importances.notna().sum(axis=1).tolist() == [8, 4, 2, 1]
    assert list(found.importances.columns) == list(x.columns)
    predictions = found.model.predict(found.take(x), verbose=0)[:, 0]
    assert np.corrcoef(predictions, y)[0, 1] > 0.99
    np.testing.assert_array_equal(found.take(x), found.take(x.to_numpy()))
    assert repr(found).startswith("<Selection of 2 of 8 features in 4 rounds, val_loss ")
    assert "<img" in found._repr_html_()


@pytest.mark.slow
def test_between_enough_and_too_few_it_bisects(rng):
    x = rng.normal(size=(600, 16))
    found = selected(x, x[:, :5].sum(axis=1) + rng.normal(size=600))
    assert sorted(found.features) == [f"x{index}" for index in range(5)]
    assert found.rounds["num_features"].tolist()[:5] == [16, 8, 4, 2, 1]
    assert set(found.rounds["num_features"].tolist()[5:]) <= {5, 6, 7}
    chosen = found.rounds[found.rounds["chosen"]]
    assert chosen["num_features"].tolist() == [5]


@pytest.mark.slow
def test_a_number_of_features_is_kept_whatever_the_loss_says(rng):
    x, y = table(rng)
    found = selected(x, y, num_features=3)
    assert len(found.features) == 3
    assert found.features[:2] == ["c5", "c2"]
    assert found.rounds["num_features"].tolist() == [8, 4, 3]
    assert found.rounds["chosen"].tolist() == [False, False, True]
    assert found.model.input_shape == (None, 3)


@pytest.mark.slow
def test_groups_are_kept_or_dropped_together(rng):
    codes, other = (np.eye(3)[rng.integers(3, size=500)] for _ in range(2))
    x = pd.DataFrame(np.column_stack([codes, other, rng.normal(size=(500, 2))]), columns=list("abcdefgh"))
    groups = {"colour": ["a", "b", "c"], "shape": ["d", "e", "f"]}
    found = selected(x, codes @ [0, 2, 5] + x["h"] + rng.normal(size=500), groups=groups)
    assert sorted(found.features) == ["colour", "h"]
    assert found.columns == ["a", "b", "c", "h"]
    assert found.rounds["num_columns"].tolist()[0] == 8
    assert list(found.importances.columns) == ["colour", "shape", "g", "h"]


@pytest.mark.slow
def test_channels_of_a_sequence_are_selected(rng):
    def of_sequences(num_features):
        layers = [keras.Input((4, num_features)), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.SGD(0.02), "mse", jit_compile=False)
        return model

    x = rng.normal(size=(500, 4, 6)).astype("float32")
    y = x[:, 0, 3] + 0.5 * x[:, 3, 1]  # the oldest step of one, the newest of another
    found = ks.select(of_sequences, x, y, feature_names=list("abcdef"), epochs=6, seed=0, verbose=0)
    assert found.features == ["d", "b"]
    assert found.take(x).shape == (500, 4, 2)


@pytest.mark.slow
def test_equal_seeds_select_equal_features_and_leave_the_global_generators_alone(rng):
    x, y = table(rng)
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    one, other = selected(x, y, epochs=3), selected(x, y, epochs=3)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    pd.testing.assert_frame_equal(one.rounds, other.rounds)
    pd.testing.assert_frame_equal(one.importances, other.importances)


@pytest.mark.slow
def test_several_models_a_round_are_averaged(rng):
    x, y = table(rng)
    BUILT.clear()
    found = selected(x, y, num_models=2, epochs=10)
    assert [size for size in found.rounds["num_columns"] for _ in range(2)] == BUILT


@pytest.mark.slow
def test_given_rows_validate_and_weights_count(rng):
    x, y = table(rng)
    wrong = y.copy()
    wrong[:200] = 3 * x["c0"][:200]
    weights = np.where(np.arange(400) < 200, 0.0, 1.0)
    found = selected(x, wrong, validation_data=(x[200:], y[200:]), sample_weight=weights, num_features=2)
    assert found.features == ["c5", "c2"]
    half = selected(x, y, validation_data=(x, wrong, weights), num_features=2)
    assert half.rounds["val_loss"].iloc[-1] < 0.1  # the wrong rows weigh nothing


class InterruptedRoundError(Exception):
    pass


@pytest.mark.slow
def test_what_was_interrupted_goes_on(rng, tmp_path):
    x, y = table(rng)

    def breaking(num_features):
        if num_features == 2:
            raise InterruptedRoundError
        return build(num_features)

    arguments = {"epochs": 3, "seed": 0, "verbose": 0, "folder": tmp_path / "rounds"}
    with pytest.raises(InterruptedRoundError):
        ks.select(breaking, x, y, **arguments)
    BUILT.clear()
    found = ks.select(build, x, y, **arguments)
    assert BUILT[0] == 2  # the rounds of eight and four are there
    whole = ks.select(build, x, y, **(arguments | {"folder": None}))
    pd.testing.assert_frame_equal(found.rounds, whole.rounds)
    assert found.features == whole.features
    BUILT.clear()
    again = ks.select(build, x, y, **arguments)
    assert BUILT == []
    np.testing.assert_array_equal(again.model.get_weights()[0], found.model.get_weights()[0])
    with pytest.raises(ValueError, match="rounds of another selection"):
        ks.select(build, x, y + 1, **arguments)


def test_a_bar_shows_the_rounds(rng, capsys):
    x, y = table(rng)
    selected(x, y, epochs=2, num_features=4, verbose=1)
    assert "features" in capsys.readouterr().out


def test_a_network_that_diverges_is_told_of(rng):
    def diverging(num_features):
        model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e20), "mse", jit_compile=False)
        return model

    x, y = table(rng)
    with pytest.raises(FloatingPointError):
        ks.select(diverging, x, y, epochs=3, verbose=0)


def uncompiled(num_features):
    return keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])


X, Y = np.zeros((10, 4)), np.zeros(10)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"build": lambda n: None}, TypeError, "returned no Keras model"),
        ({"build": uncompiled}, ValueError, "not compiled"),
        ({"build": lambda n: build(n + 1)}, ValueError, "another number of columns"),
        ({"x": {"a": X, "b": X}}, TypeError, "one table or sequence"),
        ({"x": iter([X])}, TypeError, "one table or sequence"),
        ({"x": np.zeros((10, 2, 2, 1))}, ValueError, "no columns to select"),
        ({"y": Y[:9]}, ValueError, "10 labels, one for each row"),
        ({"num_features": 5}, ValueError, "from 1 to 4"),
        ({"num_features": 0}, ValueError, "from 1 to 4"),
        ({"num_features": 1.5}, TypeError, "from 1 to 4"),
        ({"validation_data": X}, TypeError, "not made of rows and labels"),
        ({"validation_data": (X[:, :3], Y)}, ValueError, "as x"),
        ({"sample_weight": Y[:5]}, ValueError, "weights of shape"),
        ({"groups": {"g": ["x7"]}}, ValueError, "x7"),
        ({"feature_names": ["a"]}, ValueError, "4"),
        ({"num_models": 0}, ValueError, "num_models"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"seed": -1}, ValueError, "seed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_selected_from_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        ks.select(**({"build": build, "x": X, "y": Y, "verbose": 0} | arguments))
