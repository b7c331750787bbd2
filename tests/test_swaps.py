"""Real changes: what a network returns when a feature has the value of another row."""

import copy
import pickle

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from functions import ishigami, linear, measured, network, share, table
from keras import layers, ops

import keras_sensitivity as ks
from keras_sensitivity.values import FEW_VALUES

SWAP = ks.Definition(change="swap")


def swapped(model, x, **options):
    return ks.measure(model, x, definition=SWAP, **options)


# --- the number, against theory -------------------------------------------------------------------------------------

# The variances of the factors of the g-function.
G = np.array([1 / 3, 1 / 12, 1 / 300])

# Total-effect indices, percent: by hand, or from Sobol (2001) and Saltelli (2008).
VARIANCES = {
    "ishigami": (*ishigami, lambda rng, n: rng.uniform(-np.pi, np.pi, size=(n, 3)), [55.76, 44.24, 24.37]),
    "paper": (
        lambda a, b, c, d: ops.cos(a) + ops.sin(b) + 2 * c + d,
        4,
        lambda rng, n: rng.normal(size=(n, 4)),
        100 * np.array([(1 - np.exp(-1)) ** 2 / 2, (1 - np.exp(-2)) / 2, 4, 1])
        / ((1 - np.exp(-1)) ** 2 / 2 + (1 - np.exp(-2)) / 2 + 5),
    ),
    "g-function": (
        lambda a, b, c: (ops.abs(4 * a - 2) / 1) * ((ops.abs(4 * b - 2) + 1) / 2) * ((ops.abs(4 * c - 2) + 9) / 10),
        3,
        lambda rng, n: rng.uniform(size=(n, 3)),
        # V_j = 1 / (3 (1 + a_j)**2); T_j = V_j * product of the others' (1 + V) / (product of all (1 + V) - 1)
        [100 * v / (1 + v) * np.prod(1 + G) / (np.prod(1 + G) - 1) for v in G],
    ),
    "product": (lambda a, b: a * b, 2, lambda rng, n: rng.normal(size=(n, 2)), [100, 100]),
    "step": (lambda a, b: ops.where(a > 0, 1.0, 0.0) + 0 * b, 2, lambda rng, n: rng.normal(size=(n, 2)), [100, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_the_total_effect(name, rng):
    function, count, draw, exact = VARIANCES[name]
    found = swapped(network(function, count), draw(rng, 20_000)).variance
    distance = np.abs(found["variance"] - exact)
    assert (distance < 4 * found["standard_error"] + 1e-6).all()
    assert (found["standard_error"] < 3).all()


def test_of_a_linear_network_it_is_the_weight_times_the_standard_deviation(rng):
    x, weights = table(rng, 20_000), np.array([[1.0, -2.0], [0.05, 0.1], [-3.0, 1.0], [0.0, 0.3]])
    found = swapped(linear(weights), x)
    sizes = np.linalg.norm(weights, axis=1) * x.to_numpy().std(axis=0)
    errors = found.table["standard_error"].to_numpy()
    assert (np.abs(found.features - share(sizes)) < 4 * errors).all()
    np.testing.assert_allclose(found.rms_by_output, np.abs(weights.T) * x.to_numpy().std(axis=0), rtol=0.2)


def test_it_equals_the_formula_by_hand(rng):
    """Of few rows each is swapped with every other."""
    x = rng.normal(size=(7, 2))
    model = network(lambda a, b: a * b + ops.sin(b), 2)
    f = lambda a, b: a * b + np.sin(b)  # noqa: E731
    q = swapped(model, x).table["rms"]
    others = [(i, other) for i in range(7) for other in range(7) if other != i]
    first = [(f(*x[i]) - f(x[other, 0], x[i, 1])) ** 2 / 2 for i, other in others]
    second = [(f(*x[i]) - f(x[i, 0], x[other, 1])) ** 2 / 2 for i, other in others]
    np.testing.assert_allclose(q, np.sqrt([np.mean(first), np.mean(second)]), rtol=1e-5)


def test_several_units_add_their_squares(rng):
    x = rng.normal(size=(500, 3))
    model = linear(rng.normal(size=(3, 2)))
    found = swapped(model, x)
    np.testing.assert_allclose((found.rms_by_output**2).sum(axis=0), found.table["rms"] ** 2)
    for unit in (0, 1):
        alone = ks.measure(model, x, definition=ks.Definition(change="swap", output=unit))
        np.testing.assert_allclose(found.by_output.iloc[unit], alone.features, rtol=1e-5)


def test_logits_are_swapped_where_they_are_asked_for(rng):
    x = rng.normal(size=(300, 2))
    inputs = keras.Input((2,))
    logits = layers.Dense(1, use_bias=False, name="logits")(inputs)
    model, bare = keras.Model(inputs, layers.Activation("sigmoid")(logits)), keras.Model(inputs, logits)
    found = ks.measure(model, x, definition=ks.Definition(change="swap", logits=True))
    np.testing.assert_allclose(found.table["rms"], swapped(bare, x).table["rms"], rtol=1e-5)


# Definitions, and whether there is a background.
REPEATED = [("swap", False), ("swap", True), ("auto", False), ("derivative", False)]


@pytest.mark.parametrize(("change", "with_background"), REPEATED)
@pytest.mark.sample(2)
def test_standard_errors_are_those_of_repetition(change, with_background, rng):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(2)])
    background = table(rng, 3000) if with_background else None
    definition = ks.Definition(change=change)
    # Of a path few bins of a heavy tail do not tell how far it scatters.
    count, power = (400, 1.0) if change == "swap" else (1500, 0.5)
    draw = lambda: table(rng, count).assign(money=lambda x: x["money"] ** power)  # noqa: E731
    looks = [ks.measure(model, draw(), background=background, definition=definition) for _ in range(120)]
    shares, errors = [look.features for look in looks], [look.table["standard_error"] for look in looks]
    said = np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(np.std(shares, axis=0, ddof=1), said, rtol=0.35)
    if change == "swap":
        shares, errors = ([look.variance[name] for look in looks] for name in ("variance", "standard_error"))
        said = np.sqrt(np.mean(np.square(errors), axis=0))
        np.testing.assert_allclose(np.std(shares, axis=0, ddof=1), said, rtol=0.35)


# --- what is swapped ------------------------------------------------------------------------------------------------


def columns(rng, n=400):
    return {
        "binary": rng.integers(0, 2, n),
        "rare": rng.random(n) < 0.02,
        "hours": rng.integers(0, 24, n),
        "halves": rng.integers(0, 10, n) / 2,
        "as many as allowed": np.arange(n) % FEW_VALUES,
        "one more": np.arange(n) % (FEW_VALUES + 1),
        "numbers": rng.normal(size=n),
        "rounded": np.round(10 * rng.normal(size=n)),
        "constant": np.ones(n),
    }


FEW = {"binary", "rare", "hours", "halves", "as many as allowed", "constant"}


def test_columns_of_few_values_are_swapped(rng):
    x = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in columns(rng).items()})
    model = keras.Sequential([keras.Input((len(x.columns),)), layers.Dense(3, "relu"), layers.Dense(1)])
    for change, expected in {"auto": FEW, "swap": {*x}, "derivative": set()}.items():
        found = ks.measure(model, x, definition=ks.Definition(change=change))
        assert set(found.table.index[found.table["change"] == "swap"]) == expected
        assert found.variance is None if not expected else set(found.variance.index) == expected


