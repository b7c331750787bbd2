"""Bins along the values of each entry: where a value lies, and what is summed up there.

The path of a feature (see `shares.path_squares`) asks how sensitive the network is at each of its values. Rows of about
the same value are put into one of `SLOTS` bins; the bins are quantiles of some rows, fixed before the first look, and
open at both ends. They only say which rows are taken together: what is known of each bin is measured.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_sensitivity.moments import Means, Moments
from keras_sensitivity.networks.network import Entries

__all__ = ["SLOTS", "Binned", "Bins"]

Array = np.ndarray[Any, Any]

# Bins at the most. Fewer bins stand at slots in between, so that looks with different bins merge quantile by quantile.
SLOTS = 64

# Rows of a bin at the least: the root of a mean over fewer is too small.
BIN_ROWS = 16

# From this many bins on, those at the ends are halved so often: tails are long, and the network may be flat there.
TAIL_BINS, HALVINGS = 32, 4

# A value is looked up by its cell on an axis that is linear near the median and logarithmic far away.
CELLS, FARTHEST = 2**14, 2.0**20
CELLS_PER_UNIT = (CELLS / 2 - 1) / np.log1p(FARTHEST)


@dataclasses.dataclass(frozen=True, eq=False)
class Bins:
    """The bins of each entry.

    Attributes:
        centre: Where the axis of each entry begins, shape (num_entries,).
        width: Its unit, shape (num_entries,).
        slots: The slot of each cell, shape (num_entries, CELLS).

    Example:

    >>> import numpy as np
    >>> bins = Bins.of([np.arange(64.0), None])
    >>> bins.index(np.array([[[-9.0, 5.0]], [[63.0, 7.0]]]))[:, 0].tolist()  # 4 bins for 64 values, else 1
    [[8, 32], [56, 32]]
    """

    centre: Array
    width: Array
    slots: Array

    @classmethod
    def of(cls, samples: Sequence[Array | None]) -> Bins:
        """Bins of about equal weight in the samples.

        Args:
            samples: For each entry some of its values, shape (num_values,), or NaN; None: a single bin.
        """
        count = len(samples)
        centre, width = np.zeros(count), np.ones(count)
        slots = np.full((count, CELLS), SLOTS // 2, np.uint8)
        known = (np.empty(0) if sample is None else sample[~np.isnan(sample)] for sample in samples)
        for entry, sample in enumerate(known):
            if len(sample):
                values, edges = _edges(sample)
                centre[entry] = values[len(values) // 2]
                width[entry] = np.median(np.abs(values - centre[entry])) or 1.0
                starts = _cells(edges, centre[entry], width[entry])
                bins = np.cumsum(np.bincount(starts, minlength=CELLS))
                slots[entry] = (bins + 0.5) * SLOTS / (len(edges) + 1)
        return cls(centre, width, slots)

    def index(self, values: Array) -> Array:
        """The slot of each value: shape (..., num_entries), integers."""
        cells = _cells(values, self.centre, self.width)
        cells += np.arange(len(self.centre)) * CELLS
        return np.asarray(self.slots.ravel().take(cells))

    def place(self, entries: Entries) -> Binned:
        """Values of single rows, put into their bins."""
        _, num_lags, num_entries = entries.values.shape
        rows = self.index(entries.values) + np.arange(num_lags)[:, None] * SLOTS
        return Binned(entries, rows * num_entries + np.arange(num_entries), self.centre)


@dataclasses.dataclass(frozen=True, eq=False)
class Binned:
    """Values of single rows, and where each is counted.

    Attributes:
        entries: The values, shape (num_samples, num_lags, num_entries).
        places: Of the same shape.
        centre: A value of each entry near its middle, shape (num_entries,).
    """

    entries: Entries
    places: Array
    centre: Array

    def holds(self, entries: Entries) -> bool:
        """Whether these are the same values and weights, as at every look at the same rows."""
        return all(map(np.array_equal, self.entries, entries))

    @functools.cached_property
    def moments(self) -> Moments:
        """Of the values in each bin, all lags together, shape (SLOTS, num_entries)."""
        centred = np.asarray(self.entries.values - self.centre, dtype=np.float64)
        weighted = self.entries.weights * centred
        sums = [each.sum(axis=0) for each in (self._weight, self._sums(weighted), self._sums(weighted * centred))]
        return Moments.from_sums(sums[0], self.centre, *sums[1:])

    def means(self, squares: Iterable[Array]) -> Means:
        """Of squared derivatives in each bin.

        Args:
            squares: Of each unit, shape (num_samples, num_lags, num_entries).

        Returns:
            Weights of shape (num_lags, SLOTS, num_entries), means of shape (num_units, num_lags, SLOTS, num_entries).
        """
        weights = self.entries.weights
        is_plain = bool((weights == 1).all())
        sums = [self._sums(of_unit if is_plain else of_unit * weights) for of_unit in squares]
        return Means.from_sums(self._weight, np.stack(sums))

    @functools.cached_property
    def _weight(self) -> Array:
        return self._sums(self.entries.weights)

    def _sums(self, values: Array) -> Array:
        """Sums by place, shape (num_lags, SLOTS, num_entries)."""
        _, num_lags, num_entries = self.places.shape
        shape = (num_lags, SLOTS, num_entries)
        every = np.broadcast_to(values, self.places.shape)
        return np.bincount(self.places.ravel(), every.ravel(), minlength=math.prod(shape)).reshape(shape)


def _edges(sample: Array) -> tuple[Array, Array]:
    """The different values, and those at which a bin begins.

    A value that many rows share takes no more than its own bin, so that the others are left for the rest.
    """
    values, counts = np.unique(np.asarray(sample, dtype=float), return_counts=True)
    num_bins = int(np.clip(len(sample) // BIN_ROWS, 1, SLOTS))
    upto = np.cumsum(np.minimum(counts, len(sample) / num_bins))
    ends = np.searchsorted(upto / upto[-1], _levels(num_bins) - 1e-9)
    return values, values[np.unique(ends[ends < len(values) - 1]) + 1]


def _levels(num_bins: int) -> Array:
    """The part of the rows below each edge, shape (num_bins - 1,)."""
    halvings = HALVINGS if num_bins >= TAIL_BINS else 0
    equal = num_bins - 2 * halvings
    tail = 0.5 ** np.arange(halvings, 0, -1) / equal
    return np.concatenate([tail, np.arange(1, equal) / equal, 1 - tail[::-1]])


def _cells(values: Array, centre: Any, width: Any) -> Array:
    """The cell of each value."""
    far = np.asarray((values - centre) / width, dtype=np.float32)
    along = np.copysign(np.log1p(np.abs(far)), far)
    along *= CELLS_PER_UNIT
    along += CELLS / 2
    return np.clip(along, 0, CELLS - 1, out=along).astype(np.intp)
