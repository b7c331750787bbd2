"""Rows of which every number is finite; or what is missing in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.networks.network import Batch, Network
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.rows.names import column_names
from keras_sensitivity.rows.sparse import SparseRows

__all__ = ["check_finite", "has_missing"]

Array = np.ndarray[Any, Any]

# Entries that are looked at for NaN at one time.
BLOCK = 2**20

# Rows with NaN that a network is called with at one time.
MOST_ROWS = 1024


def check_finite(inputs: Inputs, columns: Sequence[list[str] | None], dtypes: Sequence[str], chunk: Chunk) -> None:
    """Refuse NaN and infinity, a block of rows at a time."""
    bad = _bad_columns(inputs, columns, dtypes, chunk)
    if bad:
        errors.refuse_finite(bad)


def has_missing(
    inputs: Inputs, columns: Sequence[list[str] | None], dtypes: Sequence[str], chunk: Chunk, network: Network
) -> bool:
    """Whether there is NaN, which is refused unless the network makes finite numbers of all rows that have it."""
    bad = _bad_columns(inputs, columns, dtypes, chunk)
    if bad and not _is_handled(inputs, dtypes, chunk, network):
        errors.refuse_finite(bad)
    return bool(bad)


def _is_handled(inputs: Inputs, dtypes: Sequence[str], chunk: Chunk, network: Network) -> bool:
    """Whether the network handles what is not finite: NaN in numbers, never infinity, nor NaN in codes."""
    lacking = np.zeros(len(chunk), bool)
    for array, kind in zip(chunk.leaves, dtypes, strict=True):
        if array.dtype.kind in "fV":
            start = 0
            for block in _blocks(array, kind if kind.startswith("float") else array.dtype):
                is_missing = np.isnan(block)
                if not np.isfinite(block[~is_missing]).all() or (is_missing.any() and not kind.startswith("float")):
                    return False
                lacking[start : start + len(block)] |= is_missing.reshape(len(block), -1).any(axis=1)
                start += len(block)
    positions = np.flatnonzero(lacking)
    size = network.fixed_batch_size or min(MOST_ROWS, len(positions))

    def batches() -> Iterator[Batch]:
        for first in range(0, len(positions), size):
            rows = chunk.part(np.resize(positions[first : first + size], size))  # all of one shape
            yield tuple(
                leaf if kind == "string" else leaf.astype(kind) for leaf, kind in zip(rows.leaves, dtypes, strict=True)
            )

    return network.handles_missing(inputs, batches())


def _bad_columns(
    inputs: Inputs, columns: Sequence[list[str] | None], dtypes: Sequence[str], chunk: Chunk
) -> dict[str, int]:
    """In how many rows each column is not finite, by name; those that are finite are left out."""
    bad: dict[str, int] = {}
    for leaf, names, kind, array in zip(inputs.leaves, columns, dtypes, chunk.leaves, strict=True):
        # What overflows in the type of a batch is infinite there; codes are looked at as they come.
        cast = kind if kind.startswith("float") else array.dtype
        if array.dtype.kind in "fV" and not (isinstance(array, SparseRows) and array.is_finite(cast)):
            wording = column_names(leaf.name, names, array.shape)
            counts = _bad_rows(array, cast, len(wording))
            bad |= {name: int(count) for name, count in zip(wording, counts, strict=True) if count}
    return bad


def _bad_rows(array: Any, cast: Any, num_columns: int) -> Array:
    """How many rows have a number that is not finite, in each column."""
    counts = np.zeros(num_columns, dtype=int)
    for block in _blocks(array, cast):
        # A sum is much cheaper than a mask of everything; the mask is made only to word the error.
        with np.errstate(invalid="ignore"):
            is_finite = np.isfinite(np.sum(block, dtype=np.float64))
        if not is_finite:
            counts += (~np.isfinite(block.reshape(len(block), -1, num_columns))).any(axis=1).sum(axis=0)
    return counts


def _blocks(array: Any, cast: Any) -> Iterator[Array]:
    """Some rows at a time, in another type."""
    size = max(1, BLOCK // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), size):
        with np.errstate(over="ignore", invalid="ignore"):
            block = array[start : start + size].astype(cast, copy=False)
        yield block
