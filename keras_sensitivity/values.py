"""Which values a column has."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["FEW_VALUES", "few_values", "has_few_values"]

Array = np.ndarray[Any, Any]

# A column of at most so many different values has nothing in between: a network's slope there is an accident.
FEW_VALUES, ROWS_OF_A_VALUE = 32, 4


def has_few_values(values: Array) -> bool:
    """Whether a column has few values, each of which several rows share.

    >>> has_few_values(np.arange(100.0) % 10), has_few_values(np.arange(100.0))
    (True, False)
    """
    few = min(FEW_VALUES, values.size // ROWS_OF_A_VALUE)
    # The first rows tell at once of most columns that they have more.
    return all(len(np.unique(part)) <= few for part in (values[: 4 * FEW_VALUES], values))


def few_values(values: Array) -> Array | None:
    """The values of a column of numbers that has few, but more than one, in ascending order; else None.

    >>> few_values(np.arange(100.0) % 3)
    array([0., 1., 2.])
    """
    if not has_few_values(values):
        return None
    found = np.unique(values[~np.isnan(values)])
    return found if len(found) > 1 else None
