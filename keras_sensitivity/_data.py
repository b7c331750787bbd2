"""What the user passes as x -> batches of one fixed shape with 0/1 row weights, and the names of the features."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from keras_sensitivity import _checks

__all__ = ["Features", "Rows", "as_rows"]

Array = np.ndarray[Any, Any]


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


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Rows to measure, finite and of the model's floating-point type.

    Attributes:
        values: Shape (num_samples, num_columns).
        features: Names and groups of the columns.
    """

    values: Array
    features: Features

    def num_batches(self, batch_size: int) -> int:
        """How many batches `batches` yields."""
        return math.ceil(len(self.values) / batch_size)

    def batches(self, batch_size: int) -> Iterator[tuple[Array, Array]]:
        """Batches of shape (batch_size, num_columns) with row weights of shape (batch_size,).

        All have one shape, because XLA compiles anew for every other one. The last is filled up with copies of its
        last row, where any model is defined as well as at that row; they weigh 0.
        """
        for start in range(0, len(self.values), batch_size):
            batch = self.values[start : start + batch_size]
            missing = batch_size - len(batch)
            weights = np.ones(batch_size, dtype=batch.dtype)
            if missing:
                weights[len(batch) :] = 0
                batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
            yield batch, weights


def as_rows(
    x: Any,
    model: keras.Model,
    *,
    feature_names: Sequence[str] | None,
    groups: Mapping[str, Sequence[str]] | None,
    num_samples: int | None,
) -> Rows:
    """Check ``x`` against the model and the names, and draw the rows to measure."""
    columns, values = _table(x, _float_type(model))
    _checks.rank(values.shape)
    _checks.some_rows(len(values))
    _checks.columns(values.shape[1], _expected_columns(model))
    if feature_names is not None:
        _checks.feature_names(feature_names, values.shape[1])
        columns = list(feature_names)
    elif columns is None:
        columns = [f"x{index}" for index in range(values.shape[1])]
    _checks.unique_names("x", columns)
    features = Features.of(columns, groups)
    _checks.finite(values, columns)
    return Rows(np.ascontiguousarray(_subset(values, num_samples)), features)


def _table(x: Any, dtype: str) -> tuple[list[str] | None, Array]:
    """Column names, where x has some, and its values."""
    if isinstance(x, pd.Series):
        x = x.to_frame(name="x0" if x.name is None else x.name)
    if isinstance(x, pd.DataFrame):
        names = [str(column) for column in x.columns]
        kinds = zip(names, x.dtypes, strict=True)
        _checks.numeric({name: kind for name, kind in kinds if not pd.api.types.is_any_real_numeric_dtype(kind)
                         and not pd.api.types.is_bool_dtype(kind)})  # fmt: skip
        return names, x.to_numpy(dtype=dtype, na_value=np.nan)
    _checks.array(x)
    values = np.asarray(x)
    if values.ndim == 1 and values.dtype != object:
        values = values[:, None]
    if values.dtype.kind not in "fiub" and str(values.dtype) != "bfloat16":
        _checks.numeric({"x": values.dtype})
    with np.errstate(over="ignore"):  # the infinities are reported by name
        return None, values.astype(dtype, copy=False)


def _subset(values: Array, num_samples: int | None) -> Array:
    """A fixed random subset, in the order of the rows: the same at every look and in every run."""
    if num_samples is None or num_samples >= len(values):
        return values
    # A generator of its own: the user's seeds are not touched.
    chosen = np.random.default_rng(0).choice(len(values), size=num_samples, replace=False)
    return values[np.sort(chosen)]


def _float_type(model: keras.Model) -> str:
    """float64 for a float64 model, else float32, also for float16: its layers cast by themselves."""
    return "float64" if model.compute_dtype == "float64" else "float32"


def _expected_columns(model: keras.Model) -> int | None:
    """The columns that a functional or Sequential model declares; a subclassed model does not say."""
    inputs = getattr(model, "inputs", None)
    if not inputs or len(inputs) != 1 or len(inputs[0].shape) != 2:
        return None
    return inputs[0].shape[1]  # type: ignore[no-any-return]
