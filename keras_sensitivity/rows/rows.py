"""Rows to measure: read from what the user passes, handed out in batches of one shape with row weights."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from keras_sensitivity import errors
from keras_sensitivity.networks.inputs import Inputs, Leaf
from keras_sensitivity.networks.network import Batch, Network
from keras_sensitivity.rows import streams
from keras_sensitivity.rows.arrays import as_array
from keras_sensitivity.rows.chunks import Chunk, Lengths, joined, until
from keras_sensitivity.rows.constant import OtherValues, constant_columns
from keras_sensitivity.rows.datasets import is_dataset
from keras_sensitivity.rows.finite import check_finite, has_missing
from keras_sensitivity.rows.reservoir import Reservoir, subset
from keras_sensitivity.rows.sparse import SparseRows
from keras_sensitivity.rows.tables import as_pandas

__all__ = ["Rows", "read", "weights_of"]

Array = np.ndarray[Any, Any]

# Rows of a stream by which its bins are made, and from which the partners of swaps are drawn.
SAMPLE_ROWS = 8192

# Seconds after which a stream of which enough rows were seen is read no further.
READ_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Rows to measure, of which every number is finite, but for NaN that the network handles.

    Attributes:
        inputs: What the network is called with.
        columns: For each input the names of its columns, or None where it has none.
        dtypes: For each input the type that a batch is cast to when it is taken, so that no second copy of all rows
            is ever made.
        first: The first rows, which every reader gets, too.
        chunks: Opens the rows, from the first on.
        num_rows: How many there are; None for a stream, whose end is not known.
        positions: Where each row stands in the user's x, shape (num_rows,); None for a stream.
        num_seen: How many rows x has, as far as it was read.
        has_missing: Whether there is NaN.
    """

    inputs: Inputs
    columns: tuple[list[str] | None, ...]
    dtypes: tuple[str, ...]
    first: Chunk
    chunks: Callable[[], Iterator[Chunk]]
    num_rows: int | None
    positions: Array | None
    num_seen: int
    has_missing: bool = False

    def sample(self) -> Chunk:
        """Rows that stand for all: of a stream its first, which the next reading of it does not read again."""
        if not isinstance(self.chunks, _Rewound):
            return self.first
        # As many whatever the size of the batches that it comes in.
        head = self.chunks.head(SAMPLE_ROWS)
        return head.part(slice(SAMPLE_ROWS)) if len(head) > SAMPLE_ROWS else head

    @property
    def has_one_length(self) -> bool:
        """Whether no sequences of several lengths are among the first rows."""
        return self.first.lengths is None

    @property
    def entries(self) -> Batch:
        """All rows of each input, in the types of the batches; of rows that are no stream."""
        leaves = zip(self.first.leaves, self.dtypes, strict=True)
        return tuple(leaf[:].astype(_numpy_type(kind)) for leaf, kind in leaves)

    @property
    def x(self) -> Any:
        """The first rows as a user would pass them, with the names of their columns."""
        named = zip(self.first.leaves, self.columns, strict=True)
        return self.inputs.pack([leaf if names is None else _frame(leaf, names) for leaf, names in named])

    def first_batch(self, batch_size: int) -> tuple[Batch, Array]:
        """A batch made of the first rows alone, for whatever needs some rows before the reading begins.

        Of sequences of several lengths it has the longest of them.
        """
        *_, longest = self.first.by_length()
        return self._batch([longest.part(slice(batch_size))], batch_size)

    def some(self, count: int) -> tuple[Batch, Chunk]:
        """A batch of a fixed random subset of the sample, at most so many rows, and the same as they came."""
        sample = self.sample()
        chunk = sample.part(subset(len(sample), count))
        return self._batch([chunk], len(chunk))[0], chunk

    def position(self, index: int) -> int:
        """Where the row with this index stands in the user's x."""
        return index if self.positions is None else int(self.positions[index])

    def batches(self, batch_size: int) -> Iterator[tuple[Batch, Array]]:
        """Batches, for each input of shape (batch_size, ...), with row weights of shape (batch_size,).

        All have one shape, because XLA compiles anew for every other one; of sequences of several lengths those of one
        length. The last is filled up with copies of its last row, where any model is defined as well as at that row;
        they weigh 0.
        """
        waiting: dict[Any, list[Chunk]] = {}
        for chunk in self.chunks():
            for part in chunk.by_length():
                same = waiting.setdefault(tuple(leaf.shape[1:] for leaf in part.leaves), [])
                start = 0
                while start < len(part):
                    same.append(part.part(slice(start, start + batch_size - sum(map(len, same)))))
                    start += len(same[-1])
                    if sum(map(len, same)) == batch_size:
                        yield self._batch(same, batch_size)
                        same.clear()
        *_, longest = self.first.by_length()
        first = tuple(leaf.shape[1:] for leaf in longest.leaves)
        for shape, same in waiting.items():
            # Of another length there may be few rows: powers of 2, so that little is filled up, and few are traced.
            count = sum(map(len, same))
            if count:
                yield self._batch(
                    same, batch_size if shape == first else min(batch_size, 2 ** (count - 1).bit_length())
                )

    def _batch(self, chunks: list[Chunk], batch_size: int) -> tuple[Batch, Array]:
        rows = joined(chunks)
        missing = batch_size - len(rows)
        leaves = []
        for leaf, kind in zip(rows.leaves, self.dtypes, strict=True):
            cast = leaf.astype(_numpy_type(kind), copy=False)
            filled = np.concatenate([cast, np.repeat(cast[-1:], missing, axis=0)]) if missing else cast
            leaves.append(np.ascontiguousarray(filled))
        return tuple(leaves), np.pad(rows.row_weights, (0, missing))


