"""Of the command line: files that cannot be read, and columns that are not those of the model."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NoReturn

from keras_sensitivity.errors.wording import axes, fail, listed, reason, similar


def check_file(path: Path) -> None:
    """Refuse a path at which there is no file."""
    if not path.is_file():
        fail(
            f"There is no file {str(path)!r}.",
            expected="the path of a file",
            received="a folder" if path.is_dir() else "a path where there is nothing",
            fix=f"see what there is in {str(path.parent)!r}",
            error=FileNotFoundError,
        )


def refuse_model_file(path: PathLike[str], error: Exception) -> NoReturn:
    """Say that a file is no model that can be loaded here."""
    try:
        fail(
            f"{str(path)!r} cannot be loaded as a Keras model.",
            expected="a file written by model.save, and all classes of its layers",
            received=reason(error),
            fix="name the module that registers the model's own layers by --import MODULE, or save the model again",
        )
    except ValueError as worded:
        raise worded from error


def refuse_data_file(path: PathLike[str], error: Exception) -> NoReturn:
    """Say that a file cannot be read as rows."""
    fix = "install pyarrow" if isinstance(error, ImportError) else "see whether it is whole, and --separator"
    try:
        fail(
            f"{str(path)!r} cannot be read.",
            expected="rows of a kind that the name of the file says",
            received=reason(error),
            fix=fix,
        )
    except ValueError as worded:
        raise worded from error


def refuse_data_kind(path: Path, kinds: Sequence[str]) -> NoReturn:
    """Say that rows are not read from a file of this kind."""
    fail(
        f"Rows cannot be read from {str(path)!r}.",
        expected=f"a file that ends in one of {', '.join(kinds)}",
        received=f"one that ends in {path.suffix!r}",
        fix="save the rows as one of these",
    )


def check_columns(option: str, names: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a column to be left out that is not there."""
    missing = [name for name in names if name not in columns]
    if missing:
        fail(
            f"{option} names a column that is not there.",
            expected=f"one of {listed(columns)}",
            received=f"{missing[0]!r}",
            fix=f"write it as the first line of the file does{similar(missing[0], columns)}",
        )


def check_column_count(columns: Sequence[str], expected: int) -> None:
    """Refuse a table that has not as many columns as the model takes."""
    if len(columns) > expected:
        fail(
            "The rows have more columns than the model takes.",
            expected=f"{expected} columns",
            received=f"{len(columns)} columns: {listed(columns, 12)}",
            fix="leave out those that the model was not trained with, by --target COLUMN and --exclude COLUMN",
        )
    if len(columns) < expected:
        alone = len(columns) == 1 and ";" in columns[0]
        fail(
            "The rows have fewer columns than the model takes.",
            expected=f"{expected} columns",
            received=f"{len(columns)} columns: {listed(columns, 12)}",
            fix="pass --separator ';'" if alone else "pass the rows that the model was trained with",
        )


def check_input_columns(name: str, columns: Sequence[str], present: Sequence[str]) -> None:
    """Refuse a table without the columns of one of several inputs."""
    missing = [column for column in columns if column not in present]
    if missing:
        fail(
            f"The rows have no column for the model's input {name!r}.",
            expected=f"columns {listed(columns)}",
            received=f"{listed(present, 12)}, without {missing[0]!r}{similar(missing[0], present)}",
            fix="name the columns as the inputs of the model",
        )


def check_arrays(names: Sequence[str], present: Sequence[str]) -> None:
    """Refuse arrays that are not those of the inputs."""
    missing = [name for name in names if name not in present]
    if missing:
        fail(
            "The arrays are not those of the model's inputs.",
            expected=f"arrays {listed(names)}",
            received=f"arrays {listed(present)}",
            fix="save them by np.savez(path, **{name: array}), or leave out others by --target and --exclude",
        )


def refuse_table(shape: Sequence[int | None]) -> NoReturn:
    """Say that a table has no axis for what the model takes."""
    fail(
        "The model takes arrays, not the rows of a table.",
        expected=f"an array of shape {axes(shape)}",
        received="a table",
        fix="save the array by np.save or np.savez, and pass the .npy or .npz file",
    )


def check_files_to_compare(saved: int, models: int, rows: int) -> None:
    """Refuse files that do not make two looks."""
    if bool(models) != bool(rows) or saved + models * rows < 2:
        fail(
            "These files do not make two looks.",
            expected="two saved importances (.npz), two models and rows for both, or a model and two files of rows",
            received=f"{saved} saved importances, {models} models, {rows} files of rows",
            fix="save importances by keras-sensitivity measure MODEL DATA --out FILE.npz, or name models and rows",
        )