@pytest.mark.parametrize("scale", ["std", None, np.arange(9.0)])
def test_where_the_scale_is_no_path_nothing_is_swapped_unless_told(scale, rng):
    x = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in columns(rng).items()})
    model = linear(np.ones((9, 1)))
    assert (ks.measure(model, x, definition=ks.Definition(scale=scale)).table["change"] == "derivative").all()
    told = ks.measure(model, x, definition=ks.Definition(scale=scale, change="swap"))
    np.testing.assert_allclose(told.features, swapped(model, x).features)


def test_values_that_hardly_repeat_are_not_few(rng):
    x = rng.normal(size=(20, 2))
    found = ks.measure(linear([[1.0], [2.0]]), x)
    assert (found.table["change"] == "derivative").all()


@pytest.mark.parametrize(("count", "change"), [(64, "swap"), (65, "derivative")])
def test_more_than_64_features_are_not_swapped_unless_told(count, change, rng):
    x = rng.integers(0, 2, size=(200, count))
    model = linear(np.ones((count, 1)))
    assert set(ks.measure(model, x).table["change"]) == {change}
    assert set(swapped(model, x).table["change"]) == {"swap"}


def test_the_background_tells_what_has_few_values(rng):
    background = np.column_stack([rng.normal(size=500), rng.integers(0, 3, 500)])
    model = linear([[1.0], [1.0]])
    parts = [ks.measure(model, part, background=background) for part in (np.zeros((50, 2)), background[:70])]
    assert [list(part.table["change"]) for part in parts] == [["derivative", "swap"]] * 2
    assert parts[0].merge(parts[1]).num_samples == 120