def read(
    x: Any, network: Network, *, num_samples: int | None = None, weights: Any = None, lengths: Lengths | None = None
) -> Rows:
    """Check x against the network, and draw the rows to measure: a fixed random subset, where x can be read through.

    Args:
        x: As in `keras_sensitivity.measure`.
        network: What the rows are for.
        num_samples: Rows to measure; None: all.
        weights: Of the rows of arrays, as ``sample_weight`` of `keras_sensitivity.measure`; None: all weigh 1.
        lengths: Of sequences in arrays that were filled up.
    """
    if is_dataset(x):
        errors.refuse_dataset()
    if not streams.is_stream(x):
        return _read_arrays(x, network, num_samples, weights, lengths)
    if weights is not None:
        errors.refuse_weights_beside_stream(type(x).__name__)
    return _read_stream(x, network, num_samples)


def _read_arrays(x: Any, network: Network, num_samples: int | None, weights: Any, lengths: Lengths | None) -> Rows:
    x = SparseRows(x) if scipy.sparse.issparse(x) else as_pandas(x)  # one kind of sparse matrix is a dict, too
    inputs = network.inputs(x)
    _refuse_targets(x, inputs)
    columns, every = _chunk(x, weights, inputs)
    every = Chunk(every.leaves, every.weights, lengths)
    dtypes = network.batch_types(inputs, every.leaves)
    positions = subset(len(every), num_samples)
    chunk = every
    if len(positions) < len(every):
        chunk = every.kept(positions)
        if constant_columns(chunk):
            others = OtherValues(chunk)
            others.see(every)
            _warn_of_others(others, chunk, inputs, columns, errors.warn_other_values)
    lacks = has_missing(inputs, columns, dtypes, chunk, network)
    if not chunk.row_weights.any():
        errors.refuse_weightless()
    return Rows(inputs, columns, dtypes, chunk, lambda: iter([chunk]), len(chunk), positions, len(every), lacks)


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
            _check_shapes(inputs, first, chunk, index)
            if names != columns:
                errors.refuse_changed_columns(index, columns, names)
            if num_samples is None:
                check_finite(inputs, columns, dtypes, chunk)
            yield chunk

    if num_samples is None:
        return Rows(inputs, columns, dtypes, first, _Rewound(chunks, inputs, columns), None, None, len(first))
    if streams.is_endless(x) or not streams.can_be_read_again(x):
        kept, positions = _first_rows(chunks(), num_samples)
        num_seen = len(kept)
    else:
        kept, positions, num_seen, others = _drawn_rows(chunks(), num_samples)
        _warn_of_others(others, kept, inputs, columns, errors.warn_other_values)
    lacks = has_missing(inputs, columns, dtypes, kept, network)
    return Rows(inputs, columns, dtypes, kept, lambda: iter([kept]), len(kept), positions, num_seen, lacks)


