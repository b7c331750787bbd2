"""`Packing`: rows as the user has them, made of arrays again after some entries were moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from keras_sensitivity.networks.inputs import Inputs, Leaf
from keras_sensitivity.networks.network import Batch

__all__ = ["Packing"]

Array = np.ndarray[Any, Any]

# What dates are counted from, and in: as x is read.
DAY = pd.Timedelta(days=1)


class Packing:
    """How a function takes its rows: an array, a DataFrame, or a dict of these.

    A DataFrame of numbers is one input. One with words or categories has an input for each column, so that each keeps
    its type.

    Attributes:
        inputs: What the rows are read into.
        are_codes: For each input whether its values stand for something, so that there is nothing in between.
    """

    def __init__(self, x: Any) -> None:
        self._columns: pd.Index[Any] | None = None
        parts: Sequence[Any]
        if isinstance(x, pd.DataFrame) and not all(map(_is_plain, x.dtypes)):
            self._columns = x.columns
            names = list(map(str, x.columns))
            parts = [x.iloc[:, index] for index in range(x.shape[1])]
            leaves = [Leaf(name, (None, 1)) for name in names]
            structure: Any = {column: index for index, column in enumerate(x.columns)}
        elif isinstance(x, Mapping):
            names, parts = list(map(str, x)), list(x.values())
            leaves = [Leaf(name) for name in names]
            structure = {key: index for index, key in enumerate(x)}
        else:
            parts, leaves, structure = [x], [Leaf()], 0
        self.inputs = Inputs(tuple(leaves), structure)
        self.are_codes = tuple(map(_holds_codes, parts))
        self._forms = [_form(part) for part in parts]

    def __call__(self, leaves: Batch) -> Any:
        """The rows in their own types."""
        parts = [form(leaf) for form, leaf in zip(self._forms, leaves, strict=True)]
        if self._columns is None:
            return self.inputs.pack(parts)
        frame = pd.concat(parts, axis=1)
        frame.columns = self._columns
        return frame


def _is_plain(kind: Any) -> bool:
    return isinstance(kind, np.dtype) and kind.kind in "fiub"


def _holds_codes(part: Any) -> bool:
    kind = getattr(part, "dtype", None)
    return isinstance(kind, pd.CategoricalDtype) or (isinstance(part, pd.Series) and _is_text(kind))


def _is_text(kind: Any) -> bool:
    return pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)


def _form(part: Any) -> Callable[[Array], Any]:
    """From an array to what the function takes for this input."""
    if isinstance(part, pd.DataFrame):
        columns, kinds = part.columns, list(part.dtypes)
        if len(set(kinds)) == 1 and kinds[0].kind == "f":
            return lambda values: pd.DataFrame(values.astype(kinds[0], copy=False), columns=columns)

        def frame(values: Array) -> pd.DataFrame:
            found = pd.concat([_restored(each, kind) for each, kind in zip(values.T, kinds, strict=True)], axis=1)
            found.columns = columns
            return found

        return frame
    kind = getattr(part, "dtype", None)
    if isinstance(part, pd.Series):
        return lambda values: _restored(values.reshape(-1), kind)
    floating = kind if isinstance(kind, np.dtype) and kind.kind == "f" else None

    def array(values: Array) -> Array:
        return values if values.dtype == object else values.astype(floating or np.float64, copy=False)

    return array


def _restored(values: Array, kind: Any) -> pd.Series[Any]:
    """A column in its own type, if its values still fit in: between two integers there are only floats."""
    if isinstance(kind, pd.CategoricalDtype):
        return pd.Series(values).astype(kind)
    if _is_text(kind):
        words: pd.Series[Any] = pd.Series(values, dtype=kind)
        return words
    if pd.api.types.is_datetime64_any_dtype(kind):
        times = pd.to_datetime(values, unit="D", utc=True)
        return pd.Series(times.tz_convert(getattr(kind, "tz", None)))
    if pd.api.types.is_timedelta64_dtype(kind):
        return pd.Series(values * DAY)
    known = values[~np.isnan(values)]
    whole = bool((known == np.rint(known)).all())
    if pd.api.types.is_bool_dtype(kind):
        whole = bool(np.isin(known, (0, 1)).all())
    if pd.api.types.is_float_dtype(kind) or (whole and len(known) == len(values)):
        return pd.Series(values).astype(kind)
    return pd.Series(values)
