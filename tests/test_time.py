"""Lags and recurrent networks, against central differences in float64 and against processes with known lags."""

import tracemalloc

import keras
import numpy as np
import oracle
import pandas as pd
import pytest
import sequences
import tensorflow as tf

import keras_sensitivity as ks
from keras_sensitivity.networks.keras_tf.network import KerasNetwork
from keras_sensitivity.plan import Options, Plan, suitable_batch_size
from keras_sensitivity.rows.rows import read

STD = ks.Definition(scale="std")


def measure(model, x, **options):
    """`ks.measure` without XLA, which takes seconds to compile a recurrent network; one test shows that both agree."""
    return ks.measure(model, x, **{"jit_compile": False, "definition": STD} | options)


def compare(importance, expected, rtol=1e-4):
    """All four results of the oracle."""
    every, _, gamma, rms = expected
    assert np.ptp(every) > 1
    assert np.ptp(gamma) > 1
    np.testing.assert_allclose(importance.features, every, rtol=rtol)
    np.testing.assert_allclose(importance.lags, gamma, rtol=rtol)
    np.testing.assert_allclose(importance.by_lag, rms, rtol=rtol, atol=1e-9)
    assert importance.features.sum() == pytest.approx(100)
    assert importance.lags.sum() == pytest.approx(100)
    assert list(importance.lags.index) == list(importance.by_lag.index) == list(range(sequences.NUM_STEPS))


def same_step_path(model, x):
    """How a many-to-many model is differentiated."""
    network = KerasNetwork(model)
    options = Options(jit_compile=False)
    return Plan(
        network.look_pass, network, read(x, network), definition=ks.Definition(scale="std"), options=options
    ).traced.same_step


# --- every number equals brute force --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sequences.RECURRENT)
@pytest.mark.sample(7)
def test_recurrent_stacks_equal_central_differences(name):
    options = sequences.RECURRENT[name]
    model = sequences.build(lambda: sequences.recurrent(**options))
    exact = sequences.build(lambda: sequences.recurrent(**options), policy="float64", like=model)
    for padding in ("pre", "post") if options["masked"] else (None,):
        x, mask = sequences.rows(padding=padding)
        g = oracle.differences(exact, x)
        expected = oracle.sequence_importances(g, x, mask, same_step=options["many"])
        compare(measure(model, x, batch_size=10), expected)


@pytest.mark.parametrize("name", ["LSTM 2 layers 3 units many-to-many masked", "GRU 2 layers 3 units many-to-one full"])
@pytest.mark.sample(2)
@pytest.mark.slow
def test_xla_changes_nothing(name):
    options = sequences.RECURRENT[name]
    x, _ = sequences.rows(padding="post" if options["masked"] else None)
    model = sequences.build(lambda: sequences.recurrent(**options))
    plain, compiled = (measure(model, x, jit_compile=jit) for jit in (False, True))
    pd.testing.assert_frame_equal(plain.by_lag, compiled.by_lag, rtol=1e-4)
    pd.testing.assert_frame_equal(plain.table, compiled.table, rtol=1e-4, check_dtype=False)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.sample(2)
def test_pre_and_post_padding_agree(many):
    """Moving the padding from one end to the other leaves every lag, and so every number, where it is."""
    after, mask = sequences.rows(padding="post")
    before = np.zeros_like(after)
    for row, valid, target in zip(after, mask, before, strict=True):
        target[len(row) - valid.sum() :] = row[valid]
    assert not np.array_equal(before, after)
    model = sequences.build(lambda: sequences.recurrent("GRU", units=2, many=many, masked=True))
    one, other = (measure(model, x) for x in (before, after))
    pd.testing.assert_frame_equal(one.by_lag, other.by_lag, rtol=1e-4)
    pd.testing.assert_series_equal(one.features, other.features, rtol=1e-4)


@pytest.mark.parametrize("scale", [None, "std", "path"])
def test_a_lag_that_no_row_has_has_no_part(scale):
    x, mask = sequences.rows(padding="post")
    x[:, -1], mask[:, -1] = 0, False
    assert mask[:, -2].any()
    model = sequences.build(lambda: sequences.recurrent("GRU", masked=True))
    importance = measure(model, x, definition=ks.Definition(scale=scale))
    assert importance.lags.iloc[-1] == 0
    assert importance.lags.iloc[:-1].min() > 0
    assert (importance.by_lag.iloc[-1] == 0).all()


