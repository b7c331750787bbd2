"""The names of the features, and which entries of the measured tensors belong to which."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors

__all__ = ["Block", "Features", "image_shape"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Block:
    """How the axes of one measured tensor are read.

    Attributes:
        columns: Names of the columns of x that it stands for.
        shape: Of a row, without the time axis.
        num_lags: Time steps; None without a time axis.
        source: The name of the input, "" if it has none.
        sources: The positions of the inputs that it comes from; more than one if they are crossed.
        is_number: Whether it is the input itself, not what it was turned into.
    """

    columns: tuple[str, ...]
    shape: tuple[int, ...]
    num_lags: int | None = None
    source: str = ""
    sources: tuple[int, ...] = (0,)
    is_number: bool = True

    @property
    def num_entries(self) -> int:
        """Entries of a step, or of the whole row: several for each column that was looked up."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Features:
    """Which columns of x make up which feature, and which measured entries stand for which column.

    Attributes:
        columns: Names of the columns of x, shape (num_columns,).
        names: Names of the features, in the order of their first columns, shape (num_features,).
        membership: For each column the index of its feature, shape (num_columns,).
        owners: For each entry the index of its column, shape (num_entries,).
        static: For each entry whether it has no time axis.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    membership: tuple[int, ...]
    owners: tuple[int, ...]
    static: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        blocks: Sequence[Block],
        feature_names: Sequence[str] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> Features:
        """The columns themselves, but for those that ``groups`` puts together under a new name.

        >>> block = Block(("red", "age", "blue"), (3,))
        >>> Features.of([block], groups={"colour": ["red", "blue"]}).names
        ('colour', 'age')
        """
        places = {(block.source, column): None for block in blocks for column in block.columns}
        for block in blocks:
            errors.check_unique_names(f"The input {block.source!r}" if block.source else "x", block.columns)
        columns = _told_apart(list(places))
        if feature_names is not None:
            errors.check_feature_names(feature_names, len(columns))
            columns = list(feature_names)
        position = {place: index for index, place in enumerate(places)}
        owners = [
            position[block.source, column]
            for block in blocks
            for column in np.repeat(np.array(block.columns, dtype=object), block.num_entries // len(block.columns))
        ]
        static = [block.num_lags is None for block in blocks for _ in range(block.num_entries)]
        if groups is not None:
            errors.check_groups(groups, columns)
        group_of = {member: group for group, members in (groups or {}).items() for member in members}
        names = [group_of.get(column, column) for column in columns]
        columns, names = list(map(_whole, columns)), list(map(_whole, names))
        index = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return cls(tuple(columns), tuple(index), tuple(index[name] for name in names), tuple(owners), tuple(static))

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled, without what is derived from it."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def index(self) -> pd.Index[str]:
        """The names, for the tables of all looks."""
        return pd.Index(self.names)

    @functools.cached_property
    def of_entry(self) -> Array:
        """For each entry the index of its feature, shape (num_entries,)."""
        return np.asarray(np.array(self.membership)[np.array(self.owners)])

    @functools.cached_property
    def are_columns(self) -> Array:
        """Whether each feature is a single entry, shape (num_features,)."""
        return np.asarray(np.bincount(self.of_entry, minlength=len(self.names)) == 1)

    @functools.cached_property
    def are_static(self) -> Array:
        """Whether each feature has no time axis, shape (num_features,)."""
        return np.asarray(self.sum(~np.array(self.static)) == 0)

    def sum(self, entries: Array) -> Array:
        """Sums over the entries of each feature: shape (..., num_entries) -> (..., num_features).

        >>> features = Features.of([Block(("red", "age", "blue"), (3,))], groups={"colour": ["red", "blue"]})
        >>> features.sum(np.array([1.0, 2.0, 3.0]))
        array([4., 2.])
        """
        if len(self.names) == len(self.owners):
            return entries
        sums: Array = np.zeros((*entries.shape[:-1], len(self.names)))
        np.add.at(np.moveaxis(sums, -1, 0), self.of_entry, np.moveaxis(entries, -1, 0))
        return sums

    def expand(self, factors: Sequence[float]) -> Array:
        """One factor a column -> one an entry."""
        return np.asarray(np.asarray(factors, dtype=float)[np.array(self.owners)])


def image_shape(blocks: Sequence[Block]) -> tuple[int, ...] | None:
    """Height, width and channels, where the only thing measured is an image or a sequence of images."""
    shape = blocks[0].shape
    return shape if len(blocks) == 1 and len(shape) == 3 and len(blocks[0].columns) == math.prod(shape) else None


def _whole(name: str) -> str:
    r"""The name with halves of letters as escapes: with pyarrow, pandas has strings that cannot hold them.

    >>> _whole("age"), _whole(chr(0xD800))
    ('age', '\\ud800')
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def _told_apart(places: list[tuple[str, str]]) -> list[str]:
    """The names of columns, with that of the input before names that several inputs have.

    >>> _told_apart([("home", "goals"), ("away", "goals"), ("", "month")])
    ['home/goals', 'away/goals', 'month']
    """
    names = [column for _, column in places]
    counts = {name: names.count(name) for name in set(names)} if len(set(names)) < len(names) else {}
    return [f"{source}/{name}" if source and counts.get(name, 1) > 1 else name for source, name in places]
