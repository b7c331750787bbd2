"""The formulas of the shares, once: for n rows and for one.

With ``g[i, u, k, j]`` the derivative of unit u at sample i with respect to entry j at lag k, and ``s[j]`` the scale of
the entry:

    r[k, f]   = sqrt(sum over u and the entries j of feature f of s[j]**2 * mean over i of g[i, u, k, j]**2)
    q[f]      = sum over k of c[k, f] * r[k, f]         with c the mean over the lags that are there, or lag 0 alone
    lambda[f] = 100 * q[f] / sum of q                   section 2.3; at one sample, 100 * q[f]**2 / sum of q**2: 2.4
    gamma[k]  = 100 * sum over f of r[k, f] / sum of r  section 2.5

of Horel, Mison, Xiong, Giesecke, Mangu (2018), *Sensitivity based Neural Networks Explanations*, arXiv 1812.01029. All
functions take axes in front, so that one sample is the mean over n = 1 of its own.

Along a path (``scale="path"``) s[k, j]**2 * mean of g**2 is the variance of F (see `path_squares`), which makes s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.special

from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Features
from keras_sensitivity.moments import Means, Moments

__all__ = [
    "Estimates",
    "Path",
    "averages",
    "estimation_error",
    "lag_weights",
    "noise_band",
    "numerators",
    "path",
    "path_squares",
    "percent",
    "quotient",
    "rms_by_lag",
    "scale_of",
    "scatter_along_path",
    "slopes_of_squares",
    "standard_errors",
]

Array = np.ndarray[Any, Any]

# The upper end of the noise band is at most this many times the largest probe.
MOST_OVER_PROBES = 2.0


def scale_of(definition: Definition, inputs: Moments | None, features: Features) -> Array:
    """The s[j]: what multiplies the derivatives of each entry, shape (num_entries,).

    Args:
        definition: Whose ``scale`` is asked for; "path" is "std" where the sensitivity is the same at all values.
        inputs: Moments of the entries over rows and steps, shape (num_entries,); needed for "std" and "path".
        features: What the entries make up.
    """
    if isinstance(definition.scale, str):
        assert inputs is not None
        return np.sqrt(inputs.variance)
    return np.ones(len(features.owners)) if definition.scale is None else features.expand(definition.scale)


def path_squares(spread: Moments, squares: Means) -> Array:
    """The variance of the values along the path of each entry, where distances are measured in output.

    With h(z) the mean of g**2 where the entry has the value z,

        F(t) = integral up to t of sqrt(h(z)) dz        and the result is the variance of F(x) over the rows.

    Over bins b with weights w[b], mean values m[b] and variances v[b], between which sqrt(h) is taken as linear,

        F[b + 1] = F[b] + (m[b + 1] - m[b]) * (sqrt(h[b]) + sqrt(h[b + 1])) / 2
        variance = sum over b of w[b] * ((F[b] - mean of F)**2 + v[b] * h[b])

    which is h times the variance of x where h is the same in all bins, also if there is only one. Of accumulated local
    effects (Apley, Zhu 2020, *Visualizing the effects of predictor variables in black box supervised learning models*),
    which integrate the mean of g, it is the kin for the root of the mean of its squares.

    Args:
        spread: Moments of the values in each bin, shape (num_bins, num_entries).
        squares: Means of g**2 in each bin, weight of shape (num_lags, num_bins, num_entries), mean (..., *that).

    Returns:
        Shape (..., num_lags, num_entries), in output squared.
    """
    return _path_moments(spread, squares)[0]


def scatter_along_path(spread: Moments, squares: Means) -> Array:
    """The variance over the rows of (F(x) - mean of F)**2, whose mean `path_squares` returns; of the same shape.

    Within a bin F is taken as normal, so that its fourth moment about a point at the distance d is
    d**4 + 6 d**2 v + 3 v**2.
    """
    second, fourth = _path_moments(spread, squares)
    return np.asarray(fourth - second**2)


def _path_moments(spread: Moments, squares: Means) -> tuple[Array, Array]:
    """The second and fourth central moment of F."""
    along = path(spread, squares)
    between, within = along.effect**2, along.variance * along.slope**2
    second = (along.part * (between + within)).sum(axis=-2)
    return second, (along.part * (between**2 + 6 * between * within + 3 * within**2)).sum(axis=-2)


class Path(NamedTuple):
    """The F of `path_squares`, bin by bin, in the order of the values; bins without a row last, with part 0.

    Attributes:
        value: The mean value of each bin, shape (num_bins, num_entries).
        variance: Of the values in it, of the same shape.
        part: The part of the rows that it holds, of the same shape; sums to 1.
        slope: The sqrt(h) there, in output per input, shape (..., num_lags, num_bins, num_entries).
        effect: F less its mean over the rows, in output, of the same shape.
    """

    value: Array
    variance: Array
    part: Array
    slope: Array
    effect: Array


def path(spread: Moments, squares: Means) -> Path:
    """How far the output moves on the way from the smallest value of each entry to each other.

    Args:
        spread: As in `path_squares`.
        squares: As there.
    """
    present = spread.weight > 0
    order = np.argsort(np.where(present, spread.mean, np.inf), axis=0)
    present, mean, variance, weight = (
        np.take_along_axis(each, order, axis=0) for each in (present, spread.mean, spread.variance, spread.weight)
    )
    mean = np.where(present, mean, np.take_along_axis(mean, np.maximum(present.sum(axis=0) - 1, 0)[None], axis=0))
    by_bin = np.broadcast_to(order, squares.weight.shape)
    h = np.take_along_axis(squares.mean, np.broadcast_to(by_bin, squares.mean.shape), axis=-2)
    h = _without_holes(h, np.take_along_axis(squares.weight, by_bin, axis=-2) * present, present, mean)
    slope = np.sqrt(h)
    steps = np.diff(mean, axis=0) * (slope[..., 1:, :] + slope[..., :-1, :]) / 2
    effect = np.concatenate([np.zeros_like(slope[..., :1, :]), np.cumsum(steps, axis=-2)], axis=-2)
    part = weight / np.maximum(weight.sum(axis=0), np.finfo(float).tiny)
    return Path(mean, variance, part, slope, effect - (part * effect).sum(axis=-2, keepdims=True))


def _without_holes(h: Array, weight: Array, present: Array, mean: Array) -> Array:
    """The h of bins without a row that was measured: linear between its neighbours.

    Beyond the last of them it is that of the last or the mean of all, whichever is less: a tail that is flat stays
    flat, and one that was left on its steepest part is not taken to go on like this. Of a linear model both are right.
    """
    is_known = weight > 0
    is_hole = ~is_known & present & is_known.any(axis=-2, keepdims=True)
    if not is_hole.any():
        return h
    bins = np.arange(weight.shape[-2])[:, None]
    before = np.maximum.accumulate(np.where(is_known, bins, -1), axis=-2)
    behind = np.minimum.accumulate(np.where(is_known, bins, len(bins))[..., ::-1, :], axis=-2)[..., ::-1, :]
    is_beyond = (before < 0) | (behind == len(bins))
    # Beyond the last one known, both neighbours are that one.
    before, behind = np.where(before < 0, behind, before), np.where(behind == len(bins), before, behind)
    values = np.broadcast_to(mean, weight.shape)
    here, there = (np.take_along_axis(values, each % len(bins), axis=-2) for each in (before, behind))
    part = quotient(values - here, there - here)
    low, high = (np.take_along_axis(h, np.broadcast_to(each % len(bins), h.shape), -2) for each in (before, behind))
    filled = low + part * (high - low)
    whole = quotient((h * weight).sum(axis=-2, keepdims=True), weight.sum(axis=-2, keepdims=True))
    return np.where(is_hole, np.where(is_beyond, np.minimum(filled, whole), filled), h)


def rms_by_lag(squares: Array, features: Features) -> Array:
    """The r[k, f], from s**2 * mean of g**2, summed over the units.

    Shape (..., num_lags, num_entries) -> (..., num_lags, num_features).
    """
    return np.asarray(np.sqrt(features.sum(squares)))


def lag_weights(reached: Array, features: Features, *, newest_alone: bool = False) -> Array:
    """The c[k, f], from whether each lag of each entry is there.

    Shape (..., num_lags, num_entries) -> (..., num_lags, num_features).
    """
    weights = averages(features.sum(reached.astype(float)) > 0)
    if newest_alone:
        weights = np.zeros_like(weights)
        weights[..., 0, :] = 1
    return weights


def averages(chosen: Array) -> Array:
    """Weights that average over what is chosen along the last axis but one."""
    return np.asarray(chosen / np.maximum(chosen.sum(axis=-2, keepdims=True), 1))


def numerators(rms: Array, weights: Array) -> Array:
    """The q[f], shape (..., num_lags, num_features) -> (..., num_features)."""
    return np.asarray((weights * rms).sum(axis=-2))


def percent(values: Array) -> Array:
    """Percent of the sum along the last axis; zeros where the sum is 0.

    >>> percent(np.array([3.0, 1.0])), percent(np.zeros(2))
    (array([75., 25.]), array([0., 0.]))
    """
    return quotient(100 * values, values.sum(axis=-1, keepdims=True))


class Estimates(NamedTuple):
    """Numbers of single rows, of whose means the q are functions.

    Attributes:
        slopes: The derivative of a feature's q with respect to the mean of each number, shape (num_numbers,).
        owners: The feature of each number, of the same shape.
        covariance: Of the numbers over the rows, shape (num_numbers, num_numbers); or only the variances.
        part: The sum of the squared weights of the rows by the square of their sum: 1/n for n rows of equal weight.
    """

    slopes: Array
    owners: Array
    covariance: Array
    part: Array


def slopes_of_squares(mean_squares: Array, *, scale: Array, weights: Array, part: Array, features: Features) -> Array:
    """How the q change with the mean over the rows of h = sum over u of g**2, shape (num_lags, num_entries).

        d q[f] / d v[k, j] = c[k, f] s[k, j]**2 / (2 r[k, f])       for j in f, with v[k, j] = mean of h[k, j]

    Args:
        mean_squares: The r**2, shape (num_lags, num_features).
        scale: The s, taken as known, broadcastable to (num_lags, num_entries).
        weights: The c, shape (num_lags, num_features).
        part: The part of the rows that have each lag, taken as known; broadcastable to (num_lags, num_entries).
        features: What the entries make up.
    """
    owners = features.of_entry
    return np.asarray(weights[:, owners] * scale**2 * quotient(0.5, np.sqrt(mean_squares)[:, owners] * part))


def standard_errors(q: Array, estimates: Estimates, own_scatter: Array) -> Array:
    """Of lambda, by the delta method, shape (num_features,), percentage points.

    The slopes turn the covariances of what is averaged into Q = Cov(q) of a single row, and with the shares p

        d p[f] / d q[e] = ((e == f) - p[f]) / sum q
        Var p[f] = (Q[f, f] - 2 p[f] sum_e Q[f, e] + p[f]**2 sum Q) / (sum q)**2 * sum(w**2) / sum(w)**2

    Args:
        q: The numerators, shape (num_features,).
        estimates: What they are made of.
        own_scatter: What is added to each Q[f, f], because the rows that give the scale are a sample, too; the scales
            of different features are taken as independent; shape (num_features,).
    """
    if not q.any():
        return np.zeros(len(q))
    slopes, owners, covariance, part = estimates
    if covariance.ndim == 2:
        rows = np.zeros((len(q), len(slopes)))
        np.add.at(rows, owners, slopes[:, None] * covariance * slopes)
        with_all = rows.sum(axis=1)
        own = np.bincount(owners, rows[owners, np.arange(len(slopes))], len(q))
    else:  # the numbers taken as uncorrelated
        own = with_all = np.bincount(owners, slopes**2 * covariance, len(q))
    own, with_all = own + own_scatter, with_all + own_scatter
    share = q / q.sum()
    variance = (own - 2 * share * with_all + share**2 * with_all.sum()) / q.sum() ** 2
    return np.asarray(100 * np.sqrt(np.maximum(variance * part, 0.0)))


def estimation_error(num_rows: int, num_draws: int) -> float:
    """Of a size q whose sum over the units is estimated by K random signs a row, of n rows that are alike; percent.

    100 * sqrt(1 / (2 K n)), at most: the products of different units are left in a sum of as many squares.
    """
    return float(100 / np.sqrt(2 * num_draws * num_rows))


def noise_band(probes: Array) -> tuple[float, float]:
    """Between which importances a feature of one column of pure noise would lie, percent.

    On the logarithmic scale, with the mean m and the standard deviation s (ddof 1) of the k probes,

        m -+ t(0.99, k - 1) * s * sqrt(1 + 1/k)

    the bounds of a prediction; but at most twice the largest probe, since with a penalty that switches weights off some
    probes are 0 and the logarithms scatter without end.

    Args:
        probes: Their importances, percent, shape (num_probes,).
    """
    logs = logarithms(probes)
    lower, upper = prediction_bounds(logs, 0.99)
    return float(np.exp(lower)), float(np.exp(min(upper, logs.max() + np.log(MOST_OVER_PROBES))))


def logarithms(shares: Any) -> Array:
    """Of shares that may be 0, which has the smallest that there is."""
    return np.asarray(np.log(np.maximum(shares, np.finfo(float).tiny)))


def prediction_bounds(values: Array, level: float) -> tuple[float, float]:
    """Below and above which one more value would lie with the probability ``1 - level`` each, were all normal.

    With the mean m and the standard deviation s (ddof 1) of the k values, ``m -+ t(level, k - 1) * s * sqrt(1 + 1/k)``.

    >>> prediction_bounds(np.array([-1.0, 1.0]), 0.5)
    (0.0, 0.0)
    """
    count = len(values)
    reach = scipy.special.stdtrit(count - 1, level) * values.std(ddof=1) * np.sqrt(1 + 1 / count)
    return float(values.mean() - reach), float(values.mean() + reach)


def quotient(numerator: Any, denominator: Any) -> Array:
    """The quotient, and 0 where the denominator is 0; NaN where it is NaN."""
    denominator = np.asarray(denominator)
    shape = np.broadcast_shapes(np.shape(numerator), denominator.shape)
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(shape), where=~(denominator <= 0)))
