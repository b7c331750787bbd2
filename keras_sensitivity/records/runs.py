"""The runs of a ``log_dir``: each fit has one of its own, so that the numbers of several never mix."""

from __future__ import annotations

import os
import re

import tensorflow as tf

__all__ = ["RUN", "new_run", "runs_in"]

# The first run, beside which `keras.callbacks.TensorBoard` may write its own; the next are sensitivity_2, sensitivity_3.
RUN = "sensitivity"
NAME = re.compile(rf"{RUN}(?:_(\d+))?/?")


def runs_in(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the runs in a folder, which need not exist, the oldest first."""
    path = os.fspath(folder)
    names = tf.io.gfile.listdir(path) if tf.io.gfile.isdir(path) else []
    found = {name.rstrip("/"): NAME.fullmatch(name) for name in names}
    return sorted(filter(found.get, found), key=lambda name: int(NAME.fullmatch(name)[1] or 1))


def new_run(folder: str | os.PathLike[str]) -> str:
    """Make the folder of another run, also where other processes do the same; returns its name."""
    number = len(runs_in(folder)) + 1
    while True:
        name = RUN if number == 1 else f"{RUN}_{number}"
        path = tf.io.gfile.join(os.fspath(folder), name)
        try:
            if not tf.io.gfile.exists(path):
                tf.io.gfile.mkdir(path)
                return name
        except tf.errors.AlreadyExistsError:
            pass  # another process was faster
        number += 1
