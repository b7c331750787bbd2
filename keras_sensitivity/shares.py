"""The formulas of the shares, once: for n rows and for one.

With ``g[i, u, k, j]`` the derivative of unit u at sample i with respect to entry j at lag k, and ``s[j]`` the scale of
the entry:

    r[k, f]   = sqrt(sum over u and the entries j of feature f of s[j]**2 * mean over i of g[i, u, k, j]**2)
    q[f]      = sum over k of c[k, f] * r[k, f]         with c the mean over the lags that are there, or lag 0 alone
    lambda[f] = 100 * q[f] / sum of q                   section 2.3; at one sample, 100 * q[f]**2 / sum of q**2: 2.4
    gamma[k]  = 100 * sum over f of r[k, f] / sum of r  section 2.5

of Horel, Mison, Xiong, Giesecke, Mangu (2018), *Sensitivity based Neural Networks Explanations*, arXiv 1812.01029. All
functions take axes in front, so that one sample is the mean over n = 1 of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Features
from keras_sensitivity.moments import CrossMoments, Moments

__all__ = [
    "averages",
    "lag_weights",
    "noise_band",
    "numerators",
    "percent",
    "quotient",
    "rms_by_lag",
    "scale_of",
    "standard_errors",
]

Array = np.ndarray[Any, Any]

# The upper end of the noise band is at most this many times the largest probe.
MOST_OVER_PROBES = 2.0


def scale_of(definition: Definition, inputs: Moments | None, features: Features) -> Array:
    """The s[j]: what multiplies the derivatives of each entry, shape (num_entries,).

    Args:
        definition: Whose ``scale`` is asked for.
        inputs: Moments of the entries over rows and steps, shape (num_entries,); needed for ``scale="std"``.
        features: What the entries make up.
    """
    if isinstance(definition.scale, str):
        assert inputs is not None
        return np.sqrt(inputs.variance)
    return np.ones(len(features.owners)) if definition.scale is None else features.expand(definition.scale)


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


def standard_errors(
    squares: CrossMoments, *, mean_squares: Array, scale: Array, weights: Array, part: Array, features: Features
) -> Array:
    """Of lambda, by the delta method, shape (num_features,), percentage points.

    With v[k, j] = mean of h[k, j] = sum over u of g**2 over the rows that have lag k, the share p[f] = q[f] / sum q:

        d q[f] / d v[k, j] = c[k, f] s[j]**2 / (2 r[k, f])       for j in f, else 0
        d p[f] / d q[e]    = ((e == f) - p[f]) / sum q

    The first turn the covariances of h into Q = Cov(q) of a single row, and with the second

        Var p[f] = (Q[f, f] - 2 p[f] sum_e Q[f, e] + p[f]**2 sum Q) / (sum q)**2 * sum(w**2) / sum(w)**2

    Args:
        squares: Moments of h over all rows, where it is 0 at lags that a row has not, shape (num_lags * num_entries,).
        mean_squares: The r**2, shape (num_lags, num_features).
        scale: The s, shape (num_entries,).
        weights: The c, shape (num_lags, num_features).
        part: The part of the rows that have each lag, taken as known; broadcastable to (num_lags, num_entries).
        features: What the entries make up.
    """
    rms = np.sqrt(mean_squares)
    q = numerators(rms, weights)
    if not q.any():
        return np.zeros(len(q))
    owners = features.of_entry
    slopes = weights[:, owners] * scale**2 * quotient(0.5, rms[:, owners] * part)
    covariance = squares.covariance
    if covariance.ndim == 2:
        by_entry = slopes[..., None, None] * covariance.reshape(slopes.shape * 2) * slopes
        between = features.sum(features.sum(by_entry.sum(axis=(0, 2))).T)
        own, with_all = np.diagonal(between), between.sum(axis=0)
    else:  # the entries taken as uncorrelated
        own = with_all = features.sum((slopes**2 * covariance.reshape(slopes.shape)).sum(axis=0))
    share = q / q.sum()
    variance = (own - 2 * share * with_all + share**2 * with_all.sum()) / q.sum() ** 2
    variance *= squares.weight_squares / squares.weight**2
    return np.asarray(100 * np.sqrt(np.maximum(variance, 0.0)))


def noise_band(probes: Array) -> tuple[float, float]:
    """Between which importances a feature of one column of pure noise would lie, percent.

    On the logarithmic scale, with the mean m and the standard deviation s (ddof 1) of the k probes,

        m -+ t(0.99, k - 1) * s * sqrt(1 + 1/k)

    the bounds of a prediction; but at most twice the largest probe, since with a penalty that switches weights off some
    probes are 0 and the logarithms scatter without end.

    Args:
        probes: Their importances, percent, shape (num_probes,).
    """
    logs = np.log(np.maximum(probes, np.finfo(float).tiny))
    count, largest = len(logs), logs.max()
    reach = scipy.special.stdtrit(count - 1, 0.99) * logs.std(ddof=1) * np.sqrt(1 + 1 / count)
    lower, upper = logs.mean() - reach, min(logs.mean() + reach, largest + np.log(MOST_OVER_PROBES))
    return float(np.exp(lower)), float(np.exp(upper))


def quotient(numerator: Any, denominator: Any) -> Array:
    """The quotient, and 0 where the denominator is 0."""
    denominator = np.asarray(denominator)
    shape = np.broadcast_shapes(np.shape(numerator), denominator.shape)
    return np.asarray(np.divide(numerator, denominator, out=np.zeros(shape), where=denominator > 0))
