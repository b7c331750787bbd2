"""Tables of any library, and the numbers that columns of numbers, dates, booleans or objects stand for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_pandas", "columns_of", "holds_words", "numbers_of"]

Array = np.ndarray[Any, Any]

# What dates are counted from.
EPOCH, DAY = pd.Timestamp(0, tz="UTC"), pd.Timedelta(days=1)

# How pandas calls objects that are dates, or durations.
DATES, DURATIONS = {"date", "datetime", "datetime64"}, {"timedelta", "timedelta64"}


def as_pandas(x: Any) -> Any:
    """A table or column of another library, such as polars or pyarrow, as pandas has it; anything else as it is."""
    if isinstance(x, (np.ndarray, pd.DataFrame, pd.Series, Mapping, type)) or getattr(x, "ndim", 2) != 2:
        return x
    if callable(getattr(x, "to_pandas", None)):
        try:
            found = x.to_pandas()
        except ImportError:  # polars asks for pyarrow
            found = _interchanged(x)
    else:
        found = _interchanged(x)
    is_unnamed = found is not x and isinstance(getattr(found, "columns", None), pd.RangeIndex)
    return found.to_numpy() if is_unnamed else found


def _interchanged(x: Any) -> Any:
    """A table that keeps the protocol of tables, as pandas has it; anything else as it is."""
    if not hasattr(x, "__dataframe__"):
        return x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the protocol is deprecated, and some libraries have no other yet
        return pd.api.interchange.from_dataframe(x)


def columns_of(x: Any) -> list[str] | None:
    """The names of the columns of a table of any library, None of anything else."""
    x = as_pandas(x)
    return [str(column) for column in x.columns] if isinstance(x, pd.DataFrame) else None


def holds_words(column: pd.Series[Any]) -> bool:
    """Whether a column has a string."""
    kind = column.dtype
    kind = kind.categories.dtype if isinstance(kind, pd.CategoricalDtype) else kind
    if not pd.api.types.is_object_dtype(kind):
        return pd.api.types.is_string_dtype(kind)
    return any(isinstance(value, (str, bytes)) for value in column)


def numbers_of(values: Any) -> Array | None:
    """What a column, or an array of any shape, stands for; None where that is no number.

    Numbers are themselves, also as objects or digits; False and True 0 and 1; dates and times days since 1970-01-01
    (UTC); durations days. What is missing is NaN.

    >>> numbers_of(np.array(["2020-01-02T12", "NaT"], "datetime64[h]")).tolist()
    [18263.5, nan]
    >>> numbers_of(pd.Series([True, None, False])).tolist()
    [1.0, nan, 0.0]
    >>> numbers_of(pd.Series(["red", "blue"]))
    """
    if isinstance(values, pd.Series):
        numeric = pd.api.types.is_any_real_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)
        values = values.to_numpy() if numeric else np.asarray(values)
    if values.dtype.kind in "fiub":
        return np.asarray(values)
    if values.dtype.kind not in "OUSMm":
        return None
    flat = values.ravel()
    known = np.asarray(pd.notna(flat))
    found = np.full(len(flat), np.nan)
    try:
        found[known] = _known_numbers(flat[known])
    except (TypeError, ValueError, OverflowError):  # words, complex numbers, dates beyond all calendars
        return None
    return found.reshape(values.shape)


def _known_numbers(values: Array) -> Any:
    kind = pd.api.types.infer_dtype(values, skipna=False)
    if kind == "period":
        return (pd.PeriodIndex(values).to_timestamp().tz_localize("UTC") - EPOCH) / DAY
    if kind in DATES:
        return (pd.to_datetime(values, utc=True) - EPOCH) / DAY
    if kind in DURATIONS:
        return pd.to_timedelta(values) / DAY
    return [float(value) for value in values]