def _check_shapes(inputs: Inputs, first: Chunk, chunk: Chunk, index: int) -> None:
    """Refuse rows of another shape than the first, but for the length of sequences, if the network leaves it open."""
    expected, shapes = ([leaf.shape[1:] for leaf in each.leaves] for each in (first, chunk))
    if shapes == expected:
        return
    lengths = set()
    for leaf, one, other in zip(inputs.leaves, expected, shapes, strict=True):
        is_open = len(one) in (2, 4) and (leaf.shape is None or leaf.shape[1] is None)
        if one != other:
            lengths.add((one[0], other[0]) if is_open and one[1:] == other[1:] else None)
    if None in lengths or len(lengths) > 1:
        errors.refuse_changed(index, expected, shapes)


def _first_rows(chunks: Iterator[Chunk], num_samples: int) -> tuple[Chunk, Array]:
    """The first rows of a stream that may have no end, and where they stand."""
    read = joined(list(until(chunks, num_samples)))
    if len(read) >= num_samples:
        errors.warn_first_rows(num_samples)
    kept = read.part(slice(num_samples))
    return kept, np.arange(len(kept))


def _drawn_rows(chunks: Iterator[Chunk], num_samples: int) -> tuple[Chunk, Array, int, OtherValues]:
    """The subset of the rows of a stream that is read through, or as far as there is time, and where they stand.

    Also how many there were, and what is seen in the others.
    """
    first = next(chunks)
    reservoir, others, begun = Reservoir(num_samples), OtherValues(first), time.monotonic()
    for chunk in itertools.chain([first], chunks):
        if reservoir.num_seen >= num_samples and time.monotonic() - begun > READ_SECONDS:
            errors.warn_unseen_rows(num_samples, reservoir.num_seen, READ_SECONDS)
            break
        others.see(chunk)
        reservoir.add(chunk)
    return *reservoir.taken(), reservoir.num_seen, others


def _warn_of_others(
    others: OtherValues,
    some: Chunk,
    inputs: Inputs,
    columns: Sequence[list[str] | None],
    warn: Callable[[dict[str, int], int], None],
) -> None:
    """Warn of columns that are constant in some of the rows, though not in all."""
    found = others.beside(some, inputs, columns)
    if found:
        warn(found, len(some))


class _Rewound:
    """Opens chunks; those that were read before, to see what rows look like, are handed on.

    Args:
        open_chunks: Opens them from the first on.
        inputs: What they are for.
        columns: For each input the names of its columns.
    """

    def __init__(
        self, open_chunks: Callable[[], Iterator[Chunk]], inputs: Inputs, columns: Sequence[list[str] | None]
    ) -> None:
        self._open = open_chunks
        self._inputs = inputs
        self._columns = columns
        self._seen: list[Chunk] = []
        self._begun: Iterator[Chunk] | None = None

    def __call__(self) -> Iterator[Chunk]:
        if self._begun is None:
            return self._open()
        seen, begun, self._seen, self._begun = self._seen, self._begun, [], None
        chunks = itertools.chain(seen, begun)
        return self._watched(chunks, joined(seen)) if constant_columns(joined(seen)) else chunks

    def head(self, num_rows: int) -> Chunk:
        """The first rows, at least so many where there are."""
        if self._begun is None:
            self._begun = self._open()
            self._seen = list(until(self._begun, num_rows))
        return joined(self._seen)

    def _watched(self, chunks: Iterator[Chunk], head: Chunk) -> Iterator[Chunk]:
        """The same chunks; behind the last, warn of columns that are constant in the first rows only."""
        others = OtherValues(head)
        for chunk in chunks:
            others.see(chunk)
            yield chunk
        _warn_of_others(others, head, self._inputs, self._columns, errors.warn_other_values_later)


