"""What of a feature others can stand in for, against regressions by brute force."""

import numpy as np
import pytest

from keras_sensitivity.moments import CrossMoments, Means
from keras_sensitivity.redundancy import ROWS_OF_A_COLUMN, Redundancy


def correlated_rows(rng, num_columns, num_rows=2000):
    return rng.normal(size=(num_rows, num_columns)) @ rng.normal(size=(num_columns, num_columns))


def of_linear(x, weights, owners=None):
    """The redundancy of columns for a linear network, whose derivatives are the weights."""
    columns = CrossMoments.empty(x.shape[1]).update(x)
    owners = np.arange(x.shape[1]) if owners is None else np.array(owners)
    return Redundancy.of(columns, Means(np.array(1.0), np.outer(weights, weights)), owners, owners.max() + 1)


def by_regression(x, weights, kept):
    """The part of each kept column, in words of the module: B from regressions of the dropped, R2 of the kept."""
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    slopes = np.asarray(weights) * x.std(axis=0)
    dropped = [column for column in range(x.shape[1]) if column not in kept]
    coefficients = np.linalg.lstsq(z[:, kept], z[:, dropped], rcond=None)[0]
    adjustment = (len(x) - 1) / (len(x) - x.shape[1])
    parts = []
    for place, column in enumerate(kept):
        others = [each for each in kept if each != column]
        fitted = z[:, others] @ np.linalg.lstsq(z[:, others], z[:, column], rcond=None)[0] if others else 0
        own = min(1, adjustment * np.mean((z[:, column] - fitted) ** 2))
        folded = slopes[column] + coefficients[place] @ slopes[dropped]
        parts.append(np.sqrt(own * folded**2 / (slopes[column] ** 2 * (1 + (coefficients[place] ** 2).sum()))))
    return parts


@pytest.mark.parametrize("dropped", [[], [2], [0, 3], [1, 2, 4]])
def test_own_parts_are_those_of_regressions(rng, dropped):
    x, weights = correlated_rows(rng, 5), rng.normal(size=5)
    kept = [column for column in range(5) if column not in dropped]
    standing = of_linear(x, weights).without(dropped)
    np.testing.assert_allclose(standing.own_parts[kept], by_regression(x, weights, kept), rtol=1e-3)
    assert (standing.own_parts[dropped] == 1).all()


def test_what_a_linear_network_loses_without_a_column_is_its_own_part(rng):
    x, weights = correlated_rows(rng, 4, num_rows=20_000), np.array([1.0, -2.0, 0.5, 3.0])
    parts = of_linear(x, weights).all_kept.own_parts
    for column in range(4):
        others = np.delete(x - x.mean(axis=0), column, axis=1)
        centred = x[:, column] - x[:, column].mean()
        lost = weights[column] * (centred - others @ np.linalg.lstsq(others, centred, rcond=None)[0])
        size = abs(weights[column]) * x[:, column].std()
        assert lost.std() == pytest.approx(parts[column] * size, rel=0.05)  # slight correlations are left out


def test_the_order_of_dropping_does_not_matter(rng):
    redundancy = of_linear(correlated_rows(rng, 6), rng.normal(size=6))
    one, other = (redundancy.without(order[:1]).without(order[1]).without(order[2]) for order in ([1, 4, 2], [2, 1, 4]))
    np.testing.assert_allclose(one.own_parts, other.own_parts, rtol=1e-4)
    np.testing.assert_allclose(one.own_parts, redundancy.without([1, 2, 4]).own_parts, rtol=1e-4)


@pytest.mark.parametrize("owners", [None, [0, 1, 1, 2, 3, 3]], ids=["columns", "groups"])
def test_a_dropped_feature_is_asked_as_if_it_was_kept(rng, owners):
    redundancy = of_linear(correlated_rows(rng, 6), rng.normal(size=6), owners)
    dropped = [0, 1, 3]
    asked = redundancy.without(dropped).parts_if_kept
    for feature in dropped:
        alone = redundancy.without([each for each in dropped if each != feature])
        assert asked[feature] == pytest.approx(alone.own_parts[feature], rel=1e-4)


def test_weights_against_each_other_of_two_useless_columns_cancel(rng):
    x = rng.normal(size=(5000, 3))
    x[:, 1] = 0.99 * x[:, 0] + np.sqrt(1 - 0.99**2) * x[:, 1]
    against = of_linear(x, [1.0, -1.0, 1.0])
    assert against.all_kept.own_parts.max() == 1  # x2 is its own
    assert against.all_kept.own_parts[:2].max() < 0.2
    assert against.without([1]).own_parts[0] < 0.05  # 1 - 0.99, over the root of 2
    together = of_linear(x, [1.0, 1.0, 1.0])
    assert together.without([1]).own_parts[0] == pytest.approx(np.sqrt(2), rel=0.02)


def test_a_copy_of_a_column_is_nobodys_own_and_the_last_one_is(rng):
    x = rng.normal(size=(1000, 3))
    x[:, 2] = x[:, 0]
    standing = of_linear(x, [1.0, 1.0, 0.0])
    assert standing.all_kept.own_parts[[0, 2]].max() < 0.01
    assert standing.without([2]).own_parts[0] == pytest.approx(1 / np.sqrt(2), rel=0.02)
    assert standing.without([2]).stand_ins(2) == [0]


def test_a_one_hot_group_is_not_redundant_within_itself(rng):
    codes = np.eye(4)[rng.integers(4, size=4000)]
    x = np.column_stack([codes, rng.normal(size=4000)])
    group = of_linear(x, [1.0, 2.0, 3.0, 4.0, 1.0], owners=[0, 0, 0, 0, 1])
    np.testing.assert_allclose(group.all_kept.own_parts, 1, rtol=0.02)
    alone = of_linear(x, [1.0, 2.0, 3.0, 4.0, 1.0])
    assert alone.all_kept.own_parts[:4].max() < 0.01  # each is one less the others


def test_independent_columns_are_their_own_and_few_rows_say_nothing(rng):
    x = rng.normal(size=(4000, 20))
    assert (of_linear(x, np.ones(20)).all_kept.own_parts == 1).all()
    assert of_linear(x[: 20 * ROWS_OF_A_COLUMN - 1], np.ones(20)) is None


def test_stand_ins_are_those_that_predict_most(rng):
    x = rng.normal(size=(5000, 5))
    x[:, 4] = 2 * x[:, 1] + x[:, 3] + 0.1 * x[:, 4]
    standing = of_linear(x, np.ones(5)).without([4])
    assert standing.stand_ins(4) == [1, 3]
    assert of_linear(x[:, :4], np.ones(4)).all_kept.stand_ins(0) == []