def test_parts_that_were_swapped_differently_are_not_merged(rng):
    model = linear([[1.0], [1.0]])
    few, many = rng.integers(0, 3, size=(100, 2)), rng.normal(size=(100, 2))
    with pytest.raises(ValueError, match=r"(?s)differ in 'swapped'.*background="):
        ks.measure(model, few).merge(ks.measure(model, many))


def test_a_group_is_swapped_as_one(rng):
    """An exclusive pair: swapped alone, each makes rows that there are not."""
    colour = rng.integers(0, 3, 3000)
    x = pd.DataFrame(np.column_stack([np.eye(3)[colour], rng.normal(size=3000)]), columns=["red", "green", "blue", "z"])
    model = linear([[1.0], [2.0], [4.0], [1.0]])
    found = ks.measure(model, x, groups={"colour": ["red", "green", "blue"]})
    assert found.table["change"].to_dict() == {"colour": "swap", "z": "derivative"}
    effect = np.array([1.0, 2.0, 4.0])[colour]
    np.testing.assert_allclose(found.table.loc["colour", "rms"], effect.std(), rtol=0.05)


def _embedded():
    inputs = keras.Input((1,), dtype="int32", name="code")
    return keras.Model(inputs, layers.Flatten()(layers.Embedding(50, 3)(inputs)))


def _words():
    inputs = keras.Input((1,), dtype="string", name="word")
    looked_up = layers.StringLookup(vocabulary=list("abc"), output_mode="one_hot")(inputs)
    return keras.Model(inputs, layers.Dense(1)(looked_up))


def _tokens():
    inputs = keras.Input((4,), dtype="int32", name="tokens")
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Embedding(50, 3)(inputs))))


CODES = {
    "embedded": (_embedded, lambda rng: rng.integers(0, 50, (200, 1))),
    "words": (_words, lambda rng: rng.choice(list("abc"), (200, 1)).astype(object)),
    "tokens": (_tokens, lambda rng: rng.integers(0, 50, (200, 4))),
}


@pytest.mark.parametrize("name", CODES)
def test_codes_are_swapped_before_they_are_looked_up(name, rng):
    build, draw = CODES[name]
    model, x = build(), draw(rng)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    found = ks.measure(model, x)
    assert (found.table["change"] == "swap").all()
    outputs = np.asarray(model(tf.constant(x.tolist(), model.inputs[0].dtype)))
    total = outputs.var(axis=0).sum()
    if x.shape[1] == 1:  # the only input: all of the variance
        np.testing.assert_allclose(found.table["rms"].iloc[0] ** 2, total, rtol=0.25)
    assert (found.variance["variance"] > 1).all()


def test_a_sequence_is_changed_by_the_derivative_unless_told(rng):
    """y = 3 x0[newest] + x1[oldest]."""
    x = rng.normal(size=(5000, 3, 2))
    sequence = keras.Input((3, 2))
    model = keras.Model(sequence, 3 * sequence[:, -1, :1] + sequence[:, 0, 1:])
    assert (ks.measure(model, np.round(x)).table["change"] == "derivative").all()
    found = swapped(model, x)
    assert (found.table["change"] == "swap").all()
    np.testing.assert_allclose(found.features, [75, 25], atol=1)
    np.testing.assert_allclose(found.lags, [75, 0, 25], atol=1)
    np.testing.assert_allclose(found.variance["variance"], [90, 10], atol=4)


