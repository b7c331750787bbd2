"""Flips: what a feature of few values would do to single predictions if it had another one."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from keras_sensitivity.definition import Definition
from keras_sensitivity.networks.network import Batch, Network
from keras_sensitivity.plan import Plan, filled_batches
from keras_sensitivity.rows.chunks import Chunk
from keras_sensitivity.swapping import Swapping
from keras_sensitivity.swaps import Column, Swaps, chosen, columns_by_feature

__all__ = ["Flips", "flips"]

Array = np.ndarray[Any, Any]


class Flips(NamedTuple):
    """What other values of features would change.

    Attributes:
        features: Their positions.
        other_values: For each the value that each row would have, shape (num_flipped, num_samples); None of groups.
        changes: Of what is differentiated, shape (num_flipped, num_samples, num_units).
    """

    features: tuple[int, ...]
    other_values: Array
    changes: Array


def flips(network: Network, plan: Plan[Any], definition: Definition, sample: Chunk) -> Flips | None:
    """Give each feature of few values its most common other value, in each row by itself.

    Args:
        network: What is explained.
        plan: Of the rows that are explained.
        definition: Only where it may swap any feature is one flipped.
        sample: Rows that tell which values are common.
    """
    if not definition.may_swap or network.fixed_batch_size is not None:
        return None
    few = dataclasses.replace(definition, change="auto", scale="path")  # others have no other value of which to speak
    features = chosen(few, plan.blocks, plan.features, sample)
    if not features:
        return None
    columns = columns_by_feature(plan.blocks, plan.features)
    rows = plan.rows.entries
    flipped = tuple(leaf.copy() for leaf in rows)
    others = np.full((len(features), len(rows[0])), None, dtype=object)
    for index, feature in enumerate(features):
        new = _flipped(columns[feature], rows, sample.leaves)
        start = 0
        for column in columns[feature]:
            view = column.of(flipped)
            view[:] = new[:, start : start + view.shape[1]]
            start += view.shape[1]
        if new.shape[1] == 1:
            others[index] = new[:, 0]
    swaps = Swaps([columns[feature] for feature in features], (), Chunk(flipped), is_own=False)
    every = list(filled_batches((np.arange(len(rows[0])), *rows), plan.batch_size))
    swapping = Swapping(network, plan, swaps, every[0][1:])
    changes = []
    for index, (some, *batch) in enumerate(every):
        with plan.naming_rows(index):
            before, *after = swapping.run(tuple(batch), np.ones(len(some)), some)
        changes.append(np.stack(after) - before)
    return Flips(features, others, np.concatenate(changes, axis=1)[:, : len(rows[0])])


def _flipped(columns: tuple[Column, ...], rows: Batch, sample: tuple[Array, ...]) -> Array:
    """For each row the most common values of the columns, and where it has these, the next, shape (n, num_values)."""
    seen, own = (
        np.concatenate([column.of(each) for column in columns], axis=1).astype(object) for each in (sample, rows)
    )
    known = list(map(tuple, seen[pd.notna(seen).all(axis=1)]))  # NaN is no other value
    common = _most_common(known or list(map(tuple, seen)))
    return np.array([common[-1] if tuple(row) == common[0] else common[0] for row in own], dtype=object)


def _most_common(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The two most common rows, in this order, of equally common ones the smaller first; one where all are equal."""
    counts = collections.Counter(rows)
    return sorted(counts, key=lambda row: (-counts[row], row))[:2]
