"""Looks of which only the numbers are kept."""

import pickle

import keras
import numpy as np
import pandas as pd
import pytest

import keras_sensitivity as ks

TABLES = ("features", "table", "outputs", "usage", "lags", "by_lag", "probes", "variance", "agreement",
          "estimation_error", "unseen")  # fmt: skip
NUMBERS = ("num_samples", "flat_part", "num_noise_values", "noise_level", "noise_band", "mode", "definition")


def rows(*shape):
    return np.random.default_rng(0).normal(size=(40, *shape)).astype("float32")


def dense(*shape, units=1):
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(units, "tanh")])


def probed():
    return keras.Sequential([keras.Input((3,)), ks.NoiseProbes(), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])


def many_to_many():
    return keras.Sequential([keras.Input((4, 2)), keras.layers.SimpleRNN(3, return_sequences=True)])


CASES = {
    "table, compared with real changes": (lambda: dense(3, units=2), rows(3), {"verbose": 1}),
    "swapped": (lambda: dense(3), np.round(rows(3)), {}),
    "all swapped": (lambda: dense(3, units=2), rows(3), {"definition": ks.Definition(change="swap")}),
    "groups": (lambda: dense(3), rows(3), {"groups": {"both": ["x0", "x1"]}}),
    "background": (lambda: dense(3), rows(3), {"background": rows(3) * 2}),
    "probes": (probed, rows(3), {}),
    "lags": (lambda: dense(4, 2), rows(4, 2), {}),
    "the paper's": (lambda: dense(4, 2), rows(4, 2), {"definition": ks.PAPER}),
    "many to many": (many_to_many, rows(4, 2), {}),
    "many units": (lambda: dense(3, units=100), rows(3), {}),
    "an image": (lambda: dense(3, 4, 1, units=2), rows(3, 4, 1), {}),
}


@pytest.mark.parametrize(("build", "x", "options"), CASES.values(), ids=CASES)
def test_every_number_stays_what_it_was(build, x, options, tmp_path):
    whole = ks.measure(build(), x, **options)
    condensed = whole.condensed()
    condensed.save(tmp_path / "condensed.npz")
    again = condensed.condensed()
    for each in (
        condensed,
        again,
        pickle.loads(pickle.dumps(condensed)),
        ks.Importance.load(tmp_path / "condensed.npz"),
    ):
        single = () if whole.estimation_error is not None else ("by_output", "rms_by_output")
        for name in (*TABLES, *single):
            one, other = getattr(whole, name), getattr(each, name)
            assert (one is None) == (other is None)
            if one is not None:
                compare = pd.testing.assert_series_equal if one.ndim == 1 else pd.testing.assert_frame_equal
                compare(one, other)
        assert [getattr(whole, name) for name in NUMBERS] == [getattr(each, name) for name in NUMBERS]
        np.testing.assert_array_equal(whole.is_constant, each.is_constant)
        assert (whole.map is None) == (each.map is None)
        assert whole.map is None or (whole.map == each.map).all()
        assert repr(whole) == repr(each)


def test_what_needs_the_moments_is_refused():
    whole = ks.measure(dense(3), rows(3))
    condensed = whole.condensed()
    for act, done in [
        (lambda: condensed.merge(whole), "merged"),
        (lambda: whole.merge(condensed), "merged"),
        (lambda: condensed.effect("x0"), "drawn along a feature"),
    ]:
        with pytest.raises(ValueError, match=f"condensed importance cannot be {done}"):
            act()


@pytest.mark.parametrize(
    ("build", "x", "most"),
    [
        (lambda: dense(30, 8), rows(30, 8), 20_000),
        (lambda: dense(250), rows(250), 30_000),
        (lambda: dense(32, 32, 3, units=20), rows(32, 32, 3)[:4], 800_000),
    ],
    ids=["30 lags of 8 features", "250 features", "20 units and 3,072 entries"],
)
def test_it_takes_little_memory(build, x, most):
    whole = ks.measure(build(), x)
    names = len(pickle.dumps(list(whole.features.index)))  # all looks of a fit have the same
    assert len(pickle.dumps(whole)) > 2 * most
    assert len(pickle.dumps(whole.condensed())) - names < most


def test_a_callback_keeps_the_moments_of_the_newest_look_alone():
    model = dense(5)
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(rows(5))
    model.fit(rows(5), rows(1), epochs=3, callbacks=[watch], verbose=0)
    watch.importance.effect("x0")
    for look in watch.history[:-1]:
        with pytest.raises(ValueError, match="condensed"):
            look.effect("x0")
    watch.history[0].plot()
    assert watch.importance.merge(watch.importance).num_samples == 80
    ks.compare({f"epoch {epoch}": look for epoch, look in enumerate(watch.history)})
