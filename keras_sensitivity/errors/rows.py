"""Of the rows of x: their type, shape and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from keras_sensitivity.errors.wording import axes, fail, listed, warn


def check_keys(where: str, x: object, expected: Sequence[object]) -> None:
    """Refuse what has not all keys that a model reads; other keys are ignored."""
    missing = [key for key in expected if isinstance(x, type) or key not in x]  # type: ignore[operator]
    if missing:
        received = f"an object of type {x.__name__}" if isinstance(x, type) else f"the keys {listed(x)}"  # type: ignore[arg-type]
        fail(
            f"{where} has not all inputs of the model: {listed(missing)} missing.",
            expected=f"a dict with the keys {listed(expected)}",
            received=received,
            fix="pass x as it goes into model.fit",
            error=TypeError if isinstance(x, type) else ValueError,
        )


def check_parts(where: str, x: object, count: int) -> None:
    """Refuse what is no list of the inputs of a model."""
    if not isinstance(x, (list, tuple)) or len(x) != count:
        size = f" of {len(x)}" if isinstance(x, (list, tuple)) else ""
        fail(
            f"{where} does not hold the inputs of the model.",
            expected=f"a list of {count} arrays, one for each input",
            received=f"an object of type {type(x).__name__}{size}",
            fix="pass x as it goes into model.fit",
        )


def check_same_lengths(lengths: Mapping[str, int]) -> None:
    """Refuse inputs with different numbers of rows."""
    if len(set(lengths.values())) > 1:
        fail(
            "The inputs have different numbers of rows.",
            expected="as many rows in each input",
            received=", ".join(f"{count:,} in {name!r}" for name, count in lengths.items()),
            fix="pass rows that belong together, in the same order",
        )


def check_array(x: object) -> None:
    """Refuse x that is neither an array, a tensor, a DataFrame nor nested numbers."""
    if isinstance(x, (str, bytes, Mapping)) or not (hasattr(x, "__array__") or isinstance(x, Sequence)):
        fail(
            "x is of a type that keras_sensitivity does not know.",
            expected="an array, tensor or pandas DataFrame whose first axis is that of the rows",
            received=f"an object of type {type(x).__name__}",
            fix="convert x to an array or a DataFrame",
            error=TypeError,
        )


def refuse_no_inputs() -> NoReturn:
    """Say that x has no arrays."""
    fail(
        "x has no inputs.",
        expected="an array, tensor or pandas DataFrame, or a dict or list of them",
        received="an empty dict or list",
        fix="pass the rows that the model is called with",
    )


def refuse_scalar(received: object) -> NoReturn:
    """Say that x is a single value."""
    fail(
        "x is a single value.",
        expected="an array, tensor or pandas DataFrame whose first axis is that of the rows",
        received=f"{received!r}",
        fix="pass rows, such as [[value]] for one row of one column",
    )


def refuse_ragged() -> NoReturn:
    """Say that x has rows of different lengths."""
    fail(
        "x is ragged: its rows have different lengths, or are objects instead of numbers.",
        expected="an array of numbers in which every row has the same shape",
        received="rows that make no rectangular array",
        fix="pad the rows (keras.utils.pad_sequences, or to_tensor() of a RaggedTensor), and put a Masking layer first",
    )


def refuse_targets(kind: str, size: int, num_inputs: int) -> NoReturn:
    """Say that x was passed together with its targets."""
    names = "x, y" if size == 2 else "x, y, sample_weight"
    fail(
        f"x is a {kind} of {size} arrays, which looks like ({names}).",
        expected="x alone: " + ("one array" if num_inputs == 1 else f"the {num_inputs} inputs of the model"),
        received=f"a {kind} of {size}",
        fix=f"pass x[0]{', sample_weight=x[2]' if size == 3 else ''}; targets are not needed",
        error=TypeError,
    )


def check_row_shape(x: str, received: Sequence[int], expected: Sequence[int | None] | None) -> None:
    """Refuse x whose rows have another shape than the model's input; None where the model does not say."""
    if len(received) > 5 or 0 in received[1:]:
        fail(
            f"{x} has a shape that is no table, sequence, image or sequence of images.",
            expected="2 to 5 axes, rows first, none of them empty",
            received=f"x of shape {tuple(received)}",
            fix="reshape x to (num_samples, num_features) or (num_samples, num_steps, num_features)",
        )
    if expected is None or (len(received) == len(expected) == 2 and received[1] == expected[1]):
        return
    if len(received) != len(expected):
        fail(
            f"{x} has a different number of axes than the model's input.",
            expected=f"x of shape {axes(expected)}",
            received=f"x of shape {tuple(received)}",
            fix="reshape x" + (", or pass x[None] for a single row" if len(received) + 1 == len(expected) else ""),
        )
    wrong = [axis for axis in range(1, len(expected)) if expected[axis] not in (None, received[axis])]
    if wrong:
        what = {(2, 1): "columns", (3, 1): "steps", (3, 2): "columns", (5, 1): "steps"}
        noun = what.get((len(expected), wrong[0]), "entries")
        fail(
            f"{x} has a different number of {noun} than the model's input.",
            expected=f"{expected[wrong[0]]} {noun}: x of shape {axes(expected)}",
            received=f"{received[wrong[0]]} {noun}: x of shape {tuple(received)}",
            fix="pass x as it goes into model.fit: without the target, after the same preprocessing",
        )


