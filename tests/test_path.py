"""The path: the spread of the data along an axis that is stretched by how sensitive the network is there."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from functions import linear, measured, network, share, table
from keras import layers, ops

import keras_sensitivity as ks
from keras_sensitivity import shares
from keras_sensitivity.bins import SLOTS, Bins
from keras_sensitivity.moments import Means, Moments
from keras_sensitivity.networks.network import Entries

# --- the number, against closed forms -------------------------------------------------------------------------------

# Functions of x and of a second column, which they add; and F(x), worked out by hand from the derivative in x.
PATHS = {
    "tanh": (lambda x: ops.tanh(10 * x), lambda rng, n: rng.normal(size=n), lambda x: np.tanh(10 * x)),
    "log": (ops.log1p, lambda rng, n: np.exp(2 * rng.normal(size=n)), np.log1p),
    "square": (lambda x: x**2, lambda rng, n: rng.uniform(-1, 1, n), lambda x: x * np.abs(x)),
    "heavy": (ops.tanh, lambda rng, n: rng.standard_t(2, size=n), np.tanh),
    "step": (lambda x: ops.tanh(15 * (x - 1)), lambda rng, n: rng.normal(size=n), lambda x: np.tanh(15 * (x - 1))),
    "line": (lambda x: 3 * x, lambda rng, n: np.exp(3 * rng.normal(size=n)), lambda x: 3 * x),
}  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_the_path_is_the_integral_of_the_sensitivity(name, rng):
    function, draw, path = PATHS[name]
    x = np.column_stack([draw(rng, 20_000), rng.normal(size=20_000)])
    found = measured(network(lambda x, z: function(x) + z, 2), x).features
    np.testing.assert_allclose(found, share([path(x[:, 0]).std(), x[:, 1].std()]), atol=1.5)


def test_a_slope_in_the_middle_is_not_multiplied_by_a_deviation_of_the_tails(rng):
    x = np.column_stack([np.exp(3 * rng.normal(size=4000)), rng.normal(size=4000)])
    model = network(lambda money, z: ops.log1p(money) + z, 2)
    right = share([np.log1p(x[:, 0]).std(), x[:, 1].std()])
    assert abs(measured(model, x, scale="std").features - right).max() > 20
    assert abs(measured(model, x).features - right).max() < 1.5


@pytest.mark.parametrize("n", [3, 40, 200, 3000])
def test_of_a_linear_network_it_is_the_weight_times_the_standard_deviation(n, rng):
    x, weights = table(rng, n), np.array([[1.0, -2.0], [0.5, 0.1], [-3.0, 1.0], [0.0, 0.3]])
    found = measured(linear(weights), x)
    sizes = np.linalg.norm(weights, axis=1) * x.to_numpy().std(axis=0)
    np.testing.assert_allclose(found.features, share(sizes), rtol=1e-5)
    np.testing.assert_allclose(found.table["rms"], sizes, rtol=1e-5)
    np.testing.assert_allclose(found.rms_by_output, np.abs(weights.T) * x.to_numpy().std(axis=0), rtol=1e-5)


def test_where_the_sensitivity_does_not_depend_on_the_value_it_is_that_of_std(rng):
    x = rng.normal(size=(4000, 3)) * [1, 4, 2]
    model = network(lambda a, b, c: a * b + 3 * c, 3)  # of a, the derivative b tells nothing of a
    found, std = measured(model, x), measured(model, x, scale="std")
    assert np.ptp(std.features) > 5
    np.testing.assert_allclose(found.features, std.features, atol=1.0)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_looks_again_and_again_are_those_of_a_first(batch_size, rng):
    """What is kept of the rows from look to look is told from what the probes' noise, or other rows, would be."""
    x = np.column_stack([np.exp(rng.normal(size=300)), rng.normal(size=300)]).astype("float32")
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(1)(layers.Dense(6, "tanh")(ks.NoiseProbes(3)(inputs))))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    watch = ks.SensitivityCallback(x, batch_size=batch_size)
    first = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: alone.append(ks.measure(model, x, batch_size=batch_size))
    )
    alone = []
    model.fit(x, x[:, 0], epochs=4, verbose=0, callbacks=[watch, first])
    assert np.abs(watch.history[0].features - watch.history[-1].features).max() > 0.1
    for one, other in zip(watch.history, alone, strict=True):
        pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-6)
        np.testing.assert_allclose(one.probes, other.probes, rtol=1e-6)


