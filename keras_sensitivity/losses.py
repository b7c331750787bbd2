"""Loss changes: by how much the loss rises when a feature, or a probe, has the values of other rows.

    change[f] = mean over rows i of loss(y_i, f(x_i with feature f of row i')) - loss(y_i, f(x_i))

Permutation importance, Breiman (2001), *Random forests*; Fisher, Rudin, Dominici (2019), *All models are wrong, but
many are useful*; on the rows that are measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.moments import Means
from keras_sensitivity.networks.network import Network
from keras_sensitivity.plan import Plan
from keras_sensitivity.rows.reservoir import subset
from keras_sensitivity.rows.rows import Rows
from keras_sensitivity.swaps import Swaps, columns_by_feature

__all__ = ["LossChanges"]

Array = np.ndarray[Any, Any]

# Rows at the most: a look with labels takes a forward pass over them for each feature and each probe.
MOST_LOSS_ROWS = 1024


class LossChanges:
    """Losses after swaps, on the same rows at each look.

    Args:
        network: Whose losses.
        plan: The plan of the rows.
        rows: The rows that are measured.
        y: The labels of all rows of x, as for ``model.fit``.
    """

    def __init__(self, network: Network, plan: Plan[Any], rows: Rows, y: Any) -> None:
        if rows.num_rows is None or rows.positions is None or not rows.has_one_length:
            errors.refuse_labels_of_stream()
        if network.fixed_batch_size is not None:
            errors.refuse_labels_of_fixed_batches(network.fixed_batch_size)
        self._network = network
        self._plan = plan
        targets = network.targets(y)
        for each in targets:
            errors.check_labels_length(len(each), rows.num_seen)
        self._rows, chunk = rows.some(MOST_LOSS_ROWS)
        chosen = rows.positions[subset(len(rows.first), MOST_LOSS_ROWS)]
        self._targets = tuple(each[chosen] for each in targets)
        self._weights = chunk.row_weights
        columns = columns_by_feature(plan.blocks, plan.features)
        self._asked = [index for index, each in enumerate(columns) if each]
        self._swaps = Swaps([columns[index] for index in self._asked], (), chunk, is_own=True)
        self._num_features = len(columns)
        self.means()  # so that what can fail does so now

    def means(self) -> Means:
        """What a `Look` keeps: see "loss_changes" there."""
        num_probes, weights = self._plan.traced.num_probes, self._weights
        partners = self._swaps.partners(np.arange(len(weights)))
        batches = self._swaps.batches(self._rows, partners, self._plan.most_rows, num_probes=num_probes)
        losses = []
        for batch in batches:
            with_targets = (*batch, *self._targets)
            own, *after = self._network.loss_pass(with_targets, self._plan.question)(with_targets, weights)[0]
            losses += [each - own for each in after]
        errors.check_finite_losses(np.array(losses, float)[:, weights > 0])
        changes = np.average(np.array(losses, float), axis=1, weights=weights)[1:]  # the first swaps nothing
        found = np.full(self._num_features + num_probes, np.nan)
        found[self._asked] = changes[: len(self._asked)]
        found[self._num_features :] = changes[len(self._asked) :][:num_probes]
        return Means(np.asarray(weights.sum()), found)
