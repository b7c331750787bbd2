"""`SparseRows`: a table that is kept without its zeros, as texts and one-hot codes come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

__all__ = ["SparseRows", "sparse_rows"]

Array = np.ndarray[Any, Any]


class SparseRows:
    """Rows of a table without its zeros; whatever is taken of them is an ordinary array.

    Args:
        matrix: A sparse matrix of shape (num_rows, num_columns).

    Attributes:
        matrix: The same by rows, in which no place stands twice.
    """

    ndim = 2

    def __init__(self, matrix: Any) -> None:
        self.matrix = scipy.sparse.csr_array(matrix if len(matrix.shape) == 2 else matrix.reshape(1, -1))
        self.matrix.sum_duplicates()
        self._by_column: Any = None

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def __getitem__(self, where: Any) -> Array:
        return np.asarray(self.matrix[where].toarray())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.matrix.shape[0], self.matrix.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        kind: np.dtype[Any] = self.matrix.dtype
        return kind

    def kept(self, positions: Array) -> SparseRows:
        """The rows at positions, still without zeros."""
        return SparseRows(self.matrix[positions])

    def column(self, index: int) -> Array:
        """The values of one column, shape (num_rows, 1)."""
        if self._by_column is None:
            self._by_column = self.matrix.tocsc()
        return np.asarray(self._by_column[:, [index]].toarray())

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """The same with names of the columns."""
        sparse: Any = pd.DataFrame.sparse
        found: pd.DataFrame = sparse.from_spmatrix(self.matrix, columns=names)
        return found

    def is_finite(self, kind: Any) -> bool:
        """Whether no number is NaN or infinite in a type."""
        with np.errstate(over="ignore"):
            return bool(np.isfinite(self.matrix.data.astype(kind, copy=False)).all())

    @classmethod
    def joined(cls, parts: Sequence[SparseRows]) -> SparseRows:
        """The rows of all, one after the other."""
        return cls(scipy.sparse.vstack([part.matrix for part in parts]))


def sparse_rows(x: Any) -> SparseRows | None:
    """X without its zeros, if it comes so: a matrix of SciPy, a tensor of TensorFlow, a table with sparse columns."""
    if isinstance(x, SparseRows):
        return x
    if scipy.sparse.issparse(x):
        return SparseRows(x)
    if hasattr(x, "dense_shape") and hasattr(x, "indices") and len(x.dense_shape) == 2:
        rows, columns = np.asarray(x.indices).reshape(-1, 2).T
        shape = tuple(int(size) for size in x.dense_shape)
        return SparseRows(scipy.sparse.coo_array((np.asarray(x.values), (rows, columns)), shape=shape))
    if isinstance(x, pd.DataFrame) and any(isinstance(kind, pd.SparseDtype) for kind in x.dtypes):
        return _of_frame(x)
    return None


def _of_frame(x: pd.DataFrame) -> SparseRows | None:
    """The columns beside each other, whichever of them are sparse; None where not all are numbers."""
    columns = []
    for index, kind in enumerate(x.dtypes):
        column = x.iloc[:, index]
        if isinstance(kind, pd.SparseDtype) and kind.fill_value == 0:
            positions = column.array.sp_index.indices
            places = positions, np.zeros(len(positions), int)
            columns.append(scipy.sparse.coo_array((column.array.sp_values, places), shape=(len(x), 1)))
        else:
            values = np.asarray(column)
            if values.dtype.kind not in "fiub":
                return None
            columns.append(scipy.sparse.coo_array(values[:, None]))
    return SparseRows(scipy.sparse.hstack(columns, format="csr"))