def test_few_rows_make_one_bin_which_is_std(rng):
    x = rng.normal(size=(31, 3))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)])
    assert np.ptp(measured(model, x).features) > 1
    np.testing.assert_allclose(measured(model, x).features, measured(model, x, scale="std").features, rtol=1e-6)


def test_the_mean_and_the_deviation_are_scaled_alike(rng):
    x = np.column_stack([np.exp(2 * rng.normal(size=1000)), rng.normal(size=1000)])
    found = measured(network(lambda a, b: ops.log1p(a) + ops.sin(b), 2), x).table
    assert (found["std"] > 0.1).all()
    np.testing.assert_allclose(found["rms"] ** 2, found["mean"] ** 2 + found["std"] ** 2, rtol=1e-6)


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(2)])


@pytest.mark.parametrize("change", ["derivative", "auto", "swap"])
@pytest.mark.parametrize("batch_size", [7, 1000])
def test_the_size_of_the_batches_changes_nothing(model, rng, change, batch_size):
    x = table(rng, 250)
    definition = ks.Definition(change=change)
    one = ks.measure(model, x, definition=definition)
    other = ks.measure(model, x, definition=definition, batch_size=batch_size)
    assert np.ptp(one.features) > 5
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-5)


@pytest.mark.parametrize("change", ["derivative", "swap"])
def test_the_compiler_changes_nothing(model, rng, change):
    x, definition = table(rng, 300), ks.Definition(change=change)
    one, other = (ks.measure(model, x, definition=definition, jit_compile=use) for use in (True, False))
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-4)


def test_the_order_of_the_rows_changes_nothing(model, rng):
    x = table(rng, 500)
    shuffled = x.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(measured(model, x).table, measured(model, shuffled).table, rtol=1e-5)


def test_a_stream_is_measured_like_its_rows(model, rng):
    x = table(rng, 500).to_numpy(dtype="float32")
    batches = (x[start : start + 32] for start in range(0, 500, 32))
    pd.testing.assert_frame_equal(measured(model, x).table, measured(model, batches).table, rtol=1e-5)


def test_rows_without_weight_change_nothing(model, rng):
    x, weights = table(rng, 400), rng.integers(0, 3, 400)
    repeated = np.repeat(x.to_numpy(), weights, axis=0)
    x = x.to_numpy()
    background = x[:300]
    one = measured(model, x, sample_weight=weights, background=background)
    other = measured(model, repeated, background=background)
    np.testing.assert_allclose(one.features, other.features, rtol=1e-5)


def test_with_a_background_parts_merge_to_the_whole(model, rng):
    x, background = table(rng, 600), table(rng, 900)
    whole = measured(model, x, background=background)
    parts = [measured(model, part, background=background) for part in (x[:100], x[100:450], x[450:])]
    for merged in (parts[0].merge(parts[1]).merge(parts[2]), parts[2].merge(parts[1].merge(parts[0]))):
        pd.testing.assert_frame_equal(whole.table, merged.table, rtol=1e-6)
        pd.testing.assert_frame_equal(whole.by_output, merged.by_output, rtol=1e-6)


def test_without_one_parts_of_other_bins_merge_nearly(model, rng):
    x = table(rng, 3000)
    whole, parts = measured(model, x), [measured(model, x[:1500]), measured(model, x[1500:])]
    np.testing.assert_allclose(parts[0].merge(parts[1]).features, whole.features, atol=1.0)


def test_parts_of_other_rows_want_a_common_background(rng):
    """Between the halves of sorted rows tanh(3 a) rises, which neither has seen."""
    x = rng.normal(size=(2000, 2))
    x = x[np.argsort(x[:, 0])]
    model = network(lambda a, b: ops.tanh(3 * a) + b, 2)
    for change in ("derivative", "swap"):
        halves = [measured(model, part, change=change) for part in (x[:1000], x[1000:])]
        with pytest.warns(UserWarning, match=r"differ in 'x0'.*background="):
            halves[0].merge(halves[1])
        whole = measured(model, x, change=change, background=x)
        halves = [measured(model, part, change=change, background=x) for part in (x[:1000], x[1000:])]
        np.testing.assert_allclose(halves[0].merge(halves[1]).features, whole.features, atol=2)


def test_random_parts_merge_without_a_word(model, rng, recwarn):
    x = table(rng, 3000)
    measured(model, x[:1500]).merge(measured(model, x[1500:]))
    assert not [each for each in recwarn if "merged" in str(each.message)]