@pytest.mark.parametrize("padding", [None, "post"])
@pytest.mark.sample(2)
def test_batch_size_order_and_padding_rows_change_nothing(padding):
    x, _ = sequences.rows(23, padding=padding)
    model = sequences.build(lambda: sequences.recurrent("LSTM", units=2, many=True, masked=padding is not None))
    whole = measure(model, x)
    for batch_size, order in [(23, x[::-1]), (5, np.random.default_rng(0).permutation(x))]:
        other = measure(model, order, batch_size=batch_size)
        pd.testing.assert_frame_equal(whole.by_lag, other.by_lag, rtol=1e-5)
        pd.testing.assert_frame_equal(whole.table, other.table, rtol=1e-4, check_dtype=False)


def test_the_papers_newest_step():
    x, _ = sequences.rows()
    model = sequences.build(lambda: sequences.recurrent("LSTM", units=3))
    exact = sequences.build(lambda: sequences.recurrent("LSTM", units=3), policy="float64", like=model)
    _, newest, gamma, _ = oracle.sequence_importances(oracle.differences(exact, x), x, scaled=False)
    paper = measure(model, x, definition=ks.PAPER)
    np.testing.assert_allclose(paper.features, newest, rtol=1e-4)
    np.testing.assert_allclose(paper.lags, gamma, rtol=1e-4)
    assert np.abs(paper.features - measure(model, x).features).max() > 1


@pytest.mark.parametrize("name", sequences.MIXING)
@pytest.mark.sample(4)
def test_models_that_mix_steps_take_the_exact_path(name):
    x, _ = sequences.rows()
    model = sequences.build(sequences.MIXING[name])
    exact = sequences.build(sequences.MIXING[name], policy="float64", like=model)
    expected = oracle.sequence_importances(oracle.differences(exact, x), x, same_step=True)
    assert same_step_path(model, x) == "exact"
    compare(measure(model, x), expected)


@pytest.mark.slow
def test_steps_that_stay_apart_take_one_pass():
    x, _ = sequences.rows()
    model = sequences.build(sequences.stepwise)
    exact = sequences.build(sequences.stepwise, policy="float64", like=model)
    expected = oracle.sequence_importances(oracle.differences(exact, x), x, same_step=True)
    assert same_step_path(model, x) == "one pass"
    compare(measure(model, x), expected)
    cells = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.LSTMCell)]
    assert cells
    assert all("call" not in vars(cell) for cell in cells)  # what was borrowed was given back


def test_the_cheap_diagonal_would_be_wrong_where_steps_mix():
    """Were an attention model taken for a recurrent stack, its numbers would differ: the choice matters."""
    x, _ = sequences.rows()
    model = sequences.build(sequences.attention)
    exact = sequences.build(sequences.attention, policy="float64", like=model)
    g = oracle.differences(exact, x)
    diagonal = np.einsum("ilulj->ilj", g**2).mean(axis=0)
    of_the_sum = (g.sum(axis=1) ** 2).sum(axis=1).mean(axis=0)
    assert np.abs(of_the_sum / diagonal - 1).max() > 0.1


@pytest.mark.parametrize(
    "builder",
    [sequences.conv, lambda: sequences.bidirectional(many=False)],
    ids=["convolution", "bidirectional many-to-one"],
)
def test_other_many_to_one_models(builder):
    x, _ = sequences.rows()
    model = sequences.build(builder)
    exact = sequences.build(builder, policy="float64", like=model)
    compare(measure(model, x), oracle.sequence_importances(oracle.differences(exact, x), x))


def test_an_output_of_one_number_a_step_is_many_units_unless_told():
    """Shape (n, num_steps) without a further axis: units by default, steps when the mode says so."""
    x, _ = sequences.rows()

    def squeezed():
        inputs = keras.Input(x.shape[1:])
        return keras.Model(inputs, keras.layers.Reshape((4,))(keras.layers.GRU(1, return_sequences=True)(inputs)))

    model = sequences.build(squeezed)
    assert len(measure(model, x).by_output) == 4
    steps = measure(model, x, definition=ks.Definition(scale="std", mode="many-to-many"))
    assert len(steps.by_output) == 1
    exact = sequences.build(squeezed, policy="float64", like=model)
    compare(steps, oracle.sequence_importances(oracle.differences(exact, x)[:, :, None], x, same_step=True))


