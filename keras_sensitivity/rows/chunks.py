"""`Chunk`: some rows, in the arrays that they came in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity.rows.sparse import SparseRows

__all__ = ["Chunk", "Lengths", "joined", "until"]

Array = np.ndarray[Any, Any]


class Lengths(NamedTuple):
    """How long sequences are that stand in one array: before the first step of each it is filled up.

    Attributes:
        steps: Of each row, shape (num_rows,).
        leaves: The positions of the inputs that are so.
    """

    steps: Array
    leaves: tuple[int, ...]


class Chunk(NamedTuple):
    """Some rows.

    Attributes:
        leaves: For each input an array whose first axis is that of the rows, or `SparseRows`.
        weights: Of the rows, or None where all weigh 1.
        lengths: Of sequences of several lengths; None where all are as long as their array.
    """

    leaves: tuple[Any, ...]
    weights: Array | None = None
    lengths: Lengths | None = None

    def __len__(self) -> int:
        return len(self.leaves[0])

    @property
    def row_weights(self) -> Array:
        """The weight of each row, shape (num_rows,)."""
        return np.ones(len(self)) if self.weights is None else self.weights

    def part(self, where: Any) -> Chunk:
        """The rows at a slice or at positions, in arrays with all their zeros."""
        return Chunk(tuple(leaf[where] for leaf in self.leaves), *self._beside(where))

    def kept(self, positions: Array) -> Chunk:
        """The rows at positions, copied; what is sparse stays so."""
        leaves = (leaf.kept(positions) if isinstance(leaf, SparseRows) else leaf[positions] for leaf in self.leaves)
        return Chunk(tuple(leaves), *self._beside(positions))

    def _beside(self, where: Any) -> tuple[Array | None, Lengths | None]:
        """The weights and lengths of some rows."""
        lengths = None if self.lengths is None else self.lengths._replace(steps=self.lengths.steps[where])
        return None if self.weights is None else self.weights[where], lengths

    def by_length(self) -> Iterator[Chunk]:
        """The rows of one length at a time, the shortest first, in arrays as long as they are."""
        if self.lengths is None:
            yield self
            return
        for count in np.unique(self.lengths.steps):
            part = self.part(self.lengths.steps == count)
            longest = {index: part.leaves[index].shape[1] for index in self.lengths.leaves}
            leaves = list(part.leaves)
            for index, size in longest.items():
                leaves[index] = leaves[index][:, size - count :]
            yield Chunk(tuple(leaves), part.weights)


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """The rows of all, one after the other."""
    if len(chunks) == 1:
        return chunks[0]
    unweighted = all(chunk.weights is None for chunk in chunks)
    weights = None if unweighted else np.concatenate([chunk.row_weights for chunk in chunks])
    chunks, lengths = _as_long(chunks)
    columns = zip(*(chunk.leaves for chunk in chunks), strict=True)
    leaves = (
        SparseRows.joined(every) if isinstance(every[0], SparseRows) else np.concatenate(every) for every in columns
    )
    return Chunk(tuple(leaves), weights, lengths)


def _as_long(chunks: Sequence[Chunk]) -> tuple[Sequence[Chunk], Lengths | None]:
    """The chunks with sequences as long as the longest, filled up before their first step; and how long they were."""
    shapes = [[leaf.shape[1:2] for leaf in chunk.leaves] for chunk in chunks]
    differ = {index for index, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1}
    leaves = sorted(differ.union(*(chunk.lengths.leaves for chunk in chunks if chunk.lengths is not None)))
    if not leaves:
        return chunks, None
    steps, filled = [], []
    most = max(chunk.leaves[leaves[0]].shape[1] for chunk in chunks)
    for chunk in chunks:
        missing = most - chunk.leaves[leaves[0]].shape[1]
        own = chunk.lengths.steps if chunk.lengths is not None else np.full(len(chunk), most - missing)
        steps.append(own)
        every = list(chunk.leaves)
        for index in leaves:
            every[index] = np.pad(every[index], [(0, 0), (missing, 0), *[(0, 0)] * (every[index].ndim - 2)])
        filled.append(Chunk(tuple(every), chunk.weights))
    return filled, Lengths(np.concatenate(steps), tuple(leaves))


def until(chunks: Iterator[Chunk], num_rows: int) -> Iterator[Chunk]:
    """Chunks until they have so many rows."""
    count = 0
    for chunk in chunks:
        yield chunk
        count += len(chunk)
        if count >= num_rows:
            return
