"""Deaths beside probes: of networks that are trained, and of weights that are set."""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import keras_sensitivity as ks
from keras_sensitivity import shares
from keras_sensitivity.noise_rule import verdict


def probed(num_features, **settings):
    layers = [keras.Input((num_features,)), ks.NoiseProbes(), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse", **settings)
    return model


def watched(x, y, epochs=25, **options):
    keras.utils.set_random_seed(0)
    model = probed(x.shape[1])
    watch = ks.SensitivityCallback(x, **options)
    model.fit(x, y, epochs=epochs, batch_size=64, callbacks=[watch], verbose=0)
    return watch


def hard(rng, num_rows=3000):
    """Three useful columns, and irrelevant ones of many kinds."""
    a, b, c = rng.normal(size=(3, num_rows))
    columns = {"a": a, "b": b, "c": c}
    for r in (0.85, 0.95, 0.99):
        columns[f"twin {r}"] = r * a + np.sqrt(1 - r**2) * rng.normal(size=num_rows)
    shared = rng.normal(size=num_rows)
    columns |= {f"pair {index}": 0.97 * shared + 0.24 * rng.normal(size=num_rows) for index in range(2)}
    columns |= {f"binary {part}": (rng.random(num_rows) < part) / np.sqrt(part) for part in (0.5, 0.1, 0.02)}
    columns |= {"poisson": rng.poisson(3, num_rows) / 1.7, "t3": rng.standard_t(3, num_rows) / 1.7}
    columns["lognormal"] = rng.lognormal(size=num_rows) / 2.1
    return pd.DataFrame(columns), 2 * a + np.sin(2 * b) + c**2 / 2 + 0.1 * rng.normal(size=num_rows)


@pytest.mark.slow
def test_irrelevant_columns_of_every_kind_die_and_no_useful_one(rng):
    x, y = hard(rng)
    watch = watched(x, y, epochs=30)
    assert watch.dead_features == list(x.columns[3:])
    assert not set(watch.events["feature"]) & {"a", "b", "c"}


def test_of_two_copies_one_dies_for_the_other_can_stand_in_for_it(rng):
    x = pd.DataFrame(rng.normal(size=(2000, 4)), columns=list("abcd"))
    x["copy"] = x["a"]
    watch = watched(x, 3 * x["a"] + x["b"])
    (dead,) = {"a", "copy"} & set(watch.dead_features)
    (kept,) = {"a", "copy"} - {dead}
    event = watch.events[watch.events["feature"] == dead].iloc[0]
    assert event["reason"] == f"redundant with {kept}"
    assert watch.importance.noise_band[1] < event["importance"] <= event["threshold"]
    assert {"c", "d"} < set(watch.dead_features)
    assert "b" not in watch.dead_features


@pytest.mark.slow
def test_useful_columns_that_are_correlated_both_live(rng):
    x = pd.DataFrame(rng.normal(size=(3000, 3)), columns=list("abc"))
    x["b"] = 0.9 * x["a"] + np.sqrt(1 - 0.81) * x["b"]
    watch = watched(x, x["a"] + x["b"])
    assert watch.dead_features == ["c"]


@pytest.mark.slow
def test_who_was_never_above_the_noise_is_listed(rng):
    x = pd.DataFrame(rng.normal(size=(1000, 5)), columns=list("abcde"))
    watch = watched(x, 3 * x["a"] + x["b"], epochs=1)
    assert watch.dead_features == []
    assert set(watch.not_above_noise_yet) >= {"c", "d", "e"}
    assert "a" not in watch.not_above_noise_yet
    later = watched(x, 3 * x["a"] + x["b"], epochs=25)
    assert not set(later.not_above_noise_yet) & set(later.dead_features)


def test_nobody_dies_in_a_network_that_learns_nothing(rng):
    x = pd.DataFrame(rng.normal(size=(1000, 6)))
    watch = watched(x.rename(columns=str), rng.normal(size=1000), epochs=15)
    assert watch.dead_features == []
    assert len(watch.not_above_noise_yet) >= 3
    assert watch.events.empty


def test_two_hundred_features_make_one_line_an_epoch(rng, capsys):
    x = rng.normal(size=(1000, 200)).astype("float32")
    watched(x, x[:, :3].sum(axis=1), epochs=4, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 1 + 4
    assert all(len(line) < 200 for line in lines[1:])


# --- weights that are set: numbers in closed form ---------------------------------------------------------------------


def of_weights(weights, x, noise=0.01, y=None):
    """The newest look at a linear network with these weights, whose probes have about the same small ones."""
    model = keras.Sequential([keras.Input((x.shape[1],)), ks.NoiseProbes(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    of_probes = noise * np.linspace(0.8, 1.2, 8)
    model.set_weights([np.concatenate([weights, of_probes])[:, None], np.zeros(1)])
    watch = ks.SensitivityCallback(x, y, num_samples=None)
    model.fit(x, np.zeros(len(x)) if y is None else y, epochs=1, callbacks=[watch], verbose=0)
    return watch.importance


def test_the_threshold_of_a_column_grows_by_the_root_of_its_variance_inflation(rng):
    x = rng.normal(size=(20_000, 3)).astype("float32")
    x[:, 2] = 0.8 * x[:, 0] + 0.6 * x[:, 2]
    look = of_weights([1.0, 1.0, 0.1], x)
    none = np.zeros(3, bool)
    found = verdict(look, none, none)
    np.testing.assert_allclose(found.thresholds / look.noise_band[1], [1 / 0.6, 1, 1 / 0.6], rtol=0.02)
    assert not found.is_low.any()


@pytest.mark.slow
def test_the_weakest_goes_first_and_the_other_is_judged_without_it(rng):
    x = rng.normal(size=(20_000, 3)).astype("float32")
    x[:, 2] = 0.999 * x[:, 0] + np.sqrt(1 - 0.999**2) * x[:, 2]
    none = np.zeros(3, bool)
    found = verdict(of_weights([0.1, 1.0, 0.05], x), none, none)  # both together are ten times the noise
    assert found.is_low.tolist() == [False, False, True]
    assert found.stand_ins == {2: [0]}
    dead = np.array([False, False, True])
    assert verdict(of_weights([0.1, 1.0, 0.05], x), dead, none).is_low.tolist() == [False, False, True]
    revived = verdict(of_weights([0.0, 1.0, 0.15], x), np.array([True, False, False]), none)
    assert revived.is_low.tolist() == [True, False, False]


# --- labels -----------------------------------------------------------------------------------------------------------


def test_loss_changes_are_those_of_predictions_on_swapped_rows(rng):
    x = rng.normal(size=(3000, 3)).astype("float32")
    y = (2 * x[:, 0] - x[:, 1] + 0.3 * rng.normal(size=3000)).astype("float32")
    weights = np.array([2.0, -1.0, 0.3])
    changes = of_weights(weights, x, y=y).loss_changes
    # E (r + w (x' - x))^2 - E r^2 = 2 w^2 var x + 2 w E r (x' - x), with r = f - y, of which the last is -2 w cov(r, x)
    residual_slope = weights - [2, -1, 0]
    expected = 2 * weights**2 - 2 * weights * residual_slope
    np.testing.assert_allclose(changes["loss_change"].iloc[:3], expected, atol=0.3)
    assert changes.index.tolist() == ["x0", "x1", "x2", *(f"probe {index}" for index in range(8))]
    assert changes["is_probe"].sum() == 8
    probes = changes["loss_change"][changes["is_probe"]]
    assert (probes.abs() < 0.02).all()
    assert (probes != 0).all()


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("mse", np.arange(60.0)),
        ("mae", np.arange(60.0)[:, None]),
        (keras.losses.Huber(), np.arange(60.0)),
        (lambda y, out: keras.ops.square(y - out), np.arange(60.0)[:, None]),
        ("binary_crossentropy", np.arange(60) % 2),
        (keras.losses.BinaryCrossentropy(from_logits=True), np.arange(60) % 2),
        ("sparse_categorical_crossentropy", np.arange(60) % 3),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), np.eye(3)[np.arange(60) % 3]),
    ],
    ids=["mse", "mae", "Huber", "function", "binary", "logits", "sparse", "categorical"],
)
def test_row_losses_average_to_what_keras_evaluates(rng, loss, y):
    from keras_sensitivity.networks.choice import network_of

    units = 3 if "ategorical" in str(loss) + type(loss).__name__ else 1
    activation = "softmax" if units == 3 else "sigmoid" if loss == "binary_crossentropy" else None
    penalty = keras.regularizers.L2(0.1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation, kernel_regularizer=penalty)])
    model.compile("sgd", loss)
    x = rng.normal(size=(60, 4)).astype("float32")
    without_penalty = model.evaluate(x, y, batch_size=60, verbose=0) - float(sum(model.losses))
    assert network_of(model).row_losses(x, y).mean() == pytest.approx(without_penalty, rel=1e-4)


