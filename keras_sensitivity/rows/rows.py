"""Rows to measure: read from what the user passes, handed out in batches of one shape with row weights."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.networks.inputs import Inputs, Leaf
from keras_sensitivity.networks.network import Batch, Network
from keras_sensitivity.rows import streams
from keras_sensitivity.rows.arrays import as_array

__all__ = ["Rows", "default_names", "read"]

Array = np.ndarray[Any, Any]

# Rows of a stream by which its bins are made, and from which the partners of swaps are drawn.
SAMPLE_ROWS = 8192

# Entries that are looked at for NaN at one time.
FINITE_BLOCK = 2**20


class Chunk(NamedTuple):
    """Some rows.

    Attributes:
        leaves: For each input an array whose first axis is that of the rows.
        weights: Of the rows, or None where all weigh 1.
    """

    leaves: tuple[Array, ...]
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.leaves[0])

    @property
    def row_weights(self) -> Array:
        """The weight of each row, shape (num_rows,)."""
        return np.ones(len(self)) if self.weights is None else self.weights

    def part(self, where: Any) -> Chunk:
        """The rows at a slice or at positions."""
        return Chunk(tuple(leaf[where] for leaf in self.leaves), None if self.weights is None else self.weights[where])


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Rows to measure, of which every number is finite.

    Attributes:
        inputs: What the network is called with.
        columns: For each input the names of its columns, or None where it has none.
        dtypes: For each input the type that a batch is cast to when it is taken, so that no second copy of all rows
            is ever made.
        first: The first rows, which every reader gets, too.
        chunks: Opens the rows, from the first on.
        num_rows: How many there are; None for a stream, whose end is not known.
        positions: Where each row stands in the user's x, shape (num_rows,); None for a stream.
    """

    inputs: Inputs
    columns: tuple[list[str] | None, ...]
    dtypes: tuple[str, ...]
    first: Chunk
    chunks: Callable[[], Iterator[Chunk]]
    num_rows: int | None
    positions: Array | None

    def sample(self) -> Chunk:
        """Rows that stand for all: of a stream its first, which the next reading of it does not read again."""
        return self.chunks.head(SAMPLE_ROWS) if isinstance(self.chunks, _Rewound) else self.first

    @property
    def entries(self) -> Batch:
        """All rows of each input, in the types of the batches; of rows that are no stream."""
        return tuple(leaf.astype(_numpy_type(kind)) for leaf, kind in zip(self.first.leaves, self.dtypes, strict=True))

    @property
    def x(self) -> Any:
        """The first rows as a user would pass them, with the names of their columns."""
        named = zip(self.first.leaves, self.columns, strict=True)
        return self.inputs.pack([leaf if names is None else pd.DataFrame(leaf, columns=names) for leaf, names in named])

    def first_batch(self, batch_size: int) -> tuple[Batch, Array]:
        """A batch made of the first rows alone, for whatever needs some rows before the reading begins."""
        return self._batch([self.first.part(slice(batch_size))], batch_size)

    def some(self, count: int) -> tuple[Batch, Chunk]:
        """A batch of a fixed random subset of the sample, at most so many rows, and the same as they came."""
        sample = self.sample()
        chunk = sample.part(_subset(len(sample), count))
        return self._batch([chunk], len(chunk))[0], chunk

    def position(self, index: int) -> int:
        """Where the row with this index stands in the user's x."""
        return index if self.positions is None else int(self.positions[index])

    def batches(self, batch_size: int) -> Iterator[tuple[Batch, Array]]:
        """Batches, for each input of shape (batch_size, ...), with row weights of shape (batch_size,).

        All have one shape, because XLA compiles anew for every other one. The last is filled up with copies of its
        last row, where any model is defined as well as at that row; they weigh 0.
        """
        waiting: list[Chunk] = []
        count = 0
        for chunk in self.chunks():
            start = 0
            while start < len(chunk):
                taken = chunk.part(slice(start, start + batch_size - count))
                waiting.append(taken)
                start, count = start + len(taken), count + len(taken)
                if count == batch_size:
                    yield self._batch(waiting, batch_size)
                    waiting, count = [], 0
        if waiting:
            yield self._batch(waiting, batch_size)

    def _batch(self, chunks: list[Chunk], batch_size: int) -> tuple[Batch, Array]:
        joined = chunks[0] if len(chunks) == 1 else _joined(chunks)
        missing = batch_size - len(joined)
        leaves = []
        for leaf, kind in zip(joined.leaves, self.dtypes, strict=True):
            cast = leaf.astype(_numpy_type(kind), copy=False)
            filled = np.concatenate([cast, np.repeat(cast[-1:], missing, axis=0)]) if missing else cast
            leaves.append(np.ascontiguousarray(filled))
        return tuple(leaves), np.pad(joined.row_weights, (0, missing))