def forecast(horizon, width, *layers):
    """A forecast of some steps, (n, horizon, width), of a window of 4."""
    return keras.Sequential(
        [keras.Input((4, 3)), *layers, keras.layers.Dense(horizon * width), keras.layers.Reshape((horizon, width))]
    )


def decoder(horizon, width):
    layers = keras.layers
    rnns = layers.GRU(2), layers.RepeatVector(horizon), layers.GRU(2, return_sequences=True)
    return keras.Sequential([keras.Input((4, 3)), *rnns, layers.Dense(width)])


class Forecaster(keras.Model):
    def __init__(self, horizon, width):
        super().__init__()
        self.shape_of_steps = horizon, width
        self.hidden, self.out = keras.layers.SimpleRNN(2), keras.layers.Dense(horizon * width)

    def call(self, x):
        return keras.ops.reshape(self.out(self.hidden(x)), (-1, *self.shape_of_steps))


def forecaster(horizon, width):
    model = Forecaster(horizon, width)
    model(np.zeros((1, 4, 3)))
    return model


FORECASTS = {
    "flat": lambda *shape: forecast(*shape, keras.layers.Flatten()),
    "last state": lambda *shape: forecast(*shape, keras.layers.LSTM(2)),
    "decoder": decoder,
    "subclassed": forecaster,
}


@pytest.mark.parametrize(("name", "horizon"), [("flat", 3), *((name, 4) for name in FORECASTS), ("flat", 5)])
@pytest.mark.sample(3)
def test_a_forecast_as_long_as_the_window_is_measured_like_any_other(name, horizon):
    x, _ = sequences.rows()
    width = 1 + (horizon == 4)
    model = sequences.build(lambda: FORECASTS[name](horizon, width))
    exact = sequences.build(lambda: FORECASTS[name](horizon, width), policy="float64", like=model)
    g = oracle.differences(exact, x).reshape(len(x), horizon * width, 4, 3)
    found = measure(model, x)
    assert found.mode == "all-steps"
    compare(found, oracle.sequence_importances(g, x))
    units = [f"{step}/{unit}" if width > 1 else str(step) for step in range(horizon) for unit in range(width)]
    assert list(found.by_output.index) == units
    last = oracle.sequence_importances(g[:, -1:], x)[0]
    np.testing.assert_allclose(found.by_output.iloc[-1], last, rtol=1e-4)
    alone = measure(model, x, definition=ks.Definition(scale="std", output=horizon * width - 1))
    np.testing.assert_allclose(alone.features, last, rtol=1e-4)


def test_every_step_of_a_many_to_many_model_as_a_unit(capsys):
    """The first output step does not reach the newest input step, whose lag is 0 all the same."""
    x, _ = sequences.rows()
    model = sequences.build(lambda: sequences.recurrent("GRU", many=True))
    exact = sequences.build(lambda: sequences.recurrent("GRU", many=True), policy="float64", like=model)
    g = oracle.differences(exact, x)[:, :, 0]
    asked = measure(model, x, definition=ks.Definition(scale="std", mode="all-steps"), verbose=1)
    compare(asked, oracle.sequence_importances(g, x))
    assert "3 features x 4 lags (all-steps), 4 output unit(s)" in capsys.readouterr().out
    explained = ks.explain(model, x[:2], background=x, definition=ks.Definition(mode="all-steps"), jit_compile=False)
    np.testing.assert_allclose(explained.gradients, g[:2], rtol=1e-3, atol=1e-6)


def test_a_forecast_with_the_steps_of_what_is_known_of_the_future():
    """A decoder goes along the calendar of the days to come, as many as the window: the same step is one of these."""
    past, future = keras.Input((4, 2), name="past"), keras.Input((4, 3), name="future")
    state = keras.layers.GRU(3)(past)
    steps = keras.layers.GRU(3, return_sequences=True)(future, initial_state=state)
    model = keras.Model({"past": past, "future": future}, keras.layers.Dense(1)(steps))
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(20, 4, width)).astype("float32") for name, width in (("past", 2), ("future", 3))}
    found = measure(model, x, definition=ks.Definition(scale=np.ones(5)))
    with tf.GradientTape(persistent=True) as tape:
        inputs = {name: tf.constant(values) for name, values in x.items()}
        tape.watch(inputs)
        y = model(inputs)[..., 0]
    g = {name: tape.batch_jacobian(y, inputs[name]).numpy().astype("float64") for name in x}
    same_step = np.sqrt(np.mean(np.einsum("nllj->nlj", g["future"]) ** 2, axis=0)).mean(axis=0)
    newest = np.sqrt(np.mean(g["past"][:, -1] ** 2, axis=0)).mean(axis=0)
    np.testing.assert_allclose(found.table["rms"], [*same_step, *newest], rtol=1e-4)


