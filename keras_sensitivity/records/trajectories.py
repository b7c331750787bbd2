"""Trajectories back from TensorBoard event files."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator

import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.records.looks import RUN
from keras_sensitivity.records.record import HEADER, LOOK, Header, Record

__all__ = ["load_trajectory"]

# What files without a format number hold: the names, at the first look, and the importances, at each.
NAMES, IMPORTANCES = "trajectory/features", "trajectory/importances"


def load_trajectory(log_dir: str | os.PathLike[str]) -> pd.DataFrame:
    """The trajectory that a `SensitivityCallback` wrote to its ``log_dir``, also of a fit that crashed or still runs.

    Of several fits that wrote there, one that went on (``initial_epoch``) continues the one before from its first
    look on; one that began anew replaces it.

    Args:
        log_dir: The callback's ``log_dir``; of a callback with a name the folder of that name in it.

    Returns:
        `SensitivityCallback.trajectory`: importances over epochs, index epoch (from 0), columns features, percent.

    Raises:
        FileNotFoundError: If no look was written there.
        ValueError: If a newer version wrote it.

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
    folder = pathlib.Path(log_dir, RUN)
    looks: dict[int, pd.Series[float]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*"), key=_by_number):
        for epoch, shares in _looks(path):
            while looks and next(reversed(looks)) >= epoch:
                looks.popitem()
            looks[epoch] = shares
    if not looks:
        errors.refuse_no_looks(folder)
    return pd.DataFrame(list(looks.values()), pd.Index(list(looks), name="epoch", dtype="int64"))


def _looks(path: pathlib.Path) -> Iterator[tuple[int, pd.Series[float]]]:
    """The looks of a file, as far as it is whole: when each was, and the importances."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    header: Header | None = None
    names: list[str] = []
    for event in EventFileLoader(str(path)).Load():
        found = {value.tag: value.tensor for value in event.summary.value}
        if HEADER in found:
            header = Header.decoded(make_ndarray(found[HEADER]), path)
        if LOOK in found and header is not None:
            record = Record.decoded(make_ndarray(found[LOOK]), header)
            yield event.step, pd.Series(record.arrays["importance"], header.features)
        if NAMES in found:
            names = [name.decode() for name in make_ndarray(found[NAMES])]
        if IMPORTANCES in found:
            yield event.step, pd.Series(make_ndarray(found[IMPORTANCES]), names)


def _by_number(path: pathlib.Path) -> list[int]:
    """The numbers in a file's name: the second in which it was begun, the process, and which of its files it is."""
    return [int(digits) for digits in re.findall(r"\d+", path.name)]
