"""What the user passes as x -> batches of one fixed shape with 0/1 row weights, and the names of the features."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from keras_sensitivity import _checks, _models

__all__ = ["Features", "Rows", "as_array", "as_rows", "columns_of"]

Array = np.ndarray[Any, Any]

# Entries that are looked at for NaN at one time.
FINITE_BLOCK = 2**20


@dataclasses.dataclass(frozen=True)
class Features:
    """Which columns of x make up which feature.

    Attributes:
        columns: Names of the columns of x, shape (num_columns,).
        names: Names of the features, in the order of their first columns, shape (num_features,).
        membership: For each column the index of its feature, shape (num_columns,).
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    membership: tuple[int, ...]

    @classmethod
    def of(cls, columns: Sequence[str], groups: Mapping[str, Sequence[str]] | None = None) -> Features:
        """The columns themselves, but for those that ``groups`` puts together under a new name.

        >>> Features.of(["red", "age", "blue"], {"colour": ["red", "blue"]})
        Features(columns=('red', 'age', 'blue'), names=('colour', 'age'), membership=(0, 1, 0))
        """
        if groups is not None:
            _checks.groups(groups, columns)
        group_of = {member: group for group, members in (groups or {}).items() for member in members}
        owners = [group_of.get(column, column) for column in columns]
        names = tuple(dict.fromkeys(owners))
        position = {name: index for index, name in enumerate(names)}
        return cls(tuple(columns), names, tuple(position[owner] for owner in owners))

    @property
    def are_columns(self) -> Array:
        """Whether each feature is a single column, shape (num_features,)."""
        return np.asarray(np.bincount(self.membership) == 1)

    def sum(self, columns: Array) -> Array:
        """Sums over the columns of each feature: shape (..., num_columns) -> (..., num_features).

        >>> Features.of(["red", "age", "blue"], {"colour": ["red", "blue"]}).sum(np.array([1.0, 2.0, 3.0]))
        array([4., 2.])
        """
        if len(self.names) == len(self.columns):
            return columns
        sums: Array = np.zeros((*columns.shape[:-1], len(self.names)))
        np.add.at(np.moveaxis(sums, -1, 0), np.array(self.membership), np.moveaxis(columns, -1, 0))
        return sums


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Rows to measure, of which every number is finite.

    Attributes:
        entries: Shape (num_samples, *row_shape), of any numeric type: a batch is cast when it is taken, so that no
            second copy of all rows is ever made.
        positions: Where each row stands in the user's x, shape (num_samples,).
        features: Names and groups of the columns.
        num_lags: Time steps; None without a time axis.
        dtype: The model's floating-point type.
    """

    entries: Array
    positions: Array
    features: Features
    num_lags: int | None
    dtype: str

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return tuple(self.entries.shape[1:])

    def num_batches(self, batch_size: int) -> int:
        """How many batches `batches` yields."""
        return math.ceil(len(self.entries) / batch_size)

    def batches(self, batch_size: int) -> Iterator[tuple[Array, Array]]:
        """Batches of shape (batch_size, *row_shape) with row weights of shape (batch_size,).

        All have one shape, because XLA compiles anew for every other one. The last is filled up with copies of its
        last row, where any model is defined as well as at that row; they weigh 0.
        """
        for start in range(0, len(self.entries), batch_size):
            batch = self.entries[start : start + batch_size].astype(self.dtype, copy=False)
            missing = batch_size - len(batch)
            weights = np.ones(batch_size, dtype=self.dtype)
            if missing:
                weights[len(batch) :] = 0
                batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
            yield np.ascontiguousarray(batch), weights


def as_rows(
    x: Any,
    model: keras.Model,
    *,
    feature_names: Sequence[str] | None,
    groups: Mapping[str, Sequence[str]] | None,
    num_samples: int | None,
    mode: str,
) -> Rows:
    """Check ``x`` against the model and the names, and draw the rows to measure."""
    columns, values = as_array(x)
    _checks.some_rows(len(values))
    _checks.row_shape(values.shape, _models.batch_shape(model))
    num_lags = values.shape[1] if mode != "static" and (values.ndim in (3, 5) or mode != "auto") else None
    row_shape = values.shape[1:] if num_lags is None else values.shape[2:]
    num_columns = math.prod(row_shape)
    if feature_names is not None:
        _checks.feature_names(feature_names, num_columns)
        columns = list(feature_names)
    elif columns is None or num_lags is not None:
        columns = _default_names(row_shape)
    _checks.unique_names("x", columns)
    features = Features.of(columns, groups)
    positions = _subset(len(values), num_samples)
    entries = values if len(positions) == len(values) else values[positions]
    rows = Rows(entries, positions, features, num_lags, _float_type(model))
    _check_finite(rows)
    return rows


def as_array(x: Any) -> tuple[list[str] | None, Array]:
    """Column names, where x has some, and its values, of a numeric type."""
    if isinstance(x, pd.Series):
        x = x.to_frame(name="x0" if x.name is None else x.name)
    if isinstance(x, pd.DataFrame):
        names = columns_of(x) or []
        _checks.numeric({name: kind for name, kind in zip(names, x.dtypes, strict=True) if not _is_numeric(kind)})
        values = x.to_numpy()
        # Nullable types, and booleans beside numbers, make an array of objects.
        return names, x.to_numpy(dtype="float64", na_value=np.nan) if values.dtype == object else values
    if hasattr(x, "row_lengths"):  # a RaggedTensor
        _checks.ragged()
    _checks.array(x)
    try:
        values = np.asarray(x)
    except ValueError:  # lists of different lengths
        _checks.ragged()
    if values.dtype == object:
        _checks.ragged()
    if values.dtype.kind not in "fiub" and values.dtype.name != "bfloat16":
        _checks.numeric({"x": values.dtype})
    return None, values[:, None] if values.ndim == 1 else values


def columns_of(x: Any) -> list[str] | None:
    """The names of the columns of a DataFrame, None of anything else."""
    return [str(column) for column in x.columns] if isinstance(x, pd.DataFrame) else None


def _is_numeric(kind: Any) -> bool:
    return pd.api.types.is_any_real_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)


def _default_names(row_shape: tuple[int, ...]) -> list[str]:
    """Names "x0", "x1", ... for columns; the position for the entries of an image.

    >>> _default_names((3,))
    ['x0', 'x1', 'x2']
    >>> _default_names((2, 2, 1))
    ['0,0,0', '0,1,0', '1,0,0', '1,1,0']
    """
    if len(row_shape) <= 1:
        return [f"x{index}" for index in range(math.prod(row_shape))]
    return [",".join(map(str, position)) for position in np.ndindex(*row_shape)]


def _subset(count: int, num_samples: int | None) -> Array:
    """Positions of a fixed random subset, in the order of the rows: the same at every look and in every run."""
    if num_samples is None or num_samples >= count:
        return np.arange(count)
    # A generator of its own: the user's seeds are not touched.
    return np.sort(np.random.default_rng(0).choice(count, size=num_samples, replace=False))


def _check_finite(rows: Rows) -> None:
    """Refuse NaN and infinity, a block of rows at a time."""
    size = max(1, FINITE_BLOCK // max(1, math.prod(rows.row_shape)))
    bad = np.zeros(len(rows.features.columns), dtype=int)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(rows.entries), size):
            block = rows.entries[start : start + size].astype(rows.dtype, copy=False)
            # A sum is much cheaper than a mask of everything; the mask is made only to word the error.
            if not np.isfinite(np.sum(block, dtype=np.float64)):
                entries = ~np.isfinite(block.reshape(len(block), -1, len(bad)))
                bad += entries.any(axis=1).sum(axis=0)
    if bad.any():
        _checks.finite({name: int(count) for name, count in zip(rows.features.columns, bad, strict=True) if count})


def _float_type(model: keras.Model) -> str:
    """float64 for a float64 model, else float32, also for float16: its layers cast by themselves."""
    return "float64" if model.compute_dtype == "float64" else "float32"