def test_several_outputs_have_their_own_losses_and_weights(rng):
    from keras_sensitivity.networks.choice import network_of

    inputs = keras.Input((3,))
    heads = [keras.layers.Dense(1, name="price")(inputs), keras.layers.Dense(1, "sigmoid", name="sold")(inputs)]
    model = keras.Model(inputs, heads)
    model.compile("sgd", {"price": "mse", "sold": "binary_crossentropy"}, loss_weights={"price": 2.0, "sold": 0.5})
    x, y = rng.normal(size=(40, 3)).astype("float32"), {"price": np.arange(40.0), "sold": np.arange(40) % 2}
    expected = model.evaluate(x, y, batch_size=40, verbose=0, return_dict=True)["loss"]
    assert network_of(model).row_losses(x, y).mean() == pytest.approx(expected, rel=1e-4)
    watch = ks.SensitivityCallback(x, y)
    model.fit(x, y, epochs=1, callbacks=[watch], verbose=0)
    assert watch.importance.loss_changes.shape == (3, 2)


@pytest.mark.slow
def test_labels_change_nothing_in_the_training(rng):
    x = rng.normal(size=(300, 4)).astype("float32")
    y = x[:, 0].astype("float32")
    ends = []
    for options in ({}, {"y": y}):
        keras.utils.set_random_seed(3)
        model = probed(4, metrics=["mae"])
        history = model.fit(x, y, epochs=3, callbacks=[ks.SensitivityCallback(x, **options)], verbose=0).history
        ends.append((model.get_weights(), history["mae"], history["loss"]))
    for one, other in zip(*ends, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_model_that_is_compiled_anew_has_its_new_loss(rng):
    x = rng.normal(size=(200, 3)).astype("float32")
    y = 10 * x[:, 0]
    model, found = probed(3), []
    for loss in ("mse", "mae"):
        model.compile(keras.optimizers.SGD(0.0), loss)
        watch = ks.SensitivityCallback(x, y)
        model.fit(x, y, epochs=1, callbacks=[watch], verbose=0)
        found.append(watch.importance.loss_changes["loss_change"].abs().max())
    assert found[0] != pytest.approx(found[1], rel=0.01)


def compiled(loss="mse"):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    return model


ROWS = np.zeros((20, 3), "float32")


@pytest.mark.parametrize(
    ("x", "y", "loss", "words"),
    [
        (ROWS, np.zeros(19), "mse", "20 labels, one for each row of x"),
        (ROWS, np.full(20, np.nan), "mse", "finite numbers"),
        (ROWS, np.array(["a"] * 20), "mse", "finite numbers"),
        (ROWS, np.zeros(20), lambda y, out: keras.ops.mean(y - out), "one number for a whole batch"),
        ((ROWS for _ in range(3)), np.zeros(60), "mse", "goes with arrays"),
    ],
    ids=["other rows", "NaN", "words", "a reduced loss", "a stream"],
)
def test_labels_that_do_not_fit_are_refused_before_the_first_step(x, y, loss, words):
    model = compiled(loss)
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        model.fit(ROWS, np.zeros((20, 1)), callbacks=[ks.SensitivityCallback(x, y)], verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize("count", [2, 3, 8, 20])
def test_one_in_a_hundred_lies_above_what_is_predicted(count):
    """Of normal values, one more lies above the bound for as many with the probability of the level."""
    rng = np.random.default_rng(count)
    logs = rng.normal(3.0, 0.7, (20_000, count))
    bounds = np.array([shares.prediction_bounds(each, 0.99) for each in logs])
    more = rng.normal(3.0, 0.7, len(logs))
    for part in (more > bounds[:, 1]).mean(), (more < bounds[:, 0]).mean():
        assert part == pytest.approx(0.01, abs=4 * np.sqrt(0.01 * 0.99 / len(logs)))


def test_the_noise_band_is_the_prediction_of_the_logarithms():
    probes = np.exp([0.0, 0.1, -0.1, 0.2, -0.2, 0.0, 0.1, -0.1])
    logs = np.log(probes)
    reach = scipy.stats.t.ppf(0.99, 7) * logs.std(ddof=1) * np.sqrt(1 + 1 / 8)
    np.testing.assert_allclose(shares.noise_band(probes), np.exp([logs.mean() - reach, logs.mean() + reach]))
    scattered = np.array([1e-9, 1.0])
    assert shares.noise_band(scattered)[1] == pytest.approx(2.0)  # at most twice the largest
