"""Weighted sums over rows whose derivatives came back from the device: in NumPy, in float64.

On a CPU that is as fast as on the device, where each of some sixty operations would have to be traced, for every model
anew. Wide rows, of which no more than sums come back, are summed up there: `sums`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity.moments import product
from keras_sensitivity.networks.keras_tf.sums import CROSS_ENTRIES

__all__ = ["Rows", "Sums"]

Array = np.ndarray[Any, Any]

# Derivatives that are summed up at a time: with what is made of them they fit into the cache of a processor.
BLOCK = 2**16


class Rows(NamedTuple):
    """What the device returns for a batch of a look, where a row has not too many derivatives.

    Attributes:
        reached: Whether each row has a step that is not masked.
        outputs: What is differentiated, shape (batch_size, num_units).
        values: Of the entries, shape (batch_size, num_lags, num_entries).
        valid: 1.0 where a row has an entry, broadcastable to the values; the device returns () if every row has
            every entry.
        derivatives: Of each unit, or of each draw of random signs, shape (count, batch_size, num_lags, num_entries).
        same_step: Those of the same step; () where there are none.
    """

    reached: Any
    outputs: Any
    values: Any
    valid: Any
    derivatives: Any
    same_step: Any


class Sums(NamedTuple):
    """The sums over a batch of a look, made on the device or of its `Rows`: see `Moments.from_sums`."""

    reached: Any
    num_samples: Any
    num_flat: Any
    weight: Any
    weight_squares: Any
    lag_weights: Any
    derivatives: Any
    same_step: Any
    inputs: Any
    outputs: Any
    squares: Any
    output_rows: Any

    @classmethod
    def of(cls, rows: Rows, weights: Array, present: Array, *, of_inputs: slice, are_signs: bool) -> Sums:
        """Sum up, block by block.

        Args:
            rows: The rows.
            weights: Of the rows, shape (batch_size,).
            present: Those of their entries, ``weights * valid``.
            of_inputs: Where the entries of the inputs stand; noise follows.
            are_signs: Whether random signs were sent back.
        """
        kind = _SignSums if are_signs else _UnitSums
        derivatives, squares = kind(rows.derivatives, present), _ProductSums()
        same_step = kind(rows.same_step, present) if len(rows.same_step) else None
        inputs = _PowerSums(rows.values[None], present)
        outputs = _PowerSums(rows.outputs[None, :, None], weights[:, None, None])
        num_flat: Any = 0
        size = max(1, BLOCK // rows.derivatives[:, 0].size)
        for part in (slice(start, start + size) for start in range(0, len(weights), size)):
            inputs.add(part)
            outputs.add(part)
            h = derivatives.add(part)[..., of_inputs]
            num_flat += np.count_nonzero((h.sum(axis=(1, 2)) == 0) & (weights[part] > 0))
            if same_step is not None:
                h = same_step.add(part)[..., of_inputs]
            squares.add((h * rows.valid[part, :, of_inputs]).reshape(len(h), -1), weights[part])
        return cls(
            reached=rows.reached,
            num_samples=np.count_nonzero(weights),
            num_flat=num_flat,
            weight=np.array([weights.sum()]),
            weight_squares=np.array([np.square(weights).sum()]),
            lag_weights=np.broadcast_to(present.sum(axis=0), (rows.values.shape[1], present.shape[2])),
            derivatives=derivatives.sums,
            same_step=() if same_step is None else same_step.sums,
            inputs=tuple(each[0] for each in inputs.sums),
            outputs=tuple(each[0, 0] for each in outputs.sums),
            squares=squares.sums,
            output_rows=rows.outputs,
        )


class _PowerSums:
    """Weighted sums of what differs from the first row, and of its squares, shape (count, num_lags, num_entries).

    Args:
        values: Shape (count, batch_size, num_lags, num_entries).
        weights: Of the rows, broadcastable to the values of one of ``count``.
    """

    def __init__(self, values: Array, weights: Array) -> None:
        self._values, self._weights = values, weights
        self._shift = values[:, 0].astype(np.float64)
        self._total, self._squares = np.zeros_like(self._shift), np.zeros_like(self._shift)

    def add(self, rows: slice) -> Any:
        """Add some rows."""
        centred = np.subtract(self._values[:, rows], self._shift[:, None], dtype=np.float64)
        self._total += _weighted(centred, self._weights[rows])
        self._squares += _weighted(np.square(centred, out=centred), self._weights[rows])

    @property
    def sums(self) -> tuple[Array, Array, Array]:
        """Shift, sums, and sums of squares."""
        return self._shift, self._total, self._squares


class _UnitSums(_PowerSums):
    """Those of the derivatives of each unit."""

    def add(self, rows: slice) -> Array:
        """Add some rows; returns their h."""
        super().add(rows)
        return _h(self._values[:, rows])


class _SignSums:
    """The same of random signs, which mean nothing one by one: of a single unit, whose square is h and whose mean 0."""

    def __init__(self, values: Array, weights: Array) -> None:
        self._values, self._weights = values, weights
        self._squares = np.zeros(values[:1, 0].shape)

    def add(self, rows: slice) -> Array:
        """Add some rows; returns their h."""
        h = _h(self._values[:, rows])
        self._squares += _weighted(h[None], self._weights[rows])
        return h

    @property
    def sums(self) -> tuple[Array, Array, Array]:
        """Shift, sums, and sums of squares."""
        zeros = np.zeros_like(self._squares)
        return zeros, zeros, self._squares


class _ProductSums:
    """Weighted sums of what differs from the first row, and of its products, or only squares for wide inputs."""

    def __init__(self) -> None:
        self.sums: tuple[Any, Any, Any] = (None, 0.0, 0.0)

    def add(self, values: Array, weights: Array) -> None:
        """Add some rows, shape (num_rows, num_columns), with weights of shape (num_rows,)."""
        shift, total, products = self.sums
        shift = values[0] if shift is None else shift
        centred = values - shift
        weighted = centred * weights[:, None]
        is_wide = values.shape[1] > CROSS_ENTRIES
        more = (weighted * centred).sum(axis=0) if is_wide else product(weighted, centred)
        self.sums = shift, total + weighted.sum(axis=0), products + more


def _h(derivatives: Array) -> Array:
    """The sum of the squares over the units, or over the draws."""
    squares = np.square(derivatives, dtype=np.float64)
    return squares[0] if len(squares) == 1 else np.asarray(squares.sum(axis=0))


def _weighted(values: Array, weights: Array) -> Array:
    """Sums over the rows, which are the second axis."""
    if weights.size == len(weights):
        return np.asarray(np.einsum("n,un...->u...", weights.ravel(), values))
    return np.asarray((values * weights).sum(axis=1))