def test_all_lags_of_a_feature_are_swapped_together(rng):
    """The steps cancel: y = x[newest] - x[oldest] with equal steps is always 0."""
    x = np.repeat(rng.normal(size=(500, 1, 2)), 2, axis=1)
    sequence = keras.Input((2, 2))
    model = keras.Model(sequence, sequence[:, 1, :1] - sequence[:, 0, :1] + sequence[:, 0, 1:])
    found = swapped(model, x).table["rms"]
    assert found["x0"] < 1e-5
    assert found["x1"] > 0.5


def test_lags_of_masked_sequences_are_those_of_the_derivative(rng):
    x = rng.normal(size=(300, 4, 2)) + 3
    x[:150, :2] = 0
    sequence = keras.Input((4, 2))
    model = keras.Model(sequence, layers.SimpleRNN(2)(layers.Masking()(sequence)))
    np.testing.assert_allclose(swapped(model, x).lags, measured(model, x).lags)


def test_images_are_swapped_by_groups_only(rng):
    x = rng.normal(size=(300, 2, 2, 1))
    image = keras.Input((2, 2, 1))
    model = keras.Model(image, layers.Flatten()(image) @ np.array([[3.0], [0.0], [1.0], [0.0]], "float32"))
    with pytest.raises(ValueError, match="groups="):
        swapped(model, x)
    groups = {"top": ["0,0,0", "0,1,0"], "bottom": ["1,0,0", "1,1,0"]}
    np.testing.assert_allclose(swapped(model, x, groups=groups).features, [75, 25], atol=4)
    assert (ks.measure(model, np.round(x)).table["change"] == "derivative").all()


def test_crossed_features_stay_with_the_derivative(rng):
    space = keras.utils.FeatureSpace(
        {"a": keras.utils.FeatureSpace.integer_categorical(num_oov_indices=0),
         "b": keras.utils.FeatureSpace.integer_categorical(num_oov_indices=0)},
        crosses=[keras.utils.FeatureSpace.cross(("a", "b"), crossing_dim=16)],
        output_mode="concat",
    )  # fmt: skip
    x = {"a": rng.integers(0, 3, 200), "b": rng.integers(0, 4, 200)}
    space.adapt(tf.data.Dataset.from_tensor_slices(x))
    encoded = space.get_encoded_features()
    model = keras.Model(space.get_inputs(), layers.Dense(1)(encoded))
    found = ks.measure(model, x).table["change"]
    assert found.to_dict() == {"a": "swap", "b": "swap", "a_X_b": "derivative"}


# --- laws -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(2)])


def test_equal_calls_give_equal_bits(model, rng):
    x = table(rng, 300)
    pd.testing.assert_frame_equal(swapped(model, x).table, swapped(model, x).table, rtol=0, atol=0)


def test_rows_without_weight_are_nobodys_partner(model, rng):
    x = table(rng, 300).to_numpy()
    with_others = np.concatenate([x, 1e6 * np.ones((200, 4))])
    weights = np.repeat([1.0, 0.0], [300, 200])
    background = x
    one = swapped(model, iter([(with_others, None, weights)]), background=background)
    np.testing.assert_allclose(one.features, swapped(model, x, background=background).features, rtol=1e-5)
    kept = ks.measure(model, iter([(with_others, None, weights)]), num_samples=500, definition=SWAP)
    np.testing.assert_allclose(kept.features, swapped(model, x).features, rtol=1e-5)


def test_weights_count_rows(rng):
    """Where one value weighs as much as nine rows of the other."""
    x = np.column_stack([np.arange(2000) % 2, rng.normal(size=2000)])
    weights = np.where(x[:, 0] == 1, 9.0, 1.0)
    model = linear([[2.0], [1.0]])
    found = ks.measure(model, iter([(x, None, weights)]), num_samples=2000, definition=SWAP)
    np.testing.assert_allclose(found.table["rms"]["x0"], 2 * np.sqrt(0.9 * 0.1), rtol=0.1)


def test_a_stream_is_swapped_like_its_rows(model, rng):
    x = table(rng, 3000).to_numpy(dtype="float32")
    streamed = swapped(model, (x[start : start + 100] for start in range(0, 3000, 100)))
    pd.testing.assert_frame_equal(streamed.table, swapped(model, x).table, rtol=1e-5)


