"""Weighted sums over rows whose derivatives are at hand, whatever network they are of: in NumPy, in float64.

On a CPU that is as fast as on the device, where each of some sixty operations would have to be traced, for every model
anew. Wide rows of a Keras model, of which no more than sums come back, are summed up there: `keras_tf.sums`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity.look import Look
from keras_sensitivity.moments import Count, CrossMoments, Mergeable, Moments, blocks, product

__all__ = ["CROSS_ENTRIES", "Rows", "Sums"]

Array = np.ndarray[Any, Any]

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 256


class Rows(NamedTuple):
    """The derivatives of a batch of a look, where a row has not too many.

    Attributes:
        reached: Whether each row has a step that is not masked.
        outputs: What is differentiated, shape (batch_size, num_units).
        values: Of the entries, shape (batch_size, num_lags, num_entries).
        valid: 1.0 where a row has an entry, broadcastable to the values; () if every row has every entry.
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
        inputs = _PowerSums(rows.values, present)
        outputs = _PowerSums(rows.outputs[:, None], weights[:, None, None])
        num_flat: Any = 0
        for part in blocks(len(weights), rows.values[0].size):
            inputs.add(part)
            outputs.add(part)
            h = derivatives.add(part)[..., of_inputs]
            num_flat += np.count_nonzero((_row_sums(h) == 0) & (weights[part] > 0))
            if same_step is not None:
                h = same_step.add(part)[..., of_inputs]
            if len(rows.valid):
                h = h * rows.valid[part, :, of_inputs]
            squares.add(h.reshape(len(h), -1), weights[part])
        return cls(
            reached=rows.reached,
            num_samples=np.count_nonzero(weights),
            num_flat=num_flat,
            weight=np.array([weights.sum()]),
            weight_squares=np.array([np.square(weights).sum()]),
            lag_weights=np.broadcast_to(present.sum(axis=0), (rows.values.shape[1], present.shape[2])),
            derivatives=derivatives.sums,
            same_step=() if same_step is None else same_step.sums,
            inputs=inputs.sums,
            outputs=tuple(each[0] for each in outputs.sums),
            squares=squares.sums,
            output_rows=rows.outputs,
        )

    def look(self, num_probes: int = 0) -> Look:
        """The look at the batch; of the entries the last are those of probes."""
        derivatives, probes = Moments.from_sums(self.lag_weights, *self.derivatives).split(num_probes)
        inputs, noise = Moments.from_sums(self.lag_weights, *self.inputs).split(num_probes)
        moments: dict[str, Mergeable] = {
            "samples": Count(int(self.num_samples)),
            "flat": Count(int(self.num_flat)),
            "derivatives": derivatives,
            "inputs": inputs,
            "outputs": Moments.from_sums(self.weight, *self.outputs),
            "squares": CrossMoments.from_sums(self.weight, self.weight_squares, *self.squares),
        }
        if self.same_step:
            moments["same_step"] = Moments.from_sums(self.lag_weights, *self.same_step).split(num_probes)[0]
        if probes is not None and noise is not None:
            moments |= {"probes": probes, "noise": noise}
        return Look(moments)


class _PowerSums:
    """Weighted sums of what differs from the first row, and of its squares, shape (num_lags, num_entries).

    Args:
        values: Shape (batch_size, num_lags, num_entries).
        weights: Of the rows, broadcastable to the values.
    """

    def __init__(self, values: Array, weights: Array) -> None:
        self._values, self._weights = values, weights
        self._shift = values[0].astype(np.float64)
        self._total, self._squares = np.zeros_like(self._shift), np.zeros_like(self._shift)

    def add(self, rows: slice) -> Array:
        """Add some rows; returns their values, which nobody else holds."""
        values, weights = self._values[rows].astype(np.float64), self._weights[rows]
        centred = values - self._shift
        self._total += _weighted(centred, weights)
        self._squares += _weighted(np.square(centred, out=centred), weights)
        return values

    @property
    def sums(self) -> tuple[Array, Array, Array]:
        """Shift, sums, and sums of squares."""
        return self._shift, self._total, self._squares


class _UnitSums:
    """Those of the derivatives of each unit, shape (num_units, num_lags, num_entries)."""

    def __init__(self, derivatives: Array, weights: Array) -> None:
        self._units = [_PowerSums(of_unit, weights) for of_unit in derivatives]

    def add(self, rows: slice) -> Array:
        """Add some rows; returns their h, the sum of the squares over the units."""
        return _sum_of_squares(unit.add(rows) for unit in self._units)

    @property
    def sums(self) -> tuple[Array, ...]:
        """Shift, sums, and sums of squares."""
        return tuple(map(np.stack, zip(*(unit.sums for unit in self._units), strict=True)))


class _SignSums:
    """The same of random signs, which mean nothing one by one: of a single unit, whose square is h and whose mean 0."""

    def __init__(self, derivatives: Array, weights: Array) -> None:
        self._draws, self._weights = derivatives, weights
        self._squares = np.zeros(derivatives[:1, 0].shape)

    def add(self, rows: slice) -> Array:
        """Add some rows; returns their h, the sum of the squares over the draws."""
        h = _sum_of_squares(draw[rows].astype(np.float64) for draw in self._draws)
        self._squares += _weighted(h, self._weights[rows])
        return h

    @property
    def sums(self) -> tuple[Array, ...]:
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
        if values.shape[1] > CROSS_ENTRIES:
            more = _weighted(np.square(centred), weights[:, None])
        elif (weights == 1).all():
            more = product(centred, centred)
        else:
            more = product(centred * weights[:, None], centred)
        self.sums = shift, total + _weighted(centred, weights[:, None]), products + more


def _sum_of_squares(arrays: Iterable[Array]) -> Array:
    """The sum of the squares of arrays, which are used up."""
    return functools.reduce(operator.iadd, (np.square(values, out=values) for values in arrays))


def _row_sums(values: Array) -> Array:
    """The sum of each row: a product with ones, for NumPy sums up short rows one by one."""
    wide = values.reshape(len(values), -1)
    return np.asarray(wide @ np.ones(wide.shape[1]))


def _weighted(values: Array, weights: Array) -> Array:
    """Sums over the rows, weights of one value for a row taken as a vector."""
    if weights.size == len(weights):
        return np.asarray(weights.ravel() @ values.reshape(len(values), -1)).reshape(values.shape[1:])
    return np.asarray((values * weights).sum(axis=0))
