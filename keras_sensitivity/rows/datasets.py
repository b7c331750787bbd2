"""Data sets of Ray, whose rows may be on many machines: what a batch of them is for a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors

__all__ = ["element_of", "is_dataset"]

Array = np.ndarray[Any, Any]


def is_dataset(x: Any) -> bool:
    """Whether x is a `ray.data.Dataset`; Ray is not imported to know it."""
    return type(x).__module__.partition(".")[0] == "ray" and hasattr(x, "map_batches")


def element_of(batch: Mapping[str, Array], weights: str | None) -> tuple[Any, Array | None]:
    """The rows of a batch as `measure` takes them, and their weights.

    A table is a DataFrame, a single column of arrays is that array, and several are a dict.

    Args:
        batch: The columns by their names, as Ray has them.
        weights: The name of the column of weights, or None.
    """
    columns = dict(batch)
    if weights is not None and weights not in columns:
        errors.refuse_weight_column(weights, list(columns))
    of_rows = None if weights is None else columns.pop(weights)
    if all(values.ndim == 1 for values in columns.values()):
        return pd.DataFrame(columns), of_rows
    return (next(iter(columns.values())) if len(columns) == 1 else columns), of_rows
