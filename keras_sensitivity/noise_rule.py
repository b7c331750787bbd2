"""The rule by which a feature cannot be told from noise, at one look at a network with probes.

Beside the probes, a feature of m columns has the ratio

    ratio = own part * importance / (sqrt(m) * upper end of the noise band)

where the own part is what the other features cannot stand in for, see `keras_sensitivity.redundancy`. With labels, it
is the geometric mean of this and of the root of how the loss changes when the feature is swapped, over the upper end of
the same prediction for the loss changes of the probes: a loss is of the order of a square.

Features whose ratio is at most 1 are low. They are found one by one, the lowest first, and each is taken out before the
next is looked for: of two that can stand in for each other only one is low, unless the other is so without it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity import shares
from keras_sensitivity.importance import Importance
from keras_sensitivity.redundancy import Redundancy

__all__ = ["Verdict", "verdict"]

Array = np.ndarray[Any, Any]

# A feature revives only well above the noise; without this most false reports are one crossing by chance.
REVIVAL_FACTOR = 1.25

# A network of which no feature is this many times above the noise has learnt nothing yet, and says nothing of any.
LEARNT_FACTOR = 1.5

# A feature of which less than this part is its own is a copy of others: more than 99 % of its variance is theirs.
COPY = 0.1

# Percent; where a penalty has switched all probes off, anything is above them.
SMALLEST = 1e-30

# A probability that a feature of noise exceeds the noise band.
LEVEL = 0.99


class Verdict(NamedTuple):
    """What is said of the features at one look, each of shape (num_features,).

    Attributes:
        is_low: Whether a feature cannot be told from noise; of those that were dead, whether they still cannot.
        is_average: Whether it is not even above the average probe.
        thresholds: Up to which importance it would be low, percent.
        is_copy: Whether hardly anything of it is its own.
        stand_ins: Of those that are low though they are above it, the positions of the others that stand in for them.
        has_learnt: Whether any feature is well above the noise, so that the others are judged.
    """

    is_low: Array
    is_average: Array
    thresholds: Array
    is_copy: Array
    stand_ins: Mapping[int, list[int]]
    has_learnt: bool


def verdict(importance: Importance, was_dead: Array, is_constant: Array) -> Verdict:
    """Judge a look at a network with probes.

    Args:
        importance: The look.
        was_dead: Whether each feature was dead before, shape (num_features,).
        is_constant: Whether it does not vary.
    """
    usage, sizes = importance.usage.to_numpy(), np.sqrt(importance.num_columns)
    assert importance.noise_band is not None
    assert importance.noise_average is not None
    noise = np.maximum(importance.noise_band[1], SMALLEST) * sizes
    raw = _raw_ratios(importance, noise)
    out = was_dead | is_constant
    redundancy = importance.redundancy or Redundancy.none(len(usage))
    standing = redundancy.without(np.flatnonzero(out))
    own, is_low = standing.own_parts, out | (~np.isin(np.arange(len(usage)), redundancy.owners) & (raw <= 1))
    while not is_low.all():
        lowest = int(np.where(is_low, np.inf, own * raw).argmin())
        if own[lowest] * raw[lowest] > 1:
            break
        is_low[lowest] = True
        standing = standing.without(lowest)
        own = np.where(is_low, own, standing.own_parts)
    own = np.where(out, standing.parts_if_kept, own)
    ratios = own * raw
    is_low[out] = ratios[out] <= REVIVAL_FACTOR
    return Verdict(
        is_low,
        ratios * noise <= sizes * importance.noise_average,
        _thresholds(usage, ratios, noise),
        own < COPY,
        {int(each): standing.stand_ins(int(each)) for each in np.flatnonzero(is_low & (raw > 1))},
        bool(raw.max() > LEARNT_FACTOR),
    )


def _raw_ratios(importance: Importance, noise: Array) -> Array:
    """How many times above the noise each feature is, whatever the others could stand in for."""
    raw = shares.quotient(importance.usage.to_numpy(), noise)
    changes = importance.loss_changes
    if changes is None:
        return raw
    of_features, of_probes = (
        changes["loss_change"][changes["is_probe"] == is_probe].to_numpy() for is_probe in (False, True)
    )
    bound = max(shares.prediction_bounds(of_probes, LEVEL)[1], np.finfo(float).tiny)
    by_loss = np.sqrt(np.maximum(of_features, 0) / (bound * importance.num_columns))
    return np.where(np.isnan(by_loss), raw, np.sqrt(raw * by_loss))


def _thresholds(usage: Array, ratios: Array, noise: Array) -> Array:
    """The importance at which the ratio would be 1, if everything else was as it is."""
    known = ratios > 0
    found = np.divide(usage, ratios, out=np.where(usage > 0, 100.0, noise), where=known)
    return np.minimum(found, 100.0)
