"""The monitor's rule, on importances with exact shares."""

import pickle

import numpy as np
import pytest

import keras_sensitivity as ks
from keras_sensitivity._features import Block, Features
from keras_sensitivity.dead_features import DeathRecord
from keras_sensitivity.moments import CrossMoments, LookMoments, Moments


def look(shares, spread=None):
    """An `Importance` with these shares."""
    shares = np.asarray(shares, dtype=float)
    count = len(shares)
    derivatives = Moments.empty((1, 1, count)).update(np.stack([shares, shares])[:, None, None])
    spread = np.full(count, 9.0) if spread is None else spread
    inputs = Moments(np.array(9.0), np.zeros((1, count)), spread[None])
    squares = CrossMoments.empty(count).update(np.stack([shares, shares]) ** 2)
    return ks.Importance(
        LookMoments(derivatives, None, inputs, squares, 2, 0),
        features=Features.of([Block(tuple("abcdefghij"[:count]), (count,))]),
        image_shape=None,
        num_lags=None,
        units=("0",),
        definition=ks.PAPER,
    )


def run(monitor, *looks):
    record = DeathRecord()
    for epoch, importance in enumerate(looks):
        record = monitor.update(record, epoch, importance)
    return record


def happened(record):
    return [(event.epoch, event.feature, event.event) for event in record.events]


def test_the_look_has_the_shares_it_was_made_with():
    np.testing.assert_allclose(look([70, 28, 2]).features, [70, 28, 2])


def test_the_rule_of_thumb_is_a_tenth_of_the_uniform_share():
    assert ks.DeadFeatureMonitor().threshold_of(look([90, 8, 2])) == pytest.approx(10 / 3)
    assert ks.DeadFeatureMonitor(threshold=1).threshold_of(look([90, 8, 2])) == 1


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_patience_counts_looks_in_a_row(patience):
    low, high = look([90, 9, 1]), look([80, 10, 10])
    monitor = ks.DeadFeatureMonitor(threshold=1.0, patience=patience)
    interrupted = [low] * (patience - 1) + [high] + [low] * patience
    assert happened(run(monitor, *interrupted)) == [(2 * patience - 1, "c", "died")]


def test_at_the_threshold_is_dead_and_125_percent_of_it_is_not_yet_alive():
    monitor = ks.DeadFeatureMonitor(threshold=4.0, patience=1)
    record = run(monitor, look([90, 6, 4]), look([90, 5, 5]), look([90, 4.9, 5.1]))
    assert happened(record) == [(0, "c", "died"), (2, "c", "revived")]
    assert record.dead == ()


def test_a_network_that_ignores_everything_kills_nothing():
    monitor = ks.DeadFeatureMonitor(patience=1)
    assert run(monitor, look([0, 0, 0])) == DeathRecord()


def test_a_constant_column_is_dead_whatever_its_derivative():
    record = run(ks.DeadFeatureMonitor(), look([50, 50], spread=np.array([9.0, 0.0])))
    assert record.dead == ("b",)
    assert record.events[0].reason == "constant"


def test_records_are_values():
    monitor = ks.DeadFeatureMonitor(patience=1, threshold=1.0)
    empty = DeathRecord()
    record = monitor.update(empty, 0, look([99, 1]))
    assert empty == DeathRecord()
    assert pickle.loads(pickle.dumps(record)) == record
    assert pickle.loads(pickle.dumps(monitor)) == monitor
    assert hash(monitor) == hash(ks.DeadFeatureMonitor(patience=1, threshold=1.0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": 0}, "a float between 0 and 100"),
        ({"threshold": 100}, "a float between 0 and 100"),
        ({"threshold": "noise"}, "'auto'"),
        ({"patience": 0}, "an int >= 1"),
        ({"patience": 1.5}, "an int >= 1"),
    ],
    ids=str,
)
def test_refuses_other_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        ks.DeadFeatureMonitor(**settings)
