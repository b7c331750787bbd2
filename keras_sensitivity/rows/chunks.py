"""`Chunk`: some rows, in the arrays that they came in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity.rows.sparse import SparseRows

__all__ = ["Chunk", "joined", "until"]

Array = np.ndarray[Any, Any]


class Chunk(NamedTuple):
    """Some rows.

    Attributes:
        leaves: For each input an array whose first axis is that of the rows, or `SparseRows`.
        weights: Of the rows, or None where all weigh 1.
    """

    leaves: tuple[Any, ...]
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.leaves[0])

    @property
    def row_weights(self) -> Array:
        """The weight of each row, shape (num_rows,)."""
        return np.ones(len(self)) if self.weights is None else self.weights

    def part(self, where: Any) -> Chunk:
        """The rows at a slice or at positions, in arrays with all their zeros."""
        return Chunk(tuple(leaf[where] for leaf in self.leaves), None if self.weights is None else self.weights[where])

    def kept(self, positions: Array) -> Chunk:
        """The rows at positions, copied; what is sparse stays so."""
        leaves = (leaf.kept(positions) if isinstance(leaf, SparseRows) else leaf[positions] for leaf in self.leaves)
        return Chunk(tuple(leaves), None if self.weights is None else self.weights[positions])


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """The rows of all, one after the other."""
    if len(chunks) == 1:
        return chunks[0]
    unweighted = all(chunk.weights is None for chunk in chunks)
    weights = None if unweighted else np.concatenate([chunk.row_weights for chunk in chunks])
    columns = zip(*(chunk.leaves for chunk in chunks), strict=True)
    leaves = (
        SparseRows.joined(every) if isinstance(every[0], SparseRows) else np.concatenate(every) for every in columns
    )
    return Chunk(tuple(leaves), weights)


def until(chunks: Iterator[Chunk], num_rows: int) -> Iterator[Chunk]:
    """Chunks until they have so many rows."""
    count = 0
    for chunk in chunks:
        yield chunk
        count += len(chunk)
        if count >= num_rows:
            return
