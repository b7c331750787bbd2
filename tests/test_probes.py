"""The noise is what it claims to be, and its derivatives are what brute force finds."""

import copy

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import zoo

import keras_sensitivity as ks

STD = ks.Definition(scale="std")

L = keras.layers


def noise(x, **options):
    """The columns that the layer appends."""
    return np.asarray(ks.NoiseProbes(**options)(x))[..., np.shape(x)[-1] :]


# --- the noise ------------------------------------------------------------------------------------------------------

KINDS_OF_ROWS = {
    "normal": lambda rng: rng.normal(size=(40_000, 6)),
    "one column": lambda rng: rng.normal(size=(40_000, 1)),
    "a grid of integers": lambda rng: np.stack(np.meshgrid(*[range(34)] * 3), axis=-1).reshape(-1, 3),
    "codes and counts": lambda rng: np.stack([rng.permutation(40_000), rng.poisson(3, 40_000)], axis=1),
    "wide": lambda rng: rng.uniform(size=(4_000, 300)),
}


@pytest.mark.parametrize("rows", KINDS_OF_ROWS.values(), ids=KINDS_OF_ROWS)
def test_the_noise_is_standard_normal_and_uncorrelated(rows, rng):
    x = rows(rng).astype("float32")
    drawn = noise(x)
    assert drawn.shape == (len(x), 8)
    for probe in drawn.T:
        assert scipy.stats.kstest(probe, "norm").pvalue > 1e-3
    together = np.concatenate([x[:, :20], x[:, :20] ** 2, drawn, drawn**2], axis=1)
    correlations = np.corrcoef(together, rowvar=False)
    between = correlations[-16:].copy()
    between[np.arange(16), np.arange(-16, 0)] = 0
    assert np.abs(between).max() < 5 / np.sqrt(len(x))


def test_rows_that_differ_have_other_noise_and_equal_rows_the_same(rng):
    x = rng.normal(size=(1000, 4)).astype("float32")
    drawn = noise(x)
    assert len(np.unique(drawn, axis=0)) == 1000
    near = x.copy()
    near[:, 2] = np.nextafter(near[:, 2], np.float32(9))  # one bit
    assert abs(np.corrcoef(noise(near)[:, 0], drawn[:, 0])[0, 1]) < 0.15
    assert abs(np.corrcoef(noise(x[:, ::-1])[:, 0], drawn[:, 0])[0, 1]) < 0.15  # another order of the columns
    np.testing.assert_array_equal(noise(np.concatenate([x, x]))[1000:], drawn)
    assert not np.allclose(noise(x, seed=1), drawn)
    np.testing.assert_array_equal(noise(x, num_probes=3).shape, (1000, 3))


def test_the_noise_is_the_same_however_a_row_comes(rng, tmp_path):
    x = rng.normal(size=(500, 4)).astype("float32")
    layer = ks.NoiseProbes()
    drawn = np.asarray(layer(x))
    order = rng.permutation(500)
    np.testing.assert_array_equal(layer(x[order]), drawn[order])
    np.testing.assert_array_equal(np.concatenate([layer(x[:7]), layer(x[7:])]), drawn)
    np.testing.assert_array_equal(layer(x, training=True), drawn)
    for jit_compile in (False, True):
        np.testing.assert_array_equal(tf.function(layer, jit_compile=jit_compile)(x), drawn)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(jit_compile=True)
    np.testing.assert_array_equal(model.predict(x, batch_size=64, verbose=0), drawn)
    model.save(tmp_path / "model.keras")
    copies = keras.models.load_model(tmp_path / "model.keras"), keras.models.clone_model(model), copy.deepcopy(model)
    for other in copies:
        np.testing.assert_array_equal(other.predict(x, verbose=0), drawn)
    assert not layer.variables


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64", "int32", "int64", "uint8", "bool"])
def test_equal_numbers_have_the_same_noise_whatever_their_type(kind):
    x = (
        np.array([[0, 1], [1, 0], [1, 1]], "float32")
        if kind == "bool"
        else np.arange(12, dtype="float32").reshape(4, 3)
    )
    other = tf.cast(x, kind)
    layer = ks.NoiseProbes(dtype="float32")
    np.testing.assert_array_equal(layer(other), layer(x))