def read(x: Any, network: Network, *, num_samples: int | None = None, weights: Any = None) -> Rows:
    """Check x against the network, and draw the rows to measure: of arrays a random subset, of streams the first."""
    if streams.is_stream(x):
        return _read_stream(x, network, num_samples)
    return _read_arrays(x, network, num_samples, weights)


def _read_arrays(x: Any, network: Network, num_samples: int | None, weights: Any) -> Rows:
    inputs = network.inputs(x)
    columns, chunk = _chunk(x, weights, inputs)
    dtypes = network.batch_types(inputs, chunk.leaves)
    positions = _subset(len(chunk), num_samples)
    if len(positions) < len(chunk):
        chunk = chunk.part(positions)
    _check_finite(inputs, columns, dtypes, chunk)
    return Rows(inputs, columns, dtypes, chunk, lambda: iter([chunk]), len(chunk), positions)


def _read_stream(x: Any, network: Network, num_samples: int | None) -> Rows:
    if num_samples is None and streams.is_endless(x):
        errors.refuse_endless()
    reader = streams.Reader(x, network)
    element, weights = reader.first
    inputs = network.inputs(element)
    columns, first = _chunk(element, weights, inputs, 0)
    dtypes = network.batch_types(inputs, first.leaves)

    def chunks() -> Iterator[Chunk]:
        for index, (element, weights) in enumerate(reader):
            names, chunk = _chunk(element, weights, inputs, index) if index else (columns, first)
            expected, shapes = ([leaf.shape[1:] for leaf in each.leaves] for each in (first, chunk))
            if shapes != expected:
                errors.refuse_changed(index, expected, shapes)
            if names != columns:
                errors.refuse_changed_columns(index, columns, names)
            _check_finite(inputs, columns, dtypes, chunk)
            yield chunk

    if num_samples is None:
        return Rows(inputs, columns, dtypes, first, _Rewound(chunks), None, None)
    kept = _joined(list(_until(chunks(), num_samples))).part(slice(num_samples))
    return Rows(inputs, columns, dtypes, kept, lambda: iter([kept]), len(kept), np.arange(len(kept)))


class _Rewound:
    """Opens chunks; those that were read before, to see what rows look like, are handed on.

    Args:
        open_chunks: Opens them from the first on.
    """

    def __init__(self, open_chunks: Callable[[], Iterator[Chunk]]) -> None:
        self._open = open_chunks
        self._seen: list[Chunk] = []
        self._begun: Iterator[Chunk] | None = None

    def __call__(self) -> Iterator[Chunk]:
        if self._begun is None:
            return self._open()
        seen, begun, self._seen, self._begun = self._seen, self._begun, [], None
        return itertools.chain(seen, begun)

    def head(self, num_rows: int) -> Chunk:
        """The first rows, at least so many where there are."""
        if self._begun is None:
            self._begun = self._open()
            self._seen = list(_until(self._begun, num_rows))
        return _joined(self._seen)


def _until(chunks: Iterator[Chunk], num_rows: int) -> Iterator[Chunk]:
    """Chunks until they have so many rows."""
    count = 0
    for chunk in chunks:
        yield chunk
        count += len(chunk)
        if count >= num_rows:
            return


def _joined(chunks: list[Chunk]) -> Chunk:
    unweighted = all(chunk.weights is None for chunk in chunks)
    weights = None if unweighted else np.concatenate([chunk.row_weights for chunk in chunks])
    return Chunk(tuple(np.concatenate(leaves) for leaves in zip(*(c.leaves for c in chunks), strict=True)), weights)


