"""Real changes: what the network returns when a feature has the value of another row.

    q[f] = sqrt(mean over rows i, sum over units u of (f_u(x_i) - f_u(x_i with feature f of row i'))**2 / 2)

By the fundamental theorem of calculus the difference is the derivative integrated along the way from one value to the
other, so that for a linear network q[f] is |w[f]| times the standard deviation, as along a path; both are in output.
Steps, saturation, rare and far values cost no approximation; labels are not needed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Block, Features
from keras_sensitivity.moments import CrossMoments, Means, product
from keras_sensitivity.networks.network import Batch, Pass
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.rows.sparse import SparseRows
from keras_sensitivity.values import has_few_values

__all__ = [
    "MOST_SWAPPED",
    "Column",
    "Swaps",
    "Tally",
    "check_swaps",
    "chosen",
    "columns_by_feature",
    "columns_by_lag",
]

Array = np.ndarray[Any, Any]

# Features that "auto" swaps at the most: each costs a forward pass at every look, and a text has hundreds of words.
MOST_SWAPPED = 64

# Pairs of rows that a look should have, and partners of a row at the most.
ENOUGH_PAIRS, MOST_PARTNERS = 1024, 8

# Odd, so that a product with it loses nothing: 2**64 over the golden ratio.
MIXING = np.uint64(0x9E3779B97F4A7C15)

# More than any position.
ABOVE = 2**48

# Numbers of a row whose covariances are kept at the most; beyond, only the variances are.
MOST_JOINT = 512


class Column(NamedTuple):
    """A part of an input of shape (n, ..., num_columns); one without columns has one.

    Attributes:
        source: The position of the input.
        num_columns: How many columns it has.
        column: One of them, or all.
        step: One time step, or all.
    """

    source: int
    num_columns: int
    column: int | slice
    step: int | slice = slice(None)

    def of(self, leaves: Sequence[Array]) -> Array:
        """A view of its values, the rows first; of sparse rows, which have single columns only, an array."""
        leaf = leaves[self.source]
        if isinstance(leaf, SparseRows):
            assert isinstance(self.column, int)
            return leaf.column(self.column)
        return leaf.reshape(len(leaf), -1, self.num_columns)[:, self.step, self.column]


def columns_by_feature(blocks: Sequence[Block], features: Features) -> list[tuple[Column, ...]]:
    """The columns of the inputs that make up each feature; none of a feature that several inputs make together."""
    found: list[list[Column]] = [[] for _ in features.names]
    start = 0
    for block in blocks:
        count = len(block.columns)
        for index in range(count):
            owner = features.owners[start + index * (block.num_entries // count)]
            column, columns = Column(block.sources[0], count, index), found[features.membership[owner]]
            if len(block.sources) == 1 and column not in columns:  # an input may be looked up in several ways
                columns.append(column)
        start += block.num_entries
    return [tuple(columns) for columns in found]


def columns_by_lag(blocks: Sequence[Block]) -> list[tuple[Column, ...]]:
    """All columns of sequences at each lag, the newest first."""
    sequences = {block.sources[0]: block for block in blocks if block.num_lags is not None and len(block.sources) == 1}
    most = max((block.num_lags or 0 for block in sequences.values()), default=0)
    return [
        tuple(
            Column(source, len(block.columns), slice(None), -1 - lag)
            for source, block in sequences.items()
            if lag < (block.num_lags or 0)
        )
        for lag in range(most)
    ]


def check_swaps(definition: Definition, blocks: Sequence[Block], features: Features) -> None:
    """Refuse to swap single entries of images."""
    start = 0
    for block in blocks:
        owners = features.of_entry[start : start + block.num_entries]
        start += block.num_entries
        if definition.change == "swap" and len(block.shape) == 3 and features.are_columns[owners].any():
            errors.refuse_swapped_entries()


def chosen(
    definition: Definition,
    blocks: Sequence[Block],
    features: Features,
    sample: Chunk,
    *,
    most: int | None = MOST_SWAPPED,
) -> tuple[int, ...]:
    """The features that are swapped, by their positions.

    Args:
        definition: Whose ``change`` is asked for.
        blocks: How the measured tensors are read.
        features: What they make up.
        sample: Rows by which "auto" tells which columns have few values.
        most: How many "auto" swaps; where there are more, none. None: any number.
    """
    if not definition.may_swap:
        return ()
    columns = columns_by_feature(blocks, features)
    if definition.change == "swap":
        return tuple(index for index, each in enumerate(columns) if each)
    sequences_and_images = {block.sources for block in blocks if block.num_lags is not None or len(block.shape) == 3}
    codes = {block.sources[0] for block in blocks if not block.is_number}
    few = (
        index
        for index, each in enumerate(columns)
        if each
        and not any((column.source,) in sequences_and_images for column in each)
        and all(column.source in codes or has_few_values(column.of(sample.leaves)) for column in each)
    )
    found = tuple(itertools.islice(few, None if most is None else most + 1))
    return found if most is None or len(found) <= most else ()


class Swaps:
    """What is swapped, and with which rows.

    The partners of a row are the next in a fixed shuffle of the rows of the pool that have a weight, so that equal
    calls give equal numbers: one where there are many rows, several where there are few and chance would tell.

    Args:
        features: The columns of each feature that is swapped.
        lags: Those of each lag.
        pool: The rows whose values are taken.
        is_own: Whether these are the rows that are measured, in their order, or the first of them; else any like them.
        is_shuffled: Whether the order of the rows is not known: it is told by their values which are the pool's.
        names: Of the features, for an error.
    """

    def __init__(
        self,
        features: Sequence[tuple[Column, ...]],
        lags: Sequence[tuple[Column, ...]],
        pool: Chunk,
        is_own: bool,
        is_shuffled: bool = False,
        *,
        names: Sequence[str] = (),
    ) -> None:
        self._together = [*features, *lags]
        self._names = names
        self.num_features = len(features)
        self.pool = pool
        self.is_own = is_own and not is_shuffled
        self._is_shuffled = is_shuffled
        self._sorted: tuple[Array, Array] | None = None
        weighty = np.flatnonzero(pool.row_weights > 0)
        if not len(weighty):
            errors.refuse_weightless()
        self.mean_weight = pool.row_weights[weighty].mean()
        self._shuffled = weighty[np.random.default_rng(0).permutation(len(weighty))]
        self._places = np.zeros(len(pool), int)  # of a row without a weight it does not matter
        self._places[self._shuffled] = np.arange(len(weighty))
        enough = math.ceil(ENOUGH_PAIRS / len(weighty))
        self.shifts = range(1, 1 + max(1, min(enough, MOST_PARTNERS, len(weighty) - 1)))

    def positions(self, rows: Batch, start: int) -> Array:
        """What `partners` takes for rows of which the first is at this position of those that are measured.

        Rows that are not of the pool have one made of their values: the same in whatever order they come.
        """
        count = len(rows[0])
        positions = np.arange(start, start + count)
        if self.is_own and start + count <= len(self.pool):
            return positions
        codes = _codes(rows)
        if self.is_own:
            return np.where(positions < len(self.pool), positions, codes)
        if not self._is_shuffled:
            return codes
        if self._sorted is None:  # all batches have the same types
            own = _codes(tuple(leaf[:].astype(row.dtype) for leaf, row in zip(self.pool.leaves, rows, strict=True)))
            order = np.argsort(own, kind="stable")
            self._sorted = own[order], order
        own, order = self._sorted
        nearest = np.minimum(np.searchsorted(own, codes), len(own) - 1)
        return np.where(own[nearest] == codes, order[nearest], codes)

    def partners(self, positions: Array, shift: int = 1) -> Array:
        """The row of the pool whose values each row gets: of a row of the pool the next in the shuffle."""
        inside = np.minimum(positions, len(self._places) - 1)
        if self.is_own or self._is_shuffled:
            positions = np.where(positions == inside, self._places[inside], positions)
        return np.asarray(self._shuffled[(positions + shift) % len(self._shuffled)])

    def batches(
        self, rows: Batch, partners: Array, most_rows: int, *, num_probes: int | None = None
    ) -> Iterator[Batch]:
        """What passes of swaps take, one after the other: rows, those of their partners, which entries are swapped.

        All have one shape, of about ``most_rows`` rows beside each other. The very first swap swaps nothing, and so do
        those that fill up the last batch. With a number of probes, each of these is swapped, too, after everything
        else, and which probes are is the last of what a pass takes.
        """
        others = tuple(leaf[partners].astype(row.dtype) for leaf, row in zip(self.pool.leaves, rows, strict=True))
        num_swaps = 1 + len(self._together) + (num_probes or 0)
        selections = [np.zeros((num_swaps, *leaf.shape[1:]), bool) for leaf in rows]
        for swap, columns in enumerate(self._together, 1):
            for column in columns:
                column.of([selection[swap : swap + 1] for selection in selections])[:] = True
        if num_probes is not None:
            selections.append(np.eye(num_swaps, num_probes, num_probes - num_swaps, dtype=bool))
        num_batches = math.ceil(num_swaps / max(1, most_rows // len(partners)))
        size = math.ceil(num_swaps / num_batches)
        for start in range(0, num_batches * size, size):
            parts = [selection[start : start + size] for selection in selections]
            missing = [np.zeros((size - len(part), *part.shape[1:]), bool) for part in parts]
            yield (*rows, *others, *(np.concatenate(both) for both in zip(parts, missing, strict=True)))

    def swapped(self, rows: Batch) -> Iterator[Batch]:
        """The rows of the pool themselves, and after each swap."""
        partners = self.partners(np.arange(len(self.pool)))
        yield rows
        for columns in self._together:
            copies = tuple(leaf.copy() for leaf in rows)
            for column in columns:
                column.of(copies)[:] = column.of(rows)[partners]
            yield copies

    def run(self, outputs: Pass[Array], rows: Batch, weights: Array, partners: Array, most_rows: int) -> Array:
        """What the network returns without a swap, and after each, shape (1 + num_swaps, batch_size, num_units)."""
        every = [outputs(batch, weights)[0] for batch in self.batches(rows, partners, most_rows)]
        found = np.concatenate(every)[: 1 + len(self._together)].astype(float)
        # A swap of codes may leave a row of which everything is masked, and no output.
        if not outputs.makes_masks and not np.isfinite(found).all():
            is_bad = ~np.isfinite(found).all(axis=2) & (weights * self.pool.row_weights[partners] > 0)
            counts = is_bad.sum(axis=1)
            if counts.any():
                named = zip(self._names, counts[1:].tolist(), strict=False)
                errors.refuse_swapped_not_finite({name: count for name, count in named if count}, len(weights))
        return found


def _codes(rows: Batch) -> Array:
    """A number made of the values of each row, evenly spread, above all positions."""
    found = np.zeros(len(rows[0]), np.uint64)
    for leaf in rows:
        columns = leaf.reshape(len(leaf), -1)
        # In one type, and -0.0 is 0.0.
        numbers = columns if columns.dtype == object else columns.astype(np.float64) + 0.0
        codes = pd.util.hash_array(numbers.ravel(), categorize=False).reshape(columns.shape)
        for column in codes.T:
            found = (found ^ column) * MIXING
    return np.asarray(found >> np.uint64(32), dtype=np.int64) + ABOVE


class Tally:
    """What is summed up of the swaps of a look, batch by batch.

    Args:
        swaps: The swaps.
        outputs: A pass that returns what would be differentiated.
        most_rows: About how many rows it takes at a time.
    """

    def __init__(self, swaps: Swaps, outputs: Pass[Array], most_rows: int) -> None:
        self._swaps = swaps
        self._outputs = outputs
        self._most_rows = most_rows
        self._position = 0
        self._means: list[Means] = []
        self._joint: list[CrossMoments] = []
        self._rows: list[tuple[Array, Array]] = []

    def add(self, batch: Batch, weights: Array, h: Array | None) -> None:
        """Swap the features of the next batch.

        Args:
            batch: Rows.
            weights: Of them, shape (batch_size,).
            h: Their squared derivatives, summed over the units, shape (batch_size, num_lags * num_entries), whose
                covariances with the changes are asked for.
        """
        positions = self._swaps.positions(batch, self._position)
        self._position += len(weights)
        changes = []
        for shift in self._swaps.shifts:
            partners = self._swaps.partners(positions, shift)
            outputs, *after = self._swaps.run(self._outputs, batch, weights, partners, self._most_rows)
            squares = np.stack([np.square(outputs - each) / 2 for each in after], axis=2)
            others = self._swaps.pool.row_weights[partners]
            # A swap of codes may leave a row of which everything is masked, and no output: no row that there could be.
            exist = np.asarray(np.isfinite(squares).all(axis=1))
            squares = np.where(exist[:, None], squares, 0.0)
            pairs = (weights * others)[:, None] * exist
            self._merge(self._means, Means.from_sums(pairs.sum(axis=0), np.einsum("ns,nus->us", pairs, squares)))
            of_features = squares[:, :, : self._swaps.num_features].sum(axis=1)
            changes.append(of_features * (others / self._swaps.mean_weight)[:, None])
        change = np.mean(changes, axis=0)
        rows = np.concatenate([change, np.square(outputs).sum(axis=1, keepdims=True), outputs], axis=1)
        every = rows if h is None else np.concatenate([rows, h], axis=1)
        empty = CrossMoments.empty(every.shape[1], diagonal=every.shape[1] > MOST_JOINT)
        self._merge(self._joint, empty.update(every, weights))
        first = positions < len(self._swaps.pool)
        if self._swaps.is_own and first.any():
            self._rows.append((rows[first], weights[first]))

    @staticmethod
    def _merge(so_far: list[Any], more: Any) -> None:
        so_far[:] = [so_far[0].merge(more) if so_far else more]

    def moments(self) -> dict[str, Any]:
        """What a `Look` keeps: "swaps", "lag_swaps" and "pairs".

        Where the rows swap among themselves a row takes part in its own pairs and in those of the rows whose partner it
        is. The covariances of these are added to that of the rows: by the number of rows it is that of the means.
        """
        (means,), (joint,) = self._means, self._joint
        count = self._swaps.num_features
        found: dict[str, Any] = {"pairs": self._with_partners(joint) if self._rows else joint}
        found["swaps"] = Means(means.weight[:count], means.mean[:, :count])
        if means.mean.shape[1] > count:
            found["lag_swaps"] = Means(means.weight[count:], means.mean[:, count:])
        return found

    def _with_partners(self, joint: CrossMoments) -> CrossMoments:
        rows, weights = (np.concatenate(each) for each in zip(*self._rows, strict=True))
        centred = rows - joint.mean[: rows.shape[1]]
        weighted = weights[:, None] * centred
        every = [self._swaps.partners(np.arange(len(rows)), shift) for shift in self._swaps.shifts]
        partners = np.sum([centred[each] for each in every], axis=0)
        m2, size = joint.m2.copy(), rows.shape[1]
        if m2.ndim == 2:
            lagged = product(weighted, partners)
            m2[:size, :size] += lagged + lagged.T
        else:
            m2[:size] += 2 * (weighted * partners).sum(axis=0)
        return dataclasses.replace(joint, m2=m2)
