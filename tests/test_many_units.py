"""Many output units: the sum of their squares is estimated by random signs, against the same without, and theory."""

import keras
import numpy as np
import oracle
import pandas as pd
import pytest

import keras_sensitivity as ks
from keras_sensitivity import measurement
from keras_sensitivity.networks.keras_tf import directions

L = keras.layers


def measure(model, x, **options):
    return ks.measure(model, x, **{"jit_compile": False} | options)


def linear(weights):
    """y = x W: the size of a column is the root of the sum of its squared weights, times its standard deviation."""
    model = keras.Sequential([keras.Input((len(weights),)), L.Dense(weights.shape[1], use_bias=False)])
    model.set_weights([weights])
    return model


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def table_of_few_values():
    x = rows(600, 4)
    x[:, 0] = x[:, 0] > 0
    return x


CASES = {
    "path": (lambda: [keras.Input((4,)), L.Dense(8, "tanh"), L.Dense(100, "softmax")], rows(600, 4), {}),
    "swap": (lambda: [keras.Input((4,)), L.Dense(8, "tanh"), L.Dense(100)], table_of_few_values(), {}),
    "probes": (lambda: [keras.Input((4,)), ks.NoiseProbes(2), L.Dense(8, "tanh"), L.Dense(100)], rows(600, 4), {}),
    "image": (
        lambda: [keras.Input((9, 9, 1)), L.Conv2D(2, 3, padding="same", activation="tanh"), L.Conv2D(1, 1)],
        rows(300, 9, 9, 1),
        {},
    ),
    "codes": (
        lambda: [keras.Input((2,), dtype="int32"), L.Embedding(40, 3), L.Flatten(), L.Dense(70, "tanh")],
        np.random.default_rng(0).integers(0, 40, (400, 2)),
        {"definition": ks.Definition(change="derivative")},
    ),
    "words": (
        lambda: [
            keras.Input((1,), dtype="string"),
            L.TextVectorization(vocabulary=list("abcdefgh"), output_mode="count"),
            L.Dense(70, "tanh"),
        ],
        np.array([" ".join(row) for row in np.random.default_rng(0).choice(list("abcdefgh"), (300, 12))], object),
        {"definition": ks.Definition(change="derivative"), "feature_names": ["text"]},
    ),
    "lags": (lambda: [keras.Input((4, 2)), L.GRU(3), L.Dense(70)], rows(400, 4, 2), {}),
    "forecast": (
        lambda: [keras.Input((4, 2)), L.Flatten(), L.Dense(70, "tanh"), L.Reshape((35, 2))],
        rows(400, 4, 2),
        {},
    ),
    "many-to-many, exact": (
        lambda: [keras.Input((4, 2)), L.Conv1D(40, 2, padding="causal", activation="tanh")],
        rows(400, 4, 2),
        {},
    ),
    "many-to-many, one pass": (
        lambda: [keras.Input((4, 2)), L.Masking(), L.SimpleRNN(3, return_sequences=True), L.Dense(70)],
        rows(400, 4, 2) * (np.arange(4) < 3)[:, None],
        {},
    ),
    "float16": (
        lambda: [keras.Input((4,)), L.Dense(8, "tanh", dtype="mixed_float16"), L.Dense(100)],
        rows(600, 4),
        {},
    ),
}

SLOWER = {"codes", "lags", "many-to-many, one pass", "words"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOWER else ()) for name in CASES]
)
@pytest.mark.sample(2)
def test_the_estimate_is_the_sum_over_the_units(name, monkeypatch):
    layers, x, options = CASES[name]
    keras.utils.set_random_seed(0)
    model = keras.Sequential(layers())
    estimated = measure(model, x, **options)
    monkeypatch.setattr(directions, "MOST_PASSES", 10**6)
    same = keras.Sequential(layers())
    same.set_weights(model.get_weights())
    exact = measure(same, x, **options)
    assert exact.estimation_error is None
    error = estimated.estimation_error
    derived = estimated.table["change"] == "derivative"
    assert ((error > 0) == derived).all()
    assert error.max() < 10
    off = 100 * (estimated.table["rms"] / exact.table["rms"] - 1)
    assert (off.abs() <= 4 * error + 1e-4).all()
    assert off[derived].any()
    if len(exact.features) > 1:
        np.testing.assert_allclose(estimated.features, exact.features, rtol=0.05 * error.max())
    if exact.lags is not None:
        np.testing.assert_allclose(estimated.by_lag, exact.by_lag, rtol=0.1 * error.max(), atol=1e-6)
    pd.testing.assert_frame_equal(estimated.outputs, exact.outputs, rtol=1e-5)
    np.testing.assert_allclose(estimated.usage, exact.usage, rtol=0.05 * error.max())