@tf.custom_gradient
def outside(x):
    """A function that no graph shows."""
    y = tf.ensure_shape(tf.numpy_function(np.tanh, [x], tf.float32), x.shape)
    return y, lambda dy: dy * (1 - y**2)


class Outside(keras.Model):
    def call(self, x):
        return outside(x)[..., :1]


def test_what_cannot_be_read_is_said():
    model, (x, _) = Outside(), sequences.rows()
    model(x)
    words = r"The output has 4 steps, as many as the input, .*mode='all-steps'"
    with pytest.warns(UserWarning, match=words):
        assert measure(model, x).mode == "many-to-many"
    with pytest.warns(UserWarning, match=words):
        ks.explain(model, x, jit_compile=False)
    assert measure(model, x, definition=ks.Definition(mode="all-steps")).mode == "all-steps"


def test_a_mode_that_overrides_the_model():
    x, _ = sequences.rows()
    model = sequences.build(lambda: sequences.recurrent("GRU", many=True))
    newest = keras.Sequential([model, keras.layers.Lambda(lambda y: y[:, -1], output_shape=(1,))])
    newest.build((None, 4, 3))
    asked, expected = measure(model, x, definition=ks.Definition(scale="std", mode="many-to-one")), measure(newest, x)
    np.testing.assert_allclose(asked.by_lag, expected.by_lag, rtol=1e-5)
    np.testing.assert_allclose(asked.features, expected.features, rtol=1e-5)
    assert np.abs(asked.features - measure(model, x).features).max() > 0.1


def test_a_static_view_of_a_sequence():
    x, _ = sequences.rows()
    model = sequences.build(lambda: sequences.recurrent("GRU"))
    static = measure(model, x, definition=ks.Definition(scale="std", mode="static"))
    assert static.lags is None
    assert len(static.features) == 12
    by_lag = measure(model, x, definition=ks.Definition(scale=np.ones(3))).by_lag.to_numpy()[::-1]
    flat = measure(model, x, definition=ks.Definition(mode="static", scale=np.ones(12)))
    np.testing.assert_allclose(flat.table["rms"], by_lag.ravel(), rtol=1e-5)


def test_groups_and_names_of_sequences():
    x, _ = sequences.rows()
    model = sequences.build(lambda: sequences.recurrent("GRU"))
    plain = measure(model, x, feature_names=["a", "b", "c"])
    grouped = measure(model, x, feature_names=["a", "b", "c"], groups={"ac": ["a", "c"]})
    assert list(grouped.by_lag.columns) == ["ac", "b"]
    np.testing.assert_allclose(grouped.by_lag["ac"], np.hypot(plain.by_lag["a"], plain.by_lag["c"]), rtol=1e-9)


