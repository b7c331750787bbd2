"""`Candidates`: the rows and the features that a selection chooses from."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.rows.arrays import as_array
from keras_sensitivity.rows.rows import weights_of

__all__ = ["Candidates"]

Array = np.ndarray[Any, Any]
Split = tuple[Array, Any, "Array | None"]

# The part of the rows that is held out, where no others are given.
VALIDATION_PART = 0.2


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Rows, labels and weights for training and for validation, and which columns make up which feature.

    Attributes:
        column_names: Shape (num_columns,).
        members: For each feature its columns, by their positions; in the order of x.
        train: x, y and weights.
        validation: The same.
    """

    column_names: list[str]
    members: dict[str, list[int]]
    train: Split
    validation: Split

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any,
        *,
        validation_data: tuple[Any, ...] | None,
        sample_weight: Any,
        feature_names: Sequence[str] | None,
        groups: Mapping[str, Sequence[str]] | None,
        seed: int | None,
    ) -> Candidates:
        """From the arguments of `select`."""
        names, values = _table(x, "x")
        names = [f"x{index}" for index in range(values.shape[-1])] if names is None else names
        if feature_names is not None:
            errors.check_feature_names(feature_names, len(names))
            names = list(map(str, feature_names))
        errors.check_unique_names("x", names)
        if groups is not None:
            errors.check_groups(groups, names)
        labels, weights = _labels(y, len(values)), weights_of(sample_weight, len(values))
        if validation_data is None:
            order = np.random.default_rng(seed).permutation(len(values))
            count = max(1, round(VALIDATION_PART * len(values)))
            parts = np.sort(order[count:]), np.sort(order[:count])
            train, validation = ((values[rows], _rows(labels, rows), _rows(weights, rows)) for rows in parts)
        else:
            train, validation = (values, labels, weights), _validation(validation_data, values.shape, feature_names, x)
        owner = {member: name for name, columns in (groups or {}).items() for member in columns}
        members: dict[str, list[int]] = {}
        for position, name in enumerate(names):
            members.setdefault(owner.get(name, name), []).append(position)
        return cls(names, members, train, validation)

    @property
    def names(self) -> list[str]:
        """The features."""
        return list(self.members)

    @property
    def identity(self) -> list[Any]:
        """What tells these candidates from others."""
        leaves = keras.tree.flatten([self.train, self.validation])
        kept = [hashlib.sha256(np.ascontiguousarray(each).tobytes()).hexdigest() for each in leaves if each is not None]
        return [self.column_names, self.members, kept]

    def columns_of(self, features: Sequence[str]) -> list[int]:
        """The columns of some features, in the order of x."""
        return sorted(column for name in features for column in self.members[name])

    def column_names_of(self, columns: Sequence[int]) -> list[str]:
        """The names of some columns."""
        return [self.column_names[column] for column in columns]

    def groups_of(self, features: Sequence[str]) -> dict[str, list[str]] | None:
        """The groups among some features."""
        groups = {name: self.column_names_of(self.members[name]) for name in features}
        found = {name: columns for name, columns in groups.items() if columns != [name]}
        return found or None


def _table(x: Any, what: str) -> tuple[list[str] | None, Array]:
    """The names of the columns, if they have some, and the numbers."""
    if isinstance(x, (dict, list, tuple)) and not np.isscalar(x) and any(hasattr(each, "shape") for each in _parts(x)):
        errors.refuse_several_inputs(what, type(x).__name__)
    if not (hasattr(x, "__array__") or isinstance(x, (list, tuple))):
        errors.refuse_several_inputs(what, type(x).__name__)
    names, values = as_array(x, "", text=False)
    if values.ndim not in (2, 3) or not values.size:
        errors.refuse_shape_to_select(what, values.shape)
    return names, values.astype("float32", copy=False) if values.dtype != np.float64 else values


def _parts(x: Any) -> Sequence[Any]:
    return list(x.values()) if isinstance(x, dict) else list(x)


def _labels(y: Any, num_rows: int) -> Any:
    """Labels as arrays, in the structure that they have."""
    parts = _parts(y) if isinstance(y, (dict, list, tuple)) else []
    are_arrays = any(np.ndim(each) for each in parts if hasattr(each, "shape"))
    try:
        found = keras.tree.map_structure(np.asarray, y) if are_arrays else np.asarray(y)
    except Exception:  # noqa: BLE001  (of different lengths, symbolic, without an end)
        found = None
    for each in keras.tree.flatten(found):
        if np.ndim(each) == 0:
            errors.refuse_labels(f"an object of type {type(y).__name__} that makes no array", ["the model"])
        errors.check_labels_length(len(each), num_rows)
    return found


def _rows(structure: Any, rows: Array) -> Any:
    """Some rows of everything in a structure; None of None."""
    return None if structure is None else keras.tree.map_structure(lambda each: each[rows], structure)


def _validation(given: tuple[Any, ...], shape: tuple[int, ...], feature_names: Any, x: Any) -> Split:
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        errors.refuse_validation_data(given)
    x_val, y_val, *rest = given
    if isinstance(x, pd.DataFrame) and isinstance(x_val, pd.DataFrame):
        x_val = x_val[list(x.columns)]
    values = _table(x_val, "x of validation_data")[1]
    if values.shape[1:] != shape[1:]:
        errors.refuse_shape_to_select("x of validation_data", values.shape, expected=shape[1:])
    return values, _labels(y_val, len(values)), weights_of(rest[0] if rest else None, len(values))
