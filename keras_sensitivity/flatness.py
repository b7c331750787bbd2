"""Rows whose derivatives are all exactly 0, and why: a final softmax or sigmoid is saturated, or what is before it."""

from __future__ import annotations

import collections
import dataclasses
import sys
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity.networks.network import Batch, Network, Question, SeenRows
from keras_sensitivity.plan import Plan, filled_batches

__all__ = ["FlatHeads", "Shares", "dead_rows"]

Array = np.ndarray[Any, Any]


class Shares(NamedTuple):
    """Of each head, "" of an only one, the part of the rows that are flat.

    Attributes:
        saturated: Because the final softmax or sigmoid is.
        dead: Because what goes into it is, too.
    """

    saturated: dict[str, float]
    dead: dict[str, float]


class FlatHeads:
    """Counts the flat rows of each head that ends in a softmax or sigmoid, batch by batch.

    Args:
        network: What is looked at.
        plan: The plan of the look.
    """

    def __init__(self, network: Network, plan: Plan[Any]) -> None:
        self._network = network
        self._plan = plan
        self._flat: collections.Counter[str] = collections.Counter()
        self._num_rows = 0

    @property
    def _are_several(self) -> bool:
        """Whether a head that ends so is one of several."""
        traced = self._plan.traced
        return any(len(units) < len(traced.units) for units in traced.activated.values())

    def add(self, rows: SeenRows | None, weights: Array) -> None:
        """Count a batch; where the units of single rows are not at hand, `shares` looks at a batch again."""
        traced = self._plan.traced
        if rows is None or traced.num_draws is not None or not self._are_several:
            return
        count = rows.derivatives.shape[-1] - traced.num_probes
        self._num_rows += int(np.count_nonzero(weights))
        for head, units in traced.activated.items():
            is_flat = ~rows.derivatives[list(units), ..., :count].any(axis=(0, 2, 3))
            self._flat[head] += int(np.count_nonzero(is_flat & (weights > 0)))

    def shares(self, flat_part: float, least: float) -> Shares:
        """Of heads of which a larger part of the rows than ``least`` is flat; ``flat_part`` is that of all heads."""
        activated = self._plan.traced.activated
        if not activated or (flat_part <= least and not self._are_several):
            return Shares({}, {})
        if not self._are_several:
            flat = {"": flat_part}
        elif self._num_rows:
            flat = {head: self._flat[head] / self._num_rows for head in activated}
        else:
            flat = {head: self._flat_part(head, logits=False) for head in activated}
        flat = {head: share for head, share in flat.items() if share > least}
        dead = {head: self._flat_part(head, logits=True) for head in flat}
        saturated = {head: max(0.0, share - dead[head]) for head, share in flat.items()}
        return Shares(*({head: share for head, share in each.items() if share > least} for each in (saturated, dead)))

    def _flat_part(self, head: str, *, logits: bool) -> float:
        """The part of the rows of a batch that are flat in one head, or in what goes into its softmax or sigmoid."""
        batch, question = self._plan.first_batch, _question(self._plan, head, logits)
        with self._plan.naming_features():
            seen, _ = self._network.look_pass(batch, question)(batch, np.ones(len(batch[0])))
        return float(seen.look["flat"].total / seen.look["samples"].total)


def dead_rows(network: Network, plan: Plan[Any], rows: Batch) -> Array:
    """Whether the derivatives of what goes into the final softmax or sigmoid are all 0, too, shape (num_rows,)."""
    question = _question(plan, "", logits=True)
    count, size = len(rows[0]), min(plan.batch_size, len(rows[0]) if network.fixed_batch_size is None else sys.maxsize)
    found = []
    for batch in filled_batches(rows, size):
        with plan.naming_features():
            derivatives, _ = network.row_pass(batch, question)(batch, np.ones(size))
        found.append(~np.any([each.reshape(size, -1).any(axis=1) for each in derivatives.gradients], axis=0))
    return np.concatenate(found)[:count]


def _question(plan: Plan[Any], head: str, logits: bool) -> Question:
    """What the plan asks, of one head of several, and maybe of what goes into its softmax or sigmoid."""
    definition = plan.question.definition
    output = head or None if definition.output is None else definition.output
    return plan.question._replace(definition=dataclasses.replace(definition, logits=logits, scale=None, output=output))