def test_of_a_linear_network_any_parts_merge_to_the_whole(rng):
    x = table(rng, 500).sort_values("money")
    line = linear([[1.0], [2.0], [3.0], [4.0]])
    merged = measured(line, x[:7]).merge(measured(line, x[7:]))
    np.testing.assert_allclose(merged.features, measured(line, x).features, rtol=1e-5)


def test_a_background_gives_the_spread(rng):
    line = linear([[1.0], [1.0]])
    x, background = rng.normal(size=(300, 2)), rng.normal(size=(2000, 2)) * [1, 9]
    for scale in ("path", "std"):
        found = measured(line, x, background=background, scale=scale)
        np.testing.assert_allclose(found.features, share(background.std(axis=0)), rtol=1e-5)


def test_a_background_of_one_row_has_no_spread(rng):
    with pytest.warns(UserWarning, match="constant in the background, a single row"):
        ks.measure(linear([[1.0], [1.0]]), rng.normal(size=(30, 2)), background=np.ones((1, 2)))


def test_segments_compare_with_a_common_background(rng):
    """Where one segment uses one column and the other the other, each by its spread among all."""
    x = rng.normal(size=(3000, 3))
    model = network(lambda a, b, c: ops.relu(c) * 0 + ops.where(c > 0, a, 2 * b), 3)
    high = measured(model, x[x[:, 2] > 0], background=x).features
    low = measured(model, x[x[:, 2] < 0], background=x).features
    assert high["x0"] > 99
    assert low["x1"] > 99


# --- kinds of networks ----------------------------------------------------------------------------------------------


def test_a_unit_alone_is_measured_as_among_others(model, rng):
    x = table(rng, 400)
    together = measured(model, x).by_output
    for unit in (0, 1):
        np.testing.assert_allclose(together.iloc[unit], measured(model, x, output=unit).features, rtol=1e-5)


def test_a_group_adds_the_squares_of_its_columns(model, rng):
    x = table(rng, 400)
    alone = measured(model, x).table["rms"]
    groups = {"both": ["money", "count"]}
    definition = ks.Definition(change="derivative")
    grouped = ks.measure(model, x, groups=groups, definition=definition).table["rms"]
    np.testing.assert_allclose(grouped["both"], np.hypot(alone["money"], alone["count"]), rtol=1e-5)


def test_the_lags_of_a_column_share_their_bins(rng):
    x = rng.normal(size=(2000, 3, 2))
    sequence = keras.Input((3, 2))
    newest_and_oldest = ops.tanh(10 * sequence[:, -1, :1]) + 2 * sequence[:, 0, 1:]
    found = measured(keras.Model(sequence, newest_and_oldest), x)
    np.testing.assert_allclose(found.by_lag.loc[0, "x0"], np.tanh(10 * x[:, :, 0]).std(), rtol=0.03)
    np.testing.assert_allclose(found.by_lag.loc[2, "x1"], 2 * x[:, :, 1].std(), rtol=1e-5)
    assert found.by_lag.loc[1].max() == 0


def test_masked_steps_weigh_nothing(rng):
    x = rng.normal(size=(500, 4, 1)) + 3
    x[:250, :2] = 0
    sequence = keras.Input((4, 1))
    masked = keras.layers.Masking()(sequence)
    model = keras.Model(sequence, keras.layers.SimpleRNN(1, activation="linear", use_bias=False)(masked))
    model.set_weights([np.array([[2.0]]), np.array([[0.5]])])
    valid = x[x != 0]
    np.testing.assert_allclose(measured(model, x).by_lag["x0"], 2 * 0.5 ** np.arange(4) * valid.std(), rtol=1e-4)


def test_of_many_to_many_networks_the_same_step_has_a_path(rng):
    x = rng.normal(size=(1500, 4, 2))
    sequence = keras.Input((4, 2))
    model = keras.Model(sequence, ops.tanh(10 * sequence[:, :, :1]) + sequence[:, :, 1:])
    found = measured(model, x, mode="many-to-many").features
    np.testing.assert_allclose(found, share([np.tanh(10 * x[..., 0]).std(), x[..., 1].std()]), atol=1.0)