def check_numeric(dtypes: Mapping[str, object]) -> None:
    """Refuse columns that are not numbers; ``dtypes`` names those columns."""
    if dtypes:
        fail(
            f"x has columns that are not numbers: {listed(dtypes)}.",
            expected="columns of integers, floats, booleans, dates or durations",
            received=", ".join(f"{name!r} of dtype {dtype}" for name, dtype in list(dtypes.items())[:5]),
            fix="encode them as numbers: categories with pandas.get_dummies(dtype=float), as groups=",
            error=TypeError,
        )


def refuse_missing_text(name: str) -> NoReturn:
    """Say that a column of text has values that are no text."""
    fail(
        f"The input {name!r} has values that are no strings.",
        expected="strings in every row of an input of strings",
        received="missing values, or objects",
        fix="fill them, for example with x.fillna('')",
    )


def refuse_some_rows() -> NoReturn:
    """Say that x has no rows."""
    fail(
        "x has no rows.",
        expected="at least one row to measure",
        received="0 rows",
        fix="pass the training data, or a sample of it",
    )


def refuse_finite(bad: Mapping[str, int]) -> NoReturn:
    """Say which columns have NaN or infinity, in how many rows."""
    counts = ", ".join(f"{name!r} in {count:,} rows" for name, count in list(bad.items())[:5])
    fail(
        "x has values that are NaN or infinite.",
        expected="finite numbers, as float32, in every column, or NaN of which the model makes finite predictions",
        received=f"{counts}" + (f" and {len(bad) - 5} more columns" if len(bad) > 5 else ""),
        fix="impute or drop these rows (DataFrame.dropna), and look for a division by zero",
    )


def refuse_masked(rows: Sequence[int], *, are_known: bool = True) -> NoReturn:
    """Say that rows of x are masked at every step; of a stream of several lengths it is not known where they stand."""
    fail(
        "x has rows that are masked entirely: they have no step to measure.",
        expected="at least one step in each row that the model's mask leaves valid",
        received=f"no valid step in {len(rows):,} rows" + (f": {listed(rows)}" if are_known else ""),
        fix="drop these rows: x = np.delete(x, [...], axis=0)",
    )


def warn_other_values(columns: Mapping[str, int], num_rows: int) -> None:
    """Warn of columns that are constant in the measured rows, with how many rows have another value."""
    warn(
        f"Some columns are constant in the {num_rows:,} measured rows, and not in all: {_counted(columns)}. What the "
        "model makes of the other values was not seen, so these columns may seem to have no importance. Raise "
        "num_samples, or pass None for all rows."
    )


def warn_other_values_later(columns: Mapping[str, int], num_rows: int) -> None:
    """Warn of columns that are constant in the first rows of a stream, with how many rows have another value."""
    warn(
        f"Some columns are constant in the first {num_rows:,} rows of the stream, and not in all: {_counted(columns)}. "
        "These rows say where the bins of the values are and what is swapped, so the importance of these columns may "
        "be too small. Shuffle the stream, or pass rows that are like all of them as background=, or num_samples=8192."
    )


def _counted(columns: Mapping[str, int], most: int = 6) -> str:
    shown = ", ".join(f"{name!r} ({count:,} rows have another value)" for name, count in list(columns.items())[:most])
    return shown + (f" and {len(columns) - most} more" if len(columns) > most else "")
