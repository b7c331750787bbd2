"""`Steps`: how far each entry is moved, so that the difference of what is returned is a derivative.

    g[j] = (f(x + up[j]) - f(x - down[j])) / (up[j] + down[j])

where both are a part of the standard deviation of the column. Trees, and whatever else is made of steps, have a slope
of 0 almost everywhere; only over some distance does it say how far the output moves. A column of few values is moved to
its next larger and next smaller one, since between them there is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_sensitivity.values import few_values

__all__ = ["Steps"]

Array = np.ndarray[Any, Any]


class Steps:
    """The steps of the entries of one input.

    Args:
        sample: Rows of it, shape (num_rows, ...), that tell how far values scatter.
        num_columns: Entries that have a scale of their own; those of several time steps share one.
        step: Standard deviations.
    """

    def __init__(self, sample: Array, num_columns: int, step: float) -> None:
        values = sample.reshape(-1, num_columns)
        self._few: Sequence[Array | None] = [few_values(column) for column in values.T]
        self._sizes = step * _typical(values)

    def moved(self, values: Array, column: int) -> tuple[Array, Array]:
        """Values of a column after a step up, and after one down."""
        few = self._few[column]
        if few is None:
            return values + self._sizes[column], values - self._sizes[column]
        places = np.searchsorted(few, values)
        return few[np.minimum(places + 1, len(few) - 1)], few[np.clip(places - 1, 0, len(few) - 1)]


def _typical(values: Array) -> Array:
    """The standard deviation of each column; of a constant one its size, or 1."""
    is_missing = np.isnan(values)
    mean = np.where(is_missing, 0.0, values).sum(axis=0) / np.maximum((~is_missing).sum(axis=0), 1)
    known = np.where(is_missing, mean, values)
    deviation = known.std(axis=0)
    size = np.abs(known).max(axis=0)
    return np.where(deviation > 1e-7 * size, deviation, np.where(size > 0, size, 1.0))