def test_the_noise_of_probes_has_a_path(rng):
    x = np.column_stack([np.exp(2 * rng.normal(size=3000)), rng.normal(size=3000)])
    inputs = keras.Input((2,))
    with_noise = ks.NoiseProbes(4)(inputs)
    output = ops.log1p(with_noise[:, :1]) + ops.tanh(10 * with_noise[:, 2:3])
    found = measured(keras.Model(inputs, output), x)
    sizes = np.log1p(x[:, 0]).std(), np.tanh(10 * rng.normal(size=100_000)).std()
    np.testing.assert_allclose(found.probes[0], 100 * sizes[1] / sizes[0], rtol=0.05)


def test_embedded_codes_are_scaled_by_their_deviation(rng):
    codes = rng.integers(0, 6, size=(400, 1))
    inputs = keras.Input((1,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Embedding(6, 3)(inputs))))
    found, std = measured(model, codes), measured(model, codes, scale="std")
    np.testing.assert_allclose(found.table["rms"], std.table["rms"], rtol=1e-5)


def test_what_is_too_wide_for_bins_is_scaled_by_its_deviation(rng):
    x = rng.normal(size=(40, 5000))
    model = linear(rng.normal(size=(5000, 1)))
    with pytest.warns(UserWarning, match=r"5,000 derivatives .* 4,096"):
        found = measured(model, x)
    np.testing.assert_allclose(found.features, measured(model, x, scale="std").features, rtol=1e-6)


def test_saved_and_loaded_it_is_the_same(model, rng, tmp_path):
    found = ks.measure(model, table(rng, 400))
    found.save(tmp_path / "found.npz")
    loaded = ks.Importance.load(tmp_path / "found.npz")
    pd.testing.assert_frame_equal(found.table, loaded.table)
    pd.testing.assert_frame_equal(found.variance, loaded.variance)


# --- bins and formula -----------------------------------------------------------------------------------------------

