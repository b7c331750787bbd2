"""Of functions of rows: what they raise and return, and what cannot be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from keras_sensitivity.errors.wording import fail, listed, reason, warn

Array = np.ndarray[Any, Any]

# What is expected of every function.
EXPECTED = "a number for each row, shape (num_rows,), or several, shape (num_rows, num_units)"


def check_returned(returned: Any, count: int) -> tuple[Array, tuple[str, ...]]:
    """What a function returned for ``count`` rows, shape (count, num_units), and the names of its columns."""
    columns = tuple(map(str, returned.columns)) if isinstance(returned, pd.DataFrame) else ()
    try:
        values = np.asarray(returned)
        is_fitting = values.ndim > 0 and len(values) == count  # a number for each row, and not a thousand millions
        outputs = (values.astype(float) if is_fitting else values) if values.dtype.kind in "biufO" else None
    except (TypeError, ValueError, RuntimeError):  # words; a tensor that keeps its gradients
        outputs = None
    if outputs is None:
        fail(
            "The function returned something else than numbers.",
            expected=EXPECTED,
            received=f"{type(returned).__name__} of {getattr(returned, 'dtype', 'objects')}",
            fix="measure scores, not labels, such as ks.measure(classifier.predict_proba, x); of PyTorch, return "
            "module(torch.as_tensor(x)).detach().numpy()",
            error=TypeError,
        )
    if outputs.ndim == 0 or len(outputs) != count:
        fail(
            f"The function returned other rows than it was given: shape {outputs.shape} for {count:,} rows.",
            expected=EXPECTED,
            received=f"shape {outputs.shape}",
            fix="return one number, or one row of numbers, for each row, in their order",
        )
    outputs = outputs.reshape(count, -1)
    if not outputs.shape[1]:
        fail(
            "The function returned no numbers.",
            expected=EXPECTED,
            received=f"shape {values.shape}",
            fix="return at least one number for each row",
        )
    return outputs, columns or tuple(map(str, range(outputs.shape[1])))


def refuse_other_units(expected: int, received: int) -> NoReturn:
    """Say that a function returns now more, now fewer numbers for a row."""
    fail(
        "The function returned another number of columns than before.",
        expected=f"{expected} for each row, as at its first call",
        received=f"{received}",
        fix="return the same columns whatever the rows are",
    )


def refuse_chance(row: int, first: Sequence[float], second: Sequence[float]) -> NoReturn:
    """Say that a function returned two things for one row."""
    fail(
        f"The function is not deterministic: called twice, it returned two different things for row {row} of x.",
        expected="the same numbers for the same rows, as a difference of two calls is taken for an effect of x",
        received=f"{first} and {second}",
        fix="switch dropout and sampling off, as with module.eval(), or set the seed in the function",
    )


def refuse_joint_failure(count: int, error: Exception) -> NoReturn:
    """Say that a function fails with many rows, and not with fewer."""
    try:
        fail(
            f"The function failed with {count:,} rows at a time, and not with half of them.",
            expected=EXPECTED,
            received=reason(error),
            fix=f"pass a smaller batch_size, such as batch_size={max(1, count // 2)}",
            error=RuntimeError,
        )
    except RuntimeError as worded:
        raise worded from error


def refuse_failed_row(position: int, error: Exception | str) -> NoReturn:
    """Say at which row of x a function fails."""
    received = reason(error) if isinstance(error, Exception) else error
    try:
        fail(
            f"The function failed at row {position} of x, or with one of its entries moved or swapped with another "
            "row's.",
            expected=EXPECTED,
            received=received,
            fix=f"call it yourself with that row, x[{position}:{position + 1}] or x.iloc[{position}:{position + 1}]; "
            "rows that it was not made for may lie near those of x, or between them",
            error=RuntimeError,
        )
    except RuntimeError as worded:
        raise worded from (error if isinstance(error, Exception) else None)


def refuse_function_definition(received: str, expected: str) -> NoReturn:
    """Say that something can be asked of a Keras model, but not of a function."""
    fail(
        "A function of rows cannot be asked this: nobody can look into it.",
        expected=expected,
        received=f"Definition({received})",
        fix="change the definition, or pass the Keras model itself",
    )


def check_function_output(output: object, units: Sequence[str]) -> slice:
    """Which columns of what a function returns are measured."""
    if output is None:
        return slice(None)
    assert isinstance(output, int)
    if output >= len(units):
        fail(
            f"The function has no output {output}.",
            expected=f"output=None, or an index from 0 to {len(units) - 1}",
            received=f"Definition(output={output})",
            fix=f"pass one of them; its outputs are {listed(units)}",
        )
    return slice(output, output + 1)


def refuse_words_to_move(names: Sequence[str], definition: str) -> NoReturn:
    """Say that there is no difference between words."""
    fail(
        f"The columns {listed(names)} hold words or categories: there is no distance between them.",
        expected="Definition(change='swap'), or change='auto' with scale='path', which swap them with other rows",
        received=f"Definition({definition})",
        fix="measure with the default definition, or with Definition(change='swap')",
    )


def warn_words_without_share(names: Sequence[str]) -> None:
    """Warn that words and categories take no part in the shares of an explanation."""
    warn(
        f"The columns {listed(names)} hold words or categories, so that there is no slope to share out: their shares "
        "are 0. `Explanation.table` says what another value would change; `measure` swaps them."
    )