def _chunk(
    x: Any, weights: Any, inputs: Inputs, batch: int | None = None
) -> tuple[tuple[list[str] | None, ...], Chunk]:
    """The names of the columns, and the arrays; ``batch`` is its number in a stream."""
    columns, leaves = [], []
    for leaf, value in zip(inputs.leaves, inputs.flatten(x), strict=True):
        names, array = as_array(value, leaf.name, text=leaf.dtype in (None, "string"))
        array = _in_shape(leaf, array, alone=len(inputs.leaves) == 1)
        columns.append(list(leaf.columns) if names is None and leaf.columns else names)
        leaves.append(array)
    if not leaves:
        errors.refuse_no_inputs()
    errors.check_same_lengths(dict(zip(inputs.names, map(len, leaves), strict=True)))
    count = len(leaves[0])
    if count == 0:
        errors.refuse_some_rows() if batch is None else errors.refuse_empty_batch(batch)
    return tuple(columns), Chunk(tuple(leaves), weights_of(weights, count, batch))


def weights_of(weights: Any, count: int, batch: int | None = None) -> Array | None:
    """The weight of each row, shape (count,); they belong to the rows by their places, whatever index they have."""
    if weights is None:
        return None
    try:
        given: Array = np.asarray(as_pandas(weights))
        given = given.astype(float) if given.size == count or given.ndim == 0 else given
    except (TypeError, ValueError):  # a dict of classes, words
        errors.refuse_sample_weights(f"an object of type {type(weights).__name__}", count, batch)
    if given.size != count or given.ndim not in (1, 2):
        errors.refuse_sample_weights(f"weights of shape {given.shape}", count, batch)
    bad = np.count_nonzero(~(np.isfinite(given) & (given >= 0)))
    if bad:
        errors.refuse_sample_weights(f"{bad:,} weights that are negative, NaN or infinite", count, batch)
    return given.reshape(count)


def _refuse_targets(x: Any, inputs: Inputs) -> None:
    """Refuse x together with its targets, as a data set yields it, or `Model.evaluate` takes it apart."""
    if not isinstance(x, (list, tuple)) or len(x) not in (2, 3):
        return
    parts = inputs.structure if isinstance(inputs.structure, list) else [inputs.structure]
    if len(parts) == len(x) and not (isinstance(parts[0], int) and isinstance(x[0], (Mapping, list, tuple))):
        return
    if _holds_all_rows(x[0], inputs.leaves[0]):
        errors.refuse_targets(type(x).__name__, len(x), len(inputs.leaves))


def _holds_all_rows(x: Any, leaf: Leaf) -> bool:
    """Whether x, a part of what was passed, is an input, or several; else it may be a row."""
    if isinstance(x, (Mapping, list, tuple)):
        return any(hasattr(part, "shape") for part in (x.values() if isinstance(x, Mapping) else x))
    rank = len(getattr(x, "shape", ()))
    if leaf.shape is None:
        return rank >= 2
    return rank == len(leaf.shape) or (rank == 1 and leaf.shape[1:] == (1,))


def _in_shape(leaf: Leaf, array: Array, *, alone: bool) -> Array:
    """The array as the model takes it: a single column may come without its axis, as in Keras."""
    rank = 2 if leaf.shape is None and alone else None if leaf.shape is None else len(leaf.shape)
    if array.ndim == 1 and rank == 2:
        array = array[:, None]
    if array.ndim == 0:
        errors.refuse_scalar(array)
    errors.check_row_shape(f"The input {leaf.name!r}" if leaf.name else "x", array.shape, leaf.shape)
    return array


def _frame(leaf: Any, names: list[str]) -> pd.DataFrame:
    if isinstance(leaf, SparseRows):
        return leaf.frame(names)
    return pd.DataFrame(leaf, columns=names)


def _numpy_type(kind: str) -> Any:
    return object if kind == "string" else kind