SAMPLES = {
    "normal": lambda rng: rng.normal(size=5000),
    "far from zero": lambda rng: 1e7 + rng.normal(size=5000),
    "heavy": lambda rng: np.exp(4 * rng.normal(size=5000)),
    "many zeros": lambda rng: np.where(rng.random(5000) < 0.8, 0, rng.normal(size=5000)),
    "whole numbers": lambda rng: rng.integers(0, 1000, 5000),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_bins_are_in_order_and_have_about_the_same_weight(name, rng):
    values = SAMPLES[name](rng).astype(float)
    slots = Bins.of([values]).index(values[:, None])[:, 0].astype(int)
    ordered = slots[np.argsort(values, kind="stable")]
    assert (np.diff(ordered) >= 0).all()
    counts = np.bincount(slots)
    most_common = np.unique(values, return_counts=True)[1].max()
    assert 40 <= (counts > 0).sum() <= SLOTS
    assert counts.max() <= max(6 * len(values) / SLOTS, 1.2 * most_common)


def test_a_value_that_many_share_has_a_bin_of_its_own(rng):
    values = np.where(rng.random(4000) < 0.9, 0.0, rng.uniform(1, 2, 4000))
    slots = Bins.of([values]).index(values[:, None])[:, 0]
    assert len(np.unique(slots[values == 0])) == 1
    assert not np.isin(slots[values > 1.1], slots[values == 0]).any()


def test_values_beyond_all_samples_are_in_the_last_bins(rng):
    values = rng.normal(size=1000)
    found = Bins.of([values]).index(np.array([[-1e30], [values.min()], [values.max()], [1e30]]))[:, 0]
    assert found[0] == found[1] < found[2] == found[3]


def test_in_bins_are_the_moments_of_what_lies_there(rng):
    values = rng.normal(size=(1000, 2, 3))
    weights = rng.integers(0, 3, size=(1000, 2, 1)).astype(float)
    gradients = rng.normal(size=(2, 1000, 2, 3))
    bins = Bins.of(list(values.reshape(-1, 3).T))
    binned = bins.place(Entries(values, weights))
    slots, every = bins.index(values), np.broadcast_to(weights, values.shape)
    spread, squares = binned.moments, binned.mean_squares(gradients)
    for slot in np.unique(slots)[4::9]:
        for entry in range(3):
            here = (slots == slot)[:, :, entry]
            x, w = values[:, :, entry][here], every[:, :, entry][here]
            np.testing.assert_allclose(spread.weight[slot, entry], w.sum())
            np.testing.assert_allclose(spread.mean[slot, entry], np.average(x, weights=w))
            np.testing.assert_allclose(spread.variance[slot, entry], np.cov(x, aweights=w, ddof=0))
            g, w = gradients[1, :, 1, entry][here[:, 1]], every[:, 1, entry][here[:, 1]]
            np.testing.assert_allclose(squares.mean[1, 1, slot, entry], np.average(g**2, weights=w + 1e-300))


@pytest.mark.parametrize(
    ("h", "beyond"),
    [([9.0, 1, 1], 1.0), ([1.0, 1, 10], 4.0), ([2.0, 2, 2], 2.0)],
    ids=["a flat tail stays flat", "a steep part does not go on", "linear"],
)
def test_bins_beyond_the_measured_rows(h, beyond):
    """With the slopes sqrt(h) of three bins at 0, 1 and 2, and two bins at 3 and 4 where no row was measured."""
    spread = Moments(np.ones((5, 1)), np.arange(5.0)[:, None], np.zeros((5, 1)))
    seen = Means(np.array([1.0, 1, 1, 0, 0])[None, :, None], np.array([*h, 0, 0])[None, None, :, None])
    whole = Means(np.ones((1, 5, 1)), np.array([*h, beyond, beyond])[None, None, :, None])
    np.testing.assert_allclose(shares.path_squares(spread, seen), shares.path_squares(spread, whole))


def test_a_background_far_from_the_measured_rows_is_warned_of(rng):
    """Of tanh(6 a) + b the rows with a > 0 do not show that it is flat below 0 as well."""
    model = network(lambda one, other: ops.tanh(6 * one) + other, 2)
    x = rng.normal(size=(2000, 2))
    segment = x[x[:, 0] > 0]
    with pytest.warns(UserWarning, match=r"no row was measured: of 'x0' \([45]\d %\)"):
        importance = ks.measure(model, segment, background=x)
    real = ks.measure(model, segment, background=x, definition=ks.Definition(change="swap"))
    assert abs(importance.features["x0"] - real.features["x0"]) < 10
    assert importance.unseen["x0"] == pytest.approx(50, abs=2)
    assert importance.unseen["x1"] < 2
    assert (ks.measure(model, segment).unseen == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ks.measure(model, x[:300], background=x)


def test_bins_without_a_measured_row_lie_between_their_neighbours():
    spread = Moments(np.ones((4, 1)), np.arange(4.0)[:, None], np.zeros((4, 1)))
    whole = Means(np.ones((1, 4, 1)), np.array([4.0, 4, 4, 4])[None, None, :, None])
    holes = Means(np.array([1.0, 0, 0, 1])[None, :, None], np.array([4.0, 0, 0, 4])[None, None, :, None])
    np.testing.assert_allclose(shares.path_squares(spread, holes), shares.path_squares(spread, whole))
    np.testing.assert_allclose(shares.path_squares(spread, whole)[0, 0, 0], 4 * np.arange(4).var())


@pytest.mark.parametrize("missing", [0.1, 0.5, 0.9])
def test_holes_are_filled_as_one_by_one(rng, missing):
    """Bins, of which some have no rows in the background and some none that were measured, entry by entry."""
    num_units, num_lags, num_bins, num_entries = 2, 3, 8, 20
    present = rng.random((num_bins, num_entries)) > 0.2
    mean = np.where(present, np.sort(rng.normal(size=(num_bins, num_entries)), axis=0), 0.0)
    weight = rng.integers(1, 9, size=(num_lags, num_bins, num_entries)) * present
    weight *= rng.random(weight.shape) > missing
    h = rng.random((num_units, *weight.shape)) * (weight > 0)
    spread = Moments(present.astype(float), mean, np.zeros(mean.shape))
    found = shares.path(spread, Means(weight.astype(float), h)).slope ** 2
    for lag, entry in np.ndindex(num_lags, num_entries):
        here, known = present[:, entry], weight[lag, :, entry] > 0
        for unit in range(num_units if known.any() else 0):
            x, values = mean[known, entry], h[unit, lag, known, entry]
            expected = np.interp(mean[here, entry], x, values)
            is_beyond = (mean[here, entry] < x.min()) | (mean[here, entry] > x.max())
            whole = np.average(values, weights=weight[lag, known, entry])
            expected[is_beyond] = np.minimum(expected[is_beyond], whole)
            np.testing.assert_allclose(found[unit, lag, : here.sum(), entry], expected, atol=1e-12)
