"""`Reservoir`: a fixed random subset of rows that come by, of which nobody knows how many there will be."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_sensitivity.rows.chunks import Chunk, joined

__all__ = ["Draw", "Reservoir", "subset"]

Array = np.ndarray[Any, Any]

# Rows that draw at one time.
BLOCK = 2**20


class Draw:
    """Which rows are in the subset: each draws a number, and those with the smallest stay.

    So the subset depends on how many rows there are, and on nothing else: not on the batches that they come in, nor on
    the user's seeds. Only rows that beat all but a few of those before are ever kept, ``size * log(num_seen / size)``.

    Args:
        size: How many rows stay.

    Attributes:
        num_seen: How many rows have drawn.
        num_held: How many are held.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._random = np.random.default_rng(0)
        self._numbers: list[Array] = []
        self._positions: list[Array] = []
        self._bound = 1.0
        self.num_seen = self.num_held = 0

    def next(self, num_rows: int) -> Array:
        """Of the next rows those that are held for now, by their positions among them."""
        numbers = self._random.random(num_rows)
        found = np.flatnonzero(numbers < self._bound)
        self._numbers.append(numbers[found])
        self._positions.append(self.num_seen + found)
        self.num_seen, self.num_held = self.num_seen + num_rows, self.num_held + len(found)
        return found

    def settle(self) -> Array:
        """Let go of all rows but the subset: which of those that are held stay, in their order."""
        numbers, positions = np.concatenate(self._numbers), np.concatenate(self._positions)
        stay = np.arange(len(numbers))
        if len(stay) > self._size:
            stay = np.sort(np.argpartition(numbers, self._size - 1)[: self._size])
            self._bound = numbers[stay].max()
        self._numbers, self._positions, self.num_held = [numbers[stay]], [positions[stay]], len(stay)
        return stay

    @property
    def positions(self) -> Array:
        """Where the rows of the subset stood among all, ascending."""
        self.settle()
        return self._positions[0]


class Reservoir:
    """A fixed random subset of rows that come by, in their order.

    Args:
        size: Rows of the subset, at least 1.

    Example:

    >>> import numpy as np
    >>> reservoir = Reservoir(3)
    >>> for start in range(0, 100, 10):
    ...     reservoir.add(Chunk((np.arange(start, start + 10),)))
    >>> chunk, positions = reservoir.taken()
    >>> bool((chunk.leaves[0] == positions).all()), positions.tolist() == subset(100, 3).tolist()
    (True, True)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._draw = Draw(size)
        self._held: list[Chunk] = []

    @property
    def num_seen(self) -> int:
        """How many rows came by."""
        return self._draw.num_seen

    def add(self, chunk: Chunk) -> None:
        """Let rows come by."""
        found = self._draw.next(len(chunk))
        if len(found):
            self._held.append(chunk.kept(found))
        if self._draw.num_held > 2 * self._size:
            self._settle()

    def taken(self) -> tuple[Chunk, Array]:
        """The subset, and where each of its rows stood."""
        self._settle()
        return self._held[0], self._draw.positions

    def _settle(self) -> None:
        self._held = [joined(self._held)]
        stay = self._draw.settle()
        if len(stay) < len(self._held[0]):
            self._held = [self._held[0].kept(stay)]


def subset(num_rows: int, size: int | None) -> Array:
    """Positions of the subset of so many rows, ascending; of all with None.

    >>> subset(4, None).tolist(), len(subset(1000, 10))
    ([0, 1, 2, 3], 10)
    """
    if size is None or size >= num_rows:
        return np.arange(num_rows)
    draw = Draw(size)
    for start in range(0, num_rows, BLOCK):
        draw.next(min(BLOCK, num_rows - start))
        draw.settle()  # so that the next have to beat these
    return draw.positions
