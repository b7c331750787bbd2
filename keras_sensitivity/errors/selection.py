"""Of `select`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from keras_sensitivity.errors.wording import axes, fail, shown


def check_num_selected(value: object, most: int) -> None:
    """Refuse to keep more features than there are."""
    if value is None:
        return
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= value <= most:  # type: ignore[operator]
        fail(
            "`num_features` is not a number of features to keep.",
            expected=f"an int from 1 to {most}, the number of features of x; or None: as the validation loss decides",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix=f"pass for example num_features={max(1, most // 2)}",
            error=ValueError if is_whole else TypeError,
        )


def check_built(model: object, shape: tuple[int, ...]) -> None:
    """Refuse what ``build`` returned, if it is no compiled model for rows of this shape."""
    import keras  # not before it is known that there is a backend

    num_columns = shape[-1]
    if not isinstance(model, keras.Model):
        fail(
            "`build` returned no Keras model.",
            expected="a function from the number of columns to a compiled keras.Model",
            received=f"build({num_columns}) returned an object of type {type(model).__name__}",
            fix="end the function with `return model`",
            error=TypeError,
        )
    if not model.compiled:
        fail(
            "`build` returned a model that is not compiled.",
            expected="a compiled model, as select trains it",
            received=f"build({num_columns}) returned a {type(model).__name__} without a loss and an optimizer",
            fix="call model.compile(...) in `build`",
        )
    declared = getattr(model, "inputs", None) or []
    if len(declared) > 1:
        refuse_several_inputs("the model that `build` returned", f"{len(declared)} inputs")
    for each in declared:
        sizes = tuple(each.shape[1:])
        if len(sizes) != len(shape) or any(a not in (None, b) for a, b in zip(sizes, shape, strict=True)):
            fail(
                "`build` returned a model for another number of columns.",
                expected=f"build({num_columns}) to take rows of shape {axes((None, *shape))}",
                received=f"a model that takes {axes(tuple(each.shape))}",
                fix="use the argument of `build` in keras.Input((num_features,)), for sequences "
                "keras.Input((num_steps, num_features))",
            )


def refuse_several_inputs(what: str, kind: str) -> NoReturn:
    """Refuse to select among several inputs."""
    fail(
        f"Features are selected from one table or sequence, and {what} is something else.",
        expected="an array or DataFrame of shape (num_samples, num_columns), or an array of shape "
        "(num_samples, num_steps, num_columns)",
        received=kind,
        fix="put the columns beside each other; a stream can be read into an array first",
        error=TypeError,
    )


def refuse_shape_to_select(what: str, shape: Sequence[int], expected: Sequence[int] | None = None) -> NoReturn:
    """Refuse rows that have no columns to select, or other columns than those."""
    fail(
        f"{what} has no columns to select.",
        expected="shape (num_samples, num_columns) or (num_samples, num_steps, num_columns), at least one row"
        if expected is None
        else f"shape {axes((None, *expected))}, as x",
        received=f"shape {tuple(shape)}",
        fix="pass rows with one column for each feature",
    )


def refuse_validation_data(given: Any) -> NoReturn:
    """Refuse what is no rows and labels."""
    fail(
        "`validation_data` is not made of rows and labels.",
        expected="a tuple (x, y) or (x, y, sample_weight)",
        received=f"an object of type {type(given).__name__}",
        fix="pass validation_data=(x_val, y_val), or None to hold out a fifth of the rows",
        error=TypeError,
    )


def refuse_other_selection(folder: object) -> NoReturn:
    """Refuse to go on with another selection than the one that a folder holds."""
    fail(
        f"The folder {str(folder)!r} holds the rounds of another selection.",
        expected="the same rows, labels and arguments as when the folder was made",
        received="others",
        fix="pass another folder, or delete this one",
    )


def check_losses(losses: np.ndarray[Any, Any], num_columns: int) -> None:
    """Refuse losses by which nothing can be decided."""
    bad = int(np.count_nonzero(~np.isfinite(losses)))
    if bad:
        fail(
            f"The network on {num_columns} columns has a loss that is NaN or infinite.",
            expected=f"finite losses of {len(losses):,} validation rows",
            received=f"{bad:,} that are not",
            fix="lower the learning rate, or standardise x and y",
            error=FloatingPointError,
        )