def test_lags_that_no_row_reaches_are_left_out_of_means():
    x, _ = sequences.rows()
    x[:, :2] = 0.0  # nobody has more than two steps
    model = sequences.build(lambda: sequences.recurrent("GRU", masked=True))
    padded = measure(model, x)
    assert (padded.by_lag.to_numpy()[2:] == 0).all()
    assert (padded.by_lag.to_numpy()[:2] > 0).all()
    np.testing.assert_allclose(padded.table["rms"], padded.by_lag[:2].mean(), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("padding", [None, "post"])
@pytest.mark.sample(2)
def test_standard_errors_are_the_spread_over_samples(padding):
    model = sequences.build(lambda: sequences.recurrent("GRU", units=2, masked=padding is not None))
    definition = ks.Definition(scale=np.ones(3))
    tables = [
        measure(model, sequences.rows(300, seed=seed, padding=padding)[0], definition=definition).table
        for seed in range(200)
    ]
    spread = np.std([table["importance"] for table in tables], axis=0)
    estimate = np.mean([table["standard_error"] for table in tables], axis=0)
    assert (spread > 0.01).all()
    np.testing.assert_allclose(estimate, spread, rtol=0.2 if padding is None else 0.35)


# --- what the numbers mean ------------------------------------------------------------------------------------------


class Linear(keras.Model):
    """A sequence model that is linear: y = sum over lags k and features j of w[k, j] x[lag k, j]."""

    def __init__(self, weights):
        super().__init__()
        self.w = self.add_weight(shape=np.shape(weights), initializer="zeros")
        self.w.assign(weights)
        self.built = True

    def call(self, x):
        return keras.ops.sum(x[:, ::-1] * self.w, axis=(1, 2))[:, None]


def test_an_autoregressive_process_has_its_weights_as_lags(rng):
    weights = np.array([0.6, -0.3, 0.15, 0.1])  # an AR(4) process
    series = np.zeros(4004)
    for t in range(4, len(series)):
        series[t] = weights @ series[t - 4 : t][::-1] + rng.normal()
    windows = np.lib.stride_tricks.sliding_window_view(series, 5)
    x, y = windows[:, :4, None], windows[:, 4]
    model = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    learnt = np.linalg.lstsq(np.c_[x[..., 0], np.ones(len(x))], y, rcond=None)[0]
    model.set_weights([learnt[:4, None], learnt[4:]])
    np.testing.assert_allclose(learnt[3::-1], weights, atol=0.05)
    found = measure(model, x).lags
    np.testing.assert_allclose(found, 100 * np.abs(learnt[3::-1]) / np.abs(learnt[:4]).sum(), rtol=1e-4)


def test_the_weights_of_a_linear_model_are_its_numbers(rng):
    weights = np.array([[0.0, 0.5], [1.0, -0.2], [0.1, 0.0]])
    x = rng.normal(size=(500, 3, 2)) * [1.0, 4.0]
    std = x.astype("float32").astype("float64").std(axis=(0, 1))
    found = measure(Linear(weights), x)
    np.testing.assert_allclose(found.by_lag, np.abs(weights) * std, rtol=1e-5, atol=1e-12)
    expected = (np.abs(weights) * std).mean(axis=0)
    np.testing.assert_allclose(found.features, 100 * expected / expected.sum(), rtol=1e-5)
    paper = measure(Linear(weights), x, definition=ks.PAPER)
    assert paper.features.tolist() == [0, 100]  # the newest step only: the first feature acts later
    np.testing.assert_allclose(paper.lags, 100 * np.abs(weights).sum(axis=1) / np.abs(weights).sum(), rtol=1e-5)


def test_nothing_at_the_newest_step_is_warned_of(rng):
    model, x = Linear([[0.0, 0.0], [1.0, 0.0]]), rng.normal(size=(50, 2, 2))
    with pytest.warns(UserWarning, match="Every derivative at the newest step is exactly 0"):
        measure(model, x, definition=ks.PAPER)


def test_a_feature_that_acts_only_later_is_not_dead(rng):
    """Death is judged over all lags even where lambda is the paper's, which sees the newest step only."""
    x = rng.normal(size=(200, 3, 2)).astype("float32")
    model = Linear([[0.0, 0.5], [0.0, 0.0], [1.0, 0.0]])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    watch = ks.SensitivityCallback(
        x,
        definition=ks.PAPER,
        dead_feature_monitor=ks.DeadFeatureMonitor(patience=1),
    )
    model.fit(x, x[:, 0, :1], epochs=2, callbacks=[watch], verbose=0)
    assert watch.trajectory.iloc[-1].tolist() == [0, 100]
    assert watch.dead_features == []
    assert watch.lag_trajectory.columns.tolist() == [0, 1, 2]
    assert watch.lag_trajectory.index.tolist() == [0, 1]
    assert watch.lag_trajectory.index.name == "epoch"
    np.testing.assert_allclose(watch.lag_trajectory.iloc[0], [100 / 3, 0, 200 / 3], rtol=0.1)


def test_a_delay_line_is_seen_at_its_lag(rng):
    """An LSTM that has learnt y_t = x_{t-3} has its gamma at lag 3, and the paper's lambda tells nothing."""
    x = rng.normal(size=(4000, 6, 2)).astype("float32")
    model = keras.Sequential([keras.Input((6, 2)), keras.layers.LSTM(16), keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.CosineDecay(0.03, 16 * 40)
    model.compile(keras.optimizers.Adam(schedule), "mse")
    watch = ks.SensitivityCallback(x, num_samples=500, feature_names=["signal", "noise"], jit_compile=False)
    model.fit(x, x[:, 2, 0], epochs=16, batch_size=100, callbacks=[watch], verbose=0)
    assert watch.importance.lags[3] >= 90
    assert watch.importance.features["signal"] >= 90
    assert watch.lag_trajectory.shape == (16, 6)
    newest = measure(model, x, definition=ks.Definition(scale="std", lags="current"))
    assert newest.by_lag.loc[0].max() < 0.1 * newest.by_lag.loc[3, "x0"]  # shares of next to nothing


# --- states, images, limits -----------------------------------------------------------------------------------------


def test_a_stateful_model_is_measured_from_the_states_as_they_stand():
    def stateful(batch=8):
        return keras.Sequential(
            [keras.Input(batch_shape=(batch, 4, 3)), keras.layers.LSTM(3, stateful=True), keras.layers.Dense(1)]
        )

    x, _ = sequences.rows(20)
    model = sequences.build(stateful)
    lstm = model.layers[0]
    fresh = measure(model, x)
    model.predict(x[:8], batch_size=8, verbose=0)
    states = [state.numpy() for state in lstm.states]
    assert all(state.any() for state in states)
    moved = measure(model, x)
    for before, after in zip(states, lstm.states, strict=True):
        np.testing.assert_array_equal(before, after.numpy())  # a look moves no state
    assert np.abs(fresh.by_lag - moved.by_lag).to_numpy().max() > 1e-4
    assert moved.num_samples == 20  # the last batch is filled up with rows of no weight
    with pytest.raises(ValueError, match=r"`batch_size` is not the one .*\n  Expected: batch_size=8"):
        measure(model, x, batch_size=4)


def test_sequences_of_images_and_time_distributed_models(rng):
    layers = keras.layers
    x = rng.normal(size=(12, 3, 4, 4, 2)).astype("float32")
    convolutional = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.ConvLSTM2D(2, 2), layers.Flatten(), layers.Dense(1)]
    )
    distributed = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.TimeDistributed(layers.Flatten()), layers.GRU(3), layers.Dense(2)]
    )
    for model in (convolutional, distributed):
        importance = measure(model, x)
        assert importance.map.shape == (4, 4, 2)
        assert importance.map.sum() == pytest.approx(100)
        assert importance.by_lag.shape == (3, 32)
        np.testing.assert_allclose(importance.map.ravel(), importance.features, rtol=1e-9)
    flat = keras.Sequential([keras.Input((3, 32)), *distributed.layers[1:]])
    scale = ks.Definition(scale=np.ones(32))
    np.testing.assert_allclose(
        measure(flat, x.reshape(12, 3, 32), definition=scale).by_lag,
        measure(distributed, x, definition=scale).by_lag,
        rtol=1e-5,
    )


