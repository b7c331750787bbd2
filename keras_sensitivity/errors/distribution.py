"""Of rows on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from keras_sensitivity.errors.wording import fail, listed, reason, warn


def refuse_dataset() -> NoReturn:
    """Say that a data set of Ray cannot be taken here."""
    fail(
        "No ray.data.Dataset can be taken here, only by `measure`.",
        expected="arrays, a DataFrame, or a stream of batches",
        received="a ray.data.Dataset",
        fix="pass some of its rows, such as dataset.take_batch(4096, batch_format='pandas')",
        error=TypeError,
    )


def check_weight_column(name: object) -> None:
    """Refuse weights that are not a column of the data set."""
    if name is not None and not isinstance(name, str):
        fail(
            "`sample_weight` of a ray.data.Dataset is one of its columns.",
            expected="its name, or None",
            received=f"an object of type {type(name).__name__}",
            fix="pass for example sample_weight='weight'; dataset.add_column adds one",
            error=TypeError,
        )


def refuse_weight_column(name: str, columns: Sequence[str]) -> NoReturn:
    """Say that a data set has no such column."""
    fail(
        f"The data set has no column {name!r} of weights.",
        expected=f"one of {listed(columns)}",
        received=f"sample_weight={name!r}",
        fix="pass the name of the column, or leave sample_weight out",
    )


def refuse_other_part(expected: object, received: object) -> NoReturn:
    """Say that some of the rows have other columns than the first."""
    fail(
        "A part of the rows has other columns, or other types, than the first rows.",
        expected=f"{expected}",
        received=f"{received}",
        fix="select and cast the columns before, as with dataset.select_columns([...])",
    )


def refuse_later_missing() -> NoReturn:
    """Say that NaN comes after rows without any."""
    fail(
        "A part of the rows has NaN, and the first rows have none.",
        expected="finite numbers in all rows, as in the first",
        received="NaN",
        fix="impute or drop these rows before, as with dataset.map_batches",
    )


def refuse_to_send(error: Exception) -> NoReturn:
    """Say that a model cannot be pickled."""
    try:
        fail(
            "The model cannot be sent to the workers.",
            expected="a model, or function, that can be pickled",
            received=reason(error),
            fix="register its classes with keras.saving.register_keras_serializable, in a module that workers import",
            error=TypeError,
        )
    except TypeError as worded:
        raise worded from error


def refuse_workers(error: Exception) -> NoReturn:
    """Say that the workers were lost, and could not be replaced."""
    try:
        fail(
            "The workers that measure the rows failed, and so did those that replaced them.",
            expected="workers that run, with enough memory for the model and a part of the rows",
            received=reason(error),
            fix="look into the logs of Ray; give workers more memory, or pass a smaller batch_size",
            error=RuntimeError,
        )
    except RuntimeError as worded:
        raise worded from error


def warn_as_worded(words: str) -> None:
    """Warn of what a worker warned of."""
    warn(words)


def warn_limited(count: int) -> None:
    """Warn that the first rows of a data set were measured, and no more."""
    warn(
        f"The first {count:,} rows of the data set are measured. Where the others are not like them, because it is "
        "sorted, pass dataset.random_sample(fraction) without num_samples."
    )
