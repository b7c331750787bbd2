"""The monitor's rule, on importances with exact shares."""

import pickle

import numpy as np
import pytest
import scipy.stats

import keras_sensitivity as ks
from keras_sensitivity.dead_features import DeathRecord
from keras_sensitivity.features import Block, Features
from keras_sensitivity.look import Look
from keras_sensitivity.moments import Count, CrossMoments, Moments


def look(shares, spread=None, probes=None, groups=None):
    """An `Importance` with these shares; those of probes are percent of their sum."""
    shares = np.asarray(shares, dtype=float)
    count = len(shares)
    derivatives = Moments.empty((1, 1, count)).update(np.stack([shares, shares])[:, None, None])
    spread = np.full(count, 9.0) if spread is None else spread
    inputs = Moments(np.array(9.0), np.zeros((1, count)), spread[None])
    squares = CrossMoments.empty(count).update(np.stack([shares, shares]) ** 2)
    counts = {"samples": Count(2), "flat": Count(0)}
    moments = {**counts, "derivatives": derivatives, "inputs": inputs, "squares": squares}
    if probes is not None:
        of_noise = np.asarray(probes, dtype=float) * shares.sum() / 100
        noise = Moments.empty((1, 1, len(probes))).update(np.stack([of_noise, of_noise])[:, None, None])
        moments |= {"probes": noise, "noise": noise}
    return ks.Importance(
        Look(moments),
        features=Features.of([Block(tuple("abcdefghij"[:count]), (count,))], groups=groups),
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


# --- with probes ----------------------------------------------------------------------------------------------------

PROBES = [1.0, 1.2, 0.8, 1.1, 0.9, 1.3, 1.0, 0.7]


def test_the_look_has_the_probes_it_was_made_with():
    measured = look([60, 40], probes=PROBES)
    np.testing.assert_allclose(measured.probes, PROBES)
    np.testing.assert_allclose(measured.usage, [60, 40])
    assert measured.noise_level == pytest.approx(1.0)


def test_the_threshold_is_the_upper_end_of_the_prediction_interval():
    logs = np.log(PROBES)
    reach = scipy.stats.t.ppf(0.99, 7) * logs.std(ddof=1) * np.sqrt(1 + 1 / 8)
    measured = look([60, 40], probes=PROBES)
    np.testing.assert_allclose(np.log(measured.noise_band), [logs.mean() - reach, logs.mean() + reach])
    assert ks.DeadFeatureMonitor().threshold_of(measured) == measured.noise_band[1]
    assert ks.DeadFeatureMonitor(threshold=3.0).threshold_of(measured) == 3


def test_one_irrelevant_feature_in_a_hundred_exceeds_it(rng):
    draws = np.exp(0.3 * rng.normal(size=(4000, 9)))
    above = [share > look([60, 40], probes=probes).noise_band[1] for share, *probes in draws]
    assert abs(np.mean(above) - 0.01) < 4 * np.sqrt(0.01 * 0.99 / 4000)


def test_probes_that_a_penalty_switched_off_leave_a_threshold():
    some = look([60, 40], probes=[1.0, 2.0, 0.5, 1.0, 0, 0, 0, 0])
    assert some.noise_band[1] == pytest.approx(4.0)  # twice the largest
    assert happened(run(ks.DeadFeatureMonitor(patience=1), look([60, 40, 0], probes=[0] * 8))) == [(0, "c", "died")]


def test_nothing_is_judged_before_anything_is_learnt():
    monitor = ks.DeadFeatureMonitor(patience=2)
    blank = look([34, 33.5, 32.5], probes=[33, 34, 33, 34, 33, 34, 33, 34])
    learnt = look([90, 9, 1], probes=PROBES)
    assert happened(run(monitor, *[blank] * 5)) == []
    assert happened(run(monitor, blank, blank, *[learnt] * 3)) == [(4, "c", "died")]
    by_hand = ks.DeadFeatureMonitor(threshold=33.0, patience=2)
    assert happened(run(by_hand, blank, blank)) == [(1, "c", "died")]


def test_a_group_of_columns_is_compared_with_as_many_probes():
    shares = np.array([60, 40, 1.5, 1.5, 1.5, 1.5])  # each column is below the threshold, the four together have 3 %
    groups = {"colour": ["c", "d", "e", "f"]}
    grouped = look(shares, probes=np.array(PROBES) * shares[:2].sum() / shares.sum(), groups=groups)
    assert grouped.usage["colour"] == pytest.approx(300 / 103)
    assert grouped.usage["colour"] > grouped.noise_band[1]
    record = run(ks.DeadFeatureMonitor(patience=1), grouped)
    assert happened(record) == [(0, "colour", "died")]
    assert record.events[0].threshold == pytest.approx(2 * grouped.noise_band[1])


def test_a_dead_feature_revives_above_125_percent_of_the_noise():
    top = look([90, 9, 1], probes=PROBES).noise_band[1]
    looks = [look([100 - share, share], probes=PROBES) for share in (top, 1.24 * top, 1.26 * top)]
    assert happened(run(ks.DeadFeatureMonitor(patience=1), *looks)) == [(0, "b", "died"), (2, "b", "revived")]


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
