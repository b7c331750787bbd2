"""How many rows a look takes, where one at all of them would cost a good part of an epoch.

It is computed from sizes, not from times, so that the same fit measures the same rows on every machine and every day.
"""

from __future__ import annotations

from keras_sensitivity.definition import Definition
from keras_sensitivity.networks.network import Network
from keras_sensitivity.rows.rows import Rows

__all__ = ["MOST_ROWS", "affordable_rows"]

# Rows of a look at the most, unless the user says another number, and at the least, if there are so many: the standard
# errors of shares at fewer are several percentage points.
MOST_ROWS, FEWEST_ROWS = 4096, 256

# What a look may cost: a part of an epoch, or so many numbers of the network, which take some 10 ms.
PART, FREE = 0.05, 2**22

# An epoch is taken to pass once through the rows of x, in Keras' default batches. A step has three passes, forward,
# and backward to the weights and to the layers; besides it takes Keras as long as so many numbers.
STEP_ROWS, STEP_PASSES, STEP_NUMBERS = 32, 3, 2**20


def affordable_rows(network: Network, rows: Rows, definition: Definition) -> int:
    """How many rows a look may take.

    Args:
        network: What is looked at.
        rows: As many as there are, up to `MOST_ROWS`.
        definition: What is differentiated.
    """
    numbers = network.floats_per_row([leaf.shape[1:] for leaf in rows.first.leaves], keeps_rows=False)
    epoch = rows.num_seen * (STEP_NUMBERS / STEP_ROWS + STEP_PASSES * numbers)
    return max(FEWEST_ROWS, int(max(2 * FREE, PART * epoch) / (numbers * network.num_passes(definition))))
