"""Columns that have one value in the rows that were drawn, and others in rows that were not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.rows.names import column_names

__all__ = ["OtherValues", "constant_columns"]

Array = np.ndarray[Any, Any]

# Entries that are compared at one time.
BLOCK = 2**20


class OtherValues:
    """Counts the rows that have another value than a given one, in each column of tables and sequences.

    Args:
        reference: A row whose values they are compared with, shape (1, ...).
    """

    def __init__(self, reference: Chunk) -> None:
        self._values = [_by_column(leaf[:1])[0, 0] if _has_columns(leaf) else None for leaf in reference.leaves]
        self._counts = [np.zeros(0 if value is None else len(value), int) for value in self._values]
        self._num_rows = 0

    def see(self, chunk: Chunk) -> None:
        """Count in some more rows."""
        self._num_rows += len(chunk)
        for index, (leaf, value) in enumerate(zip(chunk.leaves, self._values, strict=True)):
            if value is not None:
                self._counts[index] += sum((block != value).any(axis=1).sum(axis=0) for block in _blocks(leaf))

    def beside(self, some: Chunk, inputs: Inputs, columns: Sequence[list[str] | None]) -> dict[str, int]:
        """The columns that are constant in some of the rows, by name, and how many rows have another value than there.

        Where these have not the value that was compared with, it is that of the other rows; there may be more of them.
        """
        found: dict[str, int] = {}
        every = zip(some.leaves, inputs.leaves, columns, self._values, self._counts, strict=True)
        for leaf, declared, names, value, counts in every:
            if value is not None:
                is_same = _by_column(leaf[:1])[0, 0] == value
                others = np.where(is_same, counts, self._num_rows - counts) * _is_constant(leaf)
                wording = column_names(declared.name, names, leaf.shape)
                found |= {wording[index]: int(others[index]) for index in np.flatnonzero(others)}
        return found


def constant_columns(chunk: Chunk) -> int:
    """How many columns of tables and sequences have one value in all of these rows."""
    return sum(int(_is_constant(leaf).sum()) for leaf in chunk.leaves if _has_columns(leaf))


def _has_columns(leaf: Any) -> bool:
    """Whether an input is a table or a sequence: of images some entry is nearly always constant."""
    return leaf.ndim in (2, 3)


def _by_column(leaf: Any) -> Array:
    """Shape (num_rows, num_steps, num_columns)."""
    values = leaf[:]
    return np.asarray(values.reshape(len(values), -1, values.shape[-1]))


def _blocks(leaf: Any) -> Iterator[Array]:
    """A leaf by column, some rows at a time."""
    size = max(1, BLOCK // max(1, math.prod(leaf.shape[1:])))
    return (_by_column(leaf[start : start + size]) for start in range(0, len(leaf), size))


def _is_constant(leaf: Any) -> Array:
    """Of each column, shape (num_columns,)."""
    value = _by_column(leaf[:1])[0, 0]
    return np.asarray(np.all([(block == value).all(axis=(0, 1)) for block in _blocks(leaf)], axis=0))
