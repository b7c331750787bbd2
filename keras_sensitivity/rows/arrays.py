"""The numbers, or the words, that stand in an array, a tensor or a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors

__all__ = ["as_array", "columns_of"]

Array = np.ndarray[Any, Any]


def as_array(x: Any, name: str = "", *, text: bool = False) -> tuple[list[str] | None, Array]:
    """Column names, where x has some, and its values: numbers, or strings where ``text`` allows them."""
    if isinstance(x, pd.Series):
        x = x.to_frame(name=(name or "x0") if x.name is None else x.name)
        return (None if name else columns_of(x)), as_array(x, name, text=text)[1][:, 0]
    if isinstance(x, pd.DataFrame):
        return columns_of(x), _frame_values(x, name, text)
    if hasattr(x, "row_splits"):  # a RaggedTensor, or its value out of a data set
        errors.refuse_ragged()
    errors.check_array(x)
    try:
        values = np.asarray(x)
    except ValueError:  # lists of different lengths
        errors.refuse_ragged()
    if text and values.dtype.kind in "OUS":
        return None, _strings(values.astype(object), name)
    if values.dtype == object:
        errors.refuse_ragged()
    if values.dtype.kind not in "fiub" and values.dtype.name != "bfloat16":
        errors.check_numeric({name or "x": values.dtype})
    return None, values


def _frame_values(x: pd.DataFrame, name: str, text: bool) -> Array:
    """The values of a DataFrame; a category stands for its value, never for its number."""
    # Two columns may have the same name; the kinds are those of the columns one by one.
    kinds = [kind.categories.dtype if isinstance(kind, pd.CategoricalDtype) else kind for kind in x.dtypes]
    words = {str(column): kind for column, kind in zip(x.columns, kinds, strict=True) if not _is_numeric(kind)}
    if words and text:
        return _strings(x.to_numpy(dtype=object), name)
    errors.check_numeric(words)
    values = x.to_numpy()
    # Nullable types, categories, and booleans beside numbers, make an array of objects.
    return x.to_numpy(dtype="float64", na_value=np.nan) if values.dtype == object else values


def _strings(values: Array, name: str) -> Array:
    if not all(isinstance(value, (str, bytes)) for value in values.flat):
        errors.refuse_missing_text(name or "x")
    words = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values.flat]
    return np.array(words, dtype=object).reshape(values.shape)


def columns_of(x: Any) -> list[str] | None:
    """The names of the columns of a DataFrame, None of anything else."""
    return [str(column) for column in x.columns] if isinstance(x, pd.DataFrame) else None


def _is_numeric(kind: Any) -> bool:
    return pd.api.types.is_any_real_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)
