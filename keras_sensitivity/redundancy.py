"""What of a feature the other features can stand in for, and what is its own.

A network may use a useless column in the place of a useful one that it is correlated with, or two useless ones against
each other: the changes cancel wherever the columns go together, and nothing of the output depends on them. What a
feature is worth is what would be lost without it, if the others stood in for it.

With the columns standardised, C their correlations, K those that are kept and D those that were dropped, each dropped
column is replaced by its best linear prediction from the kept ones,

    x[D] = B' x[K],   B = C[K, K]^-1 C[K, D],

so that by the chain rule the derivative with respect to a kept column becomes

    G[k] = g[k] + sum over the dropped d of B[k, d] g[d].

Of column k the part 1 - R2[k] of the variance is its own, R2 of its regression on the other kept columns; its inverse
is the variance inflation factor, and 1 / (1 - R2[k]) the k-th diagonal entry of C[K, K]^-1. So of the size q of a
feature there is left, as a part of it,

    sqrt((1 - R2[k]) * E G[k]^2 / (E g[k]^2 * (1 + sum over d of B[k, d]^2)))

where the last factor is what E G[k]^2 would be if the derivatives of the dropped columns were as large as its own and
independent of it, as those of noise are. For a linear network and E g[d]^2 = 0 it is what the size of k would be if
only the part of x[k] that the others do not predict were swapped. Of a group the columns' own variances and squares
are added up. A feature that is not correlated with any other is its own entirely.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from keras_sensitivity.moments import CrossMoments, Means, Mergeable, product
from keras_sensitivity.networks.network import SeenRows

__all__ = ["MOST_COLUMNS", "Redundancy", "Standing", "column_moments"]

Array = np.ndarray[Any, Any]

# Columns whose correlations are known at the most, and rows for each of them at the least: fewer would find nearly
# every column to be a sum of others.
MOST_COLUMNS, ROWS_OF_A_COLUMN = 256, 4

# Multiplications for the products of a batch at the most.
MOST_PRODUCTS = 2**26

# Columns of whose variance the others predict less than this stand for themselves.
SLIGHT = 0.1

# Added to the variance 1 of each column, so that one that is exactly a sum of others still has an inverse.
RIDGE = 1e-6

# A feature stands in for another where it makes at least this part of what all others predict of it.
STAND_IN = 0.1


def column_moments(rows: SeenRows, count: int) -> dict[str, Mergeable]:
    """What a `Look` keeps for a `Redundancy`: "columns" and "joint"; nothing of too many columns.

    Args:
        rows: What was seen at the rows of a batch.
        count: How many entries there are in front of those of probes.
    """
    if count > MOST_COLUMNS:
        return {}
    most = max(ROWS_OF_A_COLUMN * count, MOST_PRODUCTS // (count**2 * (1 + len(rows.derivatives))))
    values = rows.entries.values[..., :count].reshape(-1, count)[:most].astype(float)
    present = np.broadcast_to(rows.entries.weights, rows.entries.values.shape)[..., :count].reshape(-1, count)[:most]
    weights = present.max(axis=1)
    means = (present * values).sum(axis=0) / np.maximum(present.sum(axis=0), np.finfo(float).tiny)
    columns = CrossMoments.empty(count).update(np.where(present > 0, values, means), weights)
    joint = np.zeros((count, count))
    for derivatives in rows.derivatives:
        some = derivatives[..., :count].reshape(-1, count)[:most] * (present > 0)
        joint += product(weights[:, None] * some, some)
    return {"columns": columns, "joint": Means.from_sums(np.asarray(weights.sum()), joint)}


@dataclasses.dataclass(frozen=True, eq=False)
class Redundancy:
    """The correlations of the columns, and how the derivatives with respect to them go together.

    Attributes:
        correlations: Shape (num_columns, num_columns).
        joint: Mean of the products of the derivatives, in output per standard deviation, of the same shape.
        owners: For each column the position of its feature, shape (num_columns,).
        num_features: How many features there are, those without columns here, too.
        adjustment: (n - 1) / (n - p) for n rows and p columns, by which 1 - R2 is too small on the average.

    Example:

    >>> pair = Redundancy(np.array([[1.0, 0.6], [0.6, 1.0]]), np.diag([9.0, 0.0]), np.array([0, 1]), num_features=2)
    >>> pair.all_kept.own_parts.round(2).tolist()  # sqrt(1 - 0.6**2)
    [0.8, 0.8]
    >>> pair.without([1]).own_parts.round(3).tolist()  # 1 / sqrt(1 + 0.6**2)
    [0.857, 1.0]
    """

    correlations: Array
    joint: Array
    owners: Array
    num_features: int
    adjustment: float = 1.0

    @classmethod
    def of(cls, columns: CrossMoments, joint: Means, owners: Array, num_features: int) -> Redundancy | None:
        """From what a look keeps; None where there are too few rows to tell."""
        num_rows = float(columns.weight) ** 2 / max(float(columns.weight_squares), np.finfo(float).tiny)
        if num_rows < ROWS_OF_A_COLUMN * len(owners):
            return None
        covariance = columns.covariance
        std = np.sqrt(np.diagonal(covariance))
        scale = np.where(std > 0, 1 / np.where(std > 0, std, 1), 0)
        correlations = covariance * np.outer(scale, scale)
        np.fill_diagonal(correlations, 1.0)
        adjustment = (num_rows - 1) / max(num_rows - len(owners), 1)
        return cls(correlations, joint.mean * np.outer(std, std), owners, num_features, adjustment)._of_correlated

    @classmethod
    def none(cls, num_features: int) -> Redundancy:
        """Of features that nothing is known of, or that are not correlated."""
        return cls(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0, int), num_features)

    @property
    def _of_correlated(self) -> Redundancy:
        """The same without the columns that the others tell nothing of."""
        inverse = np.linalg.inv(self.correlations + RIDGE * np.eye(len(self.owners)))
        correlated = self.adjustment / np.diagonal(inverse) < 1 - SLIGHT
        chosen = np.isin(self.owners, self.owners[correlated])
        square = np.ix_(chosen, chosen)
        return dataclasses.replace(
            self, correlations=self.correlations[square], joint=self.joint[square], owners=self.owners[chosen]
        )

    @property
    def all_kept(self) -> Standing:
        """Where all features stand beside each other."""
        return self.without(())

    def without(self, features: Iterable[int]) -> Standing:
        """Where all features but these are kept, and stand in for them."""
        is_lost = np.isin(self.owners, list(features))
        kept, lost = np.flatnonzero(~is_lost), np.flatnonzero(is_lost)
        inverse = np.linalg.inv(self.correlations[np.ix_(kept, kept)] + RIDGE * np.eye(len(kept)))
        coefficients = inverse @ self.correlations[np.ix_(kept, lost)]
        across = coefficients @ self.joint[np.ix_(lost, kept)]
        joint = self.joint[np.ix_(kept, kept)] + across + across.T
        joint += coefficients @ self.joint[np.ix_(lost, lost)] @ coefficients.T
        return Standing(self, kept, inverse, joint, np.eye(len(kept)) + coefficients @ coefficients.T)


@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """Some features that are kept, where these stand in for all others.

    Attributes:
        redundancy: Of all features.
        columns: The kept ones, shape (num_kept,).
        inverse: Of their correlations.
        joint: E G[j] G[k], the others folded into the kept ones.
        noise: What that would be, if E g[j] g[k] was 1 for j = k and else 0.
    """

    redundancy: Redundancy
    columns: Array
    inverse: Array
    joint: Array
    noise: Array

    def without(self, feature: int) -> Standing:
        """Where this feature is not kept either."""
        standing = self
        for column in np.flatnonzero(self.redundancy.owners == feature):
            standing = standing._without_column(int(column))
        return standing

    def _without_column(self, column: int) -> Standing:
        found = np.flatnonzero(self.columns == column)
        if not len(found):
            return self
        (place,) = found
        rest = np.arange(len(self.columns)) != place
        pivot = self.inverse[rest, place] / self.inverse[place, place]
        inverse = self.inverse[np.ix_(rest, rest)] - np.outer(pivot, self.inverse[place, rest])
        folded = (_folded(each, rest, int(place), -pivot) for each in (self.joint, self.noise))
        return Standing(self.redundancy, self.columns[rest], inverse, *folded)

    @property
    def own_parts(self) -> Array:
        """The part of its size that is a feature's own, shape (num_features,); 1 for what is not kept."""
        variance = 1 / np.diagonal(self.inverse)
        for places in self._groups(self.columns):
            variance[places] = np.trace(np.linalg.inv(self.inverse[np.ix_(places, places)])) / len(places)
        return self._parts(self.columns, variance, np.diagonal(self.joint), np.diagonal(self.noise))

    @property
    def parts_if_kept(self) -> Array:
        """What would be the own part of each feature that is not kept, if it alone was again; 1 for what is kept."""
        lost = np.setdiff1d(np.arange(len(self.redundancy.owners)), self.columns)
        between = self.redundancy.correlations[np.ix_(lost, self.columns)]
        residual = self.redundancy.correlations[np.ix_(lost, lost)] - between @ self.inverse @ between.T
        residual += RIDGE * np.eye(len(lost))
        variance = np.diagonal(residual).copy()
        weights = residual / variance  # of each column of the other lost ones, in their regression on one of them
        for places in self._groups(lost):
            block = residual[np.ix_(places, places)]
            weights[:, places] = residual[:, places] @ np.linalg.inv(block)
            variance[places] = np.trace(block) / len(places)
        joint = self.redundancy.joint[np.ix_(lost, lost)]
        return self._parts(lost, variance, ((joint @ weights) * weights).sum(axis=0), (weights**2).sum(axis=0))

    def _groups(self, columns: Array) -> Iterator[Array]:
        """The places among some columns of those that are not the only one of their feature."""
        owners = self.redundancy.owners[columns]
        for owner in np.flatnonzero(np.bincount(owners, minlength=1) > 1):
            yield np.flatnonzero(owners == owner)

    def _parts(self, columns: Array, variance: Array, joint: Array, noise: Array) -> Array:
        """From 1 - R2 of some columns, and from the squares of what was folded into them, the parts of the features."""
        owners, alone = self.redundancy.owners[columns], np.diagonal(self.redundancy.joint)[columns]

        def summed(values: Array) -> Array:
            return np.bincount(owners, values, minlength=self.redundancy.num_features).astype(float)

        count, expected = summed(np.ones(len(columns))), summed(alone * noise)
        unique = np.minimum(1.0, self.redundancy.adjustment * summed(variance) / np.maximum(count, 1))
        grown = np.divide(summed(joint), expected, out=np.ones_like(expected), where=expected > 0)
        return np.where(count > 0, np.sqrt(np.maximum(unique * grown, 0.0)), 1.0)

    def stand_ins(self, feature: int) -> list[int]:
        """The kept features that predict one that is not, those that predict most of it first; none of one of its own.

        By the products of the coefficients of its regression and its correlations, which add up to R2: Pratt (1987).
        """
        own = self.redundancy.owners == feature
        between = self.redundancy.correlations[np.ix_(own, self.columns)]
        parts = ((between @ self.inverse) * between).sum(axis=0)
        owners = self.redundancy.owners[self.columns]
        found = {int(owner): float(parts[owners == owner].sum()) for owner in np.unique(owners)}
        whole = sum(found.values())
        if whole < SLIGHT * own.sum():
            return []
        return [owner for owner in sorted(found, key=lambda each: -found[each]) if found[owner] > STAND_IN * whole]


def _folded(products: Array, rest: Array, place: int, weights: Array) -> Array:
    """Products of the kept columns, after one was folded into the rest with these weights."""
    kept: Array = products[np.ix_(rest, rest)]
    across: Array = np.outer(weights, products[place, rest])
    squares: Array = products[place, place] * np.outer(weights, weights)
    return kept + across + across.T + squares