def test_numbers_that_float32_cannot_tell_apart_have_other_noise():
    for kind in ("float64", "int64", "int32"):
        large = tf.cast([[2**30], [2**30 + 1]], kind)
        first, second = np.asarray(ks.NoiseProbes().noise(large))
        assert not np.isclose(first, second).any()


def test_both_zeros_and_numbers_next_to_zero_are_zero():
    zeros = tf.constant([[0.0, 1.0], [-0.0, 1.0], [1e-45, 1.0], [-1e-39, 1.0]])
    for function in (ks.NoiseProbes().noise, tf.function(ks.NoiseProbes().noise, jit_compile=True)):
        assert len(np.unique(function(zeros), axis=0)) == 1


def test_the_noise_is_drawn_before_keras_casts():
    model = keras.Sequential([keras.Input((2,)), ks.NoiseProbes(dtype="mixed_float16")])
    x = np.array([[1.0, 2.0], [1.0 + 2e-7, 2.0]], "float32")  # the same in float16
    first, second = model.predict(x, verbose=0)
    assert first.dtype == np.float16
    np.testing.assert_array_equal(first[:2], second[:2])
    assert not np.isclose(first[2:], second[2:]).any()
    np.testing.assert_allclose(first[2:], noise(x)[0], rtol=1e-3)


def test_no_noise_is_infinite(rng):
    drawn = noise(rng.normal(size=(2**18, 1)).astype("float32"), num_probes=16)
    assert np.isfinite(drawn).all()
    assert 4.5 < np.abs(drawn).max() < 6.4  # of four million


def test_the_derivative_with_respect_to_x_is_untouched(rng):
    x = tf.constant(rng.normal(size=(6, 3)).astype("float32"))
    weights = tf.constant(rng.normal(size=(11,)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(ks.NoiseProbes()(x) * weights)
    np.testing.assert_array_equal(tape.gradient(y, x), np.tile(weights[:3], (6, 1)))


def test_each_step_of_a_sequence_has_noise_of_its_own(rng):
    x = rng.normal(size=(4_000, 5, 2)).astype("float32")
    drawn = noise(x, num_probes=4)
    assert drawn.shape == (4_000, 5, 4)
    assert scipy.stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    flat = drawn.reshape(4_000, 20)
    assert np.abs(np.corrcoef(flat, rowvar=False) - np.eye(20)).max() < 5 / np.sqrt(4_000)
    # A step keeps its noise when the window moves on, or when more steps follow.
    np.testing.assert_array_equal(noise(x[:, 1:], num_probes=4), drawn[:, 1:])


def test_masks_pass():
    x = np.ones((2, 4, 3), "float32")
    x[0, 2:] = 0
    masked = ks.NoiseProbes()(L.Masking()(x))
    np.testing.assert_array_equal(masked._keras_mask, [[True, True, False, False], [True] * 4])


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"num_probes": 1}, ValueError), ({"num_probes": 2.5}, ValueError), ({"seed": -1}, ValueError),
     ({"seed": "a"}, TypeError)],
    ids=str,
)  # fmt: skip
def test_refuses_other_settings(settings, error):
    with pytest.raises(error, match="Expected: an int"):
        ks.NoiseProbes(**settings)


def test_refuses_what_has_no_columns():
    for shape in [(8, 8, 3), (None,), ()]:
        with pytest.raises(ValueError, match="cannot append columns"):
            ks.NoiseProbes()(keras.Input(shape))
    with pytest.raises(TypeError, match="needs numbers"):
        ks.NoiseProbes()(keras.Input((2,), dtype="string"))


# --- what a look makes of it ----------------------------------------------------------------------------------------


def probed_table():
    return keras.Sequential(
        [keras.Input((5,)), L.Normalization(mean=0.5, variance=4.0), ks.NoiseProbes(4), L.Dense(6, "tanh"), L.Dense(2)]
    )