def test_a_long_input_in_batches_has_the_numbers_of_the_whole(rng):
    x = rng.normal(size=(60, 200, 50)).astype("float32")
    model = keras.Sequential([keras.Input((200, 50)), keras.layers.GRU(4), keras.layers.Dense(1)])
    pd.testing.assert_frame_equal(
        measure(model, x, batch_size=13).by_lag, measure(model, x, batch_size=60).by_lag, rtol=1e-4
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_rows(rng):
    """Neither the device's, whose batches have one size, nor the host's, which casts a batch at a time."""
    model = keras.Sequential([keras.Input((200, 50)), keras.layers.GRU(4), keras.layers.Dense(1)])
    floats = KerasNetwork(model).floats_per_row([(200, 50)], keeps_rows=False)
    sizes = [suitable_batch_size(num_rows, floats) for num_rows in (10_000, 1_000_000)]
    assert max(sizes) <= 1.1 * min(sizes)
    peaks = []
    for num_rows in (300, 300, 1200):  # the first pays for what is imported and cached
        x = rng.normal(size=(num_rows, 200, 50))  # float64, so that a copy of it in float32 would be seen
        tracemalloc.start()
        measure(model, x, batch_size=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 0.02 * x.nbytes


def test_rows_that_are_masked_entirely_are_named():
    x, _ = sequences.rows(30)
    x[[4, 17]] = 0.0
    model = sequences.build(lambda: sequences.recurrent("GRU", masked=True))
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        measure(model, x, batch_size=10)
    happened, _, received, fix = str(raised.value).splitlines()
    assert happened == "x has rows that are masked entirely: they have no step to measure."
    assert received == "  Received: no valid step in 2 rows: 4, 17"
    assert "np.delete" in fix
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="masked entirely"):
        model.fit(x, x[:, 0, 0], callbacks=[ks.SensitivityCallback(x)], verbose=0)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("x", "happened", "expected"),
    [
        (np.ones((5, 3, 3)), "x has a different number of steps than the model's input.", "4 steps"),
        (np.ones((5, 4, 2)), "x has a different number of columns than the model's input.", "3 columns"),
        (np.ones((5, 3)), "x has a different number of axes than the model's input.", "(num_samples, 4, 3)"),
        ([np.ones((4, 3)), np.ones((3, 3))], "x is ragged", "the same shape"),
        (tf.ragged.constant([[[1.0, 2.0, 3.0]] * 4, [[1.0, 2.0, 3.0]]]), "x is ragged", "the same shape"),
        (np.ones((5, 0, 3)), "x has a shape that is no table", "none of them empty"),
    ],
    ids=["steps", "columns", "axes", "lists", "RaggedTensor", "no steps"],
)
def test_refuses_other_shapes(x, happened, expected):
    model = sequences.build(lambda: sequences.recurrent("SimpleRNN"))
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        measure(model, x)
    assert str(raised.value).startswith(happened)
    assert expected in str(raised.value).splitlines()[1]


