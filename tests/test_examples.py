"""The examples find what the paper has; `make examples` runs them as scripts."""

import _datasets
import credit_default
import digits
import keras
import mixed_inputs
import numpy as np
import pytest
import simulation

import keras_sensitivity as ks


def test_the_papers_simulation():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = simulation.simulate(rng, simulation.TRAIN_ROWS)
    x_test, y_test = simulation.simulate(rng, simulation.TEST_ROWS)
    assert len(x) == 8500
    model = simulation.network()
    watch = simulation.train(model, x, y)
    np.testing.assert_allclose(simulation.exact_importances(), [14.873, 17.042, 45.239, 22.620, 0.226], atol=1e-3)
    assert model.evaluate(x_test, y_test, batch_size=1500, verbose=0) <= 1.3e-2
    assert simulation.comparison(watch.importance)["difference"].abs().max() <= 1
    assert watch.events[["feature", "event"]].to_numpy().tolist() == [["X5", "died"]]


@pytest.mark.skipif(_datasets._find(_datasets.CREDIT_FILE) is None, reason="no credit data on this machine")
def test_credit_default():
    keras.utils.set_random_seed(0)
    x, y, x_test, y_test = credit_default.load()
    assert (len(x), len(x_test)) == (25_000, 5_000)
    model = credit_default.network(x.shape[1])
    watch = credit_default.train(model, x, y)
    assert credit_default.error_rate(model, x_test, y_test) <= 18.7
    ranks = watch.importance.table["rank"]
    assert ranks["PAY_0"] == 1
    assert ranks[["PAY_AMT1", "PAY_AMT2", "LIMIT_BAL"]].max() <= 8


def test_digits():
    keras.utils.set_random_seed(0)
    x, x_test, y, y_test = digits.load()
    model = digits.network()
    watch = digits.train(model, x, y, epochs=3, log_dir=None)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.9
    pixels = watch.importance.map[..., 0]
    border = pixels[:, [0, 7]].sum()
    assert border < 15  # the first and last column are nearly always empty
    explanation = ks.explain(model, x_test[digits.one_of_each(y_test)], definition=digits.DEFINITION)
    assert digits.picture(watch.importance, explanation).axes


@pytest.mark.skipif(_datasets._find(_datasets.BIKE_FILE) is None, reason="no bike data on this machine")
def test_mixed_inputs():
    keras.utils.set_random_seed(0)
    columns, y = mixed_inputs.load()
    rows = np.random.default_rng(0).permutation(len(y))[:6000]
    model, watch = mixed_inputs.train(mixed_inputs.take(columns, rows), y[rows], epochs=4, log_dir=None)
    assert set(watch.trajectory.columns) == {"calendar", "hour", "humidity", "temperature", "weather", "wind"}
    assert watch.importance.features.idxmax() == "hour"
    alone = ks.measure(model, mixed_inputs.take(columns, rows), num_samples=1000)
    assert {"season", "weekday", "holiday"} < set(alone.features.index)
