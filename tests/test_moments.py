"""The running moments equal NumPy's, in any order, in any cut, on data where naive sums fail."""

import numpy as np
import pytest

from keras_sensitivity.moments import Count, CrossMoments, Moments

CUTS = [[1000], [1, 999], [500, 500], [3, 0, 17, 400, 580]]


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_equals_numpy_near_1e4(rng, cut):
    values = 1e4 + rng.normal(size=(1000, 3))
    naive = (values.astype("float32") ** 2).mean(0) - values.astype("float32").mean(0) ** 2
    assert (abs(naive - 1) > 0.2).any()  # E[x^2] - E[x]^2 in float32 fails here
    moments, cross = Moments.empty((3,)), CrossMoments.empty(3)
    for part in np.split(values, np.cumsum(cut)[:-1]):
        moments, cross = moments.update(part), cross.update(part)
    np.testing.assert_allclose(moments.mean, values.mean(0), rtol=1e-14)
    np.testing.assert_allclose(moments.variance, values.var(0), rtol=1e-10)
    np.testing.assert_allclose(moments.mean_square, (values**2).mean(0), rtol=1e-14)
    np.testing.assert_allclose(cross.covariance, np.cov(values.T, ddof=0), rtol=1e-9, atol=1e-12)


def test_weights_count_rows(rng):
    values, weights = rng.normal(size=(50, 3)), rng.integers(0, 4, size=50).astype(float)
    repeated = np.repeat(values, weights.astype(int), axis=0)
    weighted, plain = Moments.empty((3,)).update(values, weights), Moments.empty((3,)).update(repeated)
    np.testing.assert_allclose(weighted.mean, plain.mean, rtol=1e-12)
    np.testing.assert_allclose(weighted.variance, plain.variance, rtol=1e-12)
    cross = CrossMoments.empty(3).update(values, weights)
    np.testing.assert_allclose(cross.covariance, np.cov(repeated.T, ddof=0), rtol=1e-11, atol=1e-14)
    assert cross.weight_squares == (weights**2).sum()


def test_rows_of_no_weight_are_no_rows(rng):
    for empty in (Moments.empty((3,)), CrossMoments.empty(3), CrossMoments.empty(3, diagonal=True)):
        updated = empty.update(rng.normal(size=(5, 3)), np.zeros(5))
        for x, y in zip(vars(updated).values(), vars(empty).values(), strict=True):
            np.testing.assert_array_equal(x, y)


def test_diagonal_is_the_diagonal(rng):
    values = rng.normal(size=(40, 3))
    full, diagonal = CrossMoments.empty(3).update(values), CrossMoments.empty(3, diagonal=True).update(values)
    np.testing.assert_allclose(diagonal.covariance, np.diag(full.covariance), rtol=1e-12)


def test_merge_is_associative_and_commutative_with_empty_as_identity(rng):
    kinds = (Moments.empty((3,)), CrossMoments.empty(3), CrossMoments.empty(3, diagonal=True))
    for empty in kinds:
        a, b, c = (empty.update(rng.normal(size=(n, 3)), rng.random(n)) for n in (1, 30, 200))
        for one, other in [(a.merge(b).merge(c), a.merge(b.merge(c))), (a.merge(b), b.merge(a))]:
            for x, y in zip(vars(one).values(), vars(other).values(), strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)
        for merged in (a.merge(empty), empty.merge(a)):
            for x, y in zip(vars(merged).values(), vars(a).values(), strict=True):
                np.testing.assert_array_equal(x, y)
    assert Count(2).merge(Count(3)).merge(Count(0)).total == Count(3).merge(Count(2)).total == 5


def test_update_changes_nothing_in_place(rng):
    moments = Moments.empty((3,)).update(rng.normal(size=(5, 3)))
    before = [array.copy() for array in vars(moments).values()]
    moments.update(rng.normal(size=(5, 3)))
    for x, y in zip(before, vars(moments).values(), strict=True):
        np.testing.assert_array_equal(x, y)
    with pytest.raises(AttributeError):
        moments.mean = 0


def test_rows_without_weight_have_no_moments():
    moments = Moments.empty((2,)).update(np.ones((3, 2)), np.zeros(3))
    assert moments.mean_square.tolist() == [0, 0]
    assert Moments.empty((2,)).variance.tolist() == [0, 0]


def test_pool_is_all_entries_together(rng):
    values, weights = rng.normal(size=(30, 4, 3)), rng.random((4, 3))
    moments = Moments.empty((4, 3)).update(values)
    np.testing.assert_allclose(moments.pool(0).variance, values.reshape(-1, 3).var(axis=0), rtol=1e-12)
    weighted = Moments(weights, moments.mean, moments.variance * weights).pool(0)
    mean = (weights * values.mean(0)).sum(0) / weights.sum(0)
    np.testing.assert_allclose(weighted.mean, mean, rtol=1e-12)
    expected = (weights * ((values - mean) ** 2).mean(0)).sum(0) / weights.sum(0)
    np.testing.assert_allclose(weighted.variance, expected, rtol=1e-12)


def test_splitting_keeps_the_moments_of_each_part(rng):
    values = rng.normal(size=(40, 2, 5))
    whole = Moments.empty((2, 5)).update(values)
    for weight in (whole.weight, np.full((2, 1), 40.0), np.full((2, 5), 40.0)):
        first, last = Moments(weight, whole.mean, whole.m2).split(2)
        np.testing.assert_allclose(first.variance, values[..., :3].var(0), rtol=1e-12)
        np.testing.assert_allclose(last.mean_square, (values[..., 3:] ** 2).mean(0), rtol=1e-12)
    assert whole.split(0) == (whole, None)


def test_values_far_from_0_keep_their_digits_beside_missing_ones():
    values = np.array([[np.nan, 1e8], [1e8, 1e8 + 1], [1e8 + 2, np.nan], [np.nan, np.nan]])
    moments = Moments.empty((2,)).update(values, np.array([1.0, 1, 1, 5]))
    np.testing.assert_array_equal(moments.weight, [2, 2])
    np.testing.assert_array_equal(moments.mean, [1e8 + 1, 1e8 + 0.5])
    np.testing.assert_array_equal(moments.variance, [1, 0.25])
    assert Moments.empty((1,)).update(np.array([[np.nan]])).mean == 0
