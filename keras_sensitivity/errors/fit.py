"""Of a fit: what stands beside the callback, and what it is told to log."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np

from keras_sensitivity.errors.wording import fail, items, listed, shown, similar, warn


def check_run_name(name: object) -> None:
    """Refuse a ``name`` of a callback that is no name of a folder."""
    if name is None or (isinstance(name, str) and name.strip(" .") and not set(name) & set("/\\\0")):
        return
    fail(
        "`name` cannot name a run.",
        expected="None, or a text that may be the name of a folder",
        received=f"{name!r} of type {type(name).__name__}",
        fix="pass for example name='validation'",
        error=ValueError if isinstance(name, str) else TypeError,
    )


def check_logged(value: object, known: Collection[str] | None = None) -> None:
    """Refuse a ``log_importances`` that is neither a bool nor a list of names, and names that no feature has."""
    if isinstance(value, bool):
        return
    names = items(value)
    if names is None or not all(isinstance(name, str) for name in names):
        fail(
            "`log_importances` does not say whose importances to log.",
            expected="True, False, or a list of names of features",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix="pass for example log_importances=['age'], or True for all",
            error=TypeError,
        )
    unknown = [name for name in names if known is not None and name not in known]
    if unknown:
        fail(
            "`log_importances` names a feature that the model has not.",
            expected=f"names out of {listed(known or ())}",
            received=listed(unknown),
            fix=f"write the names as in watch.trajectory.columns{similar(unknown[0], known or ())}",
        )


def refuse_no_model() -> NoReturn:
    """Say that a callback has no model."""
    fail(
        "SensitivityCallback has no model to look at.",
        expected="a model, which `fit` sets",
        received="a call from a training loop of your own",
        fix="call watch.set_model(model) before the loop, then watch.on_epoch_end(epoch) in it",
        error=RuntimeError,
    )


def warn_same_name(name: str | None) -> None:
    """Warn that two callbacks of one fit write to the same places."""
    warn(
        f"Two SensitivityCallbacks of this fit have the same name, {name!r}: what one adds to the logs, and writes to "
        "the same log_dir, the other overwrites. Pass name=, for example name='validation', to one of them."
    )


def warn_monitored_before(callback: str, key: str) -> None:
    """Warn that a callback looks for a number before it is there."""
    warn(
        f"{callback} monitors {key!r} and stands before SensitivityCallback, which puts it into the logs: it will not "
        "find it. Let SensitivityCallback stand first in callbacks=[...]."
    )


def refuse_labels_without_loss() -> NoReturn:
    """Refuse labels for a model that has no loss to hold them against."""
    fail(
        "`y` needs a loss, and the model was compiled without one.",
        expected="a model compiled with loss=...",
        received="a model whose loss is its own, or none",
        fix="leave out `y`: deaths are judged without labels, too",
    )


def refuse_labels(received: str, names: Collection[str]) -> NoReturn:
    """Refuse labels that are none of what the model is trained on."""
    fail(
        "`y` does not fit the outputs of the model.",
        expected=f"finite numbers for {listed(names)}, as an array, or of several outputs a list or dict of arrays",
        received=received,
        fix="pass the same y as to model.fit",
    )


def check_labels_length(count: int, num_rows: int) -> None:
    """Refuse labels of other rows."""
    if count != num_rows:
        fail(
            "`y` and `x` have different numbers of rows.",
            expected=f"{num_rows:,} labels, one for each row of x",
            received=f"{count:,} labels",
            fix="pass the y that belongs to x",
        )


def refuse_labels_of_stream() -> NoReturn:
    """Refuse labels beside rows that are read one after the other, or of several lengths."""
    fail(
        "`y` goes with arrays.",
        expected="x as arrays or a DataFrame, of rows of one shape",
        received="x as a stream, or sequences of several lengths",
        fix="pass some thousand rows as arrays, or leave out `y`",
    )


def refuse_labels_of_fixed_batches(batch_size: int) -> NoReturn:
    """Refuse labels where swapped rows cannot stand beside each other."""
    fail(
        "`y` cannot be used with a model that takes batches of one size only.",
        expected="a model that takes any number of rows at a time",
        received=f"a stateful model, or one with batches of {batch_size:,} rows",
        fix="leave out `y`: deaths are judged without labels, too",
    )


def refuse_reduced_loss() -> NoReturn:
    """Refuse a loss that says nothing of single rows."""
    fail(
        "The loss of the model gives one number for a whole batch.",
        expected="a loss function that returns a number for each row, as those of Keras do",
        received="a scalar",
        fix="return the losses of the rows, which Keras averages by itself; or leave out `y`",
    )


def check_finite_losses(losses: np.ndarray[Any, Any]) -> None:
    """Refuse losses that say nothing, of shape (num_swaps, num_rows)."""
    bad = int(np.count_nonzero(~np.isfinite(losses).all(axis=0)))
    if bad:
        fail(
            "The loss of the model is NaN or infinite.",
            expected="finite losses, also of rows with the values of others",
            received=f"losses that are not finite at {bad:,} of {losses.shape[1]:,} rows",
            fix="use a loss that is finite for all labels and predictions, or leave out `y`",
            error=FloatingPointError,
        )
