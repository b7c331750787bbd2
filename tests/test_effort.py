"""How many rows a look of a fit takes: by what it costs, at the default; else as many as asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_sensitivity as ks
from keras_sensitivity.effort import affordable_rows
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.rows.rows import read


def table(width=64):
    return keras.Sequential([keras.Input((20,)), layers.Dense(width, "relu"), layers.Dense(1)])


def recurrent(width=32, units=1):
    return keras.Sequential([keras.Input((24, 8)), layers.LSTM(width), layers.Dense(units)])


def convolution():
    convolutions = [layers.Conv2D(32, 3, padding="same"), layers.Conv2D(64, 3, padding="same"), layers.Flatten()]
    return keras.Sequential([keras.Input((8, 8, 1)), *convolutions, layers.Dense(10, "softmax")])


def rows_of(model, count):
    return np.broadcast_to(np.float32(1), (count, *model.input_shape[1:]))


def affordable(model, count, definition=None):
    network = network_of(model)
    rows = read(rows_of(model, count), network, num_samples=4096)
    return affordable_rows(network, rows, definition or ks.Definition())


@pytest.mark.parametrize(
    ("build", "count", "least", "most"),
    [
        (table, 1000, 4096, np.inf),
        (table, 100_000, 4096, np.inf),
        (recurrent, 300, 256, 500),
        (recurrent, 2000, 256, 500),  # a fit of seconds, of which a look at all would take a fifth
        (recurrent, 100_000, 4096, np.inf),  # an epoch of minutes
        (convolution, 1797, 256, 256),
    ],
)
def test_a_look_costs_a_small_part_of_an_epoch(build, count, least, most):
    assert least <= affordable(build(), count) <= most


def test_what_takes_more_passes_takes_fewer_rows():
    one, many = (affordable(recurrent(units=units), 20_000) for units in (1, 10))
    assert many < one / 4
    assert affordable(recurrent(units=1000), 20_000) > 256  # four random signs
    assert affordable(recurrent(units=10), 20_000, ks.Definition(output=3)) > 4 * many


def test_what_is_wider_takes_fewer_rows():
    assert affordable(recurrent(width=128), 5000) < affordable(recurrent(width=16), 5000)


@pytest.fixture(scope="module")
def fitted():
    x = np.random.default_rng(0).normal(size=(1500, 24, 8)).astype("float32")
    keras.utils.set_random_seed(0)
    model = recurrent()
    model.compile("sgd", "mse")
    return model, x


def watched(fitted, x, **options):
    model, rows = fitted
    watch = ks.SensitivityCallback(x, **options)
    model.fit(rows[:64], rows[:64, 0, 0], callbacks=[watch], verbose=0)
    return watch


@pytest.mark.parametrize(("num_samples", "measured"), [(None, 1500), (1400, 1400), (700, 700), (2000, 1500)])
def test_a_number_that_was_asked_for_is_measured(fitted, num_samples, measured, capsys):
    assert watched(fitted, fitted[1], num_samples=num_samples, verbose=1).importance.num_samples == measured
    assert "would cost too much" not in capsys.readouterr().out


def test_the_default_is_said_and_taken(fitted, capsys):
    watch = watched(fitted, fitted[1], verbose=1)
    count = watch.importance.num_samples
    assert 256 <= count < 500
    assert f"{count} rows, as 1,500 would cost too much; num_samples= sets it." in capsys.readouterr().out
    again = watched(fitted, fitted[1])
    assert again.importance.num_samples == count


def test_weights_go_with_their_rows(fitted):
    weights = np.where(np.arange(1500) % 3 == 0, 1.0, 0.0)
    assert 0 < watched(fitted, fitted[1], sample_weight=weights).importance.num_samples < 400


def test_a_stream_keeps_as_many_rows_at_every_fit(fitted):
    stream = tf.data.Dataset.from_tensor_slices(fitted[1]).batch(100)
    model, rows = fitted
    watch = ks.SensitivityCallback(stream)
    counts = []
    for _ in range(2):
        model.fit(rows[:64], rows[:64, 0, 0], callbacks=[watch], verbose=0)
        counts.append(watch.importance.num_samples)
    assert counts[0] == counts[1] == watched(fitted, fitted[1]).importance.num_samples


def test_few_rows_are_all_measured(fitted):
    assert watched(fitted, fitted[1][:250]).importance.num_samples == 250