def probed_sequence(*, return_sequences):
    def build():
        layers = [keras.Input((7, 3)), L.Masking(), ks.NoiseProbes(4), L.GRU(4, return_sequences=return_sequences)]
        return keras.Sequential([*layers, L.Dense(2)])

    return build


def brute_force(model, x, mask=None):
    """Features and probes: mean over lags of the rms at the newest output step, not shared out yet."""
    index = next(i for i, layer in enumerate(model.layers) if isinstance(layer, ks.NoiseProbes))
    z = tf.constant(x)
    for layer in model.layers[: index + 1]:
        z = layer(z)
    valid = np.ones(z.shape[:2], bool) if mask is None else mask
    last = [np.flatnonzero(row)[-1] for row in valid]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        y = z
        for layer in model.layers[index + 1 :]:
            y = layer(y, mask=mask) if isinstance(layer, L.RNN) else layer(y)
        newest = tf.gather(y, last, axis=1, batch_dims=1) if len(y.shape) == 3 else y
        units = [newest[:, unit] for unit in range(newest.shape[1])]
    squares = sum(np.square(tape.gradient(unit, z)) for unit in units)
    if squares.ndim == 2:
        return np.sqrt(squares.mean(axis=0))
    by_lag = []
    for lag in range(z.shape[1]):
        rows = [squares[i, last[i] - lag] for i in range(len(last)) if last[i] >= lag and valid[i, last[i] - lag]]
        if rows:
            by_lag.append(np.sqrt(np.mean(rows, axis=0)))
    return np.mean(by_lag, axis=0)


@pytest.mark.parametrize("jit_compile", [True, False], ids=["XLA", "graph"])
def test_probes_of_a_table_equal_brute_force(rng, jit_compile):
    model, x = probed_table(), rng.normal(size=(200, 5)).astype("float32")
    found = brute_force(model, x)
    features = found[:5] / 2 * x.std(axis=0)  # the derivative through the Normalization, in standard deviations
    for definition in (ks.Definition(scale="std"), ks.PAPER):
        measured = ks.measure(model, x, definition=definition, batch_size=64, jit_compile=jit_compile)
        np.testing.assert_allclose(measured.probes, 100 * found[5:] / features.sum(), rtol=1e-4)
        np.testing.assert_allclose(measured.usage, 100 * features / features.sum(), rtol=1e-4)
        assert measured.noise_level == pytest.approx(measured.probes.mean())
        assert measured.features.index.tolist() == [f"x{j}" for j in range(5)]
    assert ks.explain(model, x[:3]).gradients.shape == (3, 2, 5)


@pytest.mark.parametrize("return_sequences", [False, True], ids=["many-to-one", "many-to-many"])
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
@pytest.mark.sample(2)
def test_probes_of_a_sequence_equal_brute_force(rng, return_sequences, padded):
    model = probed_sequence(return_sequences=return_sequences)()
    x = rng.normal(size=(60, 7, 3)).astype("float32")
    mask = None
    if padded:
        lengths = rng.integers(1, 8, size=60)
        mask = np.arange(7) < lengths[:, None]
        x *= mask[..., None]
    found = brute_force(model, x, mask)
    valid = np.ones((60, 7), bool) if mask is None else mask
    features = found[:3] * x[valid].std(axis=0)
    measured = ks.measure(model, x, batch_size=25, definition=STD)
    np.testing.assert_allclose(measured.probes, 100 * found[3:] / features.sum(), rtol=1e-3)
    np.testing.assert_allclose(measured.usage, 100 * features / features.sum(), rtol=1e-3)