def test_a_long_stream_swaps_with_its_first_rows(model, rng):
    x = table(rng, 12_000).to_numpy(dtype="float32")
    streamed = swapped(model, (x[start : start + 1000] for start in range(0, 12_000, 1000)))
    whole = swapped(model, x)
    errors = np.hypot(streamed.table["standard_error"], whole.table["standard_error"])
    assert (np.abs(streamed.features - whole.features) < 3 * errors).all()
    np.testing.assert_allclose(streamed.table["standard_error"], whole.table["standard_error"], rtol=0.3)


def test_merged_with_a_common_background_they_are_as_sure_as_the_whole(model, rng):
    x, background = table(rng, 2000), table(rng, 3000)
    parts = [swapped(model, part, background=background) for part in (x[:500], x[500:])]
    merged, whole = parts[0].merge(parts[1]), swapped(model, x, background=background)
    assert merged.num_samples == 2000
    np.testing.assert_allclose(merged.table["standard_error"], whole.table["standard_error"], rtol=0.2)
    assert (np.abs(merged.features - whole.features) < 4 * whole.table["standard_error"]).all()


def test_a_column_without_influence_is_exactly_zero(rng):
    x = np.column_stack([rng.integers(0, 2, 500), rng.normal(size=500)])
    found = ks.measure(linear([[0.0], [1.0]]), x)
    assert found.features.to_list() == [0, 100]


def test_constant_columns_are_zero(rng):
    x = np.column_stack([np.ones(100), rng.integers(0, 2, 100)])
    assert ks.measure(linear([[5.0], [1.0]]), x).features.to_list() == [0, 100]


def test_saved_loaded_copied_and_pickled(model, rng, tmp_path):
    found = swapped(model, table(rng, 200))
    found.save(tmp_path / "swapped.npz")
    for other in (
        ks.Importance.load(tmp_path / "swapped.npz"),
        copy.deepcopy(found),
        pickle.loads(pickle.dumps(found)),
    ):
        pd.testing.assert_frame_equal(other.table, found.table)
        pd.testing.assert_frame_equal(other.variance, found.variance)


def test_a_stateful_network_takes_its_own_number_of_rows(rng):
    x = rng.normal(size=(40, 3, 2))
    sequence = keras.Input(batch_shape=(8, 3, 2))
    model = keras.Model(sequence, layers.Dense(1)(layers.LSTM(3, stateful=True)(sequence)))
    assert swapped(model, x).features.sum() == pytest.approx(100)


@pytest.mark.parametrize("change", ["auto", "swap"])
@pytest.mark.sample(2)
def test_in_a_fit_real_changes_are_watched(change, rng, tmp_path):
    x = table(rng, 500)
    y = 3 * x["yes"] + x["normal"]
    model = keras.Sequential([keras.Input((4,)), layers.Normalization(), layers.Dense(8, "relu"), layers.Dense(1)])
    model.layers[0].adapt(x.to_numpy())
    model.compile(keras.optimizers.Adam(0.01), "mse")
    watch = ks.SensitivityCallback(x, definition=ks.Definition(change=change), log_dir=tmp_path)
    model.fit(x, y, epochs=5, verbose=0, callbacks=[watch])
    after = ks.measure(model, x, definition=ks.Definition(change=change))
    np.testing.assert_allclose(watch.trajectory.iloc[-1], after.features, rtol=1e-4)
    np.testing.assert_allclose(ks.load_trajectory(tmp_path).iloc[-1], after.features, rtol=1e-4)
    expected = {"auto": ["yes", "count"], "swap": [*x]}[change]
    assert list(watch.importance.variance.index) == expected


def test_a_feature_that_is_swapped_can_die(rng):
    x = np.column_stack([rng.integers(0, 2, 400), rng.integers(0, 2, 400), rng.normal(size=400)]).astype(float)
    model = linear([[0.0], [2.0], [1.0]])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    watch = ks.SensitivityCallback(x, feature_names=["dead", "alive", "number"])
    model.fit(x, x[:, 1], epochs=4, verbose=0, callbacks=[watch])
    assert watch.dead_features == ["dead"]


def test_it_says_how_many_are_swapped(rng, capsys):
    x = table(rng, 200)
    ks.measure(linear(np.ones((4, 1))), x, verbose=1)
    assert "Features swapped with other rows: 2." in capsys.readouterr().out
