"""Rows of which every number is finite; or what is missing in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.rows.names import column_names
from keras_sensitivity.rows.sparse import SparseRows

__all__ = ["check_finite"]

# Entries that are looked at for NaN at one time.
BLOCK = 2**20


def check_finite(inputs: Inputs, columns: Sequence[list[str] | None], dtypes: Sequence[str], chunk: Chunk) -> None:
    """Refuse NaN and infinity, a block of rows at a time."""
    bad: dict[str, int] = {}
    for leaf, names, kind, array in zip(inputs.leaves, columns, dtypes, chunk.leaves, strict=True):
        # What overflows in the type of a batch is infinite there; codes are looked at as they come.
        cast = kind if kind.startswith("float") else array.dtype
        if array.dtype.kind in "fV" and not (isinstance(array, SparseRows) and array.is_finite(cast)):
            wording = column_names(leaf.name, names, array.shape)
            counts = _bad_rows(array, cast, len(wording))
            bad |= {name: int(count) for name, count in zip(wording, counts, strict=True) if count}
    if bad:
        errors.refuse_finite(bad)


def _bad_rows(array: Any, cast: Any, num_columns: int) -> Any:
    """How many rows have a number that is not finite, in each column."""
    counts = np.zeros(num_columns, dtype=int)
    size = max(1, BLOCK // max(1, math.prod(array.shape[1:])))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(array), size):
            block = array[start : start + size].astype(cast, copy=False)
            # A sum is much cheaper than a mask of everything; the mask is made only to word the error.
            if not np.isfinite(np.sum(block, dtype=np.float64)):
                counts += (~np.isfinite(block.reshape(len(block), -1, num_columns))).any(axis=1).sum(axis=0)
    return counts