def _chunk(
    x: Any, weights: Any, inputs: Inputs, batch: int | None = None
) -> tuple[tuple[list[str] | None, ...], Chunk]:
    """The names of the columns, and the arrays; ``batch`` is its number in a stream."""
    columns, leaves = [], []
    for leaf, value in zip(inputs.leaves, inputs.flatten(x), strict=True):
        names, array = as_array(value, leaf.name, text=leaf.dtype in (None, "string"))
        array = _in_shape(leaf, array, alone=len(inputs.leaves) == 1)
        columns.append(names)
        leaves.append(array)
    errors.check_same_lengths(dict(zip(inputs.names, map(len, leaves), strict=True)))
    count = len(leaves[0])
    if count == 0:
        errors.refuse_some_rows() if batch is None else errors.refuse_empty_batch(batch)
    if weights is not None:
        given = np.asarray(weights, dtype=float)
        weights = given.reshape(count) if given.size == count else given
        if weights.shape != (count,) or not np.isfinite(weights).all() or (weights < 0).any():
            errors.refuse_sample_weights(given.shape, count)
    return tuple(columns), Chunk(tuple(leaves), weights)


def _in_shape(leaf: Leaf, array: Array, *, alone: bool) -> Array:
    """The array as the model takes it: a single column may come without its axis, as in Keras."""
    rank = 2 if leaf.shape is None and alone else None if leaf.shape is None else len(leaf.shape)
    if array.ndim == 1 and rank == 2:
        array = array[:, None]
    errors.check_row_shape(f"The input {leaf.name!r}" if leaf.name else "x", array.shape, leaf.shape)
    return array


def _subset(count: int, num_samples: int | None) -> Array:
    """Positions of a fixed random subset, in the order of the rows: the same at every look and in every run."""
    if num_samples is None or num_samples >= count:
        return np.arange(count)
    # A generator of its own: the user's seeds are not touched.
    return np.sort(np.random.default_rng(0).choice(count, size=num_samples, replace=False))


def _check_finite(inputs: Inputs, columns: Sequence[list[str] | None], dtypes: Sequence[str], chunk: Chunk) -> None:
    """Refuse NaN and infinity, a block of rows at a time."""
    bad: dict[str, int] = {}
    for leaf, names, kind, array in zip(inputs.leaves, columns, dtypes, chunk.leaves, strict=True):
        if array.dtype.kind not in "fV":
            continue
        size = max(1, FINITE_BLOCK // max(1, math.prod(array.shape[1:])))
        # What overflows in the type of a batch is infinite there; codes are looked at as they come.
        cast = kind if kind.startswith("float") else array.dtype
        wording = default_names(leaf.name, array.shape[-1:]) if array.ndim in (2, 3) else [leaf.name or "x"]
        wording = names if names and len(names) == len(wording) else wording
        counts = np.zeros(len(wording), dtype=int)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(array), size):
                block = array[start : start + size].astype(cast, copy=False)
                # A sum is much cheaper than a mask of everything; the mask is made only to word the error.
                if not np.isfinite(np.sum(block, dtype=np.float64)):
                    counts += (~np.isfinite(block.reshape(len(block), -1, len(counts)))).any(axis=1).sum(axis=0)
        bad |= {name: int(count) for name, count in zip(wording, counts, strict=True) if count}
    if bad:
        errors.refuse_finite(bad)


def default_names(source: str, row_shape: tuple[int, ...]) -> list[str]:
    """Names of the columns of an input, and of the entries of an image.

    >>> default_names("", (3,))
    ['x0', 'x1', 'x2']
    >>> default_names("price", (1,)), default_names("prices", (2,))
    (['price'], ['prices/0', 'prices/1'])
    >>> default_names("", (1, 2, 1))
    ['0,0,0', '0,1,0']
    """
    if len(row_shape) > 1:
        entries = itertools.product(*map(range, row_shape[-3:]))
        names = [",".join(map(str, entry)) for entry in entries]
    else:
        names = [str(index) for index in range(math.prod(row_shape))]
        if not source:
            return [f"x{name}" for name in names]
    if not source:
        return names
    return [source] if len(names) == 1 else [f"{source}/{name}" for name in names]


def _numpy_type(kind: str) -> Any:
    return object if kind == "string" else kind
