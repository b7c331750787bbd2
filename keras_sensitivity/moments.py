"""Running moments that merge: NumPy, float64, immutable.

A look is cut into batches; the sums of a batch become a `Moments`, and merging them in any order gives the moments
of all rows. The update is the pairwise one of Pebay (2008), *Formulas for robust, one-pass parallel computation of
covariances and arbitrary-order statistical moments*: it subtracts means before it squares, so that data near 1e4
with a variance of 1 keeps its digits where ``E[x**2] - E[x]**2`` would lose them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

__all__ = ["KINDS", "Count", "CrossMoments", "Means", "Mergeable", "Moments", "blocks", "product"]

Array = np.ndarray[Any, Any]

# Multiplications up to which OpenBLAS uses one thread.
SMALL_PRODUCT = 2**18

# Values that `blocks` takes at a time.
BLOCK = 2**15


def blocks(num_rows: int, size: int, fewest: int = 1) -> Iterator[slice]:
    """Rows of ``size`` values each, so many at a time that with what is made of them they fit into a processor's cache.

    >>> list(blocks(5, 2**14))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    step = max(fewest, BLOCK // size)
    return (slice(start, start + step) for start in range(0, num_rows, step))


class Mergeable(Protocol):
    """What a look is made of: a frozen dataclass of numbers; `merge` is associative and commutative."""

    def merge(self, other: Any, /) -> Any:
        """What is known of the rows of both."""


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Weight, mean and central second moment of each entry of an array, over weighted rows.

    Laws, up to rounding: ``merge`` is associative and commutative, ``empty`` is its identity, and updating with rows
    a and then b equals merging the moments of a with those of b.

    Attributes:
        weight: Sum of the rows' weights, broadcastable to ``mean``.
        mean: Weighted mean of each entry.
        m2: Weighted sum of squared distances from the mean, of the same shape.

    Example:

    >>> import numpy as np
    >>> moments = Moments.empty((2,)).update(np.array([[1.0, 10.0], [3.0, 10.0]]))
    >>> moments.mean.tolist(), moments.variance.tolist(), moments.mean_square.tolist()
    ([2.0, 10.0], [1.0, 0.0], [5.0, 100.0])
    """

    weight: Array
    mean: Array
    m2: Array

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Moments:
        """Moments of no rows: the identity of `merge`."""
        return cls(np.zeros(()), np.zeros(shape), np.zeros(shape))

    @classmethod
    def from_sums(cls, weight: Array, shift: Array, total: Array, squares: Array) -> Moments:
        """Moments from weighted sums of ``v - shift`` and ``(v - shift)**2``.

        Any shift is right; one near the data, such as the first row, is also exact:
        ``mean = shift + total / weight`` and ``m2 = squares - total**2 / weight``.
        """
        average = _ratio(total, weight)
        return cls(np.asarray(weight), _mean(weight, shift + average), np.maximum(squares - total * average, 0.0))

    def update(self, values: Array, weights: Array | None = None) -> Moments:
        """These moments and those of the rows ``values`` of shape (num_samples, *shape); what is NaN weighs nothing."""
        values = np.asarray(values, dtype=np.float64)
        weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
        known = ~np.isnan(values)
        if known.all():
            shift = values[0] if len(values) else np.zeros(self.mean.shape)
            centred = values - shift
            sums = [np.tensordot(weights, each, axes=1) for each in (centred, centred**2)]
            return self.merge(Moments.from_sums(np.asarray(weights.sum()), shift, *sums))
        first = np.take_along_axis(values, known.argmax(axis=0)[None], axis=0)[0]
        shift = np.where(known.any(axis=0), first, 0.0)
        centred = np.where(known, values - shift, 0.0)
        present = known * weights.reshape(-1, *[1] * (values.ndim - 1))
        sums = [(present * each).sum(axis=0) for each in (centred, centred**2)]
        return self.merge(Moments.from_sums(present.sum(axis=0), shift, *sums))

    def merge(self, other: Moments) -> Moments:
        """The moments of the rows of both."""
        weight = self.weight + other.weight
        part = _ratio(other.weight, weight)
        delta = other.mean - self.mean
        return Moments(weight, self.mean + delta * part, self.m2 + other.m2 + delta**2 * self.weight * part)

    def pool(self, axis: int) -> Moments:
        """The moments of all entries along an axis together, each with its own weight.

        >>> import numpy as np
        >>> Moments.empty((2,)).update(np.array([[1.0, 2.0], [3.0, 4.0]])).pool(0).variance.item()
        1.25
        """
        weight = np.broadcast_to(self.weight, self.mean.shape)
        total = weight.sum(axis=axis)
        mean = _ratio((weight * self.mean).sum(axis=axis), total)
        distance = self.mean - np.expand_dims(mean, axis)
        return Moments(total, mean, (self.m2 + weight * distance**2).sum(axis=axis))

    @classmethod
    def beside(cls, parts: Sequence[Moments]) -> Moments:
        """The moments of the entries of several beside each other, each with its own weight; shape (num_entries,).

        >>> one, two = (Moments.empty((1,)).update(np.full((count, 1), 2.0)) for count in (3, 4))
        >>> Moments.beside([one, two]).weight.tolist()
        [3.0, 4.0]
        """
        weights = [np.broadcast_to(part.weight, part.mean.shape) for part in parts]
        means, m2s = [part.mean for part in parts], [part.m2 for part in parts]
        return cls(np.concatenate(weights), np.concatenate(means), np.concatenate(m2s))

    def split(self, count: int) -> tuple[Moments, Moments | None]:
        """Those of all but the last ``count`` entries of the last axis, and those of these; None of 0."""
        if count == 0:
            return self, None
        weight = np.broadcast_to(self.weight, self.mean.shape[-np.ndim(self.weight) :])
        first, last = (
            Moments(weight[..., part], self.mean[..., part], self.m2[..., part])
            for part in (slice(-count), slice(-count, None))
        )
        return first, last

    @property
    def variance(self) -> Array:
        """Variance of each entry, with the weight as divisor (ddof 0)."""
        return _ratio(self.m2, self.weight)

    @property
    def mean_square(self) -> Array:
        """Mean of the squares of each entry: ``mean**2 + variance``, a sum of two positive numbers."""
        return self.mean**2 + self.variance


@dataclasses.dataclass(frozen=True, eq=False)
class CrossMoments:
    """Like `Moments` for vectors of p entries, with all p x p central products.

    Attributes:
        weight: Sum of the rows' weights.
        weight_squares: Sum of the squared weights; ``weight**2 / weight_squares`` rows of equal weight would be as
            informative.
        mean: Weighted means, shape (p,).
        m2: Weighted sums of central products, shape (p, p); or only its diagonal, shape (p,), for wide inputs.

    Example:

    >>> import numpy as np
    >>> moments = CrossMoments.empty(2).update(np.array([[0.0, 0.0], [2.0, 4.0]]))
    >>> moments.covariance.tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """

    weight: Array
    weight_squares: Array
    mean: Array
    m2: Array

    @classmethod
    def empty(cls, size: int, *, diagonal: bool = False) -> CrossMoments:
        """Moments of no rows: the identity of `merge`."""
        shape = (size,) if diagonal else (size, size)
        return cls(np.zeros(()), np.zeros(()), np.zeros(size), np.zeros(shape))

    @classmethod
    def from_sums(
        cls, weight: Array, weight_squares: Array, shift: Array, total: Array, products: Array
    ) -> CrossMoments:
        """Moments from weighted sums of ``v - shift`` and of its outer products (or only of its squares)."""
        average = _ratio(total, weight)
        correction = np.outer(total, average) if products.ndim == 2 else total * average
        mean = _mean(weight, shift + average)
        return cls(np.asarray(weight), np.asarray(weight_squares), mean, products - correction)

    def update(self, values: Array, weights: Array | None = None) -> CrossMoments:
        """These moments and those of the rows ``values`` of shape (num_samples, p)."""
        values = np.asarray(values, dtype=np.float64)
        weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
        shift = values[0] if len(values) else np.zeros(self.mean.shape)
        centred = values - shift
        weighted = weights[:, None] * centred
        products = product(weighted, centred) if self.m2.ndim == 2 else (weighted * centred).sum(axis=0)
        totals = np.asarray(weights.sum()), np.asarray((weights**2).sum())
        return self.merge(CrossMoments.from_sums(*totals, shift, weighted.sum(axis=0), products))

    def merge(self, other: CrossMoments) -> CrossMoments:
        """The moments of the rows of both; where one of them has no more than a diagonal, that of the other."""
        weight = self.weight + other.weight
        part = _ratio(other.weight, weight)
        delta = other.mean - self.mean
        one, two = self.m2, other.m2
        if one.ndim != two.ndim:
            one, two = (each if each.ndim == 1 else np.diagonal(each) for each in (one, two))
        products = np.outer(delta, delta) if one.ndim == 2 else delta**2
        return CrossMoments(
            weight,
            self.weight_squares + other.weight_squares,
            self.mean + delta * part,
            one + two + products * self.weight * part,
        )

    @property
    def covariance(self) -> Array:
        """Covariances (ddof 0), shape (p, p); for a diagonal only the variances, shape (p,)."""
        return _ratio(self.m2, self.weight)


@dataclasses.dataclass(frozen=True, eq=False)
class Means:
    """Weight and mean of each entry of an array, where nobody asks for more.

    Attributes:
        weight: Sum of the rows' weights, broadcastable to ``mean``.
        mean: Weighted mean of each entry; 0 where the weight is.

    Example:

    >>> import numpy as np
    >>> Means(np.array(1.0), np.array([2.0])).merge(Means(np.array(3.0), np.array([6.0]))).mean
    array([5.])
    """

    weight: Array
    mean: Array

    @classmethod
    def from_sums(cls, weight: Array, total: Array) -> Means:
        """Means from weighted sums."""
        return cls(weight, _ratio(total, weight))

    def merge(self, other: Means) -> Means:
        """The means over the rows of both."""
        weight = self.weight + other.weight
        return Means(weight, self.mean + (other.mean - self.mean) * _ratio(other.weight, weight))


@dataclasses.dataclass(frozen=True, eq=False)
class Count:
    """How many there are: counts add up.

    Attributes:
        total: Shape ().

    Example:

    >>> Count(2).merge(Count(3)).total
    5
    """

    total: Any

    def merge(self, other: Count) -> Count:
        """How many there are in both."""
        return Count(self.total + other.total)


KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Count, CrossMoments, Means, Moments)}


def product(one: Array, other: Array) -> Array:
    """Sums over the rows of the products of the columns of two arrays, shape (num_columns, num_other_columns).

    A few rows at a time: so small a product is left to one thread, where several would wait for each other, a hundred
    times as long as they work, while something else keeps the processor busy.
    """
    size = max(1, SMALL_PRODUCT // (one.shape[1] * other.shape[1]))
    total = np.zeros((one.shape[1], other.shape[1]))
    of_some = np.empty_like(total)
    for start in range(0, len(one), size):
        total += np.matmul(one[start : start + size].T, other[start : start + size], out=of_some)
    return total


def _mean(weight: Array, mean: Array) -> Array:
    """The mean, and 0 of no rows, of which the shift says nothing."""
    return np.where(np.asarray(weight) > 0, mean, 0.0)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """The quotient, and 0 where the denominator is 0: no rows have no moments."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    return np.divide(numerator, denominator, out=np.zeros(shape), where=np.asarray(denominator) > 0)