def test_probes_beside_embedded_codes_and_in_nested_models(rng):
    word, table = keras.Input((1,), dtype="int32", name="word"), keras.Input((3,), name="table")
    tower = keras.Sequential([keras.Input((3,)), ks.NoiseProbes(3, name="inner"), L.Dense(4, "tanh")])
    joined = L.Concatenate()([L.Flatten()(L.Embedding(5, 2)(word)), tower(table), ks.NoiseProbes(2)(table)])
    model = keras.Model({"word": word, "table": table}, L.Dense(1)(joined))
    x = {"word": rng.integers(0, 5, size=(90, 1)), "table": rng.normal(size=(90, 3)).astype("float32")}
    measured = ks.measure(model, x, definition=STD)
    assert measured.features.index.tolist() == ["table/0", "table/1", "table/2", "word"]
    assert len(measured.probes) == 5
    kernel = np.asarray(model.layers[-1].kernel)  # rows of the word, of the tower, of the table, of the outer probes
    with tf.GradientTape() as tape:
        z = tf.concat([x["table"], tower.layers[0].noise(tf.constant(x["table"]))], axis=1)
        tape.watch(z)
        y = tower.layers[-1](z) @ kernel[2:6]
    g = tape.gradient(y, z).numpy()
    g[:, :3] += kernel[6:9, 0]
    found = np.concatenate([np.sqrt(np.mean(g**2, axis=0)), np.abs(kernel[9:, 0])])
    ratios = measured.probes.to_numpy() / measured.features["table/0"] * x["table"][:, 0].std()
    np.testing.assert_allclose(np.sort(ratios), np.sort(found[3:] / found[0]), rtol=1e-4)


def test_a_network_that_does_not_read_the_noise_has_none(rng):
    inputs = keras.Input((3,))
    unread = ks.NoiseProbes()(inputs)[:, :3]
    assert (
        ks.measure(keras.Model(inputs, L.Dense(1)(unread)), rng.normal(size=(20, 3)), definition=STD).noise_level == 0
    )


def test_importances_with_probes_are_kept(rng, tmp_path):
    measured = ks.measure(probed_table(), rng.normal(size=(50, 5)), definition=STD)
    measured.save(tmp_path / "importance.npz")
    loaded = ks.Importance.load(tmp_path / "importance.npz")
    assert loaded.noise_band == measured.noise_band
    assert loaded.probes.equals(measured.probes)


def test_half_precision(rng):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = probed_table()
    finally:
        keras.config.set_dtype_policy("float32")
    full = probed_table()
    full.set_weights(model.get_weights())
    x = rng.normal(size=(100, 5)).astype("float32")
    np.testing.assert_allclose(
        ks.measure(model, x, definition=STD).probes, ks.measure(full, x, definition=STD).probes, rtol=0.05
    )


@pytest.mark.parametrize("kind", ["float32", "mixed_float16"])
@pytest.mark.parametrize("first", [lambda: L.Dense(4), L.BatchNormalization], ids=["Dense", "BatchNormalization"])
def test_refuses_probes_behind_weights(first, kind):
    keras.config.set_dtype_policy(kind)
    try:
        model = keras.Sequential([keras.Input((3,)), first(), ks.NoiseProbes(), L.Dense(1, name="out")])
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="behind weights that are trained"):
        ks.measure(model, np.eye(3), definition=STD)


def test_warns_of_rows_that_noise_tells_apart(rng):
    model = keras.Sequential([keras.Input((3,)), ks.NoiseProbes(), L.Dense(1)])
    with pytest.warns(UserWarning, match="only about .* differ"):
        ks.measure(model, rng.integers(0, 2, size=(500, 3)), definition=STD)
    assert ks.measure(model, rng.normal(size=(500, 3)), definition=STD).num_noise_values > 100


def test_without_probes_there_is_no_noise():
    measured = ks.measure(zoo.build("tanh regression"), zoo.rows(), definition=STD)
    assert measured.probes is measured.noise_level is measured.noise_band is None


@pytest.mark.parametrize("change", ["auto", "swap"])
def test_a_swap_leaves_the_noise_of_the_row(rng, change):
    x = np.stack([rng.normal(size=1000), rng.integers(0, 2, size=1000)], axis=1).astype("float32")
    model = keras.Sequential([keras.Input((2,)), ks.NoiseProbes(4), L.Dense(1)])
    model.set_weights([np.array([[1.0], [0.0], *[[2.0]] * 4]), np.zeros(1)])
    measured = ks.measure(model, x, definition=ks.Definition(change=change))
    assert measured.table["change"].iloc[1] == "swap"
    np.testing.assert_allclose(measured.usage, [100, 0], atol=1e-4)
