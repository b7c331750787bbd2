"""`Swapping`: swaps, and the pass of a network that runs them."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_sensitivity.networks.network import Batch, Network
from keras_sensitivity.plan import Plan
from keras_sensitivity.swaps import Swaps, Tally

__all__ = ["Swapping"]

Array = np.ndarray[Any, Any]


class Swapping:
    """Swaps, and the pass that runs them.

    Args:
        network: Whose pass it is.
        plan: The plan of the rows.
        swaps: The swaps.
        rows: A batch, of which all others have the shape.
    """

    def __init__(self, network: Network, plan: Plan[Any], swaps: Swaps, rows: Batch) -> None:
        self._network = network
        self._plan = plan
        self._swaps = swaps
        self._example = next(swaps.batches(rows, swaps.partners(np.arange(len(rows[0]))), plan.most_rows))
        self.renew()

    def renew(self) -> None:
        """Ask the network for the pass as it is now."""
        self._outputs = self._network.swap_pass(self._example, self._plan.question)

    def tally(self) -> Tally:
        """For the swaps of a look."""
        return Tally(self._swaps, self._outputs, self._plan.most_rows)

    def run(self, rows: Batch, weights: Array, partners: Array) -> Array:
        """What the network returns: see `Swaps.run`."""
        return self._swaps.run(self._outputs, rows, weights, partners, self._plan.most_rows)
