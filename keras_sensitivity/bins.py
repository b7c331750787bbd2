"""Bins along the values of each entry: where a value lies, and what is summed up there.

The path of a feature (see `shares.path_squares`) asks how sensitive the network is at each of its values. Rows of about
the same value are put into one of `SLOTS` bins; the bins are quantiles of some rows, fixed before the first look, and
open at both ends. They only say which rows are taken together: what is known of each bin is measured.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_sensitivity.moments import Means, Moments, blocks
from keras_sensitivity.networks.network import Entries

__all__ = ["SLOTS", "Binned", "Bins"]

Array = np.ndarray[Any, Any]

# Bins at the most. Fewer bins stand at slots in between, so that looks with different bins merge quantile by quantile.
SLOTS = 64

# Rows of a bin at the least: the root of a mean over fewer is too small.
BIN_ROWS = 16

# From this many bins on, those at the ends are halved so often: tails are long, and the network may be flat there.
TAIL_BINS, HALVINGS = 32, 4

# Rows that are summed up at a time at the least, so that most of the time does not go to the bins.
BLOCK_ROWS = 4 * SLOTS

# A value is looked up by its cell on an axis that is linear near the median and about logarithmic far away: what a
# float32 from 1 to 2**16 has in its exponent and in the first bits of its mantissa.
CELLS, MANTISSA_BITS = 2**14, 9


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
                centre[entry], width[entry] = _axis(values)
                starts = _cells(edges, centre[entry], width[entry])
                middles = (np.arange(len(edges) + 1) + 0.5) * SLOTS / (len(edges) + 1)
                slots[entry] = np.repeat(middles.astype(np.uint8), np.diff(starts, prepend=0, append=CELLS))
        return cls(centre, width, slots)

    def index(self, values: Array) -> Array:
        """The slot of each value: shape (..., num_entries), integers."""
        cells = _cells(values, self.centre, self.width) + np.arange(len(self.centre)) * CELLS
        return np.asarray(self.slots.ravel().take(cells))

    def place(self, entries: Entries) -> Binned:
        """Values of single rows, put into their bins."""
        num_rows, num_lags, num_entries = entries.values.shape
        starts = np.arange(num_lags)[:, None] * SLOTS * num_entries + np.arange(num_entries)
        places = np.empty(entries.values.shape, np.intp)
        for rows in blocks(num_rows, starts.size, BLOCK_ROWS):
            np.multiply(self.index(entries.values[rows]), num_entries, out=places[rows], dtype=np.intp)
            places[rows] += starts
        return Binned(entries, places, self.centre)


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

        def centred(rows: slice) -> Array:
            return np.asarray(self.entries.values[rows] - self.centre, dtype=np.float64)

        sums = self._weight, self._sums(centred), self._sums(lambda rows: np.square(centred(rows)))
        weight, total, squares = (each.sum(axis=0) for each in sums)
        return Moments.from_sums(weight, self.centre, total, squares)

    def mean_squares(self, derivatives: Array, *, are_signs: bool = False) -> Means:
        """Of derivatives, the means of their squares in each bin.

        Args:
            derivatives: Of each unit, shape (num_units, num_samples, num_lags, num_entries).
            are_signs: Whether they are of random signs, which mean nothing one by one: all are taken as a single unit.

        Returns:
            Weights of shape (num_lags, SLOTS, num_entries), means of shape (num_units, num_lags, SLOTS, num_entries).
        """

        def squares(of_unit: Array) -> Array:
            return self._sums(lambda rows: np.square(of_unit[rows], dtype=np.float64))

        sums = [squares(of_unit) for of_unit in derivatives]
        return Means.from_sums(self._weight, np.stack([sum(sums)] if are_signs else sums))

    @functools.cached_property
    def _is_plain(self) -> bool:
        return bool((self.entries.weights == 1).all())

    @functools.cached_property
    def _weight(self) -> Array:
        return self._sums(lambda rows: np.ones(self.places[rows].shape))

    def _sums(self, values: Callable[[slice], Array]) -> Array:
        """Weighted sums of some values of rows by their places, shape (num_lags, SLOTS, num_entries)."""
        num_rows, num_lags, num_entries = self.places.shape
        shape = (num_lags, SLOTS, num_entries)
        total = np.zeros(math.prod(shape))
        for rows in blocks(num_rows, num_lags * num_entries, BLOCK_ROWS):
            some = values(rows) if self._is_plain else values(rows) * self.entries.weights[rows]
            total += np.bincount(self.places[rows].ravel(), some.ravel(), minlength=len(total))
        return total.reshape(shape)


def _edges(sample: Array) -> tuple[Array, Array]:
    """The different values, and those at which a bin begins.

    A value that many rows share takes no more than its own bin, so that the others are left for the rest.
    """
    values, counts = np.unique(sample, return_counts=True)
    num_bins = int(np.clip(len(sample) // BIN_ROWS, 1, SLOTS))
    upto = np.cumsum(np.minimum(counts, len(sample) / num_bins))
    ends = np.searchsorted(upto / upto[-1], _levels(num_bins) - 1e-9)
    return values, values[np.unique(ends[ends < len(values) - 1]) + 1]


def _axis(values: Array) -> tuple[float, float]:
    """Where the axis of different values, in order, begins, and its unit.

    No value lies at the centre, or at one unit from it, where a cell begins: rounding would decide which it is in.
    """
    low, middle, high = (float(values[len(values) * part // 4]) for part in (1, 2, 3))
    centre = float(values[len(values) // 2 - 1]) / 2 + middle / 2  # of a single value, itself
    narrow_side = min(centre - low, high - centre)
    return centre, 0.9 * narrow_side or 1.0


@functools.cache
def _levels(num_bins: int) -> Array:
    """The part of the rows below each edge, shape (num_bins - 1,)."""
    halvings = HALVINGS if num_bins >= TAIL_BINS else 0
    equal = num_bins - 2 * halvings
    tail = 0.5 ** np.arange(halvings, 0, -1) / equal
    return np.concatenate([tail, np.arange(1, equal) / equal, 1 - tail[::-1]])


def _cells(values: Array, centre: Any, width: Any) -> Array:
    """The cell of each value."""
    far = np.asarray((values - centre) / width, dtype=np.float32)
    one, sign = np.float32(1).view(np.int32), far.view(np.int32) >> 31  # 0, or -1 in front of the centre
    cells = (np.abs(far) + np.float32(1)).view(np.int32)
    cells -= one
    cells >>= np.finfo(np.float32).nmant - MANTISSA_BITS
    np.minimum(cells, CELLS // 2 - 1, out=cells)
    cells ^= sign
    cells += CELLS // 2
    return cells
