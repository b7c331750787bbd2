"""Second differences: what two features do together when both, one, or none of them have the values of another row.

    D[j, k] = mean over rows i of sum over u of (f_u(x) - f_u(x_j') - f_u(x_k') + f_u(x_jk'))**2 / 4

where x is row i, x_j' the same with feature j of row i', and x_jk' with both. Over the variance of the output it is the
total interaction index, the part of the variance of all effects in which both take part: Liu and Owen (2006),
*Estimating mean dimensionality of analysis of variance decompositions*; Fruth, Roustant, Kuhnt (2014), *Total
interaction index*. It needs no derivatives, so it is right for networks of straight pieces, codes and steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity import shares
from keras_sensitivity.networks.network import Network
from keras_sensitivity.plan import Plan, with_progress
from keras_sensitivity.rows.rows import Rows
from keras_sensitivity.swapping import Swapping
from keras_sensitivity.swaps import Column, Swaps

__all__ = ["Indices", "second_differences"]

Array = np.ndarray[Any, Any]
Members = tuple[Column, ...]
Pair = tuple[int, int]

# Numbers that are returned for a batch of rows, and all that is swapped of them, at the most: 256 MB.
MOST_NUMBERS = 2**25


class Indices(NamedTuple):
    """Percent of the variance of the output, and standard errors.

    Attributes:
        total: What each feature moves in all, shape (2, num_features): the values, and their standard errors.
        joint: What each pair moves jointly, shape (2, num_pairs).
    """

    total: Array
    joint: Array


def second_differences(
    network: Network,
    plan: Plan[Any],
    rows: Rows,
    *,
    members: Sequence[Members],
    pairs: Sequence[Pair],
    progress: bool = False,
) -> Indices:
    """The indices of some features and pairs of them.

    Args:
        network: What is asked.
        plan: Its plan.
        rows: The rows, which swap among themselves.
        members: For each feature its columns.
        pairs: Positions of two features each.
        progress: Whether there is a bar.
    """
    first, second = np.array(pairs, int).reshape(-1, 2).T
    together = [(*members[j], *members[k]) for j, k in pairs]
    swaps = Swaps([*members, *together], (), rows.first, is_own=True)
    size = max(1, MOST_NUMBERS // ((1 + len(members) + len(pairs)) * len(plan.units)))
    size = network.fixed_batch_size or min(plan.batch_size, size)
    swapping = Swapping(network, plan, swaps, rows.first_batch(size)[0])
    outputs, weights, changes, exist = [], [], [], []
    batches = rows.batches(size)
    for index, (batch, of_rows) in enumerate(
        with_progress(batches, math.ceil(len(rows.first) / size)) if progress else batches
    ):
        positions = np.arange(index * size, (index + 1) * size)
        found = []
        for shift in swaps.shifts:
            partners = swaps.partners(positions, shift)
            with plan.naming_rows(index, size):
                own, *after = swapping.run(batch, of_rows, partners)
            alone, both = np.stack(after)[: len(members)], np.stack(after)[len(members) :]
            squares = np.concatenate(
                [np.square(own - alone) / 2, np.square(own - alone[first] - alone[second] + both) / 4]
            ).sum(axis=2)
            # A swap of codes may leave a row of which everything is masked, and no output.
            are_there = np.isfinite(squares) * swaps.pool.row_weights[partners] / swaps.mean_weight
            found.append((np.where(are_there > 0, squares, 0.0) * are_there, are_there))
        each = np.mean(found, axis=0)
        outputs.append(own)
        weights.append(of_rows)
        changes.append(each[0].T)
        exist.append(each[1].T)
    every = (np.concatenate(each)[: len(rows.first)] for each in (outputs, weights, changes, exist))
    shifted = [swaps.partners(np.arange(len(rows.first)), shift) for shift in swaps.shifts]
    of_variance = _parts_of_variance(*every, partners=shifted)
    return Indices(of_variance[:, : len(members)], of_variance[:, len(members) :])


def _parts_of_variance(
    outputs: Array, weights: Array, changes: Array, exist: Array, *, partners: Sequence[Array]
) -> Array:
    """Percent of the variance of the outputs, and standard errors by the delta method, shape (2, num_changes).

    With D a mean change and V the variance of the outputs, ``d (D / V) = (d D - D / V * d V) / V``. A row takes part in
    the change of its own and in those of the rows whose partner it is, so their products count, too.
    """
    total = weights.sum()
    mean = shares.quotient(weights @ changes, weights @ exist)
    centred = np.square(outputs - weights @ outputs / total).sum(axis=1)
    variance = weights @ centred / total
    ratio = shares.quotient(mean, variance)
    influence = weights[:, None] * (changes - mean * exist - ratio * (centred - variance)[:, None])
    others = np.sum([influence[each] for each in partners], axis=0)
    square = (influence * (influence + 2 * others)).sum(axis=0)
    error = shares.quotient(np.sqrt(np.maximum(square, 0)), total * variance)
    return np.asarray(100 * np.stack([ratio, error]))