def test_the_error_is_what_it_says():
    """Of a linear model only the signs scatter: in units of their error, 100 columns are standard normal."""
    weights = np.random.default_rng(1).normal(size=(100, 200))
    x = rows(500, 100)
    found = measure(linear(weights), x, definition=ks.PAPER)
    exact = np.sqrt((weights**2).sum(axis=1))
    off = (100 * (found.table["rms"] / exact - 1)) / found.estimation_error
    assert abs(off.mean()) < 0.3
    assert 0.8 < np.sqrt((off**2).mean()) < 1.2
    np.testing.assert_allclose(found.estimation_error, 100 / np.sqrt(2 * 4 * 500), rtol=0.1)
    np.testing.assert_allclose(found.table["standard_error"], found.features * found.estimation_error / 100, rtol=0.15)


def test_a_thousand_classes_equal_brute_force():
    def build():
        return keras.Sequential([keras.Input((5,)), L.Dense(16, "tanh"), L.Dense(1000, "softmax")])

    model, x = build(), rows(1000, 5)
    keras.config.set_dtype_policy("float64")
    try:
        exact = build()
    finally:
        keras.config.set_dtype_policy("float32")
    exact.set_weights(model.get_weights())
    some = slice(0, 1000, 10)
    expected = oracle.importances(oracle.jacobian(exact, x[some]))
    found = measure(model, x[some], definition=ks.PAPER)
    assert (np.abs(found.features - expected) < 4 * found.features * found.estimation_error / 100).all()


def test_a_row_has_the_same_signs_wherever_it_stands():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, "tanh"), L.Dense(100)])
    x = rows(50, 4)
    whole = measure(model, x, definition=ks.Definition(scale="std"))
    for order, size in ((x[::-1], 50), (x, 7)):
        again = measure(model, order, batch_size=size, definition=ks.Definition(scale="std"))
        np.testing.assert_allclose(again.features, whole.features, rtol=1e-5)
    parts = [measure(model, part, background=x, definition=ks.Definition(scale="std")) for part in (x[:20], x[20:])]
    merged = parts[0].merge(parts[1])
    np.testing.assert_allclose(merged.features, whole.features, rtol=1e-5)
    np.testing.assert_allclose(merged.estimation_error, whole.estimation_error, rtol=1e-5)


def test_xla_draws_the_same_signs():
    model, x = linear(rows(3, 70)), rows(40, 3)
    plain, compiled = (measure(model, x, jit_compile=jit) for jit in (False, True))
    np.testing.assert_allclose(plain.features, compiled.features, rtol=1e-5)


def test_single_units_are_refused_and_measured_when_asked_for(tmp_path):
    weights = rows(3, 100)
    model, x = linear(weights), rows(50, 3)
    found = measure(model, x)
    found.save(tmp_path / "importance.npz")
    for importance in (found, ks.Importance.load(tmp_path / "importance.npz")):
        with pytest.raises(ValueError, match="The output units were not measured one by one") as raised:
            _ = importance.by_output
        assert "100 units, of which 4 random signs a row estimate the sum" in str(raised.value)
        assert "Definition(output=...)" in str(raised.value)
        with pytest.raises(ValueError, match="not measured one by one"):
            importance.effect("x0", unit=3)
        assert importance.table[["mean", "std"]].isna().all(axis=None)
        assert len(importance.outputs) == len(importance.units) == 100
    alone = measure(model, x, definition=ks.Definition(output=7))
    sizes = np.abs(weights[:, 7]) * x.std(axis=0)
    np.testing.assert_allclose(alone.features, 100 * sizes / sizes.sum(), rtol=1e-5)
    assert alone.estimation_error is None


@pytest.mark.parametrize(
    ("units", "steps", "is_estimated"), [(64, 0, False), (65, 0, True), (20, 5, False), (33, 2, True)]
)
def test_beyond_64_passes_and_32_units_it_is_estimated(units, steps, is_estimated):
    layers = [L.Conv1D(units, 1)] if steps else [L.Dense(units)]
    x = rows(20, steps, 2) if steps else rows(20, 2)
    found = measure(keras.Sequential([keras.Input(x.shape[1:]), *layers]), x)
    assert (found.estimation_error is not None) == is_estimated


def test_it_is_said(capsys, tmp_path):
    model, x = linear(rows(3, 100)), rows(200, 3)
    measure(model, x, verbose=1)
    printed = capsys.readouterr().out
    assert (
        "The sum over the 100 units is estimated by 4 random signs a row, with a standard error of about 2 %" in printed
    )
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(x, log_dir=tmp_path, jit_compile=False)
    model.fit(x, rows(200, 100), epochs=2, callbacks=[watch], verbose=0)
    assert len(watch.history) == 2


def test_what_takes_long_is_said_before(monkeypatch):
    monkeypatch.setattr(measurement, "LONG", 0.0)
    model, x = linear(rows(3, 2)), rows(200, 3)
    words = r"A look at 200 rows takes about \d+ seconds here, with 2 output units. Fewer rows \(num_samples=...\)"
    with pytest.warns(UserWarning, match=words):
        measure(model, x, batch_size=50)
    model.compile("sgd", "mse")

    class Begun(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match=words), pytest.raises(KeyboardInterrupt):
        model.fit(x, x[:, :2], callbacks=[ks.SensitivityCallback(x, jit_compile=False), Begun()], verbose=0)
