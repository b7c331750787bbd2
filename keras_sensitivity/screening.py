"""Screening: which of very many pairs of features can interact at all.

    bound[j, k] = variance of x_j * mean of sum over u of (g_uj(x) - g_uj(x_k'))**2 / 2

with g_uj the derivative with respect to feature j, at a row and at the same with feature k of another one. If k does
not change how sensitive the output is to j, the two do not interact. By the inequality of Poincaré it bounds the second
difference of independent features, where the variance stands for the constant of the distribution of x_j: that of a
normal distribution; others have another, so that it ranks, and bounds about. One pass, forward and backward, a feature
tells of all pairs with it.

Source: Roustant, Fruth, Iooss, Kuhnt (2014), *Crossed-derivative based sensitivity measures for interaction screening*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_sensitivity.features import Block
from keras_sensitivity.networks.network import Batch, Derivatives
from keras_sensitivity.plan import Plan, filled_batches
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.swaps import Column, Swaps

__all__ = ["bounds"]

Array = np.ndarray[Any, Any]


def bounds(
    plan: Plan[Derivatives],
    batch: Batch,
    chunk: Chunk,
    members: Sequence[tuple[Column, ...]],
    shared_out: Callable[[Array], Array],
) -> Array:
    """The bounds of all pairs, the larger of both ways, percent of the variance of the output; 0 on the diagonal.

    Args:
        plan: Of the derivatives of single rows.
        batch: Some rows.
        chunk: The same rows as they came, which swap among themselves.
        members: For each feature, or lag, its columns.
        shared_out: From numbers of shape (num_lags, num_entries) to one for each feature or lag, a sum.
    """
    swaps = Swaps(members, (), chunk, is_own=True)
    every = swaps.swapped(batch)
    weights = chunk.row_weights
    own = _derivatives(plan, next(every))
    spread = _spread(plan.blocks, own, weights)
    centred = own.predictions - np.average(own.predictions, axis=0, weights=weights)
    variance = np.average(np.square(centred).sum(axis=1), weights=weights)
    found = np.zeros((len(members), len(members)))
    for k, swapped in enumerate(every):
        other = _derivatives(plan, swapped)
        squares = [
            np.square(a.astype(float) - b).sum(axis=1).reshape(len(a), -1)
            for a, b in zip(own.gradients, other.gradients, strict=True)
        ]
        means = [np.average(each, axis=0, weights=weights) / 2 for each in squares]
        found[:, k] = shared_out(spread * _by_lag(plan.blocks, means))
    np.fill_diagonal(found, 0.0)
    return np.asarray(100 * np.maximum(found, found.T) / max(variance, np.finfo(float).tiny))


def _derivatives(plan: Plan[Derivatives], rows: Batch) -> Derivatives:
    """The derivatives of rows that are not the plan's own."""
    found = [plan.traced(batch, np.ones(plan.batch_size))[0] for batch in filled_batches(rows, plan.batch_size)]
    count = len(rows[0])
    every: Derivatives = keras.tree.map_structure(lambda *parts: np.concatenate(parts)[:count], *found)
    return every


def _spread(blocks: Sequence[Block], rows: Derivatives, weights: Array) -> Array:
    """The variance of each entry over rows and steps, shape (num_lags, num_entries)."""
    found = []
    for block, values in zip(blocks, rows.values, strict=True):
        by_step = np.nan_to_num(values.reshape(len(values), -1, block.num_entries).astype(float))
        mean = np.average(by_step, axis=0, weights=weights).mean(axis=0)
        variance = np.average(np.square(by_step - mean), axis=0, weights=weights).mean(axis=0)
        found.append(np.tile(variance, (block.num_lags or 1, 1)).ravel())
    return _by_lag(blocks, found)


def _by_lag(blocks: Sequence[Block], parts: Sequence[Array]) -> Array:
    """Numbers of each part in the input's order of time, the newest step first, beside each other."""
    most = max(block.num_lags or 1 for block in blocks)
    by_lag = [part.reshape(block.num_lags or 1, -1)[::-1] for block, part in zip(blocks, parts, strict=True)]
    return np.concatenate([np.pad(each, ((0, most - len(each)), (0, 0))) for each in by_lag], axis=1)
