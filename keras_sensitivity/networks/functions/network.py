"""Any function of rows as a `Network`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from keras_sensitivity import errors
from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.functions.calls import Calls
from keras_sensitivity.networks.functions.packing import Packing
from keras_sensitivity.networks.functions.passes import InputPass, LookPass, RowPass, SwapPass
from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.networks.network import Batch, Derivatives, Entries, Network, Pass, Question, RowError, Seen

__all__ = ["FunctionNetwork"]

# Numbers that a row may take while a function is called with it, for all that is known.
FLOATS = 2**13


class FunctionNetwork(Network):
    """A function from rows, as an array, a DataFrame or a dict of these, to one or several numbers for each.

    Args:
        function: The function.
        most_rows: Of a call; None: a few thousand.
    """

    takes_differences = True
    fixed_batch_size = None

    def __init__(self, function: Callable[[Any], Any], most_rows: int | None = None) -> None:
        self._function = function
        self._asked = most_rows
        self._packing: Packing | None = None
        self._calls: Calls | None = None

    @property
    def calls(self) -> Calls:
        """The function, called with what rows are read into."""
        assert self._calls is not None  # whoever reads rows asks for the inputs first
        return self._calls

    @property
    def most_rows(self) -> int:  # type: ignore[override]
        """Rows of a call."""
        return self.calls.most_rows

    @property
    def effort(self) -> str:
        """How often the function was called, with how many rows."""
        return f"{self.calls.num_calls:,} calls of the function, with {self.calls.num_rows:,} rows in all"

    def inputs(self, x: Any) -> Inputs:
        """Those of the first x that is seen; a background, too, is read into them."""
        if self._packing is None:
            self._packing = Packing(x)
            self._calls = Calls(self._function, self._packing, self._asked)
        return self._packing.inputs

    def batch_types(self, inputs: Inputs, rows: Batch) -> tuple[str, ...]:
        """Words as they are, and numbers in double precision, in which they are moved."""
        return tuple("string" if leaf.dtype == object else "float64" for leaf in rows)

    def are_codes(self, leaves: Batch) -> tuple[bool, ...]:
        """For each input whether there is nothing between its values."""
        assert self._packing is not None
        return tuple(code or leaf.dtype == object for code, leaf in zip(self._packing.are_codes, leaves, strict=True))

    def handles_missing(self, inputs: Inputs, batches: Iterable[Batch]) -> bool:
        """Whether the function returns finite numbers of rows with NaN."""
        try:
            for batch in batches:
                self.calls(batch)
        except (RowError, ValueError, RuntimeError):
            return False
        return True

    def floats_per_row(self, row_shapes: list[tuple[int, ...]], *, keeps_rows: bool) -> int:
        """A row and each of those in which one entry was moved go into one call."""
        return FLOATS * (1 + 2 * sum(map(math.prod, row_shapes)))

    def num_passes(self, definition: Any) -> int:
        """One: what is moved is counted as rows."""
        return 1

    def look_pass(self, batch: Batch, question: Question) -> Pass[Seen]:
        """Sums of the derivatives of a batch."""
        return LookPass(self, batch, self._checked(question))

    def row_pass(self, batch: Batch, question: Question) -> Pass[Derivatives]:
        """The derivatives of single rows."""
        return RowPass(self, batch, self._checked(question))

    def input_pass(self, batch: Batch, question: Question) -> Pass[tuple[Moments, Entries | None]]:
        """The moments of the inputs, and their values."""
        return InputPass(self, batch, self._checked(question))

    def swap_pass(self, batch: Batch, question: Question) -> Pass[Any]:
        """What would be returned, after swaps."""
        count = len(question.inputs.leaves)
        return SwapPass(self, batch[:count], self._checked(question))

    def _checked(self, question: Question) -> Question:
        """The same question, where a function has an answer."""
        definition = question.definition
        if definition.logits:
            errors.refuse_function_definition("logits=True", "a function that returns logits itself")
        if definition.mode not in ("auto", "static", "many-to-one"):
            errors.refuse_function_definition(f"mode={definition.mode!r}", "mode 'auto', 'static' or 'many-to-one'")
        if isinstance(definition.output, str):
            errors.refuse_function_definition(f"output={definition.output!r}", "the index of what it returns, from 0")
        return question
