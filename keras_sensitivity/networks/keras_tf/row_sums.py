"""Weighted sums over rows whose derivatives came back from the device: in NumPy, in float64.

On a CPU that is as fast as on the device, where each of some sixty operations would have to be traced, for every model
anew. Wide rows, of which no more than sums come back, are summed up there: `sums`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity.moments import product
from keras_sensitivity.networks.keras_tf.sums import CROSS_ENTRIES

__all__ = ["RowSums", "row_power_sums", "row_product_sums"]

Array = np.ndarray[Any, Any]


class RowSums(NamedTuple):
    """What is made of the derivatives g of single rows.

    Attributes:
        sums: The power sums of each unit, stacked; where random signs were sent back, of a unit whose mean is 0.
        h: The sum of the g**2 over the units, shape (batch_size, num_lags, num_entries).
        squares: The g**2, stacked; of random signs h alone.
    """

    sums: tuple[Array, ...]
    h: Array
    squares: Array

    @classmethod
    def of(cls, derivatives: Array, weights: Array, *, are_signs: bool) -> RowSums:
        """Sum up.

        Args:
            derivatives: Of each unit, or of each draw of random signs, shape (count, batch_size, num_lags,
                num_entries).
            weights: Of the rows, broadcastable to those of a unit.
            are_signs: Whether random signs were sent back.
        """
        squares = np.square(derivatives, dtype=np.float64)
        h = squares[0] if len(squares) == 1 else squares.sum(axis=0)
        if are_signs:
            zeros = np.zeros(h.shape[1:])[None]
            return cls((zeros, zeros, _sums(h, weights)[None]), h, h[None])
        sums = zip(*(row_power_sums(of_unit, weights) for of_unit in derivatives), strict=True)
        return cls(tuple(map(np.stack, sums)), h, squares)


def row_power_sums(values: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Shift, and weighted sums of ``v - shift`` and its squares: see `Moments.from_sums`; rows first."""
    shift = values[0].astype(np.float64)
    centred = np.subtract(values, shift, dtype=np.float64)
    total = _sums(centred, weights)
    return shift, total, _sums(np.square(centred, out=centred), weights)


def row_product_sums(values: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Shift, and weighted sums of ``v - shift`` and of its products, or only squares for wide inputs.

    The values have the shape (batch_size, num_entries), the weights (batch_size,).
    """
    if values.shape[1] > CROSS_ENTRIES:
        return row_power_sums(values, weights)
    shift = values[0]
    centred = values - shift
    weighted = centred * weights[:, None]
    return shift, weighted.sum(axis=0), product(weighted, centred)


def _sums(values: Array, weights: Array) -> Array:
    """Sums over the rows; weights that a row has as a whole are multiplied by while it is added."""
    if weights.size > len(weights):
        return np.asarray((values * weights).sum(axis=0))
    return product(weights.reshape(-1, 1), values.reshape(len(values), -1)).reshape(values.shape[1:])
