"""Trajectories back from TensorBoard event files."""

from __future__ import annotations

import os

import pandas as pd
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.records.reading import Written, files_in, is_ours, looks, written_in
from keras_sensitivity.records.runs import runs_in

__all__ = ["load_trajectory"]

# What files without a format number hold: the names, at the first look, and the importances, at each.
NAMES, IMPORTANCES = "trajectory/features", "trajectory/importances"


def load_trajectory(log_dir: str | os.PathLike[str], run: str | None = None) -> pd.DataFrame:
    """The trajectory that a `SensitivityCallback` wrote to its ``log_dir``, also of a fit that crashed or still runs.

    Each fit has a run of its own there, ``sensitivity``, ``sensitivity_2`` and so on; one that went on where another
    one ended (``initial_epoch``) is a part of that one's.

    Args:
        log_dir: The callback's ``log_dir``; of a callback with a name the folder of that name in it.
        run: Of several runs the one to read; None: the newest, with a warning that names them all.

    Returns:
        `SensitivityCallback.trajectory`: importances over epochs, index epoch (from 0), columns features, percent.

    Raises:
        FileNotFoundError: If no look was written there.
        ValueError: If there is no such run, a newer version wrote it, or it was changed since.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> import keras_sensitivity as ks
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> with tempfile.TemporaryDirectory() as log_dir:
    ...     watch = ks.SensitivityCallback(x, log_dir=log_dir)
    ...     history = model.fit(x, x[:, 0], epochs=2, callbacks=[watch], verbose=0)
    ...     loaded = ks.load_trajectory(log_dir)
    >>> loaded.equals(watch.trajectory)
    True
    """
    errors.check_file_path("log_dir", log_dir)
    folder = os.fspath(log_dir)
    found = {name: path for name in runs_in(folder) if files_in(path := tf.io.gfile.join(folder, name))}
    if run is None and len(found) > 1:
        errors.warn_several_runs(folder, list(found))
    elif run is not None and found:
        errors.check_one_of("run", run, tuple(found))
    name = run or next(reversed(found), None)
    trajectory = None if name is None else _trajectory(found[name])
    if trajectory is None:
        errors.refuse_no_looks(folder)
    return trajectory


def _trajectory(folder: str) -> pd.DataFrame | None:
    """What the files of a run hold, as far as they are whole; None of no look."""
    written: list[Written] = []
    shares: dict[int, pd.Series[float]] = {}
    names: list[str] = []
    for each in written_in(folder):
        if is_ours(each.tag):
            written.append(each)
        elif each.tag == NAMES:
            names = [name.decode() for name in each.strings]
        elif each.tag == IMPORTANCES:
            shares = {epoch: found for epoch, found in shares.items() if epoch < each.step}
            shares[each.step] = pd.Series(each.strings, names)
    for look in looks(written, folder):
        shares[look.epoch] = pd.Series(look.record.arrays["importance"], look.header.features)
    if not shares:
        return None
    return pd.DataFrame(list(shares.values()), pd.Index(list(shares), name="epoch", dtype="int64"))
