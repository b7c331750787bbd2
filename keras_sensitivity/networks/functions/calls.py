"""`Calls`: calls a function with rows, a limited number at a time, and checks what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.networks.network import Batch, RowError

__all__ = ["Calls"]

Array = np.ndarray[Any, Any]

# Rows of a call, where the user says no other number: many for what takes long to begin, few for a bar that moves.
CALL_ROWS = 8192

# Rows of which it is tried whether the function returns the same twice, and how far they may be apart, of the largest.
TRIED_ROWS, ROUNDING = 256, 1e-5


class Calls:
    """Calls a function, and counts.

    Args:
        function: From rows to one number, or a row of numbers, for each.
        pack: From arrays to rows as the function takes them.
        most_rows: Of a call; None: a few thousand.

    Attributes:
        most_rows: Of a call.
        num_calls: How many there were.
        num_rows: Of how many rows in all.
        units: Names of what the function returns of a row; None before the first call.
    """

    def __init__(self, function: Callable[[Any], Any], pack: Callable[[Batch], Any], most_rows: int | None) -> None:
        self._function = function
        self._pack = pack
        self.most_rows = most_rows or CALL_ROWS
        self.num_calls = self.num_rows = 0
        self.units: tuple[str, ...] | None = None

    def __call__(self, rows: Batch) -> Array:
        """What the function returns, shape (num_rows, num_units).

        Raises:
            RowError: If it raises, or returns no finite number, of some row.
        """
        found = []
        for start in range(0, len(rows[0]), self.most_rows):
            some = tuple(leaf[start : start + self.most_rows] for leaf in rows)
            try:
                found.append(self._called(some))
            except RowError as failed:
                raise RowError(start + failed.row, failed.error) from failed.cause
        return np.concatenate(found)

    def rehearse(self, rows: Batch) -> None:
        """Call the function twice with some rows.

        Raises:
            RowError: If it returns something else the second time.
        """
        some = tuple(leaf[:TRIED_ROWS] for leaf in rows)
        first, second = self(some), self(some)
        apart = np.abs(first - second).max(axis=1)
        if apart.max() > ROUNDING * np.abs(first).max():
            row = int(apart.argmax())
            raise RowError(row, (first[row].tolist(), second[row].tolist()))

    def _called(self, rows: Batch) -> Array:
        """One call; where it fails, with halves of the rows, until it is known at which."""
        try:
            returned = self._returned(rows)
        except Exception as error:
            count = len(rows[0])
            if count == 1:
                raise RowError(0, error) from error
            middle = count // 2
            for start, part in ((0, slice(middle)), (middle, slice(middle, None))):
                failed = self._failure(tuple(leaf[part] for leaf in rows))
                if failed is not None:
                    raise RowError(start + failed.row, failed.error) from failed.cause
            errors.refuse_joint_failure(count, error)
        outputs, names = errors.check_returned(returned, len(rows[0]))
        if self.units is None:
            self.units = names
        if outputs.shape[1] != len(self.units):
            errors.refuse_other_units(len(self.units), outputs.shape[1])
        bad = ~np.isfinite(outputs).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            raise RowError(row, f"it returned {outputs[row].tolist()}")
        return outputs

    def _failure(self, rows: Batch) -> RowError | None:
        """At which of some rows the function fails."""
        try:
            self._called(rows)
        except RowError as failed:
            return failed
        return None

    def _returned(self, rows: Batch) -> Any:
        self.num_calls += 1
        self.num_rows += len(rows[0])
        return self._function(self._pack(rows))