@pytest.mark.slow
def test_heads_without_steps_in_a_many_to_many_model():
    inputs = keras.Input((4, 3))
    hidden = keras.layers.GRU(3, return_sequences=True)(inputs)
    last = keras.layers.GRU(2)(hidden)
    model = keras.Model(inputs, {"steps": keras.layers.Dense(1)(hidden), "total": last})
    x, _ = sequences.rows()
    with pytest.raises(ValueError, match="not every output has the input's time steps"):
        measure(model, x)
    assert len(measure(model, x, definition=ks.Definition(scale="std", output="steps")).by_output) == 1
    assert len(measure(model, x, definition=ks.Definition(scale="std", output="total")).by_output) == 2


def test_saved_and_loaded_it_is_the_same(tmp_path):
    x, _ = sequences.rows(padding="pre")
    model = sequences.build(lambda: sequences.recurrent("LSTM", units=2, many=True, masked=True))
    measured = measure(model, x)
    measured.save(tmp_path / "lags.npz")
    loaded = ks.Importance.load(tmp_path / "lags.npz")
    pd.testing.assert_frame_equal(loaded.by_lag, measured.by_lag)
    pd.testing.assert_frame_equal(loaded.table, measured.table)
    pd.testing.assert_series_equal(loaded.lags, measured.lags)
    assert loaded.usage.equals(measured.usage)


def test_the_description_says_which_path_was_taken(capsys):
    x, _ = sequences.rows()
    measure(sequences.build(lambda: sequences.recurrent("GRU", many=True)), x, verbose=1)
    printed = capsys.readouterr().out
    assert "24 rows, 3 features x 4 lags (many-to-many), 1 output unit(s)" in printed
    assert "same-step derivatives: one pass." in printed


# --- pictures without channels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "said"),
    [((8, 8), True), ((4, 4), False), ((8, 4), False), ((8, 8, 1), False)],
    ids=["picture", "small", "sequence", "with channels"],
)
def test_a_picture_without_channels_is_told_how_it_is_read(shape, said, capsys):
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])
    x = np.random.default_rng(0).random((20, *shape))
    definition = ks.Definition(scale="std", change="derivative")
    ks.measure(model, x, definition=definition, verbose=1, jit_compile=False)
    sentence = "An input of 8 x 8 is read as 8 steps of 8 features; if it is a picture, Definition(mode='static')"
    assert (sentence in capsys.readouterr().out) == said
    pixels = ks.measure(model, x, definition=ks.Definition(scale=None, mode="static"), jit_compile=False).features
    kernel = np.abs(model.layers[-1].kernel.numpy()[:, 0])
    np.testing.assert_allclose(pixels, 100 * kernel / kernel.sum(), rtol=1e-4)
