"""The numbers, or the words, that stand in an array, a tensor or a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.rows.sparse import sparse_rows
from keras_sensitivity.rows.tables import as_pandas, columns_of, holds_words, numbers_of

__all__ = ["as_array"]

Array = np.ndarray[Any, Any]


def as_array(x: Any, name: str = "", *, text: bool = False) -> tuple[list[str] | None, Any]:
    """Column names, where x has some, and its values: numbers, or strings where ``text`` allows them.

    The values are an array, or `SparseRows` where x is sparse.
    """
    x = as_pandas(x)
    sparse = sparse_rows(x)
    if sparse is not None:
        return columns_of(x), sparse
    if isinstance(x, pd.Series):
        x = x.to_frame(name=(name or "x0") if x.name is None else x.name)
        return (None if name else columns_of(x)), as_array(x, name, text=text)[1][:, 0]
    if isinstance(x, pd.DataFrame):
        return columns_of(x), _frame_values(x, name, text)
    if hasattr(x, "row_splits"):  # a RaggedTensor, or its value out of a data set
        errors.refuse_ragged()
    errors.check_array(x)
    return None, _array_values(x, name, text)


def _array_values(x: Any, name: str, text: bool) -> Array:
    if np.ma.is_masked(x):  # an ordinary array forgets what is masked
        x = np.ma.filled(x.astype(float), np.nan)
    try:
        values = np.asarray(x)
    except ValueError:  # lists of different lengths
        errors.refuse_ragged()
    if values.dtype.kind in "fiub" or values.dtype.name == "bfloat16":
        return values
    objects = values.astype(object) if values.dtype.kind in "US" else values
    if text and values.dtype.kind in "OUS" and any(isinstance(value, (str, bytes)) for value in objects.flat):
        return _strings(objects, name)
    if any(isinstance(value, (list, tuple, np.ndarray)) for value in objects.flat):
        errors.refuse_ragged()
    numbers = numbers_of(objects)
    if numbers is None:
        errors.check_numeric({name or "x": values.dtype})
    return np.asarray(numbers)


def _frame_values(x: pd.DataFrame, name: str, text: bool) -> Array:
    """The values of a DataFrame; a category stands for its value, never for its number."""
    values = x.to_numpy() if all(isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in x.dtypes) else None
    if values is not None and values.dtype != object:  # booleans beside numbers make an array of objects
        return values
    # Two columns may have the same name, so they are asked one by one.
    columns = [x.iloc[:, index] for index in range(x.shape[1])]
    if text and any(map(holds_words, columns)):
        return _strings(x.to_numpy(dtype=object), name)
    found = [numbers_of(column) for column in columns]
    named = zip(x.columns, x.dtypes, found, strict=True)
    errors.check_numeric({str(column): kind for column, kind, numbers in named if numbers is None})
    numbers = [each for each in found if each is not None]
    return np.column_stack(numbers) if len({each.dtype for each in numbers}) == 1 else np.column_stack(numbers) * 1.0


def _strings(values: Array, name: str) -> Array:
    if not all(isinstance(value, (str, bytes)) for value in values.flat):
        errors.refuse_missing_text(name or "x")
    words = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values.flat]
    return np.array(words, dtype=object).reshape(values.shape)
